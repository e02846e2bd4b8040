"""An application whose import takes as long as the test wants."""

from pathlib import Path

Path("/run/gate").read_text()

from flask_probe import app as app  # type: ignore[import-not-found]  # noqa: E402
