#!/usr/bin/env python3
"""T16: an answer far larger than memory, with one list in it, in the memory of one record.

A few hundred MB; CONNECTORD_TEST_LONG makes it 2 GB. Meant for the release build: with
sanitizers the bound on memory is not asserted, since their own memory is not ours.
"""
import json
import os
import tempfile
import pathlib
import shutil

import rest_case
import service
from rest_case import Reply, RestTest

SIZE = (2 << 30) if os.environ.get("CONNECTORD_TEST_LONG") else (300 << 20)
MOST = 64 << 20
RECORD = {"customer": 12345, "name": "somebody with a name é", "at": "2024-05-01T10:00:00Z", "price": 12.50,
          "tags": ["a", "b"], "text": "x" * 4000}
SCHEMA = {"properties": {"id": {"type": "integer"}, "customer": {"type": "integer"}, "name": {"type": "string"},
                         "price": {"type": "number"}, "text": {"type": "string"}}}


class Memory(RestTest):
    """A service for each test: what is measured is the peak of its life."""
    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-it-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.service = service.Service(self.folder).start()
        self.addCleanup(lambda: self.service.alive() and self.service.stop())
        super().setUp()

    def peak(self):
        with open(f"/proc/{self.service.process.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

    def body(self, size):
        """One list in pieces of about 64 KiB."""
        tail = json.dumps(RECORD)[1:]
        self.n = size // (len(tail) + 12)
        yield b'{"data":['
        pieces = []
        for i in range(1, self.n + 1):
            pieces.append(f'{"," if i > 1 else ""}{{"id":{i},{tail}'.encode())
            if len(pieces) == 16 or i == self.n:
                yield b"".join(pieces)
                pieces = []
        yield b'],"next":null}'

    def read(self, size, **client):
        self.api.on("/items", lambda r: Reply(self.body(size), headers={"Content-Type": "application/json"}))
        self.rest(self.stream(schema=SCHEMA, paginate={"type": "cursor", "path": "next", "param": "after"}), **client)
        run = self.run_it()
        count, top = self.database().execute("select count(*), max(id) from items").fetchone()
        self.assertEqual((count, top), (self.n, self.n))
        self.assertEqual(run["stats"]["records_read"], self.n)
        print(f"{size >> 20} MB in one answer: {self.n} records, peak {self.peak() / (1 << 20):.1f} MiB", flush=True)
        if not service.sanitized():
            self.assertLessEqual(self.peak(), MOST)

    def test_one_list_of_everything(self):
        self.read(SIZE)

    def test_larger_than_allowed(self):
        self.api.on("/items", lambda r: Reply(self.body(64 << 20), headers={"Content-Type": "application/json"}))
        self.rest(self.stream(schema=SCHEMA), max_response="16MiB")
        self.assertIn("larger than allowed", self.failure()["message"])


if __name__ == "__main__":
    rest_case.main()
