from __future__ import annotations

from sdserve.core.proxy.names import ALL, FIELDS, TWINS


def test_a_twin_is_what_cgi_would_take_for_the_field():
    def as_cgi(name):
        return name.replace(b"-", b"_")

    assert {as_cgi(name) for name in TWINS} == {as_cgi(name) for name in FIELDS if b"-" in name}
    assert b"x_forwarded_for" in TWINS
    assert b"x-forwarded_for" in TWINS
    assert b"x_forwarded-for" in TWINS
    assert len(TWINS) == 4 * 3


def test_no_field_is_its_own_twin():
    assert TWINS.isdisjoint(FIELDS)
    assert TWINS.union(FIELDS) == ALL
