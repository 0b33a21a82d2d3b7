"""The programs of others that judge the API description, at exact versions: from the npm registry
into a folder of the build tree, from the Python package index into an environment beside it.

Both are fetched once and kept. Where a registry cannot be reached the test is skipped and says so.
"""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "modules"
SKIPPED = 77
PATIENCE_S = 240
UNREACHABLE = "ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|E50[234]|NewConnectionError|name resolution|timed out|ProxyError"


class Skip(SystemExit):
    """Ends the program as skipped, unless a test case knows better."""

    def __init__(self, reason):
        super().__init__(SKIPPED)
        self.reason = reason


def skip(reason):
    print(f"skipped: {reason}", flush=True)
    raise Skip(reason)


def fetched(folder, mark, fetch):
    """`fetch(folder)` has succeeded for the text `mark`, now or in an earlier test."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / f"{folder.name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "complete"
        if not done.exists() or done.read_text() != mark:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fetch(folder)
            done.write_text(mark)
    return folder


def call(what, arguments, folder):
    try:
        result = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as e:
        skip(f"{what}: {e}")
    said = result.stdout + result.stderr
    if result.returncode and re.search(UNREACHABLE, said, re.I):
        skip(f"{what}: {said.strip()[-400:]}")
    if result.returncode:
        raise SystemExit(f"{what}: {said}")


def npm():
    """The folder whose node_modules has what package.json names."""
    wanted = (ROOT / "tests/openapi/package.json").read_text()

    def fetch(folder):
        (folder / "package.json").write_text(wanted)
        call("npm packages cannot be had", ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], folder)

    return fetched(FOLDER / "npm", wanted, fetch)


def python(name, *packages):
    """The interpreter of an environment of this name, with these packages."""
    def fetch(folder):
        venv.create(folder / "venv", with_pip=True)
        call("Python packages cannot be had", [folder / "venv/bin/python", "-m", "pip", "install", "-q", *packages], folder)

    return fetched(FOLDER / name, " ".join(packages), fetch) / "venv/bin/python"


def environment(**more):
    """Quiet and alone: no colours, no reports home, no settings of the service under test."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CONNECTORD_")}
    return {**env, "NO_COLOR": "1", "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", **more}
