"""Measures of connectors as Singer programs."""
import csv
import datetime
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import time

from measure import BINARY, MIB, timed

import databases


# The fields of the stream that targets are measured with: what they are called, their type in a
# table, their JSON Schema.
FIELDS = [
    ("id", "bigint", {"type": "integer"}),
    ("account", "bigint", {"type": "integer"}),
    ("name", "text", {"type": "string"}),
    ("email", "text", {"type": "string"}),
    ("city", "text", {"type": ["null", "string"]}),
    ("amount", "numeric", {"type": "string", "format": "singer.decimal"}),
    ("score", "double precision", {"type": "number", "x-float": 64}),
    ("active", "boolean", {"type": "boolean"}),
    ("created_at", "timestamptz", {"type": "string", "format": "date-time"}),
    ("day", "date", {"type": "string", "format": "date"}),
    ("visits", "bigint", {"type": "integer"}),
    ("note", "text", {"type": ["null", "string"]}),
]
PEER = "pipelinewise-target-postgres"
PEER_PAIRS = 2  # it takes minutes


def rows_of(n):
    draw = random.Random(7)
    cities = ["Berlin", "São Paulo", "Kyōto", "New York", None]
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    for i in range(n):
        at = start + datetime.timedelta(seconds=37 * i)
        yield (i, draw.randrange(100000), f"Person {i}", f"person{i}@example.com", draw.choice(cities),
               f"{draw.randrange(10**7) / 100:.2f}", draw.random(), i % 3 == 0, at.isoformat(),
               at.date().isoformat(), draw.randrange(1000), None if i % 5 else "a note of some words")


class Singer:
    """Mixed into Bench behind Relational: needs its servers and data."""

    def postgres_tap(self):
        """Rows as RECORD lines to nowhere, against the rows as JSON that the server itself makes."""
        source = self.postgres_lineitem()
        config = self.folder / "tap.json"
        config.write_text(json.dumps(databases.postgres_config(source)))

        def ours():
            with open("/dev/null", "w", encoding="ascii") as nowhere:
                return timed([BINARY, "source", "postgres", "--config", config], stdout=nowhere, stderr=subprocess.DEVNULL)

        psql = shlex.join(str(w) for w in self.psql(source, "copy (select row_to_json(t) from lineitem t) to stdout"))
        self.ratio("PostgreSQL as a tap -> /dev/null", ours, lambda: timed(f"{psql} >/dev/null"), 1.0,
                   "psql COPY of row_to_json")

    def singer_files(self, rows, key):
        """The same rows as Singer messages and as CSV, made once."""
        messages = self.folder / f"rows-{rows}-{len(key)}.singer"
        table = self.folder / f"rows-{rows}.csv"
        if messages.exists():
            return messages, table
        names = [name for name, _, _ in FIELDS]
        schema = {"type": "object", "properties": {name: shape for name, _, shape in FIELDS}}
        with open(messages, "w", encoding="utf-8") as out, open(table, "w", encoding="utf-8", newline="") as plain:
            write = csv.writer(plain)
            print(json.dumps({"type": "SCHEMA", "stream": "rows", "schema": schema, "key_properties": key}), file=out)
            for i, row in enumerate(rows_of(rows), 1):
                print(json.dumps({"type": "RECORD", "stream": "rows", "record": dict(zip(names, row))}), file=out)
                write.writerow(["" if v is None else v for v in row])
                if i % 10000 == 0 or i == rows:
                    print(json.dumps({"type": "STATE", "value": {"bookmarks": {"rows": {"id": i}}}}), file=out)
        return messages, table

    def our_target(self, database, messages, rows):
        """Seconds of our target, after which the table has the rows."""
        subprocess.run(self.psql(database, "drop schema public cascade", "create schema public"), check=True)
        config = self.folder / "target.json"
        config.write_text(json.dumps(databases.postgres_config(database)))
        began = time.monotonic()
        target = subprocess.Popen([BINARY, "destination", "postgres", "--config", config, "--input_file_path", messages],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(target.pid, 0)
        seconds = time.monotonic() - began
        assert status == 0, status
        self.target_peak = used.ru_maxrss * 1024 / MIB
        found = subprocess.run(self.psql(database, "select count(*) from rows") + ["-At"], check=True,
                               capture_output=True, text=True).stdout.strip()
        assert found == str(rows), found
        return seconds

    def singer_target(self):
        """A file of messages through our target, against COPY of the same rows from CSV."""
        self.start_servers()
        database, other = databases.new_postgres("ours"), databases.new_postgres("theirs")
        columns = ", ".join(f"{name} {kind}" for name, kind, _ in FIELDS)
        messages, table = self.singer_files(self.rows, [])
        keyed, _ = self.singer_files(self.rows, ["id"])

        def theirs(constraint=""):
            subprocess.run(self.psql(other, "drop table if exists rows", f"create table rows ({columns}{constraint})"), check=True)
            return timed(self.psql(other, f"\\copy rows from {table} csv"))

        self.ratio("Singer file -> PostgreSQL, appended", lambda: self.our_target(database, messages, self.rows),
                   theirs, 0.6, "psql \\copy of CSV")
        self.report("  peak memory", f"{self.target_peak:.1f} MiB", "< 64 MiB", self.target_peak < 64)
        self.ratio("Singer file -> PostgreSQL, merged by key", lambda: self.our_target(database, keyed, self.rows),
                   lambda: theirs(", primary key (id)"), 0.6, "psql \\copy of CSV into a table with that key")
        self.report("  peak memory", f"{self.target_peak:.1f} MiB", "< 64 MiB", self.target_peak < 64)

    def singer_peer(self):
        """The same messages through a target in Python, where the package index can be reached."""
        folder = self.folder / "venv"
        made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, check=False)
        got = made.returncode == 0 and subprocess.run([folder / "bin/pip", "-q", "install", PEER],
                                                      capture_output=True, check=False)
        if not got or got.returncode != 0:
            print(f"skip {PEER} cannot be installed here")
            return
        self.start_servers()
        database, other = databases.new_postgres("ours"), databases.new_postgres("theirs")
        theirs = databases.postgres_config(other)
        config = self.folder / "peer.json"
        config.write_text(json.dumps({"host": theirs["host"], "port": theirs["port"], "dbname": other, "user": theirs["username"],
                                      "password": theirs["password"], "default_target_schema": "public",
                                      "primary_key_required": False}))

        def peer(messages):
            subprocess.run(self.psql(other, "drop schema public cascade", "create schema public"), check=True)
            with open(messages, "rb") as lines:
                return timed([folder / "bin/target-postgres", "--config", config], stdin=lines,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        for how, key in (("appended", []), ("merged by key", ["id"])):
            messages, _ = self.singer_files(self.rows, key)
            self.ratio(f"Singer file -> PostgreSQL, {how}", lambda m=messages: self.our_target(database, m, self.rows),
                       lambda m=messages: peer(m), 20, PEER, pairs=min(self.pairs, PEER_PAIRS))
        shutil.rmtree(folder)
