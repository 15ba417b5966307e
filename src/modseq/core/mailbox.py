"""The state of one mailbox at one moment, and how a change leads to the next."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyroaring import BitMap

from modseq import limits
from modseq.core.change import Appended, AppendedRun, Change, ChangeSet, FlagEdit
from modseq.core.decisions import Foreseen, Foresight
from modseq.core.flags import SEEN, FlagTable, Palette
from modseq.core.history import History
from modseq.core.message import MessageChunk, palette_numbers
from modseq.core.numset import NumSet
from modseq.core.uidindex import UidIndex, block_of, first_uid_of


@dataclass(frozen=True, slots=True)
class Counters:
    """What STATUS tells of a mailbox; ``octets`` is the sum of the sizes."""

    exists: int
    unseen: int
    deleted: int
    recent: int
    octets: int
    uid_next: int
    uid_validity: int
    mod_seq: int


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message as a state shows it; ``flags`` is a mask."""

    uid: int
    flags: int
    mod_seq: int
    created: int
    size: int


class MailboxState:
    """One mailbox at one moment.

    Attributes:
        uid_next: above every UID that was ever given.
        mod_seq: highest mod-sequence of any change, at least 1 (RFC 7162 section 3.1.2.1).
        chunks: blocks of messages by block number, ascending; empty blocks are left out.
        exists, unseen, deleted, octets: counters.
        recent_from: the lowest UID that no session was told to be recent.
        horizon: the highest mod-sequence of an expunge that was forgotten, 0 when all are remembered.
        history: the newest changes, shared with the other states of this mailbox.
        told: what those who tell of this state remember of it: many sessions are told the same.

    Immutable once published: sessions keep it as their snapshot for as long as they like.
    """

    __slots__ = (
        "_answers",
        "_index",
        "chunks",
        "deleted",
        "exists",
        "flag_table",
        "history",
        "horizon",
        "mailbox_id",
        "mod_seq",
        "octets",
        "palette",
        "recent_from",
        "told",
        "uid_next",
        "uid_validity",
        "unseen",
    )

    def __init__(self, mailbox_id: int, uid_validity: int) -> None:
        self.mailbox_id = mailbox_id
        self.uid_validity = uid_validity
        self.uid_next = 1
        self.mod_seq = 1
        self.flag_table = FlagTable()
        self.palette = Palette()
        self.chunks: dict[int, MessageChunk] = {}
        self.exists = self.unseen = self.deleted = self.octets = 0
        self.recent_from = 1
        self.horizon = 0
        self.history = History(floor=1)
        self.told: dict[int, bytes] = {}
        self._index: UidIndex | None = None
        self._answers: dict[int, ChangeSet] = {}

    def copy(self) -> "MailboxState":
        """Return a state that may be given other values before it is published."""
        other = MailboxState.__new__(MailboxState)
        other.mailbox_id, other.uid_validity = self.mailbox_id, self.uid_validity
        other.uid_next, other.mod_seq = self.uid_next, self.mod_seq
        other.flag_table, other.palette = self.flag_table, self.palette
        other.chunks = self.chunks
        other.exists, other.unseen = self.exists, self.unseen
        other.deleted, other.octets = self.deleted, self.octets
        other.recent_from, other.horizon = self.recent_from, self.horizon
        other.history = self.history
        other.told = {}
        other._index = self._index  # noqa: SLF001 -- our own kind
        other._answers = {}  # noqa: SLF001
        return other

    def tidied(self) -> "MailboxState":
        """Return the state with a palette of its own that has only the masks of its messages.

        Not published yet it is built upon like any other. Blocks are other objects than those of this state:
        what was worked out from these, with their palette's numbers, is not taken for them.
        """
        kept = palette_numbers(self.chunks.values())
        numbers = {old: new for new, old in enumerate(kept)}
        state = self.copy()
        state.palette = Palette(self.palette.masks[old] for old in kept)
        state.chunks = {at: chunk.with_palette_numbers(numbers) for at, chunk in self.chunks.items()}
        return state

    @property
    def index(self) -> UidIndex:
        """The UIDs in sequence order."""
        if self._index is None:
            self._index = UidIndex(list(self.chunks), [chunk.uids for chunk in self.chunks.values()])
        return self._index

    @property
    def counters(self) -> Counters:
        """The numbers that STATUS tells."""
        recent = (
            self.exists - self.index.rank(self.recent_from - 1) if self.recent_from < self.uid_next else 0
        )
        return Counters(
            exists=self.exists,
            unseen=self.unseen,
            deleted=self.deleted,
            recent=recent,
            octets=self.octets,
            uid_next=self.uid_next,
            uid_validity=self.uid_validity,
            mod_seq=self.mod_seq,
        )

    def locate(self, uid: int) -> tuple[MessageChunk, int] | None:
        """Return the block and the position of a UID, None when it is not here."""
        chunk = self.chunks.get(block_of(uid))
        if chunk is None or (at := chunk.position(uid)) < 0:
            return None
        return chunk, at

    def message(self, uid: int) -> MessageView | None:
        """Return a message by UID, None when it is not here."""
        found = self.locate(uid)
        if found is None:
            return None
        chunk, at = found
        return MessageView(
            uid, self.palette.masks[chunk.flags[at]], chunk.newest[at], chunk.created[at], chunk.sizes[at]
        )

    def item_mod_seq(self, uid: int, bit: int) -> int | None:
        """Return the mod-sequence of one flag of a message; None when it has none or is not here."""
        found = self.locate(uid)
        return None if found is None else found[0].item_mod_seq(found[1], bit, self.palette)

    def chunks_of(self, uids: NumSet) -> Iterator[tuple[int, MessageChunk]]:
        """Yield the blocks that can hold some of these UIDs, ascending."""
        if not uids:
            return
        low, high = uids.min, uids.max
        if low == high:
            chunk = self.chunks.get(block_of(low))
            if chunk is not None:
                yield block_of(low), chunk
            return
        first, last = block_of(low), block_of(high)
        if len(uids) <= last - first:
            # Fewer UIDs than blocks between them: the cost follows the UIDs.
            for number in sorted({block_of(uid) for uid in uids}):
                chunk = self.chunks.get(number)
                if chunk is not None:
                    yield number, chunk
            return
        if last - first < len(self.chunks) // 2:
            for number in range(first, last + 1):
                chunk = self.chunks.get(number)
                if chunk is not None:
                    yield number, chunk
            return
        for number, chunk in self.chunks.items():
            if first <= number <= last:
                yield number, chunk

    def first_unseen(self) -> int | None:
        """Return the lowest sequence number without ``\\Seen``, None when all have it."""
        before = 0
        for chunk in self.chunks.values():
            if chunk.unseen:
                masks = self.palette.masks
                for at, index in enumerate(chunk.flags):
                    if not masks[index] & SEEN:
                        return before + at + 1
            before += len(chunk)
        return None

    def fold(
        self, change: Change, owned: dict[int, bool] | None = None, foresight: Foresight | None = None
    ) -> "MailboxState":
        """Return the state after a change.

        Args:
            change: the next record; its mod-sequence is above this state's.
            owned: blocks that were copied since the last published state and may be changed in place, by
                number; True when the whole block is, False when only its flags are. None copies anew.
            foresight: what blocks become under this very change, worked out ahead.
        """
        owned = {} if owned is None else owned
        if foresight is None or foresight.palette is not self.palette:
            foresight = _NOTHING_FORESEEN
        state = self.copy()
        state.mod_seq = change.mod_seq
        if change.keywords:
            state.flag_table = self.flag_table.with_keywords(name for _, name in change.keywords)
        if change.appended or change.edits or change.vanished:
            state.chunks = dict(self.chunks)
        # A state of our own kind, which nobody has seen yet.
        if change.appended:
            state._fold_appended(change, owned, foresight.appended)  # noqa: SLF001
        for edit in change.edits:
            state._fold_edit(edit, change.mod_seq, owned, foresight.edited)  # noqa: SLF001
        if change.vanished:
            state._fold_vanished(change.vanished, owned, foresight.vanished)  # noqa: SLF001
        return state

    def _fold_appended(
        self, change: Change, owned: dict[int, bool], foreseen: Mapping[int, Foreseen]
    ) -> None:
        for number, messages in by_block(change.appended):
            published = self.chunks.get(number)
            expected = foreseen.get(number)
            if expected is not None and expected.base is published and expected.result is not None:
                before = _counts(published)
                chunk = expected.result.renumbered(expected.mod_seq, change.mod_seq)
            else:
                chunk = self._own(number, owned, whole=True)
                before = _counts(chunk)
                if isinstance(messages, AppendedRun):
                    chunk.append_run(messages, change.mod_seq, self.palette)
                else:
                    chunk.append(messages, change.mod_seq, self.palette)
            self._count(chunk, before)
            self.chunks[number] = chunk
            if self._index is not None:
                self._index = self._index.with_last(number, chunk.uids)
        self.exists += len(change.appended)
        self.uid_next = change.appended[-1].uid + 1

    def _fold_edit(
        self, edit: FlagEdit, mod_seq: int, owned: dict[int, bool], foreseen: Mapping[int, Foreseen]
    ) -> None:
        for number, published in list(self.chunks_of(edit.uids)):
            expected = foreseen.get(number)
            if expected is not None and expected.base is published and expected.result is not None:
                before = _counts(published)
                chunk = expected.result.renumbered(expected.mod_seq, mod_seq)
            elif positions := published.positions(edit.uids):
                chunk = self._own(number, owned, whole=False)
                before = _counts(chunk)
                chunk.edit(edit, positions, mod_seq, self.palette)
            else:
                continue
            self._count(chunk, before)
            self.chunks[number] = chunk

    def _fold_vanished(
        self, vanished: NumSet, owned: dict[int, bool], foreseen: Mapping[int, Foreseen]
    ) -> None:
        for number, published in list(self.chunks_of(vanished)):
            before, length = _counts(published), len(published)
            expected = foreseen.get(number)
            chunk: MessageChunk | None
            if expected is not None and expected.base is published:
                chunk = expected.result
            else:
                positions = published.positions(vanished)
                if not positions:
                    continue
                if len(positions) == length:
                    chunk = None
                else:
                    chunk = self._own(number, owned, whole=True)
                    chunk.remove(positions, self.palette)
            self.exists -= length
            if chunk is None:
                self._count(_EMPTY, before)
                owned.pop(number, None)
                del self.chunks[number]
            else:
                self.exists += len(chunk)
                self._count(chunk, before)
                self.chunks[number] = chunk
        self._index = None

    def _own(self, number: int, owned: dict[int, bool], *, whole: bool) -> MessageChunk:
        """Return a block that may be changed in place, a copy of the published one if it must be."""
        chunk = self.chunks.get(number)
        if chunk is None:
            chunk, whole = MessageChunk(), True
        elif number not in owned or (whole and not owned[number]):
            chunk = chunk.fork(whole=whole)
        else:
            return chunk
        owned[number] = whole
        return chunk

    def _count(self, chunk: MessageChunk, before: tuple[int, int, int]) -> None:
        """Take over what a block now counts of unseen and deleted messages and of octets."""
        self.unseen += chunk.unseen - before[0]
        self.deleted += chunk.deleted - before[1]
        self.octets += chunk.octets - before[2]

    def changes_since(self, mod_seq: int) -> ChangeSet:
        """Return what happened after ``mod_seq`` and up to this state.

        The cost follows the changes: the newest are read off the history, for older ones only the blocks
        with a newer number are searched. Sessions that were told at the same time ask from the same
        number, so the newest answers are kept.

        Raises:
            ExpungesNotLoaded: ``mod_seq`` is below the history and the older expunges are only in storage.
        """
        if mod_seq >= self.mod_seq:
            return ChangeSet(mod_seq, self.mod_seq)
        answer = self._answers.get(mod_seq)
        if answer is None:
            answer = self._find_changes(mod_seq)
            if len(self._answers) >= limits.ANSWERS_KEPT_PER_STATE_MAX:
                self._answers.clear()
            self._answers[mod_seq] = answer
        return answer

    def _find_changes(self, mod_seq: int) -> ChangeSet:
        if mod_seq >= self.history.floor:
            return self._from_history(mod_seq)
        older, older_min = self.history.expunged_after(mod_seq, self.mod_seq)
        vanished, vanished_min = self._vanished_in_history(mod_seq)
        appeared, changed = self._from_chunks(mod_seq)
        return ChangeSet(
            since=mod_seq,
            mod_seq=self.mod_seq,
            appeared=appeared,
            changed=changed,
            vanished=NumSet(vanished | older),
            vanished_mod_seq_min=older_min or vanished_min,
            history_complete=mod_seq >= self.horizon,
            keywords_added=True,
        )

    def _from_history(self, mod_seq: int) -> ChangeSet:
        came: list[int] = []
        runs: list[NumSet] = []
        edited: list[NumSet] = []
        gone: list[NumSet] = []
        vanished_min = 0
        keywords_added = False
        for change in self.history.after(mod_seq, self.mod_seq):
            if isinstance(change.appended, AppendedRun):
                runs.append(change.appended.uids)
            elif change.appended:
                came += [message.uid for message in change.appended]
            edited += [edit.uids for edit in change.edits]
            if change.vanished:
                gone.append(change.vanished)
                vanished_min = vanished_min or change.mod_seq
            if change.keywords:
                keywords_added = True
        appeared = NumSet(came) if came else NumSet.EMPTY
        if runs:
            appeared = NumSet.union([appeared, *runs])
        changed, vanished = NumSet.union(edited), NumSet.union(gone)
        if vanished:
            appeared -= vanished
            changed -= vanished
        if appeared:
            changed -= appeared
        return ChangeSet(
            since=mod_seq,
            mod_seq=self.mod_seq,
            appeared=appeared,
            changed=changed,
            vanished=vanished,
            vanished_mod_seq_min=vanished_min,
            history_complete=mod_seq >= self.horizon,
            keywords_added=keywords_added,
        )

    def _vanished_in_history(self, mod_seq: int) -> tuple[BitMap, int]:
        vanished = BitMap()
        vanished_min = 0
        for change in self.history.after(max(mod_seq, self.history.floor), self.mod_seq):
            if change.vanished:
                vanished |= change.vanished.bitmap
                vanished_min = vanished_min or change.mod_seq
        return vanished, vanished_min

    def _from_chunks(self, mod_seq: int) -> tuple[NumSet, NumSet]:
        appeared, changed = BitMap(), BitMap()
        for chunk in self.chunks.values():
            if chunk.newest_max <= mod_seq:
                continue
            newer = [uid for uid, number in zip(chunk.uids, chunk.newest, strict=True) if number > mod_seq]
            if not newer:
                continue
            changed.update(newer)
            if chunk.created[-1] > mod_seq:
                # Creation numbers ascend with the UIDs.
                came = array("I", [u for u, n in zip(chunk.uids, chunk.created, strict=True) if n > mod_seq])
                appeared.update(came)
        changed -= appeared
        return NumSet(appeared), NumSet(changed)


_NOTHING_FORESEEN = Foresight(Palette())
_EMPTY = MessageChunk()


def _counts(chunk: MessageChunk | None) -> tuple[int, int, int]:
    """Return how many messages of a block are unseen and deleted, and their octets."""
    return (0, 0, 0) if chunk is None else (chunk.unseen, chunk.deleted, chunk.octets)


def by_block(appended: Sequence[Appended]) -> Iterator[tuple[int, Sequence[Appended]]]:
    """Yield the messages that appeared, block by block."""
    if isinstance(appended, AppendedRun):
        start, end = 0, len(appended)
        while start < end:
            number = block_of(appended.first_uid + start)
            stop = min(end, first_uid_of(number + 1) - appended.first_uid)
            yield number, appended[start:stop]
            start = stop
        return
    by_block: dict[int, list[Appended]] = {}
    for message in appended:
        by_block.setdefault(block_of(message.uid), []).append(message)
    yield from by_block.items()
