"""What is spoken between any two versions, byte for byte: a test that fails here is right, the change is not.

Workers outlive the program that started them: after an upgrade in place they are told to drain, hand over
their connections, and are watched by a supervisor of another version, newer or older.
"""

from __future__ import annotations

import pytest

from sdserve.core import wire
from sdserve.core.wire.moved import Moved, decode_moved, encode_moved
from sdserve.host import scoreboard

PACKETS = {
    # supervisor -> worker
    b'{"kind":"Drain","generation":3,"serial":7,"heir":4}': wire.Drain(generation=3, serial=7, heir=4),
    b'{"kind":"Serve","generation":3,"serial":7}': wire.Serve(generation=3, serial=7),
    b'{"kind":"Certificates","generation":3,"serial":7}': wire.Certificates(generation=3, serial=7),
    # worker -> supervisor
    b'{"kind":"Ready","generation":3,"serial":7,"interface":"asgi","changed":["/srv/a.py"]}': (
        wire.Ready(generation=3, serial=7, interface="asgi", changed=("/srv/a.py",))
    ),
    b'{"kind":"BootFailed","generation":3,"serial":7,"reason":"no module"}': wire.BootFailed(
        generation=3, serial=7, reason="no module"
    ),
    b'{"kind":"RecycleAsked","generation":3,"serial":7,"reason":"max_requests"}': wire.RecycleAsked(
        generation=3, serial=7, reason="max_requests"
    ),
    # supervisor -> preparer, and back
    b'{"kind":"Prepare","generation":3,"version":"1.0"}': wire.Prepare(generation=3, version="1.0"),
    b'{"kind":"Prepared","generation":3,"identity":"a","description":"b","configuration":{},'
    b'"release":{"directory":"/srv"}}': wire.Prepared(
        generation=3, identity="a", description="b", release={"directory": "/srv"}
    ),
    b'{"kind":"PrepareRefused","generation":3,"reason":"no file"}': wire.PrepareRefused(
        generation=3, reason="no file"
    ),
}

WORDS = {
    "STATE": 0,
    "GENERATION": 1,
    "SERIAL": 2,
    "SLOT": 3,
    "PID": 4,
    "HEARTBEAT_NS": 5,
    "CONNECTIONS": 6,
    "IN_FLIGHT": 7,
    "ACCEPTED": 8,
    "REQUESTS": 9,
    "ERRORS": 10,
    "ADOPTED": 11,
    "HANDED_OVER": 12,
}
STATES = {"FREE": 0, "BOOTING": 1, "READY": 2, "DRAINING": 3}


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: packet.split(b'"')[3].decode())
def test_a_packet_says_what_it_always_did(packet):
    assert wire.encode(PACKETS[packet]) == packet
    assert wire.decode(packet) == PACKETS[packet]


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: packet.split(b'"')[3].decode())
def test_what_another_version_adds_is_no_obstacle(packet):
    assert wire.decode(packet[:-1] + b',"colour":"blue"}') == PACKETS[packet]


def test_whoever_keeps_connections_has_the_number_it_always_had():
    assert wire.KEEPER == -1


def test_a_connection_that_moves_is_described_as_it_always_was():
    moved = Moved(requests=3, deadline=5123.25, pending=b"GET / HTTP/1.1\r\n")
    packet = b'{"requests":3,"deadline":5123.250}\nGET / HTTP/1.1\r\n'
    assert encode_moved(moved) == packet
    assert decode_moved(packet) == moved
    assert decode_moved(packet.replace(b"}", b',"colour":"blue"}')) == moved
    before_tls = Moved(listener="https", tls=True)
    packet = b'{"requests":0,"deadline":0.000,"listener":"https","tls":true}\n'
    assert encode_moved(before_tls) == packet
    assert decode_moved(packet) == before_tls


def test_the_words_of_the_scoreboard_stand_where_they_always_did():
    assert (scoreboard.WORDS, scoreboard.WORD) == (32, 8)
    assert {name: getattr(scoreboard, name) for name in (*WORDS, *STATES)} == {**WORDS, **STATES}
    row = scoreboard.Scoreboard.create(2).row(1)
    row.words[WORDS["HANDED_OVER"]] = 258
    assert bytes(row.words)[12 * 8 : 12 * 8 + 3] == b"\x02\x01\0", "of 64 bits, the machine's own"
