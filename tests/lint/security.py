#!/usr/bin/env python3
"""O4: SECURITY.md says how to report, how soon there is an answer, which versions get fixes and what is no
vulnerability; and what it names of the program is there."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECTIONS = ("Reporting", "Supported versions", "What holds today", "What is not a vulnerability")


def main():
    text = (ROOT / "SECURITY.md").read_text()
    sections = dict(re.findall(r"^## ([^\n]+)\n\n(.+?)(?=^## |\Z)", text, re.M | re.S))
    settings = set(re.findall(r"OPTION\(struct settings, (\w+)", "".join(p.read_text() for p in (ROOT / "server").glob("config*.c"))))
    wrong = [f"there is no section \"{name}\"" for name in SECTIONS if name not in sections]
    for promise in ("privately", "14 days"):
        if promise not in sections.get("Reporting", ""):
            wrong.append(f"reporting does not say \"{promise}\"")
    for path in re.findall(r"`((?:connectors|server|handlers)/[\w/.]+)`", text):
        if not (ROOT / path).exists():
            wrong.append(f"there is no {path}")
    for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text):
        if name not in settings:
            wrong.append(f"there is no setting {name}")
    if "SECURITY.md" not in (ROOT / "README.md").read_text():
        wrong.append("the README does not lead there")
    print("\n".join(wrong) or f"SECURITY.md: {len(sections)} sections, all that it names exists")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
