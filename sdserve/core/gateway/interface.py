"""Which interface an application speaks, told from its shape, and whether it is a factory of one.

An ASGI 3 application takes (scope, receive, send) and is a coroutine function; a WSGI one takes
(environ, start_response) (PEP 3333); a factory takes nothing.
"""

from __future__ import annotations

import inspect
from typing import Any

from sdserve.errors import BootError

WSGI = "wsgi"
ASGI = "asgi"
AUTO = "auto"


def _positional(application: Any) -> tuple[int, bool] | None:
    """Return (how many arguments it must be given, whether it takes any number); None if it does not tell."""
    try:
        parameters = inspect.signature(application).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 0, True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]
    return len(required), False


def is_factory(candidate: Any) -> bool:
    """Whether `candidate` is called without arguments to get the application."""
    return callable(candidate) and _positional(candidate) == (0, False)


def _is_coroutine(application: Any) -> bool:
    call = getattr(application, "__call__", None)  # noqa: B004 - the method itself is looked at
    return inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(call)


def detect_interface(application: Any, configured: str) -> str:
    """Return `wsgi` or `asgi`.

    Args:
        application: the application object, no factory.
        configured: `auto`, or what the user wants it to be called as.

    Raises:
        BootError: it is not callable, or its shape does not tell.
    """
    if not callable(application):
        raise BootError(f"the application is a {type(application).__name__}, which cannot be called")
    if configured != AUTO:
        return configured
    if not inspect.isclass(application) and _is_coroutine(application):
        return ASGI
    shape = _positional(application)
    if shape == (3, False):
        return ASGI
    if shape == (2, False):
        return WSGI
    if shape == (1, False):
        raise BootError("the application takes one argument, as ASGI 2 did; only ASGI 3 and WSGI are served")
    raise BootError("cannot tell WSGI from ASGI by the application's signature; set app.interface")
