"""When a batch begins."""

from modseq.limits import GATHERING_TURNS_MAX
from modseq.storage.sqlite.gathering import Gathering


def begins_with(gathering, arrivals):
    """Feed the operations that arrive in each turn; return with how many the batch begins."""
    waiting = 0
    for arrived in arrivals:
        waiting += arrived
        if waiting and not gathering.waits(waiting):
            gathering.begun(waiting)
            return waiting
    raise AssertionError("the batch never began")


def test_a_lone_session_never_waits():
    gathering = Gathering()
    for _ in range(5):
        assert begins_with(gathering, [1]) == 1


def test_one_and_seven_become_four_and_four():
    gathering = Gathering()
    gathering.begun(1)
    gathering.begun(7)
    assert begins_with(gathering, [1, 1, 1, 1, 1]) == 4
    # Those who came meanwhile stand in line already.
    assert begins_with(gathering, [7]) == 7


def test_it_waits_for_a_bounded_number_of_turns():
    gathering = Gathering()
    gathering.begun(100)
    gathering.begun(100)
    assert begins_with(gathering, [1] * 50) == GATHERING_TURNS_MAX + 1
    # Where nobody joins any more the expectation falls.
    gathering.begun(1)
    gathering.begun(1)
    assert begins_with(gathering, [1]) == 1
