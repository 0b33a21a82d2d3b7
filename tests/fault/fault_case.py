"""What the fault tests share: disks of their own, system calls that fail, and what must hold in the end.

Random points are chosen by a seed that is printed; CONNECTORD_FAULT_SEED repeats a run, and
CONNECTORD_FAULT_ROUNDS=N multiplies how often each fault is tried. CONNECTORD_CUTS and CONNECTORD_KILLS say how many power
cuts and deaths there are: a few by default, 40 and 1,000 before a release.
"""
import contextlib
import fcntl
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from service import Service, ServiceTest, main, sanitized, wait_until  # noqa: E402, F401

SEED = int(os.environ.get("CONNECTORD_FAULT_SEED", random.SystemRandom().randrange(1 << 32)))
ROUNDS = float(os.environ.get("CONNECTORD_FAULT_ROUNDS", "1"))
print(f"CONNECTORD_FAULT_SEED={SEED}", file=sys.stderr)
RANDOM = random.Random(SEED)

EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


class LoopDisk:
    """An ext4 file system of its own, on a file. `cut` is what a power cut is: all that was not
    synced is gone. None where that is not permitted (`why`)."""
    why = None

    def __init__(self, megabytes):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="connectord-loop-"))
        self.image, self.path = self.home / "image", self.home / "disk"
        self.path.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)
        mkfs = shutil.which("mkfs.ext4", path=os.environ["PATH"] + ":/sbin:/usr/sbin")
        subprocess.run([mkfs, "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image], check=True)
        self.mount()

    @classmethod
    def make(cls, megabytes):
        """A disk, or None and the reason in LoopDisk.why."""
        try:
            return cls(megabytes)
        except (OSError, TypeError, subprocess.CalledProcessError) as error:
            cls.why = f"no loop mount here: {error}"
            return None

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True, capture_output=True)

    def cut(self):
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def remount(self):
        subprocess.run(["umount", self.path], check=True)
        self.mount()

    def fill(self, leave=0):
        """Uses up all space but `leave` bytes; a function that gives it back."""
        filler = self.path / "filler"
        with open(filler, "wb") as file:
            left = os.statvfs(self.path)
            size = max(0, left.f_bavail * left.f_frsize - leave)
            with contextlib.suppress(OSError):
                while size > 0:
                    size -= os.write(file.fileno(), b"\0" * min(size, 1 << 20))
                for piece in (4096, 512, 1):  # to the last block
                    while leave == 0 and os.write(file.fileno(), b"\0" * piece):
                        pass
        return filler.unlink

    def remove(self):
        subprocess.run(["umount", "-l", self.path], capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)


def is_dead(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


@contextlib.contextmanager
def failing_calls(pid, *injections):
    """System calls of a running process fail as `strace` is told ("fdatasync:error=EIO"), until the
    block ends."""
    calls = ",".join(i.split(":")[0] for i in injections)
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={calls}",
                               *[word for i in injections for word in ("-e", f"inject={i}")]],
                              stderr=subprocess.PIPE, text=True)
    try:
        def attached():
            if tracer.poll() is not None:
                raise unittest.SkipTest(f"skipped: strace may not attach here: {tracer.stderr.read()}")
            tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
            return all(f"TracerPid:\t{tracer.pid}" in (t / "status").read_text() for t in tasks)
        wait_until("strace to attach", attached, 30)
        yield tracer
    finally:
        # It may wait for ever for a process that has died under it.
        tracer.send_signal(signal.SIGKILL if is_dead(pid) else signal.SIGINT)
        try:
            tracer.wait(10)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.wait()
        tracer.stderr.close()


class FaultTest(ServiceTest):
    """Each test starts a service of its own, if it wants one, and ends it."""
    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-fault-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.service = None
        super().setUp()

    def serve(self, *arguments, folder=None, environment=None):
        self.service = Service(folder or self.folder, *arguments, environment=environment).start()
        self.addCleanup(lambda s=self.service: s.alive() and s.stop())
        return self.service

    def loop_disk(self, megabytes):
        disk = LoopDisk.make(megabytes)
        if not disk:
            self.skipTest(f"skipped: {LoopDisk.why}")
        self.addCleanup(disk.remove)
        return disk

    def times(self, n):
        return max(1, round(n * ROUNDS))

    def store_is_whole(self, folder=None):
        path = pathlib.Path(folder or self.folder) / "data" / "connectord.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            self.assertEqual(db.execute("pragma integrity_check").fetchall(), [("ok",)])

    def lost(self, service, acknowledged):
        """Those of the acknowledged sources that are not there."""
        there, cursor = set(), ""
        while True:
            page = service.get(f"/v1/sources?limit=500{cursor}").json()
            there.update(item["name"] for item in page["items"])
            if not page.get("next_cursor"):
                return [name for name in acknowledged if name not in there]
            cursor = f"&cursor={page['next_cursor']}"

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.service.process.pid}/fd"))
