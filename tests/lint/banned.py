#!/usr/bin/env python3
"""Calls that product code never makes, each with the reason or the replacement.

A line may be excused by a comment `lint: allow NAME (reason)` on the same line.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# P4 is one of them: calls of libpq that are never made.
BANNED = {
    r"\b(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|gets|strtok)\s*\(": "use struct buf, arena_printf or snprintf",
    r"\b(atoi|atol|atoll|atof|strtol|strtoul|strtoll|strtoull)\s*\(": "use connectors/base/text.h",
    r"\bscanf\s*\(|\bfscanf\s*\(|\bsscanf\s*\(": "use connectors/base/text.h",
    r"\b(localtime|gmtime|ctime|asctime)\s*\(": "use connectors/base/clock.h",
    r"\b(rand|srand|random)\s*\(": "use hash_random",
    r"\b(system|popen|fork|vfork|dlopen)\s*\(": "M3: this process starts no others and loads nothing",
    r"\b(tmpnam|mktemp|tempnam)\s*\(": "races",
    r"\b(alloca)\s*\(": "unbounded stack",
    r"\bstrerror\s*\(": "not thread-safe; use error_set_errno",
    r"\b__builtin_unreachable\s*\(": "an impossible branch calls abort()",
    r"\bgoto\b": "release by scope",
    r"\bMHD_create_post_processor\b|\bMHD_digest_|\bMHD_basic_": "history of advisories",
    r"\b(PQescapeString|PQfn|lo_\w+|PQtrace|PQprint|PQconnectdb|PQsetdbLogin)\s*\(": "P4: keywords as arrays, parameters as parameters",
    r"\bregcomp\s*\(": "J6: callers' patterns run in connectors/rest/pattern.h",
    r"\bCURLOPT_(REDIR_)?PROTOCOLS\b": "the _STR form, which knows all schemes",
    r"\bNEEDSWORK\b|\bTODO\b|\bFIXME\b|\bXXX\b": "finish it or file an issue",
}
# Allowed only below these prefixes.
ONLY = {
    r"(?<![_a-z])(malloc|calloc|realloc|strdup|strndup)\s*\(": (("connectors/base/", "server/ceiling.c"), "use xalloc or an arena"),
    r"(?<!\w)(socket|connect)\s*\(": (("connectors/base/egress.c", "connectors/http/request.c", "connectors/sql/postgres.c", "server/cli_health.c",
                                          "server/http/server.c", "server/notify.c"),
                                        "E1: outbound sockets pass connectors/base/egress.h"),
    r"\bgetenv\s*\(": (("server/config.c", "server/notify.c", "connectors/base/failpoint.c"), "settings come from server/config.h"),
    r"\bpthread_create\s*\(": (("server/sync/", "server/http/", "server/main.c"), "threads are started in few places"),
    r"\bstrtod\s*\(|\bstrtof\s*\(": (("connectors/base/text.c", "connectors/data/value"), "use text_to_double"),
}


def stripped(text):
    """The source without comments and string literals, lines kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: "\n" * m.group(0).count("\n"), text)


def check(path):
    text = (ROOT / path).read_text()
    excused = {n for n, line in enumerate(text.splitlines(), 1) if "lint: allow" in line}
    for number, line in enumerate(stripped(text).splitlines(), 1):
        if number in excused:
            continue
        for pattern, why in BANNED.items():
            if re.search(pattern, line):
                yield f"{path}:{number}: {line.strip()}: {why}"
        for pattern, (prefixes, why) in ONLY.items():
            if re.search(pattern, line) and not path.startswith(prefixes):
                yield f"{path}:{number}: {line.strip()}: {why}"


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()
    product = [f for f in files if not f.startswith("tests/")]
    problems = [p for f in product for p in check(f)]
    for f in product:  # comments count for words that promise later work
        for number, line in enumerate((ROOT / f).read_text().splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                problems.append(f"{f}:{number}: {line.strip()}: finish it or file an issue")
    print("\n".join(problems) or f"{len(product)} files make no banned call")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
