#!/usr/bin/env python3
"""Runs and logs that are old, or too many: they go, while what is active, and the last run of each connection, stays."""
import contextlib
import datetime
import time

import service
from service import ServiceTest, wait_until


class Retention(ServiceTest):
    def log_of(self, run):
        return self.folder / "data/logs" / f"{run['id']}.ndjson"

    def is_gone(self, run):
        return self.service.get(f"/v1/runs/{run['id']}").status == 404 and not self.log_of(run).exists()

    def bytes_of_logs(self):
        n = 0
        for entry in (self.folder / "data/logs").iterdir():
            with contextlib.suppress(FileNotFoundError):  # one that goes just now
                n += entry.stat().st_size
        return n

    def check(self):
        """A run of the short kind."""
        self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
        return self.ok(self.service.get("/v1/runs?kind=check&limit=1"))["items"][0]


class ByAge(Retention):
    arguments = ("--run-max-age-s", "2", "--log-max-age-s", "0")

    def test_old_runs_go_with_their_logs(self):
        slow = self.slow_pair()
        active = self.ok(self.service.post(f"/v1/connections/{slow}/runs"), 201)
        self.running(active["id"])
        self.name = "retained"
        self.source("sample", rows=20)
        self.destination("sqlite", path=str(self.work / "other.db"))
        self.connection()
        old, last = self.run_it(), self.run_it()
        check = self.check()
        for run in (old, check):
            wait_until("the run to go", lambda run=run: self.is_gone(run))
        # Older than the age by now, both of them.
        wait_until("the age", lambda: time.time() > service_time(last["ended_at"]) + 4)
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{last['id']}"))["status"], "succeeded")
        self.assertTrue(self.log_of(last).exists())
        self.assertEqual(self.ok(self.service.get(f"/v1/connections/{self.name}"))["last_run"]["id"], last["id"])
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{active['id']}"))["status"], "running")
        self.assertTrue(self.log_of(active).exists())
        self.assertEqual({r["id"] for r in self.ok(self.service.get("/v1/runs"))["items"]}, {last["id"], active["id"]})
        # With a newer one it is like the others.
        newer = self.run_it()
        wait_until("the one before to go", lambda: self.is_gone(last))
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{newer['id']}"))["status"], "succeeded")


class ByAgeOfLogs(Retention):
    arguments = ("--log-max-age-s", "2")

    def test_old_logs_go_and_runs_stay(self):
        slow = self.slow_pair()
        active = self.ok(self.service.post(f"/v1/connections/{slow}/runs"), 201)
        self.name = "logged"
        self.source("sample", rows=20)
        self.destination("sqlite", path=str(self.work / "other.db"))
        self.connection()
        run = self.run_it()
        wait_until("the log to go", lambda: not self.log_of(run).exists())
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{run['id']}"))["status"], "succeeded")
        self.assertTrue(self.log_of(active).exists())
        self.running(active["id"])


class BySize(Retention):
    arguments = ("--log-max-bytes", "6000", "--log-max-age-s", "20")  # looked at every two seconds

    def test_the_oldest_logs_go(self):
        self.pair()
        runs = [self.run_it() for _ in range(12)]
        wait_until("logs to go", lambda: self.bytes_of_logs() <= 6000)
        there = [self.log_of(r).exists() for r in runs]
        self.assertEqual(there, sorted(there), "an older one stayed while a newer one went")
        self.assertTrue(any(there) and not all(there), there)


def service_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


if __name__ == "__main__":
    service.main()
