"""Each fault of a server is counted, once, in its class."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import pytest

from tests.load import bad_server as bad
from tests.load.bad_server import BadServer, Fault, bad_server
from tests.load.client import Address, Client
from tests.load.plan import GET, IDLE, NEW, PAIR, POST, STREAM, Plan
from tests.load.report import Ending, Outcome, Report

TIMEOUT = 10.0
"""Seconds for anything a test waits for: the end of a hang, no measure of speed."""

GETS = Plan(rate=200, weights={GET: 1}, shared=3, idle=0, patience=TIMEOUT)
ONE = dataclasses.replace(GETS, rate=0, shared=1)
"""One request on one connection, and no more."""
IMPATIENT = 0.3


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await asyncio.sleep(0.005)


async def load_on(server: BadServer, plan: Plan, requests: int) -> Report:
    client = Client(plan, server.address, "only")
    client.start()
    await until(lambda: client.tally.finished >= requests, "so many requests have ended")
    return await client.stop()


def load(faults: Mapping[int, Fault], plan: Plan = GETS, requests: int = 60) -> Report:
    async def scenario() -> Report:
        async with bad_server(faults) as server:
            return await load_on(server, plan, requests)

    return asyncio.run(scenario())


def test_a_good_server_has_no_faults():
    kinds = {GET: 4, POST: 1, STREAM: 1, PAIR: 1, NEW: 2}
    plan = Plan(rate=300, weights=kinds, shared=3, idle=2, idle_seconds=0.1, pieces_ms=0, patience=TIMEOUT)
    report = load({}, plan, requests=150)

    assert report.faults() == ""
    assert set(report.kinds) == {*kinds, IDLE}
    assert report.requests == {Outcome.OK: sum(report.kinds.values())}
    assert report.kinds[PAIR] % 2 == 0
    assert [(server.pid, server.requests) for server in report.served] == [
        (bad.PID.decode(), report.requests[Outcome.OK])
    ]


def test_each_request_may_have_a_connection_of_its_own():
    plan = dataclasses.replace(GETS, weights={GET: 2, POST: 1, PAIR: 1}).on_new_connections()
    report = load({1: bad.announce_a_close, 2: bad.announce_a_close}, plan)

    assert report.faults() == "", "an announcement takes nothing from who has no further request"
    assert report.opened == report.kinds[GET] + report.kinds[POST] == sum(report.requests.values())


@pytest.mark.parametrize(
    ("fault", "outcome", "ending"),
    [
        (bad.reset, Outcome.RESET, Ending.BUSY),
        (bad.close, Outcome.CLOSED, Ending.BUSY),
        (bad.cut_in_the_head, Outcome.SHORT, Ending.BUSY),
        (bad.cut_in_the_body, Outcome.SHORT, Ending.BUSY),
        (bad.cut_by_a_reset, Outcome.RESET, Ending.BUSY),
        (bad.fail, Outcome.STATUS, None),
        (bad.answer_another_request, Outcome.WRONG, None),
        (bad.change_the_body, Outcome.WRONG, None),
        (bad.babble, Outcome.WRONG, None),
    ],
)
def test_a_fault_is_one_failed_request(fault, outcome, ending):
    report = load({30: fault})

    assert report.requests.pop(Outcome.OK) >= 59
    assert report.requests == {outcome: 1}
    assert report.endings == ({ending: 1} if ending else {})
    (failure,) = report.failures
    assert (failure.outcome, failure.kind, failure.phase) == (outcome, GET, "only")
    assert failure.port > 0
    assert failure.pid == bad.PID.decode()
    assert 0 < failure.at < report.seconds


@pytest.mark.parametrize(
    ("fault", "ending", "reset"),
    [
        (bad.announce_a_close, Ending.ANNOUNCED, False),
        (bad.answer_and_close, Ending.AFTER_ANSWER, False),
        (bad.later(bad.close), Ending.IDLE, False),
        (bad.later(bad.reset), Ending.IDLE, True),
        (bad.later(bad.babble), Ending.STRAY, False),
        (bad.answer_twice, Ending.STRAY, False),
    ],
)
def test_a_connection_that_is_closed_without_need_is_counted_though_no_request_fails(fault, ending, reset):
    async def scenario():
        async with bad_server({1: fault}) as server:
            client = Client(ONE, server.address, "only")
            client.start()
            await until(lambda: client.tally.closed == 1, "the end of the connection was seen")
            return await client.stop()

    report = asyncio.run(scenario())

    assert report.requests == {Outcome.OK: 1}
    assert report.endings == {ending: 1}
    (closing,) = report.closings
    assert (closing.ending, closing.reset, closing.pid) == (ending, reset, bad.PID.decode())
    assert closing.port > 0


def test_a_connection_that_is_gone_is_made_anew():
    plan = dataclasses.replace(ONE, shared=0, idle=1, idle_seconds=0.05)
    report = load({2: bad.answer_and_close, 4: bad.announce_a_close}, plan, requests=8)

    assert report.opened == 3
    assert report.requests == {Outcome.OK: report.kinds[IDLE]}
    assert sorted(report.endings.values()) == [1, 1]


def test_what_was_sent_behind_a_failed_request_has_failed_as_well():
    plan = dataclasses.replace(GETS, weights={PAIR: 1}, shared=0)
    report = load({5: bad.cut_in_the_body}, plan, requests=20)

    assert [failure.outcome for failure in report.failures] == [Outcome.SHORT, Outcome.CLOSED]
    assert report.endings == {Ending.BUSY: 1}


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_patience_lasts():
    plan = dataclasses.replace(GETS, patience=IMPATIENT)
    report = load({1: bad.say_nothing, 20: bad.say_nothing}, plan)

    assert report.requests.pop(Outcome.OK) > 0
    assert report.requests == {Outcome.TIMEOUT: 2}
    assert report.endings == {}


def test_nothing_is_settled_that_began_after_who_still_waits():
    async def scenario() -> None:
        async with bad_server({5: bad.say_nothing}) as server:
            client = Client(dataclasses.replace(GETS, patience=2.0), server.address, "only")
            client.start()
            await until(lambda: client.tally.finished >= 10, "one of so many is not answered")
            before = client.counts()
            await until(lambda: client.tally.finished >= 20, "others are")
            assert client.counts()["settled"] == before["settled"] < before["at"]
            await until(lambda: client.counts()["settled"] > before["at"], "nobody waits for it any more")

    asyncio.run(scenario())


def test_nobody_listening_is_a_refusal():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        report = asyncio.run(count(probe.getsockname(), ONE))

    assert report.requests == {Outcome.REFUSED: 1}
    assert report.failures[0].port == 0


def test_a_connection_that_is_not_made_is_waited_for_no_longer_than_patience_lasts():
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # Linux lets one more than the backlog in.
        waiting.enter_context(socket.create_connection(listener.getsockname()))
        plan = dataclasses.replace(ONE, patience=IMPATIENT)
        report = asyncio.run(count(listener.getsockname(), plan))

    assert report.requests == {Outcome.TIMEOUT: 1}
    assert report.opened == 0


async def count(address: Address, plan: Plan) -> Report:
    client = Client(plan, address, "only")
    client.start()
    return await client.stop()


def test_a_server_that_stands_still_is_sent_requests_as_before_and_each_is_late():
    async def scenario():
        async with bad_server({}) as server:
            client = Client(GETS, server.address, "before")
            client.start()
            await until(lambda: client.tally.finished >= 20, "it serves")
            client.tally.phase = "still"
            server.may_answer.clear()
            began, arrived = asyncio.get_running_loop().time(), server.arrived
            # Only an open loop sends more than one for each connection that there was.
            await until(lambda: server.arrived >= arrived + 60, "requests keep coming")
            client.tally.phase = "after"
            server.may_answer.set()
            stood = asyncio.get_running_loop().time() - began
            return stood, await client.stop()

    stood, report = asyncio.run(scenario())

    assert report.faults() == ""
    still = report.phases["still"]
    assert still.requests >= 55
    assert still.stall > stood / 2
    assert (still.stall_kind, still.stall_pid) == (GET, bad.PID.decode())
    assert report.latency["max"] >= still.stall
    assert report.latency["p50"] > stood / 4, "the late ones are most of all, and none was left out"


def test_each_phase_has_its_own_requests():
    async def scenario():
        async with bad_server({25: bad.fail}) as server:
            client = Client(GETS, server.address, "one")
            client.start()
            await until(lambda: client.tally.finished >= 20, "some in the first")
            client.tally.phase = "two"
            await until(lambda: client.tally.finished >= 40, "some in the second")
            return await client.stop()

    report = asyncio.run(scenario())

    assert list(report.phases) == ["one", "two"]
    assert sum(phase.requests for phase in report.phases.values()) == sum(report.requests.values())
    assert (report.phases["one"].failed, report.phases["two"].failed) == (0, 1)
    assert report.failures[0].phase == "two"
