#!/usr/bin/env python3
"""Every mode between the built-in connectors; what arrives is compared with what SQLite says."""
import csv
import gzip
import io
import json
import sqlite3
import unittest

import service
from service import ServiceTest

# The last column grows with every change, as a version or a sequence does.
ROWS = [(i, f"name {i} é'\"\n,;", None if i % 5 == 0 else i * 1.5, i // 3) for i in range(1, 301)]


class Modes(ServiceTest):
    def database_source(self, rows=ROWS):
        self.inside = self.work / "in.db"
        db = self.database(self.inside)
        db.execute("create table t (id integer primary key, name text, amount double, changed integer)")
        db.executemany("insert into t values (?,?,?,?)", rows)
        db.commit()
        self.source("sqlite", path=str(self.inside))
        return db

    def stream(self, sync="full_refresh", write="overwrite", **more):
        return [{"name": "t", "sync_mode": sync, "destination_sync_mode": write, **more}]

    def incremental(self, write, **more):
        return self.stream("incremental", write, cursor_field="changed", **more)

    def written(self, columns="id, name, amount", table="t", path=None):
        """What arrived; decimals, which SQLite keeps as text, as numbers."""
        columns = columns.replace("amount", "cast(amount as real)")
        return sorted(self.database(path).execute(f'select {columns} from "{table}"').fetchall())

    def expected(self, rows=ROWS):
        return sorted(r[:3] for r in rows)


class SqliteToSqlite(Modes):
    def setUp(self):
        super().setUp()
        self.db = self.database_source()
        self.destination("sqlite")

    def change(self):
        """Ten rows change and ten come, all later than what was there."""
        self.db.executemany("update t set name = ?, changed = ? where id = ?",
                            [(f"changed {i}", 1000 + i, i) for i in range(1, 11)])
        self.db.executemany("insert into t values (?,?,?,?)",
                            [(1000 + i, f"new {i}", i, 2000 + i) for i in range(10)])
        self.db.commit()

    def now(self):
        return sorted(self.db.execute("select id, name, amount from t").fetchall())

    def test_overwrite(self):
        self.connection(streams=self.stream())
        self.assertEqual(self.run_it()["stats"]["records_committed"], 300)
        self.assertEqual(self.written(), self.expected())
        self.db.execute("delete from t where id <= 100")
        self.db.commit()
        self.run_it()
        self.assertEqual(self.written(), self.now())

    def test_overwrite_guards_against_a_shrunken_source(self):
        self.connection(streams=self.stream())
        self.run_it()
        self.db.execute("delete from t where id > 5")
        self.db.commit()
        run = self.run_it(status="failed", body={"max_attempts": 1})
        self.assertEqual(run["error"]["code"], "shrink_guard")
        self.assertEqual(self.written(), self.expected())
        self.run_it(body={"allow_shrink": True})
        self.assertEqual(self.written(), self.now())

    def test_overwrite_of_an_emptied_source(self):
        self.connection(streams=self.stream())
        self.run_it()
        self.db.execute("delete from t")
        self.db.commit()
        self.run_it(status="failed", body={"max_attempts": 1})
        self.assertEqual(self.count("t"), 300)
        self.connection(streams=self.stream(allow_empty=True))
        self.run_it()
        self.assertEqual(self.count("t"), 0)

    def test_append(self):
        self.connection(streams=self.stream(write="append"))
        self.run_it()
        self.run_it()
        self.assertEqual(self.written(), sorted(self.expected() * 2))

    def test_full_refresh_by_key(self):
        self.connection(streams=self.stream(write="append_dedup"))
        self.run_it()
        self.change()
        counts = self.run_it()["stats"]["streams"][0]["counts"]
        self.assertEqual((counts["inserted"], counts["updated"], counts["unchanged"]), (10, 10, 290))
        self.assertEqual(self.written(), self.now())

    def test_incremental_by_key(self):
        self.connection(streams=self.incremental("append_dedup"))
        self.assertEqual(self.run_it()["stats"]["records_committed"], 300)
        self.change()
        run = self.run_it()
        self.assertEqual(self.written(), self.now())
        self.assertLess(run["stats"]["records_read"], 100)
        self.run_it()
        self.assertEqual(self.written(), self.now())

    def test_incremental_append_takes_each_version_once(self):
        self.connection(streams=self.incremental("append"))
        self.run_it()
        versions = {r[:2] for r in ROWS}
        self.change()
        versions |= {(i, n) for i, n, _ in self.now() if i <= 10 or i >= 1000}
        for _ in range(3):
            self.run_it()
        rows = self.written("id, name")
        self.assertEqual(len(rows), len(set(rows)), "a version came twice")
        self.assertEqual(set(rows), versions)

    def test_incremental_by_the_time_of_change(self):
        self.db.execute("create table events (id integer primary key, at timestamp)")
        self.db.execute("insert into events values (1, strftime('%Y-%m-%d %H:%M:%f', 'now'))")
        self.db.commit()
        self.connection(streams=[{"name": "events", "sync_mode": "incremental", "destination_sync_mode": "append_dedup",
                                  "cursor_field": "at"}])
        self.run_it()
        for i in range(2, 5):
            self.db.execute(f"insert into events values ({i}, strftime('%Y-%m-%d %H:%M:%f', 'now'))")
            self.db.execute("update events set at = strftime('%Y-%m-%d %H:%M:%f', 'now') where id = 1")
            self.db.commit()
            self.run_it()
            self.assertEqual(self.written("id", "events"), [(n,) for n in range(1, i + 1)])
        times = "select id, strftime('%Y-%m-%d %H:%M:%f', at) from events order by id"
        self.assertEqual(self.database().execute(times).fetchall(), self.db.execute(times).fetchall())

    def test_insert_only_leaves_what_is_there(self):
        self.connection(streams=self.stream(write="insert_only"))
        self.run_it()
        self.change()
        counts = self.run_it()["stats"]["streams"][0]["counts"]
        self.assertEqual((counts["inserted"], counts["updated"]), (10, 0))
        names = dict(self.written("id, name"))
        self.assertEqual(names[1], ROWS[0][1])
        self.assertEqual(names[1000], "new 0")

    def test_columns_alias_and_prefix(self):
        self.connection(streams=self.stream(alias="people", fields={"exclude": ["amount"]}), prefix="x_")
        self.run_it()
        columns = [c[1] for c in self.database().execute("pragma table_info(x_people)")]
        self.assertNotIn("amount", columns)
        self.assertEqual(self.count("x_people"), 300)

    def test_metadata_levels(self):
        for level, ours in (("none", 0), ("minimal", 2), ("full", 5)):
            path = self.work / f"{level}.db"
            self.destination("sqlite", path=str(path))
            self.connection(streams=self.stream(), metadata=level)
            self.run_it()
            columns = [c[1] for c in self.database(path).execute("pragma table_info(t)")]
            self.assertEqual(sum(c.startswith("_connectord") for c in columns), ours, (level, columns))

    def test_new_columns(self):
        for policy, taken in (("evolve", True), ("ignore", False)):
            path = self.work / f"{policy}.db"
            self.destination("sqlite", path=str(path))
            self.connection(name=f"{self.name}-{policy}", source=self.name, destination=self.name,
                            streams=self.incremental("append_dedup", new_columns=policy))
            self.run_it(f"{self.name}-{policy}")
            column = f"extra_{policy}"
            self.db.execute(f"alter table t add column {column} text")
            self.db.execute(f"insert into t (id, changed, {column}) values ({7000 + taken}, {7000 + taken}, 'x')")
            self.db.commit()
            self.run_it(f"{self.name}-{policy}")
            columns = [c[1] for c in self.database(path).execute("pragma table_info(t)")]
            self.assertEqual(column in columns, taken)

    def test_frozen_columns(self):
        self.connection(streams=self.incremental("append_dedup", new_columns="freeze"))
        self.run_it()
        self.db.execute("alter table t add column extra text")
        self.db.execute("insert into t (id, changed, extra) values (7000, 7000, 'x')")
        self.db.commit()
        run = self.run_it(status="failed", body={"max_attempts": 1})
        self.assertIn(run["error"]["code"], ("schema_frozen", "schema_changed"), run)
        self.assertEqual(self.count("t"), 300)

    def test_a_locked_source_is_waited_for(self):
        self.connection(streams=self.stream())
        self.db.execute("begin immediate")
        run = self.run_it()  # readers are not held up by a writer that has not committed
        self.assertEqual(run["stats"]["records_committed"], 300)
        self.db.rollback()


class FileToSqlite(Modes):
    def write_csv(self, name="t.csv", rows=ROWS, opener=open):
        with opener(self.work / name, "wt", newline="", encoding="utf-8") as f:
            w = csv.writer(f)
            w.writerow(["id", "name", "amount", "changed"])
            w.writerows([["" if v is None else v for v in r] for r in rows])
        return str(self.work / name)

    def write_ndjson(self, name="t.ndjson", rows=ROWS):
        with open(self.work / name, "w", encoding="utf-8") as f:
            for r in rows:
                f.write(json.dumps(dict(zip(("id", "name", "amount", "changed"), r)), ensure_ascii=False) + "\n")
        return str(self.work / name)

    def load(self, path, streams=None, **config):
        self.source("file", path=path, **config)
        self.destination("sqlite")
        self.connection(streams=streams)
        return self.run_it()

    def test_csv(self):
        run = self.load(self.write_csv())
        self.assertEqual(run["stats"]["records_committed"], 300)
        self.assertEqual(self.written(), self.expected())

    def test_csv_gzip(self):
        self.load(self.write_csv("t.csv.gz", opener=gzip.open))
        self.assertEqual(self.written(), self.expected())

    def test_ndjson(self):
        self.load(self.write_ndjson())
        self.assertEqual(self.written(), self.expected())

    def test_by_key(self):
        self.load(self.write_ndjson(), self.stream(write="append_dedup"), key=["id"])
        self.write_ndjson(rows=[(1, "one", 1.0, 1), (9999, "new", 2.0, 2)] + ROWS[1:])
        counts = self.run_it()["stats"]["streams"][0]["counts"]
        self.assertEqual((counts["inserted"], counts["updated"]), (1, 1))
        self.assertEqual(self.count("t"), 301)

    def test_a_folder(self):
        folder = self.work / "many"
        folder.mkdir()
        for n in range(3):
            self.write_csv(f"many/{n}.csv", rows=ROWS[n * 100:n * 100 + 100])
        self.load(str(folder), stream="t")
        self.assertEqual(self.written(), self.expected())

    def test_broken_lines_go_to_quarantine(self):
        path = self.work / "t.ndjson"
        lines = [json.dumps({"id": i, "name": f"n{i}"}) for i in range(50)]
        lines[25] = '{"id": 25, "name": "n25"'
        path.write_text("\n".join(lines) + "\n")
        run = self.load(str(path))
        self.assertEqual((run["stats"]["records_committed"], run["stats"]["records_rejected"]), (49, 1))
        self.assertEqual(self.count("t"), 49)
        self.assertEqual(self.count("_connectord_quarantine"), 1)

    def test_too_many_broken_lines_fail(self):
        path = self.work / "t.ndjson"
        path.write_text('{"id": 1}\n' + "broken\n" * 20)
        self.source("file", path=str(path))
        self.destination("sqlite")
        self.connection(quarantine={"max_rows": 5}, run_policy={"max_attempts": 1})
        run = self.run_it(status="failed")
        self.assertEqual(run["error"]["code"], "quarantine_limit")
        log = self.service.get(f"/v1/runs/{run['id']}/logs?level=warn&type=log").text
        self.assertRegex(log, r'"msg":"row rejected".*t\.ndjson.*line 2\b')

    def test_a_ragged_csv_names_the_line(self):
        path = self.work / "t.csv"
        path.write_text("id,name\n1,a\n2\n3,c,d\n4,e\n")
        run = self.load(str(path))
        self.assertEqual((run["stats"]["records_committed"], run["stats"]["records_rejected"]), (2, 2))
        raw = [json.dumps(r) for r in self.database().execute("select * from _connectord_quarantine")]
        self.assertTrue(any("3" in r for r in raw) and any("4" in r for r in raw), raw)


class ToFiles(Modes):
    def files(self, folder="out"):
        return sorted(p for p in (self.work / folder).rglob("*") if p.is_file())

    def data(self, format, folder="out"):
        """The rows of all data files of the newest generation, as dictionaries."""
        rows = []
        for path in self.files(folder):
            if path.name.startswith(("_", ".")) or any(part.startswith(("_", ".")) for part in path.relative_to(self.work / folder).parts):
                continue
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".csv":
                rows += list(csv.DictReader(io.StringIO(text)))
            elif path.suffix in (".ndjson", ".jsonl"):
                rows += [json.loads(line) for line in text.splitlines()]
        return rows

    def test_overwrite_and_append_in_both_formats(self):
        self.database_source()
        for format in ("ndjson", "csv"):
            for write, times in (("overwrite", 1), ("append", 2)):
                with self.subTest(format=format, write=write):
                    folder = f"{format}-{write}"
                    self.destination("file", path=str(self.work / folder), format=format)
                    name = f"{self.name[:30]}-{folder}"
                    self.connection(name=name, source=self.name, destination=self.name, streams=self.stream(write=write))
                    for _ in range(2):
                        self.run_it(name)
                    ids = sorted(int(r["id"]) for r in self.data(format, folder))
                    self.assertEqual(ids, sorted([r[0] for r in ROWS] * times))
                    names = {int(r["id"]): r["name"] for r in self.data(format, folder)}
                    self.assertEqual(names, {r[0]: r[1] for r in ROWS})

    def test_incremental_append(self):
        db = self.database_source()
        self.destination("file", path=str(self.work / "out"), format="ndjson")
        self.connection(streams=self.incremental("append"))
        self.run_it()
        db.execute("insert into t values (9000, 'n', 1, 9000)")
        db.commit()
        self.run_it()
        self.run_it()
        ids = [int(r["id"]) for r in self.data("ndjson")]
        self.assertEqual(sorted(ids), [r[0] for r in ROWS] + [9000])

    def test_what_was_written_can_be_read(self):
        self.database_source()
        self.destination("file", path=str(self.work / "out"), format="ndjson")
        self.connection(streams=self.stream(), metadata="none")
        self.run_it()
        data = [p for p in self.files() if p.suffix in (".ndjson", ".jsonl") and "_connectord" not in str(p.relative_to(self.work))]
        self.source("file", name="back", path=str(data[0]), stream="t")
        self.destination("sqlite", name="back")
        self.connection(name="back")
        self.run_it("back")
        self.assertEqual(self.written(), self.expected())


class SampleToSqlite(Modes):
    def test_incremental_runs_have_something_to_do(self):
        streams = [{"name": n, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
                   for n in ("users", "products", "purchases")]
        self.pair(streams=streams, rows=100, config={"updates_per_run": 10})
        first = self.run_it()
        self.assertEqual(first["stats"]["records_committed"], 100 + 10 + 300)
        for n in range(1, 4):
            run = self.run_it()
            read = {s["name"]: s["records_read"] for s in run["stats"]["streams"]}
            self.assertEqual(read, {"users": 10, "products": 2, "purchases": 10})
            self.assertEqual((self.count("users"), self.count("products"), self.count("purchases")), (100, 10, 300 + 10 * n))

    def test_two_runs_are_the_same_shop(self):
        self.pair(rows=64)
        self.run_it()
        before = self.database().execute("select * from users order by id").fetchall()
        self.run_it()
        after = self.database().execute("select * from users order by id").fetchall()
        strip = lambda rows: [r[:6] for r in rows]  # noqa: E731 - our own columns tell the time
        self.assertEqual(strip(before), strip(after))


if __name__ == "__main__":
    service.main()
