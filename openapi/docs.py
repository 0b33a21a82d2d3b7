#!/usr/bin/env python3
"""Renders the API description as the HTML of the reference: its text and its list of contents.

usage: docs.py openapi.json metric_table.h text.html contents.html

Small on purpose: what the service puts around both is in handlers/page_html.c, how it looks in
docs.css.
"""
import html
import json
import re
import sys

METHODS = ("get", "post", "put", "patch", "delete")
# Words of a schema that are shown behind the type.
BOUNDS = {"minimum": "≥ {}", "maximum": "≤ {}", "minLength": "at least {} characters", "maxLength": "at most {} characters",
          "minItems": "at least {} items", "maxItems": "at most {} items", "default": "default {}"}


def esc(value):
    return html.escape(str(value), quote=True)


def inline(text):
    """`code` and *emphasis* of a line."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"<code>{esc(p)}</code>" if i % 2 else re.sub(r"\*([^*\s][^*]*)\*", r"<em>\1</em>", esc(p))
                   for i, p in enumerate(parts))


def prose(text):
    return "".join(f"<p>{inline(' '.join(p.split()))}</p>" for p in re.split(r"\n\s*\n", text.strip()) if p.strip())


def as_json(value):
    return json.dumps(value, ensure_ascii=False, indent=2)


ROW = re.compile(r'X\(\w+, (\w+), "(\w+)",[\s\\]*"([^"]*)",[\s\\]*"([^"]*)"\)')


class Reference:
    def __init__(self, document, metrics):
        self.document = document
        self.metrics = [m.groups() for m in ROW.finditer(metrics)]  # (kind, name, labels, help)
        assert len(self.metrics) == len(re.findall(r"X\([A-Z_]+, [A-Z_]+, \"", metrics)), "a row is not understood"

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    # ------------------------------------------------------------------ schemas

    def type_of(self, schema):
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return f'<a href="#schema-{esc(name)}">{esc(name)}</a>'
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return " or ".join(self.type_of(s) for s in schema[word])
        if "const" in schema:
            return f"<code>{esc(json.dumps(schema['const']))}</code>"
        if "enum" in schema:
            return " | ".join(f"<code>{esc(v if isinstance(v, str) else json.dumps(v))}</code>" for v in schema["enum"])
        kind = schema.get("type", "any")
        kinds = kind if isinstance(kind, list) else [kind]
        named = [f"array of {self.type_of(schema['items'])}" if k == "array" and "items" in schema else esc(k) for k in kinds]
        extra = schema.get("additionalProperties")
        if "object" in kinds and isinstance(extra, dict) and "properties" not in schema:
            named[kinds.index("object")] = f"map of {self.type_of(extra)}"
        return " or ".join(named)

    @staticmethod
    def bounds_of(schema):
        words = [text.format(json.dumps(schema[key], ensure_ascii=False)) for key, text in BOUNDS.items() if key in schema]
        if "pattern" in schema:
            words.append(f"matches {schema['pattern']}")
        return f' <span class="bounds">{esc(", ".join(words))}</span>' if words else ""

    def nested(self, schema):
        """The members of an object, or of the objects in an array or a map, one level further in."""
        if "$ref" in schema:
            return ""
        if "properties" in schema:
            return self.members(schema)
        for word in ("items", "additionalProperties"):
            if isinstance(schema.get(word), dict):
                return self.nested(schema[word])
        return ""

    def row(self, name, schema, required=False, place="", description=""):
        target = self.resolve(schema) if "$ref" in schema and not place else schema
        text = description or schema.get("description") or ("" if target is schema else target.get("description", ""))
        return (f'<li><code class="name">{esc(name)}</code> <span class="type">{self.type_of(schema)}</span>'
                + (' <span class="required">required</span>' if required else "")
                + (f' <span class="place">{esc(place)}</span>' if place else "")
                + self.bounds_of(schema) + (f'<div class="text">{inline(" ".join(text.split()))}</div>' if text else "")
                + self.nested(schema) + "</li>")

    def members(self, schema):
        required = schema.get("required", [])
        rows = [self.row(name, s, name in required) for name, s in schema["properties"].items()]
        return f'<ul class="members">{"".join(rows)}</ul>'

    def schema(self, name, schema):
        shown = self.members(schema) if "properties" in schema else self.nested(schema)
        text = prose(schema["description"]) if "description" in schema else ""
        head = f'<p><span class="type">{self.type_of(schema)}</span>{self.bounds_of(schema)}</p>' if not shown else ""
        return f'<section class="schema" id="schema-{esc(name)}"><h3>{esc(name)}</h3>{text}{head}{shown}</section>'

    # --------------------------------------------------------------- operations

    def content(self, content):
        """Media types with what they hold; equal ones share a line."""
        lines = {}
        for media, body in content.items():
            schema = body.get("schema", {})
            lines.setdefault(json.dumps(schema), []).append(media)
        out = ""
        for text, medias in lines.items():
            schema = json.loads(text)
            out += (f'<div class="content"><span class="media">{esc(", ".join(medias))}</span> '
                    f'<span class="type">{self.type_of(schema)}</span>{self.nested(schema)}</div>')
        return out

    def parameters(self, item, operation):
        rows = ""
        for parameter in item.get("parameters", []) + operation.get("parameters", []):
            p = self.resolve(parameter)
            rows += self.row(p["name"], p.get("schema", {}), p.get("required", False), p["in"], p.get("description", ""))
        return f'<h4>Parameters</h4><ul class="members">{rows}</ul>' if rows else ""

    def responses(self, operation):
        rows, problems = "", []
        for status, response in operation["responses"].items():
            r = self.resolve(response)
            if response == {"$ref": "#/components/responses/Problem"}:
                problems.append(f'<span class="status s{status[0]}">{esc(status)}</span>')
                continue
            headers = ", ".join(f"<code>{esc(h)}</code>" for h in r.get("headers", {}))
            rows += (f'<li><span class="status s{status[0]}">{esc(status)}</span> {inline(r["description"])}'
                     + (f' <span class="bounds">with {headers}</span>' if headers else "")
                     + self.content(r.get("content", {})) + "</li>")
        rows += f'<li>{" ".join(problems)} A <a href="#schema-Problem">problem</a>; see <a href="#codes">its codes</a></li>'
        return f'<h4>Answers</h4><ul class="answers">{rows}</ul>'

    def answer_of(self, operation, name):
        """(status, text) of the answer that an example of this name was given."""
        for status, response in operation["responses"].items():
            for body in self.resolve(response).get("content", {}).values():
                if name in body.get("examples", {}):
                    value = body["examples"][name]["value"]
                    return status, value if isinstance(value, str) else as_json(value)
        return None, None

    def samples(self, operation):
        out = ""
        for sample in operation.get("x-codeSamples", []):
            status, answer = self.answer_of(operation, sample["label"])
            out += (f'<p class="label">{esc(sample["label"].replace("_", " ").capitalize())}</p>'
                    f'<pre class="shell"><code>{esc(sample["source"])}</code></pre>')
            if answer:
                out += (f'<details><summary>Answer <span class="status s{status[0]}">{esc(status)}</span></summary>'
                        f"<pre><code>{esc(answer)}</code></pre></details>")
        return f"<h4>Example</h4>{out}" if out else ""

    def operation(self, path, item, method, operation):
        body = operation.get("requestBody")
        name = re.sub(r"(\{\w+\})", r'<span class="var">\1</span>', esc(path).replace("/", "/<wbr>"))
        text = prose(operation["description"]) if "description" in operation else ""
        scope = "open to all" if operation.get("x-public") else f"scope {operation['x-scope']}"
        request = ""
        if body:
            request = f"<h4>Body{'' if body.get('required') else ' (optional)'}</h4>{self.content(body['content'])}"
        return (f'<section class="operation" id="{esc(operation["operationId"])}">'
                f'<h3>{esc(operation["summary"])}</h3>'
                f'<p class="route"><span class="method {method}">{method.upper()}</span> <code>{name}</code>'
                f' <span class="scope">{esc(scope)}</span></p>'
                f"{text}{self.samples(operation)}{self.parameters(item, operation)}{request}{self.responses(operation)}</section>")

    def tagged(self):
        """Tag by tag: (tag, [(path, item, method, operation)])."""
        for tag in self.document["tags"]:
            found = [(path, item, method, item[method]) for path, item in self.document["paths"].items()
                     for method in METHODS if method in item and item[method]["tags"][0] == tag["name"]]
            yield tag, found

    def codes(self):
        rows = "".join(f'<tr><td><code>{esc(code)}</code></td><td>{c["status"]}</td><td>{"yes" if c["retryable"] else ""}</td>'
                       f'<td>{esc(c["title"])}</td></tr>'
                       for code, c in self.document["components"]["schemas"]["Problem"]["x-codes"].items())
        return ('<section class="group" id="codes"><h2>Codes of problems</h2>'
                "<p>One code has one meaning and one status. Retry says that the same request may succeed later.</p>"
                f"<table><thead><tr><th>Code</th><th>Status</th><th>Retry</th><th>Meaning</th></tr></thead><tbody>{rows}</tbody></table>"
                "</section>")

    def told_metrics(self):
        rows = ""
        for kind, name, labels, text in self.metrics:
            kind = kind.lower() if kind in ("COUNTER", "GAUGE") else "histogram"
            closed = re.sub(r"=([^,]+)", lambda m: ": " + m[1].replace("|", ", "), labels).replace(",", ", ").replace(",  ", ", ")
            rows += (f'<li id="metric-{esc(name)}"><code class="name">{esc(name).replace("_", "_<wbr>")}</code> <span class="type">{kind}</span>'
                     + (f' <span class="bounds">{esc(closed)}</span>' if closed else "")
                     + f'<div class="text">{esc(text)}</div></li>')
        return ('<section class="group" id="metrics-list"><h2>Metrics</h2>'
                '<p>What <a href="#metrics">/metrics</a> tells, with the labels of each. Seconds are seconds, bytes are bytes; '
                "the values of every label are from a closed set, and there are never more than 3,000 series, "
                "but for those of connections, which a setting adds: four for each of at most 1,000.</p>"
                f'<ul class="members">{rows}</ul></section>')

    def text(self):
        out = f'<section id="introduction"><h1>API reference</h1>{prose(self.document["info"]["description"])}</section>'
        for tag, found in self.tagged():
            out += (f'<section class="group" id="tag-{esc(tag["name"])}"><h2>{esc(tag["name"].capitalize())}</h2>'
                    f'{prose(tag["description"])}{"".join(self.operation(*f) for f in found)}</section>')
        schemas = "".join(self.schema(n, s) for n, s in self.document["components"]["schemas"].items())
        return out + self.codes() + self.told_metrics() + f'<section class="group" id="schemas"><h2>Schemas</h2>{schemas}</section>'

    def contents(self):
        out = ""
        for tag, found in self.tagged():
            rows = "".join(f'<li><a href="#{esc(o["operationId"])}" title="{esc(o["summary"])}">'
                           f'<span class="method {m}">{m.upper()}</span><span class="path">{esc(path.removeprefix("/v1"))}</span></a></li>'
                           for path, _, m, o in found)
            out += f'<h2><a href="#tag-{esc(tag["name"])}">{esc(tag["name"].capitalize())}</a></h2><ul>{rows}</ul>'
        names = "".join(f'<li><a href="#schema-{esc(n)}">{esc(n)}</a></li>' for n in self.document["components"]["schemas"])
        return out + f'<h2><a href="#codes">Codes of problems</a></h2><h2><a href="#metrics-list">Metrics</a></h2><h2><a href="#schemas">Schemas</a></h2><ul>{names}</ul>'


def main():
    source, metrics, text, contents = sys.argv[1:]
    with open(source, encoding="utf-8") as f, open(metrics, encoding="utf-8") as m:
        reference = Reference(json.load(f), m.read())
    with open(text, "w", encoding="utf-8") as f:
        f.write(reference.text())
    with open(contents, "w", encoding="utf-8") as f:
        f.write(reference.contents())


if __name__ == "__main__":
    main()
