#!/usr/bin/env python3
"""Health, description, connectors; what any path and method is answered."""
import json
import unittest

import jsonschema

import service
from service import CONTRACT, ServiceTest


class Health(ServiceTest):
    def test_livez(self):
        answer = self.service.get("/livez")
        self.assertEqual((answer.status, answer.text), (200, "ok\n"))

    def test_readyz_and_its_alias(self):
        for path in ("/readyz", "/healthz"):
            self.assertEqual(self.ok(self.service.get(path)), {"ready": True})
        self.assertEqual(self.ok(self.service.get("/readyz?verbose"))["checks"], {
            check: "ok" for check in ("store", "migrations", "keyring", "disk", "leases", "threads", "draining")})

    def test_root_for_browsers_and_programs(self):
        page = self.service.get("/", accept="text/html,application/xhtml+xml,*/*;q=0.8")
        self.assertIn("<title>connectord</title>", page.text)
        self.assertEqual(self.ok(self.service.get("/"))["name"], "connectord")

    def test_info(self):
        info = self.ok(self.service.get("/v1/info"))
        self.assertEqual(info["limits"]["page_max"], 500)
        self.assertEqual(info["auth_modes"], ["none"])

    def test_openapi_is_the_file_and_has_a_tag(self):
        answer = self.service.get("/openapi.json")
        self.assertEqual(set(self.ok(answer)["paths"]), set(CONTRACT.document["paths"]))
        again = self.service.get("/openapi.json", if_none_match=answer.headers["ETag"])
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(self.service.get("/openapi.json", if_none_match='"other"').status, 200)


class Anywhere(ServiceTest):
    def test_unknown_path(self):
        self.fails(self.service.get("/v1/nothing"), 404, "not_found")
        self.fails(self.service.get("/v1/sources/none"), 404, "not_found")

    def test_wrong_method_names_the_right_ones(self):
        answer = self.service.put("/v1/runs", {})
        self.fails(answer, 405, "method_not_allowed")
        self.assertEqual(answer.headers["Allow"], "GET, HEAD, POST, OPTIONS")

    def test_head_is_get_without_a_body(self):
        for path in ("/v1/info", "/v1/connectors", "/livez", "/v1/sources/none"):
            head, get = self.service.head(path), self.service.get(path)
            self.assertEqual((head.status, head.body), (get.status, b""))
            self.assertEqual(head.headers["Content-Type"], get.headers["Content-Type"])

    def test_slashes_are_normalised(self):
        for path in ("/v1/connectors/", "//v1//connectors"):
            self.assertEqual(self.service.request("GET", path, check=False).status, 200)

    def test_pretty(self):
        plain, pretty = self.service.get("/v1/info"), self.service.get("/v1/info?pretty")
        self.assertEqual(plain.json().keys(), pretty.json().keys())
        self.assertEqual(plain.body.count(b"\n"), 1)
        self.assertGreater(pretty.body.count(b"\n"), 10)

    def test_unknown_query_parameter(self):
        self.fails(self.service.get("/v1/runs?limti=1"), 400, "invalid_query")

    def test_duplicate_query_parameter(self):
        self.assertEqual(self.service.get("/v1/runs?limit=1&limit=2").status, 400)

    def test_request_id_is_echoed(self):
        answer = self.service.get("/v1/sources/none", x_request_id="abc-1")
        self.assertEqual(answer.headers["X-Request-Id"], "abc-1")
        self.assertEqual(answer.json()["request_id"], "abc-1")

    def test_bodies_that_are_not_json(self):
        for raw, code in ((b"{", "invalid_json"), (b"", "invalid_json"), (b"[] []", "invalid_json"),
                          (b'{"name":"a","name":"b"}', "duplicate_key"), (b'{"a":"\xff"}', "invalid_json"),
                          (b"{'a':1}", "invalid_json"), (b'{"a":NaN}', "invalid_json")):
            with self.subTest(raw=raw):
                self.fails(self.service.request("POST", "/v1/sources", raw=raw), 400, code)

    def test_bodies_that_are_no_object(self):
        for raw in (b"[]", b'"x"', b"1", b"null", b"true"):
            with self.subTest(raw=raw):
                answer = self.service.request("POST", "/v1/sources", raw=raw)
                self.assertIn(answer.status, (400, 422), answer)

    def test_depth_and_size(self):
        deep = b'{"config":' * 40 + b"1" + b"}" * 40
        self.assertIn(self.service.request("POST", "/v1/sources", raw=deep).status, (400, 413, 422))
        self.fails(self.service.request("POST", "/v1/sources", raw=b'{"name":"' + b"x" * (1 << 20) + b'"}'),
                   413, "body_too_large")

    def test_media_types(self):
        body = json.dumps({"name": "x", "connector": "sample"}).encode()
        self.fails(self.service.request("POST", "/v1/sources?dry_run=true", raw=body, headers={"Content-Type": "text/xml"}),
                   415, "unsupported_media_type")
        self.fails(self.service.request("POST", "/v1/sources?dry_run=true", raw=body,
                                        headers={"Content-Encoding": "gzip"}), 415, "unsupported_media_type")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        self.ok(self.service.request("POST", "/v1/sources?dry_run=true", raw=body, headers=form))
        for cross in ({"Origin": "http://evil.example"}, {"Cookie": "a=b"}):
            self.assertEqual(self.service.request("POST", "/v1/sources?dry_run=true", raw=body,
                                                  headers={**form, **cross}).status, 415)

    def test_problem_document(self):
        answer = self.service.get("/v1/sources/none")
        self.assertEqual(answer.headers["Content-Type"].split(";")[0], "application/problem+json")
        problem = answer.json()
        self.assertEqual((problem["status"], problem["code"], problem["retryable"]), (404, "not_found", False))
        self.assertTrue(problem["type"].endswith("/errors/not_found"))


class Connectors(ServiceTest):
    def test_list_and_filters(self):
        every = self.ok(self.service.get("/v1/connectors"))["items"]
        names = {(c["kind"], c["name"]) for c in every}
        self.assertLessEqual({("source", "sample"), ("source", "sqlite"), ("source", "file"),
                              ("destination", "sqlite"), ("destination", "file")}, names)
        sources = self.ok(self.service.get("/v1/connectors?kind=source"))["items"]
        self.assertEqual({c["kind"] for c in sources}, {"source"})
        found = self.ok(self.service.get("/v1/connectors?q=SQLI"))["items"]
        self.assertEqual({c["name"] for c in found}, {"sqlite"})
        self.fails(self.service.get("/v1/connectors?kind=both"), 400, "invalid_query")

    def test_every_connector_describes_itself(self):
        for c in self.ok(self.service.get("/v1/connectors"))["items"]:
            path = f"/v1/connectors/{c['kind']}/{c['name']}"
            with self.subTest(path):
                whole = self.ok(self.service.get(path))
                schema = self.ok(self.service.get(f"{path}/schema"))
                self.assertEqual(whole["config_schema"], schema)
                jsonschema.Draft202012Validator.check_schema(schema)
                template = self.ok(self.service.get(f"{path}/template"))
                self.assertLessEqual(set(template), set(schema["properties"]))
                short = self.ok(self.service.get(f"{path}/template?required_only=true"))
                self.assertEqual(set(short), set(schema.get("required", [])))

    def test_unknown_connectors(self):
        for path in ("source/none", "destination/sample", "both/sample"):
            self.fails(self.service.get(f"/v1/connectors/{path}"), 404, "not_found")
            self.fails(self.service.post(f"/v1/connectors/{path}/validate", {}), 404, "not_found")

    def test_validate_tells_every_mistake_at_once(self):
        verdict = self.ok(self.service.post("/v1/connectors/source/sample/validate",
                                            {"rows": "x", "seed": 1.5, "updates_per_run": -1, "rosw": 1}))
        self.assertFalse(verdict["valid"])
        self.assertIsNone(verdict["normalized"])
        self.assertEqual({e["pointer"]: e["code"] for e in verdict["errors"]},
                         {"/rows": "wrong_type", "/seed": "wrong_type", "/updates_per_run": "out_of_range",
                          "/rosw": "unknown_field"})

    def test_validate_shows_defaults(self):
        verdict = self.ok(self.service.post("/v1/connectors/source/sample/validate", {"rows": 5}))
        self.assertTrue(verdict["valid"])
        self.assertEqual(verdict["errors"], [])
        self.assertLessEqual({"rows": 5, "seed": 1, "updates_per_run": 10}.items(), verdict["normalized"].items())

    def test_limits_of_numbers(self):
        for rows, valid in ((0, False), (1, True), (100000000, True), (100000001, False)):
            verdict = self.ok(self.service.post("/v1/connectors/source/sample/validate", {"rows": rows}))
            self.assertEqual(verdict["valid"], valid, rows)


if __name__ == "__main__":
    service.main()
