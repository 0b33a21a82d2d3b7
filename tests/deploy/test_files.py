#!/usr/bin/env python3
"""The files for systemd, compose and Kubernetes: each before a judge of its own, and agreed among
themselves about names, ports and paths.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import modules  # noqa: E402

DOCKER = modules.ROOT / "docker"
UID = 65532
PREFIX = "/connectord"
TOKEN_FILE = "CONNECTORD_BOOTSTRAP_TOKEN_FILE"
SETTINGS = {"CONNECTORD_BASE_PATH": PREFIX, "CONNECTORD_TRUSTED_PROXIES": "127.0.0.1"}
# Not set by the unit on purpose: the service has no user of its own, and connects to anywhere.
MAX_EXPOSURE = 2.0


class Systemd(unittest.TestCase):
    @unittest.skipUnless(shutil.which("systemd-analyze"), "skipped: systemd-analyze is not installed")
    def test_exposure(self):
        said = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", DOCKER / "connectord.service"],
                              capture_output=True, text=True)
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
        self.assertTrue(found, said.stdout + said.stderr)
        self.assertLess(float(found.group(1)), MAX_EXPOSURE)


class Kubernetes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.documents = {d["kind"]: d for d in yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text())}

    def test_schema(self):
        try:
            python = modules.python("kubernetes", "kubernetes-validate==1.37.0")
        except modules.Skip as e:
            self.skipTest(e.reason)
        said = subprocess.run([python, "-m", "kubernetes_validate", "--strict", DOCKER / "kubernetes.yaml"],
                              capture_output=True, text=True)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)

    def test_one_confined_pod(self):
        spec = self.documents["Deployment"]["spec"]
        pod = spec["template"]["spec"]
        self.assertEqual((spec["replicas"], spec["strategy"]["type"]), (1, "Recreate"))
        self.assertEqual(self.documents["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")
        self.assertEqual((pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]), (UID, True))
        self.assertFalse(pod["automountServiceAccountToken"])
        self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], 45)
        for container in pod["containers"]:
            confined = container["securityContext"]
            self.assertTrue(confined["readOnlyRootFilesystem"] and not confined["allowPrivilegeEscalation"])
            self.assertEqual(confined["capabilities"], {"drop": ["ALL"]})
            self.assertIn("memory", container["resources"]["limits"])
            self.assertNotIn("cpu", container["resources"]["limits"])
            volumes = {v["name"] for v in pod["volumes"]}
            self.assertLessEqual({m["name"] for m in container["volumeMounts"]}, volumes)

    def test_only_the_gateway_is_reached(self):
        containers = {c["name"]: c for c in self.documents["Deployment"]["spec"]["template"]["spec"]["containers"]}
        self.assertNotIn("ports", containers["connectord"])
        port = containers["gateway"]["ports"][0]
        self.assertEqual(self.documents["Service"]["spec"]["ports"][0]["targetPort"], port["name"])
        self.assertEqual(self.documents["Service"]["spec"]["type"], "ClusterIP")
        policy = self.documents["NetworkPolicy"]["spec"]
        self.assertEqual([p["port"] for rule in policy["ingress"] for p in rule["ports"]], [port["containerPort"]])
        self.assertEqual(policy["policyTypes"], ["Ingress", "Egress"])
        for rule in policy["egress"]:
            for to in rule["to"]:
                self.assertNotIn(to.get("ipBlock", {}).get("cidr", "").split(".")[0], ("0", "169"))

    def test_the_gateway_knows_the_path_and_the_port(self):
        containers = {c["name"]: c for c in self.documents["Deployment"]["spec"]["template"]["spec"]["containers"]}
        nginx = (DOCKER / "nginx.conf").read_text()
        self.assertEqual({e["name"]: e["value"] for e in containers["connectord"]["env"]}, SETTINGS | {TOKEN_FILE: "/run/secrets/connectord/token", "CONNECTORD_KEY_FILE": "/keys/keyring.json"})
        self.assertIn(f"location {PREFIX}/ ", nginx)
        self.assertIn(f"listen {containers['gateway']['ports'][0]['containerPort']} ssl", nginx)


class Compose(unittest.TestCase):
    def test_services(self):
        compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
        services, ours = compose["services"], compose["services"]["connectord"]
        self.assertEqual(services.keys(), {"gateway", "connectord", "postgres", "mariadb"})
        self.assertEqual((DOCKER / ours["build"]["context"] / ours["build"]["dockerfile"]).resolve(), DOCKER / "Dockerfile")
        self.assertEqual((ours["network_mode"], ours["read_only"], ours["cap_drop"]), ("service:gateway", True, ["ALL"]))
        self.assertEqual(ours["environment"], SETTINGS | {TOKEN_FILE: "/run/secrets/token"})
        self.assertEqual(services["gateway"]["ports"], ["127.0.0.1:8443:8443"])
        for service in services.values():
            for volume in service["volumes"]:
                name = volume.split(":")[0]
                self.assertTrue(name in compose["volumes"] or (DOCKER / name).exists() or name == "./tls", volume)
            self.assertNotIn("latest", service.get("image", ""))
            self.assertNotIn("privileged", service)
        self.assertNotRegex((DOCKER / "compose.yaml").read_text(), r"PASSWORD: [^\"$]")


if __name__ == "__main__":
    unittest.main(verbosity=2)
