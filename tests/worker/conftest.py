"""Servers in this process, on both event loops."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import pytest

from sdserve.host.mailbox import Mailbox
from sdserve.worker.server import Heir
from tests.certificates import Authority
from tests.worker import forking, serving
from tests.worker.moving import named, named_async


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_kind(request):
    return request.param


@pytest.fixture
def serve(loop_kind, monkeypatch):
    """Start a worker for an application; it is drained at the end of the test."""
    monkeypatch.setattr("sdserve.worker.server.TICK", serving.TICK)
    monkeypatch.setattr("sdserve.worker.http.TICK", serving.TICK)
    monkeypatch.setattr("sdserve.worker.websocket.TICK", serving.TICK)
    monkeypatch.setattr("sdserve.worker.tls.TICK", serving.TICK)
    monkeypatch.setattr("sdserve.worker.asgi.TICK", serving.TICK)
    monkeypatch.setattr("sdserve.worker.wsgi.TICK", serving.TICK)
    level = logging.getLogger("sdserve").level
    workers = []

    def start(application, **options):
        worker = serving.Worker(application, loop_kind=loop_kind, **options)
        workers.append(worker)
        worker.start()
        return worker

    yield start
    for worker in workers:
        worker.stop()
    logging.getLogger("sdserve").setLevel(level)


@pytest.fixture(params=[1, 4], ids=["inline", "pooled"])
def threads(request):
    """Both ways of calling a WSGI application."""
    return request.param


@pytest.fixture
def fork():
    """Start a worker process for an application of `tests.worker.applications`."""
    processes = []

    def start(application, **options):
        processes.append(forking.WorkerProcess(f"tests.worker.applications:{application}", **options))
        return processes[-1]

    yield start
    for process in processes:
        process.discard()


@pytest.fixture(params=["inline", "pooled", "asgi"])
def make(request):
    """Makes applications that answer with a word, and says how they are called."""
    if request.param == "asgi":
        return lambda word: {"application": named_async(word)}
    return lambda word: {"application": named(word), "threads": 4 if request.param == "pooled" else 1}


@pytest.fixture
def make_box():
    """Make a mailbox; it is closed after the servers have stopped."""
    with ExitStack() as stack:

        def make_box():
            box = Mailbox.make()
            stack.callback(box.close)
            return box

        yield make_box


@pytest.fixture
def authority(tmp_path):
    """Whom clients trust."""
    return Authority(tmp_path)


@pytest.fixture
def pair(make_box, serve):
    """Start an old server and a new one that reads its mailbox; what the old one may be told as its heir."""

    def start(old, new, *, paths=("", ""), **options):
        box = make_box()
        return (
            serve(**old, unix=paths[0], **options),
            serve(**new, unix=paths[1], mailbox=box.outlet, **options),
            lambda: Heir(box.inlet.dup(), 2),
        )

    return start
