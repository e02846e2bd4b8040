from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from contextlib import contextmanager

import pytest

from sdserve.errors import DeniedError, UnavailableError, WireError
from sdserve.host import control_client, control_socket
from sdserve.host.control_client import RefusedError


@pytest.fixture
def answering(monkeypatch):
    """An instance called `shop` that answers one call with what is given, and tells what it was asked."""

    @contextmanager
    def answering(answer):
        asked = []
        with tempfile.TemporaryDirectory(dir="/tmp") as directory, socket.socket(socket.AF_UNIX) as listening:
            monkeypatch.setenv("RUNTIME_DIRECTORY", directory)
            listening.bind(f"{directory}/control")
            listening.listen()

            def serve():
                client, _ = listening.accept()
                with client:
                    asked.append(client.recv(1000))
                    if answer is None:
                        client.recv(1)  # until the other side has enough
                    else:
                        client.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            yield asked
            thread.join(20)
            assert not thread.is_alive()

    return answering


def test_a_method_is_called_and_its_answer_returned(answering):
    with answering(b'{"parameters": {"message": "done"}}\0') as asked:
        assert control_client.call("shop", "Scale", {"count": 2}, timeout=20) == {"message": "done"}
    assert json.loads(asked[0][:-1]) == {"method": "io.sdserve.Scale", "parameters": {"count": 2}}


def test_an_answer_without_parameters_has_none(answering):
    with answering(b"{}\0"):
        assert control_client.call("shop", "Reload") == {}


def test_a_long_answer_is_read_whole(answering):
    with answering(json.dumps({"parameters": {"text": "x" * 300_000}}).encode() + b"\0"):
        assert len(control_client.call("shop", "Status")["text"]) == 300_000


@pytest.mark.parametrize("error", ["ReloadFailed", "UpgradeFailed", "ScaleFailed"])
def test_a_refusal_carries_its_reason(answering, error):
    answer = {"error": f"io.sdserve.{error}", "parameters": {"reason": "first\nsecond"}}
    with answering(json.dumps(answer).encode() + b"\0"), pytest.raises(RefusedError) as caught:
        control_client.call("shop", "Reload")
    assert caught.value.reason == "first\nsecond"


@pytest.mark.parametrize(
    ("answer", "error", "complaint"),
    [
        (b'{"error": "org.varlink.service.PermissionDenied"}\0', DeniedError, "only from root"),
        (b'{"error": "org.varlink.service.MethodNotFound"}\0', WireError, "another version of sdserve"),
        (b"nonsense\0", WireError, "is not JSON"),
        (b"half an ans", UnavailableError, "ended before it answered"),
        (b"", UnavailableError, "ended before it answered"),
    ],
)
def test_what_went_wrong_is_told_apart(answering, answer, error, complaint):
    with answering(answer), pytest.raises(error, match=complaint):
        control_client.call("shop", "Reload")


def test_a_time_out_is_kept(answering):
    with answering(None), pytest.raises(UnavailableError, match="shop did not answer in time"):
        control_client.call("shop", "Status", timeout=0.01)


def test_an_instance_that_does_not_run_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(control_socket, "RUN", tmp_path)
    with pytest.raises(UnavailableError, match="shop is not running"):
        control_client.call("shop", "Status")


def test_a_socket_of_somebody_else_is_not_ours_to_use(monkeypatch):
    def connect(name):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(control_socket, "connect", connect)
    with pytest.raises(DeniedError, match="only from root and the user that it runs as"):
        control_client.call("shop", "Status")
