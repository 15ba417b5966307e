"""UidIndex against plain lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bed import uids as uid_set
from modseq.core import uidindex
from modseq.core.numset import NumSet
from modseq.core.uidindex import UidIndex, block_of

TOP = 2**32 - 1
places = st.one_of(st.integers(1, 60), st.integers(4_080, 4_110), st.integers(TOP - 40, TOP))
sets = st.sets(places, max_size=40)


@pytest.fixture(autouse=True, params=[3, 12], ids=["blocks of 8", "blocks of 4096"])
def _block_size(request, monkeypatch):
    monkeypatch.setattr(uidindex, "BLOCK_BITS", request.param)
    monkeypatch.setattr(uidindex, "BLOCK_UIDS", 1 << request.param)


def same(index: UidIndex, uids) -> None:
    listed = sorted(uids)
    assert list(index) == listed
    assert len(index) == index.count == len(listed)
    assert index.max_uid == (listed[-1] if listed else 0)
    assert index == UidIndex.of(listed)
    assert index.to_numset() == NumSet(listed)
    starts = [(start, list(block)) for _, start, block in index.blocks()]
    assert [uid for _, block in starts for uid in block] == listed
    assert all(listed[start - 1] == block[0] for start, block in starts)
    assert all(block_of(uid) == number for number, _, block in index.blocks() for uid in block)


@given(sets, places)
def test_numbers_and_places(uids, asked):
    index, listed = UidIndex.of(sorted(uids)), sorted(uids)
    same(index, uids)
    for seq_num, uid in enumerate(listed, 1):
        assert index.uid_at(seq_num) == uid
        assert index.seq_of(uid) == seq_num
    assert index.seq_of(asked) == (listed.index(asked) + 1 if asked in uids else None)
    assert (asked in index) == (asked in uids)
    assert index.rank(asked) == sum(uid <= asked for uid in uids)
    assert index.rank(0) == 0
    assert 0 not in index
    for wrong in (0, len(listed) + 1):
        with pytest.raises(IndexError):
            index.uid_at(wrong)


@given(sets, sets, st.booleans())
def test_selections(uids, asked, everything):
    index, listed = UidIndex.of(sorted(uids)), sorted(uids)
    wanted = NumSet.from_ranges([(1, TOP)]) if everything else NumSet(asked)
    present = [uid for uid in listed if everything or uid in asked]
    assert list(index.select(wanted)) == present
    assert index.seqs_of(present) == [listed.index(uid) + 1 for uid in present]


@given(sets, st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=4))
def test_uids_of_sequence_numbers(uids, asked):
    listed = sorted(uids)
    seq_nums = NumSet.from_ranges(asked)
    expected = [listed[n - 1] for n in seq_nums if n <= len(listed)]
    assert list(UidIndex.of(listed).uids_of(seq_nums)) == expected


@given(sets, sets)
def test_removal(uids, gone):
    index = UidIndex.of(sorted(uids))
    same(index.without(NumSet(gone)), uids - gone)
    same(index, uids)


@given(sets, sets)
def test_growth(uids, more):
    index = UidIndex.of(sorted(uids))
    higher = sorted(uid for uid in more if uid > index.max_uid)
    same(index.extended(higher), uids | set(higher))
    same(index.with_uids(NumSet(more)), uids | more)
    same(index, uids)


@given(sets)
def test_growth_of_the_last_block(uids):
    index = UidIndex()
    for _, _, block in UidIndex.of(sorted(uids)).blocks():
        for length in range(1, len(block) + 1):
            before = list(index)
            grown = index.with_last(block_of(block[0]), block[:length])
            assert list(index) == before
            index = grown
    same(index, uids)


def test_spelling():
    assert repr(UidIndex.of([1, 2, 9])) == "UidIndex(1:2,9)"
    assert UidIndex() != [1]
    assert list(UidIndex().select(uid_set(1))) == []
