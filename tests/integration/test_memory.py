#!/usr/bin/env python3
"""Memory does not grow with what passes through. T14: a large generated stream, narrow and wide
rows. T15: a destination that is a thousand times slower than its source.

The release binary (CONNECTORD_RELEASE) is measured where there is one; a sanitizer needs more than
any table. CONNECTORD_TEST_LONG: 10 GB; else 300 MB.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest

from database_case import ENGINES, TO_CLIENT, TO_SERVER, Proxy
import databases

RELEASE = os.environ.get("CONNECTORD_RELEASE")
LONG = bool(os.environ.get("CONNECTORD_TEST_LONG"))
LIMIT_KB = 64 * 1024
FIXED_KB = 16 * 1024  # the program and its libraries, before it has seen a row
TOTAL = 10_000_000_000 if LONG else 300_000_000


@unittest.skipUnless(RELEASE, "skipped: CONNECTORD_RELEASE names no binary to measure")
class Memory(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="connectord-memory-"))
        self.engines = []
        self.addCleanup(lambda: [e.drop() for e in self.engines])

    def new(self, kind):
        self.engines.append(ENGINES[kind]("memory"))
        return self.engines[-1]

    def sync(self, source, destination, query=None, write="overwrite", source_config=None, destination_config=None):
        """The end of a run as a process of its own; its peak memory in KB."""
        more = {"queries": {"wide": query}} if query else {}
        job = {"name": "memory",
               "source": {"connector": source.connector, "config": source.config(**more, **(source_config or {}))},
               "destination": {"connector": destination.connector, "config": destination.config(**(destination_config or {}))},
               "streams": [{"name": "wide" if query else "t", "sync_mode": "full_refresh", "destination_sync_mode": write}],
               "settings": {"namespace": {"mode": "destination"}, "run_policy": {"max_attempts": 1}}}
        path = self.work / "job.json"
        path.write_text(json.dumps(job))
        process = subprocess.Popen([RELEASE, "sync", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        peak = 0
        output = open(self.work / "output", "w+")
        reader = threading.Thread(target=lambda: output.writelines(process.stdout))
        reader.start()
        while process.poll() is None:
            peak = max(peak, self.peak_of(process.pid))
            time.sleep(0.02)
        reader.join()
        process.stdout.close()
        output.seek(0)
        lines = output.read().splitlines()
        output.close()
        end = json.loads(lines[-1])
        self.assertEqual(end["status"], "succeeded", lines[-1])
        self.assertGreater(peak, 0)
        print(f"peak {peak // 1024} MiB", flush=True)
        return end, peak

    @staticmethod
    def peak_of(pid):
        try:
            found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
            return int(found[1]) if found else 0
        except OSError:
            return 0

    def filled(self, kind, rows, width):
        """A table of its own making: text that does not compress away."""
        engine = self.new(kind)
        engine.create("t", "id {int} not null primary key, s {text}")
        if kind == "postgres":
            engine.execute(f"insert into t select g, repeat(md5(g::text), {width // 32}) from generate_series(1, {rows}) g")
        elif kind == "mysql":
            engine.execute(f"insert into t select seq, repeat(md5(seq), {width // 32}) from seq_1_to_{rows}")
        else:
            engine.execute(f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) "
                           f"insert into t select i, hex(randomblob({width // 2})) from n")
        return engine

    def carried(self, source, destination, rows, width, limit=LIMIT_KB):
        end, peak = self.sync(source, destination)
        self.assertEqual(end["stats"]["records_committed"], rows)
        self.assertEqual(destination.execute("select count(*), min(length(s)), max(length(s)) from t"), [(rows, width, width)])
        self.assertLessEqual(peak, limit)

    def test_rows_of_1_kb(self):
        """T14. The big one between two PostgreSQL databases, a tenth of it for the others."""
        for source, destination, share in (("postgres", "postgres", 1), ("postgres", "mysql", 10), ("mysql", "postgres", 10),
                                           ("sqlite", "mysql", 10), ("mysql", "sqlite", 10)):
            with self.subTest(source=source, destination=destination):
                rows = TOTAL // 1024 // share
                self.carried(self.filled(source, rows, 1024), self.new(destination), rows, 1024)
                self.drop_all()

    def test_rows_of_8_mb(self):
        """T14. A few of these fill every buffer there is."""
        for source, destination in (("postgres", "postgres"), ("postgres", "mysql"), ("mysql", "postgres")):
            with self.subTest(source=source, destination=destination):
                rows, width = 12, 8 * 1024 * 1024
                self.carried(self.filled(source, rows, width), self.new(destination), rows, width, LIMIT_KB + FIXED_KB)
                self.drop_all()

    def test_a_row_of_500_mb(self):
        """T14. No cell takes it: its beginning goes to quarantine, and the server is not asked for the rest."""
        source, destination = self.new("postgres"), self.new("sqlite")
        source.create("t", "id {int} not null primary key, s {text}")
        source.execute("insert into t values (1, repeat('0123456789', 50000000)), (2, 'small')")
        end, peak = self.sync(source, destination)
        self.assertEqual((end["stats"]["records_committed"], end["stats"]["cells_quarantined"]), (2, 1))
        self.assertEqual(destination.rows("t", "id, s"), [(1, None), (2, "small")])
        self.assertEqual(destination.quarantined("reason", "key"), [("record_too_large", '["1"]')])
        self.assertLessEqual(peak, LIMIT_KB)

    def test_a_generated_query(self):
        """Nothing is stored at the source: the rows are made while they are read."""
        source, destination = self.new("postgres"), self.new("postgres")
        rows = TOTAL // 10 // 1024
        end, peak = self.sync(source, destination, f"select g as id, repeat(md5(g::text), 32) as s from generate_series(1, {rows}) g")
        self.assertEqual(end["stats"]["records_committed"], rows)
        self.assertEqual(destination.execute("select count(*) from wide"), [(rows,)])
        self.assertLessEqual(peak, LIMIT_KB)

    def test_a_slow_destination(self):
        """T15: the source waits for it, in memory that stays, and nobody gives up."""
        for source, destination in (("postgres", "postgres"), ("mysql", "mysql"), ("postgres", "mysql"), ("mysql", "postgres")):
            with self.subTest(source=source, destination=destination):
                rows = 8_000
                proxy = Proxy(databases.servers()[destination]["port"], destination)
                self.addCleanup(proxy.close)
                proxy.throttle(1_000_000, TO_SERVER)
                src, dst = self.filled(source, rows, 1024), self.new(destination)
                end, peak = self.sync(src, dst, destination_config={"port": proxy.port})
                self.assertEqual(end["stats"]["records_committed"], rows)
                self.assertLessEqual(peak, LIMIT_KB)
                self.drop_all()

    def test_a_slow_source(self):
        rows = 3_000
        source, destination = self.filled("postgres", rows, 1024), self.new("sqlite")
        proxy = Proxy(databases.servers()["postgres"]["port"], "postgres")
        self.addCleanup(proxy.close)
        proxy.throttle(500_000, TO_CLIENT)
        end, peak = self.sync(source, destination, source_config={"port": proxy.port})
        self.assertEqual(end["stats"]["records_committed"], rows)
        self.assertLessEqual(peak, LIMIT_KB)

    def drop_all(self):
        while self.engines:
            self.engines.pop().drop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
