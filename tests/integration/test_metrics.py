#!/usr/bin/env python3
"""/metrics: that it is what Prometheus reads, that the numbers are right, and that they stay few."""
import os
import re
import socket
import subprocess
import time
import unittest

import service
from service import ServiceTest, wait_until

SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (-?[0-9.]+)$')


class Scrape:
    def __init__(self, text):
        self.text, self.samples, self.types = text, {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            elif not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                key = (name, tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels or ""))))
                assert key not in self.samples, f"{line} occurs twice"
                self.samples[key] = float(value)

    def get(self, metric, **labels):
        """The sum over all series that have these labels."""
        wanted = set(labels.items())
        return sum(v for (n, found), v in self.samples.items() if n == metric and wanted <= set(found))


class Metrics(ServiceTest):
    def scrape(self):
        answer = self.service.get("/metrics")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return Scrape(answer.text)

    def sync(self, name, **connection):
        self.ok(self.service.put(f"/v1/sources/{name}", {"connector": "sample", "config": {"rows": 100}}), 201)
        self.ok(self.service.put(f"/v1/destinations/{name}", {
            "connector": "sqlite", "config": {"path": str(self.work / "out.db")}}), 201)
        self.ok(self.service.put(f"/v1/connections/{name}", {"source": name, "destination": name, **connection}), 201)
        return self.ok(self.service.post(f"/v1/connections/{name}/runs?wait=30"), 201)

    def test_promtool_finds_nothing(self):
        self.sync(self.name)
        text = self.scrape().text
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_sync_is_counted(self):
        before = self.scrape()
        run = self.sync(self.name)
        self.assertEqual(run["status"], "succeeded", run)
        after = self.scrape()

        def more(metric, **labels):
            return after.get(metric, **labels) - before.get(metric, **labels)

        rows = run["stats"]["records_committed"]
        self.assertEqual(more("connectord_run_rows_total", connector="sample", direction="read"), rows)
        self.assertEqual(more("connectord_run_rows_total", connector="sqlite", direction="committed"), rows)
        self.assertEqual(more("connectord_run_bytes_total", connector="sample"), run["stats"]["bytes_read"])
        self.assertEqual(more("connectord_runs_total", kind="sync", source="sample", destination="sqlite",
                              status="succeeded", trigger="api"), 1)
        self.assertEqual(more("connectord_run_duration_seconds_count", status="succeeded"), 1)
        self.assertGreaterEqual(more("connectord_run_queue_wait_seconds_count"), 1)
        self.assertGreater(more("connectord_store_transactions_total", kind="write"), 3)
        self.assertEqual(after.get("connectord_runs_active"), 0)

    def test_a_run_that_failed_and_one_that_never_began(self):
        self.ok(self.service.put(f"/v1/sources/{self.name}", {"connector": "sqlite", "config": {"path": "/none/x.db"}}), 201)
        before = self.scrape()
        self.service.post(f"/v1/sources/{self.name}/check")
        self.assertEqual(self.scrape().get("connectord_runs_total", kind="check", source="sqlite", destination="", status="failed")
                         - before.get("connectord_runs_total", kind="check", source="sqlite", destination="", status="failed"), 1)

    def test_an_active_run_and_its_follower(self):
        self.ok(self.service.put(f"/v1/sources/{self.name}", {"connector": "sample", "config": {
            "rows": 1000, "batch_rows": 1, "batch_delay_ms": 50}}), 201)
        self.ok(self.service.put(f"/v1/destinations/{self.name}", {
            "connector": "sqlite", "config": {"path": str(self.work / "out.db")}}), 201)
        self.ok(self.service.put(f"/v1/connections/{self.name}", {"source": self.name, "destination": self.name}), 201)
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        with self.service.stream("GET", f"/v1/runs/{run['id']}/logs?follow=true"):
            seen = wait_until("the run to be counted", lambda: (s := self.scrape()).get("connectord_run_checkpoint_age_seconds") and s)
            self.assertEqual(seen.get("connectord_runs_active"), 1)
            self.assertEqual(seen.get("connectord_log_followers"), 1)
            self.assertGreaterEqual(seen.get("connectord_http_requests_in_flight"), 2)
        self.ok(self.service.post(f"/v1/runs/{run['id']}/cancel"), 202)
        wait_until("the run to end", lambda: self.scrape().get("connectord_runs_active") == 0)
        self.assertEqual(self.scrape().get("connectord_run_checkpoint_age_seconds"), 0)

    def test_requests_by_route_and_code(self):
        before = self.scrape()
        for path in ("/v1/sources/none", "/v1/sources/other", "/nowhere"):
            self.assertEqual(self.service.get(path).status, 404)
        after = self.scrape()

        def more(**labels):
            return after.get("connectord_http_requests_total", **labels) - before.get("connectord_http_requests_total", **labels)

        self.assertEqual(more(method="GET", route="/v1/sources/{source}", code="404"), 2)
        self.assertEqual(more(method="GET", route="_OTHER", code="404"), 1)
        self.assertEqual(more(route="/metrics", code="200"), 1)
        self.assertEqual(after.get("connectord_http_request_duration_seconds_count", route="/v1/sources/{source}"),
                         after.get("connectord_http_requests_total", route="/v1/sources/{source}"))

    def test_what_is_refused(self):
        before = self.scrape()
        self.assertEqual(self.service.request("POST", "/v1/sources", raw=b'"' + b"x" * (2 << 20) + b'"').status, 413)
        with socket.create_connection(("127.0.0.1", self.service.port)) as s:
            s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.assertIn(b" 400 ", s.recv(100))
        after = self.scrape()
        for reason in ("too_large", "malformed"):
            self.assertEqual(after.get("connectord_http_rejected_total", reason=reason)
                             - before.get("connectord_http_rejected_total", reason=reason), 1, reason)

    def test_hostile_requests_do_not_make_it_grow(self):
        before = len(self.scrape().samples)
        for i in range(200):
            self.service.request(f"M{i}", f"/p{i}?q={i}", check=False)
            self.service.get(f"/v1/sources/s{i}")
        self.assertLess(len(self.scrape().samples) - before, 60)

    def test_the_process_and_its_store(self):
        seen = self.scrape()
        stat = (self.folder / "data/connectord.db").stat()
        self.assertEqual(seen.get("connectord_store_size_bytes"), stat.st_size)
        self.assertGreater(seen.get("connectord_store_free_bytes"), 1 << 20)
        self.assertGreaterEqual(seen.get("connectord_store_schema_version"), 3)
        pid = self.service.process.pid
        self.assertAlmostEqual(seen.get("process_open_fds"), len(os.listdir(f"/proc/{pid}/fd")), delta=3)
        self.assertEqual(seen.get("process_threads"), len(os.listdir(f"/proc/{pid}/task")))
        self.assertGreater(seen.get("process_resident_memory_bytes"), 1 << 20)
        self.assertGreater(seen.get("process_cpu_seconds_total"), 0)
        self.assertLess(abs(seen.get("process_start_time_seconds") - time.time()), 3600)
        self.assertEqual(seen.get("connectord_build_info"), 1)
        self.assertLess(seen.get("connectord_watchdog_beat_age_seconds", thread="http"), 10)
        self.assertLess(seen.get("connectord_watchdog_beat_age_seconds", thread="runs"), 10)

    def test_log_lines_by_level(self):
        before = self.scrape()
        self.service.get("/livez")
        after = self.scrape()
        self.assertGreaterEqual(after.get("connectord_log_lines_total", level="info")
                                - before.get("connectord_log_lines_total", level="info"), 2)


if __name__ == "__main__":
    service.main()
