"""Starts the real binary on a free port with a data directory of its own, and talks HTTP to it."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from contract import Contract  # noqa: E402

BINARY = os.environ.get("CONNECTORD_BIN", "")
CONTRACT = Contract()
# Sanitizers and a busy machine make everything slower; a test that passes never waits for this.
PATIENCE_S = float(os.environ.get("CONNECTORD_TEST_PATIENCE", "120"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def sanitized(binary=BINARY):
    """A sanitizer keeps memory of its own beside ours: then no bound on it is asserted."""
    return any(mark in pathlib.Path(binary).read_bytes() for mark in (b"__asan_init", b"__tsan_init"))


def wait_until(what, condition, timeout=PATIENCE_S, pause=0.02):
    """The first true answer of `condition`; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(pause)


class Answer:
    def __init__(self, method, path, response, body):
        self.method, self.path, self.status, self.body = method, path, response.status, body
        self.headers = response.headers

    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()

    @property
    def code(self):
        return self.json()["code"]

    @property
    def pointers(self):
        return {e["pointer"]: e["code"] for e in self.json().get("errors", [])}

    def __repr__(self):
        return f"{self.method} {self.path} -> {self.status} {self.body[:600]!r}"


class Client:
    """Every answer is held against the API description."""

    def __init__(self, port, token=None):
        self.port, self.token = port, token

    def connect(self, timeout=PATIENCE_S):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, raw=None, check=True):
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            try:
                connection.request(method, path, body=raw, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:
                    raise  # it never came to that
                # Refused before the body was read: the answer is there.
            response = connection.getresponse()
            answer = Answer(method, path, response, response.read())
        finally:
            connection.close()
        if check:
            self.check(answer)
        return answer

    @staticmethod
    def check(answer):
        wrong = CONTRACT.check(answer.method, answer.path, answer.status,
                               answer.headers.get("Content-Type"), answer.body)
        if answer.headers.get("X-Content-Type-Options") != "nosniff":
            wrong.append("no X-Content-Type-Options: nosniff")
        if not answer.headers.get("X-Request-Id"):
            wrong.append("no X-Request-Id")
        if answer.headers.get("Server"):
            wrong.append("a Server header")
        if wrong:
            raise AssertionError(f"{answer!r}\nbreaks the contract: " + "; ".join(wrong))

    def get(self, path, **headers):
        return self.request("GET", path, headers=named(headers))

    def post(self, path, body=None, **headers):
        return self.request("POST", path, body, headers=named(headers))

    def put(self, path, body=None, **headers):
        return self.request("PUT", path, body, headers=named(headers))

    def patch(self, path, body=None, **headers):
        return self.request("PATCH", path, body, headers=named(headers))

    def delete(self, path, **headers):
        return self.request("DELETE", path, headers=named(headers))

    def head(self, path, **headers):
        return self.request("HEAD", path, headers=named(headers))

    @contextlib.contextmanager
    def stream(self, method, path, body=None, timeout=PATIENCE_S, **headers):
        """A response that is read as it comes: (response, an iterator of its lines)."""
        connection = self.connect(timeout)
        raw = json.dumps(body).encode() if body is not None else None
        sent = named(headers)
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=raw, headers=sent)
        response = connection.getresponse()
        try:
            yield response, lines_of(response)
        finally:
            response.close()
            connection.close()


def named(headers):
    """if_match="x" becomes {"If-Match": "x"}."""
    return {name.replace("_", "-").title(): value for name, value in headers.items() if value is not None}


def lines_of(response):
    while True:
        line = response.readline()
        if not line:
            return
        yield line.decode().rstrip("\n")


def events_of(lines):
    """NDJSON lines as events, each held against the description."""
    for line in lines:
        event = json.loads(line)
        wrong = CONTRACT.check_event(event)
        if wrong:
            raise AssertionError(f"{line}\nbreaks the contract: {'; '.join(wrong)}")
        yield event


class Service(Client):
    """One process of the binary. Its directory outlives it, so that it can be started again."""
    binary = BINARY

    def __init__(self, folder, *arguments, environment=None):
        super().__init__(free_port())
        self.folder = pathlib.Path(folder)
        self.arguments, self.environment = arguments, environment or {}
        self.process = None

    def start(self, output=None):
        # Only what the service needs of this environment: the tests choose its settings.
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONNECTORD_")}
        env.update(self.environment)
        self.errors = open(self.folder / "stderr", "ab+")
        self.output = output or open(self.folder / "stdout", "ab+")
        self.process = subprocess.Popen(
            [self.binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.folder / "data"), *self.arguments],
            stdout=self.output, stderr=self.errors, env=env)
        wait_until("the service to be ready", self.is_ready)
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended with {self.process.returncode}: {self.said()}")
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def said(self):
        return ((self.folder / "stderr").read_bytes() + (self.folder / "stdout").read_bytes())[-6000:].decode(errors="replace")

    def kill(self):
        """As kill -9 does; nothing is checked but sanitizer reports."""
        self.process.kill()
        self.process.wait()
        self.close_files()

    def stop(self):
        """SIGTERM; the exit must be clean."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the service did not stop: {self.said()}") from None
        self.close_files()
        if code != 0:
            raise AssertionError(f"the service ended with {code}: {self.said()}")

    def close_files(self):
        self.errors.close()
        self.output.close()
        said = (self.folder / "stderr").read_text(errors="replace")
        # What a library may not have is refused, as by our own malloc (M1), and that is no fault.
        said = re.sub(r"==\d+==WARNING: AddressSanitizer failed to allocate 0x[0-9a-f]+ bytes\n", "", said)
        if re.search(r"Sanitizer|runtime error:|Assertion", said):
            raise AssertionError(f"a sanitizer report:\n{said[:8000]}")

    def alive(self):
        return self.process is not None and self.process.poll() is None


class ServiceTest(unittest.TestCase):
    """One service for a class of tests; each test uses names of its own."""
    arguments = ()
    environment = {}
    token = None  # a bootstrap token; without one the service is open
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-it-"))
        more = ()
        if cls.token:
            (cls.folder / "bootstrap").write_text(cls.token + "\n")
            (cls.folder / "bootstrap").chmod(0o600)
            more = ("--bootstrap-token-file", str(cls.folder / "bootstrap"))
        cls.service = Service(cls.folder, *cls.arguments, *more, environment=cls.environment)
        cls.service.token = cls.token
        cls.service.start()

    @classmethod
    def tearDownClass(cls):
        try:
            if cls.service.alive():
                cls.service.stop()
            else:
                raise AssertionError(f"the service died: {cls.service.said()}")
        finally:
            shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        # A name for everything that the test makes: unique in the service.
        self.name = re.sub(r"[^a-z0-9]+", "-", self.id().split(".")[-1].removeprefix("test_").lower())[:50].strip("-")
        self.work = pathlib.Path(tempfile.mkdtemp(dir=self.folder))

    # -------------------------------------------------------------- expectations

    def ok(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.json() if answer.body else None

    def fails(self, answer, status, code):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.code, code, answer)
        return answer.json()

    # -------------------------------------------------------------- things to have

    def source(self, connector="sample", name=None, **config):
        name = name or self.name
        self.assertIn(self.service.put(f"/v1/sources/{name}", {"connector": connector, "config": config}).status,
                      (200, 201))
        return name

    def destination(self, connector="sqlite", name=None, **config):
        name = name or self.name
        if connector == "sqlite":
            config.setdefault("path", str(self.work / "out.db"))
        answer = self.service.put(f"/v1/destinations/{name}", {"connector": connector, "config": config})
        self.assertIn(answer.status, (200, 201), answer)
        return name

    def connection(self, name=None, **more):
        name = name or self.name
        body = {"source": name, "destination": name, **more}
        answer = self.service.put(f"/v1/connections/{name}", body)
        self.assertIn(answer.status, (200, 201), answer)
        return name

    def pair(self, streams=None, rows=20, config=None, **more):
        """A sample source into SQLite; the name of all three."""
        self.source("sample", rows=rows, **(config or {}))
        self.destination("sqlite")
        return self.connection(streams=streams, **more)

    def run_it(self, name=None, body=None, query="", status="succeeded"):
        """Starts a run and waits for its end; the run."""
        answer = self.service.post(f"/v1/connections/{name or self.name}/runs?wait=55{query}", body)
        run = self.finished(self.ok(answer, 201))
        self.assertEqual(run["status"], status, json.dumps(run, indent=1))
        return run

    def finished(self, run):
        """The run once it has ended."""
        end = time.monotonic() + PATIENCE_S
        while run["status"] not in ("succeeded", "failed", "cancelled"):
            self.assertLess(time.monotonic(), end, run)
            run = self.ok(self.service.get(f"/v1/runs/{run['id']}?wait=10"))
        return run

    def slow_pair(self, streams=None, **more):
        """A connection whose runs take far longer than a test: they are there to be cancelled."""
        name = self.pair(streams=streams or [{"name": "purchases"}], rows=20000000, **more)
        self.addCleanup(self.cancel_all, name)
        return name

    def cancel_all(self, name):
        if not self.service.alive():
            return
        for run in self.active_runs(name):  # newest first: none of the queued ones begins meanwhile
            self.service.post(f"/v1/runs/{run['id']}/cancel")
        wait_until("runs to stop", lambda: not self.active_runs(name))

    def active_runs(self, name):
        answer = self.service.get(f"/v1/connections/{name}/runs?status=queued,running,cancelling&limit=500")
        return answer.json()["items"] if answer.status == 200 else []  # the test may have deleted it

    def running(self, run_id):
        """Waits until a run has read something; the run."""
        return wait_until("the run to be under way", lambda: self.under_way(run_id))

    def under_way(self, run_id):
        run = self.service.get(f"/v1/runs/{run_id}").json()
        self.assertNotIn(run["status"], ("succeeded", "failed", "cancelled"), run)
        return run if run["status"] == "running" and run["stats"]["records_read"] > 0 else None

    # -------------------------------------------------------------------- databases

    def database(self, path=None):
        db = sqlite3.connect(path or self.work / "out.db")
        self.addCleanup(db.close)
        return db

    def count(self, table, path=None):
        return self.database(path).execute(f'select count(*) from "{table}"').fetchone()[0]


def main():
    if not BINARY:
        sys.exit("CONNECTORD_BIN names the binary to test")
    unittest.main(verbosity=2)
