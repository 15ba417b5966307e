"""
One mailbox of the copy brought up to date over a connection that is open.

By QRESYNC it costs one EXAMINE, whatever the mailbox's size; new messages are fetched on top of it, and the
answer is checked by one SEARCH (`verify`), which travels with the EXAMINE of the next mailbox (`MailboxSync.run`). Without QRESYNC the flags come by CHANGEDSINCE and the UIDs by
SEARCH, without CONDSTORE all flags are compared. Everything that was learned, and the watermark to which it
leads, is one transaction; a first copy is committed in pieces, newest messages first, and goes on where it
was cut off.

The watermark is never higher than a mod-sequence that some change was seen to carry: a HIGHESTMODSEQ that
nothing bears out would hide every later change below it. Too low costs a few lines; too high costs truth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modseq import limits
from modseq.client import Client, Pending, Pipeline, SyncState
from modseq.client.errors import CommandFailed, ResponseTooLarge
from modseq.client.results import Fetched, Selected
from modseq.core.numset import NumSet
from modseq.mirror.learned import Learned, behind_closed, read_message
from modseq.mirror.outbox import Outbox
from modseq.mirror.progress import Progress
from modseq.mirror.records import (
    Applied,
    ChangeBatch,
    FlagsRow,
    MailboxRow,
    MessageRow,
    Summary,
    Watermark,
    join_flags,
)
from modseq.mirror.replica import Replica
from modseq.mirror.summary import FIELDS
from modseq.mirror.verify import doubts_criteria, keywords_among
from modseq.wire.response_values import MessageData

_NEWEST = ("1:*", ("FLAGS",))


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of synchronising one mailbox.

    Attributes:
        doubt: why its copy may not be right; None where everything agrees.
        notes: for people: what was wrong on the way and was mended.

    """

    name: str
    applied: Applied
    doubt: str | None = None
    notes: tuple[str, ...] = ()


class ComeBack(Exception):
    """Raised when a mailbox was left for the next one too early: work on it again from the start."""


class MailboxSync:
    """
    The work on one mailbox; `run` once.

    Args:
        verify: ask by SEARCH whether what was learned is right.
        needs_bodies: those of new messages are fetched next, from the mailbox that is open then.

    """

    def __init__(
        self,
        replica: Replica,
        client: Client,
        row: MailboxRow,
        *,
        verify: bool,
        needs_bodies: bool,
        progress: Progress,
    ) -> None:
        self._replica = replica
        self._client = client
        self._row = row
        self._verify = verify
        self._needs_bodies = needs_bodies
        self._progress = progress
        self._learned = Learned()
        self._untold = NumSet.EMPTY
        self._is_reset = False
        self._since = 0
        self._notes: list[str] = []
        self._done = Applied()
        self._selected: Selected
        self._opening: Pending[Selected] | None = None
        self._next: MailboxSync | None = None
        self._has_left = False

    @property
    def row(self) -> MailboxRow:
        """The mailbox, as the copy has it."""
        return self._row

    async def run(self, following: MailboxSync | None = None) -> Outcome:
        """
        Bring the mailbox up to date.

        Args:
            following: if nothing but one question is left to ask here, the one to open in the same round trip.
        Raises: ComeBack when the answer is such that this mailbox was left too early; ClientError. What was
            committed before stays.
        """
        self._next = following
        await self._open()
        await self._learn()
        self._take_events()
        doubt = await self._check() or await self._count() or await self._order() or self._agrees()
        await self._commit(doubt)
        return Outcome(self._row.name, self._done, doubt, tuple(self._notes))

    # --- opening ---

    async def _open(self) -> None:
        row = self._row
        try:
            if self._opening is not None:
                self._selected = self._opening.result
            else:
                self._learned.known = self._replica.known_uids(row.mailbox_id)
                self._selected = await self._client.select(row.name, read_only=True, qresync=self._state())
        except ResponseTooLarge:
            self.note_too_large()
            raise
        lasts = self._selected.uids_sticky and self._selected.uid_validity != 0
        if not lasts or self._selected.uid_validity != row.uid_validity:
            self._forget(lasts=lasts)
        self._since = self._row.mod_seq

    def _state(self) -> SyncState | None:
        """Return where to go on from. After a doubt nowhere: everything is read again, so changes need not be told."""
        if not self.can_be_opened_ahead:
            return None
        return SyncState(self._row.uid_validity, self._row.mod_seq, self._learned.known)

    def _forget(self, *, lasts: bool) -> None:
        """Begin anew: the UIDs of the copy mean nothing any more."""
        row, selected = self._row, self._selected
        if row.uid_validity:
            self._notes.append(
                f"UIDVALIDITY went from {row.uid_validity} to {selected.uid_validity}: copied anew"
                if lasts
                else "the server says that UIDs do not last: copied anew"
            )
        self._is_reset = True
        self._learned.known = NumSet.EMPTY
        self._row = MailboxRow(
            *(row.mailbox_id, row.name, row.object_id, row.delimiter, row.attributes),
            uid_validity=selected.uid_validity,
            uid_next=1,
        )

    def _apply(self, batch: ChangeBatch) -> None:
        """Apply a batch; the first one of a mailbox that begins anew forgets what was there before."""
        mailbox_id = self._row.mailbox_id
        with self._replica.transaction():
            if self._is_reset:
                why = "the mailbox was made anew (UIDVALIDITY changed)"
                Outbox(self._replica).orphan(mailbox_id, why, "unknown")
                batch = dataclasses.replace(batch, reset=True)
            self._done += self._replica.apply(mailbox_id, batch)
        self._is_reset = False

    # --- opening ahead: together with the last question about the mailbox before this one ---

    @property
    def can_be_opened_ahead(self) -> bool:
        """
        Whether QRESYNC goes on from the copy: its answer is probably short, and the server says where it begins.

        RFC: 7162 section 3.2.11
        """
        row = self._row
        is_known = bool(row.uid_validity and row.mod_seq) and row.doubt is None
        return is_known and "QRESYNC" in self._client.enabled

    def open_ahead(self, batch: Pipeline) -> None:
        """Open the mailbox behind the commands of a pipeline, which are about another one."""
        self._learned.known = self._replica.known_uids(self._row.mailbox_id)
        self._opening = batch.select(self._row.name, read_only=True, qresync=self._state())

    def forget_opening(self) -> None:
        """Take back that it was opened ahead: another one had to be opened again."""
        self._opening = None

    @property
    def is_opened_ahead(self) -> bool:
        """Whether it was, be it in vain: `run` finds out."""
        return self._opening is not None

    @property
    def has_heard_closed(self) -> bool:
        """Whether the server said where the events of the mailbox before end."""
        opening = self._opening
        return opening is not None and opening.error is None and opening.result.closed_before

    def note_too_large(self) -> None:
        """Note what closed the connection: the next run compares all flags, piece by piece."""
        self._replica.doubt(self._row.mailbox_id, "more changed than one answer may tell")

    # --- learning ---

    @property
    def _told(self) -> int:
        """HIGHESTMODSEQ as it was told, 0 for none."""
        return self._selected.highest_mod_seq or 0

    @property
    def _uid_next(self) -> int:
        return self._selected.uid_next or 2**32

    async def _learn(self) -> None:
        """Find out what changed and what is gone, in the cheapest way that this server has."""
        row = self._row
        is_trusted = row.doubt is None and 0 < self._since <= self._told
        if self._since > self._told > 0:
            self._notes.append(
                f"HIGHESTMODSEQ fell from {self._since} to {self._told}: all flags were compared"
            )
        compare = self._compare_flags if row.doubt is None else self._compare_all
        if not is_trusted:
            self._since = 0
            self._untold = self._learned.known
            await compare(self._untold)
        elif self._selected.resynchronized:
            self._learned.evidence = self._since
            self._learned.gone = self._selected.vanished & self._learned.known
            self._take_changes(self._selected.changed)
        else:
            self._learned.evidence = self._since
            fetched = await self._client.fetch("1:*", ("FLAGS",), changed_since=self._since)
            self._take_changes(fetched.messages)
        needs_list = (
            not is_trusted
            or not self._selected.resynchronized
            or not row.is_complete
            or self._selected.uid_next is None
            or self._uid_next - row.uid_next > limits.MIRROR_NEW_UIDS_UNLISTED_MAX
        )
        if needs_list:
            await self._list_uids()
            self._take_events()
            if untold := self._still_untold():
                await compare(untold)
        elif self._uid_next > row.uid_next:
            # Whatever has a UID in between is new, also where its FETCH did not arrive.
            await self._fetch_new(
                NumSet.from_ranges([(row.uid_next, self._uid_next - 1)]) - self._learned.known
            )

    async def _compare_flags(self, known: NumSet) -> None:
        """Fetch the flags of messages that the copy has."""
        uids = known.to_array()
        for start in range(0, len(uids), limits.MIRROR_FLAGS_MESSAGES_MAX):
            part = NumSet(uids[start : start + limits.MIRROR_FLAGS_MESSAGES_MAX])
            fetched = await self._client.fetch(part, self._flag_items())
            told = [each for each in fetched.messages if each.uid in part and each.flags is not None]
            self._take_changes(told)
            self._untold -= NumSet([each.uid for each in told])

    def _still_untold(self) -> NumSet:
        """Return what was asked for, is there, and came in no form."""
        learned = self._learned
        return (self._untold & learned.present) - NumSet(learned.changed) - NumSet(learned.new)

    async def _compare_all(self, known: NumSet) -> None:
        """Read again everything about messages, after something that was told could not be verified."""
        size = limits.MIRROR_FETCH_MESSAGES_MAX
        uids = known.to_array()
        for start in range(0, len(uids), size):
            part = NumSet(uids[start : start + size])
            fetched = await self._client.fetch(part, self._all_items())
            told = [each for each in fetched.messages if each.uid in part]
            self._take_changes(told)
            for each in told:
                read = read_message(each)
                if read is None:
                    continue
                self._untold -= NumSet.single(each.uid)
                if not self._is_kept_so(*read):
                    self._learned.replace(each.uid, *read)

    def _is_kept_so(self, row: MessageRow, summary: Summary) -> bool:
        """Whether the copy has the same message under this UID; flags and numbers may differ."""
        mailbox_id = self._row.mailbox_id
        kept = self._replica.message(mailbox_id, row.uid)
        return (
            kept is not None
            and dataclasses.replace(kept, flags=row.flags, mod_seq=row.mod_seq, content_id=None) == row
            and self._replica.summary(mailbox_id, row.uid) == summary
        )

    def _all_items(self) -> list[str]:
        items = [*self._flag_items(), "INTERNALDATE", "RFC822.SIZE"]
        if self._client.has("OBJECTID"):
            items.append("EMAILID")
        return [*items, f"BODY.PEEK[HEADER.FIELDS ({' '.join(FIELDS)})]"]

    def _flag_items(self) -> tuple[str, ...]:
        return ("FLAGS", "MODSEQ") if self._told else ("FLAGS",)

    def _take_changes(self, messages: Iterable[MessageData]) -> None:
        """Keep what FETCH responses say of messages that the copy has."""
        known = [each for each in messages if each.uid in self._learned.known and each.flags is not None]
        before = self._replica.flags_of(self._row.mailbox_id, [each.uid for each in known])
        for each in messages:
            self._learned.see(each)
        for each in known:
            flags, mod_seq = join_flags(each.flags or ()), each.mod_seq or 0
            had = before.get(each.uid)
            if had is not None and mod_seq and self._since and mod_seq < had.mod_seq:
                self._learned.contradiction = (
                    f"message {each.uid} had mod-sequence {had.mod_seq} and is told with {mod_seq}"
                )
            self._learned.changed[each.uid] = FlagsRow(each.uid, flags, mod_seq)

    # --- UIDs and new messages ---

    async def _list_uids(self) -> None:
        """Ask for all UIDs: what the copy has and the server has not is gone, the rest is new."""
        found = (await self._client.search("ALL")).uids.clamp(1, self._uid_next - 1)
        self._learned.gone = self._learned.known - found
        for uid in NumSet(self._learned.new) - found:
            del self._learned.new[uid]
        await self._fetch_new(found - self._learned.known - NumSet(self._learned.new))

    async def _fetch_new(self, uids: NumSet) -> None:
        """Fetch new messages, the newest first; full pieces are committed as they come."""
        items = self._all_items()
        waiting = uids.to_array()
        size = limits.MIRROR_FETCH_MESSAGES_MAX
        for end in range(len(waiting), 0, -size):
            part = NumSet(waiting[max(0, end - size) : end])
            fetched = await self._client.fetch(part, items)
            for message in fetched.messages:
                if message.uid in part and (read := read_message(message)) is not None:
                    self._learned.see(message)
                    self._learned.new[message.uid] = read
            self._take_events()
            self._progress.advance("messages", len(part))
            if end > size:
                await self._commit_piece()

    async def _commit_piece(self) -> None:
        """Commit the new messages at hand; the mailbox counts as incomplete until the rest is there."""
        if self._since == 0:
            await self._check()
        mod_seq = self._since
        if mod_seq == 0 and not self._learned.known - NumSet(self._learned.committed):
            # All that the copy has was fetched by this run: later changes have numbers above those told.
            mod_seq = min(self._told, self._learned.evidence)
        row = self._row
        self._learned.known |= NumSet(self._learned.new)
        mark = Watermark(
            self._selected.uid_validity,
            self._uid_next,
            mod_seq,
            0,
            is_complete=False,
            exists=len(self._learned.known),
            doubt=row.doubt,
        )
        batch = ChangeBatch(
            appeared=tuple(self._learned.new.values()),
            vanished=self._learned.replaced & NumSet(self._learned.new),
            watermark=mark,
        )
        self._apply(batch)
        self._learned.committed.update(
            {uid: message.flags for uid, (message, _) in self._learned.new.items()}
        )
        self._learned.new.clear()

    # --- what happens while we are reading ---

    def _take_events(self) -> None:
        """Take what was told unasked: it came later than all before it."""
        if self._has_left:
            return
        events = self._client.events.take()
        # What stands before CLOSED is about the mailbox that was open before this one.
        self._learned.hear(events[behind_closed(events) :], self._uid_next)

    def _leave(self, following: MailboxSync) -> None:
        """Take what was told of this mailbox; what was told of the next, opened meanwhile, is kept for it."""
        self._has_left = True
        events = self._client.events.take()
        behind = behind_closed(events)
        self._client.events.give_back(events[behind:])
        if len(events) > 1 and not following.has_heard_closed:
            # Nobody can say which of the two is meant.
            raise ComeBack
        self._learned.hear(events[:behind], self._uid_next)

    # --- checking ---

    def _expected(self) -> int:
        """Return how many messages the server counts."""
        return self._selected.exists - len(self._learned.live_gone) - self._learned.expunged_n

    async def _count(self) -> str | None:
        """Hold the number of messages against EXISTS; where they differ, compare all UIDs."""
        listed_after = 0
        for _ in range(limits.MIRROR_REPAIRS_MAX):
            expected = self._expected()
            present = len(self._learned.present)
            if present == expected and listed_after == self._learned.expunged_n:
                return None
            if self._has_left:
                raise ComeBack
            if present != expected:
                self._notes.append(f"{expected} messages counted, {present} told: all UIDs were compared")
            listed_after = self._learned.expunged_n
            await self._list_uids()
            self._take_events()
            if doubt := await self._check():
                return doubt
        return f"the server counts {expected} messages and tells of {len(self._learned.present)}"

    async def _order(self) -> str | None:
        """Hold sequence numbers against UIDs, and mod-sequences against the mailbox's highest."""
        if self._told and self._learned.evidence > self._told:
            # Somebody changed the mailbox meanwhile, or one of the numbers is not true.
            status = await self._client.status(self._row.name, ("HIGHESTMODSEQ",))
            if self._learned.evidence > (status.highest_mod_seq or 0):
                return (
                    f"a message was told with mod-sequence {self._learned.evidence}, "
                    f"above HIGHESTMODSEQ {status.highest_mod_seq}"
                )
        return self._learned.misplaced()

    def _agrees(self) -> str | None:
        """Return what cannot be true of all that was told, or what was asked for and never told."""
        if untold := self._still_untold():
            return f"{_spelled(untold)} there and not told"
        return self._learned.contradiction

    async def _check(self) -> str | None:
        """Ask whether what was told is right; mend what is not. Returns what could not be mended."""
        if not self._verify:
            return None
        wrong = NumSet.EMPTY
        for attempt in range(limits.MIRROR_REPAIRS_MAX):
            wrong = await self._ask()
            self._take_events()
            wrong -= self._learned.live_gone
            if not wrong:
                return None
            if self._has_left:
                raise ComeBack
            if attempt == 0:
                self._notes.append(f"{_spelled(wrong)} not as told: asked again")
            await self._refetch(wrong)
        return f"{_spelled(wrong)} not as the server's own search has them"

    async def _ask(self) -> NumSet:
        """Return the UIDs that are not as we believe."""
        believed = self._learned.believed()
        if self._since:
            believed = self._learned.committed | believed
        for uid in NumSet(believed) & self._learned.gone:
            del believed[uid]
        keywords = keywords_among(self._selected.flags, *(flags.split() for flags in set(believed.values())))
        since = self._since if self._since and self._told else None
        criteria = list(
            doubts_criteria(believed, keywords, also_changed_since=since, gone=self._learned.gone)
        )
        found = NumSet.EMPTY
        size = limits.MIRROR_VERIFY_PIPELINED_MAX
        try:
            for start in range(0, len(criteria), size):
                is_last = start + size >= len(criteria)
                following = self._next if is_last and not found and self._may_leave() else None
                async with self._client.pipeline() as batch:
                    answers = [batch.search(each) for each in criteria[start : start + size]]
                    proof = batch.fetch(*_NEWEST, **self._newest()) if self._needs_proof() else None
                    if following is not None:
                        following.open_ahead(batch)
                if following is not None:
                    self._leave(following)
                found |= NumSet.union([answer.result.uids for answer in answers])
                if proof is not None:
                    self._take_proof(proof.result)
        except CommandFailed as error:
            self._learned.contradiction = f"it cannot be verified: {error}"
        except ResponseTooLarge:
            if self._next is not None and self._next.is_opened_ahead:
                self._next.note_too_large()
            raise
        return found.clamp(1, self._uid_next - 1)

    def _may_leave(self) -> bool:
        """Whether this question is probably the last one here: everything agrees so far."""
        row = self._row
        return (
            self._next is not None
            and self._next.can_be_opened_ahead
            and row.is_complete
            and row.doubt is None
            and not (self._learned.new and self._needs_bodies)
            and len(self._learned.present) == self._expected()
            and not self._learned.expunged_n
        )

    async def _refetch(self, uids: NumSet) -> None:
        """Fetch again what was not as told."""
        asked = uids & (self._learned.known | NumSet(self._learned.new))
        if asked:
            fetched = await self._client.fetch(asked, self._flag_items())
            for message in fetched.messages:
                if message.uid in asked and message.flags is not None:
                    self._learned.gone -= NumSet.single(message.uid)
                    self._learned.set(message.uid, join_flags(message.flags), message.mod_seq or 0)
        await self._fetch_new(uids - asked)

    # --- the watermark ---

    def _needs_proof(self) -> bool:
        """
        Whether no change that we saw carries HIGHESTMODSEQ.

        The newest change was perhaps an expunge, which is told without a number: what is numbered so can be
        asked for, and if there is nothing, the number is none of this mailbox's.
        """
        return self._told > self._learned.evidence and self._can_prove() and self._row.is_complete

    def _can_prove(self) -> bool:
        return "QRESYNC" in self._client.enabled and bool(self._learned.present) and not self._has_left

    def _newest(self) -> dict[str, Any]:
        return {"changed_since": self._told - 1, "vanished": True}

    def _take_proof(self, fetched: Fetched) -> None:
        if fetched.vanished or any((each.mod_seq or 0) >= self._told for each in fetched.messages):
            self._learned.evidence = max(self._learned.evidence, self._told)

    async def _proved(self) -> int:
        """Return the highest mod-sequence up to which the copy surely has everything."""
        if not self._verify:
            return self._told
        if self._told > self._learned.evidence and self._can_prove():
            self._take_proof(await self._client.fetch(*_NEWEST, **self._newest()))
            self._take_events()
        return min(self._told, self._learned.evidence)

    async def _commit(self, doubt: str | None) -> None:
        mod_seq = await self._proved()
        # Only a number that some change carried may later stand for "nothing changed since".
        is_proved = not self._verify or self._told == self._learned.evidence
        present = self._learned.present
        mark = Watermark(
            self._selected.uid_validity,
            self._selected.uid_next or (present.max + 1 if present else 1),
            mod_seq,
            self._told if is_proved else 0,
            is_complete=True,
            exists=len(present),
            doubt=doubt,
        )
        batch = ChangeBatch(
            appeared=tuple(self._learned.new.values()),
            changed=tuple(row for uid, row in self._learned.changed.items() if uid in present),
            vanished=self._learned.gone | self._learned.replaced,
            watermark=mark,
        )
        self._apply(batch)


def _spelled(uids: NumSet) -> str:
    """Return UIDs for people: `message 7 is`, `messages 7,9:12 are`."""
    if len(uids) == 1:
        return f"message {uids.min} is"
    text = uids.to_bytes().decode("ascii")
    return f"messages {text} are" if len(text) <= 40 else f"{len(uids)} messages are"
