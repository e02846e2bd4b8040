"""How a command speaks: its result goes to standard output, what is wrong to standard error."""

from __future__ import annotations

import os
import sys

from sdserve.errors import EXIT_FAILURE, EXIT_OK, SdserveError
from sdserve.host import logs


def write(text: str) -> int:
    """Write `text`, the result of a command, to standard output; return the exit code of the command.

    Raises:
        SdserveError: it cannot be written, for another reason than a reader who has seen enough.
    """
    try:
        print(logs.escape(text).encode(errors="backslashreplace").decode(), flush=True)
    except OSError as error:
        # What is left in the buffer would be complained about a second time when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return EXIT_FAILURE
        raise SdserveError(f"standard output cannot be written: {error.strerror}") from None
    return EXIT_OK


def complain(message: str) -> None:
    """Write `message` to standard error, with its priority on each line if that is the journal."""
    prefix = f"<{logs.ERROR_PRIORITY}>" if logs.is_journal() else ""
    logs.write("".join(f"{prefix}{line}\n" for line in logs.escape(message).split("\n")))
