#!/usr/bin/env python3
"""The SDK as an author meets it: installed into an empty folder, found by CMake and by pkg-config; the
projects that `connectord new` writes, and the examples, are built outside of the tree, tested, packaged,
and run as Singer programs."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["CONNECTORD_BUILD"])
os.environ["CONNECTORD_BIN"] = str(BUILD / "connectord")
for folder in ("support", "integration"):
    sys.path.insert(0, str(ROOT / "tests" / folder))
sys.dont_write_bytecode = True
import databases  # noqa: E402
from fake_api import FakeApi, Reply, reply  # noqa: E402
from service import Service  # noqa: E402

USERS = 250


def run(*words, code=0, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, timeout=600, **more)
    if done.returncode != code:
        raise AssertionError(f"{words} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def health(request):
    return Reply("ok") if request.headers["Authorization"] == "Bearer s3cret-key" else Reply("no", status=401)


def users(request):
    """User i was changed in second i."""
    first, size = (int(request.query["page"]) - 1) * int(request.query["per_page"]), int(request.query["per_page"])
    every = [{"id": i, "email": f"u{i}@example.com", "name": f"Üser {i}", "created_at": "2024-01-01T00:00:00Z",
              "updated_at": f"2024-03-01T00:{i // 60:02}:{i % 60:02}Z"} for i in range(USERS)]
    every = [u for u in every if u["updated_at"] >= request.query.get("updated_since", "")[:19]]
    return reply({"data": every[first:first + size]})


class Projects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-sdk-"))
        cls.prefix = cls.folder / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        cls.connectord = cls.prefix / "bin/connectord"
        cls.libdir = next(cls.prefix.rglob("libconnectord.a")).parent

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def build(self, source, name):
        """The project in a folder of its own, tested; the folder it was built in."""
        build = self.folder / f"build-{name}"
        run("cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", build)
        run("ctest", "--test-dir", build, "--output-on-failure")
        return build

    def test_new_source(self):
        project = self.folder / "my_api"
        said = run(self.connectord, "new", "source", "my_api", project).stdout
        self.assertIn("ctest", said)
        self.assertIn("creating the folder", run(self.connectord, "new", "source", "my_api", project, code=1).stderr)
        build = self.build(project, "my_api")
        spec = json.loads(run(build / "my_api", "--spec").stdout)
        self.assertEqual((spec["name"], spec["kind"], spec["api"]), ("my_api", "source", 1))
        lines = run(build / "my_api", "--config", project / "config.json").stdout.splitlines()
        self.assertEqual(sum('"type":"RECORD"' in line for line in lines), 1000)
        run("cmake", "--build", build, "--target", "package")
        names = [m.name for m in tarfile.open(next(build.glob("my_api-*.tar.gz"))).getmembers()]
        self.assertTrue(any(n.endswith("bin/my_api") for n in names) and any(n.endswith("config.json") for n in names), names)

    def test_new_destination(self):
        project, out = self.folder / "my_files", self.folder / "out"
        out.mkdir()
        run(self.connectord, "new", "destination", "my_files", project)
        build = self.build(project, "my_files")
        tap = run(self.connectord, "source", "sample", "--config_json", '{"rows": 20}').stdout
        done = run(build / "my_files", "--config_json", json.dumps({"path": str(out)}), input=tap)
        self.assertEqual(len((out / "users.jsonl").read_text().splitlines()), 20)
        self.assertIn("bookmarks", json.loads(done.stdout.splitlines()[-1]))

    def test_names_of_new_connectors(self):
        for name in ("My", "1a", "a-b", "", "a/b", "x" * 41):
            self.assertIn("is no name", run(self.connectord, "new", "source", name, code=2).stderr)
        self.assertIn("usage", run(self.connectord, "new", "tap", "a", code=2).stderr)

    def test_pkg_config(self):
        """The same without CMake; and a connector for another version does not compile."""
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.libdir / "pkgconfig")}
        flags = run("pkg-config", "--cflags", "--libs", "connectord", env=environment).stdout.split()
        source = ROOT / "connectors/examples/custom_api_source/custom_api.c"
        run(os.environ.get("CC", "cc"), "-std=c17", source, "-o", self.folder / "by_hand", *flags)
        self.assertEqual(json.loads(run(self.folder / "by_hand", "--spec").stdout)["name"], "custom_api")
        other = self.folder / "other.c"
        other.write_text(source.read_text().replace("WRITTEN_FOR(1)", "WRITTEN_FOR(2)"))
        refused = run(os.environ.get("CC", "cc"), "-std=c17", "-fsyntax-only", other, *flags, code=1).stderr
        self.assertIn("written for another version", refused)

    def serve(self):
        api = self.enterContext(FakeApi())
        api.on("/health", health)
        api.on("/users", users)
        return api.url

    def file(self, name, content):
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path

    def test_the_examples_of_the_specification(self):
        """The source into the destination, twice: everything, and then what changed."""
        tap = self.build(ROOT / "connectors/examples/custom_api_source", "custom_api") / "custom_api"
        target = self.build(ROOT / "connectors/examples/custom_database_destination", "redshift") / "redshift"
        config = self.file("tap.json", {"api_key": "s3cret-key", "base_url": self.serve(), "retry_delay_ms": 1})
        run(tap, "--config", config, "--test_connection")
        wrong = self.file("wrong.json", {"api_key": "other", "base_url": self.serve(), "retry_delay_ms": 1})
        self.assertIn("auth_failed", run(tap, "--config", wrong, "--test_connection", code=1).stderr)
        catalog = json.loads(run(tap, "--config", config, "--discover").stdout)
        stream = catalog["streams"][0]
        stream["metadata"][0]["metadata"]["selected"] = True
        stream.update(replication_method="INCREMENTAL", replication_key="updated_at")
        chosen = self.file("catalog.json", catalog)

        database = databases.new_postgres("redshift")
        db = databases.postgres(database).cursor()
        db.execute("create domain super as jsonb")
        into = self.file("target.json", {k: v for k, v in databases.postgres_config(database).items() if k != "schemas"})
        run(target, "--config", into, "--test_connection")
        messages = run(tap, "--config", config, "--catalog", chosen).stdout
        state = run(target, "--config", into, input=messages).stdout.splitlines()[-1]
        db.execute("select count(*), min(name), max(updated_at) from users")
        count, name, last = db.fetchone()
        self.assertEqual((count, name), (USERS, "Üser 0"))
        db.execute("select column_name, data_type, character_maximum_length from information_schema.columns "
                   "where table_name = 'users' and column_name in ('id', 'name') order by 1")
        self.assertEqual(db.fetchall(), [("id", "bigint", None), ("name", "character varying", 65535)])
        again = run(tap, "--config", config, "--catalog", chosen, "--state", self.file("state.json", json.loads(state))).stdout
        self.assertEqual(sum('"type":"RECORD"' in line for line in again.splitlines()), 1)
        run(target, "--config", into, input=again)
        db.execute("select count(*) from users")
        self.assertEqual(db.fetchone()[0], USERS)
        self.assertTrue(last)
        if any(mark in tap.read_bytes() for mark in (b"__asan_init", b"__tsan_init")):
            print("not run behind the service, whose limit of memory no sanitizer keeps")
            return
        self.behind_the_service(tap, json.loads(config.read_text()), target)

    def behind_the_service(self, tap, config, target):
        """Both as programs of an operator's list: asked for their schemas, judged by them, discovered, synced."""
        database = databases.new_postgres("redshift_service")
        databases.postgres(database).cursor().execute("create domain super as jsonb")
        into = {k: v for k, v in databases.postgres_config(database).items() if k != "schemas"}
        listed = self.file("service.json", {"exec": {"enabled": True, "programs": [
            {"name": "custom_api", "path": str(tap)}, {"name": "redshift", "path": str(target)}]}})
        data = self.folder / "data"
        data.mkdir()
        service = Service(data, environment={"CONNECTORD_CONFIG": str(listed)})
        service.start()
        try:
            schema = service.get("/v1/connectors/source/singer/schema?program=custom_api").json()["properties"]["config"]
            self.assertEqual((schema["required"], schema["properties"]["api_key"]["writeOnly"]), (["api_key"], True))
            self.assertIn("base_url", service.get("/v1/connectors/source/singer/template?program=custom_api").json()["config"])
            ends = {"sources": {"program": "custom_api", "config": config}, "destinations": {"program": "redshift", "config": into}}
            wrong = service.put("/v1/sources/a", {"connector": "singer", "config": {"program": "custom_api", "config": {"apikey": "x"}}})
            self.assertEqual(wrong.pointers, {"/config/config/api_key": "required", "/config/config/apikey": "unknown_field"})
            for kind, end in ends.items():
                made = service.put(f"/v1/{kind}/a", {"connector": "singer", "config": end})
                self.assertEqual(made.status, 201, made)
            self.assertIn("users", service.post("/v1/sources/a/discover").text)
            made = service.put("/v1/connections/a", {"source": "a", "destination": "a", "streams": [
                {"name": "users", "sync_mode": "incremental", "cursor_field": "updated_at", "destination_sync_mode": "append_dedup"}]})
            self.assertEqual(made.status, 201, made)
            for rows in (USERS, 1):  # everything, and then what may have changed
                ran = service.post("/v1/connections/a/runs?wait=55").json()
                self.assertEqual((ran["status"], ran["stats"]["records_committed"]), ("succeeded", rows), ran)
        finally:
            service.stop()
        db = databases.postgres(database).cursor()
        db.execute("select count(*), min(name) from users")
        self.assertEqual(db.fetchone(), (USERS, "Üser 0"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
