"""Every case of the corpus over real connections, for every way of serving."""

from __future__ import annotations

import pytest

from tests.conformance.combinations import Witness, every_combination
from tests.conformance.corpus_dialogue import Served, hold_and_go_on_sending, hold_cut_short
from tests.core.http.cases import load

VALID = load("valid")
INVALID = load("invalid")

pytestmark = every_combination


@pytest.fixture
def served(combination, tmp_path):
    witness = Witness()
    with combination.serve(tmp_path, witness) as worker:
        yield Served(combination, tmp_path, worker, witness)


def test_the_application_sees_what_a_valid_case_says(served):
    assert served.failures(VALID) == {}


def test_the_application_sees_the_same_in_whatever_segments_it_arrives(served):
    assert served.failures(VALID, segments=True) == {}


def test_an_invalid_case_is_answered_once_and_nothing_behind_it_is(served):
    assert served.failures(INVALID) == {}


def test_an_invalid_case_is_answered_once_in_whatever_segments_it_arrives(served):
    assert served.failures(INVALID, segments=True) == {}


def test_what_is_cut_short_is_never_taken_for_a_request(served):
    assert served.failures(VALID, hold=hold_cut_short) == {}


def test_an_answer_to_an_invalid_case_is_not_lost_to_a_reset(served):
    assert served.failures(INVALID, hold=hold_and_go_on_sending) == {}
