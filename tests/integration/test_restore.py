#!/usr/bin/env python3
"""What was delivered is gone, or is older than the bookmark says: never a gap.

T21, lesson 19: the bookmark lives beside the data. Tables and schemas are dropped between runs, the
destination or the control store comes back from an earlier copy.
"""
import shutil

from database_case import ENGINES, OwnService, main, variants

ANY = tuple(ENGINES)


class Restore:
    def made(self, write="append_dedup"):
        self.have()
        self.write = write
        self.next = 1
        self.src.create("t", "id {int} not null primary key, at {time}, s {text}")
        self.add(50)
        self.connect([self.incremental("t", write)], source_config={"skew_s": 0})
        self.run_it()
        self.same()

    def add(self, n):
        """All with one stamp of the database, which is earlier than the next run."""
        for i in range(self.next, self.next + n):
            self.src.execute(f"insert into t values ({i}, {self.src.now}, 's{i}')")
        self.next += n

    def same(self):
        self.same_rows("t", "id, s")

    def test_the_table_is_dropped(self):
        """Lesson 19: the bookmark stayed, the table did not: everything is read again."""
        for write in ("append_dedup", "append"):
            with self.subTest(write=write):
                self.name = f"{self._testMethodName.replace('_', '-')}-{write.replace('_', '-')}"
                self.made(write)
                self.dst.execute("drop table t")
                self.add(10)
                self.run_it()
                self.same()
                self.add(10)
                self.run_it()
                self.same()

    def test_everything_is_dropped(self):
        self.made()
        self.drop_all()
        self.add(10)
        self.run_it()
        self.same()

    def drop_all(self):
        if self.dst.connector == "postgres":
            self.dst.execute("drop schema public cascade; create schema public")
        else:
            for table in self.dst.tables():
                self.dst.execute(f"drop table {table}")

    def test_the_state_is_dropped_and_the_table_is_not(self):
        """Nobody can know what is in the table: the run says so and touches nothing."""
        self.made()
        self.dst.execute("drop table _connectord_state")
        before = self.dst.rows("t", "id, s")
        self.add(10)
        error = self.failed(body={"max_attempts": 1})
        self.assertIn(error["code"], ("state_lost", "table_exists"))
        self.assertFalse(error["retryable"])
        self.assertEqual(self.dst.rows("t", "id, s"), before)
        self.dst.execute("drop table t")
        self.run_it()
        self.same()

    def test_a_table_of_somebody_else(self):
        self.have()
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(1, "ours")])
        self.dst.create("t", "id {int}, s {text}")
        self.dst.insert("t", [(7, "theirs")])
        self.connect([self.stream("t")])
        error = self.failed(body={"max_attempts": 1})
        self.assertEqual((error["code"], error["retryable"]), ("table_exists", False))
        self.assertEqual(self.dst.rows("t", "id, s"), [(7, "theirs")])

    def test_a_table_of_another_connection(self):
        self.made()
        self.source(self.src.connector, name="other-" + self.name, **self.src.config())
        self.connection("other-" + self.name, source="other-" + self.name, destination=self.name,
                        streams=[self.stream("t")], namespace={"mode": "destination"})
        before = self.dst.rows("t", "id, s")
        first, self.name = self.name, "other-" + self.name
        self.assertEqual(self.failed(body={"max_attempts": 1})["code"], "table_owned")
        self.name = first
        self.assertEqual(self.dst.rows("t", "id, s"), before)
        self.add(3)
        self.run_it()
        self.same()

    def test_the_destination_is_restored(self):
        """From a copy of before: its own bookmark is of the same moment, so it is believed."""
        for write in ("append_dedup", "append"):
            with self.subTest(write=write):
                self.name = f"{self._testMethodName.replace('_', '-')}-{write.replace('_', '-')}"
                self.made(write)
                restore = self.backup()
                self.add(10)
                self.run_it()
                self.same()
                restore()
                self.assertEqual(self.dst.count("t"), 50)
                self.add(10)
                self.run_it()
                self.same()

    def backup(self):
        """A function that brings all tables of the destination back as they are now."""
        if self.dst.connector == "sqlite":
            self.dst.close()
            copy = self.dst.path.with_suffix(".copy")
            shutil.copy(self.dst.path, copy)

            def restore():
                self.dst.close()
                shutil.copy(copy, self.dst.path)
            return restore
        kept = {table: self.dst.execute(f"select * from {table}") for table in self.dst.tables()}

        def restore():
            for table, rows in kept.items():
                self.dst.execute(f"delete from {table}")
                self.dst.insert(table, rows)
        return restore


class ControlStore:
    """T21: the data directory of the service comes from an earlier copy."""

    def test_the_control_store_is_restored(self):
        for write in ("append", "append_dedup"):
            with self.subTest(write=write):
                self.name = f"control-{write.replace('_', '-')}"
                self.made(write)
                self.service.stop()
                shutil.copytree(self.folder / "data", self.folder / f"copy-{write}")
                self.service.start()
                self.add(10)
                self.run_it()
                self.service.stop()
                shutil.rmtree(self.folder / "data")
                shutil.copytree(self.folder / f"copy-{write}", self.folder / "data")
                self.service.start()
                self.add(10)
                for _ in range(2):
                    self.run_it()
                    self.same()

    def test_the_control_store_is_lost(self):
        """The same connection described again to a new service goes on where the destination stands."""
        self.made("append")
        self.service.stop()
        shutil.rmtree(self.folder / "data")
        self.service.start()
        self.connect([self.incremental("t", "append")], source_config={"skew_s": 0})
        self.add(10)
        answer = self.service.post(f"/v1/connections/{self.name}/runs?wait=55")
        run = self.finished(self.ok(answer, 201))
        if run["status"] == "succeeded":
            self.same()
        else:  # another pipeline to all appearances: the table is not touched
            self.assertIn(run["error"]["code"], ("table_owned", "state_lost", "table_exists"), run["error"])
            self.assertEqual(self.dst.count("t"), 50)


class OnlyControlStore(ControlStore):
    made, add, same = Restore.made, Restore.add, Restore.same


variants(globals(), Restore, source=("sqlite",), destination=ANY)
variants(globals(), OnlyControlStore, OwnService, source=("sqlite",), destination=ANY)


if __name__ == "__main__":
    main()
