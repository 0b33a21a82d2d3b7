"""A tap of the operator's list in the service: discovered, selected by a Singer catalog, synced, its state exported and
imported as other runners of taps keep it."""
import json
import pathlib
import shutil
import sqlite3
import tempfile

from service import ServiceTest, main
from test_singer_taps import SCHEMA, TAP


class TapInTheService(ServiceTest):
    @classmethod
    def setUpClass(cls):
        cls.taps = pathlib.Path(tempfile.mkdtemp(prefix="connectord-taps-"))
        cls.addClassCleanup(shutil.rmtree, cls.taps)
        program, settings = cls.taps / "tap", cls.taps / "settings.json"
        program.write_text(TAP)
        program.chmod(0o755)
        settings.write_text(json.dumps({"exec": {"enabled": True, "programs": [{"name": "tap", "path": str(program)}]}}))
        cls.arguments = ("--config", str(settings))
        super().setUpClass()

    def connect(self, script, **more):
        self.seen, self.database = self.work / "seen", self.work / "out.db"
        config = {"schema": SCHEMA, "seen": str(self.seen), "script": script, **more}
        self.ok(self.service.put(f"/v1/sources/{self.name}", {"connector": "singer", "config": {"program": "tap", "config": config}}), 201)
        self.ok(self.service.put(f"/v1/destinations/{self.name}", {"connector": "sqlite", "config": {"path": str(self.database)}}), 201)
        self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        return self.ok(self.service.put(f"/v1/connections/{self.name}", {"source": self.name, "destination": self.name}), 201)

    def run_once(self):
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs?wait=55"), 201)
        self.assertEqual(run["status"], "succeeded", run)
        return run

    def given(self):
        return [json.loads(line)[0] for line in self.seen.read_text().splitlines()]

    def test_selected_by_a_catalog_with_the_state_of_others(self):
        rows = [["schema", "a", "b"], ["rows", "a", 0, 5], ["rows", "b", 0, 5], ["state", {"bookmarks": {"a": {"id": 4}}, "n": 1.10}]]
        made = self.connect(rows, again=rows)
        self.assertEqual(made["delivery"], "at_least_once")
        at = f"/v1/connections/{self.name}"
        catalog = self.ok(self.service.get(f"{at}/streams?format=singer"))
        for entry in catalog["streams"]:
            entry.update(replication_method="INCREMENTAL", replication_key="id", unique_conflict_method="IGNORE",
                         stream_alias=f"all_{entry['stream']}", bookmark_properties=["id"], run_in_parallel=False)
            entry["metadata"][0]["metadata"]["selected"] = entry["stream"] == "a"
        self.ok(self.service.put(f"{at}/streams?format=singer", catalog))
        again = {e["stream"]: e for e in self.ok(self.service.get(f"{at}/streams?format=singer"))["streams"]}
        self.assertEqual([again["a"][k] for k in ("unique_conflict_method", "stream_alias", "run_in_parallel", "replication_key")],
                         ["IGNORE", "all_a", False, "id"])
        state = {"bookmarks": {"a": {"id": 2, "big": 12345678901234567}}, "currently_syncing": None}
        self.assertEqual(self.ok(self.service.put(f"{at}/state?format=singer", state)), state)
        self.run_once()
        self.assertEqual(self.given(), [state])
        exported = self.ok(self.service.get(f"{at}/state?format=singer"))
        self.assertEqual(exported, {"bookmarks": {"a": {"id": 4}}, "n": 1.10})
        self.run_once()
        self.assertEqual(self.given()[-1], exported)
        db = sqlite3.connect(self.database)
        self.assertEqual(db.execute("select count(*) from all_a").fetchall(), [(5,)])
        self.assertEqual(db.execute("select count(*) from sqlite_master where name like '%b'").fetchall(), [(0,)])
        db.close()

    def test_what_it_says_is_in_the_log_of_the_run(self):
        self.connect([["schema", "a", "b"], ["say", "time=x level=WARNING message=mind the gap\n", 1]])
        run = self.run_once()
        lines = self.service.get(f"/v1/runs/{run['id']}/logs").body.decode()
        self.assertIn("mind the gap", lines)

    def test_a_program_that_is_not_listed_cannot_be_named(self):
        answer = self.service.put(f"/v1/sources/{self.name}", {"connector": "singer", "config": {"program": "/bin/sh"}})
        self.ok(answer, 201)
        checked = self.service.post(f"/v1/sources/{self.name}/check")
        self.assertIn("program_not_listed", str(checked.json()))


if __name__ == "__main__":
    main()
