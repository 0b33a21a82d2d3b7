#!/usr/bin/env python3
"""A file over 600 lines has acquired a second secret; a function over 70 lines does too much."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_FILE, MAX_FUNCTION = 600, 80


def functions(lines):
    """(first line number, name, length) of every function: a '{' in column 0 up to its '}'."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            head = " ".join(lines[max(0, start - 4):start - 1])
            name = re.findall(r"(\w+)\s*\(", head)
            yield start, name[-1] if name else "?", number - start
            start = None


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()
    problems = []
    for f in files:
        lines = (ROOT / f).read_text().splitlines()
        if len(lines) > MAX_FILE and not f.startswith("tests/"):
            problems.append(f"{f}: {len(lines)} lines")
        if not f.startswith("tests/"):
            problems += [f"{f}:{n}: {name} has {length} lines" for n, name, length in functions(lines)
                         if length > MAX_FUNCTION]
    print("\n".join(problems) or f"{len(files)} files are of a readable size")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
