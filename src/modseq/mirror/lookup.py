"""Find out whether a message arrived in a mailbox, after the answer to the command that sent it was lost."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from modseq.client import Client
from modseq.client.errors import MailboxNotFound
from modseq.core.numset import NumSet
from modseq.wire.response_values import MessageData


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What is looked for.

    Attributes:
        mailbox: its name.
        uid_validity, uid_next: of the mailbox before the command was sent: what it made lies above.
        message_id: of the message; empty where it has none.
        size: how many octets it has.
        received_at: its INTERNALDATE, which copies keep.
        octets: the message itself, compared octet by octet; None where only its size is known.
        email_id: its EMAILID, where the server has told one.

    """

    mailbox: str
    uid_validity: int
    uid_next: int
    message_id: str
    size: int
    received_at: int
    octets: bytes | None = None
    email_id: str | None = None


class OutcomeUnknown(Exception):
    """Nobody can tell any more: the mailbox is gone or was made anew meanwhile."""


async def find_arrived(client: Client, wanted: Wanted, not_these: Container[int] = ()) -> int | None:
    """
    Return the UID of the message, None when it did not arrive.

    The mailbox is selected by this.

    Args:
        not_these: UIDs that are the trace of another command: of two equal appends each needs its own.
    Raises: OutcomeUnknown
    """
    try:
        selected = await client.select(wanted.mailbox, read_only=True)
    except MailboxNotFound as error:
        raise OutcomeUnknown(f"{wanted.mailbox} is gone") from error
    if selected.uid_validity != wanted.uid_validity:
        raise OutcomeUnknown(f"{wanted.mailbox} was made anew (UIDVALIDITY changed)")
    if selected.uid_next is not None and selected.uid_next <= wanted.uid_next:
        return None
    # "n:*" names the last message even where n is above it (RFC 3501 section 6.4.8).
    criteria = f"UID {wanted.uid_next}:*"
    if wanted.message_id and wanted.message_id.isascii() and not set(wanted.message_id) & set('"\\\r\n\0'):
        criteria += f' HEADER Message-ID "{wanted.message_id}"'
    found = (await client.search(criteria)).uids.clamp(wanted.uid_next, 2**32 - 1)
    candidates = NumSet(uid for uid in found if uid not in not_these)
    if not candidates:
        return None
    items = ["RFC822.SIZE", "INTERNALDATE"]
    if client.has("OBJECTID") and wanted.email_id is not None:
        items.append("EMAILID")
    fetched = await client.fetch(candidates, items)
    for message in sorted(fetched.messages, key=lambda each: each.uid):
        if (
            message.uid in candidates
            and _alike(message, wanted)
            and await _equal(client, message.uid, wanted)
        ):
            return message.uid
    return None


def _alike(message: MessageData, wanted: Wanted) -> bool:
    if message.email_id is not None and wanted.email_id is not None:
        return message.email_id == wanted.email_id
    date = message.internal_date
    return message.size == wanted.size and (date is None or int(date.timestamp()) == wanted.received_at)


async def _equal(client: Client, uid: int, wanted: Wanted) -> bool:
    """Compare the octets where they are at hand: a Message-ID is no proof, and some mail has none."""
    if wanted.octets is None:
        return True
    fetched = await client.fetch(uid, ("BODY.PEEK[]",))
    return any(
        message.uid == uid and message.sections.get("BODY[]") == wanted.octets for message in fetched.messages
    )
