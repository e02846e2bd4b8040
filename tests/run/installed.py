"""An sdserve of a test's own, which it may change, and clients that notice if that is noticed."""

from __future__ import annotations

import http.client
import itertools
import os
import re
import shutil
import sys
import threading
from pathlib import Path

import sdserve
from tests.serving import TIMEOUT, Server, descendants, wait_until

OURS = sys.version_info[:2]
PYTHON = f"Python {'.'.join(map(str, sys.version_info[:3]))}"


def other_python() -> Path | None:
    """An interpreter of another supported version on this machine."""
    versions = [(3, minor) for minor in range(11, 15) if (3, minor) != OURS]
    places = [Path("/usr/bin"), Path("/usr/local/bin"), *sorted(Path.home().glob(".pyenv/versions/*/bin"))]
    for major, minor in versions:
        for place in places:
            if os.access(found := place / f"python{major}.{minor}", os.X_OK):
                return found
    return None


class Installed:
    """An sdserve of its own: a script, and the package beside it, for which it looks there first."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.package = directory / "sdserve"
        self.script = directory / "serve"
        self.environment = directory / "environment"
        """A link to the virtual environment whose interpreter the script names."""
        self._times = itertools.count(1)
        directory.mkdir()
        shutil.copytree(os.path.dirname(sdserve.__file__), self.package)
        self.environment.symlink_to(sys.prefix)
        self.script.write_text(
            f"#!{self.environment}/bin/python\n"
            "import sys\n"
            "from sdserve.cli.main import main\n"
            "sys.exit(main())\n"
        )
        self.script.chmod(0o755)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace what a file of the package says."""
        text = (self.package / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def write(self, name: str, text: str) -> None:
        """Replace a whole file of the package. Its time is one that no compiled file has."""
        path = self.package / name
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)
        moment = 1_000_000_000 + next(self._times)
        os.utime(path, (moment, moment))

    def become(self, version: str) -> None:
        """Have another version."""
        self.write("__init__.py", f'__version__ = "{version}"\n')

    def add(self, name: str, line: str) -> None:
        """Begin a file's code with this line."""
        self.edit(
            name, "from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n"
        )


class Load:
    """Clients that send one request after the other, each on one connection that it keeps."""

    def __init__(self, server: Server, clients: int = 2) -> None:
        self.answers = [0] * clients
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(server, number)) for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: all(self.answers) or self.failures)
        return self

    def __exit__(self, *_: object) -> None:
        before = list(self.answers)
        wait_until(lambda: all(map(int.__lt__, before, self.answers)) or self.failures)
        self._ended.set()
        for thread in self._threads:
            thread.join(TIMEOUT)
        assert self.failures == []

    def _send(self, server: Server, number: int) -> None:
        try:
            with server.connection() as client:
                while not self._ended.is_set():
                    response = client.exchange("GET", "/")
                    assert response.status == 200
                    assert response.field("Connection") is None
                    self.answers[number] += 1
                    self._ended.wait(0.005)  # to leave the server some of the machine
        except (AssertionError, OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))


def went_on(server, times=1):
    """Whether so many programs have gone on in place of another."""
    return server.stderr().count("goes on in place of sdserve") >= times


def process_status(pid, name):
    return re.search(rf"^{name}:\s+(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE).group(1)


def descriptors(pid):
    """What a process has open, but /dev/null."""
    directory = f"/proc/{pid}/fd"
    links = (os.readlink(f"{directory}/{number}") for number in os.listdir(directory))
    return [link for link in links if link != os.devnull]


def everybody(server):
    return [server.process.pid, *descendants(server.process.pid)]
