"""store: changing flags, conditionally or not.

RFC: 3501 section 6.4.6
RFC: 7162 section 3.1.3
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modseq.core.mailbox import MailboxState
from modseq.core.numset import NumSet
from modseq.core.store_flags import StoreFlags, StoreOutcome
from modseq.core.view import Event, Fetched
from modseq.limits import SETS_IN_LOOP_MAX, TOLD_MESSAGES_PER_STATE_MAX
from modseq.server import telling
from modseq.server.named import named_uids, sequence_numbers
from modseq.server.registry import WHILE_SELECTED, advertise, command
from modseq.server.render import flags_line
from modseq.server.reply import Reply, Submitted, no, ok
from modseq.server.store_answer import StoreAnswer
from modseq.wire.grammar.store import modified_code
from modseq.wire.values import Command, Store

if TYPE_CHECKING:
    from modseq.server.session import Session

advertise("CONDSTORE", rfc="7162 section 3.1.1")
advertise("XALLORNONE", rfc="7162 section 3.1.3")


def _is_conditional(command: Command) -> bool:
    assert isinstance(command.args, Store)
    return command.args.unchanged_since is not None


@command(
    "UID STORE",
    family="store",
    states=WHILE_SELECTED,
    condstore_enabling=_is_conditional,
    joins_batch=True,
    rfc=("3501 section 6.4.8", "7162 section 3.1.3"),
)
@command(
    "STORE",
    family="store",
    states=WHILE_SELECTED,
    uses_sequence_numbers=True,
    may_vanish=False,
    condstore_enabling=_is_conditional,
    joins_batch=True,
    rfc=("3501 section 6.4.6", "7162 section 3.1.3"),
)
def store(session: Session, command: Command) -> Reply | Submitted:
    """
    Change flags of messages; with UNCHANGEDSINCE only of those that nobody has changed since.

    RFC: 3501 section 6.4.6, 6.4.8
    RFC: 7162 section 3.1.3
    """
    args = command.args
    assert isinstance(args, Store)
    assert session.account is not None
    assert session.view is not None
    if session.view.read_only:
        return no("The mailbox was opened read-only", b"READ-ONLY")
    uids = named_uids(session, args.sequence_set, by_uid=command.uid)
    if not uids:
        return ok("No such message")
    operation = StoreFlags(
        session.view.mailbox_id,
        uids,
        args.mode,
        args.flags,
        args.unchanged_since,
        args.all_or_none,
        missing_refuses=not command.uid,
    )

    def finish(outcome: StoreOutcome) -> Reply | Awaitable[Reply]:
        assert session.account is not None
        assert session.view is not None
        done = _Done(session, command, uids, outcome, session.view.state)
        events = telling.advance_at_once(session, session.account, session.view, may_vanish=command.uid)
        if events is not None and session.condstore and len(uids) == 1 and _are_few(events):
            return _finish_one(done, events)
        return _finish(done, events)

    return Submitted(session.account.commit(operation), finish)


@dataclass(frozen=True, slots=True)
class _Done:
    """
    A STORE that was committed and is to be answered.

    Attributes:
        uids: what it named.
        before: what the client knew when it sent the command.

    """

    session: Session
    command: Command
    uids: NumSet
    outcome: StoreOutcome
    before: MailboxState


def _are_few(events: list[Event]) -> bool:
    """Return whether all that is to be told is flags of a few messages."""
    if not events:
        return True
    first = events[0]
    return len(events) == 1 and isinstance(first, Fetched) and len(first.uids) <= TOLD_MESSAGES_PER_STATE_MAX


def _finish_one(done: _Done, events: list[Event]) -> Reply:
    """
    Do what `_finish` does for one message where little else happened, as when workers claim messages.

    RFC: 7162 section 3.1.3, 3.2
    """
    session, view, outcome = done.session, done.session.view, done.outcome
    assert view is not None
    uid = done.uids.min
    is_there = view.state.locate(uid) is not None
    refused = done.uids if outcome.modified and is_there else NumSet.EMPTY
    if is_there:
        session.out.write(_answer(done, refused).line(uid))
    for event in events:
        assert isinstance(event, Fetched)
        session.out.write(b"".join([flags_line(view, other) for other in event.uids if other != uid]))
    return _reply(done, refused, has_lost_some=not is_there)


async def _finish(done: _Done, events: list[Event] | None) -> Reply:
    """
    Tell what came of a STORE, and with it everything else up to the mod-sequence that it carries.

    Args:
        events: what the view gave out since the STORE, None if it was not asked yet.

    RFC: 7162 section 3.1.3, 3.2

    """
    session, outcome, before = done.session, done.outcome, done.before
    view, account = session.view, session.account
    assert view is not None
    assert account is not None
    if events is None:
        events = await telling.advance(session, account, view, may_vanish=done.command.uid)
    there = _there(view.state, outcome)
    refused = outcome.modified & there if outcome.modified else NumSet.EMPTY
    await telling.write_events(session, view, [event for event in events if not isinstance(event, Fetched)])
    await telling.write_pieces(session.out, _answer(done, refused).responses(there))
    if not (outcome.applied and before.mod_seq + 1 == outcome.mod_seq == view.state.mod_seq):
        # Its own change is not all that happened.
        await telling.write_events(session, view, _others(events, there))
    modified = b""
    if len(refused) > SETS_IN_LOOP_MAX:
        modified = await asyncio.to_thread(_modified, done, refused)
    return _reply(done, refused, modified, has_lost_some=len(there) < len(done.uids))


def _answer(done: _Done, refused: NumSet) -> StoreAnswer:
    args, view = done.command.args, done.session.view
    assert isinstance(args, Store)
    assert view is not None
    condstore = done.session.condstore
    return StoreAnswer(view, done.before, args, done.command.uid, refused, done.outcome.refused, condstore)


def _there(state: MailboxState, outcome: StoreOutcome) -> NumSet:
    """Return the messages of the set that are still there: some may have gone since the commit."""
    if state.mod_seq == outcome.mod_seq:
        return outcome.present
    return NumSet(state.index.select(outcome.present))


def _others(events: list[Event], told: NumSet) -> list[Event]:
    """Return the changes of flags that are yet to be told."""
    others: list[Event] = []
    for event in events:
        if isinstance(event, Fetched) and not (len(event.uids) == 1 and event.uids[0] in told):
            rest = NumSet(event.uids) - told
            if rest:
                others.append(Fetched(rest.to_array()))
    return others


def _modified(done: _Done, refused: NumSet) -> bytes:
    return modified_code(refused if done.command.uid else sequence_numbers(done.session, refused))


def _reply(done: _Done, refused: NumSet, modified: bytes = b"", *, has_lost_some: bool) -> Reply:
    """
    Return the tagged reply: a message that is gone is never a success, and never a conflict.

    By number, expunged messages make it NO; a UID that does not exist is ignored.

    Args:
        modified: the response code that names ``refused``, where it was spelled already.

    RFC: 7162 section 3.1.3
    RFC: 3501 section 6.4.8
    RFC: 5530 section 3
    """
    command, outcome = done.command, done.outcome
    expunged = has_lost_some and not command.uid
    if not refused and not expunged:
        if outcome.refused:
            return no("Nothing was changed: the messages concerned are gone")
        return ok("Changed")
    assert isinstance(command.args, Store)
    code = b"EXPUNGEISSUED"
    if refused:
        code = modified or _modified(done, refused)
        if outcome.refused:
            return no("Nothing was changed", code)
    ahead_max = None
    if command.args.silent and len(refused) < len(done.uids):
        # The client changes its own copy of the flags when the tagged reply has come, not before.
        ahead_max = done.before.mod_seq
    if expunged:
        return Reply("NO", "Some of the messages no longer exist", code, mod_seq_ahead_max=ahead_max)
    return Reply("OK", "Changed, but for some messages", code, mod_seq_ahead_max=ahead_max)
