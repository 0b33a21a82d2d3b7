#!/usr/bin/env python3
"""Pages that follow each other, and those that do not: cycles, cursors that are nothing, short pages."""
import itertools

import rest_case
from rest_case import RestTest, items, reply

CURSOR = {"type": "cursor", "path": "next", "param": "after"}
NUMBERED = {"type": "page", "param": "page", "size_param": "per_page", "size": 3}


AT = "2024-05-01T00:{:02}:00Z"


GIVEN = {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "at": {"type": "string", "format": "date-time"}}}


class Moving(RestTest):
    """P4: a list that changes while its pages are counted through."""

    def counted(self, rows, between=lambda k: None):
        """Answers by page or offset from `rows`, which `between` changes after request k."""
        count = itertools.count(1)

        def handler(request):
            q = request.query
            size = int(q.get("per_page") or q["limit"])
            first = int(q["offset"]) if "offset" in q else (int(q["page"]) - 1) * size
            answer = reply({"data": rows[first:first + size]})
            between(next(count))
            return answer
        self.api.on("/items", handler)

    def delivery(self, run):
        """Of the run's stream; the connection says the same, with the stream's name before it."""
        stream, = run["stats"]["streams"]
        connection = self.service.get(f"/v1/connections/{self.name}").json()
        self.assertEqual(connection["delivery"], stream["delivery"])
        if stream["delivery_why"]:
            self.assertEqual(connection["delivery_why"], f'stream "items": {stream["delivery_why"]}')
        else:
            self.assertIsNone(connection["delivery_why"])
        return stream["delivery"]

    def test_what_is_promised_is_said_by_run_connection_and_catalog(self):
        offset = {"type": "offset", "limit": 3}
        cases = [("at_least_once", NUMBERED, {}), ("exactly_once", {**NUMBERED, "stable": True}, {}),
                 ("at_least_once", {**NUMBERED, "stable": False}, {"key": []}), ("at_least_once", offset, {}),
                 ("exactly_once", {**offset, "overlap": "always"}, {}), ("exactly_once", CURSOR, {})]
        for k, (promise, paginate, more) in enumerate(cases):
            with self.subTest(paginate=paginate, **more):
                self.anew(f"promise-{k}")
                self.counted(items(1, 3)) if paginate is not CURSOR else self.api.on("/items", lambda r: reply({"data": items(1, 3)}))
                self.rest(self.stream(paginate=paginate, **more))
                run = self.run_it()
                self.assertEqual(self.delivery(run), promise)
                self.assertEqual("may be missed" in self.log(run), promise == "at_least_once")
                self.assertEqual(self.ids(), [1, 2, 3])

    def test_rows_that_are_appended_may_come_twice(self):
        self.counted(items(1, 7))
        self.rest(self.stream(paginate={"type": "offset", "limit": 3, "overlap": "always"}, schema=GIVEN), write="append")
        run = self.run_it()
        self.assertEqual(self.ids(), list(range(1, 8)), "pages do not overlap where a row would be there twice")
        self.assertEqual([r.query["offset"] for r in self.api.asked("/items")], ["0", "3", "6", "7"])
        self.assertEqual(self.delivery(run), "at_least_once")

    def test_a_destination_that_merges_nothing_gets_each_row_once(self):
        self.counted(items(1, 7))
        self.source("rest", document=self.document([self.stream(paginate={"type": "offset", "limit": 3, "overlap": "always"})]))
        self.destination("file", path=str(self.work / "out"), format="ndjson")
        self.connection(streams=[{"name": "items", "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}])
        run = self.run_it()
        self.assertEqual(run["stats"]["streams"][0]["records_committed"], 7)
        self.assertEqual(self.delivery(run), "at_least_once")

    def test_the_children_of_parents_that_may_be_missed_may_be_missed(self):
        self.counted(items(1, 3))
        self.api.on("/notes/1", lambda r: reply({"data": [{"id": 1}]}))
        self.api.on("/notes/2", lambda r: reply({"data": []}))
        self.api.on("/notes/3", lambda r: reply({"data": []}))
        for promise, how in (("at_least_once", NUMBERED), ("exactly_once", {**NUMBERED, "stable": True})):
            with self.subTest(how=how):
                self.anew("children-" + promise.replace("_", "-"))
                self.rest(self.stream(paginate=how, selected=False),
                          self.stream("notes", path="/notes/{{ parent.id }}", for_each={"stream": "items", "fields": {"id": "id"}}))
                self.assertEqual(self.run_it()["stats"]["streams"][0]["delivery"], promise)

    def test_a_deletion_pulls_no_row_past_the_reading(self):
        rows = items(1, 20)
        self.counted(rows, lambda k: rows.pop(0) if k in (2, 4) else None)
        self.rest(self.stream(paginate={"type": "offset", "limit": 5, "overlap": "always"}, schema=GIVEN))
        run = self.run_it()
        self.assertEqual(self.ids(), list(range(1, 21)))
        self.assertEqual(self.delivery(run), "exactly_once")

    def test_without_overlap_the_same_deletion_does(self):
        """What the promise is weakened for: this is the fault that `overlap` ends."""
        rows = items(1, 20)
        self.counted(rows, lambda k: rows.pop(0) if k in (2, 4) else None)
        self.rest(self.stream(paginate={"type": "offset", "limit": 5, "overlap": "never"}, schema=GIVEN))
        run = self.run_it()
        self.assertNotEqual(self.ids(), list(range(1, 21)))
        self.assertEqual(self.delivery(run), "at_least_once")

    def test_an_insertion_pushes_rows_into_the_next_page_and_they_are_one(self):
        for how in ({"type": "offset", "limit": 5, "overlap": "always"}, {**NUMBERED, "size": 5}):
            with self.subTest(how=how):
                self.anew("insert-" + how["type"])
                rows = items(1, 20)
                self.counted(rows, lambda k: rows.insert(0, {"id": 100 + k, "name": "new"}) if k in (2, 4) else None)
                self.rest(self.stream(paginate=how, schema=GIVEN))
                self.run_it()
                self.assertEqual([i for i in self.ids() if i < 100], list(range(1, 21)))

    def test_what_changes_moves_to_the_front_which_is_read_again(self):
        """Newest first: row 2 changes behind the first page, and is found in the front at last."""
        for how in ({"type": "offset", "limit": 5}, {**NUMBERED, "size": 5}):
            with self.subTest(how=how):
                self.anew("front-" + how["type"])
                rows = [{"id": i, "name": "old", "at": AT.format(i)} for i in range(20, 0, -1)]

                def change(k):
                    if k == 1:
                        rows[:] = [{"id": 2, "name": "new", "at": AT.format(40)}] + [r for r in rows if r["id"] != 2]
                self.counted(rows, change)
                self.rest(self.stream(paginate=how, schema=GIVEN,
                    incremental={"field": "at", "start": AT.format(0), "order": "desc"}))
                self.run_it()
                self.assertEqual(self.ids(), list(range(1, 21)))
                self.assertEqual(self.database().execute("select name from items where id = 2").fetchone()[0], "new")

    def test_a_list_that_never_rests_fails(self):
        rows = items(1, 40)

        def churn(k):
            rows[:] = [{"id": 1000 * k + i, "name": "x"} for i in range(40)]
        self.counted(rows, churn)
        self.rest(self.stream(paginate={"type": "offset", "limit": 5, "overlap": "always"}, schema=GIVEN))
        self.failure("pages_moving")
        self.assertLess(len(self.api.asked("/items")), 200)


class Cursors(RestTest):
    """T30, cursors in the body."""

    def chain(self, links, per_page=3):
        """Pages by their cursor; `links` says which cursor each one gives."""
        names = list(links)

        def handler(request):
            at = request.query.get("after", "")
            k = names.index(at)
            return reply({"data": items(k * per_page + 1, (k + 1) * per_page), **links[at]})
        self.api.on("/items", handler)

    def read(self, links):
        self.chain(links)
        self.rest(self.stream(paginate=CURSOR))
        self.run_it()
        return self.ids()

    def test_all_pages(self):
        self.assertEqual(self.read({"": {"next": "b"}, "b": {"next": "c"}, "c": {"next": None}}), list(range(1, 10)))

    def test_ends_at_null_empty_and_absent(self):
        for k, last in enumerate(({"next": None}, {"next": ""}, {})):
            with self.subTest(last=last):
                self.anew(f"end-{k}")
                self.assertEqual(self.read({"": {"next": "b"}, "b": last}), [1, 2, 3, 4, 5, 6])

    def test_a_number_is_a_cursor_with_every_digit(self):
        self.assertEqual(self.read({"": {"next": 12345678901234567890}, "12345678901234567890": {"next": None}}),
                         list(range(1, 7)))

    def test_repeated_cursor(self):
        self.chain({"": {"next": "b"}, "b": {"next": "b"}})
        self.rest(self.stream(paginate=CURSOR))
        error = self.failure("pagination_loop")
        self.assertIn('stream "items"', error["message"])
        self.assertLessEqual(len(self.api.asked("/items")), 6)

    def test_cycle_of_two(self):
        self.chain({"": {"next": "a"}, "a": {"next": "b"}, "b": {"next": "a"}})
        self.rest(self.stream(paginate=CURSOR))
        self.failure("pagination_loop")

    def test_cycle_longer_than_what_is_remembered(self):
        def handler(request):
            k = int(request.query.get("after", "0"))
            return reply({"data": [{"id": k}], "next": str((k + 1) % 1500)})
        self.api.on("/items", handler)
        self.rest(self.stream(paginate=CURSOR))
        self.failure("pagination_loop")
        self.assertLess(len(self.api.asked("/items")), 10_000)

    def test_expired_in_mid_stream_begins_again(self):
        state = {"expired": False}

        def handler(request):
            at = request.query.get("after", "")
            if at == "c" and not state["expired"]:
                state["expired"] = True
                return reply({"error": "cursor expired"}, status=410)
            k = "abc".index(at or "a")
            return reply({"data": items(k * 3 + 1, k * 3 + 3), "next": "abc"[k + 1] if k < 2 else None})
        self.api.on("/items", handler)
        self.dedup(self.stream(paginate=CURSOR, schema={"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}))
        run = self.run_it()
        self.assertEqual(self.ids(), list(range(1, 10)))
        self.assertIn("begin again", self.log(run))
        self.assertEqual([r.query.get("after") for r in self.api.asked("/items")], [None, "b", "c", None, "b", "c"])

    def test_expired_twice_is_an_error(self):
        self.api.on("/items", lambda r: reply({}, status=410) if "after" in r.query else
                    reply({"data": items(1, 3), "next": "b"}))
        self.rest(self.stream(paginate=CURSOR, schema={"properties": {"id": {"type": "integer"}}}))
        self.failure("cursor_expired")

    def test_max_pages_is_an_error(self):
        self.api.on("/items", lambda r: reply({"data": items(1, 2), "next": str(int(r.query.get("after", "0")) + 1)}))
        self.rest(self.stream(paginate=CURSOR, max_pages=20))
        self.failure("max_pages")


class Numbers(RestTest):
    """T30, pages and offsets."""

    def pages(self, *pages):
        self.api.on("/items", lambda r: reply({"data": pages[int(r.query["page"]) - 1] if int(r.query["page"]) <= len(pages) else []}))

    def test_short_page_in_the_middle_is_no_end(self):
        self.pages(items(1, 3), items(4, 4), items(5, 7))
        self.rest(self.stream(paginate=NUMBERED))
        self.run_it()
        self.assertEqual(self.ids(), list(range(1, 8)))

    def test_short_page_may_be_the_end(self):
        self.pages(items(1, 3), items(4, 4), items(5, 7))
        self.rest(self.stream(paginate={**NUMBERED, "stop": "short_page"}))
        self.run_it()
        self.assertEqual(self.ids(), list(range(1, 5)))
        self.assertNotIn("3", [r.query["page"] for r in self.api.asked("/items")])

    def test_repeated_last_page(self):
        pages = [items(1, 3), items(4, 5)]
        self.api.on("/items", lambda r: reply({"data": pages[min(int(r.query["page"]), 2) - 1]}))
        self.rest(self.stream(paginate=NUMBERED))
        run = self.run_it()
        self.assertEqual(self.ids(), list(range(1, 6)))
        self.assertIn("pages_repeated", self.log(run))

    def test_page_size_lowered_by_the_server(self):
        """An offset goes on by what came."""
        def handler(request):
            first, limit = int(request.query["offset"]), min(int(request.query["limit"]), 15)
            return reply({"data": items(first + 1, min(first + limit, 40)), "total": 40})
        self.api.on("/items", handler)
        for how in ({"total_path": "total"}, {}):
            with self.subTest(how=how):
                self.anew("lowered-total" if how else "lowered")
                self.rest(self.stream(paginate={"type": "offset", "limit": 100, **how}))
                self.run_it()
                self.assertEqual(self.ids(), list(range(1, 41)))

    def test_last_record(self):
        def handler(request):
            first = int(request.query.get("starting_after", "0")) + 1
            return reply({"data": items(first, min(first + 2, 8)), "has_more": first + 2 < 8})
        self.api.on("/items", handler)
        self.rest(self.stream(paginate={"type": "last_record", "field": "id", "param": "starting_after", "more_path": "has_more"}))
        self.run_it()
        self.assertEqual(self.ids(), list(range(1, 9)))


class Links(RestTest):
    """T30, addresses of next pages."""

    def three(self, link):
        """`link(n)` is how page n is named in the answer before it."""
        def handler(request):
            n = int(request.query.get("n", "1"))
            body = {"data": items(3 * n - 2, 3 * n), "next": link(n + 1) if n < 3 else None}
            headers = {"Link": f'<{link(n + 1)}>; rel="next", <{self.api.url}/x/items>; rel="first"'} if n < 3 else {}
            return reply(body, headers=headers)
        self.api.on("/x/items", handler)

    def test_next_url_absolute_and_relative(self):
        forms = (f"{self.api.url}/x/items?n=%d", "/x/items?n=%d", "items?n=%d", "?n=%d")
        for how in ({"type": "next_url", "path": "next"}, {"type": "link_header"}):
            for k, form in enumerate(forms):
                with self.subTest(form=form, how=how):
                    self.anew(f"next-{how['type'].replace('_', '-')}-{k}")
                    self.three(lambda n: form % n)
                    self.rest(self.stream(path="/x/items", paginate=how))
                    self.run_it()
                    self.assertEqual(self.ids(), list(range(1, 10)))

    def test_link_to_another_host_is_refused(self):
        with rest_case.FakeApi() as other:
            other.on("/steal", lambda r: reply({"data": items(100, 101)}))
            for n, how in enumerate(({"type": "next_url", "path": "next"}, {"type": "link_header"})):
                with self.subTest(how=how):
                    self.anew(f"elsewhere-{n}")
                    self.three(lambda n: f"http://localhost:{other.port}/steal")
                    self.rest(self.stream(path="/x/items", paginate=how, schema={"properties": {"id": {"type": "integer"}}}),
                              secrets={"key": rest_case.SECRET}, auth={"type": "bearer", "token": "{{ secret.key }}"})
                    error = self.failure()
                    self.assertIn("localhost", error["message"])
            self.assertEqual(other.requests, [])

    def test_redirect_to_another_host_is_refused(self):
        with rest_case.FakeApi() as other:
            other.on("/items", lambda r: reply({"data": items(1, 2)}))
            self.api.on("/items", lambda r: reply({}, status=302, headers={"Location": f"http://localhost:{other.port}/items"}))
            self.rest(self.stream(schema={"properties": {"id": {"type": "integer"}}}))
            self.assertIn("localhost", self.failure()["message"])
            self.assertEqual(other.requests, [])


if __name__ == "__main__":
    rest_case.main()
