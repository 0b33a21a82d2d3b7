"""Built-in sources as Singer taps: flags, the shape of every answer, and that a sync that was cut off
anywhere goes on behind its last STATE."""
import json
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from service import BINARY, PATIENCE_S, main

MANY = 30000


class Tap(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-tap-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def file(self, name, content):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def tap(self, name, *flags, code=0, given=None):
        done = subprocess.run([BINARY, "source", name, *map(str, flags)], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False, input=given)
        self.assertEqual(done.returncode, code, done.stderr[-2000:])
        return done

    def sample(self, *flags, rows=5, **more):
        config = self.file("sample.json", {"rows": rows})
        return self.tap("sample", "--config", config, *flags, **more)

    def messages(self, done):
        return [json.loads(line) for line in done.stdout.splitlines()]

    def table(self, rows=MANY):
        path = self.folder / "shop.db"
        db = sqlite3.connect(path)
        db.execute("create table items (id integer primary key, name text, at timestamp)")
        db.executemany("insert into items values (?, ?, ?)",
                       ((i, f"item {i}", f"2024-01-01 00:{i // 60 % 60:02}:{i % 60:02}") for i in range(rows)))
        db.commit()
        db.close()
        return self.file("sqlite.json", {"path": str(path)})


class Flags(Tap):
    def test_a_misspelt_flag_is_an_error_and_so_is_all_that_is_wrong_with_the_others(self):
        done = self.tap("sample", "--confg", "x", "--disc", "--discover=1", "--count_records", "--discover",
                        "--state_json", "{}", "--state", "a", "--state=b", "--input_file_path", "x", "--catalog", code=2)
        self.assertEqual(done.stdout, "")
        for said in ("no flag --confg", '"x" is no flag', "no flag --disc\n", "--discover takes no value",
                     "--discover and --count_records are both given", "--state and --state_json are both given",
                     "--state is given twice", "no flag --input_file_path", "--catalog takes a value"):
            self.assertIn(said, done.stderr)
        self.assertIn("--discover_streams belongs to --discover", self.sample("--discover_streams", code=2).stderr)

    def test_names(self):
        self.assertIn('there is no source "tap"', self.tap("tap", code=2).stderr)
        self.assertIn("postgres", self.tap("--help", code=2).stderr)
        self.assertIn("--selected_streams_json JSON", self.tap("sample", "--help").stdout)
        self.assertNotIn("--input_file_path", self.tap("sample", "--help").stdout)

    def test_a_wrong_configuration_is_told_whole(self):
        done = self.tap("sample", "--config_json", '{"rows": "many", "sede": 1}', code=2)
        self.assertIn("/rows", done.stderr)
        self.assertIn("/sede", done.stderr)
        self.assertIn("the configuration", self.tap("sample", "--config", self.folder / "none", code=2).stderr)
        self.assertIn("the catalog", self.sample("--catalog_json", "{", code=2).stderr)
        self.assertIn("expected an object", self.tap("sample", "--config_json", "[]", code=2).stderr)

    def test_configuration_from_standard_input(self):
        done = self.tap("sample", "--config", "-", "--count_records", given='{"rows": 7}')
        self.assertEqual(json.loads(done.stdout)[0], {"count": 7, "id": "users", "stream": "users"})

    def test_secrets_on_the_command_line_are_warned_of_and_not_shown(self):
        config = {"host": "127.0.0.1", "port": 1, "database": "d", "username": "u", "password": "hunter2", "ssl_mode": "disable"}
        done = self.tap("postgres", "--config_json", json.dumps(config), "--test_connection", code=1)
        self.assertIn("stands on the command line", done.stderr)
        self.assertNotIn("hunter2", done.stderr)
        done = self.tap("postgres", "--config", self.file("c.json", config), "--test_connection", code=1)
        self.assertEqual((done.stdout, len(done.stderr.splitlines())), ("", 1))
        self.assertNotIn("hunter2", done.stderr)


class Answers(Tap):
    def test_connection(self):
        done = self.sample("--test_connection")
        self.assertEqual((done.stdout, done.stderr), ("", ""))

    def test_discovery_is_one_document(self):
        done = self.sample("--discover")
        streams = json.loads(done.stdout)["streams"]
        self.assertEqual([s["tap_stream_id"] for s in streams], ["users", "products", "purchases"])
        self.assertEqual(streams[2]["key_properties"], ["user_id", "line"])
        for member in ("unique_conflict_method", "unique_constraints", "bookmark_properties", "auto_add_new_fields",
                       "bookmark_property_operators", "partition_keys", "disable_column_type_check", "stream_alias", "run_in_parallel"):
            self.assertIn(member, streams[0])
        self.assertEqual(done.stderr, "")
        self.assertEqual(json.loads(self.sample("--discover", "--discover_streams").stdout)[0],
                         {"stream": "users", "tap_stream_id": "users"})

    def test_samples_are_bounded(self):
        done = self.sample("--load_sample_data", rows=250)
        samples = {m["stream_id"]: m for m in self.messages(done)}
        self.assertEqual({m["type"] for m in samples.values()}, {"SAMPLE_DATA"})
        self.assertEqual([len(samples[s]["sample_data"]) for s in ("users", "products", "purchases")], [100, 25, 100])
        done = self.sample("--load_sample_data", "--query", '{"_limit": 3}', "--selected_streams_json", '["users"]')
        self.assertEqual([len(m["sample_data"]) for m in self.messages(done)], [3])

    def test_templates_and_specification(self):
        self.assertEqual(json.loads(self.tap("sample", "--show_templates").stdout)["config"]["rows"], 1000)
        spec = json.loads(self.tap("postgres", "--spec").stdout)
        self.assertEqual((spec["kind"], spec["name"], spec["api"], spec["filters_rows"]), ("source", "postgres", 1, True))
        self.assertEqual(spec["config_schema"]["properties"]["password"]["writeOnly"], True)


class Sync(Tap):
    def test_nothing_but_singer_on_standard_output(self):
        done = self.sample()
        messages = self.messages(done)
        seen = set()
        for m in messages:
            self.assertIn(m["type"], ("SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION"))
            if m["type"] == "SCHEMA":
                seen.add(m["stream"])
                self.assertLessEqual({"key_properties", "bookmark_properties", "schema"}, set(m))
            elif m["type"] == "RECORD":
                self.assertIn(m["stream"], seen)
        self.assertEqual(messages[-1]["type"], "STATE")
        for line in done.stderr.splitlines():
            self.assertLessEqual({"level", "message", "timestamp", "tags"}, set(json.loads(line)))
        logged = self.messages(self.sample("--log_to_stdout"))
        self.assertIn("stream complete", [m.get("message") for m in logged])

    def test_a_state_per_page_and_not_per_record(self):
        types = [m["type"] for m in self.messages(self.tap("sqlite", "--config", self.table()))]
        self.assertEqual(types.count("RECORD"), MANY)
        self.assertLess(types.count("STATE"), MANY // 1000)

    def select(self, config, connector, **changes):
        """A catalog as a user edits it: one stream selected."""
        catalog = json.loads(self.tap(connector, "--config", config, "--discover").stdout)
        stream = catalog["streams"][0]
        stream["metadata"][0]["metadata"]["selected"] = True
        stream.update(changes)
        return self.file("catalog.json", catalog)

    def test_only_what_is_selected(self):
        config = self.file("sample.json", {"rows": 5})
        catalog = self.select(config, "sample")
        streams = {m["stream"] for m in self.messages(self.tap("sample", "--config", config, "--catalog", catalog)) if "stream" in m}
        self.assertEqual(streams, {"users"})
        done = self.tap("sample", "--config", config, "--catalog", catalog, "--selected_streams_json", '["purchases"]', code=2)
        self.assertIn("no stream \"purchases\" is selected", done.stderr)
        done = self.sample("--catalog_json", '{"streams": []}')
        self.assertIn("no stream is selected", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_conditions(self):
        config = self.table(100)
        for query in ('{"name": "item 7"}', '[{"column": "id", "op": "eq", "value": 7}]'):
            done = self.tap("sqlite", "--config", config, "--query", query)
            self.assertEqual([m["record"]["id"] for m in self.messages(done) if m["type"] == "RECORD"], [7])
        self.assertIn("/streams/0/filter", self.tap("sqlite", "--config", config, "--query", '{"nme": 1}', code=2).stderr)
        self.assertIn("expected", self.tap("sqlite", "--config", config, "--query", "1", code=2).stderr)
        self.assertIn("filter", self.sample("--query", '{"id": 1}', code=2).stderr)
        done = self.tap("sqlite", "--config", config, "--query", '{"_limit": 3}')
        self.assertEqual(sum(m["type"] == "RECORD" for m in self.messages(done)), 3)

    def test_incremental_with_the_state_of_the_run_before(self):
        config = self.table(100)
        catalog = self.select(config, "sqlite", replication_method="INCREMENTAL", replication_key="id")
        first = self.messages(self.tap("sqlite", "--config", config, "--catalog", catalog))
        self.assertEqual(sum(m["type"] == "RECORD" for m in first), 100)
        self.assertNotIn("version", first[1])
        self.assertEqual(first[0]["bookmark_properties"], ["id"])
        db = sqlite3.connect(self.folder / "shop.db")
        db.execute("insert into items values (1000, 'new', null)")
        db.commit()
        db.close()
        state = self.file("state.json", {"bookmarks": {**first[-1]["value"]["bookmarks"], "other": {"kept": 1}}})
        # The row at the bookmark comes again, for targets that merge by key.
        second = self.messages(self.tap("sqlite", "--config", config, "--catalog", catalog, "--state", state))
        self.assertEqual([m["record"]["id"] for m in second if m["type"] == "RECORD"], [99, 1000])
        self.assertEqual(second[-1]["value"]["bookmarks"]["other"], {"kept": 1})
        # The message itself is understood as well.
        third = self.messages(self.tap("sqlite", "--config", config, "--catalog", catalog, "--state_json", json.dumps(second[-1])))
        self.assertEqual([m["record"]["id"] for m in third if m["type"] == "RECORD"], [1000])

    def test_a_full_refresh_that_was_cut_off_goes_on_in_its_version(self):
        config = self.table()
        whole = self.messages(self.tap("sqlite", "--config", config))
        states = [i for i, m in enumerate(whole) if m["type"] == "STATE"]
        self.assertGreater(len(states), 2)
        cut = whole[:states[0] + 1]
        rest = self.messages(self.tap("sqlite", "--config", config, "--state_json", json.dumps(cut[-1]["value"])))
        ids = [m["record"]["id"] for m in cut + rest if m["type"] == "RECORD"]
        self.assertEqual(ids, list(range(MANY)))
        self.assertEqual({m["version"] for m in cut + rest if m["type"] in ("RECORD", "ACTIVATE_VERSION")}, {cut[1]["version"]})
        # Complete: the next one begins anew.
        self.assertEqual(rest[-1]["value"], {"bookmarks": {}})

    def test_stopped_at_any_moment(self):
        """Whoever reads gets whole lines up to the end, and the last STATE covers what came before it."""
        config = self.table()
        got, state = {}, None
        for stop_after in (1, 7000, 18000, None):
            flags = ["--state_json", json.dumps(state)] if state else []
            tap = subprocess.Popen([BINARY, "source", "sqlite", "--config", str(config), *flags], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
            pending = {}
            for number, line in enumerate(tap.stdout):
                m = json.loads(line)
                if m["type"] == "RECORD":
                    pending[m["record"]["id"]] = m["record"]
                elif m["type"] == "STATE":
                    got.update(pending)
                    pending, state = {}, m["value"]
                if number == stop_after:
                    tap.send_signal(signal.SIGTERM)
            tap.stdout.close()
            self.assertIn(tap.wait(PATIENCE_S), (0, 1))
        self.assertEqual(sorted(got), list(range(MANY)))

    def test_a_reader_that_goes_away_ends_it(self):
        tap = subprocess.Popen([BINARY, "source", "sqlite", "--config", str(self.table())], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        tap.stdout.readline()
        tap.stdout.close()
        self.assertIn("standard output", tap.stderr.read())
        tap.stderr.close()
        self.assertEqual(tap.wait(PATIENCE_S), 1)

    def test_what_cannot_be_represented_is_an_error_and_not_a_null(self):
        """Singer has no quarantine."""
        config = self.table(10)
        db = sqlite3.connect(self.folder / "shop.db")
        db.execute("update items set at = 'yesterday' where id = 7")
        db.commit()
        db.close()
        done = self.tap("sqlite", "--config", config, code=1)
        self.assertIn('column "at" cannot be represented (parse)', done.stderr)
        self.assertNotIn("STATE", done.stdout)
        self.assertNotIn("yesterday", done.stderr)

    def test_a_position_of_another_source_is_refused(self):
        config = self.table(10)
        catalog = self.select(config, "sqlite", replication_method="INCREMENTAL", replication_key="id")
        done = self.tap("sqlite", "--config", config, "--catalog", catalog,
                        "--state_json", '{"bookmarks": {"items": {"kind": "nonsense"}}}', code=1)
        self.assertIn("position", done.stderr)


if __name__ == "__main__":
    main()
