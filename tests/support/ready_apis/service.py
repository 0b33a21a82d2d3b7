"""The server that plays a service: what all of them have in common.

`Service.answer` is the one way through: identity, the limit of requests, parameters that nobody
knows, then the route. Pages are small, whatever size was asked for: servers may do that.
"""
import base64
import collections
import datetime
import re
import time

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
