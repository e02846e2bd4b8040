"""`sdserve check TARGET`: find everything that is wrong with a configuration, without starting anything.

What only the service can see, its credentials, is not looked at from elsewhere.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

from sdserve.cli.arguments import add_target, load_target
from sdserve.cli.output import write
from sdserve.config.load import Loaded, Values
from sdserve.config.model import Configuration
from sdserve.config.options import BY_SECTION, LISTEN
from sdserve.core.tls.material import expired, warnings
from sdserve.core.tls.options import TlsOptions
from sdserve.errors import CertificateError, ConfigurationError, Problem, ReleaseError, UsageError
from sdserve.host import accounts, reachability, release, tls

NAME = "check"
HELP = "report everything that is wrong with a configuration"
EXAMPLES = """\
  sdserve check shop                        as `sdserve run shop` would read it
  sdserve check /etc/sdserve/shop.ini
  sdserve check shop --proxy-user www-data  can nginx connect to its unix sockets, too?"""

_ACCOUNTS: tuple[tuple[str, Callable[[str], int]], ...] = (
    ("owner", accounts.user_id),
    ("group", accounts.group_id),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take TARGET and the user of a proxy."""
    add_target(parser)
    parser.add_argument(
        "--proxy-user", metavar="USER", help="also connect to the unix sockets, as this user (root only)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print one line if all is well; raises ConfigurationError, with all problems, if not."""
    loaded = load_target(arguments, problems)
    files = ", ".join(str(file) for file in loaded.target.files) or "no file"
    lines = [f"OK: {loaded.configuration.app.application}, configured by {files}"]
    if arguments.proxy_user is not None:
        lines += _reached(loaded, arguments.proxy_user)
    return write("\n".join([*lines, *_remarks(loaded.configuration)]))


def problems(values: Values) -> Iterator[Problem]:
    """What is wrong with `values` on this machine: places, accounts and certificates."""
    yield from _release_problems(values)
    for section in {section: None for section, option in values if option == "certificate"}:
        yield from _tls_problems(section, values)
    for option, look_up in _ACCOUNTS:
        for (section, name), value in values.items():
            if section.startswith(f"{LISTEN}:") and name == option:
                try:
                    look_up(value.value)
                except LookupError as error:
                    yield Problem(value.path, value.lines[0], section, name, str(error))


def _reached(loaded: Loaded, user: str) -> Iterator[str]:
    """Yield a line for each unix socket that `user` can connect to; ConfigurationError names the others."""
    found: list[Problem] = []
    paths = [
        (listener, address.removeprefix("unix:"))
        for listener in loaded.configuration.listen
        for address in listener.addresses
        if address.startswith("unix:")
    ]
    if not paths:
        raise UsageError("--proxy-user: no unix socket is configured, and anybody may connect to the others")
    for listener, path in paths:
        fault = reachability.obstacle(path, user)
        if not fault:
            yield f"OK: {user} can connect to unix:{path}"
            continue
        section = f"{LISTEN}:{listener.name}"
        advice = f"; set group = {accounts.group_of(user)} in [{section}]" if "may not write" in fault else ""
        value = loaded.values[section, "address"]
        place = value.lines[listener.addresses.index(f"unix:{path}")]
        found.append(Problem(value.path, place, section, "address", f"{user} {fault}{advice}"))
    if found:
        raise ConfigurationError(found)


def _release_problems(values: Values) -> Iterator[Problem]:
    """Ask for the directory and the virtual environment, each for itself."""
    for option in ("directory", "venv"):
        value = values.get(("app", option))
        if value is None:
            continue
        try:
            release.resolve(**{"directory": "/", "venv": "", option: value.value})
        except ReleaseError as error:
            message = str(error).removeprefix(f"{option}: ")
            yield Problem(value.path, value.lines[0], "app", option, message)


def _tls_problems(section: str, values: Values) -> Iterator[Problem]:
    """Try each certificate for itself, with its key and with what else the section says."""
    certificates = values[section, "certificate"]
    keys = values.get((section, "key"), certificates)
    fields = {
        option.field: values[section, name].value
        for name, option in BY_SECTION[LISTEN].items()
        if TlsOptions in option.owners and (section, name) in values
    }
    # How many there are is another's concern, and here not always right.
    for index, (certificate, key) in enumerate(zip(certificates.value, keys.value, strict=False)):
        options = TlsOptions(**{**fields, "certificates": (certificate,), "keys": (key,)})
        if tls.is_unseen(options):
            continue
        try:
            pair = tls.read_material(options).pairs[0]
            if trouble := expired(pair, time.time()):
                raise CertificateError(trouble)
        except CertificateError as error:
            yield _problem(section, values, index, str(error))


def _problem(section: str, values: Values, index: int, message: str) -> Problem:
    """Find the option that a message is about: it begins with the name of a file, or of the option itself."""
    option, line = "certificate", values[section, "certificate"].lines[index]
    for name in ("tls_ciphers", "client_ca", "certificate", "key"):
        if (value := values.get((section, name))) is None:
            continue
        file, its_line = (
            (value.value[index], value.lines[index])
            if isinstance(value.value, tuple)
            else (value.value, value.lines[0])
        )
        if message.startswith((file, f"{name}: ")):
            option, line = name, its_line
    place = values[section, option].path
    return Problem(place, line, section, option, message.removeprefix(f"{option}: "))


def _remarks(configuration: Configuration) -> Iterator[str]:
    """What is no error, but good to know."""
    for listener in configuration.listen:
        if tls.is_unseen(listener.tls):
            yield f"[listen:{listener.name}]: credentials are seen by the service only, and were not checked"
        elif listener.tls.is_on:
            yield from warnings({listener.name: tls.read_material(listener.tls)}, time.time())
