"""Debian's Chromium without a window, controlled by its DevTools protocol, which is WebSocket itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.serving import TIMEOUT

PROGRAM = "chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)


def is_installed() -> bool:
    return shutil.which(PROGRAM) is not None


class Page:
    """One page of a running browser."""

    def __init__(self, control: Any) -> None:
        self._control = control
        self._number = 0

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._control.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (answer := json.loads(self._control.recv(TIMEOUT))).get("id") != self._number:
            pass  # events, which nobody asked for
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url: str) -> None:
        self._ask("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """What an expression of JavaScript is in the page."""
        result = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Return once an expression is true there."""
        deadline = time.monotonic() + TIMEOUT
        while not self.run(script):
            assert time.monotonic() < deadline, (
                f"not true: {script}; the page: {self.run('document.body.innerText')}"
            )
            time.sleep(0.02)


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A browser with an empty page; `profile` is a folder of its own."""
    port_file = profile / "DevToolsActivePort"
    with (profile.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={profile}", "about:blank"], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + TIMEOUT
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert process.poll() is None, "the browser has ended"
            assert time.monotonic() < deadline, "the browser does not start"
            time.sleep(0.02)
        port = port_file.read_text().split("\n")[0]
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=TIMEOUT) as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            if pages:
                break
            assert time.monotonic() < deadline, "the browser has no page"
        with connect(pages[0]["webSocketDebuggerUrl"], max_size=None, open_timeout=TIMEOUT) as control:
            yield Page(control)
    finally:
        process.terminate()
        process.wait(TIMEOUT)
