#!/usr/bin/env python3
"""P5, fault F11: endpoints that answer with any bytes, at any speed, of any size. What asks them fails with
a code; the service does not notice."""
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from hostile_postgres import SCRIPTS, HostilePostgres  # noqa: E402

from service import ServiceTest, main, sanitized  # noqa: E402

GOOD = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n"
        b"{\"data\":[{\"id\":1},{\"id\":2}]}"[:-1])


class RawServer:
    """Answers every request with these bytes and closes."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.says, self.closed = self.listener.getsockname()[1], b"", False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            peer, _ = self.listener.accept()
            if self.closed:
                return
            with peer:
                try:
                    peer.recv(65536)
                    peer.sendall(self.says)
                except OSError:
                    pass

    def close(self):
        self.closed = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self.listener.close()


class Hostile(ServiceTest):
    arguments = ("--short-workers", "24", "--check-timeout-s", "6")

    def memory(self):
        status = pathlib.Path(f"/proc/{self.service.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) >> 10

    def check(self, connector, config):
        return self.service.post("/v1/check", {"kind": "source", "connector": connector, "config": config})

    def test_postgres(self):
        self.assertGreaterEqual(len(SCRIPTS), 40)
        results, threads = {}, []

        def meet(name):
            server = HostilePostgres(SCRIPTS[name])
            try:
                results[name] = self.check("postgres", {"host": "127.0.0.1", "port": server.port, "database": "d",
                                                        "username": "u", "password": "correct horse", "ssl_mode":
                                                        "disable", "connect_timeout_s": 3})
            except Exception as problem:  # told below, with its name
                results[name] = problem
            server.close()
        for name in SCRIPTS:
            threads.append(threading.Thread(target=meet, args=(name,)))
            threads[-1].start()
        for t in threads:
            t.join()
        for name, answer in results.items():
            with self.subTest(name):
                self.assertNotIsInstance(answer, Exception)
                result = self.ok(answer)
                self.assertEqual(result["status"], "failed", result)
                if not result["error"]["message"].endswith("not of the kind that was asked for"):
                    self.assertNotEqual(result["error"]["code"], "internal", result)
                self.assertLess(len(result["error"]["message"]), 1100)
                self.assertNotIn("correct horse", answer.text)
                if "GiB" in name and "row" in name:  # M1: it is refused to libpq
                    self.assertEqual(result["error"]["code"], "out_of_memory", result)
        if not sanitized():
            self.assertLess(self.memory(), 1000)
        self.assertEqual(self.service.get("/readyz").status, 200)

    def test_http_cut_or_changed_at_every_byte(self):
        server = RawServer()
        self.addCleanup(server.close)
        document = {"name": "raw", "client": {"base_url": f"http://127.0.0.1:{server.port}", "retry": {"tries": 1},
                                              "timeout": {"idle": "5s"}},
                    "check": {"path": "/"}, "streams": [{"name": "a", "path": "/", "records": {"path": "data"}}]}
        config = {"document": document}
        server.says = GOOD
        self.assertIn(self.ok(self.check("rest", config))["status"], ("succeeded", "failed"))
        head = GOOD.index(b"\r\n\r\n") + 4
        for at in range(0, len(GOOD)):
            for says in (GOOD[:at], GOOD[:at] + b"\0" + GOOD[at + 1:], GOOD[:at] + b"\r\n" + GOOD[at:]):
                if at > head + 3 and says is not None and at % 4:
                    continue  # the body is read by one and the same code
                with self.subTest(at=at, says=says):
                    server.says = says
                    result = self.ok(self.check("rest", config))
                    if result["status"] != "succeeded":
                        self.assertNotEqual(result["error"]["code"], "internal", result)
        self.assertEqual(self.service.get("/readyz").status, 200)


if __name__ == "__main__":
    main()
