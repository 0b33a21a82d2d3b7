#!/usr/bin/env python3
"""Every example of the API description is carried out, by the line of curl that it shows, and is
answered as it says: the same status and media type, the same members of the same types, and the same
words where words mean something.

usage: test_examples.py [--record]   writes openapi/answers.json anew
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.path.insert(0, str(ROOT / "openapi"))
from examples import sample_of  # noqa: E402
from service import CONTRACT, Service  # noqa: E402

ANSWERS = ROOT / "openapi/answers.json"
RECORD = "--record" in sys.argv
PLACE = "/srv"
TOKEN = "examples-are-asked-with-this-token-0"
# What is compared by value; everything else by type.
WORDS = {"status", "code", "kind", "name", "connector", "source", "destination", "valid", "stream", "title", "retryable", "ready",
         "records_committed", "inserted", "trigger", "pointer"}
# Keys of these belong to data.
MAPS = {"position", "bookmarks", "records", "counters", "limits", "timeouts", "features", "result", "normalized"}
# What differs from run to run, and what stands for it in the document.
VOLATILE = ((r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "2026-01-05T09:30:00.000Z"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "0198f3c2-5d1e-7a40-9b60-3f2a1c4d5e6f"),
            (r"connectord_[a-z0-9]{10}_[A-Za-z0-9_-]{43}", "connectord_k3v9x2m7q1_" + "Example" * 6 + "0"),
            (r'"id":\s*"[a-z0-9]{10}"', '"id":"k3v9x2m7q1"'),
            (r'"request_id":\s*"[^"]+"', '"request_id": "5f2c9a0be1d34c77"'), (r"\b[0-9a-f]{64}\b", "9f" * 32),
            (r'"(duration_ms|queued_ms|bytes_read|bytes_committed|duration_us)":\s*\d+', r'"\1": 120'), (r"\b\d+ ms$", "120 ms"))
DOCUMENTS = ("application/json", "application/problem+json")
KEPT = 2  # items of a list


def steady(text):
    for pattern, word in VOLATILE:
        text = re.sub(pattern, word, text, flags=re.M)
    return text


def shortened(value):
    if isinstance(value, list):
        return [shortened(v) for v in value[:KEPT]]
    if isinstance(value, dict):
        return {k: shortened(v) for k, v in value.items()}
    return value


def differences(shown, actual, path=""):
    """Where an answer is not what the document shows."""
    if isinstance(shown, dict) and isinstance(actual, dict):
        if path.rsplit("/", 1)[-1] in MAPS:
            return
        for key in sorted(shown.keys() ^ actual.keys()):
            yield f"{path}/{key} is only in the {'example' if key in shown else 'answer'}"
        for key in shown.keys() & actual.keys():
            yield from differences(shown[key], actual[key], f"{path}/{key}")
    elif isinstance(shown, list) and isinstance(actual, list):
        if bool(shown) != bool(actual):
            yield f"{path} has {len(actual)} items, the example {len(shown)}"
        for i, (a, b) in enumerate(zip(shown, actual)):
            yield from differences(a, b, f"{path}/{i}")
    elif type(shown) is not type(actual) and not {type(shown), type(actual)} <= {int, float}:
        yield f"{path} is {actual!r}, the example {shown!r}"
    elif path.rsplit("/", 1)[-1] in WORDS and shown != actual:
        yield f"{path} is {actual!r}, the example {shown!r}"


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        text = yaml.safe_load((ROOT / "openapi/examples.yaml").read_text())
        cls.scene, cls.examples = text["scene"], text["examples"]
        cls.answers = json.loads(ANSWERS.read_text())
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="connectord-examples-"))
        cls.place(cls.work / "scene")
        service = Service(cls.work / "scene").start()
        for step in cls.scene:
            cls.ask(service, step)
        service.stop()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.work, ignore_errors=True)

    @staticmethod
    def place(folder):
        (folder / "lake").mkdir(parents=True)

    @classmethod
    def ask(cls, service, example, keep=None):
        """(status, media type, text) that the line of curl is answered."""
        head, body = service.folder / "head", service.folder / "body"
        # Destinations write where the service was told in the scene: paths of the document are there.
        line = sample_of(example).replace(f'"{PLACE}', f'"{cls.work / "out"}')
        (cls.work / "out").mkdir(exist_ok=True)
        done = subprocess.run(["bash", "-c", f"{line} -D {head} -o {body}"], capture_output=True, text=True,
                              env={**os.environ, "U": f"http://127.0.0.1:{service.port}", "T": TOKEN})
        assert done.returncode == 0, f"{line}: {done.stderr}"
        blocks = head.read_text().replace("\r", "").strip().split("\n\n")
        first, *rest = blocks[-1].split("\n")
        headers = {k.lower(): v for k, v in (h.split(": ", 1) for h in rest if ": " in h)}
        data = body.read_bytes() if body.exists() else b""
        body.unlink(missing_ok=True)
        status, media = int(first.split()[1]), headers.get("content-type", "").split(";")[0]
        method, target = example["call"].split(" ", 1)
        wrong = CONTRACT.check(method, target, status, media, data)
        assert not wrong, f"{line}: {wrong}"
        return status, media, data.decode().replace(str(cls.work / "out"), PLACE)

    def carry_out(self, service, operation, example):
        for step in example.get("before", []):
            text = self.ask(service, step)[2]
            if "id" in example:
                example = {**example, "call": example["call"].replace(example["id"], json.loads(text)["id"])}
        status, media, text = self.ask(service, example)
        text = steady(text)
        if media in DOCUMENTS and "lines" not in example:
            value = json.loads(text) if text else None
        else:
            value = "".join(text.splitlines(keepends=True)[:example.get("lines", 1000)])[:2000]
        made = {"status": status, "media": media, "body": shortened(value) if example.get("show", True) else None}
        if RECORD:
            self.answers.setdefault(operation, {})[example["name"]] = made
            return
        shown = self.answers.get(operation, {}).get(example["name"])
        self.assertIsNotNone(shown, "has no answer yet: test_examples.py --record")
        self.assertEqual((status, media), (shown["status"], shown["media"]), text[:500])
        if media in DOCUMENTS and shown["body"] is not None:
            self.assertEqual(list(differences(shown["body"], made["body"])), [], text[:2000])

    def test_every_example(self):
        """Reading ones share a service; each of the others has the scene to itself."""
        shared = self.fresh("shared")
        for operation, several in self.examples.items():
            for example in several:
                with self.subTest(operation=operation, name=example["name"]):
                    closed = example.get("token") or example.get("closed")
                    if example["call"].startswith("GET") and not closed:
                        self.carry_out(shared, operation, example)
                        continue
                    own = self.fresh(f"{operation}-{example['name']}", closed)
                    try:
                        self.carry_out(own, operation, example)
                    finally:
                        own.kill() if "before" in example else own.stop()
        shared.stop()
        if RECORD:
            known = {o: {e["name"]: self.answers[o][e["name"]] for e in several} for o, several in self.examples.items()}
            ANSWERS.write_text(json.dumps(known, ensure_ascii=False, indent=1) + "\n")

    def fresh(self, name, closed=False):
        folder = self.work / name
        shutil.copytree(self.work / "scene", folder)
        if not closed:
            return Service(folder).start()
        (folder / "bootstrap").write_text(TOKEN)
        (folder / "bootstrap").chmod(0o600)
        return Service(folder, "--bootstrap-token-file", str(folder / "bootstrap")).start()

    def test_every_operation_has_one(self):
        operations = {o["operationId"] for item in CONTRACT.document["paths"].values() for key, o in item.items() if key != "parameters"}
        self.assertEqual(operations - self.examples.keys(), set(), "an example in openapi/examples.yaml, and --record")
        self.assertEqual(self.examples.keys() - operations, set())

    def test_nothing_else_is_an_example(self):
        """What the document shows comes from examples.yaml, so that nothing is shown that was not carried out."""
        for where, node in walk(CONTRACT.document["paths"], "/paths"):
            self.assertFalse({"example", "examples"} & node.keys(), where)


def walk(node, where):
    if isinstance(node, dict):
        if not where.endswith("/properties"):
            yield where, node
        for key, value in node.items():
            yield from walk(value, f"{where}/{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from walk(value, f"{where}/{i}")


if __name__ == "__main__":
    unittest.main(argv=[a for a in sys.argv if a != "--record"], verbosity=2)
