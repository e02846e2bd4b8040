"""The servers that the tests of this directory talk to, one for each row of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

APPS = "tests.frameworks.apps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One site, and how it is served."""

    site: str
    application: str
    interface: str
    """`wsgi` or `asgi`."""
    shows_interface: bool = True
    """The server can find out by itself; else it must be told."""
    threads: int = 1
    settings: dict[str, str] = field(default_factory=dict, hash=False)
    unix: bool = False
    multipart: bool = False
    """The framework can read forms with files without a further package."""
    lifespan: bool = False
    """The site has a start-up and a shutdown, and answers /state."""

    @property
    def name(self) -> str:
        words = [self.site]
        if self.interface == "wsgi":
            words.append(f"{self.threads}-threads" if self.threads > 1 else "1-thread")
        words += self.settings.values()
        if self.unix:
            words.append("unix")
        return "-".join(words)

    @property
    def concurrent(self) -> bool:
        """Two requests can be in the application at once."""
        return self.interface == "asgi" or self.threads > 1


def wsgi(site: str, application: str, *, multipart: bool = True, threads: int = 1, **more) -> Case:
    return Case(
        site=site,
        application=f"{APPS}.{application}",
        interface="wsgi",
        threads=threads,
        multipart=multipart,
        **more,
    )


def plain_wsgi(**more) -> Case:
    # The validator around it takes any arguments.
    return wsgi("plain-wsgi", "plain_wsgi:application", multipart=False, shows_interface=False, **more)


def asgi(site: str, application: str, **more) -> Case:
    return Case(site=site, application=f"{APPS}.{application}", interface="asgi", **more)


H11 = {"http.parser": "h11"}
ASYNCIO = {"workers.loop": "asyncio"}

CASES = (
    wsgi("flask", "flask_site:app"),
    wsgi("flask", "flask_site:app", threads=4),
    wsgi("flask", "flask_site:app", settings=H11 | ASYNCIO),
    wsgi("django-wsgi", "django_wsgi:application"),
    wsgi("django-wsgi", "django_wsgi:application", threads=4),
    wsgi("pyramid", "pyramid_site:make_app()"),
    wsgi("pyramid", "pyramid_site:make_app()", threads=4),
    plain_wsgi(),
    plain_wsgi(threads=4, settings=H11),
    plain_wsgi(threads=4, settings=ASYNCIO, unix=True),
    asgi("django-asgi", "django_asgi:application", multipart=True),
    asgi("fastapi", "fastapi_site:app", lifespan=True),
    asgi("fastapi", "fastapi_site:app", lifespan=True, settings=H11 | ASYNCIO),
    asgi("starlette", "starlette_site:app", lifespan=True),
    asgi("quart", "quart_site:app", multipart=True, lifespan=True),
    asgi("plain-asgi", "plain_asgi:application", lifespan=True),
    asgi("plain-asgi", "plain_asgi:application", lifespan=True, settings=H11),
    asgi("plain-asgi", "plain_asgi:application", lifespan=True, settings=ASYNCIO, unix=True),
)


def for_servers(condition: Callable[[Case], bool]) -> pytest.MarkDecorator:
    """Run a test for each server whose case meets the condition; the test takes `case`, `server` or both."""
    chosen = [case for case in CASES if condition(case)]
    return pytest.mark.parametrize(
        "case", chosen, ids=[case.name for case in chosen], indirect=True, scope="session"
    )


every_server = for_servers(lambda case: True)
