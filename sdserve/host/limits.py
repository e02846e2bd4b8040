"""What to do about an error that a limit on our processes has caused."""

from __future__ import annotations

import errno


def reason(error: OSError) -> str:
    """The text of `error`, and which limit to raise if it was that on open files."""
    text = error.strerror or str(error)
    return f"{text}; raise LimitNOFILE=" if error.errno == errno.EMFILE else text
