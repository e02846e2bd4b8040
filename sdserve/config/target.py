"""What TARGET on the command line names: an instance, a file, or an application without a file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sdserve.config import files
from sdserve.config.ini import Line, Section, Setting
from sdserve.config.nearest import suggestion
from sdserve.config.values import Source
from sdserve.errors import ConfigurationError, Problem, UsageError

DIRECTORY = Path(files.DIRECTORY)
SHARED = files.SHARED
AD_HOC_NAME = "sdserve"
"""What an application that was started without a file is called."""

_INSTANCE = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the settings of one instance come from."""

    name: str
    path: str
    """The instance's own file; without one `TARGET`."""
    files: tuple[Path, ...] = ()
    """All its files; a later one wins."""
    base: str = ""
    """The directory at which relative paths in `files` start; absolute."""
    given: tuple[Source, ...] = ()
    """What TARGET itself says."""


def find_target(text: str, directory: Path = DIRECTORY) -> Target:
    """Return what `text` names.

    With a colon it is `module:attribute`, unless there is such a file; with a slash or `.ini` at its end it
    is a file; else an instance, `NAME.ini` in `directory`.

    Raises:
        UsageError: it is none of the three.
        ConfigurationError: there is no such file.
    """
    if ":" in text and not os.path.exists(text):
        return _application(text)
    if "/" in text or ":" in text or text.endswith(".ini"):
        return _file(Path(text), directory)
    if not _INSTANCE.fullmatch(text):
        raise _no_instance(text)
    return _instance(text, directory)


def target_name(text: str) -> str:
    """Return the name of the instance that `find_target` would find, whether its files are there or not.

    Raises:
        UsageError: it is none of the three.
    """
    if ":" in text and not os.path.exists(text):
        return AD_HOC_NAME
    if "/" in text or ":" in text or text.endswith(".ini"):
        return Path(text).stem
    if not _INSTANCE.fullmatch(text):
        raise _no_instance(text)
    return text


def is_instance(text: str) -> bool:
    """Whether `text` can be the name of an instance."""
    return _INSTANCE.fullmatch(text) is not None


def _no_instance(text: str) -> UsageError:
    return UsageError(
        f"{text!r} is not an instance (letters, digits, '_', '.', '-'), a file or module:attribute"
    )


def _application(text: str) -> Target:
    here = os.getcwd()
    settings = [Setting("application", 0, [Line(0, text)]), Setting("directory", 0, [Line(0, here)])]
    given = Source("TARGET", here, (Section("app", 0, settings),))
    return Target(name=AD_HOC_NAME, path="TARGET", given=(given,))


def _instance(name: str, directory: Path) -> Target:
    path = directory / f"{name}.ini"
    if _is_missing(path):
        known = [other.removesuffix(".ini") for other in _ini_names(directory) if other != SHARED]
        near = suggestion(name, known, listing="the instances are")
        raise _no_target(path, f"there is no instance {name}: no such file{near}{_hint(name)}")
    return _file(path, directory)


def _hint(name: str) -> str:
    """Say how to name what is in the current directory under the name of an instance that is not there."""
    if not _is_missing(Path(f"{name}.ini")):
        return f"; for the file in this directory write ./{name}.ini"
    module = name.removesuffix(".py")
    path = module.replace(".", "/")
    if _is_missing(Path(f"{path}.py")) and _is_missing(Path(path, "__init__.py")):
        return ""
    return f"; for the Python module in this directory write {module}:app, app being the application in it"


def _file(path: Path, directory: Path) -> Target:
    if _is_missing(path):
        raise _no_target(path, f"no such file{suggestion(path.name, _ini_names(path.parent))}")
    base = path.parent.absolute()
    found = [path, *_drop_ins(path)]
    if os.path.realpath(base) == os.path.realpath(directory):
        if path.name == SHARED:
            raise _no_target(path, "these are the defaults of all instances, not an instance")
        if not _is_missing(directory / SHARED):
            found.insert(0, directory / SHARED)
    return Target(name=path.stem, path=str(path), files=tuple(found), base=str(base))


def _no_target(path: Path, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(str(path), 0, "", "", message)])


def _is_missing(path: Path) -> bool:
    """Say whether there is no such file. One that cannot be read is there; reading it will say so."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _drop_ins(path: Path) -> list[Path]:
    try:
        return [Path(drop_in) for drop_in in files.drop_ins(str(path))]
    except OSError as error:
        raise _no_target(Path(f"{path}.d"), f"cannot be read: {error.strerror}") from None


def _ini_names(directory: Path) -> list[str]:
    """Return the names of the INI files in `directory`, as far as they can be seen, for a suggestion."""
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(".ini"))
    except OSError:
        return []
