#!/usr/bin/env python3
"""The runbook names what there is: commands, settings, routes, metrics and codes."""
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    text = (ROOT / "docker/runbook.md").read_text()
    program = os.environ["CONNECTORD_BIN"]
    told = subprocess.run([program, "help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?: [A-Z|\[].*)?$", told, re.M)
    settings = {name.replace("-", "_") for name in re.findall(r"^  --([a-z-]+)", told, re.M)}
    table = (ROOT / "connectors/base/metric_table.h").read_text()
    contract = json.loads(pathlib.Path(sys.argv[1]).read_text())
    codes = contract["components"]["schemas"]["Problem"]["x-codes"]
    sources = "".join(p.read_text() for folder in ("server", "handlers", "connectors/base") for p in (ROOT / folder).rglob("*.c"))
    wrong = []

    def expect(kind, name, known):
        if not known:
            wrong.append(f"there is no {kind} {name}")

    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S):
        for words in re.findall(r"^connectord (.*)$", block, re.M):
            expect("command", words, any(words.startswith(c) for c in commands))
            for flag in re.findall(r"--([a-z-]+)", words):
                expect("setting", flag, flag.replace("-", "_") in settings | {"config", "verify"})
        for path in re.findall(r'"\$U(/[^?"]*)', block):
            pattern = re.sub(r"/\d+", "/{run}", path)
            expect("route", path, pattern in contract["paths"])
    for name in set(re.findall(r"`([^`\n]+)`", text)):
        if name.startswith("connectord_"):
            expect("metric", name, f'"{name}"' in table)
        elif name.startswith("/"):
            expect("route", name, name.split("?")[0] in contract["paths"])
        elif re.fullmatch(r"[a-z]+_[a-z_]+", name):
            expect("setting or code", name, name in settings or name in codes or f'"{name}"' in sources)
    print("\n".join(wrong) or "what the runbook names is there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
