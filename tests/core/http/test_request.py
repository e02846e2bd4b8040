"""A request for people to read."""

from __future__ import annotations

from sdserve.core.http.request import Request


def test_its_representation_tells_what_matters_in_a_log():
    request = Request("GET", b"/a?b", 1, [(b"cookie", b"secret")])
    assert repr(request) == "<Request GET b'/a?b' HTTP/1.1 length=0>"
