"""Taps of every kind as a source: what a STATE covers, and a zoo of small programs that misbehave. None leaves a process,
a file or a row behind that it should not."""
import json
import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

from service import BINARY, PATIENCE_S, main, sanitized

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "v": {"type": ["null", "string"]}}, "required": ["id"]}

# A tap that does what its configuration says, step by step; `again` when it is given a state.
TAP = r'''#!/usr/bin/python3
import json, os, resource, signal, sys, time
words = sys.argv[1:]
config = json.load(open(words[words.index("--config") + 1]))
SCHEMA = config["schema"]
def put(message):
    print(json.dumps(message), flush=True)
if "--discover" in words:
    if "discover" in config:
        print(config["discover"])
        sys.exit(config.get("discover_status", 0))
    keys = {"table-key-properties": ["id"], "valid-replication-keys": ["id"]}
    put({"streams": [{"tap_stream_id": s, "stream": s, "schema": SCHEMA, "metadata": [{"breadcrumb": [], "metadata": keys}]}
                     for s in config.get("streams", ["a", "b"])]})
    sys.exit(0)
state = json.load(open(words[words.index("--state") + 1])) if "--state" in words else None
with open(config["seen"], "a") as seen:
    print(json.dumps([state, os.getcwd(), os.getpid()]), file=seen)
for step, *of in config["again"] if state is not None and "again" in config else config["script"]:
    if step == "schema":
        for stream in of:
            put({"type": "SCHEMA", "stream": stream, "schema": SCHEMA, "key_properties": ["id"]})
    elif step == "rows":
        for i in range(of[1], of[2]):
            put({"type": "RECORD", "stream": of[0], "record": {"id": i, "v": f"{of[0]}{i}"}, **(of[3] if len(of) > 3 else {})})
    elif step == "state":
        put({"type": "STATE", "value": of[0]})
    elif step == "huge state":
        put({"type": "STATE", "value": {"n": 12345678901234567890123, "text": "x" * of[0]}})
    elif step == "bytes":
        sys.stdout.buffer.write(bytes(of)); sys.stdout.buffer.flush()
    elif step == "message":
        put(of[0])
    elif step == "raw":
        sys.stdout.write(of[0] * (of[1] if len(of) > 1 else 1)); sys.stdout.flush()
    elif step == "exit":
        os._exit(of[0])
    elif step == "signal":
        os.kill(os.getpid(), of[0])
    elif step == "sleep":
        time.sleep(of[0])
    elif step == "say":
        sys.stderr.write(of[0] * of[1]); sys.stderr.flush()
    elif step == "child":  # it keeps our output open
        if os.fork() == 0:
            if of[0] == "hidden":
                os.setsid()
                if os.fork():
                    os._exit(0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open(config["seen"], "a") as seen:
                print(json.dumps([state, os.getcwd(), os.getpid()]), file=seen)
            time.sleep(600)
        time.sleep(0.2)
    elif step == "memory":
        b"x" * (of[0] << 20)
    elif step == "write":
        with open("big", "wb") as big:
            big.write(b"x" * of[0])
    elif step == "files":
        many = [open("/dev/null") for _ in range(of[0])]
    elif step == "input":
        assert sys.stdin.read() == ""
    elif step == "close":
        os.close(1)
    elif step == "schemas":
        for i in range(of[0]):
            sys.stdout.write(f'{{"type":"SCHEMA","stream":"s{i}","schema":{{"properties":{{"id":{{"type":"integer"}}}}}},"key_properties":[]}}\n')
    elif step == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
'''


class TapTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-taps-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.seen = self.folder / "seen"
        self.database = self.folder / "out.db"
        program = self.folder / "tap"
        program.write_text(TAP)
        program.chmod(0o755)
        listed = [{"name": "tap", "path": str(program), "memory_bytes": 256 << 20, "files": 64, "file_bytes": 1 << 20}]
        self.settings = self.folder / "settings.json"
        self.settings.write_text(json.dumps({"exec": {"enabled": True, "programs": listed}}))

    def sync(self, script=(), mode="append_dedup", streams=("a", "b"), status=0, policy=(), limits=(), **more):
        """One run; its events. The status is of the command."""
        config = {"schema": SCHEMA, "script": list(script), "seen": str(self.seen), "streams": list(streams), **more}
        whole = mode == "overwrite"
        file = self.folder / "sync.json"
        file.write_text(json.dumps({
            "name": "t", "source": {"connector": "singer", "config": {"program": "tap", "config": config}},
            "destination": {"connector": "sqlite", "config": {"path": str(self.database)}},
            "streams": [{"name": s, "sync_mode": "full_refresh" if whole else "incremental", "destination_sync_mode": mode}
                        for s in streams],
            "settings": {"run_policy": {"max_attempts": 1, **dict(policy)}}}))
        done = subprocess.run([BINARY, "sync", file], capture_output=True, text=True, timeout=PATIENCE_S, check=False, **dict(limits),
                              env={**os.environ, "CONNECTORD_CONFIG": str(self.settings)})
        self.assertEqual(done.returncode, status, done.stdout[-3000:] + done.stderr)
        self.assert_nothing_left()
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return events if events else done.stderr

    def fails(self, reason, script, **more):
        events = self.sync(script, status=1, **more)
        said = events[-1]["error"]["message"] + " " + events[-1]["error"]["code"]
        self.assertIn(reason, said)
        return said

    def lines(self):
        return [json.loads(line) for line in self.seen.read_text().splitlines()] if self.seen.exists() else []

    def assert_nothing_left(self):
        for _, private, pid in self.lines():
            self.assertFalse(pathlib.Path(private).exists(), "the private directory stayed")
            try:
                state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except FileNotFoundError:
                continue
            self.assertEqual(state, "Z", f"process {pid} lives on")

    def states(self):
        """What each run of the tap was given."""
        return [state for state, _, _ in self.lines()]

    def ids(self, table):
        if not self.database.exists():
            return []
        db = sqlite3.connect(self.database)
        try:
            return [i for i, in db.execute(f"select id from {table} order by 1")]
        except sqlite3.OperationalError:
            return []
        finally:
            db.close()


BOTH = ["schema", "a", "b"]


class Barrier(TapTest):
    """T29: a STATE is durable with every row before it, of all streams, and none without."""

    def test_interleaved_streams_share_their_state(self):
        script = [BOTH, *(step for i in range(0, 3000, 100) for step in
                          (["rows", "a", i, i + 100], ["rows", "b", i, i + 100], ["state", {"at": i + 100}])), ["exit", 3]]
        self.fails("program_failed", script)
        a, b = self.ids("a"), self.ids("b")
        self.assertEqual(a, b)
        self.sync([], again=[BOTH])
        given = self.states()[-1]
        self.assertEqual(a, list(range(given["at"] if given else 0)))

    def test_rows_behind_the_last_state_of_a_tap_that_fails_were_never_there(self):
        said = self.fails("exit status 5", [BOTH, ["rows", "a", 0, 2000], ["state", {"at": 2000}], ["rows", "a", 2000, 4000],
                                            ["rows", "b", 0, 10], ["say", "ERROR the table is gone\n", 1], ["exit", 5]])
        self.assertIn("the table is gone", said)
        self.assertEqual((self.ids("a"), self.ids("b")), (list(range(2000)), []))
        self.sync([], again=[BOTH, ["rows", "a", 2000, 4000], ["rows", "b", 0, 10], ["state", {"at": 4000}]])
        self.assertEqual(self.states()[-1], {"at": 2000})
        self.assertEqual((self.ids("a"), self.ids("b")), (list(range(4000)), list(range(10))))

    def test_rows_behind_the_last_state_of_a_tap_that_ends_well_are_kept(self):
        self.sync([BOTH, ["rows", "a", 0, 5], ["state", {"at": 5}], ["rows", "a", 5, 9]])
        self.assertEqual(self.ids("a"), list(range(9)))
        self.sync([], again=[BOTH, ["rows", "a", 5, 12]])
        self.assertEqual((self.states()[-1], self.ids("a")), ({"at": 5}, list(range(12))))

    def test_a_state_only_at_the_end_or_before_the_first_record(self):
        self.sync([["state", {"begun": True}], BOTH, ["rows", "b", 0, 7]])
        self.sync([], again=[BOTH, ["rows", "b", 7, 9], ["state", {"done": 1}]])
        self.sync([], again=[BOTH])
        self.assertEqual(self.states(), [None, {"begun": True}, {"done": 1}])
        self.assertEqual(self.ids("b"), list(range(9)))

    def test_no_state_at_all(self):
        for _ in range(2):
            self.sync([BOTH, ["rows", "a", 0, 5]])
        self.assertEqual((self.states(), self.ids("a")), ([None, None], list(range(5))))

    def test_a_huge_state_whose_numbers_keep_their_digits(self):
        self.sync([BOTH, ["rows", "a", 0, 5], ["huge state", 1000000]])
        self.sync([], again=[BOTH])
        self.assertEqual(self.states()[-1], {"n": 12345678901234567890123, "text": "x" * 1000000})

    def test_a_full_refresh_shows_nothing_before_its_end_and_forgets_its_bookmark(self):
        self.sync([BOTH, ["rows", "a", 0, 5], ["rows", "b", 0, 5], ["state", {"bookmarks": {"a": 1, "b": 2}}]], mode="overwrite")
        self.fails("program_failed", [BOTH, ["rows", "a", 5, 5000], ["state", {}], ["exit", 1]], mode="overwrite")
        self.assertEqual(self.ids("a"), list(range(5)))
        self.sync([BOTH, ["rows", "a", 5, 10], ["rows", "b", 5, 10]], mode="overwrite")
        self.assertEqual((self.ids("a"), self.states()), (list(range(5, 10)), [None] * 3))

    def test_a_new_version_of_a_stream_asks_for_a_full_refresh(self):
        one = [BOTH, ["message", {"type": "ACTIVATE_VERSION", "stream": "a", "version": 1}], ["rows", "a", 0, 5, {"version": 1}],
               ["state", {"at": 1}]]
        self.sync(one)
        self.sync([], again=one)
        self.fails("version_changed", [], again=[BOTH, ["rows", "a", 0, 5, {"version": 2}]])

    def test_an_empty_text_is_no_null_and_a_member_that_is_not_there_is(self):
        record = {"type": "RECORD", "stream": "a"}
        self.sync([BOTH, *(["message", {**record, "record": r}] for r in ({"id": 1, "v": ""}, {"id": 2, "v": None}, {"id": 3}))])
        db = sqlite3.connect(self.database)
        self.assertEqual(db.execute("select v from a order by id").fetchall(), [("",), (None,), (None,)])
        db.close()

    def test_a_cancelled_run_ends_its_tap_and_can_be_continued(self):
        script = [BOTH, ["rows", "a", 0, 2000], ["state", {"at": 2000}], ["sleep", 600]]
        file = self.folder / "sync.json"
        self.sync([BOTH])  # the file is like this one but for its script
        whole = json.loads(file.read_text())
        whole["source"]["config"]["config"]["script"] = script
        file.write_text(json.dumps(whole))
        run = subprocess.Popen([BINARY, "sync", file], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "CONNECTORD_CONFIG": str(self.settings)})
        for until in [time.monotonic() + PATIENCE_S] * 100000:
            if len(self.lines()) == 2 or time.monotonic() > until:
                break
            time.sleep(0.01)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=PATIENCE_S)
        self.assertEqual(run.returncode, 2)
        self.assert_nothing_left()


class Secrets(TapTest):
    def test_of_its_settings_are_not_shown_by_the_command_either(self):
        said = self.fails("orders *** canary", [BOTH, ["say", "orders canary-pass canary\n", 1], ["exit", 3]], default_target_schema="orders",
                          api_key="canary-pass")
        self.assertNotIn("canary-pass", said)


class Zoo(TapTest):
    """fault F23: programs that do what no tap should end with a reason, and leave no run stuck and nothing behind.
    X4: what they print is read within limits, and what it says is checked."""

    def good(self, *steps):
        """Whatever it does besides, the rows come."""
        self.sync([BOTH, ["rows", "a", 0, 10], *steps, ["rows", "a", 10, 20], ["state", {"at": 20}]])
        self.assertEqual(self.ids("a"), list(range(20)))

    def bad(self, reason, *steps, **more):
        """What it sent before is kept up to its state, and no further."""
        self.fails(reason, [BOTH, ["rows", "a", 0, 1000], ["state", {"at": 1000}], ["rows", "a", 1000, 1003], *steps], **more)
        self.assertEqual(self.ids("a"), list(range(1000)))

    def test_dies(self):
        self.bad("exit status 9", ["exit", 9])

    def test_dies_of_a_signal(self):
        self.bad("signal 11 (SEGV)", ["signal", 11])

    def test_dies_in_the_middle_of_a_line(self):
        self.bad("program_failed", ["raw", '{"type":"RECORD","stream":"a","rec'], ["exit", 1])

    def test_ends_well_in_the_middle_of_a_line(self):
        self.bad("bad_message", ["raw", '{"type":"RECORD","stream":"a","rec'], ["exit", 0])

    def test_hangs(self):
        self.fails("idle_timeout", [BOTH, ["rows", "a", 0, 10], ["sleep", 600]], policy={"idle_timeout_s": 1})
        self.assertEqual(self.ids("a"), [])

    def test_forks_and_leaves_its_child_with_the_output(self):
        self.good(["child", "open"], ["state", {}])

    def test_hides_a_child_in_another_session(self):
        self.good(["child", "hidden"], ["state", {}])

    def test_floods_its_standard_error(self):
        self.good(["say", "DEBUG nothing new here\n", 100000])

    def test_says_one_endless_line(self):
        self.good(["say", "x", 3000000])

    def test_prints_garbage(self):
        self.bad("Hello", ["raw", "Hello from a print\n"])

    def test_prints_binary(self):
        self.bad("bad_message", ["bytes", 0, 1, 2, 128, 10])

    def test_prints_a_nul(self):
        self.bad("bad_message", ["bytes", *b'{"type":"STATE","value":{"a":"\0"}}\n'])

    def test_names_a_stream_with_a_nul(self):
        self.bad("", ["bytes", *rb'{"type":"RECORD","stream":"a\u0000b","record":{"id":1}}', 10])

    def test_tells_a_million_schemas(self):
        """What was not selected is forgotten at once: it has the memory for nothing else."""
        n = 50_000 if sanitized() else 1_000_000
        limits = {} if sanitized() else {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))}
        self.sync([BOTH, ["rows", "a", 0, 10], ["schemas", n], ["rows", "a", 10, 20], ["state", {"at": 20}]], limits=limits)
        self.assertEqual(self.ids("a"), list(range(20)))

    def test_tells_the_same_schema_again_and_again(self):
        self.good(*[BOTH] * 3000)

    def test_ignores_the_polite_signal(self):
        self.fails("idle_timeout", [BOTH, ["deaf"], ["sleep", 600]], policy={"idle_timeout_s": 1})

    def test_prints_an_endless_line(self):
        self.bad("line_too_long", ["raw", '{"type":"RECORD","stream":"a","record":{"v":"'], ["raw", "x", 20000000])

    def test_prints_a_message_that_nobody_knows(self):
        self.bad("WHATEVER", ["message", {"type": "WHATEVER", "stream": "a"}])

    def test_prints_json_that_is_no_message(self):
        self.bad("no JSON object", ["raw", "[1,2]\n"])

    def test_nests_without_end(self):
        self.bad("nested", ["raw", '{"type":"STATE","value":'], ["raw", "[", 2000], ["raw", "\n"])

    def test_tells_a_schema_without_columns(self):
        self.bad("bad_schema", ["message", {"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": []}])

    def test_names_a_key_that_is_no_column(self):
        self.bad("bad_schema", ["message", {"type": "SCHEMA", "stream": "a", "schema": SCHEMA, "key_properties": ["x"]}])

    def test_sends_a_record_before_its_schema(self):
        self.fails("record_before_schema", [["rows", "a", 0, 1]])

    def test_eats_memory(self):
        self.bad("program_failed", ["memory", 1000])

    def test_fills_the_disk(self):
        self.bad("program_failed", ["write", 5 << 20])

    def test_opens_too_many_files(self):
        self.bad("program_failed", ["files", 100])

    def test_waits_for_input(self):
        self.good(["input"])

    def test_prints_blank_lines_and_streams_that_nobody_selected(self):
        self.good(["raw", "\n  \n"], ["schema", "c"], ["rows", "c", 0, 10])

    def test_closes_its_output_and_goes_on(self):
        self.sync([BOTH, ["rows", "a", 0, 10], ["state", {}], ["close"], ["sleep", 0.3]])
        self.assertEqual(self.ids("a"), list(range(10)))

    def test_breaks_its_own_schema(self):
        rows = [["message", {"type": "RECORD", "stream": "a", "record": r}] for r in ({"id": 1}, {"v": "no id"}, {"id": "text"})]
        self.sync([BOTH, *rows], status=3)
        self.assertEqual(self.ids("a"), [1])

    def test_has_no_catalog(self):
        for printed in ("no JSON", '{"a":1}', '{"streams":[{"stream":"a","schema":{"$ref":"#/nowhere"}}]}'):
            said = self.sync([], status=1, discover=printed)
            self.assertIn("printed no catalog", str(said))

    def test_fails_to_discover(self):
        self.assertIn("exit status 4", str(self.sync([], status=1, discover="{}", discover_status=4)))

    def test_is_not_listed(self):
        self.settings.write_text('{"exec":{"enabled":false}}')
        self.assertIn("program_not_listed", str(self.sync([], status=1)))


if __name__ == "__main__":
    main()
