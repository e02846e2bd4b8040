"""What a user may set about the application, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOptions:
    """The `[app]` section, as it was configured (symbolic links not yet resolved)."""

    application: str = ""
    """`module:attribute`, or `module:factory()`."""
    directory: str = ""
    """Working directory and first entry of the import path; empty: where sdserve was started."""
    venv: str = ""
    interface: str = "auto"
    """`auto`, `wsgi` or `asgi`."""
    preload: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What a worker process needs of the `[workers]` section. Times in seconds."""

    threads: int = 1
    """1 calls a WSGI application on the loop's own thread; more use a pool of that size."""
    loop: str = "uvloop"
    """`uvloop` or `asyncio`."""
    drain_timeout: float = 30.0
    """How long requests in flight may take to finish once a worker drains."""
    request_timeout: float = 0.0
    """How long a request may make no progress in the application; 0: for ever."""
    max_queue_time: float = 60.0
    """How long a request may wait for a thread of the pool; 0: for ever."""
    drain_soft: float = 10.0
    """How long an answer that has begun may go on once a worker drains, before the application is told."""
    websocket_drain: float = 15.0
    """Over how long the WebSockets of a worker that drains are closed, if others serve on."""
    max_requests: int = 0
    """A worker that has answered so many asks to be replaced; 0: never."""
    max_age: float = 0.0
    """A worker that is so old asks to be replaced; 0: never."""
    max_memory: int = 0
    """Bytes: a worker whose resident set is larger asks to be replaced; 0: never."""
    warmup_path: str = ""
    """What a worker asks itself for before it is ready; empty: nothing."""
