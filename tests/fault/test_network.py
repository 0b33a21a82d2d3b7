#!/usr/bin/env python3
"""F10: a network that goes silent, trickles, resets, and names that nobody resolves. Each wait ends by its deadline
or is ended by a cancel; no thread is lost, and when the network is back the next attempt goes on.

In a network of its own, where packets can be dropped without a word: databases of its own, a name server of its
own. Cancelling at every phase behind a proxy that pauses is in tests/integration/test_cancel.py, HTTP in
test_rest_faults.py."""
import ctypes
import os
import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import fake_dns  # noqa: E402

INSIDE = "CONNECTORD_TEST_NETWORK"
LIBC = ctypes.CDLL(None)


def network_of_its_own():
    """Runs this program again where nothing but it uses the network; None in there, or why not."""
    if os.environ.get(INSIDE):
        return None
    begin = "ip link set lo up && iptables -L -n >/dev/null && "
    if subprocess.run(["unshare", "--net", "sh", "-c", begin + "true"], capture_output=True).returncode != 0:
        return "a network of our own, with rules, is not permitted here"
    # The servers of the test run are outside.
    environment = {k: v for k, v in os.environ.items() if k != "CONNECTORD_TEST_DATABASES"}
    sys.exit(subprocess.run(["unshare", "--net", "sh", "-c", begin + 'exec "$@"', "sh", sys.executable, *sys.argv],
                            env={**environment, INSIDE: "1"}).returncode)


SKIPPED = network_of_its_own() or fake_dns.inside()

from fault_case import main, wait_until  # noqa: E402
from database_case import TO_CLIENT, TO_SERVER, DatabaseTest, Proxy, Sqlite  # noqa: E402
from own_server import OwnMysql, OwnPostgres  # noqa: E402

ROWS = 4000
PATIENT = {"max_attempts": 40, "backoff_s": 1}
SETTINGS = {OwnPostgres: {}, OwnMysql: {"innodb_buffer_pool_size": "64M", "innodb_log_file_size": "64M"}}


class Network(DatabaseTest):
    arguments = ("--check-timeout-s", "30")

    def setUp(self):
        if SKIPPED:
            self.skipTest(f"skipped: {SKIPPED}")
        super().setUp()
        self.rules = []
        self.addCleanup(self.mend)

    def break_(self, *what):
        """Every packet from and to the port of the proxy, from now on."""
        for side in ("--dport", "--sport"):
            rule = ["INPUT", "-p", "tcp", side, str(self.proxy.port), "-j", *what]
            subprocess.run(["iptables", "-A", *rule], check=True)
            self.rules.append(rule)

    def reset(self):
        """Every connection of the service to the proxy gets a reset, in whatever it is doing."""
        for link in list(self.proxy.links):
            LIBC.connect(link.client.fileno(), bytes(16), 16)  # to no address: the kernel sends a reset

    def mend(self):
        while self.rules:
            subprocess.run(["iptables", "-D", *self.rules.pop()], check=True)

    def threads(self):
        return len(os.listdir(f"/proc/{self.service.process.pid}/task"))

    def no_thread_is_lost(self, before):
        wait_until("the threads to end", lambda: self.threads() <= before)

    def cancel(self, run):
        self.assertIn(self.service.post(f"/v1/runs/{run['id']}/cancel").status, (200, 202))
        self.assertEqual(self.finished(run)["status"], "cancelled")


class Silent:
    def have_own(self, side, **policy):
        own = self.own_engine.shared(**SETTINGS[self.own_engine])
        self.proxy = Proxy(own.server["port"])
        self.addCleanup(self.proxy.close)
        other = self.new(Sqlite)
        self.src, self.dst = (own, other) if side == "source" else (other, own)
        table = self.table = "t" + str(abs(hash(self.id())) % 100000)
        self.src.create(table, "id {int} not null primary key, s {text}")
        self.src.insert(table, [(i, "x" * 300) for i in range(ROWS)])
        own.port = self.proxy.port
        self.connect([self.stream(table, "full_refresh", "append_dedup")], commit={"max_rows": 500}, run_policy={**PATIENT, **policy})
        self.run_it()  # what a run needs is there, threads included
        self.direction = TO_CLIENT if side == "source" else TO_SERVER
        return self.threads()

    def begin(self):
        """A run that has moved a part of its rows."""
        self.proxy.throttle(200_000, self.direction)
        before = self.proxy.bytes[self.direction]
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("rows", lambda: self.proxy.bytes[self.direction] > before + 100_000)
        return run

    def end(self, run, threads):
        self.proxy.throttle(None, self.direction)
        run = self.finished(run)
        self.assertEqual(run["status"], "succeeded", run["error"])
        self.same_rows(self.table, "id, s")
        self.no_thread_is_lost(threads)
        return run

    def attempts(self, run):
        return self.service.get(f"/v1/runs/{run['id']}").json()["attempts"]

    def test_half_open_while_rows_move(self):
        """Nobody says that the connection is gone. The run notices by its own deadline; the next one goes on."""
        for side in ("source", "destination"):
            with self.subTest(side):
                self.name = f"half-open-{side}"
                threads = self.have_own(side, idle_timeout_s=2)
                run = self.begin()
                self.break_("DROP")
                run = self.finished(run)
                self.assertEqual((run["status"], run["error"]["code"]), ("failed", "idle_timeout"), run["error"])
                self.no_thread_is_lost(threads)
                self.mend()
                self.proxy.throttle(None, self.direction)
                self.run_it()
                self.same_rows(self.table, "id, s")

    def test_cancelled_while_it_is_silent(self):
        """No deadline of its own is near: only the cancel ends it, and the server need not answer for that."""
        for side in ("source", "destination"):
            with self.subTest(side):
                self.name = f"cancelled-{side}"
                threads = self.have_own(side)
                run = self.begin()
                self.break_("DROP")
                self.cancel(run)
                self.no_thread_is_lost(threads)
                self.mend()
                self.proxy.throttle(None, self.direction)
                self.run_it()
                self.same_rows(self.table, "id, s")

    def test_reset_while_rows_move(self):
        for side in ("source", "destination"):
            with self.subTest(side):
                self.name = f"reset-{side}"
                threads = self.have_own(side)
                run = self.begin()
                self.reset()
                wait_until("another attempt", lambda: self.attempts(run) > 1)
                self.assertGreater(self.end(run, threads)["attempts"], 1)

    def test_silent_when_it_connects(self):
        """The first packet is never answered: the deadline for connecting."""
        self.have_own("source")
        threads = self.threads()
        self.break_("DROP")
        self.source(self.src.connector, name="deaf", **self.src.config(connect_timeout_s=2))
        answer = self.ok(self.service.post("/v1/sources/deaf/check"))
        self.assertEqual((answer["status"], answer["error"]["retryable"]), ("failed", True), answer)
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("the run to begin", lambda: self.service.get(f"/v1/runs/{run['id']}").json()["status"] == "running")
        self.cancel(run)
        self.no_thread_is_lost(threads)

    def test_one_byte_per_second(self):
        """In every phase that a client waits in: greeting, authentication, answer."""
        self.have_own("source")
        threads = self.threads()
        self.proxy.throttle(1, TO_CLIENT)
        self.source(self.src.connector, name="slow", **self.src.config(connect_timeout_s=2))
        answer = self.ok(self.service.post("/v1/sources/slow/check"))
        self.assertEqual((answer["status"], answer["error"]["retryable"]), ("failed", True), answer)
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("the run to begin", lambda: self.service.get(f"/v1/runs/{run['id']}").json()["status"] == "running")
        self.cancel(run)
        self.proxy.throttle(None, TO_CLIENT)
        self.no_thread_is_lost(threads)
        self.run_it()
        self.same_rows(self.table, "id, s")


class SilentPostgres(Silent, Network):
    own_engine = OwnPostgres


class SilentMysql(Silent, Network):
    own_engine = OwnMysql


class Names(Network):
    def setUp(self):
        super().setUp()
        self.dns = fake_dns.FakeDns()
        self.addCleanup(self.dns.close)

    def check(self, connector, host):
        self.source(connector, host=host, port=5, database="d", username="u", password="password", connect_timeout_s=2)
        answer = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
        self.assertEqual(answer["status"], "failed", answer)
        return answer["error"]

    def test_a_name_server_that_never_answers(self):
        self.dns.name("silent.test", None)
        threads = self.threads()
        for connector in ("postgres", "mysql"):
            with self.subTest(connector):
                error = self.check(connector, "silent.test")
                self.assertTrue(error["retryable"], error)
        self.no_thread_is_lost(threads + 2)  # the look-up that was given up ends by itself

    def test_cancelled_while_a_name_is_looked_up(self):
        self.dns.name("silent.test", None)
        for connector in ("postgres", "mysql"):
            with self.subTest(connector):
                self.name = f"name-{connector}"
                self.source(connector, host="silent.test", port=5, database="d", username="u", password="password", connect_timeout_s=60)
                asking = threading.Thread(target=self.service.post, args=(f"/v1/sources/{self.name}/discover?wait=55",))
                asking.start()
                run = wait_until("the job", lambda: self.ok(self.service.get("/v1/runs?kind=discover&status=running"))["items"])[0]
                self.cancel(run)
                asking.join()

    def test_names_that_are_not(self):
        for connector in ("postgres", "mysql"):
            with self.subTest(connector):
                self.assertEqual(self.check(connector, "nowhere.test")["code"], "host_unknown")


if __name__ == "__main__":
    main()
