#!/usr/bin/env python3
"""Every member of every described body with every wrong JSON type: refused, with its pointer.

The matrix comes from openapi.yaml, so a new body is tested without a line here. No value may bring
a 5xx, and whatever the description forbids the service must refuse.
"""
import copy
import unittest

import service
from service import CONTRACT, ServiceTest

VALUES = {"string": "x", "integer": 7, "number": 1.5, "boolean": True, "array": [], "object": {}}
# Values at which even a right type is wrong.
EDGES = {"integer": (-1, 2 ** 63 - 1, -2 ** 63), "string": ("", "x" * 5000), "array": ([[]], [None], [{"a": 1}]),
         "object": ({"": 1}, {"nonsense": {"deep": []}})}


class WrongTypes(ServiceTest):
    token = "a-bootstrap-token-of-a-test-0123456789"  # tokens are made here, which ends openness
    def bodies(self):
        """(method, path, schema, a good body) of every operation with a described JSON body."""
        self.source("sample", name="s", rows=3)
        self.destination("sqlite", name="d", path=str(self.folder / "d.db"))
        self.service.put("/v1/connections/c", {"source": "s", "destination": "d"})
        self.ok(self.service.post("/v1/sources/s/discover"))
        run = self.finished(self.ok(self.service.post("/v1/connections/c/runs"), 201))
        values = {"source": "s", "destination": "d", "connection": "c", "kind": "source", "name": "sample", "stream": "users",
                  "run": str(run["id"]), "catalog": "1"}
        for path, item in CONTRACT.document["paths"].items():
            for method in ("post", "put", "patch"):
                operation = item.get(method)
                if not operation or "requestBody" not in operation:
                    continue
                content = operation["requestBody"]["content"]
                schema = CONTRACT.resolve(content["application/json"]["schema"])
                if "anyOf" in schema:
                    schema = CONTRACT.resolve(schema["anyOf"][0])
                if "properties" not in schema:
                    continue
                yield method.upper(), path.format(**values), schema, self.good(schema)

    def good(self, schema):
        known = {"connector": "sample", "source": "s", "destination": "d", "kind": "source", "stream": "users",
                 "name": "users", "scope": "read"}
        return {name: known[name] for name in schema.get("required", [])}

    def types_of(self, schema):
        schema = CONTRACT.resolve(schema)
        if "enum" in schema:
            return {"string"}
        types = schema.get("type", [])
        types = {types} if isinstance(types, str) else set(types)
        return types | ({"integer"} if "number" in types else set())

    def cases(self, schema, pointer=""):
        """(path of keys, bad value) for every member, nested ones too."""
        schema = CONTRACT.resolve(schema)
        for name, member in schema.get("properties", {}).items():
            member = CONTRACT.resolve(member)
            allowed = self.types_of(member)
            for kind, value in VALUES.items():
                if kind not in allowed:
                    yield [name], value, True
                for edge in EDGES.get(kind, ()):
                    yield [name], edge, False
            if "properties" in member:
                for keys, value, certain in self.cases(member):
                    yield [name, *keys], value, certain
            items = CONTRACT.resolve(member.get("items", {})) if isinstance(member.get("items"), dict) else {}
            if "properties" in items:
                for keys, value, certain in self.cases(items):
                    yield [name, 0, *keys], value, certain
        yield ["no_such_member"], 1, True

    def put_in(self, body, keys, value, schema):
        """A copy of `body` with the value at that place and what is needed around it."""
        body = copy.deepcopy(body)
        at, where = body, CONTRACT.resolve(schema)
        for key, following in zip(keys, keys[1:]):
            if isinstance(key, int):
                at.append(self.needed(where))
                at = at[0]
                continue
            where = CONTRACT.resolve(where["properties"][key])
            if isinstance(following, int):
                where = CONTRACT.resolve(where["items"])
                at[key] = []
            else:
                at[key] = self.needed(where)
            at = at[key]
        at[keys[-1]] = value
        return body

    def needed(self, schema):
        known = {"name": "users", "stream": "users", "connector": "sample", "column": "id", "op": "eq"}
        return {n: known[n] for n in schema.get("required", [])}

    def test_matrix(self):
        n = 0
        for method, path, schema, good in self.bodies():
            for keys, value, certain in self.cases(schema):
                if keys[-1] == "no_such_member" and len(keys) > 1 and keys[-2] == 0:
                    continue
                body = self.put_in(good, keys, value, schema)
                pointer = "/" + "/".join(str(k) for k in keys)
                answer = self.service.request(method, path, body)
                n += 1
                where = f"{method} {path} {pointer} = {str(value)[:60]!r}: {answer}"
                self.assertLess(answer.status, 500, where)
                forbidden = CONTRACT.errors(schema, body)
                if certain or (forbidden and answer.status < 400 and keys[-1] != "name"):
                    self.assertEqual(answer.status, 422, where)
                    self.assertTrue(any(p.startswith(pointer) for p in answer.pointers), where)
        self.assertGreater(n, 500)

    def test_every_body_that_is_no_object(self):
        for method, path, schema, good in self.bodies():
            for value in ([], "x", 1, 1.5, True):
                answer = self.service.request(method, path, value)
                self.assertIn(answer.status, (400, 422), answer)

    def test_mass_assignment(self):
        """Z4: what the service decides is no field of a body."""
        for method, path, schema, good in self.bodies():
            for name in ("id", "created_by", "created_at", "fence", "state", "revision", "secrets", "status"):
                if name in schema["properties"]:
                    continue
                answer = self.service.request(method, path, {**good, name: "x"})
                self.assertEqual(answer.status, 422, (method, path, name, answer))
                self.assertEqual(answer.pointers.get(f"/{name}"), "unknown_field", answer)


if __name__ == "__main__":
    service.main()
