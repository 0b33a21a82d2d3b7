#!/usr/bin/env python3
"""Data that nobody made up: Unicode's character table and the ISO code lists, through every mode.

Sources are UnicodeData.txt (semicolons, no header, no quotes), iso-codes as NDJSON, and a SQLite
database built from both. What arrives is compared with what SQLite itself holds of the same
data: row by row in both directions, not by sampling.
"""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

BINARY = os.environ["CONNECTORD_BIN"]
UNICODE = pathlib.Path("/usr/share/unicode/UnicodeData.txt")
ISO = pathlib.Path("/usr/share/iso-codes/json")
COLUMNS = ["code", "name", "category", "combining", "bidi", "decomposition", "decimal_value", "digit",
           "numeric", "mirrored", "old_name", "comment", "upper", "lower", "title"]
LANGUAGE = ["alpha_3", "alpha_2", "bibliographic", "common_name", "inverted_name", "name", "scope", "type"]


class RealInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-real-"))
        cls.characters = [tuple(v or None for v in line.split(";"))
                          for line in UNICODE.read_text(encoding="utf-8").splitlines()]
        cls.languages = json.loads((ISO / "iso_639-3.json").read_text())["639-3"]
        cls.ndjson = cls.folder / "languages.ndjson"
        cls.ndjson.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in cls.languages),
                              encoding="utf-8")
        cls.database = cls.folder / "real.db"
        with sqlite3.connect(cls.database) as db:
            db.execute(f"create table characters ({', '.join(f'{c} text' for c in COLUMNS)}, seen_at timestamp,"
                       " primary key (code))")
            db.executemany(f"insert into characters values ({','.join('?' * 15)}, ?)",
                           [c + (f"2020-01-01 00:{i // 60 % 60:02}:{i % 60:02}",)
                            for i, c in enumerate(cls.characters)])
            db.execute(f"create table languages ({', '.join(f'{c} text' for c in LANGUAGE)}, changed date)")
            db.executemany(f"insert into languages values ({','.join('?' * 8)}, '2021-05-06')",
                           [tuple(entry.get(c) for c in LANGUAGE) for entry in cls.languages])

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(dir=self.folder))

    def sync(self, source, destination, streams=None):
        """One run of the command line; its stats, after it has succeeded and rejected nothing."""
        job = {"name": "real", "source": source, "destination": destination}
        if streams:
            job["streams"] = streams
        path = self.work / "job.json"
        path.write_text(json.dumps(job))
        done = subprocess.run([BINARY, "sync", path], capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        self.assertNotRegex(done.stderr, "Sanitizer|runtime error")
        end = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(end["type"], "end")
        self.assertEqual(end["stats"]["records_rejected"], 0)
        return end["stats"]

    def to_sqlite(self, source, streams=None, name="out.db"):
        stats = self.sync(source, {"connector": "sqlite", "config": {"path": str(self.work / name)}}, streams)
        return stats, sqlite3.connect(self.work / name)

    def assert_same_rows(self, db, table, columns, expected):
        listed = ", ".join(f'"{c}"' for c in columns)
        db.execute(f"create temp table expected ({listed})")
        db.executemany(f"insert into expected values ({','.join('?' * len(columns))})", expected)
        for one, other in ((f"select {listed} from expected", f'select {listed} from "{table}"'),
                           (f'select {listed} from "{table}"', f"select {listed} from expected")):
            differing = db.execute(f"{one} except {other} limit 3").fetchall()
            self.assertEqual(differing, [], f"{one} except {other}")
        count, = db.execute(f'select count(*) from "{table}"').fetchone()
        self.assertEqual(count, len(expected))
        db.execute("drop table expected")
        db.commit()  # a reader that stays open holds up the next run
        self.assertEqual(db.execute("select count(*) from _connectord_quarantine").fetchone(), (0,))

    def unicode_source(self, **more):
        # Every column declared as text: what looks like a number ("0041") is a name here.
        return {"connector": "file", "config": {
            "path": str(UNICODE), "format": "csv", "delimiter": ";", "quote": "", "header": False,
            "stream": "characters", "columns": COLUMNS, "types": {c: "string" for c in COLUMNS}, **more}}

    def test_unicode_table_overwrites(self):
        for _ in range(2):  # the second run replaces the first
            stats, db = self.to_sqlite(self.unicode_source())
            self.assertEqual(stats["records_committed"], len(self.characters))
            self.assert_same_rows(db, "characters", COLUMNS, self.characters)

    def test_unicode_table_appends(self):
        streams = [{"name": "characters", "sync_mode": "full_refresh", "destination_sync_mode": "append"}]
        for n in (1, 2):
            _, db = self.to_sqlite(self.unicode_source(), streams)
            self.assert_same_rows(db, "characters", COLUMNS, self.characters * n)

    def test_unicode_table_dedups_by_key(self):
        streams = [{"name": "characters", "sync_mode": "full_refresh", "destination_sync_mode": "append_dedup"}]
        for _ in range(2):
            stats, db = self.to_sqlite(self.unicode_source(key=["code"]), streams)
            self.assertEqual(stats["records_committed"], len(self.characters))
            self.assert_same_rows(db, "characters", COLUMNS, self.characters)
        self.assertEqual(stats["streams"][0]["counts"]["unchanged"], len(self.characters))

    def test_unicode_table_compressed(self):
        for suffix, command in ((".gz", ["gzip", "-c"]), (".zst", ["zstd", "-qc"])):
            path = self.work / f"UnicodeData.txt{suffix}"
            with open(path, "wb") as out:
                subprocess.run([*command, UNICODE], stdout=out, check=True)
            _, db = self.to_sqlite(self.unicode_source(path=str(path)), name=f"out{suffix}.db")
            self.assert_same_rows(db, "characters", COLUMNS, self.characters)

    def test_language_codes_from_ndjson(self):
        source = {"connector": "file", "config": {"path": str(self.ndjson)}}
        streams = [{"name": "languages", "sync_mode": "incremental", "destination_sync_mode": "append"}]
        expected = [tuple(entry.get(c) for c in LANGUAGE) for entry in self.languages]
        _, db = self.to_sqlite(source, streams)
        self.assert_same_rows(db, "languages", LANGUAGE, expected)
        stats, db = self.to_sqlite(source, streams)  # nothing new
        self.assertEqual(stats["records_committed"], 0)
        self.assert_same_rows(db, "languages", LANGUAGE, expected)

    def test_a_grown_ndjson_file_appends_its_tail(self):
        path = self.work / "languages.ndjson"
        lines = self.ndjson.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:5000]), encoding="utf-8")
        source = {"connector": "file", "config": {"path": str(path)}}
        streams = [{"name": "languages", "sync_mode": "incremental", "destination_sync_mode": "append"}]
        self.to_sqlite(source, streams)
        with open(path, "a", encoding="utf-8") as out:
            out.writelines(lines[5000:])
        stats, db = self.to_sqlite(source, streams)
        self.assertEqual(stats["records_committed"], len(lines) - 5000)
        self.assert_same_rows(db, "languages", LANGUAGE, [tuple(entry.get(c) for c in LANGUAGE)
                                                          for entry in self.languages])

    def test_database_in_every_mode(self):
        source = {"connector": "sqlite", "config": {"path": str(self.database)}}
        columns = COLUMNS + ["seen_at"]
        with sqlite3.connect(self.database) as db:
            expected = db.execute(f"select {', '.join(COLUMNS)}, replace(seen_at, ' ', 'T') from characters").fetchall()
        modes = [("full_refresh", "overwrite", 1), ("full_refresh", "append", 2), ("incremental", "append", 1),
                 ("incremental", "append_dedup", 1), ("incremental", "insert_only", 1)]
        for sync_mode, write_mode, copies in modes:
            with self.subTest(sync_mode=sync_mode, write_mode=write_mode):
                stream = {"name": "characters", "sync_mode": sync_mode, "destination_sync_mode": write_mode}
                if sync_mode == "incremental":
                    stream["cursor_field"] = ["seen_at"]
                name = f"{sync_mode}-{write_mode}.db"
                self.to_sqlite(source, [stream], name)
                _, db = self.to_sqlite(source, [stream], name)  # twice: the second must not double
                self.assert_same_rows(db, "characters", columns, expected * copies)

    def test_database_to_files(self):
        source = {"connector": "sqlite", "config": {"path": str(self.database)}}
        for fmt in ("ndjson", "csv"):
            for mode, runs, copies in (("overwrite", 2, 1), ("append", 2, 2)):
                with self.subTest(format=fmt, mode=mode):
                    out = self.work / f"{fmt}-{mode}"
                    streams = [{"name": "characters", "sync_mode": "full_refresh", "destination_sync_mode": mode}]
                    for _ in range(runs):
                        self.sync(source, {"connector": "file", "config": {
                            "path": str(out), "format": fmt, "null_value": "\\N"} if fmt == "csv" else {
                            "path": str(out), "format": fmt}}, streams)
                    got, expected = self.rows_of(out, fmt), sorted(self.characters * copies, key=str)
                    # Not assertEqual: it would take minutes to draw the difference of long lists.
                    differing = [pair for pair in zip(got, expected) if pair[0] != pair[1]][:3]
                    self.assertTrue(got == expected, f"{len(got)} of {len(expected)} rows; {differing}")

    def rows_of(self, out, fmt):
        """The rows that the live manifests of a file destination name, by the documented rule."""
        import csv
        rows = []
        live = json.loads((out / "_manifests" / "characters" / "live.json").read_text())
        generation = out / "_manifests" / "characters" / live["directory"]
        for manifest in sorted(generation.glob("*.json")):
            for entry in json.loads(manifest.read_text())["files"]:
                with open(out / entry["name"], encoding="utf-8", newline="") as lines:
                    if fmt == "ndjson":
                        rows += [tuple(json.loads(line).get(c) for c in COLUMNS) for line in lines]
                    else:
                        rows += [tuple(None if row[c] == "\\N" else row[c] for c in COLUMNS)
                                 for row in csv.DictReader(lines)]
        return sorted(rows, key=str)


if __name__ == "__main__":
    unittest.main()
