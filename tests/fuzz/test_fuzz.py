"""A short run of the fuzzer with a fixed seed; `make fuzz` is the long one. And the fuzzer's own tests."""

from __future__ import annotations

import pytest

from sdserve.core.http.strict import StrictParser
from sdserve.errors import RemoteProtocolError
from tests.core.http import cases as corpus
from tests.fuzz.cases import corpus_file, shrink
from tests.fuzz.generate import Generator
from tests.fuzz.laws import LIMITS, BrokenLawError, check
from tests.fuzz.live import APPLICATION, SETTINGS, check_live
from tests.serving import serve

STREAMS = 1200
LIVE_STREAMS = 300


def fuzz(generator, streams):
    for number in range(streams):
        stream = generator.stream()
        check(stream.data, generator.pieces(stream.data), stream.meaning, each=number % 10 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_laws_hold_for_the_parsers_and_the_connection(seed):
    fuzz(Generator(seed), STREAMS)


@pytest.mark.slow
@pytest.mark.parametrize("parser", ["strict", "h11"])
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_the_laws_hold_for_a_server(interface, parser):
    generator = Generator(3)
    settings = {**SETTINGS, "http.parser": parser, "log.level": "warning"}
    with serve(f"{APPLICATION}:{interface}", interface=interface, settings=settings) as server:
        worker = server.request("GET", "/").text
        for _ in range(LIVE_STREAMS):
            check_live(server, parser, generator.pieces(generator.stream().data))
        assert server.request("GET", "/").text == worker


def test_the_same_seed_makes_the_same_streams():
    one, other = Generator(7), Generator(7)
    for _ in range(50):
        data = one.stream().data
        assert data == other.stream().data
        assert one.pieces(data) == other.pieces(data)


def test_half_of_the_streams_mean_something_and_most_others_are_refused():
    """A fuzzer whose streams all fail at the first byte tests nothing."""
    generator = Generator(5)
    streams = [generator.stream() for _ in range(400)]
    spoilt = [stream for stream in streams if stream.meaning is None]
    assert 100 < len(spoilt) < 300
    refused = 0
    for stream in spoilt:
        try:
            check(stream.data, [stream.data], [], each=False)
        except BrokenLawError as error:
            refused += "refused" in str(error)
    assert refused > len(spoilt) / 3


def _forgiving(original, data):
    try:
        return original(data)
    except RemoteProtocolError:
        return None


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("an exception", lambda original, data: 1 // 0),
        ("an early end", lambda original, data: original(data) if len(data) > 60 else None),
        ("nothing is refused", _forgiving),
    ],
)
def test_a_broken_parser_breaks_a_law(monkeypatch, name, broken):
    original = StrictParser.next_request
    monkeypatch.setattr(
        StrictParser,
        "next_request",
        lambda parser: broken(lambda _: original(parser), bytes(parser.input.data)),
    )
    with pytest.raises(BrokenLawError):
        fuzz(Generator(1), 500)


def test_a_case_is_made_small_and_can_be_read_back(tmp_path):
    stream = Generator(11).stream()
    tokens = [*stream.tokens, ("odd", b"a\0{b*3}\\\xff\t"), *stream.tokens]
    data = shrink(tokens, lambda data: b"\0{b*3}\\\xff" in data)
    assert data == b"\0{b*3}\\\xff"
    for original in (data, b"#a\r\nb", b"---\n@x", b" \r\n \n\n"):
        path = tmp_path / "valid" / "case.http"
        path.parent.mkdir(exist_ok=True)
        path.write_text(corpus_file(original, "A law.", LIMITS) + "GET / HTTP/1.1\n")
        assert corpus._read(path).data == original
