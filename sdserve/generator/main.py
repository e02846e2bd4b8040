"""What systemd runs: `sdserve-generator NORMAL EARLY LATE`; see systemd.generator(7)."""

from __future__ import annotations

import os
import sys

from sdserve.config import files
from sdserve.generator import listening, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def main(argv: Sequence[str]) -> int:
    """Write the units of all instances into the directory `argv[1]`. What goes wrong is logged; 0 always.

    A user's manager runs its generators from a directory of that name, with the user's environment.
    """
    is_user = os.path.basename(os.path.dirname(argv[0])) == "user-generators"
    directory = _users_directory() if is_user else files.DIRECTORY
    if len(argv) < 2:
        _log("", "", f"usage: {argv[0]} NORMAL-DIRECTORY [EARLY-DIRECTORY LATE-DIRECTORY]")
        return 0
    for name in _instances(directory):
        try:
            _generate(directory, name, argv[1], is_user=is_user)
        except Exception as error:  # whatever it is: the other instances are to start
            _log(name, f"{directory}/{name}.ini: {error or type(error).__name__}", "it has no sockets")
    return 0


def _generate(directory: str, name: str, output: str, *, is_user: bool) -> None:
    source = f"{directory}/{name}.ini"
    try:
        _write(name, wanted(directory, name, is_user=is_user), output)
        return
    except listening.BrokenError as error:
        faults = [str(problem) for problem in error.problems]
    except ValueError as error:
        faults = [f"{source}: {error}"]
    for fault in faults:
        _log(name, fault, "it has no sockets")
    _write(name, units.service_files(name, source), output)


def _write(name: str, made: dict[str, str], output: str) -> None:
    links = units.wants(name, list(made))
    for place in {os.path.dirname(path) for path in (*made, *links)} - {""}:
        os.mkdir(f"{output}/{place}", 0o755)
    for path, text in made.items():
        descriptor = os.open(f"{output}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    for path, to in links.items():
        os.symlink(to, f"{output}/{path}")


def wanted(directory: str, name: str, *, is_user: bool = False) -> dict[str, str]:
    """Return the units that the files of the instance `name` ask for, by path.

    BrokenError if its files are wrong, ValueError if there can be no such unit, OSError.
    """
    paths = listening.instance_files(directory, name)
    shared = f"{directory}/{files.SHARED}"
    if os.path.exists(shared):
        paths.insert(0, shared)
    listeners = listening.read(paths) or [units.default_listener()]
    return units.files(name, f"{directory}/{name}.ini", listeners, is_user=is_user)


def _instances(directory: str) -> Iterator[str]:
    try:
        found = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    except OSError as error:
        _log("", f"{directory} cannot be read: {error.strerror}", "no instance has sockets")
        return
    for file in found:
        name = file.removesuffix(".ini")
        if name == file or file.startswith(".") or file == files.SHARED:
            continue
        if _NAME.issuperset(name):
            yield name
        else:
            fault = f"{directory}/{file}: no name of an instance (letters, digits, '_', '.', '-')"
            _log("", fault, "ignoring it")


def _users_directory() -> str:
    base = os.environ.get("XDG_CONFIG_HOME") or f"{os.environ.get('HOME', '')}/.config"
    return f"{base}/sdserve"


def _log(name: str, fault: str, consequence: str) -> None:
    from sdserve.generator import log  # only somebody with a mistake pays for it

    log.write(name, f"{fault}; {consequence}" if fault else consequence)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
