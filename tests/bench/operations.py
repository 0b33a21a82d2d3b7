"""Measures of the service itself: start, memory, requests beside nginx, followers."""
import atexit
import json
import os
import pathlib
import re
import shutil
import sqlite3
import statistics
import subprocess
import time
import urllib.request

from measure import MIB, Service, free_port, remove

HISTORY = 100_000


class Nginx:
    """Debian's nginx as it comes, but for its paths: one file in its root."""

    def __init__(self, folder, body):
        self.folder = pathlib.Path(folder) / "nginx"
        self.folder.mkdir()
        self.port = free_port()
        (self.folder / "run.json").write_bytes(body)
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(f"""
daemon off;
{user}
pid {self.folder}/pid;
error_log {self.folder}/error.log;
worker_processes auto;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    tcp_nopush on;
    types {{ application/json json; }}
    access_log {self.folder}/access.log;
    client_body_temp_path {self.folder}/a; proxy_temp_path {self.folder}/b; fastcgi_temp_path {self.folder}/c;
    uwsgi_temp_path {self.folder}/d; scgi_temp_path {self.folder}/e;
    server {{ listen 127.0.0.1:{self.port}; root {self.folder}; }}
}}
""")
        self.process = subprocess.Popen(["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.process.terminate)
        self.url = f"http://127.0.0.1:{self.port}/run.json"
        for _ in range(500):
            try:
                urllib.request.urlopen(self.url).read()
                return
            except OSError:
                time.sleep(0.01)
        raise SystemExit("nginx does not start: " + (self.folder / "error.log").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


def wrk(url, seconds, connections=64):
    """(requests a second, p99 in milliseconds)"""
    said = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url], check=True,
                          capture_output=True, text=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(said)
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


class Operations:
    """Mixed into Bench."""

    def idle(self):
        starts, sizes = [], []
        for _ in range(9):
            service = Service(self.folder)
            starts.append(service.start_ms)
            sizes.append(service.status("VmRSS") / MIB)
            service.stop()
        median, resident = statistics.median(starts), statistics.median(sizes)
        self.report("start to first answer, empty store", f"{median:.1f} ms", "< 100 ms", median < 100)
        # Which pages of the libraries come with a fault depends on where they lie, at random.
        self.report("idle service, resident", f"{resident:.1f} MiB", "< 12 MiB", resident < 12,
                    f"{min(sizes):.1f} to {max(sizes):.1f} MiB")

    def history(self):
        """Starts on a store with many runs in it."""
        service = Service(self.folder)
        target = self.folder / "history.db"
        service.connection("old", {"connector": "sample", "config": {"rows": 10}},
                           {"connector": "sqlite", "config": {"path": str(target)}})
        service.run("old")
        service.stop()
        db = sqlite3.connect(service.data / "connectord.db")
        columns = [c[1] for c in db.execute("pragma table_info(runs)") if c[1] != "id"]
        names = ", ".join(columns)
        db.execute(f"insert into runs ({names}) with recursive n(i) as (select 1 union all select i + 1 from n where i < {HISTORY}) "
                   f"select {', '.join('r.' + c for c in columns)} from n, (select {names} from runs where kind = 0 limit 1) as r")
        db.commit()
        db.close()
        starts = []
        for _ in range(3):
            service = Service(self.folder, data=service.data)
            starts.append(service.start_ms)
            service.stop()
        median = statistics.median(starts)
        self.report(f"start with {HISTORY:,} runs in history", f"{median:.0f} ms", "< 1000 ms", median < 1000)
        remove(target)

    def requests(self, seconds=8):
        """GET of a run against nginx with a file of the same size, while two syncs run."""
        service = Service(self.folder)
        targets = [self.folder / f"busy{i}.db" for i in range(3)]
        rows = {"rows": 100_000_000}
        for i, target in enumerate(targets):
            service.connection(f"c{i}", {"connector": "sample", "config": rows if i else {"rows": 10}},
                               {"connector": "sqlite", "config": {"path": str(target)}}, [{"name": "users"}])
        _, run = service.run("c0")
        path = f"/v1/runs/{run['id']}"
        body = service.call("GET", path)
        body = json.dumps(body, separators=(",", ":")).encode()
        nginx = Nginx(self.folder, body)
        url = f"http://127.0.0.1:{service.port}{path}"
        for busy in (False, True):
            if busy:
                for i in (1, 2):
                    service.call("POST", f"/v1/connections/c{i}/runs")
                time.sleep(1)
            pairs = [(wrk(url, seconds), wrk(nginx.url, seconds)) for _ in range(self.pairs)]
            ratio = statistics.median(a[0] / b[0] for a, b in pairs)
            ours, peer = (statistics.median(p[i][0] for p in pairs) for i in (0, 1))
            late, peer_late = (statistics.median(p[i][1] for p in pairs) for i in (0, 1))
            when = "while two syncs run" if busy else "nothing else running"
            self.report(f"GET of a run, 64 connections, {when}", f"{ratio:.2f} x", ">= 0.5 x", ratio >= 0.5,
                        ours=f"{ours:,.0f}/s", peer=f"nginx, file of {len(body)} B: {peer:,.0f}/s")
            self.report("  p99", f"{late:.1f} ms", "< 10 ms", late < 10, ours=f"{late:.1f} ms", peer=f"nginx: {peer_late:.1f} ms")
        for i in (1, 2):
            service.call("POST", f"/v1/connections/c{i}/runs/latest/cancel")
        nginx.stop()
        service.stop()
        for target in targets:
            remove(target)

    def followers(self):
        """Followers of a run that logs ten lines a second."""
        self.follow(2000, 20, 10)
        self.report("  more memory", f"{self.more:.1f} MiB", "<= 60 MiB", self.more <= 60)

    def many_followers(self):
        """The most that one service is meant for, at a line a second."""
        self.follow(10_000, 30, 1)
        self.report("  resident at the peak", f"{self.peak:.1f} MiB", "< 160 MiB", self.peak < 160)

    def follow(self, clients, seconds, rate):
        client = self.helper("followers")
        service = Service(self.folder)
        target = self.folder / "followed.db"
        service.connection("slow", {"connector": "sample", "config": {
            "rows": rate * seconds, "batch_rows": 1, "batch_delay_ms": 1000 // rate}},
            {"connector": "sqlite", "config": {"path": str(target)}}, [{"name": "users"}])
        run = service.call("POST", "/v1/connections/slow/runs")
        time.sleep(2)  # what the run itself needs is there before anybody follows
        before, threads = service.status("VmRSS"), service.status("Threads")
        following = subprocess.Popen(
            [client, "127.0.0.1", str(service.port), f"/v1/runs/{run['id']}/logs?follow=true", str(clients)],
            stdout=subprocess.PIPE, text=True)
        time.sleep(seconds / 2)
        while_following = service.status("Threads")
        output, _ = following.communicate(timeout=seconds * 4)
        seen = json.loads(output)
        self.peak = service.status("VmHWM") / MIB
        self.more = self.peak - before / MIB
        service.stop()
        whole = seen["ended"] == clients and not seen["out_of_order"] and \
            seen["lines"] == clients * seen["fewest_lines"]
        self.report(f"{clients:,} followers, every line in order", f"{seen['lines']:,} lines", "all", whole,
                    f"{seen['lines'] / seconds:,.0f} lines/s")
        self.report("  latency p99", f"{seen['p99_ms']} ms", "< 100 ms", seen["p99_ms"] < 100,
                    f"p50 {seen['p50_ms']} ms, max {seen['max_ms']} ms")
        self.report("  threads added by followers", str(while_following - threads), "0",
                    while_following == threads)
        remove(target)
