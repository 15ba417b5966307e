"""The operations on messages: the rules of the mod-sequence, written once.

An operation reads a draft, decides, and gives the draft its changes at the end: one that raises has
changed nothing. It knows no backend and no protocol.

RFC: 7162 section 3.1, 3.1.3, 3.2
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from pyroaring import BitMap

from modseq import limits
from modseq.core.account import AccountDraft, CopiedRows, NewRow
from modseq.core.change import Appended, AppendedRun, Change
from modseq.core.decisions import Decisions, Foreseen, Foresight
from modseq.core.errors import LimitReached
from modseq.core.flags import DELETED, FlagTable
from modseq.core.ids import UID_MAX
from modseq.core.mailbox import MailboxState, by_block
from modseq.core.message import MessageChunk, NewMessage
from modseq.core.numset import NumSet

Outcome = TypeVar("Outcome", covariant=True)


class Operation(Protocol[Outcome]):
    """One command or delivery, as a batch carries it out."""

    def apply(self, draft: AccountDraft) -> Outcome:
        """Decide and change the draft.

        Raises:
            StorageError: of the kind that fits; the draft is then as before.
        """

    def mailbox_ids(self) -> Sequence[int]:
        """Return the mailboxes that must be loaded before ``apply``, the one to ``prepare`` on first."""

    def prepare(self, state: MailboxState) -> Iterator[None]:
        """Work ahead on a published state, in slices; ``apply`` redoes only what moved meanwhile."""


class _Unprepared:
    """An operation that is never huge."""

    def prepare(self, state: MailboxState) -> Iterator[None]:  # noqa: ARG002
        """Nothing to do ahead."""
        return iter(())


@dataclass(frozen=True, slots=True)
class AppendOutcome:
    """Where the messages went (RFC 4315 section 3)."""

    uid_validity: int
    uids: tuple[int, ...]
    mod_seq: int


@dataclass(slots=True)
class Append(_Unprepared):
    """Add messages, all or none, under one mod-sequence above every other of the mailbox.

    RFC: 3501 section 6.3.11
    RFC: 3502
    RFC: 7162 section 3.1
    """

    mailbox_id: int
    messages: tuple[NewMessage, ...]

    def mailbox_ids(self) -> Sequence[int]:
        """Return the target."""
        return (self.mailbox_id,)

    def apply(self, draft: AccountDraft) -> AppendOutcome:
        """Append; raises KeywordLimitReached, LimitReached, MailboxNotFound."""
        state = draft.mailbox(self.mailbox_id)
        mod_seq = draft.next_mod_seq(self.mailbox_id)
        names = [name for message in self.messages for name in message.flags]
        table, keywords = _learn(state.flag_table, names)
        _check_uids(state, len(self.messages))
        appended = []
        for uid, message in enumerate(self.messages, state.uid_next):
            email_id = draft.new_email_id()
            draft.contents.append((email_id, message))
            draft.rows.append(NewRow(self.mailbox_id, uid, message.saved_at, email_id))
            appended.append(Appended(uid, table.known_mask(message.flags), len(message.content.data)))
        draft.apply(self.mailbox_id, Change(mod_seq, appended=tuple(appended), keywords=keywords))
        return AppendOutcome(state.uid_validity, tuple(item.uid for item in appended), mod_seq)


@dataclass(frozen=True, slots=True)
class ExpungeOutcome:
    """What was removed; ``mod_seq`` is the mailbox's highest afterwards."""

    mod_seq: int
    vanished: NumSet


@dataclass(slots=True)
class Expunge:
    """Remove the messages with ``\\Deleted``, of those named by ``uids`` or (None) of all.

    RFC: 7162 section 3.2.7, 3.2.9
    """

    mailbox_id: int
    uids: NumSet | None = None
    _decisions: Decisions[NumSet] = field(default_factory=Decisions, repr=False)
    _foresight: Foresight | None = field(default=None, repr=False)

    def mailbox_ids(self) -> Sequence[int]:
        """Return the mailbox."""
        return (self.mailbox_id,)

    def prepare(self, state: MailboxState) -> Iterator[None]:
        """Find the deleted messages block by block."""
        if state.deleted >= limits.HUGE_OPERATION_MESSAGES_MIN:
            foresight = self._foresight = Foresight(state.palette)
            for number, chunk in list(state.chunks.items()):
                if chunk.deleted:
                    deleted = self._deleted(state, chunk)
                    self._decisions.keep(number, chunk, deleted)
                    yield
                    if deleted:
                        result = chunk.without(chunk.positions(deleted), state.palette)
                        foresight.vanished[number] = Foreseen(chunk, result)
                        yield

    def apply(self, draft: AccountDraft) -> ExpungeOutcome:
        """Expunge; an expunge of nothing takes no number."""
        state = draft.mailbox(self.mailbox_id)
        gone = BitMap()
        blocks = state.chunks.items() if self.uids is None else state.chunks_of(self.uids)
        for number, chunk in blocks:
            if chunk.deleted:
                found = self._decisions.find(number, chunk)
                gone |= (self._deleted(state, chunk) if found is None else found).bitmap
        vanished = NumSet(gone)
        if not vanished:
            return ExpungeOutcome(state.mod_seq, vanished)
        mod_seq = draft.next_mod_seq(self.mailbox_id)
        draft.apply(self.mailbox_id, Change(mod_seq, vanished=vanished), self._foresight)
        return ExpungeOutcome(mod_seq, vanished)

    def _deleted(self, state: MailboxState, chunk: MessageChunk) -> NumSet:
        masks, flags, uids = state.palette.masks, chunk.flags, chunk.uids
        if self.uids is not None:
            positions = chunk.positions(self.uids)
            return NumSet([uids[at] for at in positions if masks[flags[at]] & DELETED])
        deleted = {index for index in set(flags) if masks[index] & DELETED}
        return NumSet([uid for uid, index in zip(uids, flags, strict=True) if index in deleted])


@dataclass(slots=True)
class Purge(_Unprepared):
    """Remove messages whatever their flags: an administrator's expunge."""

    mailbox_id: int
    uids: NumSet

    def mailbox_ids(self) -> Sequence[int]:
        """Return the mailbox."""
        return (self.mailbox_id,)

    def apply(self, draft: AccountDraft) -> ExpungeOutcome:
        """Remove; a purge of nothing takes no number."""
        state = draft.mailbox(self.mailbox_id)
        vanished = NumSet(state.index.select(self.uids))
        if not vanished:
            return ExpungeOutcome(state.mod_seq, vanished)
        mod_seq = draft.next_mod_seq(self.mailbox_id)
        draft.apply(self.mailbox_id, Change(mod_seq, vanished=vanished))
        return ExpungeOutcome(mod_seq, vanished)


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """Which messages went where: equal positions of the two arrays belong together (RFC 4315 section 3).

    ``mod_seq`` is the source's highest afterwards; ``missing`` are UIDs asked for that are not there.
    """

    uid_validity: int
    source_uids: "array[int]"
    target_uids: Sequence[int]
    mod_seq: int
    missing: NumSet


@dataclass(slots=True)
class Transfer:
    """Copy or move messages to another mailbox of the account, all or none.

    The copies keep flags, internal date and content; the target gives them a new mod-sequence, and a move
    gives the expunged UIDs one in the source. With ``missing_refuses`` nothing is done when a message is not
    there; the outcome then names no message but the missing ones. ``ahead`` are rows that the storage wrote
    before the commit, in the hope that nothing moves meanwhile.

    RFC: 3501 section 6.4.7
    RFC: 6851 section 3.1, 3.3
    RFC: 7162 section 3.2
    """

    source_id: int
    uids: NumSet
    target_id: int
    move: bool
    missing_refuses: bool = False
    ahead: CopiedRows | None = None
    _columns: Decisions["_Columns"] = field(default_factory=Decisions, repr=False)
    _plan: "_Plan | None" = field(default=None, repr=False)
    _out_of: Foresight | None = field(default=None, repr=False)

    def mailbox_ids(self) -> Sequence[int]:
        """Return source and target."""
        return (self.source_id, self.target_id)

    def prepare(self, state: MailboxState) -> Iterator[None]:
        """Pick the flags and sizes of the messages block by block."""
        if len(self.uids) < limits.HUGE_OPERATION_MESSAGES_MIN:
            return
        for number, chunk in list(state.chunks_of(self.uids)):
            self._columns.keep(number, chunk, _Columns.of(chunk, self.uids))
            yield

    def apply(self, draft: AccountDraft) -> TransferOutcome:
        """Transfer; raises MailboxNotFound, KeywordLimitReached, LimitReached."""
        source, target = draft.mailbox(self.source_id), draft.mailbox(self.target_id)
        present = source.index.select(self.uids)
        gone = NumSet(present)
        missing = self.uids - gone
        if not present or (missing and self.missing_refuses):
            empty = array("I")
            return TransferOutcome(target.uid_validity, empty, empty, source.mod_seq, missing)
        appended, keywords = self._copies(source, target, len(present))
        mod_seq = draft.next_mod_seq(self.source_id)
        target_mod_seq = draft.next_mod_seq(self.target_id)
        rows = CopiedRows(self.target_id, appended.first_uid, draft.now, self.source_id, present)
        draft.rows.append(self.ahead if self.ahead is not None and self.ahead.is_the_same_as(rows) else rows)
        into = None if self._plan is None else self._plan.into
        if self.source_id == self.target_id:
            vanished = gone if self.move else NumSet.EMPTY
            draft.apply(
                self.target_id, Change(mod_seq, appended=appended, vanished=vanished, keywords=keywords), into
            )
        else:
            draft.apply(self.target_id, Change(target_mod_seq, appended=appended, keywords=keywords), into)
            if self.move:
                draft.apply(self.source_id, Change(mod_seq, vanished=gone), self._out_of)
        target_uids = range(appended.first_uid, appended.first_uid + len(present))
        highest = draft.mailbox(self.source_id).mod_seq
        return TransferOutcome(target.uid_validity, present, target_uids, highest, missing)

    def foresee(self, source: MailboxState, target: MailboxState) -> Iterator[None]:
        """Work out, in slices, what both mailboxes become if nothing moves; ``apply`` uses what then holds."""
        try:
            _check_uids(target, 1)
            plan = _Plan.begun(self._all_columns(source), source, target)
        except LimitReached:
            return
        yield
        for columns in plan.columns:
            plan.add(columns)
            yield
        self._plan = plan
        expected = target.mod_seq + 1
        for number, messages in by_block(plan.run):
            yield
            base = target.chunks.get(number)
            result = MessageChunk() if base is None else base.fork(whole=True)
            assert isinstance(messages, AppendedRun)
            result.append_run(messages, expected, target.palette)
            plan.into.appended[number] = Foreseen(base, result, expected)
        if self.move and self.source_id != self.target_id:
            out_of = self._out_of = Foresight(source.palette)
            for number, chunk in list(source.chunks_of(self.uids)):
                yield
                positions = chunk.positions(self.uids)
                if positions:
                    out_of.vanished[number] = Foreseen(chunk, chunk.without(positions, source.palette))

    def _all_columns(self, source: MailboxState) -> "list[_Columns]":
        return [
            self._columns.find(number, chunk) or _Columns.of(chunk, self.uids)
            for number, chunk in source.chunks_of(self.uids)
        ]

    def _copies(
        self, source: MailboxState, target: MailboxState, count: int
    ) -> tuple[AppendedRun, tuple[tuple[int, str], ...]]:
        _check_uids(target, count)
        columns = self._all_columns(source)
        if self._plan is None or not self._plan.holds(columns, source, target):
            plan = self._plan = _Plan.begun(columns, source, target)
            for each in columns:
                plan.add(each)
        return self._plan.run, self._plan.keywords


@dataclass(frozen=True, slots=True)
class _Columns:
    """Of the messages of a block that are copied: palette numbers of their flags, and sizes."""

    flags: "array[int]"
    sizes: "array[int]"
    indexes: frozenset[int]

    @classmethod
    def of(cls, chunk: MessageChunk, uids: NumSet) -> "_Columns":
        positions = chunk.positions(uids)
        if len(positions) == len(chunk):
            return cls(chunk.flags, chunk.sizes, frozenset(chunk.flags))
        flags = array("I", map(chunk.flags.__getitem__, positions))
        return cls(flags, array("I", map(chunk.sizes.__getitem__, positions)), frozenset(flags))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a transfer adds to its target, and what it was worked out from."""

    columns: "list[_Columns]"
    source_table: FlagTable
    target_table: FlagTable
    places: dict[int, int]
    run: AppendedRun
    keywords: tuple[tuple[int, str], ...]
    into: Foresight

    @classmethod
    def begun(cls, columns: "list[_Columns]", source: MailboxState, target: MailboxState) -> "_Plan":
        """Begin to work it out; raises KeywordLimitReached."""
        known = source.palette.masks
        indexes: set[int] = set().union(*(each.indexes for each in columns))
        used = 0
        for index in indexes:
            used |= known[index]
        table, keywords = _learn(target.flag_table, source.flag_table.names(used))
        translated = {index: table.known_mask(source.flag_table.names(known[index])) for index in indexes}
        masks = tuple(sorted(set(translated.values())))
        places = {index: masks.index(mask) for index, mask in translated.items()}
        flags = array("B" if len(masks) <= 256 else "I")
        run = AppendedRun(target.uid_next, masks, flags, array("I"))
        into = Foresight(target.palette)
        return cls(columns, source.flag_table, target.flag_table, places, run, keywords, into)

    def add(self, columns: "_Columns") -> None:
        """Add the messages of one block."""
        flags, places = self.run.flags, self.places
        if len(columns.indexes) == 1:
            flags.extend(array(flags.typecode, (places[columns.flags[0]],)) * len(columns.flags))
        else:
            flags.extend(array(flags.typecode, map(places.__getitem__, columns.flags)))
        self.run.sizes.extend(columns.sizes)

    def holds(self, columns: "list[_Columns]", source: MailboxState, target: MailboxState) -> bool:
        """True when it would come out the same."""
        return (
            self.run.first_uid == target.uid_next
            and self.source_table == source.flag_table
            and self.target_table == target.flag_table
            and len(columns) == len(self.columns)
            and all(mine is theirs for mine, theirs in zip(self.columns, columns, strict=True))
        )


@dataclass(slots=True)
class ClaimRecent(_Unprepared):
    """Note that messages below ``uid_next`` were told to be recent to one session.

    Takes no mod-sequence: ``\\Recent`` has none.

    RFC: 3501 section 2.3.2
    """

    mailbox_id: int
    uid_next: int

    def mailbox_ids(self) -> Sequence[int]:
        """Return the mailbox."""
        return (self.mailbox_id,)

    def apply(self, draft: AccountDraft) -> None:
        """Raise the mark."""
        draft.claim_recent(self.mailbox_id, self.uid_next)


def _learn(table: FlagTable, names: Sequence[str]) -> tuple[FlagTable, tuple[tuple[int, str], ...]]:
    """Return the table that knows these flags, and the keywords that it learned with their bits."""
    wider = table.with_keywords(names)
    learned = wider.keywords[len(table.keywords) :]
    return wider, tuple((wider.bit(name) or 0, name) for name in learned)


def _check_uids(state: MailboxState, count: int) -> None:
    if state.uid_next + count - 1 > UID_MAX:
        raise LimitReached("The mailbox has used up its UIDs.")
