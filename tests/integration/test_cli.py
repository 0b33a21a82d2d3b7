"""The program without its service: sync, config print, health, version, and what it exits with."""
import contextlib
import json
import os
import pathlib
import pty
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

from service import BINARY, PATIENCE_S, Service, free_port, main, wait_until


class Cli(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.database = self.folder / "out.db"

    def run_it(self, *words, **environment):
        return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE_S,
                              env={**os.environ, **environment}, check=False)

    def file(self, **members):
        path = self.folder / "sync.json"
        whole = {"name": "demo", "source": {"connector": "sample", "config": {"rows": 100}},
                 "destination": {"connector": "sqlite", "config": {"path": str(self.database)}}, **members}
        path.write_text(json.dumps({k: v for k, v in whole.items() if v is not None}))
        return path

    def rows(self, table):
        db = sqlite3.connect(self.database)
        try:
            return db.execute(f"select count(*) from {table}").fetchone()[0]
        finally:
            db.close()


class Sync(Cli):
    def test_secrets_are_not_shown(self):
        """S7, G3: a server that says the password again; on a pipe and on a terminal."""
        secret = 's3cr3t "quoted" \\ value'
        said = b"SFATAL\0C28P01\0Mno user with the password " + secret.encode() + b"\0\0"
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer:
                        peer.recv(4096)
                        peer.sendall(b"E" + (len(said) + 4).to_bytes(4, "big") + said)
        threading.Thread(target=answer, daemon=True).start()
        config = {"host": "127.0.0.1", "port": listener.getsockname()[1], "database": "d", "username": "u",
                  "password": secret, "ssl_mode": "disable"}
        path = self.file(source={"connector": "postgres", "config": config})
        done = self.run_it("sync", path)
        shown = [done.stdout + done.stderr]
        master, slave = pty.openpty()
        process = subprocess.Popen([BINARY, "sync", str(path)], stdout=slave, stderr=slave)
        os.close(slave)
        shown.append("")
        with contextlib.suppress(OSError):  # the end of a terminal
            while chunk := os.read(master, 65536):
                shown[1] += chunk.decode(errors="replace")
        self.assertEqual((done.returncode, process.wait(PATIENCE_S)), (1, 1))
        os.close(master)
        for text in shown:
            self.assertIn("no user with the password ***", text)
            self.assertNotIn("s3cr3t", text)

    def test_all_streams_and_the_events_of_the_run(self):
        done = self.run_it("sync", self.file())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        events = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([e["seq"] for e in events], list(range(1, len(events) + 1)))
        self.assertEqual([e["type"] for e in events].count("end"), 1)
        end = events[-1]
        self.assertEqual((end["type"], end["status"], end["exit_code"], end["error"]), ("end", "succeeded", 0, None))
        self.assertEqual(end["stats"]["records_committed"], 100 + 10 + 300)
        complete = {e["stream"] for e in events if e["type"] == "stream_status" and e["status"] == "complete"}
        self.assertEqual(complete, {"users", "products", "purchases"})
        self.assertEqual(self.rows("purchases"), 300)

    def test_the_end_of_very_many_streams_fits_a_line(self):
        db = sqlite3.connect(self.folder / "many.db")
        for i in range(40):
            db.execute(f"create table t{i} (id integer primary key)")
        db.close()
        done = self.run_it("sync", self.file(source={"connector": "sqlite", "config": {"path": str(self.folder / "many.db")}}))
        end = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((done.returncode, end["type"], end["status"], end["stats"]["records_read"]), (0, "end", "succeeded", 0))
        self.assertNotIn("streams", end["stats"])

    def test_the_state_lives_in_the_destination(self):
        streams = [{"name": "users", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}]
        for committed in (100, 10):
            done = self.run_it("sync", self.file(streams=streams))
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual(json.loads(done.stdout.splitlines()[-1])["stats"]["records_committed"], committed)
        done = self.run_it("sync", self.file(streams=streams, full_refresh=True))
        self.assertGreaterEqual(json.loads(done.stdout.splitlines()[-1])["stats"]["records_committed"], 100)

    def test_every_mistake_in_the_file_at_once(self):
        done = self.run_it("sync", self.file(name=1, colour=2, source={"connector": "sampel"},
                                             destination={"connector": "sqlite", "config": {"pth": 1}},
                                             settings={"run_policy": {"max_attempts": 0}},
                                             streams=[{"nam": "users"}]))
        self.assertEqual((done.returncode, done.stdout), (64, ""))
        for place in ("/colour:", "/name:", "/source/connector:", "/destination/config/pth:",
                      "/destination/config/path:", "/settings/run_policy/max_attempts:", "/streams/0/nam"):
            self.assertIn(place, done.stderr)

    def test_a_selection_that_does_not_fit_the_source(self):
        done = self.run_it("sync", self.file(streams=[{"name": "users"}, {"name": "gusers"}]))
        self.assertEqual(done.returncode, 64)
        self.assertIn('no stream "gusers"', done.stderr)
        self.assertFalse(self.database.exists())

    def test_files_that_are_none(self):
        broken = self.folder / "broken.json"
        for text in ("", "{", "[]", '{"source":1,"source":2}'):
            broken.write_text(text)
            done = self.run_it("sync", broken)
            self.assertEqual((done.returncode, done.stdout), (64, ""), text)
            self.assertIn("broken.json", done.stderr)
        self.assertEqual(self.run_it("sync", self.folder / "none.json").returncode, 64)

    def test_a_failed_run(self):
        self.database.write_text("this is no database, whatever its name says\n" * 10)
        done = self.run_it("sync", self.file())
        self.assertEqual(done.returncode, 1, done.stdout)
        end = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((end["status"], end["exit_code"], end["error"]["origin"]), ("failed", 1, "destination"))

    def test_ctrl_c_cancels_and_the_next_one_continues(self):
        slow = {"connector": "sample", "config": {"rows": 2000, "batch_rows": 1, "batch_delay_ms": 20}}
        path = self.file(source=slow, streams=[{"name": "users"}])
        process = subprocess.Popen([BINARY, "sync", str(path)], stdout=subprocess.PIPE, text=True)
        first = json.loads(process.stdout.readline())
        self.assertEqual(first["seq"], 1)
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_S)
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(process.returncode, 2)
        end = json.loads(output.splitlines()[-1])
        self.assertEqual((end["status"], end["exit_code"], end["error"]["code"]), ("cancelled", 2, "cancelled"))
        self.assertEqual(self.run_it("sync", self.file(streams=[{"name": "users"}])).returncode, 0)
        self.assertEqual(self.rows("users"), 100)

    def test_on_a_terminal_it_draws_a_table(self):
        master, slave = pty.openpty()
        process = subprocess.Popen([BINARY, "sync", str(self.file())], stdout=slave, stderr=slave)
        os.close(slave)
        said = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            said += part
        os.close(master)
        self.assertEqual(process.wait(PATIENCE_S), 0)
        text = said.decode()
        self.assertNotIn('{"seq"', text)
        self.assertIn("\x1b[", text)
        last = text.split("\x1b[J")[-1]
        self.assertRegex(last, r"users +complete +100 read, 100 committed")
        self.assertRegex(last, r"in all .*410 read, 410 committed, [0-9,]+ rows/s")
        self.assertIn("succeeded, ", last)


class Settings(Cli):
    def test_config_print_shows_values_and_origins(self):
        path = self.folder / "settings.json"
        path.write_text('{"workers": 3}')
        done = self.run_it("config", "print", "--config", path, "--short-workers", "5", CONNECTORD_LOG_LEVEL="warn")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"workers = 3  # file {path}: /workers\n", done.stdout)
        self.assertIn("short_workers = 5  # flag --short-workers\n", done.stdout)
        self.assertIn('log_level = "warn"  # environment CONNECTORD_LOG_LEVEL\n', done.stdout)
        self.assertIn('listen = "127.0.0.1:8080"  # default\n', done.stdout)

    def test_wrong_settings_are_all_named(self):
        done = self.run_it("serve", "--listen", "somewhere:8080", "--wrokers", "3", CONNECTORD_WORKERS="many")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        for place in ("flag --listen:", "flag --wrokers:", "environment CONNECTORD_WORKERS:"):
            self.assertIn(place, done.stderr)

    def test_words_that_mean_nothing(self):
        for words in ((), ("nonsense",), ("sync",), ("sync", "a", "b"), ("config",)):
            done = self.run_it(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn("usage:", done.stderr)

    def test_help_and_version(self):
        done = self.run_it("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--shutdown-grace-ms", done.stdout)
        self.assertRegex(self.run_it("version").stdout, r"^connectord \d+\.\d+\.\d+\n$")


class Process(Cli):
    def test_health(self):
        port = free_port()
        done = self.run_it("health", "--listen", f"127.0.0.1:{port}")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        service = Service(self.folder).start()
        try:
            done = self.run_it("health", "--listen", f"127.0.0.1:{service.port}")
            self.assertEqual((done.returncode, done.stdout), (0, "ready\n"))
        finally:
            service.stop()

    def serve(self, data):
        return self.run_it("serve", "--listen", f"127.0.0.1:{free_port()}", "--data", data)

    def test_a_store_that_is_none(self):
        (self.folder / "data").mkdir()
        (self.folder / "data/connectord.db").write_text("this is no database, whatever its name says\n" * 10)
        done = self.serve(self.folder / "data")
        self.assertEqual(done.returncode, 3, done.stderr)

    def test_a_data_directory_that_cannot_be(self):
        (self.folder / "file").write_text("")
        done = self.serve(self.folder / "file/data")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("data directory", done.stderr)

    def test_an_address_that_is_taken(self):
        service = Service(self.folder).start()
        try:
            done = self.run_it("serve", "--listen", f"127.0.0.1:{service.port}", "--data", self.folder / "other")
            self.assertEqual(done.returncode, 1, done.stderr)
        finally:
            service.stop()

    def test_standard_output_is_json_lines(self):
        port = free_port()
        process = subprocess.Popen([BINARY, "serve", "--listen", f"127.0.0.1:{port}", "--data", str(self.folder / "d")],
                                   stdout=subprocess.PIPE, text=True)
        wait_until("the service", lambda: self.run_it("health", "--listen", f"127.0.0.1:{port}").returncode == 0)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 0)
        lines = [json.loads(line) for line in output.splitlines()]
        for line in lines:
            self.assertEqual(set(line), {"timestamp", "level", "message", "caller", "tags"}, line)
            self.assertRegex(line["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        said = [line["message"] for line in lines]
        self.assertIn("serving", said)
        self.assertEqual(said[-2:], ["stopping", "stopped"])


if __name__ == "__main__":
    main()
