"""Fuzz the parsers, the connection and a running server: `python -m tests.fuzz [SECONDS [SEED]]`.

Half of the time is for the parsers and the connection, half for servers. The same seed
makes the same streams. What breaks a law is printed as a file of the corpus, as small as it can be made; then
it ends with 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tests.fuzz.cases import corpus_file, shrink
from tests.fuzz.generate import Generator, Stream
from tests.fuzz.laws import LIMITS, BrokenLawError, check
from tests.fuzz.live import APPLICATION, SETTINGS, check_live
from tests.serving import serve

SERVERS = [("wsgi", "strict"), ("asgi", "strict"), ("wsgi", "h11"), ("asgi", "h11")]


def main(arguments: list[str]) -> int:
    seconds = float(arguments[0]) if arguments else 60.0
    seed = int(arguments[1]) if len(arguments) > 1 else time.time_ns() % 1_000_000
    print(f"seed {seed}, {seconds:g} seconds", flush=True)
    try:
        _fuzz_core(seed, seconds / 2)
        for number, (interface, parser) in enumerate(SERVERS):
            _fuzz_server(seed + number + 1, seconds / 2 / len(SERVERS), interface, parser)
    except BrokenLawError as error:
        print(f"seed {seed}: {error}", file=sys.stderr)
        return 1
    return 0


def _fuzz_core(seed: int, seconds: float) -> None:
    generator = Generator(seed)

    def once(stream: Stream) -> None:
        pieces = generator.pieces(stream.data)
        check(stream.data, pieces, stream.meaning, each=generator.random.random() < 0.1)

    def breaks(data: bytes) -> bool:
        try:
            check(data, [data[:1], data[1:]], None, each=True)
        except BrokenLawError:
            return True
        return False

    print(f"core: {_repeat(generator, seconds, once, breaks)} streams", flush=True)


def _fuzz_server(seed: int, seconds: float, interface: str, parser: str) -> None:
    generator = Generator(seed)
    settings = {**SETTINGS, "http.parser": parser, "log.level": "warning"}
    with serve(f"{APPLICATION}:{interface}", interface=interface, settings=settings) as server:
        worker = server.request("GET", "/").text

        def once(stream: Stream) -> None:
            check_live(server, parser, generator.pieces(stream.data))

        def breaks(data: bytes) -> bool:
            try:
                check_live(server, parser, [data])
            except BrokenLawError:
                return True
            return False

        print(f"{interface}, {parser}: {_repeat(generator, seconds, once, breaks)} streams", flush=True)
        if server.request("GET", "/").text != worker:
            raise BrokenLawError("the worker was replaced")


def _repeat(
    generator: Generator, seconds: float, once: Callable[[Stream], None], breaks: Callable[[bytes], bool]
) -> int:
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        stream = generator.stream()
        try:
            once(stream)
        except BrokenLawError as error:
            data = shrink(stream.tokens, breaks) if breaks(stream.data) else stream.data
            print(corpus_file(data, str(error), LIMITS))
            raise
        count += 1
    return count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
