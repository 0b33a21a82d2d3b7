#!/usr/bin/env python3
"""Secrets at rest and on their way: sealed, bound to where they may go, referred to, gone when deleted."""
import json
import pathlib
import sqlite3
import stat
import tempfile
import unittest

import service
from service import Service, ServiceTest
from test_identity import run_cli

PASSWORD = "canary-pa55-word/of:the test"
BINDING = {"host": "elsewhere.example", "port": 6543, "database": "other", "username": "other", "ssl_mode": "disable",
           "ssl_root_cert": "/etc/ssl/certs/other.pem"}


def postgres(**more):
    return {"host": "db.example", "database": "shop", "username": "reader", "password": PASSWORD, **more}


class Bound(ServiceTest):
    environment = {"CANARY_VARIABLE": PASSWORD, "CANARY_SHORT": "abc"}

    @classmethod
    def setUpClass(cls):
        cls.outside = pathlib.Path(tempfile.mkdtemp(prefix="connectord-it-"))
        (cls.outside / "listed").write_text(PASSWORD + "\n")
        (cls.outside / "other").write_text(PASSWORD + "\n")
        cls.arguments = ("--secret-references", f"env:CANARY_VARIABLE,env:CANARY_SHORT,env:CANARY_MISSING,file:{cls.outside / 'listed'}",
                         "--egress-deny", "127.0.0.1")
        super().setUpClass()

    def put(self, config, name=None):
        return self.service.put(f"/v1/sources/{name or self.name}", {"connector": "postgres", "config": config})

    def test_a_secret_goes_nowhere_else(self):
        """S4: every setting that says where it goes, one at a time."""
        self.assertEqual(self.put(postgres()).status, 201)
        kept = postgres()
        del kept["password"]
        self.assertEqual(self.put(kept).status, 200)
        for field, value in BINDING.items():
            answer = self.put({**kept, field: value})
            self.fails(answer, 422, "secret_required")
            self.assertEqual(answer.pointers.get("/config/password"), "secret_required", answer)
            self.fails(self.service.patch(f"/v1/sources/{self.name}", {"config": {field: value}}), 422, "secret_required")
            self.assertEqual(self.put(postgres(**{field: value})).status, 200, field)
            self.assertEqual(self.put(postgres()).status, 200)

    def test_what_is_told_of_a_secret(self):
        """S3, S6."""
        answer = self.put(postgres())
        first = answer.json()["secrets"]["/password"]
        self.assertEqual((first["set"], first["ref"]), (True, None))
        self.assertRegex(first["fingerprint"], "^[0-9a-f]{12}$")
        self.assertNotIn("password", answer.json()["config"])
        again = self.put(postgres()).json()
        self.assertEqual((again["revision"], again["secrets"]["/password"]), (1, first))  # nothing has changed
        other = self.put(postgres(password="another-password")).json()
        self.assertNotEqual(other["secrets"]["/password"]["fingerprint"], first["fingerprint"])
        removed = self.put(postgres(password=None)).json()["secrets"]["/password"]
        self.assertEqual(removed, {"set": False, "updated_at": None, "ref": None, "fingerprint": None})

    def test_short_secrets_are_refused(self):
        """S7: what could not be kept out of logs."""
        answer = self.put(postgres(password="12345"))
        self.assertEqual(answer.pointers.get("/config/password"), "secret_too_short", answer)
        self.assertNotIn("12345", answer.text)
        self.assertEqual(self.put(postgres(password="123456")).status, 201)

    def test_references(self):
        """S5: only what the operator has listed, and only as a whole value."""
        listed = f"${{file:{self.outside / 'listed'}}}"
        for ref in ("${env:CANARY_VARIABLE}", listed):
            made = self.put(postgres(password=ref))
            self.assertIn(made.status, (200, 201), made)
            self.assertEqual(made.json()["secrets"]["/password"]["ref"], ref)
            self.assertNotIn(PASSWORD, made.text)
        for ref in ("${env:HOME}", "${env:PATH}", "${file:/etc/passwd}", f"${{file:{self.outside / 'other'}}}"):
            answer = self.put(postgres(password=ref))
            self.fails(answer, 422, "unresolved_reference")
            self.assertEqual(answer.pointers.get("/config/password"), "unresolved_reference", answer)
        self.assertEqual(self.put(postgres(password="x${env:HOME}")).json()["secrets"]["/password"]["ref"], None)  # a password
        for ref in ("${env:CANARY_MISSING}", "${env:CANARY_SHORT}"):
            self.assertEqual(self.put(postgres(password=ref)).status, 200)
            result = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
            self.assertEqual(result["error"]["code"], "unresolved_reference", result)
            self.assertNotIn("abc", json.dumps(result["error"]))

    def test_what_looks_sealed_is_refused(self):
        """S1: nobody hands us a sealed value."""
        answer = self.put(postgres(password={"$sealed": "v1.00000000.AAAA"}))
        self.assertEqual(answer.status, 422, answer)

    def test_nothing_is_in_the_open(self):
        """S1, S6: not in the files, not for a check, an ad-hoc run or a stored one."""
        self.assertEqual(self.put(postgres(host="127.0.0.1", port=1)).status, 201)
        self.service.post(f"/v1/sources/{self.name}/check")
        self.service.post("/v1/check", {"kind": "source", "connector": "postgres", "config": postgres(host="127.0.0.1", port=1)})
        self.service.post("/v1/sources?check=true", {"name": self.name + "-2", "connector": "postgres",
                                                     "config": postgres(host="127.0.0.1", port=1)})
        self.destination("sqlite")
        answer = self.service.post("/v1/runs?wait=50", {
            "source": {"connector": "postgres", "config": postgres(host="127.0.0.1", port=1)}, "destination": self.name})
        run = self.finished(self.ok(answer, 201))
        self.assertEqual(run["status"], "failed")
        self.service.post(f"/v1/runs/{run['id']}/retry", {"streams": "all"})
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(PASSWORD.encode(), path.read_bytes(), path)

    def test_deleting_deletes(self):
        """S10: not even the sealed value is left in the files."""
        self.assertEqual(self.put(postgres()).status, 201)
        store = self.folder / "data" / "connectord.db"
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
            config = json.loads(db.execute("select config from resources where name = ?", (self.name,)).fetchone()[0])
        sealed = config["password"]["$sealed"].encode()
        self.ok(self.service.delete(f"/v1/sources/{self.name}"), 204)
        for path in store.parent.glob("connectord.db*"):
            self.assertNotIn(sealed, path.read_bytes(), path)


class KeyRing(unittest.TestCase):
    """S2: the ring and the store belong together."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="connectord-it-")))
        self.data = self.folder / "data"
        self.ring = self.data / "keyring.json"

    def started(self, *arguments):
        one = Service(self.folder, *arguments)
        self.addCleanup(lambda: one.alive() and one.kill())
        return one.start()

    def with_a_secret(self, *arguments):
        one = self.started(*arguments)
        answer = one.put("/v1/sources/a", {"connector": "postgres", "config": postgres()})
        self.assertEqual(answer.status, 201, answer)
        one.stop()

    def refused(self, word, *arguments):
        done = run_cli("serve", "--listen", "127.0.0.1:0", *arguments, data=self.data)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn(word, done.stderr)
        self.assertNotIn("serving", done.stdout)

    def test_a_ring_is_made_where_none_was_asked_for(self):
        self.with_a_secret()
        self.assertEqual(stat.S_IMODE(self.ring.stat().st_mode), 0o600)
        self.assertIn("the key ring lies on the volume of the store", (self.folder / "stdout").read_text())

    def test_a_wrong_ring_is_noticed_at_the_start(self):
        self.with_a_secret()
        kept = self.ring.read_bytes()
        self.ring.unlink()
        self.refused("sealed under it")
        self.assertFalse(self.ring.exists())  # none is made over what is lost
        self.assertEqual(run_cli("keys", "create", data=self.data).returncode, 0)
        self.refused("not the one of this store")
        self.ring.write_bytes(kept.replace(b'"pepper": "', b'"pepper": "A', 1))
        self.assertEqual(run_cli("serve", data=self.data).returncode, 1)
        self.ring.write_bytes(kept)
        self.ring.chmod(0o644)
        done = run_cli("serve", data=self.data)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("by everybody", done.stderr)
        self.ring.chmod(0o600)
        self.started().stop()

    def test_a_ring_that_was_asked_for_is_not_made(self):
        elsewhere = self.folder / "keys.json"
        self.refused("keys create", "--key-file", str(elsewhere))
        self.assertEqual(run_cli("keys", "create", "--key-file", elsewhere, data=self.data).returncode, 0)
        self.assertEqual(run_cli("keys", "create", "--key-file", elsewhere, data=self.data).returncode, 1)
        self.with_a_secret("--key-file", str(elsewhere))
        self.assertFalse(self.ring.exists())

    def test_rotation(self):
        self.with_a_secret()
        old = self.ring.read_bytes()
        first = run_cli("keys", "list", data=self.data).stdout
        done = run_cli("keys", "rotate", data=self.data)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("1 sealed again", done.stdout)
        second = run_cli("keys", "list", data=self.data).stdout
        self.assertNotEqual(first, second)
        self.assertEqual(len(second.splitlines()), 1)
        one = self.started()
        self.assertEqual(one.get("/v1/sources/a").json()["secrets"]["/password"]["set"], True)
        self.assertEqual(one.patch("/v1/sources/a", {"config": {"schemas": ["public"]}}).status, 200)  # it opens
        self.assertEqual(run_cli("keys", "rotate", data=self.data).returncode, 4)  # not beside the service
        one.stop()
        self.ring.write_bytes(old)
        self.refused("not the one of this store")

    def test_what_an_older_version_left_in_the_open_is_sealed(self):
        self.with_a_secret()
        store = self.data / "connectord.db"
        with sqlite3.connect(store) as db:
            db.execute("update resources set config = ?", (json.dumps(postgres()),))
            db.execute("delete from key_checks")
        db.close()
        one = self.started()
        self.assertEqual(one.get("/v1/sources/a").json()["secrets"]["/password"]["set"], True)
        for path in self.data.glob("connectord.db*"):
            self.assertNotIn(PASSWORD.encode(), path.read_bytes(), path)
        one.stop()


if __name__ == "__main__":
    service.main()
