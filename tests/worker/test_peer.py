from __future__ import annotations

import os
import socket

from sdserve.core.proxy.header import ProxyHeader
from sdserve.worker.peer import Credentials, Peer


def connected(family, address):
    """The server's end of a new connection, and the client's address."""
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        client = socket.socket(family)
        client.connect(listener.getsockname())
        ours, _ = listener.accept()
    with client:
        return ours, client.getsockname(), ours.getsockname()


def test_a_tcp_connection():
    ours, theirs, local = connected(socket.AF_INET, ("127.0.0.1", 0))
    with ours:
        peer = Peer(ours)
    assert (peer.host, peer.client, peer.local) == ("127.0.0.1", theirs, local)
    assert (peer.scheme, peer.credentials, peer.header) == ("http", None, None)


def test_an_ipv6_connection():
    ours, theirs, local = connected(socket.AF_INET6, ("::1", 0))
    with ours:
        peer = Peer(ours)
    assert (peer.host, peer.client, peer.local) == ("::1", theirs[:2], local[:2])


def test_a_unix_connection(tmp_path):
    ours, _, _ = connected(socket.AF_UNIX, str(tmp_path / "socket"))
    with ours:
        peer = Peer(ours)
    assert (peer.host, peer.client, peer.local) == (None, None, (str(tmp_path / "socket"), None))
    assert peer.credentials == Credentials(os.getpid(), os.geteuid(), os.getegid())


def test_an_abstract_address(tmp_path):
    ours, _, _ = connected(socket.AF_UNIX, f"\0sdserve-test-{os.getpid()}")
    with ours:
        assert Peer(ours).local == (f"\0sdserve-test-{os.getpid()}", None)


def introduced(**facts):
    ours, theirs, local = connected(socket.AF_INET, ("127.0.0.1", 0))
    with ours:
        peer = Peer(ours)
    peer.introduce(ProxyHeader(**facts))
    assert peer.host == "127.0.0.1"
    return peer, theirs, local


def test_a_proxy_tells_both_ends_of_what_it_relays():
    peer, _, _ = introduced(relayed=True, source=("192.0.2.1", 5), destination=("192.0.2.2", 443), tls=True)
    assert (peer.client, peer.local, peer.scheme) == (("192.0.2.1", 5), ("192.0.2.2", 443), "https")


def test_a_proxy_relays_from_a_unix_socket():
    peer, _, local = introduced(relayed=True)
    assert (peer.client, peer.local, peer.scheme) == (None, local, "http")


def test_a_proxy_speaks_for_itself():
    peer, theirs, local = introduced()
    assert (peer.client, peer.local, peer.scheme) == (theirs, local, "http")
