import fcntl
import logging
import logging.config
import os
import pty
import re
import socket
import termios
from contextlib import suppress

import pytest

from sdserve.host import journal as journal_protocol
from sdserve.host import logs


class Output:
    """Stands for standard error; what is written to it can be read back."""

    def __init__(self, ours, theirs):
        self._ours = ours
        self.descriptor = theirs
        os.set_blocking(ours, False)  # nothing written is a failure, not a hang

    def text(self):
        return os.read(self._ours, 65536).decode()

    def all_text(self):
        with suppress(BlockingIOError):
            text = self.text()
            return text + self.all_text()
        return ""

    def close(self):
        os.close(self._ours)
        os.close(self.descriptor)


class Terminal(Output):
    """What is written to a terminal need not be there for a single read: an end is written behind it."""

    END = b"(end)\r\n"

    def text(self):
        os.write(self.descriptor, self.END.replace(b"\r", b""))
        os.set_blocking(self._ours, True)
        received = b""
        while not received.endswith(self.END):
            received += os.read(self._ours, 65536)
        return received.removesuffix(self.END).decode()


@pytest.fixture
def use(monkeypatch, own_logs):
    """Call it with what is to be standard error from now on."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)

    def use(descriptor):
        monkeypatch.setattr(logs, "STDERR", descriptor)

    return use


@pytest.fixture
def journal(monkeypatch, use):
    """A socket that the environment says is the journal's; a packet is one write."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    output = Output(ours.detach(), theirs.detach())
    status = os.fstat(output.descriptor)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    use(output.descriptor)
    yield output
    output.close()


@pytest.fixture
def pipe(use):
    output = Output(*os.pipe())
    use(output.descriptor)
    yield output
    output.close()


@pytest.fixture
def terminal(monkeypatch, use):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    output = Terminal(*pty.openpty())
    use(output.descriptor)
    yield output
    output.close()


def log_failure(logger):
    try:
        raise LookupError("first\nsecond")
    except LookupError:
        logger.exception("failed")


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_the_journal_gets_priorities(journal, own_logs, level, priority):
    logs.configure("debug")
    getattr(own_logs, level)("here")
    assert journal.text() == f"<{priority}>here\n"


@pytest.mark.parametrize(("level", "priority"), [(5, 7), (25, 6), (35, 4), (99, 2)])
def test_levels_in_between_have_the_priority_below(journal, own_logs, level, priority):
    logs.configure("debug")
    own_logs.setLevel(1)
    own_logs.log(level, "here")
    assert journal.text() == f"<{priority}>here\n"


def test_a_traceback_is_one_write_and_each_of_its_lines_has_the_priority(journal, own_logs):
    logs.configure("info")
    log_failure(own_logs)
    lines = journal.text().splitlines()
    assert lines[0] == "<3>failed"
    assert lines[1] == "<3>    Traceback (most recent call last):"
    assert lines[-2:] == ["<3>    LookupError: first", "<3>    second"]
    assert all(line.startswith("<3>    ") for line in lines[1:])


def test_a_message_of_several_lines_cannot_choose_a_priority(journal, own_logs):
    logs.configure("info")
    own_logs.info("one\n<0>two\n\n")
    assert journal.text() == "<6>one\n<6>    <0>two\n"


@pytest.mark.parametrize("written_to", ["journal", "pipe"])
def test_what_the_journal_can_explain_is_told_to_it_with_the_id(
    request, tmp_path, monkeypatch, own_logs, written_to
):
    output = request.getfixturevalue(written_to)
    monkeypatch.setattr(journal_protocol, "SOCKET", f"{tmp_path}/journal")
    logs.configure("info")
    about = {logs.MESSAGE_ID: "7" * 32}
    own_logs.error("nobody listens", extra=about)
    assert "nobody listens" in output.text()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as reader:
        reader.bind(journal_protocol.SOCKET)
        own_logs.error("this can be\nexplained \x1b", extra=about)
        if written_to == "pipe":
            assert "explained" in output.text()
            return
        received = reader.recv(1000)
    assert b"MESSAGE_ID=" + b"7" * 32 in received
    assert b"PRIORITY=3\nSYSLOG_IDENTIFIER=sdserve\n" in received
    assert b"this can be\nexplained \\x1b\n" in received
    assert output.all_text() == ""


@pytest.mark.parametrize("stream", ["", "1:2", "x", "1:2:3"])
def test_another_stream_is_not_the_journal(monkeypatch, pipe, stream):
    monkeypatch.setenv("JOURNAL_STREAM", stream)
    assert not logs.is_journal()


def test_a_pipe_gets_time_level_and_text(pipe, own_logs):
    logs.configure("info")
    own_logs.warning("here %d", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d warning here 1\n", pipe.text())


def test_lines_after_the_first_are_indented(pipe, own_logs):
    logs.configure("info")
    log_failure(own_logs)
    first, *more = pipe.text().splitlines()
    assert first.endswith(" error failed")
    assert more[-1] == "    second"
    assert all(line.startswith("    ") for line in more)


def test_a_terminal_gets_clock_coloured_level_and_text(terminal, own_logs):
    logs.configure("info")
    own_logs.error("here")
    own_logs.info("there")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d \x1b\[31merror  \x1b\[0m here\r\n\d\d:\d\d:\d\d \x1b\[32minfo   \x1b\[0m there\r\n",
        terminal.text(),
    )


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_unwanted(monkeypatch, terminal, own_logs, name, value):
    monkeypatch.setenv(name, value)
    logs.configure("info")
    own_logs.error("here")
    assert re.fullmatch(r"\d\d:\d\d:\d\d error   here\r\n", terminal.text())


def test_an_empty_no_color_says_nothing(monkeypatch, terminal):
    monkeypatch.setenv("NO_COLOR", "")
    assert logs.has_colour()


def test_a_worker_says_which_one_it_is(journal, own_logs):
    logs.configure("info")
    logs.configure("info", slot=3)
    own_logs.info("here")
    assert journal.text() == "<6>worker 3: here\n"


def test_from_the_second_generation_on_a_worker_says_of_which_it_is(journal, own_logs):
    logs.configure("info", slot=3, generation=2)
    own_logs.info("here")
    assert journal.text() == "<6>worker 3 of generation 2: here\n"


def test_the_level_is_that_of_sdserve_and_of_the_application(journal, own_logs):
    logs.configure("warning")
    own_logs.info("no")
    logging.getLogger("shop").info("no")
    own_logs.warning("yes")
    logging.getLogger("shop.cart").warning("yes")
    assert [journal.text(), journal.text()] == ["<4>yes\n", "<4>shop.cart: yes\n"]


def test_the_access_log_is_not_a_matter_of_the_level(journal, own_logs):
    logs.configure("error")
    logging.getLogger("sdserve.access").info("GET /")
    assert journal.text() == "<6>GET /\n"


def test_what_could_deceive_a_reader_is_escaped(journal, own_logs):
    logs.configure("info")
    own_logs.info("a\x1b[2Jb\rc\x00d\x7fe\x85f\u2028g\u202eh\ti\xe9\U0001f600")
    assert journal.text() == "<6>a\\x1b[2Jb\\rc\\x00d\\x7fe\\x85f\\u2028g\\u202eh\ti\xe9\U0001f600\n"


def test_text_that_is_no_unicode_is_escaped(journal, own_logs):
    logs.configure("info")
    own_logs.info("a\udcffb")
    assert journal.text() == "<6>a\\udcffb\n"


def test_a_record_that_cannot_be_formatted_says_where_it_was_made(journal, own_logs):
    logs.configure("info")
    own_logs.info("%d", "x")
    assert re.fullmatch(r"<6>\S*/test_logs\.py:\d+: record not formatted: TypeError\n", journal.text())


def test_a_stack_can_be_logged(journal, own_logs):
    logs.configure("info")
    own_logs.info("here", stack_info=True)
    assert journal.text().startswith("<6>here\n<6>    Stack (most recent call last):\n<6>      File ")


def test_a_broken_standard_error_loses_the_line_and_no_more(use, own_logs):
    reader, writer = os.pipe()
    os.close(reader)
    use(writer)
    logs.configure("info")
    own_logs.info("lost")
    os.close(writer)


def test_a_full_standard_error_loses_the_line_and_no_more(use, own_logs):
    with open("/dev/full", "wb") as full:
        use(full.fileno())
        logs.configure("info")
        own_logs.info("lost")


def test_a_closed_standard_error_is_no_error(use, own_logs):
    closed = os.dup(2)
    os.close(closed)
    use(closed)
    assert not logs.is_journal()
    logs.configure("info")
    own_logs.info("lost")


def test_what_one_write_does_not_take_is_written_by_the_next(use):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    size = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    use(writer)
    logs.write("x" * (size + 100))  # the second write finds the pipe full, and the rest is lost
    assert len(os.read(reader, 2 * size)) == size
    os.close(reader)
    os.close(writer)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.timeout(20)
def test_a_full_pipe_holds_up_nobody_who_does_not_wait_and_later_lines_say_what_was_lost(pipe, own_logs):
    logs.configure("info", waits=False)
    size = fcntl.fcntl(pipe.descriptor, fcntl.F_GETPIPE_SZ)
    before = descriptors()
    written = size // 1000 + 10
    for number in range(written):
        own_logs.info("%d %s", number, "x" * 1000)
    received = pipe.all_text()
    own_logs.warning("room again")
    _, notice, last = pipe.text().splitlines()
    lost = written - received.count("x\n")
    assert notice.endswith(
        f" warning standard error was full: {lost} of the records before this line were lost"
    )
    assert last.endswith(" warning room again")
    own_logs.info("as ever")
    assert re.fullmatch(r".* info as ever\n", pipe.text())
    assert os.get_blocking(pipe.descriptor), "it is not ours alone"
    assert descriptors() == before


@pytest.mark.timeout(20)
def test_a_line_larger_than_all_room_is_cut_and_holds_up_nobody(pipe, own_logs):
    logs.configure("info", waits=False)
    own_logs.info("x" * 2 * fcntl.fcntl(pipe.descriptor, fcntl.F_GETPIPE_SZ))
    pipe.all_text()
    own_logs.info("here")
    assert "full: 1 of the records" in pipe.text()


@pytest.mark.timeout(20)
def test_a_stopped_terminal_holds_up_nobody_who_does_not_wait(terminal, own_logs):
    logs.configure("info", waits=False)
    termios.tcflow(terminal.descriptor, termios.TCOOFF)  # what Ctrl-S does
    for _ in range(2):
        own_logs.info("lost")
    termios.tcflow(terminal.descriptor, termios.TCOON)
    own_logs.info("here")
    shown = terminal.text()
    assert "lost\r\n" not in shown.replace("were lost", "")
    assert "full: 2 of the records before this line were lost" in shown
    assert shown.endswith("here\r\n")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_what_a_worker_fills_between_our_look_and_our_write_does_not_hold_us_up(request, kind):
    output = request.getfixturevalue(kind)
    with logs._own_opening() as own, suppress(BlockingIOError):
        while True:
            os.write(own, b"x" * 4096)
    assert not logs.offer("x" * 1_000_000)  # a terminal makes some room by and by
    assert os.get_blocking(output.descriptor), "it is not ours alone"


@pytest.mark.parametrize(("path", "takes_it"), [("/dev/full", False), ("/dev/null", True)])
def test_what_is_neither_pipe_nor_terminal_is_written_to_as_it_is(use, path, takes_it):
    with open(path, "wb") as file:
        use(file.fileno())
        assert logs.offer("here\n") is takes_it


def test_a_broken_or_closed_standard_error_takes_nothing_and_raises_nothing(use):
    reader, writer = os.pipe()
    use(writer)
    os.close(reader)
    assert logs.offer("lost") is False
    os.close(writer)
    assert logs.offer("lost") is False


def test_a_socket_is_offered_no_more_than_it_takes(use):
    ours, theirs = socket.socketpair()  # as the journal's
    with ours, theirs:
        use(theirs.fileno())
        assert logs.offer("here")
        assert ours.recv(10) == b"here"
        assert not logs.offer("x" * 10_000_000)
        assert theirs.getblocking()


def test_what_the_application_makes_of_the_root_logger_stays(journal, own_logs):
    logs.configure("info")
    root = logging.getLogger()
    before = root.handlers[:]
    try:
        root.handlers = []
        root.setLevel(logging.ERROR)
        logs.configure("info", slot=1)
        assert root.handlers == []
        assert root.level == logging.ERROR
    finally:
        root.handlers = before
    own_logs.info("here")
    assert journal.text() == "<6>worker 1: here\n"


def test_configuring_again_doubles_nothing(journal, own_logs):
    for level in ("info", "debug", "info"):
        logs.configure(level)
    own_logs.info("one")
    logging.getLogger("shop").info("two")
    assert [journal.text(), journal.text()] == ["<6>one\n", "<6>shop: two\n"]
    with pytest.raises(BlockingIOError):
        journal.text()


def test_an_application_that_disables_loggers_does_not_silence_ours(journal, own_logs):
    logs.configure("info")
    child = logging.getLogger("sdserve.worker")
    others = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    disabled = {logger.name: logger.disabled for logger in others}
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        logging.config.dictConfig({"version": 1, "root": {"level": "INFO", "handlers": []}})
        assert child.disabled
        logs.keep_own_loggers()
    finally:
        for logger in others:
            logger.disabled = disabled[logger.name]
        root.handlers = handlers
        root.setLevel(level)
    assert not child.disabled
    child.info("here")
    assert journal.text() == "<6>here\n"
