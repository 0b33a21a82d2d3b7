#!/usr/bin/env python3
"""Turns openapi.yaml into JSON and a C file that holds it, with a strong ETag of its bytes.

usage: embed.py openapi.yaml out.json out.c
"""
import hashlib
import json
import sys

import yaml


def main():
    source, out_json, out_c = sys.argv[1:]
    with open(source, encoding="utf-8") as f:
        document = yaml.safe_load(f)
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
