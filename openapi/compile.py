#!/usr/bin/env python3
"""Turns openapi.yaml, with the examples beside it, into JSON.

usage: compile.py openapi.yaml examples.yaml answers.json out.json
"""
import json
import sys

import yaml

from examples import merge


class Loader(yaml.SafeLoader):
    """A key that is written twice is a mistake, not the last one's victory."""

    def flatten_mapping(self, node):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"{node.start_mark}: written twice: {', '.join(sorted(twice))}")
        super().flatten_mapping(node)


def load(path):
    with open(path, encoding="utf-8") as f:
        return yaml.load(f, Loader)


# What was made, as the parameter of a path, and the member of the answer that names it.
MADE = {"create_source": ("source", "name"), "create_destination": ("destination", "name"), "create_connection": ("connection", "name"),
        "start_run": ("run", "id"), "clear_connection": ("run", "id"), "start_adhoc_run": ("run", "id"), "retry_run": ("run", "id"),
        "create_token": ("token", "id")}
METHODS = ("get", "put", "post", "patch", "delete")


def put_links(document):
    """A thing that was made leads to every operation on it that needs nothing else."""
    operations = {o["operationId"]: o for item in document["paths"].values() for m, o in item.items() if m in METHODS}
    for made, (parameter, member) in MADE.items():
        links = {}
        for path, item in document["paths"].items():
            if [part for part in path.split("/") if part.startswith("{")] != [f"{{{parameter}}}"]:
                continue
            for method in METHODS:
                if method in item:
                    target = item[method]["operationId"]
                    links[target] = {"operationId": target, "parameters": {f"path.{parameter}": f"$response.body#/{member}"}}
        responses = operations[made]["responses"]
        responses["201"] = {**responses["201"], "links": links}


def main():
    source, examples, answers, out = sys.argv[1:]
    with open(answers, encoding="utf-8") as f:
        known = json.load(f)
    document = merge(load(source), load(examples)["examples"], known)
    put_links(document)
    with open(out, "w", encoding="utf-8") as f:
        f.write(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main()
