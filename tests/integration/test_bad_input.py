#!/usr/bin/env python3
"""Input that is broken: the run says which file, line and column, keeps what is good, puts the rest
into quarantine within limits, and its exit status is not that of a clean run."""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

BINARY = os.environ["CONNECTORD_BIN"]
QUARANTINED = 3


class BadInput(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-bad-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.database = self.folder / "out.db"

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def sync(self, source, destination=None, connector="file", settings=None, **config):
        job = {"name": "bad", "source": {"connector": connector, "config": {"path": str(source), **config}},
               "destination": destination or {"connector": "sqlite", "config": {"path": str(self.database)}}}
        if settings:
            job["settings"] = settings
        path = self.folder / "job.json"
        path.write_text(json.dumps(job))
        done = subprocess.run([BINARY, "sync", path], capture_output=True, text=True, timeout=300)
        self.assertNotRegex(done.stderr, "Sanitizer|runtime error")
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    def query(self, sql):
        db = sqlite3.connect(self.database)
        self.addCleanup(db.close)
        return db.execute(sql).fetchall()

    def test_ragged_lines_and_a_broken_quote(self):
        path = self.write("people.csv", b'id,name\n1,a\n2,b,c\n3\n4,"broken\n5,ok\n')
        status, end = self.sync(path)
        self.assertEqual((status, end["status"]), (QUARANTINED, "succeeded"))
        self.assertEqual((end["stats"]["records_read"], end["stats"]["records_committed"],
                          end["stats"]["records_rejected"]), (5, 2, 3))
        self.assertEqual(self.query("select id, name from people order by id"), [(1, "a"), (5, "ok")])
        self.assertEqual([d.split(":")[0] for d, in self.query("select detail from _connectord_quarantine")],
                         ["people.csv line 3, column 3", "people.csv line 4, column 1", "people.csv line 5, column 2"])

    def test_bytes_that_are_not_utf8(self):
        status, end = self.sync(self.write("u.csv", b"id,n\n1,\xff\xfe\n2,ok\n"))
        self.assertEqual((status, end["stats"]["records_committed"], end["stats"]["cells_quarantined"]), (QUARANTINED, 2, 1))
        self.assertEqual(self.query("select id, n from u order by id"), [(1, None), (2, "ok")])
        self.assertEqual(self.query("select level, column, reason from _connectord_quarantine"), [("cell", "n", "encoding")])

    def test_a_line_of_100_mb(self):
        path = self.folder / "big.csv"
        with open(path, "wb") as out:
            out.write(b"id,n\n1,")
            for _ in range(100):
                out.write(b"x" * 1_000_000)
            out.write(b"\n2,ok\n")
        status, end = self.sync(path)
        self.assertEqual((status, end["stats"]["records_committed"], end["stats"]["records_rejected"]), (QUARANTINED, 1, 1))
        (reason, detail), = self.query("select reason, detail from _connectord_quarantine")
        self.assertEqual(reason, "record_too_large")
        self.assertIn("big.csv line 2", detail)

    def test_a_broken_ndjson_line_in_the_middle(self):
        status, end = self.sync(self.write("e.ndjson", b'{"id":1}\n{"id":2,\n{"id":3}\n'))
        self.assertEqual((status, end["stats"]["records_committed"], end["stats"]["records_rejected"]), (QUARANTINED, 2, 1))
        (reason, detail), = self.query("select reason, detail from _connectord_quarantine")
        self.assertEqual(reason, "bad_json_line")
        self.assertIn("e.ndjson line 2", detail)

    def test_more_bad_lines_than_the_limit(self):
        path = self.write("b.ndjson", b'{"id":1}\n' * 50 + b"{broken\n" * 11)
        status, end = self.sync(path, settings={"quarantine": {"max_rows": 10}})
        self.assertEqual((status, end["status"], end["error"]["code"]), (1, "failed", "quarantine_limit"))

    def test_files_that_are_no_database(self):
        for content, code in ((b"no database at all " * 100, "not_a_database"), (None, "not_found")):
            path = self.write("x.db", content) if content else self.folder / "none.db"
            status, end = self.sync(path, connector="sqlite")
            self.assertEqual((status, end["error"]["code"], end["error"]["origin"]), (1, code, "source"))
            self.assertIn(path.name, end["error"]["message"])

    def test_a_corrupt_database(self):
        path = self.folder / "source.db"
        with sqlite3.connect(path) as db:
            db.execute("create table t (id integer primary key, n text)")
            db.executemany("insert into t values (?, ?)", [(i, "x" * 200) for i in range(2000)])
        with open(path, "r+b") as file:
            file.seek(40 * 4096)
            file.write(os.urandom(8 * 4096))
        status, end = self.sync(path, connector="sqlite")
        self.assertEqual((status, end["error"]["code"], end["error"]["origin"]), (1, "corrupt", "source"))

    def test_a_locked_database(self):
        path = self.folder / "source.db"
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("create table t (id integer primary key)")
        db.execute("begin exclusive")
        status, end = self.sync(path, connector="sqlite", settings={"run_policy": {"max_attempts": 1}})
        db.execute("rollback")
        db.close()
        self.assertEqual((status, end["status"], end["error"]["retryable"]), (1, "failed", True))
        self.assertIn("locked", end["error"]["message"])

    def test_a_full_disk_keeps_what_was_committed(self):
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
            self.skipTest("skipped: a small file system cannot be mounted here")
        try:
            rows = "".join(f'{{"id":{i},"n":"{"x" * 100}"}}\n' for i in range(30000))
            path = self.write("rows.ndjson", rows.encode())
            for connector, config in (("sqlite", {"path": str(disk / "out.db")}), ("file", {"path": str(disk / "out")})):
                status, end = self.sync(path, {"connector": connector, "config": config},
                                        settings={"run_policy": {"max_attempts": 1}})
                self.assertEqual((status, end["error"]["code"], end["error"]["origin"]), (1, "disk_full", "destination"))
            self.database = disk / "out.db"
            self.assertEqual(self.query("pragma integrity_check"), [("ok",)])
        finally:
            subprocess.run(["umount", "-l", disk])

    def test_a_read_only_destination(self):
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], capture_output=True).returncode:
            self.skipTest("skipped: a read-only file system cannot be mounted here")
        try:
            path = self.write("rows.ndjson", b'{"id":1}\n')
            for connector, name in (("sqlite", "out.db"), ("file", "out")):
                status, end = self.sync(path, {"connector": connector, "config": {"path": str(disk / name)}})
                self.assertEqual((status, end["status"], end["error"]["origin"]), (1, "failed", "destination"))
                self.assertIn(str(disk), end["error"]["message"])
        finally:
            subprocess.run(["umount", "-l", disk])


if __name__ == "__main__":
    unittest.main()
