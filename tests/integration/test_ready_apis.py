#!/usr/bin/env python3
"""The sources that are documents: each against a fake that is built as the public documentation of its
service says, from the first check to what changed since."""
import pathlib
import unittest

import rest_case
import yaml
from rest_case import RestTest

from ready_apis import FAKES  # noqa: E402, on the path of rest_case

DOCUMENTS = pathlib.Path(__file__).resolve().parents[2] / "connectors/sources/apis"


class ReadyApis(RestTest):
    def use(self, fake, **changes):
        self.fake = fake(self.api)
        self.source(fake.name, **{**self.fake.settings(), **changes})
        return self.fake

    def connect(self, fake):
        known = self.ok(self.service.get(f"/v1/connectors/source/{fake.name}"))["streams"]
        self.assertEqual({s["name"] for s in known}, set(fake.tables), fake.name)
        found = self.ok(self.service.post(f"/v1/sources/{self.name}/discover"))
        found = found.get("streams") or found["result"]["streams"]
        self.assertEqual([s["name"] for s in found], [s["name"] for s in known], fake.name)
        self.destination("sqlite")
        return self.connection(
            streams=[{"name": s["name"], "sync_mode": "incremental", "destination_sync_mode": "append_dedup"} if s["name"] in fake.incremental
                     else {"name": s["name"], "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"} for s in known],
            namespace={"mode": "destination"}, run_policy={"max_attempts": 1, "backoff_s": 0})

    def compare(self, fake):
        """Every row of the service is there once, and nothing else."""
        database = self.database()
        for stream, rows in fake.tables.items():
            columns = ", ".join(f'"{c}"' for c in fake.keys.get(stream, ["id"]))
            found = sorted(tuple(map(str, r)) for r in database.execute(f'select {columns} from "{stream}"'))
            self.assertEqual(found, sorted(tuple(map(str, fake.key(stream, r))) for r in rows), f"{fake.name} {stream}")

    def whole(self, kind):
        fake = self.use(kind)
        self.assertIsNone(self.ok(self.service.post(f"/v1/sources/{self.name}/check"))["error"], self.api.requests)
        self.connect(fake)
        fake.busy = 1  # the first request is told to come later
        run = self.run_it()
        self.assertEqual(run["stats"]["records_rejected"], 0)
        self.compare(fake)
        fake.change()
        run = self.run_it()
        self.compare(fake)
        for stream in run["stats"]["streams"]:
            if stream["name"] in fake.incremental:  # one row is new, and the others are known or not even given
                counts = stream["counts"]
                self.assertEqual((counts["inserted"], counts["updated"]), (1, 0), stream)
                self.assertLess(counts["read"] - counts["overlap_dropped"], 3, stream)

    def refused(self, kind):
        """Who is not let in is told so, and no key is shown."""
        self.fake = kind(self.api)
        wrong = {name: f"wrong-{value}" for name, value in kind.secrets.items()}
        self.source(kind.name, **{**self.fake.settings(), **wrong})
        answer = self.service.post(f"/v1/sources/{self.name}/check")
        self.assertEqual(self.ok(answer)["error"]["code"], "auth_failed", answer)
        for value in wrong.values():
            self.assertNotIn(value.encode(), answer.body)


def add_tests():
    for kind in FAKES:
        def whole(self, kind=kind):
            self.whole(kind)

        def refused(self, kind=kind):
            self.refused(kind)
        setattr(ReadyApis, f"test_{kind.name}", whole)
        setattr(ReadyApis, f"test_{kind.name}_does_not_know_us", refused)


add_tests()

if __name__ == "__main__":
    rest_case.main()
