"""What may be asked of a running instance: the Varlink interface `io.sdserve`, as a value and as a text.

`understand` turns a call into a request, which is the supervisor's to carry out, or into the answer:
what is wrong with the call, or what Varlink itself wants to know of every service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sdserve.core.fleet.options import MOST_WORKERS
from sdserve.core.wire.varlink import Call

INTERFACE = "io.sdserve"
SERVICE = "org.varlink.service"

RELOAD_FAILED = f"{INTERFACE}.ReloadFailed"
UPGRADE_FAILED = f"{INTERFACE}.UpgradeFailed"
SCALE_FAILED = f"{INTERFACE}.ScaleFailed"
INTERFACE_NOT_FOUND = f"{SERVICE}.InterfaceNotFound"
METHOD_NOT_FOUND = f"{SERVICE}.MethodNotFound"
INVALID_PARAMETER = f"{SERVICE}.InvalidParameter"
PERMISSION_DENIED = f"{SERVICE}.PermissionDenied"

DESCRIPTIONS = {
    INTERFACE: """\
# One running instance of sdserve. All methods are for root and for the user that it runs as.
interface io.sdserve

type Listener (
  name: string,
  address: string
)

# Ages are in seconds. The process of a zygote is null while there is none.
type Generation (
  number: int,
  role: (current, previous, candidate, old),
  opened_for: string,
  application: string,
  directory: string,
  venv: string,
  age: float,
  zygote: (preparing, absent, opening, open, failed, closing, killed),
  zygote_pid: ?int,
  trouble: string
)

# One process. A slot has several while they take over from each other. What a worker has not told yet is 0.
type Worker (
  slot: int,
  serial: int,
  generation: int,
  pid: ?int,
  state: (forking, booting, ready, stalled, failed, draining, killed),
  age: float,
  requests: int,
  in_flight: int,
  connections: int,
  changed: []string
)

# The outcome of the last reload that has ended.
type Outcome (
  generation: int,
  ok: bool,
  text: string,
  age: float
)

# What a listener shows to clients. Seconds: since 1970, and from now; what has expired has less than 0.
type Certificate (
  listener: string,
  file: string,
  names: []string,
  not_after: int,
  expires_in: float
)

type State (
  name: string,
  version: string,
  pid: int,
  phase: (new, booting, serving, stopping, ended),
  status: string,
  age: float,
  slots: int,
  reloading_to: ?int,
  last_reload: ?Outcome,
  generations: []Generation,
  listeners: []Listener,
  certificates: []Certificate,
  workers: []Worker,
  hints: []string
)

# Open a new generation from the configuration and the code as they are now, and have it take over worker by
# worker. Answers when it has, or when it has failed and the generation before serves on.
method Reload() -> (message: string)

# Read the files of certificates and keys again, for new connections. No worker is replaced. Answers when all
# workers have been told, or when the files cannot be used and all stays as it was.
method ReloadCertificates() -> (message: string)

# As Reload, and have the program that supervises replaced by what is installed now, under the same process
# id.
method Upgrade() -> (message: string)

# Run so many workers from now on, 1 to 1024, until the next reload. Answers when they are ready.
method Scale(count: int) -> ()

# How it is.
method Status() -> (status: State)

# What a reload, an upgrade or a restart would change: the configuration is read, and nothing is done.
method Check() -> (hints: []string)

# The new generation, or the new certificates, were given up. The first line is a summary.
error ReloadFailed (reason: string)

# Nothing has changed but what the reason says. Its first line is a summary.
error UpgradeFailed (reason: string)

# The workers are not going to be that many.
error ScaleFailed (reason: string)
""",
    SERVICE: """\
# What every Varlink service tells about itself.
interface org.varlink.service

# Who made the service, and what it offers.
method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

# The definition of one of its interfaces.
method GetInterfaceDescription(interface: string) -> (description: string)

# There is no such interface.
error InterfaceNotFound (interface: string)

# The interface has no such method.
error MethodNotFound (method: string)

# The method is not implemented.
error MethodNotImplemented (method: string)

# One of the parameters is missing, unknown or wrong.
error InvalidParameter (parameter: string)

# The caller may not call anything here.
error PermissionDenied ()
""",
}
"""The definitions of all interfaces there are. What they say is kept to by `METHODS`."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Answered by a message when the reload has succeeded, by `RELOAD_FAILED` when not."""


@dataclass(frozen=True, slots=True)
class ReloadCertificates:
    """Answered when the files have been read, by a message or by `RELOAD_FAILED`."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Answered as `Reload` is, or by `UPGRADE_FAILED`."""


@dataclass(frozen=True, slots=True)
class Check:
    """Answered when the configuration has been read."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Answered when `count` workers are ready, or by `SCALE_FAILED`."""

    count: int


@dataclass(frozen=True, slots=True)
class Status:
    """Answered at once."""


Request = Reload | ReloadCertificates | Upgrade | Scale | Status | Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller is told: the method's result, or an error."""

    parameters: Mapping[str, Any]
    error: str = ""
    """Its full name; empty: none."""


def understand(call: Call, version: str) -> Request | Answer:
    """What `call` asks for, or the answer to it; `version` is sdserve's."""
    interface, _, _ = call.method.rpartition(".")
    if interface not in DESCRIPTIONS:
        return Answer(error=INTERFACE_NOT_FOUND, parameters={"interface": interface})
    if call.method not in METHODS:
        return Answer(error=METHOD_NOT_FOUND, parameters={"method": call.method})
    if call.upgrade:
        return _invalid("upgrade")
    known, make = METHODS[call.method]
    for name in call.parameters:
        if name not in known:
            return _invalid(name)
    return make(call.parameters, version)


def written(request: Request) -> dict[str, Any]:
    """The fields of a `Call` that `understand` takes for `request`."""
    parameters = {"count": request.count} if isinstance(request, Scale) else {}
    return {"method": f"{INTERFACE}.{type(request).__name__}", "parameters": parameters}


def denied() -> Answer:
    """The answer to whatever a stranger calls."""
    return Answer(error=PERMISSION_DENIED, parameters={})


def _scale(parameters: Mapping[str, Any], _: str) -> Request | Answer:
    count = parameters.get("count")
    if type(count) is not int or not 1 <= count <= MOST_WORKERS:
        return _invalid("count")
    return Scale(count)


def _get_info(_: Mapping[str, Any], version: str) -> Answer:
    return Answer(
        parameters={
            "vendor": "sdserve",
            "product": "sdserve",
            "version": version,
            "url": "",
            "interfaces": sorted(DESCRIPTIONS),
        }
    )


def _get_interface_description(parameters: Mapping[str, Any], _: str) -> Answer:
    interface = parameters.get("interface")
    if not isinstance(interface, str):
        return _invalid("interface")
    if interface not in DESCRIPTIONS:
        return Answer(error=INTERFACE_NOT_FOUND, parameters={"interface": interface})
    return Answer(parameters={"description": DESCRIPTIONS[interface]})


def _invalid(parameter: str) -> Answer:
    return Answer(error=INVALID_PARAMETER, parameters={"parameter": parameter})


METHODS: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any], str], Request | Answer]]] = {
    f"{INTERFACE}.Reload": ((), lambda *_: Reload()),
    f"{INTERFACE}.ReloadCertificates": ((), lambda *_: ReloadCertificates()),
    f"{INTERFACE}.Upgrade": ((), lambda *_: Upgrade()),
    f"{INTERFACE}.Scale": (("count",), _scale),
    f"{INTERFACE}.Status": ((), lambda *_: Status()),
    f"{INTERFACE}.Check": ((), lambda *_: Check()),
    f"{SERVICE}.GetInfo": ((), _get_info),
    f"{SERVICE}.GetInterfaceDescription": (("interface",), _get_interface_description),
}
"""The parameters of each method, and what a call with no others becomes."""
