"""sdserve behind a proxy: over TCP and over a unix socket, each with one of the interfaces."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests import serving


@pytest.fixture(params=["wsgi-tcp", "asgi-unix"])
def flavour(request):
    # Starting servers takes most of the time; the interfaces are compared in tests/worker/test_proxies.py.
    return request.param.split("-")


@pytest.fixture
def interface(flavour):
    return flavour[0]


@pytest.fixture
def transport(flavour):
    return flavour[1]


@pytest.fixture
def serve(interface):
    """Start an sdserve that reports, with options of its listener."""
    with ExitStack() as stack:

        def serve(*, unix=False, **options):
            settings = {f"listen:http.{name}": value for name, value in options.items()}
            return stack.enter_context(
                serving.serve(f"tests.proxies.reports:{interface}", settings=settings, unix=unix)
            )

        yield serve


@pytest.fixture
def behind(serve, transport):
    """Start an sdserve that trusts the proxy before it."""
    trusted = {"tcp": "127.0.0.1", "unix": "unix"}[transport]
    return lambda **options: serve(unix=transport == "unix", trusted=trusted, **options)
