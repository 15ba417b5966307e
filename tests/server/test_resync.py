"""What a returning client is told: sound and complete for every client that knows a part of the truth."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from modseq.core.numset import NumSet
from modseq.core.uidindex import UidIndex
from modseq.server.resync import unchanged_ranges
from modseq.wire.values import SequenceSet

UID_MAX = 60


def sequence_set(numbers):
    return SequenceSet(tuple(NumSet(numbers).ranges()))


@st.composite
def clients(draw):
    """The UIDs a client knew, those that are left of them and came since, and the pairs that it remembers."""
    known = sorted(draw(st.sets(st.integers(1, UID_MAX), min_size=1)))
    left = sorted(draw(st.sets(st.sampled_from(known))))
    came = sorted(draw(st.sets(st.integers(UID_MAX + 1, UID_MAX + 9))))
    seq_nums = sorted(draw(st.sets(st.integers(1, len(known)), min_size=1)))
    return known, left + came, seq_nums, [known[seq_num - 1] for seq_num in seq_nums]


@given(clients())
def test_no_expunge_that_the_client_does_not_know_of_is_left_out(client):
    known, present, seq_nums, uids = client
    unchanged = unchanged_ranges(UidIndex.of(present), sequence_set(seq_nums), sequence_set(uids))
    assert unchanged & (NumSet(known) - NumSet(present)) == NumSet.EMPTY


@given(clients())
def test_everything_up_to_a_pair_that_matches_is_left_out(client):
    """RFC 7162 section 3.2.5.2: no UIDs equal to or less than the message's are present."""
    _, present, seq_nums, uids = client
    index = UidIndex.of(present)
    unchanged = unchanged_ranges(index, sequence_set(seq_nums), sequence_set(uids)) | NumSet(present)
    matching = [uid for seq_num, uid in zip(seq_nums, uids, strict=True) if index.seq_of(uid) == seq_num]
    if matching:
        assert NumSet.from_ranges([(1, matching[-1])]).issubset(unchanged)


@given(clients())
def test_between_two_messages_as_far_apart_as_before_everything_is_left_out(client):
    _, present, seq_nums, uids = client
    index = UidIndex.of(present)
    unchanged = unchanged_ranges(index, sequence_set(seq_nums), sequence_set(uids)) | NumSet(present)
    pairs = [(seq_num, uid) for seq_num, uid in zip(seq_nums, uids, strict=True) if uid in index]
    for (seq_num, uid), (next_seq_num, next_uid) in pairwise(pairs):
        if index.rank(next_uid) - index.rank(uid) == next_seq_num - seq_num:
            assert NumSet.from_ranges([(uid, next_uid)]).issubset(unchanged)


@given(
    st.sets(st.integers(1, UID_MAX)),
    st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1)), min_size=1, max_size=8),
)
def test_nothing_that_a_client_claims_is_an_error(present, pairs):
    seq_nums = sorted({seq_num for seq_num, _ in pairs})
    uids = sorted({uid for _, uid in pairs})
    count = min(len(seq_nums), len(uids))
    unchanged_ranges(UidIndex.of(sorted(present)), sequence_set(seq_nums[:count]), sequence_set(uids[:count]))
