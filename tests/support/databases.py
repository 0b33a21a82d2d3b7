#!/usr/bin/env python3
"""A PostgreSQL and a MariaDB of our own, on free ports, in a temporary folder.

    databases.py start FILE    starts both and writes how to reach them into FILE (JSON)
    databases.py stop FILE     stops both and removes their folder and FILE

Tests that are run by ctest share the two servers named by CONNECTORD_TEST_DATABASES; a test that is
run by hand without it gets two of its own, which end with it. Every test makes databases of its own
in them (new_postgres, new_mysql). Durability is off unless --durable is given: what is tested here
is our crash, not the server's.
"""
import atexit
import functools
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

USER, PASSWORD = "tester", "correct horse"
PATIENCE_S = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def newest_postgres():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if not found:
        raise SystemExit("no PostgreSQL server is installed (see tests/support/packages.sh)")
    return found[-1]


def as_user(name):
    """Neither server runs as root: what to put in front of a command, and the owner of its files."""
    if os.geteuid() != 0:
        return [], None
    user = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"], user


def make_folder(parent, name, user):
    folder = parent / name
    folder.mkdir()
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def make_certificate(folder, user):
    """Self-signed for localhost, so that every TLS mode can be tried; it is its own root."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", folder / "server.key", "-out", folder / "server.crt"],
                   check=True, capture_output=True)
    for name in ("server.key", "server.crt"):
        os.chmod(folder / name, 0o600 if name.endswith("key") else 0o644)
        if user:
            os.chown(folder / name, user.pw_uid, user.pw_gid)


def spawn(command, folder):
    with open(folder / "server.log", "ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                                start_new_session=True)


def wait_for(what, process, folder, attempt):
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return attempt()
        except Exception as why:  # not there yet, whatever the driver calls it
            if process.poll() is not None or time.monotonic() > end:
                log = (folder / "server.log").read_text(errors="replace")[-3000:]
                raise SystemExit(f"{what} did not start: {why}\n{log}") from why
        time.sleep(0.05)


def launch(server, what, connects):
    """Starts it, for the first time or again; returns when one can connect."""
    folder = pathlib.Path(server["where"])
    process = spawn(server["command"], folder)
    wait_for(what, process, folder, connects)
    server["pid"] = process.pid
    return server


def start_postgres(parent, durable, **more):
    import psycopg2
    bin_folder = newest_postgres()
    prefix, user = as_user("postgres")
    folder = make_folder(parent, "postgres", user)
    password = folder / "password"
    password.write_text(PASSWORD)
    os.chmod(password, 0o644)
    subprocess.run(prefix + [bin_folder / "initdb", "-D", folder / "data", "-U", USER, "-E", "UTF8",
                             "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password}",
                             "--no-sync"], check=True, capture_output=True, cwd=folder)
    make_certificate(folder, user)
    port = free_port()
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder,
                "max_connections": 400, "max_prepared_transactions": 20, "shared_buffers": "256MB",
                "max_wal_size": "4GB", "ssl": "on",
                "ssl_cert_file": folder / "server.crt", "ssl_key_file": folder / "server.key",
                "fsync": "on" if durable else "off", "log_min_messages": "warning", **more}
    if not durable:  # a server that is there for minutes has seldom vacuumed by then
        settings["autovacuum_naptime"] = "10s"
    command = prefix + [bin_folder / "postgres", "-D", folder / "data"]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    server = {"port": port, "socket": str(folder), "certificate": str(folder / "server.crt"), "command": list(map(str, command)),
              "where": str(folder)}
    return launch(server, "PostgreSQL", lambda: psycopg2.connect(
        host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres").close())


def start_mysql(parent, durable, **more):
    import pymysql
    prefix, user = as_user("mysql")
    folder = make_folder(parent, "mysql", user)
    # A server that starts removes the temporary tables of all others in the same folder.
    subprocess.run(prefix + ["mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={folder}",
                             "--auth-root-authentication-method=normal", "--skip-test-db"],
                   check=True, capture_output=True, cwd=folder)
    make_certificate(folder, user)
    port = free_port()
    init = folder / "init.sql"
    init.write_text(f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
                    f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n")
    os.chmod(init, 0o644)
    settings = {"datadir": folder / "data", "tmpdir": folder, "socket": folder / "server.sock", "port": port,
                "bind-address": "127.0.0.1", "local-infile": 1, "max-connections": 400,
                "innodb-buffer-pool-size": "256M", "innodb-log-file-size": "512M",
                "innodb-flush-log-at-trx-commit": 1 if durable else 0,
                "character-set-server": "utf8mb4", "skip-log-bin": None, "skip-name-resolve": None,
                "pid-file": folder / "server.pid", "init-file": init,
                "ssl-cert": folder / "server.crt", "ssl-key": folder / "server.key"}
    settings.update({n.replace("_", "-"): v for n, v in more.items()})
    if "log-bin" in settings:
        del settings["skip-log-bin"]
    command = prefix + [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults"]
    command += [f"--{n}={v}" if v is not None else f"--{n}" for n, v in settings.items()]
    server = {"port": port, "socket": str(folder / "server.sock"), "certificate": str(folder / "server.crt"),
              "command": list(map(str, command)), "where": str(folder)}
    return launch(server, "MariaDB", lambda: pymysql.connect(
        host="127.0.0.1", port=port, user=USER, password=PASSWORD).close())


def start(file, durable=False):
    if file.exists():
        stop(file)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-databases-"))
    os.chmod(folder, 0o755)
    found = {"folder": str(folder)}
    try:
        found["postgres"] = start_postgres(folder, durable)
        file.write_text(json.dumps(found))
        found["mysql"] = start_mysql(folder, durable)
    finally:
        file.write_text(json.dumps(found))
    return found


def alive(pid):
    try:
        os.kill(pid, 0)
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def freeze(pid):
    """Stops a process; returns when each of its threads stands still, which takes until all have run once."""
    os.kill(pid, signal.SIGSTOP)
    while any(stat.read_text().rsplit(")", 1)[1].split()[0] not in "TZ"
              for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")):
        time.sleep(0.001)


def stop(file):
    found = json.loads(file.read_text())
    # SIGINT is PostgreSQL's fast shutdown; MariaDB knows SIGTERM.
    for name, how in (("postgres", signal.SIGINT), ("mysql", signal.SIGTERM)):
        pid = found.get(name, {}).get("pid")
        if not pid or not alive(pid):
            continue
        os.kill(pid, how)
        end = time.monotonic() + 30
        while alive(pid) and time.monotonic() < end:
            time.sleep(0.05)
        if alive(pid):
            os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(found["folder"], ignore_errors=True)
    file.unlink(missing_ok=True)


@functools.lru_cache(None)
def servers():
    """How to reach the servers of this test run."""
    named = os.environ.get("CONNECTORD_TEST_DATABASES")
    if named and pathlib.Path(named).exists():
        return json.loads(pathlib.Path(named).read_text())
    file = pathlib.Path(tempfile.mktemp(prefix="connectord-databases-", suffix=".json"))
    atexit.register(lambda: file.exists() and stop(file))
    return start(file)


def postgres(dbname="postgres", **more):
    """An open connection of a test."""
    import psycopg2
    connection = psycopg2.connect(host="127.0.0.1", port=servers()["postgres"]["port"], user=USER,
                                  password=PASSWORD, dbname=dbname, **more)
    connection.autocommit = True
    return connection


def mysql(database=None, **more):
    import pymysql
    return pymysql.connect(host="127.0.0.1", port=servers()["mysql"]["port"], user=USER,
                           password=PASSWORD, database=database, autocommit=True, charset="utf8mb4",
                           **more)


def new_postgres(prefix="t"):
    """A new, empty database; its name."""
    name = f"{prefix}_{uuid.uuid4().hex[:12]}"
    with_connection = postgres()
    with_connection.cursor().execute(f'create database "{name}"')
    with_connection.close()
    return name


def new_mysql(prefix="t"):
    name = f"{prefix}_{uuid.uuid4().hex[:12]}"
    connection = mysql()
    connection.cursor().execute(f"create database `{name}` character set utf8mb4")
    connection.close()
    return name


def postgres_config(name, /, **more):
    """A connector's configuration for one of these databases."""
    return {"host": "127.0.0.1", "port": servers()["postgres"]["port"], "database": name,
            "username": USER, "password": PASSWORD, "ssl_mode": "disable", **more}


def mysql_config(name, /, **more):
    return {"host": "127.0.0.1", "port": servers()["mysql"]["port"], "database": name,
            "username": USER, "password": PASSWORD, "ssl_mode": "disable", **more}


def main():
    arguments = [a for a in sys.argv[1:] if a != "--durable"]
    if len(arguments) != 2 or arguments[0] not in ("start", "stop"):
        raise SystemExit(__doc__)
    file = pathlib.Path(arguments[1])
    if arguments[0] == "start":
        print(json.dumps(start(file, "--durable" in sys.argv), indent=1))
    elif file.exists():
        stop(file)


if __name__ == "__main__":
    main()
