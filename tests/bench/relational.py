"""Measures with PostgreSQL and MariaDB on servers of our own, durable as in production."""
import json
import shlex
import statistics
import subprocess
import sys
import time

from measure import BENCH, ROOT, Service, remove, timed

sys.path.insert(0, str(ROOT / "tests/support"))
import databases  # noqa: E402

COLUMNS = """l_orderkey bigint, l_partkey int, l_suppkey int, l_linenumber int,
  l_quantity decimal(15,2), l_extendedprice decimal(15,2), l_discount decimal(15,2), l_tax decimal(15,2),
  l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date,
  l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44)"""
PASSWORD_IN_URL = databases.PASSWORD.replace(" ", "%20")


class Relational:
    """Mixed into Bench: needs its folder, rows, ratio and memory."""

    servers = None

    def start_servers(self):
        if not self.servers:
            file = self.folder / "servers.json"
            self.servers = databases.start(file, durable=True)
            databases.servers = lambda: self.servers
            # pgloader takes a password as it stands in the address.
            databases.postgres().cursor().execute("create role bench superuser login password 'bench'")
            for statement in ("create user bench identified by 'bench'", "grant all on *.* to bench"):
                databases.mysql().cursor().execute(statement)
        return self.servers

    def stop_servers(self):
        if self.servers:
            databases.stop(self.folder / "servers.json")

    # ------------------------------------------------------------------ data

    def psql(self, database, *statements):
        """The words of a psql that runs these in one session."""
        words = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1",
                 f"postgresql://{databases.USER}:{PASSWORD_IN_URL}@127.0.0.1:"
                 f"{self.start_servers()['postgres']['port']}/{database}?sslmode=disable&options=-cclient_min_messages%3Dwarning"]
        for statement in statements:
            words += ["-c", statement]
        return words

    def mariadb(self, database, statement):
        return ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{self.start_servers()['mysql']['port']}",
                f"-u{databases.USER}", f"-p{databases.PASSWORD}", "--local-infile=1", "--skip-ssl", database, "-e", statement]

    def postgres_lineitem(self):
        """The database with the table, made once."""
        self.start_servers()
        if not hasattr(self, "_lineitem"):
            self._lineitem = databases.new_postgres("lineitem")
            copy = f"\\copy lineitem from {self.lineitem_csv()} csv header"
            subprocess.run(self.psql(self._lineitem, f"create table lineitem ({COLUMNS})", copy,
                                     "vacuum analyze lineitem"), check=True)
        return self._lineitem

    def service(self, source, destination, streams=None):
        service = Service(self.folder)
        service.connection("bench", source, destination, streams)
        return service

    def whole_run(self, service, rows):
        def ours():
            seconds, run = service.run("bench")
            assert run["stats"]["records_committed"] == rows, json.dumps(run)
            return seconds
        return ours

    def from_postgres(self, database):
        return {"connector": "postgres", "config": databases.postgres_config(database)}

    def to_postgres(self, database):
        return {"connector": "postgres", "config": databases.postgres_config(database)}

    def pipe(self, *commands):
        return timed(" | ".join(shlex.join(str(w) for w in c) for c in commands))

    # -------------------------------------------------------------- measures

    def copy_against_psql(self, name, source, table, rows, least):
        target, other = databases.new_postgres("ours"), databases.new_postgres("theirs")
        made = subprocess.run(["pg_dump", "-s", "-t", table, self.psql(source)[5]], check=True,
                              capture_output=True, text=True).stdout
        create = "create" + made.split("CREATE", 1)[1].split(";", 1)[0]
        service = self.service(self.from_postgres(source), self.to_postgres(target), [{"name": table, "namespace": "public"}])

        def theirs():
            subprocess.run(self.psql(other, f"drop table if exists {table}", create), check=True)
            return self.pipe(self.psql(source, f"copy {table} to stdout"),
                             self.psql(other, f"copy {table} from stdin"))

        kept, self.rows = self.rows, rows
        self.ratio(name, self.whole_run(service, rows), theirs, least, "psql COPY | psql COPY")
        self.rows = kept
        self.memory("  peak memory", service, 64)
        service.stop()

    def postgres_to_postgres(self):
        self.copy_against_psql("PostgreSQL -> PostgreSQL full refresh", self.postgres_lineitem(),
                               "lineitem", self.rows, 1.0)

    def postgres_wide(self):
        self.start_servers()
        source, rows = databases.new_postgres("wide"), self.rows // 5
        sql = (BENCH / "wide.sql").read_text().replace(":rows", str(rows))
        subprocess.run(self.psql(source, sql, "vacuum analyze wide"), check=True)
        self.copy_against_psql("PostgreSQL -> PostgreSQL, wide rows", source, "wide", rows, 1.2)

    def postgres_upsert(self):
        """A tenth of the rows has changed since the last run."""
        self.start_servers()
        source, target, other = (databases.new_postgres(n) for n in ("changing", "ours", "theirs"))
        fill = (f"create table items as select i::bigint as id, now() - interval '1 day' as changed_at, l.* from "
                f"(select row_number() over () as i, * from lineitem) as l")
        columns = "(id bigint, changed_at timestamptz, i bigint, " + COLUMNS + ")"
        self.pipe(self.psql(self.postgres_lineitem(), "copy lineitem to stdout"),
                  self.psql(source, f"create table lineitem ({COLUMNS})", "copy lineitem from stdin"))
        subprocess.run(self.psql(source, fill, "alter table items add primary key (id)",
                                 "create index on items (changed_at)", "drop table lineitem",
                                 "vacuum analyze items"), check=True)
        self.pipe(self.psql(source, "copy items to stdout"),
                  self.psql(other, f"create table items {columns}", "copy items from stdin",
                            "alter table items add primary key (id)", "vacuum analyze items"))
        service = self.service(self.from_postgres(source), self.to_postgres(target), [
            {"name": "items", "namespace": "public", "sync_mode": "incremental",
             "destination_sync_mode": "append_dedup", "cursor_field": ["changed_at"]}])
        service.run("bench")
        subprocess.run(self.psql(target, "vacuum analyze items"), check=True)
        names = ["id", "changed_at", "i"] + [c.split()[0] for c in COLUMNS.replace("(15,2)", "").split(",")]
        assign = ", ".join(f"{n} = excluded.{n}" for n in names[1:])
        changed = self.rows // 10
        state = {"turn": 0}

        def change():
            state["turn"] += 1
            low = state["turn"] * changed % self.rows
            subprocess.run(self.psql(source, f"update items set changed_at = now(), l_quantity = l_quantity + 1, "
                                     f"l_comment = 'turn {state['turn']}' where id > {low} and id <= {low + changed}",
                                     "vacuum items"), check=True)
            return f"id > {low} and id <= {low + changed}"

        def ours():
            state["where"] = change()
            seconds, run = service.run("bench")
            assert run["stats"]["records_committed"] >= changed, json.dumps(run)
            return seconds

        def theirs():
            return self.pipe(
                self.psql(source, f"copy (select * from items where {state['where']}) to stdout"),
                self.psql(other, "create temp table fresh (like items)", "copy fresh from stdin",
                          f"insert into items select * from fresh on conflict (id) do update set {assign}"))

        kept, self.rows = self.rows, changed
        try:
            self.ratio("PostgreSQL -> PostgreSQL upsert of a tenth", ours, theirs, 0.9, "psql COPY + ON CONFLICT")
        finally:
            self.rows = kept
        self.memory("  peak memory", service, 64)
        service.stop()

    def pgloader(self, source, other):
        port = self.start_servers()["postgres"]["port"]
        subprocess.run(self.psql(other, "drop table if exists lineitem"), check=True)
        return timed(["pgloader", "--quiet", source, f"postgresql://bench:bench@127.0.0.1:{port}/{other}?sslmode=disable"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def sqlite_to_postgres(self):
        self.start_servers()
        source, target, other = self.lineitem(), databases.new_postgres("ours"), databases.new_postgres("theirs")
        service = self.service({"connector": "sqlite", "config": {"path": str(source)}}, self.to_postgres(target))
        self.ratio("SQLite -> PostgreSQL full refresh", self.whole_run(service, self.rows),
                   lambda: self.pgloader(f"sqlite://{source}", other), 3, "pgloader")
        self.memory("  peak memory", service, 64)
        service.stop()

    def csv_to_postgres(self):
        self.start_servers()
        source, target, other = self.lineitem_csv(), databases.new_postgres("ours"), databases.new_postgres("theirs")
        service = self.service({"connector": "file", "config": {"path": str(source)}}, self.to_postgres(target))

        def theirs():
            subprocess.run(self.psql(other, "drop table if exists lineitem", f"create table lineitem ({COLUMNS})"), check=True)
            return timed(self.psql(other, f"\\copy lineitem from {source} csv header"))

        self.ratio("CSV -> PostgreSQL full refresh", self.whole_run(service, self.rows), theirs, 0.9, "psql \\copy")
        self.memory("  peak memory", service, 64)
        service.stop()

    def tsv(self):
        path = self.folder / "lineitem.tsv"
        if not path.exists():
            with open(path, "wb") as out:
                subprocess.run(self.psql(self.postgres_lineitem(), "copy lineitem to stdout"), stdout=out, check=True)
        return path

    def load_data(self, database):
        subprocess.run(self.mariadb(database, f"drop table if exists lineitem; create table lineitem ({COLUMNS})"), check=True)
        return timed(self.mariadb(database, f"load data local infile '{self.tsv()}' into table lineitem"))

    def mysql_to_postgres(self):
        self.start_servers()
        source, target, other = databases.new_mysql("lineitem"), databases.new_postgres("ours"), databases.new_postgres("theirs")
        self.load_data(source)
        service = self.service({"connector": "mysql", "config": databases.mysql_config(source)}, self.to_postgres(target))
        url = f"mysql://bench:bench@127.0.0.1:{self.servers['mysql']['port']}/{source}"
        self.ratio("MariaDB -> PostgreSQL full refresh", self.whole_run(service, self.rows),
                   lambda: self.pgloader(url, other), 3, "pgloader")
        self.memory("  peak memory", service, 64)
        service.stop()

    def postgres_to_mysql(self):
        source = self.postgres_lineitem()
        target, other = databases.new_mysql("ours"), databases.new_mysql("theirs")
        self.tsv()
        service = self.service(self.from_postgres(source), {"connector": "mysql", "config": databases.mysql_config(target)},
                               [{"name": "lineitem", "namespace": "public"}])
        self.ratio("PostgreSQL -> MariaDB full refresh", self.whole_run(service, self.rows),
                   lambda: self.load_data(other), 0.8, "LOAD DATA LOCAL")
        self.memory("  peak memory", service, 64)
        service.stop()

    def discovery(self, tables=10_000):
        """From the request to the whole answer, of a database of many tables."""
        self.start_servers()
        columns = ("id bigint not null primary key, a int not null, b varchar(40), c text, d decimal(10, 2), e date, "
                   "f timestamp null, g double precision, h smallint, i varchar(10) not null, unique (a)")
        for name, connector in (("PostgreSQL", "postgres"), ("MariaDB", "mysql")):
            database = getattr(databases, f"new_{connector}")("many")
            cursor = getattr(databases, connector)(database).cursor()
            for i in range(tables):
                cursor.execute(f"create table t{i:05} ({columns})")
            service = Service(self.folder)
            service.call("PUT", "/v1/sources/many", {"connector": connector, "config":
                                                     getattr(databases, f"{connector}_config")(database)})
            took = []
            for _ in range(self.pairs):
                began = time.monotonic()
                found = service.call("POST", "/v1/sources/many/discover")
                took.append(time.monotonic() - began)
                assert len(found["streams"]) == tables, len(found["streams"])
            seconds = statistics.median(took)
            self.report(f"discovery of {tables:,} tables, {name}", f"{seconds:.1f} s", "< 5 s", seconds < 5)
            service.stop()

    def postgres_to_sqlite(self):
        source, target, other = self.postgres_lineitem(), self.folder / "ours.db", self.folder / "theirs.db"
        service = self.service(self.from_postgres(source), {"connector": "sqlite", "config": {"path": str(target)}},
                               [{"name": "lineitem", "namespace": "public"}])

        def theirs():
            remove(other)
            return self.pipe(self.psql(source, "copy lineitem to stdout with (format csv, header)"),
                             ["sqlite3", other, "-cmd", ".mode csv", ".import /dev/stdin lineitem"])

        self.ratio("PostgreSQL -> SQLite full refresh", self.whole_run(service, self.rows), theirs, 1.0,
                   "psql COPY CSV | sqlite3 .import")
        self.memory("  peak memory", service, 64)
        service.stop()
        remove(target)
        remove(other)
