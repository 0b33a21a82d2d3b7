#!/usr/bin/env python3
"""Dies and fails at every step of a Singer tap's run into PostgreSQL, and of one from PostgreSQL into a Singer
target, goes on, and compares.

    singer_crash.py tap_append|target_append_dedup [STEP...]

As crash.py, whose steps, cases and judgement it uses. The tap reads a file that grows, goes on at
the line its state names, and prints a state every few hundred lines: so every line has to arrive
once, although nothing is merged. The target merges by key, stores at each state, and is ended after so
many rows. Besides the fail points the program itself dies, at many places.
"""
import collections
import contextlib
import json
import sqlite3
import sys

import crash
from crash import Matrix
from histories import FileSource, cell, plain_row

TAP = r'''#!/usr/bin/python3
import json, os, signal, sys
words = sys.argv[1:]
config = json.load(open(words[words.index("--config") + 1]))
name = config["name"]
schema = {"type": "object", "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}}
if "--discover" in words:
    print(json.dumps({"streams": [{"tap_stream_id": name, "stream": name, "schema": schema, "metadata": [
        {"breadcrumb": [], "metadata": {"forced-replication-method": "INCREMENTAL"}}]}]}))
    sys.exit(0)
done = json.load(open(words[words.index("--state") + 1]))["lines"] if "--state" in words else 0
print(json.dumps({"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": []}))
dies = open(config["fault"]).read().split() if os.path.exists(config["fault"]) else None
for number, line in enumerate(open(config["path"], encoding="utf-8"), 1):
    if number <= done:
        continue
    if dies and number == done + int(dies[0]):
        os.remove(config["fault"])
        if dies[1] == "line":
            sys.stdout.write('{"type": "RECORD", "str')
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL) if dies[1] == "kill" else os._exit(1)
    print('{"type": "RECORD", "stream": "%s", "record": %s}' % (name, line.strip()))
    if number % 300 == 0:
        print(json.dumps({"type": "STATE", "value": {"lines": number}}))
print(json.dumps({"type": "STATE", "value": {"lines": number}}))
'''


TARGET = r'''#!/usr/bin/python3
import json, os, signal, sqlite3, sys
config = json.load(open(sys.argv[2]))
db = sqlite3.connect(config["store"])
db.execute("create table if not exists rows (stream text, key text, record text, primary key (stream, key))")
dies = open(config["fault"]).read().split() if os.path.exists(config["fault"]) else None
keys, records, last = {}, 0, None
def die():
    os.remove(config["fault"])
    os.kill(os.getpid(), signal.SIGKILL) if dies[1] == "kill" else os._exit(1)
for line in sys.stdin:
    m = json.loads(line)
    if m["type"] == "SCHEMA":
        keys[m["stream"]] = m["key_properties"]
    elif m["type"] == "RECORD":
        key = json.dumps([m["record"][k] for k in keys[m["stream"]]])
        db.execute("insert or replace into rows values (?, ?, ?)", (m["stream"], key, json.dumps(m["record"])))
        records += 1
        if dies and dies[1] != "stored" and records == int(dies[0]):
            die()
    elif m["type"] == "STATE":
        db.commit()
        if dies and dies[1] == "stored" and records >= int(dies[0]):
            die()
        last = m["value"]
db.commit()
if last is not None:
    print(json.dumps(last), flush=True)
'''


def list_program(folder, name, text):
    """The program, and services from here on that list it."""
    program, settings = folder / name, folder / "settings.json"
    program.write_text(text)
    program.chmod(0o755)
    settings.write_text(json.dumps({"exec": {"enabled": True, "programs": [{"name": name, "path": str(program)}]}}))
    start = crash.Service
    crash.Service = lambda folder, environment: start(folder, environment={**environment, "CONNECTORD_CONFIG": str(settings)})


class TapSource(FileSource):
    connector = "singer"

    def __init__(self, kind, folder):
        super().__init__(kind, folder)
        self.fault = folder / "fault"
        list_program(folder, "tap", TAP)

    def config(self, name):
        return {"program": "tap", "config": {"name": name, "path": str(self.folder / f"{name}.ndjson"), "fault": str(self.fault)}}


class TargetDestination:
    connector = "singer"

    def __init__(self, kind, folder):
        self.fault, self.store = folder / "fault", folder / "store.db"
        list_program(folder, "target", TARGET)

    def config(self, name):
        return {"program": "target", "restart_rows": 1500, "config": {"store": str(self.store), "fault": str(self.fault)}}

    def rows(self, name, columns):
        with contextlib.closing(sqlite3.connect(self.store)) as db:
            try:
                records = [json.loads(r) for (r,) in db.execute("select record from rows where stream = ?", (name,))]
            except sqlite3.OperationalError:  # it was never started
                records = []
        return collections.Counter(plain_row(columns, [cell(r, c) for c in columns]) for r in records)

    def left(self, name):
        return []

    def close(self):
        pass


TAP_LINES = (1, 2, 299, 301, 1000, 1501, 2000)
# What ends the program itself: how, and at which lines.
FAULTS = {"tap_append": {how: TAP_LINES for how in ("kill", "exit", "line")},
          "target_append_dedup": {"kill": (1, 2, 1499, 2000), "exit": (1, 1500, 2000), "stored": (1, 1000, 2000)}}


class ProgramMatrix(Matrix):
    def cut_everywhere(self):
        super().cut_everywhere()
        side = self.bench.source if isinstance(self.bench.source, TapSource) else self.bench.destination
        for how, lines in FAULTS[self.mode].items():
            for k, line in enumerate(lines):
                if not self.wanted(how):
                    break
                case = crash.Case(self.bench, fresh=k % 2 == 0)
                side.fault.write_text(f"{line} {how}")
                run = self.bench.run(case)
                assert not side.fault.exists()
                wrong = [] if run["status"] == "succeeded" else [f"the run whose program died: {json.dumps(run['error'])}"]
                self.note(f"program {how} {line}", wrong + case.judge())


def main(mode, only):
    if mode == "tap_append":
        crash.MODES[mode] = ("file", "postgres", "incremental", "append")
        crash.FileSource = TapSource
    else:
        crash.MODES[mode] = ("postgres", "singer", "incremental", "append_dedup")
        crash.TableDestination = TargetDestination
    return ProgramMatrix(mode, only).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
