"""Telling WSGI from ASGI, and factories from applications."""

from __future__ import annotations

import functools
from wsgiref.validate import validator

import pytest

from sdserve.core.gateway.interface import detect_interface, is_factory
from sdserve.errors import BootError


async def asgi_function(scope, receive, send): ...


def wsgi_function(environ, start_response): ...


def wsgi_with_options(environ, start_response, debug=False): ...


async def asgi_with_options(scope, receive, send, debug=False): ...


def plain_three(scope, receive, send):
    """Returns an awaitable, as decorators that are not coroutine functions do."""


class AsgiInstance:
    async def __call__(self, scope, receive, send): ...


class WsgiInstance:
    def __call__(self, environ, start_response): ...


class WsgiClass:
    """PEP 3333: an application may be a class, whose instances are the iterable."""

    def __init__(self, environ, start_response): ...

    def __iter__(self): ...


class AsgiClass:
    """An application may be a class whose instances are awaited, as Starlette's endpoints are."""

    def __init__(self, scope, receive, send): ...

    def __await__(self): ...


class AsgiStatic:
    @staticmethod
    async def __call__(*arguments): ...


def decorated(application):
    @functools.wraps(application)
    def wrapper(*arguments):
        return application(*arguments)

    return wrapper


class AsgiMethod:
    async def serve(self, scope, receive, send): ...


@pytest.mark.parametrize(
    "application",
    [
        asgi_function,
        asgi_with_options,
        plain_three,
        AsgiInstance(),
        AsgiClass,
        AsgiStatic(),
        AsgiMethod().serve,
        functools.partial(AsgiInstance()),
        decorated(asgi_function),
        functools.partial(asgi_with_options, debug=True),
    ],
)
def test_asgi_is_recognised(application):
    assert detect_interface(application, "auto") == "asgi"


@pytest.mark.parametrize(
    "application",
    [
        wsgi_function,
        wsgi_with_options,
        WsgiInstance(),
        WsgiClass,
        WsgiInstance().__call__,
        functools.partial(wsgi_with_options, debug=True),
        decorated(wsgi_function),
    ],
)
def test_wsgi_is_recognised(application):
    assert detect_interface(application, "auto") == "wsgi"


def asgi_2(scope): ...


def four(one, two, three, four): ...


@pytest.mark.parametrize(
    ("application", "message"),
    [
        (asgi_2, "only ASGI 3 and WSGI"),
        (four, "set app.interface"),
        (validator(wsgi_function), "set app.interface"),  # *args
        (min, "set app.interface"),  # a built-in without a signature
        ("text", "a str, which cannot be called"),
    ],
)
def test_what_does_not_tell_is_an_error_that_says_what_to_do(application, message):
    with pytest.raises(BootError, match=message):
        detect_interface(application, "auto")


def test_the_configuration_wins():
    assert detect_interface(validator(wsgi_function), "wsgi") == "wsgi"
    assert detect_interface(wsgi_function, "asgi") == "asgi"


def test_nothing_makes_an_application_of_what_cannot_be_called():
    with pytest.raises(BootError, match="cannot be called"):
        detect_interface(None, "wsgi")


def factory(): ...


def factory_with_options(config=None, *, debug=False): ...


def any_arguments(*arguments): ...


@pytest.mark.parametrize("candidate", [factory, factory_with_options, lambda: None])
def test_what_takes_nothing_is_a_factory(candidate):
    assert is_factory(candidate)


@pytest.mark.parametrize(
    "candidate",
    [asgi_function, wsgi_function, WsgiInstance(), any_arguments, min, "text", validator(wsgi_function)],
)
def test_what_takes_something_or_anything_is_none(candidate):
    assert not is_factory(candidate)
