"""Telling the service manager how it goes: sd_notify(3).

Without one, that is without NOTIFY_SOCKET in the environment, nothing happens.
"""

from __future__ import annotations

from systemd.daemon import notify


def ready() -> None:
    """The service answers requests; units ordered after it may start."""
    _notify("READY=1")


def stopping() -> None:
    """The service ends now. Nothing undoes this, and the manager's stop time-out begins."""
    _notify("STOPPING=1")


def status(text: str) -> None:
    """One line for `systemctl status`."""
    # A line end would start another assignment.
    _notify("STATUS=" + " ".join(text.split()))


def _notify(assignment: str) -> None:
    """OSError when the manager cannot be told."""
    notify(assignment)
