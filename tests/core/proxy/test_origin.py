"""What is made of the fields of proxies. The peer, where it is trusted, is 10.0.0.9."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.http.options import HttpOptions
from sdserve.core.http.request import Request
from sdserve.core.http.strict import parse_head
from sdserve.core.proxy import origin
from sdserve.core.proxy.names import TWINS
from sdserve.core.proxy.origin import Fronting, Origin, is_root_path
from sdserve.core.proxy.trust import Trust
from sdserve.errors import RemoteProtocolError

PEER = ("10.0.0.9", 50000)
ALL = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix")
STANDARD = ("forwarded", "x-forwarded-prefix")


def parse(*lines, target="/a", version="1.1"):
    head = "\r\n".join([f"GET {target} HTTP/{version}", "Host: inner", *lines])
    return parse_head(head.encode("latin-1"), HttpOptions())


def judge(
    *lines, believed=ALL, trusted=True, target="/a", root_path="", client=PEER, scheme="http", request=None
):
    """The origin of a request with these lines."""
    fronting = Fronting(trust=Trust(["10.0.0.0/8", "fd00::/8"]), trusted_fields=believed, root_path=root_path)
    request = request or parse(*lines, target=target)
    return fronting.origin(request, client, scheme, trusted)


def host(request):
    return [value for name, value in request.fields if name == b"host"]


def refused(*lines, status=400, **options):
    with pytest.raises(RemoteProtocolError) as caught:
        judge(*lines, **options)
    assert caught.value.status == status
    return str(caught.value)


# Whom to believe


def test_without_fields_all_is_as_the_connection_says():
    assert judge() == Origin(PEER, "http", "", "")
    assert judge(client=None, scheme="https") == Origin(None, "https", "", "")


def test_who_is_not_trusted_is_not_believed():
    request = parse(
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Prefix: /evil",
        "Forwarded: for=192.0.2.1;proto=https;host=evil",
    )
    for believed in (ALL, STANDARD):
        assert judge(request=request, trusted=False, believed=believed) == Origin(PEER, "http", "", "")
        assert host(request) == [b"inner"]


def test_who_is_not_trusted_is_not_refused_for_what_is_malformed():
    assert judge("Forwarded: ;;=", "X-Forwarded-Host: a b", trusted=False, believed=STANDARD).client == PEER


def test_a_field_that_is_not_named_in_the_configuration_is_not_believed():
    lines = (
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Prefix: /evil",
        "Forwarded: for=192.0.2.2;proto=https;host=evil",
    )
    assert judge(*lines, believed=()) == Origin(PEER, "http", "", "")
    assert judge(*lines, believed=("x-forwarded-for",)) == Origin(("192.0.2.1", 0), "http", "", "")
    assert judge(*lines, believed=("x-forwarded-proto",)) == Origin(PEER, "https", "", "")
    assert judge(*lines, believed=("x-forwarded-prefix",)) == Origin(PEER, "http", "/evil", "/evil")
    assert judge(*lines, believed=("forwarded",)) == Origin(("192.0.2.2", 0), "https", "", "")


@pytest.mark.parametrize("twin", sorted(TWINS))
@pytest.mark.parametrize("trusted", [True, False])
def test_a_twin_counts_for_nobody_and_reaches_nobody(twin, trusted):
    request = parse(f"{twin.decode()}: 192.0.2.66", "X-Forwarded-For: 192.0.2.1", "X-Other_Name: x")
    client = judge(request=request, trusted=trusted).client
    assert client == (("192.0.2.1", 0) if trusted else PEER)
    assert request.fields == [
        (b"host", b"inner"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-other_name", b"x"),
    ]


# Who the client is


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("192.0.2.1:4711", ("192.0.2.1", 4711)),
        ("192.0.2.1:_port", ("192.0.2.1", 0)),
        ("2001:DB8:0::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("[2001:db8::1]:4711", ("2001:db8::1", 4711)),
        ("::ffff:192.0.2.1", ("192.0.2.1", 0)),
        # From the right: what the peer has added is its client, unless that is a proxy, too.
        ("192.0.2.66, 192.0.2.1", ("192.0.2.1", 0)),
        ("192.0.2.66, 192.0.2.1, 10.0.0.1", ("192.0.2.1", 0)),
        ("192.0.2.66,192.0.2.1,10.0.0.1,fd00::1,::ffff:10.0.0.3:", None),
        ("192.0.2.66,192.0.2.1 ,\t10.0.0.1,fd00::1,::ffff:10.0.0.3", ("192.0.2.1", 0)),
        ("10.0.0.1, 192.0.2.1, 10.0.0.2", ("192.0.2.1", 0)),
        # All are proxies: the first of them has asked for itself.
        ("10.0.0.7:1, 10.0.0.8", ("10.0.0.7", 1)),
        # Empty members are none; a field without members is none.
        ("192.0.2.1,", ("192.0.2.1", 0)),
        (", ,192.0.2.1, ,", ("192.0.2.1", 0)),
        ("", PEER),
        (" , ", PEER),
        # Nobody knows who; the proxies' own addresses, and what stands further left, would be wrong.
        ("unknown", None),
        ("192.0.2.1, unknown", None),
        ("192.0.2.1, _secret, 10.0.0.1", None),
        ("192.0.2.1, shop.example", None),
        ("192.0.2.1 10.0.0.1", None),
        ("10.0.0.1;10.0.0.2", None),
        # To the left of the client anything may stand.
        ("<script>, \x80 unknown, 192.0.2.1", ("192.0.2.1", 0)),
    ],
)
def test_x_forwarded_for(value, client):
    assert judge(f"X-Forwarded-For: {value}").client == client


def test_several_lines_are_one_list():
    lines = ["X-Forwarded-For: 192.0.2.66", "Accept: a", "x-forwarded-for: 192.0.2.1,10.0.0.1"]
    assert judge(*lines, "X-FORWARDED-FOR: 10.0.0.2").client == ("192.0.2.1", 0)


def test_a_client_on_a_unix_socket_is_whom_the_proxy_names():
    assert judge("X-Forwarded-For: 192.0.2.1", client=None).client == ("192.0.2.1", 0)
    assert judge("X-Forwarded-Proto: https", client=None).client is None


def test_hops_have_a_limit():
    hops = ", ".join(["10.0.0.1"] * 20)
    assert judge(f"X-Forwarded-For: {hops}").client == ("10.0.0.1", 0)
    assert "20 trusted proxies" in refused(f"X-Forwarded-For: 10.0.0.7, {hops}")
    assert judge(f"X-Forwarded-For: {hops}, 192.0.2.1, 10.0.0.1").client == ("192.0.2.1", 0)


def test_what_is_said_has_a_limit():
    fitting = "X-Forwarded-For: " + "a" * 4096
    assert judge(fitting).client is None
    assert judge(fitting + "a", trusted=False).client == PEER
    assert "4096" in refused(fitting + "a", status=431)
    half = "a" * 2048
    assert judge(f"X-Forwarded-For: {half}", f"Forwarded: {half}x").client is None
    refused(f"X-Forwarded-For: {half}", f"X-Forwarded-Host: {half}x", status=431)
    refused(f"X-Forwarded-For: {half}", f"X-Forwarded-For: {half}x", status=431)


def test_what_was_found_out_about_a_node_is_the_same_the_next_time():
    fronting = Fronting(trust=Trust(["10.0.0.0/8"]), trusted_fields=ALL, root_path="")
    for _ in range(3):
        for value, client in (
            ("192.0.2.1:80", ("192.0.2.1", 80)),
            ("unknown", None),
            ("10.0.0.1", ("10.0.0.1", 0)),
            ("192.0.2.1:80, 10.0.0.1", ("192.0.2.1", 80)),
        ):
            assert fronting.origin(parse(f"X-Forwarded-For: {value}"), PEER, "http", True).client == client


def test_many_clients_do_not_fill_the_memory():
    fronting = Fronting(trust=Trust(["10.0.0.0/8"]), trusted_fields=ALL, root_path="")
    for number in range(origin._MOST_NODES + 100):
        address = f"192.0.{number // 256}.{number % 256}"
        for _ in range(2):
            request = parse(f"X-Forwarded-For: {address}, 10.0.0.1")
            assert fronting.origin(request, PEER, "http", True).client == (address, 0)
    assert fronting.origin(parse("X-Forwarded-For: " + "x" * 1000), PEER, "http", True).client is None
    assert len(fronting._nodes) <= origin._MOST_NODES
    assert max(map(len, fronting._nodes)) < 20


# How the request was sent


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http", "http"),
        ("wss", "https"),
        ("ws", "http"),
        ("", "http"),
        ("ftp", "http"),
        ("https;", "http"),
        ("on", "http"),
        ("http, https", "https"),
        ("https, http", "http"),
    ],
)
def test_x_forwarded_proto(value, scheme):
    assert judge(f"X-Forwarded-Proto: {value}").scheme == scheme


def test_what_is_no_scheme_leaves_that_of_the_connection():
    assert judge("X-Forwarded-Proto: gopher", scheme="https").scheme == "https"
    assert judge("X-Forwarded-Proto: http", scheme="https").scheme == "http"


@pytest.mark.parametrize(
    ("nodes", "protos", "scheme"),
    [
        # As many hops to the left as the client.
        ("192.0.2.1, 10.0.0.1", "https, http", "https"),
        ("192.0.2.1, 10.0.0.1", "https, http, http", "http"),
        ("192.0.2.66, 192.0.2.1, 10.0.0.1", "https, http, https", "http"),
        ("192.0.2.66, 192.0.2.1", "https, http", "http"),
        # Not every proxy says it.
        ("192.0.2.1, 10.0.0.1", "https", "https"),
        ("192.0.2.1, 10.0.0.1, 10.0.0.2", "https, http", "https"),
        ("_secret, 10.0.0.1", "https, http", "https"),
    ],
)
def test_the_scheme_is_that_of_the_clients_hop(nodes, protos, scheme):
    assert judge(f"X-Forwarded-For: {nodes}", f"X-Forwarded-Proto: {protos}").scheme == scheme


# The host that it was sent to


@pytest.mark.parametrize(
    "value", ["shop.example", "shop.example:8443", "[2001:db8::1]:80", "a, shop.example"]
)
def test_x_forwarded_host_takes_the_place_of_host(value):
    request = parse(f"X-Forwarded-Host: {value}", "Accept: a")
    judge(request=request)
    assert host(request) == [value.rpartition(" ")[2].encode()]
    assert len(request.fields) == 3


def test_http_1_0_may_have_no_host():
    request = parse_head(b"GET / HTTP/1.0\r\nX-Forwarded-Host: shop.example", HttpOptions())
    judge(request=request)
    assert host(request) == [b"shop.example"]


def test_an_empty_host_is_none():
    request = parse("X-Forwarded-Host: ")
    judge(request=request)
    assert host(request) == [b"inner"]


@pytest.mark.parametrize("value", ["a b", "a/b", ":80", "a:b", "user@host", "a:80:80", "\xe9", "[::1", "a?b"])
def test_what_is_no_host_is_refused(value):
    assert "host" in refused(f"X-Forwarded-Host: {value}")
    assert "host" in refused(f'Forwarded: host="{value}"', believed=STANDARD)


# Where the application is mounted


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("/shop", "/shop"),
        ("/shop/", "/shop"),
        ("/a/b-c", "/a/b-c"),
        ("/", ""),
        ("", ""),
        ("/x, /shop", "/shop"),
    ],
)
def test_x_forwarded_prefix(value, prefix):
    assert judge(f"X-Forwarded-Prefix: {value}") == Origin(PEER, "http", prefix, prefix)


@pytest.mark.parametrize(
    "value", ["shop", "//evil.example", "/a//b", "/..", "/a/../b", "/./a", "/a b", "/%2e%2e", "/a?b"]
)
def test_what_is_no_prefix_is_refused(value):
    assert "X-Forwarded-Prefix" in refused(f"X-Forwarded-Prefix: {value}")


@pytest.mark.parametrize(
    "target", ["/shop", "/shop/", "/shop/a", "/shop?a", "/%73hop/a", "/shop%2Fa", "/shop/../a"]
)
def test_a_path_below_the_listeners_root_path(target):
    assert judge(target=target, root_path="/shop") == Origin(PEER, "http", "", "/shop")


@pytest.mark.parametrize(
    "target", ["/", "/a", "/shopping", "//shop/a", "/a/shop", "/Shop", "/shop%00", "/?/shop"]
)
def test_any_other_path_is_not_found(target):
    message = "the path is not below listen.root_path = /shop"
    assert refused(target=target, root_path="/shop", status=404) == message


def test_a_prefix_stands_before_the_root_path():
    made = judge("X-Forwarded-Prefix: /de", root_path="/shop", target="/shop/a")
    assert (made.prefix, made.root_path) == ("/de", "/de/shop")


def test_the_server_as_a_whole_is_mounted_nowhere():
    head = b"OPTIONS * HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: /de\r\nX-Forwarded-For: 192.0.2.1"
    made = judge(request=parse_head(head, HttpOptions()), root_path="/shop")
    assert made == Origin(("192.0.2.1", 0), "http", "", "")


# Forwarded


@pytest.mark.parametrize(
    ("value", "client", "scheme", "hosts"),
    [
        ("for=192.0.2.1;proto=https;host=shop.example", ("192.0.2.1", 0), "https", b"shop.example"),
        ('For="192.0.2.1:4711";Proto=HTTPS', ("192.0.2.1", 4711), "https", b"inner"),
        ('for="[2001:db8::1]:_x"', ("2001:db8::1", 0), "http", b"inner"),
        ('for="2001:db8::1"', None, "http", b"inner"),
        ("for=192.0.2.66;proto=https;host=evil, for=192.0.2.1", ("192.0.2.1", 0), "http", b"inner"),
        (
            "for=192.0.2.66;host=evil, for=192.0.2.1;proto=https;host=a, for=10.0.0.1;proto=http;host=b",
            ("192.0.2.1", 0),
            "https",
            b"a",
        ),
        ("for=unknown;proto=https", None, "https", b"inner"),
        ("for=192.0.2.66, for=_secret;host=a, for=10.0.0.1", None, "http", b"a"),
        ("proto=https;host=a", None, "https", b"a"),
        ("for=192.0.2.66, proto=https", None, "https", b"inner"),
        ("by=10.0.0.9;for=192.0.2.1", ("192.0.2.1", 0), "http", b"inner"),
        ("", PEER, "http", b"inner"),
    ],
)
def test_forwarded(value, client, scheme, hosts):
    request = parse(f"Forwarded: {value}")
    assert judge(request=request, believed=STANDARD) == Origin(client, scheme, "", "")
    assert host(request) == [hosts]


def test_several_lines_of_forwarded_are_one_list():
    lines = ["Forwarded: for=192.0.2.66", "Forwarded: for=192.0.2.1;proto=https", "Forwarded: for=10.0.0.1"]
    assert judge(*lines, believed=STANDARD) == Origin(("192.0.2.1", 0), "https", "", "")


def test_forwarded_has_no_word_for_a_prefix():
    lines = ["Forwarded: for=192.0.2.1", "X-Forwarded-Prefix: /shop", "X-Forwarded-For: 192.0.2.66"]
    assert judge(*lines, believed=STANDARD) == Origin(("192.0.2.1", 0), "http", "/shop", "/shop")


def test_malformed_forwarded_is_refused():
    assert "malformed" in refused('Forwarded: for="_x, for=192.0.2.1', believed=STANDARD)
    assert "malformed" in refused('Forwarded: for="_x', "Forwarded: for=192.0.2.1", believed=STANDARD)


# Laws

ANY_FIELDS = st.lists(
    st.tuples(
        st.sampled_from([name.encode() for name in (*ALL, "forwarded", "x_forwarded_for")]),
        st.text('0123456789.:,;=[] "_abcdefhnoprstuwx/-', max_size=40).map(str.encode),
    ),
    max_size=6,
)


def forged(fields):
    request = Request("GET", b"/shop/a", 1, [(b"host", b"inner"), *fields])
    request.proxied = list(fields) or None
    return request


@given(ANY_FIELDS, st.sampled_from([ALL, STANDARD, ("x-forwarded-for",)]))
def test_anything_is_understood_or_refused(fields, believed):
    try:
        made = judge(request=forged(fields), believed=believed)
    except RemoteProtocolError:
        return
    assert made.scheme in ("http", "https")
    assert made.root_path == made.prefix
    assert is_root_path(made.root_path)


@given(ANY_FIELDS)
def test_what_a_client_sends_does_not_change_what_its_proxy_adds(fields):
    """The proxy appends its client to X-Forwarded-For, and sets the others."""
    sent = [field for field in fields if field[0] == b"x-forwarded-for"]
    added = [(b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-proto", b"https")]
    others = [
        field for field in fields if field[0] in (b"forwarded", b"x-forwarded-host", b"x_forwarded_for")
    ]
    made = judge(request=forged(sent + others + added), believed=("x-forwarded-for", "x-forwarded-proto"))
    assert made == Origin(("192.0.2.1", 0), "https", "", "")


@given(ANY_FIELDS)
def test_nothing_of_who_is_not_trusted_counts(fields):
    request = forged(fields)
    assert judge(request=request, trusted=False) == Origin(PEER, "http", "", "")
    assert request.fields == [(b"host", b"inner"), *(field for field in fields if field[0] not in TWINS)]
