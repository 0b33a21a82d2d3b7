#!/usr/bin/env python3
"""Turns the template projects into a C file that holds them.

usage: embed.py new out.c
"""
import pathlib
import sys


def main():
    source, out = map(pathlib.Path, sys.argv[1:])
    rows, arrays = [], []
    for i, path in enumerate(sorted(p for p in source.rglob("*") if p.is_file())):
        text = path.read_bytes()
        numbers = ", ".join(str(b - 256 if b > 127 else b) for b in text)
        arrays.append(f"static const char text_{i}[] = {{{numbers}, 0}};\n")
        kind, name = path.relative_to(source).as_posix().split("/", 1)
        rows.append(f'    {{"{kind}", "{name}", text_{i}}},\n')
    out.write_text("/* Generated from connectors/sdk/new by embed.py. */\n#include \"connectors/sdk/templates.h\"\n\n" +
                   "".join(arrays) + "\nconst struct template_file template_files[] = {\n" + "".join(rows) +
                   "    {0},\n};\n", encoding="ascii")


if __name__ == "__main__":
    main()
