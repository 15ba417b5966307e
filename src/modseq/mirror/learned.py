"""
What one run was told of a mailbox and has not committed yet, sans I/O.

FETCH, VANISHED and SEARCH each say a part; here they become sets of UIDs and rows that agree with each
other, so that what was told last is what counts.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from modseq.client.events import Event, MailboxClosed
from modseq.core.numset import NumSet
from modseq.mirror.records import FlagsRow, MessageRow, Summary, join_flags
from modseq.mirror.summary import summary_of
from modseq.wire.response_values import Expunged, MessageData, Vanished


@dataclass(slots=True)
class Learned:
    """
    News of one mailbox.

    Attributes:
        known: UIDs that the copy has.
        changed: their flags, as they are now.
        gone: those that are there no more.
        new: messages that the copy has not yet.
        committed: flags of new messages that this run has committed already.
        replaced: UIDs under which there is another message than the copy had.
        places: sequence numbers by UID, as they were told.
        live_gone: UIDs that went away while we read.
        expunged_n: how many did, on servers that name them by number.
        evidence: the highest mod-sequence that some message was told with.
        contradiction: why what was told cannot be true.

    """

    known: NumSet = NumSet.EMPTY
    changed: dict[int, FlagsRow] = field(default_factory=dict)
    gone: NumSet = NumSet.EMPTY
    new: dict[int, tuple[MessageRow, Summary]] = field(default_factory=dict)
    committed: dict[int, str] = field(default_factory=dict)
    replaced: NumSet = NumSet.EMPTY
    places: dict[int, int] = field(default_factory=dict)
    live_gone: NumSet = NumSet.EMPTY
    expunged_n: int = 0
    evidence: int = 0
    contradiction: str | None = None

    @property
    def present(self) -> NumSet:
        """The UIDs that the copy will have."""
        return (self.known | NumSet(self.new)) - self.gone

    def believed(self) -> dict[int, str]:
        """Return by UID the flags that are about to be committed."""
        believed = {uid: row.flags for uid, row in self.changed.items()}
        believed |= {uid: row.flags for uid, (row, _) in self.new.items()}
        return believed

    def see(self, message: MessageData) -> None:
        """Take a message's number as proof that the mailbox has come so far, and note its place."""
        self.evidence = max(self.evidence, message.mod_seq or 0)
        if message.uid:
            self.places[message.uid] = message.seq_num

    def set(self, uid: int, flags: str, mod_seq: int) -> None:
        """Believe these flags of a message, known or new."""
        if uid in self.new:
            row, summary = self.new[uid]
            changed = dataclasses.replace(row, flags=flags, mod_seq=mod_seq or row.mod_seq)
            self.new[uid] = (changed, summary)
        else:
            self.changed[uid] = FlagsRow(uid, flags, mod_seq)

    def replace(self, uid: int, row: MessageRow, summary: Summary) -> None:
        """Believe that under this UID there is another message, its body too, than the copy has."""
        self.known -= NumSet.single(uid)
        self.replaced |= NumSet.single(uid)
        self.changed.pop(uid, None)
        self.new[uid] = (row, summary)

    def hear(self, events: Iterable[Event], uid_next: int) -> None:
        """Take what was told unasked: it came later than all before it. What is new since SELECT is left out."""
        for event in events:
            if isinstance(event, Vanished) and not event.earlier:
                self.live_gone |= event.uids.clamp(1, uid_next - 1)
                self.gone |= event.uids & self.known
                for uid in event.uids & NumSet(self.new):
                    del self.new[uid]
            elif isinstance(event, Expunged):
                self.expunged_n += 1
            elif isinstance(event, MessageData) and event.flags is not None:
                self._hear_flags(event, event.flags, uid_next)

    def _hear_flags(self, message: MessageData, flags: Iterable[str], uid_next: int) -> None:
        """Take a FETCH that is no answer: news, or an answer that lacks what was asked for (MODSEQ)."""
        if message.uid in self.known or message.uid in self.new:
            self.set(message.uid, join_flags(flags), message.mod_seq or 0)
        elif 0 < message.uid < uid_next and (read := read_message(message)) is not None:
            self.new[message.uid] = read

    def misplaced(self) -> str | None:
        """Hold sequence numbers against UIDs; return what does not agree."""
        if self.live_gone or self.expunged_n:
            return None  # Sequence numbers moved meanwhile.
        present = self.present
        for uid, seq_num in self.places.items():
            if uid in present and present.bitmap.rank(uid) != seq_num:
                return f"message {uid} was told as number {seq_num} and is number {present.bitmap.rank(uid)}"
        return None


def read_message(message: MessageData) -> tuple[MessageRow, Summary] | None:
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


def behind_closed(events: Sequence[Event]) -> int:
    """Return the place behind the last CLOSED: what follows is about the mailbox that was opened last."""
    return max(
        (place + 1 for place, event in enumerate(events) if isinstance(event, MailboxClosed)), default=0
    )
