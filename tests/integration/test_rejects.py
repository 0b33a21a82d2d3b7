#!/usr/bin/env python3
"""One bad row among many: it goes to quarantine with its reason, all others arrive; too many end the
run before anything behind the limit is committed. T28."""
import json

from database_case import ENGINES, DatabaseTest, main, variants

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


class Policies(BadCells):
    """2.10: a stream says that a value which cannot be stored takes its row with it, or ends the stream."""
    test_the_first = test_the_last = test_in_the_middle = test_2000_of_them = test_none_allowed = None

    def whole_rows(self, write):
        self.filled(5000, "id in (1, 2049, 5000)")
        self.connect([self.stream("t", "full_refresh", write, on_unrepresentable="quarantine_row")])
        counts = self.counts(self.run_it())
        self.assertEqual((counts["read"], counts["inserted"], counts["quarantined_rows"], counts["quarantined_cells"]),
                         (5000, 4997, 3, 0))
        self.assertEqual(self.dst.execute("select count(*), min(id), max(id) from t where v is not null"), [(4997, 2, 4999)])
        self.assertEqual(self.dst.execute("select count(*) from t where _connectord_meta is not null"), [(0,)])
        found = self.dst.quarantined("level", "column", "raw")
        self.assertEqual({(level, column) for level, column, _ in found}, {("row", "v")})
        value = {"postgres": "a\0b", "mysql": "Infinity", "sqlite": "many"}[self.dst.connector]
        self.assertEqual(sorted((json.loads(raw) for *_, raw in found), key=lambda row: int(row["id"])),
                         [{"id": i, "v": value} for i in ("1", "2049", "5000")])

    def test_whole_rows_overwrite(self):
        self.whole_rows("overwrite")

    def test_whole_rows_append_dedup(self):
        self.whole_rows("append_dedup")

    def test_fail(self):
        """Nothing of its batch stays, the others do, and once the value is right the stream goes on."""
        self.filled(5000, "id = 3550")
        self.connect([self.stream("t", "full_refresh", "append_dedup", on_unrepresentable="fail")], commit={"max_rows": 100})
        run = self.run_it(status="failed")
        stream, = run["stats"]["streams"]
        error = stream["error"]
        self.assertEqual((error["code"], error["origin"], error["stream"], error["retryable"]),
                         ("unrepresentable", "destination", "t", False))
        self.assertIn('column "v", key ["3550"]', error["message"])
        self.assertEqual((self.counts(run)["quarantined_rows"], self.counts(run)["quarantined_cells"]), (0, 0))
        self.assertEqual(self.dst.quarantined("level"), [])
        n = self.dst.count("t") if "t" in self.dst.tables() else 0
        self.assertLess(n, 3550)
        if n:
            self.assertEqual(self.dst.execute("select min(id), max(id) from t"), [(1, n)])
        self.assertEqual(self.counts(run)["inserted"], n)
        self.src.execute("update t set v = 0 where id = 3550")
        self.run_it()
        self.assertEqual(self.dst.execute("select count(*), min(id), max(id) from t"), [(5000, 1, 5000)])

    def test_fail_leaves_the_table_of_before(self):
        self.filled(100, "id = 0")
        self.connect([self.stream("t", on_unrepresentable="fail")])
        self.run_it()
        kind, literal = self.bad[self.dst.connector]
        self.src.execute(f"update t set v = {literal} where id = 50")
        self.src.execute("delete from t where id = 1")
        self.assertEqual(self.failed(body={"max_attempts": 1})["code"], "unrepresentable")
        self.assertEqual(self.dst.execute("select count(*), count(v) from t"), [(100, 100)])

    def test_another_stream_goes_on(self):
        self.filled(3000, "id = 1500")
        self.src.execute("create table u (id integer not null primary key)")
        self.src.insert("u", [(i,) for i in range(1, 3001)])
        self.connect([self.stream("t", "full_refresh", "append_dedup", on_unrepresentable="fail"), self.stream("u")])
        run = self.run_it(status="failed")
        t, u = run["stats"]["streams"]
        self.assertEqual((t["error"]["code"], u["status"], u["error"]), ("unrepresentable", "complete", None))
        self.assertEqual(self.dst.count("u"), 3000)

    def test_a_limit(self):
        self.filled(100, "id in (20, 50)")
        self.connect([self.stream("t", on_unrepresentable="quarantine_row")], quarantine={"max_rows": 1})
        self.assertEqual(self.failed(body={"max_attempts": 1})["code"], "quarantine_limit")
        self.assertNotIn("t", self.dst.tables())


class Nul:
    """2.10: U+0000 in text is left out or replaced when the user wants it, and counted; only where it cannot be held."""
    source_engine = ENGINES["sqlite"]

    def without(self, nul, text):
        self.have()
        self.src.execute("create table t (id integer not null primary key, v text)")
        self.src.execute("with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) "
                         "insert into t select i, case when i % 1000 = 0 then 'a' || char(0) || 'b' else 'x' end from n")
        self.connect([self.stream("t", "full_refresh", "append_dedup", nul=nul, on_unrepresentable="fail")])
        run = self.run_it()
        counts = self.counts(run)
        held = self.dst.connector != "postgres"
        self.assertEqual((counts["inserted"], counts["quarantined_rows"], counts["quarantined_cells"], counts["altered_cells"]),
                         (5000, 0, 0, 0 if held else 5))
        found = {v for v, in self.dst.execute("select v from t where id % 1000 = 0")}
        self.assertEqual(found, {"a\0b" if held else text})
        self.assertEqual(self.dst.execute("select count(*) from t where v = 'x'"), [(4995,)])
        (state,), = [(json.loads(s["counters"]),) for s in self.dst.state("counters")]
        self.assertEqual(state["altered_cells"], counts["altered_cells"])
        log = self.service.get(f"/v1/runs/{run['id']}/logs?format=text").body.decode()
        self.assertEqual(log.count("texts are written without their U+0000"), 0 if held else 1)
        return run

    def test_strip(self):
        self.without("strip", "ab")
        self.assertEqual(self.counts(self.run_it())["unchanged"], 5000)

    def test_replace(self):
        self.without("replace", "a\ufffdb")


class PoliciesRefused(DatabaseTest):
    def test_what_is_no_policy_and_who_has_none(self):
        self.have()
        self.src.execute("create table t (id integer not null primary key)")
        self.source("sqlite", **self.src.config())
        self.destination("file", path=str(self.service.folder / "out"))
        for policy, code in (("drop", "not_a_choice"), (["fail"], "wrong_type"), ("fail", "policy_not_supported"),
                             ("quarantine_row", "policy_not_supported")):
            answer = self.service.put(f"/v1/connections/{self.name}", {
                "source": self.name, "destination": self.name, "streams": [self.stream("t", on_unrepresentable=policy)]})
            error = answer.json()["errors"][0]
            self.assertEqual((answer.status, error["pointer"], error["code"]),
                             (422, "/streams/0/on_unrepresentable", code), answer)
        for nul, code in (("drop", "not_a_choice"), (True, "wrong_type"), ("strip", "policy_not_supported")):
            answer = self.service.put(f"/v1/connections/{self.name}", {
                "source": self.name, "destination": self.name, "streams": [self.stream("t", nul=nul)]})
            error = answer.json()["errors"][0]
            self.assertEqual((answer.status, error["pointer"], error["code"]), (422, "/streams/0/nul", code), answer)
        self.connection(streams=[self.stream("t", on_unrepresentable="quarantine_cell", nul="quarantine")])
        self.run_it()
        for connector in (*ANY, "file", "singer"):
            shown = self.ok(self.service.get(f"/v1/connectors/destination/{connector}"))
            self.assertIs(shown["capabilities"]["value_policies"], connector in ANY, connector)


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
variants(globals(), Policies, destination=ANY)
variants(globals(), Nul, destination=ANY)
variants(globals(), Adopted, destination=ANY)


if __name__ == "__main__":
    main()
