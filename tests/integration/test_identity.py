#!/usr/bin/env python3
"""Who may ask: tokens, scopes, and a service that is open only where nobody else can reach it."""
import base64
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import unittest

import service
from service import BINARY, CONTRACT, Client, Service, ServiceTest, wait_until

BOOTSTRAP = "a-bootstrap-token-of-a-test-0123456789"
SCOPES = ("read", "run", "write", "admin")


def run_cli(*words, data=None, stdin=None, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CONNECTORD_")}
    return subprocess.run([BINARY, *map(str, words), *(("--data", str(data)) if data else ())], capture_output=True, text=True,
                          env={**env, **environment}, input=stdin, timeout=service.PATIENCE_S)


def operations():
    """(method, path, operation) of everything that is described."""
    for path, item in CONTRACT.document["paths"].items():
        for method in ("get", "post", "put", "patch", "delete"):
            if method in item:
                yield method.upper(), path, item[method]


class Start(unittest.TestCase):
    """A1, A9: where the service opens, and with what."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="connectord-it-")))

    def refused(self, *arguments, status=2, **environment):
        done = run_cli("serve", *arguments, data=self.folder / "data", **environment)
        self.assertEqual(done.returncode, status, done)
        return done.stderr

    def started(self, *arguments, token=None):
        one = Service(self.folder, *arguments)
        one.token = token
        self.addCleanup(lambda: one.alive() and one.kill())
        return one.start()

    def secret_file(self, text, mode=0o600):
        path = self.folder / "token"
        path.write_text(text)
        path.chmod(mode)
        return path

    def test_another_address_needs_a_token(self):
        self.assertIn("no access token", self.refused("--listen", "0.0.0.0:0"))
        self.assertIn("no access token", self.refused("--listen", "[::]:0"))
        self.assertIn("no access token", self.refused("--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0"))

    def test_a_token_that_has_ended_is_none(self):
        token = run_cli("token", "create", "ci", "admin", "1h", data=self.folder / "data").stdout.strip()
        self.assertEqual(run_cli("token", "revoke", token[11:21], data=self.folder / "data").returncode, 0)
        self.assertIn("no access token", self.refused("--listen", "0.0.0.0:0"))

    def test_another_address_opens_with_a_token(self):
        path = self.secret_file(BOOTSTRAP + "\n")
        port = service.free_port()
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONNECTORD_")}
        process = subprocess.Popen([BINARY, "serve", "--listen", f"0.0.0.0:{port}", "--bootstrap-token-file", str(path), "--data",
                                    str(self.folder / "data")], stdout=subprocess.DEVNULL, env=env)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        client = Client(port, BOOTSTRAP)

        def ready():
            try:
                return client.get("/readyz").status == 200
            except OSError:
                return False
        wait_until("the service", ready)
        self.assertEqual(client.get("/v1/info").status, 200)
        self.assertEqual(Client(port).get("/v1/info").status, 401)

    def test_openness_is_said(self):
        one = self.started()
        self.assertEqual(one.get("/v1/info").status, 200)
        self.assertIn("whoever reaches this address may do everything", one.said())
        # A web page asks under a name of its own.
        answer = one.request("GET", "/v1/info", headers={"Host": "evil.example"})
        self.assertEqual((answer.status, answer.code), (401, "unauthorized"))

    def test_the_bootstrap_token_is_never_an_argument(self):
        """A9."""
        for said in (self.refused("--bootstrap-token", BOOTSTRAP), self.refused(CONNECTORD_BOOTSTRAP_TOKEN=BOOTSTRAP)):
            self.assertIn("a secret is not given so: name a file with bootstrap_token_file (exposed)", said)
            self.assertNotIn(BOOTSTRAP, said)

    def test_a_bootstrap_token_that_everybody_reads_is_refused(self):
        """A9."""
        for mode in (0o604, 0o644, 0o602):
            said = self.refused("--bootstrap-token-file", str(self.secret_file(BOOTSTRAP, mode)))
            self.assertIn("by everybody", said)
        for text in ("abrupt", BOOTSTRAP + " with blanks", "x" * 300):
            said = self.refused("--bootstrap-token-file", str(self.secret_file(text)))
            self.assertNotIn(text, said)
        self.assertIn("there is no", self.refused("--bootstrap-token-file", str(self.folder / "nowhere")))

    def test_tokens_of_the_command_line(self):
        data = self.folder / "data"
        one = self.started()
        made = run_cli("token", "create", "ci", "run", "1h", data=data)  # beside the running service
        self.assertRegex(made.stdout, r"^connectord_[a-z0-9]{10}_[A-Za-z0-9_-]{43}\n$", made)
        wait_until("the service to close", lambda: one.get("/v1/info").status == 401)
        one.token = made.stdout.strip()
        self.assertEqual(one.get("/v1/info").status, 200)
        listed = run_cli("token", "list", data=data).stdout
        self.assertIn(one.token[11:21], listed)
        self.assertNotIn(one.token, listed)
        self.assertEqual(run_cli("token", "revoke", one.token[11:21], data=data).returncode, 0)
        wait_until("the revocation (A6: at most 5 s)", lambda: one.get("/v1/info").status == 401, timeout=5)
        self.assertIn("revoked", run_cli("token", "list", data=data).stdout)
        for words in (("Bad Name", "run", "1h"), ("ci", "owner", "1h"), ("ci", "run", "0s"), ("ci", "run", "400d"), ("ci", "run", "x")):
            self.assertEqual(run_cli("token", "create", *words, data=data).returncode, 2, words)
        self.assertEqual(run_cli("token", "revoke", "nosuchone", data=data).returncode, 1)
        one.stop()


class Tokens(ServiceTest):
    token = BOOTSTRAP

    def make(self, scope, **more):
        return self.ok(self.service.post("/v1/tokens", {"name": "t", "scope": scope, **more}), 201)

    def asking(self, token):
        return Client(self.service.port, token)

    def test_nobody_gets_past_the_door(self):
        """A2: the same bytes at every closed route, whatever is there; no body is read."""
        bodies = set()
        for method, path, operation in [*operations(), ("GET", "/nowhere", {}), ("POST", "/v1/runs/x/y/z", {})]:
            path = re.sub(r"\{\w+\}", "x", path)
            answer = Client(self.service.port).request(method, path, headers={"Content-Length": "0"})
            if operation.get("x-public"):
                self.assertNotEqual(answer.status, 401, answer)
                continue
            self.assertEqual(answer.status, 401, answer)
            self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
            bodies.add(re.sub(rb'"request_id":"[^"]*"', b"", answer.body))
        self.assertEqual(len(bodies), 1, bodies)
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=60) as s:
            s.sendall(b"POST /v1/sources HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
            self.assertIn(b" 401 ", s.recv(4096).split(b"\r\n")[0])  # and not a byte of the body was sent

    def test_a_scope_opens_what_the_table_says(self):
        """A2, Z3: every route with every scope."""
        tokens = {scope: self.make(scope)["token"] for scope in SCOPES}
        for method, path, operation in operations():
            if operation.get("x-public") or (method, path) in (("DELETE", "/v1/tokens/{token}"), ("POST", "/v1/tokens")):
                continue
            for scope, token in tokens.items():
                answer = self.asking(token).request(method, re.sub(r"\{\w+\}", "7", path), headers={"Content-Length": "0"})
                allowed = SCOPES.index(scope) >= SCOPES.index(operation["x-scope"])
                if allowed:
                    self.assertNotIn(answer.status, (401, 403), (scope, answer))
                else:
                    self.assertEqual((answer.status, answer.code), (403, "insufficient_scope"), (scope, answer))

    def test_headers(self):
        """A5: Bearer, and nothing else."""
        token = self.make("read")["token"]
        basic = base64.b64encode(f"x:{token}".encode()).decode()
        for value in (token, f"Basic {basic}", f"Token {token}", "Bearer", f"Bearer {token}x", f"Bearer x{token}"):
            answer = self.asking(None).request("GET", "/v1/info", headers={"Authorization": value})
            self.assertEqual(answer.status, 401, (value, answer))
        self.assertEqual(self.asking(None).get(f"/v1/info?token={token}").status, 401)
        self.assertEqual(self.asking(None).request("GET", "/v1/info", headers={"Cookie": f"token={token}"}).status, 401)
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=60) as s:
            s.sendall(f"GET /v1/info HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nAuthorization: Bearer x\r\n\r\n".encode())
            self.assertIn(b" 400 ", s.recv(4096).split(b"\r\n")[0])

    def test_whatever_is_wrong_looks_the_same(self):
        """A4: unknown, expired, revoked, wrong."""
        good, revoked = self.make("read"), self.make("read")
        self.ok(self.service.delete(f"/v1/tokens/{revoked['id']}"), 204)
        wrong = good["token"][:-1] + ("A" if good["token"][-1] != "A" else "B")
        said = set()
        for token in (wrong, revoked["token"], "connectord_aaaaaaaaaa_" + "A" * 43, "x"):
            answer = self.asking(token).get("/v1/info")
            self.assertEqual(answer.status, 401, answer)
            said.add(re.sub(rb'"request_id":"[^"]*"', b"", answer.body))
        self.assertEqual(len(said), 1)

    def test_a_token_is_shown_once(self):
        """A7, A3: nowhere in answers, logs or files afterwards."""
        made = self.make("write", expires_in_s=3600)
        self.assertEqual(self.asking(made["token"]).get("/v1/sources").status, 200)
        listed = self.ok(self.service.get("/v1/tokens"))["items"]
        mine = next(t for t in listed if t["id"] == made["id"])
        self.assertEqual(set(mine), {"id", "name", "scope", "created_by", "created_at", "expires_at", "revoked_at", "last_used_on"})
        self.assertEqual(mine["created_by"], "bootstrap")
        self.assertRegex(mine["last_used_on"], r"^\d{4}-\d\d-\d\d$")
        secret = made["token"].split("_", 2)[2].encode()
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(secret, path.read_bytes(), path)
        self.assertNotIn(secret, self.service.get("/v1/tokens").body)

    def test_ends_are_demanded(self):
        """A6: at most a year."""
        self.fails(self.service.post("/v1/tokens", {"name": "t", "scope": "read", "expires_in_s": 10 ** 9}), 422, "validation_failed")
        made = self.make("read")
        days = (time.mktime(time.strptime(made["expires_at"][:10], "%Y-%m-%d")) - time.time()) / 86400
        self.assertTrue(88 < days < 91, days)
        self.fails(self.service.post("/v1/tokens", {"name": "t", "scope": "read"}, idempotency_key="k"), 400, "invalid_header")
        self.fails(self.service.delete("/v1/tokens/nosuchone"), 404, "not_found")

    def test_keys_of_others_are_others(self):
        one, two = (self.asking(self.make("write")["token"]) for _ in range(2))
        body = {"name": self.name, "connector": "sample", "config": {}}
        self.assertEqual(one.request("POST", "/v1/sources", body, headers={"Idempotency-Key": "same"}).status, 201)
        self.assertEqual(one.request("POST", "/v1/sources", body, headers={"Idempotency-Key": "same"}).headers["Idempotency-Replayed"], "true")
        self.assertEqual(two.request("POST", "/v1/sources", body, headers={"Idempotency-Key": "same"}).status, 409)

    def test_who_may_not_write_sees_no_configuration(self):
        """Z3."""
        self.source("sample", rows=3)
        self.destination("sqlite")
        for scope in SCOPES:
            client = self.asking(self.make(scope)["token"])
            for path in (f"/v1/sources/{self.name}", f"/v1/destinations/{self.name}"):
                got = client.get(path).json()
                listed = next(r for r in client.get(path.rsplit("/", 1)[0]).json()["items"] if r["name"] == self.name)
                for r in (got, listed):
                    self.assertEqual(r["config"] is not None, scope in ("write", "admin"), (scope, r))
                    self.assertEqual(r["secrets"] is not None, scope in ("write", "admin"), (scope, r))


class Failures(ServiceTest):
    """A8."""
    token = BOOTSTRAP
    arguments = ("--trusted-proxies", "127.0.0.0/8")

    def wrong(self, source, token="connectord_aaaaaaaaaa_" + "A" * 43):
        return Client(self.service.port, token).request("GET", "/v1/info", headers={"X-Forwarded-For": source})

    def test_a_source_that_fails_too_often_waits(self):
        for _ in range(10):
            self.assertEqual(self.wrong("192.0.2.1").status, 401)
        answer = self.wrong("192.0.2.1")
        self.assertEqual((answer.status, answer.code), (429, "rate_limited"))
        self.assertEqual(answer.headers["Retry-After"], "60")
        self.assertEqual(self.wrong("9.9.9.9, 192.0.2.1").status, 429)  # what a client adds itself is worth nothing
        self.assertEqual(self.wrong("192.0.2.2").status, 401)
        self.assertEqual(self.wrong("192.0.2.1", BOOTSTRAP).status, 200)  # nobody is locked out by a neighbour
        said = [json.loads(line) for line in self.service.said().splitlines() if "a token was refused" in line]
        self.assertTrue(any(l["tags"]["token_id"] == "aaaaaaaaaa" and l["tags"]["source"] == "192.0.2.1" for l in said), said)
        self.assertNotIn("A" * 43, self.service.said())


if __name__ == "__main__":
    service.main()
