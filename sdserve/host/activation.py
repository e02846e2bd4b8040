"""Listening sockets that a service manager passed to us: sd_listen_fds(3).

Descriptors are told apart by name alone: with several socket units their order is random, and two
may share a name, as the IPv4 and the IPv6 side of one service do. What nobody configured is closed:
it may be left from a file descriptor store, or from a newer version's configuration.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections.abc import Collection

from systemd.daemon import listen_fds_with_names

from sdserve.errors import ActivationError
from sdserve.host.addresses import Address, UnixAddress
from sdserve.host.fds import Fd
from sdserve.host.listeners import ListenSocket
from sdserve.host.notify import KEPT

_log = logging.getLogger("sdserve")

VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
"""What a service manager tells about them; never meant for our children."""


def is_activated() -> bool:
    """Whether descriptors were passed to this very process."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS", "0") != "0"


Named = list[tuple[str, Fd]]
"""Descriptors, owned, with their names."""


def take() -> tuple[Named, Named]:
    """The descriptors that were passed to us: those of socket units, and those that were `KEPT` for us.

    ActivationError if the variables that tell of them are wrong. May be called once in a process; clears
    `VARIABLES` from the environment.
    """
    passed = _passed() if is_activated() else []
    for variable in VARIABLES:  # libsystemd has cleared the C library's copy only, and not all of them
        os.environ.pop(variable, None)
    kept = [one for one in passed if one[0].startswith(KEPT)]
    return [one for one in passed if not one[0].startswith(KEPT)], kept


def adopt(passed: Named, names: Collection[str]) -> list[ListenSocket]:
    """Take over what socket units passed: one or more for each of `names`, the others are closed.

    Without any name, as where nothing was configured, all of them are wanted, under their own names.

    ActivationError if one of `names` got none, or something that is no listening stream socket.
    """
    adopted: list[ListenSocket] = []
    try:
        for name, descriptor in passed:
            if not names or name in names:
                adopted.append(ListenSocket(name, _as_listener(name, descriptor), is_passed=True))
            else:
                _log.warning("descriptor %r was passed but is not configured, closing it", name)
        missing = sorted(set(names) - {listener.name for listener in adopted})
        if missing:
            raise ActivationError(_missing(missing, [name for name, _ in passed]))
    except ActivationError:
        for listener in adopted:
            listener.close()
        raise
    finally:
        for _, descriptor in passed:
            descriptor.close()
    return adopted


def _passed() -> list[tuple[str, Fd]]:
    try:
        return [(name, Fd(number)) for number, name in sorted(listen_fds_with_names().items())]
    except (OSError, ValueError) as error:
        given = ", ".join(
            f"{name}={os.environ[name]!r}" for name in ("LISTEN_FDS", "LISTEN_FDNAMES") if name in os.environ
        )
        reason = error.strerror if isinstance(error, OSError) else error
        raise ActivationError(
            f"the descriptors that {given} tells of cannot be taken over: {reason}. LISTEN_FDS is how many "
            "were passed, from 3 on, and LISTEN_FDNAMES has one name for each, separated by colons"
        ) from None


def is_at(borrowed: Fd, address: Address, created: tuple[int, int] | None) -> bool:
    """Whether the socket listens where `address` says, and can be reached there.

    A unix socket can if the file there is still the one that was `created` for it (device and inode).
    """
    try:
        copy = socket.socket(fileno=os.dup(borrowed.fileno()))
    except OSError:
        return False
    with copy:
        place = copy.getsockname()
    if isinstance(address, UnixAddress):
        return place == address.path and _file_at(address.path) == created is not None
    if not isinstance(place, tuple) or address.port not in (0, place[1]):
        return False
    try:
        return ipaddress.ip_address(address.host) == ipaddress.ip_address(place[0])
    except ValueError:
        return False


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def readopt(name: str, kept: str, taken: Fd, created: tuple[int, int] | None) -> ListenSocket:
    """Take over a listener of section `name` that we have bound before, and which was kept as `kept` since.

    ActivationError if it is no such socket.
    """
    return ListenSocket(name, _as_listener(kept, taken), created, kept=kept)


def _as_listener(name: str, descriptor: Fd) -> socket.socket:
    try:
        listener = socket.socket(fileno=descriptor.fileno())
    except OSError as error:
        raise ActivationError(f"descriptor {name!r} is not a socket: {error.strerror}") from None
    descriptor.steal()  # it is the socket object's now
    if (
        listener.type != socket.SOCK_STREAM
        or listener.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
        or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        listener.close()
        raise ActivationError(
            f"descriptor {name!r} is not a listening stream socket: "
            "the socket unit needs ListenStream= and Accept=no"
        )
    listener.setblocking(False)
    return listener


def _missing(missing: list[str], passed: list[str]) -> str:
    sections = ", ".join(f"[listen:{name}]" for name in missing)
    names = ", ".join(repr(name) for name in passed) or "none"
    return (
        f"no descriptor was passed for {sections}; passed were: {names}. Set FileDescriptorName={missing[0]} "
        "in the socket unit, or restart that unit if its ListenStream= has changed"
    )
