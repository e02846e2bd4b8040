"""What is measured: the requests, the applications, who takes part, and what sdserve must reach."""

from __future__ import annotations

from dataclasses import dataclass

RAW = "tests.bench.apps.raw"
HELLO = b"Hello, world!"

BROWSER_FIELDS = (
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3"),
    ("Cache-Control", "no-cache"),
    ("Cookie", "session=5f2d7c1e9b8a4f60; theme=dark; consent=1"),
    ("DNT", "1"),
    ("Referer", "https://shop.example/catalogue?page=2"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
)
"""With the Host field that wrk sends this makes twelve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of request to one application, and the servers that answer it."""

    name: str
    application: str
    interface: str
    """`asgi` or `wsgi`."""
    servers: tuple[str, ...]
    """Names in `servers.COMMANDS`; the first is sdserve, the others are compared with it."""
    threads: int = 1
    """For sdserve and granian; gunicorn's number is in its name."""
    fields: tuple[tuple[str, str], ...] = ()
    body_size: int = 0
    """Bytes to POST; 0 makes it a GET."""
    message_size: int = 0
    """Bytes of the WebSocket messages that come back; 0: it is HTTP."""
    tls: bool = False
    """Over TLS, on connections that are kept: what is measured is the records, not the handshake."""

    @property
    def expected(self) -> bytes:
        """The body of every answer."""
        return b"x" * self.body_size if self.body_size else HELLO


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """sdserve must answer at least `ratio` times as many requests as `peer`."""

    case: str
    peer: str
    ratio: float


ASGI = ("sdserve", "uvicorn", "granian asgi", "gunicorn asgi")
WEBSOCKET = ("sdserve", "uvicorn", "granian asgi")
WSGI = ("sdserve", "gunicorn gthread 1", "gunicorn gthread 8", "granian wsgi")
THREADED = ("sdserve", "gunicorn gthread 8", "granian wsgi")

CASES = (
    Case(name="asgi-hello", application=f"{RAW}:asgi_hello", interface="asgi", servers=ASGI),
    Case(
        name="asgi-12-fields",
        application=f"{RAW}:asgi_hello",
        interface="asgi",
        servers=ASGI,
        fields=BROWSER_FIELDS,
    ),
    Case(name="asgi-post-1k", application=f"{RAW}:asgi_echo", interface="asgi", servers=ASGI, body_size=1024),
    Case(
        name="asgi-fastapi", application="tests.bench.apps.fastapi_hello:app", interface="asgi", servers=ASGI
    ),
    Case(name="asgi-hello-tls", application=f"{RAW}:asgi_hello", interface="asgi", servers=ASGI, tls=True),
    Case(name="wsgi-hello", application=f"{RAW}:wsgi_hello", interface="wsgi", servers=WSGI),
    Case(
        name="wsgi-12-fields",
        application=f"{RAW}:wsgi_hello",
        interface="wsgi",
        servers=WSGI,
        fields=BROWSER_FIELDS,
    ),
    Case(name="wsgi-post-1k", application=f"{RAW}:wsgi_echo", interface="wsgi", servers=WSGI, body_size=1024),
    Case(name="wsgi-flask", application="tests.bench.apps.flask_hello:app", interface="wsgi", servers=WSGI),
    Case(
        name="wsgi-hello-8",
        application=f"{RAW}:wsgi_hello",
        interface="wsgi",
        servers=THREADED,
        threads=8,
    ),
    Case(
        name="websocket-16",
        application=f"{RAW}:asgi_websocket_echo",
        interface="asgi",
        servers=WEBSOCKET,
        message_size=16,
    ),
    Case(
        name="websocket-64k",
        application=f"{RAW}:asgi_websocket_echo",
        interface="asgi",
        servers=WEBSOCKET,
        message_size=64 * 1024,
    ),
)

TARGETS = (
    Target(case="asgi-hello", peer="uvicorn", ratio=1.3),
    Target(case="websocket-16", peer="uvicorn", ratio=1.3),
    Target(case="websocket-64k", peer="uvicorn", ratio=1.3),
    Target(case="asgi-hello-tls", peer="uvicorn", ratio=1.3),
    Target(case="wsgi-hello", peer="gunicorn gthread 1", ratio=5.0),
    Target(case="wsgi-hello", peer="gunicorn gthread 8", ratio=5.0),
)
