"""Users and groups, by name or by number."""

from __future__ import annotations

import grp
import pwd

UNCHANGED = -1
"""For chown(2)."""


def user_id(text: str) -> int:
    """Return the number of a user; `UNCHANGED` for an empty `text`. LookupError if there is none."""
    if not text:
        return UNCHANGED
    if text.isdecimal():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        raise LookupError(f"there is no user {text}") from None


def group_id(text: str) -> int:
    """Return the number of a group; `UNCHANGED` for an empty `text`. LookupError if there is none."""
    if not text:
        return UNCHANGED
    if text.isdecimal():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise LookupError(f"there is no group {text}") from None


def group_of(user: str) -> str:
    """Return the name of the main group of the user named `user`; that of the user if there is none."""
    try:
        return group_name(pwd.getpwnam(user).pw_gid)
    except KeyError:
        return user


def user_name(number: int) -> str:
    """Return the name of a user, or the number if it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    """Return the name of a group, or the number if it has none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
