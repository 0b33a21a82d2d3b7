#!/usr/bin/env python3
"""schemathesis against the live service, with all its checks: whatever the description allows and
forbids is tried, and the service does as it says.

usage: test_fuzz.py openapi.json
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

for helpers in ("integration", "support"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / helpers))
import modules  # noqa: E402
import service  # noqa: E402

TOKEN = "what-is-tried-is-tried-with-this-token"


def main():
    python = modules.python("schemathesis", "schemathesis==4.32.5")
    service.BINARY = os.environ.get("CONNECTORD_RELEASE") or service.BINARY
    work = pathlib.Path(tempfile.mkdtemp(prefix="connectord-fuzz-"))
    (work / "token").write_text(TOKEN)
    (work / "token").chmod(0o600)
    ours = service.Service(work, "--bootstrap-token-file", str(work / "token")).start()
    try:
        # One worker: Python 3.11 counts the depth of a syntax tree once for all threads, and fails when
        # two of them compile at the same time.
        done = subprocess.run(
            [python, "-m", "schemathesis.cli", "--config-file", pathlib.Path(__file__).parent / "schemathesis.toml",
             "run", pathlib.Path(sys.argv[1]).resolve(), "--url", f"http://127.0.0.1:{ours.port}", "--checks", "all",
             "--phases", "examples,coverage,fuzzing,stateful", "--workers", "1", "--seed", "1",
             "--generation-database", "none", "--header", f"Authorization: Bearer {TOKEN}", "--continue-on-failure",
             "--request-timeout", "70", "--no-color", "--warnings", "off"],
            cwd=work, env=modules.environment(), capture_output=True, text=True, timeout=800)
        ours.stop()
        print(done.stdout[-20000:] + done.stderr[-2000:])
        return done.returncode
    finally:
        if ours.alive():
            ours.kill()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
