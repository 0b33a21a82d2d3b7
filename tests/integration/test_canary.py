#!/usr/bin/env python3
"""S6, A7, Z3, G3: a canary in every secret field of every connector. Then everything that the service says and
keeps is searched for it: all answers of all routes to all scopes, logs, metrics, the store and its files."""
import base64
import collections
import concurrent.futures
import contextlib
import json
import re
import sqlite3
import urllib.parse

from service import CONTRACT, Client, ServiceTest, main
from test_identity import BOOTSTRAP

SCOPES = ("read", "run", "write", "admin")
KINDS = ("source", "destination")
# Where a schema's example or default leads nowhere.
GIVEN = {"host": "127.0.0.1", "port": 1, "database": "d", "username": "u", "program": "nothing-is-listed", "rows": 5}
MARK = "marked-so-that-the-search-is-known-to-find-things"


class Canaries(ServiceTest):
    token = BOOTSTRAP
    arguments = ("--check-timeout-s", "2", "--short-workers", "16", "--workers", "16")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.canaries, cls.answers, cls.made = {}, [], collections.defaultdict(list)
        # Every answer to whomever is kept, but for the one that shows a new token.
        request = Client.request

        def kept(client, method, path, *more, **how):
            answer = request(client, method, path, *more, **how)
            if not (method == "POST" and path == "/v1/tokens"):
                cls.answers.append((f"{method} {path} to {client.token and client.token[:21]}", answer.body + str(answer.headers).encode()))
            return answer
        Client.request = kept
        cls.addClassCleanup(setattr, Client, "request", request)

    def canary(self, where):
        """Needs every kind of escape, and is known by its number."""
        self.canaries[where] = f"canary-{len(self.canaries)}-\"é/ &=+\\'-{'x' * 8}"
        return self.canaries[where]

    def filled(self, schema, where):
        """A configuration with a canary wherever a secret may be; and whether there is one."""
        config, secret = {}, False
        for name, of in schema.get("properties", {}).items():
            kinds = [of.get("type")] if isinstance(of.get("type"), str) else of.get("type") or []
            if of.get("writeOnly"):
                secret = True
                text = self.canary(f"{where}/{name}")
                config[name] = {"password": text, "key": text} if "object" in kinds else text
            elif name in GIVEN:
                config[name] = GIVEN[name]
            elif name == "path":
                config[name] = str(self.work / "somewhere")
            elif name in schema.get("required", ()):
                example = (of.get("examples") or [of.get("default")])[0]
                config[name] = example if example is not None else MARK
        return config, secret

    def connectors(self):
        for item in self.ok(self.service.get("/v1/connectors"))["items"]:
            yield item["kind"], item["name"]

    def have_everything(self):
        """A resource of every connector, as far as it takes one; how many hold a canary."""
        held = 0
        for kind, name in self.connectors():
            schema = self.ok(self.service.get(f"/v1/connectors/{kind}/{name}/schema"))
            config, secret = self.filled(schema, f"{kind} {name}")
            if name == "rest":
                config["document"] = {
                    "name": "api", "secrets": {"key": {}}, "client": {"base_url": "http://127.0.0.1:1", "retry": {"tries": 1}, "auth": {
                        "type": "bearer", "token": "{{ secret.key }}"}},
                    "check": {"path": "/"}, "streams": [{"name": "a", "path": "/", "records": {"path": "data"}}]}
            answer = self.service.put(f"/v1/{kind}s/{name}", {"connector": name, "config": config})
            self.assertIn(answer.status, (200, 201), answer)
            self.made[kind].append(name)
            self.service.post(f"/v1/connectors/{kind}/{name}/validate", config)
            # The same, wrong: each secret of a kind that it is not, and beside one that is unknown.
            wrong = {k: [v] for k, v in config.items()}
            self.service.put(f"/v1/{kind}s/{name}", {"connector": name, "config": {**config, "no_such_setting": 1}})
            for body in (wrong, {"connector": name, "config": wrong}):
                self.service.put(f"/v1/{kind}s/{name}", body)
            self.service.post(f"/v1/connectors/{kind}/{name}/validate", wrong)
            self.service.patch(f"/v1/{kind}s/{name}", {"config": config})
            self.later(self.service.post, f"/v1/{kind}s/{name}/check")
            self.later(self.service.post, "/v1/check", {"kind": kind, "connector": name, "config": config})
            held += secret
        return held

    def later(self, what, *words):
        """Beside the others: most of it waits for somebody who does not answer."""
        self.waiting.append(self.pool.submit(what, *words))

    def end_all(self):
        """What still tries to reach somebody is cancelled."""
        while any(not w.done() for w in self.waiting) or self.going():
            for run in self.going():
                self.service.post(f"/v1/runs/{run['id']}/cancel")
        for w in self.waiting:
            w.result()

    def going(self):
        return self.ok(self.service.get("/v1/runs?status=queued,running,cancelling&kind=sync,discover,check,sample,count"))["items"]

    def run_everything(self):
        self.destination("sqlite", name="out", path=str(self.work / "out.db"))
        self.source("sample", name="rows", rows=20)
        for source in [*self.made["source"], "rows"]:
            self.later(self.service.post, f"/v1/sources/{source}/discover?wait=2")
            self.later(self.service.post, f"/v1/sources/{source}/sample", {"stream": "a"})
        for destination in [*self.made["destination"], "out"]:
            self.service.put(f"/v1/connections/to-{destination}", {"source": "rows", "destination": destination, "labels": {"m": MARK},
                                                                   "run_policy": {"max_attempts": 2, "backoff_s": 0}})
            self.later(self.service.post, f"/v1/connections/to-{destination}/runs?wait=5")
        for source in self.made["source"]:
            self.later(self.service.post, "/v1/runs?wait=2", {"source": source, "destination": "out"})
        concurrent.futures.wait(self.waiting, 5)
        self.end_all()

    def ask_everything(self):
        """Every route to every scope; how many answers were good."""
        tokens = []
        for scope in SCOPES:
            made = self.ok(self.service.post("/v1/tokens", {"name": f"all-{scope}", "scope": scope, "expires_in_s": 3600}), 201)
            tokens.append(made["token"])
            self.canaries[f"token {scope}"] = made["token"]
        values = {"source": [*self.made["source"], "rows"], "destination": [*self.made["destination"], "out"], "kind": KINDS,
                  "connection": ["to-out", "to-sqlite"], "run": ["latest", "1", "2"], "stream": ["users", "a"], "catalog": ["1"],
                  "name": [*self.made["source"]], "token": ["none"], "job": ["1"], "asset": ["docs.css"]}
        good = 0
        for path, item in CONTRACT.document["paths"].items():
            if "get" not in item:
                continue
            for real in self.paths(path, values):
                for token in (*tokens, BOOTSTRAP, None):
                    answer = Client(self.service.port, token).get(real)
                    good += answer.status == 200
        return good

    def paths(self, path, values):
        hole = re.search(r"\{(\w+)\}", path)
        if not hole:
            yield path
            return
        for value in values.get(hole[1], ["1"]):
            yield from self.paths(path.replace(hole[0], value, 1), values)

    def forms(self, secret):
        raw = secret.encode()
        escaped = json.dumps(secret)[1:-1]
        return {raw, escaped.encode(), json.dumps(secret, ensure_ascii=False)[1:-1].encode(), escaped.replace("/", "\\/").encode(),
                urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode(), base64.b64encode(raw),
                base64.urlsafe_b64encode(raw).rstrip(b"="), secret.replace("'", "''").encode(), raw.hex().encode()}

    def texts(self):
        yield from self.answers
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name != "bootstrap":
                yield str(path), path.read_bytes()
        store = sqlite3.connect(f"file:{self.folder / 'data' / 'connectord.db'}?mode=ro", uri=True)
        with contextlib.closing(store):
            store.text_factory = bytes
            for (table,) in store.execute("select name from sqlite_master where type = 'table'").fetchall():
                for row in store.execute(f'select * from "{table.decode()}"'):
                    yield f"table {table.decode()}", b"\0".join(c for c in row if isinstance(c, bytes))

    def test_nobody_sees_one(self):
        self.waiting, self.pool = [], self.enterContext(concurrent.futures.ThreadPoolExecutor(16))
        self.assertGreaterEqual(self.have_everything(), 6)
        self.run_everything()
        self.assertGreater(self.ask_everything(), 200)
        texts = list(self.texts())
        for name in ("stdout", "connectord.db", "table runs", "/logs", "/metrics"):
            self.assertTrue(any(name in where for where, _ in texts), name)
        self.assertTrue(any(MARK.encode() in text for _, text in texts), "the search finds nothing")
        whole = b"\n".join(text for _, text in texts)
        for where, secret in {**self.canaries, "the bootstrap token": BOOTSTRAP}.items():
            for form in self.forms(secret):
                if form in whole:
                    for place, text in texts:
                        at = text.find(form)
                        self.assertEqual(at, -1, f"{where} as {form!r} in {place}: {text[max(0, at - 200):at + 100]!r}")


if __name__ == "__main__":
    main()
