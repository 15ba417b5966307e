r"""What the bytes of a response mean: one frozen value for each kind of response and each of its parts.

Nothing here knows octets or sockets. Flags are text in the server's spelling, system flags in their
canonical one (`\Seen`); strings of messages stay bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from modseq.core.numset import NumSet

_NOTHING: Mapping[str, bytes | None] = MappingProxyType({})

# --- status responses ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UidPairs:
    """
    The value of COPYUID: the n-th source became the n-th target.

    RFC: 4315 section 3
    """

    uid_validity: int
    sources: tuple[tuple[int, int], ...]
    """Closed ranges in the server's order."""
    targets: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class AppendedUids:
    """
    The value of APPENDUID.

    RFC: 4315 section 3
    """

    uid_validity: int
    uids: NumSet


CodeValue: TypeAlias = int | str | NumSet | UidPairs | AppendedUids | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Code:
    """
    A response code.

    `value` by name: HIGHESTMODSEQ, UIDNEXT, UIDVALIDITY, UNSEEN, APPENDLIMIT int; MODIFIED a NumSet (of
    UIDs after UID STORE); APPENDUID, COPYUID theirs; CAPABILITY, PERMANENTFLAGS, BADCHARSET texts;
    MAILBOXID text; otherwise the text behind the name, None where there is none.

    RFC: 3501 section 7.1
    """

    name: str
    """In capitals."""
    value: CodeValue = None


Condition: TypeAlias = Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """
    OK, NO, BAD, BYE or PREAUTH; untagged where `tag` is None.

    RFC: 3501 section 7.1
    """

    tag: bytes | None
    condition: Condition
    code: Code | None
    text: str


@dataclass(frozen=True, slots=True)
class Continuation:
    """
    The server's leave to go on.

    RFC: 3501 section 7.5
    """

    text: bytes


# --- what is in a mailbox ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exists:
    """So many messages are in the mailbox."""

    count: int


@dataclass(frozen=True, slots=True)
class Recent:
    r"""So many messages are \Recent."""

    count: int


@dataclass(frozen=True, slots=True)
class Expunged:
    """The message with this sequence number is gone; those above move down."""

    seq_num: int


@dataclass(frozen=True, slots=True)
class Vanished:
    """
    These UIDs are gone.

    RFC: 7162 section 3.2.10
    """

    uids: NumSet
    earlier: bool = False
    """Gone before the client asked: no sequence number moves."""


@dataclass(frozen=True, slots=True)
class FlagsDefined:
    """The flags that this mailbox knows."""

    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an ENVELOPE; a group begins with `host` None and ends with all None."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    The header fields that mail clients list.

    RFC: 3501 section 7.4.2
    """

    date: bytes | None
    subject: bytes | None
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    in_reply_to: bytes | None
    message_id: bytes | None


@dataclass(frozen=True, slots=True)
class BodyPart:
    """
    One node of BODYSTRUCTURE: a multipart with `parts`, or a leaf; a message/rfc822 has one part inside.

    RFC: 3501 section 7.4.2
    """

    media_type: str
    """In small letters, `text/plain`."""
    params: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    parts: tuple[BodyPart, ...] = ()
    content_id: bytes | None = None
    description: bytes | None = None
    encoding: str = ""
    size: int = 0
    lines: int | None = None
    envelope: Envelope | None = None
    disposition: str | None = None
    disposition_params: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    languages: tuple[bytes, ...] = ()
    location: bytes | None = None


class MessageData(msgspec.Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """
    What one FETCH response says of a message; None where it does not say.

    RFC: 3501 section 7.4.2
    """

    seq_num: int
    uid: int = 0
    """0 where the server left it out: only in unsolicited responses of servers without QRESYNC."""
    flags: frozenset[str] | None = None
    mod_seq: int | None = None
    internal_date: dt.datetime | None = None
    size: int | None = None
    envelope: Envelope | None = None
    structure: BodyPart | None = None
    sections: Mapping[str, bytes | None] = _NOTHING
    """By the server's label in capitals: `BODY[]`, `BODY[HEADER.FIELDS (SUBJECT)]`, `BODY[1]<0>`. None is NIL;
    a section that was streamed is not here."""
    email_id: str | None = None
    thread_id: str | None = None
    save_date: dt.datetime | None = None
    extra: Mapping[str, bytes | None] = _NOTHING
    """Items this library does not know, as they stood."""


# --- mailboxes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StatusData:
    """
    The counters of a mailbox: those that were asked for and given.

    RFC: 3501 section 7.2.4
    """

    mailbox: str
    messages: int | None = None
    recent: int | None = None
    uid_next: int | None = None
    uid_validity: int | None = None
    unseen: int | None = None
    highest_mod_seq: int | None = None
    """0: the mailbox keeps no mod-sequences."""
    size: int | None = None
    deleted: int | None = None
    append_limit: int | None = None
    mailbox_id: str | None = None
    raw_name: bytes = b""


@dataclass(frozen=True, slots=True)
class ListData:
    """
    One mailbox of LIST or LSUB.

    RFC: 3501 section 7.2.2
    RFC: 5258 section 4
    """

    name: str
    """Text; where the server's octets are no modified UTF-7, those octets as they are."""
    delimiter: str | None
    attributes: frozenset[str]
    r"""As the server wrote them: `\HasNoChildren`, `\Sent`."""
    raw_name: bytes = b""
    """The server's octets; commands take these too."""
    old_name: str | None = None
    child_info: frozenset[str] = frozenset()
    status: StatusData | None = None
    """With LIST ... RETURN (STATUS ...), or asked for separately where the server lacks that."""
    lsub: bool = False

    def has(self, attribute: str) -> bool:
        r"""Return whether this attribute stands there, whatever its case: `box.has("\\Noselect")`."""
        return attribute.lower() in {each.lower() for each in self.attributes}


@dataclass(frozen=True, slots=True)
class NamespaceData:
    """
    The three kinds of namespaces, each as (prefix, delimiter).

    RFC: 2342 section 5
    """

    personal: tuple[tuple[str, str | None], ...]
    other_users: tuple[tuple[str, str | None], ...]
    shared: tuple[tuple[str, str | None], ...]


# --- the rest ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SearchData:
    """
    An untagged SEARCH or SORT.

    RFC: 3501 section 7.2.5
    RFC: 7162 section 3.1.5
    """

    numbers: tuple[int, ...]
    mod_seq: int | None = None
    sort: bool = False


@dataclass(frozen=True, slots=True)
class ESearchData:
    """
    An ESEARCH response.

    RFC: 4731 section 3.1
    """

    tag: bytes | None
    uid: bool
    minimum: int | None = None
    maximum: int | None = None
    count: int | None = None
    everything: NumSet | None = None
    mod_seq: int | None = None


@dataclass(frozen=True, slots=True)
class CapabilityData:
    """What the server can do, in capitals."""

    capabilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class EnabledData:
    """What ENABLE enabled, in capitals."""

    capabilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class IdData:
    """What the server says of itself."""

    fields: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class OtherData:
    """An untagged response this library does not know: its name in capitals, and all of it as it stood."""

    name: str
    parts: tuple[bytes, ...]


Response: TypeAlias = (
    StatusResponse
    | Continuation
    | Exists
    | Recent
    | Expunged
    | Vanished
    | FlagsDefined
    | MessageData
    | StatusData
    | ListData
    | NamespaceData
    | SearchData
    | ESearchData
    | CapabilityData
    | EnabledData
    | IdData
    | OtherData
)
