"""The units of one instance, as text. Their names, and what is in them, is said here alone.

- `sdserve@NAME@LISTENER.socket` for each listener: no instance's name has an `@`. One that has unix
  sockets beside TCP ones has a second unit for them, `sdserve@NAME@LISTENER@unix.socket`, as some settings
  are for TCP alone.
- A drop-in for `sdserve@NAME.service`, which tells it of its sockets.
- `sdserve-sockets@NAME.target` wants them, so that they can be enabled, started and stopped together.
"""

from __future__ import annotations

from binascii import crc32

from sdserve.generator.listening import Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdserve.generator.listening import Listening

# Drop-ins of all directories are read in the order of their names: what an administrator writes comes later.
DROP_IN = "00-sdserve.conf"

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_LONGEST_NAME = 255  # systemd.unit(5)
_LONGEST_USER = 31

# A service that refuses to start is triggered again by the client that still waits. This limit ends that, not
# systemd's own of 20 in two seconds, which a program in Python does not reach. It is above one trigger every
# RestartSec=. When it was hit, `systemctl start sdserve@NAME` opens the sockets again.
_TRIGGER_LIMIT = ("TriggerLimitIntervalSec=30s", "TriggerLimitBurst=20")


def default_listener() -> Listener:
    """What sdserve listens on when its files say nothing."""
    listener = Listener("http")
    listener.addresses = ("127.0.0.1:8000",)
    return listener


def service(name: str) -> str:
    """The service of an instance."""
    return f"sdserve@{name}.service"


def target(name: str) -> str:
    """What holds the sockets of an instance together."""
    return f"sdserve-sockets@{name}.target"


def socket(name: str, listener: str, *, is_second: bool = False) -> str:
    """The socket unit of one listener, or the second one. ValueError if that gets too long for systemd."""
    escaped = "".join(sign if sign in _PLAIN else f"\\x{ord(sign):02x}" for sign in listener)
    unit = f"sdserve@{name}@{escaped}{'@unix' if is_second else ''}.socket"
    if len(unit) > _LONGEST_NAME:
        raise ValueError(f"the names of the instance and of [listen:{listener}] are too long for a unit")
    return unit


def files(name: str, source: str, listeners: Sequence[Listening], *, is_user: bool = False) -> dict[str, str]:
    """Return the text of each unit file and drop-in, by its path in a directory of units.

    `source` is the INI. Listeners without an address get none: their sockets come from elsewhere. A user's
    service manager (`is_user`) cannot give sockets away. ValueError if there cannot be such a unit.
    """
    sockets: dict[str, str] = {}
    for listener in listeners:
        _check_places(name, listener)
        sockets |= _socket_files(name, source, listener, is_user=is_user)
    settings = [f"Sockets={' '.join(map(_quoted, sockets))}"] if sockets else []
    return {**service_files(name, source, settings), **sockets}


def service_files(name: str, source: str, settings: Sequence[str] = ()) -> dict[str, str]:
    """Return, by path, the drop-in of the service with `settings` in it, or nothing if it needs none.

    The service's own unit file gives it the user `sdserve-NAME`; where that is no name for one (systemd's
    "User/Group Name Syntax", strict mode), the drop-in has another, which is the same each time.
    """
    user = f"sdserve-{name}"
    if len(user) > _LONGEST_USER or "." in user:
        short = name.replace(".", "-")[: _LONGEST_USER - len("sdserve--") - 8]
        settings = [f"User=sdserve-{short}-{crc32(name.encode()):08x}", *settings]
    if not settings:
        return {}
    text = "\n".join([f"{_head(name, source)}[Service]", *settings, ""])
    return {f"{service(name)}.d/{DROP_IN}": text}


def wants(name: str, units: Sequence[str]) -> dict[str, str]:
    """Return the symbolic links, by path in a directory of units, that have the target want its sockets."""
    return {f"{target(name)}.wants/{unit}": f"../{unit}" for unit in units if unit.endswith(".socket")}


def _socket_files(name: str, source: str, listener: Listening, *, is_user: bool) -> dict[str, str]:
    tcp = [address for address in listener.addresses if address[:5] != "unix:"]
    paths = [address.removeprefix("unix:") for address in listener.addresses if address[:5] == "unix:"]
    found = {}
    if tcp:
        # [::] is IPv6 alone, so that 0.0.0.0 can stand beside it.
        lines = [*_listen(tcp), "BindIPv6Only=ipv6-only", "NoDelay=yes"]
        lines += ["FreeBind=yes"] if any(map(_may_come_later, tcp)) else []
        lines += [f"DeferAcceptSec={listener.defer_accept:g}s"] if listener.defer_accept else []
        found[socket(name, listener.name)] = _socket_text(name, source, listener, lines)
    if paths:
        lines = [*_listen(paths), f"SocketMode={listener.mode:04o}", "RemoveOnStop=yes"]
        if not is_user:
            lines += [f"SocketUser={listener.owner}"] if listener.owner else []
            lines += [f"SocketGroup={listener.group}"] if listener.group else []
        unit = socket(name, listener.name, is_second=bool(tcp))
        found[unit] = _socket_text(name, source, listener, lines)
    return found


def _socket_text(name: str, source: str, listener: Listening, settings: Sequence[str]) -> str:
    section = _escaped(f"[listen:{listener.name}]")
    lines = [
        f"{_head(name, source)}[Unit]",
        f"Description=Socket of the sdserve application server, instance {name}, {section}",
        "Documentation=man:sdserve.ini(5)",
        f"SourcePath={_escaped(source)}",
        f"PartOf={target(name)}",
        "",
        "[Socket]",
        f"FileDescriptorName={_escaped(listener.name)}",
        f"Service={service(name)}",
        *settings,
        f"Backlog={listener.backlog}",
        *_TRIGGER_LIMIT,
        "",
    ]
    return "\n".join(lines)


def _listen(places: Sequence[str]) -> list[str]:
    return [f"ListenStream={_escaped(place)}" for place in places]


def _head(name: str, source: str) -> str:
    return f"# Made by sdserve-generator from {source}. Edit that, and run: sdserve apply {name}\n\n"


def _check_places(name: str, listener: Listening) -> None:
    for address in listener.addresses:
        if address.startswith(f"unix:/run/sdserve/{name}/"):
            raise ValueError(
                f"[listen:{listener.name}] address: {address} is in a directory that systemd removes when "
                f"the service stops, write unix:/run/sdserve/{name}.sock"
            )
        if address.endswith("\\"):
            raise ValueError(f"[listen:{listener.name}] address: a backslash at the end cannot be in a unit")


def _may_come_later(address: str) -> bool:
    """Whether an interface may get this address only after sockets have been opened, as when booting."""
    return not address.startswith(("127.", "0.0.0.0:", "[::]:", "[::1]:"))


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(unit: str) -> str:
    """A unit's name as one word of a list, in which backslashes have to be doubled."""
    return unit.replace("\\", "\\\\")
