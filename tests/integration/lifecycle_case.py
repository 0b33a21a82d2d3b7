"""What the tests of start, reload and stop share: a service of their own, and what it has said."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from service import BINARY, PATIENCE_S, Service, free_port, wait_until


class Lifecycle(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="connectord-life-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.settings = self.folder / "settings.json"

    def start(self, *arguments, **environment):
        s = Service(self.folder, *arguments, environment=environment).start()
        self.addCleanup(lambda: s.alive() and s.kill())
        return s

    def hup(self, s, message):
        before = len(self.said(message))
        s.process.send_signal(signal.SIGHUP)
        wait_until(message, lambda: len(self.said(message)) > before)

    def lines(self):
        return [json.loads(line) for line in (self.folder / "stdout").read_text().splitlines()]

    def said(self, message, **tags):
        return [line for line in self.lines() if line["message"] == message and tags.items() <= line["tags"].items()]

    def serve(self, data, *words, **options):
        """A start that is refused."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONNECTORD_")}
        return subprocess.run([BINARY, "serve", "--listen", f"127.0.0.1:{free_port()}", "--data", data, *words], check=False,
                              capture_output=True, text=True, timeout=PATIENCE_S, env=env, **options)

    def write(self, **settings):
        self.settings.write_text(json.dumps(settings))
