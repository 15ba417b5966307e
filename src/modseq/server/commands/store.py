"""store: changing flags, conditionally or not.

RFC: 3501 section 6.4.6
RFC: 7162 section 3.1.3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modseq.core.mailbox import MailboxState
from modseq.core.numset import NumSet
from modseq.core.store_flags import StoreFlags, StoreOutcome
from modseq.core.view import Event, Fetched
from modseq.server import telling
from modseq.server.named import named_uids, sequence_numbers
from modseq.server.registry import WHILE_SELECTED, advertise, command
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
async def store(session: Session, command: Command) -> Reply | Submitted:
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

    async def finish(outcome: StoreOutcome) -> Reply:
        return await _finish(session, command, uids, outcome)

    return Submitted(session.account.commit(operation), finish)


async def _finish(session: Session, command: Command, uids: NumSet, outcome: StoreOutcome) -> Reply:
    """
    Tell what came of a STORE, and with it everything else up to the mod-sequence that it carries.

    RFC: 7162 section 3.1.3, 3.2
    """
    args, view, account = command.args, session.view, session.account
    assert isinstance(args, Store)
    assert view is not None
    assert account is not None
    before = view.state
    events = await telling.advance(session, account, view, may_vanish=command.uid)
    there = _there(view.state, outcome)
    refused = outcome.modified & there if outcome.modified else NumSet.EMPTY
    answer = StoreAnswer(view, before, args, command.uid, refused, outcome.refused, session.condstore)
    await telling.write_events(session, view, [event for event in events if not isinstance(event, Fetched)])
    await telling.write_pieces(session.out, answer.responses(there))
    if not (outcome.applied and before.mod_seq + 1 == outcome.mod_seq == view.state.mod_seq):
        # Its own change is not all that happened.
        await telling.write_events(session, view, _others(events, there))
    return _reply(session, command, refused, outcome, has_lost_some=len(there) < len(uids))


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


def _reply(
    session: Session, command: Command, refused: NumSet, outcome: StoreOutcome, *, has_lost_some: bool
) -> Reply:
    """
    Return the tagged reply: a message that is gone is never a success, and never a conflict.

    By number, expunged messages make it NO; a UID that does not exist is ignored.

    RFC: 7162 section 3.1.3
    RFC: 3501 section 6.4.8
    RFC: 5530 section 3
    """
    expunged = has_lost_some and not command.uid
    if refused:
        code = modified_code(refused if command.uid else sequence_numbers(session, refused))
        if outcome.refused:
            return no("Nothing was changed", code)
        if expunged:
            return no("Some of the messages no longer exist", code)
        return ok("Changed, but for some messages", code)
    if expunged:
        return no("Some of the messages no longer exist", b"EXPUNGEISSUED")
    if outcome.refused:
        return no("Nothing was changed: the messages concerned are gone")
    return ok("Changed")
