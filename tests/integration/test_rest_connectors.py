#!/usr/bin/env python3
"""Custom connectors: APIs that somebody describes while the service runs."""
import datetime
import http.server
import json
import pathlib
import sqlite3
import threading
import unittest
import urllib.parse

import yaml

from service import Service, ServiceTest

KEY = "sk-7f3a-do-not-show"


class Api(http.server.BaseHTTPRequestHandler):
    """Users in pages, for those who have the key."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.server.seen.append(self.path)
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self.answer(401, {"error": "who are you?"})
        elif url.path == "/health":
            self.answer(200, {"status": "ok"})
        elif url.path == "/users":
            self.answer(200, {"data": self.page(query)})
        elif url.path == "/slow":
            self.server.entered.set()
            self.server.release.wait(60)
            self.answer(200, {"data": [{"id": 1}]})
        else:
            self.answer(404, {})

    def page(self, query):
        since = query.get("updated_since", "")
        found = [u for u in self.server.users if u["updated_at"] >= since]
        size, page = int(query.get("per_page", 100)), int(query.get("page", 1))
        return found[(page - 1) * size:page * size]

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def user(number):
    return {"id": number, "email": f"u{number}@example.com", "name": f"User {number}",
            "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-02-01T00:00:00Z"}


def document(**more):
    """The custom API source of the specification."""
    return {
        "name": "custom_api",
        "title": "Custom API",
        "vars": {"base_url": {"type": "string", "default": "https://api.example.com"},
                 "start_date": {"type": "string", "default": "2024-01-01T00:00:00Z"}},
        "secrets": {"api_key": {}},
        "client": {"base_url": "{{ vars.base_url }}",
                   "auth": {"type": "bearer", "token": "{{ secret.api_key }}"},
                   "timeout": {"total": "30s"}, "retry": {"tries": 3, "base": "100ms"}},
        "check": {"path": "/health"},
        "streams": [{
            "name": "users", "records": {"path": "data"}, "key": ["id"],
            "paginate": {"type": "page", "param": "page", "size_param": "per_page", "size": 100,
                         "stop": "short_page"},
            "incremental": {"field": "updated_at", "start": "{{ vars.start_date }}",
                            "send": {"param": "updated_since", "value": "{{ state.start | iso }}"}},
            "schema": {"properties": {
                "id": {"type": ["null", "integer"]}, "email": {"type": ["null", "string"]},
                "name": {"type": ["null", "string"]},
                "created_at": {"type": ["null", "string"], "format": "date-time"},
                "updated_at": {"type": ["null", "string"], "format": "date-time"}}}}],
        **more}


class ConnectorTest(ServiceTest):
    def setUp(self):
        super().setUp()
        self.api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.api.seen, self.api.users = [], [user(n) for n in range(250)]
        self.api.entered, self.api.release = threading.Event(), threading.Event()
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.addCleanup(self.api.server_close)
        self.addCleanup(self.api.shutdown)
        self.addCleanup(self.api.release.set)
        self.url = f"http://127.0.0.1:{self.api.server_address[1]}"
        self.path = f"/v1/connectors/source/{self.name}"

    def described(self, **more):
        return document(**{"name": self.name, **more})

    def register(self, text=None, status=201):
        return self.ok(self.service.put(self.path, text or self.described()), status)

    def use(self, key=KEY):
        """A source of the connector, SQLite, and a connection between them."""
        self.source(self.name, base_url=self.url, api_key=key)
        self.destination("sqlite")
        return self.connection(streams=[{"name": "users", "sync_mode": "incremental",
                                         "destination_sync_mode": "append_dedup"}])

    def rows(self, sql="SELECT id, name FROM users ORDER BY id"):
        with sqlite3.connect(self.work / "out.db") as db:
            found = db.execute(sql).fetchall()
        db.close()
        return found


class Registering(ConnectorTest):
    def test_answers_with_its_schema_and_lists_it(self):
        answer = self.service.put(self.path, self.described())
        made = self.ok(answer, 201)
        self.assertEqual(answer.headers["Location"], self.path)
        self.assertEqual(answer.headers["ETag"], '"1"')
        self.assertTrue(made["custom"])
        self.assertEqual(made["document"], self.described())
        properties = made["config_schema"]["properties"]
        self.assertEqual(set(properties), {"base_url", "start_date", "api_key"})
        self.assertTrue(properties["api_key"]["writeOnly"])
        self.assertEqual(made["config_schema"]["required"], ["api_key"])
        self.assertEqual(self.ok(self.service.get(self.path)), made)
        self.assertEqual(self.ok(self.service.get(self.path + "/schema")), made["config_schema"])
        template = self.ok(self.service.get(self.path + "/template"))
        self.assertEqual(template["start_date"], "2024-01-01T00:00:00Z")
        listed = self.ok(self.service.get("/v1/connectors?kind=source"))["items"]
        self.assertEqual({c["name"]: c["custom"] for c in listed if c["name"] in ("rest", self.name)},
                         {"rest": False, self.name: True})
        self.assertEqual([c["name"] for c in self.ok(self.service.get(f"/v1/connectors?q={self.name}"))["items"]],
                         [self.name])

    def test_takes_yaml(self):
        text = yaml.safe_dump(self.described(), sort_keys=False).encode()
        answer = self.service.request("PUT", self.path, raw=text, headers={"Content-Type": "application/yaml"})
        self.assertEqual(self.ok(answer, 201)["document"], self.described())
        bad = self.service.request("PUT", self.path, raw=b"a: &x 1\n", headers={"Content-Type": "application/yaml"})
        self.assertIn("line 1", self.fails(bad, 400, "invalid_yaml")["detail"])
        elsewhere = self.service.request("PUT", "/v1/sources/x", raw=text, headers={"Content-Type": "application/yaml"})
        self.fails(elsewhere, 415, "unsupported_media_type")

    def test_tells_every_mistake_with_its_place(self):
        text = self.described(name="other", colour="red")
        text["client"]["base_url"] = "{{ nothing.here }}"
        text["streams"][0]["paginate"]["type"] = "sideways"
        text["streams"].append({"name": "users"})
        answer = self.service.put(self.path, text)
        self.fails(answer, 422, "validation_failed")
        wanted = {"/name", "/colour", "/client/base_url", "/streams/0/paginate/type", "/streams/1/name"}
        self.assertEqual(set(answer.pointers), wanted)
        self.fails(self.service.get(self.path), 404, "not_found")
        verdict = self.ok(self.service.post(self.path + "/validate?document=true", text))
        self.assertFalse(verdict["valid"])
        self.assertEqual({e["pointer"] for e in verdict["errors"]}, wanted)
        self.assertTrue(self.ok(self.service.post(self.path + "/validate?document=true", self.described()))["valid"])

    def test_can_be_tried_without_storing(self):
        self.assertTrue(self.ok(self.service.put(self.path + "?dry_run=true", self.described()))["valid"])
        self.fails(self.service.put(self.path + "?dry_run=true", {"name": self.name}), 422, "validation_failed")
        self.fails(self.service.get(self.path), 404, "not_found")

    def test_keeps_the_names_of_built_in_connectors(self):
        for name in ("rest", "sample"):
            self.fails(self.service.put(f"/v1/connectors/source/{name}", document(name=name)), 409, "name_taken")
            self.fails(self.service.delete(f"/v1/connectors/source/{name}"), 409, "name_taken")
        self.fails(self.service.put(f"/v1/connectors/destination/{self.name}", self.described()), 404, "not_offered")
        self.fails(self.service.put("/v1/connectors/source/No%20Name", document(name="No Name")), 422,
                   "validation_failed")

    def test_replaces(self):
        self.register()
        changed = self.described(title="Another title")
        answer = self.service.put(self.path, changed)
        self.assertEqual(self.ok(answer)["title"], "Another title")
        self.assertEqual(answer.headers["ETag"], '"2"')
        self.fails(self.service.put(self.path, self.described(), if_match='"1"'), 412, "revision_mismatch")
        self.fails(self.service.put(self.path, self.described(), if_none_match="*"), 412, "revision_mismatch")
        self.ok(self.service.put(self.path, self.described(), if_match='"2"'))


class Using(ConnectorTest):
    def test_checks_discovers_samples_and_counts(self):
        self.register()
        self.use()
        self.assertEqual(self.ok(self.service.post(f"/v1/sources/{self.name}/check"))["status"], "succeeded")
        self.assertEqual(self.api.seen, ["/health"])
        streams = self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))["streams"]
        self.assertEqual([(s["name"], s["primary_key"]) for s in streams], [("users", ["id"])])
        sample = self.ok(self.service.post(f"/v1/sources/{self.name}/sample", {"stream": "users", "limit": 3}))
        self.assertEqual([r["id"] for r in sample["records"]], [0, 1, 2])
        counted = self.ok(self.service.post(f"/v1/sources/{self.name}/count"))["items"]
        self.assertEqual(counted[0]["error"]["code"], "not_supported")

    def test_moves_only_what_is_new_the_second_time(self):
        self.register()
        self.use()
        self.run_it()
        self.assertEqual(self.rows(), [(n, f"User {n}") for n in range(250)])
        first = len(self.api.seen)
        now = {"updated_at": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.api.users[7] = {**user(7), **now, "name": "Changed"}
        self.api.users.append({**user(250), **now})
        run = self.run_it()
        self.assertEqual(self.rows(), [(n, "Changed" if n == 7 else f"User {n}") for n in range(251)])
        second = [p for p in self.api.seen[first:] if p.startswith("/users")]
        self.assertEqual(len(second), 1, second)
        self.assertGreater(urllib.parse.parse_qs(second[0].partition("?")[2])["updated_since"][0], "2025")
        self.assertEqual(run["stats"]["records_read"], 2)

    def test_inline_in_a_run_of_its_own(self):
        self.register()
        body = {"source": {"connector": self.name, "config": {"base_url": self.url, "api_key": KEY}},
                "destination": {"connector": "sqlite", "config": {"path": str(self.work / "out.db")}}}
        run = self.finished(self.ok(self.service.post("/v1/runs?wait=55", body), 201))
        self.assertEqual(run["status"], "succeeded", run)
        self.assertEqual(len(self.rows()), 250)
        body["source"]["config"]["colour"] = 1
        answer = self.service.post("/v1/runs", body)
        self.fails(answer, 422, "unknown_field")
        self.assertEqual(list(answer.pointers), ["/source/config/colour"])

    def test_shows_what_no_longer_fits(self):
        self.register()
        self.use()
        text = self.described()
        del text["vars"]["start_date"]
        text["streams"][0]["incremental"]["start"] = "2024-01-01T00:00:00Z"
        text["vars"]["region"] = {"required": True}
        self.ok(self.service.put(self.path, text))
        check = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
        self.assertEqual(check["status"], "failed")
        self.assertIn("region", check["error"]["message"])

    def test_a_run_keeps_the_document_it_began_with(self):
        slow = self.described()
        slow["streams"] = [{"name": "users", "path": "/slow", "records": {"path": "data"}, "key": ["id"],
                            "schema": {"properties": {"id": {"type": "integer"}}}}]
        self.register(slow)
        self.source(self.name, base_url=self.url, api_key=KEY)
        self.destination("sqlite")
        self.connection()
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        self.assertTrue(self.api.entered.wait(60))
        self.ok(self.service.put(self.path, self.described()))
        self.api.release.set()
        self.assertEqual(self.finished(run)["status"], "succeeded")
        self.assertEqual(self.rows("SELECT id FROM users"), [(1,)])

    def test_outlives_the_process(self):
        folder = self.work / "own"
        folder.mkdir()
        own = Service(folder).start()
        self.ok(own.put(self.path, self.described()), 201)
        self.ok(own.put(f"/v1/sources/{self.name}", {"connector": self.name, "config":
                                                     {"base_url": self.url, "api_key": KEY}}), 201)
        own.stop()
        own.start()
        self.assertEqual(self.ok(own.get(self.path))["document"], self.described())
        self.assertEqual(self.ok(own.post(f"/v1/sources/{self.name}/check"))["status"], "succeeded")
        own.stop()


class Removing(ConnectorTest):
    def test_only_when_no_source_uses_it(self):
        self.register()
        self.use()
        problem = self.fails(self.service.delete(self.path), 409, "in_use")
        self.assertEqual(problem["sources"], [self.name])
        self.ok(self.service.delete(f"/v1/connections/{self.name}"), 204)
        self.ok(self.service.delete(f"/v1/sources/{self.name}"), 204)
        self.ok(self.service.delete(self.path), 204)
        self.fails(self.service.get(self.path), 404, "not_found")
        self.fails(self.service.delete(self.path), 404, "not_found")
        self.fails(self.service.put(f"/v1/sources/{self.name}", {"connector": self.name}), 422, "unknown_connector")


class Secrets(ConnectorTest):
    def test_are_never_shown(self):
        self.register()
        self.use()
        answers = [self.service.get(f"/v1/sources/{self.name}"), self.service.get("/v1/sources?limit=500"),
                   self.service.post(f"/v1/sources/{self.name}/check"),
                   self.service.post(f"/v1/sources/{self.name}/sample", {"stream": "users", "limit": 1})]
        shown = answers[0].json()["secrets"]
        self.assertEqual((list(shown), shown["/api_key"]["set"], shown["/api_key"]["ref"]), (["/api_key"], True, None))
        run = self.run_it()
        answers += [self.service.get(f"/v1/runs/{run['id']}"), self.service.get(f"/v1/runs/{run['id']}/logs"),
                    self.service.get(f"/v1/connections/{self.name}/state")]
        for answer in answers:
            self.assertNotIn(KEY.encode(), answer.body, answer)
        for path in pathlib.Path(self.folder).glob("data/logs/*"):
            self.assertNotIn(KEY.encode(), path.read_bytes(), path)
        self.assertNotIn(KEY, self.service.said())

    def test_that_are_refused_are_not_shown_either(self):
        self.register()
        self.use(key="wrong-" + KEY)
        check = self.service.post(f"/v1/sources/{self.name}/check")
        self.assertEqual(self.ok(check)["error"]["code"], "auth_failed")
        self.assertNotIn(KEY.encode(), check.body)

    def test_are_asked_for_again_when_they_would_go_elsewhere(self):
        self.register()
        self.use()
        answer = self.service.patch(f"/v1/sources/{self.name}", {"config": {"base_url": "http://127.0.0.1:9"}})
        self.fails(answer, 422, "secret_required")
        self.assertEqual(answer.pointers, {"/config/api_key": "secret_required"})
        self.ok(self.service.patch(f"/v1/sources/{self.name}", {"config": {"start_date": "2024-02-01T00:00:00Z"}}))

    def test_do_not_follow_a_document_to_another_place(self):
        self.register()
        self.use()
        for change in ({"base_url": "http://127.0.0.1:9"}, {"allowed_hosts": ["example.org"]},
                       {"proxy": "http://127.0.0.1:9"}):
            text = self.described()
            text["client"].update(change)
            self.assertEqual(self.fails(self.service.put(self.path, text), 409, "in_use")["sources"], [self.name])
        text = self.described()
        text["vars"]["base_url"]["default"] = "https://other.example"
        self.fails(self.service.put(self.path, text), 409, "in_use")

    def test_never_become_variables(self):
        self.register()
        self.use()
        without = self.described()
        del without["secrets"]["api_key"]
        without["client"]["headers"] = {"X": "1"}
        without["secrets"]["other"] = {"required": False}
        without["client"]["auth"]["token"] = "{{ secret.other }}"
        self.fails(self.service.put(self.path, without), 409, "in_use")  # who we are is part of where it goes
        without = self.described()
        without["secrets"]["spare"] = {"required": False}
        self.ok(self.service.put(self.path, without))
        self.ok(self.service.patch(f"/v1/sources/{self.name}", {"config": {"spare": KEY + "2"}}))
        self.ok(self.service.put(self.path, self.described()))
        self.assertNotIn(KEY.encode(), self.service.get(f"/v1/sources/{self.name}").body)
        shown = self.described()
        shown["vars"]["spare"] = {"type": "string"}
        answer = self.service.put(self.path, shown)
        self.fails(answer, 422, "validation_failed")
        self.assertEqual(answer.pointers, {"/vars/spare": "was_secret"})


if __name__ == "__main__":
    unittest.main()
