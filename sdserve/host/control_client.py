"""Asking a running instance for something, and waiting for its answer."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from time import monotonic
from typing import Any

from sdserve.core.wire import control as language
from sdserve.core.wire import varlink
from sdserve.errors import DeniedError, UnavailableError, WireError
from sdserve.host import control_socket

_MOST_AT_ONCE = 64 * 1024


class RefusedError(Exception):
    """The instance answered with an error of the method's own. `reason` is its text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def call(
    name: str, method: str, parameters: Mapping[str, Any] | None = None, *, timeout: float | None = None
) -> dict[str, Any]:
    """What `method` of `io.sdserve` answers in the instance `name`, after at most `timeout` seconds.

    RefusedError if it did not work, UnavailableError if there is no answer, DeniedError if this user may
    not ask, WireError if the answer makes no sense.
    """
    request = varlink.encode({"method": f"{language.INTERFACE}.{method}", "parameters": parameters or {}})
    try:
        with control_socket.connect(name) as client:
            client.sendall(request, socket.MSG_NOSIGNAL)
            answer = _receive(client, timeout)
    except FileNotFoundError:
        raise UnavailableError(f"{name} is not running, or has no control socket") from None
    except PermissionError:
        raise DeniedError(f"{name} takes orders only from root and the user that it runs as") from None
    except TimeoutError:
        raise UnavailableError(f"{name} did not answer in time") from None
    except OSError as error:
        raise UnavailableError(f"{name} does not answer: {error.strerror}") from None
    return _result(name, varlink.decode(answer))


def _receive(client: socket.socket, timeout: float | None) -> bytes:
    deadline = None if timeout is None else monotonic() + timeout
    answer = bytearray()
    while b"\0" not in answer[-_MOST_AT_ONCE:]:
        if deadline is not None:
            client.settimeout(max(0.001, deadline - monotonic()))
        data = client.recv(_MOST_AT_ONCE)
        if not data:
            raise UnavailableError("the instance ended before it answered")
        answer += data
    return bytes(answer[: answer.index(0)])


def _result(name: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    parameters = answer.get("parameters")
    if not isinstance(parameters, dict):
        parameters = {}
    match answer.get("error"):
        case None:
            return parameters
        case language.PERMISSION_DENIED:
            raise DeniedError(f"{name} takes orders only from root and the user that it runs as")
        case language.RELOAD_FAILED | language.UPGRADE_FAILED | language.SCALE_FAILED:
            raise RefusedError(str(parameters.get("reason", "")))
        case error:
            raise WireError(f"{name} answers {error} {parameters}: is it another version of sdserve?")
