"""What an operation did, and what changed since a mod-sequence.

A ``Change`` is the durable record of one operation on one mailbox: folding the records in order of their
mod-sequences gives the mailbox. A ``ChangeSet`` is the answer to the one question of this software.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from modseq.core.ids import UserId
from modseq.core.numset import NumSet

ALL_FLAGS = -1
"""As the ``remove`` mask of a FlagEdit: every flag and keyword, whatever its bit."""


@dataclass(frozen=True, slots=True)
class Appended:
    """A message that appeared: its UID, flag mask, and size in octets."""

    uid: int
    flags: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class AppendedRun(Sequence[Appended]):
    """Many messages that appeared under consecutive UIDs, as columns: an object for each costs too much.

    Attributes:
        first_uid: the lowest UID.
        masks: flag masks, of which some may stand more than once or be of no use.
        flags: for each message the place of its mask ("B" or "I").
        sizes: octets ("I").
    """

    first_uid: int
    masks: tuple[int, ...]
    flags: "array[int]"
    sizes: "array[int]"

    @property
    def uids(self) -> NumSet:
        """Their UIDs."""
        return NumSet.from_ranges([(self.first_uid, self.first_uid + len(self.sizes) - 1)])

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, at: int) -> Appended: ...
    @overload
    def __getitem__(self, at: slice) -> "AppendedRun": ...
    def __getitem__(self, at: int | slice) -> "Appended | AppendedRun":
        if isinstance(at, slice):
            first, _, step = at.indices(len(self.sizes))
            if step != 1:
                raise ValueError("the UIDs of a run are consecutive")
            return AppendedRun(self.first_uid + first, self.masks, self.flags[at], self.sizes[at])
        if at < 0:
            at += len(self.sizes)
        return Appended(self.first_uid + at, self.masks[self.flags[at]], self.sizes[at])

    def __iter__(self) -> Iterator[Appended]:
        masks = self.masks
        for uid, (place, size) in enumerate(zip(self.flags, self.sizes, strict=True), self.first_uid):
            yield Appended(uid, masks[place], size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((self.first_uid, len(self.sizes)))


@dataclass(frozen=True, slots=True)
class FlagEdit:
    """One edit of the flags of some messages: ``new = (old & ~remove) | add``.

    ``uids`` names exactly the messages that change under it: naming another would give a number to a
    change that changes nothing. ``user_id`` is None for shared flags, else the user whose private flags
    these are.
    """

    uids: NumSet
    add: int
    remove: int
    user_id: UserId | None = None


@dataclass(frozen=True, slots=True)
class AnnotationEdit:
    """A change of one annotation entry of one message; None removes it. The record keeps its place for it."""

    uid: int
    entry: str
    value: bytes | None
    user_id: UserId | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What one operation did to one mailbox, all under one mod-sequence.

    Order within: keywords become known, messages appear, flags are edited, messages vanish.
    """

    mod_seq: int
    appended: Sequence[Appended] = ()
    edits: tuple[FlagEdit, ...] = ()
    vanished: NumSet = NumSet.EMPTY
    keywords: tuple[tuple[int, str], ...] = ()
    annotations: tuple[AnnotationEdit, ...] = ()

    @property
    def weight(self) -> int:
        """How many messages the record names: a measure of its memory and of the work to fold it."""
        return len(self.appended) + sum(len(edit.uids) for edit in self.edits) + len(self.vanished)


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What happened to a mailbox after ``since`` and up to ``mod_seq``, from one consistent snapshot.

    Attributes:
        since: the mod-sequence from which the asker starts.
        mod_seq: the mailbox's highest mod-sequence in the snapshot.
        appeared: UIDs that came and are still there.
        changed: UIDs from before ``since``, still there, of which a metadata item changed.
        vanished: UIDs that were expunged, also those that came after ``since``.
        vanished_mod_seq_min: the lowest mod-sequence of an expunge in ``vanished``; 0 when there is none.
        history_complete: False when ``since`` lies before the horizon of the expunge history: ``vanished``
            is then not all (RFC 7162 section 3.2.6).
        keywords_added: True when the mailbox learned a keyword.

    RFC: 7162 section 3.2.5.1, 3.2.6
    """

    since: int
    mod_seq: int
    appeared: NumSet = NumSet.EMPTY
    changed: NumSet = NumSet.EMPTY
    vanished: NumSet = NumSet.EMPTY
    vanished_mod_seq_min: int = 0
    history_complete: bool = True
    keywords_added: bool = False
