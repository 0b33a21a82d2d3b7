#!/usr/bin/env python3
"""Which lines and branches the tests reach, by gcov: coverage.py [--all | --report] [FILE...]

    coverage.py            builds the preset `coverage`, runs unit, torture and conformance tests and
                           the integration tests of SOME, and reports
    coverage.py --all      runs every integration test, too
    coverage.py --report   only reports again what was counted last
    FILE...                each branch of these that no test takes, line by line; without any, of
                           the files of EVERY_BRANCH

Fails when the whole tree stays below LINES or BRANCHES, or a file of EVERY_BRANCH has a branch that
no test takes. A process that is killed loses what it has counted.

gcov counts each edge of -O0 code, so both outcomes of every part of a condition. What is left out,
each for its reason:

- code that is no part of the product: tests (only the product's folders are looked at);
- branches on lines without code of ours, such as those of a closing brace: the compiler's
  (gcovr's --exclude-unreachable-branches; its --exclude-throw-branches is about C++ alone);
- the untaken edges of an assert, and of the condition of which abort() is all that follows: by the
  rules of this code what is impossible ends so, and a test that could get there has found a bug;
- of a switch without `default` the edge for none of its values: -Wswitch-enum lets it compile only
  when each enumerator has a case.
"""
import argparse
import collections
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "coverage"
COUNTED = BUILD / "coverage.json"

LINES, BRANCHES = 90.0, 80.0
# What decides who comes in, what gets out and what is lost.
EVERY_BRANCH = ("server/secrets/*.c", "connectors/secret.c", "server/sync/sealed.c", "server/sync/vault.c",
                "server/sync/credentials.c", "connectors/base/egress*.c", "server/http/auth.c", "server/http/cidr.c",
                "server/identity.c", "connectors/base/redact*.c", "connectors/base/roots.c", "server/http/gate.c",
                "server/http/target.c", "connectors/option.c", "connectors/sql/state.c", "connectors/sql/destination.c")
PURE = "^(unit|torture|conformance)/"
# Those that meet much of the service in little time; the others go over the same ground for longer.
# Not `lifecycle`: it looks at each line on standard error, where gcov adds some of its own.
SOME = ("accounting|backup|bad_input|bookmarks|cancel|cli|commit|connections|database_errors|drift|egress|filters|"
        "identity|jobs|keys|logs|metrics|modes|monitoring|rejects|refresh|reload|resources|rest_connectors|"
        "rest_faults|rest_incremental|rest_language|rest_pages|rest_secrets|restore|runs|sealed|service|singer_deliver|"
        "singer_service|singer_source|singer_target|state|values|wrong_types")
FOLDERS = ("connectors", "handlers", "openapi", "server")


def run(*command, **more):
    print("+", *command, flush=True)
    done = subprocess.run(command, cwd=ROOT, **more)
    if done.returncode and done.stdout:
        print(done.stdout[-6000:])
    return done.returncode


def count(every):
    """Builds, forgets what was counted before, and runs the tests; their failures are told."""
    jobs = str(os.cpu_count())
    for command in (("cmake", "--preset", "coverage"), ("cmake", "--build", "--preset", "coverage", "-j", jobs)):
        if run(*command, capture_output=True, text=True):
            sys.exit("the build failed")
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    chosen = f"{PURE}|^integration/" if every else f"{PURE}|^integration/({SOME})$"
    failed = run("ctest", "--test-dir", str(BUILD), "-R", chosen, "-j", jobs, "--progress", "--output-on-failure")
    return failed


def collect():
    folders = [a for folder in FOLDERS for a in ("--filter", f"{folder}/")]
    if run("gcovr", "--root", ".", "--object-directory", str(BUILD), *folders, "--exclude-unreachable-branches",
           "--json", str(COUNTED), str(BUILD / "connectors"), str(BUILD / "server"), str(BUILD / "handlers"),
           str(BUILD / "openapi")):
        sys.exit("gcovr failed")


def aborting(source):
    """The numbers of the lines of conditions after which there is nothing but abort()."""
    found = set()
    for n, line in enumerate(source):
        if not re.match(r"\s*abort\(\);", line):
            continue
        first = n - 1
        while first > 0 and not re.match(r"\s*(\} )?(else )?if \(|\s*else$", source[first]):
            first -= 1
        found |= set(range(first + 1, n + 2))
    return found


def without_default(source):
    """The numbers of the lines of each switch that has no `default`."""
    found = set()
    for n, line in enumerate(source):
        head = re.match(r"(\s*)switch \(", line)
        if head:
            end = next(i for i in range(n, len(source)) if source[i].startswith(head[1] + "}"))
            if not any(source[i].startswith(head[1] + "default:") for i in range(n, end)):
                found.add(n + 1)
    return found


class File:
    def __init__(self, counted):
        self.name = counted["file"]
        source = (ROOT / self.name).read_text().splitlines()
        impossible, closed = aborting(source), without_default(source)
        self.lines = self.lines_hit = self.branches = self.branches_hit = 0
        self.missing = []
        for line in counted["lines"]:
            if line.get("gcovr/noncode") or line.get("gcovr/excluded"):
                continue
            number, text = line["line_number"], source[line["line_number"] - 1].strip()
            untaken = [i for i, b in enumerate(line["branches"]) if not b["count"]]
            n_branches = len(line["branches"])
            if number in closed and untaken and untaken[-1] == n_branches - 1:
                untaken.pop()
                n_branches -= 1
            if number in impossible or re.search(r"\bassert\(", text):
                if text.startswith("abort();"):
                    continue
                n_branches -= len(untaken)
                untaken = []
            self.lines += 1
            self.lines_hit += line["count"] > 0
            self.branches += n_branches
            self.branches_hit += n_branches - len(untaken)
            if untaken or not line["count"]:
                self.missing.append((number, len(untaken), n_branches, line["count"], text))


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def show(name, files):
    sums = [sum(getattr(f, what) for f in files) for what in ("lines_hit", "lines", "branches_hit", "branches")]
    print(f"{name:44} {sums[0]:6}/{sums[1]:<6} {percent(*sums[:2]):5.1f} %   {sums[2]:6}/{sums[3]:<6} {percent(*sums[2:]):5.1f} %")
    return percent(*sums[:2]), percent(*sums[2:])


def report(wanted, each):
    files = [File(f) for f in json.loads(COUNTED.read_text())["files"]]
    strict = [f for f in files if any(fnmatch.fnmatch(f.name, p) for p in EVERY_BRANCH)]
    for f in [f for f in files if f.name in wanted] if wanted else strict:
        for number, untaken, branches, reached, text in f.missing:
            said = f"{untaken} of {branches} branches" if untaken else ""
            print(f"{f.name}:{number}: {'' if reached else 'never reached '}{said}: {text}")
    print(f"\n{'':44} {'lines':>20}   {'branches':>22}")
    folders = collections.defaultdict(list)
    for f in files:
        folders[str(pathlib.PurePath(f.name).parent)].append(f)
    for name in sorted(folders):
        show(name, folders[name])
    print()
    for f in sorted(files if each else strict, key=lambda f: f.name):
        show(f.name, [f])
    print()
    lines, branches = show("all", files)
    wrong = [f"{what} are below {bound} %" for what, got, bound in
             (("lines", lines, LINES), ("branches", branches, BRANCHES)) if got < bound]
    wrong += [f"{f.name} has branches that no test takes" for f in strict if f.branches_hit < f.branches]
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true", help="every integration test")
    parser.add_argument("--report", action="store_true", help="run nothing; report what was counted last")
    parser.add_argument("--each", action="store_true", help="a line for each file")
    parser.add_argument("files", nargs="*", help="tell each branch of these that no test takes")
    asked = parser.parse_args()
    failed = 0 if asked.report else count(asked.all)
    collect()
    wrong = report(asked.files, asked.each)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong or failed else 0


if __name__ == "__main__":
    sys.exit(main())
