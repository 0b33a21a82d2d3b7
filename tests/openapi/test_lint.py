#!/usr/bin/env python3
"""An independent validator and linter accepts the API description without a warning.

usage: test_lint.py openapi.json
"""
import subprocess
import sys

import modules


def main():
    folder = modules.npm()
    result = subprocess.run(["node_modules/.bin/redocly", "lint", "--extends=recommended-strict", "--max-problems=50", sys.argv[1]],
                            cwd=folder, env=modules.environment(), capture_output=True, text=True, timeout=120)
    said = result.stdout + result.stderr
    if result.returncode or "description is valid" not in said or "warning" in said.replace("Deprecation warning", ""):
        print(said)
        return 1
    print("redocly: valid, no warnings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
