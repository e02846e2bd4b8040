"""The Distinguished Encoding Rules, as far as reading a certificate needs them: X.690, sections 8 and 10."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE = 0x30
SET = 0x31
BOOLEAN = 0x01
INTEGER = 0x02
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18


@dataclass(frozen=True, slots=True)
class Element:
    """One value: its tag, what is in it, and all of its bytes."""

    tag: int
    content: bytes
    encoded: bytes

    def parts(self, tag: int = SEQUENCE) -> list[Element]:
        """Return the values in it. ValueError if it is not a `tag`."""
        self.expect(tag)
        return list(elements(self.content))

    def expect(self, tag: int) -> bytes:
        """Return what is in it. ValueError if it is not a `tag`."""
        if self.tag != tag:
            raise ValueError(f"there is {self.tag:#04x} where {tag:#04x} belongs")
        return self.content


def elements(data: bytes) -> Iterator[Element]:
    """Yield the values in `data`, one after the other. ValueError if they do not fill it."""
    position = 0
    while position < len(data):
        start = position
        tag, length, position = _header(data, position)
        end = position + length
        if end > len(data):
            raise ValueError("it is cut short")
        yield Element(tag, data[position:end], data[start:end])
        position = end


def only(data: bytes) -> Element:
    """Return the one value that fills `data`. ValueError if it does not."""
    found = list(elements(data))
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} values where one belongs")
    return found[0]


def object_identifier(content: bytes) -> str:
    """Return the dotted form: X.690 section 8.19. ValueError if it ends in the middle."""
    if not content or content[-1] & 0x80:
        raise ValueError("an object identifier is cut short")
    numbers = []
    number = 0
    for octet in content:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _header(data: bytes, position: int) -> tuple[int, int, int]:
    """Return a value's tag and length, and where it begins. Tags have one octet in certificates."""
    if position + 2 > len(data):
        raise ValueError("it is cut short")
    tag, length = data[position], data[position + 1]
    position += 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4:
            raise ValueError("a length is out of range")
        length = int.from_bytes(data[position : position + octets], "big")
        position += octets
    return tag, length, position
