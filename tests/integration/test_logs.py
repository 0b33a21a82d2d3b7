#!/usr/bin/env python3
"""Logs: every parameter, three formats, following and coming back."""
import json
import re
import threading
import unittest

import service
from service import ServiceTest, events_of


class Logs(ServiceTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = cls.folder / "shared.db"
        s = cls.service
        s.put("/v1/sources/shop", {"connector": "sample", "config": {"rows": 500}})
        s.put("/v1/destinations/dwh", {"connector": "sqlite", "config": {"path": str(path)}})
        s.put("/v1/connections/shared", {"source": "shop", "destination": "dwh"})
        cls.run_id = s.post("/v1/connections/shared/runs?wait=55").json()["id"]
        cls.all = list(events_of(s.get(f"/v1/runs/{cls.run_id}/logs").text.splitlines()))

    def logs(self, query="", **headers):
        answer = self.service.get(f"/v1/runs/{self.run_id}/logs{query}", **headers)
        self.assertEqual(answer.status, 200, answer)
        return list(events_of(answer.text.splitlines()))

    def test_whole(self):
        self.assertEqual([e["seq"] for e in self.all], list(range(1, len(self.all) + 1)))
        self.assertGreater(len(self.all), 5)
        self.assertEqual(self.all[-1]["type"], "end")
        self.assertEqual(self.all[-1]["exit_code"], 0)
        self.assertLessEqual({"log", "stream_status", "end"}, {e["type"] for e in self.all})
        self.assertTrue(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["ts"]) for e in self.all))

    def test_same_by_alias(self):
        answer = self.service.get("/v1/connections/shared/runs/latest/logs")
        self.assertEqual(list(events_of(answer.text.splitlines())), self.all)
        self.assertEqual(answer.headers["Run-Id"], str(self.run_id))

    def test_after_tail_limit(self):
        n = len(self.all)
        for k in (0, 1, n - 1, n, n + 5):
            self.assertEqual(self.logs(f"?after={k}"), self.all[k:], k)
            self.assertEqual(self.logs(f"?tail={k}"), self.all[n - min(k, n):], k)
        for k in (1, 2, n, n + 1):
            self.assertEqual(self.logs(f"?limit={k}"), self.all[:k], k)
        self.assertEqual(self.logs("?after=2&limit=2"), self.all[2:4])

    def test_last_event_id_wins(self):
        self.assertEqual(self.logs("?after=1", last_event_id="3"), self.all[3:])
        self.fails(self.service.get(f"/v1/runs/{self.run_id}/logs", last_event_id="x"), 400, "invalid_header")

    def test_filters(self):
        """The end is never left out: a log without it was cut."""
        self.assertEqual(self.logs("?type=end"), [e for e in self.all if e["type"] == "end"])
        self.assertEqual(self.logs("?type=stream_status,end"), [e for e in self.all if e["type"] in ("stream_status", "end")])
        self.assertEqual(self.logs("?type=log&origin=engine"), [e for e in self.all if e["type"] == "end" or e["type"] == "log" and e["origin"] == "engine"])
        users = self.logs("?stream=users&type=stream_status")
        self.assertTrue(users)
        self.assertEqual({e["stream"] for e in users[:-1]}, {"users"})
        self.assertEqual([e for e in self.logs("?level=error") if e["type"] == "log"], [])

    def test_since_until(self):
        self.assertEqual(self.logs("?since=1h"), self.all)
        self.assertEqual(self.logs("?until=1h"), self.all[-1:])
        self.assertEqual(self.logs("?since=2099-01-01T00:00:00Z"), self.all[-1:])
        middle = self.all[len(self.all) // 2]["ts"]
        self.assertEqual({e["seq"] for e in self.logs(f"?since={middle}")} | {e["seq"] for e in self.logs(f"?until={middle}")},
                         {e["seq"] for e in self.all})

    def test_text(self):
        answer = self.service.get(f"/v1/runs/{self.run_id}/logs?format=text")
        self.assertEqual(answer.headers["Content-Type"].split(";")[0], "text/plain")
        lines = answer.text.splitlines()
        self.assertRegex(lines[0], r"^\d{4}-\d\d-\d\dT")
        bare = self.service.get(f"/v1/runs/{self.run_id}/logs?format=text&timestamps=false").text.splitlines()
        self.assertEqual(len(bare), len(lines))
        self.assertNotRegex(bare[0], r"^\d{4}-\d\d-\d\dT")

    def test_sse(self):
        answer = self.service.get(f"/v1/runs/{self.run_id}/logs", accept="text/event-stream")
        self.assertEqual(answer.headers["Content-Type"].split(";")[0], "text/event-stream")
        blocks = [b for b in answer.text.split("\n\n") if b.strip()]
        events = []
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            event = json.loads(fields["data"])
            self.assertEqual(fields["id"], str(event["seq"]))
            events.append(event)
        self.assertEqual(events, self.all)

    def test_sse_after_the_end_is_204(self):
        path = f"/v1/runs/{self.run_id}/logs?format=sse&follow=true"
        answer = self.service.get(path, last_event_id=str(len(self.all)))
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(self.service.get(path, last_event_id=str(len(self.all) - 1)).status, 200)

    def test_follow_of_an_ended_run_ends(self):
        self.assertEqual(self.logs("?follow=true"), self.all)
        self.assertEqual(self.logs("?follow=true&tail=1"), self.all[-1:])

    def test_download(self):
        answer = self.service.get(f"/v1/runs/{self.run_id}/logs?download=true")
        self.assertEqual(answer.headers["Content-Disposition"], f'attachment; filename="run-{self.run_id}.ndjson"')

    def test_accept(self):
        for accept in ("application/json", "*/*", "application/x-ndjson", "application/*"):
            self.assertEqual(self.logs(accept=accept), self.all)
        self.fails(self.service.get(f"/v1/runs/{self.run_id}/logs", accept="image/png"), 406, "not_acceptable")

    def test_bad_queries(self):
        for query in ("after=-1", "after=x", "tail=-1", "limit=0", "format=xml", "level=loud", "since=never", "follow=2x", "x=1"):
            self.fails(self.service.get(f"/v1/runs/{self.run_id}/logs?{query}"), 400, "invalid_query")
        self.fails(self.service.get("/v1/runs/999999/logs"), 404, "not_found")

    def test_head(self):
        answer = self.service.head(f"/v1/runs/{self.run_id}/logs")
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_a_removed_log_is_gone(self):
        name = self.pair(rows=3)
        run = self.run_it(name)
        (self.folder / "data" / "logs" / f"{run['id']}.ndjson").unlink()
        self.fails(self.service.get(f"/v1/runs/{run['id']}/logs"), 410, "log_expired")
        self.ok(self.service.get(f"/v1/runs/{run['id']}"))

    def test_many_followers_get_every_line(self):
        name = self.slow_pair()
        run = self.ok(self.service.post(f"/v1/connections/{name}/runs"), 201)
        self.running(run["id"])
        seen, failures = [], []

        def follow():
            try:
                with self.service.stream("GET", f"/v1/runs/{run['id']}/logs?follow=true") as (_, lines):
                    seen.append([e for e in events_of(lines) if "seq" in e])
            except Exception as e:  # a thread's failure must reach the test
                failures.append(e)

        threads = [threading.Thread(target=follow) for _ in range(25)]
        for t in threads:
            t.start()
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        for t in threads:
            t.join()
        self.assertEqual(failures, [])
        self.assertEqual(len(seen), 25)
        for events in seen:
            self.assertEqual(events, seen[0])
        self.assertEqual((seen[0][-1]["type"], seen[0][-1]["exit_code"]), ("end", 2))

    def test_coming_back_after_a_cut(self):
        name = self.slow_pair()
        run = self.ok(self.service.post(f"/v1/connections/{name}/runs"), 201)
        self.running(run["id"])
        with self.service.stream("GET", f"/v1/runs/{run['id']}/logs?follow=true") as (_, lines):
            first = [e for e, _ in zip(events_of(lines), range(3))]
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        self.finished(run)
        last = first[-1]["seq"]
        rest = list(events_of(self.service.get(f"/v1/runs/{run['id']}/logs?after={last}").text.splitlines()))
        self.assertEqual(rest[0]["seq"], last + 1)
        self.assertEqual(rest[-1]["type"], "end")


if __name__ == "__main__":
    service.main()
