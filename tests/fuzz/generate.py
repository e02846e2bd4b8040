"""Streams of requests out of a grammar, with faults put in: everything from one seeded source of chance.

A stream is a list of tokens, not of bytes, so that a fault can be one that an attacker would make: another
number in a length, a line twice, an end of a line that is none. Beside the tokens stands what a stream means
as long as nothing has been done to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random

# fmt: off
GOOD = {
    "method": [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"BREW", b"a-b"],
    "target": [b"/", b"/a?b", b"//b", b"/%20", b"http://b/c?d", b"http://b", b"HTTP://[::1]:80?x", b"/|{}"],
    "version": [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.9"],
    "host": [b"a", b"", b"[::1]:80", b"a.b:8000", b"a%20b", b"127.0.0.1"],
    "name": [b"X", b"x-y", b"Cookie", b"X_Y", b"Accept", b"Trailer", b"TE", b"X" * 30],
    "value": [b"y", b"", b"a=b; c=d", b"caf\xe9", b"a\tb", b"\x85", b"GET / HTTP/1.1", b"z" * 60],
    "space": [b" ", b"", b"\t", b" \t "],
    "extension": [b"", b"", b"", b";a", b";a=b", b' ; a = "b\\" c"', b";a;b;c"],
    "connection": [b"keep-alive", b"close", b"x, Close", b"upgrade", b""],
    "eol": [b"\r\n"],
    "sp": [b" "],
    "colon": [b":"],
    "size": [b"5"],
    "length": [b"5"],
    "coding": [b"chunked", b"CHUNKED"],
}
BAD = {
    "method": [b"CONNECT", b"G(T", b"", b"\x16\x03\x01", b"GET\xff", b"PRI"],
    "target": [b"*", b"b", b"/\x80", b"/#", b"", b"http://", b"http://a@b/", b"/" * 90, b"/ b", b"/\t"],
    "version": [b"HTTP/2.0", b"http/1.1", b"HTTP/1.10", b"HTTP/1.", b"HTTP/11", b"", b"HTTP/1.1\t",
        b"HTTP/+1.1"],
    "host": [b"a, b", b"a b", b"a/b", b"u@a", b"a:b", b"[::1", b"\xe9", b"a\\b", b"a:123456"],
    "name": [b"", b"X ", b" X", b"X\t", b"X\xe9", b"X\0", b"X\r", b"Host", b"Content-Length",
        b"Transfer-Encoding", b"Transfer-Encoding ", b"Content_Length", b"X" * 120],
    "value": [b"\0", b"\r", b"\n", b"\x0b", b"\x7f", b"a\rb", b"a\nb", b"a\r\n b", b"z" * 300, b"5",
        b"chunked"],
    "space": [b"\r\n ", b"\x0b", b"\xa0", b"\0"],
    "extension": [b";", b" ", b";=", b";a=", b';a="', b';a="b"c', b";a b", b";\n", b";\r", b";a=\0",
        b";" + b"a" * 300],
    "connection": [b"close\0", b"close\r"],
    "eol": [b"\n", b"\r", b"", b"\r\r\n", b"\n\r", b"\r\n ", b"\r\n\r\n", b"\0\r\n"],
    "end": [b"XX", b"\n\r", b"\r\r", b"\r0", b"\n", b"", b"\r\n\r\n", b"x\r\n"],
    "sp": [b"", b"  ", b"\t", b"\x0c", b"\xa0"],
    "colon": [b"", b" :", b"::", b";", b"=", b"\t:"],
    "size": [b"", b"5 ", b"+5", b"-5", b"0x5", b"5h", b"5_0", b"4", b"6", b"0", b"g", b"5" * 20,
        b"\xd9\xa5", b"5\n", b"10000000000000005", b"ffffffffffffffff"],
    "length": [b"", b"+5", b"-5", b"5 5", b"5,6", b"5,", b"0x5", b"5.0", b"4", b"6", b"0", b"9" * 30,
        b"\xd9\xa5", b"1_0", b"18446744073709551621"],
    "coding": [b"", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"xchunked", b"chunked;a",
        b"identity", b"\x0bchunked", b"chunked\xa0", b'"chunked"'],
}
ODD_BYTES = [b"\r", b"\n", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"a", b"\x85", b"\xff", b"\r\n",
    b"\r\n\r\n"]
# fmt: on

FRAMING = {"size", "end", "length", "coding", "extension"}

Token = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Meant:
    """One request as it was meant."""

    method: str
    target: bytes
    body: bytes


@dataclass(slots=True)
class Stream:
    """Tokens, and what they mean; None once that is not known any more."""

    tokens: list[Token]
    meaning: list[Meant] | None

    @property
    def data(self) -> bytes:
        return b"".join(text for _, text in self.tokens)


class Generator:
    """Makes streams. The same `seed` makes the same ones, in the same order."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def stream(self) -> Stream:
        """Up to four requests; half of the streams are spoilt."""
        stream = Stream([], [])
        for _ in range(self.random.randint(1, 4)):
            if self.random.random() < 0.1:
                stream.tokens.append(("eol", b"\r\n"))  # RFC 9112 section 2.2: before a request it is ignored
            self._add_request(stream)
        if self.random.random() < 0.5:
            for _ in range(self.random.choice([1, 1, 1, 2, 4])):
                self._spoil(stream.tokens)
            stream.meaning = None
        return stream

    def pieces(self, data: bytes) -> list[bytes]:
        """Cut `data` at positions of chance; often near the ends of lines, where it matters."""
        ends = [
            position + shift
            for position in range(1, len(data))
            if data[position] == 10
            for shift in (-1, 0, 1)
        ]
        count = self.random.randint(0, 8)
        cuts = [
            self.random.choice(ends)
            if ends and self.random.random() < 0.5
            else self.random.randint(0, len(data))
            for _ in range(count)
        ]
        return [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)]) if end > start]

    def _good(self, kind: str) -> bytes:
        return self.random.choice(GOOD[kind])

    def _add_request(self, stream: Stream) -> None:
        tokens = stream.tokens
        method, target, version = self._good("method"), self._good("target"), self._good("version")
        tokens += [("method", method), ("sp", b" "), ("target", target), ("sp", b" "), ("version", version)]
        tokens.append(("eol", b"\r\n"))
        lines = [self._field(b"Host", "host")]
        lines += [self._field(self._good("name"), "value") for _ in range(self.random.randint(0, 2))]
        if self.random.random() < 0.2:
            lines.append(self._field(b"Connection", "connection"))
        framing = self.random.choice(["none", "length", "chunked"])
        if framing == "chunked" and version == b"HTTP/1.0":
            framing = "length"  # RFC 9112 section 6.1
        body = b""
        tail: list[Token] = []
        if framing == "length":
            lines.append(self._field(b"Content-Length", "length"))
            body = b"hello"
            tail = [("data", body)]
        elif framing == "chunked":
            lines.append(self._field(b"Transfer-Encoding", "coding"))
            body, tail = self._chunks()
        self.random.shuffle(lines)
        for line in lines:
            tokens += line
        tokens.append(("eol", b"\r\n"))
        tokens += tail
        assert stream.meaning is not None
        stream.meaning.append(Meant(method.decode(), target, body))

    def _field(self, name: bytes, kind: str) -> list[Token]:
        value = self._good(kind)
        before, after = self._good("space"), self._good("space")
        return [
            ("name", name),
            ("colon", b":"),
            ("space", before),
            (kind, value),
            ("space", after),
            ("eol", b"\r\n"),
        ]

    def _chunks(self) -> tuple[bytes, list[Token]]:
        tokens: list[Token] = []
        body = b""
        for _ in range(self.random.randint(0, 3)):
            data = self.random.choice([b"h", b"hello", b"0\r\n\r\n", b"\r\n", b"x" * 26])
            size = self.random.choice([b"%x", b"%X", b"0%x"]) % len(data)
            tokens += [("size", size), ("extension", self._good("extension")), ("eol", b"\r\n")]
            tokens += [("data", data), ("end", b"\r\n")]
            body += data
        tokens += [
            ("size", self.random.choice([b"0", b"00"])),
            ("extension", self._good("extension")),
            ("eol", b"\r\n"),
        ]
        if self.random.random() < 0.3:
            tokens += self._field(self._good("name"), "value")
        tokens.append(("eol", b"\r\n"))
        return body, tokens

    def _spoil(self, tokens: list[Token]) -> None:
        """Put one fault into the tokens."""
        if not tokens:
            return
        spoil = self.random.choice(
            [
                *[self._replace] * 3,
                self._repeat,
                self._drop,
                self._move,
                self._insert_bytes,
                self._change_byte,
                self._truncate,
            ]
        )
        places = range(len(tokens))
        if self.random.random() < 0.5:
            # Where a message ends is decided by few of the tokens.
            places = [place for place in places if tokens[place][0] in FRAMING] or places
        spoil(tokens, self.random.choice(places))

    def _replace(self, tokens: list[Token], at: int) -> None:
        kind, text = tokens[at]
        tokens[at] = (kind, self.random.choice(BAD.get(kind, [text + b"x", b"", text * 2])))

    def _repeat(self, tokens: list[Token], at: int) -> None:
        span = self.random.randint(1, 8)
        tokens[at:at] = tokens[at : at + span] * self.random.choice([1, 1, 2, 30])

    def _drop(self, tokens: list[Token], at: int) -> None:
        del tokens[at : at + self.random.randint(1, 6)]

    def _move(self, tokens: list[Token], at: int) -> None:
        span = self.random.randint(1, 6)
        moved = tokens[at : at + span]
        del tokens[at : at + span]
        place = self.random.randint(0, len(tokens))
        tokens[place:place] = moved

    def _insert_bytes(self, tokens: list[Token], at: int) -> None:
        tokens.insert(at, ("odd", self.random.choice(ODD_BYTES)))

    def _change_byte(self, tokens: list[Token], at: int) -> None:
        kind, text = tokens[at]
        if text:
            position = self.random.randrange(len(text))
            tokens[at] = (kind, text[:position] + self.random.choice(ODD_BYTES) + text[position + 1 :])

    def _truncate(self, tokens: list[Token], at: int) -> None:
        del tokens[at:]
