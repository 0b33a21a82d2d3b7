#!/usr/bin/env python3
"""The proxy that breaks connections sees every COMMIT, and does what it was told with it."""
import pathlib
import sys
import threading
import time
import unittest

import service

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import databases  # noqa: E402
from proxy import AFTER, BEFORE, LOST, PAUSE, TO_CLIENT, TO_SERVER, Proxy  # noqa: E402


class ProxyTest:
    def setUp(self):
        self.proxy = Proxy(databases.servers()[self.protocol]["port"], self.protocol)
        self.addCleanup(self.proxy.close)
        self.name = self.new()
        self.direct = self.connect(databases.servers()[self.protocol]["port"])
        self.run_in(self.direct, "create table t (i int, s text)")

    def run_in(self, connection, sql, params=()):
        cursor = connection.cursor()
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else None

    def through(self):
        connection = self.connect(self.proxy.port)
        self.addCleanup(self.close_quietly, connection)
        return connection

    @staticmethod
    def close_quietly(connection):
        try:
            connection.close()
        except Exception:  # it was cut
            pass

    def count(self):
        return self.run_in(self.direct, "select count(*) from t")[0][0]

    def insert_and_commit(self, connection, n=1):
        self.run_in(connection, "begin")
        for i in range(n):
            self.run_in(connection, "insert into t values (%s, 'COMMIT')", (i,))
        self.run_in(connection, "COMMIT")

    def test_what_is_no_commit_passes(self):
        connection = self.through()
        self.run_in(connection, "insert into t values (1, 'please; commit')")
        self.run_in(connection, "select 'commit' as commit_time")
        self.assertEqual(self.proxy.commits, 0)
        self.insert_and_commit(connection)
        self.assertEqual((self.proxy.commits, self.count()), (1, 2))

    def test_a_large_value_passes(self):
        connection = self.through()
        self.run_in(connection, "insert into t values (1, %s)", ("x" * 50_000,))
        self.run_in(connection, "insert into t values (2, %s)", ("commit;" * 50_000,))
        self.insert_and_commit(connection)
        self.assertEqual((self.proxy.commits, self.count()), (1, 3))
        self.assertEqual(len(self.run_in(connection, "select s from t where i = 2")[0][0]), 350_000)

    def test_cut_before_the_commit(self):
        self.proxy.at_commit(2, BEFORE)
        connection = self.through()
        self.insert_and_commit(connection)
        self.assertRaises(Exception, self.insert_and_commit, connection)
        self.assertEqual(self.count(), 1)
        self.insert_and_commit(self.through())
        self.assertEqual((self.count(), self.proxy.cuts), (2, 1))

    def test_the_lost_answer(self):
        for action in (LOST, AFTER):
            self.proxy.at_commit(1, action)
            self.assertRaises(Exception, self.insert_and_commit, self.through())
            service.wait_until("the commit", lambda: self.count() > 0)
            self.assertEqual(self.count(), 1)
            self.run_in(self.direct, "delete from t")

    def test_a_commit_that_waits(self):
        self.proxy.at_commit(1, PAUSE)
        thread = threading.Thread(target=self.insert_and_commit, args=(self.through(),))
        thread.start()
        service.wait_until("the commit to wait", lambda: not self.proxy.open_gate.is_set())
        self.assertEqual(self.count(), 0)
        self.proxy.resume()
        thread.join()
        self.assertEqual(self.count(), 1)

    def test_cut_in_the_middle(self):
        connection = self.through()
        self.run_in(connection, "insert into t values (1, %s)", ("x" * 100_000,))
        for direction in (TO_SERVER, TO_CLIENT):
            self.proxy.cut_after(70_000, direction)
            self.assertRaises(Exception, self.run_in, self.through(), "insert into t select 2, %s from t"
                              if direction == TO_SERVER else "select s, %s from t", ("y" * 80_000,))
        self.assertEqual(self.count(), 1)

    def test_refused_paused_and_slow(self):
        self.proxy.refuse()
        self.assertRaises(Exception, self.through)
        self.proxy.accept()
        connection = self.through()
        self.proxy.throttle(100_000, TO_SERVER)
        began = time.monotonic()
        self.run_in(connection, "insert into t values (1, %s)", ("x" * 100_000,))
        self.assertGreater(time.monotonic() - began, 0.5)


class Postgres(ProxyTest, unittest.TestCase):
    protocol = "postgres"

    def new(self):
        return databases.new_postgres("proxy")

    def connect(self, port):
        import psycopg2
        connection = psycopg2.connect(host="127.0.0.1", port=port, user=databases.USER, password=databases.PASSWORD,
                                      dbname=self.name, sslmode="disable")
        connection.autocommit = True
        return connection

    def test_a_prepared_commit(self):
        connection = self.through()
        self.run_in(connection, "prepare p as select 1")
        self.run_in(connection, "execute p")
        self.assertEqual(self.proxy.commits, 0)


class Mysql(ProxyTest, unittest.TestCase):
    protocol = "mysql"

    def new(self):
        return databases.new_mysql("proxy")

    def connect(self, port):
        import pymysql
        return pymysql.connect(host="127.0.0.1", port=port, user=databases.USER, password=databases.PASSWORD,
                               database=self.name, autocommit=True, local_infile=True, charset="utf8mb4")

    def setUp(self):
        super().setUp()
        self.run_in(self.direct, "alter table t modify s longtext")

    def test_data_that_is_loaded_is_no_command(self):
        rows = pathlib.Path(self.id() + ".tsv")
        rows.write_text("1\t" + "COMMIT" * 1000 + "\n")
        rows.write_text("".join(f"{i}\tCOMMIT {'y' * 1000}\n" for i in range(5000)))
        self.addCleanup(rows.unlink)
        connection = self.through()
        self.run_in(connection, f"load data local infile '{rows.absolute()}' into table t")
        self.assertEqual((self.count(), self.proxy.commits), (5000, 0))
        self.insert_and_commit(connection)
        self.assertEqual((self.count(), self.proxy.commits), (5001, 1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
