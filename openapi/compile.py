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


def main():
    source, examples, answers, out = sys.argv[1:]
    with open(answers, encoding="utf-8") as f:
        known = json.load(f)
    document = merge(load(source), load(examples)["examples"], known)
    with open(out, "w", encoding="utf-8") as f:
        f.write(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main()
