#!/usr/bin/env python3
"""Where connectors may connect to (E1 to E5, E8, E9), with a name server that changes its mind."""
import pathlib
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import fake_dns  # noqa: E402

SKIPPED = fake_dns.inside()

from database_case import DatabaseTest, Mysql, Postgres  # noqa: E402
from rest_case import RestTest, items, reply  # noqa: E402
from service import BINARY, main  # noqa: E402


class Spy:
    """A listener that must not be connected to: what it accepts is counted."""

    def __init__(self, address, port):
        self.socket = socket.create_server((address, port))
        self.port, self.visits = self.socket.getsockname()[1], 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.visits += 1

    def close(self):
        # A visitor in the queue would have been accepted before this one.
        before = self.visits
        with socket.create_connection(self.socket.getsockname()):
            pass
        while self.visits == before:
            pass
        self.socket.close()
        return self.visits - 1


class Explain(unittest.TestCase):
    """`connectord egress explain` says what the service would do."""

    def explain(self, host, port="80", *settings):
        done = subprocess.run([BINARY, "egress", "explain", host, port, *settings], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_what_decides(self):
        for arguments, status, said in (
                (("127.0.0.1",), 0, "allowed 127.0.0.1 port 80: loopback"),
                (("127.0.0.1", "80", "--egress-deny", "loopback"), 1, "(loopback)"),
                (("127.0.0.1", "8080"), 1, "the service itself listens there"),
                (("169.254.169.254",), 1, "cloud metadata (never allowed)"),
                (("fd00:ec2::254",), 1, "cloud metadata (never allowed)"),
                (("10.1.2.3", "5432", "--egress-deny", "private"), 1, "private (private)"),
                (("10.1.2.3", "5432", "--egress-allow", "10.0.0.0/8:5432"), 0, "(10.0.0.0/8:5432)"),
                (("10.1.2.3", "5433", "--egress-allow", "10.0.0.0/8:5432"), 1, "no rule allows it"),
                (("0x7f.1",), 0, "127.0.0.1"), (("2130706433",), 0, "127.0.0.1"),
                (("no-such-host.invalid",), 1, "has no address"),
                (("10.1.2.3", "http"), 2, "no port"),
                (("10.1.2.3", "80", "--egress-deny", "10.0.0.0/40"), 2, "flag --egress-deny")):
            with self.subTest(arguments):
                code, text = self.explain(*arguments)
                self.assertEqual(code, status, text)
                self.assertIn(said, text)


class Closed(RestTest):
    """Everything but one address of this machine is closed."""
    arguments = ("--egress-deny", "loopback,private", "--log-level", "debug")

    def refused(self, url):
        self.source("rest", document={"name": "fake", "client": {"base_url": url, "retry": {"tries": 1}},
                                      "streams": [{"name": "a", "records": {"path": "data"}}],
                                      "check": {"path": "/"}})
        answer = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
        self.assertEqual(answer["status"], "failed", answer)
        self.service.delete(f"/v1/sources/{self.name}")
        return answer["error"]["code"]

    def test_every_spelling_of_loopback(self):
        """E2: decimal, octal, short, zero, mapped and user information."""
        port = self.api.url.rsplit(":", 1)[1].rstrip("/")
        for host in ("127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f000001", "0", "0.0.0.0", "[::1]",
                     "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "localhost", "[64:ff9b::7f00:1]"):
            with self.subTest(host):
                self.assertEqual(self.refused(f"http://{host}:{port}"), "egress_denied")
        self.assertEqual(self.refused(f"http://example.com@127.0.0.1:{port}"), "url_refused")
        self.assertEqual(self.api.requests, [])

    def test_metadata(self):
        for host in ("169.254.169.254", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200"):
            self.assertEqual(self.refused(f"http://{host}"), "egress_denied")

    def test_databases(self):
        """E3, E9: the same for the drivers of databases, and the answer says no more than "denied"."""
        spy = Spy("127.0.0.1", 0)
        for connector in ("postgres", "mysql"):
            for host in ("127.0.0.1", "localhost", "10.0.0.1", "::ffff:127.0.0.1"):
                with self.subTest(connector=connector, host=host):
                    self.source(connector, host=host, port=spy.port, database="d", username="u", password="password")
                    answer = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
                    self.assertEqual(answer["error"]["code"], "egress_denied", answer)
                    self.service.delete(f"/v1/sources/{self.name}")
        self.assertEqual(spy.close(), 0)


class Itself(RestTest):
    def test_is_not_reached_from_inside(self):
        """E2: nobody makes the service call its own API."""
        self.source("rest", document={"name": "fake", "client": {"base_url": f"http://localhost:{self.service.port}"},
                                      "check": {"path": "/v1/info"},
                                      "streams": [{"name": "a", "records": {"path": "data"}}]})
        answer = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
        self.assertEqual(answer["error"]["code"], "egress_denied", answer)


class Redirects(RestTest):
    """E4: each hop is decided again, by address; a host that the document allows is not enough."""
    arguments = ("--egress-deny", "127.0.0.2")

    def test_to_a_denied_address(self):
        spy = Spy("127.0.0.2", 0)
        for status in (301, 302, 303, 307, 308):
            self.anew(f"redirect-{status}")
            self.api.on("/items", lambda r, s=status: reply(
                {}, status=s, headers={"Location": f"http://127.0.0.2:{spy.port}/"}))
            self.rest(self.stream(), allowed_hosts=["127.0.0.2"])
            self.failure("egress_denied")
        self.assertEqual(spy.close(), 0)


@unittest.skipIf(SKIPPED, f"skipped: {SKIPPED}")
class Rebinding(DatabaseTest):
    """E3: a name that was fine when it was looked at and points elsewhere when it is used."""
    arguments = ("--egress-deny", "127.0.0.2")

    def setUp(self):
        super().setUp()
        self.dns = fake_dns.FakeDns()
        self.addCleanup(self.dns.close)

    def check(self, **config):
        self.source(self.src.connector, **self.src.config(**config))
        return self.ok(self.service.post(f"/v1/sources/{self.name}/check"))

    def test_postgres(self):
        self.src = self.new(Postgres)
        port = self.src.config()["port"]
        spy = Spy("127.0.0.2", port)
        self.dns.name("rebind.test", "127.0.0.1", "127.0.0.2")
        self.assertEqual(self.check(host="rebind.test")["status"], "succeeded")
        self.assertEqual(self.check(host="rebind.test")["error"]["code"], "egress_denied")
        self.assertEqual(spy.close(), 0)

    def test_mysql_between_two_questions_of_one_connection(self):
        self.src = self.new(Mysql)
        port = self.src.config()["port"]
        spy = Spy("127.0.0.2", port)
        self.dns.name("rebind.test", "127.0.0.1", "127.0.0.2")
        answer = self.check(host="rebind.test")
        self.assertEqual(answer["error"]["code"], "egress_denied", answer)
        self.assertEqual([a for _, a in self.dns.asked], ["127.0.0.1", "127.0.0.2"])
        self.assertEqual(spy.close(), 0)

    def test_one_good_address_among_bad_ones(self):
        self.src = self.new(Postgres)
        self.dns.name("only-bad.test", "169.254.169.254")
        answer = self.check(host="only-bad.test")
        self.assertEqual(answer["error"]["code"], "egress_denied", answer)


@unittest.skipIf(SKIPPED, f"skipped: {SKIPPED}")
class RebindingApi(RestTest):
    arguments = ("--egress-deny", "127.0.0.2")

    def test_rest(self):
        dns = fake_dns.FakeDns()
        self.addCleanup(dns.close)
        port = int(self.api.url.rsplit(":", 1)[1].rstrip("/"))
        spy = Spy("127.0.0.2", port)
        dns.name("rebind.test", "127.0.0.1")
        self.api.on("/items", lambda r: reply({"data": items(1, 3)}))
        self.rest(self.stream(), base_url=f"http://rebind.test:{port}")
        self.run_it()
        dns.name("rebind.test", "127.0.0.2")
        self.failure("egress_denied")
        self.assertEqual(spy.close(), 0)


if __name__ == "__main__":
    main()
