"""
One mailbox of the copy brought up to date over a connection that is open.

By QRESYNC it costs one EXAMINE, whatever the mailbox's size; new messages are fetched on top of it, and the
answer is checked by one SEARCH (`verify`). Without QRESYNC the flags come by CHANGEDSINCE and the UIDs by
SEARCH, without CONDSTORE all flags are compared. Everything that was learned, and the watermark to which it
leads, is one transaction; a first copy is committed in pieces, newest messages first, and goes on where it
was cut off.

The watermark is never higher than a mod-sequence that some change was seen to carry: a HIGHESTMODSEQ that
nothing bears out would hide every later change below it. Too low costs a few lines; too high costs truth.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modseq import limits
from modseq.client import Client, SyncState
from modseq.client.errors import CommandFailed, ResponseTooLarge
from modseq.client.events import MailboxClosed
from modseq.client.results import Fetched, Selected
from modseq.core.numset import NumSet
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
from modseq.mirror.summary import FIELDS, summary_of
from modseq.mirror.verify import doubts_criteria, keywords_among
from modseq.wire.response_values import Expunged, MessageData, Vanished

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


class MailboxSync:
    """
    The work on one mailbox; `run` once.

    Args:
        verify: ask by SEARCH whether what was learned is right.

    """

    def __init__(
        self, replica: Replica, client: Client, row: MailboxRow, *, verify: bool, progress: Progress
    ) -> None:
        self._replica = replica
        self._client = client
        self._row = row
        self._verify = verify
        self._progress = progress
        self._known = NumSet.EMPTY
        self._is_reset = False
        self._since = 0
        self._evidence = 0
        self._changed: dict[int, FlagsRow] = {}
        self._gone = NumSet.EMPTY
        self._new: dict[int, tuple[MessageRow, Summary]] = {}
        self._committed: dict[int, str] = {}
        self._replaced = NumSet.EMPTY
        self._places: dict[int, int] = {}
        self._live_gone = NumSet.EMPTY
        self._expunged_n = 0
        self._contradiction: str | None = None
        self._notes: list[str] = []
        self._done = Applied()
        self._selected: Selected

    async def run(self) -> Outcome:
        """Bring the mailbox up to date. Raises ClientError; what was committed before it stays."""
        await self._open()
        await self._learn()
        self._take_events()
        doubt = await self._check() or await self._count() or await self._order() or self._contradiction
        await self._commit(doubt)
        return Outcome(self._row.name, self._done, doubt, tuple(self._notes))

    # --- opening ---

    async def _open(self) -> None:
        row = self._row
        self._known = self._replica.known_uids(row.mailbox_id)
        state = None
        if row.uid_validity and row.mod_seq and "QRESYNC" in self._client.enabled:
            state = SyncState(row.uid_validity, row.mod_seq, self._known)
        try:
            self._selected = await self._client.select(row.name, read_only=True, qresync=state)
        except ResponseTooLarge:
            # The connection is closed. The next run compares all flags, piece by piece.
            self._replica.doubt(row.mailbox_id, "more changed than one answer may tell")
            raise
        lasts = self._selected.uids_sticky and self._selected.uid_validity != 0
        if not lasts or self._selected.uid_validity != row.uid_validity:
            self._forget(lasts=lasts)
        self._since = self._row.mod_seq

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
        self._known = NumSet.EMPTY
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
        if not is_trusted:
            self._since = 0
            await (self._compare_flags() if row.doubt is None else self._compare_all())
        elif self._selected.resynchronized:
            self._evidence = self._since
            self._gone = self._selected.vanished & self._known
            self._take_changes(self._selected.changed)
        else:
            self._evidence = self._since
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
        elif self._uid_next > row.uid_next:
            # Whatever has a UID in between is new, also where its FETCH did not arrive.
            await self._fetch_new(NumSet.from_ranges([(row.uid_next, self._uid_next - 1)]) - self._known)

    async def _compare_flags(self) -> None:
        """Fetch the flags of every message that the copy has."""
        uids = self._known.to_array()
        for start in range(0, len(uids), limits.MIRROR_FLAGS_MESSAGES_MAX):
            part = NumSet(uids[start : start + limits.MIRROR_FLAGS_MESSAGES_MAX])
            fetched = await self._client.fetch(part, self._flag_items())
            self._take_changes([each for each in fetched.messages if each.uid in part])

    async def _compare_all(self) -> None:
        """Read again everything about every message, after something that was told could not be verified."""
        size = limits.MIRROR_FETCH_MESSAGES_MAX
        uids = self._known.to_array()
        for start in range(0, len(uids), size):
            part = NumSet(uids[start : start + size])
            fetched = await self._client.fetch(part, self._all_items())
            told = [each for each in fetched.messages if each.uid in part]
            self._take_changes(told)
            for each in told:
                read = _read(each)
                if read is not None and not self._is_kept_so(*read):
                    # Whatever the copy has under this UID, its body too, is perhaps another message.
                    self._known -= NumSet.single(each.uid)
                    self._replaced |= NumSet.single(each.uid)
                    self._changed.pop(each.uid, None)
                    self._new[each.uid] = read

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
        known = [each for each in messages if each.uid in self._known and each.flags is not None]
        before = self._replica.flags_of(self._row.mailbox_id, [each.uid for each in known])
        for each in messages:
            self._see(each)
        for each in known:
            flags, mod_seq = join_flags(each.flags or ()), each.mod_seq or 0
            had = before.get(each.uid)
            if had is not None and mod_seq and self._since and mod_seq < had.mod_seq:
                self._contradiction = (
                    f"message {each.uid} had mod-sequence {had.mod_seq} and is told with {mod_seq}"
                )
            self._changed[each.uid] = FlagsRow(each.uid, flags, mod_seq)

    def _see(self, message: MessageData) -> None:
        """Take a message's number as proof that the mailbox has come so far, and note its place."""
        self._evidence = max(self._evidence, message.mod_seq or 0)
        if message.uid:
            self._places[message.uid] = message.seq_num

    # --- UIDs and new messages ---

    async def _list_uids(self) -> None:
        """Ask for all UIDs: what the copy has and the server has not is gone, the rest is new."""
        found = (await self._client.search("ALL")).uids.clamp(1, self._uid_next - 1)
        self._gone = self._known - found
        for uid in NumSet(self._new) - found:
            del self._new[uid]
        await self._fetch_new(found - self._known - NumSet(self._new))

    async def _fetch_new(self, uids: NumSet) -> None:
        """Fetch new messages, the newest first; full pieces are committed as they come."""
        items = self._all_items()
        waiting = uids.to_array()
        size = limits.MIRROR_FETCH_MESSAGES_MAX
        for end in range(len(waiting), 0, -size):
            part = NumSet(waiting[max(0, end - size) : end])
            fetched = await self._client.fetch(part, items)
            for message in fetched.messages:
                if message.uid in part and (read := _read(message)) is not None:
                    self._see(message)
                    self._new[message.uid] = read
            self._take_events()
            self._progress.advance("messages", len(part))
            if end > size:
                await self._commit_piece()

    async def _commit_piece(self) -> None:
        """Commit the new messages at hand; the mailbox counts as incomplete until the rest is there."""
        if self._since == 0:
            await self._check()
        mod_seq = self._since
        if mod_seq == 0 and not self._known - NumSet(self._committed):
            # All that the copy has was fetched by this run: later changes have numbers above those told.
            mod_seq = min(self._told, self._evidence)
        row = self._row
        self._known |= NumSet(self._new)
        mark = Watermark(
            self._selected.uid_validity,
            self._uid_next,
            mod_seq,
            0,
            is_complete=False,
            exists=len(self._known),
            doubt=row.doubt,
        )
        batch = ChangeBatch(
            appeared=tuple(self._new.values()), vanished=self._replaced & NumSet(self._new), watermark=mark
        )
        self._apply(batch)
        self._committed.update({uid: message.flags for uid, (message, _) in self._new.items()})
        self._new.clear()

    # --- what happens while we are reading ---

    def _take_events(self) -> None:
        """Take what was told unasked: it came later than all before it."""
        events = self._client.events.take()
        # What stands before CLOSED is about the mailbox that was open before this one.
        starts = [place + 1 for place, event in enumerate(events) if isinstance(event, MailboxClosed)]
        for event in events[starts[-1] if starts else 0 :]:
            if isinstance(event, Vanished) and not event.earlier:
                self._live_gone |= event.uids.clamp(1, self._uid_next - 1)
                self._gone |= event.uids & self._known
                for uid in event.uids & NumSet(self._new):
                    del self._new[uid]
            elif isinstance(event, Expunged):
                self._expunged_n += 1
            elif isinstance(event, MessageData) and event.flags is not None:
                self._hear(event)

    def _hear(self, message: MessageData) -> None:
        """Take a FETCH that is no answer: news, or an answer that lacks what was asked for (MODSEQ)."""
        assert message.flags is not None
        if message.uid in self._known or message.uid in self._new:
            self._set(message.uid, join_flags(message.flags), message.mod_seq or 0)
        elif 0 < message.uid < self._uid_next and (read := _read(message)) is not None:
            self._new[message.uid] = read

    def _set(self, uid: int, flags: str, mod_seq: int) -> None:
        """Believe these flags of a message, known or new."""
        if uid in self._new:
            row, summary = self._new[uid]
            changed = dataclasses.replace(row, flags=flags, mod_seq=mod_seq or row.mod_seq)
            self._new[uid] = (changed, summary)
        else:
            self._changed[uid] = FlagsRow(uid, flags, mod_seq)

    # --- checking ---

    def _present(self) -> NumSet:
        """Return the UIDs that the copy will have."""
        return (self._known | NumSet(self._new)) - self._gone

    async def _count(self) -> str | None:
        """Hold the number of messages against EXISTS; where they differ, compare all UIDs."""
        listed_after = 0
        for _ in range(limits.MIRROR_REPAIRS_MAX):
            expected = self._selected.exists - len(self._live_gone) - self._expunged_n
            present = len(self._present())
            if present == expected and listed_after == self._expunged_n:
                return None
            if present != expected:
                self._notes.append(f"{expected} messages counted, {present} told: all UIDs were compared")
            listed_after = self._expunged_n
            await self._list_uids()
            self._take_events()
            if doubt := await self._check():
                return doubt
        return f"the server counts {expected} messages and tells of {len(self._present())}"

    async def _order(self) -> str | None:
        """Hold sequence numbers against UIDs, and mod-sequences against the mailbox's highest."""
        if self._told and self._evidence > self._told:
            # Somebody changed the mailbox meanwhile, or one of the numbers is not true.
            status = await self._client.status(self._row.name, ("HIGHESTMODSEQ",))
            if self._evidence > (status.highest_mod_seq or 0):
                return (
                    f"a message was told with mod-sequence {self._evidence}, "
                    f"above HIGHESTMODSEQ {status.highest_mod_seq}"
                )
        if self._live_gone or self._expunged_n:
            return None  # Sequence numbers moved meanwhile.
        present = self._present()
        for uid, seq_num in self._places.items():
            if uid in present and present.bitmap.rank(uid) != seq_num:
                return f"message {uid} was told as number {seq_num} and is number {present.bitmap.rank(uid)}"
        return None

    async def _check(self) -> str | None:
        """Ask whether what was told is right; mend what is not. Returns what could not be mended."""
        if not self._verify:
            return None
        wrong = NumSet.EMPTY
        for attempt in range(limits.MIRROR_REPAIRS_MAX):
            wrong = await self._ask()
            self._take_events()
            wrong -= self._live_gone
            if not wrong:
                return None
            if attempt == 0:
                self._notes.append(f"{_spelled(wrong)} not as told: asked again")
            await self._refetch(wrong)
        return f"{_spelled(wrong)} not as the server's own search has them"

    async def _ask(self) -> NumSet:
        """Return the UIDs that are not as we believe."""
        believed = {uid: row.flags for uid, row in self._changed.items()}
        believed |= {uid: row.flags for uid, (row, _) in self._new.items()}
        if self._since:
            believed = self._committed | believed
        for uid in NumSet(believed) & self._gone:
            del believed[uid]
        keywords = keywords_among(self._selected.flags, *(flags.split() for flags in set(believed.values())))
        since = self._since if self._since and self._told else None
        criteria = list(doubts_criteria(believed, keywords, also_changed_since=since, gone=self._gone))
        found = NumSet.EMPTY
        try:
            for start in range(0, len(criteria), limits.MIRROR_VERIFY_PIPELINED_MAX):
                async with self._client.pipeline() as batch:
                    part = criteria[start : start + limits.MIRROR_VERIFY_PIPELINED_MAX]
                    answers = [batch.search(each) for each in part]
                    proof = batch.fetch(*_NEWEST, **self._newest()) if self._needs_proof() else None
                found |= NumSet.union([answer.result.uids for answer in answers])
                if proof is not None:
                    self._take_proof(proof.result)
        except CommandFailed as error:
            self._contradiction = f"it cannot be verified: {error}"
        return found.clamp(1, self._uid_next - 1)

    async def _refetch(self, uids: NumSet) -> None:
        """Fetch again what was not as told."""
        asked = uids & (self._known | NumSet(self._new))
        if asked:
            fetched = await self._client.fetch(asked, self._flag_items())
            for message in fetched.messages:
                if message.uid in asked and message.flags is not None:
                    self._gone -= NumSet.single(message.uid)
                    self._set(message.uid, join_flags(message.flags), message.mod_seq or 0)
        await self._fetch_new(uids - asked)

    # --- the watermark ---

    def _needs_proof(self) -> bool:
        """
        Whether no change that we saw carries HIGHESTMODSEQ.

        The newest change was perhaps an expunge, which is told without a number: what is numbered so can be
        asked for, and if there is nothing, the number is none of this mailbox's.
        """
        return (
            self._told > self._evidence
            and "QRESYNC" in self._client.enabled
            and bool(self._present())
            and self._row.is_complete
        )

    def _newest(self) -> dict[str, Any]:
        return {"changed_since": self._told - 1, "vanished": True}

    def _take_proof(self, fetched: Fetched) -> None:
        if fetched.vanished or any((each.mod_seq or 0) >= self._told for each in fetched.messages):
            self._evidence = max(self._evidence, self._told)

    async def _proved(self) -> int:
        """Return the highest mod-sequence up to which the copy surely has everything."""
        if not self._verify:
            return self._told
        if self._told > self._evidence and "QRESYNC" in self._client.enabled and self._present():
            self._take_proof(await self._client.fetch(*_NEWEST, **self._newest()))
            self._take_events()
        return min(self._told, self._evidence)

    async def _commit(self, doubt: str | None) -> None:
        mod_seq = await self._proved()
        # Only a number that some change carried may later stand for "nothing changed since".
        is_proved = not self._verify or self._told == self._evidence
        present = self._present()
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
            appeared=tuple(self._new.values()),
            changed=tuple(row for uid, row in self._changed.items() if uid in present),
            vanished=self._gone | self._replaced,
            watermark=mark,
        )
        self._apply(batch)


def _read(message: MessageData) -> tuple[MessageRow, Summary] | None:
    """Return a new message; None where the response lacks what every message has."""
    if message.flags is None or message.size is None or message.internal_date is None:
        return None
    header = next((text for label, text in message.sections.items() if label.startswith("BODY[HEADER")), None)
    zone = message.internal_date.utcoffset() or dt.timedelta()
    row = MessageRow(
        uid=message.uid,
        mod_seq=message.mod_seq or 0,
        flags=join_flags(message.flags),
        received_at=int(message.internal_date.timestamp()),
        received_zone=int(zone.total_seconds()) // 60,
        size=message.size,
        email_id=message.email_id,
    )
    return row, summary_of(header or b"")


def _spelled(uids: NumSet) -> str:
    """Return UIDs for people: `message 7 is`, `messages 7,9:12 are`."""
    if len(uids) == 1:
        return f"message {uids.min} is"
    text = uids.to_bytes().decode("ascii")
    return f"messages {text} are" if len(text) <= 40 else f"{len(uids)} messages are"
