"""GitHub, as its public documentation describes it."""
import hashlib
import time
import urllib.parse

from fake_api import reply

from .service import Route, SIZE, Service, iso


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
