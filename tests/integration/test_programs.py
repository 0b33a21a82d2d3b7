#!/usr/bin/env python3
"""Programs of the operator's list, seen from inside: what a probe can see and do, and what is left of it."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from service import BINARY, PATIENCE_S, Service, ServiceTest, main, wait_until
from test_singer_taps import SCHEMA

CANARY = "canary-probe-pa55word"

# It tells what it sees, then does what its configuration says.
PROBE = r'''#!/usr/bin/env python3
import json, os, sys, time
words = sys.argv[1:]
at = words.index("--config") + 1
config = json.load(open(words[at]))
def stat(path):
    s = os.stat(path)
    return [oct(s.st_mode & 0o7777), s.st_uid]
with open(config["report"], "a") as report:
    print(json.dumps({
        "argv": sys.argv, "environ": dict(os.environ), "cwd": os.getcwd(), "config": stat(words[at]), "dir": stat("."),
        "type": os.popen("stat -f -c %T .").read().strip(), "pid": os.getpid(), "parent": os.getppid(),
        "open": sorted(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n)),
        "privileges": [l for l in open("/proc/self/status") if l.startswith("NoNewPrivs")][0].split()[1]}), file=report)
if "--discover" in words:
    print(json.dumps({"streams": [{"tap_stream_id": s, "stream": s, "schema": config["schema"], "metadata": [
        {"breadcrumb": [], "metadata": {"table-key-properties": ["id"]}}]} for s in config["streams"]]}))
    sys.exit(0)
if config.get("hide"):  # twice forked, in a session of its own
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        with open(config["report"], "a") as report:
            print(json.dumps({"pid": os.getpid(), "cwd": os.getcwd()}), file=report)
        time.sleep(600)
for s in config["streams"]:
    print(json.dumps({"type": "SCHEMA", "stream": s, "schema": config["schema"], "key_properties": ["id"]}))
    print(json.dumps({"type": "RECORD", "stream": s, "record": {"id": 1, "v": "x"}}), flush=True)
time.sleep(config.get("sleep", 0))
'''


def gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def memory_of(pid):
    """What can be read of the memory of a process, piece by piece."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            first, last = (int(n, 16) for n in line.split()[0].split("-"))
            if "r" in line.split()[1] and last - first < 1 << 30:
                with contextlib.suppress(OSError, ValueError, OverflowError):
                    memory.seek(first)
                    yield memory.read(last - first)


class Probed(ServiceTest):
    @classmethod
    def setUpClass(cls):
        cls.taps = pathlib.Path(tempfile.mkdtemp(prefix="connectord-probe-"))
        cls.addClassCleanup(shutil.rmtree, cls.taps)
        # Another program of that name, where somebody who trusts PATH would find it.
        cls.trap = cls.taps / "trap"
        cls.trap.mkdir()
        for name in ("probe", "python3", "sh", "env"):
            cls.write(cls.trap / name, f"#!/bin/sh\ntouch {cls.taps}/trapped\n")
        cls.write(cls.taps / "probe", PROBE)
        (cls.taps / "link").symlink_to(cls.taps / "probe")
        for name in ("changed", "shared", "foreign"):
            cls.write(cls.taps / name, PROBE)
        digest = hashlib.sha256(PROBE.encode()).hexdigest()
        programs = [{"name": "probe", "path": str(cls.taps / "probe"), "args": ["--quiet"], "sha256": digest}]
        programs += [{"name": n, "path": str(cls.taps / n), "sha256": digest} for n in ("link", "changed", "shared", "foreign")]
        cls.settings = cls.taps / "settings.json"
        cls.settings.write_text(json.dumps({"exec": {"enabled": True, "programs": programs}}))
        cls.arguments = ("--config", str(cls.settings))
        cls.environment = {"PATH": f"{cls.trap}:{os.environ['PATH']}", "CANARY_IN_ENVIRONMENT": CANARY}
        super().setUpClass()

    @staticmethod
    def write(path, text):
        path.write_text(text)
        path.chmod(0o755)

    def config(self, **more):
        self.report = self.work / "report"
        return {"schema": SCHEMA, "streams": ["a"], "report": str(self.report), "password": CANARY, **more}

    def probe(self, **more):
        """A connection from the probe."""
        self.source("singer", program="probe", config=self.config(**more))
        self.destination("sqlite")
        return self.connection(run_policy={"max_attempts": 1})

    def reports(self):
        return [json.loads(line) for line in self.report.read_text().splitlines()] if self.report.exists() else []

    def started(self, n=1, **more):
        """A run whose `n` reading processes have said what they see."""
        self.probe(**more)
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("the probe to report", lambda: self.reading() and len(self.reports()) >= n + 1)
        return run, self.reading()

    def reading(self):
        return next((r for r in self.reports() if "argv" in r and "--discover" not in r["argv"]), None)

    def nothing_left(self, reports):
        for r in reports:
            wait_until("the end of a process", lambda r=r: gone(r["pid"]))
            wait_until("the private directory to be gone", lambda r=r: not pathlib.Path(r["cwd"]).exists())

    def check(self, program):
        self.source("singer", program=program, config=self.config())
        return self.ok(self.service.post(f"/v1/sources/{self.name}/check"))


class Listed(Probed):
    """X1: only the listed file is executed, by its descriptor, with arguments of ours."""

    def refused(self, program, reason):
        answer = self.check(program)
        self.assertEqual((answer["status"], answer["error"]["code"]), ("failed", reason), answer)
        self.assertEqual(self.reports(), [])

    def test_a_changed_file(self):
        self.assertEqual(self.check("changed")["status"], "succeeded")
        self.report.unlink()
        self.write(self.taps / "changed", PROBE + "\n")
        self.refused("changed", "program_changed")

    def test_a_link(self):
        self.refused("link", "program_refused")

    def test_a_file_that_others_may_change(self):
        (self.taps / "shared").chmod(0o775)
        self.refused("shared", "program_refused")

    def test_a_file_of_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("skipped: only root gives files away")
        os.chown(self.taps / "foreign", 4711, 4711)
        self.refused("foreign", "program_refused")

    def test_what_is_not_listed(self):
        for name in ("sh", "/bin/sh", str(self.taps / "probe"), "./probe", "../probe", "probe ", "probe\n", "--help", "probe;id"):
            with self.subTest(name):
                answer = self.service.put(f"/v1/sources/{self.name}", {"connector": "singer", "config": {
                    "program": name, "config": self.config()}})
                if answer.status in (200, 201):
                    self.refused(name, "program_not_listed")
        self.assertFalse((self.taps / "trapped").exists())

    def test_a_path_that_is_looked_for(self):
        settings = self.work / "settings.json"
        settings.write_text(json.dumps({"exec": {"enabled": True, "programs": [{"name": "probe", "path": "probe"}]}}))
        done = subprocess.run([BINARY, "config", "print", "--config", settings], capture_output=True, text=True, timeout=PATIENCE_S,
                              check=False)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("expected an absolute path", done.stderr)

    def test_arguments_of_a_caller(self):
        """Whatever the configuration and the streams are called, it gets files of ours and nothing else."""
        words = ["--config=/etc/passwd", "$(touch injected)", "a b", ";id", "--state", "-x"]
        self.probe(streams=words, extra=words, **{word: word for word in words})
        self.service.post(f"/v1/connections/{self.name}/runs?wait=55")
        argv = self.reading()["argv"]
        self.assertEqual(argv[:2], ["/dev/fd/3", "--quiet"])  # what was opened and checked is what is executed
        self.assertEqual(argv[2::2], ["--config", "--catalog", "--properties"][:len(argv[2::2])], argv)
        for path in argv[3::2]:
            self.assertRegex(path, r"^/(dev/shm|run|tmp)/connectord-\w{6}/[a-z]+\.json$")
        self.assertFalse((self.taps / "trapped").exists(), "it was looked for in PATH")


class Private(Probed):
    """X3: what it needs to know comes in private files in memory, and is seen nowhere else."""

    def test_what_it_sees(self):
        self.probe()
        self.run_it()
        for seen in self.reports():
            self.assertEqual((seen["config"], seen["dir"]), (["0o600", os.geteuid()], ["0o700", os.geteuid()]))
            self.assertEqual(seen["environ"], {
                "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1",
                "HOME": seen["cwd"], "TMPDIR": seen["cwd"], **{k: v for k, v in seen["environ"].items() if k in ("LC_CTYPE", "PWD")}})
            self.assertEqual(seen["type"], "tmpfs")
            self.assertLessEqual(set(seen["open"]), set(range(6)))  # three pipes, itself, its report, the folder it lists
            self.assertEqual(seen["privileges"], "1")
            self.assertNotIn(CANARY, json.dumps({k: v for k, v in seen.items() if k != "config"}))
        self.nothing_left(self.reports())

    def test_secrets_are_in_no_process_list(self):
        """Nor in the memory of the process that looks after it."""
        run, seen = self.started(sleep=600)
        mine = [self.service.process.pid, seen["parent"], seen["pid"]]
        for pid in mine:
            self.assertNotIn(CANARY.encode(), pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
        for pid in mine[1:]:
            self.assertNotIn(CANARY.encode(), pathlib.Path(f"/proc/{pid}/environ").read_bytes())
        pieces = list(memory_of(seen["parent"]))
        self.assertGreater(sum(map(len, pieces)), 100_000)
        self.assertFalse([True for piece in pieces if CANARY.encode() in piece])
        self.assertTrue(any(CANARY.encode() in piece for piece in memory_of(self.service.process.pid)), "a search that finds nothing")
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        self.finished(run)
        self.nothing_left(self.reports())


class Ended(Probed):
    """X5: nothing of a program outlives its run, or the service."""

    def test_cancelled(self):
        run, _ = self.started(n=2, sleep=600, hide=True)
        wait_until("the program and the one that it hides",
                   lambda: len([r for r in self.reports() if not gone(r["pid"])]) == 2)
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        self.assertEqual(self.finished(run)["status"], "cancelled")
        self.nothing_left(self.reports())
        children = pathlib.Path(f"/proc/{self.service.process.pid}/task").glob("*/children")
        self.assertEqual("".join(c.read_text() for c in children), "", "a zombie stayed")

    def test_kill_9_of_the_service(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        kept, self.__class__.service = self.service, Service(folder, *self.arguments, environment=self.environment).start()
        try:
            self.started(n=2, sleep=600, hide=True)
            self.service.kill()
            self.nothing_left(self.reports())
        finally:
            self.__class__.service = kept

    def test_kill_9_of_the_supervisor(self):
        """Then the program dies with it, and the run says so."""
        run, seen = self.started(sleep=600)
        os.kill(seen["parent"], 9)
        self.assertNotEqual(self.finished(run)["status"], "succeeded")
        wait_until("the end of the program", lambda: gone(seen["pid"]))


class Started(Probed):
    def test_the_process_with_threads_does_not_fork(self):
        """M3: it starts threads, and itself anew by posix_spawn; everything else is done by the supervisor."""
        pid, trace = self.service.process.pid, self.work / "trace"
        self.probe()
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=fork,vfork,clone,clone3", "-o", trace, "-p", str(pid)],
                                  stderr=subprocess.PIPE, text=True)
        try:
            def attached():
                if tracer.poll() is not None:
                    raise unittest.SkipTest(f"skipped: strace may not attach here: {tracer.stderr.read()}")
                return all(f"TracerPid:\t{tracer.pid}" in (t / "status").read_text()
                           for t in pathlib.Path(f"/proc/{pid}/task").iterdir())
            wait_until("strace to attach", attached)
            tasks = {t.name for t in pathlib.Path(f"/proc/{pid}/task").iterdir()}
            self.run_it()
        finally:
            tracer.terminate()
            tracer.wait()
            tracer.stderr.close()
        threads = spawned = 0
        begun = {}  # calls that another one interrupted, by caller
        for line in trace.read_text().splitlines():
            caller, call = line.split(None, 1)
            if call.startswith("---"):
                continue  # a signal
            if "<unfinished" in call:
                begun[caller] = call
                continue
            call = begun.pop(caller, "") + call
            if caller not in tasks:
                continue  # of the supervisor, or of a program
            if "CLONE_THREAD" in call:
                threads += 1
                tasks.add(call.rsplit("= ", 1)[1])
            else:
                self.assertIn("CLONE_VM|CLONE_VFORK", call, line)
                spawned += 1
        self.assertGreaterEqual(spawned, 1)
        self.assertGreaterEqual(threads, 1)


if __name__ == "__main__":
    main()
