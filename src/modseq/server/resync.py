"""What a client that knew a mailbox is told when it opens it again.

RFC: 7162 section 3.2.5, 3.2.6
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modseq.core.change import ChangeSet
from modseq.core.mailbox import MailboxState
from modseq.core.numset import NumSet
from modseq.core.uidindex import UidIndex
from modseq.wire.values import QResync, SequenceSet


@dataclass(frozen=True, slots=True)
class Resync:
    """Messages that are gone, and messages whose flags are to be told, by UID."""

    vanished: NumSet
    changed: NumSet


def resynchronise(state: MailboxState, changes: ChangeSet, wanted: QResync) -> Resync:
    """
    Return what the client must learn to know what the mailbox holds.

    Where the history of expunges does not reach back far enough, every known UID that is not there is
    named: the client may know of some, but a partial answer would leave it with messages that are gone.

    Args:
        state: the mailbox as it is.
        changes: what happened since ``wanted.mod_seq`` and up to ``state``.
        wanted: what the client says it knew; its UIDVALIDITY is the mailbox's.

    RFC: 7162 section 3.2.5.1, 3.2.5.2, 3.2.6

    """
    highest = state.uid_next - 1
    if wanted.known_uids is None:
        known = NumSet.from_ranges([(1, highest)]) if highest else NumSet.EMPTY
    else:
        known = wanted.known_uids.resolve(0, ceiling=highest)
    vanished = vanished_among(state, changes, known)
    if vanished and wanted.match is not None:
        vanished -= unchanged_ranges(state.index, *wanted.match)
    return Resync(vanished, (changes.appeared | changes.changed) & known)


def vanished_among(state: MailboxState, changes: ChangeSet, known: NumSet) -> NumSet:
    """
    Return those of some UIDs that a client who knows all up to ``changes.since`` must be told are gone.

    Args:
        known: no UID at or above the mailbox's UIDNEXT.

    RFC: 7162 section 3.2.6
    """
    if changes.history_complete:
        return known & changes.vanished
    return known - NumSet(state.index.select(known))


def unchanged_ranges(index: UidIndex, seq_nums: SequenceSet, uids: SequenceSet) -> NumSet:
    """
    Return ranges of UIDs of which the client knows all expunges, by its sequence match data.

    What lies between two pairs is unchanged if both messages are there and as many messages lie between
    them as the client knew: messages never appear among older ones, so an equal count means the same
    messages. The range before the first message begins at 0 with number 0. So an expunge in the middle
    costs the client only the ranges around it, not everything behind it.

    Args:
        seq_nums, uids: ascending and of equal size; the n-th number of the one is the n-th UID's.

    RFC: 7162 section 3.2.5.2
    """
    unchanged: list[tuple[int, int]] = []
    last_seq = last_uid = 0
    for first, final in _runs(seq_nums, uids):
        before, through = index.rank(first[1] - 1), index.rank(final)
        if before == through:
            continue
        # Inside a run each UID is named: one that is not there is gone, whatever is counted.
        lowest, highest = index.uid_at(before + 1), index.uid_at(through)
        seq_num = first[0] + lowest - first[1]
        if before + 1 - index.rank(last_uid) == seq_num - last_seq:
            unchanged.append((last_uid + 1, lowest))
        last_uid = highest
        last_seq = first[0] + highest - first[1]
    return NumSet.from_ranges(unchanged)


def _runs(seq_nums: SequenceSet, uids: SequenceSet) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield (number and UID of the first pair, UID of the last) of each run of consecutive pairs."""
    ranges = iter(uids.ranges)
    uid, final = 1, 0
    for low, high in seq_nums.ranges:
        seq_num = low
        while seq_num <= high:
            if uid > final:
                uid, final = next(ranges)
            count = min(high - seq_num, final - uid) + 1
            yield (seq_num, uid), uid + count - 1
            seq_num += count
            uid += count
