#!/usr/bin/env python3
"""T4 and lesson 2: 200 writers with random delays before their commits, a sync every second, append
without a key: at the end not one row is missing, and none is there twice.

Each writer keeps a ledger of what it has committed. CONNECTORD_TEST_LONG: one minute; else 20 s.
"""
import os
import random
import threading
import time

from database_case import SERVERS, main, variants

SECONDS = 60 if os.environ.get("CONNECTORD_TEST_LONG") else 20
WRITERS = 200


class Writers:
    cursor = "at"

    def write_rows(self, number, over, ledger, wrong):
        """Transactions of one to three rows, stamped when the row is written, committed later."""
        rng = random.Random(number)
        db = self.src.connect()
        mine = 0
        try:
            while not over.is_set():
                self.src.execute("begin", db=db)
                rows = []
                for _ in range(rng.randint(1, 3)):
                    mine += 1
                    rows.append(number * 1_000_000 + mine)
                    self.write(rows[-1], db)
                    time.sleep(rng.random() * 0.05)
                time.sleep(rng.choice((0, 0, 0.1, 0.5, rng.random() * 2)))
                if rng.random() < 0.1:
                    self.src.execute("rollback", db=db)
                    continue
                self.src.execute("commit", db=db)
                ledger.extend(rows)
                time.sleep(rng.random() * 0.3)
        except Exception as why:  # a writer that dies must not go unnoticed
            wrong.append(f"writer {number}: {why}")
        finally:
            db.close()

    def write(self, mark, db):
        self.src.execute(f"insert into t (mark, at) values ({mark}, {self.src.now})", db=db)

    def create(self):
        serial = {"postgres": "id bigserial", "mysql": "id bigint auto_increment, index (id)"}[self.src.connector]
        self.src.execute(f"create table t ({serial}, mark bigint not null, at {self.src.types['time']})")
        self.src.execute("create index t_at on t (at)")

    def test_not_one_missing_or_extra(self):
        self.have()
        self.create()
        self.connect([self.incremental("t", "append", self.cursor)], source_config={"safe_wait_s": 1})
        over, ledger, wrong, runs = threading.Event(), [], [], 0
        writers = [threading.Thread(target=self.write_rows, args=(n, over, ledger, wrong)) for n in range(1, WRITERS + 1)]
        for writer in writers:
            writer.start()
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                began = time.monotonic()
                self.run_it()
                runs += 1
                time.sleep(max(0, began + 1 - time.monotonic()))
        finally:
            over.set()
            for writer in writers:
                writer.join()
        self.assertEqual(wrong, [])
        time.sleep(1.5)
        for _ in range(2):
            self.run_it()
        # A closed window keeps back what is as young as the horizon, until something younger comes.
        found = [m for m, in self.dst.execute("select mark from t")]
        self.assertEqual(len(found), len(set(found)), "rows came twice")
        self.assertEqual(sorted(found), sorted(ledger), f"after {runs} runs")
        self.assertGreater(runs, 3)
        self.assertGreater(len(ledger), WRITERS)


class WritersByNumber(Writers):
    """The same with the serial number as the cursor."""
    cursor = "id"


variants(globals(), Writers, source=SERVERS)
variants(globals(), WritersByNumber, source=SERVERS)


if __name__ == "__main__":
    main()
