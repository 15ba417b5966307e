"""STORE and its condition: compare first, then change, in one step.

RFC: 3501 section 6.4.6
RFC: 7162 section 3.1.3, 3.1.11, 3.1.12
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pyroaring import BitMap

from modseq import limits
from modseq.core.account import AccountDraft
from modseq.core.change import ALL_FLAGS, Change, FlagEdit
from modseq.core.decisions import Decisions, Foreseen, Foresight
from modseq.core.errors import KeywordLimitReached
from modseq.core.flags import SYSTEM_MASK, FlagTable, Palette, bits
from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet

Mode = Literal["+", "-", "="]

_FEW = 16
"""Fewer messages of a block than these are judged item by item: tables would cost more."""


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """What became of each message of a STORE, by UID.

    Attributes:
        mod_seq: the mailbox's highest after the operation.
        present: messages that were there.
        applied: messages that changed; they carry ``mod_seq``.
        modified: messages refused because an item concerned is newer than UNCHANGEDSINCE.
        missing: UIDs asked for that are not there.
        refused: True when, under all-or-none, nothing was done because something was refused.
    """

    mod_seq: int
    present: NumSet
    applied: NumSet
    modified: NumSet
    missing: NumSet
    refused: bool = False


@dataclass(slots=True)
class StoreFlags:
    """Add, remove or replace flags of messages, on condition where ``unchanged_since`` is given.

    A message is refused if an item that the command affects is newer than ``unchanged_since``: the named
    flags for "+" and "-"; for "=" the system flags and every keyword named, set or removed earlier, which
    together make up its MODSEQ. With 0 only existence counts: a system flag always exists, a keyword while
    it is set. A message that is not refused is changed if the flags differ; a change that changes nothing
    takes no number. A keyword that cannot be kept refuses the whole command.

    ``missing_refuses`` belongs to all-or-none by sequence number: an expunged message then refuses all.

    RFC: 7162 section 3.1.3
    Chosen: the comparison precedes the test whether anything would change (ADR 0002).
    """

    mailbox_id: int
    uids: NumSet
    mode: Mode
    flags: tuple[str, ...]
    unchanged_since: int | None = None
    all_or_none: bool = False
    missing_refuses: bool = False
    _decisions: Decisions[tuple[NumSet, NumSet]] = field(default_factory=Decisions, repr=False)
    _foresight: Foresight | None = field(default=None, repr=False)
    _foreseen_edit: FlagEdit | None = field(default=None, repr=False)

    def mailbox_ids(self) -> Sequence[int]:
        """Return the mailbox."""
        return (self.mailbox_id,)

    def prepare(self, state: MailboxState) -> Iterator[None]:
        """Decide block by block on a published state when many messages are named."""
        if len(self.uids) < limits.HUGE_OPERATION_MESSAGES_MIN:
            return
        try:
            condition = self._condition(self._table(state.flag_table), state.palette)
        except KeywordLimitReached:
            return  # ``apply`` refuses it, unless the keywords are known by then.
        edit = self._foreseen_edit = FlagEdit(NumSet.EMPTY, condition.add, condition.remove)
        foresight = self._foresight = Foresight(state.palette)
        expected = state.mod_seq + 1
        for number, chunk in list(state.chunks_of(self.uids)):
            decision = condition.decide(chunk, self.uids)
            self._decisions.keep(number, chunk, decision)
            yield
            if decision[0]:
                result = chunk.fork(whole=False)
                result.edit(edit, chunk.positions(decision[0]), expected, state.palette)
                foresight.edited[number] = Foreseen(chunk, result, expected)
                yield

    def apply(self, draft: AccountDraft) -> StoreOutcome:
        """Compare and change; raises KeywordLimitReached, LimitReached, MailboxNotFound."""
        state = draft.mailbox(self.mailbox_id)
        known = state.flag_table
        table = self._table(known)
        condition = self._condition(table, state.palette)
        if len(self.uids) == 1:
            return self._apply_to_one(draft, state, table, condition)
        decided = [
            self._decisions.find(number, chunk) or condition.decide(chunk, self.uids)
            for number, chunk in state.chunks_of(self.uids)
        ]
        applied = NumSet.union([changed for changed, _ in decided])
        modified = NumSet.union([refused for _, refused in decided])
        present = self._present(state)
        missing = self.uids - present if len(present) != len(self.uids) else NumSet.EMPTY
        if self.all_or_none and (modified or (self.missing_refuses and missing)):
            return StoreOutcome(state.mod_seq, present, NumSet.EMPTY, modified, missing, refused=True)
        if not applied:
            return StoreOutcome(state.mod_seq, present, NumSet.EMPTY, modified, missing)
        mod_seq = self._change(draft, known, table, FlagEdit(applied, condition.add, condition.remove))
        return StoreOutcome(mod_seq, present, applied, modified, missing)

    def _apply_to_one(
        self, draft: AccountDraft, state: MailboxState, table: FlagTable, condition: "_Condition"
    ) -> StoreOutcome:
        """Do the same for a single message, as claims do thousands of times a second, without set algebra."""
        uids, nothing = self.uids, NumSet.EMPTY
        found = state.locate(uids.min)
        if found is None:
            refuses_all = self.all_or_none and self.missing_refuses
            return StoreOutcome(state.mod_seq, nothing, nothing, nothing, uids, refused=refuses_all)
        chunk, at = found
        if condition.refuses(chunk, at):
            return StoreOutcome(state.mod_seq, uids, nothing, uids, nothing, refused=self.all_or_none)
        if not condition.changes(chunk.flags[at]):
            return StoreOutcome(state.mod_seq, uids, nothing, nothing, nothing)
        edit = FlagEdit(uids, condition.add, condition.remove)
        mod_seq = self._change(draft, state.flag_table, table, edit)
        return StoreOutcome(mod_seq, uids, uids, nothing, nothing)

    def _change(self, draft: AccountDraft, known: FlagTable, table: FlagTable, edit: FlagEdit) -> int:
        """Carry an edit out under a number of its own, which is returned."""
        mod_seq = draft.next_mod_seq(self.mailbox_id)
        keywords: tuple[tuple[int, str], ...] = ()
        if table is not known:
            learned = table.keywords[len(known.keywords) :]
            keywords = tuple((table.bit(name) or 0, name) for name in learned)
        expected = self._foreseen_edit
        # A keyword that was to be new may have got another bit.
        holds = expected is not None and (expected.add, expected.remove) == (edit.add, edit.remove)
        change = Change(mod_seq, edits=(edit,), keywords=keywords)
        draft.apply(self.mailbox_id, change, self._foresight if holds else None)
        return mod_seq

    def _present(self, state: MailboxState) -> NumSet:
        return NumSet(state.index.select(self.uids))

    def _table(self, known: FlagTable) -> FlagTable:
        # Removing a keyword that the mailbox never had changes nothing and must not make it known.
        return known if self.mode == "-" else known.with_keywords(self.flags)

    def _condition(self, table: FlagTable, palette: Palette) -> "_Condition":
        # A keyword that is new here has a bit that no message carries, so a decision taken ahead, when it
        # was not yet known, holds under whatever bit it gets: if another keyword took the expected one
        # meanwhile, the blocks where that was set are other objects.
        named = table.known_mask(self.flags)
        add = named if self.mode != "-" else 0
        remove = {"+": 0, "-": named, "=": ALL_FLAGS}[self.mode]
        return _Condition(add, remove, named, self.unchanged_since, palette)


@dataclass(slots=True)
class _Condition:
    """One STORE, applied to blocks."""

    add: int
    remove: int
    named: int
    unchanged_since: int | None
    palette: Palette

    def decide(self, chunk: MessageChunk, uids: NumSet) -> tuple[NumSet, NumSet]:
        """Return the UIDs of a block that change, and those that are refused."""
        positions = chunk.positions(uids)
        if len(positions) < _FEW:
            return self._decide_each(chunk, positions)
        modified = self._refused(chunk, positions)
        if modified:
            refused = set(modified)
            positions = [at for at in positions if at not in refused]
        return NumSet(self._changing(chunk, positions)), NumSet([chunk.uids[at] for at in modified])

    def _decide_each(self, chunk: MessageChunk, positions: Sequence[int]) -> tuple[NumSet, NumSet]:
        """Decide message by message: the rule, of which the rest is the same for many."""
        changed, refused = [], []
        for at in positions:
            if self.refuses(chunk, at):
                refused.append(chunk.uids[at])
            elif self.changes(chunk.flags[at]):
                changed.append(chunk.uids[at])
        return NumSet(changed) if changed else NumSet.EMPTY, NumSet(refused) if refused else NumSet.EMPTY

    def refuses(self, chunk: MessageChunk, at: int) -> bool:
        """True when the condition fails for the message at a position."""
        m = self.unchanged_since
        if m is None or chunk.newest[at] <= m:
            return False
        if self.remove == ALL_FLAGS:
            return True
        if m == 0:
            return self._exists(self.palette.masks[chunk.flags[at]])
        return any((chunk.item_mod_seq(at, bit, self.palette) or 0) > m for bit in bits(self.named))

    def _changing(self, chunk: MessageChunk, positions: Sequence[int]) -> BitMap:
        """Return the UIDs at these positions whose flags this STORE makes different."""
        flags, uids = chunk.flags, chunk.uids
        used = set(flags) if len(positions) == len(chunk) else {flags[at] for at in positions}
        changing = {index for index in used if self.changes(index)}
        if len(changing) < len(used):
            return BitMap([uids[at] for at in positions if flags[at] in changing])
        return BitMap(uids) if len(positions) == len(chunk) else BitMap([uids[at] for at in positions])

    def changes(self, index: int) -> bool:
        """True when this STORE makes flags with this palette number different."""
        mask = self.palette.masks[index]
        return mask & ~self.remove | self.add != mask

    def _refused(self, chunk: MessageChunk, positions: Sequence[int]) -> Sequence[int]:
        """Return the positions at which the condition fails."""
        m = self.unchanged_since
        if m is None or not positions or (m > 0 and chunk.newest_max <= m):
            return ()
        if self.remove == ALL_FLAGS:
            return positions if m == 0 else [at for at in positions if chunk.newest[at] > m]
        if m == 0:
            existing = self._indexes(chunk.flags, positions, self._exists)
            return [at for at in positions if chunk.flags[at] in existing]
        newest = chunk.newest
        newer = [at for at in positions if newest[at] > m]
        return self._newer_items(chunk, newer, m) if newer else newer

    def _newer_items(self, chunk: MessageChunk, newer: Sequence[int], m: int) -> Sequence[int]:
        """Return those of these positions, where something is newer than ``m``, where a named item is."""
        uids, flags, touched, created = chunk.uids, chunk.flags, chunk.touched, chunk.created
        at_newest = self._indexes(touched, newer, self._names_some_of)
        at_created = self._indexes(flags, newer, self._exists)
        extras = chunk.uids_of_extras(self.named, m) if chunk.extra_keys else set()
        return [
            at
            for at in newer
            if touched[at] in at_newest
            or (created[at] > m and flags[at] in at_created)
            or (extras and uids[at] in extras)
        ]

    def _indexes(
        self, column: Sequence[int], positions: Sequence[int], holds: Callable[[int], bool]
    ) -> set[int]:
        """Return the palette numbers of a column, at these positions, of whose masks something holds."""
        masks = self.palette.masks
        used = set(column) if len(positions) == len(column) else {column[at] for at in positions}
        return {index for index in used if holds(masks[index])}

    def _names_some_of(self, mask: int) -> bool:
        return bool(self.named & mask)

    def _exists(self, mask: int) -> bool:
        """True when a named item exists on a message with these flags: system flags always do."""
        return bool(self.named & (SYSTEM_MASK | mask))
