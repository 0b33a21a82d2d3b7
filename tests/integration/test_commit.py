#!/usr/bin/env python3
"""The outcome of a COMMIT is unknown, or an old worker wakes up: no row is lost, none comes twice.

T17: the answer to COMMIT is lost while the server is still at it. T18: a worker is stopped before its
COMMIT, another one takes over and finishes, and then the first one goes on.
"""
import os
import shutil
import signal
import threading
import time

from database_case import AFTER, ENGINES, LOST, PAUSE, OwnService, Service, main, variants, wait_until
from own_server import OwnMysql, OwnPostgres
from proxy import FORWARD, Proxy
import databases

ROWS = 12_000


class Commits:
    """Rows that are appended without a key, so that each one that comes twice is seen."""
    source_engine = ENGINES["sqlite"]

    def made(self, own, write="append", sync="incremental"):
        self.src, self.dst = self.new(self.source_engine), own
        self.src.create("t", "id {int} not null primary key, at {time}, s {text}")
        self.src.insert("t", [(i, f"2024-01-01 00:00:{i % 60:02}", "x" * 50) for i in range(ROWS)])
        self.proxy = Proxy(own.server["port"], own.connector)
        self.addCleanup(self.proxy.close)
        self.connect([self.stream("t", sync, write, cursor_field="at" if sync == "incremental" else None)],
                     destination_config={"port": self.proxy.port}, commit={"max_rows": 1000},
                     run_policy={"max_attempts": 5, "backoff_s": 0.1})

    def exactly_once(self):
        self.equal_rows(self.dst.rows("t", "id, s"), self.src.rows("t", "id, s"))

    def begin(self, service=None):
        answer = (service or self.service).post(f"/v1/connections/{self.name}/runs")
        return self.ok(answer, 201)


class StillCommitting(Commits):
    """T17."""
    def freeze(self, link):
        raise NotImplementedError

    def thaw(self):
        raise NotImplementedError

    def frozen_at(self, nth):
        def stop_the_server(link):
            self.freeze(link)
            threading.Timer(2, self.thaw).start()
            return AFTER
        self.proxy.at_commit(nth, stop_the_server)
        run = self.run_it()
        if self.proxy.cuts:
            self.assertGreaterEqual(run["attempts"], 1)
        self.exactly_once()
        return self.proxy.cuts

    def at_several_commits(self, write, sync):
        for nth in (2, 3, 5):
            with self.subTest(nth=nth):
                self.name = f"frozen-{nth}-{write.replace('_', '-')}"
                self.made(self.own(), write, sync)
                self.assertTrue(self.frozen_at(nth))

    def test_appending(self):
        self.at_several_commits("append", "incremental")

    def test_by_key(self):
        self.at_several_commits("append_dedup", "incremental")

    def test_a_full_refresh(self):
        self.made(self.own(), "overwrite", "full_refresh")
        self.frozen_at(4)


class StillCommittingPostgres(StillCommitting):
    """The backend process is stopped before it gets the COMMIT, and goes on after the connection is lost."""

    def own(self):
        return OwnPostgres.shared()

    def freeze(self, link):
        self.backend = self.dst.backend_of(link.server_side_port)
        databases.freeze(self.backend)

    def thaw(self):
        os.kill(self.backend, signal.SIGCONT)


class StillCommittingMysql(StillCommitting):
    """The whole server is stopped: its sessions are threads."""

    def own(self):
        return OwnMysql.shared()

    def freeze(self, link):
        databases.freeze(self.dst.server["pid"])

    def thaw(self):
        os.kill(self.dst.server["pid"], signal.SIGCONT)


class Takeover(Commits):
    """T18: two services with the same connection; the first is stopped by SIGSTOP, as by a frozen machine."""

    def second_service(self):
        folder = self.folder / "second"
        folder.mkdir()
        shutil.copytree(self.folder / "data", folder / "data", ignore=shutil.ignore_patterns("*.lock"))
        second = Service(folder).start()
        self.addCleanup(lambda: second.alive() and second.stop())
        return second

    def stop_first(self, nth, then):
        """The first service is stopped when its nth COMMIT passes, which is then dealt with."""
        stopped = threading.Event()

        def stop(link):
            databases.freeze(self.service.process.pid)
            stopped.set()
            return then
        self.addCleanup(self.wake)
        self.proxy.at_commit(nth, stop)
        run = self.begin()
        self.assertTrue(stopped.wait(60))
        return run

    def wake(self):
        if self.service.alive():
            os.kill(self.service.process.pid, signal.SIGCONT)

    def taken_over(self, nth, then, cut=False, write="append"):
        own = OWN[self.destination_engine.connector].shared()
        self.made(own, write, "full_refresh" if write == "overwrite" else "incremental")
        first = self.stop_first(nth, then)
        time.sleep(0.5)
        if cut:  # the network to the first one is gone, the database has noticed
            self.proxy.resume()
            self.proxy.cut()
        second = self.second_service()
        run = self.begin(second)
        end = wait_until("the second run", lambda: (r := second.get(f"/v1/runs/{run['id']}?wait=5").json())["status"]
                         in ("succeeded", "failed") and r)
        self.assertEqual(end["status"], "succeeded", end["error"])
        self.exactly_once()
        self.proxy.resume()
        self.wake()
        old = self.finished(first)
        self.exactly_once()
        if then is FORWARD:
            self.assertEqual((old["status"], old["error"] and old["error"]["code"]), ("failed", "fenced"), old["error"])
        else:  # its connection is gone: a new attempt takes over in its turn, and finds everything done
            self.assertIn(old["error"] and old["error"]["code"], (None, "fenced"))
        self.run_it()
        self.exactly_once()

    def test_behind_a_commit(self):
        """It wakes, finds that its COMMIT went through, and wants to go on with the next batch."""
        self.taken_over(4, FORWARD)

    def test_before_a_commit(self):
        """Its COMMIT never arrived."""
        self.taken_over(4, PAUSE, cut=True)

    def test_the_answer_is_lost(self):
        self.taken_over(4, LOST)

    def test_by_key(self):
        self.taken_over(4, FORWARD, write="append_dedup")

    def test_a_full_refresh(self):
        self.taken_over(4, FORWARD, write="overwrite")


OWN = {"postgres": OwnPostgres, "mysql": OwnMysql}
variants(globals(), StillCommittingPostgres, OwnService)
variants(globals(), StillCommittingMysql, OwnService)
variants(globals(), Takeover, OwnService, destination=("postgres", "mysql"))


if __name__ == "__main__":
    main()
