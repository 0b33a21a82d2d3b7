"""A real browser, without a screen, over the WebDriver protocol: plain JSON over HTTP."""
import base64
import json
import shutil
import subprocess
import urllib.request

# The keys under which the protocol answers.
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--no-first-run",
             # Whatever a page asks of another host fails, and is seen in the log of requests.
             "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


def is_there():
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    def __init__(self, folder, port, width, height, phone):
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}", f"--log-path={folder}/driver.log"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url, self.session = f"http://127.0.0.1:{port}", ""
        options = {"args": [*ARGUMENTS, f"--window-size={width},{height}", f"--user-data-dir={folder}/profile-{port}"]}
        if phone:
            options["mobileEmulation"] = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2.0}}
        self.capabilities = {"browserName": "chrome", "goog:chromeOptions": options,
                             "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}

    def call(self, method, path, **body):
        request = urllib.request.Request(f"{self.url}{self.session}{path}", method=method,
                                         data=json.dumps(body).encode() if method == "POST" else None,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def is_ready(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def open(self):
        made = self.call("POST", "/session", capabilities={"alwaysMatch": self.capabilities})
        self.session = f"/session/{made['sessionId']}"

    def go(self, url):
        self.call("POST", "/url", url=url)

    def run(self, script):
        return self.call("POST", "/execute/sync", script=script, args=[])

    def log(self, kind):
        return self.call("POST", "/se/log", type=kind)

    def requests(self):
        """The addresses that were asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
