#!/usr/bin/env python3
"""Turns the documents of this folder into a C file that holds each as JSON.

usage: embed.py out.c document.yaml...
"""
import json
import pathlib
import sys

import yaml


def literal(text):
    rows = []
    for at in range(0, len(text), 24):
        rows.append(", ".join(str(byte - 256 if byte > 127 else byte) for byte in text[at:at + 24]))
    return ",\n    ".join(rows)


def main():
    out, *documents = sys.argv[1:]
    names, parts = [], []
    for path in sorted(map(pathlib.Path, documents)):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        if document["name"] != path.stem:
            sys.exit(f"{path} is the document of \"{document['name']}\"")
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        parts.append(f"static const char text_{path.stem}[] = {{\n    {literal(text)}, 0,\n}};\n")
        names.append(path.stem)
    rows = "".join(f'    {{"{name}", text_{name}}},\n' for name in names)
    pathlib.Path(out).write_text(
        "/* Generated from the documents in connectors/sources/apis by embed.py. */\n"
        '#include "connectors/sources/apis.h"\n\n'
        + "\n".join(parts) +
        f"\nconst struct api_document api_documents[] = {{\n{rows}    {{0, 0}},\n}};\n", encoding="ascii")


if __name__ == "__main__":
    main()
