"""Taps that others wrote, from the Python package index, into our destinations: discovered, cut off, gone on with. Where the
index cannot be reached these tests are skipped, and say so."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from database_case import Postgres, Sqlite, main
from service import BINARY, PATIENCE_S

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import modules  # noqa: E402

ROWS = 25000
COLUMNS = "id, name, price, at, ok"


class Real:
    """One tap of a PostgreSQL table."""
    package = stream = None
    cursor = "at"
    namespace = "public"

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-real-"))
        self.addCleanup(shutil.rmtree, self.folder)
        try:
            python = modules.python(self.package, self.package)
        except modules.Skip as why:
            self.skipTest(why.reason)
        program = {"name": "tap", "path": str(python.with_name("tap-postgres"))}
        self.settings = self.folder / "settings.json"
        self.settings.write_text(json.dumps({"exec": {"enabled": True, "programs": [program]}}))
        self.source, self.target = Postgres("real"), self.destination("real")
        self.addCleanup(self.source.drop)
        self.addCleanup(self.target.drop)
        self.source.execute("create table orders (id int primary key, name text, price numeric(20,2), at timestamptz not null, "
                            "ok boolean)")
        self.insert(1, ROWS)

    def insert(self, first, last):
        self.source.execute(f"insert into orders select i, case when i % 7 > 0 then 'o''rder \\ é ' || i end, i / 100.0, "
                            f"timestamptz '2024-01-01 00:00:00+00' + i * interval '1 minute', i % 2 = 0 "
                            f"from generate_series({first}, {last}) i")

    def start(self):
        c = self.source.config()
        config = {"host": c["host"], "port": c["port"], "user": c["username"], "password": c["password"], **self.more(c["database"])}
        file = self.folder / "sync.json"
        file.write_text(json.dumps({
            "name": "real", "source": {"connector": "singer", "config": {"program": "tap", "config": config}},
            "destination": {"connector": self.target.connector, "config": self.target.config()},
            "streams": [{"name": self.stream, "namespace": self.namespace, "sync_mode": "incremental", "alias": "orders",
                         "destination_sync_mode": "append_dedup", "cursor_field": [self.cursor]}],
            "settings": {"commit": {"max_rows": 1000}, "namespace": {"mode": "destination"}}}))
        return subprocess.Popen([BINARY, "sync", file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "CONNECTORD_CONFIG": str(self.settings)})

    def run_whole(self):
        out = (run := self.start()).communicate(timeout=3 * PATIENCE_S)[0]
        self.assertEqual(run.returncode, 0, out[-3000:])
        return json.loads(out.splitlines()[-1])["stats"]

    def alike(self):
        wanted = self.source.execute("select count(*), sum(id), count(name), sum(price), count(*) filter (where ok), max(at) from orders")
        truth = "filter (where ok)" if self.target.connector == "postgres" else "filter (where ok = 1)"
        found = self.target.execute(f"select count(*), sum(id), count(name), sum(price), count(*) {truth}, max(at) from orders")
        self.assertEqual([round(100 * float(v)) for v in wanted[0][:5]], [round(100 * float(v)) for v in found[0][:5]])
        self.assertEqual(str(wanted[0][5])[:16].replace("T", " "), str(found[0][5])[:16].replace("T", " "))

    def test_it_is_cut_off_and_goes_on(self):
        run = self.start()
        for line in run.stdout:
            if '"type":"state"' in line:
                break
        run.kill()
        run.communicate()
        stats = self.run_whole()
        self.alike()
        self.insert(ROWS + 1, ROWS + 500)
        stats = self.run_whole()
        self.assertLess(stats["records_read"], 1000, "it began anew")
        self.alike()


class Pipelinewise(Real, unittest.TestCase):
    package, stream, destination = "pipelinewise-tap-postgres", "orders", Postgres

    def more(self, database):
        return {"dbname": database, "filter_schemas": "public"}


class Meltano(Real, unittest.TestCase):
    package, stream, destination = "meltanolabs-tap-postgres", "public-orders", Sqlite

    def more(self, database):
        return {"database": database, "filter_schemas": ["public"]}


if __name__ == "__main__":
    main()
