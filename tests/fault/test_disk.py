#!/usr/bin/env python3
"""F5, F6: a disk that is full, and one that fails. Nothing that was acknowledged is lost, reading and
cancelling go on, and the service recovers by itself."""
import json

from fault_case import RANDOM, FaultTest, failing_calls, main, wait_until


class Disk(FaultTest):
    def serve_on(self, disk, *arguments):
        """The store is on the disk that is full; the words of the service are not."""
        return self.serve("--data", str(disk.path / "data"), "--min-free-bytes", "0", *arguments)

    def not_ready(self, why):
        """Readiness is judged anew every second."""
        answer = wait_until("readiness to be off", lambda: (a := self.service.get("/readyz?verbose")).status == 503 and a)
        self.assertEqual(answer.json()["checks"]["store"], why)

    def create(self, i):
        return self.service.put(f"/v1/sources/s{i}", {"connector": "sample", "config": {}})

    def all_there(self, names):
        for name in names:
            self.ok(self.service.get(f"/v1/sources/{name}"))

    def test_full_store(self):
        """F5: 507 insufficient_storage, everything else works, and space that returns is used."""
        disk = self.loop_disk(12)
        self.serve_on(disk)
        acknowledged = []
        self.slow_pair()
        run = self.ok(self.service.post(f"/v1/connections/{self.name}/runs"), 201)
        self.running(run["id"])
        give_back = disk.fill()
        # What the log of the store has room for is taken; then there is none.
        for i in range(100000):
            answer = self.create(i)
            if answer.status != 201:
                break
            acknowledged.append(f"s{i}")
        self.fails(answer, 507, "insufficient_storage")
        self.fails(self.service.delete("/v1/sources/s0") if acknowledged else answer, 507, "insufficient_storage")
        self.assertEqual(self.service.get("/livez").status, 200)
        self.all_there(acknowledged)
        self.not_ready("insufficient_storage")
        self.assertRegex(self.service.get("/metrics").text, r'connectord_store_errors_total\{code="insufficient_storage"\} [1-9]')
        self.ok(self.service.post(f"/v1/runs/{run['id']}/cancel"), 202)
        give_back()
        wait_until("the service to be ready again", lambda: self.service.get("/readyz").status == 200, 30)
        wait_until("the run to end", lambda: self.service.get(f"/v1/runs/{run['id']}").json()["status"] not in
                   ("queued", "running", "cancelling"))
        self.assertEqual(self.create("after").status, 201)
        self.all_there(acknowledged)
        self.service.stop()
        self.store_is_whole(disk.path)

    def test_full_destination(self):
        """F5: the run fails as "resource", no half file is seen, and the next run goes on."""
        disk, rows = self.loop_disk(40), 30000
        self.serve()
        for connector, path in (("sqlite", disk.path / "out.db"), ("file", disk.path / "files")):
            with self.subTest(connector):
                self.name = f"full-{connector}"
                self.source("sample", rows=rows, updates_per_run=0)
                self.destination(connector, path=str(path))
                self.connection(streams=[{"name": "users", "sync_mode": "incremental",
                                          "destination_sync_mode": "append"}],
                                commit={"max_rows": 2000}, run_policy={"max_attempts": 1, "backoff_s": 0})
                give_back = disk.fill(leave=600 << 10)
                run = self.run_it(status="failed")
                errors = [s["error"] for s in run["stats"]["streams"] if s["error"]] or [run["error"]]
                self.assertEqual((errors[0]["code"], errors[0]["retryable"]), ("disk_full", True), run)
                if connector == "file":
                    self.assertEqual([p for p in path.rglob("*.ndjson") if not self.whole(p)], [])
                give_back()
                self.run_it()
                self.assertEqual(self.delivered(connector, path), (rows, rows))

    @staticmethod
    def whole(path):
        return all(json.loads(line) for line in path.read_text().splitlines())

    def delivered(self, connector, path):
        if connector == "sqlite":
            return self.database(path).execute("select count(*), count(distinct id) from users").fetchone()
        ids = [json.loads(line)["id"] for p in path.rglob("*.ndjson") for line in p.read_text().splitlines()]
        return len(ids), len(set(ids))

    def test_full_log(self):
        """F5: a run does not fail because its log cannot be written."""
        disk = self.loop_disk(12)
        self.serve_on(disk)
        self.pair(rows=2000)
        give_back = disk.fill(leave=2 << 20)
        logs = disk.path / "data" / "logs"
        self.run_it()
        give_back()
        self.assertTrue(logs.is_dir())
        self.run_it()

    def test_failing_syncs(self):
        """F6: a write whose sync failed is not acknowledged; the store is opened anew."""
        self.serve()
        pid = self.service.process.pid
        self.assertEqual(self.create("before").status, 201)
        with failing_calls(pid, "fdatasync:error=EIO", "fsync:error=EIO"):
            self.fails(self.create("during"), 503, "store_io")
            self.not_ready("store_io")
            self.assertRegex(self.service.get("/metrics").text, r'connectord_store_errors_total\{code="store_io"\} [1-9]')
            self.assertEqual(self.service.get("/livez").status, 200)
            self.ok(self.service.get("/v1/sources/sbefore"))
        wait_until("the service to be ready again", lambda: self.service.get("/readyz").status == 200, 30)
        self.assertEqual(self.create("after").status, 201)
        self.service.kill()
        self.service.start()
        self.all_there(["sbefore", "safter"])
        self.service.stop()
        self.store_is_whole()

    def test_calls_that_fail_now_and_then(self):
        """F6: reads, writes and syncs fail here and there; acknowledged is what is there afterwards."""
        self.serve()
        pid, acknowledged = self.service.process.pid, []
        for round_ in range(self.times(4)):
            call = RANDOM.choice(("fdatasync", "pwrite64", "pread64", "ftruncate"))
            first, step = RANDOM.randrange(1, 6), RANDOM.randrange(2, 7)
            with failing_calls(pid, f"{call}:error=EIO:when={first}+{step}"):
                for i in range(25):
                    answer = self.create(f"{round_}-{i}")
                    if answer.status == 201:
                        acknowledged.append(f"s{round_}-{i}")
                    else:
                        self.assertIn((answer.status, answer.code), ((503, "store_io"), (500, "store_corrupt")), call)
            wait_until("the service to be ready again", lambda: self.service.get("/readyz").status == 200, 30)
        self.service.kill()
        self.service.start()
        self.all_there(acknowledged)
        self.service.stop()
        self.store_is_whole()


if __name__ == "__main__":
    main()
