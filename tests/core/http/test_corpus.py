"""Each file of the corpus, through both parsers, in every way its bytes can arrive."""

from __future__ import annotations

import pytest

from sdserve.core.http.connection import Connection
from sdserve.core.http.request import Request
from sdserve.errors import RemoteProtocolError
from tests.core.http.cases import Case, load
from tests.core.http.feeding import NEXT, PARSERS, Reading, cuts, each_byte, read

VALID = load("valid")
INVALID = load("invalid")
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"


def of_both_parsers(cases):
    return pytest.mark.parametrize(
        ("case", "parser"),
        [pytest.param(case, parser, id=f"{case.name}-{parser}") for case in cases for parser in PARSERS],
    )


def check_requests(case: Case, reading: Reading, *, ended=True):
    """What has come out is what the case says. Without `ended` bodies may be shorter."""
    assert [message.line for message in reading.messages] == [expected.line for expected in case.requests]
    for message, expected in zip(reading.messages, case.requests, strict=True):
        for name, value in expected.properties.items():
            assert getattr(message.request, name) == value, name
        if expected.fields:
            assert tuple(message.request.fields) == expected.fields
        if ended:
            assert message.body == expected.body
            assert message.end_at is not None
        else:
            assert expected.body.startswith(message.body)


@of_both_parsers(VALID)
def test_valid_whole(case, parser):
    reading = read(case.options_for(parser), [case.data])
    assert reading.error is None
    check_requests(case, reading)
    assert bytes(reading.parser.input.data) == b""


@of_both_parsers(VALID)
def test_valid_byte_by_byte(case, parser):
    reading = read(case.options_for(parser), each_byte(case.data))
    assert reading.error is None
    check_requests(case, reading)
    # Nothing came out early: the head with the last byte of its empty line, the end with the last of all.
    empty_lines = len(case.data) - len(case.data.lstrip(b"\r\n"))
    assert reading.messages[0].head_at == case.data.index(b"\r\n\r\n", empty_lines) + 4
    assert reading.messages[-1].end_at == len(case.data)


@of_both_parsers(VALID)
def test_valid_cut_anywhere(case, parser):
    options = case.options_for(parser)
    whole = read(options, [case.data]).facts
    for halves in cuts(case.data):
        reading = read(options, halves)
        assert reading.error is None, halves
        assert reading.facts == whole, halves


@of_both_parsers(VALID)
def test_valid_with_the_next_request_behind_it(case, parser):
    alone = read(case.options_for(parser), [case.data])
    reading = read(case.options_for(parser), [case.data + NEXT])
    *before, behind = reading.messages
    assert reading.error is None
    assert [message.facts() for message in before] == alone.facts
    assert behind.line == "GET /next HTTP/1.1"
    assert behind.request.fields == [(b"host", b"next")]


@of_both_parsers([case for case in VALID if len(case.requests) == 1])
def test_valid_leaves_what_is_behind_it_untouched(case, parser):
    reading = Reading(case.options_for(parser))
    reading.parser.input.receive_data(case.data + NEXT)
    request = reading.parser.next_request()
    while request.length and reading.parser.next_body():
        pass
    assert bytes(reading.parser.input.data) == NEXT


@of_both_parsers(INVALID)
def test_invalid_whole(case, parser):
    reading = read(case.options_for(parser), [case.data + SMUGGLED])
    assert reading.error is not None
    assert (reading.error.status, case.reason in str(reading.error)) == (case.status, True), reading.error
    check_requests(case, reading, ended=False)


@of_both_parsers(INVALID)
def test_invalid_byte_by_byte(case, parser):
    reading = read(case.options_for(parser), each_byte(case.data + SMUGGLED))
    assert reading.error is not None
    assert reading.error.status == case.status, reading.error
    # The fault is seen at the latest with the last byte of the case: no answer waits for more.
    assert reading.fed <= len(case.data)
    check_requests(case, reading, ended=False)


@of_both_parsers(INVALID)
def test_invalid_cut_anywhere(case, parser):
    for halves in cuts(case.data):
        reading = read(case.options_for(parser), [*halves, SMUGGLED])
        assert reading.error is not None, halves
        assert reading.error.status == case.status, halves
        check_requests(case, reading, ended=False)


def ask_connection(connection, now):
    """Whatever a connection has to say: the requests and the pieces of bodies."""
    events = []
    while (event := connection.next_event(now)) is not None:
        events.append(event)
    return events


@of_both_parsers(INVALID)
def test_after_a_fault_nothing_of_the_connection_is_parsed(case, parser):
    connection = Connection(case.options_for(parser), 0.0)
    connection.receive_data(case.data + SMUGGLED, 0.0)
    requests = []

    def faulty():
        for _ in range(1000):
            event = connection.next_event(0.0)
            if isinstance(event, Request):
                requests.append(event)

    with pytest.raises(RemoteProtocolError):
        faulty()
    assert [request.target for request in requests] == [
        expected.line.split(" ")[1].encode() for expected in case.requests
    ]
    assert connection.must_close
    connection.receive_data(SMUGGLED, 0.0)
    assert ask_connection(connection, 0.0) == []
