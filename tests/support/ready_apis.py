"""Ten services as their public documentation describes them: who they let in, how their pages follow
each other, what they filter by, how they say no. The data is made up here.

Each class of FAKES is one of them: a table of routes over a table of rows. `Service.answer` is the one
way through: identity, the limit of requests, parameters that nobody knows, then the route. Pages are
small, whatever size was asked for: servers may do that.
"""
import base64
import collections
import datetime
import hashlib
import json
import re
import time
import urllib.parse

from fake_api import reply

SIZE = 2  # records on a page
Route = collections.namedtuple("Route", "method pattern stream serve params body", defaults=((), None))


def iso(seconds, form="%Y-%m-%dT%H:%M:%SZ"):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(form)


def from_iso(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def cursor_of(number):
    return base64.b64encode(f"place {number}".encode()).decode()


def place_of(cursor):
    return int(base64.b64decode(cursor).decode().removeprefix("place ")) if cursor else 0


class Service:
    """What all have in common. `tables`: stream -> rows as the service gives them."""
    name, secrets, config = "", {}, {}
    keys = {}        # stream -> columns of its key, where that is not "id"
    incremental = () # streams that are asked for by what changed
    first = 1700000000

    def __init__(self, api):
        self.api, self.busy, self.now = api, 0, int(time.time())
        self.tables = self.data()
        self.routes = self.table()
        api.on("/*", self.answer)

    def settings(self):
        return {**{k: v.replace("URL", self.api.url) for k, v in self.config.items()}, **self.secrets}

    def answer(self, request):
        if not self.knows(request):
            return self.denied()
        if self.busy:
            self.busy -= 1
            return self.slow_down()
        for route in self.routes:
            match = re.fullmatch(route.pattern, request.path)
            if match and route.method == request.method:
                unknown = set(request.query) - set(route.params)
                if unknown:
                    return self.refuse(f"no such parameter: {', '.join(sorted(unknown))}")
                return self.serve(route, request, match)
        return self.missing()

    def serve(self, route, request, match):
        answer = route.serve(request, self.rows(route.stream, match), match)
        answer.headers.update(self.told())
        return answer

    def rows(self, stream, match):
        """Of one parent, where the path names one."""
        rows = self.tables.get(stream, [])
        return [r for r in rows if str(r["_of"]) == match[1]] if rows and "_of" in rows[0] else rows

    def times(self, n=5):
        """Of n changes, one an hour."""
        return [self.first + 3600 * i for i in range(n)]

    def told(self):
        return {}

    def shown(self, row):
        return {k: v for k, v in row.items() if k != "_of"}

    def key(self, stream, row):
        return tuple(row[k] for k in self.keys.get(stream, ["id"]))

    def bearer(self, request, token):
        return request.headers.get("Authorization") == f"Bearer {token}"


# ----------------------------------------------------------------------------------- GitHub

class GitHub(Service):
    name = "github"
    config = {"base_url": "URL", "repository": "octo/hall"}
    secrets = {"token": "github_pat_11AAtest"}
    keys = {"commits": ["sha"], "stargazers": ["user_id"]}
    incremental = ("issues", "issue_comments", "pull_requests", "review_comments", "commits", "workflow_runs")

    def data(self):
        t = self.times()
        stamped = lambda n, **more: [{"id": n + i, "number": i + 1, "created_at": iso(s), "updated_at": iso(s),  # noqa: E731
                                         "user": {"id": 7, "login": "mona"}, "body": f"Text {i}", **more} for i, s in enumerate(t)]
        return {
            "repository": [{"id": 99, "name": "hall", "full_name": "octo/hall", "private": False, "created_at": iso(t[0])}],
            "issues": stamped(1000, title="A crack", state="open", labels=[{"id": 1, "name": "bug"}]),
            "issue_comments": stamped(2000, issue_url="https://api.github.com/repos/octo/hall/issues/1"),
            "pull_requests": stamped(3000, title="Mend it", state="closed", draft=False, head={"ref": "mend"}, base={"ref": "main"}),
            "pull_request_reviews": [{"_of": n, "id": 4000 + n, "state": "APPROVED", "submitted_at": iso(t[0])} for n in (1, 3)],
            "review_comments": stamped(5000, path="roof.c", line=3),
            "commits": [{"sha": f"{i:040x}", "commit": {"message": "Work", "committer": {"name": "m", "date": iso(s)}}} for i, s in enumerate(t)],
            "releases": [{"id": 6000, "tag_name": "v1", "draft": False, "assets": [], "created_at": iso(t[0])}],
            "labels": [{"id": 7000 + i, "name": n, "color": "ff0000"} for i, n in enumerate(("bug", "question", "wish"))],
            "milestones": [{"id": 8000, "number": 1, "title": "Roof", "state": "open", "due_on": None, "created_at": iso(t[0])}],
            "stargazers": [{"starred_at": iso(s), "user": {"id": 50 + i, "login": f"u{i}"}} for i, s in enumerate(t)],
            "workflow_runs": stamped(9000, name="build", status="completed", conclusion="success"),
        }

    def table(self):
        repo = "/repos/octo/hall"
        page = ("per_page", "page")
        feed = (*page, "sort", "direction", "state")
        return [
            Route("GET", repo, "repository", lambda r, rows, m: reply(rows[0]), ("per_page",)),
            Route("GET", f"{repo}/issues", "issues", self.list, (*feed, "since")),
            Route("GET", f"{repo}/issues/comments", "issue_comments", self.list, (*feed, "since")),
            Route("GET", f"{repo}/pulls/comments", "review_comments", self.list, (*feed, "since")),
            Route("GET", f"{repo}/pulls", "pull_requests", self.list, feed),
            Route("GET", f"{repo}/pulls/([0-9]+)/reviews", "pull_request_reviews", self.list, page),
            Route("GET", f"{repo}/commits", "commits", self.list, (*page, "since")),
            Route("GET", f"{repo}/milestones", "milestones", self.list, (*page, "state")),
            Route("GET", f"{repo}/stargazers", "stargazers", self.list, page),
            Route("GET", f"{repo}/actions/runs", "workflow_runs", self.list, page),
            *(Route("GET", f"{repo}/{n}", n, self.list, page) for n in ("releases", "labels")),
        ]

    @staticmethod
    def stamp(row):
        return row["commit"]["committer"]["date"] if "commit" in row else row.get("updated_at", "")

    def list(self, request, rows, match):
        q = request.query
        if "/stargazers" in request.path and "star+json" not in request.headers["Accept"]:
            rows = [r["user"] for r in rows]
        rows = [r for r in rows if self.stamp(r) >= q.get("since", "")]
        rows = sorted(rows, key=self.stamp, reverse=q.get("direction") != "asc")
        page = int(q.get("page", 1))
        found = [self.shown(r) for r in rows[SIZE * (page - 1):SIZE * page]]
        answer = reply({"total_count": len(rows), "workflow_runs": found} if "/actions/" in request.path else found)
        answer.headers["ETag"] = f'W/"{hashlib.md5(answer.body).hexdigest()}"'
        if request.headers.get("If-None-Match") == answer.headers["ETag"]:
            return reply({}, status=304, headers={"ETag": answer.headers["ETag"]})
        if SIZE * page < len(rows):
            at = f"{self.api.url}{request.path}?" + urllib.parse.urlencode({**q, "page": page + 1})
            answer.headers["Link"] = f'<{at}>; rel="next", <{self.api.url}/last>; rel="last"'
        return answer

    def knows(self, request):
        return self.bearer(request, self.secrets["token"]) and request.headers.get("X-GitHub-Api-Version") == "2022-11-28"

    def denied(self):
        return reply({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, status=401)

    def missing(self):
        return reply({"message": "Not Found", "status": "404"}, status=404)

    def refuse(self, why):
        return reply({"message": why}, status=422)

    def slow_down(self):
        return reply({"message": "API rate limit exceeded for user ID 7."}, status=403,
                     headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 1)})

    def told(self):
        return {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4987", "x-ratelimit-reset": str(self.now + 3000)}

    def change(self):
        now = iso(self.now)
        for stream in ("issues", "issue_comments", "pull_requests", "review_comments", "workflow_runs"):
            self.tables[stream].append({**self.tables[stream][0], "id": self.tables[stream][0]["id"] + 500, "created_at": now, "updated_at": now})
        self.tables["commits"].append({"sha": "f" * 40, "commit": {"message": "New", "committer": {"date": now}}})

    def key(self, stream, row):
        return (row["user"]["id"],) if stream == "stargazers" else super().key(stream, row)


# ----------------------------------------------------------------------------------- Stripe

class Stripe(Service):
    name = "stripe"
    config = {"base_url": "URL/v1"}
    secrets = {"api_key": "rk_live_51test"}
    incremental = ("balance_transactions", "events")
    prefixes = {"customers": "cus", "products": "prod", "prices": "price", "subscriptions": "sub", "invoices": "in",
                "payment_intents": "pi", "charges": "ch", "refunds": "re", "disputes": "dp", "payouts": "po",
                "balance_transactions": "txn", "events": "evt"}

    def data(self):
        recent = self.now - 40 * 3600  # an event is kept for thirty days
        return {stream: [{"id": f"{p}_{i:04}", "object": stream.rstrip("s"), "created": recent + 3600 * i, "amount": 100 * i,
                          "currency": "eur", "livemode": True, "metadata": {"order": str(i)}} for i in range(5)]
                for stream, p in self.prefixes.items()}

    def table(self):
        return [Route("GET", "/v1/balance", None, lambda r, rows, m: reply({"object": "balance", "available": []})),
                *(Route("GET", f"/v1/{s}", s, self.list, ("limit", "starting_after", "created[gte]", *(["status"] if s == "subscriptions" else ())))
                  for s in self.prefixes)]

    def list(self, request, rows, match):
        q = request.query
        rows = sorted((r for r in rows if r["created"] >= int(q.get("created[gte]", 0))), key=lambda r: -r["created"])
        at = [r["id"] for r in rows].index(q["starting_after"]) + 1 if "starting_after" in q else 0
        return reply({"object": "list", "url": request.path, "has_more": at + SIZE < len(rows), "data": rows[at:at + SIZE]})

    def knows(self, request):
        return self.bearer(request, self.secrets["api_key"]) and request.headers.get("Stripe-Version")

    def denied(self):
        return reply({"error": {"message": "Invalid API Key provided: rk_live_****test", "type": "invalid_request_error"}}, status=401)

    def missing(self):
        return reply({"error": {"message": "Unrecognized request URL", "type": "invalid_request_error"}}, status=404)

    def refuse(self, why):
        return reply({"error": {"message": why, "type": "invalid_request_error", "code": "parameter_unknown"}}, status=400)

    def slow_down(self):
        return reply({"error": {"message": "Request rate limit exceeded.", "type": "invalid_request_error", "code": "rate_limit"}}, status=429,
                     headers={"Retry-After": "0"})

    def change(self):
        for stream in self.incremental:
            self.tables[stream].append({"id": f"{self.prefixes[stream]}_new", "created": self.now})


# ---------------------------------------------------------------------------------- HubSpot

class HubSpot(Service):
    name = "hubspot"
    config = {"base_url": "URL"}
    secrets = {"access_token": "pat-eu1-test"}
    objects = ("contacts", "companies", "deals", "tickets", "notes", "calls", "emails", "meetings", "tasks")
    incremental = objects
    ceiling = 10000

    def data(self):
        def made(base, archived=False):
            return [{"id": str(base + i), "properties": {"hs_object_id": str(base + i)}, "createdAt": iso(t), "archived": archived,
                     "updatedAt": iso(t, "%Y-%m-%dT%H:%M:%S.123Z")} for i, t in enumerate(self.times())]
        return {**{s: made(1000 * (n + 1)) for n, s in enumerate(self.objects)}, "archived_contacts": made(90000, True),
                "owners": [{"id": str(i), "email": f"o{i}@example.com", "userId": i} for i in range(3)],
                "deal_pipelines": [{"id": "default", "label": "Sales", "stages": [{"id": "won"}]}]}

    def table(self):
        return [*(Route("POST", f"/crm/v3/objects/{s}/search", s, self.search) for s in self.objects),
                Route("GET", "/crm/v3/objects/contacts", "archived_contacts", self.list, ("limit", "after", "archived")),
                Route("GET", "/crm/v3/owners", "owners", self.list, ("limit", "after")),
                Route("GET", "/crm/v3/pipelines/deals", "deal_pipelines", lambda r, rows, m: reply({"results": rows}))]

    def page(self, rows, after):
        at = int(after or 0)
        more = {"paging": {"next": {"after": str(at + SIZE)}}} if at + SIZE < len(rows) else {}
        return {"results": rows[at:at + SIZE], **more}

    def list(self, request, rows, match):
        return reply(self.page(rows, request.query.get("after")))

    def search(self, request, rows, match):
        asked = request.json()
        if not isinstance(asked["properties"], list) or set(asked) - {"filterGroups", "sorts", "properties", "limit", "after"}:
            return self.refuse("Invalid input JSON")
        if int(asked.get("after", 0)) + SIZE > self.ceiling:
            return self.refuse("a search gives 10,000 results and no more")
        where, = asked["filterGroups"][0]["filters"]
        assert where["operator"] == "GTE" and asked["sorts"][0] == {"propertyName": where["propertyName"], "direction": "ASCENDING"}
        rows = [r for r in rows if from_iso(r["updatedAt"]) * 1000 >= int(where["value"])]
        rows.sort(key=lambda r: (r["updatedAt"], r["id"]))
        return reply({"total": len(rows), **self.page(rows, asked.get("after"))})

    def knows(self, request):
        return self.bearer(request, self.secrets["access_token"])

    def denied(self):
        return reply({"status": "error", "message": "Authentication credentials not found.", "category": "INVALID_AUTHENTICATION"}, status=401)

    def missing(self):
        return reply({"status": "error", "message": "resource not found"}, status=404)

    def refuse(self, why):
        return reply({"status": "error", "message": why, "category": "VALIDATION_ERROR"}, status=400)

    def slow_down(self):
        return reply({"status": "error", "message": "You have reached your secondly limit.", "errorType": "RATE_LIMIT",
                      "policyName": "SECONDLY"}, status=429)

    def told(self):
        return {"X-HubSpot-RateLimit-Max": "100", "X-HubSpot-RateLimit-Remaining": "94"}

    def change(self):
        for stream in self.objects:
            self.tables[stream].append({**self.tables[stream][0], "id": f"9{self.tables[stream][0]['id']}", "updatedAt": iso(self.now)})


# ------------------------------------------------------------------------------------ Slack

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


# ---------------------------------------------------------------------------------- Zendesk

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


# ----------------------------------------------------------------------------------- Notion

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


# ------------------------------------------------------------------------------------- Jira

class Jira(Service):
    name = "jira"
    config = {"base_url": "URL", "email": "ada@example.com", "jql": "project = SEA"}
    secrets = {"api_token": "ATATT3test"}
    keys = {"users": ["accountId"]}
    incremental = ("issues",)

    def data(self):
        stamp = lambda t: iso(t, "%Y-%m-%dT%H:%M:%S.000+0000")  # noqa: E731
        t = self.times()
        of = lambda base, **more: [{"_of": 10000, "id": str(base + i), "created": stamp(t[i]), "author": {"accountId": "a1"}, **more} for i in range(3)]  # noqa: E731
        return {
            "issues": [{"id": str(10000 + i), "key": f"SEA-{i + 1}", "fields": {
                "summary": f"Leak {i}", "status": {"name": "To Do"}, "issuetype": {"name": "Bug"}, "project": {"key": "SEA"},
                "created": stamp(s), "updated": stamp(s), "customfield_10010": 3.5}} for i, s in enumerate(t)],
            "issue_changelogs": of(20000, items=[{"field": "status", "fromString": "To Do", "toString": "Done"}]),
            "issue_comments": of(30000, body={"type": "doc", "version": 1}, updated=stamp(t[0])),
            "issue_worklogs": of(40000, timeSpentSeconds=600, issueId="10000", started=stamp(t[0])),
            "projects": [{"id": "1", "key": "SEA", "name": "Sea", "isPrivate": False}],
            "project_versions": [{"_of": 1, "id": "51", "projectId": 1, "name": "1.0", "released": True, "releaseDate": "2024-02-29"}],
            "users": [{"accountId": f"a{i}", "displayName": "Ada", "active": True, "accountType": "atlassian"} for i in range(3)],
            "fields": [{"id": "summary", "key": "summary", "name": "Summary", "custom": False}],
            "statuses": [{"id": str(i), "name": n, "statusCategory": n} for i, n in enumerate(("TODO", "IN_PROGRESS", "DONE"))],
            "priorities": [{"id": "3", "name": "Medium", "isDefault": True}],
            "boards": [{"id": 1, "name": "Sprints", "type": "scrum"}, {"id": 2, "name": "Flow", "type": "kanban"},
                       {"id": 3, "name": "Own", "type": "simple"}],
            "sprints": [{"_of": 1, "id": 70 + i, "originBoardId": 1, "state": "active", "name": "One"} for i in range(3)],
        }

    def table(self):
        page = ("startAt", "maxResults")
        offset = lambda stream, path, member, *more: Route("GET", path, stream, self.offset(member), (*page, *more))  # noqa: E731
        issue = "/rest/api/3/issue/([0-9]+)"
        return [
            Route("GET", "/rest/api/3/myself", None, lambda r, rows, m: reply({"accountId": "a1"})),
            Route("GET", "/rest/api/3/search/jql", "issues", self.search, ("jql", "fields", "maxResults", "nextPageToken")),
            offset("issue_changelogs", f"{issue}/changelog", "values"), offset("issue_comments", f"{issue}/comment", "comments"),
            offset("issue_worklogs", f"{issue}/worklog", "worklogs"),
            offset("projects", "/rest/api/3/project/search", "values", "expand"),
            offset("project_versions", "/rest/api/3/project/([0-9]+)/version", "values"),
            offset("users", "/rest/api/3/users/search", None), offset("statuses", "/rest/api/3/statuses/search", "values"),
            offset("priorities", "/rest/api/3/priority/search", "values"),
            Route("GET", "/rest/api/3/field", "fields", lambda r, rows, m: reply(rows)),
            offset("boards", "/rest/agile/1.0/board", "values"),
            Route("GET", "/rest/agile/1.0/board/([0-9]+)/sprint", "sprints", self.sprints, page),
        ]

    def offset(self, member):
        def serve(request, rows, match):
            at = int(request.query["startAt"])
            found = [self.shown(r) for r in rows[at:at + SIZE]]
            return reply(found if member is None else {"startAt": at, "maxResults": SIZE, "total": len(rows), "isLast": at + SIZE >= len(rows),
                                                       member: found})
        return serve

    def sprints(self, request, rows, match):
        if match[1] == "3":
            return reply({"errorMessages": ["The board does not support sprints"], "errors": {}}, status=400)
        return self.offset("values")(request, rows, match)

    def search(self, request, rows, match):
        asked = re.fullmatch(r"\(project = SEA\) and updated >= ([0-9]+) order by updated asc", request.query["jql"])
        if not asked or request.query["fields"] != "*all":
            return self.refuse("Error in the JQL Query")
        at = place_of(request.query.get("nextPageToken"))
        rows = [r for r in rows if from_iso(r["fields"]["updated"].replace("+0000", "+00:00")) * 1000 >= int(asked[1])]
        last = at + SIZE >= len(rows)
        return reply({"issues": rows[at:at + SIZE], "isLast": last, **({} if last else {"nextPageToken": cursor_of(at + SIZE)})})

    def knows(self, request):
        pair = base64.b64encode(f"ada@example.com:{self.secrets['api_token']}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {pair}"

    def denied(self):
        return reply({"message": "Client must be authenticated to access this resource.", "status-code": 401}, status=401)

    def missing(self):
        return reply({"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}, status=404)

    def refuse(self, why):
        return reply({"errorMessages": [why], "warningMessages": []}, status=400)

    def slow_down(self):
        return reply({"errorMessages": ["Rate limit exceeded."]}, status=429, headers={"Retry-After": "0"})

    def change(self):
        self.tables["issues"].append({"id": "19999", "key": "SEA-99", "fields": {"summary": "New", "updated": iso(self.now, "%Y-%m-%dT%H:%M:%S.000+0000")}})


# --------------------------------------------------------------------------------- Intercom

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


# ---------------------------------------------------------------------------------- Shopify

class Shopify(Service):
    name = "shopify"
    config = {"base_url": "URL"}
    secrets = {"access_token": "shpat_test"}
    keys = {"inventory_levels": ["inventory_item_id", "location_id"]}
    incremental = ("orders", "customers", "products", "draft_orders", "abandoned_checkouts", "custom_collections", "smart_collections",
                   "price_rules", "inventory_levels")

    def data(self):
        def made(base, n=3):
            return [{"id": base + i, "created_at": iso(t), "updated_at": iso(t, "%Y-%m-%dT%H:%M:%S-00:00"), "total_price": "19.90"}
                    for i, t in enumerate(self.times(n))]
        return {**{s: made(1000 * (k + 1)) for k, s in enumerate(self.incremental[:-1])},
                "shop": [{"id": 1, "name": "Harbour", "currency": "EUR"}],
                "order_transactions": [{"_of": 1000, "id": 20000, "order_id": 1000, "kind": "sale", "amount": "19.90", "receipt": {}}],
                "locations": [{"id": 50 + i, "name": f"Store {i}", "active": True} for i in range(3)],
                "inventory_levels": [{"inventory_item_id": 7, "location_id": 50 + i, "available": i, "updated_at": iso(self.first)} for i in range(3)]}

    def table(self):
        base = "/admin/api/2024-10"
        page = ("limit", "page_info")
        whole = lambda member: lambda r, rows, m: reply({member: [self.shown(x) for x in rows]})  # noqa: E731
        lists = ((s, "checkouts" if s == "abandoned_checkouts" else s) for s in self.incremental[:-1])
        return [
            Route("GET", f"{base}/shop.json", "shop", lambda r, rows, m: reply({"shop": rows[0]})),
            Route("GET", f"{base}/orders/([0-9]+)/transactions.json", "order_transactions", whole("transactions")),
            Route("GET", f"{base}/locations.json", "locations", whole("locations")),
            Route("GET", f"{base}/inventory_levels.json", "inventory_levels", self.levels, (*page, "location_ids", "updated_at_min")),
            *(Route("GET", f"{base}/{path}.json", s, self.list, (*page, "updated_at_min", *(["status"] if s in ("orders", "abandoned_checkouts") else ())))
              for s, path in lists),
        ]

    def list(self, request, rows, match):
        q = request.query
        if "page_info" in q and set(q) - {"page_info", "limit"}:
            return self.refuse("page_info stands alone")
        since, at = json.loads(base64.b64decode(q["page_info"])) if "page_info" in q else (q.get("updated_at_min"), 0)
        rows = [r for r in rows if not since or from_iso(r["updated_at"]) >= from_iso(since)]
        member = request.path.rsplit("/", 1)[1].removesuffix(".json")
        answer = reply({member: rows[at:at + SIZE]})
        if at + SIZE < len(rows):
            info = base64.b64encode(json.dumps([since, at + SIZE]).encode()).decode()
            answer.headers["Link"] = f'<{self.api.url}{request.path}?limit=250&page_info={urllib.parse.quote(info)}>; rel="next"'
        return answer

    def levels(self, request, rows, match):
        if "page_info" not in request.query:
            wanted = {int(i) for i in request.query["location_ids"].split(",")}
            rows = [r for r in rows if r["location_id"] in wanted]
        return self.list(request, rows, match)

    def knows(self, request):
        return request.headers.get("X-Shopify-Access-Token") == self.secrets["access_token"]

    def denied(self):
        return reply({"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}, status=401)

    def missing(self):
        return reply({"errors": "Not Found"}, status=404)

    def refuse(self, why):
        return reply({"errors": {"base": [why]}}, status=400)

    def slow_down(self):
        return reply({"errors": "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."}, status=429,
                     headers={"Retry-After": "0.2", "X-Shopify-Shop-Api-Call-Limit": "40/40"})

    def told(self):
        return {"X-Shopify-Shop-Api-Call-Limit": "3/40"}

    def change(self):
        for stream in self.incremental[:-1]:
            self.tables[stream].append({**self.tables[stream][0], "id": 90000 + self.tables[stream][0]["id"], "updated_at": iso(self.now)})
        self.tables["inventory_levels"].append({"inventory_item_id": 8, "location_id": 51, "available": 4, "updated_at": iso(self.now)})


# ------------------------------------------------------------------------------- Salesforce

class Salesforce(Service):
    name = "salesforce"
    config = {"base_url": "URL", "client_id": "3MVG9test"}
    secrets = {"client_secret": "8C4Etest"}
    objects = {"accounts": "Account", "contacts": "Contact", "leads": "Lead", "opportunities": "Opportunity",
               "opportunity_line_items": "OpportunityLineItem", "cases": "Case", "tasks": "Task", "events": "Event", "campaigns": "Campaign",
               "campaign_members": "CampaignMember", "products": "Product2", "users": "User"}
    keys = {s: ["Id"] for s in objects}
    incremental = tuple(objects)
    token = "00Dxx!test.access"

    def data(self):
        return {s: [{"attributes": {"type": o, "url": f"/services/data/v62.0/sobjects/{o}/{i}"}, "Id": f"{o[:3]}{i:015}", "Name": f"{o} {i}",
                     "IsDeleted": i == 2, "SystemModstamp": iso(t, "%Y-%m-%dT%H:%M:%S.000+0000")} for i, t in enumerate(self.times(3))]
                for s, o in self.objects.items()}

    def table(self):
        data = "/services/data/v62.0"
        return [Route("POST", "/services/oauth2/token", None, self.give_token),
                Route("GET", f"{data}/limits", None, lambda r, rows, m: reply({"DailyApiRequests": {"Max": 15000, "Remaining": 14000}})),
                Route("GET", f"{data}/queryAll", None, self.query, ("q",)),
                Route("GET", f"{data}/query/([A-Za-z0-9_-]+)-([0-9]+)", None, self.more)]

    def give_token(self, request, rows, match):
        want = {"grant_type": "client_credentials", "client_id": "3MVG9test", "client_secret": self.secrets["client_secret"]}
        if request.form != want:
            return reply({"error": "invalid_client", "error_description": "invalid client credentials"}, status=400)
        return reply({"access_token": self.token, "instance_url": self.api.url, "token_type": "Bearer", "scope": "api", "issued_at": "1700000000000"})

    def query(self, request, rows, match):
        asked = re.fullmatch(r"SELECT FIELDS\(STANDARD\) FROM ([A-Za-z0-9]+) WHERE SystemModstamp >= ([0-9TZ:.+-]+) ORDER BY SystemModstamp, Id",
                             request.query["q"])
        if not asked or asked[1] not in self.objects.values():
            return self.refuse("unexpected token")
        return self.page(asked[1], asked[2], 0)

    def more(self, request, rows, match):
        name, since = base64.urlsafe_b64decode(match[1] + "==").decode().split("|")
        return self.page(name, since, int(match[2]))

    def page(self, name, since, at):
        stream = next(s for s, o in self.objects.items() if o == name)
        stamp = lambda r: from_iso(r["SystemModstamp"].replace("+0000", "+00:00"))  # noqa: E731
        rows = sorted((r for r in self.tables[stream] if stamp(r) >= from_iso(since)), key=lambda r: (stamp(r), r["Id"]))
        answer = {"totalSize": len(rows), "done": at + SIZE >= len(rows), "records": rows[at:at + SIZE]}
        if not answer["done"]:
            locator = base64.urlsafe_b64encode(f"{name}|{since}".encode()).decode().rstrip("=")
            answer["nextRecordsUrl"] = f"/services/data/v62.0/query/{locator}-{at + SIZE}"
        return reply(answer)

    def knows(self, request):
        return request.path == "/services/oauth2/token" or self.bearer(request, self.token)

    def denied(self):
        return reply([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}], status=401)

    def missing(self):
        return reply([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}], status=404)

    def refuse(self, why):
        return reply([{"message": why, "errorCode": "MALFORMED_QUERY"}], status=400)

    def slow_down(self):
        return reply([{"message": "Server busy", "errorCode": "SERVER_UNAVAILABLE"}], status=503)

    def told(self):
        return {"Sforce-Limit-Info": "api-usage=1000/15000"}

    def change(self):
        for stream, o in self.objects.items():
            self.tables[stream].append({**self.tables[stream][0], "Id": f"{o[:3]}new", "SystemModstamp": iso(self.now, "%Y-%m-%dT%H:%M:%S.000+0000")})


FAKES = (GitHub, HubSpot, Intercom, Jira, Notion, Salesforce, Shopify, Slack, Stripe, Zendesk)
