r"""What the verbs return: one frozen value each, never a bare boolean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from modseq.core.numset import NumSet
from modseq.wire.response_values import Code, MessageData, OtherData, SearchData, Vanished
from modseq.wire.values import SequenceSet

Uids: TypeAlias = int | str | NumSet | SequenceSet | Iterable[int]
"""UIDs as a caller may name them: 7, "1:*", "3,5:9", "$", a NumSet, or any numbers."""

Flags: TypeAlias = str | Iterable[str]
"""One flag or several: "\\Seen", ["$Claimed", "\\Flagged"]."""


class SyncState(msgspec.Struct, frozen=True):
    """
    What a client knew of one mailbox when it left: keep it beside the copy, in the same transaction.

    `uids` are the messages of the copy. QRESYNC needs none (a server that remembers expunges answers from
    `mod_seq` alone), but with them the answer is right on every server; CONDSTORE and plain servers need them.
    """

    uid_validity: int
    mod_seq: int = 0
    """The highest mod-sequence that the copy has; 0: the server keeps none, or nothing is known."""
    uids: NumSet = NumSet.EMPTY

    def to_json(self) -> bytes:
        """Return the state as one line of JSON."""
        return msgspec.json.encode([self.uid_validity, self.mod_seq, self.uids.to_bytes().decode("ascii")])

    @classmethod
    def from_json(cls, octets: bytes | str) -> SyncState:
        """Read what `to_json` wrote; ValueError for anything else."""
        uid_validity, mod_seq, uids = msgspec.json.decode(octets, type=tuple[int, int, str])
        ranges = [
            (int(low), int(high or low)) for low, _, high in (r.partition(":") for r in uids.split(",") if r)
        ]
        return cls(uid_validity, mod_seq, NumSet.from_ranges(ranges))


@dataclass(frozen=True, slots=True)
class Completed:
    """The tagged OK of a command that has nothing else to say."""

    text: str
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class Executed:
    """What a command that this library has no verb for came to."""

    text: str
    code: Code | None
    data: tuple[OtherData | SearchData, ...]
    """Untagged responses that the library does not know, as they stood, and those to SORT."""


@dataclass(frozen=True, slots=True)
class Enabled:
    """
    What is enabled now; `newly` by this command.

    RFC: 5161 section 3.2
    """

    newly: frozenset[str]
    all: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServerId:
    """
    What the server says of itself; empty where it keeps silent.

    RFC: 2971 section 3.2
    """

    fields: Mapping[str, str | None]

    @property
    def name(self) -> str:
        """The server's name in small letters, empty where it does not say."""
        return (self.fields.get("name") or "").lower()


@dataclass(frozen=True, slots=True)
class Selected:
    """
    A mailbox that was opened.

    RFC: 3501 section 6.3.1
    RFC: 7162 section 3.1.2, 3.2.5
    """

    mailbox: str
    read_only: bool
    exists: int
    uid_validity: int
    """0 where the server does not say: it has no lasting UIDs."""
    uid_next: int | None = None
    highest_mod_seq: int | None = None
    """None: the mailbox keeps no mod-sequences (NOMODSEQ, or the server lacks CONDSTORE)."""
    recent: int = 0
    first_unseen: int | None = None
    flags: frozenset[str] = frozenset()
    permanent_flags: frozenset[str] = frozenset()
    r"""Holds `\*` where new keywords may be made. All of `flags` where the server does not say."""
    uids_sticky: bool = True
    closed_before: bool = False
    """CLOSED was said: a mailbox was open before this one."""
    mailbox_id: str | None = None
    resynchronized: bool = False
    """QRESYNC was asked for, its UIDVALIDITY was right, and the server answered it."""
    vanished: NumSet = NumSet.EMPTY
    """Gone since the given state, VANISHED (EARLIER); may hold UIDs that were never known."""
    changed: tuple[MessageData, ...] = ()
    """Messages new or changed since the given state, with UID, FLAGS and MODSEQ."""

    @property
    def may_make_keywords(self) -> bool:
        r"""Whether `\*` stands in the permanent flags."""
        return "\\*" in self.permanent_flags


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    Messages that were asked for, in the order of the server's answers.

    RFC: 3501 section 6.4.5
    RFC: 7162 section 3.1.4.1, 3.2.6
    """

    messages: tuple[MessageData, ...]
    vanished: NumSet = NumSet.EMPTY
    """With vanished=True: gone since changed_since, VANISHED (EARLIER)."""
    highest_mod_seq: int | None = None
    """HIGHESTMODSEQ of the reply, where it had one."""
    expunge_issued: bool = False

    def by_uid(self) -> dict[int, MessageData]:
        """Return the messages by UID; of two answers for one message the later, items of both joined."""
        found: dict[int, MessageData] = {}
        for each in self.messages:
            before = found.get(each.uid)
            found[each.uid] = each if before is None else merged(before, each)
        return found


def merged(before: MessageData, after: MessageData) -> MessageData:
    """Return what two FETCH responses say of one message together; the later wins."""
    changes = {
        name: value
        for name in after.__struct_fields__
        if (value := getattr(after, name)) is not None and name not in ("sections", "extra")
    }
    sections = {**before.sections, **after.sections}
    return msgspec.structs.replace(
        before, **changes, sections=sections, extra={**before.extra, **after.extra}
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """
    The fate of each message of a STORE: each one named is in exactly one of the four sets.

    A conditional STORE is won where it is `applied` and nowhere else: the reply came, the message is not in
    MODIFIED, was not reported gone, and the reply held a FETCH with its MODSEQ.

    RFC: 7162 section 3.1.3
    """

    applied: NumSet = NumSet.EMPTY
    """Changed (or already so), confirmed by a FETCH in the reply."""
    modified: NumSet = NumSet.EMPTY
    """Refused: somebody changed them after `unchanged_since`."""
    missing: NumSet = NumSet.EMPTY
    """Gone, or never there. For "1:*" and the like only those reported gone; without a condition too."""
    untold: NumSet = NumSet.EMPTY
    """The server said OK and nothing of these. With a condition they are there (it was asked): some servers are
    silent of a message that had these flags already. All that all_or_none left alone are here too."""
    messages: Mapping[int, MessageData] = field(default_factory=dict)
    """By UID what the reply says of each: MODSEQ, and FLAGS where told."""
    highest_mod_seq: int | None = None
    condition: Literal["OK", "NO"] = "OK"
    """NO where the server refused some or all of it: modified tells which."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ExpungeResult:
    """
    What was removed: UIDs where the server uses VANISHED, sequence numbers else.

    RFC: 7162 section 3.2.7
    """

    vanished: NumSet = NumSet.EMPTY
    seq_nums: tuple[int, ...] = ()
    """In the order of EXPUNGE responses, each counted after those before it."""
    highest_mod_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Copied:
    """
    Where the copies are; empty where the server has no UIDPLUS.

    RFC: 4315 section 3
    """

    mailbox: str
    uid_validity: int | None = None
    uids: Mapping[int, int] = field(default_factory=dict)
    """From source UID to the copy's."""


@dataclass(frozen=True, slots=True)
class Moved:
    """
    Where the messages went.

    RFC: 6851 section 3.3, 4.3
    """

    mailbox: str
    uid_validity: int | None = None
    uids: Mapping[int, int] = field(default_factory=dict)
    vanished: NumSet = NumSet.EMPTY
    highest_mod_seq: int | None = None
    method: Literal["MOVE", "COPY"] = "MOVE"
    """COPY: the server lacks MOVE; they were copied, marked deleted and expunged, not in one step."""


@dataclass(frozen=True, slots=True)
class Appended:
    """
    Where the message is; None where the server has no UIDPLUS.

    RFC: 4315 section 3
    """

    mailbox: str
    uid_validity: int | None = None
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """
    What a search found, UIDs throughout.

    RFC: 4731 section 3.1
    RFC: 7162 section 3.1.5
    """

    uids: NumSet = NumSet.EMPTY
    """Empty where only MIN, MAX or COUNT was asked for."""
    minimum: int | None = None
    maximum: int | None = None
    count: int | None = None
    mod_seq: int | None = None
    """The highest of what is returned, where the search had a MODSEQ key."""


@dataclass(frozen=True, slots=True)
class SyncReset:
    """What the copy holds of this mailbox means nothing any more: forget it, all messages follow."""

    uid_validity: int
    reason: Literal["first", "uid_validity", "mod_seq", "not_sticky"]
    """first: there was no state. mod_seq: the server's is below the copy's (a restored backup)."""


SyncChange: TypeAlias = SyncReset | Vanished | MessageData
SyncMethod: TypeAlias = Literal["first", "qresync", "condstore", "scan"]


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What a sync came to, once all its changes were applied."""

    state: SyncState
    method: SyncMethod
    selected: Selected
    repaired: bool = False
    """The server's VANISHED did not agree with its count of messages: the UIDs were compared."""
