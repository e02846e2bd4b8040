"""The connection scope of an HTTP request, and what is wrong with a message."""

from __future__ import annotations

import copy
import io

import pytest

from sdserve.core.gateway.asgi import has_length, http_scope, mistake_in, wants_trailers
from sdserve.core.http.request import Request
from sdserve.core.proxy.origin import Origin


def proxied(target, client, scheme, prefix, root_path):
    request = Request("GET", target, 1, [(b"host", b"x")])
    request.origin = Origin(client, scheme, prefix, root_path)
    made = http_scope(request, ("10.0.0.9", 1), ("::1", 80), "http", None)
    return made["client"], made["scheme"], made["root_path"], made["path"], made["raw_path"]


def scope(target=b"/", *, method="GET", minor=1, client=("192.0.2.1", 5000), server=("::1", 80), state=None):
    return http_scope(Request(method, target, minor, [(b"host", b"x")]), client, server, "http", state)


def test_everything_that_the_specification_asks_for():
    assert scope(b"/a/b?c=d&e") == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a/b",
        "raw_path": b"/a/b",
        "query_string": b"c=d&e",
        "root_path": "",
        "headers": [(b"host", b"x")],
        "client": ("192.0.2.1", 5000),
        "server": ("::1", 80),
        "extensions": {
            "http.response.early_hint": {},
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
            "http.response.trailers": {},
        },
    }


def test_http_1_0_has_neither_trailers_nor_interim_responses():
    old = scope(minor=0)
    assert old["http_version"] == "1.0"
    assert set(old["extensions"]) == {"http.response.pathsend", "http.response.zerocopysend"}
    assert len(scope()["extensions"]) == 4


def test_what_one_application_writes_into_its_scope_no_other_request_sees():
    mine = scope()
    mine["asgi"]["spec_version"] = "9"
    mine["extensions"]["mine"] = {}
    del mine["extensions"]["http.response.pathsend"]
    assert scope()["asgi"]["spec_version"] == "2.5"
    assert len(scope()["extensions"]) == 4


@pytest.mark.parametrize(
    "write",
    [
        lambda shared: shared.__setitem__("mine", 1),
        lambda shared: shared.setdefault("mine", 1),
        lambda shared: shared.update(mine=1),
        lambda shared: shared.__ior__({"mine": 1}),
    ],
)
def test_the_dictionary_of_an_extension_is_shared_and_cannot_be_written_into(write):
    with pytest.raises(TypeError, match="belongs to all requests"):
        write(scope()["extensions"]["http.response.pathsend"])


def test_a_scope_can_be_copied():
    assert copy.deepcopy(scope()) == scope()


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/caf%C3%A9", "/café"),
        (b"/a%2Fb", "/a/b"),
        (b"/%zz", "/%zz"),
        (b"/%ff", "/\ufffd"),  # not UTF-8; raw_path has what was sent
        (b"*", "*"),
    ],
)
def test_the_path_is_decoded(target, path):
    assert scope(target)["path"] == path
    assert scope(target)["raw_path"] == target


def test_a_client_on_a_unix_socket_has_no_address():
    assert scope(client=None, server=("/run/shop.sock", None))["client"] is None


def test_without_a_lifespan_there_is_no_state():
    assert "state" not in scope()


def test_the_state_is_copied_but_its_values_are_shared():
    state = {"pool": []}
    given = scope(state=state)["state"]
    given["own"] = 1
    assert state == {"pool": []}
    assert given["pool"] is state["pool"]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ([], False),
        ([(b"te", b"trailers")], True),
        ([(b"te", b"gzip;q=0.5 , Trailers")], True),
        ([(b"te", b"gzip"), (b"te", b"trailers")], True),
        ([(b"te", b"nottrailers")], False),
        ([(b"accept", b"trailers")], False),
    ],
)
def test_who_wants_trailers(fields, wanted):
    assert wants_trailers(Request("GET", b"/", 1, fields)) is wanted


def test_whether_a_response_has_a_length():
    assert has_length([(b"x", b"y"), (b"Content-Length", b"1")])
    assert not has_length([(b"x", b"y")])


def start(**keys):
    return {"type": "http.response.start", "status": 200, **keys}


@pytest.mark.parametrize(
    ("message", "mistake"),
    [
        (None, "a message that is no dict but NoneType"),
        ([], "a message that is no dict but list"),
        ({}, "a message without a type"),
        ({"type": "http.response.start"}, "http.response.start with no status"),
        (start(status="200"), "http.response.start with a status that is no int but str: '200'"),
        (start(headers=None), "http.response.start with headers that are no list of pairs but NoneType"),
        (start(headers={b"x": b"y"}), "http.response.start with headers that are no list of pairs but dict"),
        (start(headers=[b"x"]), "http.response.start with headers of which one is no pair of bytes but b'x'"),
        (start(headers=[1]), "http.response.start with headers of which one is no pair of bytes but 1"),
        (
            start(headers=[(b"x", b"y", b"z")]),
            "http.response.start with headers of which one is no pair of bytes but (b'x', b'y', b'z')",
        ),
        (
            start(headers=[("x", b"y")]),
            "http.response.start with headers of which one has no bytes but str: 'x'",
        ),
        (
            {"type": "http.response.trailers", "headers": [(b"x", "y")]},
            "http.response.trailers with headers of which one has no bytes but str: 'y'",
        ),
        (
            {"type": "http.response.early_hint", "links": b"</x>"},
            "http.response.early_hint with links that are no list of bytes but bytes",
        ),
        (
            {"type": "http.response.early_hint", "links": None},
            "http.response.early_hint with links that are no list of bytes but NoneType",
        ),
        (
            {"type": "http.response.early_hint", "links": ["</x>"]},
            "http.response.early_hint with a link that is no bytes but str",
        ),
        ({"type": "http.response.pathsend"}, "http.response.pathsend with no path"),
        (
            {"type": "http.response.pathsend", "path": b"/x"},
            "http.response.pathsend with a path that is no str but bytes",
        ),
        ({"type": "http.response.zerocopysend"}, "http.response.zerocopysend with no file"),
        (
            {"type": "http.response.zerocopysend", "file": io.BytesIO(), "offset": "1"},
            "http.response.zerocopysend with an offset that is no int but str",
        ),
        (
            {"type": "http.response.zerocopysend", "file": io.BytesIO(), "count": 1.5},
            "http.response.zerocopysend with a count that is no int but float",
        ),
    ],
)
def test_what_is_wrong_with_a_message(message, mistake):
    assert mistake_in(message) == mistake


@pytest.mark.parametrize(
    "message",
    [
        start(headers=[(b"x", b"y"), [b"x", b"z"]]),
        start(headers=iter(())),
        {"type": "http.response.body"},
        {"type": "no such message"},
        {"type": "http.response.early_hint", "links": (b"</x>",)},
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.zerocopysend", "file": io.BytesIO()},
    ],
)
def test_a_message_with_which_nothing_is_wrong_in_itself(message):
    assert mistake_in(message) == ""


def test_where_a_request_comes_from_goes_before_what_its_connection_says():
    client = ("192.0.2.1", 0)
    assert proxied(b"/a%20b", client, "https", "", "") == (client, "https", "", "/a b", b"/a%20b")
    assert proxied(b"/a", None, "http", "", "") == (None, "http", "", "/a", b"/a")


def test_the_path_is_the_one_that_clients_see():
    """Frameworks take `root_path` off its front."""
    assert proxied(b"/a%20b", None, "http", "/de", "/de")[2:] == ("/de", "/de/a b", b"/a%20b")
    assert proxied(b"/shop/a", None, "http", "", "/shop")[2:] == ("/shop", "/shop/a", b"/shop/a")
    assert proxied(b"/shop/a", None, "http", "/de", "/de/shop")[2:] == ("/de/shop", "/de/shop/a", b"/shop/a")


def test_the_scheme_of_the_connection():
    made = http_scope(Request("GET", b"/", 1, []), None, ("::1", 443), "https", None)
    assert made["scheme"] == "https"
