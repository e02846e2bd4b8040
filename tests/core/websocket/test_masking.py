"""The masking of RFC 6455 section 5.3, in C and in Python."""

from __future__ import annotations

import importlib
import sys

import pytest

from sdserve.core.websocket import masking
from tests.core.websocket.frames import KEY, mask


@pytest.fixture(params=["C", "Python"])
def apply_mask(request, monkeypatch):
    if request.param == "Python":
        monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    yield importlib.reload(masking).apply_mask
    monkeypatch.undo()
    importlib.reload(masking)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 4097, 70_001])
def test_each_byte_meets_its_part_of_the_key(apply_mask, size):
    data = bytes(index % 251 for index in range(size))
    assert apply_mask(data, KEY) == mask(data)
    assert apply_mask(memoryview(data), KEY) == mask(data)


def test_the_example_of_the_rfc(apply_mask):
    assert apply_mask(b"\x7f\x9f\x4d\x51\x58", KEY) == b"Hello"
