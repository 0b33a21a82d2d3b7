#!/usr/bin/env python3
"""F4: the power goes at any moment. What the API had acknowledged is there when it comes back."""
import http.client
import json
import os
import pathlib
import threading
import time

from fault_case import RANDOM, FaultTest, Service, failing_calls, main

CUTS = int(os.environ.get("CONNECTORD_CUTS", "12"))
ROWS = 20000


class Writer(threading.Thread):
    """Creates sources as fast as they are answered, and remembers which were."""

    def __init__(self, service, prefix):
        super().__init__(daemon=True)
        self.service, self.prefix, self.acknowledged = service, prefix, []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=20)
        while True:
            name = f"{self.prefix}-{len(self.acknowledged)}"
            try:
                connection.request("PUT", f"/v1/sources/{name}", json.dumps({"connector": "sample", "config": {}}),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                return
            if answer.status != 201:
                return
            if answer.getheader("Connection") == "close":  # after a thousand requests
                connection.close()
            self.acknowledged.append(name)


class Power(FaultTest):
    def cut(self, disk, service, writer):
        """After a while; the process dies with the machine."""
        until = time.monotonic() + RANDOM.uniform(0.02, 0.5)
        while time.monotonic() < until or not writer.acknowledged:
            time.sleep(0.005)
            self.assertTrue(writer.is_alive(), service.said())
        # What is answered behind the cut does not count: where the power is gone nobody hears it, and a
        # journal that was shut down in the middle of a commit may call the sync that waits for it done.
        heard = len(writer.acknowledged)
        disk.cut()
        service.process.kill()
        service.process.wait()
        writer.join()
        del writer.acknowledged[heard:]

    def start(self, disk):
        service = Service(disk.path)
        # Its own words are not on the disk that fails.
        service.folder = self.folder
        service.arguments = ("--data", str(disk.path / "data"), "--min-free-bytes", "0")
        service.start()
        self.addCleanup(lambda: service.alive() and service.kill())
        return service

    def test_acknowledged_writes_and_files(self):
        disk, acknowledged = self.loop_disk(64), []
        out = disk.path / "out"
        self.service = self.start(disk)
        self.source("sample", name="rows", rows=ROWS, updates_per_run=0, batch_rows=200)
        self.destination("file", name="files", path=str(out), format="ndjson")
        self.ok(self.service.put("/v1/connections/copy", {
            "source": "rows", "destination": "files", "commit": {"max_rows": 400},
            "streams": [{"name": "users", "sync_mode": "incremental", "destination_sync_mode": "append"}]}), 201)
        for i in range(self.times(CUTS)):
            self.service.post("/v1/connections/copy/runs")
            writer = Writer(self.service, f"s{i}")
            writer.start()
            self.cut(disk, self.service, writer)
            acknowledged += writer.acknowledged
            self.service.close_files()
            disk.remount()
            self.assertEqual([p for p in out.rglob("*") if p.is_file() and p.suffix == ".ndjson" and not self.whole(p)], [])
            self.service = self.start(disk)
            self.assertEqual(self.lost(self.service, acknowledged), [])
        self.run_it("copy")
        ids = [json.loads(line)["id"] for path in out.rglob("*.ndjson") if not path.name.startswith(".")
               for line in path.read_text().splitlines()]
        self.assertEqual((len(ids), len(set(ids))), (ROWS, ROWS))
        self.service.stop()
        self.store_is_whole(disk.path)
        print(f"{self.times(CUTS)} power cuts, {len(acknowledged)} acknowledged writes, none lost")

    @staticmethod
    def whole(path):
        text = path.read_bytes()
        try:
            return text.endswith(b"\n") and all(json.loads(line) for line in text.splitlines())
        except ValueError:
            return False

    def test_without_syncs_the_same_cut_loses_writes(self):
        """The negative control: when syncs do nothing, this test sees what is lost."""
        disk = self.loop_disk(64)
        for i in range(5):
            self.service = self.start(disk)
            with failing_calls(self.service.process.pid, "fsync:retval=0", "fdatasync:retval=0"):
                writer = Writer(self.service, f"s{i}")
                writer.start()
                self.cut(disk, self.service, writer)
            self.service.close_files()
            disk.remount()
            if not (disk.path / "data" / "connectord.db").exists():
                return
            try:
                self.service = self.start(disk)
            except AssertionError:
                return  # a store that was cut to pieces is refused
            if self.lost(self.service, writer.acknowledged):
                return
            self.service.kill()
        self.fail("syncs did nothing and no write was lost: the power cut of this test is none")


if __name__ == "__main__":
    main()
