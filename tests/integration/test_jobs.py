#!/usr/bin/env python3
"""Check, discover, catalogs, sample, count: short work with a bounded wait."""
import json
import sqlite3
import unittest

import service
from service import ServiceTest


class Check(ServiceTest):
    def test_of_a_source_that_works(self):
        self.source("sample")
        result = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
        self.assertEqual((result["status"], result["error"]), ("succeeded", None))
        run = self.ok(self.service.get(f"/v1/runs/{result['run_id']}"))
        self.assertEqual((run["kind"], run["status"]), ("check", "succeeded"))

    def test_of_a_destination(self):
        self.destination("sqlite")
        self.assertEqual(self.ok(self.service.post(f"/v1/destinations/{self.name}/check"))["status"], "succeeded")

    def test_that_fails_is_an_answer(self):
        self.source("sqlite", path=str(self.work / "none.db"))
        result = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
        self.assertEqual(result["status"], "failed")
        self.assertIn("none.db", result["error"]["message"])
        self.assertEqual(result["error"]["origin"], "source")

    def test_that_fails_strictly(self):
        self.destination("sqlite", path="/nonexistent/x/y.db")
        problem = self.fails(self.service.post(f"/v1/destinations/{self.name}/check?strict=true"), 424, "check_failed")
        self.assertEqual(problem["run"]["kind"], "check")

    def test_of_what_is_not_saved(self):
        body = {"kind": "source", "connector": "sample", "config": {"rows": 3}}
        self.assertEqual(self.ok(self.service.post("/v1/check", body))["status"], "succeeded")
        body = {"kind": "destination", "connector": "sqlite", "config": {"path": "/nonexistent/x.db"}}
        self.assertEqual(self.ok(self.service.post("/v1/check", body))["status"], "failed")
        self.fails(self.service.post("/v1/check?strict=true", body), 424, "check_failed")

    def test_refuses_before_it_starts(self):
        answer = self.service.post("/v1/check", {"kind": "source", "connector": "sample", "config": {"rows": "x"}})
        self.fails(answer, 422, "validation_failed")
        self.assertEqual(answer.pointers, {"/config/rows": "wrong_type"})
        answer = self.service.post("/v1/check", {"kind": "both", "connector": "sample", "x": 1})
        self.assertEqual(answer.pointers, {"/kind": "not_a_choice", "/x": "unknown_field"})
        self.fails(self.service.post("/v1/check", {"kind": "source", "connector": "none"}), 422, "unknown_connector")
        self.fails(self.service.post("/v1/sources/none/check"), 404, "not_found")

    def test_without_waiting(self):
        self.source("sample")
        answer = self.service.post(f"/v1/sources/{self.name}/check", prefer="respond-async")
        run = self.ok(answer, 202)
        self.assertEqual(answer.headers["Location"], f"/v1/runs/{run['id']}")
        self.assertEqual(answer.headers["Preference-Applied"], "respond-async")
        self.assertEqual(self.finished(run)["status"], "succeeded")

    def test_with_a_wait(self):
        self.source("sample")
        answer = self.service.post(f"/v1/sources/{self.name}/check", prefer="wait=30")
        self.ok(answer)
        self.assertEqual(answer.headers["Preference-Applied"], "wait=30")

    def test_is_no_sync(self):
        self.source("sample")
        check = self.ok(self.service.post(f"/v1/sources/{self.name}/check"))
        ids = [r["id"] for r in self.ok(self.service.get("/v1/runs?limit=500"))["items"]]
        self.assertNotIn(check["run_id"], ids)
        ids = [r["id"] for r in self.ok(self.service.get("/v1/runs?limit=500&kind=check,count"))["items"]]
        self.assertIn(check["run_id"], ids)


class Discover(ServiceTest):
    def make_database(self, *statements):
        path = self.work / "in.db"
        with sqlite3.connect(path) as db:
            for s in statements:
                db.execute(s)
        db.close()
        return str(path)

    def test_the_sample(self):
        self.source("sample", rows=10)
        self.fails(self.service.get(f"/v1/sources/{self.name}/catalog"), 404, "not_discovered")
        found = self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        self.assertEqual({s["name"] for s in found["streams"]}, {"users", "products", "purchases"})
        users = next(s for s in found["streams"] if s["name"] == "users")
        self.assertEqual(users["primary_key"], ["id"])
        self.assertIn("incremental", users["sync_modes"])
        answer = self.service.get(f"/v1/sources/{self.name}/catalog")
        kept = self.ok(answer)
        self.assertEqual(kept["streams"], found["streams"])
        again = self.service.get(f"/v1/sources/{self.name}/catalog", if_none_match=answer.headers["ETag"])
        self.assertEqual(again.status, 304)

    def test_history_and_difference(self):
        path = self.make_database("create table a (id integer primary key, x text)", "create table b (y)")
        self.source("sqlite", path=path)
        first = self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        same = self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        self.assertEqual(same["id"], first["id"])
        self.make_database("alter table a add column z integer", "drop table b", "create table c (w text)")
        second = self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        self.assertEqual((second["diff"]["added"], second["diff"]["removed"]), (["c"], ["b"]))
        self.assertEqual(second["diff"]["changed"][0]["added"], ["z"])
        ids = [c["id"] for c in self.ok(self.service.get(f"/v1/sources/{self.name}/catalogs"))["items"]]
        self.assertEqual(ids, [second["id"], first["id"]])
        old = self.ok(self.service.get(f"/v1/sources/{self.name}/catalogs/{first['id']}"))
        self.assertEqual({s["name"] for s in old["streams"]}, {"a", "b"})
        base = f"/v1/sources/{self.name}/catalogs/{first['id']}/diff"
        self.assertEqual(self.ok(self.service.get(base))["added"], ["c"])
        self.assertEqual(self.ok(self.service.get(f"{base}?to={first['id']}")), {"added": [], "removed": [], "changed": []})
        self.fails(self.service.get(f"/v1/sources/{self.name}/catalogs/999999"), 404, "not_found")
        self.fails(self.service.get(f"/v1/sources/{self.name}/catalogs/x"), 404, "not_found")

    def test_singer_form(self):
        self.source("sample", rows=10)
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        singer = self.ok(self.service.get(f"/v1/sources/{self.name}/catalog?format=singer"))
        users = next(s for s in singer["streams"] if s["tap_stream_id"] == "users")
        self.assertEqual(users["key_properties"], ["id"])
        self.assertEqual(users["metadata"][0]["breadcrumb"], [])
        self.fails(self.service.get(f"/v1/sources/{self.name}/catalog?format=avro"), 400, "invalid_query")

    def test_that_fails(self):
        path = self.work / "no.db"
        path.write_bytes(b"this is not a database, " * 100)
        self.source("sqlite", path=str(path))
        problem = self.fails(self.service.post(f"/v1/sources/{self.name}/discover"), 424, "run_failed")
        self.assertEqual(problem["run"]["status"], "failed")
        self.fails(self.service.get(f"/v1/sources/{self.name}/catalog"), 404, "not_discovered")

    def test_without_waiting_leaves_its_result(self):
        self.source("sample")
        run = self.finished(self.ok(self.service.post(f"/v1/sources/{self.name}/discover", prefer="respond-async"), 202))
        catalog = self.ok(self.service.get(f"/v1/sources/{self.name}/catalog"))
        self.assertEqual(run["result"]["catalog_id"], catalog["id"])


class SampleAndCount(ServiceTest):
    def setUp(self):
        super().setUp()
        path = self.work / "in.db"
        with sqlite3.connect(path) as db:
            db.execute("create table t (id integer primary key, amount decimal(30,10), note text)")
            db.executemany("insert into t values (?,?,?)", [(i, "0.1", f"n{i}") for i in range(250)])
            db.execute("create table empty (x text)")
        db.close()
        self.source("sqlite", path=str(path))

    def sample(self, body, **headers):
        return self.service.post(f"/v1/sources/{self.name}/sample", body, **headers)

    def test_sample(self):
        sample = self.ok(self.sample({"stream": "t", "limit": 3}))
        self.assertEqual([r["id"] for r in sample["records"]], [0, 1, 2])
        self.assertTrue(sample["truncated"])
        self.assertEqual(set(sample["schema"]["properties"]), {"id", "amount", "note"})

    def test_sample_defaults_and_fields(self):
        sample = self.ok(self.sample({"stream": "t", "fields": ["note"]}))
        self.assertEqual(len(sample["records"]), 100)
        self.assertEqual(sample["records"][7], {"note": "n7"})
        every = self.ok(self.sample({"stream": "t", "limit": 1000}))
        self.assertEqual((len(every["records"]), every["truncated"]), (250, False))
        self.assertEqual(self.ok(self.sample({"stream": "empty"}))["records"], [])

    def test_sample_as_lines(self):
        answer = self.sample({"stream": "t", "limit": 5}, accept="application/x-ndjson")
        self.assertEqual(answer.status, 200)
        self.assertEqual([json.loads(line)["id"] for line in answer.text.splitlines()], [0, 1, 2, 3, 4])

    def test_sample_refuses(self):
        self.fails(self.sample({"stream": "none"}), 422, "unknown_stream")
        self.fails(self.sample({"stream": "t", "fields": ["none"]}), 422, "unknown_field")
        for body, pointer in (({}, "/stream"), ({"stream": "t", "limit": 0}, "/limit"), ({"stream": "t", "limit": 1001}, "/limit")):
            answer = self.sample(body)
            self.fails(answer, 422, "validation_failed")
            self.assertIn(pointer, answer.pointers)
        self.fails(self.service.post("/v1/sources/none/sample", {"stream": "t"}), 404, "not_found")

    def test_count(self):
        items = {i["stream"]: i for i in self.ok(self.service.post(f"/v1/sources/{self.name}/count"))["items"]}
        self.assertEqual({n: i["count"] for n, i in items.items()}, {"t": 250, "empty": 0})
        self.assertTrue(all(i["exact"] for i in items.values()))
        one = self.ok(self.service.post(f"/v1/sources/{self.name}/count", {"streams": ["t"]}))["items"]
        self.assertEqual([i["count"] for i in one], [250])

    def test_count_of_an_unknown_stream(self):
        answer = self.service.post(f"/v1/sources/{self.name}/count", {"streams": ["t", "none"]})
        if answer.status == 200:  # partial results: the known one is told
            items = {i["stream"]: i for i in answer.json()["items"]}
            self.assertEqual(items["t"]["count"], 250)
            self.assertIsNotNone(items["none"]["error"])
        else:
            self.fails(answer, 422, "unknown_stream")

    def test_work_leaves_no_state(self):
        self.destination("sqlite")
        self.connection()
        self.ok(self.sample({"stream": "t"}))
        self.assertEqual(self.ok(self.service.get(f"/v1/connections/{self.name}/state"))["streams"], [])


if __name__ == "__main__":
    service.main()
