#!/usr/bin/env python3
"""F1: dies, fails or loses a connection at every step of a run, goes on, and compares with an undisturbed run.

    crash.py MODE_DESTINATION [STEP...]     e.g. crash.py append_dedup_postgres after_merge lost
    crash.py --reached                      fails when no mode has reached some fail point

The fail points are read from the source, so a new one joins the matrix by itself. Each is met by a
kill in the first run of a stream, a kill at its first and its second arrival in a later run, and an
error; connections to servers go through a proxy that cuts them around each COMMIT, and in the middle
of what is read and written. Every case has a table, a connection and a history of its own in one
database. What must stand in the destination at its end is computed here from the history of the
source alone.
"""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("integration", "support", "crash"):
    sys.path.insert(0, str(ROOT / "tests" / folder))
from histories import FORMER, FileDestination, FileSource, TableDestination, TableSource  # noqa: E402
from proxy import AFTER, BEFORE, LOST, TO_CLIENT, TO_SERVER, Proxy  # noqa: E402
from service import Service, wait_until  # noqa: E402
import databases  # noqa: E402

NOTES = pathlib.Path(tempfile.gettempdir()) / "connectord-crash-notes"
WRITES = {"overwrite": ("full_refresh", "overwrite"), "append": ("full_refresh", "append"),
          "incremental_append": ("incremental", "append"), "append_dedup": ("incremental", "append_dedup")}
# Each destination meets each source.
SOURCES = {"postgres": ("postgres", "mysql", "sqlite", "postgres"), "mysql": ("sqlite", "mysql", "postgres", "mysql"),
           "sqlite": ("mysql", "sqlite", "postgres", "sqlite")}
MODES = {f"{write}_{destination}": (source, destination, *WRITES[write]) for destination, sources in SOURCES.items()
         for write, source in zip(WRITES, sources)}
MODES["overwrite_file"] = ("sqlite", "file", "full_refresh", "overwrite")
MODES["append_file"] = ("sqlite", "file", "incremental", "append")
MODES["from_file"] = ("file", "sqlite", "incremental", "append")

# What no destination can make a difference to is tried with SQLite and files.
KILLS = (("kill", 1, True), ("kill", 1, False), ("kill", 2, False), ("error", 1, False))
MORE = {"store_commit": (3, 4, 5, 6)}  # arrives often, for different reasons
# No steps of a run: upkeep.py dies at them.
UPKEEP = {"migration_commit", "backup_rename", "rotate_added", "rotate_sealed"}
COMMITS = range(1, 6)
BYTES_WRITTEN, BYTES_READ = (1_000, 60_000, 180_000), (1_000, 60_000, 180_000)


def failpoints(destination=None):
    """Their names; of those a run to this destination can meet."""
    folders = {None: ("connectors", "server"), "file": ("connectors/files", "server"),
               "sqlite": ("connectors/sql", "server"), "singer": ("connectors/singer", "server")}.get(destination, ("connectors/sql", "server/sync/writer.c"))
    found = set()
    for folder in folders:
        for path in [ROOT / folder] if folder.endswith(".c") else (ROOT / folder).rglob("*.c"):
            found |= set(re.findall(r'failpoint\("(\w+)"', path.read_text()))
    return sorted(found - UPKEEP)


class Bench:
    """One data directory, one database on each side, one service after the other."""

    def __init__(self, mode):
        self.source_kind, self.destination_kind, self.sync_mode, self.write_mode = MODES[mode]
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"connectord-crash-{mode}-"))
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        make = FileSource if self.source_kind == "file" else TableSource
        self.source = self.stack.enter_context(contextlib.closing(make(self.source_kind, self.folder)))
        make = FileDestination if self.destination_kind == "file" else TableDestination
        self.destination = self.stack.enter_context(contextlib.closing(make(self.destination_kind, self.folder)))
        self.proxies = {}
        for side, kind in (("source", self.source_kind), ("destination", self.destination_kind)):
            if kind in ("postgres", "mysql"):
                port = databases.servers()[kind]["port"]
                self.proxies[side] = self.stack.enter_context(Proxy(port, kind))
        self.service = None
        self.plan = None
        self.start()

    def close(self):
        if self.service.alive():
            self.service.stop()
        self.stack.close()

    def start(self, plan=None):
        """A service with this fail point, or none; the one that runs is used again where it can be."""
        if self.service and self.service.alive():
            if plan is None and self.plan is None:
                return
            self.service.stop()
        self.plan = plan
        self.service = Service(self.folder, environment={"CONNECTORD_FAILPOINT": plan} if plan else {})
        self.service.start()

    def describe(self, case, cut):
        """`cut`: the side that is reached through its proxy."""
        for kind, side, at in (("sources", "source", self.source), ("destinations", "destination", self.destination)):
            config = at.config(case.name)
            if side == cut:
                config["port"] = self.proxies[side].port
            answer = self.service.put(f"/v1/{kind}/{case.name}", {"connector": at.connector, "config": config})
            assert answer.status == 201, answer
        stream = {"name": case.name, "sync_mode": self.sync_mode, "destination_sync_mode": self.write_mode}
        if self.source_kind != "file":
            stream["renames"] = {old: new for new, old in FORMER.items()}
        if self.sync_mode == "incremental" and self.source_kind != "file":
            stream["cursor_field"] = ["changed_at"]
        answer = self.service.put(f"/v1/connections/{case.name}", {
            "source": case.name, "destination": case.name, "streams": [stream], "namespace": {"mode": "destination"},
            "commit": {"max_rows": 1500}, "run_policy": {"max_attempts": 3, "backoff_s": 0}})
        assert answer.status == 201, answer

    def run(self, case):
        answer = self.service.post(f"/v1/connections/{case.name}/runs?wait=55")
        assert answer.status == 201, answer
        run = answer.json()
        while run["status"] not in ("succeeded", "failed", "cancelled"):
            run = self.service.get(f"/v1/runs/{run['id']}?wait=55").json()
        return run

    def run_to_death(self, case, plan):
        """The run, or None when the service died."""
        try:
            self.start(plan)
            return self.run(case)
        except (OSError, http.client.HTTPException):
            pass
        except AssertionError:  # it died before it was ready, or would not start
            if self.service.alive():
                raise
        self.service.process.wait(60)
        self.service.kill()
        return None

    def wait_for_the_last(self, case):
        """A run that was queued when the service died is carried out by the next one."""
        def ended():
            answer = self.service.get(f"/v1/connections/{case.name}/runs/latest?wait=5")
            if answer.status == 404:  # it died before the run was stored
                return {"status": "none"}
            run = answer.json()
            return run if run["status"] in ("succeeded", "failed") else None
        return wait_until("the run to end", ended)


class Case:
    """One table with its history, disturbed once. `fresh`: in the first run of its connection."""
    made = 0

    def __init__(self, bench, fresh, cut=None):
        Case.made += 1
        self.bench, self.name = bench, f"items{Case.made}"
        self.history = bench.source.new(self.name)
        bench.start()
        bench.describe(self, cut)
        self.copies = []  # of full copies that were appended, what each held
        if not fresh:
            self.complete("the first run")
            self.history.change()
        self.before = self.rows()

    def rows(self):
        return self.bench.destination.rows(self.name, self.history.columns)

    def complete(self, what):
        run = self.bench.run(self)
        assert run["status"] == "succeeded", f"{what}: {json.dumps(run['error'])}"
        self.copies.append(self.history.current())

    def expected(self):
        if self.bench.write_mode != "append":
            return self.history.current()
        if self.bench.sync_mode == "incremental":
            return self.history.every_version()
        return sum(self.copies[1:], self.copies[0].copy())

    def killed(self, point, action, nth):
        """None when the point was not reached, else what is wrong."""
        run = self.bench.run_to_death(self, f"{point}:{nth}:{action}")
        reached = run is None or (action == "error" and (run["attempts"] > 1 or run["status"] == "failed"))
        self.bench.start()
        if not reached:
            return None
        latest = self.bench.wait_for_the_last(self)
        wrong = []
        if run is None and latest["status"] == "failed" and latest["error"]["code"] != "worker_lost":
            wrong.append(f"the interrupted run says {latest['error']}")
        return wrong + self.judge()

    def cut(self, proxy):
        run = self.bench.run(self)
        if not proxy.cuts:
            return None
        wrong = []
        if run["status"] != "succeeded":
            wrong.append(f"the run that was cut: {json.dumps(run['error'])}")
        return wrong + self.judge()

    def judge(self):
        """Goes on undisturbed, with another change of the source, and compares."""
        full_append = self.bench.write_mode == "append" and self.bench.sync_mode == "full_refresh"
        copy, added = self.history.current(), 0
        if full_append:
            # Every completed run adds one copy; the disturbed one added all of it or nothing.
            added = self.added_since(self.before)
            if added not in (0, sum(copy.values())):
                return [f"the disturbed run left {added} of {sum(copy.values())} rows"]
        wrong = []
        try:
            self.complete("the run after it")
            # Or it was committed to, and what was left to do was done by the run after it.
            if added or full_append and self.added_since(self.before) == 2 * sum(copy.values()):
                self.copies.append(copy)
            wrong += self.compare("after one run")
            self.history.change()
            self.complete("the run after a change")
            wrong += self.compare("after another change")
        except AssertionError as why:
            wrong.append(str(why))
        left = self.bench.destination.left(self.name)
        return wrong + ([f"left behind: {left}"] if left else [])

    def added_since(self, before):
        return sum(self.rows().values()) - sum(before.values())

    def compare(self, when):
        rows, expected = self.rows(), self.expected()
        if rows == expected:
            return []
        missing, extra = expected - rows, rows - expected
        return [f"{when}: {sum(missing.values())} missing {list(missing.items())[:2]}, "
                f"{sum(extra.values())} too many {list(extra.items())[:2]}"]


class Matrix:
    def __init__(self, mode, only):
        self.mode, self.only = mode, only
        self.bench = Bench(mode)
        self.passed, self.failed, self.reached = 0, 0, set()

    def wanted(self, name):
        return not self.only or name in self.only

    def note(self, name, wrong):
        """Whether the step was reached."""
        if wrong is None:
            return False
        self.passed += not wrong
        self.failed += bool(wrong)
        print(f"{'ok    ' if not wrong else 'FAILED'} {self.mode} {name} {'; '.join(wrong)}"[:1500], flush=True)
        return True

    def kill_everywhere(self):
        for point in filter(self.wanted, failpoints(self.bench.destination_kind)):
            found = False
            for action, nth, fresh in KILLS + tuple(("kill", n, False) for n in MORE.get(point, ())):
                if not found and (action, nth) != ("kill", 1):
                    break  # no mode of dying reaches what a kill at the first arrival does not
                wrong = Case(self.bench, fresh).killed(point, action, nth)
                found |= self.note(f"{point}:{nth}:{action}{' in the first run' if fresh else ''}", wrong)
            if found:
                self.reached.add(point)

    def cut_everywhere(self):
        plans = [("destination", action, n) for action in (BEFORE, AFTER, LOST) for n in COMMITS]
        plans += [("destination", TO_SERVER, n) for n in BYTES_WRITTEN] + [("source", TO_CLIENT, n) for n in BYTES_READ]
        over = set()
        for k, (side, action, n) in enumerate(plans):
            proxy = self.bench.proxies.get(side)
            if not proxy or (side, action) in over or not self.wanted("cut") and not self.wanted(action):
                continue
            case = Case(self.bench, fresh=k % 2 == 0, cut=side)
            proxy.cuts = 0
            if action in (TO_SERVER, TO_CLIENT):
                proxy.cut_after(n, action)
            else:
                proxy.at_commit(n, action)
            if not self.note(f"cut {side} {action} {n}", case.cut(proxy)):
                over.add((side, action))  # a run of this kind does not come so far
            proxy.forget_plans()

    def run(self):
        try:
            self.kill_everywhere()
            self.cut_everywhere()
        finally:
            self.bench.close()
        if not self.only:
            NOTES.mkdir(exist_ok=True)
            (NOTES / self.mode).write_text("\n".join(sorted(self.reached)))
        print(f"{self.mode}: {len(self.reached)} steps reached; {self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def check_reached():
    reached = set()
    for mode in [*MODES, "rest_pages", "rest_children", "tap_append", "target_append_dedup"]:  # those of rest_crash.py and singer_crash.py
        reached |= set((NOTES / mode).read_text().split())
    missing = sorted(set(failpoints()) - reached)
    print(f"{len(reached)} steps reached by some mode: {', '.join(sorted(reached))}")
    if missing:
        print(f"never reached: {', '.join(missing)}")
    return 1 if missing or len(reached) < 15 else 0


if __name__ == "__main__":
    if sys.argv[1] == "--reached":
        sys.exit(check_reached())
    sys.exit(Matrix(sys.argv[1], sys.argv[2:]).run())
