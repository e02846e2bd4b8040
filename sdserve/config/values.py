"""From what was written to what it means: every section and option is looked up among the declared ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sdserve.config.ini import Line, Section, Setting, control_character
from sdserve.config.nearest import suggestion
from sdserve.config.options import BY_SECTION, ENVIRONMENT, LISTEN, Option
from sdserve.core.tls.options import CREDENTIAL
from sdserve.errors import Problem
from sdserve.host.notify import KEPT

# systemd.socket(5), FileDescriptorName=: printable ASCII but a colon; here no space and bracket either.
_LISTENER_NAME = re.compile(r"[!-9;-Z\\^-~]{1,255}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Source:
    """The settings of one file, or of one option of the command line."""

    path: str
    """The file's, or the option, like `--set`."""
    base: str
    """The directory at which the relative paths in it start."""
    sections: tuple[Section, ...]
    replaces_listeners: bool = False
    """The listeners in it take the place of all before."""


@dataclass(frozen=True, slots=True)
class Value:
    """What one setting means, and where it was written."""

    section: str
    name: str
    value: Any
    """Several values (of `several` options) are a tuple; None puts the option back to its default."""
    path: str
    lines: tuple[int, ...]
    """Those of the values, or that of the option if it has none; 0 on the command line."""

    def origin(self, index: int = 0) -> str:
        """`file:line` of one value, or the option of the command line."""
        line = self.lines[index]
        return f"{self.path}:{line}" if line else self.path


def read_values(source: Source) -> tuple[list[Value], list[Problem]]:
    """Return what the settings in `source` mean, and everything that is wrong with them."""
    values: list[Value] = []
    problems: list[Problem] = []
    for section in source.sections:
        message = _section_fault(section.name)
        if message:
            problems.append(Problem(source.path, section.line, "", f"[{section.name}]", message))
            continue
        for setting in section.settings:
            try:
                value = _read_setting(section.name, setting, source.base)
            except _FaultsError as error:
                place = (section.name, setting.name)
                problems += [Problem(source.path, line, *place, message) for line, message in error.faults]
            else:
                lines = tuple(line.number for line in setting.lines) or (setting.line,)
                values.append(Value(section.name, setting.name, value, source.path, lines))
    return values, problems


class _FaultsError(Exception):
    """What is wrong with one setting: lines, with a text for the operator."""

    def __init__(self, *faults: tuple[int, str]) -> None:
        super().__init__(faults)
        self.faults = faults


def _section_fault(name: str) -> str:
    kind, colon, listener = name.partition(":")
    if kind == LISTEN:
        if listener.startswith(KEPT):
            return f"names that begin with {KEPT!r} are for what systemd keeps for sdserve itself"
        if _LISTENER_NAME.fullmatch(listener):
            return ""
        if not colon or not listener:
            return f"a listener has a name, as in [{LISTEN}:http]"
        return f"the name {listener!r} is not printable ASCII without spaces, colons and brackets"
    if name in BY_SECTION or name == ENVIRONMENT:
        return ""
    valid = [
        f"{LISTEN}:{listener or 'NAME'}" if kind == LISTEN else kind for kind in (*BY_SECTION, ENVIRONMENT)
    ]
    return f"unknown section{suggestion(name, valid, listing='the sections are')}"


def _read_setting(section: str, setting: Setting, base: str) -> Any:
    for line in setting.lines:
        if control_character(line.text):  # only on the command line; the reader of files lets none pass
            raise _FaultsError((line.number, "the value has a control character"))
    if section == ENVIRONMENT:
        if not _VARIABLE.fullmatch(setting.name):
            raise _FaultsError(
                (setting.line, "a variable's name has letters, digits and _, and no digit first")
            )
        return _only_line(setting, lambda line: line.text)
    option = find_option(section, setting.name)
    if option is None:
        raise _FaultsError((setting.line, f"unknown option{_hint(section, setting.name)}"))
    if option.kind.several:
        return _all_lines(option, setting, base)
    return _only_line(setting, lambda line: _read_line(option, line, base))


def _only_line(setting: Setting, read: Callable[[Line], Any]) -> Any:
    if len(setting.lines) > 1:
        raise _FaultsError(
            (setting.lines[1].number, "takes one value; this indented line would be a second one")
        )
    return read(setting.lines[0]) if setting.lines else None


def _all_lines(option: Option, setting: Setting, base: str) -> tuple[Any, ...] | None:
    values: list[Any] = []
    faults: list[tuple[int, str]] = []
    for line in setting.lines:
        try:
            values.append(_read_line(option, line, base))
        except _FaultsError as error:
            faults += error.faults
    if faults:
        raise _FaultsError(*faults)
    return tuple(values) or None


def _read_line(option: Option, line: Line, base: str) -> Any:
    try:
        value = option.kind.read(line.text)
    except ValueError as error:
        raise _FaultsError((line.number, str(error))) from None
    if not option.kind.is_path or not value or value.startswith(CREDENTIAL):
        return value
    return os.path.join(base, value)


def find_option(section: str, name: str) -> Option | None:
    """Return the declared option `name` of `section` (of `listen:NAME` too), or None."""
    return BY_SECTION.get(section.partition(":")[0], {}).get(name)


def _hint(section: str, name: str) -> str:
    elsewhere = [other for other, options in BY_SECTION.items() if name in options]
    if elsewhere:
        return f", it belongs into [{elsewhere[0]}{':NAME' if elsewhere[0] == LISTEN else ''}]"
    return suggestion(name, BY_SECTION[section.partition(":")[0]], listing="the options are")


def listener_names(source: Source) -> Iterator[str]:
    """Yield the NAME of each `[listen:NAME]` in `source`, in order."""
    for section in source.sections:
        kind, _, name = section.name.partition(":")
        if kind == LISTEN and _LISTENER_NAME.fullmatch(name):
            yield name
