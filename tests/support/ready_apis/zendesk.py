"""Zendesk, as its public documentation describes it."""
import base64
import re
import time
import urllib.parse

from fake_api import reply

from .service import Route, SIZE, Service, cursor_of, from_iso, iso, place_of


class Zendesk(Service):
    name = "zendesk"
    config = {"base_url": "URL", "email": "admin@example.com"}
    secrets = {"api_token": "zd-token-test"}
    incremental = ("tickets", "users", "organizations", "ticket_events", "ticket_metric_events", "satisfaction_ratings")
    stamps = {"tickets": "generated_timestamp", "ticket_events": "timestamp", "ticket_metric_events": "time"}

    def data(self):
        def made(stream, base, n=3):
            stamp = self.stamps.get(stream, "updated_at")
            return [{"id": base + i, "created_at": iso(t), "updated_at": iso(t), "ticket_id": i,
                     stamp: t if stamp in ("generated_timestamp", "timestamp") else iso(t)} for i, t in enumerate(self.times(n))]
        tables = {s: made(s, 100 * (n + 1)) for n, s in enumerate((*self.incremental, "ticket_metrics", "ticket_fields", "groups",
                                                                   "group_memberships", "brands"))}
        for row in tables["organizations"]:  # they share one second, which is where a time export begins again
            row["updated_at"] = iso(self.first)
        return tables

    def table(self):
        def export(path, stream, serve, *more):
            return Route("GET", f"/api/v2/incremental/{path}", stream, serve, ("start_time", "cursor", "per_page", *more))
        return [
            Route("GET", "/api/v2/users/me.json", None, lambda r, rows, m: reply({"user": {"id": 1}})),
            export("tickets/cursor.json", "tickets", self.by_cursor), export("users/cursor.json", "users", self.by_cursor),
            export("organizations.json", "organizations", self.by_time),
            export("ticket_events.json", "ticket_events", self.by_time, "include"),
            export("ticket_metric_events.json", "ticket_metric_events", self.by_time),
            *(Route("GET", f"/api/v2/{s}.json", s, self.list, ("page[size]", "page[after]", "start_time"))
              for s in ("ticket_metrics", "ticket_fields", "satisfaction_ratings", "groups", "group_memberships", "brands")),
        ]

    def second(self, stream, row):
        stamp = row[self.stamps.get(stream, "updated_at")]
        return stamp if isinstance(stamp, int) else from_iso(stamp)

    def changed(self, request, rows, stream):
        since = int(request.query.get("start_time", 0))
        if since > time.time() - 60:
            return None
        return sorted((r for r in rows if self.second(stream, r) >= since), key=lambda r: (self.second(stream, r), r["id"]))

    def export(self, request, match, rows, at):
        stream = re.search("incremental/([a-z_]+)", request.path)[1]
        found = rows[at:at + SIZE]
        return {stream: found, "count": len(found), "end_of_stream": at + SIZE >= len(rows)}

    def by_cursor(self, request, rows, match):
        stream = re.search("incremental/([a-z_]+)", request.path)[1]
        if "cursor" in request.query:  # it knows where the export began
            since, at = base64.b64decode(request.query["cursor"]).decode().split("|")
        else:
            since, at = request.query["start_time"], 0
        request.query["start_time"] = since
        rows = self.changed(request, rows, stream)
        if rows is None:
            return reply({"error": "InvalidValue", "description": "Too recent start_time. Use a start_time older than 60 seconds"}, status=422)
        cursor = base64.b64encode(f"{since}|{int(at) + SIZE}".encode()).decode()
        after = f"{self.api.url}{request.path}?" + urllib.parse.urlencode({"cursor": cursor})
        return reply({**self.export(request, match, rows, int(at)), "after_cursor": cursor, "after_url": after, "before_cursor": None})

    def by_time(self, request, rows, match):
        """A page ends with the second of its last record, and the next one begins with that second again."""
        stream = re.search("incremental/([a-z_]+)", request.path)[1]
        rows = self.changed(request, rows, stream)
        if rows is None:
            return reply({"error": "InvalidValue", "description": "Too recent start_time"}, status=422)
        at = SIZE
        while at < len(rows) and self.second(stream, rows[at]) == self.second(stream, rows[at - 1]):
            at += 1
        end = int(self.second(stream, rows[min(at, len(rows)) - 1])) if rows else self.now
        query = {k: v for k, v in request.query.items() if k != "start_time"}
        following = f"{self.api.url}{request.path}?" + urllib.parse.urlencode({**query, "start_time": end})
        return reply({stream: rows[:at], "count": len(rows[:at]), "end_time": end, "next_page": following, "end_of_stream": at >= len(rows)})

    def list(self, request, rows, match):
        at = place_of(request.query.get("page[after]"))
        if "start_time" in request.query:
            rows = [r for r in rows if self.second("", r) >= int(request.query["start_time"])]
        stream = request.path.removeprefix("/api/v2/").removesuffix(".json")
        return reply({stream: rows[at:at + SIZE], "meta": {"has_more": at + SIZE < len(rows), "after_cursor": cursor_of(at + SIZE)},
                      "links": {"next": None}})

    def knows(self, request):
        pair = base64.b64encode(f"admin@example.com/token:{self.secrets['api_token']}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {pair}"

    def denied(self):
        return reply({"error": "Couldn't authenticate you"}, status=401)

    def missing(self):
        return reply({"error": "RecordNotFound", "description": "Not found"}, status=404)

    def refuse(self, why):
        return reply({"error": "InvalidValue", "description": why}, status=422)

    def slow_down(self):
        return reply({"error": "APIRateLimitExceeded", "description": "Number of allowed API requests per minute exceeded"}, status=429,
                     headers={"Retry-After": "0", "X-Rate-Limit": "700"})

    def told(self):
        return {"X-Rate-Limit": "700", "X-Rate-Limit-Remaining": "699", "ratelimit-reset": "41"}

    def change(self):
        when = self.now - 120
        for stream in self.incremental:
            stamp = self.stamps.get(stream, "updated_at")
            row = {**self.tables[stream][0], "id": 9000 + self.tables[stream][0]["id"], "updated_at": iso(when)}
            row[stamp] = when if isinstance(row[stamp], int) else iso(when)
            self.tables[stream].append(row)
