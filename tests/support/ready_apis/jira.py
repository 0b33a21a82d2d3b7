"""Jira, as its public documentation describes it."""
import base64
import re

from fake_api import reply

from .service import Route, SIZE, Service, cursor_of, from_iso, iso, place_of


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
