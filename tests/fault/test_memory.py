#!/usr/bin/env python3
"""M1, fault F13: a hostile server and hostile callers at once, within limits of memory. Nothing that they claim
or send makes the service allocate without bound, and it lives on.

A sanitizer has memory of its own: then CONNECTORD_RELEASE names the binary that is tried.
"""
import contextlib
import json
import os
import pathlib
import resource
import sys
import threading
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile_postgres import HELLO, ONE_COLUMN, SCRIPTS, HostilePostgres, for_ever, message  # noqa: E402

from fault_case import FaultTest, Service, main, sanitized  # noqa: E402

WORKERS = 4
OPENING = HELLO + message(b"1") + message(b"2") + ONE_COLUMN
# Each claims a size, and sends it too.
FLOODS = [for_ever(HELLO, message(b"1") + message(b"2") + ONE_COLUMN + message(b"D", b"\0\1", length=size) + b"x" * (1 << 20))
          for size in (1 << 30, 300 << 20, 100 << 20, 70 << 20)]
FLOODS += [SCRIPTS[name] for name in ("row of 1 GiB", "error of 32 MiB for a query", "notices instead of an answer", "rows without end",
                                      "error of 2 GiB", "parameters for ever", "65535 columns", "new parameters for ever",
                                      "notifications instead of an answer", "notifications before it is ready")]
BODIES = [b"[" * (1 << 20), b"{\"a\":[" + b"0," * (500 << 10) + b"0]}", b"{\"a\":\"" + b"x" * (1 << 20), b"[" + b"{}," * (340 << 10),
          b"{" + b",".join(b"\"k%d\":{}" % i for i in range(60000)) + b"}", b"{\"a\":" + b"9" * (1 << 20) + b"}"]


class Group:
    """A control group with a limit of memory, of either kind; None where there is none."""
    why = "no control group of ours can be made here"

    def __init__(self, limit):
        for root, file in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
            self.path = pathlib.Path(root) / f"connectord-{uuid.uuid4().hex[:8]}"
            try:
                self.path.mkdir()
                (self.path / file).write_text(str(limit))
                return
            except OSError:
                with contextlib.suppress(OSError):
                    self.path.rmdir()
        raise OSError(self.why)

    def take(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))

    def killed(self):
        """How many processes the kernel has killed for it."""
        events = next(p for p in (self.path / "memory.events", self.path / "memory.oom_control") if p.exists())
        return int(dict(line.split() for line in events.read_text().splitlines())["oom_kill"])

    def remove(self):
        with contextlib.suppress(OSError):
            self.path.rmdir()


class Memory(FaultTest):
    def begin(self):
        binary = os.environ.get("CONNECTORD_RELEASE") or Service.binary
        if sanitized(binary):
            self.skipTest("skipped: CONNECTORD_RELEASE names no binary without a sanitizer")
        self.service = Service(self.folder, "--short-workers", str(WORKERS), "--check-timeout-s", "4")
        self.service.binary = binary
        self.service.start()
        self.addCleanup(lambda s=self.service: s.alive() and s.stop())
        return self.service.process.pid

    def status(self, what):
        text = pathlib.Path(f"/proc/{self.service.process.pid}/status").read_text()
        return int(text.split(f"{what}:")[1].split()[0]) >> 10

    def attack(self):
        """One round; how the checks ended."""
        ended, wrong, threads = [], [], []

        def meet(script):
            server = HostilePostgres(script)
            try:
                answer = self.service.post("/v1/check", {"kind": "source", "connector": "postgres", "config": {
                    "host": "127.0.0.1", "port": server.port, "database": "d", "username": "u", "password": "correct horse",
                    "ssl_mode": "disable", "connect_timeout_s": 3}})
                ended.append(answer.json()["error"]["code"])
            except Exception as problem:  # told below
                wrong.append(repr(problem))
            server.close()

        def say(body):
            for path in ("/v1/sources", "/v1/check", "/v1/runs"):
                try:
                    answer = self.service.request("POST", path, raw=body)
                    if answer.status not in (400, 413, 422, 503):
                        wrong.append(f"{answer!r}")
                except Exception as problem:
                    wrong.append(repr(problem))
        for work, things in ((meet, FLOODS), (say, BODIES * 4)):
            threads += [threading.Thread(target=work, args=(thing,)) for thing in things]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            self.assertEqual(self.service.get("/livez").status, 200)
            for t in threads:
                t.join(0.05)
        self.assertEqual(wrong, [])
        self.assertEqual(len(ended), len(FLOODS))
        self.assertGreaterEqual(ended.count("out_of_memory"), 4, ended)
        return ended

    def still_works(self):
        self.pair(rows=5000)
        self.run_it()
        self.assertEqual(self.service.get("/readyz").status, 200)

    def test_within_a_limit_of_address_space(self):
        """`ulimit -v`: what cannot be had is an ordinary failure of whoever asked for it. And what was
        had is given back: later rounds need no more than the first ones, whatever malloc keeps of each."""
        pid = self.begin()
        limit = (self.status("VmSize") << 20) + (900 << 20)
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
        resident = []
        for _ in range(6):
            self.attack()
            resident.append(self.status("VmRSS"))
        self.assertLess(min(resident[3:]), max(resident[:3]) + 24, resident)
        self.still_works()

    def test_within_a_container(self):
        """The kernel kills nobody."""
        pid = self.begin()
        try:
            group = Group(1 << 30)  # as docker/kubernetes.yaml gives
        except OSError as error:
            self.skipTest(f"skipped: {error}")
        self.addCleanup(group.remove)
        group.take(pid)
        before = group.killed()
        self.attack()
        self.assertEqual(group.killed(), before)
        self.still_works()

    def test_settings_that_a_container_has_no_room_for(self):
        """Said at the start, which goes on."""
        try:
            group = Group(1 << 30)
        except OSError as error:
            self.skipTest(f"skipped: {error}")
        self.addCleanup(group.remove)
        inside = self.folder / "inside"
        inside.write_text(f'#!/bin/sh\necho $$ >{group.path}/cgroup.procs && exec {Service.binary} "$@"\n')
        inside.chmod(0o755)
        for workers, warned in ((64, True), (4, False)):
            folder = self.folder / f"workers-{workers}"
            folder.mkdir()
            service = Service(folder, "--workers", str(workers))
            service.binary = inside
            service.start()
            service.stop()
            said = [json.loads(line) for line in (folder / "stdout").read_text().splitlines()]
            lines = [line for line in said if "control group" in line["message"]]
            self.assertEqual(len(lines), warned)
            if warned:
                tags = lines[0]["tags"]
                self.assertEqual(lines[0]["level"], "warn")
                self.assertEqual((tags["needed_bytes"], tags["limit_bytes"]), (64 * (40 << 20) + (256 << 20), 1 << 30))
                self.assertEqual(tags["workers_that_fit"], 19)
                self.assertIn(group.path.name, tags["limit_file"])
                self.assertIn("lower workers", tags["change"])


if __name__ == "__main__":
    main()
