#!/usr/bin/env python3
"""Every security requirement has a test that names it, in a comment or a docstring: "S7: ...".

The titles are in requirements.tsv. A fault ("fault F5") is named in tests/fault or tests/crash by its
number alone. Prints which files name which requirement; one that nobody names fails.
"""
import io
import pathlib
import re
import sys
import tokenize

ROOT = pathlib.Path(__file__).resolve().parents[2]
ID = re.compile(r"\b(fault )?([AZSEPQLFXHJGMO])(\d{1,2})\b(?:(?: to |-)\2(\d{1,2})\b)?")
C_COMMENT = re.compile(r"/\*.*?\*/", re.S)


def words(path):
    """The comments and docstrings of a file."""
    text = path.read_text(errors="replace")
    if path.suffix == ".py":
        try:
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and '"""' in token.string):
                    yield token.string
        except tokenize.TokenError:
            return
    elif path.suffix in (".c", ".h"):
        yield from C_COMMENT.findall(text)
    else:
        yield from (line for line in text.splitlines() if line.lstrip().startswith("#"))


def named(path):
    faults = path.parent.name in ("fault", "crash")
    for text in words(path):
        for fault, letter, first, last in ID.findall(text):
            prefix = "fault " if letter == "F" and (fault or faults) else ""
            for n in range(int(first), int(last or first) + 1):
                yield f"{prefix}{letter}{n}"


def main():
    titles = dict(line.split("\t") for line in (ROOT / "tests/lint/requirements.tsv").read_text().splitlines())
    found = {name: set() for name in titles}
    for path in sorted((ROOT / "tests").rglob("*")):
        if path.suffix in (".py", ".c", ".h", ".sh", ".cmake") and "lint/requirements" not in str(path):
            for name in set(named(path)) & set(titles):
                found[name].add(path.name)
    for name, title in titles.items():
        print(f"{name:9} {title}: {', '.join(sorted(found[name])) or 'NO TEST'}")
    missing = [name for name in titles if not found[name]]
    print(f"{len(titles) - len(missing)} of {len(titles)} requirements have a test; without: {', '.join(missing) or 'none'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
