#!/usr/bin/env python3
"""Runs: starting in every manner, waiting, outcomes, cancelling, retrying, deleting, listing."""
import json
import sqlite3
import threading
import time
import unittest

import service
from service import ServiceTest, events_of, wait_until

USERS = {"name": "users", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}


class Starting(ServiceTest):
    def path(self, more=""):
        return f"/v1/connections/{self.name}/runs{more}"

    def test_answers_at_once(self):
        self.pair()
        answer = self.service.post(self.path())
        run = self.ok(answer, 201)
        self.assertEqual(answer.headers["Location"], f"/v1/runs/{run['id']}")
        self.assertEqual(answer.headers["Run-Id"], str(run["id"]))
        self.assertEqual((run["kind"], run["trigger"], run["connection"]), ("sync", "api", self.name))
        self.assertEqual(self.finished(run)["status"], "succeeded")

    def test_counts_of_each_stream(self):
        self.pair(rows=50)
        run = self.run_it()
        counts = {s["name"]: s["records_committed"] for s in run["stats"]["streams"]}
        self.assertEqual(counts, {"users": 50, "products": 5, "purchases": 150})
        self.assertEqual((run["stats"]["records_read"], run["stats"]["records_committed"], run["stats"]["records_rejected"]),
                         (205, 205, 0))
        for s in run["stats"]["streams"]:
            c = s["counts"]
            self.assertEqual(s["status"], "complete")
            self.assertEqual(c["read"], sum(c[k] for k in ("filtered", "overlap_dropped", "folded", "quarantined_rows",
                                                           "inserted", "updated", "unchanged", "deleted")))
            self.assertEqual(self.count(s["name"]), counts[s["name"]])
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{run['id']}/streams"))["items"], run["stats"]["streams"])
        self.assertIsNone(run["error"])
        self.assertGreaterEqual(run["duration_ms"], 0)

    def test_only_some_streams(self):
        self.pair()
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        run = self.run_it(body={"streams": ["users"]})
        self.assertEqual([s["name"] for s in run["stats"]["streams"]], ["users"])
        answer = self.service.post(self.path(), {"streams": ["users", "nope"]})
        self.fails(answer, 422, "unknown_stream")
        self.assertEqual(answer.pointers, {"/streams/1": "unknown_stream"})

    def test_labels_and_note(self):
        self.pair()
        run = self.run_it(body={"labels": {"by": "me"}, "note": "once"})
        self.assertEqual((run["labels"], run["note"]), ({"by": "me"}, "once"))

    def test_full_refresh_reads_all_again(self):
        self.pair(streams=[USERS], rows=30, config={"updates_per_run": 0})
        self.assertEqual(self.run_it()["stats"]["records_read"], 30)
        self.assertEqual(self.run_it()["stats"]["records_read"], 0)
        self.assertEqual(self.run_it(body={"full_refresh": True})["stats"]["records_read"], 30)
        self.assertEqual(self.count("users"), 30)

    def test_id_only(self):
        self.pair()
        answer = self.service.post(self.path("?format=id"))
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.headers["Content-Type"].split(";")[0], "text/plain")
        self.assertRegex(answer.text, r"^\d+\n$")
        self.assertEqual(self.finished(self.service.get(f"/v1/runs/{int(answer.text)}").json())["status"], "succeeded")

    def test_bad_requests(self):
        self.pair()
        for query in ("wait=56", "wait=-1", "follow=maybe", "format=xml", "follow=true&format=id", "on_conflict=replace",
                      "on_disconnect=stop", "x=1"):
            self.fails(self.service.post(self.path(f"?{query}")), 400, "invalid_query")
        for body in ({"streams": "users"}, {"full_refresh": 1}, {"timeout_s": -1}, {"max_attempts": 0}, {"max_attempts": 101},
                     {"labels": []}, {"note": "x" * 2001}):
            self.fails(self.service.post(self.path(), body), 422, "validation_failed")
        self.fails(self.service.post(self.path(), {"id": 7}), 422, "unknown_field")
        self.fails(self.service.post("/v1/connections/none/runs"), 404, "not_found")
        self.assertEqual(self.ok(self.service.get(self.path()))["items"], [])

    def test_idempotency(self):
        self.pair()
        first = self.service.post(self.path(), {"note": "a"}, idempotency_key=self.name)
        again = self.service.post(self.path(), {"note": "a"}, idempotency_key=self.name)
        self.assertEqual(self.ok(first, 201)["id"], self.ok(again, 201)["id"])
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.fails(self.service.post(self.path(), {"note": "b"}, idempotency_key=self.name), 422, "idempotency_key_reused")
        self.finished(first.json())
        self.assertEqual(len(self.ok(self.service.get(self.path()))["items"]), 1)

    def test_idempotency_while_in_flight(self):
        self.pair()
        answers = []

        def start():
            answers.append(self.service.post(self.path(), idempotency_key=self.name))

        threads = [threading.Thread(target=start) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        ids = {a.json()["id"] for a in answers if a.status == 201}
        self.assertEqual(len(ids), 1, answers)
        for a in answers:
            if a.status != 201:
                self.fails(a, 409, "idempotency_in_progress")

    def test_adhoc(self):
        out = str(self.work / "adhoc.db")
        body = {"source": {"connector": "sample", "config": {"rows": 12}},
                "destination": {"connector": "sqlite", "config": {"path": out}}, "streams": [{"name": "users"}]}
        run = self.finished(self.ok(self.service.post("/v1/runs", body), 201))
        self.assertEqual((run["status"], run["connection"]), ("succeeded", None), run)
        self.assertEqual(self.count("users", out), 12)

    def test_adhoc_with_names(self):
        self.source("sample", rows=9)
        self.destination("sqlite")
        run = self.ok(self.service.post("/v1/runs?wait=55", {"source": self.name, "destination": self.name}), 201)
        self.assertEqual(self.finished(run)["status"], "succeeded", run)
        self.assertEqual(self.count("users"), 9)

    def test_adhoc_mistakes(self):
        answer = self.service.post("/v1/runs", {"source": {"connector": "sample", "config": {"rows": 0}}, "destination": 3,
                                                "settings": {"prefix": 1}, "streams": [{}]})
        self.assertEqual(answer.pointers, {"/source/config/rows": "out_of_range", "/destination": "wrong_type",
                                           "/settings/prefix": "wrong_type", "/streams/0/name": "required"})
        answer = self.service.post("/v1/runs", {"source": "none", "destination": "none"})
        self.fails(answer, 422, "unresolved_reference")


class Conflicts(ServiceTest):
    def path(self, more=""):
        return f"/v1/connections/{self.name}/runs{more}"

    def test_reject(self):
        self.slow_pair()
        first = self.ok(self.service.post(self.path()), 201)
        self.running(first["id"])
        answer = self.service.post(self.path())
        problem = self.fails(answer, 409, "run_already_active")
        self.assertEqual(problem["active_run_id"], first["id"])
        self.assertEqual(answer.headers["Location"], f"/v1/runs/{first['id']}")

    def test_join(self):
        self.slow_pair()
        first = self.ok(self.service.post(self.path()), 201)
        answer = self.service.post(self.path("?on_conflict=join"))
        self.assertEqual(self.ok(answer)["id"], first["id"])
        self.assertEqual(answer.headers["Location"], f"/v1/runs/{first['id']}")

    def test_queue(self):
        self.slow_pair()
        first = self.ok(self.service.post(self.path()), 201)
        self.running(first["id"])
        second = self.ok(self.service.post(self.path("?on_conflict=queue")), 201)
        self.assertEqual(second["status"], "queued")
        self.assertNotEqual(first["id"], second["id"])
        self.service.post(f"/v1/runs/{first['id']}/cancel")
        self.assertEqual(self.running(second["id"])["status"], "running")

    def test_two_at_once_one_wins(self):
        self.slow_pair()
        statuses = []

        def start():
            statuses.append(self.service.post(self.path()).status)

        threads = [threading.Thread(target=start) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(statuses), [201] + [409] * 5)

    def test_clear_conflicts_too(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        self.running(run["id"])
        self.fails(self.service.post(f"/v1/connections/{self.name}/clear"), 409, "run_already_active")

    def test_other_connections_run_beside(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        self.running(run["id"])
        self.source("sample", name="beside", rows=5)
        self.destination("sqlite", name="beside", path=str(self.work / "beside.db"))
        self.connection(name="beside")
        self.run_it("beside")


class WaitingAndOutcome(ServiceTest):
    def path(self, more=""):
        return f"/v1/connections/{self.name}/runs{more}"

    def test_wait_ends_with_the_run(self):
        self.pair()
        run = self.ok(self.service.post(self.path("?wait=50")), 201)
        self.assertEqual(run["status"], "succeeded")

    def test_wait_ends_with_the_time(self):
        self.slow_pair()
        begun = time.monotonic()
        run = self.ok(self.service.post(self.path("?wait=1")), 201)
        self.assertGreaterEqual(time.monotonic() - begun, 0.95)
        self.assertIn(run["status"], ("queued", "running"))
        begun = time.monotonic()
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{run['id']}?wait=1"))["status"], "running")
        self.assertGreaterEqual(time.monotonic() - begun, 0.95)

    def test_a_waiting_reader_is_woken(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        self.running(run["id"])
        answers = []
        waiter = threading.Thread(target=lambda: answers.append(self.service.get(f"/v1/runs/{run['id']}?wait=55")))
        begun = time.monotonic()
        waiter.start()
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        waiter.join()
        self.assertEqual(answers[0].json()["status"], "cancelled")
        self.assertLess(time.monotonic() - begun, 40)

    def test_outcome_of_success(self):
        self.pair()
        run = self.run_it()
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{run['id']}/outcome"))["id"], run["id"])
        self.assertEqual(self.ok(self.service.get(self.path("/latest/outcome")))["id"], run["id"])

    def test_outcome_of_failure(self):
        self.source("sqlite", path=str(self.work / "none.db"))
        self.destination("sqlite")
        self.connection()
        run = self.run_it(status="failed", body={"max_attempts": 1})
        problem = self.fails(self.service.get(f"/v1/runs/{run['id']}/outcome"), 424, "run_failed")
        self.assertEqual(problem["run"]["error"], run["error"])
        self.assertEqual(run["error"]["origin"], "source")

    def test_outcome_while_pending(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        answer = self.service.get(f"/v1/runs/{run['id']}/outcome")
        self.ok(answer, 202)
        self.assertEqual(answer.headers["Retry-After"], "1")
        answer = self.service.get(f"/v1/runs/{run['id']}/outcome?pending=408")
        self.fails(answer, 408, "run_pending")
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertTrue(answer.json()["retryable"])
        self.ok(self.service.get(f"/v1/runs/{run['id']}/outcome?wait=1"), 202)
        self.fails(self.service.get(f"/v1/runs/{run['id']}/outcome?pending=500"), 400, "invalid_query")

    def test_outcome_of_a_cancelled_run(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        self.fails(self.service.get(f"/v1/runs/{run['id']}/outcome?wait=55"), 424, "run_cancelled")


class Cancelling(ServiceTest):
    def path(self, more=""):
        return f"/v1/connections/{self.name}/runs{more}"

    def test_a_running_one(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        self.running(run["id"])
        begun = time.monotonic()
        answer = self.service.post(f"/v1/runs/{run['id']}/cancel")
        self.assertIn(answer.status, (200, 202), answer)
        self.assertIn(answer.json()["status"], ("cancelling", "cancelled"))
        ended = self.finished(answer.json())
        self.assertLess(time.monotonic() - begun, 12)
        self.assertEqual((ended["status"], ended["cancel_reason"]), ("cancelled", "user"))
        self.assertEqual(self.service.post(f"/v1/runs/{run['id']}/cancel").status, 200)

    def test_a_queued_one(self):
        self.slow_pair()
        first = self.ok(self.service.post(self.path()), 201)
        self.running(first["id"])
        second = self.ok(self.service.post(self.path("?on_conflict=queue")), 201)
        self.assertEqual(self.ok(self.service.post(f"/v1/runs/{second['id']}/cancel"))["status"], "cancelled")
        self.assertEqual(self.ok(self.service.get(f"/v1/runs/{first['id']}"))["status"], "running")

    def test_an_ended_one(self):
        self.pair()
        run = self.run_it()
        self.fails(self.service.post(f"/v1/runs/{run['id']}/cancel"), 409, "run_not_active")
        self.fails(self.service.post(self.path("/latest/cancel")), 409, "run_not_active")
        self.fails(self.service.post("/v1/runs/999999/cancel"), 404, "not_found")

    def test_a_cancelled_one_continues_where_it_was(self):
        self.pair(streams=[{"name": "purchases", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}],
                  rows=150000, config={"updates_per_run": 0})
        run = self.ok(self.service.post(self.path()), 201)
        self.running(run["id"])
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        first = self.finished(run)
        total = 450000
        if first["status"] == "cancelled":
            self.assertLess(first["stats"]["records_committed"], total)
        second = self.run_it()
        inserted = sum(s["counts"]["inserted"] for r in (first, second) for s in r["stats"]["streams"])
        self.assertEqual(inserted, total)
        self.assertEqual(self.count("purchases"), total)

    def test_timeout_of_a_run(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path(), {"timeout_s": 1, "max_attempts": 1}), 201)
        ended = self.finished(run)
        self.assertIn(ended["status"], ("cancelled", "failed"), ended)
        self.assertEqual(ended["cancel_reason"] or ended["error"]["code"], "timeout", ended)


class RetryDeleteList(ServiceTest):
    def path(self, more=""):
        return f"/v1/connections/{self.name}/runs{more}"

    def failing(self):
        """One stream that cannot be written beside two that can; the failed run."""
        self.pair(rows=10, run_policy={"max_attempts": 1, "backoff_s": 0})
        db = sqlite3.connect(self.work / "out.db")
        db.execute("create view products as select 1 as id")
        db.commit()
        db.close()
        return self.run_it(status="failed")

    def test_retry_of_the_failed_streams(self):
        run = self.failing()
        status = {s["name"]: s["status"] for s in run["stats"]["streams"]}
        self.assertEqual((status["users"], status["purchases"]), ("complete", "complete"), run)
        self.assertNotEqual(status["products"], "complete")
        self.assertTrue(run["partial_success"])
        db = self.database()
        db.execute("drop view products")
        db.commit()
        answer = self.service.post(f"/v1/runs/{run['id']}/retry?wait=55")
        retried = self.finished(self.ok(answer, 201))
        self.assertEqual((retried["status"], retried["retry_of"], retried["trigger"]), ("succeeded", run["id"], "retry"))
        self.assertEqual([s["name"] for s in retried["stats"]["streams"]], ["products"])

    def test_retry_of_all(self):
        self.pair(rows=10)
        run = self.run_it()
        self.fails(self.service.post(f"/v1/runs/{run['id']}/retry"), 409, "nothing_to_retry")
        retried = self.finished(self.ok(self.service.post(f"/v1/runs/{run['id']}/retry", {"streams": "all"}), 201))
        self.assertEqual(len(retried["stats"]["streams"]), 3)
        self.fails(self.service.post(f"/v1/runs/{run['id']}/retry", {"streams": "some"}), 422, "validation_failed")

    def test_retry_of_an_active_one(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        self.fails(self.service.post(f"/v1/runs/{run['id']}/retry"), 409, "run_active")

    def test_delete(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        self.fails(self.service.delete(f"/v1/runs/{run['id']}"), 409, "run_active")
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        self.finished(run)
        self.assertEqual(self.service.delete(f"/v1/runs/{run['id']}").status, 204)
        self.fails(self.service.get(f"/v1/runs/{run['id']}"), 404, "not_found")
        self.fails(self.service.get(f"/v1/runs/{run['id']}/logs"), 404, "not_found")
        self.fails(self.service.delete(f"/v1/runs/{run['id']}"), 404, "not_found")

    def test_lists_pages_and_filters(self):
        self.pair(rows=3)
        ids = [self.run_it()["id"] for _ in range(5)]
        seen, path = [], self.path("?limit=2")
        while path:
            answer = self.service.get(path)
            seen += [r["id"] for r in self.ok(answer)["items"]]
            link = answer.headers.get("Link")
            path = link[1:link.index(">")] if link else None
        self.assertEqual(seen, ids[::-1])
        self.assertEqual([r["id"] for r in self.ok(self.service.get(self.path("?order=asc")))["items"]], ids)
        self.assertEqual([r["id"] for r in self.ok(self.service.get(f"/v1/runs?connection={self.name}&limit=500"))["items"]], ids[::-1])
        for query, n in (("status=succeeded", 5), ("status=failed,cancelled", 0), ("kind=clear", 0), ("kind=sync,clear", 5),
                         ("trigger=retry", 0), ("since=1h", 5), ("until=1h", 0), ("since=2099-01-01T00:00:00Z", 0),
                         ("until=2099-01-01T00:00:00Z", 5)):
            self.assertEqual(len(self.ok(self.service.get(self.path(f"?{query}")))["items"]), n, query)
        for query, code in (("status=done", "invalid_query"), ("kind=x", "invalid_query"), ("since=yesterday", "invalid_query"),
                            ("order=up", "invalid_query"), ("cursor=x", "invalid_cursor"), ("limit=0", "invalid_query")):
            self.fails(self.service.get(self.path(f"?{query}")), 400, code)
        self.assertNotIn("streams", self.ok(self.service.get(self.path()))["items"][0]["stats"])
        self.assertEqual(self.ok(self.service.get(self.path("?limit=2&count=true")))["total"], 5)
        self.assertEqual(self.ok(self.service.get(self.path("?status=failed&count=true")))["total"], 0)
        self.assertEqual(self.ok(self.service.get(f"/v1/connections?source={self.name}&count=true"))["total"], 1)

    def test_aliases(self):
        self.pair(rows=3)
        self.fails(self.service.get(self.path("/latest")), 404, "not_found")
        run = self.run_it()
        for name in ("latest", run["id"]):
            self.assertEqual(self.ok(self.service.get(self.path(f"/{name}")))["id"], run["id"])
            self.assertEqual(len(self.ok(self.service.get(self.path(f"/{name}/streams")))["items"]), 3)
        self.source("sample", name="other", rows=3)
        self.destination("sqlite", name="other", path=str(self.work / "other.db"))
        self.connection(name="other")
        other = self.run_it("other")
        self.fails(self.service.get(self.path(f"/{other['id']}")), 404, "not_found")
        for bad in ("0", "-1", "x", "1.5", "latest"):
            self.fails(self.service.get(f"/v1/runs/{bad}"), 404, "not_found")

    def test_clear(self):
        self.pair(streams=[USERS], rows=10)
        self.run_it()
        self.assertEqual(self.count("users"), 10)
        run = self.finished(self.ok(self.service.post(f"/v1/connections/{self.name}/clear"), 201))
        self.assertEqual((run["kind"], run["status"]), ("clear", "succeeded"), run)
        self.assertEqual(self.ok(self.service.get(f"/v1/connections/{self.name}/state"))["streams"], [])
        tables = {n for n, in self.database().execute("select name from sqlite_master where type = 'table'")}
        self.assertTrue("users" not in tables or self.count("users") == 0)
        self.assertEqual(self.run_it()["stats"]["records_committed"], 10)


class FullQueue(ServiceTest):
    def test_a_thousand_wait_and_no_more(self):
        name = self.slow_pair()
        path = f"/v1/connections/{name}/runs?on_conflict=queue&format=id"
        first = int(self.service.post(path).text)
        self.running(first)
        for _ in range(1000):
            self.assertEqual(self.service.request("POST", path, check=False).status, 201)
        answer = self.service.post(path)
        self.fails(answer, 503, "queue_full")
        self.assertTrue(answer.headers["Retry-After"])
        waiting = self.ok(self.service.get(f"/v1/connections/{name}/runs?status=queued&limit=500&count=true"))
        self.assertEqual(waiting["total"], 1000)
        self.fails(self.service.delete(f"/v1/connections/{name}"), 409, "run_active")
        self.assertEqual(self.service.delete(f"/v1/connections/{name}?cancel=true").status, 204)
        left = self.ok(self.service.get("/v1/runs?status=queued,running,cancelling&count=true"))
        self.assertEqual(left["total"], 0)


class Following(ServiceTest):
    def path(self, more=""):
        return f"/v1/connections/{self.name}/runs{more}"

    def test_from_the_start_to_the_end(self):
        self.pair()
        with self.service.stream("POST", self.path("?follow=true")) as (response, lines):
            self.assertEqual(response.status, 201)
            self.assertEqual(response.headers["Content-Type"].split(";")[0], "application/x-ndjson")
            self.assertEqual(response.headers["X-Accel-Buffering"], "no")
            events = list(events_of(lines))
        run_id = int(response.headers["Run-Id"])
        self.assertEqual(response.headers["Location"], f"/v1/runs/{run_id}")
        self.assertEqual((events[0]["type"], events[0]["run"]["id"]), ("run", run_id))
        self.assertEqual([e["type"] for e in events].count("end"), 1)
        end = events[-1]
        self.assertEqual((end["type"], end["status"], end["exit_code"]), ("end", "succeeded", 0))
        self.assertEqual(end["stats"]["records_committed"], self.ok(self.service.get(f"/v1/runs/{run_id}"))["stats"]["records_committed"])
        numbers = [e["seq"] for e in events if "seq" in e]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def test_of_a_failure(self):
        self.source("sqlite", path=str(self.work / "none.db"))
        self.destination("sqlite")
        self.connection(run_policy={"max_attempts": 1})
        with self.service.stream("POST", self.path("?follow=true")) as (_, lines):
            end = list(events_of(lines))[-1]
        self.assertEqual((end["type"], end["status"], end["exit_code"]), ("end", "failed", 1))

    def test_text_and_sse(self):
        self.pair()
        with self.service.stream("POST", self.path("?follow=true&format=text")) as (response, lines):
            self.assertEqual(response.headers["Content-Type"].split(";")[0], "text/plain")
            text = list(lines)
        self.assertTrue(any("succeeded" in line for line in text[-2:]), text[-3:])
        with self.service.stream("POST", self.path("?follow=true"), accept="text/event-stream") as (response, lines):
            self.assertEqual(response.headers["Content-Type"].split(";")[0], "text/event-stream")
            sse = list(lines)
        self.assertIn('"type":"end"', [line for line in sse if line.startswith("data:")][-1])

    def test_joins_what_is_active(self):
        self.slow_pair()
        run = self.ok(self.service.post(self.path()), 201)
        self.running(run["id"])
        with self.service.stream("POST", self.path("?follow=true&on_conflict=join")) as (response, lines):
            self.assertEqual((response.status, response.headers["Run-Id"]), (200, str(run["id"])))
            self.assertEqual(next(events_of(lines))["type"], "run")
            self.service.post(f"/v1/runs/{run['id']}/cancel")
            end = list(events_of(lines))[-1]
        self.assertEqual((end["status"], end["exit_code"]), ("cancelled", 2))

    def test_conflict_is_no_stream(self):
        self.slow_pair()
        self.ok(self.service.post(self.path()), 201)
        self.fails(self.service.post(self.path("?follow=true")), 409, "run_already_active")

    def test_going_away_does_not_cancel(self):
        self.slow_pair()
        with self.service.stream("POST", self.path("?follow=true")) as (response, lines):
            run_id = next(events_of(lines))["run"]["id"]
        self.running(run_id)
        read = self.ok(self.service.get(f"/v1/runs/{run_id}"))["stats"]["records_read"]
        wait_until("the run to go on", lambda: self.ok(self.service.get(f"/v1/runs/{run_id}"))["stats"]["records_read"] > read)

    def test_going_away_cancels_when_asked(self):
        self.slow_pair()
        with self.service.stream("POST", self.path("?follow=true&on_disconnect=cancel")) as (response, lines):
            run_id = next(events_of(lines))["run"]["id"]
            self.running(run_id)
        ended = self.finished(self.ok(self.service.get(f"/v1/runs/{run_id}")))
        self.assertEqual((ended["status"], ended["cancel_reason"]), ("cancelled", "disconnect"))

    def test_on_disconnect_leaves_a_run_that_ends_by_itself(self):
        self.pair()
        with self.service.stream("POST", self.path("?follow=true&on_disconnect=cancel")) as (response, lines):
            self.assertEqual(list(events_of(lines))[-1]["status"], "succeeded")
        self.assertEqual(self.ok(self.service.get(self.path("/latest")))["status"], "succeeded")

    def test_idempotency_follows_again(self):
        self.pair()
        ids = []
        for _ in range(2):
            with self.service.stream("POST", self.path("?follow=true"), idempotency_key=self.name) as (response, lines):
                self.assertEqual(response.status, 201)
                events = list(events_of(lines))
                ids.append(events[0]["run"]["id"])
                self.assertEqual(events[-1]["type"], "end")
        self.assertEqual(ids[0], ids[1])

    def test_http_1_0(self):
        self.pair()
        import socket
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=60) as s:
            s.sendall(f"POST {self.path('?follow=true')} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
            whole = b""
            while piece := s.recv(65536):
                whole += piece
        head, body = whole.split(b"\r\n\r\n", 1)
        self.assertIn(b" 201 ", head.split(b"\r\n")[0])
        self.assertNotIn(b"chunked", head.lower())
        self.assertEqual(json.loads(body.splitlines()[-1])["type"], "end")


if __name__ == "__main__":
    service.main()
