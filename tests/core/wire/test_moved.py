from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.proxy.header import ProxyHeader
from sdserve.core.wire.codec import MAX_PACKET
from sdserve.core.wire.moved import MAX_MOVED, MAX_PENDING, Moved, decode_moved, encode_moved
from sdserve.errors import WireError

ENDPOINTS = st.none() | st.tuples(st.text(max_size=39), st.integers(0, 65535))
HEADERS = st.builds(
    ProxyHeader,
    relayed=st.booleans(),
    source=ENDPOINTS,
    destination=ENDPOINTS,
    tls=st.booleans(),
)


@given(
    st.builds(
        Moved,
        listener=st.text(max_size=50),
        requests=st.integers(0, 2**63),
        tls=st.booleans(),
        deadline=st.integers(0, 2**43).map(lambda number: number / 8),
        pending=st.binary(max_size=300),
        header=st.none() | HEADERS,
    )
)
def test_what_is_said_is_understood(moved):
    assert decode_moved(encode_moved(moved)) == moved


def test_the_largest_fits():
    packet = encode_moved(
        Moved(
            listener="x" * 255,
            requests=2**63,
            deadline=1e12,
            pending=b"x" * MAX_PENDING,
            header=ProxyHeader(
                relayed=True, source=("ffff:" * 8, 65535), destination=("ffff:" * 8, 65535), tls=False
            ),
        )
    )
    assert len(packet) <= MAX_MOVED < MAX_PACKET


def test_what_a_newer_version_adds_is_dropped_and_what_it_leaves_out_has_a_default():
    assert decode_moved(b'{"news":"web"}\nGET') == Moved(pending=b"GET")
    assert decode_moved(b"{}") == Moved()
    assert decode_moved(b'{"header":null}') == Moved()
    assert decode_moved(b'{"header":{"news":1}}') == Moved(header=ProxyHeader())


@pytest.mark.parametrize(
    "packet",
    [b"", b"\n", b"[]\n", b"3\n", b"\xff\n", b"[" * 90_000 + b"\n", b"null"],
    ids=lambda packet: packet[:3],
)
def test_facts_that_cannot_be_read(packet):
    with pytest.raises(WireError, match="cannot be read"):
        decode_moved(packet)


@pytest.mark.parametrize(
    "facts",
    [
        b'"listener":1',
        b'"tls":1',
        b'"requests":1.5',
        b'"requests":true',
        b'"deadline":"x"',
        b'"deadline":NaN',
        b'"deadline":1e999',
    ],
)
def test_facts_of_the_wrong_type(facts):
    with pytest.raises(WireError, match="wrong type"):
        decode_moved(b"{%b}\n" % facts)


@pytest.mark.parametrize(
    "header",
    [
        b"1",
        b"[]",
        b'{"relayed":1}',
        b'{"tls":null}',
        b'{"source":"ab"}',
        b'{"source":["a"]}',
        b'{"source":["a",1,2]}',
        b'{"source":[1,"a"]}',
        b'{"destination":["a",true]}',
        b'{"destination":5}',
    ],
)
def test_a_proxy_header_that_cannot_be_read(header):
    """It says who the client is: nothing is guessed."""
    with pytest.raises(WireError, match="PROXY header"):
        decode_moved(b'{"header":%b}\n' % header)
