#!/usr/bin/env python3
"""Turns openapi.yaml into JSON and a C file that holds it, with a strong ETag of its bytes.

usage: embed.py openapi.yaml out.json out.c
"""
import hashlib
import json
import sys

import yaml


class Loader(yaml.SafeLoader):
    """A key that is written twice is a mistake, not the last one's victory."""

    def flatten_mapping(self, node):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"{node.start_mark}: written twice: {', '.join(sorted(twice))}")
        super().flatten_mapping(node)


def main():
    source, out_json, out_c = sys.argv[1:]
    with open(source, encoding="utf-8") as f:
        document = yaml.load(f, Loader)
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    with open(out_json, "wb") as f:
        f.write(text)
    etag = hashlib.sha256(text).hexdigest()[:32]
    rows = [", ".join(f"{byte - 256 if byte > 127 else byte}" for byte in text[i:i + 24])
            for i in range(0, len(text), 24)]
    with open(out_c, "w", encoding="ascii") as f:
        f.write('/* Generated from openapi/openapi.yaml by openapi/embed.py. */\n'
                '#include "handlers/openapi.h"\n\n'
                "const char openapi_json[] = {\n    " + ",\n    ".join(rows) + ", 0,\n};\n"
                "const size_t openapi_json_bytes = sizeof openapi_json - 1;\n"
                f'const char openapi_etag[] = "\\"{etag}\\"";\n')


if __name__ == "__main__":
    main()
