r"""What the bytes of a command mean: one frozen value for each command and for each of its parts.

Nothing here knows octets or sockets. Strings that a client chose and that mean text of messages stay
bytes (the charset is known later); mailbox names are text (modified UTF-7 is undone); flag names are
text as the client wrote them, system flags in their canonical spelling (`\Seen`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal, TypeAlias

from modseq.core.numset import NumSet

STAR = 0
"""Stands for `*` in the ranges of a SequenceSet; no message has the number 0."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """
    Sequence numbers or UIDs as a client wrote them, before `*` and `$` have a meaning.

    Ranges keep the client's order and may overlap; `5:2` is stored as (2, 5). `*` is STAR and stands
    last in its pair: `3:*` and `*:3` are (3, STAR), `*` alone is (STAR, STAR).

    Grammar: sequence-set = (seq-number / seq-range) *("," sequence-set) / "$"
    RFC: 3501 section 9
    RFC: 5182 section 2.1, 3
    """

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False
    """The set is `$`: the result that SEARCH RETURN (SAVE) kept. `ranges` is then empty."""

    @property
    def has_star(self) -> bool:
        """Whether `*` stands anywhere in the set."""
        return any(hi == STAR for _, hi in self.ranges)

    def resolve(self, star: int, *, ceiling: int | None = None) -> NumSet:
        """
        Return the numbers meant, where `*` is the highest number in use.

        Args:
            star: what `*` stands for; 0 in an empty mailbox, where ranges with `*` mean nothing.
            ceiling: numbers above it are left out; keeps `1:4294967295` small.

        Raises ValueError for `$`: only the session knows what was saved.

        """
        if self.saved:
            raise ValueError("$ is resolved by the session that saved it")
        pairs: list[tuple[int, int]] = []
        for lo, hi in self.ranges:
            low, high = lo, hi
            if hi == STAR:
                if star == 0:
                    continue
                low, high = (star, star) if lo == STAR else (min(lo, star), max(lo, star))
            if ceiling is not None:
                if low > ceiling:
                    continue
                high = min(high, ceiling)
            pairs.append((low, high))
        return NumSet.from_ranges(_merged(pairs))


def _merged(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """
    Return the ranges in ascending order with those that overlap made one.

    One line may say `1:4294967295` ten thousand times; each would cost milliseconds in the bitmap.
    """
    if len(pairs) < 2:
        return pairs
    pairs.sort()
    merged = [pairs[0]]
    last = pairs[0][1]
    for low, high in pairs:
        if low > last:
            merged.append((low, high))
            last = high
        elif high > last:
            merged[-1] = merged[-1][0], high
            last = high
    return merged


# --- access: who is there ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN: a user name and a password in the clear."""

    user: str
    password: bytes


@dataclass(frozen=True, slots=True)
class Authenticate:
    """
    AUTHENTICATE: a SASL mechanism in capitals and, with SASL-IR, the decoded first answer.

    RFC: 3501 section 6.2.2
    RFC: 4959 section 3
    """

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE: capability names in capitals, known or not."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Id:
    """ID: what the client says of itself; None for NIL."""

    pairs: tuple[tuple[bytes, bytes | None], ...] | None


# --- select --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QResync:
    """
    The QRESYNC parameter of SELECT: what the client knew when it left.

    RFC: 7162 section 3.2.5, 3.2.5.1, 3.2.5.2
    """

    uid_validity: int
    mod_seq: int
    known_uids: SequenceSet | None = None
    match: tuple[SequenceSet, SequenceSet] | None = None
    """Known sequence numbers and their UIDs: ascending, as many of the one as of the other."""


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or EXAMINE where `examine`."""

    mailbox: str
    examine: bool
    condstore: bool = False
    qresync: QResync | None = None


@dataclass(frozen=True, slots=True)
class Expunge:
    """
    EXPUNGE (`uids` is None) and UID EXPUNGE.

    RFC: 4315 section 2.1
    """

    uids: SequenceSet | None = None


# --- mailbox -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Create:
    """
    CREATE; a trailing hierarchy separator is still there.

    RFC: 6154 section 3
    """

    mailbox: str
    special_use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class ListReturn:
    """
    What LIST is to say of each mailbox.

    RFC: 5258 section 3.2
    """

    subscribed: bool = False
    children: bool = False
    special_use: bool = False
    status_items: tuple[str, ...] | None = None
    """Items of the STATUS responses wanted with the list (RFC 5819); None for none."""


@dataclass(frozen=True, slots=True)
class List:
    """
    LIST and LSUB. Reference and patterns are text with `*` and `%` left in.

    RFC: 3501 section 6.3.8, 6.3.9
    RFC: 5258 section 3
    """

    lsub: bool
    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[str] = frozenset()
    """Of SUBSCRIBED, REMOTE, RECURSIVEMATCH, SPECIAL-USE."""
    returns: ListReturn = ListReturn()
    extended: bool = False
    """Whether the extended syntax was used anywhere in the command."""


@dataclass(frozen=True, slots=True)
class Status:
    """
    STATUS: items in capitals, each of STATUS_ITEMS and each once.

    RFC: 3501 section 6.3.10
    """

    mailbox: str
    items: tuple[str, ...]


STATUS_ITEMS = frozenset(
    {"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "SIZE", "MAILBOXID"}
)
"""RFC 3501; HIGHESTMODSEQ of RFC 7162, SIZE of RFC 8438, MAILBOXID of RFC 8474."""


# --- transfer ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message of APPEND."""

    flags: tuple[str, ...]
    date_time: tuple[int, int] | None
    """Seconds since 1970 in UTC, and the zone in minutes east of UTC."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """
    APPEND of one message or, with MULTIAPPEND, of several.

    RFC: 3501 section 6.3.11
    """

    mailbox: str
    messages: tuple[AppendMessage, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and UID COPY."""

    sequence_set: SequenceSet
    mailbox: str


@dataclass(frozen=True, slots=True)
class Move:
    """MOVE and UID MOVE."""

    sequence_set: SequenceSet
    mailbox: str


# --- fetch and store -----------------------------------------------------------------------------

SectionKind: TypeAlias = Literal["", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]


@dataclass(frozen=True, slots=True)
class BodySection:
    """
    One BODY[...] of FETCH; RFC822, RFC822.HEADER and RFC822.TEXT are this too, under their own label.

    RFC: 3501 section 6.4.5
    """

    path: tuple[int, ...]
    """Part numbers, each from 1; empty for the message itself."""
    kind: SectionKind
    """"" is the whole of what `path` names."""
    fields: tuple[bytes, ...]
    """Header field names as written, for the two HEADER.FIELDS kinds."""
    partial: tuple[int, int] | None
    """First octet (from 0) and number of octets (from 1)."""
    peek: bool
    """Whether the fetch leaves \\Seen alone."""
    label: bytes
    """What the response calls it: `BODY[1.TEXT]<0>`, `RFC822`."""


FetchName: TypeAlias = Literal[
    "FLAGS",
    "UID",
    "MODSEQ",
    "INTERNALDATE",
    "RFC822.SIZE",
    "ENVELOPE",
    "BODY",
    "BODYSTRUCTURE",
    "EMAILID",
    "THREADID",
    "SAVEDATE",
]
FetchItem: TypeAlias = FetchName | BodySection


@dataclass(frozen=True, slots=True)
class Fetch:
    """
    FETCH and UID FETCH; macros are replaced by what they stand for, repeated items by one.

    RFC: 3501 section 6.4.5
    RFC: 7162 section 3.1.4.1, 3.2.6
    """

    sequence_set: SequenceSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    """0 is allowed: real clients send it."""
    vanished: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """
    STORE and UID STORE.

    RFC: 3501 section 6.4.6
    RFC: 7162 section 3.1.3
    """

    sequence_set: SequenceSet
    mode: Literal["+", "-", "="]
    silent: bool
    flags: tuple[str, ...]
    unchanged_since: int | None = None
    """0 is allowed: nobody may have set the flag."""
    all_or_none: bool = False
    """XALLORNONE stood beside UNCHANGEDSINCE."""


# --- search --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SearchAll:
    """ALL: every message."""


@dataclass(frozen=True, slots=True)
class SearchFlag:
    r"""A flag or keyword that is there, or is not: SEEN, UNSEEN, KEYWORD x, OLD (not \Recent)."""

    flag: str
    present: bool


@dataclass(frozen=True, slots=True)
class SearchText:
    """A string in the text of the message or in one of the address and subject fields."""

    where: Literal["BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO"]
    value: bytes


@dataclass(frozen=True, slots=True)
class SearchHeader:
    """HEADER: a string in the named field; an empty string asks for the field's presence."""

    field_name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class SearchDate:
    """
    A day to compare with a date of the message, disregarding time and zone.

    RFC: 3501 section 6.4.4
    RFC: 8514 section 4.3
    """

    which: Literal["INTERNAL", "SENT", "SAVED"]
    relation: Literal["BEFORE", "ON", "SINCE"]
    day: dt.date


@dataclass(frozen=True, slots=True)
class SearchSaveDateSupported:
    """SAVEDATESUPPORTED: whether this mailbox keeps save dates."""


@dataclass(frozen=True, slots=True)
class SearchSize:
    """LARGER or SMALLER than so many octets."""

    larger: bool
    octets: int


@dataclass(frozen=True, slots=True)
class SearchAge:
    """OLDER or YOUNGER than so many seconds, at least 1."""

    older: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class SearchModSeq:
    """
    MODSEQ: changed at or after a mod-sequence, 0 allowed.

    RFC: 7162 section 3.1.5
    """

    mod_seq: int
    flag: str | None = None
    """The flag of the entry name `/flags/...`; None asks for the message's own MODSEQ."""
    entry_type: Literal["priv", "shared", "all"] | None = None


@dataclass(frozen=True, slots=True)
class SearchObjectId:
    """EMAILID or THREADID."""

    which: Literal["EMAILID", "THREADID"]
    object_id: str


@dataclass(frozen=True, slots=True)
class SearchSequence:
    """A set of sequence numbers, or of UIDs where `uid`; `$` too."""

    sequence_set: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class SearchNot:
    """NOT key."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class SearchOr:
    """OR key key."""

    left: SearchKey
    right: SearchKey


@dataclass(frozen=True, slots=True)
class SearchAnd:
    """Several keys side by side: all must hold. Two keys at least."""

    keys: tuple[SearchKey, ...]


SearchKey: TypeAlias = (
    SearchAll
    | SearchFlag
    | SearchText
    | SearchHeader
    | SearchDate
    | SearchSaveDateSupported
    | SearchSize
    | SearchAge
    | SearchModSeq
    | SearchObjectId
    | SearchSequence
    | SearchNot
    | SearchOr
    | SearchAnd
)


@dataclass(frozen=True, slots=True)
class SearchProgram:
    """All keys of a SEARCH as one tree, and what is to be known of it before it runs."""

    key: SearchKey
    has_mod_seq: bool
    """MODSEQ stands somewhere in it: enables CONDSTORE, and the answer carries MODSEQ."""
    has_seq_nums: bool
    """A set of sequence numbers or `*` as one stands somewhere in it."""


@dataclass(frozen=True, slots=True)
class SearchReturn:
    """
    RETURN of SEARCH; `RETURN ()` means ALL.

    RFC: 4731 section 3.1
    RFC: 5182 section 2.1
    """

    minimum: bool = False
    maximum: bool = False
    everything: bool = False
    count: bool = False
    save: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """
    SEARCH and UID SEARCH. Strings stay in the charset the client named (None: US-ASCII).

    RFC: 3501 section 6.4.4
    """

    program: SearchProgram
    returns: SearchReturn | None = None
    """None asks for an untagged SEARCH, anything else for ESEARCH."""
    charset: bytes | None = None


# --- the command ---------------------------------------------------------------------------------

Args: TypeAlias = (
    Login
    | Authenticate
    | Enable
    | Id
    | Select
    | Expunge
    | Create
    | Delete
    | Rename
    | Subscribe
    | Unsubscribe
    | List
    | Status
    | Append
    | Copy
    | Move
    | Fetch
    | Store
    | Search
)


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command as read. UID FETCH has the name FETCH and `uid` set; EXAMINE, LSUB keep their names.

    RFC: 3501 section 2.2.1
    """

    tag: bytes
    name: str
    """In capitals."""
    uid: bool
    args: Args | None
    """None for commands without arguments: CAPABILITY, NOOP, LOGOUT, IDLE, CLOSE, ..."""
