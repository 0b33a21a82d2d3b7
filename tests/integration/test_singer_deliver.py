"""Built-in destinations as Singer targets: flags, when a STATE comes back, streams that are written anew, and that what was
cut off anywhere can be sent again."""
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

from service import BINARY, PATIENCE_S, main

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "v": {"type": ["null", "string"]}}}


def schema(stream, key=("id",), properties=None, **more):
    shape = {**SCHEMA, "properties": properties} if properties else SCHEMA
    return {"type": "SCHEMA", "stream": stream, "schema": shape, "key_properties": list(key), **more}


def record(stream, i, v="v", **more):
    return {"type": "RECORD", "stream": stream, "record": {"id": i, "v": v}, **more}


def state(value):
    return {"type": "STATE", "value": value}


class TargetTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-deliver-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.database = self.folder / "out.db"
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps({"path": str(self.database)}))

    def words(self, *flags):
        return [BINARY, "destination", "sqlite", "--config", str(self.config), *map(str, flags)]

    def target(self, *messages, flags=(), status=0, text=None):
        given = text if text is not None else "".join(json.dumps(m) + "\n" for m in messages)
        done = subprocess.run(self.words(*flags), input=given, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.said = done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def rows(self, table, columns="id, v"):
        db = sqlite3.connect(self.database)
        try:
            return db.execute(f'select {columns} from "{table}" order by 1, 2').fetchall()
        finally:
            db.close()


class Flags(TargetTest):
    def test_a_misspelt_flag_is_an_error(self):
        self.target(status=2, flags=["--inputfile", "x"])
        self.assertIn("no flag --inputfile", self.said)

    def test_the_modes_that_are_no_sync(self):
        self.target(flags=["--test_connection"])
        template = self.target(flags=["--show_templates"])
        self.assertIn("path", template[0]["config"])
        self.config.write_text('{"path": "/no/such/folder/x.db"}')
        self.assertEqual(self.target(flags=["--test_connection"], status=1), [])
        self.config.write_text('{"pth": "x", "more": 1}')
        self.target(status=2)
        self.assertIn("/pth", self.said)
        self.assertIn("/more", self.said)

    def test_messages_from_a_file_and_the_state_into_one(self):
        messages = self.folder / "in.singer"
        messages.write_text("\n".join(json.dumps(m) for m in (schema("a"), record("a", 1), state({"n": 1.10}), state({"n": 2}))))
        kept = self.folder / "state.json"
        told = self.target(flags=["--input_file_path", messages, "--state", kept])
        self.assertEqual((told, json.loads(kept.read_text())), ([{"n": 1.1}, {"n": 2}], {"n": 2}))

    def test_a_catalog_says_how_streams_are_written(self):
        catalog = json.dumps({"streams": [
            {"stream": "a", "replication_method": "FULL_TABLE"}, {"tap_stream_id": "b", "stream_alias": "bees"},
            {"stream": "c", "unique_conflict_method": "IGNORE"}, {"stream": "d", "auto_add_new_fields": False}]})
        for v in ("one", "two"):
            extra = {"type": "RECORD", "stream": "d", "record": {"id": 1, "v": v, "new": 7}}
            self.target(*map(schema, "abcd"), *(record(s, 1, v) for s in "abc"), *([record("a", 2)] if v == "one" else []), extra,
                        flags=["--catalog_json", catalog])
        self.assertEqual([self.rows(t) for t in ("a", "bees", "c", "d")], [[(1, "two")], [(1, "two")], [(1, "one")], [(1, "two")]])
        with self.assertRaises(sqlite3.OperationalError):
            self.rows("d", "id, new")


class States(TargetTest):
    """T29 from the side of a target: a STATE comes back with its rows durable, in order, or never."""

    def test_they_come_back_in_their_order(self):
        states = [state({"n": n}) for n in range(20)]
        told = self.target(schema("a"), *(m for n in range(20) for m in (record("a", n), states[n])))
        self.assertEqual(told, [{"n": n} for n in range(20)])

    def test_before_the_first_record_and_without_any(self):
        self.assertEqual(self.target(state({"n": 0}), schema("a"), record("a", 1)), [{"n": 0}])
        self.assertEqual(self.target(state(1), state(None)), [1, None])

    def test_none_comes_back_for_rows_that_were_refused(self):
        told = self.target(schema("a"), record("a", 1), state({"n": 1}), {"type": "RECORD", "stream": "b", "record": {}},
                           state({"n": 2}), status=1)
        self.assertEqual(told, [])
        self.assertIn("record_before_schema", self.said)
        self.assertIn("line 4", self.said)

    def test_a_truncated_line_is_an_error(self):
        text = json.dumps(schema("a")) + "\n" + json.dumps(record("a", 1)) + "\n" + json.dumps(state({"n": 1}))[:-4]
        self.assertEqual(self.target(text=text, status=1), [])
        text = json.dumps(schema("a")) + "\n" + json.dumps(record("a", 1))[:-3] + "\n" + json.dumps(state({"n": 1}))
        self.assertEqual(self.target(text=text, status=1), [])
        self.assertIn("bad_message", self.said)

    def test_one_comes_back_while_the_input_stays_open(self):
        run = subprocess.Popen(self.words(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for m in (schema("a"), record("a", 1), state({"n": 1})):
            run.stdin.write(json.dumps(m) + "\n")
        run.stdin.flush()
        self.assertEqual(json.loads(run.stdout.readline()), {"n": 1})
        self.assertEqual(self.rows("a"), [(1, "v")])
        run.stdin.write(json.dumps(record("a", 2)) + "\n")
        run.stdin.flush()
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.communicate(timeout=PATIENCE_S)[0], "")
        self.assertEqual((run.returncode, self.rows("a")), (1, [(1, "v")]))

    def test_killed_at_any_time_it_has_what_the_last_state_covers(self):
        """Sent again from the last STATE that came back, every row is there once."""
        n, at, kills = 12000, 0, 0
        while at < n:
            run = subprocess.Popen(self.words(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            lines = [json.dumps(schema("a"))]
            for i in range(at, n):
                lines.append(json.dumps(record("a", i)))
                if i % 500 == 499:
                    lines.append(json.dumps(state({"at": i + 1})))
            part = len(lines) if kills == 5 else len(lines) * (kills + 1) // 7
            try:
                run.stdin.write("\n".join(lines[:part]) + "\n")
                run.stdin.flush()
                if kills < 5:
                    at = json.loads(run.stdout.readline())["at"] if kills % 2 else at
                    run.kill()
            except BrokenPipeError:
                pass
            told = run.communicate(timeout=PATIENCE_S)[0].splitlines()
            at = json.loads(told[-1])["at"] if told else at
            kills += 1
            if self.database.exists() and at:
                self.assertEqual(len([i for i, _ in self.rows("a") if i < at]), at)
        self.assertEqual([i for i, _ in self.rows("a")], list(range(n)))


class Streams(TargetTest):
    def test_interleaved_ones_that_begin_at_any_time(self):
        told = self.target(schema("a"), record("a", 1), schema("b", key=()), record("b", 1), record("a", 2), state(1), schema("c"),
                           record("b", 1), record("a", 1, "w"), record("c", 5), state(2))
        self.assertEqual(told, [1, 2])
        self.assertEqual(self.rows("a"), [(1, "w"), (2, "v")])
        self.assertEqual((self.rows("b"), self.rows("c")), ([(1, "v"), (1, "v")], [(5, "v")]))

    def test_a_column_of_another_type_is_widened(self):
        text = {"id": {"type": "integer"}, "v": {"type": ["string", "integer"]}}
        number = {"id": {"type": "integer"}, "v": {"type": "integer"}}
        self.target(schema("a", properties=number), record("a", 1, 10), state(1), schema("a", properties=text), record("a", 2, "x"))
        self.assertEqual([(i, str(v)) for i, v in self.rows("a")], [(1, "10"), (2, "x")])

    def test_another_key_in_the_middle_is_refused(self):
        self.target(schema("a"), record("a", 1), schema("a", key=["v"]), record("a", 2), status=1)
        self.assertIn("key_changed", self.said)

    def test_references_and_settings_in_a_schema(self):
        shape = {"type": "object", "definitions": {"text": {"type": ["null", "string"]}},
                 "properties": {"id": {"type": "integer"}, "v": {"$ref": "#/definitions/text"}}}
        one = {"type": "SCHEMA", "stream": "a", "schema": shape, "key_properties": [], "unique_constraints": ["id"],
               "unique_conflict_method": "UPDATE", "replication_method": "INCREMENTAL", "bookmark_properties": [],
               "disable_column_type_check": False, "partition_keys": []}
        self.target(one, record("a", 1, "x"), record("a", 1, "y"))
        self.assertEqual(self.rows("a"), [(1, "y")])

    def test_bytes_in_hexadecimal_and_in_base64(self):
        both = {"id": {"type": "integer"}, "v": {"type": ["null", "string"], "contentEncoding": "base16"},
                "w": {"type": ["null", "string"], "contentEncoding": "base64"}}
        self.target(schema("a", properties=both), record("a", 1, "00ffC3a9"), {"type": "RECORD", "stream": "a", "record": {"id": 2, "w": "AP8="}},
                    record("a", 3, ""), record("a", 4, "abc"), record("a", 5, "zz"))
        self.assertEqual(self.rows("a", "id, v, w"), [(1, b"\x00\xff\xc3\xa9", None), (2, None, b"\x00\xff"), (3, b"", None),
                                                     (4, None, None), (5, None, None)])

    def test_a_member_that_the_schema_excludes_is_refused(self):
        closed = schema("a")
        closed["schema"] = {**closed["schema"], "additionalProperties": False}
        extra = {"type": "RECORD", "stream": "a", "record": {"id": 2, "v": "x", "new": None}}
        self.assertEqual(self.target(closed, record("a", 1), state(1)), [1])
        self.assertEqual(self.target(closed, extra, state(2), status=1), [])
        self.assertIn('"new" is not in the schema', self.said)
        self.target(schema("a"), {**extra, "record": {"id": 3, "v": "y", "new": 7}})
        self.assertEqual(self.rows("a", "id, new"), [(1, None), (3, 7)])

    def test_a_member_that_repeats_is_an_error(self):
        for twice in ('{"type": "RECORD", "stream": "a", "record": {"id": 1}, "record": {"id": 2}}',
                      '{"type": "RECORD", "stream": "b", "stream": "a", "record": {"id": 1}}',
                      '{"type": "RECORD", "stream": "a", "record": {"id": 1, "id": 2}}'):
            self.target(text=json.dumps(schema("a")) + "\n" + twice + "\n", status=1)
            self.assertRegex(self.said, "two members|twice")

    def test_an_empty_text_is_no_null_not_even_in_a_key(self):
        self.target(schema("a", key=["id", "v"]), record("a", 1, ""), record("a", 1, "x"), record("a", 1, ""))
        self.assertEqual(self.rows("a"), [(1, ""), (1, "x")])

    def test_decimals_keep_their_digits(self):
        properties = {"id": {"type": "integer"}, "v": {"type": "number", "multipleOf": 0.01}}
        text = json.dumps(schema("a", properties=properties)) + '\n{"type":"RECORD","stream":"a","record":{"id":1,"v":1.10}}\n' \
            '{"type":"RECORD","stream":"a","record":{"id":2,"v":123456789012345678901234567890.123}}'
        self.target(text=text)
        self.assertEqual(self.rows("a"), [(1, "1.10"), (2, "123456789012345678901234567890.123")])

    def test_members_behind_the_record_are_no_part_of_it(self):
        self.target(schema("a"), record("a", 1, time_extracted="2024-01-01T00:00:00Z"), record("a", 2, more={"v": {"x": 1}}))
        self.assertEqual(self.rows("a"), [(1, "v"), (2, "v")])


class Anew(TargetTest):
    """FULL_TABLE and versions: new rows take the place of the old ones at the end, or not at all."""

    FULL = schema("a", replication_method="FULL_TABLE")

    def test_a_full_table_replaces_and_its_states_come_at_the_end(self):
        self.target(self.FULL, record("a", 1), record("a", 2))
        told = self.target(self.FULL, record("a", 2, "w"), state(1), schema("b"), record("b", 1), record("a", 3), state(2))
        self.assertEqual((told, self.rows("a")), ([1, 2], [(2, "w"), (3, "v")]))

    def test_one_that_is_cut_off_changes_nothing(self):
        self.target(self.FULL, record("a", 1), state(1))
        self.assertEqual(self.target(self.FULL, record("a", 2), state(2), {"type": "BROKEN"}, status=1), [])
        self.assertEqual(self.rows("a"), [(1, "v")])
        self.target(self.FULL, record("a", 3))
        self.assertEqual(self.rows("a"), [(3, "v")])

    def test_an_empty_one_does_not_empty_a_table(self):
        self.target(self.FULL, record("a", 1))
        self.target(self.FULL, status=1)
        self.assertIn("shrink_guard", self.said)
        self.assertEqual(self.rows("a"), [(1, "v")])

    def activate(self, version):
        return {"type": "ACTIVATE_VERSION", "stream": "a", "version": version}

    def test_a_new_version_replaces_and_the_same_one_is_added_to(self):
        self.target(schema("a"), self.activate(1), record("a", 1, version=1), record("a", 2, version=1), state(1))
        self.target(schema("a"), self.activate(1), record("a", 3, version=1), state(2))
        self.assertEqual([i for i, _ in self.rows("a")], [1, 2, 3])
        self.target(schema("a"), record("a", 2, "w", version=2), record("a", 3, "w", version=2), self.activate(2), state(3))
        self.assertEqual(self.rows("a"), [(2, "w"), (3, "w")])

    def test_a_version_that_was_not_activated_is_not_shown(self):
        self.target(schema("a"), record("a", 1, version=1), self.activate(1))
        told = self.target(schema("a"), record("a", 2, version=2), state(1), status=1)
        self.assertEqual((told, self.rows("a")), ([], [(1, "v")]))
        self.assertIn("not_activated", self.said)


if __name__ == "__main__":
    main()
