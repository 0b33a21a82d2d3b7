#!/usr/bin/env python3
"""Servers that are busy, broken or slow: each fault is waited out, or ends with a word about it."""
import email.utils
import os
import random
import time

import rest_case
from rest_case import Reply, RestTest, bomb, items, reply
from service import sanitized, wait_until

SCHEMA = {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
GOOD = {"data": items(1, 3)}


class Faults(RestTest):
    """T32."""

    def one(self, *answers, **client):
        self.api.queue("/items", *answers)
        self.rest(self.stream(schema=SCHEMA), **client)

    def recovered(self, n):
        run = self.run_it()
        self.assertEqual(self.ids(), [1, 2, 3])
        self.assertEqual(len(self.api.asked("/items")), n)
        return run

    def waited(self):
        first, second = self.api.asked("/items")[:2]
        return second.at - first.at

    def test_too_many_requests_with_seconds(self):
        self.one(reply({}, status=429, headers={"Retry-After": "2"}), reply(GOOD))
        self.recovered(2)
        self.assertGreaterEqual(self.waited(), 2)

    def test_too_many_requests_with_a_date(self):
        self.one(lambda r: reply({}, status=429, headers={"Retry-After": email.utils.formatdate(time.time() + 3, usegmt=True)}),
                 reply(GOOD))
        self.recovered(2)
        self.assertGreaterEqual(self.waited(), 1.5)

    def test_too_many_requests_until_a_time_that_is_over(self):
        past = email.utils.formatdate(time.time() - 3600, usegmt=True)
        self.one(reply({}, status=429, headers={"Retry-After": past}), reply(GOOD))
        self.recovered(2)
        self.assertLess(self.waited(), 30)

    def test_too_many_requests_for_eight_hours(self):
        self.one(reply({}, status=429, headers={"Retry-After": str(8 * 3600)}), reply(GOOD))
        began = time.monotonic()
        error = self.failure("wait_too_long")
        self.assertLess(time.monotonic() - began, 30)
        self.assertIn("28800", error["message"])
        self.assertTrue(error["retryable"], error)

    def test_a_busy_server_is_no_failed_try(self):
        self.one(*[reply({}, status=429, headers={"Retry-After": "0"})] * 12, reply(GOOD), retry={"tries": 2})
        self.recovered(13)

    def test_error_in_a_good_answer(self):
        bad = {"ok": False, "error": "internal", "data": items(50, 60)}
        rule = {"when": {"status": [200], "body": "body.ok == false"}, "do": "retry", "message": "it says no"}
        self.one(reply(bad), reply({"ok": True, **GOOD}), errors=[rule])
        self.recovered(2)  # and of the records in the bad answer not one was taken

    def test_error_in_a_good_answer_that_stays(self):
        rule = {"when": {"body": "body.ok == false"}, "do": "fail", "as": "auth", "message": "it says no"}
        self.one(reply({"ok": False, "data": items(50, 60)}), errors=[rule])
        self.assertIn("it says no", self.failure()["message"])

    def test_storm_of_server_errors(self):
        """The seed is printed; the storm has an end before the tries do."""
        seed = int(os.environ.get("CONNECTORD_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"seed {seed}: CONNECTORD_TEST_SEED={seed} repeats this storm", flush=True)
        chance = random.Random(seed)
        broken = {"row": 0, "no_json": 0}

        def handler(request):
            page = int(request.query["page"])
            if broken["row"] < 4 and chance.random() < 0.6:
                broken["row"] += 1
                body = '{"data":[' + ",".join('{"id":%d,"name":"x"}' % (1000 + i) for i in range(30)) + "]}"
                faults = [reply({}, status=500), reply({}, status=503), Reply("<html>bad gateway", status=502),
                          Reply(reset=True), Reply(body, cut=chance.randrange(1, len(body) - 1))]
                no_json = [Reply(body[:chance.randrange(1, len(body) - 1)]), Reply("")]
                answer = chance.choice(faults + (no_json if broken["no_json"] < 2 else []))
                broken["no_json"] += answer in no_json
                return answer
            broken.update(row=0, no_json=0)
            return reply({"data": items(10 * page - 9, 10 * page) if page <= 30 else []})
        self.api.on("/items", handler)
        # A body that is not decodable has three tries of its own.
        self.rest(self.stream(schema=SCHEMA, paginate={"type": "page"}), retry={"tries": 6},
                  run_policy={"max_attempts": 20, "backoff_s": 0})
        self.run_it()
        self.assertEqual(self.ids(), list(range(1, 301)), f"seed {seed}")

    def test_storm_without_end(self):
        self.one(reply({}, status=503), retry={"tries": 4})
        error = self.failure("server_error")
        self.assertTrue(error["retryable"], error)
        self.assertEqual(len(self.api.asked("/items")), 4)

    def test_resets(self):
        self.one(Reply(reset=True), Reply(reset=True), reply(GOOD))
        self.recovered(3)

    def test_cut_in_the_middle(self):
        body = reply(GOOD).body
        self.one(Reply(body, cut=len(body) // 2), Reply(body, cut=0), reply(GOOD))
        self.recovered(3)

    def test_slow_drip_ends_with_the_total_timeout(self):
        self.one(Reply(reply(GOOD).body, drip=0.3), timeout={"idle": "5s", "total": "2s"}, retry={"tries": 2})
        began = time.monotonic()
        error = self.failure()
        self.assertLess(time.monotonic() - began, 30)
        self.assertTrue(error["retryable"], error)
        self.assertEqual(len(self.api.asked("/items")), 2)

    def test_silence_ends_with_the_idle_timeout(self):
        self.one(Reply(b"{}", delay=60), reply(GOOD), timeout={"idle": "1s", "total": "30s"})
        self.recovered(2)

    def test_chunks_and_gzip(self):
        self.one(reply(GOOD, chunk=1))
        self.recovered(1)
        self.anew("packed")
        self.one(reply(GOOD, packed=True, chunk=7))
        self.recovered(1)

    def test_a_bomb_is_stopped_with_memory_flat(self):
        before = self.peak()
        self.one(bomb(2 << 30), max_response="256MiB")
        error = self.failure()
        self.assertIn("larger than allowed", error["message"])
        if not sanitized():
            self.assertLess(self.peak() - before, 64 << 20, "bytes of memory for a bomb")

    def peak(self):
        with open(f"/proc/{self.service.process.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

    def test_not_json_at_all(self):
        self.one(Reply("<html>login</html>", headers={"Content-Type": "application/json"}))
        self.failure("body_not_decodable")
        self.assertEqual(len(self.api.asked("/items")), 3)

    def test_cancel_during_a_wait(self):
        self.one(reply({}, status=429, headers={"Retry-After": "600"}), reply(GOOD))
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("a request", lambda: self.api.asked("/items"))
        began = time.monotonic()
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        self.assertEqual(self.finished(run)["status"], "cancelled")
        self.assertLess(time.monotonic() - began, 10)


if __name__ == "__main__":
    rest_case.main()
