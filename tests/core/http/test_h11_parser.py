"""What is special about the second parser: it has the last word where our own rules let something pass."""

from __future__ import annotations

import h11
import pytest

from sdserve.core.http.h11_parser import _next_event
from sdserve.errors import RemoteProtocolError


def test_what_h11_refuses_is_a_protocol_error_with_its_status():
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="h11: ") as caught:
        _next_event(connection)
    assert caught.value.status == 400
