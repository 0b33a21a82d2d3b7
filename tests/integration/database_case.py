"""What the tests between databases share: a source and a destination of a test's own, a connection
between them, and after every run that the numbers of its report add up."""
import collections
import datetime
import http.client
import pathlib
import re
import shutil
import sys
import tempfile

from service import Service, ServiceTest, main, wait_until  # noqa: F401

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from engines import ENGINES, SERVERS, Mysql, Postgres, Sqlite  # noqa: E402, F401
from proxy import AFTER, BEFORE, LOST, PAUSE, TO_CLIENT, TO_SERVER, Proxy  # noqa: E402, F401

# As SQLite keeps times.
STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?(?:Z|\+00:00)?")
COUNTED = ("filtered", "overlap_dropped", "folded", "quarantined_rows", "inserted", "updated", "unchanged", "deleted")


def variants(module, mixin, base=None, **axes):
    """Makes a test class for each combination: variants(globals(), Ties, source=SERVERS, ...)."""
    combinations = [{}]
    for axis, engines in axes.items():
        combinations = [{**c, axis: ENGINES[e]} for c in combinations for e in engines]
    for chosen in combinations:
        name = mixin.__name__ + "".join(f"_{e.__name__}" for e in chosen.values())
        members = {f"{axis}_engine": e for axis, e in chosen.items()}
        module[name] = type(name, (mixin, base or DatabaseTest), {**members, "__doc__": mixin.__doc__,
                                                          "__module__": module["__name__"]})


def plain(value):
    """One form for what the drivers of three databases return for the same value."""
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return value.isoformat(timespec="microseconds")
    if isinstance(value, str) and (stamp := STAMP.fullmatch(value)):
        return f"{stamp[1]}T{stamp[2]}.{(stamp[3] or '')[1:]:0<6}"
    return value


class DatabaseTest(ServiceTest):
    source_engine = destination_engine = Sqlite

    def new(self, engine):
        made = engine(self.name.replace("-", "_")[:30])
        self.addCleanup(made.drop)
        return made

    def through(self, engine):
        """A proxy before this engine from now on."""
        server = {"postgres": "postgres", "mysql": "mysql"}[engine.connector]
        import databases
        proxy = Proxy(databases.servers()[server]["port"], server)
        self.addCleanup(proxy.close)
        engine.port = proxy.port
        return proxy

    def have(self, source=None, destination=None):
        """self.src and self.dst: databases of this test's own."""
        self.src = self.new(source or self.source_engine)
        self.dst = self.new(destination or self.destination_engine)

    def connect(self, streams, source_config=None, destination_config=None, **more):
        """Describes source, destination and connection to the service, all under this test's name."""
        self.source(self.src.connector, **self.src.config(**(source_config or {})))
        self.destination(self.dst.connector, **self.dst.config(**(destination_config or {})))
        more.setdefault("namespace", {"mode": "destination"})
        more.setdefault("run_policy", {"max_attempts": 3, "backoff_s": 0})
        return self.connection(streams=streams, **more)

    @staticmethod
    def stream(name, sync="full_refresh", write="overwrite", **more):
        return {"name": name, "sync_mode": sync, "destination_sync_mode": write, **more}

    def incremental(self, name, write="append_dedup", cursor="at", **more):
        return self.stream(name, "incremental", write, cursor_field=cursor, **more)

    def run_it(self, body=None, status="succeeded"):
        """A run to its end, which must be this one, and the check of its numbers."""
        answer = self.service.post(f"/v1/connections/{self.name}/runs?wait=55", body)
        run = self.finished(self.ok(answer, 201))
        if run["status"] != status:
            streams = [s["name"] for s in run["stats"]["streams"] if s["error"]]
            self.fail(f"the run {run['status']}: {run['error']}, streams {streams}"[:2000])
        self.check_numbers(run)
        return run

    def check_numbers(self, run):
        """2.16: what was read is accounted for, of every stream whose rows were all committed."""
        for stream in run["stats"]["streams"]:
            counts = stream["counts"]
            self.assertEqual(counts["read"], sum(counts[name] for name in COUNTED), stream)
            if run["status"] == "succeeded" and stream["status"] == "complete" and run["attempts"] == 1:
                self.assertEqual(counts["read"], stream["records_read"], stream)

    def counts(self, run, stream=0):
        return run["stats"]["streams"][stream]["counts"]

    def failed(self, **more):
        """The error of a run that must fail."""
        run = self.run_it(status="failed", **more)
        return run["error"]

    def same_rows(self, table, columns="*", destination_table=None):
        """Both sides hold the same rows, each as often."""
        if columns == "*":
            columns = ", ".join(self.src.columns(table))
        self.equal_rows(self.dst.rows(destination_table or table, columns), self.src.rows(table, columns))

    def equal_rows(self, found, expected):
        found, expected = (collections.Counter(tuple(map(plain, row)) for row in rows) for rows in (found, expected))
        missing, extra = list((expected - found).items()), list((found - expected).items())
        if missing or extra:
            self.fail(f"{len(missing)} missing: {missing[:3]}; {len(extra)} too many: {extra[:3]}"[:1500])


class OwnService(DatabaseTest):
    """A service for each test: this one dies."""
    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-it-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.service = Service(self.folder).start()
        self.addCleanup(self.end_service)
        super().setUp()

    def end_service(self):
        if self.service.alive():
            self.service.stop()

    def again(self, failpoint=None):
        """The service, started anew with a plan for one fail point."""
        self.end_service()
        self.service.environment = {"CONNECTORD_FAILPOINT": failpoint} if failpoint else {}
        self.service.start()

    def run_until_it_dies(self):
        """None when the service died of its fail point, else the run."""
        try:
            answer = self.service.post(f"/v1/connections/{self.name}/runs?wait=55")
            run = self.finished(self.ok(answer, 201))
        except (OSError, http.client.HTTPException):
            self.service.process.wait(60)
            self.service.kill()
            return None
        return run

    def die_at(self, point, nth=1):
        """A run that is killed at this step; False when it ended before."""
        self.again(f"{point}:{nth}:kill")
        return self.run_until_it_dies() is None
