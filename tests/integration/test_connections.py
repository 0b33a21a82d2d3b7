#!/usr/bin/env python3
"""Connections and their selection."""
import unittest

import service
from service import ServiceTest

USERS = {"name": "users", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}


class Connections(ServiceTest):
    def ends(self, **config):
        self.source("sample", rows=10, **config)
        self.destination("sqlite")
        return {"source": self.name, "destination": self.name}

    def path(self, more=""):
        return f"/v1/connections/{self.name}{more}"

    def test_create_with_nothing_but_ends(self):
        answer = self.service.post("/v1/connections", {"name": self.name, **self.ends()})
        made = self.ok(answer, 201)
        self.assertEqual(answer.headers["Location"], self.path())
        self.assertIsNone(made["streams"])
        self.assertEqual((made["paused"], made["prefix"], made["schema_change"], made["metadata"]),
                         (False, "", "propagate_columns", "minimal"))
        self.assertEqual(made["run_policy"], {"max_attempts": 5, "backoff_s": 0.5, "timeout_s": 0, "idle_timeout_s": 900,
                                              "on_stream_error": "continue", "resource_backoff_s": 60,
                                              "parallel_streams": 1})
        self.assertEqual(made["quarantine"], {"max_rows": 1000, "max_ratio": 0.01})
        self.assertIsNone(made["last_run"])
        self.assertEqual(made["delivery"], "exactly_once")
        self.assertEqual(self.ok(self.service.get(f"/v1/connections/{made['id']}")), made)

    def test_ends_by_id(self):
        ends = self.ends()
        source = self.ok(self.service.get(f"/v1/sources/{self.name}"))
        made = self.ok(self.service.put(self.path(), {**ends, "source": source["id"]}), 201)
        self.assertEqual((made["source"], made["source_id"]), (self.name, source["id"]))

    def test_ends_that_are_not_there(self):
        answer = self.service.post("/v1/connections", {"name": self.name, "source": "none", "destination": "none"})
        self.fails(answer, 422, "unresolved_reference")
        self.assertEqual(answer.pointers, {"/source": "unresolved_reference", "/destination": "unresolved_reference"})

    def test_every_mistake_at_once(self):
        answer = self.service.post("/v1/connections", {
            **self.ends(), "name": "B AD", "paused": "no", "schedule": {}, "metadata": "some", "run_policy": {"max_attempts": 0},
            "quarantine": {"max_ratio": 2}, "namespace": {"mode": "custom"}, "streams": [{"nam": "x"}, {"name": "y", "sync_mode": "z"}]})
        self.fails(answer, 422, "validation_failed")
        self.assertLessEqual({"/paused": "wrong_type", "/schedule": "unknown_field", "/metadata": "not_a_choice",
                              "/run_policy/max_attempts": "out_of_range", "/quarantine/max_ratio": "out_of_range",
                              "/namespace/format": "required", "/streams/0/name": "required",
                              "/streams/0/nam": "unknown_field", "/streams/1/sync_mode": "not_a_choice"}.items(),
                             answer.pointers.items())

    def test_streams_without_a_catalog_are_taken_as_they_are(self):
        made = self.ok(self.service.put(self.path(), {**self.ends(), "streams": [{"name": "whatever"}]}), 201)
        self.assertEqual(made["streams"], [{"name": "whatever"}])
        run = self.run_it(status="failed")
        self.assertEqual(run["error"]["code"], "stream_missing", run)

    def test_streams_against_the_catalog(self):
        ends = self.ends()
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        answer = self.service.put(self.path(), {**ends, "streams": [
            USERS, {"name": "nothing"}, {"name": "products", "fields": {"exclude": ["no_such"]}},
            {"name": "purchases", "sync_mode": "incremental", "destination_sync_mode": "overwrite"}]})
        self.assertEqual(answer.status, 422)
        self.assertEqual(answer.pointers["/streams/1/name"], "unknown_stream")
        self.assertEqual(answer.pointers["/streams/2/fields/exclude/0"], "unknown_field")
        self.assertEqual(answer.pointers["/streams/3/destination_sync_mode"], "mode_not_supported")
        self.assertNotIn("/streams/0/name", answer.pointers)
        self.ok(self.service.put(self.path(), {**ends, "streams": [USERS]}), 201)

    def test_a_mode_that_the_destination_cannot_do(self):
        modes = self.ok(self.service.get("/v1/connectors/destination/file"))["capabilities"]["destination_sync_modes"]
        self.assertNotIn("append_dedup", modes)
        self.source("sample", rows=10)
        self.destination("file", path=str(self.work / "out"))
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        answer = self.service.put(self.path(), {"source": self.name, "destination": self.name,
                                                "streams": [{"name": "users", "selected": False}, {**USERS, "name": "products"}]})
        self.fails(answer, 422, "mode_not_supported")
        self.assertEqual(answer.pointers, {"/streams/1/destination_sync_mode": "mode_not_supported"})

    def test_names_and_dry_run(self):
        ends = self.ends()
        self.assertTrue(self.ok(self.service.post("/v1/connections?dry_run=true", {"name": self.name, **ends}))["valid"])
        self.assertEqual(self.service.get(self.path()).status, 404)
        self.ok(self.service.post("/v1/connections", {"name": self.name, **ends}), 201)
        self.fails(self.service.post("/v1/connections", {"name": self.name, **ends}), 409, "name_taken")
        self.fails(self.service.post("/v1/connections?dry_run=true", {"name": self.name, **ends}), 409, "name_taken")

    def test_put_patch_and_conditions(self):
        ends = self.ends()
        first = self.ok(self.service.put(self.path(), {**ends, "prefix": "x_", "run_policy": {"max_attempts": 7}},
                                         if_none_match="*"), 201)
        self.fails(self.service.put(self.path(), ends, if_none_match="*"), 412, "revision_mismatch")
        patched = self.ok(self.service.patch(self.path(), {"run_policy": {"backoff_s": 1}, "labels": {"a": "b"}}, if_match='"1"'))
        self.assertEqual((patched["prefix"], patched["run_policy"]["max_attempts"], patched["run_policy"]["backoff_s"]), ("x_", 7, 1))
        self.assertEqual((patched["id"], patched["revision"]), (first["id"], 2))
        self.fails(self.service.patch(self.path(), {"prefix": "y"}, if_match='"1"'), 412, "revision_mismatch")
        replaced = self.ok(self.service.put(self.path(), ends))
        self.assertEqual((replaced["prefix"], replaced["run_policy"]["max_attempts"], replaced["labels"]), ("", 5, {}))
        self.assertEqual(self.service.patch(self.path(), {"id": "x"}).status, 422)
        self.assertEqual(self.service.patch(self.path(), {"nonsense": None}).status, 422)

    def test_what_is_shown_may_come_back(self):
        self.ok(self.service.put(self.path(), {**self.ends(), "streams": [USERS]}), 201)
        shown = self.ok(self.service.get(self.path()))
        body = {k: v for k, v in shown.items() if k not in
                ("id", "source_id", "destination_id", "delivery", "delivery_why", "last_run", "revision", "created_at", "updated_at")}
        self.assertEqual(self.ok(self.service.put(self.path(), body))["revision"], shown["revision"])
        for member in ("id", "source_id", "last_run", "revision", "created_at"):
            self.assertEqual(self.service.put(self.path(), {**body, member: shown[member] or "x"}).status, 422, member)

    def test_lists(self):
        ends = self.ends()
        self.ok(self.service.put(self.path(), {**ends, "labels": {"team": "a"}}), 201)
        self.run_it()
        for query, found in ((f"source={self.name}", True), (f"destination={self.name}", True), ("paused=false", True),
                             ("paused=true", False), ("label=team:a", True), ("label=team:b", False),
                             ("status=succeeded", True), ("status=failed", False), (f"q={self.name[:8]}", True)):
            items = self.ok(self.service.get(f"/v1/connections?{query}&limit=500"))["items"]
            self.assertEqual(self.name in [c["name"] for c in items], found, query)
        self.assertEqual(next(c for c in self.ok(self.service.get(f"/v1/connections?source={self.name}"))["items"])
                         ["last_run"]["status"], "succeeded")
        self.fails(self.service.get("/v1/connections?paused=maybe"), 400, "invalid_query")

    def test_pause(self):
        self.pair()
        self.assertTrue(self.ok(self.service.post(self.path("/pause")))["paused"])
        self.assertTrue(self.ok(self.service.post(self.path("/pause")))["paused"])
        self.fails(self.service.post(self.path("/runs")), 409, "paused")
        run = self.ok(self.service.post(self.path("/runs?force=true")), 201)
        self.assertEqual(self.finished(run)["status"], "succeeded")
        self.assertFalse(self.ok(self.service.post(self.path("/resume")))["paused"])
        self.run_it()

    def test_delete_leaves_runs(self):
        self.pair()
        run = self.run_it()
        self.assertEqual(self.service.delete(self.path()).status, 204)
        self.fails(self.service.get(self.path()), 404, "not_found")
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{run['id']}"))["connection"], self.name)

    def test_delete_while_a_run_is_active(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path("/runs")), 201)
        self.fails(self.service.delete(self.path()), 409, "run_active")
        self.assertEqual(self.service.delete(self.path("?cancel=true")).status, 204)
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{run['id']}"))["status"], "cancelled")

    def test_idempotency(self):
        body = {"name": self.name, **self.ends()}
        first = self.service.post("/v1/connections", body, idempotency_key="c-1")
        again = self.service.post("/v1/connections", body, idempotency_key="c-1")
        self.assertEqual(self.ok(first, 201), self.ok(again, 201))
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")


class Streams(ServiceTest):
    def setUp(self):
        super().setUp()
        self.pair(rows=10)
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        self.path = f"/v1/connections/{self.name}/streams"

    def test_native(self):
        self.assertIsNone(self.ok(self.service.get(self.path))["streams"])
        answer = self.service.put(self.path, {"streams": [USERS]}, if_match='"1"')
        self.assertEqual(self.ok(answer), {"connection": self.name, "streams": [USERS], "revision": 2})
        self.assertEqual(answer.headers["ETag"], '"2"')
        self.fails(self.service.put(self.path, {"streams": None}, if_match='"1"'), 412, "revision_mismatch")
        shown = self.ok(self.service.get(self.path))
        self.assertEqual(self.ok(self.service.put(self.path, shown)), shown)
        self.assertIsNone(self.ok(self.service.put(self.path, {}))["streams"])

    def test_native_mistakes(self):
        answer = self.service.put(self.path, {"streams": [{"name": "users", "cursor_field": "nope"}, {"name": "nope"}, USERS, USERS]})
        self.assertEqual(answer.status, 422)
        self.assertEqual(answer.pointers["/streams/0/cursor_field"], "unknown_field")
        self.assertEqual(answer.pointers["/streams/1/name"], "unknown_stream")
        self.assertEqual(self.service.put(self.path, {"stream": []}).status, 422)
        self.assertEqual(self.service.put(self.path, {"streams": {}}).status, 422)

    def test_singer_there_and_back(self):
        self.ok(self.service.put(self.path, {"streams": [USERS]}))
        singer = self.ok(self.service.get(f"{self.path}?format=singer"))
        marked = {s["tap_stream_id"]: s["metadata"][0]["metadata"]["selected"] for s in singer["streams"]}
        self.assertEqual(marked, {"users": True, "products": False, "purchases": False})
        for s in singer["streams"]:
            s["metadata"][0]["metadata"]["selected"] = s["tap_stream_id"] == "products"
            if s["tap_stream_id"] == "products":
                s["replication_method"] = "FULL_TABLE"
                s.pop("destination_sync_mode", None)
        self.ok(self.service.put(f"{self.path}?format=singer", singer))
        streams = self.ok(self.service.get(self.path))["streams"]
        chosen = [s for s in streams if s.get("selected", True)]
        self.assertEqual([(s["name"], s["sync_mode"]) for s in chosen], [("products", "full_refresh")])
        run = self.run_it()
        self.assertEqual([s["name"] for s in run["stats"]["streams"]], ["products"])

    def test_singer_without_a_catalog(self):
        self.source("sample", name=f"{self.name}-2")
        self.ok(self.service.put(f"/v1/connections/{self.name}-2", {"source": f"{self.name}-2", "destination": self.name}), 201)
        self.fails(self.service.get(f"/v1/connections/{self.name}-2/streams?format=singer"), 404, "not_discovered")
        self.fails(self.service.post(f"/v1/connections/{self.name}-2/streams/refresh"), 404, "not_discovered")


class Refresh(ServiceTest):
    def prepare(self, schema_change):
        path = self.work / "in.db"
        self.run_sql("create table a (id integer primary key, x text, y text)", "create table b (id integer primary key)")
        self.source("sqlite", path=str(path))
        self.destination("sqlite")
        self.connection(streams=[{"name": "a", "fields": {"exclude": ["x"]}}, {"name": "b"}], schema_change=schema_change)
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        self.run_sql("alter table a drop column x", "drop table b", "create table c (id integer primary key)")
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        return self.ok(self.service.post(f"/v1/connections/{self.name}/streams/refresh"))

    def run_sql(self, *statements):
        db = self.database(self.work / "in.db")
        for s in statements:
            db.execute(s)
        db.commit()
        db.close()

    def test_columns(self):
        done = self.prepare("propagate_columns")
        self.assertEqual((done["added"], done["removed"]), ([], ["b"]))
        self.assertEqual(done["changed"], [{"stream": "a", "removed": ["x"]}])
        self.assertEqual(done["streams"], [{"name": "a", "fields": {"exclude": []}}])
        self.assertEqual(done["revision"], 2)
        again = self.ok(self.service.post(f"/v1/connections/{self.name}/streams/refresh"))
        self.assertEqual((again["removed"], again["revision"]), ([], 2))

    def test_all(self):
        done = self.prepare("propagate_all")
        self.assertEqual((done["added"], done["removed"]), (["c"], ["b"]))
        self.assertEqual([s["name"] for s in done["streams"]], ["a", "c"])

    def test_frozen(self):
        done = self.prepare("freeze")
        self.assertEqual((done["added"], done["removed"], done["changed"], done["revision"]), ([], [], [], 1))


if __name__ == "__main__":
    service.main()
