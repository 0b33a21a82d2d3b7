"""Slack, as its public documentation describes it."""
from fake_api import reply

from .service import Route, SIZE, Service, cursor_of, place_of


class Slack(Service):
    name = "slack"
    config = {"base_url": "URL/api"}
    secrets = {"token": "xoxb-1234-test"}
    keys = {"messages": ["channel_id", "ts"], "thread_replies": ["channel_id", "ts"], "channel_members": ["channel_id", "user_id"]}
    incremental = ("messages", "thread_replies", "files")

    def data(self):
        t = self.times()
        says = lambda c, s, **more: {"_of": c, "type": "message", "user": "U1", "text": "Hello", "ts": f"{s}.000200", **more}  # noqa: E731
        return {
            "users": [{"id": f"U{i}", "name": f"user{i}", "deleted": False, "profile": {"email": f"u{i}@example.com"}} for i in range(5)],
            "channels": [{"id": f"C{i}", "name": f"room{i}", "is_channel": True, "num_members": 2, "created": t[0]} for i in range(3)],
            "channel_members": [{"_of": f"C{c}", "user_id": f"U{u}"} for c in range(2) for u in range(3)],
            "messages": [says(f"C{c}", s) for c in range(2) for s in t[1:]] + [says("C0", t[0], thread_ts=f"{t[0]}.000200", reply_count=2)],
            "thread_replies": [says("C0", t[0] + i, thread_ts=f"{t[0]}.000200", parent_user_id="U1") for i in (5, 6)],
            "usergroups": [{"id": "S1", "handle": "crew", "users": ["U1", "U2"], "date_create": t[0]}],
            "files": [{"id": f"F{i}", "name": "plan.pdf", "created": s, "size": 10} for i, s in enumerate(t)],
            "team": [{"id": "T1", "name": "Harbour", "domain": "harbour"}],
        }

    def table(self):
        page = ("limit", "cursor")
        bounds = ("oldest", "inclusive", "channel", *page)
        return [
            Route("POST", "/api/auth.test", None, lambda r, rows, m: reply({"ok": True, "team": "Harbour"})),
            Route("GET", "/api/users.list", "users", self.page("members"), page),
            Route("GET", "/api/conversations.list", "channels", self.page("channels"), (*page, "types", "exclude_archived")),
            Route("GET", "/api/conversations.members", "channel_members", self.members, (*page, "channel")),
            Route("GET", "/api/conversations.history", "messages", self.history, bounds),
            Route("GET", "/api/conversations.replies", "thread_replies", self.replies, (*bounds, "ts")),
            Route("GET", "/api/usergroups.list", "usergroups", self.page("usergroups"), ("include_users", "include_disabled")),
            Route("GET", "/api/files.list", "files", self.files, ("count", "page", "ts_from")),
            Route("GET", "/api/team.info", "team", lambda r, rows, m: reply({"ok": True, "team": rows[0]})),
        ]

    def rows(self, stream, match):
        return self.tables.get(stream, [])

    def page(self, member):
        def serve(request, rows, match):
            at = place_of(request.query.get("cursor"))
            more = cursor_of(at + SIZE) if at + SIZE < len(rows) else ""
            shown = [self.shown(r) if isinstance(r, dict) else r for r in rows[at:at + SIZE]]
            return reply({"ok": True, member: shown, "response_metadata": {"next_cursor": more}})
        return serve

    def members(self, request, rows, match):
        return self.page("members")(request, [r["user_id"] for r in rows if r["_of"] == request.query["channel"]], match)

    def history(self, request, rows, match):
        channel = request.query["channel"]
        if channel == "C2":  # nobody invited us
            return reply({"ok": False, "error": "not_in_channel"})
        rows = [r for r in rows if r["_of"] == channel and float(r["ts"]) >= float(request.query["oldest"])]
        return self.page("messages")(request, sorted(rows, key=lambda r: r["ts"], reverse=True), match)

    def replies(self, request, rows, match):
        q = request.query
        head = [r for r in self.tables["messages"] if (r["_of"], r["ts"]) == (q["channel"], q["ts"])]
        rows = [r for r in rows if (r["_of"], r["thread_ts"]) == (q["channel"], q["ts"]) and float(r["ts"]) >= float(q["oldest"])]
        return self.page("messages")(request, head + rows, match)

    def files(self, request, rows, match):
        page = int(request.query.get("page", 1))
        rows = [r for r in rows if r["created"] >= int(request.query["ts_from"])]
        return reply({"ok": True, "files": rows[SIZE * (page - 1):SIZE * page],
                      "paging": {"count": SIZE, "total": len(rows), "page": page, "pages": (len(rows) + SIZE - 1) // SIZE}})

    def knows(self, request):
        return self.bearer(request, self.secrets["token"])

    def denied(self):
        return reply({"ok": False, "error": "invalid_auth"})  # with the status 200

    def missing(self):
        return reply({"ok": False, "error": "unknown_method"})

    def refuse(self, why):
        return reply({"ok": False, "error": "invalid_arguments", "response_metadata": {"messages": [why]}})

    def slow_down(self):
        return reply({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "0"})

    def change(self):
        self.tables["messages"].append({"_of": "C1", "type": "message", "user": "U2", "text": "New", "ts": f"{self.now}.000300"})
        self.tables["thread_replies"].append({**self.tables["thread_replies"][0], "ts": f"{self.now}.000400"})
        self.tables["files"].append({"id": "Fnew", "created": self.now})

    def key(self, stream, row):
        return tuple({**row, "channel_id": row.get("_of")}[k] for k in self.keys.get(stream, ["id"]))
