"""What our own parser remembers of the requests before, and that it is not much."""

from __future__ import annotations

import tracemalloc

import pytest

from sdserve.core.http.options import HttpOptions
from sdserve.core.http.strict import parse_head


def parse_many(numbers):
    for number in numbers:
        name = b"X-A-Long-Name-That-Nobody-Repeats-%d" % number
        request = parse_head(b"GET / HTTP/1.1\r\nHost: host-%d\r\n%b: y" % (number, name), HttpOptions())
        assert request.fields == [(b"host", b"host-%d" % number), (name.lower(), b"y")]


def test_names_and_hosts_that_nobody_repeats_do_not_fill_the_memory():
    parse_many(range(3000))
    tracemalloc.start()
    try:
        parse_many(range(3000, 6000))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 100_000


def test_a_very_long_name_or_host_is_no_less_right():
    name, host = b"N" * 5000, b"h" * 5000
    for _ in range(2):
        request = parse_head(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n" + name + b": y", HttpOptions())
        assert request.fields == [(b"host", host), (name.lower(), b"y")]


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"CONTENT-LENGTH", b"cOnTeNt-LeNgTh"])
def test_a_name_means_the_same_in_any_case(name):
    for _ in range(2):
        assert parse_head(b"GET / HTTP/1.0\r\n" + name + b": 5", HttpOptions()).length == 5
