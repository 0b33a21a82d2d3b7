#!/usr/bin/env python3
"""The source shown in connectors/README.md is the one that is compiled and tested; links lead
somewhere; the page names only calls that exist."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "connectors/README.md"


def main():
    text = PAGE.read_text()
    problems = []
    shown = re.findall(r"```c\n(.*?)```\n", text, re.S)
    if shown != [(ROOT / "tests/support/counter.c").read_text()]:
        problems.append("the source on the page is not tests/support/counter.c")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not (PAGE.parent / target).exists():
            problems.append(f"the link to {target} leads nowhere")
    for path in re.findall(r"`(tests/[\w./]+)`", text):
        if not (ROOT / path).exists():
            problems.append(f"{path} does not exist")
    headers = "".join(p.read_text() for p in (ROOT / "connectors").rglob("*.h"))
    for call in re.findall(r"`((?:sink|batch|cancel)_\w+|OPTION_\w+|ERR_\w+)", text):
        word = call.removeprefix("ERR_") if call.startswith("ERR_") else call
        if not re.search(rf"\b{word}\b", headers):
            problems.append(f"the headers have no {call}")
    print("\n".join(problems) or "the page is true")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
