#!/usr/bin/env python3
"""F9: a database dies in the middle of a run, at any byte, and comes back; nothing is lost, nothing comes twice.

Cuts around COMMIT, and at every step, are in tests/crash; sessions that an administrator ends and servers
that only read in tests/integration/test_database_errors.py."""
import sys
import time

from fault_case import RANDOM, ROUNDS, main, wait_until
from database_case import TO_CLIENT, TO_SERVER, DatabaseTest, Proxy, Sqlite
from own_server import OwnMysql, OwnPostgres

ROWS = 5000
# What may be lost with the process is nothing: a committed transaction has been given to the system.
SETTINGS = {OwnPostgres: {}, OwnMysql: {"innodb_flush_log_at_trx_commit": 2, "innodb_buffer_pool_size": "64M", "innodb_log_file_size": "64M"}}


class Dies:
    def engines(self, own_side):
        """One of the two is a server of ours, behind a proxy."""
        self.own = self.own_engine.shared(**SETTINGS[self.own_engine])
        proxy = Proxy(self.own.server["port"])
        self.addCleanup(proxy.close)
        other = self.new(Sqlite)
        self.src, self.dst = (self.own, other) if own_side == "source" else (other, self.own)
        self.own.port = proxy.port
        return proxy

    def fill(self, table):
        self.src.create(table, "id {int} not null primary key, at {time}, s {text}")
        self.src.insert(table, [(i, f"2024-01-01 00:{i // 100 % 60:02}:{i % 60:02}", "x" * 300) for i in range(ROWS)])

    def run_while_it_dies(self, proxy, direction):
        """One run; how many attempts it took."""
        proxy.throttle(3_000_000, direction)
        begun = proxy.bytes[direction]
        point = begun + RANDOM.randrange(2_000, ROWS * 300)
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)

        def reached():
            return proxy.bytes[direction] >= point or self.service.get(f"/v1/runs/{run['id']}").json()["status"] in ("succeeded", "failed")
        wait_until("the moment", reached, pause=0.002)
        self.own.die()
        time.sleep(RANDOM.uniform(0, 0.2))
        self.own.come_back()
        proxy.throttle(None, direction)
        run = self.finished(run)
        self.assertEqual(run["status"], "succeeded", run["error"])
        print(f"died at byte {point - begun}: {run['attempts']} attempts", file=sys.stderr)
        return run["attempts"]

    def each(self, side, direction, modes):
        proxy = self.engines(side)
        tried, modes = [], modes * max(1, round(ROUNDS))
        for k in range(len(modes)):
            self.fill(f"t{k}")
        for k, (sync, write) in enumerate(modes):
            table = f"t{k}"
            stream = self.incremental(table, write) if sync == "incremental" else self.stream(table, sync, write)
            self.connect([stream], commit={"max_rows": 1000}, run_policy={"max_attempts": 20, "backoff_s": 1})
            tried.append(self.run_while_it_dies(proxy, direction))
            self.run_it()
            self.same_rows(table, "id, s")
        self.assertGreater(max(tried), 1, "it never died during a run")

    def test_the_destination(self):
        self.each("destination", TO_SERVER, [("full_refresh", "append_dedup"), ("incremental", "append"), ("full_refresh", "overwrite")])

    def test_the_source(self):
        self.each("source", TO_CLIENT, [("incremental", "append"), ("full_refresh", "overwrite")])


class DiesPostgres(Dies, DatabaseTest):
    own_engine = OwnPostgres


class DiesMysql(Dies, DatabaseTest):
    own_engine = OwnMysql


if __name__ == "__main__":
    main()
