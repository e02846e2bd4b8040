"""Durations and sizes as people write them. Readers raise ValueError with a text for the operator."""

from __future__ import annotations

import re

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_MILLISECONDS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_DURATION = re.compile(
    r"(?:(?P<d>N)d)?(?:(?P<h>N)h)?(?:(?P<m>N)m)?(?:(?P<s>N)s)?(?:(?P<ms>N)ms)?".replace(
        "N", r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
    )
)
_PLAIN = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")

_POWERS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_SIZE = re.compile(r"([0-9]{1,15})([KMG]?)", re.IGNORECASE)

_WORDS = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


def read_duration(text: str) -> float:
    """Return seconds: `30s`, `5m`, `1h30m`, `500ms`; a number alone is seconds, as in systemd.time(7)."""
    if _PLAIN.fullmatch(text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"{text!r} is not a duration like 30s, 5m, 1h30m or 500ms")
    return sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)


def show_duration(seconds: float) -> str:
    """Return `seconds`, to the millisecond, as `read_duration` takes them."""
    rest = round(seconds * 1000)
    parts = []
    for unit, length in _MILLISECONDS:
        number, rest = divmod(rest, length)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


def read_size(text: str) -> int:
    """Return bytes: `64K`, `8M`, `1G` in powers of 1024; a number alone is bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size like 4096, 64K, 8M or 1G")
    return int(match[1]) * _POWERS[match[2].upper()]


def show_size(size: int) -> str:
    """Return `size` bytes as `read_size` takes them, with the largest unit that leaves no rest."""
    for unit in ("G", "M", "K"):
        if size and size % _POWERS[unit] == 0:
            return f"{size // _POWERS[unit]}{unit}"
    return str(size)


def read_boolean(text: str) -> bool:
    """Return what one of the words that systemd takes as a boolean means."""
    value = _WORDS.get(text.lower())
    if value is None:
        raise ValueError(f"{text!r} is neither yes nor no (true, false, on, off, 1, 0)")
    return value


def show_boolean(value: bool) -> str:
    """Return `yes` or `no`."""
    return "yes" if value else "no"
