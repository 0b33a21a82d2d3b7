"""What every measure needs: a service, a stopwatch, ratios taken pair by pair, the data."""
import atexit
import json
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "build/release/connectord"
BENCH = ROOT / "tests/bench"
MIB = 1024 * 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Service:
    """A fresh service on a port and data directory of its own."""

    def __init__(self, folder, *options, data=None):
        self.port = free_port()
        self.data = data or pathlib.Path(tempfile.mkdtemp(dir=folder))
        began = time.monotonic()
        self.process = subprocess.Popen(
            [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, *options],
            stdout=open(self.data / "log", "wb"), stderr=subprocess.STDOUT)
        atexit.register(self.process.kill)
        while True:
            try:
                self.call("GET", "/readyz")
                break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit((self.data / "log").read_text())
                time.sleep(0.001)
        self.start_ms = (time.monotonic() - began) * 1000

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request) as answer:
                text = answer.read()
        except urllib.error.HTTPError as refused:
            raise SystemExit(f"{method} {path}: {refused.code} {refused.read().decode()}") from refused
        return json.loads(text) if text.startswith((b"{", b"[")) else text

    def connection(self, name, source, destination, streams=None):
        self.call("PUT", f"/v1/sources/{name}", source)
        self.call("PUT", f"/v1/destinations/{name}", destination)
        body = {"source": name, "destination": name}
        if streams:
            body["streams"] = streams
        self.call("PUT", f"/v1/connections/{name}", body)

    def run(self, name):
        """Seconds of one run, waited for."""
        began = time.monotonic()
        run = self.call("POST", f"/v1/connections/{name}/runs?wait=55")
        while run["status"] in ("queued", "running"):
            run = self.call("GET", f"/v1/runs/{run['id']}?wait=55")
        seconds = time.monotonic() - began
        if run["status"] != "succeeded":
            raise SystemExit(f"run failed: {json.dumps(run, indent=2)}")
        return seconds, run

    def status(self, key):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * (1024 if line.endswith("kB") else 1)
        raise KeyError(key)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def timed(command, **kwargs):
    began = time.monotonic()
    subprocess.run(command, check=True, shell=isinstance(command, str), **kwargs)
    return time.monotonic() - began


def remove(path):
    for p in (path, f"{path}-journal", f"{path}-wal", f"{path}-shm"):
        pathlib.Path(p).unlink(missing_ok=True)


class Bench:
    def __init__(self, arguments):
        self.rows, self.pairs = arguments.rows, arguments.pairs
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-bench-", dir=arguments.folder))
        self.results = []

    def report(self, name, figure, bound, ok, note="", ours="", peer=""):
        """A measure: its figure (a ratio where there is a peer), what is promised, whether it holds."""
        self.results.append({"measure": name, "figure": figure, "bound": bound, "ok": ok, "note": note,
                             "ours": ours, "peer": peer})
        more = "; ".join(part for part in (ours, peer, note) if part)
        print(f"{'ok  ' if ok else 'MISS'} {name:<52} {figure:<14} {bound:<12} {more}", flush=True)

    def table(self):
        """Everything once more, ours beside the peer's."""
        rows = [("measure", "ours", "peer", "ratio", "promised", "")]
        for r in self.results:
            is_ratio = bool(r["peer"]) and r["figure"].endswith(" x")
            rows.append((r["measure"], r["ours"] or r["figure"], r["peer"] or "-", r["figure"] if is_ratio else "-",
                         r["bound"], "ok" if r["ok"] else "MISS"))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        print()
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())

    def ratio(self, name, ours, peer, least, peer_name, pairs=None):
        """Both return seconds; the figure is how many times the peer's rate ours is."""
        pairs = [(ours(), peer()) for _ in range(pairs or self.pairs)]
        ratio = statistics.median(p / o for o, p in pairs)
        mine, theirs = (statistics.median(x) for x in zip(*pairs))
        self.report(name, f"{ratio:.2f} x", f">= {least} x", ratio >= least,
                    ours=f"{self.rows / mine:,.0f} rows/s", peer=f"{peer_name}: {self.rows / theirs:,.0f} rows/s")

    def memory(self, name, service, most):
        peak = service.status("VmHWM") / MIB
        self.report(name, f"{peak:.1f} MiB", f"< {most} MiB", peak < most)

    # ------------------------------------------------------------------ data

    def lineitem(self):
        path = self.folder / "lineitem.db"
        if not path.exists():
            sql = (BENCH / "lineitem.sql").read_text().replace(":rows", str(self.rows))
            subprocess.run(["sqlite3", path], input=sql, text=True, check=True)
        return path

    def lineitem_csv(self):
        path = self.folder / "lineitem.csv"
        if not path.exists():
            with open(path, "wb") as out:
                subprocess.run(["sqlite3", "-header", "-csv", self.lineitem(), "select * from lineitem"],
                               stdout=out, check=True)
        return path

    def helper(self, name):
        path = self.folder / name
        if not path.exists():
            subprocess.run(["gcc", "-O2", "-o", path, BENCH / f"{name}.c", "-lsqlite3"], check=True)
        return path
