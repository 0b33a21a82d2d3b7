"""Intercom, as its public documentation describes it."""
import time

from fake_api import reply

from .service import Route, SIZE, Service, cursor_of, place_of


class Intercom(Service):
    name = "intercom"
    config = {"base_url": "URL"}
    secrets = {"access_token": "dG9rOtest"}
    keys = {"data_attributes": ["model", "name"]}
    incremental = ("contacts", "conversations", "tickets")

    def data(self):
        made = lambda kind, base, n=5: [{"id": str(base + i), "type": kind, "created_at": t, "updated_at": t} for i, t in enumerate(self.times(n))]  # noqa: E731
        return {
            "contacts": made("contact", 100), "conversations": made("conversation", 200), "tickets": made("ticket", 300, 3),
            "conversation_parts": [{"_of": 200, "id": str(400 + i), "part_type": "comment", "body": "<p>Yes</p>"} for i in range(2)],
            "companies": made("company", 500), "articles": made("article", 600), "admins": made("admin", 700, 2), "teams": made("team", 800, 2),
            "tags": made("tag", 900, 2), "segments": made("segment", 950, 2),
            "data_attributes": [{"model": "contact", "name": "plan", "type": "data_attribute", "custom": True}, {"model": "company", "name": "plan"}],
        }

    def table(self):
        whole = lambda member: lambda r, rows, m: reply({"type": "list", member: rows})  # noqa: E731
        return [
            Route("GET", "/me", None, lambda r, rows, m: reply({"type": "admin"})),
            *(Route("POST", f"/{s}/search", s, self.search(member)) for s, member in
              (("contacts", "data"), ("conversations", "conversations"), ("tickets", "tickets"))),
            Route("GET", "/conversations/([0-9]+)", "conversation_parts", self.conversation),
            Route("POST", "/companies/list", "companies", self.companies, ("page", "per_page")),
            Route("GET", "/articles", "articles", self.articles, ("page", "per_page")),
            Route("GET", "/admins", "admins", whole("admins")), Route("GET", "/teams", "teams", whole("teams")),
            Route("GET", "/tags", "tags", whole("data")), Route("GET", "/segments", "segments", whole("segments")),
            Route("GET", "/data_attributes", "data_attributes", whole("data"), ("include_archived",)),
        ]

    def search(self, member):
        def serve(request, rows, match):
            asked = request.json()
            query = asked["query"]
            assert query["field"] == "updated_at" and query["operator"] == ">" and asked["sort"]["order"] == "ascending"
            rows = [r for r in rows if r["updated_at"] > query["value"]]
            at = place_of(asked["pagination"].get("starting_after"))
            pages = {"type": "pages", "page": at // SIZE + 1, "per_page": SIZE, "total_pages": (len(rows) + SIZE - 1) // SIZE}
            if at + SIZE < len(rows):
                pages["next"] = {"page": at // SIZE + 2, "starting_after": cursor_of(at + SIZE)}
            return reply({"type": "list", member: rows[at:at + SIZE], "total_count": len(rows), "pages": pages})
        return serve

    def conversation(self, request, rows, match):
        return reply({"type": "conversation", "id": match[1], "conversation_parts": {
            "type": "conversation_part.list", "conversation_parts": [self.shown(r) for r in rows], "total_count": len(rows)}})

    def companies(self, request, rows, match):
        page = int(request.query["page"])
        return reply({"type": "list", "data": rows[SIZE * (page - 1):SIZE * page], "total_count": len(rows),
                      "pages": {"page": page, "per_page": SIZE, "total_pages": (len(rows) + SIZE - 1) // SIZE}})

    def articles(self, request, rows, match):
        page = int(request.query.get("page", 1))
        following = f"{self.api.url}/articles?per_page=50&page={page + 1}" if SIZE * page < len(rows) else None
        return reply({"type": "list", "data": rows[SIZE * (page - 1):SIZE * page], "pages": {"type": "pages", "next": following}})

    def knows(self, request):
        return self.bearer(request, self.secrets["access_token"]) and request.headers.get("Intercom-Version") == "2.11"

    def problem(self, code, message, status, **how):
        return reply({"type": "error.list", "request_id": "r1", "errors": [{"code": code, "message": message}]}, status=status, **how)

    def denied(self):
        return self.problem("unauthorized", "Access Token Invalid", 401)

    def missing(self):
        return self.problem("not_found", "Resource Not Found", 404)

    def refuse(self, why):
        return self.problem("parameter_invalid", why, 400)

    def slow_down(self):
        return self.problem("rate_limit_exceeded", "Exceeded rate limit", 429, headers={"X-RateLimit-Reset": str(int(time.time()) + 1)})

    def told(self):
        return {"X-RateLimit-Limit": "166", "X-RateLimit-Remaining": "160", "X-RateLimit-Reset": str(self.now + 10)}

    def change(self):
        for stream in self.incremental:
            self.tables[stream].append({**self.tables[stream][0], "id": f"{self.tables[stream][0]['id']}9", "updated_at": self.now})
