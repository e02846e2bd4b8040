"""The import path of a generation: the application's directory, its virtual environment, then our own."""

from __future__ import annotations

import site
import sys
from collections.abc import Sequence


def arrange(directory: str, site_packages: Sequence[str]) -> None:
    """Set sys.path for an application in `directory` with the packages of its virtual environment.

    `directory` comes first. `site_packages` (with what their .pth files add, as `site` does it) come
    before the packages that sdserve itself was installed with, and after the standard library, as in
    every interpreter: a backport in there must not replace the module it was made from.
    """
    before = list(sys.path)
    for path in site_packages:
        site.addsitedir(path)
    added = [path for path in sys.path if path not in before]
    own_packages = {*site.getsitepackages(), site.getusersitepackages()}
    first_own = next((index for index, path in enumerate(before) if path in own_packages), len(before))
    sys.path[:] = [directory, *before[:first_own], *added, *before[first_own:]]
