#!/usr/bin/env python3
"""backup and restore: whole copies while the service writes, and nothing but whole copies."""
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import unittest

import service
from service import BINARY, PATIENCE_S, Service, free_port, wait_until


class Backup(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-backup-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.data, self.file = self.folder / "data", self.folder / "copy.db"

    def run_it(self, *words, **options):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONNECTORD_")}
        return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE_S,
                              env=env, check=False, **options)

    def backup(self, file=None):
        return self.run_it("backup", file or self.file, "--data", self.data)

    def start(self, folder=None, *arguments):
        s = Service(folder or self.folder, *arguments).start()
        self.addCleanup(lambda: s.alive() and s.kill())
        return s

    def take_ring(self, folder):
        shutil.copy2(self.data / "keyring.json", folder / "data/keyring.json")

    @staticmethod
    def fill(s, name="shop", rows=100, **config):
        s.put(f"/v1/sources/{name}", {"connector": "sample", "config": {"rows": rows, **config}})
        s.put(f"/v1/destinations/{name}", {"connector": "sqlite", "config": {"path": str(s.folder / f"{name}.db")}})
        s.put(f"/v1/connections/{name}", {"source": name, "destination": name})
        return s.post(f"/v1/connections/{name}/runs?wait=30").json()

    def test_the_whole_way_to_an_empty_machine(self):
        s = self.start()
        run = self.fill(s)
        self.assertEqual(run["status"], "succeeded", run)
        done = self.backup()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("2 sources and destinations, 1 connections, 1 runs", done.stdout)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertEqual([p.name for p in self.folder.glob("copy.db*")], ["copy.db"])
        metrics = s.get("/metrics").text
        self.assertRegex(metrics, r"connectord_backup_last_success_timestamp_seconds [1-9]\d{9}\.")
        self.assertRegex(metrics, r"connectord_backup_duration_seconds 0\.\d*[1-9]")
        s.stop()

        other = self.folder / "elsewhere"
        done = self.run_it("restore", self.file, "--data", other / "data")
        self.assertEqual(done.returncode, 1, "its parent does not exist")
        other.mkdir()
        done = self.run_it("restore", self.file, "--data", other / "data")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((other / "data").stat().st_mode & 0o777, 0o700)
        # A backup never holds the key ring: whoever finds one cannot read its secrets.
        done = self.run_it("serve", "--listen", f"127.0.0.1:{free_port()}", "--data", other / "data")
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, "there is no key ring .*keyring.json")
        self.take_ring(other)
        s = self.start(other)
        self.assertEqual(s.get(f"/v1/runs/{run['id']}").json()["status"], "succeeded")
        self.assertEqual([c["name"] for c in s.get("/v1/connections").json()["items"]], ["shop"])
        again = s.post("/v1/connections/shop/runs?wait=30").json()
        self.assertEqual(again["status"], "succeeded", again)
        self.assertGreater(again["id"], 1_000_000, "numbers that were given after the backup are not given again")
        s.stop()

    def test_under_load_it_is_one_moment_and_delays_nobody(self):
        s = self.start()
        self.fill(s)
        stop = threading.Event()

        def write_pair(turn):
            # Left first: a copy of one moment has them equal, or left ahead by one.
            for name in ("left", "right"):
                answer = s.put(f"/v1/sources/{name}", {"connector": "sample", "config": {"rows": 1}, "labels": {"turn": str(turn)}})
                assert answer.status in (200, 201), answer

        def write():
            turn = 1
            while not stop.is_set():
                write_pair(turn)
                turn += 1

        write_pair(0)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for turn in range(3):
                done = self.backup(self.folder / f"copy{turn}.db")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
        finally:
            stop.set()
            writer.join()
        for turn in range(3):
            db = sqlite3.connect(self.folder / f"copy{turn}.db")
            turns = dict(db.execute("select name, json_extract(labels, '$.turn') from resources where name in ('left', 'right')"))
            db.close()
            self.assertIn(int(turns["left"]) - int(turns["right"]), (0, 1), turns)
        s.stop()

    def test_a_run_that_was_active_is_interrupted(self):
        s = self.start()
        s.put("/v1/sources/a", {"connector": "sample", "config": {"rows": 1000, "batch_rows": 1, "batch_delay_ms": 50}})
        s.put("/v1/destinations/a", {"connector": "sqlite", "config": {"path": str(self.folder / "a.db")}})
        s.put("/v1/connections/a", {"source": "a", "destination": "a"})
        run = s.post("/v1/connections/a/runs").json()["id"]
        wait_until("the run", lambda: s.get(f"/v1/runs/{run}").json()["status"] == "running")
        self.assertEqual(self.backup().returncode, 0)
        s.kill()
        (self.folder / "b").mkdir()
        self.assertEqual(self.run_it("restore", self.file, "--data", self.folder / "b/data").returncode, 0)
        self.take_ring(self.folder / "b")
        s = self.start(self.folder / "b")
        lost = s.get(f"/v1/runs/{run}").json()
        self.assertEqual((lost["status"], lost["error"]["code"]), ("failed", "worker_lost"))
        s.stop()

    def made(self):
        """A data directory and a backup of it."""
        s = self.start()
        self.fill(s)
        s.stop()
        self.assertEqual(self.backup().returncode, 0)

    def test_verify_and_what_is_no_backup(self):
        self.made()
        done = self.run_it("restore", "--verify", self.file)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^verified .*copy\.db: schema \d+, 2 sources and destinations, 1 connections, 1 runs\n$")
        whole = self.file.read_bytes()
        bad = self.folder / "bad.db"
        cases = {
            "cut": (whole[:len(whole) // 2], 3, "damaged|malformed"),
            "empty": (b"", 3, "empty"),
            "text": (b"this is no database\n" * 100, 3, "not a database"),
            "flipped": (whole[:8192] + bytes(b ^ 0xff for b in whole[8192:8300]) + whole[8300:], 3, "damaged|malformed"),
        }
        for name, (content, code, says) in cases.items():
            with self.subTest(name):
                bad.write_bytes(content)
                for words in (("restore", bad, "--verify"), ("restore", bad, "--data", self.folder / "new")):
                    done = self.run_it(*words)
                    self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
                    self.assertRegex(done.stderr, says)
                self.assertFalse((self.folder / "new/connectord.db").exists())

    def test_newer_and_foreign(self):
        self.made()
        db = sqlite3.connect(self.file)
        db.execute("pragma user_version = 999")
        db.close()
        done = self.run_it("restore", self.file, "--verify")
        self.assertEqual(done.returncode, 3)
        self.assertIn("version 999, this program knows", done.stderr)
        foreign = sqlite3.connect(self.folder / "foreign.db")
        foreign.execute("create table t (x)")
        foreign.close()
        done = self.run_it("restore", self.folder / "foreign.db", "--verify")
        self.assertEqual(done.returncode, 3)
        self.assertIn("not one of this service", done.stderr)

    def test_a_store_is_never_overwritten(self):
        self.made()
        done = self.run_it("restore", self.file, "--data", self.data)
        self.assertEqual(done.returncode, 1)
        self.assertIn("connectord.db exists", done.stderr)
        # What a crash left beside a store that is gone would be read into the new one.
        (self.data / "connectord.db").unlink()
        (self.data / "connectord.db-wal").write_bytes(b"x")
        self.assertIn("connectord.db-wal exists", self.run_it("restore", self.file, "--data", self.data).stderr)

    def test_not_while_a_service_has_the_directory(self):
        self.made()
        s = self.start()
        done = self.run_it("restore", self.file, "--data", self.data)
        self.assertEqual(done.returncode, 4)
        self.assertIn(f"used by another process (process {s.process.pid})", done.stderr)
        s.stop()

    def test_where_it_cannot_be_written(self):
        self.made()
        for to, says in ((self.data / "connectord.db", "the store itself"), (self.folder, "directory"),
                         (self.folder / "none/x.db", "No such file"), ("/proc/x.db", "/proc/x.db.part")):
            done = self.backup(to)
            self.assertEqual((done.returncode, done.stdout), (1, ""), to)
            self.assertIn(says, done.stderr)
        self.assertEqual(self.run_it("restore", self.file, "--verify").returncode, 0)
        self.assertEqual(list(self.folder.rglob("*.part")), [])
        done = self.run_it("backup", self.file, "--data", self.folder / "nothing")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing/connectord.db", done.stderr)

    def test_a_full_disk_leaves_the_last_backup(self):
        self.made()
        before = self.file.read_bytes()

        def small():
            import resource
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (40960, 40960))

        done = self.run_it("backup", self.file, "--data", self.data, preexec_fn=small)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, "full|I/O")
        self.assertEqual(self.file.read_bytes(), before)
        self.assertEqual(list(self.folder.rglob("*.part")), [])

    def test_words(self):
        for words in (("backup",), ("restore",), ("backup", "a", "b"), ("restore", "a", "--verify", "--nothing", "1")):
            self.assertEqual(self.run_it(*words).returncode, 2, words)


if __name__ == "__main__":
    service.main()
