#!/usr/bin/env python3
"""Dies at every step of what an operator does with a store (a migration, a copy, new keys), does it again, and
finds everything there."""
import contextlib
import gzip
import pathlib
import shutil
import subprocess
import sys
import tempfile

import crash
from service import BINARY, PATIENCE_S, Service, free_port

IMAGE = crash.ROOT / "tests" / "images" / "store-v1.db.gz"
SECRET = "a password of somebody"


def command(plan, *words):
    """The exit status of the program; of one that was killed, a negative number."""
    environment = {"CONNECTORD_FAILPOINT": plan} if plan else {}
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                          env={"PATH": "/usr/bin:/bin", **environment})
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def serving(folder):
    service = Service(folder).start()
    yield service
    service.stop()


def connections(folder):
    with serving(folder) as service:
        return len(service.get("/v1/connections").json()["items"])


def migrate(folder, point):
    (folder / "data").mkdir()
    (folder / "data/connectord.db").write_bytes(gzip.decompress(IMAGE.read_bytes()))
    died, said = command(f"{point}:1:kill", "serve", "--listen", f"127.0.0.1:{free_port()}", "--data", folder / "data")
    assert died < 0, said
    return connections(folder), 3


def filled(folder):
    with serving(folder) as service:
        service.put("/v1/sources/theirs", {"connector": "postgres", "config": {
            "host": "db.example.com", "database": "shop", "username": "reader", "password": SECRET}})
        service.put("/v1/destinations/ours", {"connector": "sqlite", "config": {"path": str(folder / "out.db")}})
        service.put("/v1/connections/both", {"source": "theirs", "destination": "ours"})


def back_up(folder, point):
    filled(folder)
    copy, data = folder / "copy.db", ("--data", folder / "data")
    died, _ = command(f"{point}:1:kill", "backup", copy, *data)
    assert died < 0 and not copy.exists(), "a copy has its name only when it is whole"
    status, said = command(None, "backup", copy, *data)
    assert status == 0, said
    return command(None, "restore", copy, "--verify")[0], 0


def rotate(folder, point):
    filled(folder)
    data = ("--data", folder / "data")
    died, said = command(f"{point}:1:kill", "keys", "rotate", *data)
    assert died < 0, said
    secret = connections(folder)  # opens every secret that is sealed
    status, said = command(None, "keys", "rotate", *data)
    assert status == 0, said
    raw = b"".join(p.read_bytes() for p in (folder / "data").glob("connectord.db*"))
    assert SECRET.encode() not in raw
    return (secret, connections(folder)), (1, 1)


STEPS = {"migration_commit": migrate, "backup_rename": back_up, "rotate_added": rotate, "rotate_sealed": rotate}
assert set(STEPS) == crash.UPKEEP


def main():
    failed = 0
    for point, step in STEPS.items():
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"connectord-crash-{point}-"))
        try:
            found, expected = step(folder, point)
            assert found == expected, f"{found}, not {expected}"
            print(f"{point}: as it should be")
        except AssertionError as wrong:
            failed += 1
            print(f"FAILED {point}: {wrong}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(STEPS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
