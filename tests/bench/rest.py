"""Measures of the REST source: an API that answers from memory, into PostgreSQL; and of its JSON."""
import json
import shlex
import subprocess

from measure import BENCH, BINARY, ROOT, timed
import databases

COLUMNS = """id bigint, customer bigint, sku text, quantity bigint, price numeric, discount numeric, status text,
  paid boolean, created_at timestamptz, email text, comment text, weight bigint"""
TYPES = {"id": "integer", "customer": "integer", "sku": "string", "quantity": "integer", "price": "number",
         "discount": "number", "status": "string", "paid": "boolean", "created_at": "string", "email": "string",
         "comment": "string", "weight": "integer"}


class Rest:
    """Mixed into Bench, beside Relational."""

    def rest_server(self, rows, page=1000):
        """(process, port, CSV of the same rows)"""
        binary, csv = self.folder / "rest_server", self.folder / "items.csv"
        if not binary.exists():
            subprocess.run(["gcc", "-O2", "-o", binary, BENCH / "rest_server.c", "-lmicrohttpd"], check=True)
        process = subprocess.Popen([binary, str(rows), str(page), csv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return process, int(process.stdout.readline()), csv

    @staticmethod
    def rest_document(port):
        properties = {name: {"type": kind} for name, kind in TYPES.items()}
        properties["created_at"]["format"] = "date-time"
        return {"client": {"base_url": f"http://127.0.0.1:{port}"}, "streams": [{
            "name": "items", "key": ["id"], "records": {"path": "data"}, "paginate": {"type": "page"},
            "schema": {"properties": properties}, "types": {"price": "decimal", "discount": "decimal"}}]}

    def rest_to_postgres(self):
        self.start_servers()
        target, other = databases.new_postgres("ours"), databases.new_postgres("theirs")
        server, port, csv = self.rest_server(self.rows)
        service = self.service({"connector": "rest", "config": {"document": self.rest_document(port)}}, self.to_postgres(target))

        def fresh(more=""):
            subprocess.run(self.psql(other, "drop table if exists items", f"create table items ({COLUMNS}{more})"), check=True)

        def copied():
            fresh()
            return timed(self.psql(other, f"\\copy items from {csv} csv"))

        def by_hand():
            fresh(", primary key (id)")
            dsn = self.psql(other)[5]
            return timed(["/usr/bin/python3", BENCH / "rest_peer.py", f"http://127.0.0.1:{port}", dsn])

        ours = self.whole_run(service, self.rows)
        try:
            self.ratio("REST -> PostgreSQL full refresh", ours, copied, 0.6, "psql \\copy")
            self.memory("  peak memory", service, 64)
            self.ratio("REST -> PostgreSQL full refresh", ours, by_hand, 10, "requests + execute_values")
            assert self.rest_same(target, other), "both hold the same rows"
        finally:
            service.stop()
            server.stdin.close()
            server.wait()

    def json_text(self):
        """Processor time of one thread, so that a busy machine is no harm."""
        binary = self.folder / "json_speed"
        subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}", "-o", binary, BENCH / "json_speed.c",
                        BINARY.parent / "connectors/base/libbase.a", "-ljansson", "-lsodium", "-lyaml", "-lpthread", "-lm"], check=True)
        ns = json.loads(subprocess.run([binary], check=True, capture_output=True).stdout)
        read, write = ns["loadb"] / ns["read"], ns["dumps"] / ns["write"]
        self.report("JSON reader, records of 12 fields", f"{read:.1f} x", ">= 10 x", read >= 10, f"json_loadb {ns['loadb']:.0f} ns")
        self.report("  time of a record", f"{ns['read'] / 1000:.2f} us", "<= 0.3 us", ns["read"] <= 300)
        self.report("JSON writer, the same records", f"{write:.1f} x", ">= 5 x", write >= 5,
                    f"{ns['write']:.0f} ns; json_dumps {ns['dumps']:.0f} ns")

    def rest_same(self, target, other):
        """What we wrote is what the API has: the sums of all columns agree with the peer's."""
        sums = ("select count(*), sum(id), sum(customer), sum(price), sum(discount), count(*) filter (where paid), "
                "sum(length(comment)), sum(extract(epoch from created_at)) from items")
        answers = [subprocess.run(self.psql(db, sums) + ["-At"], check=True, capture_output=True, text=True).stdout.strip()
                   for db in (target, other)]
        if answers[0] != answers[1]:
            print(shlex.join(answers))
        return answers[0] == answers[1]
