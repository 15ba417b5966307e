"""The view of one session: counts, withheld expunges, recent messages."""

import pytest

from core.bed import Bed, uids
from modseq.core.numset import NumSet
from modseq.core.operations import ClaimRecent, Purge
from modseq.core.uidindex import BLOCK_UIDS, UidIndex
from modseq.core.view import Existed, Fetched, KeywordsLearned, SessionView, Vanished


@pytest.fixture
def bed() -> Bed:
    bed = Bed()
    for _ in range(4):
        bed.append()
    return bed


def advance(bed: Bed, view: SessionView, *, may_vanish: bool = True, recent_from: int | None = None) -> list:
    state = bed.state()
    changes = state.changes_since(view.announced)
    return view.advance(state, changes, may_vanish=may_vanish, recent_from=recent_from)


def test_nothing_new_is_no_event(bed):
    view = SessionView(bed.state())
    assert advance(bed, view) == []
    assert view.uids is bed.state().index
    assert view.highest_mod_seq_due() is None


def test_expunges_come_before_the_count_and_keywords_before_flags(bed):
    view = SessionView(bed.state())
    bed.store((1,), "+", "$New")
    bed.append()
    bed.do(Purge(bed.inbox, uids(2)))
    events = advance(bed, view)
    assert [type(event) for event in events] == [KeywordsLearned, Vanished, Existed, Fetched]
    assert events[1].uids == uids(2)
    assert events[2] == Existed(4, 0)
    assert list(events[3].uids) == [1]


def test_expunge_numbers_count_down_as_they_are_told(bed):
    view = SessionView(bed.state())
    bed.do(Purge(bed.inbox, uids(1, 2, 4)))
    (event,) = advance(bed, view)
    assert list(event.seq_nums()) == [1, 1, 2]
    assert list(view.uids) == [3]


def test_a_withheld_message_keeps_its_number(bed):
    view = SessionView(bed.state())
    bed.do(Purge(bed.inbox, uids(2)))
    bed.append()
    assert advance(bed, view, may_vanish=False) == [Existed(5, 0)]
    assert list(view.uids) == [1, 2, 3, 4, 5]
    assert view.withheld == uids(2)
    bed.do(Purge(bed.inbox, uids(5)))
    assert advance(bed, view, may_vanish=False) == []
    (event,) = advance(bed, view)
    assert event.uids == uids(2, 5)
    assert list(event.seq_nums()) == [2, 4]
    assert view.withheld == NumSet.EMPTY
    assert view.uids is bed.state().index


def test_a_message_that_came_and_went_is_never_told(bed):
    view = SessionView(bed.state())
    uid = bed.append()
    bed.do(Purge(bed.inbox, uids(uid)))
    assert advance(bed, view) == []
    assert view.safe == view.announced == bed.state().mod_seq


def test_the_first_withheld_expunge_decides_what_is_safe(bed):
    view = SessionView(bed.state())
    first = bed.do(Purge(bed.inbox, uids(2))).mod_seq
    advance(bed, view, may_vanish=False)
    bed.do(Purge(bed.inbox, uids(3)))
    advance(bed, view, may_vanish=False)
    assert view.safe == first - 1
    assert view.highest_mod_seq_due() == first - 1
    assert view.highest_mod_seq_due() == first - 1
    advance(bed, view)
    assert view.highest_mod_seq_due() == bed.state().mod_seq
    assert view.highest_mod_seq_due() is None


def test_a_session_behind_the_horizon_learns_of_every_expunge(bed):
    view = SessionView(bed.state())
    told = view.announced
    bed.do(Purge(bed.inbox, uids(2)))
    bed.do(Purge(bed.inbox, uids(4)))
    state = bed.state().copy()
    state.horizon = state.mod_seq - 1
    changes = state.changes_since(told)
    forgetful = type(changes)(
        told, state.mod_seq, vanished=uids(4), vanished_mod_seq_min=state.mod_seq, history_complete=False
    )
    assert view.advance(state, forgetful, may_vanish=False) == []
    assert view.withheld == uids(2, 4)
    assert view.safe == told
    (event,) = view.advance(state, state.changes_since(state.mod_seq), may_vanish=True)
    assert event.uids == uids(2, 4)


def test_changes_that_lead_elsewhere_are_refused(bed):
    view = SessionView(bed.state())
    older = bed.state()
    bed.append()
    with pytest.raises(ValueError):
        view.advance(bed.state(), older.changes_since(older.mod_seq), may_vanish=True)
    with pytest.raises(ValueError):
        view.advance(bed.state(), bed.state().changes_since(1), may_vanish=True)


def test_recent_messages(bed):
    bed.do(ClaimRecent(bed.inbox, 3))
    view = SessionView(bed.state(), recent_from=3)
    assert view.recent == uids(3, 4)
    assert bed.state().counters.recent == 2
    bed.append()
    assert advance(bed, view, recent_from=5) == [Existed(5, 3)]
    bed.append()
    assert advance(bed, view) == [Existed(6, 3)]
    bed.do(Purge(bed.inbox, uids(3)))
    advance(bed, view, may_vanish=False)
    assert view.recent == uids(3, 4, 5)
    advance(bed, view)
    assert view.recent == uids(4, 5)
    assert SessionView(bed.state()).recent == NumSet.EMPTY
    assert SessionView(bed.state(), recent_from=99).recent == NumSet.EMPTY


def test_recent_from_above_what_appeared_marks_nothing(bed):
    view = SessionView(bed.state())
    bed.append()
    assert advance(bed, view, recent_from=50) == [Existed(5, 0)]


def test_what_a_view_says_of_itself(bed):
    view = SessionView(bed.state(), read_only=True)
    assert view.mailbox_id == bed.inbox
    assert view.read_only


def test_a_reply_that_tells_an_expunge_says_where_the_client_then_is(bed):
    """VANISHED carries no number: without the code a client would stay behind what it was told."""
    view = SessionView(bed.state())
    vanished_at = bed.do(Purge(bed.inbox, uids(2))).mod_seq
    advance(bed, view)
    assert view.highest_mod_seq_due() == vanished_at
    assert view.highest_mod_seq_due() is None


def test_a_client_that_is_told_less_for_now_is_told_the_rest_with_the_next_reply(bed):
    view = SessionView(bed.state())
    known = view.announced
    first = bed.do(Purge(bed.inbox, uids(2))).mod_seq
    advance(bed, view, may_vanish=False)
    assert view.highest_mod_seq_due(at_most=known - 1) == known - 1
    assert view.highest_mod_seq_due(at_most=first + 1) == first - 1
    advance(bed, view)
    assert view.highest_mod_seq_due(at_most=first - 1) == first - 1
    assert view.highest_mod_seq_due() == first
    assert view.highest_mod_seq_due() is None


def test_the_numbers_of_many_expunges_are_those_at_the_moment_of_each():
    counted = list(range(1, 20_000, 2))
    gone = NumSet(counted[::2])
    told = list(Vanished(gone, UidIndex.of(counted)).seq_nums())
    assert len(told) == len(gone) > BLOCK_UIDS
    for uid, seq_num in zip(gone, told, strict=True):
        assert counted.pop(seq_num - 1) == uid
