#!/usr/bin/env python3
"""State: both forms, whole and per stream; an edit is honoured by the next run."""
import json
import unittest

import service
from service import ServiceTest

STREAMS = [{"name": n, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"} for n in ("users", "products")]


class State(ServiceTest):
    def path(self, more=""):
        return f"/v1/connections/{self.name}/state{more}"

    def synced(self):
        self.pair(streams=STREAMS, rows=40, config={"updates_per_run": 0})
        self.run_it()
        return self.ok(self.service.get(self.path()))

    def positions(self):
        return {s["stream"]: s["position"] for s in self.ok(self.service.get(self.path()))["streams"]}

    def test_before_any_run(self):
        self.pair(streams=STREAMS)
        self.assertEqual(self.ok(self.service.get(self.path())), {"connection": self.name, "streams": [], "revision": 0})
        self.fails(self.service.get(self.path("/users")), 404, "not_found")
        self.fails(self.service.delete(self.path("/users")), 404, "not_found")
        self.fails(self.service.get("/v1/connections/none/state"), 404, "not_found")

    def test_after_a_run(self):
        state = self.synced()
        self.assertEqual({s["stream"] for s in state["streams"]}, {"users", "products"})
        for s in state["streams"]:
            self.assertIsNotNone(s["position"])
            self.assertFalse(s["edited"])
        answer = self.service.get(self.path())
        self.assertEqual(self.service.get(self.path(), if_none_match=answer.headers["ETag"]).status, 304)
        one = self.ok(self.service.get(self.path("/users")))
        self.assertIn(one, state["streams"])

    def test_singer_form(self):
        self.synced()
        singer = self.ok(self.service.get(self.path("?format=singer")))
        self.assertEqual(singer, {"bookmarks": self.positions()})

    def test_forgetting_one_reads_it_again(self):
        self.synced()
        self.assertEqual(self.run_it()["stats"]["records_read"], 0)
        self.assertEqual(self.service.delete(self.path("/users")).status, 204)
        run = self.run_it()
        read = {s["name"]: s["records_read"] for s in run["stats"]["streams"]}
        self.assertEqual(read, {"users": 40, "products": 0})
        self.assertEqual(self.count("users"), 40)
        self.assertEqual(self.run_it()["stats"]["records_read"], 0)

    def test_forgetting_all_reads_all_again(self):
        self.synced()
        self.assertEqual(self.service.delete(self.path()).status, 204)
        self.assertEqual(self.run_it()["stats"]["records_read"], 44)
        self.assertEqual((self.count("users"), self.count("products")), (40, 4))

    def test_an_older_position_is_continued_from(self):
        self.pair(streams=STREAMS[:1], rows=40, config={"updates_per_run": 5})
        self.run_it()
        old = self.positions()["users"]
        self.assertEqual(self.run_it()["stats"]["records_read"], 5)
        newer = self.positions()["users"]
        self.assertNotEqual(old, newer)
        edited = self.ok(self.service.put(self.path("/users"), {"position": old}))
        self.assertEqual((edited["position"], edited["edited"]), (old, True))
        run = self.run_it()
        self.assertGreaterEqual(run["stats"]["records_read"], 5)
        self.assertFalse(self.ok(self.service.get(self.path("/users")))["edited"])
        self.assertEqual(self.count("users"), 40)

    def test_replace_forgets_the_others(self):
        self.synced()
        kept = self.positions()["users"]
        state = self.ok(self.service.put(self.path(), {"streams": [{"stream": "users", "position": kept}]}))
        known = {s["stream"]: s["position"] for s in state["streams"]}
        self.assertEqual(known["users"], kept)
        self.assertIsNone(known.get("products"))
        read = {s["name"]: s["records_read"] for s in self.run_it()["stats"]["streams"]}
        self.assertEqual(read, {"users": 0, "products": 4})

    def test_patch_leaves_the_others(self):
        self.synced()
        self.ok(self.service.patch(self.path(), {"bookmarks": {"users": None}}))
        read = {s["name"]: s["records_read"] for s in self.run_it()["stats"]["streams"]}
        self.assertEqual(read, {"users": 40, "products": 0})

    def test_what_is_shown_may_come_back(self):
        state = self.synced()
        back = self.ok(self.service.put(self.path(), state))
        self.assertEqual({s["stream"]: s["position"] for s in back["streams"]}, {s["stream"]: s["position"] for s in state["streams"]})
        singer = self.ok(self.service.get(self.path("?format=singer")))
        self.assertEqual(self.ok(self.service.put(self.path("?format=singer"), singer)), singer)
        self.assertEqual(self.run_it()["stats"]["records_read"], 0)

    def test_conditions(self):
        self.synced()
        etag = self.service.get(self.path()).headers["ETag"]
        self.fails(self.service.delete(self.path(), if_match='"999"'), 412, "revision_mismatch")
        self.fails(self.service.put(self.path("/users"), {"position": {}}, if_match='"999"'), 412, "revision_mismatch")
        answer = self.service.patch(self.path(), {"bookmarks": {"users": None}}, if_match=etag)
        self.ok(answer)
        self.assertNotEqual(answer.headers["ETag"], etag)
        self.fails(self.service.delete(self.path(), if_match=etag), 412, "revision_mismatch")

    def test_while_a_run_is_active(self):
        self.slow_pair()
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        self.running(run["id"])
        self.ok(self.service.get(self.path()))
        for answer in (self.service.put(self.path(), {"streams": []}), self.service.patch(self.path(), {"bookmarks": {}}),
                       self.service.delete(self.path()), self.service.put(self.path("/users"), {"position": {}})):
            self.fails(answer, 409, "connection_busy")

    def test_mistakes(self):
        self.synced()
        for body, pointer in (({"streams": {}}, "/streams"), ({"streams": [{"position": {}}]}, "/streams/0/stream"),
                              ({"streams": [{"stream": "a", "position": 3}]}, "/streams/0/position"),
                              ({"streams": [{"stream": "a"}, {"stream": "a"}]}, "/streams/1/stream"),
                              ({"streams": [{"stream": "a", "x": 1}]}, "/streams/0/x"), ({"bookmarks": []}, "/bookmarks"),
                              ({"bookmarks": {"a/b": 3}}, "/bookmarks/a~1b"), ({"x": 1}, "/x"), ({}, ""),
                              ({"streams": [], "bookmarks": {}}, "")):
            answer = self.service.put(self.path(), body)
            self.assertEqual(answer.status, 422, answer)
            self.assertIn(pointer, answer.pointers, answer)
        self.assertEqual(self.service.put(self.path("/users"), {}).pointers, {"/position": "required"})
        self.assertEqual(self.service.put(self.path("/users"), {"position": {}, "stream": "b"}).pointers, {"/stream": "invalid_name"})

    def test_a_position_that_the_source_does_not_understand(self):
        self.synced()
        self.ok(self.service.put(self.path("/users"), {"position": {"nonsense": True}}))
        run = self.finished(self.ok(self.service.post(f"/v1/connections/{self.name}/runs", {"max_attempts": 1}), 201))
        self.assertEqual(run["status"], "failed", run)
        self.assertEqual(self.count("users"), 40)


if __name__ == "__main__":
    service.main()
