"""What the copy holds, as values: mailboxes, messages, and the changes that lead from one state to the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from modseq.core.numset import NumSet

RECENT = "\\Recent"
r"""Belongs to a session and not to a message (RFC 3501 section 2.3.2): never kept, never pushed."""


def join_flags(flags: Iterable[str]) -> str:
    r"""Return flags as the copy keeps them: sorted, without \Recent, each spelling once whatever its case."""
    by_name = {flag.lower(): flag for flag in sorted(flags)}
    by_name.pop(RECENT.lower(), None)
    return " ".join(sorted(by_name.values()))


def split_flags(text: str) -> frozenset[str]:
    """Return the flags of a text that `join_flags` made."""
    return frozenset(text.split())


def same_flags(left: Iterable[str], right: Iterable[str]) -> bool:
    r"""Whether both name the same flags; case and \Recent make no difference."""
    return join_flags(flag.lower() for flag in left) == join_flags(flag.lower() for flag in right)


def edited_flags(flags: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> frozenset[str]:
    """Return flags after some were set and others removed, whatever their case."""
    by_name = {flag.lower(): flag for flag in flags}
    for flag in remove:
        by_name.pop(flag.lower(), None)
    for flag in add:
        by_name.setdefault(flag.lower(), flag)
    return frozenset(by_name.values())


@dataclass(frozen=True, slots=True)
class Summary:
    """What lists show of a message. `recipients` has To, Cc and Bcc on lines of their own: `to: ann@...`."""

    subject: str = ""
    sender: str = ""
    recipients: str = ""
    message_id: str = ""
    sent_at: int | None = None


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox as the server had it at the watermark; the columns are described in `schema`."""

    mailbox_id: int
    name: str
    object_id: str | None = None
    delimiter: str | None = None
    attributes: str = ""
    uid_validity: int = 0
    uid_next: int = 0
    mod_seq: int = 0
    told_mod_seq: int = 0
    is_complete: bool = False
    exists: int = 0
    doubt: str | None = None
    synced_at: int = 0


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as the server had it at the watermark."""

    uid: int
    mod_seq: int
    flags: str
    received_at: int = 0
    received_zone: int = 0
    size: int = 0
    email_id: str | None = None
    content_id: int | None = None


@dataclass(frozen=True, slots=True)
class FlagsRow:
    """New flags of a message that the copy has. `mod_seq` 0: the server told none."""

    uid: int
    flags: str
    mod_seq: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """Where the copy of a mailbox stands once a batch of changes is applied; see `schema`."""

    uid_validity: int
    uid_next: int
    mod_seq: int
    told_mod_seq: int
    is_complete: bool
    exists: int
    doubt: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """
    Changes of one mailbox and the watermark that they lead to: applied together or not at all.

    Attributes:
        reset: what the copy holds of the mailbox is forgotten first (its UIDs mean nothing any more).
        appeared: messages that are new, or are to be written anew, with what lists show of them.
        changed: flags of messages that are in the copy; others are left out.
        vanished: UIDs that are gone.
        watermark: None leaves it where it is.

    """

    reset: bool = False
    appeared: tuple[tuple[MessageRow, Summary], ...] = ()
    changed: tuple[FlagsRow, ...] = ()
    vanished: NumSet = field(default=NumSet.EMPTY)
    watermark: Watermark | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did to the copy."""

    appeared: int = 0
    changed: int = 0
    vanished: int = 0

    def __add__(self, other: Applied) -> Applied:
        return Applied(
            self.appeared + other.appeared, self.changed + other.changed, self.vanished + other.vanished
        )
