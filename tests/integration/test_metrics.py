#!/usr/bin/env python3
"""/metrics: that it is what Prometheus reads, that the numbers are right, and that they stay few."""
import contextlib
import datetime
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

import service
from service import CONTRACT, Client, ServiceTest, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOOTSTRAP = "bootstrap-0123456789abcdef0123456789"
PASSWORD = "canary-pa55word-of-the-metrics"
TAP = r'''#!/usr/bin/python3
import json, os, signal, sys, time
words = sys.argv[1:]
config = json.load(open(words[words.index("--config") + 1]))
if "--discover" in words:
    print(json.dumps({"streams": [{"tap_stream_id": "a", "stream": "a", "metadata": [],
                                   "schema": {"type": "object", "properties": {"id": {"type": "integer"}}}}]}))
    sys.exit(0)
print("it says", config["password"], file=sys.stderr, flush=True)
if config["do"] == "stay":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if config["do"] in ("sleep", "stay"):
    print("it rests", file=sys.stderr, flush=True)
    time.sleep(600)
os.kill(os.getpid(), signal.SIGUSR1)
'''

SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (-?[0-9.]+)$')



def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


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


class Scraped(ServiceTest):
    def scrape(self):
        answer = self.service.get("/metrics")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return Scrape(answer.text)

    @contextlib.contextmanager
    def counts(self, metric, n=1, **labels):
        """What happens inside raises the metric by so much, or more where `n` is None."""
        before = self.scrape().get(metric, **labels)
        yield
        more = self.scrape().get(metric, **labels) - before
        self.assertTrue(more == n if n is not None else more > 0, f"{metric} {labels}: {more} more")


class Metrics(Scraped):
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

    def test_connections_have_none_of_their_own_unless_asked(self):
        self.assertEqual(self.sync(self.name)["status"], "succeeded")
        lines = [line for line in self.scrape().text.splitlines() if line.startswith("connectord_connection_")]
        self.assertEqual(lines, [])

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

    def test_there_are_never_many_series(self):
        """Every route with every method, whatever the answer, and what clients make up."""
        self.sync(self.name)
        for path in CONTRACT.document["paths"]:
            if path in ("/v1/runs/{run}/logs", "/v1/connections/{connection}/runs/{run}/logs"):
                continue
            for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
                for body in (None, b"{", b"{}"):
                    self.service.request(method, re.sub(r"\{\w+\}", "none", path), raw=body, check=False)
        for i in range(300):
            self.service.request(f"M{i}", f"/p{i}?q={i}", check=False)
        text = self.scrape().text
        self.assertLess(len([line for line in text.splitlines() if not line.startswith("#")]), 3000)
        self.assertGreater(len(text.splitlines()), 500)

    def test_every_metric_is_told(self):
        """HELP where it is scraped, and a place in the documentation that is served."""
        text, docs = self.scrape().text, self.service.get("/docs").text
        table = re.findall(r'X\(\w+, \w+, "(\w+)"', (ROOT / "connectors/base/metric_table.h").read_text())
        self.assertGreater(len(table), 45)
        self.assertEqual(set(re.findall(r"^# TYPE (\S+) ", text, re.M)), set(table))
        for name in table:
            self.assertRegex(text, rf"(?m)^# HELP {name} \S.*[.;]$|^# HELP {name} \S+", name)
            self.assertIn(f'id="metric-{name}"', docs)

    def test_a_name_that_is_not_ours(self):
        with self.counts("connectord_auth_failures_total", reason="foreign_host"):
            self.assertEqual(self.service.request("GET", "/v1/info", headers={"Host": "evil.example"}).status, 401)

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


class OfConnections(Scraped):
    """What metrics_per_connection adds."""
    arguments = ("--metrics-per-connection", "true")

    def of(self, connection):
        """The numbers of one connection, by the word of the metric."""
        found = {}
        for (metric, labels), value in self.scrape().samples.items():
            if labels == (("connection", connection),):
                found[metric.removeprefix("connectord_connection_")] = value
        return found

    def expect_times(self, seen, succeeded, last):
        """Of these runs; those of the API are milliseconds."""
        self.assertAlmostEqual(seen["last_success_timestamp_seconds"], time_of(succeeded["ended_at"]), delta=0.001)
        self.assertAlmostEqual(seen["last_duration_seconds"], time_of(last["ended_at"]) - time_of(last["started_at"]), delta=0.002)

    def test_they_follow_the_connection(self):
        path = f"/v1/connections/{self.name}"
        self.source("sample", rows=100)
        self.destination("sqlite")
        self.connection()
        self.assertEqual(self.of(self.name), {"rows_total": 0, "bytes_total": 0, "last_success_timestamp_seconds": 0, "last_duration_seconds": 0})
        with self.counts("connectord_run_rows_total", None, connector="sqlite", direction="committed"):
            first = self.run_it()
        seen = self.of(self.name)
        self.assertEqual(seen["rows_total"], first["stats"]["records_committed"])
        self.assertGreater(seen["bytes_total"], seen["rows_total"])
        self.expect_times(seen, first, first)

        # Another run adds; one that fails is no success, but took its time.
        second = self.run_it(body={"full_refresh": True})
        self.assertEqual(self.of(self.name)["rows_total"], first["stats"]["records_committed"] + second["stats"]["records_committed"])
        self.expect_times(self.of(self.name), second, second)
        self.destination("sqlite", path="/none/such.db")
        failed = self.run_it(status="failed")
        third = self.of(self.name)
        self.assertEqual(third["rows_total"], first["stats"]["records_committed"] + second["stats"]["records_committed"])
        self.expect_times(third, second, failed)

        # By the name of now; gone when it is gone, and its namesake begins at nothing.
        self.ok(self.service.patch(path, {"name": f"{self.name}-x"}))
        self.assertEqual(self.of(self.name), {})
        self.assertEqual(self.of(f"{self.name}-x"), third)
        self.ok(self.service.delete(f"{path}-x"), 204)
        self.assertEqual([line for line in self.scrape().text.splitlines() if self.name in line], [])
        self.ok(self.service.put(path, {"source": self.name, "destination": self.name}), 201)
        self.assertEqual(set(self.of(self.name).values()), {0})

    def test_a_run_is_counted_while_it_goes_on(self):
        name = self.slow_pair()
        run = self.ok(self.service.post(f"/v1/connections/{name}/runs"), 201)
        wait_until("its rows to be counted", lambda: self.of(name)["rows_total"] > 0)
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{run['id']}"))["status"], "running")
        self.ok(self.service.post(f"/v1/runs/{run['id']}/cancel"), 202)
        after = self.finished(run)
        self.assertEqual(self.of(name)["rows_total"], after["stats"]["records_committed"])
        self.assertEqual(self.of(name)["last_success_timestamp_seconds"], 0)

    def test_the_oldest_thousand(self):
        """More than that in the store, made behind its back as the service would take long."""
        for i in (1, 2):
            self.source("sample", name=f"{self.name}-{i}", rows=1)
            self.destination("sqlite", name=f"{self.name}-{i}")
            self.ok(self.service.put(f"/v1/connections/{self.name}-{i}", {"source": f"{self.name}-{i}", "destination": f"{self.name}-{i}"}), 201)
        with contextlib.closing(sqlite3.connect(self.folder / "data/connectord.db")) as db, db:
            columns = [c for _, c, *_ in db.execute("pragma table_info(connections)") if c not in ("seq", "id", "name")]
            db.execute(f"""with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200)
                insert into connections (id, name, {', '.join(columns)})
                select 'made-' || i, 'made-' || i, {', '.join(columns)} from n, connections where name = ?""", (f"{self.name}-2",))
        try:
            text = self.scrape().text
            self.assertEqual(text.count("connectord_connection_rows_total{"), 1000)
            self.assertIn(f'connectord_connection_rows_total{{connection="{self.name}-1"}} 0\n', text)
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        finally:
            with contextlib.closing(sqlite3.connect(self.folder / "data/connectord.db")) as db, db:
                db.execute("delete from connections where id like 'made-%'")


class Events(Scraped):
    """Things that should not happen often: each raises its counter."""
    token = BOOTSTRAP

    @classmethod
    def setUpClass(cls):
        cls.outside = pathlib.Path(tempfile.mkdtemp(prefix="connectord-it-"))
        (cls.outside / "tap").write_text(TAP)
        (cls.outside / "tap").chmod(0o755)
        (cls.outside / "settings.json").write_text(json.dumps({
            "egress_deny": ["10.9.0.0/16"],
            "exec": {"enabled": True, "programs": [{"name": "tap", "path": str(cls.outside / "tap")}]}}))
        cls.arguments = ("--config", str(cls.outside / "settings.json"), "--cancel-grace-ms", "500")
        super().setUpClass()

    def test_access(self):
        ask = lambda token: Client(self.service.port, token).get("/v1/info").status  # noqa: E731
        with self.counts("connectord_auth_failures_total", reason="no_token"):
            self.assertEqual(ask(None), 401)
        with self.counts("connectord_auth_failures_total", 10, reason="wrong_token"), \
                self.counts("connectord_auth_failures_total", 2, reason="too_many"):
            self.assertEqual([ask("wrong") for _ in range(12)], [401] * 10 + [429] * 2)
        reader = self.ok(self.service.post("/v1/tokens", {"name": "reader", "scope": "read", "expires_in_s": 600}), 201)["token"]
        with self.counts("connectord_authz_denied_total", reason="insufficient_scope"):
            self.assertEqual(Client(self.service.port, reader).delete("/v1/sources/none").status, 403)

    def check(self, host, port):
        return self.service.post("/v1/check", {"kind": "source", "connector": "postgres", "config": {
            "host": host, "port": port, "database": "x", "username": "x", "password": PASSWORD}}).json()

    def test_connections_of_connectors(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(30)
            with self.counts("connectord_egress_connections_total", None, protocol="tcp", result="made"):
                # Whoever is connected to hangs up.
                threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
                self.assertEqual(self.check("127.0.0.1", listener.getsockname()[1])["status"], "failed")
        for host, port, rule in (("169.254.1.1", 5432, "never_allowed"), ("10.9.2.1", 5432, "egress_deny"),
                                 ("127.0.0.1", self.service.port, "own_listener")):
            with self.counts("connectord_egress_denied_total", None, rule=rule):
                self.assertEqual(self.check(host, port)["error"]["code"], "egress_denied", host)

    def tap(self, do):
        self.ok(self.service.put(f"/v1/sources/{self.name}-{do}", {"connector": "singer", "config": {
            "program": "tap", "config": {"password": PASSWORD, "do": do}}}), 201)
        self.destination("sqlite", name=f"{self.name}-{do}", path=str(self.work / f"{do}.db"))
        self.ok(self.service.put(f"/v1/connections/{self.name}-{do}", {
            "source": f"{self.name}-{do}", "destination": f"{self.name}-{do}", "streams": [{"name": "a"}],
            "run_policy": {"max_attempts": 1}}), 201)
        return self.ok(self.service.post(f"/v1/connections/{self.name}-{do}/runs"), 201)

    def test_programs(self):
        with self.counts("connectord_exec_kills_total", reason="cancelled"), self.counts("connectord_redactions_total", None):
            run = self.tap("sleep")
            log = f"/v1/runs/{run['id']}/logs"
            wait_until("the program to speak", lambda: "it rests" in self.service.get(log).text)
            self.assertEqual(self.scrape().get("connectord_exec_processes"), 1)
            self.ok(self.service.post(f"/v1/runs/{run['id']}/cancel"), 202)
            self.assertEqual(self.finished(run)["status"], "cancelled")
            self.assertIn("it says ***", self.service.get(log).text)
            self.assertEqual(self.scrape().get("connectord_exec_processes"), 0)
        with self.counts("connectord_exec_kills_total", reason="signal"):
            run = self.finished(self.tap("die"))
            self.assertEqual((run["status"], run["error"]["code"]), ("failed", "program_failed"), run)

    def test_a_run_that_does_not_stop(self):
        """Its program hears no SIGTERM, and is killed in the end."""
        with self.counts("connectord_runs_stuck_total"):
            run = self.tap("stay")
            wait_until("the program to speak", lambda: "it rests" in self.service.get(f"/v1/runs/{run['id']}/logs").text)
            self.ok(self.service.post(f"/v1/runs/{run['id']}/cancel"), 202)
            self.assertEqual(self.finished(run)["status"], "cancelled")

    def test_limits(self):
        with self.counts("connectord_limits_hit_total", site="http", limit="headers_too_large"):
            many = {f"X-{i}": "x" for i in range(200)}
            self.assertEqual(self.service.request("GET", "/v1/info", headers=many, check=False).status, 431)
        with self.counts("connectord_limits_hit_total", None, site="base"):
            self.service.request("POST", "/v1/sources", raw=b"[" * 200)

    def test_sealed_values(self):
        active = json.loads((self.folder / "data/keyring.json").read_text())["active"]
        seen = self.scrape()
        self.assertEqual(seen.get("connectord_keyring_active_info", kid=active), 1)
        self.assertEqual(seen.get("connectord_secrets_pending_reseal"), 0)
        for what, old, new in (("key_missing", f"v1.{active}.", "v1.00000000."), ("changed", f"v1.{active}.", f"v1.{active}.AAAA")):
            name = f"{self.name}-{what.replace('_', '-')}"
            self.ok(self.service.put(f"/v1/sources/{name}", {"connector": "postgres", "config": {
                "host": "127.0.0.1", "database": "x", "username": "x", "password": PASSWORD}}), 201)
            with contextlib.closing(sqlite3.connect(self.folder / "data/connectord.db")) as db, db:
                self.assertEqual(db.execute("update resources set config = replace(config, ?, ?) where name = ?",
                                            (old, new, name)).rowcount, 1)
            with self.counts("connectord_secrets_unseal_failures_total", None, reason=what):
                self.assertNotEqual(self.service.post(f"/v1/sources/{name}/check").json()["status"], "succeeded")
        self.assertEqual(self.scrape().get("connectord_secrets_pending_reseal"), 1)


class Crowded(Scraped):
    """One worker, somebody else at the store, and a reader of the log that is away."""
    arguments = ("--workers", "1")

    def test_runs_that_wait(self):
        self.assertEqual(self.scrape().get("connectord_run_workers", **{"for": "long"}), 1)
        first = self.slow_pair()
        run = self.ok(self.service.post(f"/v1/connections/{first}/runs"), 201)
        self.running(run["id"])
        self.name = "another"
        self.source("sample", rows=20)
        self.destination("sqlite", path=str(self.work / "another.db"))
        self.connection()
        waiting = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        self.assertEqual(self.scrape().get("connectord_runs_queued"), 1)
        self.assertGreater(self.scrape().get("connectord_store_wal_bytes"), 0)
        self.ok(self.service.post(f"/v1/runs/{run['id']}/cancel"), 202)
        self.assertEqual(self.finished(waiting)["status"], "succeeded")
        self.assertEqual(self.scrape().get("connectord_runs_queued"), 0)

    def test_rows_in_quarantine(self):
        db = self.database(self.work / "in.db")
        db.execute("create table t (id text, v text)")
        db.executemany("insert into t values (?, 'x')", (("a",), (None,), ("b",)))
        db.commit()
        self.source("sqlite", path=str(self.work / "in.db"))
        self.destination("sqlite")
        self.connection(streams=[{"name": "t", "sync_mode": "full_refresh", "destination_sync_mode": "append_dedup",
                                  "primary_key": [["id"]]}])
        with self.counts("connectord_run_quarantined_rows_total", connector="sqlite"):
            self.run_it()

    def test_a_store_that_somebody_else_holds(self):
        with contextlib.closing(sqlite3.connect(self.folder / "data/connectord.db", isolation_level=None)) as db:
            db.execute("begin immediate")
            with self.counts("connectord_store_busy_total", None):
                self.fails(self.service.put(f"/v1/sources/{self.name}", {"connector": "sample", "config": {}}), 503, "database_busy")
            db.execute("rollback")

    def test_lines_that_repeat(self):
        def again():
            self.service.process.send_signal(signal.SIGHUP)
            return self.scrape().get("connectord_log_repeated_total")
        wait_until("lines to be left out", again, pause=0.005)

    def test_lines_that_nobody_reads(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        one = service.Service(folder)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        one.start(output=open(writer, "wb"))
        self.addCleanup(lambda: one.alive() and one.kill())
        wait_until("lines to be dropped", lambda: "connectord_log_dropped_total 0\n" not in one.get("/metrics").text, pause=0)

    def test_what_the_process_may(self):
        with socket.create_connection(("127.0.0.1", self.service.port)):
            wait_until("the connection to be counted", lambda: self.scrape().get("connectord_http_connections") >= 2)
        seen = self.scrape()
        self.assertGreaterEqual(seen.get("process_max_fds"), 1024)
        self.assertGreater(seen.get("process_virtual_memory_bytes"), seen.get("process_resident_memory_bytes"))


if __name__ == "__main__":
    service.main()
