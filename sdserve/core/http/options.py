"""What a user may set about HTTP, as one frozen value. Sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """The `[http]` section. Every limit is on accumulated bytes, however they were split on the way.

    The defaults of other servers, for comparison: request line 4,094 (gunicorn), 8 KiB (nginx);
    one field 8,190 (gunicorn); fields 100 (gunicorn, hyper); keep-alive 2 s (gunicorn), 5 s (uvicorn).
    """

    parser: str = "strict"
    """`strict`, our own, or `h11`."""
    max_request_line: int = 8 * KIB + 512
    """RFC 9112 section 3: at least 8,000 octets are recommended."""
    max_field: int = 8 * KIB
    max_fields: int = 100
    max_head: int = 64 * KIB
    """Request line and fields together, with their line ends."""
    max_trailers: int = 8 * KIB
    """The trailer section behind a body in chunks."""
    max_chunk_extensions: int = 4 * KIB
    """All extensions of a body's chunks; one line of them has at most 256 bytes anyway."""
    max_body: int = 0
    """0: no limit but the application's own."""
    body_memory: int = 256 * KIB
    """A WSGI request body above this goes to a private file."""
    max_output: int = 64 * KIB
    """What waits for a client, in our memory, before whoever answers it has to wait as well."""
    max_pipelined: int = 16
    """Requests of one connection answered in one go before other connections have their turn."""
    max_connections: int = 0
    """Of one worker; 0: as many as it has descriptors for."""
    head_timeout: float = 15.0
    """From the first byte of a request to the end of its head; bytes that arrive do not extend it."""
    body_timeout: float = 30.0
    """The longest silence while a body is awaited, and how late `body_min_rate` lets it be."""
    body_min_rate: int = 200
    """Bytes a second; 0: none. A tenth of the slowest modem, and Apache's mod_reqtimeout asks for 500."""
    keepalive_timeout: float = 75.0
    """Above the 60 s of common proxies, so that the proxy closes first."""
    write_timeout: float = 60.0
    """In each such time a client has to take what `body_min_rate` makes of it, one byte without that."""
    server_header: str = "sdserve"
    """The value of the Server field; empty sends none."""
