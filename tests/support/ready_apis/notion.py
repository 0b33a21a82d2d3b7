"""Notion, as its public documentation describes it."""
from fake_api import reply

from .service import Route, SIZE, Service, cursor_of, from_iso, iso, place_of


class Notion(Service):
    name = "notion"
    config = {"base_url": "URL/v1"}
    secrets = {"token": "ntn_test"}
    incremental = ("databases", "pages", "database_pages")

    def data(self):
        t = self.times(3)
        minute = "%Y-%m-%dT%H:%M:00.000Z"
        made = lambda kind, base, n=3, **more: [{"id": f"{base}-{i}", "object": kind, "archived": False, "created_time": iso(t[i], minute),  # noqa: E731
                                                 "last_edited_time": iso(t[i], minute), **more} for i in range(n)]
        return {
            "users": made("user", "user", type="person", name="Ada"),
            "databases": made("database", "db", 2, title=[{"plain_text": "Ships"}]),
            "pages": made("page", "page", parent={"type": "workspace"}),
            "database_pages": [{**r, "_of": "db-0"} for r in made("page", "row", parent={"type": "database_id"})],
            "blocks": [{**r, "_of": "page-0"} for r in made("block", "block", type="paragraph", has_children=True, paragraph={"rich_text": []})],
            "child_blocks": [{**r, "_of": "block-1"} for r in made("block", "inner", 1, type="quote", has_children=False)],
            "comments": [{**r, "_of": "page-1"} for r in made("comment", "comment", 1, discussion_id="d", rich_text=[])],
        }

    def table(self):
        page = ("page_size", "start_cursor")
        return [
            Route("GET", "/v1/users/me", None, lambda r, rows, m: reply({"object": "user", "type": "bot"})),
            Route("GET", "/v1/users", "users", self.list, page),
            Route("POST", "/v1/search", "search", self.search),
            Route("POST", "/v1/databases/([^/]+)/query", "database_pages", self.query),
            Route("GET", "/v1/blocks/(page-[^/]+)/children", "blocks", self.list, page),
            Route("GET", "/v1/blocks/(block-[^/]+)/children", "child_blocks", self.list, page),
            Route("GET", "/v1/comments", "comments", self.comments, (*page, "block_id")),
        ]

    def page(self, rows, cursor):
        at = place_of(cursor)
        more = at + SIZE < len(rows)
        return reply({"object": "list", "results": [self.shown(r) for r in rows[at:at + SIZE]], "has_more": more,
                      "next_cursor": cursor_of(at + SIZE) if more else None, "type": "page_or_database"})

    def list(self, request, rows, match):
        return self.page(rows, request.query.get("start_cursor"))

    def comments(self, request, rows, match):
        return self.page([r for r in self.tables["comments"] if r["_of"] == request.query["block_id"]], request.query.get("start_cursor"))

    def rows(self, stream, match):
        return [] if stream in ("comments", "search") else super().rows(stream, match)

    def search(self, request, rows, match):
        asked = request.json()
        assert asked["filter"]["property"] == "object" and asked["sort"]["timestamp"] == "last_edited_time"
        stream = asked["filter"]["value"] + "s"
        rows = sorted(self.tables[stream], key=lambda r: r["last_edited_time"], reverse=asked["sort"]["direction"] == "descending")
        return self.page(rows, asked.get("start_cursor"))

    def query(self, request, rows, match):
        asked = request.json()
        since = from_iso(asked["filter"]["last_edited_time"]["on_or_after"])
        return self.page([r for r in rows if from_iso(r["last_edited_time"]) >= since], asked.get("start_cursor"))

    def knows(self, request):
        return self.bearer(request, self.secrets["token"]) and request.headers.get("Notion-Version") == "2022-06-28"

    def denied(self):
        return reply({"object": "error", "status": 401, "code": "unauthorized", "message": "API token is invalid."}, status=401)

    def missing(self):
        return reply({"object": "error", "status": 404, "code": "object_not_found", "message": "Could not find it."}, status=404)

    def refuse(self, why):
        return reply({"object": "error", "status": 400, "code": "validation_error", "message": why}, status=400)

    def slow_down(self):
        return reply({"object": "error", "status": 429, "code": "rate_limited", "message": "You have been rate limited."}, status=429,
                     headers={"Retry-After": "0"})

    def change(self):
        for stream in self.incremental:
            self.tables[stream].append({**self.tables[stream][0], "id": f"{self.tables[stream][0]['id']}-new",
                                        "last_edited_time": iso(self.now, "%Y-%m-%dT%H:%M:00.000Z")})
