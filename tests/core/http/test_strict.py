"""What our own parser remembers, and that it is not much."""

from __future__ import annotations

from sdserve.core.http import rules, strict
from sdserve.core.http.options import HttpOptions
from sdserve.core.http.strict import parse_head


def test_names_and_hosts_that_nobody_repeats_do_not_fill_the_memory():
    options = HttpOptions()
    for number in range(3000):
        name = b"X-Number-%d" % number
        request = parse_head(b"GET / HTTP/1.1\r\nHost: host-%d\r\n%b: y" % (number, name), options)
        assert request.fields == [(b"host", b"host-%d" % number), (name.lower(), b"y")]
    parse_head(b"GET / HTTP/1.1\r\nHost: %b\r\n%b: y" % (b"h" * 5000, b"n" * 5000), options)
    for cache in (strict._NAMES, rules._HOSTS):
        assert len(cache) <= 1024
        assert max(map(len, cache)) <= 256


def test_a_name_means_the_same_in_any_case():
    for name in (b"Content-Length", b"content-length", b"CONTENT-LENGTH", b"cOnTeNt-LeNgTh"):
        for _ in range(2):
            assert parse_head(b"GET / HTTP/1.0\r\n" + name + b": 5", HttpOptions()).length == 5
