"""Servers in this process, on both event loops."""

from __future__ import annotations

import logging

import pytest

from tests.worker import forking, serving


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_kind(request):
    return request.param


@pytest.fixture
def serve(loop_kind, monkeypatch):
    """Start a worker for an application; it is drained at the end of the test."""
    monkeypatch.setattr("sdserve.worker.server.TICK", serving.TICK)
    monkeypatch.setattr("sdserve.worker.http.TICK", serving.TICK)
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
