#!/usr/bin/env python3
"""A run is cancelled in every state it can be in: it ends soon, and the next one goes on. T35."""
import time

from database_case import ENGINES, PAUSE, SERVERS, DatabaseTest, main, variants, wait_until

ROWS = 6000
# The promise is ten seconds; a sanitizer on a busy machine is given more.
SOON_S = 25


class Cancel:
    def made(self, sync="incremental", write="append_dedup", **more):
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}, s {text}")
        self.src.insert("t", [(i, "2024-01-01 00:00:00", "x" * 200) for i in range(ROWS)])
        self.streams = [self.stream("t", sync, write, cursor_field="at" if sync == "incremental" else None)]
        self.more = {"commit": {"max_rows": 1000}, **more}

    def begin(self):
        self.connect(self.streams, **self.more)
        return self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)

    def stop(self, run, release=None):
        """Cancels it now; the time until it has ended."""
        began = time.monotonic()
        self.assertIn(self.service.post(f"/v1/runs/{run['id']}/cancel").status, (200, 202))
        over = ("succeeded", "failed", "cancelled")
        run = wait_until("the cancelled run to end", lambda: (r := self.ok(
            self.service.get(f"/v1/runs/{run['id']}?wait=5")))["status"] in over and r, timeout=90)
        took = time.monotonic() - began
        self.assertEqual(run["status"], "cancelled", run["error"])
        self.assertEqual(run["cancel_reason"], "user")
        self.assertLess(took, SOON_S)
        return run

    def resumed(self):
        self.run_it()
        self.same_rows("t", "id, s")


class CancelSource(Cancel):
    """What is waited for is the source."""
    destination_engine = ENGINES["sqlite"]

    def test_while_connecting(self):
        self.made()
        proxy = self.through(self.src)
        proxy.pause()
        run = self.begin()
        wait_until("the connection", lambda: proxy.accepted)
        self.stop(run)
        proxy.resume()
        self.resumed()

    def test_while_rows_are_awaited(self):
        self.made()
        proxy = self.through(self.src)
        proxy.throttle(40_000, "to_client")
        run = self.begin()
        wait_until("rows", lambda: proxy.bytes["to_client"] > 100_000)
        proxy.pause()
        time.sleep(0.3)
        self.stop(run)
        proxy.throttle(None, "to_client")
        proxy.resume()
        self.resumed()

    def test_while_a_statement_works(self):
        """The server is told: no statement of ours goes on there."""
        self.made("full_refresh", "overwrite")
        sleep = {"postgres": "pg_sleep(0.05)::text", "mysql": "sleep(0.05)"}[self.src.connector]
        self.src.execute(f"create view slow as select id, {sleep} as s from t")
        self.streams = [self.stream("slow")]
        run = self.begin()
        question = {"postgres": "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' "
                                "and pid <> pg_backend_pid()",
                    "mysql": "select count(*) from information_schema.processlist where db = database() "
                             "and command in ('Query', 'Execute') and id <> connection_id()"}[self.src.connector]
        wait_until("the statement", lambda: self.src.execute(question)[0][0])
        time.sleep(0.5)
        self.stop(run)
        wait_until("the statement to end at the server", lambda: not self.src.execute(question)[0][0], timeout=SOON_S)

    def test_while_open_transactions_are_awaited(self):
        self.made(write="append")
        self.more["run_policy"] = {"max_attempts": 1}
        writer = self.src.connect()
        self.addCleanup(writer.close)
        self.src.execute("begin", db=writer)
        self.src.execute("insert into t values (999999, '2024-01-01 00:00:00', 'late')", db=writer)
        self.connect(self.streams, source_config={"safe_wait_s": 300}, **self.more)
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("the run", lambda: self.ok(self.service.get(f"/v1/runs/{run['id']}"))["status"] == "running")
        time.sleep(1)
        self.stop(run)
        self.src.execute("rollback", db=writer)
        self.run_it()
        self.same_rows("t", "id, s")

    def test_between_two_attempts(self):
        self.made()
        proxy = self.through(self.src)
        proxy.refuse()
        self.more["run_policy"] = {"max_attempts": 100, "backoff_s": 3600}
        run = self.begin()
        wait_until("an attempt to fail", lambda: proxy.accepted)
        time.sleep(0.5)
        self.stop(run)
        proxy.accept()
        self.resumed()


class CancelDestination(Cancel):
    """What is waited for is the destination."""
    source_engine = ENGINES["sqlite"]

    def test_while_rows_are_written(self):
        self.made()
        proxy = self.through(self.dst)
        proxy.throttle(100_000, "to_server")
        run = self.begin()
        wait_until("rows", lambda: proxy.bytes["to_server"] > 300_000)
        proxy.pause()
        time.sleep(0.3)
        self.stop(run)
        proxy.throttle(None, "to_server")
        proxy.resume()
        self.resumed()

    def test_while_connecting(self):
        self.made()
        proxy = self.through(self.dst)
        proxy.pause()
        run = self.begin()
        wait_until("the connection", lambda: proxy.accepted)
        self.stop(run)
        proxy.resume()
        self.resumed()

    def test_while_a_lock_is_awaited(self):
        self.made("full_refresh", "append_dedup")
        self.connect(self.streams, **self.more)
        self.run_it()
        self.src.execute("update t set s = 'changed' where id < 3000")
        other = self.dst.connect()
        self.addCleanup(other.close)
        self.dst.execute("begin", db=other)
        self.dst.execute("update t set s = 'mine' where id = 5", db=other)
        run = self.begin()
        self.wait_for_lock()
        self.stop(run)
        self.dst.execute("rollback", db=other)
        self.resumed()

    def wait_for_lock(self):
        question = {"postgres": "select count(*) from pg_locks where not granted",
                    "mysql": "select count(*) from information_schema.innodb_trx where trx_state = 'LOCK WAIT'"}
        # InnoDB does not look again for those who ask more often than every 100 ms.
        wait_until("the lock", lambda: self.dst.execute(question[self.dst.connector])[0][0], pause=0.25)

    def test_while_the_exchange_waits(self):
        """A reader keeps the live table: the new generation is complete, and the run is cancelled."""
        self.made("full_refresh", "overwrite")
        self.connect(self.streams, **self.more)
        self.run_it()
        reader = self.dst.connect()
        self.addCleanup(reader.close)
        self.dst.execute("begin", db=reader)
        self.dst.execute("select count(*) from t", db=reader)
        self.src.execute("update t set s = 'new'")
        run = self.begin()
        self.running(run["id"])
        time.sleep(2)
        self.stop(run)
        self.dst.execute("rollback", db=reader)
        self.assertEqual(self.dst.execute("select count(*), count(distinct s) from t"), [(ROWS, 1)])
        self.resumed()

    def test_at_the_commit(self):
        """A COMMIT under way is not given up: its outcome counts, and the run ends after it."""
        self.made()
        proxy = self.through(self.dst)
        proxy.at_commit(4, PAUSE)
        run = self.begin()
        wait_until("the commit", lambda: not proxy.open_gate.is_set())
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        time.sleep(0.5)
        proxy.resume()
        run = self.finished(run)
        self.assertEqual(run["status"], "cancelled", run["error"])
        self.check_numbers(run)
        self.resumed()


class Queued(Cancel, DatabaseTest):
    """Before it has begun."""

    def test_in_the_queue(self):
        self.made()
        self.connect(self.streams)
        self.slow = self.slow_pair()
        first = self.ok(self.service.post(f"/v1/connections/{self.slow}/runs"), 201)
        self.running(first["id"])
        second = self.ok(self.service.post(f"/v1/connections/{self.slow}/runs?on_conflict=queue"), 201)
        self.stop(second)
        self.stop(first)


variants(globals(), CancelSource, source=SERVERS)
variants(globals(), CancelDestination, destination=SERVERS)


if __name__ == "__main__":
    main()
