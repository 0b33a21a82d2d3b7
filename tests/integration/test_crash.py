#!/usr/bin/env python3
"""kill -9 in the middle, start again: nothing is lost, nothing comes twice."""
import http.client
import pathlib
import shutil
import tempfile
import unittest

import service
from service import Service, ServiceTest, wait_until


ROWS = 40000


class Crash(ServiceTest):
    """Its own service for each test: this one is killed."""
    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-it-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.service = Service(self.folder).start()
        self.addCleanup(lambda: self.service.alive() and self.service.stop())
        super().setUp()

    def restart(self):
        self.service.kill()
        self.service.start()

    def killed_run(self, write, sync="incremental"):
        """A run of many small commits that is killed after some of them."""
        self.pair(streams=[{"name": "users", "sync_mode": sync, "destination_sync_mode": write}], rows=ROWS,
                  config={"updates_per_run": 0, "batch_rows": 500, "batch_delay_ms": 25}, commit={"max_rows": 1000})
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        self.running(run["id"])
        self.restart()
        return self.ok(self.service.get(f"/v1/runs/{run['id']}"))

    def hurry(self):
        self.source("sample", rows=ROWS, updates_per_run=0)

    def check_lost(self, run):
        self.assertEqual((run["status"], run["error"]["code"], run["error"]["retryable"]), ("failed", "worker_lost", True), run)
        log = self.service.get(f"/v1/runs/{run['id']}/logs")
        self.assertIn(log.status, (200, 410))

    def test_every_mode_has_each_row_once(self):
        for sync, write in (("incremental", "append_dedup"), ("incremental", "append"), ("full_refresh", "overwrite")):
            with self.subTest(write=write):
                self.name = f"crash-{write.replace('_', '-')}"
                self.work = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
                self.check_lost(self.killed_run(write, sync))
                self.hurry()
                self.run_it()
                db = self.database()
                n, distinct = db.execute("select count(*), count(distinct id) from users").fetchone()
                self.assertEqual((n, distinct), (ROWS, ROWS))

    def test_three_times_in_a_row(self):
        self.check_lost(self.killed_run("append_dedup"))
        for _ in range(2):
            run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
            wait_until("the run to begin or end", lambda: self.service.get(f"/v1/runs/{run['id']}").json()["status"] != "queued")
            self.restart()
        self.hurry()
        self.run_it()
        n, distinct = self.database().execute("select count(*), count(distinct id) from users").fetchone()
        self.assertEqual((n, distinct), (ROWS, ROWS))

    def test_queued_runs_are_not_lost_silently(self):
        self.slow_pair()
        first = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        self.running(first["id"])
        second = self.ok(self.service.post(f"/v1/connections/{self.name}/runs?on_conflict=queue"), 201)
        self.restart()
        self.check_lost(self.ok(self.service.get(f"/v1/runs/{first['id']}")))
        run = self.ok(self.service.get(f"/v1/runs/{second['id']}"))
        if run["status"] == "failed":
            self.assertEqual(run["error"]["code"], "worker_lost")
        else:
            self.assertIn(run["status"], ("queued", "running"))

    def test_resources_survive(self):
        self.pair(rows=10)
        before = [self.ok(self.service.get(p)) for p in (f"/v1/sources/{self.name}", f"/v1/connections/{self.name}")]
        run = self.run_it()
        state = self.ok(self.service.get(f"/v1/connections/{self.name}/state"))
        self.restart()
        after = self.ok(self.service.get(f"/v1/connections/{self.name}"))
        self.assertEqual(self.ok(self.service.get(f"/v1/sources/{self.name}")), before[0])
        self.assertEqual({**after, "last_run": None}, before[1])
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{run['id']}")), run)
        self.assertEqual(self.ok(self.service.get(f"/v1/connections/{self.name}/state")), state)
        self.assertIn('"type":"end"', self.service.get(f"/v1/runs/{run['id']}/logs").text)

    def test_a_check_that_was_running_is_over(self):
        self.source("sample")
        run = self.ok(self.service.post(f"/v1/sources/{self.name}/check", prefer="respond-async"), 202)
        self.restart()
        self.assertIn(self.ok(self.service.get(f"/v1/runs/{run['id']}?wait=20"))["status"], ("succeeded", "failed"))

    def test_an_idempotency_key_survives(self):
        self.pair(rows=5)
        first = self.service.post(f"/v1/connections/{self.name}/runs", idempotency_key="k")
        self.finished(self.ok(first, 201))
        self.restart()
        again = self.service.post(f"/v1/connections/{self.name}/runs", idempotency_key="k")
        self.assertEqual(self.ok(again, 201)["id"], first.json()["id"])

    def test_a_crash_between_the_effect_and_its_answer(self):
        """The key is in the row: sent again it finds what was created."""
        self.source("sample", name="s")
        self.destination("sqlite", name="d")
        self.connection(name="c", source="s", destination="d")
        posts = [("/v1/sources", {"name": "s2", "connector": "sample"}), ("/v1/connections/c/runs", None),
                 ("/v1/destinations", {"name": "d2", "connector": "sqlite", "config": {"path": "x.db"}}),
                 ("/v1/connections", {"name": "c2", "source": "s", "destination": "d"})]
        for n, (path, body) in enumerate(posts):
            self.service.stop()
            self.service.environment = {"CONNECTORD_FAILPOINT": "before_answer_kept:1:kill"}
            self.service.start()
            try:
                answer = self.service.post(path, body, idempotency_key=f"key{n}")
                self.assertEqual(answer.status, 201)
                self.skipTest("built without fail points")
            except OSError:
                pass
            except http.client.HTTPException:
                pass
            self.service.process.wait()
            self.service.close_files()
            self.service.environment = {}
            self.service.start()
            first = self.service.post(path, body, idempotency_key=f"key{n}")
            made = self.ok(first, 201)
            self.assertEqual(first.headers["Idempotency-Replayed"], "true")
            self.assertEqual(self.ok(self.service.post(path, body, idempotency_key=f"key{n}"), 201)["id"], made["id"])
            self.ok(self.service.get(first.headers["Location"]))
        self.assertEqual(len(self.ok(self.service.get("/v1/connections/c/runs"))["items"]), 1)

    def test_stopping_ends_followers_and_runs(self):
        self.slow_pair()
        with self.service.stream("POST", f"/v1/connections/{self.name}/runs?follow=true") as (_, lines):
            run_id = next(service.events_of(lines))["run"]["id"]
            self.running(run_id)
            self.service.stop()
            last = list(service.events_of(lines))[-1]
        self.assertIn(last["type"], ("end", "bye"), last)
        self.service.start()
        run = self.ok(self.service.get(f"/v1/runs/{run_id}"))
        self.assertIn(run["status"], ("failed", "cancelled"), run)
        self.assertIn(run["error"]["code"] if run["error"] else run["cancel_reason"],
                      ("interrupted", "shutdown", "worker_lost", "cancelled"), run)

    def test_a_second_process_is_refused(self):
        other = Service(self.folder)
        with self.assertRaisesRegex(AssertionError, "the service ended with [1-9]"):
            other.start()
        self.ok(self.service.get("/v1/info"))


if __name__ == "__main__":
    service.main()
