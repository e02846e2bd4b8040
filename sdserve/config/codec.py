"""A `Configuration` as JSON values and back: how it travels to the zygote, and survives an upgrade.

Reader and writer may be different versions of sdserve: unknown keys are dropped, missing ones take their
default. Values are not checked again; `sdserve.config.load` has done that before anything was written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from sdserve.config.model import Configuration, Listener, LogOptions
from sdserve.core.fleet.options import FleetOptions
from sdserve.core.gateway.options import AppOptions, WorkerOptions
from sdserve.core.http.options import HttpOptions
from sdserve.core.tls.options import TlsOptions
from sdserve.core.websocket.options import WebSocketOptions

T = TypeVar("T")


def encode(configuration: Configuration) -> dict[str, Any]:
    """Return `configuration` as a dict of JSON values (tuples stand for arrays)."""
    return dataclasses.asdict(configuration)


def decode(data: Mapping[str, Any]) -> Configuration:
    """Return the configuration that `encode`, of this or another version, made `data` from."""
    return Configuration(
        name=data.get("name", ""),
        app=_decode(AppOptions, data.get("app", {})),
        listen=tuple(_decode_listener(item) for item in data.get("listen", ())),
        fleet=_decode(FleetOptions, data.get("fleet", {})),
        workers=_decode(WorkerOptions, data.get("workers", {})),
        http=_decode(HttpOptions, data.get("http", {})),
        websocket=_decode(WebSocketOptions, data.get("websocket", {})),
        log=_decode(LogOptions, data.get("log", {})),
        environment=dict(data.get("environment", {})),
    )


def _decode_listener(data: Mapping[str, Any]) -> Listener:
    listener = _decode(Listener, {"name": "", **data})
    tls = _decode(TlsOptions, data.get("tls", {}))
    tls = dataclasses.replace(tls, certificates=tuple(tls.certificates), keys=tuple(tls.keys))
    return dataclasses.replace(
        listener,
        addresses=tuple(listener.addresses),
        trusted=tuple(listener.trusted),
        trusted_fields=tuple(listener.trusted_fields),
        tls=tls,
    )


def _decode(kind: type[T], data: Mapping[str, Any]) -> T:
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in data.items() if name in names})
