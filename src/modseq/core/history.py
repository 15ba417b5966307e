"""The newest changes of a mailbox, and the UIDs of everything expunged before them."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from pyroaring import BitMap

from modseq import limits
from modseq.core.change import Change
from modseq.core.errors import ExpungesNotLoaded
from modseq.core.numset import NumSet


class ExpungeLog:
    """Exact pairs of mod-sequence and expunged UID, in the order of the mod-sequences.

    Each UID needs a number of its own, because a client may ask from any moment on
    (RFC 7162 section 3.2.6).
    """

    __slots__ = ("mod_seqs", "uids")

    def __init__(self, mod_seqs: Sequence[int] = (), uids: Sequence[int] = ()) -> None:
        self.mod_seqs = array("Q", mod_seqs)
        self.uids = array("I", uids)

    def extend(self, mod_seq: int, uids: NumSet) -> None:
        """Add the UIDs of an expunge newer than all that are here."""
        self.uids.extend(uids.to_array())
        self.mod_seqs.extend(array("Q", (mod_seq,)) * len(uids))

    def between(self, mod_seq: int, until: int) -> tuple[BitMap, int]:
        """Return the UIDs expunged after ``mod_seq`` up to ``until``, and the lowest number (0 for none)."""
        first, end = bisect_right(self.mod_seqs, mod_seq), bisect_right(self.mod_seqs, until)
        if first >= end:
            return BitMap(), 0
        return BitMap(self.uids[first:end]), self.mod_seqs[first]

    def keep_until(self, mod_seq: int) -> None:
        """Drop the pairs numbered above ``mod_seq``."""
        at = bisect_right(self.mod_seqs, mod_seq)
        del self.mod_seqs[at:], self.uids[at:]

    def forget(self, horizon: int) -> None:
        """Drop the pairs numbered ``horizon`` or less."""
        at = bisect_right(self.mod_seqs, horizon)
        del self.mod_seqs[:at], self.uids[:at]


class History:
    """What happened lately in one mailbox.

    Attributes:
        floor: every change numbered above it is here.
        expunged: the expunges numbered ``floor`` or less, None while they are only in storage.

    Shared by all published states of a mailbox: only the publisher appends, and a state sees no further
    than its own mod-sequence.
    """

    __slots__ = ("_changes", "_mod_seqs", "_weight", "expunged", "floor")

    def __init__(self, floor: int = 0, expunged: ExpungeLog | None = None) -> None:
        self.floor = floor
        self.expunged = expunged
        self._mod_seqs = array("Q")
        self._changes: list[Change] = []
        self._weight = 0

    @property
    def newest(self) -> int:
        """The mod-sequence up to which the changes are here."""
        return self._mod_seqs[-1] if self._mod_seqs else self.floor

    def append(self, change: Change) -> None:
        """Add a published change, newer than all that are here."""
        self._mod_seqs.append(change.mod_seq)
        self._changes.append(change)
        self._weight += change.weight
        # Cut a quarter at a time: cutting one by one would move the whole list at each change.
        if (
            len(self._changes) > limits.LOG_CHANGES_IN_MEMORY_MAX * 5 // 4
            or self._weight > limits.LOG_WEIGHT_IN_MEMORY_MAX * 5 // 4
        ):
            self.trim(limits.LOG_CHANGES_IN_MEMORY_MAX, limits.LOG_WEIGHT_IN_MEMORY_MAX)

    def trim(self, changes_max: int, weight_max: int) -> None:
        """Forget the oldest changes; their expunges stay, here if the others are here, else in storage."""
        drop = 0
        while drop < len(self._changes) and (
            len(self._changes) - drop > changes_max or self._weight > weight_max
        ):
            change = self._changes[drop]
            self._weight -= change.weight
            if self.expunged is not None and change.vanished:
                self.expunged.extend(change.mod_seq, change.vanished)
            self.floor = change.mod_seq
            drop += 1
        # New lists: a reader that holds the old ones goes on undisturbed.
        self._changes = self._changes[drop:]
        self._mod_seqs = self._mod_seqs[drop:]

    def after(self, mod_seq: int, until: int) -> Sequence[Change]:
        """Return the changes numbered above ``mod_seq`` (not below the floor) up to ``until``."""
        mod_seqs = self._mod_seqs
        return self._changes[bisect_right(mod_seqs, mod_seq) : bisect_right(mod_seqs, until)]

    def expunged_after(self, mod_seq: int, until: int) -> tuple[BitMap, int]:
        """Return the UIDs expunged after ``mod_seq``, up to ``until`` and the floor, and the lowest number.

        A snapshot may be older than the floor, which moves on without it: ``until`` is where it ends.

        Raises:
            ExpungesNotLoaded: they are only in storage.
        """
        if mod_seq >= self.floor:
            return BitMap(), 0
        if self.expunged is None:
            raise ExpungesNotLoaded("The older expunges are not in memory.")
        return self.expunged.between(mod_seq, until)
