"""A root file system of Debian 12 as debootstrap makes it, kept as an archive in the build tree: what
images are built on, and what the package is installed into, where no registry of images is needed.
What building needs is in it, so that it is fetched once for both.
"""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from modules import FOLDER, fetched, skip  # noqa: E402

PACKAGES = pathlib.Path(__file__).resolve().parents[1] / "support/packages.sh"


def mirror():
    """Where this machine has its own packages of Debian 12 from."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Codename: bookworm", "Component: main"]
    sites = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    return sites[0] if sites else skip("apt knows no mirror of bookworm")


def archive():
    words = subprocess.run(["sh", "-c", f". {PACKAGES}; echo $BUILD_PACKAGES"], check=True, capture_output=True, text=True)
    included = ",".join(["ca-certificates", "tzdata", "binutils", *words.stdout.split()])

    def fetch(folder):
        root = folder / "root"
        root.mkdir(mode=0o755)
        # It can be made anew: nothing has to reach the disk before it goes on.
        (root / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
        (root / "etc/dpkg/dpkg.cfg.d/unsafe").write_text("force-unsafe-io\n")
        made = subprocess.run(["debootstrap", "--variant=minbase", f"--include={included}", "bookworm", root, mirror()],
                              capture_output=True, text=True)
        if made.returncode:
            skip(f"debootstrap made no base: {(made.stdout + made.stderr)[-400:]}")
        for waste in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / waste)
            (root / waste).mkdir()
        subprocess.run(["tar", "-C", root, "-cf", folder / "base.tar", "."], check=True)
        shutil.rmtree(root)

    return fetched(FOLDER / "base", f"bookworm {included} with licences", fetch) / "base.tar"
