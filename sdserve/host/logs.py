"""Log lines on standard error, in the form that suits what is connected to it.

- The journal (`JOURNAL_STREAM`, systemd.exec(5)): each line starts with `<N>`, its priority (sd-daemon(3)).
  Records with an attribute `MESSAGE_ID`, one of `sdserve.core.catalog`, are sent to it in its own protocol.
- A terminal: local time, the level in colour unless `NO_COLOR` is set (https://no-color.org), the text.
- Anything else: ISO 8601 time, level, text.

A record may have several lines (a traceback, an application's message). Those after the first are indented,
so that no text, whoever wrote it, can pass for a record of its own; other control characters are escaped.
A standard error that is closed, full or broken loses lines; it never raises. In a worker a line waits until
there is room for it, as any output of the application does; the supervisor waits for nobody.
"""

from __future__ import annotations

import logging
import os
import re
import select
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sdserve.host import journal
from sdserve.host.fds import Fd

STDERR = 2
INDENT = "    "
ERROR_PRIORITY = 3
MESSAGE_ID = "sdserve_message_id"
"""The attribute of a record that has one; applications have names of their own in `extra`."""

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, ERROR_PRIORITY),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG_PRIORITY = 7
_COLOURS = {2: "\x1b[1;31m", 3: "\x1b[31m", 4: "\x1b[33m", 6: "\x1b[32m", 7: "\x1b[2m"}
_RESET = "\x1b[0m"

# C0 but HTAB and LF, DEL, C1, the Unicode line ends, and the marks that reverse what a terminal shows.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_tracebacks = logging.Formatter()


def configure(level: str, slot: int | None = None, generation: int = 1, *, waits: bool = True) -> None:
    """Send the records of sdserve and of the application, from `level` on, to standard error.

    Call it again in a worker, with its `slot`. What an application that was loaded in between has made of the
    root logger stays as it is; `keep_own_loggers` is for what it did to ours.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        slot: the worker's slot, shown on each line; None outside of workers.
        generation: the worker's, shown as well from the second on: a slot may have workers of several.
        waits: whether a line waits for room, as in a pipe whose reader is behind; else it is lost.
    """
    handler = StandardError(slot, generation, waits=waits)
    own = logging.getLogger("sdserve")
    root = logging.getLogger()
    is_first_call = not _remove_handler(own)
    if _remove_handler(root) or is_first_call:
        root.addHandler(handler)
    if is_first_call:
        root.setLevel(level.upper())
    own.addHandler(handler)
    own.setLevel(level.upper())
    own.propagate = False  # an application that replaces the root's handlers leaves ours alone
    # Whether there is an access log is an option of its own, not a level.
    logging.getLogger("sdserve.access").setLevel(logging.INFO)


def _remove_handler(logger: logging.Logger) -> bool:
    """Remove what an earlier `configure` added to `logger`; say whether there was anything."""
    ours = [handler for handler in logger.handlers if isinstance(handler, StandardError)]
    for handler in ours:
        logger.removeHandler(handler)
    return bool(ours)


def keep_own_loggers() -> None:
    """Undo what an application's `dictConfig`, which disables existing loggers by default, did to ours."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] == "sdserve" and isinstance(logger, logging.Logger):
            logger.disabled = False


class StandardError(logging.Handler):
    """Writes each record with one write(2), so that lines of several processes do not mix."""

    def __init__(self, slot: int | None = None, generation: int = 1, *, waits: bool = True) -> None:
        super().__init__()
        of = f" of generation {generation}" if generation > 1 else ""
        self._worker = "" if slot is None else f"worker {slot}{of}: "
        self._line = _form()
        self._waits = waits
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`; for one that cannot be formatted a line that says where it comes from."""
        try:
            text = record_text(record)
        except Exception as error:  # whatever the application's objects do when they are formatted
            text = f"{record.pathname}:{record.lineno}: record not formatted: {type(error).__name__}"
        text = escape(self._worker + text.rstrip("\n"))
        message_id = getattr(record, MESSAGE_ID, "")
        if message_id and self._line is _journal_line and _explained(record, text, message_id):
            return
        lines = text.split("\n")
        head = self._line(record, lines[0])
        # The journal reads each line alone and wants the priority on all of them.
        indent = f"<{priority(record.levelno)}>{INDENT}" if self._line is _journal_line else INDENT
        data = "".join([head, "\n", *(f"{indent}{line}\n" for line in lines[1:])])
        if self._waits:
            write(data)
        else:
            self._offer(data)

    def _offer(self, data: str) -> None:
        """Write `data` if there is room for it, after a word about the records for which there was none."""
        if self._lost:
            text = f"standard error was full: {self._lost} of the records before this line were lost"
            about = logging.makeLogRecord({"levelno": logging.WARNING, "levelname": "WARNING"})
            notice = self._line(about, text)
            # On a line of its own even if the last one that was taken was cut short.
            if not offer(f"\n{notice}\n"):
                self._lost += 1
                return
            self._lost = 0
        if not offer(data):
            self._lost += 1


def is_journal() -> bool:
    """Say whether standard error is the journal's stream: `JOURNAL_STREAM` is `device:inode`, in decimal."""
    stream = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(STDERR)
    except OSError:
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


def has_colour() -> bool:
    """Say whether a terminal on standard error may be written to in colour."""
    return os.isatty(STDERR) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _explained(record: logging.LogRecord, text: str, message_id: str) -> bool:
    """Say whether the journal took `text` together with the id by which it explains it, journalctl(1) -x."""
    fields: dict[str, str | int] = {
        "MESSAGE": text,
        "PRIORITY": priority(record.levelno),
        "SYSLOG_IDENTIFIER": "sdserve",
        "MESSAGE_ID": message_id,
    }
    try:
        journal.send(fields)
    except OSError:
        return False
    return True


def priority(level: int) -> int:
    """Return the syslog priority (RFC 5424 section 6.2.1) of a logging level."""
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG_PRIORITY)


def record_text(record: logging.LogRecord) -> str:
    """Return message, traceback and stack of `record`; the logger's name comes first unless it is ours."""
    text = record.getMessage()
    if record.name != "sdserve" and not record.name.startswith("sdserve."):
        text = f"{record.name}: {text}"
    if record.exc_info and not record.exc_text:
        record.exc_text = _tracebacks.formatException(record.exc_info)
    if record.exc_text:
        text = f"{text}\n{record.exc_text}"
    if record.stack_info:
        text = f"{text}\n{record.stack_info}"
    return text


def escape(text: str) -> str:
    """Return `text` with every character that could deceive a reader written as `\\xNN` or `\\uNNNN`."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _form() -> Callable[[logging.LogRecord, str], str]:
    if is_journal():
        return _journal_line
    if not os.isatty(STDERR):
        return _plain_line
    return _coloured_line if has_colour() else _terminal_line


def _journal_line(record: logging.LogRecord, text: str) -> str:
    return f"<{priority(record.levelno)}>{text}"


def _terminal_line(record: logging.LogRecord, text: str) -> str:
    return f"{_clock(record)} {record.levelname.lower():<7} {text}"


def _coloured_line(record: logging.LogRecord, text: str) -> str:
    colour = _COLOURS[priority(record.levelno)]
    return f"{_clock(record)} {colour}{record.levelname.lower():<7}{_RESET} {text}"


def _plain_line(record: logging.LogRecord, text: str) -> str:
    when = datetime.fromtimestamp(record.created, UTC).astimezone()
    return f"{when.isoformat(timespec='milliseconds')} {record.levelname.lower()} {text}"


def _clock(record: logging.LogRecord) -> str:
    return time.strftime("%H:%M:%S", time.localtime(record.created))


def write(text: str) -> None:
    """Write `text` to standard error as it is; one that cannot take it loses it."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(STDERR, data) :]
    except OSError:
        pass  # there is no other place to say so


def offer(text: str) -> bool:
    """Write `text` to standard error without waiting; say whether there was room for all of it."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        with _own_opening() as descriptor:
            while data and _has_room(descriptor):
                # What has room at all has it for so much (pipe(7)).
                data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]
    except OSError:
        pass  # as full, or broken
    return not data


@contextmanager
def _own_opening() -> Iterator[int]:
    """Open what is behind standard error once more, not to block; where that is impossible, itself.

    Between our look at a pipe and our write a worker may have filled it. On descriptor 2 itself O_NONBLOCK
    would be set for everybody who shares it, workers and shell included.
    """
    try:
        # A socket cannot be opened again, and a file always has room.
        again = stat.S_ISFIFO(os.fstat(STDERR).st_mode) or os.isatty(STDERR)
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        own = Fd(os.open(f"/proc/self/fd/{STDERR}", flags)) if again else None
    except OSError:
        own = None  # another user's terminal, or no /proc: to look before each write has to do
    if own is None:
        yield STDERR
    else:
        with own:
            yield own.fileno()


def _has_room(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    return bool(poller.poll(0))
