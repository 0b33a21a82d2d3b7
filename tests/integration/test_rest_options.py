#!/usr/bin/env python3
"""Options of a document one by one: what is sent, what is heard, and what becomes of it."""
import datetime
import email.utils
import time

import rest_case
from rest_case import SECRET, RestTest, items, reply

SCHEMA = {"properties": {"id": {"type": "integer"}}}
ONE = {"data": [{"id": 1}]}
DAY = "2024-05-{:02}T00:00:00Z"
STAMPED = {"properties": {"id": {"type": "integer"}, "at": {"type": ["null", "string"], "format": "date-time"}}}


def ago(**time_ago):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**time_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Rules(RestTest):
    def one(self, *answers, errors=(), **client):
        self.api.queue("/items", *answers)
        stream = {k: client.pop(k) for k in ("slices", "max_skipped", "empty_ok") if k in client}
        self.rest(self.stream(schema=SCHEMA, errors=list(errors), **stream), **client)

    def waits(self):
        asked = self.api.asked("/items")
        return [b.at - a.at for a, b in zip(asked, asked[1:])]

    def test_a_header_says_how_long_to_wait(self):
        self.one(reply({}, status=503, headers={"X-Wait": "1"}), reply(ONE),
                 errors=[{"when": {"status": 503}, "do": "rate_limited", "wait_header": "X-Wait"}])
        self.run_it()
        self.assertGreaterEqual(self.waits()[0], 1)

    def test_the_body_says_how_long_to_wait(self):
        self.one(reply({"error": {"seconds": 1}}), reply(ONE),
                 errors=[{"when": {"body": "body.error exists"}, "do": "rate_limited", "wait_path": "error.seconds"}])
        self.run_it()
        self.assertGreaterEqual(self.waits()[0], 1)

    def test_a_class_of_statuses(self):
        self.one(reply({}, status=418), reply(ONE), errors=[{"when": {"class": "4xx"}, "do": "retry"}])
        self.run_it()
        self.assertEqual((self.ids(), len(self.api.asked("/items"))), ([1], 2))

    def test_the_stream_is_complete(self):
        self.one(reply({}, status=404), errors=[{"when": {"status": 404}, "do": "stop"}], slices=[{"n": 1}, {"n": 2}])
        self.run_it()
        self.assertEqual((self.ids(), len(self.api.asked("/items"))), ([], 1))

    def test_slices_are_given_up_as_many_as_may_be(self):
        rule = [{"when": {"status": 403}, "do": "skip_slice", "message": "closed: {{ body.why }}"}]
        for allowed in (1, 2):
            with self.subTest(allowed=allowed):
                self.anew(f"skip-{allowed}")
                self.one(reply({"why": "for now"}, status=403), reply(ONE), reply({"why": "for ever"}, status=403), reply(ONE),
                         errors=rule, slices=[{"n": n} for n in range(4)], max_skipped=allowed)
                if allowed == 2:
                    self.assertIn("closed: for ever", self.log(self.run_it()))
                else:
                    self.assertIn("closed: for ever", self.failure("too_many_skipped")["message"])

    def test_a_first_page_without_records_may_be_an_error(self):
        self.one(reply({"data": []}), empty_ok=False)
        self.failure("empty_stream")

    def test_longer_than_anybody_waits(self):
        self.one(reply({}, status=429, headers={"Retry-After": "5"}), reply(ONE), retry={"max_wait": "2s"})
        self.failure("wait_too_long")

    def test_what_a_server_has_left(self):
        """The last one is not used up, and the next are there when it says so."""
        for k, headers in enumerate(({"X-Left": "1", "X-New": "1"}, {"X-Used": "39/40", "X-New": "1"})):
            with self.subTest(headers=headers):
                self.anew(f"left-{k}")
                self.api.on("/items", lambda r, h=headers: reply({"data": items(1, 1), "next": "b"} if not r.query.get("after") else ONE, headers=h))
                limit = {"reset_header": "X-New", "min_remaining": 1}
                limit |= {"remaining_header": "X-Left"} if "X-Left" in headers else {"used_limit_header": "X-Used"}
                self.rest(self.stream(schema=SCHEMA, paginate={"type": "cursor", "path": "next", "param": "after"}), rate_limit=limit)
                self.run_it()
                self.assertGreaterEqual(self.waits()[0], 0.9)

    def test_a_limit_is_meant_for_some_requests(self):
        for name in "ab":
            self.api.on(f"/{name}", lambda r: reply(ONE))
        for k, match in enumerate(({"path": "/b"}, {"path_regex": "b$"}, {"method": "POST"})):
            with self.subTest(match=match):
                self.anew(f"match-{k}")
                self.rest(self.stream("a", schema=SCHEMA, slices=[{"n": 1}, {"n": 2}]), self.stream("b", schema=SCHEMA, slices=[{"n": 1}, {"n": 2}]),
                          rate_limit=[{"requests": 1, "per": "1h", "match": match}])
                if "method" in match:
                    self.run_it()
                else:
                    self.assertIn('"b"', self.failure("wait_too_long")["message"])
                self.assertEqual(len(self.api.asked("/a")), 2)


class Sending(RestTest):
    def asked(self, stream=None, answer=None, **client):
        self.api.on("/items", lambda r: answer or reply(ONE))
        self.rest(self.stream(schema=SCHEMA, **(stream or {})), **client)
        self.run_it()
        return self.api.asked("/items")

    def test_a_form(self):
        request = self.asked({"method": "POST", "body": {"form": {"a": "ä &", "n": 7}}})[0]
        self.assertEqual((request.method, request.form), ("POST", {"a": "ä &", "n": "7"}))
        self.assertEqual(request.headers["Content-Type"], "application/x-www-form-urlencoded")

    def test_a_cookie(self):
        request = self.asked(auth={"type": "api_key", "name": "sid", "value": "{{ secret.k }}", "in": "cookie"}, secrets={"k": SECRET})[0]
        self.assertEqual(request.headers["Cookie"], f"sid={SECRET}")

    def test_a_session(self):
        """One request for the token, which goes where the document says."""
        self.api.on("/login", lambda r: reply({"session": {"id": "s3ss10n-" + r.json()["user"]}}))
        auth = {"type": "session", "token_path": "session.id", "ttl": "1h", "send": {"in": "header", "name": "X-Session", "prefix": "Token "},
                "request": {"path": "/login", "method": "POST", "body": {"json": {"user": "joe", "password": "{{ secret.k }}"}}}}
        asked = self.asked({"slices": [{"n": 1}, {"n": 2}]}, auth=auth, secrets={"k": SECRET})
        self.assertEqual([r.headers["X-Session"] for r in asked], ["Token s3ss10n-joe"] * 2)
        self.assertEqual([r.json()["password"] for r in self.api.asked("/login")], [SECRET])

    def test_a_session_that_is_over_is_begun_anew(self):
        tokens = []
        self.api.on("/login", lambda r: tokens.append(len(tokens)) or reply({"token": f"t{len(tokens)}"}))
        self.api.on("/items", lambda r: reply(ONE) if r.headers["Authorization"] == "Bearer t2" else reply({}, status=401))
        self.rest(self.stream(schema=SCHEMA), auth={"type": "session", "token_path": "token", "request": {"path": "/login", "method": "POST"}})
        self.run_it()
        self.assertEqual((self.ids(), len(tokens)), ([1], 2))

    def test_the_end_of_a_token(self):
        """Its unit, and how long before it a new one is asked for."""
        for unit, value, early, exchanges in (("s", 3600, "60s", 1), ("s", 30, "60s", 3), ("epoch", int(time.time()) + 30, "60s", 3),
                                              ("iso", ago(hours=-1), "60s", 1), ("iso", ago(hours=-1), "2h", 3)):
            with self.subTest(unit=unit, early=early, value=value):
                self.anew(f"end-{unit}-{early}-{exchanges}")
                self.api.on("/token", lambda r: reply({"access_token": "t", "until": value}))
                self.asked({"slices": [{"n": 1}, {"n": 2}, {"n": 3}]}, auth={
                    "type": "oauth2", "grant": "client_credentials", "token_url": f"{self.api.url}/token", "client_id": "c", "client_secret": "s3cret",
                    "expires_path": "until", "expires_unit": unit, "early": early})
                self.assertEqual(len(self.api.asked("/token")), exchanges)

    def test_a_page_in_a_header(self):
        self.api.on("/items", lambda r: reply({"data": items(1, 2) if r.headers["X-Page"] == "1" else []}))
        self.rest(self.stream(schema=SCHEMA, paginate={"type": "page", "param": "X-Page", "in": "header"}))
        self.run_it()
        self.assertEqual([r.headers["X-Page"] for r in self.api.asked("/items")], ["1", "2"])

    def test_a_condition_ends_the_pages(self):
        self.api.queue("/items", *(reply({"data": items(1, 2), "left": n, "next": f"c{n}"}) for n in (1, 0)))
        self.rest(self.stream(schema=SCHEMA, paginate={"type": "cursor", "path": "next", "param": "after", "until": "body.left == 0"}))
        self.run_it()
        self.assertEqual(len(self.api.asked("/items")), 2)

    def test_an_address_that_comes_next_is_used_as_it_is(self):
        """T30: parameters that it has not are not put in again."""
        self.api.on("/items", lambda r: reply(ONE, headers={} if "page_info" in r.query else {"Link": f'<{self.api.url}/items?page_info=x>; rel="next"'}))
        self.rest(self.stream(schema=SCHEMA, params={"limit": 5, "since": "2024"}, paginate={"type": "link_header"}))
        self.run_it()
        self.assertEqual([r.query for r in self.api.asked("/items")], [{"limit": "5", "since": "2024"}, {"page_info": "x"}])

    def test_the_one_record_is_the_value_itself(self):
        self.asked({"records": {"path": "account", "single": True}}, answer=reply({"account": {"id": 7}}))
        self.assertEqual(self.ids(), [7])

    def test_certificates_that_are_not_checked_are_warned_of(self):
        self.asked(tls={"verify": False})
        run = self.run_it()
        self.assertIn('"level":"warn"', next(line for line in self.log(run).splitlines() if "certificates are not checked" in line))


class Increments(RestTest):
    def bookmarked(self, rows, date=None, stream=None, **incremental):
        """The rows as they are; what was sent is in asked(). `date` is the server's clock."""
        headers = {"Date": date} if date else {}
        self.api.on("/items", lambda r: reply({"data": list(rows)}, headers=headers))
        self.dedup(self.stream(schema=STAMPED, incremental={
            "field": "at", "start": DAY.format(1), "send": {"param": "since", "value": "{{ state.start | iso }}"}, **incremental}, **(stream or {})))

    def since(self):
        return [r.query.get("since") for r in self.api.asked("/items")]

    def test_a_clock_that_is_an_hour_behind(self):
        """T32: what the server writes after the run is older than the run. Its own Date tells."""
        rows = [{"id": 1, "at": ago(hours=2)}]
        self.bookmarked(rows, date=email.utils.formatdate(time.time() - 3600, usegmt=True), lookback="0s")
        self.run_it()
        rows.append({"id": 2, "at": ago(minutes=59)})
        self.run_it()
        self.assertEqual(self.ids(), [1, 2])
        self.assertLess(self.since()[1], ago(minutes=59))

    def test_a_clock_that_is_an_hour_ahead(self):
        rows = [{"id": 1, "at": ago(hours=-1)}]
        self.bookmarked(rows, date=email.utils.formatdate(time.time() + 3600, usegmt=True), lookback="0s")
        self.run_it()
        rows.append({"id": 2, "at": ago(minutes=-61)})
        self.run_it()
        self.assertEqual(self.ids(), [1, 2])
        self.assertLess(self.since()[1], ago(minutes=-1), "a bookmark is not in the future")

    def test_bounds_are_rounded_to_what_the_api_knows(self):
        self.bookmarked([], granularity="1h", lookback="0s")
        self.run_it()
        self.run_it()
        self.assertTrue(self.since()[1].endswith(":00:00Z"), self.since())

    def test_both_bounds_are_sent_window_by_window(self):
        self.bookmarked([], window="10d", end=DAY.format(25), lookback="0s", send_end={"param": "until", "value": "{{ state.end | date:'%Y-%m-%d' }}"})
        self.run_it()
        self.assertEqual([(r.query["since"][:10], r.query["until"]) for r in self.api.asked("/items")],
                         [("2024-05-01", "2024-05-11"), ("2024-05-11", "2024-05-21"), ("2024-05-21", "2024-05-25")])

    def test_what_the_api_has_forgotten_takes_a_full_refresh(self):
        self.bookmarked([{"id": 1, "at": DAY.format(2)}], retention="30d", end=DAY.format(9))
        self.run_it()
        error = self.failure("cursor_too_old")
        self.assertIn("full refresh", error["message"])
        self.run_it(body={"full_refresh": True})

    def test_records_without_the_field(self):
        rows = [{"id": 1, "at": DAY.format(2)}, {"id": 2, "at": None}, {"id": 3}]
        for word, found in (("include", [1, 2, 3]), ("exclude", [1]), ("fail", None)):
            with self.subTest(missing=word):
                self.anew(f"missing-{word}")
                self.bookmarked(rows, missing=word)
                if found is None:
                    self.failure("null_cursor")
                    continue
                run = self.run_it()
                self.assertEqual(self.ids(), found)
                self.assertEqual(run["stats"]["streams"][0]["counts"]["overlap_dropped"], 3 - len(found))

    def test_milliseconds_since_1970(self):
        self.api.on("/items", lambda r: reply({"data": [{"id": 1, "at": 1714608000123}]}))
        self.dedup(self.stream(schema={"properties": {"id": {"type": "integer"}, "at": {"type": "integer"}}}, incremental={
            "field": "at", "type": "epoch_ms", "start": 1714600000000, "end": 1714700000000, "lookback": "0s",
            "send": {"param": "since", "value": "{{ state.start | epoch_ms }}"}}))
        self.run_it()
        self.run_it()
        self.assertEqual(self.since(), ["1714600000000", "1714700000000"])

    def test_a_cursor_that_is_too_old_is_not_used_again(self):
        """After a failure in the middle the pages begin again when the cursor may be gone."""
        for ttl, second in (("1h", ["b"]), ("0s", [None])):
            with self.subTest(token_ttl=ttl):
                self.anew(f"ttl-{ttl}")
                self.api.on("/items", lambda r: reply({}, status=400) if "after" in r.query else reply({"data": items(1, 3), "next": "b"}))
                self.dedup(self.stream(schema=SCHEMA, paginate={"type": "cursor", "path": "next", "param": "after", "token_ttl": ttl}))
                self.run_it(status="failed")
                self.api.forget()
                self.api.on("/items", lambda r: reply({"data": items(1, 3), "next": "b"} if "after" not in r.query else {"data": items(4, 5)}))
                self.run_it()
                self.assertEqual(self.ids(), [1, 2, 3, 4, 5])
                self.assertEqual([r.query.get("after") for r in self.api.asked("/items")][:1], second)


if __name__ == "__main__":
    rest_case.main()
