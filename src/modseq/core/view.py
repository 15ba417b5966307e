"""What one client knows of its selected mailbox.

The client counts messages by what it was told, not by what is there. The view keeps that count, turns
what changed into the events that the client may be told now, and says up to which mod-sequence the client
has been told everything:

    announced   everything up to here is on the wire, but for what is withheld
    safe        nothing at or below it is withheld: what the client may store as HIGHESTMODSEQ

An expunge that may not be told (RFC 3501 section 7.4.1, RFC 7162 section 3.2.10.2) is withheld: the message
keeps its sequence number, and ``safe`` stays below the number of the expunge until it is told.

RFC: 7162 section 3.2, 6
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from modseq.core.change import ChangeSet
from modseq.core.mailbox import MailboxState
from modseq.core.modseq import AnnouncedModSeq, SafeModSeq
from modseq.core.numset import NumSet
from modseq.core.uidindex import BLOCK_UIDS, UidIndex


@dataclass(frozen=True, slots=True)
class Existed:
    """There are now so many messages, so many of them recent (RFC 3501 section 7.3.1, 7.3.2)."""

    count: int
    recent: int


@dataclass(frozen=True, slots=True)
class Vanished:
    """Messages that the client counted are gone; it has been told, and the count is lower now."""

    uids: NumSet
    before: UidIndex

    def seq_nums(self) -> Iterator[int]:
        """Yield the number of each message as EXPUNGE responses name them, one after the other.

        RFC: 3501 section 7.4.1
        """
        uids = self.uids.to_array()
        # Some at a time: whoever writes them may want to pause, and a million take half a second to look up.
        for start in range(0, len(uids), BLOCK_UIDS):
            part = self.before.seqs_of(uids[start : start + BLOCK_UIDS])
            for already_gone, seq_num in enumerate(part, start):
                yield seq_num - already_gone


@dataclass(frozen=True, slots=True)
class Fetched:
    """Flags of these messages, ascending by UID, changed and are to be told."""

    uids: "array[int]"


@dataclass(frozen=True, slots=True)
class KeywordsLearned:
    """The mailbox has new keywords: FLAGS and PERMANENTFLAGS are to be told."""


Event: TypeAlias = Existed | Vanished | Fetched | KeywordsLearned


class SessionView:
    """What one client knows of one mailbox.

    Attributes:
        state: the snapshot of which the client was told everything, but for withheld expunges.
        uids: the messages that the client counts, in its order; withheld ones are still here.
        withheld: expunged messages of which the client was not told.
        recent: messages that are recent in this session (RFC 3501 section 2.3.2).
        read_only: the mailbox was opened by EXAMINE.
    """

    __slots__ = ("_end_is_due", "_withheld_mod_seq_min", "read_only", "recent", "state", "uids", "withheld")

    def __init__(
        self, state: MailboxState, *, read_only: bool = False, recent_from: int | None = None
    ) -> None:
        """Args: ``recent_from`` is the lowest UID that is recent in this session, None when none is."""
        self.state = state
        self.uids = state.index
        self.withheld = NumSet.EMPTY
        self.read_only = read_only
        self.recent = NumSet.EMPTY
        self._withheld_mod_seq_min = 0
        self._end_is_due = False
        if recent_from is not None and recent_from < state.uid_next and state.exists:
            self.recent = NumSet(state.index.select(NumSet.from_ranges([(recent_from, state.uid_next - 1)])))

    @property
    def mailbox_id(self) -> int:
        """The mailbox."""
        return self.state.mailbox_id

    @property
    def announced(self) -> AnnouncedModSeq:
        """The highest mod-sequence put on the wire; below it only withheld expunges are untold."""
        return AnnouncedModSeq(self.state.mod_seq)

    @property
    def safe(self) -> SafeModSeq:
        """The highest mod-sequence that the client may store."""
        if self.withheld:
            return SafeModSeq(self._withheld_mod_seq_min - 1)
        return SafeModSeq(self.state.mod_seq)

    def highest_mod_seq_due(self, at_most: int | None = None) -> SafeModSeq | None:
        """Return the HIGHESTMODSEQ that the reply being sent must carry, None when it needs none.

        While an expunge is withheld, each reply says the lower value, because the MODSEQ of a FETCH beside
        it would raise what the client stores above the untold expunge. The reply that releases the expunge
        says where the client then is.

        Args:
            at_most: the client has taken in no more yet; what is above is due with the next reply.

        RFC: 7162 section 3.2, 6
        """
        if not self.withheld and not self._end_is_due:
            return None
        due = self.safe if at_most is None else SafeModSeq(min(self.safe, at_most))
        self._end_is_due = bool(self.withheld) or due < self.safe
        return due

    def advance(
        self,
        state: MailboxState,
        changes: ChangeSet,
        *,
        may_vanish: bool,
        recent_from: int | None = None,
    ) -> list[Event]:
        """Take in what changed and return what the client is to be told, in order.

        Expunges come before the new count, keywords before the flags that use them.

        Args:
            state: the snapshot to which ``changes`` leads from ``self.state``.
            may_vanish: whether expunges may be told now.
            recent_from: new messages from this UID on are recent in this session.
        """
        if changes.since != self.state.mod_seq or changes.mod_seq != state.mod_seq:
            raise ValueError("the changes do not lead from what the client knows to the new state")
        events: list[Event] = []
        if changes.keywords_added and state.flag_table != self.state.flag_table:
            events.append(KeywordsLearned())
        if changes.vanished or not changes.history_complete:
            self._withhold(changes, state)
        # They were there when the client was last told, and still are: it knows them all.
        changed = changes.changed
        self.state = state
        if may_vanish and self.withheld:
            events.append(self._release())
        if changes.appeared:
            events.append(self._count(changes.appeared, recent_from))
        if not self.withheld:
            self.uids = state.index
        if changed:
            events.append(Fetched(changed.to_array()))
        return events

    def _withhold(self, changes: ChangeSet, state: MailboxState) -> None:
        if changes.history_complete:
            gone, mod_seq_min = NumSet(self.uids.select(changes.vanished)), changes.vanished_mod_seq_min
        else:
            # Some expunges were forgotten before this client was told: what it counts tells which.
            gone, mod_seq_min = self.uids.to_numset() - state.index.to_numset(), changes.since + 1
        gone -= self.withheld
        if not gone:
            return
        if not self.withheld:
            self._withheld_mod_seq_min = mod_seq_min
        self.withheld |= gone

    def _release(self) -> Vanished:
        event = Vanished(self.withheld, self.uids)
        self.uids = self.uids.without(self.withheld)
        self.recent -= self.withheld
        self.withheld = NumSet.EMPTY
        self._end_is_due = True
        return event

    def _count(self, appeared: NumSet, recent_from: int | None) -> Existed:
        self.uids = self.uids.extended(appeared.to_array())
        if recent_from is not None:
            self.recent |= appeared.clamp(recent_from, appeared.max)
        return Existed(len(self.uids), len(self.recent))
