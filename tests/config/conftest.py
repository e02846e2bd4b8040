"""A configuration directory that a test writes itself."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from sdserve.config.load import load
from sdserve.config.target import find_target
from sdserve.errors import ConfigurationError


class Etc:
    """Stands for /etc/sdserve. In messages its path is shortened to `etc`."""

    def __init__(self, path):
        self.path = path

    def write(self, name, text):
        """Write one file; the first line of `text` may be empty for the sake of layout."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).removeprefix("\n"))
        return path

    def load(self, target="shop", *command_line):
        return load(find_target(target, self.path), command_line)

    def problems(self, target="shop", *command_line):
        with pytest.raises(ConfigurationError) as caught:
            self.load(target, *command_line)
        return [self.shortened(str(problem)) for problem in caught.value.problems]

    def shortened(self, text):
        return str(text).replace(str(self.path), "etc")


@pytest.fixture
def etc(tmp_path):
    path = Path(tmp_path, "etc")
    path.mkdir()
    return Etc(path)
