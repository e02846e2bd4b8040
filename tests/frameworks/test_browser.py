"""The chat of docs/examples in a browser."""

from __future__ import annotations

import os
import signal

import pytest
from websockets.sync.client import connect

from tests.frameworks import browser
from tests.serving import ROOT, TIMEOUT, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not browser.is_installed() and os.environ.get("CI") != "true", reason="chromium is not installed"
    ),
]

SETTINGS = {
    "app.directory": str(ROOT / "docs/examples"),
    "workers.websocket_drain": "500ms",
}


def said(text):
    return f"[...document.querySelectorAll('li')].some(item => item.textContent === {text!r})"


def test_a_browser_chats_and_comes_back_after_a_reload(tmp_path):
    with serve("chat:app", settings=SETTINGS) as server, browser.browser(tmp_path / "profile") as page:
        host, port = server.address
        page.open(f"http://{host}:{port}/")
        page.wait_for("document.getElementById('state')?.textContent === 'connected'")
        # Browsers offer permessage-deflate, and it is agreed to.
        assert page.run("socket.extensions").startswith("permessage-deflate")
        with connect(f"ws://{host}:{port}/chat", open_timeout=TIMEOUT) as other:
            text = "hello from the browser, " * 20
            page.run(f"document.getElementById('text').value = {text!r}")
            page.run("document.querySelector('button').click()")
            assert other.recv(TIMEOUT) == text
            other.send("hello to the browser")
            page.wait_for(said("hello to the browser"))
            page.run("window.codes = []; socket.addEventListener('close', event => codes.push(event.code))")
            server.process.send_signal(signal.SIGHUP)
            page.wait_for("codes.length === 1")
            assert page.run("codes[0]") == 1012
        page.wait_for("document.getElementById('state').textContent === 'connected'")
        page.run("socket.send('I am back')")
        page.wait_for(said("I am back"))
        page.run("socket.onclose = event => codes.push(event.code, event.reason, event.wasClean)")
        page.run("socket.close(4000, 'bye')")
        page.wait_for("codes.length === 4")
        assert page.run("codes.slice(1)") == [4000, "", True]
