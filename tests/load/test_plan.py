from __future__ import annotations

from collections import Counter
from itertools import islice

from tests.load.plan import BLOCKING, GET, NEW, PAIR, POST, Plan


def test_a_plan_survives_its_way_to_the_client():
    plan = Plan(rate=5, slow_ms=(1, 2), weights={GET: 1})
    assert Plan.from_json(plan.to_json()) == plan


def test_the_mix_has_its_weights_and_is_the_same_each_time():
    plan = Plan(weights={GET: 5, POST: 3, NEW: 2})
    turns = list(islice(plan.turns(), 100))
    assert Counter(turns) == {GET: 50, POST: 30, NEW: 20}
    assert turns == list(islice(plan.turns(), 100))
    assert turns[:10] != turns[10:20]


def test_a_pair_is_two_requests_of_the_rate():
    assert Plan(rate=10, weights={GET: 1}).interval == 0.1
    assert Plan(rate=10, weights={PAIR: 1}).interval == 0.2
    assert Plan(rate=10, weights={PAIR: 1, GET: 1}).interval == 0.15


def test_an_application_that_blocks_is_asked_for_nothing_that_pauses():
    assert "slow" not in BLOCKING.weights
    assert BLOCKING.pieces_ms == 0
