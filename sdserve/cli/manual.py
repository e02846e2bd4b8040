"""The manual pages sdserve(8) and sdserve.ini(5), made of what commands and options say of themselves.

`python -m sdserve.cli.manual DIRECTORY` writes both; packages are built with it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from sdserve import __version__
from sdserve.cli.main import COMMANDS, parsers
from sdserve.config.options import BY_SECTION, ENVIRONMENT, LISTEN, Option

_CODE = re.compile(r"`([^`]*)`")

_SYNTAX = """
One file is one instance: `/etc/sdserve/NAME.ini` is that of `sdserve@NAME.service`. Read are, and the
last one wins option by option: `/etc/sdserve/sdserve.ini`, the defaults of all instances;
`/etc/sdserve/NAME.ini`; and `/etc/sdserve/NAME.ini.d/*.conf`, drop-ins in the order of their names.
Instances of a user's service manager have `~/.config/sdserve` in place of `/etc/sdserve`.

`[section]` and `option = value` start in the first column. An indented line is one more value of the
option above it. `#` and `;` start a comment at the start of a line, and after white space. A value in
quotes, single or double, is taken as it stands between them. An option without a value has its default.
Sections and options that do not exist are errors; `sdserve check NAME` reports all errors with file and
line.

A duration is written as `500ms`, `30s`, `5m`, `1h30m` or `1d`, a size as `4096`, `64K`, `8M` or `1G`, a
boolean as `yes` or `no`. A relative path starts at the directory of the file.

After a change `systemctl reload sdserve@NAME` is enough, and loses no request; what only a restart
changes is marked so. Where an instance listens is made into socket units by systemd's generator: `sdserve
apply NAME` takes that up.
"""

_ENVIRONMENT = (
    "Each option is an environment variable of the application. `sdserve show` prints them, so they are no "
    "secrets."
)

_FILES = (
    ("/etc/sdserve/NAME.ini", "the configuration of an instance, sdserve.ini(5)"),
    ("/etc/sdserve/sdserve.ini", "defaults of all instances"),
    ("/run/sdserve/NAME/control", "the control socket of an instance: Varlink, the interface io.sdserve"),
)


def ini_page() -> str:
    """Return sdserve.ini(5)."""
    lines = [*_head("sdserve.ini", 5, "configuration of an instance of sdserve"), ".SH SYNOPSIS"]
    lines += [
        ".nf",
        "/etc/sdserve/NAME.ini",
        "/etc/sdserve/NAME.ini.d/*.conf",
        "/etc/sdserve/sdserve.ini",
        ".fi",
    ]
    lines += [".SH DESCRIPTION", *_paragraphs(_SYNTAX)]
    for section, options in BY_SECTION.items():
        name = f"{section}:NAME" if section == LISTEN else section
        lines.append(f".SH {_roff(f'[{name}]')}")
        for option in options.values():
            lines += _option(option)
    lines += [f".SH {_roff(f'[{ENVIRONMENT}]')}", _roff(_ENVIRONMENT)]
    lines += [".SH EXAMPLE", ".nf", *_EXAMPLE, ".fi", *_see_also("sdserve(8)", "sdserve@.service(8)")]
    return "\n".join([*lines, ""])


def command_page() -> str:
    """Return sdserve(8)."""
    parser, commands = parsers()
    lines = [*_head("sdserve", 8, "application server for WSGI and ASGI"), ".SH SYNOPSIS"]
    lines.append("\n.br\n".join(f".B sdserve {name}\n{_synopsis(commands[name])}" for name in COMMANDS))
    lines += [".SH DESCRIPTION", *_paragraphs(f"{parser.description}\n\n{_target(parser)}")]
    lines += [".SH COMMANDS"]
    for name, command in COMMANDS.items():
        lines += [f".SS {_roff(name)}", _roff(f"{command.HELP[0].upper()}{command.HELP[1:]}.")]
        for action in _actions(commands[name]):
            lines += [".TP", f".B {_roff(_invocation(action))}", _roff(f"{action.help}")]
        lines += [".PP", ".nf", *(_roff(line) for line in command.EXAMPLES.splitlines()), ".fi"]
    lines += [".SH EXIT STATUS", ".nf", *(_roff(line) for line in _exit_codes(parser)), ".fi", ".SH FILES"]
    for path, what in _FILES:
        lines += [".TP", f".I {_roff(path)}", _roff(what)]
    lines += _see_also("sdserve.ini(5)", "sdserve@.service(8)", "systemctl(1)", "varlinkctl(1)")
    return "\n".join([*lines, ""])


_EXAMPLE = (
    "[app]",
    "application = shop.wsgi:application",
    "directory = /srv/shop/current",
    "venv = /srv/shop/current/.venv",
    "",
    "[listen:http]",
    r"address = /run/sdserve/shop.sock",
    "group = www\\-data",
    "",
    "[workers]",
    "count = auto",
)


def _head(name: str, section: int, what: str) -> list[str]:
    return [
        '.\\" Made by sdserve.cli.manual.',
        f'.TH {name.upper()} {section} "" "sdserve {__version__}"',
        ".SH NAME",
        f"{name} \\- {_roff(what)}",
    ]


def _see_also(*pages: str) -> list[str]:
    return [
        ".SH SEE ALSO",
        ",\n".join(f".BR {page.replace('(', ' (')}" for page in pages).replace(",\n", " ,\n"),
    ]


def _option(option: Option) -> Iterator[str]:
    default = option.kind.show(option.default) if option.default not in ("", ()) else ""
    yield ".TP"
    yield f'.BR {_roff(option.name)} " = \\fI{_roff(option.kind.what, code="I")}\\fR"'
    yield _roff(option.help)
    if default:
        yield f"Default: \\fB{_roff(default)}\\fR."
    if option.needs_restart:
        yield "A change needs a restart."


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"
    ]


def _invocation(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings)
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    return f"{names} {value}".strip()


def _synopsis(parser: argparse.ArgumentParser) -> str:
    words = []
    for action in _actions(parser):
        if not action.option_strings:
            words.append(f"\\fI{_roff(str(action.metavar))}\\fR")
        else:
            word = _invocation(action)
            words.append(_roff(word if action.required else f"[{word}]"))
    return " ".join(words)


def _target(parser: argparse.ArgumentParser) -> str:
    return (parser.epilog or "").partition("\n\n")[0]


def _exit_codes(parser: argparse.ArgumentParser) -> list[str]:
    return (parser.epilog or "").partition("exit codes:\n")[2].splitlines()


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".PP"
        yield _roff(" ".join(paragraph.split()))


def _roff(text: str, *, code: str = "B") -> str:
    """Return `text` as man(7) takes it; what stands in backquotes is in the font `code`."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    back = "I" if code == "I" else "R"
    text = _CODE.sub(lambda match: f"\\f{code}{match[1]}\\f{back}", text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    Path(sys.argv[1], "sdserve.ini.5").write_text(ini_page())
    Path(sys.argv[1], "sdserve.8").write_text(command_page())
