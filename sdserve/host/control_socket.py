"""Where an instance is spoken to: a unix socket `control` in its runtime directory.

A service manager makes that directory (`RuntimeDirectory=` of systemd.exec(5)) and removes it. Elsewhere
it is `sdserve/NAME` below /run for root, below $XDG_RUNTIME_DIR for everybody else, and is made here.

Who holds the lock beside the socket owns the name: a socket that is there although nobody holds the lock
was left by a process that was killed.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from sdserve.errors import BindError
from sdserve.host.fds import Fd

RUN = Path("/run")
SOCKET = "control"
LOCK = "control.lock"
MODE = 0o600
BACKLOG = 64

_TRIES = 5
"""Of taking the lock, while those who give it up remove its file."""


def directories(name: str) -> Iterator[Path]:
    """The runtime directories in which this process looks for the instance `name`, the likeliest first."""
    below = Path("sdserve") / name
    given = [Path(path) for path in os.environ.get("RUNTIME_DIRECTORY", "").split(":") if path]
    # A unit may have several. That of sdserve's own unit file is the one others look for.
    yield from sorted(given, key=lambda path: path.parts[-2:] != below.parts)[:1]
    own = os.environ.get("XDG_RUNTIME_DIR")
    if own and os.geteuid() != 0:
        yield Path(own) / below
    yield RUN / below
    if own and os.geteuid() == 0:
        yield Path(own) / below


def own_directory(name: str) -> Path | None:
    """The runtime directory of the instance `name` that this process serves; None if it may have none."""
    if name in ("", ".", ".."):
        return None
    if os.geteuid() != 0 and not (os.environ.get("RUNTIME_DIRECTORY") or os.environ.get("XDG_RUNTIME_DIR")):
        return None  # only root may make one below /run
    return next(directories(name))


def connect(name: str) -> socket.socket:
    """A connection to the instance `name`, blocking.

    FileNotFoundError if it does not run, PermissionError if it does and this user may not speak to it.
    """
    refused: PermissionError | None = None
    for directory in dict.fromkeys(directories(name)):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.connect(str(directory / SOCKET))
        except OSError as error:
            client.close()
            if isinstance(error, PermissionError):
                refused = error
        else:
            return client
    raise refused or FileNotFoundError(name)


def running() -> list[str]:
    """The names of the instances whose control sockets are there, in the places that `directories` gives."""
    tops = [RUN / "sdserve"]
    if own := os.environ.get("XDG_RUNTIME_DIR"):
        tops.append(Path(own) / "sdserve")
    names = {path.parent.name for top in tops for path in top.glob(f"*/{SOCKET}")}
    return sorted(names)


def peer_user(connected: socket.socket) -> int:
    """The user id of the process at the other end when it connected (SO_PEERCRED, unix(7))."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return int(user)


class ControlSocket:
    """The listening socket, owned, with its lock, and with the directories that were made for it."""

    def __init__(self, directory: Path) -> None:
        """Listen in `directory`, which is made if need be. BindError if that is impossible."""
        self.path = directory / SOCKET
        self._made: list[Path] = []
        self._lock: Fd | None = None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._lock = self._take_lock(directory)
            self.path.unlink(missing_ok=True)
            self.socket.setblocking(False)
            self.socket.bind(str(self.path))
            # Nobody can connect before listen(), so nobody slips through the mode of the umask.
            self.path.chmod(MODE)
            self.socket.listen(BACKLOG)
        except OSError as error:
            self.close()
            # A path that is too long has no number.
            raise BindError(f"{self.path}: {error.strerror or error}") from None
        except BindError:
            self.close()
            raise

    @classmethod
    def resumed(cls, path: Path, listener: Fd, lock: Fd, made: Iterable[Path]) -> ControlSocket:
        """The one that the program before this has listened on, at `path`, in directories that it made."""
        control = cls.__new__(cls)
        control.path = path
        control.socket = socket.socket(fileno=listener.steal())
        control.socket.setblocking(False)
        control._lock = lock
        control._made = list(made)
        return control

    @property
    def made(self) -> tuple[Path, ...]:
        """The directories that were made for it."""
        return tuple(self._made)

    def fileno(self) -> int:
        """Borrowed."""
        return self.socket.fileno()

    def lock(self) -> int:
        """The descriptor of the lock, borrowed; -1 if it is closed."""
        return -1 if self._lock is None else self._lock.fileno()

    def _take_lock(self, directory: Path) -> Fd:
        path = directory / LOCK
        for _ in range(_TRIES):
            self._make(directory)
            try:
                lock = Fd(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, MODE))
            except FileNotFoundError:
                continue  # whoever made the directory has just removed it
            try:
                fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                raise BindError(f"{self.path}: another instance of that name runs") from None
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), os.stat(path, follow_symlinks=False)):
                    return lock
            lock.close()  # of a file that its last owner has removed
        raise BindError(f"{self.path}: its directory disappears again and again")

    def _make(self, directory: Path) -> None:
        for path in (directory.parent, directory):
            with suppress(FileExistsError):
                path.mkdir(0o755 if path == RUN / "sdserve" else 0o700)
                self._made.append(path)

    def close(self) -> None:
        """Stop listening and remove what was made; closing again does nothing."""
        if self._lock is not None:
            for path in (self.path, self.path.with_name(LOCK)):
                with suppress(OSError):
                    path.unlink()
            self._lock.close()
            self._lock = None
            for directory in reversed(self._made):
                with suppress(OSError):  # somebody else is in there by now
                    directory.rmdir()
        self.socket.close()
