#!/usr/bin/env python3
"""SIGHUP: what may change while the service runs is read, judged and taken over at once (F17)."""
import json
import pathlib
import re
import shutil
import signal
import subprocess

import service
from lifecycle_case import Lifecycle
from service import BINARY, Client, Service, wait_until

TOKENS = "first-0123456789abcdef0123456789", "second-0123456789abcdef0123456789"
SECRET = "correct-horse-battery"


class Reload(Lifecycle):
    def test_what_can_change_changes_and_the_rest_is_named(self):
        self.write(log_level="info", workers=3)
        s = self.start("--config", str(self.settings))
        s.get("/livez", x_request_id="before")
        wait_until("the line", lambda: self.said("request", request_id="before"))
        self.write(log_level="warn", workers=5)
        self.hup(s, "a changed setting needs a restart")
        wait_until("the level", lambda: self.said("setting reloaded", setting="log_level"))
        self.assertEqual([line["tags"]["setting"] for line in self.said("a changed setting needs a restart")], ["workers"])
        self.assertEqual(s.get("/v1/info").json()["limits"]["workers"], 3)
        # A line of the same connection says when the reload is over: above the level there is none.
        self.assertEqual(self.said("reloaded"), [])
        s.get("/livez", x_request_id="after")
        self.write(log_level="info", workers=3)
        self.hup(s, "reloaded")
        s.get("/livez", x_request_id="again")
        wait_until("the line", lambda: self.said("request", request_id="again"))
        self.assertEqual(self.said("request", request_id="after"), [])
        s.stop()

    def test_with_a_mistake_nothing_changes_and_all_are_named(self):
        self.write(log_level="info")
        s = self.start("--config", str(self.settings))
        self.write(log_level="loud", workers=0, wrokers=1)
        self.hup(s, "a setting is wrong, nothing was reloaded")
        wait_until("all", lambda: len(self.said("a setting is wrong, nothing was reloaded")) == 3)
        where = {line["tags"]["where"].split(": ")[1] for line in self.said("a setting is wrong, nothing was reloaded")}
        self.assertEqual(where, {"/log_level", "/workers", "/wrokers"})
        self.settings.unlink()
        s.process.send_signal(signal.SIGHUP)
        wait_until("the missing file", lambda: self.said("a setting is wrong, nothing was reloaded", code="unreadable"))
        self.assertEqual(s.get("/readyz").status, 200)
        s.stop()

    def test_settings_that_are_no_default_are_logged_at_start(self):
        self.write(workers=3)
        s = self.start("--config", str(self.settings), CONNECTORD_SHORT_WORKERS="5")
        found = {line["tags"]["name"]: (line["tags"]["value"], line["tags"]["origin"]) for line in self.said("setting")}
        self.assertEqual(found["workers"], ("3", f"file {self.settings}: /workers"))
        self.assertEqual(found["short_workers"], ("5", "environment CONNECTORD_SHORT_WORKERS"))
        self.assertNotIn("max_connections", found)
        s.stop()

    def test_where_connectors_may_connect_to(self):
        self.write(egress_deny=["127.0.0.0/8"])
        s = self.start("--config", str(self.settings))
        ask = lambda: s.post("/v1/check", {"kind": "source", "connector": "postgres", "config": {  # noqa: E731
            "host": "127.0.0.1", "port": 9, "database": "x", "username": "x", "password": "some-password"}}).json()
        self.assertEqual(ask()["error"]["code"], "egress_denied")
        self.write()
        self.hup(s, "reloaded")
        self.assertNotEqual(ask()["error"]["code"], "egress_denied")
        self.write(egress_allow=["192.0.2.0/24"])
        self.hup(s, "reloaded")
        self.assertEqual(ask()["error"]["code"], "egress_denied")
        self.assertEqual([line["tags"]["setting"] for line in self.said("setting reloaded")], ["egress_deny", "egress_allow"])
        s.stop()

    def token_file(self, text):
        path = self.folder / "token"
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    def asks(self, s, token, **headers):
        return Client(s.port, token).get("/v1/info", **headers).status

    def test_the_token_file(self):
        s = self.start("--bootstrap-token-file", self.token_file(TOKENS[0]))
        self.assertEqual((self.asks(s, TOKENS[0]), self.asks(s, TOKENS[1])), (200, 401))
        self.token_file(TOKENS[1])
        self.hup(s, "reloaded")
        self.assertEqual((self.asks(s, TOKENS[0]), self.asks(s, TOKENS[1])), (401, 200))
        self.assertEqual(len(self.said("setting reloaded", setting="bootstrap_token")), 1)
        # One that is none leaves everything as it was.
        for text, code in (("short", "too_short"), ("with blanks 0123456789abcdef0123456789", "invalid")):
            self.token_file(text)
            self.hup(s, "a setting is wrong, nothing was reloaded")
            self.assertEqual(self.said("a setting is wrong, nothing was reloaded")[-1]["tags"]["code"], code)
            self.assertEqual(self.asks(s, TOKENS[1]), 200)
        (self.folder / "token").unlink()
        self.hup(s, "a setting is wrong, nothing was reloaded")
        self.assertEqual(self.asks(s, TOKENS[1]), 200)
        self.assertFalse([line for line in self.lines() if any(t in json.dumps(line) for t in TOKENS)])
        s.stop()

    def test_an_address_of_others_is_not_left_open(self):
        """The last token may not go while others reach the service."""
        self.write(bootstrap_token_file=self.token_file(TOKENS[0]), admin_listen="0.0.0.0:0")
        s = Service(self.folder, "--config", str(self.settings))
        s.is_ready = lambda: pathlib.Path(self.folder / "stdout").exists() and self.said("serving")
        s.start()
        self.addCleanup(lambda: s.alive() and s.kill())
        self.write(admin_listen="0.0.0.0:0")
        self.hup(s, "a setting is wrong, nothing was reloaded")
        self.assertEqual(self.said("a setting is wrong, nothing was reloaded")[-1]["tags"]["code"], "token_required")
        self.assertEqual(self.asks(s, None), 401)
        self.assertEqual(self.asks(s, TOKENS[0]), 200)
        s.stop()

    def test_trusted_proxies(self):
        """Wrong tokens are counted against whom a trusted proxy names."""
        self.write(trusted_proxies=["192.0.2.0/24"], bootstrap_token_file=self.token_file(TOKENS[0]))
        s = self.start("--config", str(self.settings))
        self.assertEqual(self.asks(s, "wrong", x_forwarded_for="203.0.113.1"), 401)
        wait_until("the line", lambda: self.said("a token was refused", source="127.0.0.1"))
        self.write(trusted_proxies=["127.0.0.1"], bootstrap_token_file=self.token_file(TOKENS[0]))
        self.hup(s, "reloaded")
        self.assertEqual(self.asks(s, "wrong", x_forwarded_for="203.0.113.1"), 401)
        wait_until("the line", lambda: self.said("a token was refused", source="203.0.113.1"))
        s.stop()

    def sealed_under(self, s):
        """The ids of the keys of what the store holds."""
        return set(re.findall(rb"v1\.([0-9a-f]{8})\.", b"".join(p.read_bytes() for p in (self.folder / "data").glob("connectord.db*"))))

    def put(self, s, name):
        answer = s.put(f"/v1/sources/{name}", {"connector": "postgres", "config": {
            "host": "127.0.0.1", "port": 9, "database": "x", "username": "x", "password": SECRET}})
        self.assertIn(answer.status, (200, 201), answer)

    def check_opens(self, s, name):
        """The value was unsealed: what fails is the connection."""
        error = s.post(f"/v1/sources/{name}/check").json()["error"]
        self.assertNotIn(error["code"], ("unseal_failed", "key_missing"))

    def test_the_key_ring(self):
        ring = self.folder / "ring.json"
        subprocess.run([BINARY, "keys", "create", "--key-file", ring], check=True, capture_output=True)
        s = self.start("--key-file", str(ring))
        self.put(s, "before")
        keys = json.loads(ring.read_text())
        old = keys["active"]
        # A second key, which becomes the active one.
        keys["keys"].append({"id": "00112233", "key": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="})
        keys["active"] = "00112233"
        ring.write_text(json.dumps(keys))
        self.hup(s, "reloaded")
        self.put(s, "after")
        self.assertEqual(self.sealed_under(s), {old.encode(), b"00112233"})
        self.check_opens(s, "before")
        self.check_opens(s, "after")
        # Both are needed from now on: a ring that lacks one is refused, and the other stays.
        for lost in (old, "00112233"):
            left = [k for k in keys["keys"] if k["id"] != lost]
            ring.write_text(json.dumps({**keys, "active": left[0]["id"], "keys": left}))
            self.hup(s, "a setting is wrong, nothing was reloaded")
            self.assertEqual(self.said("a setting is wrong, nothing was reloaded")[-1]["tags"]["code"], "keyring_mismatch")
        ring.write_text("{")
        self.hup(s, "a setting is wrong, nothing was reloaded")
        self.assertEqual(self.said("a setting is wrong, nothing was reloaded")[-1]["tags"]["code"], "keyring_malformed")
        self.check_opens(s, "before")
        self.check_opens(s, "after")
        s.stop()
        ring.write_text(json.dumps(keys))
        again = self.start("--key-file", str(ring))
        self.check_opens(again, "before")
        self.check_opens(again, "after")
        again.stop()

    def test_one_mistake_holds_back_all(self):
        """What was right in a reload that fails is not taken over either."""
        ring = self.folder / "data" / "keyring.json"
        self.write(log_level="info", bootstrap_token_file=self.token_file(TOKENS[0]))
        s = self.start("--config", str(self.settings))
        shutil.move(ring, self.folder / "elsewhere")
        self.token_file(TOKENS[1])
        self.write(log_level="error", bootstrap_token_file=str(self.folder / "token"), egress_deny=["127.0.0.0/8"])
        self.hup(s, "a setting is wrong, nothing was reloaded")
        self.assertEqual((self.asks(s, TOKENS[0], x_request_id="after"), self.asks(s, TOKENS[1])), (200, 401))
        wait_until("a line of the old level", lambda: self.said("request", request_id="after"))
        shutil.move(self.folder / "elsewhere", ring)
        s.process.send_signal(signal.SIGHUP)
        wait_until("the new token", lambda: self.asks(s, TOKENS[1]) == 200)
        s.stop()


if __name__ == "__main__":
    service.main()
