"""A tap of the operator's list in the service: discovered, selected by a Singer catalog, synced, its state exported and
imported as other runners of taps keep it."""
import json
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile

from service import BINARY, PATIENCE_S, ServiceTest, main
from test_singer_taps import SCHEMA, TAP


class TapInTheService(ServiceTest):
    @classmethod
    def setUpClass(cls):
        cls.taps = pathlib.Path(tempfile.mkdtemp(prefix="connectord-taps-"))
        cls.addClassCleanup(shutil.rmtree, cls.taps)
        program, settings = cls.taps / "tap", cls.taps / "settings.json"
        program.write_text(TAP)
        program.chmod(0o755)
        marks = {"properties": {"note": {"type": "string", "writeOnly": True}}}
        settings.write_text(json.dumps({"exec": {"enabled": True, "programs": [
            {"name": "tap", "path": str(program)}, {"name": "marked", "path": str(program), "config_schema": marks}]}}))
        cls.arguments = ("--config", str(settings))
        super().setUpClass()

    def connect(self, script, program="tap", **more):
        self.seen, self.database = self.work / "seen", self.work / "out.db"
        config = {"schema": SCHEMA, "seen": str(self.seen), "script": script, **more}
        self.ok(self.service.put(f"/v1/sources/{self.name}", {"connector": "singer", "config": {"program": program, "config": config}}), 201)
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

    def test_secrets_of_its_settings_are_not_shown_and_words_are(self):
        """What is called a secret or looks like one, and what the program's schema says is one."""
        said = "orders tester canary-pass canary-url q7w8e9r0t1y2u3i4o5p6 canary-note"
        for program, shown in (("tap", "orders tester *** *** *** canary-note"), ("marked", "orders tester *** *** *** ***")):
            self.name = f"{type(self).__name__.lower()}_{program}"
            self.connect([["schema", "a", "b"], ["say", f"WARNING {said}\n", 1], ["exit", 3]], program=program,
                         default_target_schema="orders", user="tester", db_password="canary-pass", id="q7w8e9r0t1y2u3i4o5p6",
                         url="postgres://tester:canary-url@localhost/orders", note="canary-note")
            run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs?wait=55", {"max_attempts": 1}), 201)
            self.assertEqual(run["status"], "failed", run)
            self.assertIn(shown, run["error"]["message"])
            lines = self.service.get(f"/v1/runs/{run['id']}/logs").body.decode()
            self.database.unlink()  # the tables are the first connection's
            self.assertIn(shown, lines)
            for secret in ("canary-pass", "canary-url", "q7w8e9r0t1y2u3i4o5p6", *(["canary-note"] if program == "marked" else [])):
                self.assertNotIn(secret, lines + json.dumps(run))

    def test_a_program_that_is_not_listed_cannot_be_named(self):
        answer = self.service.put(f"/v1/sources/{self.name}", {"connector": "singer", "config": {"program": "/bin/sh"}})
        self.ok(answer, 201)
        checked = self.service.post(f"/v1/sources/{self.name}/check")
        self.assertIn("program_not_listed", str(checked.json()))


SAYS = r'''#!/usr/bin/python3
import sys
open("ASKED", "a").write(" ".join(sys.argv[1:]) + "\n")
answer = sys.argv[1]
if sys.argv[2] not in answer:
    sys.exit("it knows no such flag")
print(answer[answer.index(":") + 1:])
'''
OPERATORS = {"type": "object", "required": ["host"], "additionalProperties": False, "properties": {
    "host": {"type": "string", "minLength": 3}, "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "mode": {"enum": ["a", "b"]}, "tables": {"type": ["array", "null"], "items": {"type": "object", "required": ["name"]}}}}


class ProgramsThatSayTheirConfiguration(ServiceTest):
    @classmethod
    def setUpClass(cls):
        cls.taps = pathlib.Path(tempfile.mkdtemp(prefix="connectord-taps-"))
        cls.addClassCleanup(shutil.rmtree, cls.taps)
        says, settings = cls.taps / "says", cls.taps / "settings.json"
        says.write_text(SAYS.replace("ASKED", str(cls.taps / "asked")))  # it is not told where it lies
        says.chmod(0o755)
        answers = {"template": '--show_templates:{"config": {"url": "https://example.com"}}', "silent": "-", "nonsense": "--spec:[1]",
                   "empty": '--spec:{"config_schema": 7, "template": {"x": 1}}'}
        for kind, name in (("source", "sample"), ("destination", "sqlite")):  # a limit of memory is nothing for sanitizers
            spec = subprocess.run([BINARY, kind, name, "--spec"], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
            answers[f"our_{kind}"] = f"--spec:{spec.stdout}"
        programs = [{"name": name, "path": str(says), "args": [answer]} for name, answer in answers.items()]
        programs.append({"name": "described", "path": str(says), "args": ["-"], "config_schema": OPERATORS})
        settings.write_text(json.dumps({"exec": {"enabled": True, "programs": programs}}))
        cls.arguments = ("--config", str(settings))
        super().setUpClass()

    def judged(self, program, config, kind="source"):
        answer = self.service.put(f"/v1/{kind}s/{self.name}", {"connector": "singer", "config": {"program": program, "config": config}})
        valid = self.ok(self.service.post(f"/v1/connectors/{kind}/singer/validate", {"program": program, "config": config}))
        self.assertEqual(valid["valid"], answer.status in (200, 201), answer)
        return {} if valid["valid"] else {p.removeprefix("/config/config"): code for p, code in answer.pointers.items()}

    def about(self, what, program, kind="source"):
        return self.ok(self.service.get(f"/v1/connectors/{kind}/singer/{what}?program={program}"))

    def test_one_of_ours_is_asked(self):
        schema = self.about("schema", "our_source")["properties"]["config"]
        self.assertEqual((schema["properties"]["rows"]["default"], schema["writeOnly"]), (1000, True))
        template = self.about("template", "our_source")
        self.assertEqual((template["program"], template["config"]["rows"]), ("our_source", 1000))
        self.assertIn("path", self.about("template", "our_destination", "destination")["config"])
        self.assertEqual(self.judged("our_source", {"rows": 5}), {})
        self.assertEqual(self.judged("our_source", {"rows": "many", "seeds": 1}), {"/rows": "wrong_type", "/seeds": "unknown_field"})
        self.assertEqual(self.judged("our_source", {"rows": 0}), {"/rows": "out_of_range"})
        self.assertEqual(self.judged("our_destination", {}, "destination"), {"/path": "required"})
        self.assertEqual(self.judged("our_destination", None, "destination"), {"/path": "required"})

    def test_what_the_operator_says_counts(self):
        self.assertEqual(self.about("schema", "described")["properties"]["config"], {**OPERATORS, "writeOnly": True})
        self.assertEqual(self.judged("described", {"host": "db1", "port": 5, "mode": "b", "tables": [{"name": "x"}]}), {})
        self.assertEqual(self.judged("described", {"host": "${env:X}x", "port": None, "tables": None}), {})
        wrong = {"host": "d", "port": 70000, "mode": "c", "tables": [{"name": 1}, {}, 7], "x~/y": 1}
        self.assertEqual(self.judged("described", wrong), {
            "/host": "too_short", "/port": "out_of_range", "/mode": "not_a_choice", "/tables/1/name": "required", "/tables/2": "wrong_type",
            "/x~0~1y": "unknown_field"})
        self.assertEqual(self.judged("described", {"host": None}), {"/host": "required"})

    def test_a_template_alone(self):
        self.assertEqual(self.about("template", "template")["config"], {"url": "https://example.com"})
        self.assertNotIn("properties", self.about("schema", "template")["properties"]["config"])
        self.assertEqual(self.judged("template", {"anything": 1}), {})
        asked = (self.taps / "asked").read_text().splitlines()
        self.assertEqual([line.split()[-1] for line in asked if "example.com" in line], ["--spec", "--show_templates"])  # once

    def test_one_that_does_not_say_takes_anything(self):
        for program in ("silent", "nonsense", "empty"):
            self.assertEqual(self.judged(program, {"anything": 1}), {})
            self.assertNotIn("properties", self.about("schema", program)["properties"]["config"])

    def test_who_may_be_asked(self):
        self.fails(self.service.get("/v1/connectors/source/singer/schema?program=none"), 422, "config_error")
        self.fails(self.service.get("/v1/connectors/source/sample/schema?program=silent"), 400, "invalid_query")
        self.fails(self.service.get("/v1/connectors/source/sample/template?program=silent"), 400, "invalid_query")


if __name__ == "__main__":
    main()
