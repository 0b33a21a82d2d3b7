#!/usr/bin/env python3
"""The Debian package: made by cpack from the release build, without an error of lintian, installed
into a Debian of its own, started there by the very words of its unit, and removed again.
"""
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

for helpers in ("support", "integration"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / helpers))
import base  # noqa: E402
from modules import FOLDER, ROOT, skip  # noqa: E402
from service import Client, free_port, wait_until  # noqa: E402

NOBODY = "65534"
CHROOT = "/usr/sbin/chroot"


def call(*arguments, **more):
    result = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, **more)
    if result.returncode:
        raise AssertionError(f"{arguments}: {result.returncode}: {(result.stdout + result.stderr)[-4000:]}")
    return result.stdout


def inside(root, *arguments):
    return call(CHROOT, root, "env", "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *arguments)


def started(root):
    """As the unit starts it: its ExecStart, with the directory that systemd would have made."""
    unit = (root / "lib/systemd/system/connectord.service").read_text()
    words = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.M).group(1))
    state = root / "var/lib/connectord"
    state.mkdir(mode=0o700)
    os.chown(state, int(NOBODY), int(NOBODY))
    port = free_port()
    process = subprocess.Popen([CHROOT, f"--userspec={NOBODY}:{NOBODY}", root, *words, "--listen", f"127.0.0.1:{port}"],
                               env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL)
    client = Client(port)

    def answers():
        assert process.poll() is None, f"the service ended with {process.returncode}"
        try:
            return client.get("/readyz").status == 200
        except OSError:
            return False

    try:
        wait_until("the service of the package", answers)
        inside(root, "connectord", "health", "--listen", f"127.0.0.1:{port}")
        assert client.get("/v1/info").json()["name"] == "connectord"
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    assert status == 0, status
    assert (state / "connectord.db").exists()


def main():
    build = pathlib.Path(os.environ.get("CONNECTORD_RELEASE", ROOT / "build/release/connectord")).parent
    if os.geteuid() != 0:
        skip("installing a package needs root")
    if not (build / "connectord").exists():
        skip(f"there is no release build in {build}")
    for tool in ("cpack", "lintian", "dpkg-deb", "debootstrap"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    archive = base.archive()
    work = pathlib.Path(tempfile.mkdtemp(prefix="connectord-package-", dir=FOLDER))
    try:
        call("cpack", "--config", build / "CPackConfig.cmake", "-B", work / "made")
        package = next((work / "made").glob("*.deb"))
        said = subprocess.run(["lintian", "--fail-on", "error,warning", package], capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr
        root = work / "root"
        root.mkdir()
        call("tar", "-C", root, "-xf", archive)
        shutil.copy(package, root / package.name)
        (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        inside(root, "dpkg", "-i", f"/{package.name}")  # fails when a dependency is missing
        assert inside(root, "connectord", "version").startswith("connectord ")
        assert "SYNOPSIS" in call("gzip", "-dc", root / "usr/share/man/man1/connectord.1.gz")
        started(root)
        inside(root, "dpkg", "--purge", "connectord")
        assert not (root / "usr/bin/connectord").exists() and not (root / "var/lib/connectord").exists()
        print(f"{package.name}: {package.stat().st_size / 1e3:.0f} kB, installed, started, purged")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
