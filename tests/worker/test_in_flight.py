from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

from sdserve.core.http.request import Request
from sdserve.core.proxy.origin import Origin
from sdserve.worker.in_flight import InFlight


@dataclass(eq=False)
class Answering:
    """A connection, as far as it is looked at."""

    path: str
    client: tuple[str, int] | None = ("192.0.2.7", 4711)
    connection: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(requests=1, request=None))

    @property
    def peer(self):
        return SimpleNamespace(client=self.client)

    @property
    def exchange(self):
        return SimpleNamespace(where=f"GET {self.path}") if self.path else None


def test_nothing_is_in_flight():
    assert InFlight([Answering("")], 10.0).describe(11.0) == "no request is in flight"


def test_the_oldest_is_named():
    there = [Answering("/first")]
    in_flight = InFlight(there, 10.0)
    in_flight.tick(11.0)
    there.append(Answering("/second", client=None))
    in_flight.tick(12.0)
    assert in_flight.describe(72.0) == (
        "2 requests are in flight, the oldest for 62 s: GET /first from 192.0.2.7"
    )
    in_flight.forget(there.pop(0))
    assert in_flight.describe(72.0) == (
        "1 request is in flight, the oldest for 61 s: GET /second from a unix socket"
    )


def test_the_client_is_the_one_that_a_proxy_names():
    def describe(client):
        answering = Answering("/", client=None)
        answering.connection.request = Request("GET", b"/", 1, [])
        answering.connection.request.origin = Origin(client, "http", "", "")
        return InFlight([answering], 10.0).describe(11.0)

    assert describe(("192.0.2.1", 0)).endswith("GET / from 192.0.2.1")
    assert describe(None).endswith("GET / from an unknown client")


def test_what_began_after_the_last_look_is_as_old_as_that():
    there = []
    in_flight = InFlight(there, 10.0)
    in_flight.tick(20.0)
    there.append(Answering("/new"))
    assert "for 60 s" in in_flight.describe(80.0)


def test_the_next_request_on_a_connection_is_another_one():
    there = [Answering("/one")]
    in_flight = InFlight(there, 10.0)
    in_flight.tick(20.0)
    there[0].connection.requests += 1
    assert "for 40 s" in in_flight.describe(60.0)
    in_flight.tick(60.0)
    assert "for 50 s" in in_flight.describe(70.0)
