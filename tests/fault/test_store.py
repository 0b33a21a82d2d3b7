#!/usr/bin/env python3
"""F7, F8: a store that others hold, and one that is damaged."""
import sqlite3
import threading

from fault_case import RANDOM, FaultTest, main, wait_until
from test_identity import run_cli


class Busy(FaultTest):
    """F7: another process has the store. Waiting is bounded and told; nothing else stops."""

    def other(self):
        db = sqlite3.connect(self.folder / "data" / "connectord.db", isolation_level=None, timeout=30)
        self.addCleanup(db.close)
        return db

    def create(self, name):
        return self.service.put(f"/v1/sources/{name}", {"connector": "sample", "config": {}})

    def metric(self, name):
        lines = self.service.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def test_another_writer(self):
        self.serve()
        self.assertEqual(self.create("before").status, 201)
        other, answers = self.other(), {}
        other.execute("begin immediate")
        threads = [threading.Thread(target=lambda n=n: answers.update({n: self.create(f"during{n}")})) for n in range(4)]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):  # who only reads does not wait for the lock
            self.ok(self.service.get("/v1/sources/before"))
            self.assertEqual(self.service.get("/livez").status, 200)
        for answer in answers.values():
            self.fails(answer, 503, "database_busy")
            self.assertGreater(int(answer.headers["Retry-After"]), 0)
        self.assertGreaterEqual(self.metric("connectord_store_busy_total"), 4)
        other.execute("rollback")
        self.assertEqual(self.create("after").status, 201)
        for n in answers:
            self.fails(self.service.get(f"/v1/sources/during{n}"), 404, "not_found")

    def test_a_run_meets_another_writer(self):
        """Its rows and its state are whole when the lock is given back, whenever that is."""
        self.serve()
        self.pair(rows=4000, config={"batch_rows": 100, "batch_delay_ms": 50}, commit={"max_rows": 400},
                  run_policy={"max_attempts": 3, "backoff_s": 0})
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        self.running(run["id"])
        other = self.other()
        other.execute("begin immediate")
        wait_until("somebody to wait for the lock in vain", lambda: self.metric("connectord_store_busy_total") > 0)
        other.execute("rollback")
        self.assertEqual(self.finished(run)["status"], "succeeded", run)
        rows = self.database().execute("select count(*), count(distinct id) from users").fetchone()
        self.assertEqual(rows, (4000, 4000))

    def test_a_reader_that_stays(self):
        """The log of the store cannot be taken over while it reads: that shows, and ends with it."""
        self.serve()
        other = self.other()
        self.create("first")
        other.execute("begin")
        other.execute("select count(*) from resources").fetchone()
        n = 0
        while self.metric("connectord_store_wal_bytes") < 6 << 20:  # it would have begun anew at 4 MiB
            self.assertEqual(self.create(f"s{n}").status, 201)
            n += 1
            self.assertLess(n, 5000)
        other.execute("rollback")
        self.create("first-again")
        held = self.metric("connectord_store_wal_bytes")
        for i in range(n // 2):
            self.assertEqual(self.create(f"t{i}").status, 201)
        self.assertLess(self.metric("connectord_store_wal_bytes"), held + (1 << 20))
        other.close()
        self.service.stop()
        self.assertFalse((self.folder / "data" / "connectord.db-wal").exists())
        self.store_is_whole()


class Damaged(FaultTest):
    """F8: a damaged store is refused with the reason and what to do, and left as it is. See test_store_open.c
    for 200 places."""

    def setUp(self):
        super().setUp()
        self.serve()
        for i in range(40):
            self.assertEqual(self.service.put(f"/v1/sources/s{i}", {"connector": "sample", "config": {}}).status, 201)
        self.service.stop()
        self.path = self.folder / "data" / "connectord.db"
        self.whole = self.path.read_bytes()

    def refused(self, content, said):
        self.path.write_bytes(content)
        done = run_cli("serve", "--listen", "127.0.0.1:0", data=self.folder / "data")
        self.assertEqual(done.returncode, 3, done)
        self.assertIn(said, done.stderr)
        self.assertEqual(self.path.read_bytes(), content, "it was changed")

    def test_what_is_refused(self):
        n = len(self.whole)
        for content in (b"", self.whole[:n // 2], self.whole[:100], self.whole[:n - 4096], b"\0" * n, b"not a database" * 500,
                        self.whole[:4096] + b"\xff" * 4096 + self.whole[8192:]):
            with self.subTest(n=len(content), begins=content[:20]):
                self.refused(content, "connectord restore")

    def test_a_newer_version(self):
        db = sqlite3.connect(self.path)
        db.execute("pragma user_version = 9999")
        db.commit()
        db.close()
        self.refused(self.path.read_bytes(), "newer")

    def test_flipped_bits(self):
        """It works with what is there, or refuses; it never dies otherwise."""
        for _ in range(self.times(8)):
            at = RANDOM.randrange(len(self.whole))
            content = bytearray(self.whole)
            content[at] ^= 1 << RANDOM.randrange(8)
            self.path.write_bytes(content)
            with self.subTest(at=at):
                try:
                    self.serve()
                except AssertionError as error:
                    self.assertRegex(str(error), "ended with 3:")
                    self.assertIn("connectord restore FILE", (self.folder / "stderr").read_text().splitlines()[-1])
                    continue
                answer = self.service.get("/v1/sources?limit=500")
                if answer.status == 200:
                    self.assertEqual(len(answer.json()["items"]), 40)
                else:
                    self.fails(answer, 500, "store_corrupt")
                self.service.kill()


if __name__ == "__main__":
    main()
