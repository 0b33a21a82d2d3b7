#!/usr/bin/env python3
"""Bookmarks: ties, moved rows, late commits, strange cursors. Rules B1 to B9."""
import datetime
import threading
import time

from database_case import ENGINES, SERVERS, OwnService, main, variants
from service import wait_until

WIDE = "x" * 110_000  # about ten of these rows make a page
ANY = tuple(ENGINES)


class Ties:
    """T1, lessons 3 and 5: rows that share one timestamp, pages of ten, and the service dies after each page."""

    def ties(self, key):
        self.have()
        self.src.create("t", f"id {{int}}{' not null primary key' if key else ''}, at {{time}}, pad {{text}}")
        base = datetime.datetime(2024, 5, 1, 12, 0, 0)
        rows = [(i, base, WIDE) for i in range(1, 31)]
        # Lesson 3: (2, 1) after (1, 9) in the order of (time, key).
        rows += [(i, base + datetime.timedelta(seconds=1), WIDE) for i in range(-5, 1)]
        self.src.insert("t", [(i, str(at) if self.src.connector == "sqlite" else at, pad) for i, at, pad in rows])
        self.connect([self.incremental("t", "append")], commit={"max_rows": 1})

    def die_after_each_page(self):
        """How often it died before a run came to its end; each died after its first page of its own."""
        for n in range(40):
            # The first commits of a run say who writes, and perhaps make the tables.
            if not self.die_at("after_commit", 3):
                return n
            ids = [i for i, in self.dst.execute("select id from t")] if "t" in self.dst.tables() else []
            self.assertEqual(len(ids), len(set(ids)), "a row came twice")
        self.fail("rows that share a timestamp are read for ever")

    def check(self):
        self.again()
        self.run_it()
        self.run_it()
        self.same_rows("t", "id, at")

    def test_with_a_key(self):
        self.ties(key=True)
        self.assertGreaterEqual(self.die_after_each_page(), 2)
        self.check()

    def test_without_a_key(self):
        self.ties(key=False)
        self.die_after_each_page()
        self.check()


class Moved:
    """T2, lesson 1: a row is updated between two pages, so that it moves across their border."""

    def moved(self, sync, write):
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}, pad {text}")
        old = "2024-01-01 00:00:00"
        self.src.insert("t", [(i, old, WIDE) for i in range(1, 51)])
        self.connect([self.stream("t", sync, write, cursor_field="at" if sync == "incremental" else None)],
                     commit={"max_rows": 1})
        self.assertTrue(self.die_at("after_commit", 4))
        # What was delivered moves behind what was not, and the other way round.
        for i, n in ((1, 1000), (2, 1001), (50, -50), (49, -49)):
            self.src.execute(f"update t set id = ?, at = {self.src.now} where id = ?", (n, i))
        self.again()
        self.run_it()
        self.settle()

    def settle(self):
        """Stamps of a moment ago are read by the next run, once their second is over."""
        time.sleep(1.2)
        self.run_it()

    def test_full_refresh(self):
        self.moved("full_refresh", "overwrite")
        self.same_rows("t", "id")

    def test_incremental(self):
        self.moved("incremental", "append_dedup")
        missing = {i for i, in self.src.execute("select id from t")} - {i for i, in self.dst.execute("select id from t")}
        self.assertEqual(missing, set())


class Late:
    """T3, lesson 2: a transaction is open during the run and commits an older value later."""

    def late(self, write="append"):
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}")
        self.connect([self.incremental("t", write)], source_config={"safe_wait_s": 0})
        self.put(1)
        time.sleep(1.1)
        self.run_it()

    def put(self, i, db=None):
        self.src.execute(f"insert into t values ({i}, {self.src.now})", db=db)

    def settled(self, columns="id"):
        """Until all is there: what others have open on the same server may hold some of it back. Then once more."""
        def complete():
            self.run_it()
            return self.dst.count("t") >= self.src.count("t")
        time.sleep(1.2)
        wait_until("all rows", complete)
        self.run_it()
        self.same_rows("t", columns)

    def open(self):
        db = self.src.connect()
        self.addCleanup(db.close)
        return db

    def test_committed_after_the_run(self):
        self.late()
        writer = self.open()
        self.src.begin(writer)
        self.put(2, writer)
        for i in (3, 4):  # newer ones are committed and seen first
            self.put(i)
            time.sleep(1.1)
            self.run_it()
        self.assertNotIn((2,), self.dst.rows("t", "id"))
        self.src.execute("commit", db=writer)
        self.settled()

    def test_only_begun_before_the_run(self):
        """It has only looked at the clock so far, and writes what it saw then."""
        self.late()
        writer = self.open()
        self.src.begin(writer)
        stamp = self.src.execute(f"select {self.src.now}, (select count(*) from t)", db=writer)[0][0]
        time.sleep(1.1)
        self.put(3)
        time.sleep(1.1)
        self.run_it()
        self.src.execute("insert into t values (2, ?)", (stamp,), db=writer)
        self.src.execute("commit", db=writer)
        self.settled()

    def test_writes_between_two_runs(self):
        """It has only read when a run looks at it, and is the same one when it has written."""
        self.late()
        writer = self.open()
        self.src.begin(writer)
        stamp = self.src.execute(f"select {self.src.now}, (select count(*) from t)", db=writer)[0][0]
        for i in (3, 4, 5):
            time.sleep(1.1)
            self.put(i)
            time.sleep(1.1)
            self.run_it()
            if i == 3:
                self.src.execute("insert into t values (2, ?)", (stamp,), db=writer)
        self.src.execute("commit", db=writer)
        self.settled()

    def test_waits_for_a_lock_before_it_writes(self):
        """Its time is that of a statement that the first run finds waiting, and no transaction yet; the second finds
        a transaction."""
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}")
        self.src.create("other", "id {int}")
        self.src.insert("other", [(2,)])
        self.connect([self.incremental("t", "append")], source_config={"safe_wait_s": 0})
        holder, writer = self.open(), self.open()
        self.src.begin(holder)
        self.src.execute({"postgres": "lock table other in access exclusive mode",
                          "mysql": "lock tables other write"}[self.src.connector], db=holder)
        self.src.begin(writer)
        waiting = threading.Thread(target=self.src.execute, args=(
            f"insert into t select id, {self.src.now} from other",), kwargs={"db": writer})
        waiting.start()
        for i in (3, 4):
            time.sleep(1.1)
            self.put(i)
            time.sleep(1.1)
            self.run_it()
            if i == 3:
                self.src.execute({"postgres": "commit", "mysql": "unlock tables"}[self.src.connector], db=holder)
                waiting.join()
        self.src.execute("commit", db=writer)
        self.settled()

    def test_rolled_back(self):
        self.late()
        writer = self.open()
        self.src.begin(writer)
        self.put(2, writer)
        self.run_it()
        self.src.execute("rollback", db=writer)
        self.put(3)
        self.settled()

    def test_by_a_number(self):
        """The number is taken before, and committed after, a greater one."""
        self.have()
        serial = {"postgres": "id bigserial primary key", "mysql": "id bigint auto_increment primary key"}
        self.src.execute(f"create table t ({serial[self.src.connector]}, s varchar(10))")
        self.connect([self.incremental("t", "append", "id")], source_config={"safe_wait_s": 0})
        writer = self.open()
        self.src.execute("insert into t (s) values ('first')")
        self.src.begin(writer)
        self.src.execute("insert into t (s) values ('late')", db=writer)
        self.src.execute("insert into t (s) values ('after')")
        self.run_it()
        self.src.execute("insert into t (s) values ('more')")
        self.run_it()
        self.src.execute("commit", db=writer)
        self.settled("id, s")
        self.src.execute("insert into t (s) values ('last')")
        self.settled("id, s")


class Prepared:
    """T3: the transaction is prepared, and no session holds it."""

    def test_prepared(self):
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}")
        self.connect([self.incremental("t", "append")], source_config={"safe_wait_s": 0})
        self.src.execute(f"insert into t values (1, {self.src.now})")
        self.src.execute("begin")
        self.src.execute(f"insert into t values (2, {self.src.now})")
        gid = self.src.database
        self.src.execute(f"prepare transaction '{gid}'")
        try:
            time.sleep(1.1)
            for i in (3, 4):
                self.src.execute(f"insert into t values ({i}, {self.src.now})")
                time.sleep(1.1)
                self.run_it()
        finally:
            self.src.execute(f"commit prepared '{gid}'")
        time.sleep(1.2)
        for _ in range(2):
            self.run_it()
        self.same_rows("t", "id")


class Strange:
    """T5, lesson 4: cursors in the future, before Christ, NULL, and going backwards."""

    def strange(self, write="append_dedup", **config):
        self.have()
        self.src.create("t", "id {int} not null primary key, at {time}, s {text}")
        self.connect([self.incremental("t", write)], source_config=config)

    def put(self, i, at, s="a"):
        at = f"'{at}'" if at else "null"
        self.src.execute(f"insert into t values ({i}, {at}, '{s}')")

    def test_a_row_of_the_future_does_not_move_the_bookmark(self):
        self.strange()
        self.put(1, "2099-01-01 00:00:00")
        self.run_it()
        for i in range(2, 5):
            self.src.execute(f"insert into t values ({i}, {self.src.now}, 'now')")
            self.run_it()
        self.same_rows("t", "id, s")
        self.assertEqual(self.dst.count("t", "where id = 1"), 1)

    def test_a_row_of_the_future_is_appended_once_its_time_has_come(self):
        self.strange("append")
        self.put(1, "2099-01-01 00:00:00")
        for _ in range(2):
            self.run_it()
        self.assertEqual(self.dst.count("t") if "t" in self.dst.tables() else 0, 0)
        self.src.execute(f"update t set at = {self.src.now}")
        time.sleep(2.2)
        for _ in range(2):
            self.run_it()
        self.assertEqual(self.dst.count("t"), 1)

    def test_the_distant_past(self):
        self.strange()
        self.put(1, "4713-01-01 00:00:00 BC" if self.src.connector == "postgres" else "1000-01-01 00:00:00")
        self.put(2, "1969-12-31 23:59:59")
        self.run_it()
        self.src.execute(f"insert into t values (3, {self.src.now}, 'now')")
        self.run_it()
        self.same_rows("t", "id, s")

    def test_null_comes_with_the_first_run(self):
        """And the runs after it read what has changed, not everything."""
        self.strange()
        for i in range(1, 21):
            self.put(i, None if i % 2 else "2024-01-01 00:00:00")
        self.assertEqual(self.run_it()["stats"]["records_read"], 20)
        self.put(21, None)
        time.sleep(1.1)
        self.src.execute(f"insert into t values (22, {self.src.now}, 'now')")
        run = self.run_it()
        self.assertLess(run["stats"]["records_read"], 5)
        self.assertEqual(self.dst.count("t"), 21)

    def test_null_comes_with_every_run(self):
        self.strange(null_cursor="every_run")
        self.put(1, None)
        self.run_it()
        self.put(2, None)
        self.src.execute("update t set s = 'changed' where id = 1")
        self.run_it()
        self.same_rows("t", "id, s")

    def test_null_is_refused(self):
        self.strange(null_cursor="fail")
        self.put(1, None)
        self.assertEqual(self.failed(body={"max_attempts": 1})["code"], "null_cursor")

    def test_going_backwards(self):
        """A row's own cursor may go back: it was delivered, and newer rows still come."""
        self.strange()
        self.src.execute(f"insert into t values (1, {self.src.now}, 'a')")
        self.run_it()
        self.src.execute("update t set at = '2001-01-01 00:00:00', s = 'b'")
        self.src.execute(f"insert into t values (2, {self.src.now}, 'c')")
        self.run_it()
        self.assertIn((2, "c"), self.dst.rows("t", "id, s"))
        self.assertEqual(self.dst.count("t"), 2)

    def test_a_bookmark_ahead_of_the_clock_is_no_success(self):
        self.strange()
        self.src.execute(f"insert into t values (1, {self.src.now}, 'a')")
        self.run_it()
        state = self.ok(self.service.get(f"/v1/connections/{self.name}/state"))["streams"][0]
        path = f"/v1/connections/{self.name}/state/{state['stream']}"
        ahead = {**state["position"], "safe": "2999" + state["position"]["safe"][4:]}
        self.ok(self.service.put(path, {"position": ahead}))
        self.assertEqual(self.failed(body={"max_attempts": 1})["code"], "cursor_regressed")
        self.assertEqual(self.dst.count("t"), 1)


variants(globals(), Ties, OwnService, source=ANY)
variants(globals(), Ties, OwnService, source=("sqlite",), destination=SERVERS)
variants(globals(), Moved, OwnService, source=ANY)
variants(globals(), Late, source=SERVERS)
variants(globals(), Prepared, source=("postgres",))
variants(globals(), Strange, source=ANY)


if __name__ == "__main__":
    main()
