"""mailbox: making, naming, listing and counting mailboxes.

RFC: 3501 section 6.3
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modseq.core.account import MailboxMeta
from modseq.core.mailbox import Counters
from modseq.core.mailbox_operations import (
    DELIMITER,
    INBOX,
    CreateMailbox,
    DeleteMailbox,
    RenameMailbox,
    Subscribe,
    Unsubscribe,
    checked_name,
)
from modseq.core.operations import Transfer
from modseq.limits import HUGE_OPERATION_MESSAGES_MIN
from modseq.server import listing
from modseq.server.object_ids import mailbox_object_id
from modseq.server.registry import AFTER_LOGIN, advertise, command
from modseq.server.reply import Reply, no, ok
from modseq.wire import values
from modseq.wire.grammar import mailbox as grammar
from modseq.wire.grammar.select import mailbox_id_code
from modseq.wire.messages import status_response
from modseq.wire.values import Command

if TYPE_CHECKING:
    from modseq.server.session import Session
    from modseq.storage.base import Account

SPECIAL_USES = frozenset({"\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"})
r"""Uses that a mailbox may be created for: \All and \Flagged are for virtual mailboxes."""

advertise("CHILDREN", rfc="3348 section 3")
advertise("LIST-STATUS", rfc="5819 section 2")
advertise("OBJECTID", rfc="8474 section 3")
advertise("SPECIAL-USE", rfc="6154 section 2")
advertise("STATUS=SIZE", rfc="8438 section 2")


# --- making and naming ----------------------------------------------------------------------------


@command(
    "CREATE",
    family="mailbox",
    states=AFTER_LOGIN,
    capability="CREATE-SPECIAL-USE",
    rfc=("3501 section 6.3.3", "6154 section 3", "8474 section 4.1"),
)
async def create(session: Session, command: Command) -> Reply:
    """
    Create a mailbox and those above it.

    RFC: 3501 section 6.3.3
    RFC: 6154 section 3
    RFC: 8474 section 4.1
    """
    args = command.args
    assert isinstance(args, values.Create)
    assert session.account is not None
    uses = tuple(dict.fromkeys(args.special_use))
    for use in uses:
        if use not in SPECIAL_USES:
            return no(f"No mailbox can be created for {use}", b"USEATTR")
    created = await session.account.commit(CreateMailbox(args.mailbox, " ".join(uses) or None))
    object_id = mailbox_object_id(created.mailbox_id, created.uid_validity)
    return ok("Created", mailbox_id_code(object_id))


@command("DELETE", family="mailbox", states=AFTER_LOGIN, rfc="3501 section 6.3.4")
async def delete(session: Session, command: Command) -> Reply:
    """
    Delete a mailbox with its messages; the mailboxes below it stay.

    RFC: 3501 section 6.3.4
    Chosen: a session that deletes the mailbox it has selected has none selected afterwards.
    """
    assert isinstance(command.args, values.Delete)
    assert session.account is not None
    deleted = await session.account.commit(DeleteMailbox(command.args.mailbox))
    if session.view is not None and session.view.mailbox_id == deleted.mailbox_id:
        session.leave_mailbox()
        session.out.write(status_response(None, "OK", "The selected mailbox is gone", b"CLOSED"))
    return ok("Deleted")


@command("RENAME", family="mailbox", states=AFTER_LOGIN, rfc="3501 section 6.3.5")
async def rename(session: Session, command: Command) -> Reply:
    """
    Rename a mailbox and those below it; INBOX gives its messages away and stays.

    RFC: 3501 section 6.3.5
    """
    args = command.args
    assert isinstance(args, values.Rename)
    account = session.account
    assert account is not None
    if checked_name(args.old) == INBOX:
        await _rename_inbox(account, args)
    else:
        await account.commit(RenameMailbox(args.old, args.new))
    return ok("Renamed")


async def _rename_inbox(account: Account, args: values.Rename) -> None:
    """
    Move the messages of INBOX to a new mailbox.

    RFC: 3501 section 6.3.5
    Chosen: many messages take a commit of their own after the one that makes the mailbox, because a move works in slices
    and keeps nobody waiting. If that fails, INBOX is as it was and the new mailbox stays: others may use it by now.
    """
    inbox_id = account.listing().find(INBOX).mailbox_id
    inbox = await account.mailbox(inbox_id)
    is_huge = inbox.exists >= HUGE_OPERATION_MESSAGES_MIN
    target = await account.commit(RenameMailbox(args.old, args.new, inbox_id, leaves_messages=is_huge))
    if is_huge:
        assert target is not None
        await account.commit(Transfer(inbox_id, inbox.index.to_numset(), target.mailbox_id, move=True))


@command("SUBSCRIBE", family="mailbox", states=AFTER_LOGIN, rfc="3501 section 6.3.6")
async def subscribe(session: Session, command: Command) -> Reply:
    """
    Add a name to the subscriptions; it need not exist (any more).

    RFC: 3501 section 6.3.6
    """
    assert isinstance(command.args, values.Subscribe)
    assert session.account is not None
    await session.account.commit(Subscribe(command.args.mailbox))
    return ok("Subscribed")


@command("UNSUBSCRIBE", family="mailbox", states=AFTER_LOGIN, rfc="3501 section 6.3.7")
async def unsubscribe(session: Session, command: Command) -> Reply:
    """
    Take a name off the subscriptions.

    RFC: 3501 section 6.3.7
    """
    assert isinstance(command.args, values.Unsubscribe)
    assert session.account is not None
    await session.account.commit(Unsubscribe(command.args.mailbox))
    return ok("Unsubscribed")


@command(
    "NAMESPACE",
    family="mailbox",
    states=AFTER_LOGIN,
    capability="NAMESPACE",
    rfc="2342 section 5",
)
async def namespace(session: Session, _: Command) -> Reply:
    """
    Say that all mailboxes are the user's own, without a prefix.

    RFC: 2342 section 5
    """
    session.out.write(grammar.namespace_data(personal=[("", DELIMITER)]))
    return ok("That is all")


# --- listing --------------------------------------------------------------------------------------


def _counts_mod_seq(command: Command) -> bool:
    """Return whether a LIST asks for HIGHESTMODSEQ of what it names."""
    assert isinstance(command.args, values.List)
    return "HIGHESTMODSEQ" in (command.args.returns.status_items or ())


@command(
    "LIST",
    family="mailbox",
    states=AFTER_LOGIN,
    capability="LIST-EXTENDED",
    condstore_enabling=_counts_mod_seq,
    rfc=("3501 section 6.3.8", "5258 section 3", "5819 section 2", "6154 section 2"),
)
async def list_(session: Session, command: Command) -> Reply:
    """
    Name the mailboxes that match, with their counters where those are wanted.

    RFC: 3501 section 6.3.8
    RFC: 5258 section 3
    RFC: 5819 section 2
    """
    wanted = command.args
    assert isinstance(wanted, values.List)
    assert session.account is not None
    if wanted.patterns == ("",) and not wanted.extended:
        session.out.write(grammar.list_data(["\\Noselect"], DELIMITER, ""))
        return ok("That is all")
    found = list(listing.entries(session.account.listing(), wanted))
    items = wanted.returns.status_items
    counted = await _counters(session, [each.mailbox for each in found if each.mailbox]) if items else {}
    for entry in found:
        extended = grammar.child_info(entry.child_info) if entry.child_info else b""
        session.out.write(grammar.list_data(entry.attributes, DELIMITER, entry.name, extended=extended))
        if items and entry.mailbox is not None and entry.mailbox.mailbox_id in counted:
            session.out.write(_status_data(entry.mailbox, items, counted[entry.mailbox.mailbox_id]))
        await session.out.drain_if_full()
    return ok("That is all")


@command("LSUB", family="mailbox", states=AFTER_LOGIN, rfc="3501 section 6.3.9")
async def lsub(session: Session, command: Command) -> Reply:
    """
    Name the subscriptions that match.

    RFC: 3501 section 6.3.9
    """
    assert isinstance(command.args, values.List)
    assert session.account is not None
    for entry in listing.subscribed_entries(session.account.listing(), command.args):
        session.out.write(grammar.list_data(entry.attributes, DELIMITER, entry.name, lsub=True))
        await session.out.drain_if_full()
    return ok("That is all")


# --- counting -------------------------------------------------------------------------------------


def _asks_mod_seq(command: Command) -> bool:
    assert isinstance(command.args, values.Status)
    return "HIGHESTMODSEQ" in command.args.items


@command(
    "STATUS",
    family="mailbox",
    states=AFTER_LOGIN,
    condstore_enabling=_asks_mod_seq,
    rfc=("3501 section 6.3.10", "7162 section 3.1.7", "8438 section 3", "8474 section 4.3"),
)
async def status(session: Session, command: Command) -> Reply:
    """
    Count a mailbox without selecting it.

    RFC: 3501 section 6.3.10
    RFC: 7162 section 3.1.7
    """
    args = command.args
    assert isinstance(args, values.Status)
    assert session.account is not None
    mailbox = session.account.listing().find(checked_name(args.mailbox))
    counted = await _counters(session, [mailbox])
    if mailbox.mailbox_id not in counted:
        return no("The mailbox has just been deleted", b"NONEXISTENT")
    session.out.write(_status_data(mailbox, args.items, counted[mailbox.mailbox_id]))
    return ok("Counted")


async def _counters(session: Session, mailboxes: Sequence[MailboxMeta]) -> dict[int, Counters]:
    """
    Count mailboxes without opening them; those that are gone are left out.

    The selected mailbox is brought up to date first and counted as the client then knows it: a
    HIGHESTMODSEQ above what this session was told would make the client miss changes.

    RFC: 7162 section 3.1.7, 3.2
    """
    assert session.account is not None
    counted = dict(await session.account.counters([each.mailbox_id for each in mailboxes]))
    if session.view is not None and session.view.mailbox_id in counted:
        await session.flush(may_vanish=True)
        counted[session.view.mailbox_id] = _told(session)
    return counted


def _told(session: Session) -> Counters:
    """Return the counters of the selected mailbox as this session was told."""
    view = session.view
    assert view is not None
    counters = view.state.counters
    return Counters(
        exists=counters.exists,
        unseen=counters.unseen,
        deleted=counters.deleted,
        recent=len(view.recent),
        octets=counters.octets,
        uid_next=counters.uid_next,
        uid_validity=counters.uid_validity,
        mod_seq=view.safe,
    )


def _status_data(mailbox: MailboxMeta, items: Sequence[str], counters: Counters) -> bytes:
    everything: dict[str, int | str] = {
        "MESSAGES": counters.exists,
        "RECENT": counters.recent,
        "UIDNEXT": counters.uid_next,
        "UIDVALIDITY": counters.uid_validity,
        "UNSEEN": counters.unseen,
        "HIGHESTMODSEQ": counters.mod_seq,
        "SIZE": counters.octets,
        "MAILBOXID": mailbox_object_id(mailbox.mailbox_id, mailbox.uid_validity),
    }
    return grammar.status_data(mailbox.name, {item: everything[item] for item in items})
