"""The corpus: files of bytes and what has to come out of them. `corpus/README.md` describes the format."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from sdserve.core.http.options import HttpOptions

CORPUS = Path(__file__).with_name("corpus")
_REPEATED = re.compile(r"\{([^{}]+)\*(\d+)\}")


@dataclass(frozen=True, slots=True)
class Expected:
    """One request that has to come out, with those of its properties that the case names."""

    line: str
    body: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    properties: dict[str, object]


@dataclass(frozen=True, slots=True)
class Case:
    """One file."""

    name: str
    options: dict[str, int]
    data: bytes
    requests: tuple[Expected, ...]
    status: int = 0
    """Of the refusal; 0 for a case that is valid."""
    reason: str = ""

    def options_for(self, parser: str) -> HttpOptions:
        return HttpOptions(parser=parser, **self.options)


@dataclass(slots=True)
class _Section:
    lines: list[str] = field(default_factory=list)


def load(kind: str) -> list[Case]:
    """All cases of `valid` or `invalid`, in the order of their names."""
    return [_read(path) for path in sorted((CORPUS / kind).glob("*.http"))]


def _read(path: Path) -> Case:
    data, *outcomes = path.read_text("ascii").split("\n---\n")
    lines = data.splitlines()
    while lines[0].startswith("#"):
        del lines[0]
    options = {}
    while lines[0].startswith("@"):
        name, _, value = lines.pop(0)[1:].partition("=")
        options[name.strip()] = int(value)
    raw = _bytes("".join(lines))
    sections = [outcome.strip("\n").splitlines() for outcome in outcomes]
    assert all(sections), f"{path.name}: an empty section"
    if path.parent.name == "valid":
        return Case(path.stem, options, raw, tuple(map(_expected, sections)))
    *before, refusal = sections
    status, _, reason = refusal[0].partition(" ")
    assert reason, f"{path.name}: a refusal needs its reason"
    return Case(path.stem, options, raw, tuple(map(_expected, before)), int(status), reason)


def _bytes(text: str) -> bytes:
    text = _REPEATED.sub(lambda match: match[1] * int(match[2]), text)
    return text.encode().decode("unicode_escape").encode("latin-1")


def _expected(lines: list[str]) -> Expected:
    body = b""
    fields = []
    properties: dict[str, object] = {}
    for line in lines[1:]:
        name, _, text = line.partition(":")
        value = _bytes(text.strip())
        if name == "body":
            body += value
        elif name == "field":
            field_name, _, field_value = value.partition(b":")
            fields.append((field_name, field_value.strip()))
        elif name == "length":
            properties[name] = -1 if value == b"chunked" else int(value)
        elif name in ("keep_alive", "expects_continue"):
            properties[name] = {b"yes": True, b"no": False}[value]
        else:
            assert name in ("path", "query", "upgrade"), f"no property {name!r}"
            properties[name] = value
    return Expected(_bytes(lines[0]).decode("latin-1"), body, tuple(fields), properties)
