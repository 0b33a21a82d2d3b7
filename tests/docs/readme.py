#!/usr/bin/env python3
"""Runs every shell block of README.md, in order, as a newcomer would.

In a copy of the working tree as git has it, on a port and data directory of its own. The one block
that is not run here is ./test.sh, because it is what runs this test.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main():
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-readme-"))
    checkout = folder / "checkout"
    files = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                           capture_output=True).stdout.decode().split("\0")
    for name in filter(None, files):
        if (ROOT / name).exists():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    port = free_port()
    environment = dict(os.environ, PORT=str(port), DATA=str(folder / "data"), LAKE=str(folder / "lake"),
                       U=f"http://127.0.0.1:{port}", CCACHE_BASEDIR=str(checkout))
    for stale in ("/tmp/shop.json", "/tmp/shop.db"):
        pathlib.Path(stale).unlink(missing_ok=True)
    failed, ran = 0, 0
    try:
        for block in blocks:
            if block.strip() == "./test.sh":
                continue
            ran += 1
            result = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=checkout, env=environment,
                                    capture_output=True, text=True, timeout=600)
            if result.returncode:
                failed += 1
                print(f"FAILED ({result.returncode}):\n{block}\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
                break
            if block.strip() == "./quickstart.sh":
                # The promise: run again, it works again, and only what changed moves.
                again = subprocess.run(["./quickstart.sh"], cwd=checkout, env=environment, text=True,
                                       capture_output=True, timeout=600)
                assert again.returncode == 0, again.stdout + again.stderr
                import json
                import urllib.request
                runs = json.load(urllib.request.urlopen(
                    f"{environment['U']}/v1/connections/shop-to-warehouse/runs"))["items"]
                first, second = runs[-1]["stats"], runs[0]["stats"]
                assert first["records_committed"] > 5000, first
                assert 0 < second["records_committed"] < first["records_committed"] / 10, second
    finally:
        subprocess.run(["./quickstart.sh", "stop"], cwd=checkout, env=environment)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{ran} blocks of README.md ran")
    return 1 if failed or ran < 5 else 0


if __name__ == "__main__":
    sys.exit(main())
