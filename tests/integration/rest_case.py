"""What the tests of the REST source share: a fake API, a document about it, a connection into SQLite."""
import pathlib
import sys
import tempfile

from service import ServiceTest, main  # noqa: F401

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from fake_api import FakeApi, Reply, bomb, reply  # noqa: E402, F401

SECRET = "s3cr3t-k4y/of+the test"


def items(first, last, **more):
    return [{"id": i, "name": f"item {i} é", **more} for i in range(first, last + 1)]


class RestTest(ServiceTest):
    def setUp(self):
        super().setUp()
        self.api = FakeApi()
        self.addCleanup(self.api.close)

    # ---------------------------------------------------------------- a document

    def document(self, streams, **client):
        retry = {"tries": 5, "base": "10ms", "cap": "50ms", **client.pop("retry", {})}
        secrets = client.pop("secrets", None)
        document = {"name": "fake", "client": {"base_url": self.api.url, "retry": retry, **client}, "streams": streams}
        if secrets:
            document["secrets"] = {name: {} for name in secrets}
        return document

    @staticmethod
    def stream(name="items", **more):
        return {"name": name, "records": {"path": "data"}, "key": ["id"], **more}

    def rest(self, *streams, sync="full_refresh", write="overwrite", secrets=None, vars=None, destination=None,
             run_policy=None, selected=None, **client):
        """A source with this document and a connection; everything under this test's name."""
        config = {"document": self.document(list(streams), secrets=secrets, **client)}
        if secrets:
            config["secrets"] = secrets
        if vars:
            config["vars"] = vars
        self.source("rest", **config)
        if destination:
            self.destination(destination.connector, **destination.config())
        else:
            self.destination("sqlite")
        names = selected or [s["name"] for s in streams if s.get("selected", True)]
        bookmarked = {s["name"] for s in streams if "incremental" in s}
        modes = {n: (sync, write) if n in bookmarked or write == "append" else ("full_refresh", "overwrite") for n in names}
        return self.connection(
            streams=[{"name": n, "sync_mode": modes[n][0], "destination_sync_mode": modes[n][1]} for n in names],
            namespace={"mode": "destination"}, run_policy=run_policy or {"max_attempts": 1, "backoff_s": 0})

    def dedup(self, *streams, **more):
        return self.rest(*streams, sync="incremental", write="append_dedup", **more)

    def anew(self, name):
        """Another connection within the same test, into a database of its own."""
        self.name = name
        self.work = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        self.api.forget()

    # -------------------------------------------------------------------- results

    def failure(self, code=None):
        """The error of a run that must fail: that of its stream where it has one."""
        run = self.run_it(status="failed")
        errors = [s["error"] for s in run["stats"]["streams"] if s["error"]]
        error = errors[0] if errors else run["error"]
        if code:
            self.assertEqual(error["code"], code, run)
        return error

    def ids(self, table="items"):
        return [r[0] for r in self.database().execute(f'select id from "{table}" order by id')]

    def tables(self):
        return [r[0] for r in self.database().execute("select name from sqlite_master where type = 'table'")]

    def log(self, run):
        return self.service.get(f"/v1/runs/{run['id']}/logs").text
