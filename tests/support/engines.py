"""The three databases behind one face, for tests that run against each of them.

An engine is a database of its own on the test servers (or a SQLite file): SQL can be run in it
directly, and it says how the service is to reach it. Values are bound; `?` is the mark in every one.
"""
import contextlib
import datetime
import pathlib
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import databases  # noqa: E402


class Engine:
    connector = None          # of the service; sources and destinations are called the same
    quote = '"'
    mark = "%s"
    now = None                # the clock of the database, as it stamps rows
    # For tables made by hand: what the types of a source are called.
    types = {}

    def __init__(self, prefix="t"):
        self.port = None      # of a proxy, when there is one
        self.kept = None

    @property
    def db(self):
        """The test's own connection, in autocommit."""
        if self.kept is None:
            self.kept = self.connect()
        return self.kept

    def where(self, more):
        return {"port": self.port, **more} if self.port else more

    def sql(self, text):
        return text.replace("?", self.mark)

    def name(self, name):
        return self.quote + name.replace(self.quote, self.quote * 2) + self.quote

    @staticmethod
    def literal(text):
        """For names of tables that are values too; the test's sessions take no backslash for an escape."""
        return "'" + text.replace("'", "''") + "'"

    def execute(self, text, params=(), db=None):
        """The rows of one statement, if it has some."""
        with contextlib.closing((db or self.db).cursor()) as cursor:
            cursor.execute(self.sql(text), tuple(params)) if params else cursor.execute(text)
            return list(cursor.fetchall()) if cursor.description else None

    def insert(self, table, rows, columns=None, db=None):
        rows = list(rows)
        if not rows:
            return
        names = f" ({', '.join(map(self.name, columns))})" if columns else ""
        marks = ", ".join("?" * len(rows[0]))
        with contextlib.closing((db or self.db).cursor()) as cursor:
            cursor.executemany(self.sql(f"insert into {self.name(table)}{names} values ({marks})"), rows)

    def replace(self, table, rows):
        """Inserts or replaces whole rows of a table whose first column is its key, in one transaction."""
        db = self.connect()
        with contextlib.closing(db):
            self.begin(db)
            self.execute(f"create temporary table incoming {self.copied_from.format(self.name(table))}", db=db)
            self.insert("incoming", rows, db=db)
            key = "id"
            self.execute(f"delete from {self.name(table)} where {key} in (select {key} from incoming)", db=db)
            self.execute(f"insert into {self.name(table)} select * from incoming", db=db)
            self.execute("commit", db=db)

    def truth_to_text(self, table, column):
        """A boolean column, which is the last one, becomes text: true and false."""
        table, column, text = self.name(table), self.name(column), self.types["text"]
        self.execute(f"alter table {table} rename column {column} to was")
        self.execute(f"alter table {table} add column {column} {text}")
        self.execute(f"update {table} set {column} = case when was then 'true' when not was then 'false' end")
        self.execute(f"alter table {table} drop column was")

    copied_from = "as select * from {} where 1 = 0"

    def create(self, table, columns, more=""):
        """`columns` as text with {types} of this engine: "id {int} primary key, s {text}"."""
        self.execute(f"create table {self.name(table)} ({columns.format(**self.types)}{more}){self.created_with}")

    created_with = ""

    def rows(self, table, columns="*", where=""):
        return sorted(map(tuple, self.execute(f"select {columns} from {self.name(table)} {where}")), key=repr)

    def count(self, table, where=""):
        return self.execute(f"select count(*) from {self.name(table)} {where}")[0][0]

    def tables(self):
        raise NotImplementedError

    def columns(self, table):
        """Names of the columns that came from the source, in order."""
        return [n for n in self.all_columns(table) if not n.startswith("_connectord_")]

    def begin(self, db):
        self.execute("begin", db=db)

    def state(self, *columns):
        return [dict(zip(columns, row)) for row in
                self.execute(f"select {', '.join(map(self.name, columns))} from {self.name('_connectord_state')}")]

    def quarantined(self, *columns):
        """[] when nothing ever was: the table may not be there."""
        if "_connectord_quarantine" not in self.tables():
            return []
        return self.execute(f"select {', '.join(map(self.name, columns))} from "
                            f"{self.name('_connectord_quarantine')} order by {self.name('ordinal')}")

    def close(self):
        if self.kept is not None:
            self.kept.close()
            self.kept = None

    def drop(self):
        self.close()


class Postgres(Engine):
    connector = "postgres"
    now = "clock_timestamp()"
    types = {"int": "bigint", "text": "text", "time": "timestamptz", "decimal": "numeric", "float": "double precision",
             "bytes": "bytea", "json": "jsonb", "local": "timestamp", "key": "text", "bool": "boolean"}

    def __init__(self, prefix="t"):
        super().__init__()
        self.database = databases.new_postgres(prefix)

    def connect(self, **more):
        return databases.postgres(self.database, **more)

    def insert(self, table, rows, columns=None, db=None):
        from psycopg2.extras import execute_values
        names = f" ({', '.join(map(self.name, columns))})" if columns else ""
        with contextlib.closing((db or self.db).cursor()) as cursor:
            execute_values(cursor, f"insert into {self.name(table)}{names} values %s", list(rows), page_size=1000)

    def config(self, **more):
        return databases.postgres_config(self.database, **self.where(more))

    def tables(self):
        return [n for n, in self.execute("select tablename from pg_tables where schemaname = 'public'")]

    def all_columns(self, table):
        return [n for n, in self.execute("select column_name from information_schema.columns where table_schema = "
                                         "'public' and table_name = ? order by ordinal_position", (table,))]

    def drop(self):
        self.close()
        with contextlib.closing(databases.postgres()) as db:
            db.cursor().execute(f'drop database if exists "{self.database}" with (force)')


class Mysql(Engine):
    connector = "mysql"
    quote = "`"
    now = "utc_timestamp(6)"
    created_with = " engine=innodb"
    copied_from = "(primary key (id)) as select * from {} where 1 = 0"  # it looks up each row of the other side
    types = {"int": "bigint", "text": "longtext", "time": "datetime(6)", "decimal": "decimal(65,10)", "float": "double",
             "bytes": "longblob", "json": "json", "local": "datetime(6)", "key": "varchar(190) collate utf8mb4_bin",
             "bool": "tinyint(1)"}

    def __init__(self, prefix="t"):
        super().__init__()
        self.database = databases.new_mysql(prefix)

    def connect(self, **more):
        more.setdefault("init_command", "set time_zone = '+00:00', sql_mode = "
                                        "'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO'")
        return databases.mysql(self.database, **more)

    def config(self, **more):
        return databases.mysql_config(self.database, **self.where(more))

    def tables(self):
        return [n for n, in self.execute("select table_name from information_schema.tables where table_schema = "
                                         "database() and table_type = 'BASE TABLE'")]

    def all_columns(self, table):
        return [n for n, in self.execute("select column_name from information_schema.columns where table_schema = "
                                         "database() and table_name = ? order by ordinal_position", (table,))]

    def drop(self):
        self.close()
        with contextlib.closing(databases.mysql()) as db:
            db.cursor().execute(f"drop database if exists `{self.database}`")


class Sqlite(Engine):
    connector = "sqlite"
    mark = "?"
    now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    types = {"int": "integer", "text": "text", "time": "timestamp", "decimal": "decimal", "float": "double",
             "bytes": "blob", "json": "json", "local": "timestamp", "key": "text", "bool": "boolean"}

    def __init__(self, prefix="t"):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix=f"connectord-{prefix}-")
        self.path = pathlib.Path(self.folder.name) / "data.db"

    def connect(self, **more):
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=60, **more)
        db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        db.execute("pragma synchronous = off")
        return db

    def begin(self, db):
        self.execute("begin immediate", db=db)

    def config(self, **more):
        return {"path": str(self.path), **more}

    def insert(self, table, rows, columns=None, db=None):
        own = db is None
        if own:
            self.db.execute("begin immediate")
        super().insert(table, rows, columns, db)
        if own:
            self.db.execute("commit")

    def tables(self):
        return [n for n, in self.execute("select name from sqlite_master where type = 'table'")]

    def all_columns(self, table):
        return [row[1] for row in self.execute(f"pragma table_info({self.name(table)})")]

    def drop(self):
        self.close()
        self.folder.cleanup()


ENGINES = {engine.connector: engine for engine in (Postgres, Mysql, Sqlite)}
SERVERS = {"postgres": Postgres, "mysql": Mysql}


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
