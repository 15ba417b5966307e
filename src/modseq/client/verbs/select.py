"""select: opening and leaving a mailbox, removing messages from it.

RFC: 3501 section 6.3.1, 6.4.2, 6.4.3
RFC: 7162 section 3.1.2, 3.2.5
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modseq.client.effects import Verb
from modseq.client.errors import CommandFailed, NotSupported, ResponseTooLarge
from modseq.client.exchange import Exchange
from modseq.client.results import Completed, ExpungeResult, Selected, SyncState, Uids
from modseq.client.verbs.command import (
    attempt,
    checked,
    command,
    completed,
    mailbox_name,
    pieces,
    require,
    require_selected,
)
from modseq.core.numset import NumSet
from modseq.limits import COLLECTED_MESSAGES_MAX, UID_SET_BYTES_MAX
from modseq.wire.response_values import (
    Exists,
    Expunged,
    FlagsDefined,
    MessageData,
    Recent,
    Response,
    StatusResponse,
    Vanished,
)
from modseq.wire.values import Expunge, QResync, Select, SequenceSet

_MATCH_STEPS_MAX = 32
"""Pairs of sequence-match data: each twice as far from the end as the one before reaches any mailbox."""


class SelectCollector:
    """
    Takes what SELECT says of the mailbox.

    Attributes:
        messages: FETCH responses, of a resynchronisation; whoever streams them takes them away.

    """

    def __init__(self, mailbox: str) -> None:
        self.mailbox = mailbox
        self.fields: dict[str, Any] = {}
        self.vanished = NumSet.EMPTY
        self.messages: list[MessageData] = []

    def __call__(self, response: Response) -> bool:
        """Take a response, or leave it to others."""
        fields = self.fields
        if isinstance(response, MessageData):
            if len(self.messages) >= COLLECTED_MESSAGES_MAX:
                raise ResponseTooLarge(f"more than {COLLECTED_MESSAGES_MAX} messages in one answer")
            self.messages.append(response)
        elif isinstance(response, Vanished):
            self.vanished |= response.uids
        elif isinstance(response, Exists):
            fields["exists"] = response.count
        elif isinstance(response, Recent):
            fields["recent"] = response.count
        elif isinstance(response, FlagsDefined):
            fields["flags"] = response.flags
        elif isinstance(response, StatusResponse):
            return self._status(response)
        else:
            return False
        return True

    def _status(self, response: StatusResponse) -> bool:
        code = response.code
        if code is None:
            return False
        value, fields = code.value, self.fields
        if code.name == "CLOSED":
            # What came before it was about the mailbox that was open.
            self.fields.clear()
            self.messages.clear()
            self.vanished = NumSet.EMPTY
            fields["closed_before"] = True
        elif code.name in _NUMBERS and isinstance(value, int):
            fields[_NUMBERS[code.name]] = value
        elif code.name == "PERMANENTFLAGS" and isinstance(value, tuple):
            fields["permanent_flags"] = frozenset(value)
        elif code.name == "NOMODSEQ":
            fields["highest_mod_seq"] = None
        elif code.name == "UIDNOTSTICKY":
            fields["uids_sticky"] = False
        elif code.name == "MAILBOXID" and isinstance(value, str):
            fields["mailbox_id"] = value
        else:
            return False
        return True

    def selected(self, x: Exchange, reply: StatusResponse, *, read_only: bool, asked: int | None) -> Selected:
        """Return what was told as one value."""
        self._status(reply)
        fields = dict(self.fields)
        fields.setdefault("exists", 0)
        fields.setdefault("uid_validity", 0)
        fields.setdefault("permanent_flags", fields.get("flags", frozenset()))
        if fields.get("highest_mod_seq") == 0 and x.quirks.zero_mod_seq:
            fields["highest_mod_seq"] = None
        if reply.code is not None and reply.code.name in ("READ-ONLY", "READ-WRITE"):
            read_only = reply.code.name == "READ-ONLY"
        return Selected(
            mailbox=self.mailbox,
            read_only=read_only,
            resynchronized=asked is not None and fields["uid_validity"] == asked,
            vanished=self.vanished,
            changed=tuple(self.messages),
            **fields,
        )


_NUMBERS = {
    "UIDVALIDITY": "uid_validity",
    "UIDNEXT": "uid_next",
    "HIGHESTMODSEQ": "highest_mod_seq",
    "UNSEEN": "first_unseen",
}


def select(
    x: Exchange,
    mailbox: str | bytes,
    *,
    read_only: bool = False,
    condstore: bool = True,
    qresync: SyncState | None = None,
    collector: SelectCollector | None = None,
) -> Verb[Selected]:
    """
    Open a mailbox; with `qresync` also hear what changed since that state.

    RFC: 3501 section 6.3.1, 6.3.2
    RFC: 7162 section 3.1.2, 3.2.5
    Raises:
        NotSupported: `qresync` is given and QRESYNC is not enabled.
        CommandRefused: no such mailbox, no permission; no mailbox is open then.

    """
    name = mailbox_name(mailbox)
    if qresync is not None and "QRESYNC" not in x.enabled:
        raise NotSupported("QRESYNC is not enabled")
    args = Select(
        name,
        read_only,
        condstore=condstore and x.has("CONDSTORE") and not x.enabled & {"CONDSTORE", "QRESYNC"},
        qresync=_parameter(qresync) if qresync is not None else None,
    )
    shown = mailbox if isinstance(mailbox, str) else mailbox.decode("ascii", "replace")
    taker = collector or SelectCollector(shown)
    verb = "EXAMINE" if read_only else "SELECT"
    was_open = x.selected is not None
    x.selected = None
    try:
        reply = checked((yield from attempt(x, verb, args, collector=taker, opens_mailbox=True)), verb)
    finally:
        if was_open and not taker.fields.get("closed_before"):
            # Servers without QRESYNC do not say so.
            x.leave_mailbox()
    selected = taker.selected(
        x, reply, read_only=read_only, asked=qresync.uid_validity if qresync is not None else None
    )
    x.selected = replace(selected, changed=(), vanished=NumSet.EMPTY)
    return selected


def _parameter(state: SyncState) -> QResync:
    """
    Return what a state has to say to the server: its UIDs where they are short, else pairs that narrow the answer.

    RFC: 7162 section 3.2.5, 3.2.5.1, 3.2.5.2
    """
    if state.mod_seq < 1 or not state.uid_validity >= 1:
        raise ValueError("a state without mod-sequence cannot be resynchronised by QRESYNC")
    known, match = None, None
    if state.uids:
        if len(state.uids.to_bytes()) <= UID_SET_BYTES_MAX:
            known = SequenceSet(tuple(state.uids.ranges()))
        else:
            match = _match(state.uids)
    return QResync(state.uid_validity, state.mod_seq, known, match)


def _match(uids: NumSet) -> tuple[SequenceSet, SequenceSet]:
    """
    Return sequence-match data: pairs dense towards the end, where most changes are.

    RFC: 7162 section 3.2.5.2
    """
    numbers = uids.to_array()
    count = len(numbers)
    places = sorted({count - min(2**step - 1, count - 1) for step in range(_MATCH_STEPS_MAX)})
    return (
        SequenceSet(tuple([(place, place) for place in places])),
        SequenceSet(tuple([(numbers[place - 1], numbers[place - 1]) for place in places])),
    )


def unselect(x: Exchange) -> Verb[Completed]:
    """
    Leave the mailbox and remove nothing from it.

    RFC: 3691 section 2
    """
    require_selected(x)
    require(x, "UNSELECT", "leaving a mailbox without removing from it")
    return (yield from _leave(x, "UNSELECT"))


def close_mailbox(x: Exchange) -> Verb[Completed]:
    r"""
    Leave the mailbox and remove what is marked \Deleted, unless it was opened read-only.

    RFC: 3501 section 6.4.2
    """
    require_selected(x)
    return (yield from _leave(x, "CLOSE"))


def _leave(x: Exchange, name: str) -> Verb[Completed]:
    # Whoever goes away before the answer cannot know whether it is open: it is not, until it is selected again.
    selected, x.selected = x.selected, None
    try:
        reply = yield from command(x, name)
    except CommandFailed:
        x.selected = selected
        raise
    finally:
        if x.selected is None:
            x.leave_mailbox()
    return completed(reply)


class ExpungeCollector:
    """Repeats what left the mailbox while a command ran; the events have it too."""

    def __init__(self) -> None:
        self.vanished = NumSet.EMPTY
        self.seq_nums: list[int] = []

    def __call__(self, response: Response) -> bool:
        """Take a response, or leave it to others."""
        if isinstance(response, Vanished) and not response.earlier:
            self.vanished |= response.uids
            return True
        if isinstance(response, Expunged):
            self.seq_nums.append(response.seq_num)
            return True
        return False


def expunge(x: Exchange, uids: Uids | None = None) -> Verb[ExpungeResult]:
    r"""
    Remove messages marked \Deleted: of `uids` only (UIDPLUS), or all of them.

    RFC: 3501 section 6.4.3
    RFC: 4315 section 2.1
    RFC: 7162 section 3.2.7, 3.2.8
    """
    require_selected(x)
    collector = ExpungeCollector()
    if uids is None:
        reply = yield from command(x, "EXPUNGE", Expunge(), collector=collector)
        return ExpungeResult(collector.vanished, tuple(collector.seq_nums), highest_of(reply))
    require(x, "UIDPLUS", "removing chosen messages")
    highest: int | None = None
    for numbers in pieces(uids):
        reply = yield from command(x, "EXPUNGE", Expunge(numbers), uid=True, collector=collector)
        highest = highest_of(reply) or highest
    return ExpungeResult(collector.vanished, tuple(collector.seq_nums), highest)


def highest_of(reply: StatusResponse) -> int | None:
    """Return HIGHESTMODSEQ of a tagged reply."""
    code = reply.code
    if code is not None and code.name == "HIGHESTMODSEQ" and isinstance(code.value, int):
        return code.value
    return None
