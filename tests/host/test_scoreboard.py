from __future__ import annotations

import os

import pytest

from sdserve.host import scoreboard
from sdserve.host.fds import Fd
from sdserve.host.scoreboard import BOOTING, FREE, PID, REQUESTS, SERIAL, SLOT, STATE, WORDS, Scoreboard


def indices():
    names = "STATE GENERATION SERIAL SLOT PID HEARTBEAT_NS CONNECTIONS IN_FLIGHT ACCEPTED"
    return [getattr(scoreboard, name) for name in f"{names} REQUESTS ERRORS".split()]


def test_every_word_has_its_own_place():
    assert len(set(indices())) == len(indices())
    assert max(indices()) < WORDS


def test_a_new_scoreboard_has_only_free_rows():
    board = Scoreboard.create(3)
    assert len(board) == 3
    assert [board.row(index).words.tolist() for index in range(3)] == [[0] * WORDS] * 3
    assert board.row(0).words[STATE] == FREE


@pytest.mark.parametrize("index", [-1, 3])
def test_a_row_that_is_not_there_is_an_error(index):
    with pytest.raises(IndexError, match="has 3 rows"):
        Scoreboard.create(3).row(index)


def test_rows_do_not_overlap():
    board = Scoreboard.create(3)
    for index in range(WORDS):
        board.row(1).words[index] = 2**64 - 1
    assert board.row(0).words.tolist() == [0] * WORDS == board.row(2).words.tolist()


def test_a_row_is_whole_cache_lines():
    assert len(bytes(Scoreboard.create(1).row(0).words)) % 64 == 0


def test_clearing_leaves_the_others_alone():
    board = Scoreboard.create(2)
    board.row(0).words[REQUESTS] = board.row(1).words[REQUESTS] = 5
    board.row(0).clear()
    assert board.row(0).words[REQUESTS] == 0
    assert board.row(1).words[REQUESTS] == 5


def test_another_process_writes_and_we_read():
    board = Scoreboard.create(2)
    child = os.fork()
    if child == 0:
        # As a zygote has it: from the descriptor alone.
        row = Scoreboard(Fd(os.dup(board.memory.fileno()))).row(1)
        row.begin(generation=1, serial=7, slot=2)
        for _ in range(1000):
            row.words[REQUESTS] += 1
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    words = board.row(1).words
    assert (words[STATE], words[SERIAL], words[SLOT], words[PID]) == (BOOTING, 7, 2, child)
    assert words[REQUESTS] == 1000
