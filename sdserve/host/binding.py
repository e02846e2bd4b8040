"""Listening sockets of our own, for when no service manager passes any."""

from __future__ import annotations

import errno
import math
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from sdserve.errors import BindError
from sdserve.host import accounts, holders, limits
from sdserve.host.addresses import Address, TcpAddress, UnixAddress
from sdserve.host.listeners import ListenSocket


def bind(
    name: str,
    address: Address,
    *,
    backlog: int,
    mode: int,
    owner: str = "",
    group: str = "",
    defer_accept: float = 0.0,
) -> ListenSocket:
    """Listen at `address`, which names its host by number, for the section `name`.

    `mode`, `owner` and `group` are those of a unix socket's file, the last two by name or number, or empty;
    the seconds of `defer_accept` are for TCP. BindError says what is wrong and, if it can be told, who has
    the address already.
    """
    if isinstance(address, UnixAddress):
        return _bind_unix(name, address, backlog, mode, _ids(address, owner, group))
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with _new_socket(family, address) as listener:
        listener.setblocking(False)
        # Connections of an earlier run in TIME_WAIT do not keep the address.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] is IPv6 alone, whatever net.ipv6.bindv6only says, so that 0.0.0.0 can stand beside it.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            if defer_accept:
                _defer_accept(listener, defer_accept)
            listener.bind((address.host, address.port))
            listener.listen(backlog)
        except OSError as error:
            raise BindError(f"cannot bind {address}: {_explain(error, address)}") from None
    return ListenSocket(name, listener)


def adapt(
    listener: ListenSocket,
    address: Address,
    *,
    backlog: int,
    mode: int,
    owner: str = "",
    group: str = "",
    defer_accept: float = 0.0,
) -> None:
    """Have a socket that listens at `address` already do so as `bind` would. BindError if that fails."""
    try:
        if isinstance(address, UnixAddress):
            _protect(address.path, mode, _ids(address, owner, group))
        else:
            _defer_accept(listener.socket, defer_accept)
        listener.socket.listen(backlog)
    except OSError as error:
        raise BindError(f"cannot listen at {address} again: {limits.reason(error)}") from None


def _ids(address: UnixAddress, owner: str, group: str) -> tuple[int, int]:
    try:
        return accounts.user_id(owner), accounts.group_id(group)
    except LookupError as error:
        raise BindError(f"cannot bind {address}: {error}") from None


def _protect(path: str, mode: int, ids: tuple[int, int]) -> None:
    if ids != (accounts.UNCHANGED, accounts.UNCHANGED):  # a hardened unit may not even ask
        os.chown(path, *ids)
    os.chmod(path, mode)


def _defer_accept(listener: socket.socket, seconds: float) -> None:
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, math.ceil(seconds))


def _explain(error: OSError, address: TcpAddress) -> str:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EADDRINUSE:
        holder = holders.of_port(address.port)
        return f"{reason}, by {holder}" if holder else reason
    if error.errno == errno.EACCES:
        return f"{reason}; a port below 1024 needs CAP_NET_BIND_SERVICE, or a socket unit that binds it"
    return reason


def _bind_unix(
    name: str, address: UnixAddress, backlog: int, mode: int, ids: tuple[int, int]
) -> ListenSocket:
    path = address.path
    with _new_socket(socket.AF_UNIX, address) as listener:
        listener.setblocking(False)
        try:
            _remove_stale(address)
            listener.bind(path)
            # Nobody can connect before listen(), so nobody slips through the mode of the umask.
            _protect(path, mode, ids)
            listener.listen(backlog)
            status = os.stat(path, follow_symlinks=False)
        except OSError as error:
            raise BindError(f"cannot bind {address}: {limits.reason(error)}") from None
    return ListenSocket(name, listener, created=(status.st_dev, status.st_ino))


def _remove_stale(address: UnixAddress) -> None:
    """Remove the file of a socket that nobody listens at any more: its owner was killed."""
    try:
        status = os.stat(address.path, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise BindError(f"cannot bind {address}: the path exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.setblocking(
            False
        )  # a full backlog is somebody who listens (EAGAIN), not somebody to wait for
        try:
            visitor.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
            return
        except BlockingIOError:
            raise BindError(f"cannot bind {address}: somebody listens there") from None
        raise BindError(f"cannot bind {address}: address in use, by {holders.of_peer(visitor)}")


@contextmanager
def _new_socket(family: socket.AddressFamily, address: Address) -> Iterator[socket.socket]:
    """A socket that is closed if the block fails, and else the caller's."""
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:  # a kernel without IPv6, too
        raise BindError(f"cannot bind {address}: {limits.reason(error)}") from None
    try:
        yield made
    except BaseException:
        made.close()
        raise
