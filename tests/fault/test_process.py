#!/usr/bin/env python3
"""F2, F14, F16, F17, F22, F24: what happens to the process as a whole."""
import contextlib
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import tempfile
import threading
import time

from fault_case import RANDOM, FaultTest, failing_calls, is_dead, main, wait_until

ROWS = 6000
KILLS = int(os.environ.get("CONNECTORD_KILLS", "12"))
DEATHS = 12  # with one pair of connections


class Killed(FaultTest):
    """F2: kill -9 at system calls that write, sync, rename, unlink, connect or send."""
    def move(self, name):
        """One sync while other things are written; whatever happens to the process meanwhile."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.service.post(f"/v1/connections/{name}/runs?wait=30")

    def acknowledged(self, name):
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self.service.put(f"/v1/sources/{name}", {"connector": "sample", "config": {}})
            return [name] if answer.status == 201 else []
        return []

    def test_at_sampled_system_calls(self):
        self.serve()
        self.written, died, round_ = [], 0, 0
        while died < self.times(KILLS):
            died += self.kill_while_rows_move(round_, min(DEATHS, self.times(KILLS) - died))
            round_ += 1
        self.service.stop()
        self.store_is_whole()
        print(f"killed {died} times, {len(self.written)} acknowledged writes, none lost")

    def kill_while_rows_move(self, round_, deaths):
        """Two connections of their own, whose rows are all there in the end, each once; how often it died."""
        there = self.folder / f"round{round_}"
        there.mkdir()
        names = []
        for connector, path in (("sqlite", there / "out.db"), ("file", there / "files")):
            self.name = f"to-{connector}-{round_}"
            self.source("sample", rows=ROWS, updates_per_run=0, batch_rows=500)
            self.destination(connector, path=str(path))
            names.append(self.connection(commit={"max_rows": 500}, streams=[
                {"name": "users", "sync_mode": "incremental", "destination_sync_mode": "append"}]))
        died = 0
        for i in range(50 * DEATHS):
            died += self.kill(f"k{round_}-{i}", names[i % 2])
            if died == deaths:
                break
        self.assertGreater(died, 0, "it does not die")
        for name in names:
            self.run_it(name)
        ids = [json.loads(line)["id"] for path in (there / "files").rglob("*.ndjson") for line in path.read_text().splitlines()]
        self.assertEqual((len(ids), len(set(ids))), (ROWS, ROWS))
        self.assertEqual(self.database(there / "out.db").execute(
            "select count(*), count(distinct id) from users").fetchone(), (ROWS, ROWS))
        self.assertEqual(list((there / "files").rglob("*.part")), [])
        return died

    def kill(self, name, connection):
        """One write and one sync, and death somewhere in them; whether it died."""
        pid = self.service.process.pid
        call = RANDOM.choice(("pwrite64", "write", "fdatasync", "fsync", "renameat", "unlinkat", "openat", "sendto",
                              "ftruncate", "sendmsg"))
        nth = RANDOM.choice((1, 2, 3, 5, 8, 13, 21, 34))
        with failing_calls(pid, f"{call}:signal=KILL:when={nth}"):
            self.written += self.acknowledged(name)
            self.move(connection)
        died = is_dead(pid)
        if died:
            self.service.process.wait()
            self.service.close_files()
            self.service.start()
        self.assertEqual(self.lost(self.service, self.written), [])
        return died


class Exhausted(FaultTest):
    def test_without_descriptors(self):
        """F14: connections that find no descriptor wait or are refused; health answers; all comes back."""
        self.serve()
        pid = self.service.process.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (self.descriptors() + 24, self.descriptors() + 24))
        before = self.descriptors()
        probe = self.service.connect()
        probe.connect()
        idle = []
        for _ in range(200):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.service.port))
            idle.append(s)
        for _ in range(3):
            probe.request("GET", "/livez")
            answer = probe.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, b"ok\n"))
        for s in idle:
            s.close()
        probe.close()
        wait_until("the service to answer again", self.answers)
        self.pair(rows=50)
        self.run_it()
        wait_until("the descriptors to be given back", lambda: self.descriptors() <= before + 8)

    def answers(self):
        with contextlib.suppress(OSError):
            return self.service.get("/readyz").status == 200

    def test_runs_without_descriptors(self):
        """F14: a run that cannot open its files fails as "resource", and the next one works."""
        self.serve()
        self.pair(rows=50)
        with failing_calls(self.service.process.pid, "openat:error=EMFILE"):
            run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs?wait=55"), 201)
            self.assertEqual(self.finished(run)["status"], "failed")
        self.run_it()

    def test_without_threads(self):
        """F14: a run whose reader cannot be started fails; nothing hangs."""
        self.serve()
        self.pair(rows=50)
        with failing_calls(self.service.process.pid, "clone3:error=EAGAIN", "clone:error=EAGAIN"):
            run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs?wait=55"), 201)
            run = self.finished(run)
            self.assertEqual(run["status"], "failed")
            self.assertEqual(self.service.get("/readyz").status, 200)
        self.run_it()


class Stopped(FaultTest):
    def test_sigterm_under_load(self):
        """F16: whoever was being answered gets the answer, followers get an end, and it exits with 0."""
        for cycle in range(self.times(4)):
            self.name = f"load-{cycle}"
            self.folder = self.work = pathlib.Path(tempfile.mkdtemp(dir=self.work))
            service = self.serve()
            self.slow_pair()
            run = self.ok(service.post(f"/v1/connections/{self.name}/runs"), 201)
            self.running(run["id"])
            cut, ends, threads = [], [], []

            def ask():
                while True:
                    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
                    try:
                        connection.connect()
                    except OSError:
                        return
                    try:
                        connection.request("GET", "/v1/sources?limit=5")
                        connection.getresponse().read()
                    except ConnectionResetError:
                        return  # accepted by the kernel, never by the service
                    except (OSError, http.client.HTTPException) as error:
                        cut.append(repr(error))
                        return
                    finally:
                        connection.close()

            def follow():
                with service.stream("GET", f"/v1/runs/{run['id']}/logs?follow=true") as (response, lines):
                    ends.append(list(lines)[-1:])
            for work in [ask] * 8 + [follow] * 4:
                threads.append(threading.Thread(target=work, daemon=True))
                threads[-1].start()
            time.sleep(RANDOM.uniform(0.05, 0.3))
            service.stop()
            for t in threads:
                t.join(60)
                self.assertFalse(t.is_alive())
            self.assertEqual(cut, [])
            self.assertEqual(len(ends), 4)
            self.assertTrue(all(ends), ends)

    def test_a_thread_that_hangs(self):
        """Liveness is off once a thread that watches over the others was not awake for ten seconds, and on again after."""
        service = self.serve()
        with failing_calls(service.process.pid, "clock_nanosleep:delay_enter=15000000"):
            wait_until("liveness to be off", lambda: service.get("/livez").status == 500)
            answer = service.get("/readyz?verbose")
            self.assertEqual((answer.status, answer.json()["checks"]["threads"]), (503, "hanging"))
            self.assertRegex(service.get("/metrics").text, r'connectord_watchdog_beat_age_seconds\{thread="runs"\} [1-9][0-9]')
        wait_until("liveness to be on", lambda: service.get("/livez").status == 200)
        self.assertEqual(service.get("/readyz").status, 200)
        service.stop()

    def test_two_signals(self):
        """F16: the second one ends the wait for load balancers."""
        service = self.serve("--drain-delay-ms", "60000")
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        wait_until("the drain to begin", lambda: service.get("/readyz").status == 503)
        self.assertEqual(service.get("/livez").status, 200)
        service.process.send_signal(signal.SIGTERM)
        self.assertEqual(service.process.wait(50), 0)
        self.assertLess(time.monotonic() - began, 55)

    def test_paused_and_continued(self):
        """F17: SIGSTOP and SIGCONT interrupt every call that waits; nobody else notices. And SIGPIPE,
        SIGCHLD and the like are ignored."""
        service = self.serve()
        pid = service.process.pid
        self.pair(rows=20000, config={"batch_delay_ms": 5, "batch_rows": 200})
        run = self.ok(service.post(f"/v1/connections/{self.name}/runs"), 201)
        for _ in range(40):
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)
            for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH):
                os.kill(pid, number)
            self.ok(service.get("/livez") and service.get("/v1/info"))
        with failing_calls(pid, "epoll_wait:error=EINTR:when=2+4", "poll:error=EINTR:when=2+4",
                           "openat:error=EINTR:when=9+9", "read:error=EINTR:when=3+3"):
            for _ in range(20):
                self.ok(service.get("/v1/info"))
        self.assertEqual(self.finished(run)["status"], "succeeded")


class Repeated(FaultTest):
    def test_a_crash_between_commit_and_answer(self):
        """F22: the gateway that repeats the request gets the first answer, and nothing happens twice."""
        self.serve()
        body = {"name": "once", "connector": "sample", "config": {}}
        pid = self.service.process.pid
        with failing_calls(pid, "sendto:signal=KILL", "sendmsg:signal=KILL", "writev:signal=KILL"):
            with self.assertRaises((OSError, http.client.HTTPException)):
                self.service.post("/v1/sources", body, idempotency_key="f22")
            wait_until("the process to die", lambda: is_dead(pid))
        self.service.process.wait()
        self.service.close_files()
        self.service.start()
        answer = self.service.post("/v1/sources", body, idempotency_key="f22")
        self.assertEqual((answer.status, answer.json()["name"]), (201, "once"))
        self.assertEqual(len(self.ok(self.service.get("/v1/sources"))["items"]), 1)


class Poisoned(FaultTest):
    def test_one_bad_connection(self):
        """F24: what always fails, and what is absurdly wide, leaves the others alone."""
        self.serve("--workers", "2")
        self.name = "good"
        self.pair(rows=100)
        bad = self.folder / "bad.db"
        self.source("sqlite", name="bad", path=str(bad))
        self.destination("sqlite", name="bad", path="/nonexistent/out.db")
        self.ok(self.service.put("/v1/connections/bad", {"source": "bad", "destination": "bad", "run_policy":
                                                         {"max_attempts": 2, "backoff_s": 0}}), 201)
        wide = self.folder / "wide.csv"
        wide.write_text(",".join(f"c{i}" for i in range(100000)) + "\n" + ",".join("1" * 1 for _ in range(100000)) + "\n")
        self.source("file", name="wide", path=str(wide))
        answer = self.service.post("/v1/sources/wide/discover?wait=55")
        self.assertIn("100000 columns are more than 4096", self.fails(answer, 424, "run_failed")["detail"])
        for _ in range(6):
            self.service.post("/v1/connections/bad/runs")
        self.run_it("good")
        self.assertEqual(self.count("users"), 100)


if __name__ == "__main__":
    main()
