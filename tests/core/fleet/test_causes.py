from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdserve.core.fleet import causes
from sdserve.core.fleet.model import Generation, Worker, WorkerState, ZygoteState
from sdserve.core.fleet.options import FleetOptions


def worker(state: WorkerState, reason: str = "") -> Worker:
    return Worker(generation=1, serial=1, slot=1, state=state, pid=7, reason=reason)


@pytest.mark.parametrize("number", sorted(causes.SIGNALS))
def test_signals_have_the_names_they_have_here(number: int) -> None:
    assert causes.SIGNALS[number] == signal.Signals(number).name


def test_every_signal_that_ends_a_process_has_a_name() -> None:
    harmless = {"SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH"}
    assert set(causes.SIGNALS) == set(range(1, 32)) - {signal.Signals[name] for name in harmless}


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "exit code 0"), (3, "exit code 3"), (-11, "SIGSEGV"), (-34, "signal 34")],
)
def test_an_ending_is_a_code_or_a_signal(status: int, text: str) -> None:
    assert causes.ending(status) == text


@pytest.mark.parametrize(
    ("state", "reason", "status", "level", "text"),
    [
        (WorkerState.READY, "", 1, "error", "crashed (exit code 1)"),
        (WorkerState.READY, "", 0, "error", "exited unasked (exit code 0)"),
        (WorkerState.READY, "", -11, "error", "crashed (SIGSEGV)"),
        (
            WorkerState.READY,
            "",
            -9,
            "error",
            "crashed (SIGKILL from outside, as when memory runs out)",
        ),
        (WorkerState.FORKING, "", 1, "error", "died while it booted (exit code 1)"),
        (WorkerState.BOOTING, "", 1, "error", "died while it booted (exit code 1)"),
        (WorkerState.FAILED, "no database", 3, "error", "failed: no database"),
        (WorkerState.DRAINING, "", 0, "info", "has drained"),
        (WorkerState.DRAINING, "", 1, "warning", "did not finish draining (exit code 1)"),
        (WorkerState.KILLED, "too slow", -9, "warning", "killed: too slow"),
        (
            WorkerState.KILLED,
            "too slow",
            0,
            "warning",
            "ended by itself (exit code 0) as it was being killed: too slow",
        ),
    ],
)
def test_a_worker_is_given_the_true_cause_of_its_death(
    state: WorkerState, reason: str, status: int, level: str, text: str
) -> None:
    assert causes.worker_end(worker(state, reason), status) == (level, text)


@pytest.mark.parametrize(
    ("state", "trouble", "status", "text"),
    [
        (ZygoteState.OPEN, "", 0, "died (exit code 0)"),
        (ZygoteState.OPENING, "", -9, "died (SIGKILL from outside, as when memory runs out)"),
        (ZygoteState.FAILED, "no such module", -9, "failed: no such module"),
        (ZygoteState.KILLED, "too slow", -9, "killed: too slow"),
    ],
)
def test_so_is_a_zygote(state: ZygoteState, trouble: str, status: int, text: str) -> None:
    options = FleetOptions()
    generation = Generation(number=1, options=options, count=1, zygote=state, trouble=trouble)
    assert causes.zygote_end(generation, status) == text


def test_a_brief_is_the_first_line() -> None:
    assert causes.in_brief("no database\nREADY=1") == "no database"
    assert causes.in_brief("") == ""


@given(st.text())
def test_a_brief_is_short_and_has_no_line_break(text: str) -> None:
    brief = causes.in_brief(text)
    assert len(brief) <= 200
    assert len(brief.splitlines()) <= 1


def test_what_is_cut_shows_it() -> None:
    assert causes.in_brief("x" * 201) == "x" * 197 + "..."
    assert causes.in_brief("x" * 200) == "x" * 200


@pytest.mark.parametrize(
    ("duration", "text"), [(30.0, "30 s"), (1.5, "1.5 s"), (3.375, "3.4 s"), (600.0, "600 s")]
)
def test_durations_are_for_people(duration: float, text: str) -> None:
    assert causes.seconds(duration) == text


def test_one_is_singular() -> None:
    assert [causes.how_many(number, "worker") for number in (0, 1, 2)] == [
        "0 workers",
        "1 worker",
        "2 workers",
    ]
