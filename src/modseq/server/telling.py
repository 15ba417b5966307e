"""What a client is told of its selected mailbox without having asked: the view's events as responses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from modseq.core.change import ChangeSet
from modseq.core.errors import MailboxNotFound
from modseq.core.flags import SYSTEM_FLAGS
from modseq.core.mailbox import MailboxState
from modseq.core.view import Event, Existed, Fetched, KeywordsLearned, SessionView, Vanished
from modseq.limits import KEYWORDS_PER_MAILBOX_MAX, OUTPUT_PIECE_BYTES, PIECES_PER_TURN_MAX
from modseq.server import recent, render
from modseq.server.output import Output
from modseq.server.reply import Reply, SessionEnds
from modseq.storage.base import Account
from modseq.wire.grammar import select as grammar
from modseq.wire.messages import status_response

if TYPE_CHECKING:
    from modseq.server.session import Session


async def tell_changes(session: Session, account: Account, view: SessionView, *, may_vanish: bool) -> None:
    """
    Bring the view up to the published state and write what the client may be told of it now.

    RFC: 3501 section 5.2, 7.4.1
    RFC: 7162 section 3.2.10
    Raises SessionEnds when the mailbox was deleted.
    """
    await write_events(session, view, await advance(session, account, view, may_vanish=may_vanish))


async def advance(session: Session, account: Account, view: SessionView, *, may_vanish: bool) -> list[Event]:
    """
    Bring the view up to the published state and return what the client is to be told of it now.

    The view counts the events as told: the caller writes them, all of them, before the next reply.

    RFC: 7162 section 3.2.10
    Raises SessionEnds when the mailbox was deleted.
    """
    events = advance_at_once(session, account, view, may_vanish=may_vanish)
    if events is not None:
        return events
    if account.published(view.mailbox_id) is None:
        await _reload(account, view.mailbox_id)
    changes = await account.changes_since(view.mailbox_id, view.state.mod_seq)
    newest = account.published(view.mailbox_id)
    while newest is not None and newest.mod_seq != changes.mod_seq:
        changes = await account.changes_since(view.mailbox_id, view.state.mod_seq)
        newest = account.published(view.mailbox_id)
    if newest is None:
        raise _deleted()
    return _take_in(session, account, view, newest, changes, may_vanish=may_vanish)


def advance_at_once(
    session: Session, account: Account, view: SessionView, *, may_vanish: bool
) -> list[Event] | None:
    """Do what `advance` does where that takes no waiting, as nearly always; else return None."""
    found = account.changes_at_once(view.mailbox_id, view.state.mod_seq)
    if found is None:
        return None
    state, changes = found
    if state is view.state and not (may_vanish and view.withheld):
        return []
    return _take_in(session, account, view, state, changes, may_vanish=may_vanish)


def _take_in(
    session: Session,
    account: Account,
    view: SessionView,
    state: MailboxState,
    changes: ChangeSet,
    *,
    may_vanish: bool,
) -> list[Event]:
    recent_from = None
    if changes.appeared:
        recent_from = recent.recent_from(session.service, account, state, claim=not view.read_only)
    return view.advance(state, changes, may_vanish=may_vanish, recent_from=recent_from)


async def write_events(session: Session, view: SessionView, events: Iterable[Event]) -> None:
    """Write what a view gave out, in its order."""
    for event in events:
        await write_pieces(session.out, _responses(session, view, event))


async def write_pieces(out: Output, pieces: Iterable[bytes]) -> None:
    """
    Write many responses; wait for a slow client, and let other sessions have their turn.

    A piece may be empty: there was work, but nothing to say.
    """
    octets = 0
    for count, piece in enumerate(pieces, 1):
        out.write(piece)
        octets += len(piece)
        await out.drain_if_full()
        if octets >= OUTPUT_PIECE_BYTES or count % PIECES_PER_TURN_MAX == 0:
            # A client that reads quickly never makes us wait.
            await asyncio.sleep(0)
            octets = 0


def bound_mod_seq(session: Session, view: SessionView, reply: Reply) -> bytes:
    """
    Return the code of the reply that is about to be sent, with HIGHESTMODSEQ where it is due.

    A reply has room for one code: where it has its own, HIGHESTMODSEQ goes into an untagged OK before. The
    client stores that value at once, and a connection that breaks there must cost it nothing: the value
    covers no change that the client makes in its own copy only when the tagged reply has come.

    RFC: 7162 section 3.2, 6
    """
    code = reply.code
    goes_ahead = code != b"" and not code.startswith(b"HIGHESTMODSEQ")
    due = view.highest_mod_seq_due(reply.mod_seq_ahead_max if goes_ahead else None)
    if due is None or not session.condstore:
        return code
    highest = grammar.highest_mod_seq_code(due)
    if not goes_ahead:
        return highest
    session.out.write(status_response(None, "OK", "Store no higher value", highest))
    return code


def announce_mod_seq(session: Session, view: SessionView) -> None:
    """
    Say up to where the client has been told, as the first CONDSTORE-enabling command must.

    RFC: 7162 section 3.1
    """
    code = grammar.highest_mod_seq_code(view.safe)
    session.out.write(status_response(None, "OK", "Highest", code))


def flags_responses(state: MailboxState, *, read_only: bool) -> bytes:
    """
    Return FLAGS and PERMANENTFLAGS of a mailbox.

    RFC: 3501 section 7.2.6, 7.1
    """
    return flags_response(state) + permanent_flags_response(state, read_only=read_only)


def flags_response(state: MailboxState) -> bytes:
    """
    Return the flags that messages of a mailbox can have.

    RFC: 3501 section 7.2.6
    """
    return grammar.flags_data((*SYSTEM_FLAGS, *state.flag_table.keywords))


def permanent_flags_response(state: MailboxState, *, read_only: bool) -> bytes:
    """
    Return the flags that clients can change for good.

    RFC: 3501 section 7.1
    """
    if read_only:
        code = grammar.permanent_flags_code((), may_create=False)
        return status_response(None, "OK", "No flag is kept", code)
    names = (*SYSTEM_FLAGS, *state.flag_table.keywords)
    may_create = len(state.flag_table.keywords) < KEYWORDS_PER_MAILBOX_MAX
    code = grammar.permanent_flags_code(names, may_create=may_create)
    return status_response(None, "OK", "These flags are kept", code)


async def _reload(account: Account, mailbox_id: int) -> MailboxState:
    """Return a state that is not in memory; a selected mailbox may have been evicted or deleted."""
    try:
        return await account.mailbox(mailbox_id)
    except MailboxNotFound:
        raise _deleted() from None


def _deleted() -> SessionEnds:
    """
    Return the end of a session whose mailbox is gone.

    Chosen: the session ends. RFC 2180 section 3.3 offers this beside keeping a ghost of the mailbox, which
    would have to answer for messages that no longer exist.
    """
    return SessionEnds("The selected mailbox was deleted")


def _responses(session: Session, view: SessionView, event: Event) -> Iterator[bytes]:
    """Encode one event in pieces of bearable size."""
    match event:
        case Existed(count, recent):
            yield grammar.exists(count) + grammar.recent(recent)
        case Vanished(uids):
            if session.qresync:
                yield from grammar.vanished(uids)
            else:
                yield from map(grammar.expunge_data, event.seq_nums())
        case Fetched(uids):
            yield from render.changed_flags(session, view, uids)
        case KeywordsLearned():
            yield flags_responses(view.state, read_only=view.read_only)
