"""When a connection's deadlines are, and what follows when one has passed."""

from __future__ import annotations

from math import inf

import pytest

from sdserve.core.http.connection import Connection
from sdserve.core.http.options import HttpOptions
from tests.core.http.dialogue import CHUNKED, EXPECTING, REQUEST, Dialogue, post

TIMES = {"head_timeout": 10.0, "body_timeout": 20.0, "body_min_rate": 0, "keepalive_timeout": 40.0}


@pytest.fixture
def dialogue():
    return Dialogue(**TIMES)


def test_a_new_connection_has_as_long_as_a_head(dialogue):
    assert not dialogue.wait(9.75)
    assert dialogue.wait(0.25)
    assert dialogue.connection.timed_out() == 0
    assert dialogue.connection.must_close


def test_a_head_has_its_time_from_its_first_byte(dialogue):
    dialogue.wait(9.0)
    dialogue.receive(b"G")
    assert not dialogue.wait(9.75)
    assert dialogue.wait(0.25)
    assert dialogue.connection.timed_out() == 408
    assert dialogue.connection.must_close
    assert dialogue.receive(REQUEST[1:]) == []


def test_bytes_do_not_extend_the_time_of_a_head(dialogue):
    for byte in REQUEST[:9]:
        dialogue.receive(bytes([byte]))
        assert not dialogue.wait(1.0)
    dialogue.receive(REQUEST[9:10])
    assert dialogue.wait(1.0)


def test_nothing_but_empty_lines_is_no_request_and_keeps_no_connection_open(dialogue):
    for _ in range(9):
        assert dialogue.receive(b"\r\n") == []
        assert not dialogue.wait(1.0)
    dialogue.receive(b"\r\n")
    assert dialogue.wait(1.0)
    assert dialogue.connection.timed_out() == 0


def test_the_application_has_all_the_time_it_wants(dialogue):
    dialogue.receive(REQUEST)
    assert dialogue.connection.deadline == inf
    dialogue.start(body=b"x", more=True)
    assert dialogue.connection.deadline == inf
    dialogue.data(b"", more=False)
    assert dialogue.connection.deadline < inf


def test_between_two_requests_a_connection_is_kept_alive(dialogue):
    dialogue.receive(REQUEST)
    dialogue.answer()
    assert not dialogue.wait(39.75)
    assert dialogue.wait(0.25)
    assert dialogue.connection.timed_out() == 0


def test_a_second_head_has_the_time_of_a_head(dialogue):
    dialogue.receive(REQUEST)
    dialogue.answer()
    dialogue.wait(39.0)
    dialogue.receive(b"G")
    assert dialogue.wait(10.0)
    assert dialogue.connection.timed_out() == 408


def test_a_head_that_was_pipelined_has_its_time_from_the_end_of_the_response(dialogue):
    dialogue.receive(REQUEST + b"G")
    dialogue.wait(100.0)
    dialogue.answer()
    assert not dialogue.wait(9.75)
    assert dialogue.wait(0.25)
    assert dialogue.connection.timed_out() == 408


@pytest.mark.parametrize("head", [post(10), CHUNKED + b"a\r\n"])
def test_each_byte_of_a_body_gives_time_for_the_next(dialogue, head):
    dialogue.receive(head)
    for _ in range(9):
        assert not dialogue.wait(19.75)
        dialogue.receive(b"x")
    assert not dialogue.wait(19.75)
    assert dialogue.wait(0.25)
    assert dialogue.connection.timed_out() == 408


def test_a_body_that_does_not_come_after_the_response_has_begun(dialogue):
    dialogue.receive(post(10))
    dialogue.start(body=b"x", more=True)
    assert dialogue.wait(20.0)
    assert dialogue.connection.timed_out() == 0


@pytest.mark.parametrize("head", [post(1000), CHUNKED + b"3e8\r\n"])
def test_a_body_may_come_as_slowly_as_the_least_rate(head):
    dialogue = Dialogue(body_timeout=20.0, body_min_rate=2)
    dialogue.receive(head)
    for _ in range(100):
        assert not dialogue.wait(5.0)
        dialogue.receive(bytes(10))


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("head", [post(1000), CHUNKED + b"3e8\r\n"])
def test_a_body_that_drips_is_late_by_the_time_of_a_body_and_no_more(head, answered):
    dialogue = Dialogue(body_timeout=20.0, body_min_rate=2)
    dialogue.receive(head)
    if answered:
        dialogue.answer()
    for _ in range(9):
        dialogue.receive(bytes(1))
        assert not dialogue.wait(2.0)
    # 18 seconds have passed; the bytes after the first have earned half a second each.
    assert not dialogue.wait(5.75)
    assert dialogue.wait(0.25)


def test_a_burst_does_not_pay_for_a_drip():
    dialogue = Dialogue(body_timeout=20.0, body_min_rate=2)
    dialogue.receive(post(10**6))
    dialogue.receive(bytes(10**5))
    for _ in range(9):
        assert not dialogue.wait(2.0)
        dialogue.receive(bytes(1))
    assert not dialogue.wait(6.25)
    assert dialogue.wait(0.25)


def test_the_time_in_which_we_do_not_read_does_not_count_for_the_rate():
    dialogue = Dialogue(body_timeout=20.0, body_min_rate=2)
    dialogue.receive(post(1000) + b"x")
    dialogue.wait(1000.0)
    dialogue.connection.restart_deadline(dialogue.now)
    assert not dialogue.wait(19.75)
    assert dialogue.wait(0.25)


def test_the_time_until_100_does_not_count_for_the_rate():
    dialogue = Dialogue(body_timeout=20.0, body_min_rate=2)
    dialogue.receive(EXPECTING)
    dialogue.wait(1000.0)
    dialogue.receive(b"a")
    assert not dialogue.wait(19.75)
    assert dialogue.wait(0.25)


def test_an_unread_body_has_the_time_of_a_body(dialogue):
    dialogue.receive(post(10))
    dialogue.answer()
    assert not dialogue.wait(19.75)
    dialogue.receive(b"x")
    assert not dialogue.wait(19.75)
    assert dialogue.wait(0.25)
    assert dialogue.connection.timed_out() == 0


def test_a_client_that_waits_for_100_is_not_late(dialogue):
    dialogue.receive(EXPECTING)
    assert dialogue.connection.deadline == inf
    dialogue.wait(100.0)
    dialogue.connection.send_continue(dialogue.now)
    assert not dialogue.wait(19.75)
    assert dialogue.wait(0.25)
    assert dialogue.connection.timed_out() == 408


def test_a_client_that_does_not_wait_for_100_has_the_time_of_a_body(dialogue):
    dialogue.receive(EXPECTING)
    dialogue.receive(b"a")
    assert not dialogue.wait(19.75)
    assert dialogue.wait(0.25)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [(b"", 40.0), (b"G", 10.0), (post(10), 20.0), (post(10) + b"abc", 20.0), (REQUEST, inf)],
)
def test_the_time_begins_anew_after_a_pause_of_ours(dialogue, sent, seconds):
    if sent:
        dialogue.receive(sent)
    dialogue.wait(1000.0)
    dialogue.connection.restart_deadline(dialogue.now)
    assert dialogue.connection.deadline == dialogue.now + seconds


def test_the_time_for_an_unread_body_begins_anew_after_a_pause_of_ours(dialogue):
    dialogue.receive(post(10))
    dialogue.answer()
    dialogue.wait(1000.0)
    dialogue.connection.restart_deadline(dialogue.now)
    assert dialogue.connection.deadline == dialogue.now + 20.0


def test_what_is_over_has_no_deadline(dialogue):
    dialogue.receive(b"GET / HTTP/1.0\r\n\r\n")
    dialogue.answer()
    assert dialogue.connection.deadline == inf
    dialogue.connection.restart_deadline(dialogue.now)
    assert dialogue.connection.deadline == inf


def test_a_connection_that_came_from_another_worker_has_time_for_its_first_request_when_it_drains():
    connection = Connection(HttpOptions(), 0.0)
    connection.resume(b"", 3, 75.0)
    assert connection.idle
    assert not connection.drain(10.0, grace=1.0)
    assert connection.deadline == 11.0


def test_a_connection_that_drains_does_not_move():
    connection = Connection(HttpOptions(), 0.0)
    assert connection.movable
    connection.drain(0.0)
    assert not connection.movable


def test_a_connection_on_which_nothing_was_asked_yet_can_be_hurried():
    connection = Connection(HttpOptions(keepalive_timeout=60.0), 100.0)
    before = connection.deadline
    connection.hurry(100.0)
    assert connection.deadline == 101.0 < before
    connection.hurry(105.0)
    assert connection.deadline == 101.0, "once"
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 100.5)
    assert connection.next_event(100.5) is not None
    deadline = connection.deadline
    connection.hurry(100.5)
    assert connection.deadline == deadline
