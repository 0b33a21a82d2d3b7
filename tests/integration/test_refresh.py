#!/usr/bin/env python3
"""Full refreshes: nobody who reads notices, what others have made stays, and a source that has
shrunk destroys nothing. T19, T20, lessons 6 and 18."""
import threading
import time

from database_case import ENGINES, SERVERS, main, variants

ANY = tuple(ENGINES)
ROWS = 1000


class Readers:
    """T19: readers in a loop while the table is refreshed, with all that depends on it."""
    reader_count = 50

    def refreshed(self):
        self.have()
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, "first") for i in range(ROWS)])
        if self.dst.connector == "sqlite":
            self.dst.execute("pragma journal_mode = wal")  # else its readers and writers exclude each other
        self.connect([self.stream("t")])
        self.run_it()

    def read(self, question, wrong, over, count):
        db = self.dst.connect()
        try:
            while not over.is_set():
                n = self.dst.execute(question, db=db)[0][0]
                if n != ROWS:
                    wrong.append(f"{question}: {n} rows")
                count.append(1)
                time.sleep(0.02)  # fifty of them must leave something to the one who writes
        except Exception as why:  # whatever the driver calls it, a reader must not see it
            wrong.append(f"{question}: {why}")
        finally:
            db.close()

    def read_during(self, questions, refreshes=5):
        wrong, over, count = [], threading.Event(), []
        readers = [threading.Thread(target=self.read, args=(questions[i % len(questions)], wrong, over, count))
                   for i in range(self.reader_count)]
        for reader in readers:
            reader.start()
        try:
            for n in range(refreshes):
                self.src.execute(f"update t set s = 'refresh {n}'")
                self.run_it()
        finally:
            over.set()
            for reader in readers:
                reader.join()
        self.assertEqual(wrong[:5], [], f"{len(wrong)} of {len(count)} reads went wrong")
        self.assertGreater(len(count), self.reader_count)
        self.assertEqual(self.dst.execute("select distinct s from t"), [(f"refresh {refreshes - 1}",)])

    def test_nothing_depends_on_the_table(self):
        self.refreshed()
        self.read_during(["select count(*) from t"])

    def test_a_view_depends_on_it(self):
        self.refreshed()
        self.dst.execute("create view v as select id, s from t where id >= 0")
        self.read_during(["select count(*) from t", "select count(*) from v"])

    def test_the_rows_are_of_one_generation(self):
        """Half old and half new is nothing that ever was."""
        self.refreshed()
        self.read_during([f"select case when count(distinct s) = 1 then {ROWS} else -1 end from t"])

    def test_deleted_rows_are_gone(self):
        """Lesson 6: a refresh replaces, it does not append."""
        self.refreshed()
        self.src.execute("delete from t where id < 300")
        for _ in range(2):
            self.run_it()
            self.same_rows("t", "id, s")


class Dependents:
    """T19: what others have made on the table is still there, and works."""
    source_engine = ENGINES["sqlite"]

    def made(self):
        self.have()
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, f"s{i}") for i in range(100)])
        self.connect([self.stream("t")])
        self.run_it()

    def refresh(self):
        self.src.execute("update t set s = 'new'")
        for _ in range(2):
            self.run_it()
        self.assertEqual(self.dst.execute("select count(*), count(distinct s) from t"), [(100, 1)])


class PostgresDependents(Dependents):
    destination_engine = ENGINES["postgres"]

    def test_view_matview_grants_comments_index_trigger(self):
        self.made()
        db = self.dst
        role = f"reader_{db.database}"
        db.execute(f"create role {role}")
        self.addCleanup(lambda: db.execute(f"drop owned by {role}; drop role {role}"))
        for sql in ("create view v as select id, s from t", "create materialized view m as select count(*) as n from t",
                    "create index others on t (s) where id > 5", "comment on table t is 'of the shop'",
                    "comment on column t.s is 'a word'", f"grant select on t to {role}",
                    f"grant update (s) on t to {role}", "alter table t set (autovacuum_enabled = false)",
                    "create statistics st on id, s from t", "alter table t alter column s set statistics 500"):
            db.execute(sql)
        self.refresh()
        self.assertEqual(db.execute("select count(distinct s) from v"), [(1,)])
        db.execute("refresh materialized view m")
        self.assertEqual(db.execute("select n from m"), [(100,)])
        self.assertEqual(db.execute("select count(*) from pg_indexes where indexname = 'others' and tablename = 't'"), [(1,)])
        self.assertEqual(db.execute("select obj_description('t'::regclass), col_description('t'::regclass, 2)"),
                         [("of the shop", "a word")])
        self.assertEqual(db.execute(f"select has_table_privilege('{role}', 't', 'select'), "
                                    f"has_column_privilege('{role}', 't', 's', 'update')"), [(True, True)])

    def test_a_snapshot_older_than_the_refresh(self):
        """It sees the table that it finds by its name with rows, and vacuum has nothing left to do."""
        self.made()
        db = self.dst.connect()
        self.addCleanup(db.close)
        self.dst.execute("begin isolation level repeatable read", db=db)
        self.dst.execute("select 1", db=db)
        self.src.execute("update t set s = 'new'")
        self.run_it()
        self.assertEqual(self.dst.execute("select count(*), count(distinct s) from t", db=db), [(100, 1)])
        self.dst.execute("rollback", db=db)
        self.dst.execute("create extension pg_visibility")
        self.assertEqual(self.dst.execute("select bool_and(all_frozen) from pg_visibility_map('t')"), [(True,)])

    def test_without_a_view(self):
        """The same where tables are exchanged by their names."""
        self.made()
        db = self.dst
        role = f"reader_{db.database}"
        db.execute(f"create role {role}")
        self.addCleanup(lambda: db.execute(f"drop owned by {role}; drop role {role}"))
        db.execute("create index others on t (s)")
        db.execute("comment on table t is 'of the shop'")
        db.execute("comment on column t.s is 'a word'")
        db.execute(f"grant select on t to {role}")
        db.execute("create function f() returns trigger language plpgsql as 'begin return new; end'")
        db.execute("create trigger tr before insert on t for each row execute function f()")
        self.refresh()
        self.assertEqual(db.execute("select count(*) from pg_indexes where tablename = 't' and indexdef like '%(s)%'"), [(1,)])
        self.assertEqual(db.execute("select obj_description('t'::regclass), col_description('t'::regclass, 2)"),
                         [("of the shop", "a word")])
        self.assertEqual(db.execute(f"select has_table_privilege('{role}', 't', 'select')"), [(True,)])
        self.assertEqual(db.execute("select count(*) from pg_trigger where tgrelid = 't'::regclass and tgname = 'tr'"), [(1,)])

    def test_a_foreign_key_refers_to_it(self):
        self.made()
        self.dst.execute("create table orders (id int primary key, t_id bigint references t (id) deferrable initially deferred)")
        self.dst.execute("insert into orders values (1, 5)")
        self.refresh()
        self.assertEqual(self.dst.execute("select t.s from orders join t on t.id = orders.t_id"), [("new",)])
        with self.assertRaises(Exception):
            self.dst.execute("insert into orders values (2, 5000)")

    def test_a_publication_and_row_security(self):
        self.made()
        self.dst.execute("create publication p for table t")
        self.dst.execute("alter table t enable row level security")
        self.dst.execute("create policy pol on t using (id < 1000)")
        self.refresh()
        self.assertEqual(self.dst.execute("select count(*) from pg_publication_tables where tablename = 't'"), [(1,)])
        self.assertEqual(self.dst.execute("select relrowsecurity from pg_class where oid = 't'::regclass"), [(True,)])
        self.assertEqual(self.dst.execute("select count(*) from pg_policies where tablename = 't'"), [(1,)])

    def test_a_reader_holds_the_table(self):
        """An open transaction that has read it delays the exchange; the old table stays, and nobody waits for ever."""
        self.made()
        reader = self.dst.connect()
        self.addCleanup(reader.close)
        self.dst.execute("begin", db=reader)
        self.dst.execute("select count(*) from t", db=reader)
        self.src.execute("update t set s = 'new'")
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        time.sleep(2)
        self.assertEqual(self.dst.execute("select count(*) from t"), [(100,)])  # no queue of waiting readers behind us
        self.dst.execute("commit", db=reader)
        self.assertEqual(self.finished(run)["status"], "succeeded")
        self.assertEqual(self.dst.execute("select distinct s from t"), [("new",)])


class MysqlDependents(Dependents):
    destination_engine = ENGINES["mysql"]

    def test_view_foreign_key_grants_index_trigger_comment(self):
        self.made()
        db = self.dst
        user = f"r{db.database[-12:]}"
        db.execute(f"create user '{user}'@'%' identified by 'x'")
        self.addCleanup(lambda: db.execute(f"drop user '{user}'@'%'"))
        for sql in ("create view v as select id, s from t", "create index others on t (s(20))",
                    f"grant select on t to '{user}'@'%'", "alter table t comment 'of the shop'",
                    "create trigger tr before insert on t for each row set @seen = 1"):
            db.execute(sql)
        self.refresh()
        self.assertEqual(db.execute("select count(distinct s) from v"), [(1,)])
        self.assertIn("others", str(db.execute("show create table t")))
        self.assertIn("of the shop", str(db.execute("show create table t")))
        self.assertIn("SELECT", str(db.execute(f"show grants for '{user}'@'%'")))
        self.assertEqual(len(db.execute("show triggers like 't'")), 1)

    def test_a_foreign_key_refers_to_it(self):
        self.made()
        self.dst.execute("create table orders (id int primary key, t_id bigint, foreign key (t_id) references t (id)) engine=innodb")
        self.dst.execute("insert into orders values (1, 5)")
        self.refresh()
        self.assertEqual(self.dst.execute("select t.s from orders join t on t.id = orders.t_id"), [("new",)])
        with self.assertRaises(Exception):
            self.dst.execute("insert into orders values (2, 5000)")


class Shrunk:
    """T20, lesson 18: a source that is empty, much smaller, or unreadable half-way."""

    def synced(self, n=1000, **more):
        self.have()
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, f"s{i}") for i in range(n)])
        self.connect([self.stream("t", **more)])
        self.run_it()
        self.all = self.dst.rows("t", "id, s")

    def refused(self):
        error = self.failed(body={"max_attempts": 1})
        self.assertEqual(error["code"], "shrink_guard")
        self.assertFalse(error["retryable"])
        self.assertEqual(self.dst.rows("t", "id, s"), self.all)
        self.assertEqual([t for t in self.dst.tables() if "__g" in t], [])

    def test_half_of_it_is_still_normal(self):
        self.synced()
        self.src.execute("delete from t where id >= 500")
        self.run_it()
        self.same_rows("t", "id, s")

    def test_51_percent_smaller(self):
        self.synced()
        self.src.execute("delete from t where id >= 490")
        self.refused()
        self.run_it(body={"allow_shrink": True})
        self.same_rows("t", "id, s")

    def test_empty(self):
        self.synced()
        self.src.execute("delete from t")
        self.refused()
        self.connect([self.stream("t", allow_empty=True)])
        self.run_it()
        self.assertEqual(self.dst.count("t"), 0)
        self.src.insert("t", [(1, "again")])
        self.run_it()
        self.same_rows("t", "id, s")

    def test_empty_from_the_beginning(self):
        self.have()
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.connect([self.stream("t")])
        for _ in range(2):
            self.run_it()
        self.assertEqual(self.dst.count("t"), 0)
        self.assertEqual(self.dst.columns("t"), ["id", "s"])


class Unreadable:
    """T20, lesson 10: the source dies in the middle, which is no success; the old rows stay, and the next run brings the new ones."""

    def test_unreadable_half_way(self):
        self.have()
        proxy = self.through(self.src)
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, "x" * 500) for i in range(4000)])
        self.connect([self.stream("t")], commit={"max_rows": 500})
        self.run_it()
        before = self.dst.rows("t", "id, s")
        self.src.execute("update t set s = 'new'")
        self.src.insert("t", [(i, "y" * 500) for i in range(4000, 8000)])
        for n in (3_000, 300_000, 1_000_000):
            proxy.cut_after(n)
            error = self.failed(body={"max_attempts": 1})
            self.assertTrue(error["retryable"], error)
            self.assertEqual(error["origin"], "source")
            self.assertEqual(self.dst.rows("t", "id, s"), before)
        self.run_it()
        self.same_rows("t", "id, s")


variants(globals(), Readers, source=("sqlite",), destination=SERVERS)
variants(globals(), Readers, source=("postgres",), destination=("sqlite",))
variants(globals(), Shrunk, source=("sqlite",), destination=ANY)
variants(globals(), Shrunk, source=SERVERS, destination=("postgres",))
variants(globals(), Unreadable, source=SERVERS, destination=("sqlite",))
variants(globals(), PostgresDependents)
variants(globals(), MysqlDependents)


if __name__ == "__main__":
    main()
