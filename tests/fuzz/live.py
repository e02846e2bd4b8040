"""The same streams against a running server: what comes back is what the laws say."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress

from sdserve.core.http.options import HttpOptions
from tests.fuzz.laws import LIMITS, BrokenLawError, Exchanges, insist, outcome
from tests.serving import Server
from tests.worker.serving import Client

APPLICATION = "tests.fuzz.application"
SETTINGS = {f"http.{name}": str(value) for name, value in LIMITS.items()}


def check_live(server: Server, parser: str, pieces: Sequence[bytes]) -> None:
    """Send `pieces` on a connection of their own, and read to its end."""
    expected = Exchanges(HttpOptions(parser=parser, **LIMITS)).answers([b"".join(pieces)])
    client = Client(server.connect())
    try:
        with suppress(OSError):  # refused and closed meanwhile: the answer tells
            for piece in pieces:
                client.send(piece)
            client.socket.shutdown(socket.SHUT_WR)
        found = _statuses(client)
    except TimeoutError as error:
        raise BrokenLawError("the connection is not closed") from error
    except ConnectionResetError as error:
        if expected[-1:] == [200]:
            return  # it sent more behind a request that was the last: the close need not wait for that
        raise BrokenLawError("an answer is lost to a reset") from error
    finally:
        client.close()
    insist(outcome(found) == outcome(expected), f"answered {found}, not {expected}")


def _statuses(client: Client) -> list[int]:
    """Read whole answers to the end; those to HEAD say no length."""
    statuses = []
    while line := client.line():
        insist(line.startswith(b"HTTP/1.1 "), f"no status line: {line!r}")
        status = int(line[9:12])
        fields = {}
        while (line := client.line()) != b"\r\n":
            insist(line.endswith(b"\r\n"), f"an answer cut short: {line!r}")
            name, _, value = line.partition(b": ")
            fields[name.lower()] = value.strip()
        client.read(int(fields.get(b"x-length", fields[b"content-length"])))
        statuses.append(status)
    return statuses
