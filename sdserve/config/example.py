"""The INI that `sdserve init` writes: what was asked for, and in comments what somebody may look for next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sdserve.config.listing import quoted
from sdserve.config.options import BY_SECTION, LISTEN

_TRUSTED = "trusted"
"""Whose word about the client is taken; over a unix socket it is the proxy's alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What goes into the file. Empty: nothing was said about it."""

    name: str
    application: str
    addresses: Sequence[str]
    directory: str
    venv: str = ""
    group: str = ""
    """Of a unix socket."""
    users_path: str = ""
    """The file, if the instance is one of a user's service manager."""


def text(wishes: Wishes) -> str:
    """Return the text of the file."""
    has_path = any(address.startswith("unix:") for address in wishes.addresses)
    venv = f"venv = {quoted(wishes.venv)}" if wishes.venv else "# venv = .venv"
    option = " --user" if wishes.users_path else ""
    lines = [
        f"# The instance {wishes.name} of sdserve. All options: man sdserve.ini. After a change",
        f"#   sdserve check {wishes.users_path or wishes.name}",
        f"#   systemctl{option} reload sdserve@{wishes.name}    or, where it listens having changed,",
        f"#   sdserve apply{option} {wishes.name}",
        "",
        "[app]",
        f"application = {wishes.application}",
        f"directory = {quoted(wishes.directory)}",
        venv,
        "",
        "[listen:http]",
        f"address = {wishes.addresses[0]}",
        *(f"    {address}" for address in wishes.addresses[1:]),
        *(_unix(wishes.group) if has_path else ()),
        "",
        "[workers]",
        "count = auto",
        "# Requests at a time in one worker of a WSGI application:",
        "# threads = 4",
        "",
        "# Variables for the application. Secrets belong elsewhere: man sdserve@.service, Credentials.",
        "[environment]",
        "# DJANGO_SETTINGS_MODULE = shop.settings",
        "",
    ]
    return "\n".join(lines)


def _unix(group: str) -> list[str]:
    lines = ["# Who may connect: the group of the proxy.", "mode = 0660"]
    lines += [f"group = {group}"] if group else ["# group = www-data"]
    # The option and this file belong together, whichever of them is there first.
    return lines + ([f"{_TRUSTED} = unix"] if _TRUSTED in BY_SECTION[LISTEN] else [])
