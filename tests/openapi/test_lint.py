#!/usr/bin/env python3
"""An independent validator and linter accepts the API description without a warning.

usage: test_lint.py openapi.json
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import modules  # noqa: E402


def main():
    folder = modules.npm()
    result = subprocess.run(["node_modules/.bin/redocly", "lint", "--extends=recommended-strict", "--max-problems=50", str(pathlib.Path(sys.argv[1]).resolve())],
                            cwd=folder, env=modules.environment(), capture_output=True, text=True, timeout=120)
    said = result.stdout + result.stderr
    if result.returncode or "description is valid" not in said or "warning" in said.replace("Deprecation warning", ""):
        print(said)
        return 1
    print("redocly: valid, no warnings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
