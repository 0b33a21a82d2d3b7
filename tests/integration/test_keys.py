#!/usr/bin/env python3
"""Keys: what makes two rows the same one, and what is a key at all.

T6, T25 and lessons 7, 8, 16: composite text keys, emoji, long keys, letters that differ in case,
decimals, the empty string beside NULL.
"""

from database_case import ENGINES, SERVERS, main, variants

ANY = tuple(ENGINES)


class Keys:
    """T6: distinct keys stay distinct, equal ones are one row."""

    def keyed(self, columns, rows, key, write="append_dedup"):
        self.have()
        self.src.create("t", columns)
        self.src.insert("t", rows)
        return self.connect([self.stream("t", "full_refresh", write, primary_key=[[c] for c in key])])

    def test_composite_text_keys(self):
        """Lesson 16: they are no joined text."""
        rows = [("a,b", "c", 1), ("a", "b,c", 2), ("a", "b", 3), ("", "ab", 4), ("ab", "", 5), ("a\x1fb", "c", 6),
                ("a", "\x1fbc", 7), ('a","b', "c", 8)]
        self.keyed("a {key} not null, b {key} not null, n {int}, primary key (a, b)", rows, "ab")
        for _ in range(2):
            self.run_it()
            self.same_rows("t")
        self.src.execute("update t set n = n * 10")
        counts = self.counts(self.run_it())
        self.assertEqual((counts["inserted"], counts["updated"]), (0, len(rows)))
        self.same_rows("t")

    def test_emoji_and_long_keys(self):
        """Two of them differ at the end only; one is as long as an index takes."""
        rows = [("\U0001f600", 1), ("\U0001f601", 2), ("x" * 180 + "a", 3), ("x" * 180 + "b", 4), ("漢" * 60, 5), (" ", 6)]
        self.keyed("a {key} not null primary key, n {int}", rows, "a")
        self.run_it()
        self.src.execute("update t set n = n + 100")
        self.run_it()
        self.same_rows("t")

    def test_a_very_long_key(self):
        """Where no index of the destination holds it the row is in quarantine or the run says so; nothing is cut."""
        if self.source_engine.connector == "mysql":
            self.skipTest("MariaDB has no such keys")
        self.keyed("a {key} not null, n {int}", [("k" * 1_000_000, 1), ("k" * 999_999 + "j", 2), ("short", 3)], "a")
        answer = self.service.post(f"/v1/connections/{self.name}/runs?wait=55", {"max_attempts": 1})
        run = self.finished(self.ok(answer, 201))
        there = self.dst.rows("t", "n, length(a)") if "t" in self.dst.tables() else []
        if run["status"] == "succeeded":
            out = len([r for r in self.dst.quarantined("reason", "level") if r[1] == "row"])
            self.assertEqual(len(there) + out, 3)
            self.assertTrue(set(there) <= {(1, 1_000_000), (2, 1_000_000), (3, 5)}, there)
        else:
            self.assertIn(run["error"]["code"], ("key_too_long", "quarantine_limit", "out_of_range", "too_large", "value_rejected"), run["error"])

    def test_case_and_trailing_blanks(self):
        """In PostgreSQL and SQLite 'A' and 'a' are two keys, and must be two rows everywhere."""
        if self.source_engine.connector == "mysql":
            self.skipTest("in MariaDB they are one")
        self.keyed("a {key} not null primary key, n {int}", [("A", 1), ("a", 2), ("a ", 3), ("ä", 4), ("Ä", 5), ("ß", 6), ("ss", 7)], "a")
        self.run_it()
        self.same_rows("t")
        self.src.execute("update t set n = 20 where a = 'a'")
        self.run_it()
        self.same_rows("t")

    def test_decimal_keys(self):
        """1.0 and 1.00 are one number."""
        self.have()
        kind = {"postgres": "numeric", "mysql": "decimal(30,3)", "sqlite": "decimal"}[self.src.connector]
        self.src.create("t", f"a {kind} not null primary key, n {{int}}")
        literal = "'{}'" if self.src.connector == "sqlite" else "{}"
        for i, v in enumerate(("1.0", "2", "0.001", "-5.5", "12345678901234567890.123")):
            self.src.execute(f"insert into t values ({literal.format(v)}, {i})")
        self.connect([self.stream("t", "full_refresh", "append_dedup")])
        self.run_it()
        if self.src.connector == "postgres":
            self.src.execute("update t set a = 1.00, n = 100 where a = 1")
        else:
            self.src.execute("update t set n = 100 where n = 0")
        self.run_it()
        self.assertEqual(self.dst.count("t"), 5)
        self.assertEqual(sorted(n for n, in self.dst.execute("select n from t")), [1, 2, 3, 4, 100])

    def test_null_in_a_key(self):
        """It identifies nothing: quarantine, with its reason."""
        self.keyed("a {key}, n {int}", [("x", 1), (None, 2), ("", 3)], "a")
        run = self.run_it()
        self.assertEqual(self.counts(run)["quarantined_rows"], 1)
        self.assertEqual(self.dst.rows("t", "a, n"), [("", 3), ("x", 1)])
        self.assertEqual([tuple(r) for r in self.dst.quarantined("reason", "level")], [("null_key", "row")])

    def test_a_key_twice_in_a_batch(self):
        """Lesson 7: the later one wins, and the run goes on."""
        self.keyed("a {int}, at {int}, n {int}", [(i % 10, i, i) for i in range(100)], "a")
        counts = self.counts(self.run_it())
        self.assertEqual((counts["inserted"], counts["folded"]), (10, 90))
        self.assertEqual(self.dst.count("t"), 10)
        self.assertEqual(sorted(r[0] for r in self.dst.rows("t", "n")), list(range(90, 100)))

    def test_the_primary_key_alone(self):
        """Lesson 8: a unique column beside it is not part of the key."""
        self.have()
        self.src.create("t", "id {int} not null primary key, email {key} not null unique")
        self.src.insert("t", [(1, "old@example.com"), (2, "b@example.com")])
        catalog = self.discovered()
        self.assertEqual(catalog["t"]["primary_key"], ["id"])
        self.connect([self.stream("t", "full_refresh", "append_dedup")])
        self.run_it()
        self.src.execute("update t set email = 'new@example.com' where id = 1")
        self.run_it()
        self.same_rows("t")

    def test_a_unique_set_where_there_is_no_primary_key(self):
        self.have()
        self.src.create("t", "a {key} not null, b {key} not null, c {key} unique, unique (a, b)")
        self.assertEqual(self.discovered()["t"]["primary_key"], ["a", "b"])

    def discovered(self):
        self.source(self.src.connector, name="d-" + self.name, **self.src.config())
        catalog = self.ok(self.service.post(f"/v1/sources/d-{self.name}/discover"))
        return {s["name"]: s for s in (catalog.get("catalog") or catalog)["streams"]}

    def test_empty_is_not_null(self):
        """T25: in text, bytes and as a key."""
        rows = [("", "", b"", 1), ("a", None, None, 2), ("b", "", None, 3), ("c", None, b"", 4)]
        self.keyed("a {key} not null primary key, t {text}, b {bytes}, n {int}", rows, "a")
        for _ in range(2):
            self.run_it()
            self.same_rows("t", "a, t, b, n")

    def test_rows_that_are_equal_are_not_rewritten(self):
        self.keyed("a {int} not null primary key, n {int}, f {float}, t {text}, x {bytes}",
                   [(i, None, 0.1 * i, "é" * i, b"\0" * i) for i in range(50)], "a")
        self.run_it()
        counts = self.counts(self.run_it())
        self.assertEqual((counts["unchanged"], counts["updated"], counts["inserted"]), (50, 0, 0))


class Collations:
    """T6: what MariaDB takes for one key may be two elsewhere; a table holds only one of them at a time."""
    source_engine = ENGINES["mysql"]

    def test_letters_of_either_case(self):
        self.have()
        self.src.execute("create table t (a varchar(20) character set utf8mb4 collate utf8mb4_general_ci not null primary key, n int)")
        self.src.execute("insert into t values ('Abc', 1), ('x', 2)")
        self.connect([self.stream("t")])
        self.run_it()
        self.src.execute("update t set a = 'aBC', n = 3 where a = 'abc'")
        self.run_it()
        self.same_rows("t")
        self.connect([self.stream("t", "full_refresh", "append_dedup")], prefix="k_")
        self.run_it()
        self.same_rows("t", "*", "k_t")


variants(globals(), Keys, source=("sqlite",), destination=ANY)
variants(globals(), Keys, source=("postgres",), destination=SERVERS)
variants(globals(), Keys, source=("mysql",), destination=("postgres",))
variants(globals(), Collations, destination=ANY)


if __name__ == "__main__":
    main()
