"""A worker process from its fork to its exit status, with the test in the place of its supervisor."""

from __future__ import annotations

import itertools
import re
import select
import signal
import time

import pytest

from sdserve.core.wire.messages import (
    MOST_CHANGED,
    BootFailed,
    Certificates,
    CodeChanged,
    Drain,
    Forked,
    Ready,
    RecycleAsked,
    Serve,
)
from sdserve.errors import EXIT_BOOT, EXIT_OK
from sdserve.host import memfd, stacks
from tests.worker.serving import REQUEST

IDENTITY = {"generation": 3, "serial": 14}


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(
    ("application", "interface", "preload"),
    [("wsgi", "wsgi", False), ("make_wsgi", "wsgi", True), ("asgi", "asgi", False)],
)
def test_a_worker_answers_from_when_it_says_so_until_it_is_told_to_drain(
    fork, application, interface, preload, loop
):
    worker = fork(application, loop=loop, preload=preload)
    assert worker.told() == Ready(**IDENTITY, interface=interface)
    client = worker.connect()
    assert client.request().body == b"2"  # its slot
    worker.tell(Drain(**IDENTITY))
    assert client.rest() == b""
    assert worker.end() == (EXIT_OK, "")


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_worker_that_is_ready_takes_no_connection_before_it_is_told_to_serve(fork, loop):
    worker = fork("wsgi", loop=loop)
    assert isinstance(worker.hears(), Ready)
    client = worker.connect()
    client.send(REQUEST)
    worker.process.send_signal(signal.SIGTERM)
    assert isinstance(worker.hears(), RecycleAsked), "its loop has turned since"
    worker.tell(Drain(**IDENTITY))
    worker.tell(Serve(**IDENTITY))  # too late
    assert client.rest_of_cut() == b""
    assert worker.end()[0] == EXIT_OK


def test_a_worker_that_loses_its_supervisor_before_it_was_told_to_serve_ends(fork):
    worker = fork("wsgi")
    worker.hears()
    worker.channel.close()
    assert worker.end()[0] == EXIT_OK


def test_a_worker_names_files_that_are_newer_than_its_generation(fork):
    assert fork("wsgi", since_ns=time.time_ns()).told().changed == ()
    changed = fork("wsgi", since_ns=1).told().changed
    assert len(changed) == MOST_CHANGED
    assert all(name.endswith((".py", ".so")) for name in changed)


def test_a_worker_writes_its_stacks_when_it_is_asked_to(fork):
    worker = fork("wsgi")
    worker.told()
    worker.process.send_signal(stacks.SIGNAL)
    while "worker_main" not in worker.process.stderr.readline():
        assert worker.process.poll() is None
    worker.tell(Drain(**IDENTITY))
    assert worker.end()[0] == EXIT_OK


def test_a_worker_tells_when_files_of_its_code_change(fork, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = tmp_path / "changing.py"
    code.write_text("")
    worker = fork("changing_wsgi", since_ns=1, look_every=0.05)
    assert isinstance(worker.told(), Ready)
    for number in itertools.count():  # perhaps it has not even looked once
        code.write_text(f"{number}")
        if select.select([worker.channel], [], [], 0.1)[0]:
            break
        assert worker.process.poll() is None
    assert worker.told() == CodeChanged(**IDENTITY, changed=(str(code),))


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("kind", ["sleep", "spin", "lock", "async"])
def test_with_its_stacks_a_worker_says_what_is_in_flight(fork, loop, kind):
    """Wherever the loop stands still, as long as that is in Python."""
    worker = fork(f"stands_still_{'async' if kind == 'async' else 'sync'}", loop=loop)
    worker.told()
    worker.connect().send(f"GET /{kind}?secret=1 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert worker.process.stdout.readline() == "still\n"
    lines = []
    for _ in range(2):  # asked again, it says it again
        worker.process.send_signal(stacks.SIGNAL)
        while "in flight" not in (line := worker.process.stderr.readline()):
            lines.append(line)
            assert worker.process.poll() is None
        said = f"1 request is in flight, the oldest for \\d s: GET /{kind} from 127"
        assert re.search(f"error worker 2 of generation 3: {said}", line)
    assert any(f"in {'stand_still' if kind != 'async' else '_run'}" in line for line in lines)


def test_certificates_that_make_no_sense_change_nothing(fork):
    worker = fork("wsgi")
    worker.told()
    with memfd.sealed("nonsense", b"nonsense") as nonsense:
        worker.tell(Certificates(**IDENTITY), nonsense)
    worker.tell(Certificates(**IDENTITY))
    assert worker.connect().request().status == 200
    worker.tell(Drain(**IDENTITY))
    status, errors = worker.end()
    assert status == EXIT_OK
    assert errors.count("the certificates stay as they were: certificates came that cannot be read") == 1


def test_a_worker_that_loses_its_supervisor_drains(fork):
    worker = fork("wsgi")
    worker.told()
    worker.channel.close()
    status, errors = worker.end()
    assert status == EXIT_OK
    assert "warning worker 2 of generation 3: the supervisor is gone; draining" in errors


def test_a_worker_that_gets_sigterm_asks_to_be_replaced_and_serves_on(fork):
    worker = fork("wsgi")
    worker.told()
    client = worker.connect()
    assert client.request().status == 200
    for _ in range(2):
        worker.process.send_signal(signal.SIGTERM)
    assert worker.told() == RecycleAsked(**IDENTITY, reason="it got SIGTERM")
    assert "connection" not in client.request().fields
    worker.tell(Drain(**IDENTITY))
    assert client.rest() == b""
    status, errors = worker.end()
    assert status == EXIT_OK
    assert errors.count("this worker asks to be replaced: it got SIGTERM") == 1


def test_a_worker_without_a_supervisor_drains_also_when_it_gets_sigterm(fork):
    worker = fork("wsgi")
    worker.told()
    worker.process.send_signal(signal.SIGTERM)
    worker.channel.close()
    assert worker.end()[0] == EXIT_OK


def test_messages_that_make_no_sense_are_ignored(fork):
    worker = fork("wsgi")
    worker.told()
    worker.channel.send(b"nonsense")
    worker.tell(Forked())
    worker.tell(Drain(**IDENTITY))
    status, errors = worker.end()
    assert status == EXIT_OK
    assert errors.count("makes no sense, ignoring") == 1


@pytest.mark.parametrize(
    ("application", "reason", "traceback"),
    [
        ("missing", "there is no 'missing'", ""),
        ("neither", "cannot tell WSGI from ASGI", ""),
        ("text", "the application is a str, which cannot be called", ""),
        ("failing_lifespan", "start-up raised ConnectionError: no database", "in failing_lifespan"),
    ],
)
def test_an_application_that_does_not_start(fork, application, reason, traceback):
    worker = fork(application)
    message = worker.told()
    assert isinstance(message, BootFailed)
    assert (message.generation, message.serial) == (3, 14)
    assert reason in message.reason
    status, errors = worker.end()
    assert status == EXIT_BOOT
    assert "error worker 2 of generation 3: the application does not start: " in errors
    assert errors.count(reason) >= 1
    assert traceback in errors
    assert "never retrieved" not in errors
    assert "was destroyed" not in errors


def test_without_uvloop_a_worker_says_what_to_do(fork, monkeypatch, tmp_path):
    (tmp_path / "uvloop.py").write_text("raise ImportError('no such library')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = fork("wsgi")
    reason = "uvloop cannot be imported (no such library); install uvloop or set workers.loop = asyncio"
    assert worker.told() == BootFailed(**IDENTITY, reason=reason)
    status, errors = worker.end()
    assert status == EXIT_BOOT
    assert f"error worker 2 of generation 3: the application does not start: {reason}" in errors


def test_a_supervisor_that_is_gone_before_the_worker_is_ready(fork):
    worker = fork("wsgi")
    worker.channel.close()
    status, errors = worker.end()
    assert status == EXIT_OK
    assert "the supervisor cannot be told Ready" in errors


def test_what_an_application_prints_comes_out_at_once(fork):
    worker = fork("wsgi")
    worker.told()
    worker.connect().request(b"GET /print HTTP/1.1\r\nHost: a\r\n\r\n")
    assert worker.process.stdout.readline() == "printed by the application\n"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_without_a_free_descriptor_a_worker_waits_for_one(fork, loop):
    worker = fork("wsgi", loop=loop, files=24)
    worker.told()
    clients = [worker.connect() for _ in range(24)]
    # The first of them are served, the last is in the kernel's backlog.
    assert clients[0].request().status == 200
    clients[-1].send(REQUEST)
    line = worker.process.stderr.readline()
    assert (
        "error worker 2 of generation 3: cannot accept connections for now: Too many open files; raise"
        in line
    )
    for client in clients[:-1]:
        client.close()
    assert clients[-1].response().status == 200
    worker.tell(Drain(**IDENTITY))
    assert worker.end() == (EXIT_OK, "")


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(("path", "word"), [(b"/exit", "SystemExit(7)"), (b"/stop", "RuntimeError")])
def test_an_application_that_ends_the_loop_does_not_end_the_worker(fork, loop, path, word):
    worker = fork("ends_the_loop", loop=loop)
    worker.told()
    client = worker.connect()
    for _ in range(2):
        assert client.request(REQUEST.replace(b"/", path, 1)).body == b"still here"
    worker.tell(Drain(**IDENTITY))
    status, errors = worker.end()
    assert status == EXIT_OK
    assert errors.count("the application ended the event loop, going on") == 2
    assert word in errors
