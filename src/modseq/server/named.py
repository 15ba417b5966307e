"""Which messages a command names: sequence sets resolved against what the session knows.

RFC: 3501 section 6.4.8, 9
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from modseq.core.mailbox import MailboxState
from modseq.core.numset import NumSet
from modseq.core.uidindex import UidIndex
from modseq.server.reply import CommandRefused
from modseq.wire.values import STAR, SequenceSet

if TYPE_CHECKING:
    from modseq.server.session import Session


def named_uids(session: Session, messages: SequenceSet, *, by_uid: bool) -> NumSet:
    """
    Return the UIDs that a sequence set of a command names.

    By sequence number, messages that are expunged but not yet told so keep their number and are named; by
    UID, any number up to the highest that was ever given may be: what is not there is the command's affair.
    `*` is the last message that the client knows. `$` holds what SEARCH saved without what is expunged.

    RFC: 3501 section 6.4.8, 9
    RFC: 5182 section 2.1, 3
    Chosen: `1:*` in an empty mailbox names nothing, by number too; many clients send it.
    Raises CommandRefused (BAD) for sequence numbers above the number of messages.
    """
    view = session.view
    assert view is not None
    if messages.saved:
        return NumSet(_newest(session).index.select(NumSet(view.uids.select(session.saved_uids))))
    if by_uid:
        return messages.resolve(view.uids.max_uid, ceiling=_newest(session).uid_next - 1)
    count = len(view.uids)
    if len(messages.ranges) == 1:
        low, high = messages.ranges[0]
        if low == high and 0 < low <= count:
            return NumSet.single(view.uids.uid_at(low))
    if any(high != STAR and high > count for _, high in messages.ranges):
        raise CommandRefused(f"There are only {count} messages", kind="BAD")
    return _uids_of(view.uids, messages.resolve(count, ceiling=count))


def _uids_of(index: UidIndex, seq_nums: NumSet) -> NumSet:
    """Return the UIDs of sequence numbers; where no UID is missing between, a million cost microseconds."""
    dense: list[tuple[int, int]] = []
    sparse = array("I")
    for first, last in seq_nums.ranges():
        lowest, highest = index.uid_at(first), index.uid_at(last)
        if highest - lowest == last - first:
            dense.append((lowest, highest))
        else:
            sparse.extend(index.slice(first, last))
    uids = NumSet.from_ranges(dense)
    return uids | NumSet(sparse) if sparse else uids


def sequence_numbers(session: Session, uids: NumSet) -> NumSet:
    """Return the numbers under which the client knows these messages, all of which it knows."""
    view = session.view
    assert view is not None
    return NumSet(view.uids.seqs_of(uids.to_array()))


def _newest(session: Session) -> MailboxState:
    """Return the selected mailbox as it is, which the session may not have been told yet."""
    assert session.view is not None
    assert session.account is not None
    return session.account.published(session.view.mailbox_id) or session.view.state
