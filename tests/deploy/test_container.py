#!/usr/bin/env python3
"""The image: built from docker/Dockerfile without a daemon and without a registry, looked through,
and run the way it is meant to run: read-only, without capabilities, as nobody.
"""
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import base  # noqa: E402
from modules import FOLDER, ROOT, skip  # noqa: E402
from service import Client, free_port, wait_until  # noqa: E402

MAX_BYTES = 35_000_000
UID = 65532
IMAGE = "localhost/connectord"
# What works on a machine without systemd and with a hard limit on descriptors.
RUN = ["--runtime", "runc", "run", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "--no-healthcheck",
       "--network", "host", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--memory", "256m",
       "--pids-limit", "100", "--tmpfs", "/tmp"]
# The whole of the image besides libraries, licences and time zones.
FILES = {"bin", "lib", "lib64", "data", "tmp", "usr/bin/connectord", "etc/passwd", "etc/group", "etc/nsswitch.conf",
         "etc/ssl/certs/ca-certificates.crt", "usr/share/sbom.spdx.json"}
FOLDERS = ("usr/lib/", "usr/lib64/", "usr/share/doc/", "usr/share/zoneinfo/")


class Tools:
    """buildah and podman with images and containers in a folder of their own."""

    def __init__(self, folder):
        self.runroot = tempfile.mkdtemp(prefix="cd-")  # podman refuses one of more than 50 characters
        self.places = ["--root", str(folder / "storage"), "--runroot", self.runroot, "--storage-driver", "vfs"]

    def __call__(self, tool, *arguments, check=True):
        result = subprocess.run([tool, *self.places, *map(str, arguments)], capture_output=True, text=True)
        if check and result.returncode:
            raise AssertionError(f"{tool} {' '.join(map(str, arguments))}: {(result.stdout + result.stderr)[-6000:]}")
        return result.stdout.strip()


def copy_of_sources(folder):
    files = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, files.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def look_through(root):
    """Nothing but what the service needs."""
    size = 0
    for path in root.rglob("*"):
        name, info = str(path.relative_to(root)), path.lstat()
        size += info.st_size if stat.S_ISREG(info.st_mode) else 0
        assert not info.st_mode & (stat.S_ISUID | stat.S_ISGID), f"{name} is setuid"
        assert info.st_uid == 0 or name == "data", f"{name} belongs to {info.st_uid}"
        assert name in ("tmp",) or stat.S_ISLNK(info.st_mode) or not info.st_mode & 0o022, f"{name} can be written"
        if not path.is_dir() or path.is_symlink():
            assert name in FILES or name.startswith(FOLDERS), f"{name} has no business here"
        if name.startswith(("usr/lib/", "usr/lib64/")) and path.is_file():
            assert ".so" in path.name, f"{name} is no library"
    programs = [p for p in root.rglob("*") if p.is_file() and not p.is_symlink() and os.access(p, os.X_OK) and ".so" not in p.name]
    assert programs == [root / "usr/bin/connectord"], programs
    assert size <= MAX_BYTES, f"the image has {size} bytes"
    packages = {p["name"]: p["versionInfo"] for p in json.loads((root / "usr/share/sbom.spdx.json").read_text())["packages"]}
    assert packages.keys() >= {"libc6", "libmicrohttpd12", "libcurl4", "libpq5", "ca-certificates"} and all(packages.values())
    for name in packages:
        assert (root / "usr/share/doc" / name / "copyright").is_file(), f"no licence of {name}"
    return size


@contextlib.contextmanager
def running(tools, data, port):
    name = f"connectord-{port}"
    tools("podman", *RUN, "-d", "--name", name, "-v", f"{data}:/data", "-v", f"{data.parent / 'out'}:/srv", IMAGE, "serve", "--listen", f"127.0.0.1:{port}")
    try:
        yield name
    finally:
        tools("podman", "rm", "-f", name, check=False)


def answers(client):
    with contextlib.suppress(OSError):
        return client.get("/readyz").status == 200
    return False


def smoke(tools, work):
    data, port = work / "data", free_port()
    for folder in (data, work / "out"):
        folder.mkdir()
        os.chown(folder, UID, UID)
    client = Client(port)
    with running(tools, data, port) as name:
        wait_until("the service in the container", lambda: answers(client))
        tools("podman", "--runtime", "runc", "exec", name, "/usr/bin/connectord", "health", "--listen", f"127.0.0.1:{port}")
        for shell in ("/bin/sh", "/bin/bash"):
            assert "no such file" in subprocess.run(["podman", *tools.places, "--runtime", "runc", "exec", name, shell],
                                                    capture_output=True, text=True).stderr.lower()
        for path, body in (("sources/shop", {"connector": "sample", "config": {"rows": 500}}),
                           ("destinations/lake", {"connector": "sqlite", "config": {"path": "/srv/lake.db"}}),
                           ("connections/shop-to-lake", {"source": "shop", "destination": "lake"})):
            assert client.put(f"/v1/{path}", body).status == 201
        run = client.post("/v1/connections/shop-to-lake/runs?wait=50").json()
        assert run["status"] == "succeeded", run
        # Nothing but the volumes can be written.
        client.put("/v1/destinations/elsewhere", {"connector": "sqlite", "config": {"path": "/usr/lake.db"}})
        assert client.post("/v1/destinations/elsewhere/check").json()["status"] == "failed"
        tools("podman", "stop", "-t", "45", name)
        assert tools("podman", "inspect", name, "--format", "{{.State.ExitCode}}") == "0"
    with contextlib.closing(sqlite3.connect(work / "out/lake.db")) as db:
        assert db.execute("select count(*) from users").fetchone() == (500,)
    assert (work / "out/lake.db").stat().st_uid == UID


def main():
    if os.geteuid() != 0:
        skip("building an image without a daemon needs root")
    for tool in ("buildah", "podman", "debootstrap", "runc"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        skip("this machine gives no namespaces")
    archive = base.archive()
    work = pathlib.Path(tempfile.mkdtemp(prefix="connectord-image-", dir=FOLDER))
    tools = Tools(work)
    try:
        tools("podman", "import", archive, "localhost/base")
        copy_of_sources(work / "sources")
        tools("buildah", "bud", "--isolation", "chroot", "--pull=never", "--format", "docker", "--build-arg", "BASE=localhost/base",
              "-t", IMAGE, "-f", "docker/Dockerfile", work / "sources")
        config = json.loads(tools("podman", "inspect", IMAGE))[0]
        assert config["User"] == f"{UID}:{UID}" and config["Config"]["StopSignal"] == "SIGTERM", config
        container = tools("buildah", "from", "--pull=never", IMAGE)
        size = look_through(pathlib.Path(tools("buildah", "mount", container)))
        tools("buildah", "rm", container)
        smoke(tools, work)
        print(f"the image has {size / 1e6:.1f} MB, and runs")
    finally:
        tools("buildah", "rm", "--all", check=False)
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(tools.runroot, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
