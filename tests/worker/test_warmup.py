from __future__ import annotations

import pytest

from sdserve.core.wire.messages import BootFailed, Drain, Ready
from sdserve.errors import EXIT_BOOT, EXIT_OK

IDENTITY = {"generation": 3, "serial": 14}


@pytest.fixture(params=["uvloop", "asyncio"])
def warm(fork, request):
    """Start a worker that asks itself for a path."""
    return lambda application, path, **options: fork(
        application, loop=request.param, warmup_path=path, **options
    )


@pytest.mark.parametrize("application", ["warm_wsgi", "warm_asgi"])
@pytest.mark.parametrize("path", ["/200", "/204?x=y", "/302"])
def test_a_worker_is_ready_once_it_has_answered_itself(warm, application, path):
    worker = warm(application, path)
    assert isinstance(worker.told(), Ready)
    answer = worker.connect().request(b"GET /200 HTTP/1.1\r\nHost: a\r\n\r\n").body.decode()
    assert answer == f"GET {path.partition('?')[0]} localhost sdserve-warmup", "what it was asked before"
    worker.tell(Drain(**IDENTITY))
    assert worker.end() == (EXIT_OK, "")


@pytest.mark.parametrize("application", ["warm_wsgi", "warm_asgi"])
@pytest.mark.parametrize("status", ["404", "500"])
def test_another_answer_fails_the_start(warm, application, status):
    worker = warm(application, f"/{status}")
    failed = worker.told()
    assert isinstance(failed, BootFailed)
    assert failed.reason == f"reload.warmup_path: /{status} was answered with {status}: nothing asked before"
    code, errors = worker.end()
    assert code == EXIT_BOOT
    assert failed.reason in errors
    assert "never retrieved" not in errors
    assert "was destroyed" not in errors
    assert "ResourceWarning" not in errors


def test_an_application_that_raises_fails_the_start(warm):
    failed = warm("warm_wsgi", "/raise").told()
    assert failed.reason.startswith("reload.warmup_path: /raise was answered with 500: ")


def test_an_answer_that_takes_too_long_fails_the_start(warm):
    worker = warm("warm_asgi", "/hang", boot_timeout=0.5)
    assert worker.told().reason == "reload.warmup_path: /hang was not answered within 0.4 s"
    code, errors = worker.end()
    assert code == EXIT_BOOT
    assert "was destroyed" not in errors
