#!/usr/bin/env python3
"""Sources and destinations: create, read, replace, patch, delete; conditions, names, pages."""
import threading
import unittest

import service
from service import ServiceTest


class Resources:
    """The same contract for both kinds."""

    def body(self, **config):
        return {"connector": self.connector, "config": {**self.config, **config}}

    def path(self, name=None):
        return f"/v1/{self.kind}/{name or self.name}"

    def create(self, **more):
        answer = self.service.post(f"/v1/{self.kind}", {"name": self.name, **self.body(), **more})
        return self.ok(answer, 201), answer

    def test_create_and_read_by_name_and_id(self):
        made, answer = self.create(display_name="Ä shop", labels={"team": "bi"})
        self.assertEqual(answer.headers["Location"], self.path())
        self.assertEqual(answer.headers["ETag"], '"1"')
        self.assertEqual((made["name"], made["display_name"], made["labels"]), (self.name, "Ä shop", {"team": "bi"}))
        self.assertEqual(made["config"], self.config)
        self.assertEqual(made["secrets"], {})
        for key in (self.name, made["id"]):
            got = self.service.get(self.path(key))
            self.assertEqual(self.ok(got), made)
            self.assertEqual(got.headers["ETag"], '"1"')

    def test_not_modified(self):
        self.create()
        self.assertEqual(self.service.get(self.path(), if_none_match='"1"').status, 304)
        self.assertEqual(self.service.get(self.path(), if_none_match='W/"1"').status, 304)
        self.assertEqual(self.service.get(self.path(), if_none_match='"0", "2"').status, 200)

    def test_name_is_taken(self):
        self.create()
        self.fails(self.service.post(f"/v1/{self.kind}", {"name": self.name, **self.body()}), 409, "name_taken")

    def test_names(self):
        for name in ("", "A", "a b", "-a", "_a", "ä", "a" * 64, "a/b", "01985c3e-8d0b-7c1e-9c55-0b8c6a0c1f11"):
            answer = self.service.post(f"/v1/{self.kind}", {"name": name, **self.body()})
            self.fails(answer, 422, "validation_failed")
            self.assertEqual(answer.pointers, {"/name": "invalid_name"})
        self.ok(self.service.post(f"/v1/{self.kind}", {"name": "a" * 63, **self.body()}), 201)
        answer = self.service.post(f"/v1/{self.kind}", self.body())
        self.assertEqual(answer.pointers, {"/name": "required"})

    def test_every_mistake_at_once(self):
        answer = self.service.post(f"/v1/{self.kind}", {"name": "X", "connector": self.connector, "labels": {"a": 1},
                                                        "config": {"nonsense": 1}, "id": "x", "display_name": 3})
        self.fails(answer, 422, "validation_failed")
        self.assertEqual({p: c for p, c in answer.pointers.items() if c != "required"},
                         {"/id": "unknown_field", "/display_name": "wrong_type", "/labels/a": "wrong_type",
                          "/name": "invalid_name", "/config/nonsense": "unknown_field"})

    def test_one_unknown_field_has_its_own_code(self):
        answer = self.service.post(f"/v1/{self.kind}", {"name": self.name, **self.body(), "revision": 1})
        self.fails(answer, 422, "unknown_field")

    def test_unknown_connector(self):
        answer = self.service.post(f"/v1/{self.kind}", {"name": self.name, "connector": "none"})
        self.fails(answer, 422, "unknown_connector")
        self.assertEqual(answer.pointers, {"/connector": "unknown_connector"})

    def test_dry_run_saves_nothing(self):
        verdict = self.ok(self.service.post(f"/v1/{self.kind}?dry_run=true", {"name": self.name, **self.body()}))
        self.assertTrue(verdict["valid"])
        self.assertLessEqual(self.config.items(), verdict["normalized"].items())
        self.assertEqual(self.service.get(self.path()).status, 404)
        self.assertEqual(self.service.post(f"/v1/{self.kind}?dry_run=true", {"name": self.name}).status, 422)
        self.create()
        self.fails(self.service.post(f"/v1/{self.kind}?dry_run=true", {"name": self.name, **self.body()}),
                   409, "name_taken")

    def test_put_creates_then_replaces(self):
        answer = self.service.put(self.path(), self.body())
        first = self.ok(answer, 201)
        self.assertEqual(answer.headers["Location"], self.path())
        second = self.ok(self.service.put(self.path(), {**self.body(), "labels": {"a": "b"}}))
        self.assertEqual((second["id"], second["revision"], second["labels"]), (first["id"], 2, {"a": "b"}))
        third = self.ok(self.service.put(self.path(), self.body()))
        self.assertEqual((third["revision"], third["labels"]), (3, {}))

    def test_put_of_the_same_changes_nothing(self):
        self.ok(self.service.put(self.path(), self.body()), 201)
        self.assertEqual(self.ok(self.service.put(self.path(), self.body()))["revision"], 1)

    def test_put_with_another_name(self):
        answer = self.service.put(self.path(), {"name": "other", **self.body()})
        self.assertEqual(answer.pointers, {"/name": "invalid_name"})
        self.ok(self.service.put(self.path(), self.body()), 201)
        renamed = self.ok(self.service.put(self.path(), {"name": f"{self.name}-2", **self.body()}))
        self.assertEqual(renamed["name"], f"{self.name}-2")
        self.assertEqual(self.service.get(self.path()).status, 404)

    def test_put_under_an_impossible_name(self):
        self.assertIn(self.service.put(self.path("Upper"), self.body()).status, (404, 422))
        self.assertIn(self.service.put(self.path("01985c3e-8d0b-7c1e-9c55-0b8c6a0c1f11"), self.body()).status, (404, 422))

    def test_put_conditions(self):
        self.fails(self.service.put(self.path(), self.body(), if_match='"1"'), 412, "revision_mismatch")
        self.ok(self.service.put(self.path(), self.body(), if_none_match="*"), 201)
        self.fails(self.service.put(self.path(), self.body(), if_none_match="*"), 412, "revision_mismatch")
        changed = {**self.body(), "labels": {"a": "1"}}
        self.fails(self.service.put(self.path(), changed, if_match='"2"'), 412, "revision_mismatch")
        self.fails(self.service.put(self.path(), changed, if_match='W/"1"'), 412, "revision_mismatch")
        self.fails(self.service.put(self.path(), changed, if_match="nonsense"), 412, "revision_mismatch")
        self.assertEqual(self.ok(self.service.put(self.path(), changed, if_match='"7", "1"'))["revision"], 2)
        self.ok(self.service.put(self.path(), self.body(), if_match="*"))

    def test_patch(self):
        self.create(display_name="one", labels={"a": "1", "b": "2"})
        patched = self.ok(self.service.patch(self.path(), {"display_name": None, "labels": {"a": None, "c": "3"}}))
        self.assertEqual((patched["display_name"], patched["labels"], patched["config"]),
                         (None, {"b": "2", "c": "3"}, self.config))
        answer = self.service.request("PATCH", self.path(), {"labels": {"d": "4"}},
                                      headers={"Content-Type": "application/merge-patch+json"})
        self.assertEqual(self.ok(answer)["labels"], {"b": "2", "c": "3", "d": "4"})

    def test_patch_refuses(self):
        self.fails(self.service.patch(self.path(), {}), 404, "not_found")
        self.create()
        for bad, pointer in (({"id": "x"}, "/id"), ({"config": {"nonsense": 1}}, "/config/nonsense"),
                             ({"config": 3}, "/config"), ({"name": "Bad"}, "/name"), ({"connector": "none"}, "/connector")):
            answer = self.service.patch(self.path(), bad)
            self.assertEqual(answer.status, 422, answer)
            self.assertIn(pointer, answer.pointers, answer)
        self.assertEqual(self.service.patch(self.path(), {"nonsense": None}).status, 422)
        self.fails(self.service.patch(self.path(), {"labels": {"x": "y"}}, if_match='"9"'), 412, "revision_mismatch")
        self.assertEqual(self.ok(self.service.get(self.path()))["revision"], 1)

    def test_delete(self):
        self.create()
        self.fails(self.service.delete(self.path(), if_match='"2"'), 412, "revision_mismatch")
        self.assertEqual(self.service.delete(self.path(), if_match='"1"').status, 204)
        self.fails(self.service.delete(self.path()), 404, "not_found")

    def test_delete_in_use(self):
        name = self.pair()
        problem = self.fails(self.service.delete(self.path(name)), 409, "in_use")
        self.assertEqual(problem["connections"], [name])
        self.assertEqual(self.service.delete(f"/v1/connections/{name}").status, 204)
        self.assertEqual(self.service.delete(self.path(name)).status, 204)

    def test_pages(self):
        names = [f"{self.name}-{i}" for i in range(7)]
        for name in names:
            self.ok(self.service.put(self.path(name), {**self.body(), "labels": {"set": self.name}}), 201)
        seen, path = [], f"/v1/{self.kind}?label=set:{self.name}&limit=3"
        while path:
            answer = self.service.get(path)
            page = self.ok(answer)
            seen += [r["name"] for r in page["items"]]
            link = answer.headers.get("Link")
            self.assertEqual(link is None, page["next_cursor"] is None)
            if link:
                self.assertIn('rel="next"', link)
                self.assertEqual(len(page["items"]), 3)
            path = link[1:link.index(">")] if link else None
        self.assertEqual(seen, names)
        counted = self.ok(self.service.get(f"/v1/{self.kind}?label=set:{self.name}&limit=3&count=true"))
        self.assertEqual((counted["total"], len(counted["items"])), (7, 3))
        self.assertNotIn("total", self.ok(self.service.get(f"/v1/{self.kind}")))

    def test_filters(self):
        self.create(labels={"team": "x:y"})
        for query, found in ((f"label=team:x:y&q={self.name}", True), (f"label=team:z&q={self.name}", False),
                             (f"connector={self.connector}&q={self.name}", True), (f"connector=none&q={self.name}", False)):
            items = self.ok(self.service.get(f"/v1/{self.kind}?{query}"))["items"]
            self.assertEqual(self.name in [r["name"] for r in items], found, query)

    def test_bad_lists(self):
        for query, code in (("limit=0", "invalid_query"), ("limit=501", "invalid_query"), ("limit=x", "invalid_query"),
                            ("label=x", "invalid_query"), ("cursor=%20nonsense", "invalid_cursor"),
                            ("sort=name", "invalid_query")):
            self.fails(self.service.get(f"/v1/{self.kind}?{query}"), 400, code)
        self.ok(self.service.get(f"/v1/{self.kind}?limit=500"))

    def test_check_before_saving(self):
        body = {"name": self.name, **self.body()}
        self.ok(self.service.post(f"/v1/{self.kind}?check=true", body), 201)
        broken = {"name": f"{self.name}-2", "connector": "sqlite", "config": {"path": "/nonexistent/dir/x.db"}}
        problem = self.fails(self.service.post(f"/v1/{self.kind}?check=true", broken), 424, "check_failed")
        self.assertEqual(problem["run"]["status"], "failed")
        self.assertEqual(self.service.get(self.path(f"{self.name}-2")).status, 404)

    def test_idempotency(self):
        body, key = {"name": self.name, **self.body()}, f"k-{self.kind}-{self.name}"
        first = self.service.post(f"/v1/{self.kind}", body, idempotency_key=key)
        again = self.service.post(f"/v1/{self.kind}", body, idempotency_key=key)
        self.assertEqual(self.ok(first, 201), self.ok(again, 201))
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.assertIsNone(first.headers["Idempotency-Replayed"])
        self.assertEqual(first.headers["Location"], again.headers["Location"])
        self.assertEqual(first.headers["ETag"], again.headers["ETag"])
        self.fails(self.service.post(f"/v1/{self.kind}", {**body, "display_name": "x"}, idempotency_key=key),
                   422, "idempotency_key_reused")

    def test_idempotency_of_what_failed(self):
        key = f"f-{self.kind}-{self.name}"
        self.assertEqual(self.service.post(f"/v1/{self.kind}", {"name": self.name}, idempotency_key=key).status, 422)
        self.ok(self.service.post(f"/v1/{self.kind}", {"name": self.name, **self.body()}, idempotency_key=key), 201)

    def test_idempotency_keys(self):
        for key in ("", "x" * 256, "a b"):
            answer = self.service.post(f"/v1/{self.kind}", {"name": self.name, **self.body()}, idempotency_key=key)
            self.fails(answer, 400, "invalid_header")
        self.ok(self.service.post(f"/v1/{self.kind}", {"name": self.name, **self.body()}, idempotency_key="x" * 255), 201)

    def test_if_match_race_has_one_winner(self):
        self.create()
        statuses = []

        def write(i):
            answer = self.service.put(self.path(), {**self.body(), "labels": {"n": str(i)}}, if_match='"1"')
            statuses.append(answer.status)

        threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(statuses), [200] + [412] * 7)

    def test_patches_without_condition_all_arrive(self):
        self.create()

        def write(i):
            self.assertEqual(self.service.patch(self.path(), {"labels": {f"l{i}": "x"}}).status, 200)

        threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(self.ok(self.service.get(self.path()))["labels"], {f"l{i}": "x" for i in range(3)})


class Sources(Resources, ServiceTest):
    kind, connector, config = "sources", "sample", {"rows": 7}


class Destinations(Resources, ServiceTest):
    kind, connector = "destinations", "sqlite"

    @property
    def config(self):
        return {"path": str(self.folder / "destination.db")}


class RequireIfMatch(ServiceTest):
    arguments = ("--require-if-match", "true")

    def test_a_change_must_name_a_revision(self):
        body = {"connector": "sample"}
        self.ok(self.service.put("/v1/sources/a", body), 201)
        self.fails(self.service.put("/v1/sources/a", body), 428, "revision_required")
        self.fails(self.service.patch("/v1/sources/a", {}), 428, "revision_required")
        self.fails(self.service.delete("/v1/sources/a"), 428, "revision_required")
        self.ok(self.service.patch("/v1/sources/a", {"labels": {"a": "b"}}, if_match='"1"'))
        self.assertEqual(self.service.delete("/v1/sources/a", if_match='"2"').status, 204)


if __name__ == "__main__":
    service.main()
