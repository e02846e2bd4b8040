"""Close codes: RFC 6455 section 7.4 and the registry that it began."""

from __future__ import annotations

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
NO_CODE = 1005
"""For the application: the client's close frame had none. Never on the wire."""
ABNORMAL = 1006
"""For the application: the connection ended without a close frame of the client's. Never on the wire."""
INVALID_DATA = 1007
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

LONGEST_REASON = 123
"""Bytes: a control frame has at most 125, two of them for the code."""

_REGISTERED = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry `code`: a registered one, or one of libraries and applications."""
    return code in _REGISTERED or 3000 <= code <= 4999
