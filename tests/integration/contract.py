"""The API description as a judge: every answer is held against it.

An operation must be described, its status documented, its media type listed, and its body must fit
the schema. Objects of answers are closed: a member that nobody described is a failure.
"""
import json
import pathlib
import re

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Statuses that any operation may answer; the document says so in its description.
COMMON = {400, 401, 403, 404, 405, 406, 408, 413, 414, 415, 422, 429, 431, 500, 501, 503, 507}


def close(schema):
    """Objects with listed members and no word on others allow no others."""
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema["properties"], dict):
            schema.setdefault("additionalProperties", False)
        for key, value in schema.items():
            close(list(value.values()) if key == "properties" and isinstance(value, dict) else value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


class Contract:
    def __init__(self):
        self.document = yaml.safe_load((ROOT / "openapi" / "openapi.yaml").read_text(encoding="utf-8"))
        close(self.document["components"]["schemas"])
        close(self.document["paths"])
        self.resolver = jsonschema.RefResolver.from_schema(self.document)
        self.routes = []
        for path, item in self.document["paths"].items():
            pattern = re.compile("^" + re.sub(r"\{\w+\}", r"[^/]+", path) + "$")
            self.routes.append((path.count("{"), pattern, path, item))
        self.routes.sort(key=lambda route: route[0])  # fewer parameters first: literals win

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def find(self, method, path):
        """(path template, operation) of a request; (None, None) when nothing is described."""
        path = path.split("?")[0]
        for _, pattern, template, item in self.routes:
            if pattern.match(path):
                return template, item.get(method.lower())
        return None, None

    def errors(self, schema, value):
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver)
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:400]}" for e in validator.iter_errors(value)]

    def check(self, method, path, status, content_type, body):
        """What is wrong with an answer, as a list of sentences."""
        asked = "GET" if method == "HEAD" else method
        template, operation = self.find(asked, path)
        media = (content_type or "").split(";")[0].strip()
        if operation is None:
            if status in (401, 404, 405, 400, 414, 501, 204, 415):
                return self.check_problem(media, status, body) if status >= 400 and method != "HEAD" else []
            return [f"{method} {path} is not described"]
        responses = operation["responses"]
        described = responses.get(str(status))
        if described is None and status in COMMON:
            described = responses[f"{status // 100}XX"]
        if described is None:
            return [f"{operation['operationId']} does not document {status}"]
        if status >= 400 and media == "application/problem+json":
            return self.check_problem(media, status, body) if method != "HEAD" else []
        described = self.resolve(described)
        content = described.get("content")
        if method == "HEAD" or status in (204, 304):
            return ["there is a body"] if body else []
        if not content:
            return [f"{operation['operationId']} {status} has no content described"]
        if media not in content:
            return [f"{operation['operationId']} {status} does not list {media!r}"]
        if media == "application/json":
            try:
                value = json.loads(body)
            except ValueError as e:
                return [f"the body is not JSON: {e}: {body[:200]!r}"]
            if not body.endswith(b"\n"):
                return ["the body does not end with a newline"]
            return self.errors(content[media]["schema"], value)
        return []

    def check_problem(self, media, status, body):
        if media != "application/problem+json":
            return [f"{status} is {media!r}, not a problem document: {body[:200]!r}"]
        value = json.loads(body)
        wrong = self.errors({"$ref": "#/components/schemas/Problem"}, value)
        if value.get("status") != status:
            wrong.append(f"the problem says {value.get('status')}, the answer {status}")
        return wrong

    def check_event(self, event):
        return self.errors({"$ref": "#/components/schemas/LogEvent"}, event)
