#!/usr/bin/env python3
"""What goes wrong with databases: each has its reason, a sentence a person can act on, the right
number of tries, and does no damage. Lessons 9, 10, 22, 23 and 25."""
import pathlib
import shutil
import threading
import time

from database_case import ENGINES, SERVERS, DatabaseTest, Proxy, main, variants, wait_until
from own_server import OwnMysql, OwnPostgres, small_disk
import databases

OWN = {"postgres": OwnPostgres, "mysql": OwnMysql}


class Refused:
    """The server or what lies before it says no, whichever end it is. Lesson 25: what asking again
    cannot change is not asked again."""

    def made(self, **wrong):
        self.have()
        for engine in (self.src, self.dst):
            engine.create("t" if engine is self.src else "unrelated", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(1, "a"), (2, "b")])
        config = {f"{self.side}_config": wrong}
        self.connect([self.stream("t")], run_policy={"max_attempts": 2, "backoff_s": 0}, **config)

    def expect(self, code, retryable, *words):
        """The run and the check of the connector say the same, without the password."""
        run = self.run_it(status="failed")
        error = run["error"]
        self.assertEqual((error["code"], error["retryable"], error["origin"]), (code, retryable, self.side), error)
        if retryable and self.side == "source":  # its streams were not known yet: looking for them is tried again
            self.assertIn("trying again", self.service.get(f"/v1/runs/{run['id']}/logs").text)
        else:
            self.assertEqual(run["attempts"], 2 if retryable else 1)
        for word in words:
            self.assertIn(word, error["message"])
        self.assertNotIn(databases.PASSWORD, str(run))
        self.assertGreater(len(error["message"].split()), 3)
        self.assertNotIn("\n", error["message"])
        check = self.ok(self.service.post(f"/v1/{self.side}s/{self.name}/check"))
        self.assertEqual(check["status"], "failed", check)
        self.assertEqual(check["error"]["code"] if "error" in check else check["code"], code, check)

    @property
    def engine(self):
        return self.src if self.side == "source" else self.dst

    def test_wrong_password(self):
        """Lesson 23: it is in no log, no answer and no list of processes."""
        self.made(password="not this one")
        self.expect("auth_failed", False, databases.USER)
        self.assertNotIn("not this one", self.service.said())
        command = pathlib.Path(f"/proc/{self.service.process.pid}/cmdline").read_bytes()
        for log in (self.folder / "data").rglob("*.ndjson"):
            self.assertNotIn("not this one", log.read_text())
        self.assertNotIn(b"not this one", command)
        self.assertNotIn("not this one", self.service.get(f"/v1/{self.side}s/{self.name}").text)

    def test_unknown_user(self):
        self.made(username="nobody_knows")
        self.expect("auth_failed", False, "nobody_knows")

    def test_unknown_host(self):
        self.made(host="no-such-host.invalid")
        self.expect("host_unknown", False, "no-such-host.invalid")

    def test_nobody_listens(self):
        port = databases.free_port()
        self.made(port=port)
        self.expect("host_unreachable", True, str(port))

    def test_a_server_that_does_not_answer(self):
        self.have()
        proxy = self.through(self.engine)
        proxy.pause()
        self.src.create("t", "id {int} not null primary key")
        self.connect([self.stream("t")], run_policy={"max_attempts": 1, "backoff_s": 0},
                     **{f"{self.side}_config": {"connect_timeout_s": 1}})
        run = self.run_it(status="failed")
        self.assertEqual((run["error"]["code"], run["error"]["retryable"]), ("host_unreachable", True), run["error"])

    def test_missing_database(self):
        self.made(database="no_such_database")
        self.expect("database_missing", False, "no_such_database")

    def test_tls_that_the_server_does_not_offer(self):
        """Lesson 22: asked for encryption, nothing is sent without it."""
        own = OWN[self.engine_kind.connector].shared(tls=False)
        self.made(ssl_mode="require", port=own.port, database=own.database)
        self.expect("tls_failed", False)

    def test_a_certificate_of_an_unknown_authority(self):
        """Lesson 22: who is not verified is not talked to."""
        for mode in ("verify-ca", "verify-full"):
            with self.subTest(mode=mode):
                self.name = f"unknown-authority-{mode}-{self.side}"
                self.made(ssl_mode=mode)
                self.expect("tls_failed", False)

    def test_verification_is_the_default(self):
        self.made(ssl_mode=None)
        self.expect("tls_failed", False)

    def test_a_certificate_for_another_name(self):
        """127.0.0.2 leads to the same server, whose certificate does not name it."""
        server = databases.servers()[self.engine_kind.connector]
        certificate = pathlib.Path(server["certificate"]).read_text()
        self.made(ssl_mode="verify-full", ssl_root_cert=certificate)
        self.run_it()
        other = Proxy(server["port"], host="127.0.0.2")
        self.addCleanup(other.close)
        port = other.port
        self.made_again(host="127.0.0.2", port=port, ssl_mode="verify-full", ssl_root_cert=certificate)
        self.expect("tls_failed", False)
        self.made_again(host="127.0.0.2", port=port, ssl_mode="verify-ca", ssl_root_cert=certificate)
        self.run_it()

    def made_again(self, **config):
        self.connect([self.stream("t")], run_policy={"max_attempts": 2, "backoff_s": 0}, **{f"{self.side}_config": config})

    @property
    def engine_kind(self):
        return self.source_engine if self.side == "source" else self.destination_engine


class RefusedSource(Refused):
    side = "source"
    destination_engine = ENGINES["sqlite"]


class RefusedDestination(Refused):
    side = "destination"
    source_engine = ENGINES["sqlite"]


class Rights:
    """No rights on a table, in a schema, to write."""

    def role(self, engine):
        """A user who may log in and nothing more."""
        name = f"r{engine.database[-14:]}"
        if engine.connector == "postgres":
            engine.execute(f"create role {name} login password 'not much of one'")
            self.addCleanup(lambda: engine.execute(f"drop owned by {name}; drop role {name}"))
        else:
            engine.execute(f"create user '{name}'@'%' identified by 'not much of one'")
            self.addCleanup(lambda: engine.execute(f"drop user '{name}'@'%'"))
        return {"username": name, "password": "not much of one"}

    def test_a_table_that_may_not_be_read(self):
        """The stream fails, the others are delivered."""
        self.have(destination=ENGINES["sqlite"])
        for t in ("a", "b", "c"):
            self.src.create(t, "id {int} not null primary key")
            self.src.insert(t, [(1,)])
        user = self.role(self.src)
        self.connect([self.stream(t) for t in "abc"], source_config=user)
        who = user["username"] if self.src.connector == "postgres" else f"'{user['username']}'@'%'"
        for t in "abc":
            self.src.execute(f"grant select on {t} to {who}")
        self.run_it()  # the catalog knows all three
        self.src.execute(f"revoke select on b from {who}")
        self.src.execute("insert into a values (2)")
        run = self.run_it(status="failed")
        streams = {s["name"]: s for s in run["stats"]["streams"]}
        self.assertEqual([streams[t]["status"] for t in "ac"], ["complete", "complete"])
        self.assertTrue(run["partial_success"])
        error = run["error"]
        self.assertIn(error["code"], ("permission_denied", "stream_missing"), error)
        self.assertFalse(error["retryable"])
        self.assertEqual((self.dst.count("a"), self.dst.count("b")), (2, 1))

    def test_a_destination_that_may_not_be_written(self):
        self.have(ENGINES["sqlite"], self.source_engine)
        self.src.create("t", "id {int} not null primary key")
        self.src.insert("t", [(1,)])
        user = self.role(self.dst)
        if self.dst.connector == "mysql":
            self.dst.execute(f"grant select on `{self.dst.database}`.* to '{user['username']}'@'%'")
        self.connect([self.stream("t")], destination_config=user)
        run = self.run_it(status="failed")
        self.assertEqual((run["error"]["code"], run["error"]["retryable"], run["attempts"]), ("permission_denied", False, 1))
        self.assertEqual(self.dst.tables(), [])


class DuringTheRun:
    """It was well when the run began."""

    def slow_source(self, **more):
        self.have(destination=ENGINES["sqlite"])
        self.proxy = self.through(self.src)
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, "x" * 300) for i in range(8000)])
        self.src.create("other", "id {int} not null primary key")
        self.connect([self.stream("t", "full_refresh", "append_dedup"), self.stream("other")], commit={"max_rows": 1000}, **more)

    def begin(self):
        self.proxy.throttle(300_000, "to_client")
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("rows", lambda: self.proxy.bytes["to_client"] > 200_000)
        return run

    def kill_session(self, engine):
        if engine.connector == "postgres":
            return engine.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
                                  "and application_name like 'connectord%'")
        rows = engine.execute("select id from information_schema.processlist where db = database() and id <> connection_id()")
        for i, in rows:
            engine.execute(f"kill {i}")
        return rows

    def test_an_administrator_ends_the_reading_session(self):
        self.slow_source()
        run = self.begin()
        self.assertTrue(self.kill_session(self.src))
        self.proxy.throttle(None, "to_client")
        run = self.finished(run)
        self.assertEqual((run["status"], run["attempts"]), ("succeeded", 2), run["error"])
        self.same_rows("t", "id, s")

    def test_an_administrator_ends_the_writing_session(self):
        self.have(ENGINES["sqlite"], self.source_engine)
        self.proxy = self.through(self.dst)
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, "x" * 300) for i in range(8000)])
        self.connect([self.stream("t", "full_refresh", "append_dedup")], commit={"max_rows": 1000})
        self.proxy.throttle(300_000, "to_server")
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        wait_until("rows", lambda: self.proxy.bytes["to_server"] > 500_000)
        self.assertTrue(self.kill_session(self.dst))
        self.proxy.throttle(None, "to_server")
        run = self.finished(run)
        self.assertEqual((run["status"], run["attempts"]), ("succeeded", 2), run["error"])
        self.same_rows("t", "id, s")

    def test_the_table_is_dropped_during_the_run(self):
        """The snapshot or a lock protects what is being read, or the stream fails: no half table, no success."""
        self.slow_source()
        run = self.begin()
        dropper = threading.Thread(target=lambda: self.src.execute("drop table t", db=self.other))
        self.other = self.src.connect()
        self.addCleanup(self.other.close)
        dropper.start()
        time.sleep(0.3)
        self.proxy.throttle(None, "to_client")
        run = self.finished(run)
        dropper.join()
        if run["status"] == "succeeded":
            self.assertEqual(self.dst.count("t"), 8000)
        error = self.failed(body={"max_attempts": 1})
        self.assertIn(error["code"], ("stream_missing", "table_missing"))
        self.assertFalse(error["retryable"])
        self.assertEqual(self.dst.count("t"), 8000 if run["status"] == "succeeded" else self.dst.count("t"))

    def test_a_deadlock_with_another_session(self):
        """One of the two is told to give up; when it is ours the batch is written again."""
        self.have(ENGINES["sqlite"], self.source_engine)
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, "a") for i in range(2000)])
        self.connect([self.stream("t", "full_refresh", "append_dedup")])
        self.run_it()
        self.src.execute("update t set s = 'b'")
        over = threading.Event()

        def quarrel():
            db = self.dst.connect()
            while not over.is_set():
                try:
                    self.dst.execute("begin", db=db)
                    for i in (1900, 1000, 500, 10):  # against the order of the batch
                        self.dst.execute(f"update t set s = concat(s, '') where id = {i}", db=db)
                    self.dst.execute("commit", db=db)
                except Exception:  # the deadlock was ours
                    self.dst.execute("rollback", db=db)
            db.close()
        threads = [threading.Thread(target=quarrel) for _ in range(3)]
        for t in threads:
            t.start()
        try:
            for n in range(4):
                self.src.execute(f"update t set s = 'c{n}'")
                self.run_it()
        finally:
            over.set()
            for t in threads:
                t.join()
        self.same_rows("t", "id, s")

    def test_a_value_is_never_executed(self):
        """Lesson 9: not as a bookmark, not as a value, not as a name."""
        self.have(destination=self.source_engine)
        hostile = "'; drop table t; --"
        self.src.execute(f"create table t (id {self.src.types['key']} not null primary key, at {self.src.types['time']}, "
                         f"{self.src.name(hostile)} {self.src.types['text']})")
        for i, value in enumerate(("O'Brien", hostile, "\\'; drop table t; -- ", "$1", "%s", '"', "\\", "a\\")):
            self.src.execute(f"insert into t values (?, {self.src.now}, ?)", (value, value))
        for write in ("append_dedup", "append_dedup"):
            self.connect([self.incremental("t", write)], commit={"max_rows": 1})
            self.run_it()
        self.same_rows("t", f"id")
        self.assertEqual(self.dst.count("t"), 8)


class ReadOnly:
    """A server that its administrator has made read-only: it is said, and nothing is damaged."""
    source_engine = ENGINES["sqlite"]

    def test_read_only(self):
        self.src, self.dst = self.new(self.source_engine), OWN[self.own].shared()
        self.src.create("t", "id {int} not null primary key")
        self.src.insert("t", [(1,)])
        self.connect([self.stream("t")], destination_config=self.dst.limited(), run_policy={"max_attempts": 2, "backoff_s": 0})
        with self.dst.read_only():
            run = self.run_it(status="failed")
            self.assertEqual((run["error"]["code"], run["error"]["retryable"], run["attempts"]), ("read_only", False, 1), run["error"])
            self.assertEqual(self.dst.tables(), [])
        self.run_it()
        self.assertEqual(self.dst.count("t"), 1)


class ReadOnlyPostgres(ReadOnly, DatabaseTest):
    own = "postgres"

    def test_a_standby(self):
        """As a destination it is read-only; as a source it serves."""
        self.src, self.dst = self.new(self.source_engine), OwnPostgres.shared()
        self.src.create("t", "id {int} not null primary key")
        self.src.insert("t", [(1,)])
        self.connect([self.stream("t")])
        self.run_it()
        standby = self.dst.standby()
        self.connect([self.stream("t")], destination_config={"port": standby["port"]},
                     run_policy={"max_attempts": 2, "backoff_s": 0})
        run = self.run_it(status="failed")
        self.assertEqual((run["error"]["code"], run["attempts"]), ("read_only", 1), run["error"])
        self.dst.execute("insert into t select 2, now(), null where exists (select 1 from t)")
        wait_until("the standby", lambda: self.on(standby, "select count(*) from t") == 2)
        self.src, self.dst = self.dst, self.new(ENGINES["sqlite"])
        self.name += "-source"
        for sync in (self.stream("t"), self.incremental("t", "append_dedup", "_connectord_synced_at")):
            self.connect([sync], source_config={"port": standby["port"]}, prefix=sync["sync_mode"] + "_")
            self.run_it()
            self.assertEqual(self.dst.count(sync["sync_mode"] + "_t"), 2)

    def on(self, server, question):
        own = OwnPostgres.__new__(OwnPostgres)
        own.__dict__.update(self.dst.__dict__ if isinstance(self.dst, OwnPostgres) else self.src.__dict__)
        own.server, own.kept = server, None
        try:
            return own.execute(question)[0][0]
        finally:
            own.close()


class ReadOnlyMysql(ReadOnly, DatabaseTest):
    own = "mysql"


class BinaryLog(DatabaseTest):
    """A server that logs statements would refuse ours: rows are logged, by those who may choose."""

    def made(self, form):
        self.src, self.dst = self.new(ENGINES["sqlite"]), OwnMysql.shared(log_bin="binlog", server_id=1, binlog_format=form)
        self.addCleanup(self.dst.drop)
        self.src.create("t", "id {int} not null primary key, s {text}, at {time}")
        self.src.insert("t", [(i, f"s{i}", "2024-01-01 00:00:00.5") for i in range(5000)])

    def test_of_any_format(self):
        for form in ("STATEMENT", "MIXED", "ROW"):
            self.name = f"binary-log-{form.lower()}"
            with self.subTest(form):
                self.made(form)
                self.load()

    def load(self):
        for write in ("overwrite", "append_dedup"):
            self.connect([self.stream("t", write=write)], prefix=f"{write}_")
            self.run_it()
            self.equal_rows(self.dst.rows(f"{write}_t", "id, s"), self.src.rows("t", "id, s"))
            self.assertEqual(self.dst.execute(f"select count(*) from {write}_t where at = '2024-01-01 00:00:00.5'"), [(5000,)])

    def test_who_may_not_choose(self):
        self.made("STATEMENT")
        self.connect([self.stream("t")], destination_config=self.dst.limited())
        run = self.run_it(status="failed")
        self.assertEqual((run["error"]["code"], run["attempts"]), ("permission_denied", 1), run["error"])
        self.assertIn("binlog_format", run["error"]["message"])


class FullDisk:
    """The disk of the destination is full: no damage, a long pause, and the next run goes on."""
    source_engine = ENGINES["sqlite"]

    def test_full_disk(self):
        with small_disk(self.megabytes) as disk:
            if not disk:
                self.skipTest("skipped: a small file system cannot be mounted here")
            server = OWN[self.own].start(disk, **self.settings)
            self.src, self.dst = self.new(self.source_engine), OWN[self.own](server)
            try:
                self.fill(server)
            finally:
                self.dst.close()
                type(self.dst).end(server)

    def fill(self, server):
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, "x" * 2000) for i in range(100)])
        self.connect([self.stream("t", "full_refresh", "append_dedup")])
        self.run_it()
        ballast = server["folder"] / "ballast"
        free = shutil.disk_usage(server["folder"]).free
        with open(ballast, "wb") as out:
            out.write(b"\0" * max(0, free - self.leave))
        self.src.execute("with recursive n(i) as (select 1000 union all select i + 1 from n where i < 31000) "
                         "insert into t select i, hex(randomblob(1000)) from n")
        run = self.run_it(body={"max_attempts": 1}, status="failed")
        self.assertEqual((run["error"]["code"], run["error"]["retryable"]), ("disk_full", True), run["error"])
        ballast.unlink()
        self.recover()
        wait_until("the server", self.answers)
        self.assertGreaterEqual(self.dst.count("t"), 100)
        self.src.execute("delete from t where id >= 2000")
        self.run_it()
        ids = {i for i, in self.dst.execute("select id from t")}
        self.assertTrue({i for i, in self.src.execute("select id from t")} <= ids)

    def recover(self):
        pass

    def answers(self):
        """PostgreSQL starts anew when it cannot write its log, and ends when the disk is too full for that."""
        if not databases.alive(self.dst.server["pid"]):
            self.dst.die()
            self.dst.come_back()
        try:
            self.dst.connect().close()
            return True
        except Exception as why:
            if not any(words in str(why) for words in ("accepting connections", "starting up", "refused", "closed")):
                raise
            return False


class FullDiskPostgres(FullDisk, DatabaseTest):
    own, megabytes, leave = "postgres", 400, 20 << 20
    settings = {"max_wal_size": "64MB", "min_wal_size": "32MB", "wal_keep_size": "0", "shared_buffers": "16MB"}


class FullDiskMysql(FullDisk, DatabaseTest):
    own, megabytes, leave = "mysql", 600, 20 << 20
    settings = {"innodb_log_file_size": "16M", "innodb_buffer_pool_size": "16M"}


variants(globals(), RefusedSource, source=SERVERS)
variants(globals(), RefusedDestination, destination=SERVERS)
variants(globals(), Rights, source=SERVERS)
variants(globals(), DuringTheRun, source=SERVERS)


if __name__ == "__main__":
    main()
