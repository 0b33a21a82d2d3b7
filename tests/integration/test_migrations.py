#!/usr/bin/env python3
"""Stores of every earlier version are opened, migrated and used; a migration that is cut off begins again."""
import gzip
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import service
from service import BINARY, PATIENCE_S, Service, free_port

IMAGES = pathlib.Path(__file__).resolve().parents[1] / "images"


def image(version):
    return IMAGES / f"store-v{version}.db.gz"


class Migrations(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-migrate-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_it(self, *words):
        return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def lay(self, version, name):
        """A folder whose data directory holds that image."""
        folder = self.folder / f"{name}{version}"
        (folder / "data").mkdir(parents=True)
        (folder / "data/connectord.db").write_bytes(gzip.decompress(image(version).read_bytes()))
        return folder

    def newest(self):
        folder = self.folder / "fresh"
        folder.mkdir()
        s = Service(folder).start()
        metrics = s.get("/metrics").text
        s.stop()
        return int(re.search(r"^connectord_store_schema_version (\d+)$", metrics, re.M)[1])

    def test_every_earlier_version(self):
        newest = self.newest()
        self.assertGreater(newest, 1)
        for version in range(1, newest):
            with self.subTest(version=version):
                self.assertTrue(image(version).exists(), f"a step was added without an image of version {version}")
                self.opened_and_used(version)

    def opened_and_used(self, version):
        folder = self.lay(version, "open")
        s = Service(folder).start()
        try:
            self.assertEqual({x["name"] for x in s.get("/v1/sources").json()["items"]}, {"shop", "slow"})
            shop = s.get("/v1/sources/shop").json()
            self.assertEqual((shop["config"]["seed"], shop["labels"], shop["display_name"]), (7, {"team": "a"}, "The shop"))
            connections = {c["name"]: c for c in s.get("/v1/connections").json()["items"]}
            self.assertEqual({n: c["paused"] for n, c in connections.items()}, {"shop-to-lake": False, "paused": True, "slow": False})
            first = s.get("/v1/connections/shop-to-lake/runs/latest").json()
            self.assertEqual((first["status"], first["stats"]["records_committed"]), ("succeeded", 410))
            lost = s.get("/v1/connections/slow/runs/latest").json()
            self.assertEqual((lost["status"], lost["error"]["code"]), ("failed", "worker_lost"))
            again = s.post("/v1/connections/shop-to-lake/runs?wait=30", idempotency_key="first")
            # Its fingerprint was taken without the key ring, so it is not replayed; but never a second run.
            self.assertEqual((again.status, again.code), (422, "idempotency_key_reused"))
            self.assertEqual(s.get("/v1/sources/shop/catalog").status, 200)
            if version >= 2:
                self.assertTrue(s.get("/v1/connectors/source/my-api").json()["custom"])
            moved = {"connector": "sqlite", "config": {"path": str(folder / "lake.db")}}
            self.assertEqual(s.put("/v1/destinations/lake", moved).status, 200)
            run = s.post("/v1/connections/shop-to-lake/runs?wait=30").json()
            self.assertEqual((run["status"], run["stats"]["records_committed"]), ("succeeded", 410), run)
        finally:
            s.stop()
        kept = folder / f"data/connectord.db.version-{version}"
        done = self.run_it("restore", "--verify", kept)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f": schema {version}, ", done.stdout)
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        # The second start has nothing to migrate.
        kept.unlink()
        Service(folder).start().stop()
        self.assertFalse(kept.exists())

    def test_a_backup_of_an_old_store_is_an_old_store(self):
        folder = self.lay(1, "old")
        done = self.run_it("backup", folder / "copy.db", "--data", folder / "data")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("schema 1, ", done.stdout)
        (folder / "new").mkdir()
        self.assertEqual(self.run_it("restore", folder / "copy.db", "--data", folder / "new/data").returncode, 0)
        s = Service(folder / "new").start()
        self.assertEqual(len(s.get("/v1/connections").json()["items"]), 3)
        s.stop()

    def test_killed_at_any_moment_of_it(self):
        folder = self.lay(1, "kill")
        for turn in range(12):
            process = subprocess.Popen([BINARY, "serve", "--listen", f"127.0.0.1:{free_port()}", "--data", str(folder / "data")],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.002 * turn)
            process.kill()
            process.wait()
        s = Service(folder).start()
        self.assertEqual(len(s.get("/v1/connections").json()["items"]), 3)
        s.stop()


if __name__ == "__main__":
    service.main()
