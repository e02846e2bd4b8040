"""Reads the text of a configuration file, and remembers on which line everything stood.

The standard library's configparser forgets the lines, and takes much that nobody meant. Here:

- `[section]` and `option = value` start in the first column; a section appears once, an option once in it.
- An indented line is one more value of the option above it.
- `#` and `;` start a comment at the start of a line, indented or not, and after a space or tab.
- A value in quotes, double or single, is taken as it is between them: with spaces at its ends, with ` #`, or
  empty. There are no escapes; a value that does not start with a quote keeps all its quotes.
- A value that is empty without quotes is no value: the option takes its default.
- There is no interpolation. Files are UTF-8 without byte order mark, and free of control characters.

Nothing is known here about which sections and options there are; `values` checks that.

The generator reads files with this at each boot, while everything waits for it. Hence no regular expressions
and no dataclasses: to import these two modules takes longer than all the rest.
"""

from __future__ import annotations

import codecs

from sdserve.errors import Problem


class Line:
    """One line of a value: what it says and where it stands (from 1; 0 on the command line)."""

    __slots__ = ("number", "text")

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text


class Setting:
    """One option as it was written. Without `lines` it was written without a value."""

    __slots__ = ("line", "lines", "name")

    def __init__(self, name: str, line: int, lines: list[Line] | None = None) -> None:
        self.name = name
        self.line = line
        self.lines = lines if lines is not None else []


class Section:
    """One section as it was written."""

    __slots__ = ("line", "name", "settings")

    def __init__(self, name: str, line: int, settings: list[Setting] | None = None) -> None:
        self.name = name
        self.line = line
        self.settings = settings if settings is not None else []


def read(data: bytes, path: str) -> tuple[list[Section], list[Problem]]:
    """Return the sections of the file `path`, whose content is `data`, and everything that is wrong with it.

    A line that is wrong is left out; what is right in such a file is returned all the same, so that one
    look can find the mistakes of every kind.
    """
    problem = _encoding_problem(data, path)
    if problem is not None:
        return [], [problem]
    reader = _Reader(path)
    for number, line in enumerate(data.decode("utf-8").split("\n"), start=1):
        reader.receive_line(number, line.removesuffix("\r").rstrip(" \t"))
    return reader.sections, reader.problems


def _encoding_problem(data: bytes, path: str) -> Problem | None:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Problem(path, 1, "", "", "the file is UTF-16, save it as UTF-8")
    if data.startswith(codecs.BOM_UTF8):
        return Problem(
            path, 1, "", "", "the file starts with a byte order mark, save it as UTF-8 without one"
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        return Problem(
            path, number, "", "", f"byte 0x{data[error.start]:02x} is not UTF-8, save the file as UTF-8"
        )
    return None


class _Reader:
    """Takes one line after the other; the state is what the next indented line would continue."""

    def __init__(self, path: str) -> None:
        self.sections: list[Section] = []
        self.problems: list[Problem] = []
        self._path = path
        self._section: Section | None = None
        self._setting: Setting | None = None
        self._complain_about_indent = True
        """False after a line that was wrong: what continues it would only be a second complaint."""

    def receive_line(self, number: int, line: str) -> None:
        """Take one line, without its end and without white space before it."""
        content = line.lstrip(" \t")
        if not content or content[0] in "#;":
            return
        control = control_character(line)
        if control:
            self._complain(number, f"the line has a control character, U+{ord(control):04X}")
        elif content != line:
            self._continue(number, line)
        elif line[0] == "[":
            self._open_section(number, line)
        else:
            self._add_setting(number, line)

    def _complain(self, number: int, message: str, option: str = "") -> None:
        section = self._section.name if self._section and option else ""
        self.problems.append(Problem(self._path, number, section, option, message))
        self._setting = None
        self._complain_about_indent = False

    def _open_section(self, number: int, line: str) -> None:
        name = _section_name(line)
        if name is None:
            self._section = Section("", number)  # what follows belongs to it, and is checked by nobody
            self._complain(number, "a section is [NAME]; indent the line if it continues the one above")
            return
        first = next((section for section in self.sections if section.name == name), None)
        if first is None:
            self._section = Section(name, number)
            self.sections.append(self._section)
        else:
            self._section = first
            self._complain(number, f"section [{name}] was opened before, in line {first.line}")
        self._setting = None
        self._complain_about_indent = True

    def _add_setting(self, number: int, line: str) -> None:
        name, equals, rest = line.partition("=")
        name = name.rstrip(" \t")
        if not equals or not name:
            self._complain(number, "neither a [section] nor an option = value nor a comment")
            return
        if self._section is None:
            self._complain(number, f"{name} stands before the first [section]")
            return
        first = next((setting for setting in self._section.settings if setting.name == name), None)
        if first is not None:
            message = (
                f"was set before, in line {first.line}; several values go on indented lines below the first"
            )
            self._complain(number, message, name)
            return
        self._setting = Setting(name, number)
        self._complain_about_indent = True
        self._section.settings.append(self._setting)
        self._add_value(number, rest)

    def _continue(self, number: int, line: str) -> None:
        if self._setting is not None:
            self._add_value(number, line)
        elif self._complain_about_indent:
            self._complain(
                number, "an indented line continues an option, and there is none above; remove the indent"
            )

    def _add_value(self, number: int, rest: str) -> None:
        assert self._setting is not None
        text = rest.lstrip(" \t")
        if text[:1] in ('"', "'"):
            quoted = _quoted(text)
            if quoted is None:
                message = "a value that starts with a quote ends with it, and has none in between"
                self._complain(number, message, self._setting.name)
            else:
                self._setting.lines.append(Line(number, quoted))
            return
        text = _without_comment(rest).strip(" \t")
        if text:
            self._setting.lines.append(Line(number, text))


def control_character(text: str) -> str:
    """Return the first of the ASCII controls but HTAB in `text`, which no value may have; empty if none."""
    if text.isprintable():
        return ""
    return next((sign for sign in text if (sign < " " and sign != "\t") or sign == "\x7f"), "")


def _section_name(line: str) -> str | None:
    """Return NAME of `[NAME]`, perhaps with a comment behind it; None if `line` is something else."""
    name, bracket, rest = line[1:].partition("]")
    rest = rest.lstrip(" \t")
    if not bracket or "[" in name or (rest and rest[0] not in "#;"):
        return None
    return name.strip(" \t")


def _quoted(text: str) -> str | None:
    """Return what stands between the quotes of `text`, behind which only a comment may be; else None."""
    value, quote, rest = text[1:].partition(text[0])
    is_comment = rest[:1] in (" ", "\t") and rest.lstrip(" \t")[:1] in ("#", ";")
    return value if quote and (not rest or is_comment) else None


def _without_comment(text: str) -> str:
    if "#" not in text and ";" not in text:
        return text
    for index in range(1, len(text)):
        if text[index] in "#;" and text[index - 1] in " \t":
            return text[: index - 1]
    return text
