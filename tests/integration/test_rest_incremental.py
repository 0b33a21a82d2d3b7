#!/usr/bin/env python3
"""Only what is new, and nothing that is new is passed over: boundaries, parents, children, PostgreSQL."""
import os
import unittest

import database_case
import rest_case
from rest_case import RestTest, items, reply

SCHEMA = {"properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}, "note": {"type": "string"}}}
EACH = {"stream": "orders", "fields": {"order": "id"}, "on_missing": "empty"}


class Boundaries(RestTest):
    """T31: records that share the second of the bookmark."""

    def changes(self, records, inclusive=True):
        def handler(request):
            since = request.query.get("since", "")
            found = [r for r in records if (r["at"] >= since if inclusive else r["at"] > since)]
            return reply({"data": sorted(found, key=lambda r: r["at"])})
        self.api.on("/items", handler)

    def stream_of(self, **more):
        return self.stream(schema=SCHEMA, incremental={
            "field": "at", "start": "2024-01-01T00:00:00Z", "lookback": "0s", "order": "asc",
            "end": "{{ vars.end }}", "send": {"param": "since", "value": "{{ state.start | iso }}"}, **more})

    def described(self, end, **more):
        document = self.document([self.stream_of(**more)])
        document["vars"] = {"end": {"type": "string"}}
        self.source("rest", document=document, vars={"end": end})

    def one_second(self, inclusive, server):
        second = "2024-05-01T10:00:00Z"
        records = [{"id": i, "at": second, "note": f"first {i}"} for i in (1, 2)] + \
                  [{"id": 9, "at": "2024-04-01T00:00:00Z", "note": "before"}]
        self.changes(records, inclusive)
        self.described(second, server=server)
        self.destination("sqlite")
        self.connection(streams=[{"name": "items", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}],
                        namespace={"mode": "destination"})
        self.run_it()
        records.append({"id": 3, "at": second, "note": "third of its second"})
        records.append({"id": 4, "at": "2024-05-01T10:00:01Z", "note": "later"})
        self.described("2024-05-02T00:00:00Z", server=server)
        self.run_it()
        rows = self.database().execute("select id, note from items order by id").fetchall()
        self.assertEqual(rows, [(r["id"], r["note"]) for r in sorted(records, key=lambda r: r["id"])])
        self.assertGreaterEqual(len(self.api.asked("/items")), 2)
        self.assertLess(self.api.asked("/items")[0].query["since"], self.api.asked("/items")[-1].query["since"])

    def test_second_shared_by_three_with_an_inclusive_server(self):
        self.one_second(True, "inclusive")

    def test_second_shared_by_three_with_an_exclusive_server(self):
        self.one_second(False, "exclusive")

    def test_a_run_without_records_moves_on(self):
        self.changes([])
        self.dedup(self.stream(schema=SCHEMA, incremental={"field": "at", "start": "2024-01-01T00:00:00Z", "lookback": "1m",
                               "send": {"param": "since", "value": "{{ state.start | iso }}"}}))
        self.run_it()
        self.run_it()
        first, second = (r.query["since"] for r in self.api.asked("/items"))
        self.assertEqual(first[:10], "2024-01-01")
        self.assertGreater(second, "2026")

    def test_bookmark_goes_on_after_a_failure(self):
        """What was complete stays, and a run that failed asks for the rest again."""
        state = {"broken": True}
        records = [{"id": i, "at": f"2024-05-{i:02}T00:00:00Z", "note": "n"} for i in range(1, 21)]

        def handler(request):
            page = int(request.query["page"])
            if page == 3 and state["broken"]:
                return reply({}, status=400)
            return reply({"data": records[5 * page - 5:5 * page]})
        self.api.on("/items", handler)
        self.dedup({**self.stream(schema=SCHEMA, paginate={"type": "page"}), "incremental": {
            "field": "at", "start": "2024-01-01T00:00:00Z", "order": "asc"}})
        self.failure("request_refused")
        self.assertEqual(self.ids(), list(range(1, 11)))  # the pages before the failure
        state["broken"] = False
        self.run_it()
        self.assertEqual(self.ids(), list(range(1, 21)))


class Children(RestTest):
    """T31: streams that are asked for once per parent."""

    def setUp(self):
        super().setUp()
        self.orders = {1: [{"id": "1-a", "at": "2024-01-02T00:00:00Z"}], 2: [{"id": "2-a", "at": "2024-06-01T00:00:00Z"}]}
        self.api.on("/orders", lambda r: reply({"data": [{"id": i} for i in sorted(self.orders)]}))

        def lines(request):
            found = self.orders.get(int(request.path.split("/")[2]))
            if found is None:
                return reply({"error": "gone"}, status=404)
            return reply({"data": [r for r in found if r["at"] >= request.query.get("since", "")]})
        self.api.on("/orders/*", lines)

    def streams(self, **more):
        schema = {"properties": {"id": {"type": "string"}, "at": {"type": "string", "format": "date-time"}, "order": {"type": "integer"}}}
        return (self.stream("orders", schema={"properties": {"id": {"type": "integer"}}}),
                self.stream("lines", path="/orders/{{ parent.order }}/lines", for_each=EACH, schema=schema,
                            add={"order": "{{ parent.order }}"}, **more))

    INCREMENTAL = {"field": "at", "start": "2024-01-01T00:00:00Z", "lookback": "0s",
                   "send": {"param": "since", "value": "{{ state.start | iso }}"}}

    def expected(self):
        return sorted((r["id"], order) for order, lines in self.orders.items() for r in lines)

    def rows(self):
        return sorted(self.database().execute('select id, "order" from lines').fetchall())

    def test_new_parent_with_old_children(self):
        """Its children are older than every bookmark, and come all the same."""
        self.dedup(*self.streams(incremental=self.INCREMENTAL))
        self.run_it()
        self.assertEqual(self.rows(), self.expected())
        self.orders[3] = [{"id": "3-a", "at": "2024-01-03T00:00:00Z"}, {"id": "3-b", "at": "2023-12-31T23:59:59Z"}]
        self.run_it()
        self.orders[3].pop()  # older than `start`: nobody asks for it
        self.assertEqual(self.rows(), self.expected())

    def test_parent_deleted_between_runs(self):
        """Incremental: nothing says that its lines are gone. A full copy has them no more."""
        for name, incremental in (("gone-kept", self.INCREMENTAL), ("gone", None)):
            with self.subTest(name):
                self.anew(name)
                self.orders[1] = [{"id": "1-a", "at": "2024-01-02T00:00:00Z"}]
                self.dedup(*self.streams(**({"incremental": incremental} if incremental else {})))
                self.run_it()
                kept = self.rows()
                del self.orders[1]
                self.run_it()
                self.assertEqual(self.rows(), kept if incremental else self.expected())

    def test_parent_deleted_between_its_list_and_its_children(self):
        self.api.on("/orders", lambda r: reply({"data": [{"id": i} for i in (1, 2, 77)]}))
        self.dedup(*self.streams())
        self.run_it()
        self.assertEqual(self.rows(), self.expected())

    def test_a_missing_child_fails_without_a_rule(self):
        parent, child = self.streams(incremental=self.INCREMENTAL)
        child["for_each"] = {"stream": "orders", "fields": {"order": "id"}}
        self.api.on("/orders", lambda r: reply({"data": [{"id": i} for i in (1, 2, 77)]}))
        self.dedup(parent, child)
        error = self.failure("not_found")
        self.assertIn("77", error["message"])
        self.assertEqual(self.rows(), self.expected())  # the parents before it are complete


@unittest.skipUnless(os.environ.get("CONNECTORD_TEST_DATABASES"), "needs servers")
class Lanes(RestTest):
    """Streams that are read beside each other share what is true of the API."""
    SCHEMA = {"properties": {"id": {"type": "integer"}}}
    POLICY = {"max_attempts": 3, "backoff_s": 0, "parallel_streams": 4}

    def setUp(self):
        super().setUp()
        self.dst = database_case.Postgres("lanes")
        self.addCleanup(self.dst.drop)

    def child(self, name, **more):
        return self.stream(name, path=f"/shops/{{{{ parent.shop }}}}/{name}", schema=self.SCHEMA,
                           for_each={"stream": "shops", "fields": {"shop": "id"}}, **more)

    def test_parents_are_read_once_in_a_run(self):
        """Four lanes and a child that fails once: its second try asks for no parents either."""
        names, failed = ("goods", "people", "stock", "hours"), []

        def handler(request):
            shop, name = request.path.split("/")[2:]
            if name == "stock" and shop == "3" and not failed:
                failed.append(request)
                return reply({}, status=503)
            return reply({"data": [{"id": 10 * int(shop) + names.index(name)}]})
        self.api.on("/shops", lambda r: reply({"data": items(1, 3), "next": "b"} if "after" not in r.query else {"data": items(4, 5)}))
        self.api.on("/shops/*", handler)
        self.rest(self.stream("shops", selected=False, paginate={"type": "cursor", "path": "next", "param": "after"}),
                  *map(self.child, names), destination=self.dst, run_policy=self.POLICY, retry={"tries": 1})
        run = self.run_it()
        self.assertEqual((run["stats"]["lanes"], run["attempts"]), (4, 2))
        self.assertEqual([r.query.get("after") for r in self.api.asked("/shops")], [None, "b"])
        for i, name in enumerate(names):
            self.assertEqual(self.dst.execute(f"select id from {name} order by id"), [(10 * shop + i,) for shop in range(1, 6)])

    def test_parents_that_cannot_be_read_fail_each_child(self):
        self.api.on("/shops", lambda r: reply({}, status=403))
        self.rest(self.stream("shops", selected=False), self.child("goods"), self.child("people"), destination=self.dst, run_policy=self.POLICY)
        run = self.run_it(status="failed")
        self.assertEqual({s["error"]["code"] for s in run["stats"]["streams"]}, {run["error"]["code"]})
        self.assertIn("the parents of", run["error"]["message"])

    def test_a_rate_is_that_of_the_run(self):
        """Three requests in an hour are three, however many lanes there are."""
        for name in "abcd":
            self.api.on(f"/{name}", lambda r: reply({"data": items(1, 1)}))
        self.rest(*(self.stream(name, schema=self.SCHEMA) for name in "abcd"), destination=self.dst,
                  run_policy={**self.POLICY, "max_attempts": 1}, rate_limit={"requests": 3, "per": "1h"})
        run = self.run_it(status="failed")
        self.assertEqual(len(self.api.asked()), 3)
        self.assertEqual(sorted((s["error"] or {"code": "-"})["code"] for s in run["stats"]["streams"]), ["-", "-", "-", "wait_too_long"])


@unittest.skipUnless(os.environ.get("CONNECTORD_TEST_DATABASES"), "needs servers")
class IntoPostgres(RestTest):
    def test_types_and_every_digit(self):
        self.dst = database_case.Postgres("rest")
        self.addCleanup(self.dst.drop)
        big, exact = 9007199254740993, "0.1234567890123456789012345678901"
        text = '{"data":[{"id":%d,"price":%s,"name":"é \\u0041 \\ud83d\\ude00","tags":["a",{"b":1.10}],"on":true,"none":null,' \
               '"at":"2024-05-01T10:00:00.123456Z"}]}' % (big, exact)
        self.api.on("/items", lambda r: rest_case.Reply(text, headers={"Content-Type": "application/json"}))
        self.rest(self.stream(incremental={"field": "at", "start": "2024-01-01T00:00:00Z"}), sync="incremental",
                  write="append_dedup", destination=self.dst)
        self.run_it()
        self.run_it()  # once more: it is the same row
        (row,) = self.dst.execute("select id, price::text, name, tags::text, \"on\", at at time zone 'utc' from items")
        self.assertEqual(row[:3], (big, exact, "é A 😀"))
        self.assertIn("1.10", row[3])
        self.assertIs(row[4], True)
        self.assertEqual(str(row[5]), "2024-05-01 10:00:00.123456")

    def test_many_pages(self):
        self.dst = database_case.Postgres("rest")
        self.addCleanup(self.dst.drop)
        self.api.on("/items", lambda r: reply({"data": items(500 * int(r.query["page"]) - 499, min(500 * int(r.query["page"]), 7300))}))
        self.rest(self.stream(paginate={"type": "page"}), destination=self.dst)
        self.run_it()
        self.assertEqual(self.dst.execute("select count(*), count(distinct id), max(id) from items"), [(7300, 7300, 7300)])


if __name__ == "__main__":
    rest_case.main()
