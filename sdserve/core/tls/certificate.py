"""What is read from a certificate: for whom, by whom, and until when (RFC 5280 section 4.1).

It is not verified here. Ours are the operator's own, and those of clients OpenSSL has verified.
"""

from __future__ import annotations

import binascii
import re
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass

from sdserve.core.tls import der
from sdserve.core.tls.der import Element

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_WIDTH = 64
"""Of a line in PEM: RFC 7468 section 2."""

_SUBJECT_ALT_NAME = "2.5.29.17"
_COMMON_NAME = "2.5.4.3"
_DNS_NAME = 0x82
"""RFC 5280 section 4.2.1.6: [2] IA5String."""
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_TIME = re.compile(rb"[0-9]{12}Z")

_TYPES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
"""RFC 4514 section 3."""
_STRINGS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
"""The kinds of text that there are in names."""
_SPECIAL = re.compile(r'["+,;<>\\]|^[ #]| $')

Rdn = tuple[tuple[str, Element], ...]
"""A relative distinguished name: types, in dotted form, with their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate. Times are seconds since the epoch."""

    encoded: bytes
    """DER."""
    serial: int
    subject: str
    """As RFC 4514 writes names."""
    issuer: str
    subject_encoded: bytes
    issuer_encoded: bytes
    not_before: float
    not_after: float
    names: tuple[str, ...]
    """The DNS names it is for, in lower case; without any, its common name."""


def read_pem(text: str) -> list[Certificate]:
    """Return all certificates in `text`, in order. ValueError with what is wrong with which one."""
    certificates = []
    for number, match in enumerate(_PEM.finditer(text), 1):
        try:
            certificates.append(read(binascii.a2b_base64(match[1])))
        except (ValueError, IndexError) as error:
            raise ValueError(f"certificate {number} in it cannot be read: {error}") from None
    return certificates


def read(encoded: bytes) -> Certificate:
    """Return what the DER of a certificate says. ValueError or IndexError if it is none."""
    fields = der.only(encoded).parts()[0].parts()
    if fields[0].tag == _VERSION:
        del fields[0]
    serial, _, issuer, validity, subject = fields[:5]
    not_before, not_after = validity.parts()
    subject_names = list(_rdns(subject))
    return Certificate(
        encoded=encoded,
        serial=int.from_bytes(serial.expect(der.INTEGER), "big", signed=True),
        subject=_rfc4514(subject_names),
        issuer=_rfc4514(_rdns(issuer)),
        subject_encoded=subject.encoded,
        issuer_encoded=issuer.encoded,
        not_before=_time(not_before),
        not_after=_time(not_after),
        names=tuple(_dns_names(fields[5:])) or tuple(_common_names(subject_names)),
    )


def to_pem(encoded: bytes) -> str:
    """Return the text form of a DER certificate: RFC 7468 section 5."""
    text = binascii.b2a_base64(encoded, newline=False).decode("ascii")
    lines = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def _time(element: Element) -> float:
    """RFC 5280 section 4.1.2.5: two digits of a year mean 1950 to 2049."""
    text = element.content
    if element.tag == der.UTC_TIME:
        text = (b"19" if text[:2] >= b"50" else b"20") + text
    elif element.tag != der.GENERALIZED_TIME:
        raise ValueError("a time is missing")
    if not _TIME.fullmatch(text[2:]):
        raise ValueError(f"{element.content!r} is no time")
    year, rest = int(text[:4]), text[4:14]
    return float(timegm((year, *(int(rest[start : start + 2]) for start in range(0, 10, 2)), 0, 0, 0)))


def _rdns(name: Element) -> Iterator[Rdn]:
    for rdn in name.parts():
        pairs = [attribute.parts() for attribute in rdn.parts(der.SET)]
        yield tuple((der.object_identifier(pair[0].expect(der.OBJECT_IDENTIFIER)), pair[1]) for pair in pairs)


def _common_names(rdns: list[Rdn]) -> Iterator[str]:
    for rdn in rdns:
        for kind, value in rdn:
            if kind == _COMMON_NAME and (text := _text(value)) is not None:
                yield text.lower()


def _dns_names(fields: list[Element]) -> Iterator[str]:
    for field in fields:
        if field.tag != _EXTENSIONS:
            continue
        for extension in der.only(field.content).parts():
            parts = extension.parts()
            if der.object_identifier(parts[0].content) == _SUBJECT_ALT_NAME:
                for name in der.only(parts[-1].expect(der.OCTET_STRING)).parts():
                    if name.tag == _DNS_NAME:
                        yield name.content.decode("ascii", "backslashreplace").lower()


def _rfc4514(rdns: Iterator[Rdn] | list[Rdn]) -> str:
    """Section 2: the last one first, and what is not known by its number and its bytes."""
    return ",".join(reversed(["+".join(_attribute(*pair) for pair in rdn) for rdn in rdns]))


def _attribute(kind: str, value: Element) -> str:
    text = _text(value)
    if kind not in _TYPES or text is None:
        return f"{_TYPES.get(kind, kind)}=#{value.encoded.hex()}"
    escaped = _SPECIAL.sub(lambda match: f"\\{match[0]}", text).replace("\0", "\\00")
    return f"{_TYPES[kind]}={escaped}"


def _text(value: Element) -> str | None:
    """Return a text, None for what is none: authorities do sign what does not keep to its own kind."""
    try:
        return value.content.decode(_STRINGS[value.tag])
    except (KeyError, UnicodeDecodeError):
        return None
