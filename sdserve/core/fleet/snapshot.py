"""A fleet as JSON values and back: what outlives the program that decides.

The reader may be a newer or an older version than the writer: keys that it does not know are dropped,
missing ones take their default. So a field of the model never changes its meaning, and a new one has a
default. A state that it does not know, or a missing value without a default, is a `WireError`: nobody can
go on with that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from sdserve.core.fleet.model import Fleet, Phase, WorkerState
from sdserve.errors import WireError


def encode(fleet: Fleet) -> dict[str, Any]:
    """Return `fleet` as a dict of JSON values."""
    return dict(_plain(fleet))


def decode(data: object) -> Fleet:
    """Return the fleet that `encode`, of any version, made `data` from. WireError if it is none."""
    fleet = _value(Fleet, data, "fleet")
    assert isinstance(fleet, Fleet)
    _check(fleet)
    return fleet


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """The type of each field of a dataclass, and whether it has a default."""
    hints = get_type_hints(kind)
    missing = dataclasses.MISSING
    return {
        field.name: (hints[field.name], not (field.default is missing and field.default_factory is missing))
        for field in dataclasses.fields(kind)
    }


def _value(kind: Any, data: Any, place: str) -> Any:
    """`data` as a value of type `kind`; `place` says where it stands."""
    if isinstance(kind, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
        return None if data is None else _value(kind, data, place)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, data, place)
    if isinstance(kind, type) and issubclass(kind, Enum):
        if not isinstance(data, str) or data not in kind.__members__:
            raise WireError(f"{place} is {data!r:.80}, which this version of sdserve does not know")
        return kind[data]
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return tuple(_value(item, one, f"{place}[{index}]") for index, one in enumerate(_list(data, place)))
    if get_origin(kind) is Mapping:
        item = get_args(kind)[1]
        return {_number(key, place): _value(item, one, f"{place}[{key}]") for key, one in _items(data, place)}
    return _scalar(kind, data, place)


def _object(kind: type, data: Any, place: str) -> Any:
    said = dict(_items(data, place))
    values = {}
    for name, (hint, has_default) in _fields(kind).items():
        if name in said:
            values[name] = _value(hint, said[name], f"{place}.{name}")
        elif not has_default:
            raise WireError(f"{place}.{name} is missing")
    return kind(**values)


def _scalar(kind: type, data: Any, place: str) -> Any:
    accepted = (int, float) if kind is float else (kind,)
    if type(data) not in accepted:
        raise WireError(f"{place} is {data!r:.80}, not {kind.__name__}")
    return kind(data)


def _items(data: Any, place: str) -> Any:
    if not isinstance(data, Mapping):
        raise WireError(f"{place} is {data!r:.80}, not an object")
    return data.items()


def _list(data: Any, place: str) -> Any:
    if not isinstance(data, (list, tuple)):
        raise WireError(f"{place} is {data!r:.80}, not a list")
    return data


def _number(key: Any, place: str) -> int:
    if not (isinstance(key, str) and key.isascii() and key.isdigit()):
        raise WireError(f"{place} has the key {key!r:.80}, which is no number")
    return int(key)


_LAST = (Phase.STOPPING, Phase.ENDED)


def _check(fleet: Fleet) -> None:
    """WireError unless whoever is named is there: the rules rely on it."""
    named = (fleet.current, fleet.candidate, fleet.previous)
    # Who stops has dropped them one after the other, and names them to the end.
    lost = [] if fleet.phase in _LAST else [number for number in named if number not in _known(fleet)]
    lost += [
        worker.generation
        for worker in fleet.workers.values()
        # One that was killed may outlive its generation.
        if worker.state is not WorkerState.KILLED and worker.generation not in fleet.generations
    ]
    held = [serial for slot in fleet.slots.values() for serial in (slot.occupant, slot.successor)]
    lost += [serial for serial in held if serial is not None and serial not in fleet.workers]
    if lost:
        raise WireError(f"the fleet names what it does not have: {lost}")


def _known(fleet: Fleet) -> set[int]:
    return {0, *fleet.generations}
