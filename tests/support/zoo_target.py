#!/usr/bin/python3
"""A Singer target that behaves as its configuration says: {"mode", "store", "after"}.

Rows become durable when it flushes, in a SQLite file: upserted by key, or appended. `after` is the number
of records at which the modes that fail do so, once: a mark beside the store says that it has happened.
"""
import json
import os
import signal
import sqlite3
import sys
import time


class Target:
    def __init__(self, config):
        self.mode, self.after = config["mode"], config.get("after", 10)
        self.store = config["store"]
        self.db = sqlite3.connect(self.store)
        self.db.execute("create table if not exists rows (stream text, key text, version integer, record text, "
                        "n integer primary key, unique (stream, key))")
        self.db.execute("create table if not exists starts (n integer)")
        self.db.execute("insert into starts values (1)")
        self.db.commit()
        self.keys, self.records, self.states, self.echoed = {}, 0, [], 0
        self.merged = {"bookmarks": {}}

    def once(self):
        mark = self.store + ".mark"
        if os.path.exists(mark):
            return False
        open(mark, "w", encoding="ascii").close()
        return True

    def say(self, value):
        print(json.dumps(value), flush=True)

    def echo(self, state):
        self.say({"type": "STATE", "value": state} if self.mode == "wrapped" else state)
        if self.mode == "twice":
            self.say(state)

    def record(self, m):
        if m["stream"] not in self.keys:
            sys.exit("a record before its schema")
        key = [m["record"][k] for k in self.keys[m["stream"]]]
        self.records += 1
        self.db.execute("insert or replace into rows (stream, key, version, record) values (?, ?, ?, ?)",
                        (m["stream"], json.dumps(key) if key else None, m.get("version"), json.dumps(m["record"])))
        if self.records == self.after:
            self.misbehave()

    def misbehave(self):
        if self.mode == "early" and self.once():
            self.db.commit()
            sys.exit(0)
        if self.mode == "dies" and self.once():
            print("CRITICAL the disk is full", file=sys.stderr, flush=True)
            sys.exit(3)
        if self.mode == "killed" and self.once():
            self.db.commit()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "closes" and self.once():
            os.close(1)

    def state(self, value):
        self.db.commit()
        self.states.append(value)
        self.merged["bookmarks"].update(value.get("bookmarks", {}))
        self.merged.update({k: v for k, v in value.items() if k != "bookmarks"})
        if self.mode in ("prompt", "twice", "wrapped", "garbage", "killed", "dies", "closes"):
            self.echo(value)
        elif self.mode == "late" and len(self.states) > 1:
            self.echo(self.states[-2])
        elif self.mode == "stale" and len(self.states) == 1:
            self.echo(value)

    def run(self):
        if self.mode == "garbage":
            for i in range(300):
                print(f"line {i} that is no state \x00\xff", flush=True)
                print(f"INFO line {i} of a talkative target", file=sys.stderr)
        for line in sys.stdin:
            m = json.loads(line)
            if m["type"] == "SCHEMA":
                self.keys[m["stream"]] = m["key_properties"]
            elif m["type"] == "RECORD":
                self.record(m)
            elif m["type"] == "STATE":
                self.state(m["value"])
            elif m["type"] == "ACTIVATE_VERSION":
                self.db.execute("delete from rows where stream = ? and version is not ?", (m["stream"], m["version"]))
            else:
                sys.exit(f"a message of type {m['type']}")
        self.db.commit()
        if self.mode == "hangs" and self.states:
            time.sleep(3600)
        if self.mode in ("end", "late") and self.states:
            self.echo(self.states[-1])
        if self.mode == "merged" and self.states:
            self.say(self.merged)


def main():
    if len(sys.argv) != 3 or sys.argv[1] != "--config":
        sys.exit(f"called with {sys.argv[1:]}")
    with open(sys.argv[2], encoding="utf-8") as f:
        config = json.load(f)
    if config.get("mode") == "refuses":
        sys.exit(f"ERROR the configuration is wrong: {config.get('password')}")
    if config.get("mode") == "deaf":  # reads nothing, and ignores the polite signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    Target(config).run()


if __name__ == "__main__":
    main()
