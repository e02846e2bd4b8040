from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.proxy import trust
from sdserve.core.proxy.trust import Trust

NETWORKS = ("10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "fe80::/10")


@pytest.mark.parametrize(
    "host", ["10.0.0.0", "10.255.255.255", "192.0.2.1", "2001:db8::1", "::ffff:10.1.1.1"]
)
def test_who_is_in_a_network(host):
    assert Trust(NETWORKS).trusts_peer(host)


@pytest.mark.parametrize(
    "host", ["9.255.255.255", "11.0.0.0", "192.0.2.2", "2001:db9::1", "::ffff:11.1.1.1", "::"]
)
def test_who_is_not(host):
    assert not Trust(NETWORKS).trusts_peer(host)


def test_a_link_local_peer_has_a_zone():
    assert Trust(NETWORKS).trusts_peer("fe80::1%eth0")
    assert not Trust(["10.0.0.0/8"]).trusts_peer("fe80::1%2")


def test_nobody_is_trusted_unless_it_is_written():
    nobody = Trust(())
    assert not nobody.unix
    assert not nobody.trusts_peer("127.0.0.1")
    assert not nobody.trusts_peer("::1")


def test_unix_sockets_are_trusted_by_name():
    assert Trust(["unix"]).unix
    assert not Trust(["unix"]).trusts_peer("127.0.0.1")
    assert not Trust(["0.0.0.0/0", "::/0"]).unix


def test_all_networks():
    everybody = Trust(["0.0.0.0/0", "::/0"])
    assert everybody.trusts_peer("203.0.113.1")
    assert everybody.trusts_peer("2001:db8::1")


def test_what_is_no_network_is_refused():
    with pytest.raises(ValueError, match="host bits"):
        Trust(["10.0.0.1/8"])


@given(st.ip_addresses(network="10.0.0.0/7") | st.ip_addresses())
def test_it_is_the_same_for_a_peer_and_for_what_a_field_names(address):
    assert Trust(["10.0.0.0/8"]).trusts(address) == (address in ip_network("10.0.0.0/8"))
    if address.version == 4:
        assert Trust(["10.0.0.0/8"]).trusts_peer(str(address)) == Trust(["10.0.0.0/8"]).trusts(address)


def test_many_peers_do_not_fill_the_memory():
    some = Trust(NETWORKS)
    for number in range(trust._MOST_KNOWN + 100):
        host = str(ip_address(0x0AFFFFC0 + number))
        for _ in range(2):
            assert some.trusts_peer(host) == (ip_address(host) in ip_network("10.0.0.0/8"))
    assert len(some._known) == trust._MOST_KNOWN
