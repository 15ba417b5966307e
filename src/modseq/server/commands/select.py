"""select: opening and closing a mailbox, and removing what is marked as deleted.

RFC: 3501 section 6.3.1, 6.3.2, 6.4
RFC: 7162 section 3.2.5, 3.2.7, 3.2.8, 3.2.9
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modseq.core import operations
from modseq.core.change import ChangeSet
from modseq.core.mailbox import MailboxState
from modseq.core.mailbox_operations import checked_name
from modseq.core.view import Fetched, SessionView
from modseq.server import recent, telling
from modseq.server.named import named_uids
from modseq.server.object_ids import mailbox_object_id
from modseq.server.registry import AFTER_LOGIN, WHILE_SELECTED, advertise, command
from modseq.server.reply import Reply, bad, no, ok
from modseq.server.resync import resynchronise
from modseq.storage.base import Account
from modseq.wire.grammar import select as grammar
from modseq.wire.messages import status_response
from modseq.wire.values import Command, Expunge, QResync, Select

if TYPE_CHECKING:
    from modseq.server.session import Session

advertise("QRESYNC", rfc="7162 section 3.2.2")


# --- opening --------------------------------------------------------------------------------------


def _asks_mod_seq(command: Command) -> bool:
    """With QRESYNC beside it, CONDSTORE says nothing new: the client must have enabled both before."""
    assert isinstance(command.args, Select)
    return command.args.condstore and command.args.qresync is None


@command(
    "EXAMINE",
    family="select",
    states=AFTER_LOGIN,
    condstore_enabling=_asks_mod_seq,
    closes_mailbox=True,
    rfc=("3501 section 6.3.2", "7162 section 3.1.8", "7162 section 3.2.5"),
)
@command(
    "SELECT",
    family="select",
    states=AFTER_LOGIN,
    condstore_enabling=_asks_mod_seq,
    closes_mailbox=True,
    rfc=("3501 section 6.3.1", "7162 section 3.1.8", "7162 section 3.2.5"),
)
async def select(session: Session, command: Command) -> Reply:
    """
    Open a mailbox, and tell a client that knew it what changed meanwhile.

    The mailbox selected before is left first, so that it is also when this one cannot be opened.

    RFC: 3501 section 6.3.1, 6.3.2
    RFC: 7162 section 3.2.5, 3.2.11
    """
    args, account = command.args, session.account
    assert isinstance(args, Select)
    assert account is not None
    if args.qresync is not None and not session.qresync:
        return bad("QRESYNC must be enabled before")
    if session.leave_mailbox():
        session.out.write(status_response(None, "OK", "The previous mailbox is closed", b"CLOSED"))
    mailbox = account.listing().find(checked_name(args.mailbox))
    state = await account.mailbox(mailbox.mailbox_id)
    changes: ChangeSet | None = None
    if args.qresync is not None and args.qresync.uid_validity == state.uid_validity:
        state, changes = await _state_and_changes(account, state, args.qresync.mod_seq)
    recent_from = recent.recent_from(session.service, account, state, claim=not args.examine)
    view = SessionView(state, read_only=args.examine, recent_from=recent_from)
    session.enter_mailbox(view)
    session.out.write(_opening(view))
    if args.qresync is not None and changes is not None:
        await _tell_known(session, view, changes, args.qresync)
    return ok("Opened", b"READ-ONLY" if args.examine else b"READ-WRITE")


def _opening(view: SessionView) -> bytes:
    """
    Return what every client is told of the mailbox that it opens.

    RFC: 3501 section 6.3.1
    RFC: 7162 section 3.1.2.1
    RFC: 8474 section 4.2
    Chosen: HIGHESTMODSEQ also before any CONDSTORE-enabling command; clients of old servers look for it.
    """
    state = view.state
    lines = [
        telling.flags_response(state),
        grammar.exists(len(view.uids)),
        grammar.recent(len(view.recent)),
    ]
    unseen = state.first_unseen()
    if unseen is not None:
        lines.append(status_response(None, "OK", "The first unseen message", grammar.unseen_code(unseen)))
    object_id = mailbox_object_id(state.mailbox_id, state.uid_validity)
    lines += [
        telling.permanent_flags_response(state, read_only=view.read_only),
        status_response(None, "OK", "The next UID", grammar.uid_next_code(state.uid_next)),
        status_response(None, "OK", "UIDs are valid", grammar.uid_validity_code(state.uid_validity)),
        status_response(None, "OK", "Highest", grammar.highest_mod_seq_code(state.mod_seq)),
        status_response(None, "OK", "Known as", grammar.mailbox_id_code(object_id)),
    ]
    return b"".join(lines)


async def _state_and_changes(
    account: Account, state: MailboxState, mod_seq: int
) -> tuple[MailboxState, ChangeSet]:
    """Return a published state and what led to it from ``mod_seq``, of one and the same moment."""
    changes = await account.changes_since(state.mailbox_id, mod_seq)
    while True:
        state = await account.mailbox(state.mailbox_id)
        if changes.mod_seq == state.mod_seq:
            return state, changes
        changes = await account.changes_since(state.mailbox_id, mod_seq)


async def _tell_known(session: Session, view: SessionView, changes: ChangeSet, wanted: QResync) -> None:
    """
    Tell what changed in the messages that the client knew: what is gone, then flags.

    RFC: 7162 section 3.2.5.1, 3.2.6, 3.2.10.1
    """
    known = resynchronise(view.state, changes, wanted)
    await telling.write_pieces(session.out, grammar.vanished(known.vanished, earlier=True))
    if known.changed:
        await telling.write_events(session, view, [Fetched(known.changed.to_array())])


# --- closing --------------------------------------------------------------------------------------


@command("CHECK", family="select", states=WHILE_SELECTED, rfc="3501 section 6.4.1")
async def check(_session: Session, _: Command) -> Reply:
    """
    Do nothing: what was acknowledged is stored already.

    RFC: 3501 section 6.4.1
    """
    return ok("Nothing to do")


@command(
    "CLOSE",
    family="select",
    states=WHILE_SELECTED,
    rfc=("3501 section 6.4.2", "7162 section 3.2.8"),
)
async def close(session: Session, _: Command) -> Reply:
    r"""
    Remove the messages with \Deleted without a word, and leave the mailbox.

    No HIGHESTMODSEQ: the client was not told of what else changed up to it.

    RFC: 3501 section 6.4.2
    RFC: 7162 section 3.2.8
    """
    view, account = session.view, session.account
    assert view is not None
    assert account is not None
    if not view.read_only:
        await account.commit(operations.Expunge(view.mailbox_id))
    session.leave_mailbox()
    return ok("Closed")


@command("UNSELECT", family="select", states=WHILE_SELECTED, capability="UNSELECT", rfc="3691 section 2")
async def unselect(session: Session, _: Command) -> Reply:
    """
    Leave the mailbox and remove nothing.

    RFC: 3691 section 2
    """
    session.leave_mailbox()
    return ok("Left")


# --- expunging ------------------------------------------------------------------------------------


@command(
    "UID EXPUNGE",
    family="select",
    states=WHILE_SELECTED,
    rfc=("4315 section 2.1", "7162 section 3.2.9"),
)
@command("EXPUNGE", family="select", states=WHILE_SELECTED, rfc=("3501 section 6.4.3", "7162 section 3.2.7"))
async def expunge(session: Session, command: Command) -> Reply:
    r"""
    Remove the messages with \Deleted, of all or of those named.

    RFC: 3501 section 6.4.3
    RFC: 4315 section 2.1
    RFC: 7162 section 3.2.7, 3.2.9
    """
    args, view, account = command.args, session.view, session.account
    assert isinstance(args, Expunge)
    assert view is not None
    assert account is not None
    if view.read_only:
        return no("The mailbox was opened read-only", b"READ-ONLY")
    uids = None if args.uids is None else named_uids(session, args.uids, by_uid=True)
    outcome = await account.commit(operations.Expunge(view.mailbox_id, uids))
    await session.flush(may_vanish=True)
    if outcome.vanished and session.qresync:
        # Also when the client had not been told of these messages and so is told of no expunge.
        return ok("Expunged", grammar.highest_mod_seq_code(view.safe))
    return ok("Expunged")
