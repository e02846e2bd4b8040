"""The scope of a request, with what its connection adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdserve.core.gateway.asgi import http_scope
from sdserve.core.http.request import Request
from sdserve.worker.peer import PEER_CREDENTIALS

if TYPE_CHECKING:
    from sdserve.worker.http import HttpProtocol


def scope_of(request: Request, protocol: HttpProtocol, state: dict[str, Any] | None) -> dict[str, Any]:
    """Return the `http` scope of a request that came by `protocol`; `state` is the lifespan's."""
    peer = protocol.peer
    scope = http_scope(request, peer.client, peer.local, peer.scheme, state)
    if peer.credentials is not None:
        scope["extensions"][PEER_CREDENTIALS] = peer.credentials._asdict()
    if protocol.tls is not None:
        protocol.tls.add_to_scope(scope)
    return scope
