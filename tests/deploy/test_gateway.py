#!/usr/bin/env python3
"""docker/nginx.conf in front of the service: TLS, a path in front, and a followed log that arrives
line by line.
"""
import http.client
import json
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import service  # noqa: E402
from service import ServiceTest, free_port, wait_until  # noqa: E402

CONFIGURATION = pathlib.Path(__file__).resolve().parents[2] / "docker/nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
PREFIX = "/connectord"


class Gateway(ServiceTest):
    arguments = ("--base-path", PREFIX, "--trusted-proxies", "127.0.0.1")
    token = "a-token-for-what-comes-through-the-gateway"

    @classmethod
    def setUpClass(cls):
        # Readiness stands behind the path as everything does.
        cls.ready, service.Service.is_ready = service.Service.is_ready, lambda s: s.process.poll() is None and cls.answers(s)
        super().setUpClass()
        service.Service.is_ready = cls.ready
        cls.tls_port = free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", cls.folder / "tls.key", "-out", cls.folder / "tls.crt"],
                       check=True, capture_output=True)
        text = CONFIGURATION.read_text()
        for there, here in (("127.0.0.1:8080", f"127.0.0.1:{cls.service.port}"), ("listen 8443", f"listen 127.0.0.1:{cls.tls_port}"),
                            ("/etc/nginx/tls/", f"{cls.folder}/"), ("/tmp/nginx", f"{cls.folder}/nginx")):
            assert there in text, there
            text = text.replace(there, here)
        (cls.folder / "nginx.conf").write_text(text)
        cls.folder.chmod(0o711)  # its workers are not root
        cls.nginx = subprocess.Popen([NGINX, "-p", cls.folder, "-e", "stderr", "-g", "daemon off;", "-c", cls.folder / "nginx.conf"])
        cls.context = ssl.create_default_context(cafile=cls.folder / "tls.crt")
        cls.context.check_hostname = False
        wait_until("the gateway", cls.is_open)

    @classmethod
    def tearDownClass(cls):
        cls.nginx.terminate()
        cls.nginx.wait()
        super().tearDownClass()

    @staticmethod
    def answers(s):
        try:
            return s.request("GET", f"{PREFIX}/readyz", check=False).status == 200
        except OSError:
            return False

    @classmethod
    def is_open(cls):
        try:
            return cls.ask("GET", "/livez")[0].status == 200
        except OSError:
            return False

    @classmethod
    def begin(cls, method, path, body=None, headers=None):
        connection = http.client.HTTPSConnection("127.0.0.1", cls.tls_port, context=cls.context, timeout=service.PATIENCE_S)
        connection.request(method, PREFIX + path, body=json.dumps(body) if body is not None else None,
                           headers={"Content-Type": "application/json", "Authorization": f"Bearer {cls.token}", "Host": "data.example.com",
                                    **(headers or {})})
        return connection.getresponse()

    @classmethod
    def ask(cls, method, path, body=None, headers=None):
        response = cls.begin(method, path, body, headers)
        return response, response.read()

    def test_addresses_have_the_path_in_front(self):
        response, _ = self.ask("PUT", "/v1/sources/here", {"connector": "sample"})
        self.assertEqual((response.status, response.headers["Location"]), (201, f"{PREFIX}/v1/sources/here"))
        response, page = self.ask("GET", "/docs", headers={"Accept": "text/html"})
        self.assertEqual(response.status, 200)
        style = re.search(r'rel="stylesheet" href="([^"]+)"', page.decode()).group(1)
        target = urllib.parse.urljoin(f"{PREFIX}/docs", style)
        self.assertEqual(self.ask("GET", target.removeprefix(PREFIX))[0].status, 200)

    def test_what_is_not_behind_the_path_is_not_there(self):
        connection = http.client.HTTPSConnection("127.0.0.1", self.tls_port, context=self.context)
        connection.request("GET", "/v1/info")
        self.assertEqual(connection.getresponse().status, 404)

    def test_a_followed_log_arrives_as_it_is_written(self):
        for path, body in (("sources/endless", {"connector": "sample", "config": {"rows": 20000000}}),
                           ("destinations/out", {"connector": "sqlite", "config": {"path": str(self.work / "out.db")}}),
                           ("connections/long", {"source": "endless", "destination": "out", "streams": [{"name": "purchases"}]})):
            self.assertEqual(self.ask("PUT", f"/v1/{path}", body)[0].status, 201)
        with self.begin("POST", "/v1/connections/long/runs?follow=true") as log:
            self.assertEqual(log.status, 201)
            run = json.loads(log.readline())["run"]["id"]
            for _ in range(5):
                # Each line is here while the run goes on: nothing is held back until the end.
                self.assertIn(json.loads(log.readline())["type"], ("log", "progress", "state", "stream_status"))
                self.assertEqual(json.loads(self.ask("GET", f"/v1/runs/{run}")[1])["status"], "running")
            self.assertEqual(self.ask("POST", f"/v1/runs/{run}/cancel")[0].status, 202)
            lines = [json.loads(line) for line in log]
        self.assertEqual((lines[-1]["type"], lines[-1]["status"]), ("end", "cancelled"))

    def test_without_a_token(self):
        self.assertEqual(self.ask("GET", "/v1/info", headers={"Authorization": "Bearer none"})[0].status, 401)
        self.assertEqual(self.ask("GET", "/readyz", headers={"Authorization": "Bearer none"})[0].status, 200)

    def test_large_bodies(self):
        response, body = self.ask("POST", "/v1/connections", {"source": "x" * 5_000_000})
        self.assertEqual((response.status, json.loads(body)["code"]), (413, "too_large"))  # a string of that length
        response, body = self.ask("POST", "/v1/connections", {"source": "x" * 9_000_000})
        self.assertEqual((response.status, response.headers["Content-Type"]), (413, "text/html"))  # the gateway's own


if __name__ == "__main__":
    if not NGINX:
        print("skipped: nginx is not installed")
        sys.exit(77)
    service.main()
