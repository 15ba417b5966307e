"""One command from its octets to its reply: parse, look up its row, check, run, flush the view, reply.

Nothing here names a command: what a command may do stands in its row (`registry`), what it does in its
handler (`commands/<family>.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from modseq.core.errors import StorageError
from modseq.limits import PIPELINED_COMMANDS_MAX
from modseq.server import errors, registry, telling
from modseq.server.output import ClientGone
from modseq.server.registry import Row, State
from modseq.server.reply import CommandRefused, Reply, SessionEnds, Submitted, bad
from modseq.wire import framing
from modseq.wire.abnf import ParseError
from modseq.wire.messages import parse_command, status_response
from modseq.wire.values import Command

if TYPE_CHECKING:
    from modseq.server.session import Session

_log = logging.getLogger(__name__)


async def run(session: Session, parts: tuple[bytes, ...]) -> None:
    """Run one command; and with it those behind it that may share its commit."""
    read = _read(session, parts)
    if read is None:
        return
    row, command = read
    account = session.account
    if account is not None and not row.answers_before_refresh and not account.is_current:
        outcome = await _guard(session, account.refresh())
        if isinstance(outcome, Reply):
            await _answer(session, row, command, outcome)
            return
    result = await _begin(session, row, command)
    if isinstance(result, Reply):
        await _answer(session, row, command, result)
    elif not row.joins_batch:
        await _finish(session, row, command, result)
    else:
        await _run_together(session, row, [(command, result)])


def _read(session: Session, parts: tuple[bytes, ...]) -> tuple[Row, Command] | None:
    """Parse a command and check its state; answer BAD and return None if it cannot run."""
    try:
        command = parse_command(parts)
    except ParseError as error:
        session.answer_unread(error.tag, bad(str(error)))
        return None
    row = registry.row_of(command)
    if row is None:
        session.answer_unread(command.tag, bad(f"{command.name} is not served here"))
        return None
    if session.state not in row.states:
        session.answer_unread(command.tag, bad(_wrong_state(row, session.state)))
        return None
    session.understood()
    return row, command


def _wrong_state(row: Row, state: State) -> str:
    legal = " or ".join(sorted(each.value for each in row.states))
    return f"{row.name} is for the {legal} state; this session is in the {state.value} state"


async def _begin(session: Session, row: Row, command: Command) -> Reply | Submitted:
    if not session.condstore and row.condstore_enabling(command):
        session.enable_condstore(announce=not row.closes_mailbox)
    try:
        result = row.handler(session, command)
        return result if isinstance(result, (Reply, Submitted)) else await result
    except Exception as error:  # noqa: BLE001 -- one command's bug must not end the session
        return _reply_to(session, error)


async def _finish(session: Session, row: Row, command: Command, submitted: Submitted) -> None:
    """Wait for a commit, let the command say what came of it, and reply."""
    try:
        outcome = await submitted.commit
        if session.out.is_lost:
            # Nobody is left to be told, and what the client had selected may be left already.
            raise ClientGone
        result = submitted.finish(outcome)
        reply = result if isinstance(result, Reply) else await result
    except Exception as error:  # noqa: BLE001 -- see _begin
        reply = _reply_to(session, error)
    await _answer(session, row, command, reply)


async def _guard(session: Session, step: Awaitable[Any]) -> Any:
    """Return what a step returns, or the reply that tells of its error."""
    try:
        return await step
    except Exception as error:  # noqa: BLE001 -- see _begin
        return _reply_to(session, error)


def _reply_to(session: Session, error: Exception) -> Reply:
    """Return the reply that tells of an error; raise what ends the session. In an `except` block only."""
    if isinstance(error, CommandRefused):
        reply = error.reply
    elif isinstance(error, (SessionEnds, ClientGone)):
        raise error
    elif isinstance(error, errors.ENDS_SESSION):
        raise SessionEnds(str(error), b"UNAVAILABLE") from error
    elif isinstance(error, StorageError):
        reply = errors.reply_for(error)
    else:
        _log.exception("a command of %s failed", session.user)
        reply = errors.SERVER_BUG
    if session.out.is_torn:
        raise SessionEnds("A response broke off")
    return reply


async def _answer(session: Session, row: Row, command: Command, reply: Reply) -> None:
    """Flush the view as the command allows, then send the tagged reply."""
    if session.state is State.LOGOUT:
        session.out.write(status_response(command.tag, reply.kind, reply.text, reply.code))
        session.end()
        return
    code = reply.code
    if session.view is not None:
        await session.flush(may_vanish=row.may_vanish(command))
        code = telling.bound_mod_seq(session, session.view, reply)
    session.out.write(status_response(command.tag, reply.kind, reply.text, code))
    if reply.after is not None:
        await reply.after()


# --- commands that share a commit -----------------------------------------------------------------


async def _run_together(session: Session, row: Row, begun: list[tuple[Command, Submitted]]) -> None:
    """Submit the same commands that stand behind this one, then answer all in order."""
    answered = 0
    try:
        refused = await _begin_following(session, row, begun)
        for command, submitted in begun:
            await _finish(session, row, command, submitted)
            answered += 1
        if refused is not None:
            await _answer(session, row, *refused)
    finally:
        for _, submitted in begun[answered:]:
            submitted.forsake()


async def _begin_following(
    session: Session, row: Row, begun: list[tuple[Command, Submitted]]
) -> tuple[Command, Reply] | None:
    """Begin the same commands that have arrived; return the first that has its reply at once."""
    # Behind one that needs time before it stands in line, another would overtake it.
    while len(begun) < PIPELINED_COMMANDS_MAX and begun[-1][1].stands_in_line:
        event = session.next_event()
        if event is None:
            return None
        following = _same_command(row, event)
        if following is None:
            session.put_back(event)
            return None
        result = await _begin(session, row, following)
        if isinstance(result, Reply):
            return following, result
        begun.append((following, result))
    return None


def _same_command(row: Row, event: framing.Event) -> Command | None:
    """Return the command of an event if it has this row."""
    if not isinstance(event, framing.CommandReceived):
        return None
    try:
        command = parse_command(event.parts)
    except ParseError:
        return None
    return command if registry.row_of(command) is row else None
