"""
From octets to stored messages: what APPEND, import and LMTP have in common, and delivery to addresses.

A recipient is a user, or a user and a detail: `alice+lists/python` is alice's mailbox `lists/python`.
Somebody whose detail names no mailbox gets the message into INBOX: a misspelt or forgotten detail must
not lose mail, and a stranger must not be able to create mailboxes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import format_datetime

from modseq import clock
from modseq.core import errors as kinds
from modseq.core.mailbox_operations import INBOX
from modseq.core.message import Content, NewMessage
from modseq.core.operations import Append
from modseq.limits import SCAN_IN_LOOP_BYTES_MAX
from modseq.mime.scan import scan
from modseq.storage.base import Account, Directory, Store
from modseq.wire.lmtp_text import Address, Reply

_log = logging.getLogger(__name__)

DETAIL_SEPARATOR = "+"


# --- intake ---------------------------------------------------------------------------------------


def content_of(data: bytes) -> Content:
    """Read a message once and return what is kept of it."""
    found = scan(data)
    return Content(
        data=data,
        envelope=found.envelope,
        body=found.body,
        structure=found.bodystructure,
        parts=found.parts,
        sent_date=found.sent_date,
        header_length=found.header_length,
    )


async def intake(
    data: bytes,
    flags: Sequence[str] = (),
    received_at: int | None = None,
    zone: int | None = None,
) -> NewMessage:
    """
    Return a message ready to be appended. A large one is scanned in a thread: the loop stays free.

    RFC: 3501 section 2.3.3
    RFC: 8514 section 1
    Args:
        data: the octets of the message.
        flags: system flags and keywords.
        received_at: the internal date in seconds since 1970; None for now.
        zone: its zone in minutes east of Greenwich; None for the machine's zone at that moment.

    """
    if len(data) > SCAN_IN_LOOP_BYTES_MAX:
        content = await asyncio.to_thread(content_of, data)
    else:
        content = content_of(data)
    now = clock.now_seconds()
    moment = now if received_at is None else received_at
    return NewMessage(
        flags=tuple(flags),
        received_at=moment,
        received_zone=clock.local_offset_minutes(moment) if zone is None else zone,
        saved_at=now,
        content=content,
    )


# --- recipients -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recipient:
    """A user who exists, and the detail of the address: the name of a mailbox, "" for none."""

    user_name: str
    detail: str


def _candidates(address: Address) -> Iterator[Recipient]:
    """
    Yield the readings of an address, the most exact first.

    A user may be named with or without the domain; the domain decides nothing else, because the mail server
    in front has already accepted it. The local part is tried as written, then in lower case.
    """
    base, _, detail = address.local.partition(DETAIL_SEPARATOR)
    for local, part in ((address.local, ""), (base, detail)):
        for name in (f"{local}@{address.domain}", local) if address.domain else (local,):
            yield Recipient(name, part)
            if name != name.lower():
                yield Recipient(name.lower(), part)


async def find_recipient(directory: Directory, address: Address) -> Recipient | None:
    """Return whom an address means here, None for nobody."""
    seen: set[str] = set()
    for candidate in _candidates(address):
        if candidate.user_name and candidate.user_name not in seen:
            seen.add(candidate.user_name)
            if await directory.password_hash(candidate.user_name) is not None:
                return candidate
    return None


def mailbox_for(account: Account, detail: str) -> int:
    """
    Return the number of the mailbox that a detail names, INBOX's if there is none.

    Mail servers fold local parts to lower case on the way: a name that differs only in case is found where
    it is the only one.

    Raises: MailboxNotFound when not even INBOX is there.
    """
    listing = account.listing()
    exact = listing.mailboxes.get(detail)
    if exact is not None:
        return exact.mailbox_id
    if detail:
        folded = detail.casefold()
        alike = [meta for name, meta in listing.mailboxes.items() if name.casefold() == folded]
        if len(alike) == 1:
            return alike[0].mailbox_id
    return listing.find(INBOX).mailbox_id


# --- delivery -------------------------------------------------------------------------------------


STORED = Reply(250, "2.1.5", "Stored")
NO_SUCH_USER = Reply(550, "5.1.1", "No such user here")
_LATER = Reply(451, "4.3.0", "Could not be stored now; try again later")
_REFUSALS: dict[type[kinds.StorageError], Reply] = {
    kinds.UserNotFound: NO_SUCH_USER,
    kinds.OverQuota: Reply(452, "4.2.2", "The mailbox is over its quota"),
    kinds.LimitReached: Reply(452, "4.2.2", "The mailbox has reached a limit"),
    kinds.StorageFull: Reply(452, "4.3.1", "No space left to store the message"),
}
"""Kinds that are not here are temporary: the sender keeps the message and comes back."""


def reply_for(error: kinds.StorageError) -> Reply:
    """
    Return what a delivering client is told of a storage error.

    After CommitUnknown too it is told to try again: a message may then arrive twice, but is never lost.
    """
    for kind in type(error).__mro__:
        reply = _REFUSALS.get(kind)
        if reply is not None:
            return reply
    return _LATER


def trace_header(
    *, client_name: str, host_name: str, sender: Address, smtputf8: bool, queue_id: str, moment: int
) -> bytes:
    """
    Return the lines that final delivery puts before a message.

    RFC: 5321 section 4.4
    Args:
        moment: seconds since 1970.

    """
    zone = dt.timezone(dt.timedelta(minutes=clock.local_offset_minutes(moment)))
    stamp = format_datetime(dt.datetime.fromtimestamp(moment, zone))
    protocol = "UTF8LMTP" if smtputf8 else "LMTP"
    return (
        f"Return-Path: <{sender.path}>\r\n"
        f"Received: from {client_name}\r\n"
        f"\tby {host_name} (modseq) with {protocol} id {queue_id};\r\n"
        f"\t{stamp}\r\n"
    ).encode()


async def deliver(store: Store, data: bytes, recipients: Sequence[Recipient]) -> list[Reply]:
    """
    Store one message for each recipient and say for each how it went, in their order.

    The message is scanned once. Every account commits by itself and all of them at the same time; each
    reply is given after the commit that it reports. A mailbox that two recipients name gets it once, also
    where both names lead to INBOX.
    """
    message = await intake(data)
    places = list(dict.fromkeys(recipients))
    commits: dict[tuple[str, int], asyncio.Task[None]] = {}
    replies = await asyncio.gather(*(_deliver_to(store, message, place, commits) for place in places))
    told = dict(zip(places, replies, strict=True))
    return [told[recipient] for recipient in recipients]


async def _deliver_to(
    store: Store,
    message: NewMessage,
    recipient: Recipient,
    commits: dict[tuple[str, int], asyncio.Task[None]],
) -> Reply:
    """Deliver to one recipient, with the commit of another one where that goes to the same mailbox."""
    try:
        account = await store.account(recipient.user_name)
        await account.refresh()
        mailbox_id = mailbox_for(account, recipient.detail)
        commit = commits.get((recipient.user_name, mailbox_id))
        if commit is None:
            commit = asyncio.create_task(_append(account, mailbox_id, message))
            commits[recipient.user_name, mailbox_id] = commit
        await commit
    except kinds.StorageError as error:
        reply = reply_for(error)
        _log.warning("delivery to %s: %s (%s)", recipient.user_name, error, reply.status)
        return reply
    except Exception:  # noqa: BLE001 -- one recipient's fault must not take the replies of the others with it
        _log.exception("delivery to %s failed", recipient.user_name)
        return _LATER
    return STORED


async def _append(account: Account, mailbox_id: int, message: NewMessage) -> None:
    try:
        await account.commit(Append(mailbox_id, (message,)))
    except kinds.MailboxNotFound:
        # Deleted between the listing and the commit.
        await account.commit(Append(mailbox_for(account, ""), (message,)))
