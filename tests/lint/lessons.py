#!/usr/bin/env python3
"""Every defect found elsewhere that a database can have has a test that names it: "lesson 7".

Prints which test proves which lesson; a lesson that no test names fails.
"""
import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LESSONS = {
    1: "a row that moved across a page border was never delivered",
    2: "a row that was committed late, with an older timestamp, was never delivered",
    3: "bookmarks on two columns were compared one by one",
    4: "a NULL bookmark turned every later run into a full reload",
    5: "rows that share the boundary timestamp were lost, doubled, or read for ever",
    6: "a full refresh appended",
    7: "two changes of one key in a batch made the upsert fail for ever",
    8: "a unique column became part of the key",
    9: "a value was executed as SQL",
    10: "what was cut short counted as a success",
    11: "decimals became floats, infinities NULL, dates instants",
    12: "types were told by letters in their names",
    13: "text was cut, or cleaned of what somebody thought was dirt",
    14: "elements of arrays were split, apostrophes in JSON doubled",
    15: "names collided",
    16: "composite text keys overwrote each other; the empty string became NULL",
    17: "the state was ahead of the data",
    18: "an empty source emptied the destination, or left what was stale",
    19: "the table was dropped and the bookmark stayed",
    20: "the count and the rows were two different things",
    22: "TLS without verification",
    23: "the password in logs and error texts",
    24: "only the state of the last stream was kept",
    25: "every failure was retried, permanent ones too",
    26: "one round trip, one commit for each row",
}


def numbers(text):
    """Those behind the word "lesson": "lessons 2, 3 and 5"; "lessons 11 to 14" means four."""
    for found in re.findall(r"[Ll]essons? (\d+(?:(?:,| and|,? and| to) \d+)*)", text or ""):
        for a, b in re.findall(r"(\d+) to (\d+)", found):
            yield from range(int(a), int(b) + 1)
        yield from map(int, re.findall(r"\d+", found))


def tests(path):
    """(name, documentation) of every class and test of a file; a file's own line is only a summary."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name, ast.get_docstring(node)


def main():
    named = {n: [] for n in LESSONS}
    for path in sorted((ROOT / "tests/integration").glob("test_*.py")):
        for name, documentation in tests(path):
            for n in set(numbers(documentation)) & set(LESSONS):
                named[n].append(f"{path.name}:{name}")
    for n, what in LESSONS.items():
        print(f"{n:2} {what}: {', '.join(named[n]) or 'NO TEST'}")
    return 0 if all(named.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
