"""Singer targets as a destination: what counts as stored, for targets that echo late, never, twice or
merged, that die, hang and talk, and that after every failure the rest is sent again."""
import json
import pathlib
import sqlite3
import stat
import subprocess
import tempfile

from service import BINARY, PATIENCE_S, ServiceTest, main, wait_until

TARGET = pathlib.Path(__file__).resolve().parents[1] / "support/zoo_target.py"
ROWS = 3000


class Targets(ServiceTest):
    @classmethod
    def setUpClass(cls):
        settings = pathlib.Path(tempfile.mkstemp(prefix="connectord-exec-")[1])
        settings.write_text(json.dumps({"exec": {"enabled": True, "programs": [{"name": "zoo", "path": str(TARGET)}]}}))
        cls.addClassCleanup(settings.unlink)
        cls.arguments = ("--config", str(settings))
        super().setUpClass()

    def have(self, mode, streams=None, after=10, rows=ROWS, settings=None, **more):
        """A connection from a SQLite table to a target of this kind."""
        self.source_path, self.store = self.work / "source.db", self.work / "store.db"
        db = sqlite3.connect(self.source_path)
        db.execute("create table items (id integer primary key, name text)")
        db.execute("create table loose (a integer, b text)")
        db.executemany("insert into items values (?, ?)", ((i, f"item {i}") for i in range(rows)))
        db.executemany("insert into loose values (?, ?)", ((i, "x") for i in range(7)))
        db.commit()
        db.close()
        self.source("sqlite", path=str(self.source_path))
        self.zoo(mode, after, **more)
        return self.connection(streams=streams or [{"name": "items", "sync_mode": "incremental", "cursor_field": "id",
                                                    "destination_sync_mode": "append_dedup"}],
                               **{"run_policy": {"max_attempts": 3, "backoff_s": 0}, **(settings or {})})

    def zoo(self, mode, after=10, **more):
        return self.destination("singer", program="zoo", config={"mode": mode, "after": after, "store": str(self.store)}, **more)

    def run_it(self, status="succeeded", **body):
        run = self.finished(self.ok(self.service.post(f"/v1/connections/{self.name}/runs?wait=55", body or None), 201))
        self.assertEqual(run["status"], status, run["error"])
        return run

    def rows(self, stream="items"):
        db = sqlite3.connect(self.store)
        try:
            return [json.loads(r[0]) for r in db.execute("select record from rows where stream = ? order by n", (stream,))]
        finally:
            db.close()

    def starts(self):
        db = sqlite3.connect(self.store)
        try:
            return db.execute("select count(*) from starts").fetchone()[0]
        finally:
            db.close()

    def position(self, stream="items"):
        rows = self.ok(self.service.get(f"/v1/connections/{self.name}/state"))["streams"]
        return next((r["position"] for r in rows if r["stream"] == stream), None)

    def whole(self, count=ROWS):
        ids = [r["id"] for r in self.rows()]
        self.assertEqual(sorted(ids), list(range(count)))

    def good(self, mode, **more):
        """All rows arrive, the bookmark is kept, and the next run goes on from it."""
        self.have(mode, **more)
        run = self.run_it()
        self.assertEqual((run["stats"]["records_committed"], run["attempts"]), (ROWS, 1))
        self.whole()
        self.assertTrue(self.position())
        db = sqlite3.connect(self.source_path)
        db.execute(f"insert into items values ({ROWS}, 'new')")
        db.commit()
        db.close()
        run = self.run_it()
        self.assertEqual(run["stats"]["records_read"], 2)
        self.whole(ROWS + 1)

    # ------------------------------------------------------- targets that do their work

    def test_echo_at_the_end(self):
        self.good("end")
        self.assertEqual(self.starts(), 2)

    def test_echo_with_every_state(self):
        self.good("prompt", echo="state")

    def test_echo_of_every_state_judged_at_the_end(self):
        self.good("prompt")

    def test_echo_late(self):
        self.good("late", settings={"commit": {"max_rows": 100}})

    def test_echo_twice(self):
        self.good("twice", echo="state")

    def test_echo_merged(self):
        self.good("merged", settings={"commit": {"max_rows": 100}})

    def test_echo_of_the_whole_message(self):
        self.good("wrapped")

    def test_echo_between_noise(self):
        self.good("garbage")

    def test_never_is_believed_when_it_is_told_to(self):
        self.good("never", require_echo=False)

    def test_commits_in_the_middle_of_a_stream(self):
        """A process for so many rows: what was stored before a failure is not sent again."""
        self.have("dies", after=1200, restart_rows=1000, rows=5000, settings={"commit": {"max_rows": 500}})
        self.zoo("dies", after=900, restart_rows=500)
        run = self.run_it()
        self.assertEqual(run["attempts"], 2)
        self.whole(5000)
        self.assertGreater(self.starts(), 3)

    # ---------------------------------------------------------- targets that do not

    def bad(self, mode, reason, **more):
        """The run fails, nothing counts; with a target that works everything arrives."""
        self.have(mode, **more)
        run = self.run_it("failed")
        self.assertEqual(run["error"]["code"], reason, run["error"])
        self.assertEqual(run["stats"]["records_committed"], 0)
        self.assertIsNone(self.position())
        self.zoo("end")
        self.assertEqual(self.run_it()["stats"]["records_committed"], ROWS)
        self.whole()
        return run

    def test_never(self):
        run = self.bad("never", "target_silent")
        self.assertIn("require_echo", run["error"]["message"])

    def test_only_the_first(self):
        self.bad("stale", "target_silent", settings={"commit": {"max_rows": 100}})

    def test_only_the_first_is_no_never(self):
        self.bad("stale", "target_silent", require_echo=False, settings={"commit": {"max_rows": 100}})

    def test_silent_while_it_is_waited_for(self):
        self.have("end", echo="state", echo_timeout_s=1)
        self.assertEqual(self.run_it("failed")["error"]["code"], "target_silent")

    def test_ends_with_0_too_early(self):
        """Whether that shows while rows are written, and is tried again, or behind them: it counts nothing."""
        self.have("early")
        run = self.finished(self.ok(self.service.post(f"/v1/connections/{self.name}/runs?wait=55"), 201))
        if run["status"] == "failed":
            self.assertEqual(run["error"]["code"], "target_silent")
            self.assertIsNone(self.position())
        else:
            self.assertEqual(run["attempts"], 2)
        self.zoo("end")
        self.run_it()
        self.whole()

    def again(self, mode):
        """It fails once; the next attempt of the same run sends everything again."""
        self.have(mode)
        run = self.run_it()
        self.assertEqual(run["attempts"], 2)
        self.assertEqual(run["stats"]["records_committed"], ROWS)
        self.whole()

    def test_dies(self):
        self.again("dies")

    def test_killed_after_it_has_stored(self):
        self.again("killed")

    def test_what_it_said_last_is_in_the_error(self):
        self.have("refuses")
        error = self.run_it("failed")["error"]
        self.assertEqual(error["code"], "program_failed")
        self.assertIn("the configuration is wrong", error["message"])
        check = self.service.post(f"/v1/destinations/{self.name}/check").json()
        self.assertIn("the configuration is wrong", json.dumps(check))

    def test_a_secret_that_it_says_is_seen_nowhere(self):
        self.have("end")
        self.destination("singer", program="zoo", config={"mode": "refuses", "store": str(self.store), "password": "p4ss!"})
        run = self.run_it("failed")
        logs = self.service.get(f"/v1/runs/{run['id']}/logs").text
        check = self.service.post(f"/v1/destinations/{self.name}/check").json()
        for told in json.dumps(run), logs, json.dumps(check):
            self.assertIn("the configuration is wrong", told)
            self.assertNotIn("p4ss!", told)

    def test_closes_its_output(self):
        self.again("closes")

    def has_all(self):
        try:
            return len(self.rows()) == ROWS
        except sqlite3.OperationalError:
            return False  # it has not begun

    def test_hangs(self):
        """Cancelling ends it, with all that it has started."""
        self.have("hangs")
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("the target to have all rows", self.has_all)
        self.ok(self.service.post(f"/v1/runs/{run['id']}/cancel"), 202)
        self.assertEqual(self.finished(run)["status"], "cancelled")
        self.assertIsNone(self.position())

    def test_never_reads(self):
        """fault F23: and ignores the polite signal. The run ends, and so does it."""
        self.have("deaf", settings={"run_policy": {"max_attempts": 1, "backoff_s": 0, "idle_timeout_s": 1}}, rows=100_000)
        run = self.run_it("failed")
        self.assertEqual(run["error"]["code"], "idle_timeout", run)

    # -------------------------------------------------------------------- the rest

    def test_full_refresh_activates_its_version(self):
        streams = [{"name": "items"}, {"name": "loose"}]
        self.have("end", streams=streams)
        self.run_it()
        db = sqlite3.connect(self.source_path)
        db.execute("delete from items where id >= 10")
        db.commit()
        db.close()
        self.run_it()
        self.whole(10)
        self.assertEqual(len(self.rows("loose")), 7)

    def test_a_source_that_is_empty_by_mistake_empties_nothing(self):
        streams = [{"name": "items"}]
        self.have("end", streams=streams)
        self.run_it()
        db = sqlite3.connect(self.source_path)
        db.execute("delete from items")
        db.commit()
        db.close()
        self.run_it()
        self.whole()
        self.ok(self.service.patch(f"/v1/connections/{self.name}", {"streams": [{"name": "items", "allow_empty": True}]}))
        self.run_it()
        self.assertEqual(self.rows(), [])

    def test_what_cannot_be_represented_goes_to_a_stream_of_its_own(self):
        self.have("end", rows=3, streams=[{"name": "odd"}])
        db = sqlite3.connect(self.source_path)
        db.execute("create table odd (id integer primary key, at timestamp)")
        db.execute("insert into odd values (1, '2024-01-01 00:00:00'), (2, 'yesterday')")
        db.commit()
        db.close()
        run = self.run_it()
        self.assertEqual(run["stats"]["streams"][0]["counts"]["quarantined_cells"], 1)
        self.assertEqual([r["at"] for r in self.rows("odd")], ["2024-01-01T00:00:00", None])
        (bad,) = self.rows("_connectord_quarantine")
        self.assertEqual((bad["stream"], bad["column"], bad["raw"], bad["level"]), ("odd", "at", "yesterday", "cell"))

    def test_at_least_once_is_stated(self):
        self.have("end")
        self.assertEqual(self.ok(self.service.get(f"/v1/connections/{self.name}"))["delivery"], "at_least_once")

    def test_programs_that_are_not_listed(self):
        self.have("end")
        self.destination("singer", program="other", config={})
        self.assertEqual(self.run_it("failed")["error"]["code"], "program_not_listed")
        clear = self.service.post(f"/v1/connections/{self.name}/clear?wait=20")
        self.assertIn("cannot be told to remove", clear.text)

    def test_our_own_target_behind_the_service(self):
        """The program itself as a target: what goes in one side comes out in the other."""
        self.assertTrue(stat.S_IMODE(TARGET.stat().st_mode) & 0o100)
        self.have("end")
        tap = subprocess.run([BINARY, "source", "sqlite", "--config_json", json.dumps({"path": str(self.source_path)}),
                              "--selected_streams_json", '["items"]'], capture_output=True, timeout=PATIENCE_S, check=True)
        into = self.work / "into.db"
        done = subprocess.run([BINARY, "destination", "sqlite", "--config_json", json.dumps({"path": str(into)})], input=tap.stdout,
                              capture_output=True, timeout=PATIENCE_S, check=True)
        db = sqlite3.connect(into)
        self.assertEqual(db.execute("select count(*) from items").fetchone()[0], ROWS)
        db.close()
        self.assertIn("bookmarks", json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
