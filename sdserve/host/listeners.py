"""Listening sockets and who is to clean up after them."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass


@dataclass(slots=True)
class ListenSocket:
    """One listening, non-blocking, close-on-exec socket of a `[listen:NAME]` section, owned."""

    name: str
    socket: socket.socket
    created: tuple[int, int] | None = None
    """Device and inode of the file that we made for it; None for TCP and for what was passed to us."""
    is_passed: bool = False
    """By a socket unit, which listens on when we do not."""
    kept: str = ""
    """The name under which the service manager keeps it for us; empty: it does not."""

    def close(self) -> None:
        """Close it, and remove its file if we made it and nobody has replaced it since.

        The file of one that is `kept` stays: who comes next is reached by it, and so is the backlog.
        """
        if self.created is not None and not self.kept and self.socket.fileno() >= 0:
            self._remove_file(self.socket.getsockname())
        self.socket.close()

    def _remove_file(self, path: str) -> None:
        try:
            # As long as the socket is open no other file can have its inode's number.
            status = os.stat(path, follow_symlinks=False)
            if (status.st_dev, status.st_ino) == self.created:
                os.unlink(path)
        except OSError:
            pass  # it is gone, or its directory is no longer ours: nothing is left to do
