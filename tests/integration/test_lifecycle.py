#!/usr/bin/env python3
"""Start and stop of the service as an operator sees them: addresses, signals, exit codes."""
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import unittest

import service
from lifecycle_case import Lifecycle
from service import BINARY, PATIENCE_S, Client, Service, free_port, wait_until


class Addresses(Lifecycle):
    OPERATOR = ("/livez", "/readyz", "/healthz", "/startupz", "/metrics")

    def test_an_address_for_the_operator(self):
        port = free_port()
        data = str(self.folder / "data")
        process = subprocess.Popen([BINARY, "serve", "--listen", "127.0.0.1:0", "--admin-listen", f"127.0.0.1:{port}", "--data", data],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        serving = next(line for line in map(json.loads, process.stdout) if line["message"] == "serving")
        self.assertEqual(serving["tags"]["operator_address"], f"127.0.0.1:{port}")
        operator, api = Client(port), Client(int(serving["tags"]["address"].rsplit(":", 1)[1]))
        for path in self.OPERATOR:
            self.assertEqual(operator.get(path).status, 200, path)
            self.assertEqual(api.get(path).status, 404, path)
        self.assertEqual(operator.get("/v1/info").status, 404)
        self.assertEqual(api.get("/v1/info").status, 200)
        done = subprocess.run([BINARY, "health", "--admin-listen", f"127.0.0.1:{port}"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "ready\n"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE_S), 0)

    def test_without_one_all_are_at_the_api(self):
        s = self.start()
        for path in self.OPERATOR:
            self.assertEqual(s.get(path).status, 200, path)
        s.stop()

    def test_one_that_is_none_or_taken(self):
        for address in ("9090", "localhost:x", "1.2.3:80", "127.0.0.1:99999"):
            done = self.serve(self.folder / "data", "--admin-listen", address)
            self.assertEqual(done.returncode, 2, address)
            self.assertIn(f'flag --admin-listen: expected a numeric address and a port such as 127.0.0.1:9090, found "{address}"', done.stderr)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            done = self.serve(self.folder / "data", "--admin-listen", f"127.0.0.1:{taken.getsockname()[1]}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Address already in use", done.stderr)


class Systemd(Lifecycle):
    def test_what_it_is_told(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(self.folder / "notify"))
            told.settimeout(PATIENCE_S)
            s = self.start(NOTIFY_SOCKET=str(self.folder / "notify"), WATCHDOG_USEC="200000")
            self.assertEqual(told.recv(100), b"READY=1")
            for _ in range(3):
                self.assertEqual(told.recv(100), b"WATCHDOG=1")
            s.process.send_signal(signal.SIGHUP)
            heard = [told.recv(100)]
            while heard[-1] != b"READY=1":
                heard.append(told.recv(100))
            self.assertIn(b"RELOADING=1", heard)
            s.process.send_signal(signal.SIGTERM)
            while told.recv(100) != b"STOPPING=1":
                continue
            self.assertEqual(s.process.wait(PATIENCE_S), 0)
            s.close_files()

    def test_an_abstract_name_and_one_that_leads_nowhere(self):
        name = f"connectord-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind("\0" + name)
            told.settimeout(PATIENCE_S)
            s = self.start(NOTIFY_SOCKET="@" + name)
            self.assertEqual(told.recv(100), b"READY=1")
            s.stop()
        for nowhere in ("/none/such", "relative", "@", "", "/" + "x" * 200):
            self.start(NOTIFY_SOCKET=nowhere, WATCHDOG_USEC="many").stop()


class Ready(Lifecycle):
    """Each check by itself makes it unready, by its name, until what was wrong is over; Stop and
    a test of faults have the other two."""

    def not_ready(self, s, check, word):
        answer = wait_until(f"{check} to be noticed", lambda: (a := s.get("/readyz?verbose")).status == 503 and a).json()
        self.assertEqual({c: w for c, w in answer["checks"].items() if w != "ok"}, {check: word})
        self.assertEqual(s.get("/readyz").json(), {"ready": False})
        self.assertEqual(s.get("/livez").status, 200)

    def ready_again(self, s):
        answer = wait_until("readiness to be on", lambda: (a := s.get("/readyz?verbose")).status == 200 and a).json()
        self.assertEqual(set(answer["checks"].values()), {"ok"})

    def change(self, sql, *values):
        with contextlib.closing(sqlite3.connect(self.folder / "data/connectord.db")) as db, db:
            return db.execute(sql, values)

    def test_store(self):
        s = self.start()
        with contextlib.closing(sqlite3.connect(self.folder / "data/connectord.db", isolation_level=None)) as db:
            db.execute("begin immediate")
            self.not_ready(s, "store", "database_busy")
            db.execute("rollback")
        self.ready_again(s)

    def test_migrations(self):
        s = self.start()
        with contextlib.closing(sqlite3.connect(self.folder / "data/connectord.db")) as db:
            version, = db.execute("pragma user_version").fetchone()
            sums = db.execute("select version, checksum from migrations").fetchall()
        self.assertGreater(version, 1)
        for wrong, word in ((version + 1, "store_newer"), (version - 1, "outdated")):
            self.change(f"pragma user_version = {wrong}")
            self.not_ready(s, "migrations", word)
            self.change(f"pragma user_version = {version}")
            self.ready_again(s)
        self.change("update migrations set checksum = 'x' where version = 1")
        self.not_ready(s, "migrations", "store_corrupt")
        self.change("update migrations set checksum = ? where version = 1", dict(sums)[1])
        self.ready_again(s)

    def test_keyring(self):
        s = self.start()
        self.change("update key_checks set value = 'x' || value where id <> 'pepper'")
        self.not_ready(s, "keyring", "keyring_mismatch")
        self.change("update key_checks set value = substr(value, 2) where id <> 'pepper'")
        self.ready_again(s)

    def test_disk(self):
        s = Service(self.folder, "--min-free-bytes", str(1 << 44))
        s.is_ready = lambda: '"message":"serving"' in (self.folder / "stdout").read_text()  # which it never is
        s.start()
        self.addCleanup(lambda: s.alive() and s.kill())
        self.not_ready(s, "disk", "almost_full")

    def test_leases(self):
        s = self.start()
        lock = self.folder / "data/connectord.db.lock"
        kept, other = lock.with_suffix(".kept"), lock.with_suffix(".other")
        lock.rename(kept)
        self.not_ready(s, "leases", "lost")
        kept.rename(lock)
        self.ready_again(s)
        os.link(lock, kept)
        other.touch()  # as a second process would make it
        other.rename(lock)
        self.not_ready(s, "leases", "lost")
        kept.rename(lock)
        self.ready_again(s)


class Stop(Lifecycle):
    def test_drains_while_it_still_serves(self):
        s = self.start("--drain-delay-ms", "60000")
        s.process.send_signal(signal.SIGTERM)
        wait_until("readiness to be off", lambda: s.get("/readyz").status == 503)
        self.assertEqual(s.get("/readyz?verbose").json()["checks"]["draining"], "yes")
        self.assertEqual((s.get("/livez").status, s.get("/v1/info").status), (200, 200))
        s.process.send_signal(signal.SIGTERM)  # impatience is heard
        self.assertEqual(s.process.wait(PATIENCE_S), 0)
        s.close_files()
        # The log of the store was written back.
        self.assertEqual({p.name for p in (self.folder / "data").glob("connectord.db*")}, {"connectord.db", "connectord.db.lock"})


    def test_what_found_itself_broken_says_so(self):
        """abort() and assert() end here."""
        s = self.start()
        s.process.send_signal(signal.SIGABRT)
        self.assertEqual(s.process.wait(PATIENCE_S), 70)
        s.close_files()
        again = self.start()
        again.stop()


class Refusals(Lifecycle):
    """Each with its sentence and its exit code."""

    def made(self):
        self.start().stop()
        return self.folder / "data"

    def refused(self, done, code, says):
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (code, 1), done.stderr)
        self.assertRegex(done.stderr, "^connectord: opening the store: " + says)

    def test_a_second_instance(self):
        s = self.start()
        self.refused(self.serve(self.folder / "data"), 4, rf".*connectord\.db is used by another process \(process {s.process.pid}\)$")
        s.stop()

    def test_a_newer_store(self):
        data = self.made()
        db = sqlite3.connect(data / "connectord.db")
        db.execute("pragma user_version = 999")
        db.close()
        self.refused(self.serve(data), 3, r".*has version 999, this program knows \d+: run the newer program, or restore a backup of before$")

    def test_a_damaged_store(self):
        data = self.made()
        whole = (data / "connectord.db").read_bytes()
        (data / "connectord.db").write_bytes(whole[:8192] + bytes(len(whole) - 8192))
        self.refused(self.serve(data), 3, r".*(damaged|malformed).*: connectord restore FILE$")
        (data / "connectord.db").write_bytes(b"")
        self.refused(self.serve(data), 3, r".*is damaged \(the file is empty, but there was a store\); put it elsewhere and restore a backup: connectord restore FILE$")

    def test_a_disk_that_is_full(self):
        def small():
            import resource
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

        self.refused(self.serve(self.folder / "data", preexec_fn=small), 1, r".*(disk|full|I/O)")

    @unittest.skipIf(os.geteuid() == 0 and not shutil.which("setpriv"), "root writes everywhere")
    def test_a_directory_that_cannot_be_written(self):
        data = self.folder / "data"
        data.mkdir()
        self.folder.chmod(0o755)
        data.chmod(0o555)
        unprivileged = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        self.refused(self.serve(data, **unprivileged), 1, r".*Permission denied$")
        self.refused(self.serve(data / "below", **unprivileged), 1, r'creating the data directory ".*/below": Permission denied$')


if __name__ == "__main__":
    service.main()
