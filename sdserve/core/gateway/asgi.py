"""What a request means to an ASGI application, and what is wrong with a message that it sends.

https://asgi.readthedocs.io/en/stable/specs/www.html and .../extensions.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from sdserve.core.http.request import Field, Request

Address = tuple[str, int] | None
"""Host and port of a peer; None for a client on a unix socket."""


class _Nothing(dict[str, Any]):
    """What there is to say about an extension: nothing, for ever."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("this dictionary belongs to all requests")

    __setitem__ = __ior__ = setdefault = update = _refuse


_EXTENSIONS: dict[str, dict[str, Any]] = {
    "http.response.early_hint": _Nothing(),
    "http.response.pathsend": _Nothing(),
    "http.response.zerocopysend": _Nothing(),
    "http.response.trailers": _Nothing(),
}


def http_scope(
    request: Request,
    client: Address,
    server: tuple[str, int | None],
    scheme: str,
    state: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the `http` connection scope; `state` is copied into it if the application has a lifespan.

    `client` and `scheme` are those of the connection; the request's own `origin` goes before them.

    No dictionary that can be written into is shared with another scope: middleware does write into them.
    """
    path = request.path.decode("ascii")
    scope: dict[str, Any] = {
        "type": "http",
        # 2.4: `send` raises OSError once the client is gone. What 2.5 adds is about WebSocket.
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": scheme,
        # Bytes that are not UTF-8 become U+FFFD, as other servers have it; raw_path has what was sent.
        "path": unquote(path) if "%" in path else path,
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": request.fields,
        "client": client,
        "server": server,
        "extensions": _EXTENSIONS.copy(),
    }
    if not request.minor:
        scope["http_version"] = "1.0"
        # RFC 9110 sections 6.5 and 15.2: HTTP/1.0 has neither trailers nor interim responses.
        del scope["extensions"]["http.response.early_hint"], scope["extensions"]["http.response.trailers"]
    if state is not None:
        scope["state"] = state.copy()
    if (origin := request.origin) is not None:
        scope["client"] = origin.client
        scope["scheme"] = origin.scheme
        if origin.root_path:
            # Frameworks expect the whole path, as clients see it, and take `root_path` off its front.
            scope["root_path"] = origin.root_path
            scope["path"] = origin.prefix + scope["path"]
    return scope


def wants_trailers(request: Request) -> bool:
    """Whether the client said `TE: trailers` (RFC 9110 section 10.1.4; the extension asks for it)."""
    return any(
        name == b"te" and b"trailers" in [part.strip() for part in value.lower().split(b",")]
        for name, value in request.fields
    )


def has_length(fields: Iterable[Field]) -> bool:
    """Whether a Content-Length is among the fields of a response."""
    return any(name.lower() == b"content-length" for name, _ in fields)


def mistake_in(message: object) -> str:
    """Return what keeps `message` from being understood, as the end of "the application sent"; "" if nothing.

    To be asked when a message of a known type could not be used: what it costs is paid for mistakes only.
    """
    if not isinstance(message, Mapping):
        return f"a message that is no dict but {_kind(message)}"
    if "type" not in message:
        return "a message without a type"
    check = _CHECKS.get(message["type"])
    wrong = check(message) if check is not None else ""
    return f"{message['type']} with {wrong}" if wrong else ""


def _check_start(message: Mapping[str, Any]) -> str:
    if "status" not in message:
        return "no status"
    if not isinstance(message["status"], int):
        return f"a status that is no int but {_kind(message['status'])}: {message['status']!r:.60}"
    return _check_headers(message)


def _check_headers(message: Mapping[str, Any]) -> str:
    headers = message.get("headers", ())
    if isinstance(headers, str | bytes | Mapping) or not isinstance(headers, Iterable):
        return f"headers that are no list of pairs but {_kind(headers)}"
    for field in headers:
        if not isinstance(field, Iterable) or isinstance(field, str | bytes) or len(pair := list(field)) != 2:
            return f"headers of which one is no pair of bytes but {field!r:.60}"
        for part in pair:
            if not isinstance(part, bytes):
                return f"headers of which one has no bytes but {_kind(part)}: {part!r:.60}"
    return ""


def _check_links(message: Mapping[str, Any]) -> str:
    links = message.get("links", ())
    if isinstance(links, str | bytes | Mapping) or not isinstance(links, Iterable):
        return f"links that are no list of bytes but {_kind(links)}"
    return next(
        (f"a link that is no bytes but {_kind(link)}" for link in links if type(link) is not bytes), ""
    )


def _check_path(message: Mapping[str, Any]) -> str:
    if "path" not in message:
        return "no path"
    return "" if isinstance(message["path"], str) else f"a path that is no str but {_kind(message['path'])}"


def _check_file(message: Mapping[str, Any]) -> str:
    if not hasattr(message.get("file"), "fileno"):
        return "no file"
    for key in ("offset", "count"):
        if not isinstance(message.get(key), int | None):
            return f"{'an' if key == 'offset' else 'a'} {key} that is no int but {_kind(message[key])}"
    return ""


def _check_accept(message: Mapping[str, Any]) -> str:
    subprotocol = message.get("subprotocol")
    if not isinstance(subprotocol, str | None):
        return f"a subprotocol that is no str but {_kind(subprotocol)}"
    return _check_headers(message)


def _check_close(message: Mapping[str, Any]) -> str:
    code, reason = message.get("code", 1000), message.get("reason")
    if not isinstance(code, int | None):
        return f"a code that is no int but {_kind(code)}"
    return "" if isinstance(reason, str | None) else f"a reason that is no str but {_kind(reason)}"


def _kind(value: object) -> str:
    return type(value).__name__


_CHECKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "http.response.start": _check_start,
    "http.response.trailers": _check_headers,
    "http.response.early_hint": _check_links,
    "http.response.pathsend": _check_path,
    "http.response.zerocopysend": _check_file,
    "websocket.accept": _check_accept,
    "websocket.close": _check_close,
    "websocket.http.response.start": _check_start,
}
