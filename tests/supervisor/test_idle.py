from __future__ import annotations

from dataclasses import replace

import pytest

from sdserve.core.fleet import events
from sdserve.core.fleet.model import Fleet, Phase
from sdserve.core.fleet.options import FleetOptions
from sdserve.host import channel, scoreboard
from sdserve.supervisor.house import Worker
from sdserve.supervisor.idle import LOOKS, Idle

LIMIT = 600.0


class Watched:
    """A house with workers that exist only in the scoreboard, and somebody who looks at it."""

    def __init__(self, house):
        self.house = house
        self.house.listeners[0].is_passed = True
        self.house.fleet = Fleet(options=FleetOptions(idle_exit=LIMIT), phase=Phase.SERVING)
        self.idle = Idle()
        self.now = self.idle._since
        self.ends = []

    def add(self, serial):
        ours, theirs = channel.pair()
        self.ends.append(theirs)
        row = self.house.take_row()
        self.house.admit_worker(Worker(generation=1, serial=serial, slot=serial, row=row, channel=ours))

    def words(self, serial):
        return self.house.row_of(self.house.workers[serial]).words

    def look(self, after=LIMIT / LOOKS):
        self.now += after
        return list(self.idle.look(self.house, self.now))

    def looks_until_it_goes(self):
        """How many looks there are until it is said; nothing more happens."""
        for count in range(1, 3 * LOOKS):
            if said := self.look():
                [gone] = said
                assert isinstance(gone, events.WentIdle)
                assert gone.seconds == pytest.approx((min(count, LOOKS)) * LIMIT / LOOKS)
                return count
        raise AssertionError("it never goes")


@pytest.fixture
def watched(start):
    watched = Watched(start().house)
    watched.add(1)
    watched.add(2)
    yield watched
    for end in watched.ends:
        end.close()
    for worker in list(watched.house.workers.values()):
        watched.house.forget_worker(worker)


def test_without_anybody_it_goes_after_its_time(watched):
    assert watched.looks_until_it_goes() == LOOKS


def test_it_is_looked_at_ten_times_in_that(watched):
    assert watched.idle.next_look(watched.house) == pytest.approx(watched.now + LIMIT / LOOKS)
    watched.look()
    assert watched.idle.next_look(watched.house) == pytest.approx(watched.now + LIMIT / LOOKS)


def test_without_the_option_nobody_looks(watched):
    watched.house.fleet = Fleet(options=FleetOptions(), phase=Phase.SERVING)
    assert watched.idle.next_look(watched.house) is None


def test_without_a_socket_unit_nobody_looks(watched):
    watched.house.listeners[0].is_passed = False
    assert watched.idle.next_look(watched.house) is None


def test_as_long_as_somebody_is_connected_it_stays(watched):
    watched.words(2)[scoreboard.CONNECTIONS] = 1
    for _ in range(3 * LOOKS):
        assert watched.look() == []
    watched.words(2)[scoreboard.CONNECTIONS] = 0
    assert watched.looks_until_it_goes() == LOOKS


def test_who_came_and_went_between_two_looks_counts(watched):
    for _ in range(LOOKS - 1):
        assert watched.look() == []
    watched.words(1)[scoreboard.ACCEPTED] += 1
    assert watched.look() == []
    assert watched.looks_until_it_goes() == LOOKS


def test_who_came_to_a_worker_that_is_gone_counts(watched):
    """As with max_requests = 1, where every worker goes with its connection."""
    for serial in range(3, 3 + 2 * LOOKS):
        watched.add(serial)
        watched.words(serial)[scoreboard.ACCEPTED] += 1
        watched.house.forget_worker(watched.house.workers[serial])
        assert watched.look() == []
    assert watched.looks_until_it_goes() == LOOKS


def test_a_worker_that_is_replaced_without_a_visit_does_not_count(watched):
    watched.words(1)[scoreboard.ACCEPTED] = 5
    watched.look()
    for serial in range(3, 2 + LOOKS):
        watched.add(serial)
        watched.house.forget_worker(watched.house.workers[serial])
        assert watched.look() == []
    watched.house.forget_worker(watched.house.workers[1])
    assert len(watched.look()) == 1


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.SERVING])
def test_who_does_not_serve_is_not_idle(watched, phase):
    watched.house.fleet = replace(watched.house.fleet, phase=phase)
    for _ in range(2 * LOOKS):
        assert watched.look() == []
    watched.house.fleet = replace(watched.house.fleet, phase=Phase.SERVING)
    assert watched.looks_until_it_goes() == LOOKS


def test_after_another_program_has_taken_over_the_time_begins_again(watched):
    watched.words(1)[scoreboard.ACCEPTED] = 7
    watched.look(LIMIT / 2)
    watched.idle = Idle()
    watched.now = watched.idle._since
    watched.look(0.0)
    assert watched.looks_until_it_goes() == LOOKS
