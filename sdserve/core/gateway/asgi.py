"""What a request means to an ASGI application: https://asgi.readthedocs.io/en/stable/specs/www.html."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from sdserve.core.http.request import Request

VERSION = {"version": "3.0", "spec_version": "2.4"}
"""2.4: `send` raises OSError once the client is gone."""

Address = tuple[str, int] | None
"""Host and port of a peer; None for a client on a unix socket."""


def http_scope(
    request: Request, client: Address, server: tuple[str, int | None], state: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the `http` connection scope; `state` is copied into it if the application has a lifespan."""
    path = request.path.decode("ascii")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": VERSION,
        "http_version": "1.1" if request.minor else "1.0",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path) if "%" in path else path,
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": request.fields,
        "client": client,
        "server": server,
    }
    if state is not None:
        scope["state"] = state.copy()
    return scope
