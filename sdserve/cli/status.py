"""`sdserve status TARGET`: how a running instance is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from sdserve.cli.instance import add_instance, ask
from sdserve.cli.output import write
from sdserve.errors import UnavailableError, WireError

NAME = "status"
HELP = "tell how a running instance is: workers, generations, the last reload"
PATIENCE = "10s"
"""How long to wait for what a reload would change, by default."""
EXAMPLES = """\
  sdserve status shop
  sdserve status shop --json                for programs; io.sdserve.Status describes it"""

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_HEADS = ("SLOT", "PID", "GENERATION", "STATE", "AGE", "REQUESTS", "IN FLIGHT", "CONNECTIONS")

State = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let `parser` take TARGET and the form of the answer."""
    add_instance(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(arguments: argparse.Namespace) -> int:
    """Print the status."""
    state = ask(arguments, "Status")["status"]
    state["hints"] += _look(arguments)
    return write(json.dumps(state, indent=2) if arguments.json else "\n".join(report(state)))


def _look(arguments: argparse.Namespace) -> list[str]:
    """What a reload would change. Files are read for that, which may take for ever; the status is known."""
    arguments.timeout = arguments.timeout or PATIENCE
    try:
        hints: list[str] = ask(arguments, "Check")["hints"]
    except WireError:
        return []  # it is of a version that does not know the question
    except UnavailableError as error:
        return [f"what a reload would change is not known: {error}"]
    return hints


def report(state: State) -> Iterator[str]:
    """Yield the lines for people."""
    yield f"{state['name']}: {state['status'] or state['phase']}"
    yield f"sdserve {state['version']}, pid {state['pid']}, for {age(state['age'])}"
    for title, lines in (
        ("Generations", [line for generation in state["generations"] for line in _generation(generation)]),
        ("Listening", [f"{listener['name']}: {listener['address']}" for listener in state["listeners"]]),
        ("Certificates", [_certificate(one) for one in state.get("certificates", [])]),
        ("Workers", _table(state["workers"])),
        ("Last reload", _outcome(state["last_reload"])),
        ("Hints", [line for hint in state["hints"] for line in hint.splitlines()]),
    ):
        if lines:
            yield ""
            yield title
            yield from (f"  {line}" for line in lines)


def age(seconds: float) -> str:
    """A duration in its two largest units: `3 h 12 min`."""
    rest = int(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        number, rest = divmod(rest, size)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
    return " ".join(filter(None, parts[:2])) or "0 s"


def _generation(generation: State) -> Iterator[str]:
    application = generation["application"] or "not prepared yet"
    yield f"{generation['number']} ({generation['role']}): {application}"
    if generation["directory"]:
        venv = f", venv {generation['venv']}" if generation["venv"] else ""
        yield f"   directory {generation['directory']}{venv}"
    zygote = f"zygote {generation['zygote']}"
    if generation["zygote_pid"]:
        zygote += f" (pid {generation['zygote_pid']})"
    trouble = f", {generation['trouble'].splitlines()[0]}" if generation["trouble"] else ""
    yield f"   opened for {generation['opened_for']} {age(generation['age'])} ago, {zygote}{trouble}"


def _certificate(certificate: State) -> str:
    left = certificate["expires_in"]
    until = f"expires in {age(left)}" if left > 0 else f"expired {age(-left)} ago"
    return f"{certificate['listener']}: {', '.join(certificate['names'])}, {until} ({certificate['file']})"


def _table(workers: list[State]) -> list[str]:
    if not workers:
        return []
    rows = [_HEADS, *(_cells(worker) for worker in workers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _cells(worker: State) -> tuple[str, ...]:
    pid = "-" if worker["pid"] is None else str(worker["pid"])
    counts = (str(worker[name]) for name in ("requests", "in_flight", "connections"))
    # Slot 0 stands for none.
    slot = str(worker["slot"] or "-")
    return (slot, pid, str(worker["generation"]), worker["state"], age(worker["age"]), *counts)


def _outcome(outcome: State | None) -> list[str]:
    if outcome is None:
        return []
    how = "succeeded" if outcome["ok"] else "failed"
    lines = [f"to generation {outcome['generation']} {how} {age(outcome['age'])} ago"]
    return [*lines, *(f"  {line}" for line in outcome["text"].splitlines())]
