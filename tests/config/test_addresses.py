import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.config.addresses import read_address, read_network


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("localhost:80", "127.0.0.1:80"),
        ("LocalHost:80", "127.0.0.1:80"),
        ("[::]:8000", "[::]:8000"),
        ("[::1]:080", "[::1]:80"),
        ("[2001:DB8:0::1]:65535", "[2001:db8::1]:65535"),
        ("unix:/run/shop.sock", "unix:/run/shop.sock"),
        ("/run/shop.sock", "unix:/run/shop.sock"),
        ("/run/a:b", "unix:/run/a:b"),
    ],
)
def test_each_form_has_one_spelling_afterwards(text, address):
    assert read_address(text) == address
    assert read_address(address) == address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8000", "'8000' is none of HOST:PORT, [IPV6]:PORT and unix:/path"),
        ("", "'' is none of HOST:PORT, [IPV6]:PORT and unix:/path"),
        (":8000", "of which host? 0.0.0.0:8000 is all of IPv4, [::]:8000 all of IPv6"),
        ("*:8000", "of which host? 0.0.0.0:8000 is all of IPv4, [::]:8000 all of IPv6"),
        ("shop.example:80", "'shop.example' is not an IP address; names are not resolved, except localhost"),
        ("127.1:80", "'127.1' is not an IP address; names are not resolved, except localhost"),
        ("127.0.0.1:http", "'http' is no port: a number from 0 to 65535 is"),
        ("127.0.0.1:65536", "'65536' is no port: a number from 0 to 65535 is"),
        ("127.0.0.1:", "'' is no port: a number from 0 to 65535 is"),
        ("::1", "an IPv6 address stands in brackets and has a port: [::1]:8000"),
        ("::1:8000", "an IPv6 address stands in brackets and has a port: [::1:8000]:8000"),
        ("[::g]:80", "'::g' is no IPv6 address"),
        (
            "[fe80::1%eth0]:80",
            "'fe80::1%eth0' is an address of one link only, which cannot be listened on here",
        ),
        ("unix:shop.sock", "the path of a unix socket is absolute: unix:/run/NAME.sock, not 'shop.sock'"),
        ("/run/" + "x" * 103, "the path of a unix socket has at most 107 bytes: /run/" + "x" * 103),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_address(text)


@given(st.text() | st.from_regex(r"(\[.*\]|[0-9.]+|unix|)(:[0-9]*)?"))
def test_any_text_is_an_address_or_refused(text):
    try:
        address = read_address(text)
    except ValueError:
        return
    assert read_address(address) == address


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("unix", "unix"),
    ],
)
def test_each_network_has_one_spelling_afterwards(text, network):
    assert read_network(text) == network
    assert read_network(network) == network


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is neither a network as 10.0.0.0/8 nor an address nor unix"),
        ("*", "'*' is neither a network as 10.0.0.0/8 nor an address nor unix"),
        ("localhost", "'localhost' is neither a network as 10.0.0.0/8 nor an address nor unix"),
        ("10.0.0.0/33", "'10.0.0.0/33' is neither a network as 10.0.0.0/8 nor an address nor unix"),
        (
            "10.1.2.3/8",
            "'10.1.2.3/8' has bits behind its prefix, did you mean 10.0.0.0/8 or only 10.1.2.3?",
        ),
        ("::ffff:10.0.0.0/104", "'::ffff:10.0.0.0/104' is IPv4 in IPv6 clothes; write the IPv4 network"),
    ],
)
def test_what_is_no_network_is_refused_with_a_reason(text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_network(text)


@given(st.text() | st.from_regex(r"[0-9a-f.:%]+(/[0-9]+)?"))
def test_any_text_is_a_network_or_refused(text):
    try:
        network = read_network(text)
    except ValueError:
        return
    assert read_network(network) == network
