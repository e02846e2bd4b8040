"""RFC 7239."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.proxy.forwarded import parse_forwarded
from sdserve.errors import RemoteProtocolError

TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8)
VALUES = st.text([chr(code) for code in (9, *range(32, 127), *range(128, 256))], max_size=12)
ELEMENTS = st.dictionaries(TOKENS.map(str.lower), VALUES, min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        ("", []),
        (" , ,\t", []),
        (";", []),
        (";;,;", []),
        # Section 4 and 7.
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
        ),
        ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        ("for=_hidden,for=unknown", [{"for": "_hidden"}, {"for": "unknown"}]),
        ("FOR=a ; Proto=b", [{"for": "a", "proto": "b"}]),
        (";for=a;;proto=b;", [{"for": "a", "proto": "b"}]),
        ('for="a,b;c=\\"d\\\\"', [{"for": 'a,b;c="d\\'}]),
        ('for=""', [{"for": ""}]),
        ("new=x", [{"new": "x"}]),
    ],
)
def test_what_it_says(value, elements):
    assert parse_forwarded(value) == elements


@pytest.mark.parametrize(
    "value",
    [
        "192.0.2.1",
        "for",
        "for=",
        "=a",
        "for =a",
        "for= a",
        "for=[::1]",
        "for=192.0.2.1:80",
        "for=a b",
        'for="a',
        'for=a"b"',
        'for="a"b',
        "for='a,b c'",
        'for="a\\',
        "for=a for=b",
        "for=a&proto=b",
        "for=\x7f",
        'for="\x00"',
        # An open quote of a client's swallows what its proxy has added.
        'for="_x, for=198.51.100.17',
    ],
)
def test_what_is_malformed_is_refused_as_a_whole(value):
    with pytest.raises(RemoteProtocolError, match="malformed"):
        parse_forwarded(value)


@pytest.mark.parametrize("value", ["for=a;for=b", "for=a;proto=b;FOR=c", "for=a, by=b;by=b"])
def test_a_parameter_twice_in_an_element(value):
    with pytest.raises(RemoteProtocolError, match="twice"):
        parse_forwarded(value)


def quoted(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.lists(ELEMENTS, max_size=4), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_what_is_quoted_is_understood(elements, comma):
    value = comma.join(
        ";".join(f"{name}={quoted(text)}" for name, text in element.items()) for element in elements
    )
    assert parse_forwarded(value) == elements


@given(st.text('ab=;," \\\t') | st.text())
def test_any_text_is_understood_or_refused(value):
    try:
        elements = parse_forwarded(value)
    except RemoteProtocolError:
        return
    assert all(elements)
    assert all(name == name.lower() for element in elements for name in element)


@given(st.text('ab=;," \\\t'))
def test_who_adds_an_element_is_the_last_or_all_is_refused(begun):
    """Whatever a client sends, what its proxy adds behind it counts as the proxy's."""
    try:
        elements = parse_forwarded(f"{begun}, for=192.0.2.1;proto=http")
    except RemoteProtocolError:
        return
    assert elements[-1] == {"for": "192.0.2.1", "proto": "http"}
