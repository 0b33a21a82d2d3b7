#!/usr/bin/env python3
"""Dies and fails at every step of reading an API, goes on, and compares with what the server has.

    rest_crash.py rest_pages|rest_children [STEP...]

As crash.py, whose steps, cases and judgement it uses. The server keeps the history: pages behind
cursors, and parents whose children are asked for one parent after the other; both are read
incrementally and merged by key. Who reads is known by a refresh token that every exchange replaces:
whoever dies between the answer and the store has to be let in again. Besides the fail points the server itself breaks: at every page
in turn an answer ends in the middle, or the connection is reset.
"""
import collections
import datetime
import json
import sys

import crash
from crash import Matrix
from fake_api import FakeApi, Reply, reply  # noqa: E402
from histories import stamp_text

PAGE, PARENTS = 500, 30
BASE, UPDATED, ADDED = 4200, 150, 2200


class ApiHistory:
    """Records with a key, a note and the time of their last change."""
    columns = ("id", "note", "changed_at")

    def __init__(self, source, name):
        self.source, self.name, self.rows, self.changes = source, name, {}, 0
        self.write(range(1, BASE + 1), "first")
        source.api.on(f"/{name}", self.page).on(f"/{name}/*", self.child)

    def write(self, ids, note):
        for i in ids:
            now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
            self.rows[i] = (i, f"{note} {i} é", now.isoformat(timespec="microseconds") + "Z")

    def change(self):
        self.changes += 1
        top = max(self.rows)
        self.write(range(10, 10 + UPDATED), f"change {self.changes}")
        self.write(range(top + 1, top + ADDED + 1), "new")

    def current(self):
        return collections.Counter((*row[:2], stamp_text(row[2])) for row in self.rows.values())

    def found(self, request, rows):
        since = request.query.get("since", "")
        return [dict(zip(self.columns, row)) for row in rows if row[2] >= since]

    def page(self, request):
        """Cursor pages in the order of ids; a list of parents to those who ask for it."""
        first = int(request.query.get("after", "0"))
        rows = self.found(request, (self.rows[i] for i in sorted(self.rows) if i > first))
        more = len(rows) > PAGE
        return self.source.spoil(reply({"data": rows[:PAGE], "next": str(rows[PAGE - 1]["id"]) if more else None}))

    def child(self, request):
        last = request.path.rsplit("/", 1)[1]
        if last == "parents":
            return reply({"data": [{"number": n} for n in range(PARENTS)]})
        return self.source.spoil(reply({"data": self.found(
            request, (row for i, row in sorted(self.rows.items()) if i % PARENTS == int(last)))}))


class ApiSource:
    connector = "rest"

    def __init__(self, children):
        self.api, self.children = FakeApi(), children
        self.fault = None  # (nth answer, what becomes of it)
        self.good = {}     # client -> refresh tokens that are good
        self.given = 0
        self.api.on("/token", self.exchange)

    def new(self, name):
        return ApiHistory(self, name)

    def spoil(self, answer):
        if self.fault:
            nth, how = self.fault
            self.fault = (nth - 1, how) if nth > 1 else None
            if nth == 1:
                return Reply(reset=True) if how == "reset" else Reply(answer.body, cut=len(answer.body) // 2)
        return answer

    def exchange(self, request):
        """A refresh token is good until the one that was given for it has been used."""
        client, asked = request.form["client_id"], request.form["refresh_token"]
        if asked not in self.good[client]:
            return reply({"error": "invalid_grant"}, status=400)
        self.given += 1
        self.good[client] = [asked, f"next-{self.given}"]
        return reply({"access_token": "good", "expires_in": 3600, "refresh_token": self.good[client][1]})

    def config(self, name):
        self.good[name] = ["first-0"]
        stream = {"name": name, "key": ["id"], "records": {"path": "data"},
                  "schema": {"properties": {"id": {"type": "integer"}, "note": {"type": "string"},
                                            "changed_at": {"type": "string", "format": "date-time"}}},
                  "incremental": {"field": "changed_at", "start": "2020-01-01T00:00:00Z", "lookback": "2s",
                                  "send": {"param": "since", "value": "{{ state.start | iso }}"}}}
        streams = [stream]
        if self.children:
            stream["path"] = f"/{name}/{{{{ parent.number }}}}"
            stream["for_each"] = {"stream": "parents", "fields": {"number": "number"}}
            streams.append({"name": "parents", "path": f"/{name}/parents", "records": {"path": "data"}, "selected": False})
        else:
            stream["paginate"] = {"type": "cursor", "path": "next", "param": "after"}
        auth = {"type": "oauth2", "grant": "refresh_token", "token_url": f"{self.api.url}/token", "client_id": name,
                "refresh_token": "{{ secret.refresh }}"}
        return {"document": {"client": {"base_url": self.api.url, "auth": auth, "retry": {"tries": 1}}, "streams": streams,
                             "secrets": {"refresh": {}}}, "secrets": {"refresh": "first-0"}}

    def close(self):
        self.api.close()


class RestMatrix(Matrix):
    def break_everywhere(self):
        """Each page of a run, in turn, ends in the middle or with a reset."""
        for how in ("cut", "reset"):
            for nth in range(1, 40):
                if not self.wanted(how):
                    break
                case = crash.Case(self.bench, fresh=nth % 2 == 0)
                self.bench.source.fault = (nth, how)
                run = self.bench.run(case)
                met, self.bench.source.fault = self.bench.source.fault is None, None
                if not met:
                    break  # there are not so many pages
                wrong = [] if run["status"] == "succeeded" else [f"the run that was broken: {json.dumps(run['error'])}"]
                self.note(f"{how} {nth}", wrong + case.judge())

    def cut_everywhere(self):
        self.break_everywhere()


def rest_failpoints(_):
    found = set(ALL("sqlite"))
    for path in (crash.ROOT / "connectors/rest").rglob("*.c"):
        found |= set(crash.re.findall(r'failpoint\("(\w+)"', path.read_text()))
    return sorted(found)


ALL, crash.failpoints = crash.failpoints, rest_failpoints


def main(mode, only):
    crash.MODES[mode] = ("rest", "sqlite", "incremental", "append_dedup")
    crash.TableSource = lambda kind, folder: ApiSource(children=mode == "rest_children")
    return RestMatrix(mode, only).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
