#!/usr/bin/env python3
"""Dies or fails at every named step of a run, starts again, and compares with an undisturbed run.

    crash.py MODE [FAILPOINT...]

The fail points are read from the source, so a new one joins the matrix by itself. For each one and
each of (kill at its first arrival, kill at its second, error at its first): a baseline run, a
change of the source, the disturbed run, a restart, one more run. What must stand in the destination
then is computed here, from the source alone. A point that a mode never reaches is listed; one that
no mode reaches fails the test (crash.py --reached reads the notes of all modes).
"""
import collections
import datetime
import json
import pathlib
import re
import shutil
import sqlite3
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
from service import Service, wait_until  # noqa: E402

BASE, UPDATED, ADDED = 5000, 400, 3000  # a batch has at most 2,048 rows, so each read is several
NOTES = pathlib.Path(tempfile.gettempdir()) / "connectord-crash-notes"
ACTIONS = (("kill", 1), ("kill", 2), ("error", 1))
MORE = {"store_commit": (("kill", 3), ("kill", 4), ("kill", 5), ("kill", 6))}  # arrives often, for different reasons


def failpoints():
    found = set()
    for folder in ("connectors", "server"):
        for path in (ROOT / folder).rglob("*.c"):
            found |= set(re.findall(r'failpoint\("(\w+)"', path.read_text()))
    return sorted(found)


# ------------------------------------------------------------------ sources

class SqliteSource:
    """A table with a key, a cursor and a note; versions of all rows ever are kept here."""
    connector = "sqlite"

    def __init__(self, folder):
        self.path = folder / "source.db"
        self.rows = {}
        self.versions = []
        with sqlite3.connect(self.path) as db:
            db.execute("create table items (id integer primary key, note text, changed_at timestamp)")
        self.write(range(1, BASE + 1), "first")

    def write(self, ids, note):
        """Stamped with the time of the write: what is stamped earlier than a run that has ended
        already may be passed over, by any bookmark."""
        with sqlite3.connect(self.path) as db:
            for i in ids:
                now = datetime.datetime.now(datetime.timezone.utc)
                if now.microsecond == 0:  # a fraction is always written, and never one to come
                    now -= datetime.timedelta(microseconds=1)
                stamp = f"{now:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0")
                row = (i, f"{note} {i} é", stamp)
                db.execute("insert or replace into items values (?, ?, ?)", row)
                self.rows[i] = row
                self.versions.append(row)

    def change(self):
        self.write(range(10, 10 + UPDATED), "second")
        self.write(range(BASE + 1, BASE + ADDED + 1), "new")

    @property
    def config(self):
        return {"path": str(self.path), "skew_s": 0}  # one clock, and no time to wait


class FileSource:
    """An NDJSON file that grows: every line is a version."""
    connector = "file"

    def __init__(self, folder):
        self.path = folder / "items.ndjson"
        self.versions = []
        self.write(range(1, BASE + 1), "first")

    def write(self, ids, note):
        with open(self.path, "a", encoding="utf-8") as out:
            for i in ids:
                self.versions.append((i, f"{note} {i} é", None))
                out.write(json.dumps({"id": i, "note": f"{note} {i} é"}) + "\n")

    def change(self):
        self.write(range(BASE + 1, BASE + ADDED + 1), "new")

    @property
    def config(self):
        return {"path": str(self.path)}


# ------------------------------------------------------------- destinations

class SqliteDestination:
    connector = "sqlite"

    def __init__(self, folder):
        self.path = folder / "destination.db"

    @property
    def config(self):
        return {"path": str(self.path)}

    def content(self, columns):
        db = sqlite3.connect(self.path)
        try:
            left = [n for n, in db.execute("select name from sqlite_master where type = 'table'")
                    if "__g" in n]
            rows = collections.Counter(db.execute(f"select {columns} from items"))
            return rows, left
        finally:
            db.close()


class FileDestination:
    connector = "file"

    def __init__(self, folder):
        self.path = folder / "files"

    @property
    def config(self):
        return {"path": str(self.path), "format": "ndjson"}

    def content(self, columns):
        rows = collections.Counter()
        live = json.loads((self.path / "_manifests/items/live.json").read_text())
        for manifest in sorted((self.path / "_manifests/items" / live["directory"]).glob("*.json")):
            for entry in json.loads(manifest.read_text())["files"]:
                with open(self.path / entry["name"], encoding="utf-8") as lines:
                    for line in lines:
                        record = json.loads(line)
                        rows[tuple(record.get(c) for c in columns.split(", "))] += 1
        left = [str(p) for p in self.path.rglob("*.part")]
        return rows, left


# -------------------------------------------------------------------- modes

def current(source, seen_full_copies):
    return collections.Counter(source.rows.values())


def all_versions(source, seen_full_copies):
    return collections.Counter(source.versions)


MODES = {
    # name: (source, destination, sync_mode, write mode, what must be there)
    "overwrite": (SqliteSource, SqliteDestination, "full_refresh", "overwrite", current),
    "append": (SqliteSource, SqliteDestination, "full_refresh", "append", None),
    "incremental_append": (SqliteSource, SqliteDestination, "incremental", "append", all_versions),
    "append_dedup": (SqliteSource, SqliteDestination, "incremental", "append_dedup", current),
    "file_overwrite": (SqliteSource, FileDestination, "full_refresh", "overwrite", current),
    "file_append": (SqliteSource, FileDestination, "incremental", "append", all_versions),
    "from_file": (FileSource, SqliteDestination, "incremental", "append", all_versions),
}


class Case:
    def __init__(self, mode):
        make_source, make_destination, self.sync_mode, self.write_mode, self.oracle = MODES[mode]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"connectord-crash-{mode}-"))
        self.source, self.destination = make_source(self.folder), make_destination(self.folder)
        self.columns = "id, note" if make_source is FileSource else "id, note, changed_at"

    def service(self, failpoint=None):
        return Service(self.folder, environment={"CONNECTORD_FAILPOINT": failpoint} if failpoint else {})

    def describe(self, service):
        service.put("/v1/sources/s", {"connector": self.source.connector, "config": self.source.config})
        service.put("/v1/destinations/d", {"connector": self.destination.connector,
                                           "config": self.destination.config})
        stream = {"name": "items", "sync_mode": self.sync_mode, "destination_sync_mode": self.write_mode}
        if self.sync_mode == "incremental" and self.source.connector == "sqlite":
            stream["cursor_field"] = ["changed_at"]
        answer = service.put("/v1/connections/c", {
            "source": "s", "destination": "d", "streams": [stream],
            "commit": {"max_rows": 1500}, "run_policy": {"max_attempts": 3, "backoff_s": 0}})
        assert answer.status == 201, answer

    @staticmethod
    def run(service):
        answer = service.post("/v1/connections/c/runs?wait=55")
        assert answer.status == 201, answer
        run = answer.json()
        while run["status"] not in ("succeeded", "failed", "cancelled"):
            run = service.get(f"/v1/runs/{run['id']}?wait=55").json()
        return run

    @staticmethod
    def ended(service):
        run = service.get("/v1/connections/c/runs/latest?wait=5").json()
        return run if run["status"] in ("succeeded", "failed") else None

    def rows(self):
        return self.destination.content(self.columns)[0]

    def trimmed(self, counter):
        n = len(self.columns.split(", "))
        out = collections.Counter()
        for row, count in counter.items():
            out[row[:n]] += count
        return out

    def disturb(self, point, action, nth):
        """None when the point was not reached, else a list of what is wrong."""
        service = self.service().start()
        self.describe(service)
        first = self.run(service)
        assert first["status"] == "succeeded", first
        before = self.rows()
        service.stop()
        self.source.change()

        service = self.service(f"{point}:{nth}:{action}")
        try:
            run = self.run(service.start())
        except OSError:
            run = None
        except AssertionError:  # it died before it was ready, or would not start
            if service.alive():
                raise
            run = None
        if run is None:
            service.process.wait(60)
            service.kill()
        else:
            reached = action == "error" and (run["attempts"] > 1 or run["status"] == "failed")
            service.stop()
            if not reached:
                return None
        service = self.service().start()
        # A run that was queued when the service died is carried out by the next one.
        latest = wait_until("the run to end", lambda: self.ended(service))
        wrong = []
        if run is None and latest["status"] == "failed" and latest["error"]["code"] != "worker_lost":
            wrong.append(f"the interrupted run says {latest['error']}")
        between = self.rows()
        last = self.run(service)
        if last["status"] != "succeeded":
            wrong.append(f"the run after the restart: {json.dumps(last['error'])}")
        service.stop()
        return wrong + self.judge(before, between)

    def judge(self, before, between):
        rows, left = self.destination.content(self.columns)
        if self.oracle:
            expected = self.trimmed(self.oracle(self.source, None))
        else:
            # Every completed run adds one copy; the disturbed one added all of it or nothing.
            copy = collections.Counter(self.source.rows.values())
            added = sum(between.values()) - sum(before.values())
            if added not in (0, len(self.source.rows)):
                return [f"the disturbed run left {added} of {len(self.source.rows)} rows"]
            expected = before + copy + (copy if added else collections.Counter())
        wrong = []
        if rows != expected:
            wrong.append(f"missing {list((expected - rows).items())[:3]}, extra {list((rows - expected).items())[:3]}")
        if left:
            wrong.append(f"left behind: {left}")
        return wrong


def run_mode(mode, points):
    NOTES.mkdir(exist_ok=True)
    passed, failed, reached = 0, 0, set()
    for point in points:
        for action, nth in ACTIONS + MORE.get(point, ()):
            case = Case(mode)
            try:
                wrong = case.disturb(point, action, nth)
            finally:
                shutil.rmtree(case.folder, ignore_errors=True)
            if wrong is None:
                continue
            reached.add(point)
            passed += not wrong
            failed += bool(wrong)
            print(f"{'ok    ' if not wrong else 'FAILED'} {mode} {point}:{nth}:{action} {'; '.join(wrong)}", flush=True)
    (NOTES / mode).write_text("\n".join(sorted(reached)))
    print(f"{mode}: {len(reached)} of {len(points)} steps reached; {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def check_reached():
    reached = set()
    for mode in MODES:
        reached |= set((NOTES / mode).read_text().split())
    missing = sorted(set(failpoints()) - reached)
    print(f"{len(reached)} steps reached by some mode: {', '.join(sorted(reached))}")
    if missing:
        print(f"never reached: {', '.join(missing)}")
    return 1 if missing or len(reached) < 15 else 0


if __name__ == "__main__":
    if sys.argv[1] == "--reached":
        sys.exit(check_reached())
    sys.exit(run_mode(sys.argv[1], sys.argv[2:] or failpoints()))
