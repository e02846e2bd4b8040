"""A stream that broke a law: made small, and written down as a file of the corpus."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.generate import Token

_STEPS = 2000


def shrink(tokens: list[Token], breaks: Callable[[bytes], bool]) -> bytes:
    """Leave out tokens, then bytes, as long as what is left still `breaks` the law."""
    texts = _shrunk([text for _, text in tokens if text], breaks)
    single = [bytes([byte]) for text in texts for byte in text]
    return b"".join(_shrunk(single, breaks))


def _shrunk(texts: list[bytes], breaks: Callable[[bytes], bool]) -> list[bytes]:
    span = max(1, len(texts) // 2)
    steps = 0
    while steps < _STEPS:
        start = 0
        before = len(texts)
        while start < len(texts) and steps < _STEPS:
            steps += 1
            rest = texts[:start] + texts[start + span :]
            if breaks(b"".join(rest)):
                texts = rest
            else:
                start += span
        if span == 1 and len(texts) == before:
            break
        span = max(1, span // 2)
    return texts


def corpus_file(data: bytes, comment: str, limits: dict[str, int]) -> str:
    """Return `data` as `tests/core/http/corpus/README.md` describes, without what has to come out."""
    lines = [f"# {comment}", *(f"@ {name} = {value}" for name, value in limits.items())]
    rest = data
    while rest:
        line, _, rest = rest.partition(b"\n")
        text = line + (b"\n" if rest or data.endswith(b"\n") else b"")
        lines.append(_escaped(text))
    return "\n".join([*lines, "---", ""])


def _escaped(data: bytes) -> str:
    text = "".join(_character(byte) for byte in data)
    if text[:1] in ("#", "@", "-"):
        text = f"\\x{ord(text[0]):02x}{text[1:]}"
    return text


def _character(byte: int) -> str:
    named = {0x0D: "\\r", 0x0A: "\\n", 0x09: "\\t", 0x5C: "\\\\"}.get(byte)
    # Braces could be read as a repetition.
    return named or (chr(byte) if 0x20 <= byte < 0x7F and byte not in b"{}" else f"\\x{byte:02x}")
