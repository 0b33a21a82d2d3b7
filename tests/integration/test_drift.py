#!/usr/bin/env python3
"""The schema of the source changes: no value is lost or bent, and the order does not matter.

T22, T23, lesson 15: every pair of logical types in both orders; names that collide, are too long,
or look like SQL.
"""
import itertools
import json

from database_case import ENGINES, SERVERS, OwnService, main, variants, wait_until
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


# What a column may have for a constant default: its type for the source and the default as that source writes it.
CONSTANTS = {
    "postgres": {"n": ("smallint not null", "-7"), "s": ("varchar(40)", "'it''s \\ a \"test\" ü'"), "d": ("numeric(8,3)", "1.250"),
                 "f": ("real", "0.1"), "b": ("boolean", "true"), "day": ("date", "'2024-02-29'"), "j": ("jsonb", "'{\"a\": [1, null]}'"),
                 "moment": ("timestamptz", "'2024-02-29 12:00:00.5+01'"), "y": ("bytea", "'\\x00ff27'"), "l": ("text[]", "'{}'"),
                 "u": ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"), "i": ("interval", "'1 month 2 days'"), "e": ("text", "''")},
    "mysql": {"n": ("smallint not null", "-7"), "s": ("varchar(40)", "'it''s \\ a \"test\" ü'"), "d": ("decimal(8,3)", "1.250"),
              "f": ("float", "0.1"), "b": ("tinyint(1)", "1"), "day": ("date", "'2024-02-29'"), "j": ("json", "'{\"a\": [1, null]}'"),
              "moment": ("timestamp(1) null", "'2024-02-29 11:00:00.5'"), "w": ("bit(3)", "b'101'"), "c": ("enum('x','y')", "'y'"),
              "e": ("text", "''")},
    "sqlite": {"n": ("integer not null", "-7"), "s": ("varchar(40)", "'it''s \\ a \"test\" ü'"), "d": ("decimal(8,3)", "1.250"),
               "f": ("double", "0.1"), "b": ("boolean", "true"), "day": ("date", "'2024-02-29'"), "j": ("json", "'{\"a\": [1, null]}'"),
               "moment": ("timestamptz", "'2024-02-29 12:00:00.5Z'"), "y": ("blob", "x'00ff27'"), "e": ("text", "''")},
}


class Defaults:
    """2.11, new column: rows that were delivered before the source got it have there what they have in the source. No
    run delivers them again for it, since nothing has touched their time of change."""

    def made(self, write="append_dedup", **more):
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}")
        self.src.insert("t", [(1, "2020-01-01 00:00:00"), (2, "2020-01-01 00:00:01")])
        self.connect([self.incremental("t", write, **more)])
        self.run_it()
        self.expected = CONSTANTS[self.src.connector]

    def alter(self):
        """All of the columns, a row that has their defaults by name, and one that has none where that may be."""
        for name, (declared, constant) in self.expected.items():
            self.src.execute(f"alter table t add column {name} {declared} default {constant}")
        self.src.execute(f"insert into t select 3, {self.src.now}, {', '.join(c for _, c in self.expected.values())}")
        self.src.execute(f"insert into t (id, at, n, {', '.join(k for k in self.expected if k != 'n')}) "
                         f"select 4, {self.src.now}, 0, {', '.join(['null'] * (len(self.expected) - 1))}")

    def filled(self):
        rows = {row[0]: row[1:] for row in self.dst.execute(f"select id, {', '.join(map(self.dst.name, self.expected))} from t")}
        self.assertEqual(set(rows), {1, 2, 3, 4})
        self.assertNotIn(None, rows[3])
        self.assertEqual((rows[1], rows[2]), (rows[3], rows[3]))
        self.assertEqual(set(rows[4][1:]), {None})

    def test_constant(self):
        self.made()
        self.alter()
        self.assertEqual(self.counts(self.run_it())["read"], 2)
        self.filled()
        self.src.execute(f"insert into t (id, at, n) select 5, {self.src.now}, 0")
        self.src.execute("update t set s = null where id = 5")
        self.run_it()
        self.assertEqual(self.dst.execute("select s from t where id = 5"), [(None,)])

    def test_constant_append(self):
        self.made("append")
        self.alter()
        self.run_it()
        rows = self.dst.execute(f"select {', '.join(map(self.dst.name, self.expected))} from t where id < 3")
        self.assertEqual(len(rows), 2)
        self.assertNotIn(None, rows[0])

    def test_left_out_until_now(self):
        """What the rows had in a column that was not wanted then, nobody has kept."""
        self.made()
        self.src.execute("alter table t add column n integer default 5")
        self.src.execute("update t set n = 9 where id = 2")
        self.src.execute(f"insert into t values (3, {self.src.now}, 6)")
        without = self.incremental("t", fields={"exclude": ["n"]})
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        self.connect([without])
        self.run_it()
        self.connect([self.incremental("t")])
        self.src.execute(f"insert into t values (4, {self.src.now}, 7)")
        self.run_it()
        rows = dict(self.dst.execute("select id, n from t"))
        self.assertEqual((rows[1], rows[2], rows[4]), (None, None, 7))
        self.assertIn(rows[3], (None, 6))  # it may be read again: it is young

    def test_volatile(self):
        changing = {"postgres": "text default md5(random()::text)", "mysql": "varchar(36) default (uuid())"}.get(self.src_connector())
        if changing is None:
            changing = "text"  # SQLite adds no column with such a default
        self.made()
        self.src.execute(f"alter table t add column v {changing}")
        self.src.execute(f"insert into t values (3, {self.src.now}, 'x')")
        self.run_it()
        self.assertEqual(dict(self.dst.execute("select id, v from t")), {1: None, 2: None, 3: "x"})

    def src_connector(self):
        return self.source_engine.connector


class DefaultsKilled(Defaults):
    """The same, killed between the column and its values."""
    test_constant = test_constant_append = test_left_out_until_now = test_volatile = None

    def killed_at(self, point, *met_by):
        self.made()
        self.alter()
        self.assertEqual(self.die_at(point), self.dst.connector in met_by)
        self.again()
        self.run_it()
        self.filled()

    def test_before_ddl(self):
        self.killed_at("before_ddl", "mysql")

    def test_between_defaults(self):
        self.killed_at("between_defaults", "postgres")

    def test_before_filling(self):
        self.killed_at("before_filling", *ANY)

    def test_during_ddl(self):
        self.killed_at("during_ddl", *ANY)


class DefaultsOfPartitions(Defaults):
    """A partitioned table has no rows of its own, so its partitions say what theirs have."""
    test_constant_append = test_left_out_until_now = test_volatile = None

    def made(self, write="append_dedup", **more):
        self.have()
        self.src.execute("create table t (id bigint not null primary key, at timestamptz) partition by range (id)")
        for low, high in ((1, 2), (2, 100)):
            self.src.execute(f"create table t_{low} partition of t for values from ({low}) to ({high})")
        self.src.insert("t", [(1, "2020-01-01 00:00:00"), (2, "2020-01-01 00:00:01")])
        self.connect([self.incremental("t", write, **more)])
        self.run_it()
        self.expected = CONSTANTS[self.src.connector]


class Renames:
    """2.11, renamed column: what the user says to be the same column stays one, with all that is in it."""

    def made(self, *mode, **more):
        self.have()
        self.src.create("t", "id {int} not null primary key, a {text}, at {time}")
        self.src.insert("t", [(1, "one", "2020-01-01 00:00:00"), (2, "two", "2020-01-01 00:00:01")])
        self.connect([(self.incremental if mode[0] == "incremental" else self.stream)("t", *mode[mode[0] == "incremental":], **more)])
        self.run_it()

    def renamed(self, *mode):
        self.made(*mode, renames={"a": "b", "never": "there"})
        self.src.execute("alter table t rename column a to b")
        self.src.execute(f"insert into t select 3, 'three', {self.src.now}")

    def arrived(self):
        self.assertEqual(sorted(self.dst.columns("t")), ["at", "b", "id"])
        self.same_rows("t", "id, b")

    def test_incremental(self):
        self.renamed("incremental", "append_dedup")
        self.assertEqual(self.counts(self.run_it())["read"], 1)
        self.arrived()
        version = self.dst.state("schema_version")
        self.run_it()
        self.assertEqual(self.dst.state("schema_version"), version)
        self.arrived()

    def test_overwrite(self):
        self.renamed("full_refresh", "overwrite")
        self.run_it()
        self.arrived()

    def test_append(self):
        self.renamed("full_refresh", "append")
        self.run_it()
        self.assertEqual(sorted(self.dst.execute("select id, b from t")),
                         [(1, "one"), (1, "one"), (2, "two"), (2, "two"), (3, "three")])
        self.assertNotIn("a", self.dst.columns("t"))

    def test_key(self):
        """Another key: all rows are read again, and the rows that are there are not doubled."""
        self.made("incremental", "append_dedup", renames={"id": "number"})
        self.src.execute("alter table t rename column id to number")
        self.src.execute(f"insert into t select 3, 'three', {self.src.now}")
        self.run_it()
        self.same_rows("t", "number, a")
        self.assertNotIn("id", self.dst.columns("t"))

    def test_both_are_there(self):
        """A column that did not go was not renamed, and one that has arrived is not joined any more."""
        self.made("full_refresh", "append_dedup", renames={"a": "b"})
        self.src.execute(f"alter table t add column b {self.src.types['text']}")
        self.src.execute("update t set b = 'x'")
        self.run_it()
        self.same_rows("t", "id, a, b")
        self.src.execute("alter table t drop column a")
        self.run_it()
        self.same_rows("t", "id, b")
        self.assertIn("a", self.dst.columns("t"))

    def test_a_name_that_others_use(self):
        self.made("incremental", "append_dedup", renames={"a": "b"})
        self.dst.execute(f"alter table t add column b {self.dst.types['text']}")
        self.src.execute("alter table t rename column a to b")
        self.src.execute(f"insert into t select 3, 'three', {self.src.now}")
        self.run_it()
        self.assertEqual(dict((i, (a, b)) for i, a, b in self.dst.execute("select id, a, b from t")),
                         {1: ("one", None), 2: ("two", None), 3: (None, "three")})

    def test_refused(self):
        self.have()
        self.src.create("t", "id {int} not null primary key, a {text}, b {text}")
        self.source(self.src.connector, **self.src.config())
        self.destination(self.dst.connector, **self.dst.config())
        for renames, code in ((["a"], "wrong_type"), ({"a": 1}, "wrong_type"), ({"a": ""}, "wrong_type"),
                              ({"a": "c", "b": "c"}, "duplicate_field")):
            answer = self.service.put(f"/v1/connections/{self.name}", {
                "source": self.name, "destination": self.name, "streams": [self.stream("t", renames=renames)]})
            self.assertEqual((answer.status, answer.json()["errors"][0]["code"]), (422, code), answer)


class RenamesKilled(Renames):
    """The same, killed before and behind the statement."""
    test_incremental = test_overwrite = test_append = test_key = test_both_are_there = test_a_name_that_others_use = test_refused = None

    def killed_at(self, point, *met_by):
        self.renamed("incremental", "append_dedup")
        self.assertEqual(self.die_at(point), self.dst.connector in met_by)
        self.again()
        self.run_it()
        self.arrived()

    def test_before(self):
        self.killed_at("before_renaming", "mysql")

    def test_behind(self):
        self.killed_at("after_renaming", *ANY)


class Backfill:
    """2.11, new column: with backfill_new_columns the rows that were delivered before get what they have in it."""
    N = 3

    def made(self, **more):
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}")
        self.src.insert("t", [(i, f"2020-01-01 00:{i // 60 % 60:02}:{i % 60:02}") for i in range(1, self.N + 1)])
        self.connect([self.incremental("t", backfill_new_columns=True, **more)], commit={"max_rows": 1000})
        self.run_it()

    def alter(self):
        """A value of its own in every row, and none of them with a new time."""
        self.src.execute(f"alter table t add column b {self.src.types['int']}")
        self.src.execute("update t set b = id * 2")

    def test_filled(self):
        self.made()
        self.alter()
        counts = self.counts(self.run_it())
        self.assertEqual((counts["read"], counts["updated"]), (self.N, self.N))
        self.same_rows("t", "id, b")
        self.assertEqual(self.counts(self.run_it())["read"], 0)

    def test_left_out_until_now(self):
        self.made()
        self.alter()
        self.src.execute(f"insert into t values (0, {self.src.now}, 7)")
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        self.connect([self.incremental("t", backfill_new_columns=True, fields={"exclude": ["b"]})])
        self.run_it()
        self.assertNotIn("b", self.dst.columns("t"))
        self.connect([self.incremental("t", backfill_new_columns=True)])
        self.run_it()
        self.same_rows("t", "id, b")

    def test_refused(self):
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}")
        self.source(self.src.connector, **self.src.config())
        self.destination(self.dst.connector, **self.dst.config())
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        for write in ("append", "insert_only"):
            answer = self.service.put(f"/v1/connections/{self.name}", {
                "source": self.name, "destination": self.name,
                "streams": [self.incremental("t", write, backfill_new_columns=True)]})
            self.assertEqual((answer.status, answer.json()["errors"][0]["code"]), (422, "mode_not_supported"), answer)


class BackfillKilled(Backfill):
    """The same, killed before the column, behind it, and among the rows."""
    N = 5000
    test_filled = test_left_out_until_now = test_refused = None

    def killed_at(self, point, nth=1):
        self.made()
        self.alter()
        self.assertTrue(self.die_at(point, nth))
        self.again()
        self.run_it()
        self.same_rows("t", "id, b")

    def test_behind_the_column(self):
        self.killed_at("during_ddl")

    def test_at_the_beginning(self):
        self.killed_at("before_stage")

    def test_among_the_rows(self):
        self.killed_at("after_stage", 3)


class Snake:
    """2.11, names: small letters, digits and underscores, and what was named once keeps its name."""
    COLUMNS = {"id": "id", "UserId": "userid", "Gr\u00f6\u00dfe (cm)": "grosse_cm_", "1st": "_1st", "plain": "plain", "_x": "_x"}

    def test_names(self):
        self.have()
        table = self.src.name("Order Items")
        self.src.execute(f"create table {table} (id {self.src.types['int']} not null primary key, "
                         + ", ".join(f"{self.src.name(c)} {self.src.types['text']}" for c in list(self.COLUMNS)[1:]) + ")")
        self.src.execute(f"insert into {table} values (1, {', '.join(self.src.literal(c) for c in list(self.COLUMNS)[1:])})")
        self.connect([self.stream("Order Items", "full_refresh", "append_dedup", naming="snake")])
        self.run_it()
        self.assertIn("order_items", self.dst.tables())
        self.assertEqual(self.dst.columns("order_items"), list(self.COLUMNS.values()))
        row, = self.dst.execute(f"select {', '.join(map(self.dst.name, self.dst.columns('order_items')))} from order_items")
        self.assertEqual(row[1:], tuple(list(self.COLUMNS)[1:]))
        # A later sibling of one that has its name already, and the setting taken back.
        for column in ("Plain!", "plain?"):
            self.src.execute(f"alter table {table} add column {self.src.name(column)} {self.src.types['text']}")
        self.run_it()
        first = self.dst.columns("order_items")
        self.assertEqual(first[:len(self.COLUMNS)], list(self.COLUMNS.values()))
        self.assertEqual(sorted(n[:6] for n in first[len(self.COLUMNS):]), ["plain_", "plain_"])
        self.connect([self.stream("Order Items", "full_refresh", "append_dedup")])
        self.run_it()
        self.assertEqual(self.dst.columns("order_items"), first)

    def test_an_alias_is_taken_as_it_is(self):
        self.have()
        self.src.create("t", "id {int} not null primary key")
        self.connect([self.stream("t", naming="snake", alias="As It Is")])
        self.run_it()
        self.assertIn("As It Is", self.dst.tables())


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
variants(globals(), Defaults, source=ANY, destination=ANY)
variants(globals(), DefaultsKilled, OwnService, source=("postgres",), destination=ANY)
variants(globals(), DefaultsOfPartitions, source=("postgres",), destination=("sqlite",))
variants(globals(), Renames, source=("sqlite",), destination=ANY)
variants(globals(), Renames, source=SERVERS, destination=("postgres",))
variants(globals(), RenamesKilled, OwnService, source=("sqlite",), destination=ANY)
variants(globals(), Backfill, source=("sqlite",), destination=ANY)
variants(globals(), Backfill, source=SERVERS, destination=("postgres",))
variants(globals(), BackfillKilled, OwnService, source=("sqlite",), destination=ANY)
variants(globals(), Snake, source=("sqlite",), destination=ANY)
variants(globals(), UnderWay, source=SERVERS, destination=["sqlite"])
variants(globals(), Columns, source=SERVERS, destination=("postgres",))
variants(globals(), HostileNames, source=("postgres",), destination=ANY)
variants(globals(), HostileNames, source=("sqlite",), destination=ANY)
variants(globals(), HostileNames, source=("mysql",), destination=("postgres",))


if __name__ == "__main__":
    main()
