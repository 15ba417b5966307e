"""Many messages that came together are kept as columns, and mean the same as one object for each."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bed import Bed, new_message, uids
from modseq.core.change import Appended, AppendedRun, Change
from modseq.core.flags import DELETED, SEEN, Palette
from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageChunk
from modseq.core.operations import Append, Transfer
from modseq.core.store_flags import StoreFlags
from modseq.storage.sqlite.codec import decode_change, encode_change

MASKS = (SEEN, 0, SEEN, DELETED | 1 << 70)


@st.composite
def runs(draw):
    places = draw(st.lists(st.integers(0, 3), min_size=1, max_size=40))
    sizes = [at * 7 % 50 for at in range(len(places))]
    return AppendedRun(draw(st.integers(1, 9_000)), MASKS, array("I", places), array("I", sizes))


def columns(chunk, palette):
    masks = palette.masks
    return (
        *(list(getattr(chunk, name)) for name in ("uids", "created", "newest", "touched", "sizes")),
        [masks[index] for index in chunk.flags],
        (chunk.unseen, chunk.deleted, chunk.octets, chunk.newest_max),
    )


@given(runs())
def test_a_run_is_a_sequence_of_messages(run):
    apart = tuple(run)
    assert run == apart
    assert [each.uid for each in run] == list(run.uids)
    assert run[-1] == apart[-1]
    assert tuple(run[1:3]) == apart[1:3]
    assert run != (*apart[:-1], Appended(apart[-1].uid, 0, 99))


@given(runs())
def test_blocks_take_in_a_run_as_they_do_its_messages(run):
    one, other = MailboxState(1, 1), MailboxState(1, 1)
    one = one.fold(Change(5, appended=run))
    other = other.fold(Change(5, appended=tuple(run)))
    assert one.counters == other.counters
    assert list(one.chunks) == list(other.chunks)
    for number, chunk in one.chunks.items():
        assert columns(chunk, one.palette) == columns(other.chunks[number], other.palette)


def test_a_run_is_added_behind_what_is_there():
    palette, chunk = Palette(), MessageChunk()
    chunk.append([Appended(3, SEEN, 10)], 2, palette)
    chunk.append_run(AppendedRun(4, MASKS, array("I", (3, 1)), array("I", (7, 8))), 6, palette)
    assert columns(chunk, palette) == (
        [3, 4, 5],
        [2, 6, 6],
        [2, 6, 6],
        [0, 0, 0],
        [10, 7, 8],
        [SEEN, DELETED | 1 << 70, 0],
        (2, 1, 25, 6),
    )


@given(runs())
def test_the_record_of_a_run_is_that_of_its_messages(run):
    record = encode_change(Change(9, appended=run))
    assert record == encode_change(Change(9, appended=tuple(run)))
    assert decode_change(9, record) == Change(9, appended=run)


@pytest.mark.parametrize("moved_between", [False, True])
def test_what_was_prepared_is_not_used_for_a_block_that_changed(monkeypatch, moved_between):
    monkeypatch.setattr("modseq.core.operations.limits.HUGE_OPERATION_MESSAGES_MIN", 1)
    bed = Bed()
    bed.do(Append(bed.inbox, tuple(new_message("$Work") for _ in range(9))))
    transfer = Transfer(bed.inbox, uids(1, 4, 9), bed.inbox, move=False)
    steps = list(transfer.prepare(bed.state()))
    assert len(steps) == 1
    if moved_between:
        bed.do(StoreFlags(bed.inbox, uids(4), "+", ("\\Flagged",)))
    bed.do(transfer)
    assert [bed.flags(uid) for uid in (10, 11, 12)] == [bed.flags(uid) for uid in (1, 4, 9)]
