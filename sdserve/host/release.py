"""Which code a generation runs: real directory, interpreter, and the packages of a virtual environment.

Symbolic links are resolved here, once for a generation, so that a `current` that moves on changes
no worker that is forked later.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass

from sdserve.errors import ReleaseError

_OUR_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Real paths, all absolute."""

    directory: str
    """Working directory and first entry of the import path."""
    python: str
    """The interpreter to start the zygote with."""
    venv: str = ""
    """Empty if none is configured."""
    site_packages: tuple[str, ...] = ()
    """To come before sdserve's own packages; empty if `python` finds them by itself."""


def resolve(directory: str, venv: str) -> Release:
    """Find the release that `directory` and `venv` point to now; either may be empty.

    Reads the file system, runs nothing. ReleaseError says what is wrong and what to do.
    """
    root = _real_directory("directory", directory or os.getcwd())
    if not venv:
        return Release(directory=root, python=sys.executable)
    real = _real_directory("venv", os.path.join(root, venv))
    version = _venv_version(real)
    # With the name of this very build, as lib/python3.13t: a free-threaded one shares no extension modules.
    ours = sysconfig.get_path("purelib", "venv", {"base": real, "platbase": real})
    if version == _OUR_VERSION and os.path.isdir(ours):
        pure_and_platform = (ours, sysconfig.get_path("platlib", "venv", {"base": real, "platbase": real}))
        packages = dict.fromkeys(os.path.realpath(path) for path in pure_and_platform)
        return Release(
            directory=root,
            python=sys.executable,
            venv=real,
            site_packages=tuple(path for path in packages if os.path.isdir(path)),
        )
    python = os.path.join(real, "bin", "python")
    packages_of_venv = os.path.join(real, "lib", f"python{version}", "site-packages")
    if not os.access(python, os.X_OK):
        raise ReleaseError(f"venv: {python} cannot be run; recreate the virtual environment")
    if not _has_sdserve(packages_of_venv):
        raise ReleaseError(
            f"venv: {real} is for Python {version}, sdserve runs on Python {_OUR_VERSION}, and sdserve is "
            f"not installed in it. Run `{python} -m pip install sdserve`, "
            f"or recreate it with Python {_OUR_VERSION}"
        )
    return Release(directory=root, python=python, venv=real)


def _real_directory(option: str, path: str) -> str:
    real = os.path.realpath(path)
    if not os.path.exists(real):
        raise ReleaseError(f"{option}: {path} does not exist")
    if not os.path.isdir(real):
        raise ReleaseError(f"{option}: {path} is not a directory")
    if not os.access(real, os.R_OK | os.X_OK):
        raise ReleaseError(f"{option}: {path} may not be read by user id {os.geteuid()}")
    return real


def _venv_version(real: str) -> str:
    """`3.11`, of pyvenv.cfg: venv writes `version`, virtualenv and uv write `version_info`."""
    path = os.path.join(real, "pyvenv.cfg")
    try:
        with open(path, encoding="utf-8") as lines:
            settings = {
                key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)
            }
    except (OSError, UnicodeDecodeError):
        raise ReleaseError(
            f"venv: {real} is no virtual environment: there is no readable pyvenv.cfg"
        ) from None
    version = settings.get("version") or settings.get("version_info") or ""
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):
        raise ReleaseError(f"venv: {path} does not say for which Python it is")
    return f"{parts[0]}.{parts[1]}"


def _has_sdserve(packages: str) -> bool:
    """Whether an interpreter with this site-packages directory can import sdserve, as far as files tell."""
    places = [packages, *_path_file_entries(packages)]
    # Installed with pip --editable it may be an import hook, which only its metadata shows.
    return any(os.path.isfile(os.path.join(place, "sdserve", "__init__.py")) for place in places) or any(
        name.startswith("sdserve-") and name.endswith(".dist-info") for name in _names(packages)
    )


def _path_file_entries(packages: str) -> Iterator[str]:
    """The directories that .pth files add (documentation of the module `site`)."""
    for name in _names(packages):
        if name.endswith(".pth"):
            try:
                with open(os.path.join(packages, name), encoding="utf-8") as lines:
                    for line in map(str.strip, lines):
                        if line and not line.startswith(("#", "import ", "import\t")):
                            yield os.path.join(packages, line)
            except (OSError, UnicodeDecodeError):
                continue  # `site` skips it as well


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
