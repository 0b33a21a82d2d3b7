#!/usr/bin/env python3
"""Streams that are moved at the same time: each row once, in every mode, whatever fails on the way."""
import json
import pathlib
import re
import subprocess
import time

from database_case import OwnService, main, variants
from service import BINARY, PATIENCE_S, ServiceTest, sanitized, wait_until

STREAMS, ROWS = 8, 2000
MODES = [("full_refresh", "overwrite"), ("full_refresh", "append_dedup"), ("incremental", "append_dedup"), ("incremental", "append")]


def status_of(pid, key):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{key}:\s+(\d+)", text, re.M)[1])


class Eight:
    """Eight tables, of a SQLite file unless said, and a database that takes several writers."""

    def eight(self, rows=ROWS, first=0):
        """Tables of different sizes; the last one has no key."""
        for i in range(STREAMS):
            if first == 0:
                key = " primary key" if i < STREAMS - 1 else ""
                self.src.create(f"t{i}", f"id {{int}} not null{key}, s {{text}}, n {{int}}")
            n = rows * (i + 1) // STREAMS
            self.src.insert(f"t{i}", [(k, f"row {k} of {i}", k * i) for k in range(first, first + n)])

    def streams(self):
        """Every mode twice; a table without a key can only be rewritten or appended to."""
        chosen = []
        for i in range(STREAMS):
            sync, write = MODES[i % len(MODES)] if i < STREAMS - 1 else MODES[0]
            cursor = {"cursor_field": "id"} if sync == "incremental" else {}
            chosen.append(self.stream(f"t{i}", sync, write, **cursor))
        return chosen

    def joined(self, lanes=4, rows=ROWS, streams=None, **more):
        self.have()
        self.eight(rows)
        policy = {"max_attempts": 3, "backoff_s": 0, "parallel_streams": lanes, **more.pop("run_policy", {})}
        self.connect(streams or self.streams(), run_policy=policy, **more)

    def all_the_same(self):
        for i in range(STREAMS):
            self.same_rows(f"t{i}")

    def committed(self, run):
        return {s["name"]: s["records_committed"] for s in run["stats"]["streams"]}

    def begun(self):
        """A run in whose middle the test is."""
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("some commits", lambda: self.moving(run["id"]))
        return run

    def moving(self, run_id):
        """Some lanes have committed: the log knows it at once, the numbers of the run a little later."""
        answer = self.service.get(f"/v1/runs/{run_id}/logs?type=state,end")
        return answer.status == 200 and len(answer.body.splitlines()) > 3


class Modes(Eight):
    """From every database, in every mode."""

    def test_every_mode(self):
        self.joined()
        run = self.run_it()
        self.assertEqual((run["stats"]["lanes"], run["attempts"]), (4, 1))
        self.all_the_same()
        self.assertEqual(self.committed(run), {f"t{i}": ROWS * (i + 1) // STREAMS for i in range(STREAMS)})
        self.eight(first=ROWS)
        run = self.run_it()
        self.all_the_same()
        added = self.committed(run)
        self.assertEqual(added["t3"], ROWS * 4 // STREAMS, "what was appended comes alone")
        self.run_it(body={"full_refresh": True})
        self.all_the_same()


variants(globals(), Modes, source=("sqlite", "postgres", "mysql"), destination=("postgres", "mysql"))


class Lanes(Eight):
    """When something happens to one of them."""

    def test_each_stream_keeps_its_own_fence_and_number(self):
        self.joined(rows=400, commit={"max_rows": 50})
        run = self.run_it()
        state = {row["stream"]: row for row in self.dst.state("stream", "fence", "seq", "counters")}
        self.assertEqual(len(state), STREAMS)
        for name, committed in self.committed(run).items():
            self.assertEqual(json.loads(state[name]["counters"])["inserted"], committed)
            # Once for all streams together and once for the lane that takes it.
            self.assertEqual(int(state[name]["fence"]), 2, name)

    def test_a_run_may_ask_for_more_or_fewer_and_the_service_caps_it(self):
        self.joined(lanes=1, rows=40)
        for asked, given in ((None, 1), (2, 2), (16, 4)):
            run = self.run_it(body={"parallel_streams": asked})
            self.assertEqual(run["stats"]["lanes"], given)
        self.all_the_same()

    def test_streams_that_stay_together(self):
        self.joined(rows=40, streams=[{**s, "run_in_parallel": s["name"] == "t2"} for s in
                                      [self.stream(f"t{i}") for i in range(STREAMS)]])
        self.assertEqual(self.run_it()["stats"]["lanes"], 2)
        self.all_the_same()

    def test_a_refused_stream_leaves_the_others_alone(self):
        self.joined(rows=40)
        self.dst.create("t5", "id {int} not null primary key, mine {text}")
        run = self.run_it(status="failed")
        self.assertEqual((run["error"]["code"], run["error"]["stream"]), ("table_exists", "t5"))
        self.assertTrue(run["partial_success"])
        for i in range(STREAMS):
            if i != 5:
                self.same_rows(f"t{i}")

    def test_edited_positions_and_a_restart_are_settled_once(self):
        self.joined(rows=800)
        self.run_it()
        edit = {"streams": [{"stream": "t3", "position": {"kind": "cursor", "safe": "350", "high": "349"}}]}
        self.ok(self.service.patch(f"/v1/connections/{self.name}/state", edit))
        self.run_it()
        # Appended from 350 on once more, and not from the beginning.
        self.assertEqual(self.dst.count("t3"), 400 + 50)
        generations = {row["stream"]: int(row["generation"]) for row in self.dst.state("stream", "generation")}
        self.run_it(body={"full_refresh": True})
        for row in self.dst.state("stream", "generation"):
            self.assertEqual(int(row["generation"]), generations[row["stream"]] + 1, row)
        self.all_the_same()

    def test_a_position_given_before_there_is_a_table(self):
        self.joined(rows=800)
        edit = {"streams": [{"stream": "t3", "position": {"kind": "cursor", "safe": "350", "high": "349"}}]}
        self.ok(self.service.patch(f"/v1/connections/{self.name}/state", edit))
        self.run_it()
        self.assertEqual(self.dst.count("t3"), 50)
        self.assertEqual({int(row["generation"]) for row in self.dst.state("generation")}, {1})

    def test_cancelled_in_the_middle_all_lanes_end(self):
        self.joined(rows=60000, commit={"max_rows": 1000})
        run = self.begun()
        began = time.monotonic()
        self.ok(self.service.post(f"/v1/runs/{run['id']}/cancel"), 202)
        run = self.finished(run)
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(run["status"], "cancelled")
        self.run_it()
        self.all_the_same()


    def test_one_connection_ended_by_an_administrator(self):
        self.joined(rows=60000, commit={"max_rows": 1000})
        run = self.begun()
        self.end_one_session()
        run = self.finished(run)
        self.assertEqual((run["status"], run["attempts"]), ("succeeded", 2), run["error"])
        self.all_the_same()
        # An upsert that goes on may meet the row at the border again, which changes nothing.
        inserted = {s["name"]: s["counts"]["inserted"] for s in run["stats"]["streams"]}
        self.assertEqual(inserted, {f"t{i}": 60000 * (i + 1) // STREAMS for i in range(STREAMS)})

    def end_one_session(self):
        if self.dst.connector == "postgres":
            self.dst.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
                             "and application_name = 'connectord' limit 1")
        else:
            ids = self.dst.execute("select id from information_schema.processlist where db = database() "
                                   "and id <> connection_id() limit 1")
            self.dst.execute(f"kill {ids[0][0]}")


variants(globals(), Lanes, destination=("postgres", "mysql"))


class Killed(Eight):
    """kill -9 in the middle of four lanes."""

    def test_and_continued(self):
        self.joined(rows=24000, commit={"max_rows": 500})
        for _ in range(3):
            run = self.begun()
            self.service.kill()
            self.service.start()
            self.assertIn(self.service.get(f"/v1/runs/{run['id']}").json()["status"], ("failed", "succeeded"))
        self.run_it()
        self.all_the_same()

    def test_memory_does_not_grow_with_the_lanes(self):
        self.joined(rows=60000)
        self.run_it()
        self.all_the_same()
        if not sanitized():
            self.assertLess(status_of(self.service.process.pid, "VmHWM"), 64 << 10)


variants(globals(), Killed, base=OwnService, destination=("postgres", "mysql"))


class Settings(ServiceTest):
    def test_mistakes(self):
        ends = {"source": self.source(), "destination": self.destination(), "name": self.name}
        for wrong in (0, 17, "2"):
            answer = self.service.post("/v1/connections", {**ends, "run_policy": {"parallel_streams": wrong}})
            self.fails(answer, 422, "validation_failed")
            self.assertIn("/run_policy/parallel_streams", answer.pointers)
        self.pair()
        self.fails(self.service.post(f"/v1/connections/{self.name}/runs", {"parallel_streams": 17}), 422, "validation_failed")

    def test_a_file_takes_one_writer(self):
        self.pair(run_policy={"parallel_streams": 4})
        run = self.run_it()
        self.assertEqual(run["stats"]["lanes"], 1)
        log = self.service.get(f"/v1/runs/{run['id']}/logs").text
        self.assertIn("one writer at a time", log)

    def test_from_the_command_line(self):
        path = self.work / "connection.json"
        path.write_text(json.dumps({"source": {"connector": "sample", "config": {"rows": 50}},
                                    "destination": {"connector": "sqlite", "config": {"path": str(self.work / "out.db")}},
                                    "settings": {"run_policy": {"parallel_streams": 2}}}))
        done = subprocess.run([BINARY, "sync", str(path)], capture_output=True, text=True, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout.splitlines()[-1])["stats"]["lanes"], 1)


if __name__ == "__main__":
    main()
