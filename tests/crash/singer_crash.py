#!/usr/bin/env python3
"""Dies and fails at every step of a Singer tap's run into PostgreSQL, goes on, and compares.

    singer_crash.py tap_append [STEP...]

As crash.py, whose steps, cases and judgement it uses. The tap reads a file that grows, goes on at
the line its state names, and prints a state every few hundred lines: so every line has to arrive
once, although nothing is merged. Besides the fail points the tap itself dies, at many places.
"""
import json
import sys

import crash
from crash import Matrix
from histories import FileSource

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


class TapSource(FileSource):
    connector = "singer"

    def __init__(self, kind, folder):
        super().__init__(kind, folder)
        self.fault = folder / "fault"
        program, settings = folder / "tap", folder / "settings.json"
        program.write_text(TAP)
        program.chmod(0o755)
        settings.write_text(json.dumps({"exec": {"enabled": True, "programs": [{"name": "tap", "path": str(program)}]}}))
        start = crash.Service
        crash.Service = lambda folder, environment: start(folder, environment={**environment, "CONNECTORD_CONFIG": str(settings)})

    def config(self, name):
        return {"program": "tap", "config": {"name": name, "path": str(self.folder / f"{name}.ndjson"), "fault": str(self.fault)}}


class TapMatrix(Matrix):
    def cut_everywhere(self):
        super().cut_everywhere()
        for how in ("kill", "exit", "line"):
            for k, line in enumerate((1, 2, 299, 301, 1000, 1501, 2000)):
                if not self.wanted(how):
                    break
                case = crash.Case(self.bench, fresh=k % 2 == 0)
                self.bench.source.fault.write_text(f"{line} {how}")
                run = self.bench.run(case)
                assert not self.bench.source.fault.exists()
                wrong = [] if run["status"] == "succeeded" else [f"the run whose tap died: {json.dumps(run['error'])}"]
                self.note(f"tap {how} {line}", wrong + case.judge())


def main(mode, only):
    crash.MODES[mode] = ("file", "postgres", "incremental", "append")
    crash.FileSource = TapSource
    return TapMatrix(mode, only).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
