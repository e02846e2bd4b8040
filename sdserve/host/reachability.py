"""Whether a user may connect to a unix socket, found by doing it, and if not what stands in the way."""

from __future__ import annotations

import errno
import os
import pwd
import socket
import stat
from pathlib import Path

from sdserve.errors import DeniedError, UsageError
from sdserve.host import accounts
from sdserve.host.fds import Fd

_MOST = 4096


def obstacle(path: str, user: str) -> str:
    """Return why the user named `user` cannot connect to the unix socket `path`; empty if that works.

    In a child process, which becomes that user with all of the user's groups. DeniedError if this one may not
    become another user, UsageError if there is none of that name. Not for a process with threads.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise UsageError(f"there is no user {user}") from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise DeniedError(f"only root can find out what {user} may do")
    ours, theirs = map(Fd, os.pipe())
    pid = os.fork()
    if pid == 0:
        _answer(path, entry, theirs)
    theirs.close()
    with ours:
        answer = bytearray()
        while data := os.read(ours.fileno(), _MOST):
            answer += data
    os.waitpid(pid, 0)
    return answer.decode(errors="backslashreplace")


def _answer(path: str, entry: pwd.struct_passwd, to: Fd) -> None:
    """The child's life."""
    try:
        if os.geteuid() == 0:
            os.initgroups(entry.pw_name, entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
        text = _try(Path(path))
    except BaseException as error:  # nothing of the parent's may run here
        text = f"this could not be found out: {error}"
    os.write(to.fileno(), text.encode(errors="backslashreplace")[:_MOST])
    os._exit(0)


def _try(path: Path) -> str:
    for directory in reversed(path.parents):
        try:
            is_open = os.access(directory, os.X_OK)
            rights = "" if is_open else f"may not enter {directory}, {_rights(directory)}"
        except OSError as error:
            rights = f"{directory}: {error.strerror}"
        if rights:
            return rights
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(str(path))
        except OSError as error:
            return _explain(error, path)
    return ""


def _explain(error: OSError, path: Path) -> str:
    match error.errno:
        case errno.EAGAIN:
            return ""  # the backlog is full: somebody listens, and we may connect
        case errno.ENOENT:
            return f"finds no socket at {path}: is it started?"
        case errno.ECONNREFUSED:
            return f"is refused at {path}: nobody listens there"
        case errno.EACCES:
            return f"may not write to {path}, {_rights(path)}"
        case _:
            return f"cannot connect to {path}: {error.strerror}"


def _rights(path: Path) -> str:
    status = os.stat(path)
    owner, group = accounts.user_name(status.st_uid), accounts.group_name(status.st_gid)
    return f"which belongs to {owner}:{group} and has mode {stat.S_IMODE(status.st_mode):04o}"
