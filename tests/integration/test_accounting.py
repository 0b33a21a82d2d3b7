#!/usr/bin/env python3
"""The numbers of a run are those of the destination. T34, lessons 20 and 24."""
import json

from database_case import ENGINES, OwnService, main, variants

ANY = tuple(ENGINES)


class Accounting:
    """T34, lesson 20: every number has a row behind it."""

    def table(self, n=2500):
        self.have()
        self.src.create("t", "id {int}, at {time}, v {int}")  # no key: the same id comes more than once
        self.src.insert("t", [(i, "2024-01-01 00:00:00", i) for i in range(n)])

    def streams(self, write):
        return [self.stream("t", "full_refresh", write, primary_key=[["id"]])]

    def test_by_key(self):
        self.table()
        self.connect(self.streams("append_dedup"), commit={"max_rows": 500})
        counts = self.counts(self.run_it())
        self.assertEqual((counts["inserted"], self.dst.count("t")), (2500, 2500))
        self.src.execute("update t set v = v + 1 where id < 100")
        self.src.insert("t", [(i, "2024-01-01 00:00:00", -1) for i in range(2400, 2600)])  # 100 repeat, 100 are new
        self.src.insert("t", [(None, "2024-01-01 00:00:00", 0)] * 3)
        before = self.dst.count("t")
        run = self.run_it()
        counts = self.counts(run)
        self.assertEqual(counts["inserted"], self.dst.count("t") - before)
        self.assertEqual(counts["inserted"], 100)
        self.assertEqual(counts["quarantined_rows"], 3)
        self.assertEqual(len(self.dst.quarantined("level")), 3)
        # A key that came twice is folded in a batch, or updated by the next one.
        self.assertEqual(counts["read"], 2500 + 200 + 3)
        self.assertEqual(counts["folded"] + counts["updated"] + counts["unchanged"], 2600)
        self.assertEqual(run["stats"]["records_rejected"], 3)

    def test_appended(self):
        self.table()
        self.connect([self.stream("t", "full_refresh", "append")], commit={"max_rows": 500})
        for n in (1, 2, 3):
            before = self.dst.count("t") if n > 1 else 0
            run = self.run_it()
            self.assertEqual(self.counts(run)["inserted"], self.dst.count("t") - before)
            self.assertEqual(run["stats"]["records_committed"], 2500)

    def test_the_totals_of_all_runs_are_in_the_state(self):
        self.table()
        self.connect([self.incremental("t", "append")], commit={"max_rows": 500})
        total = self.counts(self.run_it())["inserted"]
        self.src.execute(f"insert into t values (9999, {self.src.now}, 1)")
        total += self.counts(self.run_it())["inserted"]
        counters = json.loads(self.dst.state("counters")[0]["counters"])
        self.assertEqual(counters["inserted"], total)
        self.assertEqual(self.dst.count("t"), total)

    def test_several_streams(self):
        """Lesson 24: the bookmark of each is kept, whichever was last."""
        self.have()
        names = ["a", "b", "c"]
        for n, name in enumerate(names):
            self.src.create(name, "id {int} not null primary key, at {time}")
            self.src.insert(name, [(i, "2024-01-01 00:00:00") for i in range(100 * (n + 1))])
        self.connect([self.incremental(n) for n in names])
        run = self.run_it()
        self.assertEqual({s["name"]: s["records_committed"] for s in run["stats"]["streams"]}, {"a": 100, "b": 200, "c": 300})
        self.src.execute(f"insert into b values (1000, {self.src.now})")
        self.run_it()
        state = self.ok(self.service.get(f"/v1/connections/{self.name}/state"))["streams"]
        self.assertEqual(sorted(s["stream"].split(".")[-1] for s in state), names)
        self.assertTrue(all(s["position"] for s in state))
        self.assertEqual(len(self.dst.state("stream")), 3)


class Attempts:
    """T34: a run of several attempts counts each row once."""

    def test_an_attempt_that_failed(self):
        self.have()
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, "x" * 100) for i in range(10_000)])
        self.connect([self.stream("t", "full_refresh", "append_dedup")], commit={"max_rows": 1000})
        self.again("after_commit:4:error")
        run = self.run_it()
        self.assertEqual(run["attempts"], 2)
        self.assertEqual(self.dst.count("t"), 10_000)
        counts = self.counts(run)
        self.assertEqual(counts["inserted"] + counts["unchanged"], counts["read"])
        self.assertEqual(counts["inserted"], 10_000)


class Ahead:
    """Lesson 17: whatever the moment of death, the state covers what is there and nothing else."""

    def test_the_state_is_never_ahead(self):
        self.have()
        names = ["a", "b"]
        for name in names:
            self.src.create(name, "id {int} not null primary key, at {time}, s {text}")
            self.src.insert(name, [(i, f"2024-01-01 00:00:{i % 50:02}", "x" * 100) for i in range(5_000)])
        self.connect([self.incremental(n, "append") for n in names], commit={"max_rows": 1000})
        for point, nth in (("before_commit", 3), ("after_commit", 3), ("after_stage", 4), ("after_state_update", 4),
                           ("after_commit_before_copy", 2), ("after_commit", 4)):
            self.die_at(point, nth)
            for stream, counters in ((s["stream"], json.loads(s["counters"])) for s in self.dst.state("stream", "counters")):
                table = stream.split(".")[-1]
                there = self.dst.count(table) if table in self.dst.tables() else 0
                self.assertEqual(counters["inserted"], there, (point, nth))
        self.again()
        self.run_it()
        for name in names:
            self.same_rows(name, "id, s")


class RoundTrips:
    """Lesson 26: rows travel in batches, over few connections, with few commits."""
    source_engine = ENGINES["sqlite"]

    def test_few_of_everything(self):
        self.have()
        proxy = self.through(self.dst)
        self.src.create("t", "id {int} not null primary key, s {text}")
        self.src.insert("t", [(i, "x" * 20) for i in range(20_000)])
        self.connect([self.stream("t", "full_refresh", "append_dedup")])
        self.run_it()
        self.assertEqual(self.dst.count("t"), 20_000)
        self.assertLess(proxy.accepted, 5)
        self.assertLess(proxy.commits, 20)


variants(globals(), Accounting, source=("sqlite",), destination=ANY)
variants(globals(), Accounting, source=("postgres", "mysql"), destination=("sqlite",))
variants(globals(), Ahead, OwnService, source=("sqlite",), destination=ANY)
variants(globals(), RoundTrips, destination=("postgres", "mysql"))
variants(globals(), Attempts, OwnService, source=("sqlite",), destination=ANY)


if __name__ == "__main__":
    main()
