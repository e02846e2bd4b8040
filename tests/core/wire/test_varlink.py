from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.wire import varlink
from sdserve.core.wire.varlink import MAX_MESSAGE, Call, ServerLink
from sdserve.errors import WireError

PING = b'{"method": "org.example.Ping", "parameters": {"text": "\xc3\xa4"}}\0'


def link_with(data):
    link = ServerLink()
    link.receive_data(data)
    return link


def test_a_call_arrives_whole_or_byte_by_byte():
    link = ServerLink()
    for byte in PING[:-1]:
        link.receive_data(bytes([byte]))
        assert link.next_call() is None
        assert link.wants_data
    link.receive_data(PING[-1:])
    assert not link.wants_data
    assert link.next_call() == Call(method="org.example.Ping", parameters={"text": "ä"})
    assert link.wants_data


def test_an_answer_is_a_message_of_its_own():
    link = link_with(PING)
    link.next_call()
    assert link.reply({"text": "ä"}) == '{"parameters":{"text":"ä"}}\0'.encode()


def test_an_error_is_named():
    link = link_with(PING)
    link.next_call()
    answer = link.fail("org.example.Failed", {"why": 1})
    assert json.loads(answer[:-1]) == {"error": "org.example.Failed", "parameters": {"why": 1}}


def test_the_next_call_comes_when_the_one_before_is_answered():
    link = link_with(PING + b'{"method": "org.example.Pong"}\0')
    first = link.next_call()
    assert first is not None
    assert link.is_waiting
    assert link.next_call() is None
    link.reply({})
    assert not link.is_waiting
    assert link.next_call() == Call(method="org.example.Pong")


def test_a_call_that_another_program_has_taken_is_answered_here():
    link = link_with(PING)
    assert link.pending == PING
    link.resume(Call(method="org.example.Ping"))
    assert link.is_waiting
    assert link.next_call() is None
    assert link.reply({"done": True}) == b'{"parameters":{"done":true}}\0'
    assert link.next_call() is not None


def test_whoever_wants_no_answer_gets_none():
    link = link_with(b'{"method": "a.B", "oneway": true}\0' + PING)
    assert link.next_call() == Call(method="a.B", oneway=True)
    assert link.reply({"much": "to say"}) == b""
    assert link.next_call() is not None


@pytest.mark.parametrize("flag", ["more", "upgrade"])
def test_flags_are_the_callers(flag):
    link = link_with(b'{"method": "a.B", "%s": true, "parameters": null, "unknown": 1}\0' % flag.encode())
    assert link.next_call() == Call(method="a.B", **{flag: True})


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"", "0 bytes is not JSON"),
        (b"GET / HTTP/1.1", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 60_000, "is not JSON"),
        (b"9" * 5000, "is not JSON"),
        (b"[]", "holds list, not an object"),
        (b"{}", "names no method"),
        (b'{"method": 1}', "names no method"),
        (b'{"method": "a.B", "parameters": []}', "parameters of a call are list"),
        (b'{"method": "a.B", "more": 1}', "neither true nor false"),
        (b'{"method": "a.B", "oneway": true, "more": true}', "wants no answer, and wants one"),
    ],
)
def test_what_is_no_call_ends_it(message, complaint):
    with pytest.raises(WireError) as caught:
        link_with(message + b"\0").next_call()
    assert complaint in str(caught.value)


def test_a_message_has_a_longest():
    link = link_with(b"x" * MAX_MESSAGE)
    with pytest.raises(WireError, match="longer than 65,536 bytes"):
        link.receive_data(b"x")


def test_many_messages_at_once_may_be_longer_together():
    calls = MAX_MESSAGE // len(PING) + 2
    link = link_with(PING * calls)
    for _ in range(calls):
        assert link.next_call() is not None
        link.reply({})
    assert link.wants_data


@given(st.binary(max_size=200))
def test_nonsense_is_a_wire_error_and_nothing_else(data):
    link = ServerLink()
    try:
        link.receive_data(data)
        for _ in range(len(data) + 1):
            if link.next_call() is None:
                break
            link.reply({})
    except WireError:
        pass


@given(st.lists(st.sampled_from([PING, b'{"method": "a.B"}\0']), max_size=5), st.data())
def test_where_the_bytes_are_split_makes_no_difference(messages, data):
    stream = b"".join(messages)
    link, calls = ServerLink(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        link.receive_data(stream[:size])
        stream = stream[size:]
        while call := link.next_call():
            calls.append(call.method)
            link.reply({})
    assert calls == [json.loads(message[:-1])["method"] for message in messages]


def test_text_that_is_no_unicode_is_sent_all_the_same():
    assert varlink.encode({"path": "/srv/\udcff"}) == b'{"path":"/srv/?"}\0'
