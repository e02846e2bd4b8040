from __future__ import annotations

import asyncio
import socket

from sdserve.config.model import Listener
from sdserve.worker.accept import Acceptor
from sdserve.worker.boot import new_event_loop


def accept_one(loop_kind, family, address):
    """Accept one connection of a listener on `address`; give the connected socket to `look`."""
    loop = new_event_loop(loop_kind)

    async def accept():
        with socket.socket(family) as listener, socket.socket(family) as client:
            listener.bind(address)
            listener.listen()
            listener.setblocking(False)
            client.connect(listener.getsockname())
            accepted = loop.create_future()
            acceptor = Acceptor(
                loop, Listener(name="web"), listener, lambda *came: accepted.set_result(came), lambda: None
            )
            acceptor.start()
            connected, options = await asyncio.wait_for(accepted, 10)
            assert options.name == "web"
            acceptor.stop()
            return connected

    try:
        return loop.run_until_complete(accept())
    finally:
        loop.close()


def test_a_tcp_connection_does_not_wait_for_more_to_send(loop_kind):
    """TCP_NODELAY is set whatever the listener, which systemd made, says."""
    with accept_one(loop_kind, socket.AF_INET, ("127.0.0.1", 0)) as connected:
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connected.getblocking() is False


def test_a_unix_connection(loop_kind, tmp_path):
    with accept_one(loop_kind, socket.AF_UNIX, str(tmp_path / "socket")) as connected:
        assert connected.getblocking() is False
