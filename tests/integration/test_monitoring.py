#!/usr/bin/env python3
"""The alert rules and the dashboard that are shipped: they parse, they fire, and they name what there is."""
import json
import pathlib
import re
import subprocess
import unittest

import yaml

import service
from service import ServiceTest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERTS, DASHBOARD = ROOT / "docker/alerts.yaml", ROOT / "docker/grafana.json"


def promtool(*words):
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)


def rules():
    return yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]


def panels():
    return [p for p in json.loads(DASHBOARD.read_text())["panels"] if p["type"] != "row"]


class Monitoring(ServiceTest):
    def known(self):
        """Names of series, with the labels of each."""
        text = self.service.get("/metrics").text
        table = (ROOT / "connectors/base/metric_table.h").read_text()
        labels = {name: set(re.findall(r"(?:^|,)(\w+)", spec)) for name, spec in
                  re.findall(r'X\(\w+, \w+, "(\w+)",\s*\\?\s*"([^"]*)"', table)}
        found = {"up": set()}
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
            for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
                found[name + suffix] = labels[name] | ({"le"} if suffix == "_bucket" else set())
        return found

    def names_of(self, expression):
        """What an expression selects: (metric, the labels it asks for)."""
        for metric, selector in re.findall(r"\b((?:connectord|process)_\w+)(?:\{([^}]*)\})?", expression):
            yield metric, set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)', selector))

    def test_expressions_name_metrics_and_labels_that_there_are(self):
        known = self.known()
        expressions = [r["expr"] for r in rules()] + [t["expr"] for p in panels() for t in p["targets"]]
        self.assertGreater(len(expressions), 40)
        for e in expressions:
            for metric, labels in self.names_of(e):
                self.assertIn(metric, known, e)
                self.assertLessEqual(labels, known[metric] | {"job", "instance"}, e)
            for group in re.findall(r"by \(([^)]*)\)", e):
                for label in group.split(", "):
                    self.assertTrue(label in ("instance", "le") or any(label in known[m] for m, _ in self.names_of(e)), e)

    def test_promtool_takes_the_alerts_and_they_fire(self):
        for words in (("check", "rules", ALERTS), ("test", "rules", ROOT / "tests/operations/alerts.yaml")):
            done = promtool(*words)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tested = (ROOT / "tests/operations/alerts.yaml").read_text()
        for rule in rules():
            self.assertRegex(tested, rf"alertname: {rule['alert']}\n", "no test makes it fire")
            self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
            self.assertEqual(set(rule["annotations"]), {"summary", "description"})

    def test_promtool_takes_the_expressions_of_the_dashboard(self):
        expressions = [t["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*") for p in panels() for t in p["targets"]]
        path = self.work / "rules.yaml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": [
            {"record": f"x:{i}", "expr": e} for i, e in enumerate(expressions)]}]}))
        done = promtool("check", "rules", path)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_dashboard_is_laid_out(self):
        taken = set()
        for p in json.loads(DASHBOARD.read_text())["panels"]:
            g = p["gridPos"]
            cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
            self.assertFalse(cells & taken, p["title"])
            self.assertLessEqual(g["x"] + g["w"], 24)
            taken |= cells
        self.assertEqual(len({p["id"] for p in panels()}), len(panels()))
        self.assertTrue(all(p["title"] and p["description"] and p["targets"] for p in panels()))


if __name__ == "__main__":
    service.main()
