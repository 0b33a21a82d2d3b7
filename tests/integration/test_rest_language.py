#!/usr/bin/env python3
"""Parts of the language that one API needs and another does not: ceilings, parents together, what rows keep."""
import json
import socket
import subprocess
import time

import rest_case
from rest_case import RestTest, items, reply
from service import free_port, wait_until

AT = "2024-01-01T00:00:{:02}Z"


class Ceiling(RestTest):
    """T31: an API that gives so many records for one question, and then no more."""
    GIVEN = 4

    def serve(self, seconds):
        """One record for each second named, in that order; two on a page, GIVEN in all."""
        self.rows = [{"id": i, "at": AT.format(s)} for i, s in enumerate(seconds)]

        def search(request):
            asked = request.json()
            at = int(asked.get("after") or 0)
            if at >= self.GIVEN:
                return reply({"error": "no more than 4"}, status=400)
            found = [r for r in self.rows if r["at"] >= asked["since"]]
            return reply({"data": found[at:at + 2], "next": str(at + 2) if at + 2 < len(found) else None})
        self.api.on("/items", search)

    def search(self, **more):
        return self.stream(
            method="POST", body={"json": {"since": "{{ state.start | iso }}"}},
            schema={"properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}},
            paginate={"type": "cursor", "path": "next", "in": "body", "body_path": "after", "split": {"max_records": self.GIVEN}},
            incremental={"field": "at", "start": AT.format(0), "order": "asc", **more})

    def test_begins_again_behind_the_last_record(self):
        self.serve([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        self.dedup(self.search())
        self.run_it()
        self.assertEqual(self.ids(), list(range(11)))
        since = [r.json()["since"] for r in self.api.asked("/items") if not r.json().get("after")]
        self.assertEqual(since, [AT.format(s) for s in (0, 3, 6, 9)])

    def test_records_that_share_the_second_of_the_ceiling(self):
        self.serve([0, 0, 1, 1, 1, 2, 2, 3])
        self.dedup(self.search())
        self.run_it()
        self.assertEqual(self.ids(), list(range(8)))

    def test_more_of_one_second_than_is_given(self):
        self.serve([0, 1, 1, 1, 1, 1, 2])
        self.dedup(self.search())
        self.assertIn("more records share one", self.failure("page_ceiling")["message"])

    def test_nothing_is_appended_twice(self):
        self.serve([0, 1, 2, 3, 4, 5])
        self.rest(self.search(), sync="incremental", write="append")
        self.failure("key_needed")

    def test_needs_an_order(self):
        stream = self.search()
        del stream["incremental"]["order"]
        answer = self.service.put(f"/v1/sources/{self.name}", {"connector": "rest", "config": {"document": self.document([stream])}})
        self.assertEqual(answer.pointers, {"/config/document/streams/0/paginate/split": "not_allowed"})


class Parents(RestTest):
    SCHEMA = {"properties": {"id": {"type": "integer"}, "of": {"type": "integer"}}}

    def serve(self, n=5):
        self.api.on("/shops", lambda r: reply({"data": items(1, n)}))
        self.api.on("/stock", lambda r: reply({"data": [{"id": 10 * int(i), "of": int(i)} for i in r.query["shops"].split(",")]}))
        self.api.on("/shops/*", lambda r: reply({"data": [{"id": int(r.path.split("/")[2]) * 100, "of": 0}]}))

    def child(self, name, path, **more):
        return self.stream(name, path=path, schema=self.SCHEMA, for_each={"stream": "shops", "fields": {"shops": "id"}, **more.pop("each", {})}, **more)

    def test_several_with_one_request(self):
        self.serve()
        self.rest(self.stream("shops", selected=False), self.child("stock", "/stock", params={"shops": "{{ parent.shops }}"}, each={"batch": 2}))
        self.run_it()
        self.assertEqual(self.ids("stock"), [10, 20, 30, 40, 50])
        self.assertEqual([r.query["shops"] for r in self.api.asked("/stock")], ["1,2", "3,4", "5"])

    def test_are_read_once_for_all_their_children(self):
        self.serve()
        self.rest(self.stream("shops", selected=False), self.child("people", "/shops/{{ parent.shops }}/people"),
                  self.child("goods", "/shops/{{ parent.shops }}/goods"),
                  self.stream("labels", path="/shops/{{ parent.good }}/labels", schema=self.SCHEMA,
                              for_each={"stream": "goods", "fields": {"good": "id", "shop": "{{ parent.shops }}"}, "include": ["shop"]}),
                  run_policy={"max_attempts": 1, "parallel_streams": 1})
        self.run_it()
        for table in ("people", "goods"):
            self.assertEqual(self.ids(table), [100, 200, 300, 400, 500])
        self.assertEqual(len(self.api.asked("/shops")), 1)
        rows = self.database().execute('select id, parent_shop from "labels" order by id').fetchall()
        self.assertEqual(rows, [(10000 * n, n) for n in range(1, 6)])  # the parent's parent is known


class Rows(RestTest):
    def read(self, data, **records):
        self.api.on("/items", lambda r: reply({"data": data}))
        self.rest(self.stream(records={"path": "data", **records}, key=[]))
        self.run_it()
        cells = self.database().execute('select * from "items"')
        names = [d[0] for d in cells.description]
        return [{n: v for n, v in zip(names, row) if not n.startswith("_connectord")} for row in cells]

    def test_keep_what_they_were_taken_from(self):
        rows = self.read([{"number": 7, "at": {"day": "monday"}, "lines": [{"id": 1}, {"id": 2}]}], explode="lines", keep_parent=["number", "at.day"])
        self.assertEqual(rows, [{"id": 1, "_number": 7, "_day": "monday"}, {"id": 2, "_number": 7, "_day": "monday"}])

    def test_an_object_is_a_row(self):
        self.assertEqual(self.read([{"type": "made", "object": {"id": 4}}], explode="object", keep_parent=["type"]), [{"id": 4, "_type": "made"}])

    def test_plain_values_are_rows(self):
        self.assertEqual(self.read(["a", "b"]), [{"value": "a"}, {"value": "b"}])


class Rules(RestTest):
    """Answers that say no with the status of a yes."""
    SCHEMA = {"properties": {"id": {"type": "integer"}}}

    def one(self, *answers, **client):
        self.api.queue("/items", *answers)
        self.rest(self.stream(schema=self.SCHEMA), **client)

    def test_slack(self):
        good = {"ok": True, "data": items(1, 2)}
        busy = reply({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "0"})
        self.one(busy, reply({"ok": False, "error": "internal_error"}), reply(good), errors=["slack"])
        self.run_it()
        self.assertEqual((self.ids(), len(self.api.asked("/items"))), ([1, 2], 3))
        for error, category in (("missing_scope", "permission_denied"), ("invalid_auth", "auth_failed"), ("team_access_not_granted", "data_error")):
            with self.subTest(error=error):
                self.anew(f"slack-{error.replace('_', '-')}")
                self.one(reply({"ok": False, "error": error, "needed": "users:read"}), errors=["slack"])
                self.assertIn(error, self.failure(category)["message"])

    def test_graphql(self):
        self.one(reply({"data": None, "errors": [{"message": "no field \"x\""}]}), errors=["graphql"])
        self.assertIn('no field "x"', self.failure("data_error")["message"])

    def test_a_message_never_tells_a_secret(self):
        self.one(reply({"error": f"the key {rest_case.SECRET} is not good"}, status=400), secrets={"key": rest_case.SECRET},
                 auth={"type": "bearer", "token": "{{ secret.key }}"},
                 errors=[{"when": {"status": 400}, "do": "fail", "as": "config", "message": "it says {{ body.error }}"}])
        message = self.failure()["message"]
        self.assertIn("it says the key", message)
        self.assertNotIn(rest_case.SECRET, message)

    def test_unknown_name(self):
        document = self.document([self.stream()], errors=["teams"])
        answer = self.service.put(f"/v1/sources/{self.name}", {"connector": "rest", "config": {"document": document}})
        self.assertEqual(answer.pointers, {"/config/document/client/errors/0": "not_allowed"})


class Unchanged(RestTest):
    def test_a_feed_that_has_not_changed_costs_one_request(self):
        """Its first page is asked for by its ETag; 304 says that there is nothing new."""
        feed = {"rows": items(1, 4, at=AT.format(1))}

        def serve(request):
            page, tag = int(request.query["page"]), f'"{len(feed["rows"])}"'
            if request.headers.get("If-None-Match") == tag:
                return reply({}, status=304, headers={"ETag": tag})
            return reply({"data": feed["rows"][2 * (page - 1):2 * page]}, headers={"ETag": tag})
        self.api.on("/items", serve)
        self.dedup(self.stream(etag=True, paginate={"type": "page"}, incremental={"field": "at", "start": AT.format(0), "order": "desc"},
                               schema={"properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}}))
        asked = []
        for _ in range(3):
            self.api.forget()
            run = self.run_it()
            asked.append([r.headers.get("If-None-Match") for r in self.api.asked("/items")])
            self.assertEqual(self.ids(), sorted(r["id"] for r in feed["rows"]))
            if len(asked) == 2:
                feed["rows"] = items(5, 5, at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())) + feed["rows"]
        self.assertEqual(asked[0][0], None)
        self.assertEqual(asked[1], ['"4"'])
        self.assertEqual(asked[2][0], '"4"')
        self.assertEqual(run["stats"]["records_rejected"], 0)


class Http2(RestTest):
    def test_a_server_that_speaks_nothing_else(self):
        """nghttpd knows no HTTP/1.1, so that rows arrive is proof enough."""
        folder = self.folder / self.name
        folder.mkdir()
        (folder / "items").write_text(json.dumps({"data": items(1, 3)}))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key", "-out", folder / "cert"],
                       check=True, capture_output=True)
        port = free_port()
        server = subprocess.Popen(["nghttpd", "-a", "127.0.0.1", "-d", folder, str(port), folder / "key", folder / "cert"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)

        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        wait_until("the server", listens)
        self.rest(self.stream(schema={"properties": {"id": {"type": "integer"}}}), base_url=f"https://127.0.0.1:{port}",
                  tls={"ca": (folder / "cert").read_text()})
        self.run_it()
        self.assertEqual(self.ids(), [1, 2, 3])
        self.anew(self.name + "-unknown")
        self.rest(self.stream(schema={"properties": {"id": {"type": "integer"}}}), base_url=f"https://127.0.0.1:{port}")
        self.failure("tls_failed")  # nobody vouches for it


if __name__ == "__main__":
    rest_case.main()
