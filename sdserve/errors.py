"""Every exception sdserve raises on purpose, and every exit code, on one page.

    SdserveError                 1   something failed; the message says what
    ├── UsageError               2   the command line is wrong
    ├── ConfigurationError      78   one or more settings are wrong; carries all of them
    ├── ReleaseError            78   `directory` or `venv` cannot be used as configured
    ├── CertificateError        78   a certificate, or its key, cannot be used
    ├── ActivationError         78   descriptors passed in do not match the configuration
    ├── BindError               71   an address cannot be bound
    ├── BootError                3   the application does not load or start
    ├── UnavailableError        69   an instance is asked for something and does not run or does not answer
    ├── DeniedError             77   an instance may not be spoken to by this user
    ├── WireError               70   two of our own processes do not understand each other
    ├── ProtocolError            -   HTTP; never ends a process
    │   ├── RemoteProtocolError      the client broke a rule; carries the status to answer
    │   └── LocalProtocolError       the application (or we) broke a rule
    └── ClientDisconnectedError  -   nobody takes what an application sends; an OSError as well

Expected outcomes are return values, not exceptions; an exception is a give-up
that passes through to `sdserve.cli`, which maps it to the exit code, or to the
connection it belongs to. The numbers follow systemd.exec(5), "Process Exit Codes".
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_BOOT = 3  # no worker of the first generation ever became ready
EXIT_UNAVAILABLE = 69
EXIT_SOFTWARE = 70
EXIT_OS = 71
EXIT_DENIED = 77
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130  # Ctrl-C, as shells report SIGINT


class SdserveError(Exception):
    """The root of the tree; `exit_code` is what the process ends with if nobody handles it."""

    exit_code = EXIT_FAILURE


class UsageError(SdserveError):
    """The command line is wrong."""

    exit_code = EXIT_USAGE


class Problem:
    """One wrong setting: where it stands, what is wrong, and what to do about it.

    `path` is a file, or an option of the command line; `line` counts from 1, 0 where there is none.
    """

    # By hand: the generator, which has little time, would import `dataclasses` for this alone.
    __slots__ = ("line", "message", "option", "path", "section")

    def __init__(self, path: str, line: int, section: str, option: str, message: str) -> None:
        self.path = path
        self.line = line
        self.section = section
        self.option = option
        self.message = message

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        name = f"[{self.section}] {self.option}".rstrip() if self.section else self.option
        return f"{place}: {name}: {self.message}" if name else f"{place}: {self.message}"


class ConfigurationError(SdserveError):
    """One or more settings are wrong. `problems` holds all that were found, in file order."""

    exit_code = EXIT_CONFIG

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ReleaseError(SdserveError):
    """`directory` or `venv` cannot be used as configured."""

    exit_code = EXIT_CONFIG


class CertificateError(SdserveError):
    """A certificate, or its key, cannot be used; the message begins with the file's name."""

    exit_code = EXIT_CONFIG


class ActivationError(SdserveError):
    """The descriptors that were passed in do not match the configured listeners."""

    exit_code = EXIT_CONFIG


class BindError(SdserveError):
    """An address cannot be bound."""

    exit_code = EXIT_OS


class BootError(SdserveError):
    """The application cannot be imported, is not callable, or its start-up failed."""

    exit_code = EXIT_BOOT


class UnavailableError(SdserveError):
    """An instance is asked for something, and does not run or does not answer."""

    exit_code = EXIT_UNAVAILABLE


class DeniedError(SdserveError):
    """An instance may not be spoken to by this user."""

    exit_code = EXIT_DENIED


class WireError(SdserveError):
    """A message between two of our own processes cannot be understood."""

    exit_code = EXIT_SOFTWARE


class ProtocolError(SdserveError):
    """Somebody broke a rule of HTTP; the subclass says who. Not raised itself."""


class RemoteProtocolError(ProtocolError):
    """The client broke a rule. `status` is what to answer before the connection is closed."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class LocalProtocolError(ProtocolError):
    """The application, or sdserve itself, broke a rule; the client is not to blame."""


class ClientDisconnectedError(SdserveError, OSError):
    """The client is gone, or was answered by us. An OSError, as the ASGI specification (2.4) asks for."""

    def __init__(self) -> None:
        super().__init__("the client has disconnected")
