"""The control socket in the supervisor's loop: what its clients want, and what they are told.

Laws:

- Nobody waits for a client. Each has one call at a time, is read from only when that has been answered and
  the answer is gone, and gets its turn once per turn of the loop.
- What clients take is bounded: `MOST_CLIENTS`, one call and one answer each. One more pushes out
  whoever has been silent longest, but nobody who waits for an answer.
- Root and the user that sdserve runs as may do everything, others nothing.
"""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sdserve import __version__
from sdserve.core.fleet import events
from sdserve.core.wire import control as language
from sdserve.core.wire import varlink
from sdserve.core.wire.control import Answer, Check, Reload, ReloadCertificates, Request, Scale, Upgrade
from sdserve.core.wire.varlink import Call, ServerLink
from sdserve.errors import WireError
from sdserve.host.control_socket import ControlSocket, peer_user
from sdserve.host.fds import Fd

_log = logging.getLogger("sdserve")

MOST_CLIENTS = 64
NOBODY = 0
"""The token of those who want no answer."""

_MOST_AT_ONCE = 64 * 1024
"""Bytes that are read at once."""

Events = Iterator[events.Event]
Ready = Mapping[int, int]
"""What epoll(7) says: the events of each descriptor that has some."""


@dataclass(slots=True, eq=False)
class _Client:
    """One connection."""

    socket: socket.socket
    is_allowed: bool
    link: ServerLink = field(default_factory=ServerLink)
    unsent: bytes = b""
    """The rest of an answer."""
    has_ended: bool = False
    """It will send nothing more, but may want to know."""
    interest: int = select.EPOLLIN

    def fileno(self) -> int:
        return self.socket.fileno()


class Control:
    """The listener, and everybody who is connected to it."""

    def __init__(
        self,
        listener: ControlSocket,
        poller: select.epoll,
        *,
        status: Callable[[], Mapping[str, Any]],
        check: Callable[[int], None],
        renew: Callable[[int], None],
    ) -> None:
        """Own `listener`; borrow `poller`, in which all descriptors are kept.

        `status` is what Status answers; `check` is given the token of who wants hints (`tell_hints`);
        `renew` is given the token of who wants new certificates to be used (`reply`).
        """
        self._listener = listener
        self._poller = poller
        self._status = status
        self._check = check
        self._renew = renew
        self._clients: dict[int, _Client] = {}
        """By descriptor; whoever was heard last is last."""
        self._waiting: dict[int, tuple[_Client, Request]] = {}
        """By token: who waits, and for what."""
        self._tokens = count(NOBODY + 1)
        self._is_deaf = False
        poller.register(listener, select.EPOLLIN)

    def take(self, ready: Ready) -> Events:
        """What the clients that are `ready` ask for."""
        if self._is_deaf:
            # What there was too little of when nobody could be accepted may be there again.
            self._hear_newcomers(select.EPOLLIN)
        for descriptor in [number for number in ready if number in self._clients]:
            if client := self._clients.get(descriptor):
                yield from self._turn(client, ready[descriptor])
        if self._listener.fileno() in ready:
            self._accept()

    def reply(self, token: int, *, ok: bool, text: str) -> None:
        """Tell who waits with `token`, unless it has gone."""
        if entry := self._waiting.pop(token, None):
            client, request = entry
            self._answer(client, _outcome(request, ok=ok, text=text))
            self._listen(client)

    def tell_hints(self, token: int, hints: list[str]) -> None:
        """Tell who waits with `token` for hints, unless it has gone."""
        if entry := self._waiting.pop(token, None):
            client, _ = entry
            self._answer(client, Answer(parameters={"hints": hints}))
            self._listen(client)

    # Another program

    def describe(self) -> dict[str, Any]:
        """What the program needs that goes on with this, as JSON values: everybody who is connected."""
        calls = {id(client): (token, request) for token, (client, request) in self._waiting.items()}
        return {
            "path": str(self._listener.path),
            "descriptor": self._listener.fileno(),
            "lock": self._listener.lock(),
            "made": [str(path) for path in self._listener.made],
            "clients": [_written(client, calls.get(id(client))) for client in self._clients.values()],
        }

    def descriptors(self) -> list[int]:
        """The descriptors in it."""
        return [self._listener.fileno(), self._listener.lock(), *self._clients]

    def resume(self, clients: Iterable[Mapping[str, Any]], version: str) -> None:
        """Take over the clients that `describe` has named. KeyError, TypeError or OSError for nonsense."""
        for said in clients:
            connected = socket.socket(fileno=Fd(said["descriptor"]).steal())
            connected.setblocking(False)
            client = _Client(
                connected,
                is_allowed=said["is_allowed"],
                unsent=said["unsent"].encode("latin-1"),
                has_ended=said["has_ended"],
                interest=0,
            )
            client.link.receive_data(said["received"].encode("latin-1"))
            self._clients[client.fileno()] = client
            self._poller.register(client, client.interest)
            if said["call"]:
                self._await(client, said["token"], said["call"], version)
            self._listen(client)

    def _await(self, client: _Client, token: int, written: Mapping[str, Any], version: str) -> None:
        call = Call(method=written["method"], parameters=written["parameters"])
        request = language.understand(call, version)
        if isinstance(request, Answer):  # of a newer version, to which it was something
            self._drop(client)
            return
        client.link.resume(call)
        self._waiting[token] = (client, request)
        self._tokens = count(max(token + 1, next(self._tokens)))

    def close(self) -> None:
        """Hang up on everybody."""
        for client in list(self._clients.values()):
            self._drop(client)
        if self._listener.fileno() >= 0:
            self._poller.unregister(self._listener)
        self._listener.close()

    # Connections

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            _log.warning("a connection to the control socket cannot be accepted: %s", error.strerror)
            self._hear_newcomers(0)  # or we would try again and again; until something else happens
            return
        if len(self._clients) >= MOST_CLIENTS and not self._push_out():
            connected.close()
            return
        connected.setblocking(False)
        client = _Client(connected, is_allowed=peer_user(connected) in (0, os.geteuid()))
        self._clients[client.fileno()] = client
        self._poller.register(client, client.interest)

    def _hear_newcomers(self, interest: int) -> None:
        self._is_deaf = not interest
        self._poller.modify(self._listener, interest)

    def _push_out(self) -> bool:
        waiting = {id(client) for client, _ in self._waiting.values()}
        silent = next((client for client in self._clients.values() if id(client) not in waiting), None)
        if silent is not None:
            self._drop(silent)
        return silent is not None

    def _drop(self, client: _Client) -> None:
        """Hang up. What it asked for goes on; nobody is told."""
        if self._clients.pop(client.fileno(), None) is None:
            return
        self._poller.unregister(client)
        client.socket.close()
        self._waiting = {token: entry for token, entry in self._waiting.items() if entry[0] is not client}

    def _turn(self, client: _Client, happened: int) -> Events:
        self._clients[client.fileno()] = self._clients.pop(client.fileno())
        if happened & (select.EPOLLHUP | select.EPOLLERR) and not happened & select.EPOLLIN:
            self._drop(client)
            return
        try:
            self._send(client)
            if happened & select.EPOLLIN and client.link.wants_data and not client.has_ended:
                self._receive(client)
            if not client.unsent and (call := client.link.next_call()):
                yield from self._obey(client, call)
        except BlockingIOError:
            pass
        except (OSError, WireError) as error:
            _log.debug("a client of the control socket is hung up on: %s", error)
            self._drop(client)
            return
        self._listen(client)

    def _receive(self, client: _Client) -> None:
        data = client.socket.recv(_MOST_AT_ONCE)
        if data:
            client.link.receive_data(data)
        else:
            client.has_ended = True

    def _listen(self, client: _Client) -> None:
        """Wake up for what this client needs next, or let it go if that is nothing."""
        if client.fileno() < 0:
            return
        if client.unsent or not (client.link.is_waiting or client.link.wants_data):
            interest = (
                select.EPOLLOUT
            )  # the next call is at hand, and gets its turn when others have had theirs
        elif client.link.is_waiting:
            interest = 0  # a hang-up is told all the same
        elif client.has_ended:
            self._drop(client)
            return
        else:
            interest = select.EPOLLIN
        if interest != client.interest:
            client.interest = interest
            self._poller.modify(client, interest)

    # Calls

    def _obey(self, client: _Client, call: Call) -> Events:
        request = language.understand(call, __version__) if client.is_allowed else language.denied()
        if isinstance(request, Answer):
            self._answer(client, request)
        elif isinstance(request, Check | ReloadCertificates):
            token = next(self._tokens)
            self._waiting[token] = (client, request)
            (self._check if isinstance(request, Check) else self._renew)(token)
        elif isinstance(request, Reload | Upgrade | Scale):
            token = NOBODY if call.oneway else next(self._tokens)
            if call.oneway:
                client.link.reply({})
            else:
                self._waiting[token] = (client, request)
            yield _asked(request, token)
        else:
            self._answer(client, Answer(parameters={"status": self._status()}))

    def _answer(self, client: _Client, answer: Answer) -> None:
        link = client.link
        client.unsent += (
            link.fail(answer.error, answer.parameters) if answer.error else link.reply(answer.parameters)
        )
        try:
            self._send(client)
        except OSError as error:
            _log.debug("a client of the control socket is gone: %s", error)
            self._drop(client)

    def _send(self, client: _Client) -> None:
        try:
            while client.unsent:
                sent = client.socket.send(client.unsent, socket.MSG_NOSIGNAL)
                client.unsent = client.unsent[sent:]
        except BlockingIOError:
            pass  # the rest goes when there is room


def _written(client: _Client, waits: tuple[int, Request] | None) -> dict[str, Any]:
    """What `Control.resume` makes the client from. Bytes are text, one character each."""
    token, request = waits or (NOBODY, None)
    received = client.link.pending
    if isinstance(
        request, Check | ReloadCertificates
    ):  # whoever was to find that out is not heard any more: it is asked again
        received, request = varlink.encode(language.written(request)) + received, None
    return {
        "descriptor": client.fileno(),
        "is_allowed": client.is_allowed,
        "has_ended": client.has_ended,
        "received": received.decode("latin-1"),
        "unsent": client.unsent.decode("latin-1"),
        "token": token,
        "call": language.written(request) if request else None,
    }


def _asked(request: Reload | Upgrade | Scale, token: int) -> events.Event:
    if isinstance(request, Scale):
        return events.ScaleAsked(token, request.count)
    return events.ReloadAsked(token, upgrade=isinstance(request, Upgrade))


def _outcome(request: Request, *, ok: bool, text: str) -> Answer:
    if not ok:
        return Answer(error=_ERRORS[type(request)], parameters={"reason": text})
    return Answer(parameters={} if isinstance(request, Scale) else {"message": text})


_ERRORS: dict[type[Request], str] = {
    Reload: language.RELOAD_FAILED,
    ReloadCertificates: language.RELOAD_FAILED,
    Upgrade: language.UPGRADE_FAILED,
    Scale: language.SCALE_FAILED,
}
