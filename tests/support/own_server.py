"""A PostgreSQL or MariaDB server of a test's own: one that may be stopped, filled up, frozen."""
import atexit
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import databases
from engines import Mysql, Postgres


class OwnServer:
    """An engine (see engines.py) whose server belongs to the test alone."""
    started = {}

    @classmethod
    def shared(cls, **settings):
        """One server for all tests of a file that want the same settings; a new database of it for each."""
        key = (cls, tuple(sorted(settings.items())))
        if key not in OwnServer.started:
            OwnServer.started[key] = cls.start(**settings)
        return cls(OwnServer.started[key])

    @classmethod
    def start(cls, folder=None, **settings):
        folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="connectord-server-"))
        os.chmod(folder, 0o755)
        server = {**cls.launch(folder, settings), "folder": folder}
        atexit.register(cls.end, server)
        return server

    @classmethod
    def end(cls, server):
        """At once: nobody needs its data any more."""
        if databases.alive(server["pid"]):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server["pid"], signal.SIGCONT)
                os.killpg(server["pid"], signal.SIGKILL)
        shutil.rmtree(server["folder"], ignore_errors=True)

    def die(self):
        """All its processes, at once; what it had written is in its files."""
        self.close()
        os.killpg(self.server["pid"], signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.server["pid"], 0)  # a pid that is still there keeps the next one from starting

    def come_back(self):
        """On the same port. Returns when it has recovered."""
        for patience in range(100, -1, -1):
            try:
                databases.launch(self.server, "the server", lambda: self.connect().close())
                return
            except SystemExit as why:  # its other processes have not noticed yet that it died
                if not patience or "shared memory" not in str(why):
                    raise
                time.sleep(0.1)

    def __init__(self, server, prefix="own"):
        self.server = server
        with self.on_this_server():
            super().__init__(prefix)
        self.port = server["port"]

    @contextlib.contextmanager
    def on_this_server(self):
        """What databases.py says about the servers of the test run is about this one."""
        ordinary = databases.servers
        databases.servers = lambda: {"postgres": self.server, "mysql": self.server}
        try:
            yield
        finally:
            databases.servers = ordinary

    def connect(self, **more):
        with self.on_this_server():
            return super().connect(**more)

    def drop(self):
        self.close()


class OwnPostgres(OwnServer, Postgres):
    @staticmethod
    def launch(folder, settings):
        if settings.pop("tls", True) is False:
            settings["ssl"] = "off"
        return databases.start_postgres(folder, durable=False, **settings)

    def set(self, name, value):
        """For all sessions to come."""
        if value is None:
            self.execute(f"alter system reset {name}")
        else:
            self.execute(f"alter system set {name} = {value}")
        self.execute("select pg_reload_conf()")

    def limited(self):
        return {}

    @contextlib.contextmanager
    def read_only(self):
        self.set("default_transaction_read_only", "on")
        try:
            yield
        finally:
            self.execute("set default_transaction_read_only = off")
            self.set("default_transaction_read_only", None)
            self.close()

    def standby(self):
        """A hot standby of this server."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-standby-"))
        os.chmod(folder, 0o755)
        prefix, user = databases.as_user("postgres")
        data = databases.make_folder(folder, "postgres", user)
        bin_folder = databases.newest_postgres()
        environment = {**os.environ, "PGPASSWORD": databases.PASSWORD}
        subprocess.run(prefix + [bin_folder / "pg_basebackup", "-h", "127.0.0.1", "-p", str(self.server["port"]), "-U",
                                 databases.USER, "-D", data / "data", "-R", "-X", "stream", "-c", "fast", "--no-sync"],
                       check=True, capture_output=True, env=environment, cwd=data)
        port = databases.free_port()
        process = databases.spawn(prefix + [bin_folder / "postgres", "-D", data / "data", "-c", f"port={port}", "-c",
                                            "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}",
                                            "-c", "max_connections=400", "-c", "max_prepared_transactions=20"], data)
        server = {"port": port, "pid": process.pid, "folder": folder}
        atexit.register(type(self).end, server)

        def connects():
            import psycopg2
            psycopg2.connect(host="127.0.0.1", port=port, user=databases.USER, password=databases.PASSWORD,
                             dbname=self.database).close()
        databases.wait_for("the standby", process, data, connects)
        return server

    def backend_of(self, client_port):
        """The process that serves the connection from this port."""
        return self.execute("select pid from pg_stat_activity where client_port = ?", (client_port,))[0][0]


class OwnMysql(OwnServer, Mysql):
    @staticmethod
    def launch(folder, settings):
        if settings.pop("tls", True) is False:
            settings["skip-ssl"] = None
        return databases.start_mysql(folder, durable=False, **settings)

    def limited(self):
        """A user whom read_only binds."""
        self.execute(f"grant all on `{self.database}`.* to limited@'%' identified by 'limited one'")
        return {"username": "limited", "password": "limited one"}

    @contextlib.contextmanager
    def read_only(self):
        """For everybody without the right to ignore it."""
        self.execute("set global read_only = 1")
        try:
            yield
        finally:
            self.execute("set global read_only = 0")


@contextlib.contextmanager
def small_disk(megabytes):
    """A folder on a file system of its own, or None where one cannot be mounted."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder],
                             capture_output=True).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)
