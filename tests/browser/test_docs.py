#!/usr/bin/env python3
"""The pages for people, in a real browser at the width of a desktop and of a phone: nothing is cut
off, every link leads somewhere, nothing is asked of another host, and a picture of each is kept.

usage: test_docs.py [FOLDER]   pictures go to FOLDER
"""
import html
import pathlib
import re
import sys
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import browser  # noqa: E402
import service  # noqa: E402
from service import ServiceTest, free_port, wait_until  # noqa: E402

PICTURES = pathlib.Path(sys.argv.pop() if len(sys.argv) > 1 else "build/pictures")
SKIPPED = 77

# What is wider than the room it has: boxes whose content is cut, and boxes beyond the page.
CUT_OFF = """
const found = [];
for (const e of document.querySelectorAll("body, body *")) {
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  if (!box.width || style.display === "inline" || e.closest("svg") || e.id === "menu") continue;
  if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth) found.push(["cut", e]);
  if (box.right > document.documentElement.clientWidth + 1 || box.left < -1) found.push(["outside", e]);
}
if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.push(["page", document.body]);
return found.slice(0, 10).map(([why, e]) => `${why}: ${e.tagName} ${e.className} ${e.textContent.slice(0, 60)}`);
"""


class Pages(ServiceTest):
    def pages(self):
        yield "root", "/"
        yield "reference", "/docs"
        for c in self.ok(self.service.get("/v1/connectors"))["items"]:
            yield f"{c['kind']}-{c['name']}", f"/docs/connectors/{c['kind']}/{c['name']}"

    def look_at(self, width, height, phone):
        port = free_port()
        b = browser.Browser(self.work, port, width, height, phone)
        self.addCleanup(b.close)
        wait_until("the driver of the browser", b.is_ready)
        b.open()
        root = f"http://127.0.0.1:{self.service.port}"
        for name, path in self.pages():
            with self.subTest(page=name, width=width):
                b.go(root + path)
                self.assertEqual(b.run("return document.documentElement.clientWidth"), width)
                self.assertEqual(b.run(CUT_OFF), [])
                self.assertEqual(b.run("return getComputedStyle(document.querySelector('.bar')).position"), "sticky")
                PICTURES.mkdir(parents=True, exist_ok=True)
                b.screenshot(PICTURES / f"{name}-{width}.png")
                asked = b.requests()
                self.assertIn(root + path, asked)
                self.assertIn(f"{root}/docs/docs.css", asked)
                self.assertIn(f"{root}/docs/docs.js", asked)
                self.assertEqual([u for u in asked if not u.startswith((root, "data:", "chrome:"))], [])
                self.assertEqual([e for e in b.log("browser") if e["level"] in ("SEVERE", "WARNING")], [])
        return b, root

    def test_on_a_desktop(self):
        b, root = self.look_at(1280, 900, phone=False)
        b.go(root + "/docs#start_run")
        self.assertLess(abs(b.run("return document.getElementById('start_run').getBoundingClientRect().top")), 200)
        b.screenshot(PICTURES / "operation-1280.png")
        found = b.run("""const f = document.querySelector('.filter'); f.value = 'cancel run'; f.dispatchEvent(new Event('input'));
                         return [...document.querySelectorAll('.side li')].filter((li) => !li.hidden).length""")
        self.assertTrue(0 < found < 10, found)

    def test_on_a_phone(self):
        b, root = self.look_at(390, 844, phone=True)
        b.go(root + "/docs")
        self.assertFalse(b.run("return document.querySelector('.side').getBoundingClientRect().width > 0"))
        b.run("document.querySelector('.menu-button').click()")
        self.assertTrue(b.run("return document.querySelector('.side').getBoundingClientRect().width > 0"))
        self.assertEqual(b.run(CUT_OFF), [])
        b.screenshot(PICTURES / "menu-390.png")


class Links(ServiceTest):
    """Every link of every page leads to something of this service, also behind a prefix."""

    def follow(self, path, seen):
        page = self.service.get(path, accept="text/html").text
        ids = set(re.findall(r' id="([^"]+)"', page))
        self.assertEqual(re.findall(r'(?:src|href)="((?:https?:)?//[^"]*)"', page), [])
        self.assertNotIn("<script>", page)
        self.assertNotIn(" style=", page)
        for link in re.findall(r'(?:src|href)="([^"]+)"', page):
            if link.startswith("data:"):
                continue
            self.assertFalse(link.startswith("/"), f"{path}: {link} is not relative")
            target, fragment = urllib.parse.urldefrag(urllib.parse.urljoin(path, link))
            if fragment:
                self.assertIn(fragment, ids, f"{path}: nothing is at {link}")
            elif target not in seen:
                seen.add(target)
                answer = self.service.get(target, accept="text/html")
                self.assertEqual(answer.status, 200, f"{path}: {link}")
                if answer.headers["Content-Type"].startswith("text/html"):
                    self.follow(target, seen)

    def test_links(self):
        seen = {"/"}
        self.follow("/", seen)
        self.assertGreater(len(seen), 15)

    def test_a_slash_too_many(self):
        for path in ("/docs", "/docs/connectors/source/rest"):
            for slashes, up in (("/", 1), ("//", 2), ("/?a", 1)):
                answer = self.service.request("GET", path + slashes, check=False)
                self.assertEqual((answer.status, answer.headers["Location"]), (308, "../" * up + path.rsplit("/", 1)[1]))

    def test_pages_there_are_not(self):
        for path in ("/docs/none.css", "/docs/connectors/source/none", "/docs/connectors/destination/rest", "/docs/connectors/both/file"):
            self.fails(self.service.get(path), 404, "not_found")

    def test_headers(self):
        for path in ("/docs", "/docs/connectors/source/rest"):
            policy = self.service.get(path).headers["Content-Security-Policy"]
            self.assertTrue(policy.startswith("default-src 'none'"), policy)
            self.assertNotIn("unsafe", policy)
        again = self.service.get("/docs/docs.css", if_none_match=self.service.get("/docs/docs.css").headers["ETag"])
        self.assertEqual(again.status, 304)

    def test_every_option_is_told(self):
        for c in self.ok(self.service.get("/v1/connectors"))["items"]:
            page = self.service.get(f"/docs/connectors/{c['kind']}/{c['name']}").text
            schema = self.ok(self.service.get(f"/v1/connectors/{c['kind']}/{c['name']}/schema"))
            for name in schema["properties"]:
                self.assertIn(f'id="option-{name}"', page)
            self.assertIn("<td><code>timestamptz</code></td>", page)
            if c["name"] == "postgres" and c["kind"] == "destination":
                self.assertIn("<td><code>jsonb</code></td>", page)
            for mode in c["capabilities"].get("destination_sync_modes", c["capabilities"].get("sync_modes")):
                self.assertIn(f"<li>{mode}</li>", page)

    def test_native_types_and_limits_are_told(self):
        """Both directions, from the tables that are worked with."""
        said = {("source", "postgres"): ("<code>timestamp with time zone</code></td><td>timestamptz", "<code>arrays of any of them</code></td><td>json"),
                ("source", "mysql"): ("<code>bigint unsigned</code></td><td>decimal(20,0)", "<code>tinyint(1)</code></td><td>bool"),
                ("source", "sqlite"): ("<code>DATETIME...</code></td><td>timestamp", ),
                ("source", "singer"): ("&quot;date-time&quot;}</code></td><td>timestamptz", "a line of the tap"),
                ("source", "rest"): ("<code>{&quot;type&quot;:&quot;integer&quot;}</code></td><td>int", "<td>a record</td><td>16 MiB</td>"),
                ("source", "file"): ("<code>true, false</code></td><td>bool", "<td>100000</td>"),
                ("destination", "singer"): ("<code>date</code></td><td>{&quot;type&quot;:[&quot;string&quot;],&quot;format&quot;:&quot;date&quot;}", ),
                ("destination", "postgres"): ("<td>-4713-11-24 to +5874897-12-31</td>", "no NUL", "63 bytes", "<td>2680 bytes in all</td>"),
                ("destination", "mysql"): ("no NaN, no infinity", "64 characters", "9999-12-31T23:59:59.999999Z", "3072 bytes"),
                ("destination", "sqlite"): ("no NaN", )}
        for c in self.ok(self.service.get("/v1/connectors"))["items"]:
            page = self.service.get(f"/docs/connectors/{c['kind']}/{c['name']}").text
            self.assertIn("<h2>Limits</h2>", page)
            self.assertIn("<td>a value</td><td>16 MiB; a larger one goes to quarantine</td>", page)
            if c["kind"] == "source" and c["name"] != "sample":
                self.assertIn('id="native-types"', page, c["name"])
            for text in said.pop((c["kind"], c["name"]), ()):
                self.assertIn(text, page, c["name"])
        self.assertEqual(said, {})

    def test_every_stream_of_a_ready_api_is_told(self):
        told = 0
        for c in self.ok(self.service.get("/v1/connectors"))["items"]:
            page = self.service.get(f"/docs/connectors/{c['kind']}/{c['name']}").text
            known = self.ok(self.service.get(f"/v1/connectors/{c['kind']}/{c['name']}")).get("streams") or []
            self.assertEqual("<h2>Streams</h2>" in page, bool(known), c["name"])
            told += bool(known)
            for stream in known:
                begin = page.index(f'<li><code class="name">{html.escape(stream["name"])}</code><div class="text">')
                text = re.sub(r"<[^>]+>", "", page[begin:page.index("</li>", begin)])
                self.assertEqual(html.unescape(text), stream["name"] + stream["notes"].replace("`", ""))
        self.assertGreaterEqual(told, 10)

    def test_every_operation_is_told(self):
        page = self.service.get("/docs").text
        for path, item in service.CONTRACT.document["paths"].items():
            for method, operation in item.items():
                if method != "parameters":
                    self.assertIn(f'<section class="operation" id="{operation["operationId"]}">', page, path)


if __name__ == "__main__":
    if not browser.is_there():
        print("skipped: there is no chromium with its driver")
        sys.exit(SKIPPED)
    service.main()
