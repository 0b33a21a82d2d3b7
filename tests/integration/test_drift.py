#!/usr/bin/env python3
"""The schema of the source changes: no value is lost or bent, and the order does not matter.

T22, T23, lesson 15: every pair of logical types in both orders; names that collide, are too long,
or look like SQL.
"""
import itertools
import json

from database_case import ENGINES, SERVERS, main, variants, wait_until
from special_values import SAME

ANY = tuple(ENGINES)
AS_TEXT = {"postgres": "{0}::text", "mysql": "cast({0} as char)", "sqlite": "{0}"}

# Logical type -> (as SQLite declares it, a value of it, its canonical text).
TYPES = {
    "bool": ("boolean", 1, "true"), "int": ("integer", 42, "42"), "decimal": ("decimal(20,3)", "1.125", "1.125"),
    "float": ("double", 2.5, "2.5"), "string": ("text", "hello", "hello"), "bytes": ("blob", b"\x00\xff", "AP8="),
    "date": ("date", "2024-02-29", "2024-02-29"), "time": ("time", "12:34:56.5", "12:34:56.5"),
    "timestamp": ("timestamp", "2024-02-29 12:00:00.25", "2024-02-29T12:00:00.25"),
    "timestamptz": ("timestamptz", "2024-02-29 12:00:00.75Z", "2024-02-29T12:00:00.75Z"),
    "interval": ("interval", "P1DT2H", "P1DT2H"), "json": ("json", '{"a":[1,null]}', '{"a":[1,null]}'),
    "uuid": ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
}
NUMBERS = {"int", "decimal", "float"}
TEXTUAL = {"bool", "int", "decimal", "float", "date", "time", "timestamp", "timestamptz", "uuid", "interval"}


def join(t, u):
    """The lattice of 2.11, written down a second time; None = they conflict."""
    pair = {t, u}
    if len(pair) == 1:
        return t
    if "json" in pair:
        return "json"
    if pair <= NUMBERS:
        return "decimal"
    if pair == {"date", "timestamp"}:
        return "timestamp"
    if "string" in pair and pair - {"string"} <= TEXTUAL:
        return "string"
    return None


def text_in(kind, joined):
    """The canonical text of the value once its column has the joined type."""
    text = TYPES[kind][2]
    if joined == "timestamp" and kind == "date":
        return text + "T00:00:00"
    if joined == "json" and kind != "json":
        return text if kind in NUMBERS | {"bool"} else json.dumps(text)
    return text


class Lattice:
    """T22: first one type, then another, for every pair of logical types."""
    source_engine = ENGINES["sqlite"]

    def test_every_pair_in_both_orders(self):
        self.have()
        self.pairs = list(itertools.permutations(TYPES, 2))
        for t, u in self.pairs:
            self.src.execute(f'create table {t}_{u} (id integer not null primary key, v {TYPES[t][0]})')
            self.src.execute(f"insert into {t}_{u} values (1, ?)", (TYPES[t][1],))
        names = [f"{t}_{u}" for t, u in self.pairs]
        streams = [self.stream(n, "full_refresh", "append_dedup") for n in names]
        self.connect(streams, quarantine={"max_rows": 1000, "max_ratio": 1}, schema_change="propagate_all")
        self.run_it()
        for t, u in self.pairs:
            self.src.execute(f"drop table {t}_{u}")
            self.src.execute(f"create table {t}_{u} (id integer not null primary key, v {TYPES[u][0]})")
            self.src.execute(f"insert into {t}_{u} values (2, ?)", (TYPES[u][1],))
        self.run_it()
        wrong = list(filter(None, (self.check(t, u) for t, u in self.pairs)))
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.check_order()

    def check(self, t, u):
        joined = join(t, u)
        how = "bytes" if joined is None and t == "bytes" else joined or t
        form = {"postgres": "encode(v, 'hex')", "mysql": "lower(hex(v))", "sqlite": "iif(v is null, null, lower(hex(v)))"} if how == "bytes" else AS_TEXT
        if self.dst.connector == "postgres":
            self.dst.execute("set timezone = 'UTC'; set intervalstyle = 'iso_8601'")
        found = dict(self.dst.execute(f"select id, {form[self.dst.connector].format('v')} from {t}_{u}"))
        raws = [r for s, r in self.dst.quarantined("stream", "raw") if s.split(".")[-1] == f"{t}_{u}"]
        expected = {1: text_in(t, joined or t), 2: text_in(u, joined) if joined else None}
        if how == "bytes":
            expected[1] = "00ff"
        if (len(raws) == 1) != (joined is None) or (raws and raws[0] in (None, "")):
            return f"{t} then {u}: quarantine has {raws}, the join is {joined}"
        for i, text in expected.items():
            if (found.get(i) is None) != (text is None) or (text is not None and not self.same(how, found[i], text)):
                return f"{t} then {u}: row {i} is {found.get(i)!r} and not {text!r}"
        return None

    @staticmethod
    def same(how, found, text):
        how = {"string": "text", "timestamptz": "timestamp", "uuid": "text"}.get(how, how)
        try:
            return SAME[how](found) == SAME[how](text)
        except (ValueError, ArithmeticError):
            return False

    def check_order(self):
        for t, u in self.pairs:
            if join(t, u) and t < u:
                self.assertEqual(self.declared(f"{t}_{u}"), self.declared(f"{u}_{t}"), (t, u))

    def declared(self, table):
        if self.dst.connector == "sqlite":
            return next(row[2] for row in self.dst.execute(f"pragma table_info({table})") if row[1] == "v")
        scope = "current_schema()" if self.dst.connector == "postgres" else "database()"
        return self.dst.execute(f"select data_type, numeric_scale from information_schema.columns where table_schema = {scope} "
                                f"and table_name = '{table}' and column_name = 'v'")[0]


class Columns:
    """2.11: columns come, go, and come back as something else, between two runs."""

    def made(self, write="append_dedup", **more):
        self.have()
        self.src.create("t", "id {int} not null primary key, a {text}")
        self.src.insert("t", [(1, "one"), (2, "two")])
        self.connect([self.stream("t", "full_refresh", write)], **more)
        self.run_it()

    def test_added(self):
        self.made()
        self.src.execute(f"alter table t add column b {self.src.types['int']}")
        self.src.execute("insert into t values (3, 'three', 3)")
        self.run_it()
        self.same_rows("t", "id, a, b")

    def test_dropped(self):
        """What was delivered stays; later rows have NULL there."""
        self.made()
        self.src.execute("alter table t drop column a")
        self.src.execute("insert into t values (3)")
        self.run_it()
        self.assertEqual(dict(self.dst.execute("select id, a from t")).get(3, "no row"), None)
        self.assertEqual(self.dst.columns("t"), ["id", "a"])

    def test_renamed(self):
        self.made()
        self.src.execute("alter table t rename column a to b")
        self.src.execute("insert into t values (3, 'three')")
        self.run_it()
        self.same_rows("t", "id, b")
        self.assertIn("a", self.dst.columns("t"))

    def test_ignored(self):
        self.made(schema_change="ignore")
        self.src.execute(f"alter table t add column b {self.src.types['int']}")
        self.run_it()
        self.assertEqual(self.dst.columns("t"), ["id", "a"])

    def test_frozen(self):
        self.made(schema_change="freeze")
        before = self.dst.rows("t", "id, a")
        self.src.execute(f"alter table t add column b {self.src.types['int']}")
        self.src.execute("insert into t values (3, 'three', 3)")
        error = self.failed(body={"max_attempts": 1})
        self.assertEqual((error["code"], error["retryable"]), ("schema_frozen", False))
        self.assertEqual(self.dst.rows("t", "id, a"), before)

    def test_overwrite_takes_the_new_shape(self):
        self.made("overwrite")
        self.src.execute(f"alter table t add column b {self.src.types['decimal']}")
        self.src.execute("update t set b = 1.5")
        self.run_it()
        self.assertEqual(self.dst.count("t", "where b is not null"), 2)


class UnderWay:
    """2.11: the shape changes between the moment a run looks at it and the moment it reads. Either the rows are those
    of one of the two shapes, or the run says which column has changed; the next one brings the new shape whole."""

    def changed_under_way(self, *statements):
        self.have()
        self.src.create("t", "id {int} not null primary key, n {int}, a {text}")
        self.src.insert("t", [(i, 3472328296227680304 + i, f"a{i}") for i in range(1, 200)])  # eight digits as bytes
        self.connect([self.stream("t", "full_refresh", "append_dedup")])
        self.run_it()
        self.src.execute("insert into t values (200, 1, 'late')")
        db = self.src.connect()
        self.addCleanup(db.close)
        before, after = self.under_lock(statements)
        for statement in before:
            self.src.execute(statement, db=db)
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("the run to wait for the table", self.waiting)
        for statement in after:
            self.src.execute(statement, db=db)
        run = self.finished(run)
        if run["status"] != "succeeded":
            self.assertIn(run["error"]["code"], ("column_changed", "column_missing"), run["error"])
            self.assertIn('"', run["error"]["message"])
        self.run_it()
        self.same_rows("t")

    def under_lock(self, statements):
        """An open transaction holds the table in its new shape, which nobody sees yet; MariaDB commits each change."""
        if self.src.connector == "postgres":
            return ["begin", *statements], ["commit"]
        return ["lock tables t write"], [*statements, "unlock tables"]

    def waiting(self):
        if self.src.connector == "postgres":
            return self.src.execute("select 1 from pg_stat_activity where datname = current_database() "
                                    "and application_name like 'connectord%' and wait_event_type = 'Lock'")
        return self.src.execute("select 1 from information_schema.processlist where db = database() "
                                "and state like 'Waiting for table%'")

    def test_retyped(self):
        change = "alter column n type" if self.source_engine.connector == "postgres" else "modify n"
        self.changed_under_way(f"alter table t {change} {self.source_engine.types['text']}")

    def test_dropped(self):
        self.changed_under_way("alter table t drop column a")

    def test_added(self):
        self.changed_under_way(f"alter table t add column b {self.source_engine.types['text']}",
                               "insert into t values (201, 2, 'later', 'new')")


HOSTILE = ["userId", "user_id", "UserID", "user id", "x" * 60 + "aaa", "x" * 60 + "bbb", "select", "order", "a;b", "tab\there",
           "quote\"d", "back`tick", "apos'trophe", "back\\slash", "per%cent", "%s", "$1", "?1", "a.b", "\u00e9", "e\u0301", "\U0001f600",
           "\u202eabc", "\u00c0\u00c9", "\u00e0\u00e9", "_connectord_synced_at", "_connectord_mine", "1st", "-", "a-b", "A_B", "a_b", " lead", "__g2"]


class HostileNames:
    """T23, lesson 15: names that collide, are keywords, or need quotes; a later sibling renames nobody."""

    def named(self):
        names = list(HOSTILE)
        if self.src.connector == "mysql":
            names = [n for n in names if n not in ("UserID", "\u00e0\u00e9", "A_B", "\U0001f600")]
        if self.src.connector == "sqlite":
            names = [n for n in names if n not in ("UserID", "A_B")] + ["z" * 200 + "1", "z" * 200 + "2", "trailing "]
        return names

    def found(self, n):
        """Marker in row n -> the column that holds it."""
        columns = [c for c in self.dst.all_columns("t")]
        row = self.dst.execute(f"select {', '.join(map(self.dst.name, columns))} from t where id = {n}")[0]
        return {value: column for column, value in zip(columns, row) if isinstance(value, str) and value.startswith("<")}

    def test_columns(self):
        self.have()
        names = self.named()
        columns = "".join(f", {self.src.name(n)} {self.src.types['text']}" for n in names)
        self.src.execute(f"create table t (id {self.src.types['int']} not null primary key{columns})")
        self.src.insert("t", [(1, *(f"<{n}>" for n in names))])
        self.connect([self.stream("t", "full_refresh", "append_dedup")])
        self.run_it()
        first = self.found(1)
        self.assertEqual(set(first), {f"<{n}>" for n in names})
        self.assertEqual(len(set(first.values())), len(names))
        for plain in ("user_id", "a.b", "select"):
            self.assertEqual(first[f"<{plain}>"], plain)
        # Later siblings, that would collide with what is there.
        more = ["USER_ID "] if self.src.connector != "mysql" else ["userID2"]
        more += ["X" * 60 + "aaa2"]
        for n in more:
            self.src.execute(f"alter table t add column {self.src.name(n)} {self.src.types['text']}")
        self.src.insert("t", [(2, *(f"<{n}>" for n in names + more))])
        self.run_it()
        second = self.found(2)
        self.assertEqual(set(second), {f"<{n}>" for n in names + more})
        self.assertEqual({k: v for k, v in second.items() if k in first}, first)
        self.assertEqual(self.found(1), first)

    def test_tables(self):
        self.have()
        names = ["Orders", "order", "semi;colon", "quote\"d", "back`tick", "apos'trophe", "with space", "漢字", "per%cent",
                 "x" * 55 + "aaaaa", "x" * 55 + "bbbbb", "a.b"]
        for n in names:
            self.src.create(n, "id {int} not null primary key, v {text}")
            self.src.execute(f"insert into {self.src.name(n)} values (1, {self.src.literal(n)})")
        self.connect([self.stream(n, "full_refresh", write) for n, write in zip(names, itertools.cycle(("overwrite", "append_dedup")))])
        for _ in range(2):
            self.run_it()
        held = {}
        for table in self.dst.tables():
            if table not in ("_connectord_state", "_connectord_quarantine") and not table.startswith("sqlite_"):
                held[self.dst.execute(f"select v from {self.dst.name(table)}")[0][0]] = table
        self.assertEqual(set(held), set(names))


variants(globals(), Lattice, destination=ANY)
variants(globals(), Columns, source=("sqlite",), destination=ANY)
variants(globals(), UnderWay, source=SERVERS, destination=["sqlite"])
variants(globals(), Columns, source=SERVERS, destination=("postgres",))
variants(globals(), HostileNames, source=("postgres",), destination=ANY)
variants(globals(), HostileNames, source=("sqlite",), destination=ANY)
variants(globals(), HostileNames, source=("mysql",), destination=("postgres",))


if __name__ == "__main__":
    main()
