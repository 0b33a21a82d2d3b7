#!/usr/bin/env python3
"""One bad row among many: it goes to quarantine with its reason, all others arrive; too many end the
run before anything behind the limit is committed. T28."""
import json

from database_case import ENGINES, main, variants

ANY = tuple(ENGINES)
MANY = 50_000
LIMIT = 1_000


class BadCells:
    """T28: a value that the destination cannot hold, in a batch of 50,000, first, last, in the middle."""
    source_engine = ENGINES["sqlite"]

    # What no column of these types takes: NUL in text of PostgreSQL, infinity in a double of MariaDB,
    # text that is no number anywhere.
    bad = {"postgres": ("text", "'a' || char(0) || 'b'"), "mysql": ("double", "9e999"), "sqlite": ("integer", "'many'")}

    def filled(self, n, bad_at):
        self.have()
        kind, literal = self.bad[self.dst.connector]
        self.src.execute(f"create table t (id integer not null primary key, v {kind})")
        self.src.execute(f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {n}) "
                         "insert into t select i, i % 100 from n")
        self.src.execute(f"update t set v = {literal} where {bad_at}")

    def one_bad(self, at, write="overwrite"):
        self.filled(MANY, f"id = {at}")
        self.connect([self.stream("t", "full_refresh", write)])
        counts = self.counts(self.run_it())
        self.assertEqual((counts["inserted"], counts["quarantined_cells"], counts["quarantined_rows"]), (MANY, 1, 0))
        self.assertEqual(self.dst.execute("select count(*), min(id), max(id) from t"), [(MANY, 1, MANY)])
        self.assertEqual(self.dst.execute("select id from t where v is null"), [(at,)])
        (level, column, key), = self.dst.quarantined("level", "column", "key")
        self.assertEqual((level, column, key), ("cell", "v", f'["{at}"]' if write == "append_dedup" else key))
        meta = self.dst.execute(f"select _connectord_meta from t where id = {at}")[0][0]
        self.assertIn("v", str(meta))

    def test_the_first(self):
        self.one_bad(1)

    def test_the_last(self):
        self.one_bad(MANY, "append_dedup")

    def test_in_the_middle(self):
        self.one_bad(25_001, "append")

    def test_2000_of_them(self):
        """The limit is 1,000: the run fails before the commit that would cross it."""
        self.filled(6_000, "id <= 2000")
        self.connect([self.stream("t", "full_refresh", "append_dedup")], quarantine={"max_rows": LIMIT, "max_ratio": 1},
                     commit={"max_rows": 100})
        error = self.failed(body={"max_attempts": 2})
        self.assertEqual((error["code"], error["retryable"]), ("quarantine_limit", False))
        self.assertLessEqual(len(self.dst.quarantined("level")), LIMIT)
        if "t" in self.dst.tables():
            n = self.dst.count("t", "where v is null")
            self.assertEqual(n, len(self.dst.quarantined("level")))

    def test_none_allowed(self):
        self.filled(100, "id = 50")
        self.connect([self.stream("t")], quarantine={"max_rows": 0})
        self.assertEqual(self.failed(body={"max_attempts": 1})["code"], "quarantine_limit")
        self.assertNotIn("t", self.dst.tables())


class Adopted:
    """T28: a table that was there before us has rules of its own; what breaks them is quarantined row by row."""
    source_engine = ENGINES["sqlite"]

    def adopted(self, rows, table, write):
        self.have()
        self.src.execute("create table t (id integer not null primary key, n integer, s text)")
        self.src.insert("t", rows)
        self.dst.execute(table.format(**self.dst.types) + self.dst.created_with)
        self.connect([self.stream("t", "full_refresh", write)], destination_config={"adopt_table": True})

    CHECKED = "create table t (id {int} not null primary key, n {int}, s varchar(20), check (n < 1000000))"

    def breaks_the_check(self, at, write):
        rows = [(i, i if i not in at else 5_000_000, "s") for i in range(1, 5001)]
        self.adopted(rows, self.CHECKED, write)
        counts = self.counts(self.run_it())
        self.assertEqual((counts["inserted"], counts["quarantined_rows"]), (5000 - len(at), len(at)))
        self.assertEqual(self.dst.execute("select count(*) from t"), [(5000 - len(at),)])
        found = {(level, str(json.loads(key)[0])) for level, key in self.dst.quarantined("level", "key")}
        self.assertEqual(found, {("row", str(i)) for i in at})
        self.assertLessEqual({r for r, in self.dst.quarantined("reason")}, {"constraint", "dest_rejected"})

    def test_a_check_at_either_end(self):
        self.breaks_the_check({1, 5000}, "append_dedup")

    def a_check_breaks_at_the_end(self, write):
        """All rows come at once, from a generation beside, and there those that the table refuses are looked for."""
        bad = {1, 2049, 5000}
        rows = [(i, i if i not in bad else 5_000_000, "s") for i in range(1, 5001)]
        self.adopted(rows, self.CHECKED, write)
        run = self.run_it()
        counts = self.counts(run)
        self.assertEqual((counts["read"], counts["inserted"], counts["quarantined_rows"]), (5000, 4997, 3))
        self.assertEqual(self.dst.rows("t", "id, n, s"), sorted((r for r in rows if r[0] not in bad), key=repr))
        found = self.dst.quarantined("level", "reason", "raw")
        self.assertEqual({(level, reason) for level, reason, _ in found}, {("row", "dest_rejected")})
        self.assertEqual({int(json.loads(raw)["id"]) for *_, raw in found}, bad)
        (state,), = [(json.loads(s["counters"]),) for s in self.dst.state("counters")]
        self.assertEqual((state["inserted"], state["quarantined_rows"]), (4997, 3))

    def test_a_check_when_a_full_refresh_appends(self):
        self.a_check_breaks_at_the_end("append")

    def test_a_check_when_a_full_refresh_overwrites(self):
        self.a_check_breaks_at_the_end("overwrite")

    def test_too_many_when_a_full_refresh_appends(self):
        self.adopted([(i, 5_000_000, "s") for i in range(1, 101)], self.CHECKED, "append")
        self.connect([self.stream("t", "full_refresh", "append")], destination_config={"adopt_table": True},
                     quarantine={"max_rows": 99})
        self.assertEqual(self.failed(body={"max_attempts": 1})["code"], "quarantine_limit")
        self.assertEqual(self.dst.count("t"), 0)
        self.assertEqual(self.dst.quarantined("level"), [])

    def test_a_second_run_does_not_double_the_quarantine_of_what_is_right(self):
        self.breaks_the_check({17}, "append_dedup")
        counts = self.counts(self.run_it())
        self.assertEqual((counts["unchanged"], counts["quarantined_rows"]), (4999, 1))

    def test_unique_on_another_column(self):
        rows = [(1, 1, "a"), (2, 2, "b"), (3, 2, "c"), (4, 4, "d")]
        self.adopted(rows, "create table t (id {int} not null primary key, n {int} unique, s varchar(20))", "append_dedup")
        counts = self.counts(self.run_it())
        self.assertEqual((counts["inserted"], counts["quarantined_rows"]), (3, 1))
        self.assertEqual(self.dst.count("t"), 3)

    def test_not_null(self):
        rows = [(1, 1, "a"), (2, None, "b"), (3, 3, "c")]
        self.adopted(rows, "create table t (id {int} not null primary key, n {int} not null, s varchar(20))", "append_dedup")
        self.assertEqual(self.counts(self.run_it())["quarantined_rows"], 1)
        self.assertEqual(sorted(i for i, in self.dst.execute("select id from t")), [1, 3])

    def test_text_that_is_too_long(self):
        """It is never cut (lesson 13)."""
        rows = [(1, 1, "a" * 20), (2, 2, "b" * 21), (3, 3, "c")]
        if self.destination_engine.connector == "sqlite":
            self.skipTest("SQLite has no such limit")
        self.adopted(rows, self.CHECKED, "append_dedup")
        run = self.run_it()
        counts = self.counts(run)
        self.assertEqual(counts["quarantined_rows"] + counts["quarantined_cells"], 1)
        there = dict(self.dst.execute("select id, s from t"))
        self.assertEqual((there[1], there[3]), ("a" * 20, "c"))
        self.assertIsNone(there.get(2))

    def test_too_many(self):
        rows = [(i, 5_000_000 if i % 2 else i, "s") for i in range(1, 4001)]
        self.adopted(rows, self.CHECKED, "append_dedup")
        self.assertIn(self.failed(body={"max_attempts": 1})["code"], ("quarantine_limit", "rows_rejected"))
        self.assertEqual(self.dst.count("t"), 0)


variants(globals(), BadCells, destination=ANY)
variants(globals(), Adopted, destination=ANY)


if __name__ == "__main__":
    main()
