"""What systemd does between fork and exec: descriptors at 3, 4, ... and the variables that tell of them.

    pass_sockets.py NUMBERS NAMES PROGRAM [ARGUMENT ...]

NUMBERS are the descriptors as they are now, separated by commas; NAMES are theirs, separated by colons.
LISTEN_PID must name the very process that uses them, so this becomes the program. It is run as a script,
by its path and without `site`, which takes 15 ms.

The program dies with the thread that started this: a test run that is killed leaves no server behind.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys

START = 3
PR_SET_PDEATHSIG = 1  # linux/prctl.h; it outlives the exec (prctl(2))
SIGKILL = 9  # the module `signal` would take longer than all of this


def main(numbers: str, names: str, *command: str) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    # Above all the targets first, so that no target is still a source.
    sources = [fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, 100) for number in numbers.split(",")]
    for target, source in enumerate(sources, START):
        os.dup2(source, target)
    for number in {int(number) for number in numbers.split(",")}:
        if number >= START + len(sources):
            os.close(number)
    os.environ.update(LISTEN_FDS=str(len(sources)), LISTEN_FDNAMES=names, LISTEN_PID=str(os.getpid()))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
