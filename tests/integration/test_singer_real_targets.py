"""Singer targets that no one here wrote, from the Python package index, fed by our sources: interrupted, run
again, complete. Skipped, with a message, where the index cannot be reached in time."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from database_case import Postgres, ServiceTest, main

import databases

# Kept between runs, beside the binary. One environment each: what they need differs.
ENVIRONMENTS = pathlib.Path(os.environ.get("CONNECTORD_VENVS") or pathlib.Path(os.environ["CONNECTORD_BIN"]).parent / "venvs")
TARGETS = {"target-jsonl": "target-jsonl==0.1.4", "target-postgres": "meltanolabs-target-postgres==0.8.1"}
INSTALL_S = 120
ROWS = 2000


def installed(name, requirement):
    """The path of the program, or why there is none."""
    folder = ENVIRONMENTS / name
    program, mark = folder / "bin" / name, folder / "complete"
    if mark.exists():
        return program, None
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, capture_output=True, timeout=INSTALL_S)
        subprocess.run([folder / "bin/pip", "install", "--quiet", "--retries", "0", requirement], check=True,
                       capture_output=True, timeout=INSTALL_S)
    except (OSError, subprocess.SubprocessError) as why:
        return program, f"{requirement} cannot be installed: {str(why)[:200]}"
    mark.touch()
    return program, None


class RealTargets(ServiceTest):
    @classmethod
    def setUpClass(cls):
        found = {name: installed(name, requirement) for name, requirement in TARGETS.items()}
        cls.missing = {name: why for name, (_, why) in found.items() if why}
        programs = [{"name": name, "path": str(path)} for name, (path, why) in found.items() if not why]
        settings = pathlib.Path(tempfile.mkstemp(prefix="connectord-exec-")[1])
        settings.write_text(json.dumps({"exec": {"enabled": True, "programs": programs}}))
        cls.addClassCleanup(settings.unlink)
        cls.arguments = ("--config", str(settings))
        super().setUpClass()

    def feed(self, program, config):
        """A run that is cancelled somewhere, and one that is not."""
        if program in self.missing:
            self.skipTest(self.missing[program])
        self.source("sample", rows=ROWS)
        self.destination("singer", program=program, config=config)
        self.connection(streams=[{"name": "users", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}])
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        self.service.post(f"/v1/runs/{run['id']}/cancel")
        self.finished(run)
        run = self.finished(self.ok(self.service.post(f"/v1/connections/{self.name}/runs?wait=55"), 201))
        self.assertEqual(run["status"], "succeeded", run["error"])

    def test_jsonl(self):
        self.feed("target-jsonl", {"destination_path": str(self.work)})
        ids = {json.loads(line)["id"] for path in self.work.glob("users*.jsonl") for line in path.read_text().splitlines()}
        self.assertEqual(ids, set(range(1, ROWS + 1)))

    def test_postgres(self):
        into = Postgres(self.name.replace("-", "_"))
        self.addCleanup(into.drop)
        c = into.config()
        self.feed("target-postgres", {"host": c["host"], "port": c["port"], "user": c["username"], "password": c["password"],
                                      "database": c["database"], "default_target_schema": "public", "ssl_enable": False})
        cursor = databases.postgres(c["database"]).cursor()
        cursor.execute("select count(*), count(distinct id), min(name) is not null from users")
        self.assertEqual(cursor.fetchone(), (ROWS, ROWS, True))


if __name__ == "__main__":
    main()
