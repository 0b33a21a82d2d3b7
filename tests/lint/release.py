#!/usr/bin/env python3
"""O3: what the release binary must be: hardened, and without a trace of the fail points.

CONNECTORD_RELEASE names it; without that the check is skipped, and says so.
"""
import os
import subprocess
import sys


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main():
    binary = os.environ.get("CONNECTORD_RELEASE")
    if not binary:
        print("skipped: CONNECTORD_RELEASE names no release binary")
        return 77
    header, dynamic = said("readelf", "-hW", binary), said("readelf", "-dW", binary)
    segments, symbols = said("readelf", "-lW", binary), said("readelf", "-sW", binary)
    with open(binary, "rb") as file:
        content = file.read()
    checks = {
        "is position independent": "DYN (Position-Independent Executable" in header,
        "binds at start": "BIND_NOW" in dynamic or "NOW" in dynamic,
        "has read-only relocations": "GNU_RELRO" in segments,
        "has no executable stack": "GNU_STACK" in segments and
                                   not any("RWE" in line for line in segments.splitlines() if "GNU_STACK" in line),
        "has no search path": "RPATH" not in dynamic and "RUNPATH" not in dynamic,
        "has stack canaries": "__stack_chk_fail" in symbols,
        "has fortified calls": "_chk@" in symbols.replace("__stack_chk_fail@", ""),
        "knows no fail point": b"CONNECTORD_FAILPOINT" not in content and " failpoint\n" not in symbols,
    }
    for what, holds in checks.items():
        print(f"{'ok    ' if holds else 'FAILED'} {what}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
