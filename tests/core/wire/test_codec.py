from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core import wire
from sdserve.core.wire.codec import KINDS, MAX_REASON, MAX_TRACEBACK
from sdserve.core.wire.messages import Message
from sdserve.errors import WireError

VALUES = {
    "int": st.integers(-(2**63), 2**63),
    # Lone surrogates are how Python carries a path that is not UTF-8.
    "str": st.text(st.characters(), max_size=20),
    "tuple[str, ...]": st.lists(st.text(max_size=10), max_size=3).map(tuple),
    "Mapping[str, Any]": st.dictionaries(
        st.text(max_size=5),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5),
        max_size=3,
    ),
}
MESSAGES = st.one_of(
    *(
        st.builds(kind, **{field.name: VALUES[field.type] for field in fields(kind)})
        for kind in get_args(Message)
    )
)


@given(MESSAGES)
def test_a_message_arrives_as_it_was_sent(message):
    assert wire.decode(wire.encode(message)) == message


@given(st.binary(max_size=60))
def test_nonsense_is_a_wire_error_and_nothing_else(packet):
    with pytest.raises(WireError):
        wire.decode(packet)


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(
        st.sampled_from(sorted({field.name for kind in KINDS.values() for field in fields(kind)})),
        st.none() | st.booleans() | st.floats() | st.lists(st.integers(), max_size=2) | st.text(max_size=3),
    ),
)
def test_values_of_any_type_give_a_message_or_a_wire_error(kind, said):
    packet = json.dumps({"kind": kind, **said}).encode()
    with suppress(WireError):
        assert type(wire.decode(packet)).__name__ == kind


@pytest.mark.parametrize("kind", get_args(Message))
def test_every_kind_is_known_by_its_name(kind):
    assert json.loads(wire.encode(kind()))["kind"] == kind.__name__
    assert wire.decode(json.dumps({"kind": kind.__name__}).encode()) == kind()


def test_keys_of_a_newer_version_are_dropped():
    packet = b'{"kind": "Drain", "generation": 3, "serial": 4, "urgency": "high"}'
    assert wire.decode(packet) == wire.Drain(generation=3, serial=4)


@pytest.mark.parametrize(
    ("packet", "complaint"),
    [
        (b"", "0 bytes is not JSON"),
        (b"\xff\xfe{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "holds list, not an object"),
        (b"{}", "unknown kind None"),
        (b'{"kind": "Explode"}', "unknown kind 'Explode'"),
        (b'{"kind": ["Drain"]}', "unknown kind"),
        (b'{"kind": "Drain", "serial": "4"}', "Drain.serial: expected an integer, got '4'"),
        (b'{"kind": "Drain", "serial": true}', "Drain.serial: expected an integer, got True"),
        (b'{"kind": "Ready", "interface": 1}', "Ready.interface: expected text, got 1"),
        (b'{"kind": "Open", "listeners": "http"}', "Open.listeners: expected a list"),
        (b'{"kind": "Open", "listeners": [1]}', "Open.listeners: expected text, got 1"),
        (b'{"kind": "Open", "configuration": []}', "Open.configuration: expected an object"),
    ],
)
def test_what_cannot_be_understood_is_named(packet, complaint):
    with pytest.raises(WireError) as caught:
        wire.decode(packet)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("character", ["x", "\n", "\N{GRINNING FACE}"])
def test_a_failure_always_fits_a_packet(character):
    reason, traceback = f"first{character * 300_000}", f"{character * 300_000}last"
    for failure in (
        wire.BootFailed(reason=reason),
        wire.RecycleAsked(reason=reason),
        wire.PrepareRefused(reason=reason),
        wire.OpenFailed(reason=reason, traceback=traceback),
    ):
        packet = wire.encode(failure)
        message = wire.decode(packet)
        assert len(packet) <= wire.MAX_PACKET
        assert type(message) is type(failure)
        assert message.reason.startswith("first")
        assert len(message.reason) == MAX_REASON
        if isinstance(message, wire.OpenFailed):
            assert message.traceback.endswith("last")
            assert len(message.traceback) == MAX_TRACEBACK


def test_what_fits_no_packet_is_refused_by_the_sender():
    with pytest.raises(WireError, match="Open takes 196,761 bytes"):
        wire.encode(wire.Open(configuration={"environment": "x" * wire.MAX_PACKET}))
