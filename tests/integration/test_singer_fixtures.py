"""Streams of messages that no one here wrote, through our targets: what their names say happens, in tables written down
by hand from reading each file."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from database_case import main, variants
from service import BINARY, PATIENCE_S

FIXTURES = os.environ.get("CONNECTORD_FIXTURES")

# What each file ends with: exit status 0 and these tables (columns, rows in the order of the first column), or 1 and the
# reason that is told. JSON is compared as JSON.
FORECAST = ["CreatedById", "CreatedDate", "DisplayPosition", "ForecastingItemCategory", "ForecastingTypeId", "Id", "IsAdjustable",
            "IsDeleted", "IsOwnerAdjustable", "LastModifiedById", "LastModifiedDate", "NewCamelCasedAttribute", "SystemModstamp",
            "_attribute_startswith_underscore", "age"]
TABLES = {
    "array_data": {"test_array_data": (["id", "fruits"], [
        (1, ["apple", "orange", "pear"]), (2, ["banana", "apple"]), (3, ["pear"]),
        (4, ["orange", "banana", "apple", "pear"])])},
    "camelcase": {"TestCamelcase": (["Id", "clientName"], [("1", "Gitter Windows Desktop App"), ("2", "Gitter iOS App")])},
    "camelcase_complex_schema": {"ForecastingTypeToCategory": (None, [])},
    "duplicate_records": {"test_duplicate_records": (["id", "metric"], [(1, 100), (2, 20)])},
    "multiple_state_messages": {
        "test_multiple_state_messages_a": (["id", "metric"], [(i, 100 * i) for i in range(1, 7)]),
        "test_multiple_state_messages_b": (["id", "metric"], [(i, 110 * i) for i in range(1, 7)])},
    "no_primary_keys": {"test_no_pk": (["id", "metric"], [(1, 11), (2, 22), (3, 33)])},
    "no_primary_keys_append": {"test_no_pk": (["id", "metric"], [(1, 101), (2, 202), (3, 303), (4, 404), (5, 505)])},
    "optional_attributes": {"test_optional_attributes": (["id", "optional"], [
        (1, "This is optional"), (2, None), (3, "Also optional"), (4, None)])},
    # Its keys stand inside of the schema, where they mean nothing: so there is no key.
    "pk_updates": {"example_stream": (["id", "name", "email"], [
        (1, "Alice", "alice@example.com"), (2, "Bob", "bob@example.com")])},
    "record_missing_fields": {"record_missing_fields": (["id", "optional"], [(1, "now you see me"), (2, None)])},
    "schema_no_properties": {
        "test_object_schema_with_properties": (["object_store"], [({"id": 1, "metric": 187},), ({"id": 2, "metric": 203},)]),
        "test_object_schema_no_properties": (["object_store"], [({"id": 1, "metric": 1},), ({"id": 2, "metric": 2},)])},
    "schema_updates": {"test_schema_updates": (["id", "a1", "a2", "a3", "a4", "a5", "a6"], [
        (1, "101", "string1", None, None, None, None), (2, "102", "string2", True, None, None, None),
        (3, "103", "string3", False, {"id": 1, "value": 1}, ["banana", "apple"], None),
        (4, "104", "string4", True, {"id": 2, "value": 22}, ["orange", "pear"], None),
        (5, "105", "string5", False, {"id": 3, "value": 33}, ["apple"], 985),
        (6, "106", "string6", True, {"id": 4, "value": 444}, ["banana", "orange"], 341)])},
    "special_chars_in_attributes": {"test:SpecialChars!in?attributes": (["_id", "d"], [
        ("a2e98886", {"env": "prod", "agent:type": "desktop", "agent:os:version": "10.13.1"})])},
    "user_location_data": {
        "test_users": (["id", "name"], [(1, "Yannis"), (2, "Micael"), (3, "Jacob"), (4, "Josh"), (5, "Thomas")]),
        "test_locations": (["id", "name"], [(1, "Philadelphia"), (2, "NY"), (3, "SF")]),
        "test_user_in_location": (["id", "user_id", "location_id", "info"], [
            (1, 1, 1, {"weather": "rainy", "mood": "sad"}), (2, 1, 2, {"weather": "sunny", "mood": "satisfied"}),
            (3, 1, 3, {"weather": "sunny", "mood": "happy"})])},
    # As a first load; as an update of the one before it has a test of its own.
    "user_location_upsert_data": {
        "test_users": (["id", "name"], [(1, "Johny"), (2, "George"), (5, "Jim"), (8, "Thomas"), (12, "Paul"), (13, "Mary")]),
        "test_locations": (["id", "name"], [(1, "Philly"), (3, "San Francisco"), (6, "Colorado"), (8, "Boston")]),
        "test_user_in_location": (["id", "user_id", "location_id", "info"], [
            (1, 1, 4, {"weather": "rainy", "mood": "sad"}), (2, 2, 3, {"weather": "sunny", "mood": "satisfied"}),
            (6, 3, 2, {"weather": "sunny", "mood": "happy"}), (14, 4, 1, {"weather": "cloudy", "mood": "ok"})])},
}
REFUSED = {
    "invalid_schema": "bad_schema",
    "record_before_schema": "record_before_schema",
    "record_missing_key_property": "bad_record",
    "record_missing_required_property": "bad_record",
}
STATES = {
    "array_data": [{"test_array_data": 4}],
    "duplicate_records": [{"test_duplicate_records": 2}],
    "encoded_string_data": [{"test_strings": 11, "test_strings_in_objects": 11, "test_strings_in_arrays": 6}],
    "multiple_state_messages": [
        {"test_multiple_state_messages_a": a, "test_multiple_state_messages_b": b} for a, b in ((1, 0), (2, 1), (3, 2), (5, 3), (5, 6))],
    "no_primary_keys": [{"test_no_pk": 3}],
    "no_primary_keys_append": [{"test_no_pk": 5}],
    "optional_attributes": [{"test_optional_attributes": 4}],
    "record_missing_fields": [{}],
    "schema_updates": [{"test_schema_updates": 6}],
    "user_location_data": [{"test_users": 5, "test_locations": 3, "test_user_in_location": 3}],
    "user_location_upsert_data": [{"test_users": 13, "test_locations": 8, "test_user_in_location": 14}],
}
CONTROLS = "Control Characters in string: \0 A \1"
STRINGS = ["simple string 2837", "απλή συμβολοσειρά", "简单的字串", "chaîne simple", 'quoted "string"',
           'various " \\ / \n escape sequences', "m", "ā", "ƙ", "Double quoting: \\u0000 \\u0041 \\u0001", CONTROLS]


@unittest.skipUnless(FIXTURES, "CONNECTORD_FIXTURES does not name the folder of the fixtures")
class Fixtures:
    """The files of the fixtures into one destination."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-fixtures-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def new(self):
        made = self.destination_engine("fixtures")
        self.addCleanup(made.drop)
        return made

    def deliver(self, name, target, *flags):
        config = self.folder / "config.json"
        config.write_text(json.dumps(target.config()))
        with open(pathlib.Path(FIXTURES) / "singer" / f"{name}.singer", "rb") as lines:
            return subprocess.run([BINARY, "destination", target.connector, "--config", config, *flags], stdin=lines,
                                  capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def assert_tables(self, name, target, tables):
        for table, (columns, rows) in tables.items():
            if columns is None:
                self.assertEqual(target.execute(f"select count(*) from {target.name(table)}"), [(0,)])
                self.assertEqual(sorted(target.all_columns(table)), FORECAST)
                continue
            listed = ", ".join(target.name(c) for c in columns)
            found = target.execute(f"select {listed} from {target.name(table)} order by 1")
            if table.startswith("test_object_schema"):
                found.sort(key=str)
            self.assertEqual([self.alike(f, w) for f, w in zip(found, rows)], rows, f"{name}: {table}")
            self.assertEqual(len(found), len(rows), f"{name}: {table}")

    def alike(self, found, wanted):
        """The row in the form of the wanted one: SQLite has no booleans, no JSON, and decimals as text."""
        return tuple(None if f is None else json.loads(f) if isinstance(w, (dict, list)) and isinstance(f, str) else
                     bool(f) if isinstance(w, bool) else str(f) if isinstance(w, str) else f for f, w in zip(found, wanted))

    def test_every_file_ends_as_its_name_says(self):
        names = {f.stem for f in (pathlib.Path(FIXTURES) / "singer").glob("*.singer")}
        self.assertEqual(names, {*TABLES, *REFUSED, "encoded_string_data"})
        for name in sorted(names - {"encoded_string_data"}):
            with self.subTest(name):
                target = self.new()
                done = self.deliver(name, target)
                if name in REFUSED:
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn(REFUSED[name], done.stderr)
                else:
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assert_tables(name, target, TABLES[name])
                self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], STATES.get(name, []))

    def test_text_of_every_kind_comes_as_it_is(self):
        target = self.new()
        done = self.deliver("encoded_string_data", target)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = dict(target.execute("select id, info from test_strings"))
        lost = target.connector == "postgres"  # it cannot hold the character NUL, so the value is in quarantine
        self.assertEqual([found.get(i + 1) for i in range(11)], STRINGS[:10] + [None if lost else CONTROLS])
        objects = dict(target.execute("select id, info from test_strings_in_objects"))
        shown = {i: json.loads(v) if isinstance(v, str) else v for i, v in objects.items()}
        self.assertEqual(shown[5], {"name": "quoted string", "value": 'quoted "string"'})
        self.assertEqual(shown.get(11), None if lost else {"name": "Control Characters in string", "value": "\0 A \1"})
        lists = dict(target.execute("select id, strings from test_strings_in_arrays"))
        self.assertEqual(json.loads(lists[1]) if isinstance(lists[1], str) else lists[1],
                         ["simple string", *STRINGS[1:3]])
        if lost:
            self.assertIn("quarantine", done.stderr)

    def test_a_second_file_updates_what_the_first_one_brought(self):
        target = self.new()
        for name in ("user_location_data", "user_location_upsert_data", "user_location_upsert_data"):
            done = self.deliver(name, target)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_tables("both", target, {
            "test_users": (["id", "name"], [(1, "Johny"), (2, "George"), (3, "Jacob"), (4, "Josh"), (5, "Jim"), (8, "Thomas"),
                                            (12, "Paul"), (13, "Mary")]),
            "test_locations": (["id", "name"], [(1, "Philly"), (2, "NY"), (3, "San Francisco"), (6, "Colorado"), (8, "Boston")])})

    def test_rows_without_a_key_are_appended(self):
        target = self.new()
        for name in ("no_primary_keys", "no_primary_keys_append"):
            self.assertEqual(self.deliver(name, target).returncode, 0)
        self.assertEqual(target.execute("select count(*), sum(metric) from test_no_pk"), [(8, 1581)])


variants(globals(), Fixtures, unittest.TestCase, destination=["postgres", "sqlite"])

if __name__ == "__main__":
    main()
