"""Sources that remember all that was ever in them, and destinations that say what they hold."""
import collections
import datetime
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from engines import ENGINES  # noqa: E402

# A column that the source gets with the first change: what every row has there that is older, and so what a destination
# that has not been told of it yet says by leaving it out.
NEWER = {"grade": 7}
# What a column is called before the first change.
FORMER = {"note": "remark"}
BASE, UPDATED, ADDED = 4200, 150, 2200  # a batch has at most 2,048 rows, so each read is several


def stamp_text(value):
    """One form for the times of all databases."""
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value.rstrip("Z").ljust(26, "0") if "." in value else value.rstrip("Z"))
    if value is not None and value.tzinfo:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value and value.isoformat(timespec="microseconds")


def truth_text(value):
    """What a boolean is as text; text stays what it is."""
    return value if value is None or isinstance(value, str) else "true" if value else "false"


FORMS = {"changed_at": stamp_text, "flag": truth_text}


def cell(record, column):
    """Of a record as it was delivered, whenever that was."""
    return record[column] if column in record else record[FORMER[column]] if column in FORMER else NEWER[column]


def plain_row(columns, values):
    return tuple(FORMS[c](v) if c in FORMS else v for c, v in zip(columns, values))


class TableHistory:
    """A table with a key, a note, a cursor and a flag. With the first change the flag becomes text, the note gets its name,
    and a column is added that has a default. All versions of its rows are kept here."""
    columns = ("id", "note", "changed_at", "flag", "grade")

    def __init__(self, engine, name):
        self.engine, self.name = engine, name
        self.rows, self.versions, self.changes = {}, [], 0
        engine.create(name, "id {int} not null primary key, remark {text}, changed_at {time}, flag {bool}")
        self.write(range(1, BASE + 1), "first")

    def write(self, ids, note):
        """Stamped with the time of the write: what is stamped earlier than a run that has ended
        already may be passed over, by any bookmark."""
        batch = []
        for i in ids:
            now = datetime.datetime.now(datetime.timezone.utc)
            if now.microsecond == 0:  # a fraction is always written, and never one to come
                now -= datetime.timedelta(microseconds=1)
            stamp = f"{now:%Y-%m-%d %H:%M:%S.%f}"
            flag = None if i % 3 == 0 else i % 3 == 1
            grade = (i % 5 or None) if self.changes else NEWER["grade"]
            batch.append((i, f"{note} {i} é", stamp, truth_text(flag) if self.changes else flag, grade)[:5 if self.changes else 4])
            self.rows[i] = plain_row(self.columns, (*batch[-1][:4], grade))
            self.versions.append(self.rows[i])
        self.engine.replace(self.name, batch)

    def change(self):
        """Some rows change, others come, in one go and later than all that was there."""
        if not self.changes:
            self.engine.truth_to_text(self.name, "flag")
            self.engine.execute(f"alter table {self.name} rename column {FORMER['note']} to note")
            self.engine.execute(f"alter table {self.name} add column grade {self.engine.types['int']} default {NEWER['grade']}")
        self.changes += 1
        top = max(self.rows)
        self.write(range(10, 10 + UPDATED), f"change {self.changes}")
        self.write(range(top + 1, top + ADDED + 1), "new")

    def current(self):
        return collections.Counter(self.rows.values())

    def every_version(self):
        return collections.Counter(self.versions)


class TableSource:
    def __init__(self, kind, folder):
        self.engine, self.connector = ENGINES[kind]("crash_source"), kind

    def new(self, name):
        return TableHistory(self.engine, name)

    def config(self, name):
        return self.engine.config(skew_s=0)  # one clock, and no time to wait

    def close(self):
        self.engine.drop()


class FileHistory:
    """An NDJSON file that grows: every line is a version."""
    columns = ("id", "note")

    def __init__(self, path):
        self.path, self.versions = path, []
        self.write(BASE)

    def write(self, n):
        with open(self.path, "a", encoding="utf-8") as out:
            for i in range(len(self.versions) + 1, len(self.versions) + n + 1):
                self.versions.append((i, f"line {i} é"))
                out.write(json.dumps({"id": i, "note": f"line {i} é"}) + "\n")

    def change(self):
        self.write(ADDED)

    def every_version(self):
        return collections.Counter(self.versions)

    current = every_version


class FileSource:
    connector = "file"

    def __init__(self, kind, folder):
        self.folder = folder

    def new(self, name):
        return FileHistory(self.folder / f"{name}.ndjson")

    def config(self, name):
        return {"path": str(self.folder / f"{name}.ndjson")}

    def close(self):
        pass


class TableDestination:
    def __init__(self, kind, folder):
        self.engine, self.connector = ENGINES[kind]("crash_destination"), kind

    def config(self, name):
        return self.engine.config()

    def rows(self, name, columns):
        if name not in self.engine.tables():
            return collections.Counter()
        there = {c: c for c in self.engine.columns(name)}
        rows = self.engine.execute(f"select {', '.join(str(cell(there, c)) for c in columns)} from {name}")
        return collections.Counter(plain_row(columns, row) for row in rows)

    def left(self, name):
        """What should be gone when a run has ended: generations, staging tables."""
        return [table for table in self.engine.tables() if table.startswith(name + "_")]

    def close(self):
        self.engine.drop()


class FileDestination:
    connector = "file"

    def __init__(self, kind, folder):
        self.path = folder / "files"

    def config(self, name):
        return {"path": str(self.path), "format": "ndjson"}

    def rows(self, name, columns):
        rows = collections.Counter()
        manifests = self.path / "_manifests" / name
        if not (manifests / "live.json").exists():
            return rows
        live = json.loads((manifests / "live.json").read_text())
        for manifest in sorted((manifests / live["directory"]).glob("*.json")):
            for entry in json.loads(manifest.read_text())["files"]:
                with open(self.path / entry["name"], encoding="utf-8") as lines:
                    for line in lines:
                        record = json.loads(line)
                        rows[plain_row(columns, [cell(record, c) for c in columns])] += 1
        return rows

    def left(self, name):
        return [str(p) for p in self.path.rglob("*.part")]

    def close(self):
        pass
