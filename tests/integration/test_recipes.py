#!/usr/bin/env python3
"""The curl lines that the documentation promises, and what their exit codes say."""
import shutil
import subprocess
import unittest

import service
from service import ServiceTest

ONE_LINE = '''set -o pipefail
curl -fsSN -X POST "$U/v1/connections/$C/runs?follow=true" |
  tee run.ndjson | tail -n1 | jq -e '.status=="succeeded"' >/dev/null'''
THREE_LINES = '''set -e
id=$(curl -fsS -X POST "$U/v1/connections/$C/runs?format=id")
curl -fsSN "$U/v1/runs/$id/logs?follow=true&format=text" >log.txt
curl -fsS -o /dev/null "$U/v1/runs/$id/outcome"'''
NO_OPEN_CONNECTION = '''set -e
id=$(curl -fsS -X POST "$U/v1/connections/$C/runs?format=id")
curl -fs --retry 999 --retry-max-time 3600 "$U/v1/runs/$id/outcome?pending=408&wait=1" >/dev/null'''
BY_LATEST = '''set -e
curl -fsS -X POST "$U/v1/connections/$C/runs?wait=55" >/dev/null
curl -fsS -o /dev/null "$U/v1/connections/$C/runs/latest/outcome"'''
# curl -d sends a form unless told otherwise; what looks like JSON is taken for it.
WITHOUT_A_TYPE = '''set -e
curl -fsS -X PUT "$U/v1/sources/by-curl" -d '{"connector": "sample", "config": {"rows": 3}}' >/dev/null
curl -fsS "$U/v1/sources/by-curl" | jq -e '.config.rows == 3' >/dev/null'''


@unittest.skipUnless(shutil.which("curl") and shutil.which("jq"), "needs curl and jq")
class Recipes(ServiceTest):
    def shell(self, script):
        done = subprocess.run(["bash", "-c", script], cwd=self.work, capture_output=True, text=True, timeout=service.PATIENCE_S,
                              env={"PATH": "/usr/bin:/bin", "U": f"http://127.0.0.1:{self.service.port}", "C": self.name})
        self.assertNotIn("parse error", done.stderr)
        return done.returncode

    def failing(self):
        self.source("sqlite", path=str(self.work / "none.db"))
        self.destination("sqlite")
        self.connection(run_policy={"max_attempts": 1})

    def test_one_line(self):
        self.pair(rows=5)
        self.assertEqual(self.shell(ONE_LINE), 0)

    def test_one_line_of_a_failure(self):
        self.failing()
        self.assertEqual(self.shell(ONE_LINE), 1)

    def test_three_lines(self):
        self.pair(rows=5)
        self.assertEqual(self.shell(THREE_LINES), 0)

    def test_three_lines_of_a_failure(self):
        self.failing()
        self.assertEqual(self.shell(THREE_LINES), 22)

    def test_no_open_connection(self):
        self.pair(rows=3000, config={"batch_rows": 200, "batch_delay_ms": 200})
        self.assertEqual(self.shell(NO_OPEN_CONNECTION), 0)

    def test_no_open_connection_of_a_failure(self):
        self.failing()
        self.assertEqual(self.shell(NO_OPEN_CONNECTION), 22)

    def test_by_latest(self):
        self.pair(rows=5)
        self.assertEqual(self.shell(BY_LATEST), 0)

    def test_without_a_content_type(self):
        self.assertEqual(self.shell(WITHOUT_A_TYPE), 0)


if __name__ == "__main__":
    service.main()
