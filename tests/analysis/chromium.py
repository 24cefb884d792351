"""Chromium driven over a pipe by its DevTools protocol: no driver, no socket, no library."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]
PATIENCE = 60.0


def program():
    """Return the browser's path, or None."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One page; what it logs and asks for is kept."""

    def __init__(self, profile):
        to_read, self.to = os.pipe()
        self.back, from_write = os.pipe()
        self.events, self.left, self.number = [], b"", 0

        def place():  # the protocol's pipes are descriptors 3 and 4
            a, b = os.dup(to_read), os.dup(from_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        command = [program(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, preexec_fn=place, close_fds=False, **quiet)
        os.close(to_read)
        os.close(from_write)
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        os.close(self.to)
        os.close(self.back)

    def call(self, method, **params):
        """Send a command and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        asked = self.number
        while True:
            found = self._next(PATIENCE)
            if found.get("id") == asked:
                assert "error" not in found, found["error"]
                return found["result"]
            self.events.append(found)

    def _next(self, patience):
        end = time.monotonic() + patience
        while b"\0" not in self.left:
            ready, _, _ = select.select([self.back], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser did not answer")
            self.left += os.read(self.back, 1 << 20)
        message, self.left = self.left.split(b"\0", 1)
        return json.loads(message)

    def open(self, url, width=1200, height=900, dark=False):
        """Go to a page of that size, and wait until it is there."""
        self.events.clear()
        self.call("Page.navigate", url="about:blank")  # else the same page would not load again
        self._await("Page.loadEventFired")
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=url)
        self._await("Page.loadEventFired")

    def _await(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next(PATIENCE))

    def run(self, script):
        """Evaluate an expression and return its value."""
        done = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key, code=None, letters=""):
        """Press and let go of a key."""
        about = {"key": key, "code": code or key, "text": letters}
        about["windowsVirtualKeyCode"] = {"Enter": 13, "Tab": 9, "End": 35, "Home": 36}.get(key, 0)
        self.call("Input.dispatchKeyEvent", type="keyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def complaints(self):
        """Return errors and warnings of the console, and exceptions."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
            if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                found.append(str(params["args"]))
            if method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
        return found

    def requests(self):
        """Return what was asked for beyond the page itself and what lies in it."""
        urls = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(("data:", "file:", "about:", "blob:"))]

    def shot(self, path, whole=True):
        """Write a picture of the page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))
