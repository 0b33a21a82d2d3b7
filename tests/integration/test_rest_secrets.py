#!/usr/bin/env python3
"""Documents that are not valid, records that lack what is needed, and secrets, which nobody gets to see."""
import base64
import contextlib
import json
import sqlite3
import subprocess
import time
import urllib.parse

import rest_case
from rest_case import SECRET, Reply, RestTest, items, reply

SCHEMA = {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}


class BadDocuments(RestTest):
    def test_all_mistakes_at_once(self):
        document = {
            "client": {"base_url": "{{ vars.nowhere", "auth": {"type": "bearer"}, "retry": {"tries": 0}, "colour": "red"},
            "streams": [
                {"name": "a", "paginate": {"type": "cursor"}, "records": {"path": "data["}},
                {"name": "a", "key": ["id"], "params": {"x": "{{ parent.id }}", "y": "{{ slice.k | shout }}"}},
                {"name": "b", "for_each": {"stream": "c", "fields": {"id": "id"}}},
                {"name": "c", "for_each": {"stream": "b", "fields": {"id": "id"}},
                 "incremental": {"field": "at", "start": "2024-01-01", "window": "a while"}},
                {"name": "d", "errors": [{"when": {"body": "ok = = 1"}, "do": "panic"}]}]}
        answer = self.service.put(f"/v1/sources/{self.name}", {"connector": "rest", "config": {"document": document}})
        self.assertEqual(answer.status, 422, answer)
        found = answer.pointers
        at = "/config/document"
        for pointer in ("/client/base_url", "/client/auth/token", "/client/retry/tries", "/client/colour",
                        "/streams/0/paginate/path", "/streams/0/paginate/param", "/streams/0/records/path",
                        "/streams/1/name", "/streams/1/params/y", "/streams/3/incremental/window",
                        "/streams/4/errors/0/do", "/streams/4/errors/0/when/body"):
            self.assertIn(at + pointer, found, json.dumps(found, indent=1))
        self.assertIn("cycle", found.values(), found)

    def test_missing_field_names_stream_page_path_and_record(self):
        """What came before it is there."""
        pages = [items(1, 3, at="2024-01-01T00:00:00Z", owner={"id": 1}), items(4, 6, at="2024-01-02T00:00:00Z", owner={"id": 2})]
        del pages[1][1]["owner"]
        self.api.on("/items", lambda r: reply({"data": (pages + [[]])[int(r.query["page"]) - 1]}))
        self.dedup(self.stream(paginate={"type": "page"}, add={"owner_id": "{{ record.owner.id }}"}, schema={
            "properties": {**SCHEMA["properties"], "owner_id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}},
            incremental={"field": "at", "start": "2024-01-01T00:00:00Z", "order": "asc"}))
        message = self.failure("template_missing")["message"]
        for word in ('stream "items"', "page 2", "record.owner.id", "record 2"):
            self.assertIn(word, message)
        self.assertLessEqual({1, 2, 3}, set(self.ids()))
        pages[1][1]["owner"] = {"id": 3}
        self.run_it()
        self.assertEqual(self.ids(), list(range(1, 7)))

    def test_a_record_that_is_no_json(self):
        self.api.on("/items", lambda r: Reply('{"data":[{"id":1},{"id":01}]}', headers={"Content-Type": "application/json"}))
        self.rest(self.stream(schema=SCHEMA))
        run = self.run_it()
        self.assertEqual((self.ids(), run["stats"]["records_rejected"]), ([1], 1))  # it is kept apart, with the reason


class Secrets(RestTest):
    """S6, S7, G3: grep for them in the data directory, its store and logs, and in answers."""

    def setUp(self):
        super().setUp()
        self.answers = []
        client = self.service
        request = client.request

        def kept(*a, **k):
            answer = request(*a, **k)
            self.answers.append(answer.body)
            return answer
        client.request = kept
        self.addCleanup(setattr, client, "request", request)

    def forms(self, secret):
        raw = secret.encode()
        return {raw, urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode(),
                base64.b64encode(raw), base64.b64encode(b"user:" + raw), json.dumps(secret)[1:-1].encode()}

    def kept(self):
        """All cells of the service's own database."""
        store = sqlite3.connect(f"file:{self.folder / 'data' / 'connectord.db'}?mode=ro", uri=True)
        with contextlib.closing(store):
            store.text_factory = bytes
            tables = [r[0].decode() for r in store.execute("select name from sqlite_master where type = 'table'")]
            self.assertIn("runs", tables)
            for table in tables:
                rows = store.execute(f'select * from "{table}"')
                names = [d[0] for d in rows.description]
                for row in rows:
                    for name, cell in zip(names, row):
                        if isinstance(cell, bytes):
                            yield f"{table}.{name}", cell

    def grep(self, *secrets):
        """Nothing that the service wrote or said holds one of them."""
        self.service.get(f"/v1/sources/{self.name}")
        for run in self.service.get(f"/v1/connections/{self.name}/runs").json()["items"]:
            self.service.get(f"/v1/runs/{run['id']}")
            self.service.get(f"/v1/runs/{run['id']}/logs")
        self.service.get(f"/v1/connections/{self.name}/state")
        texts = [("an answer", body) for body in self.answers] + list(self.kept())
        for path in self.folder.rglob("*"):
            if path.is_file():
                texts.append((str(path), path.read_bytes()))
        self.assertTrue(any("stderr" in where or "stdout" in where for where, _ in texts))
        for secret in secrets:
            for form in self.forms(secret):
                for where, text in texts:
                    at = text.find(form)
                    self.assertEqual(at, -1, f"{form!r} in {where}: {text[max(0, at - 200):at + 100]!r}")

    def every_way_to_fail(self, **client):
        echo = lambda r: reply({"error": f"you said {r.target} and {dict(r.headers)}"}, status=400)  # noqa: E731
        faults = (Reply(reset=True), reply({}, status=500), Reply(b"not json"), echo, reply({}, status=401),
                  reply({}, status=302, headers={"Location": "http://localhost:1/"}), reply({"data": items(1, 2)}))
        for k, fault in enumerate(faults):
            with self.subTest(fault=k):
                self.anew(f"{self.name[:30].rstrip('-')}-{k}")
                self.api.queue("/items", fault)
                self.rest(self.stream(schema=SCHEMA), retry={"tries": 2}, **client)
                self.service.post(f"/v1/sources/{self.name}/check")
                self.service.post(f"/v1/sources/{self.name}/discover")
                run = self.finished(self.ok(self.service.post(f"/v1/connections/{self.name}/runs?wait=55"), 201))
                self.assertEqual(run["status"], "succeeded" if fault is faults[-1] else "failed", run)
        self.grep(*client["secrets"].values())

    def test_bearer(self):
        self.every_way_to_fail(secrets={"key": SECRET}, auth={"type": "bearer", "token": "{{ secret.key }}"})
        self.assertIn(f"Bearer {SECRET}", self.api.asked("/items")[-1].headers["Authorization"])

    def test_api_key_in_the_query(self):
        self.every_way_to_fail(secrets={"key": SECRET}, auth={"type": "api_key", "in": "query", "name": "key", "value": "{{ secret.key }}"})
        self.assertEqual(self.api.asked("/items")[-1].query["key"], SECRET)

    def test_basic(self):
        self.every_way_to_fail(secrets={"key": SECRET}, auth={"type": "basic", "username": "user", "password": "{{ secret.key }}"})

    def test_in_a_parameter_and_a_path(self):
        self.every_way_to_fail(secrets={"key": SECRET}, params={"k": "x{{ secret.key }}y"})

    # ------------------------------------------------------------------- tokens

    def oauth(self, **more):
        return {"type": "oauth2", "token_url": f"{self.api.url}/token", "client_id": "client",
                "client_secret": "{{ secret.client }}", **more}

    def test_refresh_token_is_rotated(self):
        """T33: each refresh token is good once; the one that was given last is used."""
        given = {"n": 0, "valid": SECRET}
        tokens = []

        def token(request):
            if request.form["refresh_token"] != given["valid"]:
                return reply({"error": "invalid_grant"}, status=400)
            given["n"] += 1
            given["valid"] = f"rotated-refresh-{given['n']}"
            tokens.append(f"access-token-{given['n']}")
            return reply({"access_token": tokens[-1], "expires_in": 3600, "refresh_token": given["valid"]})

        def data(request):
            page = int(request.query["page"])
            if request.headers["Authorization"] != f"Bearer {tokens[-1]}" or (page == 3 and given["n"] < 2):
                return reply({}, status=401)
            return reply({"data": items(3 * page - 2, 3 * page) if page < 5 else []})
        self.api.on("/token", token).on("/items", data)
        secrets = {"refresh": SECRET, "client": "client-s3cret"}
        self.rest(self.stream(schema=SCHEMA, paginate={"type": "page"}), secrets=secrets,
                  auth=self.oauth(grant="refresh_token", refresh_token="{{ secret.refresh }}"))
        self.run_it()
        self.assertEqual(self.ids(), list(range(1, 13)))
        self.assertEqual([r.form["refresh_token"] for r in self.api.asked("/token")], [SECRET, "rotated-refresh-1"])
        self.grep(SECRET, "client-s3cret", *tokens, "rotated-refresh-1")

    def rotating(self):
        """Each refresh token is good until the one that came for it was used: a grace that most services give."""
        self.good, self.given = [SECRET], 0

        def token(request):
            asked = request.form["refresh_token"]
            if asked not in self.good:
                return reply({"error": "invalid_grant"}, status=400)
            self.given += 1
            self.good = [asked, f"rotated-refresh-{self.given}"]
            return reply({"access_token": f"access-token-{self.given}", "expires_in": 3600, "refresh_token": self.good[1]})
        self.api.on("/token", token)
        for name in ("items", "others"):
            self.api.on(f"/{name}", lambda r: reply({"data": items(1, 3)}))

    def refreshing(self, *streams, **more):
        self.rest(*streams, secrets={"refresh": SECRET, "client": "client-s3cret"},
                  auth=self.oauth(grant="refresh_token", refresh_token="{{ secret.refresh }}"), **more)

    def test_a_rotated_refresh_token_is_there_for_the_next_run(self):
        """T33: the store has it before it is used."""
        self.rotating()
        self.refreshing(self.stream(schema=SCHEMA))
        for n in range(1, 4):
            self.run_it()
            self.assertEqual(self.api.asked("/token")[-1].form["refresh_token"], SECRET if n == 1 else f"rotated-refresh-{n - 1}")
        self.assertIsNone(self.ok(self.service.post(f"/v1/sources/{self.name}/check"))["error"])
        self.assertEqual(self.api.asked("/token")[-1].form["refresh_token"], "rotated-refresh-3")
        self.grep(SECRET, *(f"rotated-refresh-{n}" for n in range(1, 5)))

    def test_readers_beside_each_other_exchange_one_after_the_other(self):
        self.rotating()
        self.refreshing(self.stream(schema=SCHEMA), self.stream("others", schema=SCHEMA),
                        run_policy={"max_attempts": 1, "parallel_streams": 2})
        self.run_it()
        asked = [r.form["refresh_token"] for r in self.api.asked("/token")]
        self.assertEqual(asked, [SECRET, "rotated-refresh-1"][:len(asked)])
        self.run_it()
        self.assertEqual(len(set(r.form["refresh_token"] for r in self.api.asked("/token"))), len(self.api.asked("/token")))

    def test_a_token_of_the_user_is_not_written_over(self):
        """Who gives a new refresh token while a run exchanges the old one means the new one."""
        self.rotating()
        self.refreshing(self.stream(schema=SCHEMA))
        given = self.api.handlers["/token"]

        def meanwhile(request):
            config = {"document": self.document([self.stream(schema=SCHEMA)], secrets=["refresh", "client"], auth=self.oauth(
                grant="refresh_token", refresh_token="{{ secret.refresh }}")), "secrets": {"refresh": "of-the-user", "client": "client-s3cret"}}
            self.service.put(f"/v1/sources/{self.name}", {"connector": "rest", "config": config})
            return given(request)
        self.api.queue("/token", meanwhile, given)
        self.run_it()
        self.good.append("of-the-user")
        self.run_it()
        self.assertEqual(self.api.asked("/token")[-1].form["refresh_token"], "of-the-user")

    def test_a_sample_shows_what_was_asked(self):
        self.api.on("/items", lambda r: reply({"data": items(1, 3) if r.query["page"] == "1" else []}))
        self.rest(self.stream(schema=SCHEMA, paginate={"type": "page"}), secrets={"key": SECRET},
                  auth={"type": "api_key", "in": "query", "name": "key", "value": "{{ secret.key }}"})
        sample = self.ok(self.service.post(f"/v1/sources/{self.name}/sample", {"stream": "items", "limit": 10}))
        self.assertEqual([(r["method"], r["status"], r["records"]) for r in sample["requests"]], [("GET", 200, 3), ("GET", 200, 0)])
        self.assertEqual(sample["requests"][0]["url"], f"{self.api.url}/items?page=1&key=***")
        self.grep(SECRET)

    def test_a_sample_asks_for_no_more_pages_than_it_shows(self):
        """But for the one that was asked for ahead."""
        self.api.on("/items", lambda r: reply({"data": items(100 * int(r.query["page"]) - 99, 100 * int(r.query["page"]))}))
        self.rest(self.stream(schema=SCHEMA, paginate={"type": "page"}))
        sample = self.ok(self.service.post(f"/v1/sources/{self.name}/sample", {"stream": "items", "limit": 3}))
        self.assertEqual((len(sample["records"]), sample["truncated"]), (3, True))
        self.assertLessEqual(len(self.api.asked("/items")), 2)

    def test_a_token_that_expires_in_mid_stream(self):
        """T30: one refresh, one more try of that page, no row twice."""
        good = {"token": 1}
        self.api.on("/token", lambda r: reply({"access_token": f"token-number-{good['token']}", "expires_in": 3600}))

        def data(request):
            page = int(request.query["page"])
            if page == 3 and good["token"] == 1:
                good["token"] = 2
            if request.headers["Authorization"] != f"Bearer token-number-{good['token']}":
                return reply({"error": "expired"}, status=401)
            return reply({"data": items(3 * page - 2, 3 * page) if page < 5 else []})
        self.api.on("/items", data)
        self.rest(self.stream(schema=SCHEMA, paginate={"type": "page"}), secrets={"client": "client-s3cret"}, auth=self.oauth())
        self.run_it()
        self.assertEqual(self.ids(), list(range(1, 13)))
        self.assertEqual(len(self.api.asked("/token")), 2)
        self.grep("client-s3cret", "token-number-1", "token-number-2")

    def test_an_assertion_signed_with_a_key(self):
        """Whoever has the public key can see who asks, for whom, and until when."""
        key, public = self.folder / "key.pem", self.folder / "public.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
        pem = key.read_text()
        key.unlink()
        self.api.on("/token", lambda r: reply({"access_token": "access-by-key", "expires_in": 3600}))
        self.api.on("/items", lambda r: reply({"data": items(1, 3)} if r.headers["Authorization"] == "Bearer access-by-key" else {}, status=200))
        self.rest(self.stream(schema=SCHEMA), secrets={"pem": pem},
                  auth={"type": "oauth2", "grant": "jwt_bearer", "token_url": f"{self.api.url}/token", "client_id": "3MVG9", "key_id": "k1",
                        "username": "ada@example.com", "audience": "https://login.example.com", "private_key": "{{ secret.pem }}"})
        self.run_it()
        self.assertEqual(self.ids(), [1, 2, 3])
        form = self.api.asked("/token")[0].form
        self.assertEqual(set(form), {"grant_type", "assertion"})
        self.assertEqual(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer")
        head, claims, signature = form["assertion"].split(".")
        plain = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))  # noqa: E731
        self.assertEqual(json.loads(plain(head)), {"alg": "RS256", "typ": "JWT", "kid": "k1"})
        said = json.loads(plain(claims))
        self.assertEqual((said["iss"], said["sub"], said["aud"]), ("3MVG9", "ada@example.com", "https://login.example.com"))
        self.assertEqual(said["exp"] - said["iat"], 180)
        self.assertLess(abs(said["iat"] - time.time()), 600)
        (self.folder / "signature").write_bytes(plain(signature))
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", self.folder / "signature"],
                       input=f"{head}.{claims}".encode(), check=True, capture_output=True)
        self.grep(form["assertion"], pem.splitlines()[3], "access-by-key")

    def test_a_key_that_is_none(self):
        self.rest(self.stream(schema=SCHEMA), secrets={"pem": SECRET},
                  auth={"type": "oauth2", "grant": "jwt_bearer", "token_url": f"{self.api.url}/token", "client_id": "c", "private_key": "{{ secret.pem }}"})
        self.failure("bad_private_key")
        self.grep(SECRET)

    def test_a_token_that_nobody_accepts(self):
        self.api.on("/token", lambda r: reply({"access_token": "useless-token", "expires_in": 3600}))
        self.api.on("/items", lambda r: reply({}, status=401))
        self.rest(self.stream(schema=SCHEMA), secrets={"client": "client-s3cret"}, auth=self.oauth())
        self.failure("auth_failed")
        self.assertEqual(len(self.api.asked("/items")), 2)
        self.grep("client-s3cret", "useless-token")


if __name__ == "__main__":
    rest_case.main()
