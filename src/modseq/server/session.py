"""One client's conversation: read a command, look up its row, check, run, flush the view, reply.

A session sleeps as a plain object without a task. Input wakes it: a task then works through what
arrived, strictly in order, and ends when nothing is left. Only commands that themselves wait for the
client or for changes (AUTHENTICATE, IDLE) keep their task while they wait.

Nothing here names a command: what a command may do stands in its row (`registry`), what it does in
its handler (`commands/<family>.py`), and what the client is told unasked comes from the view
(`telling`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

from modseq.core.errors import StorageError
from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.limits import (
    BAD_COMMANDS_MAX,
    COMMANDS_IN_A_ROW_MAX,
    LITERAL_BYTES_BEFORE_LOGIN_MAX,
    LITERAL_BYTES_MAX,
    LITERAL_SKIP_BYTES_MAX,
    PIPELINED_COMMANDS_MAX,
)
from modseq.server import errors, registry, telling
from modseq.server.output import ClientGone, Output
from modseq.server.registry import Row, State
from modseq.server.reply import CommandRefused, Reply, SessionEnds, Submitted, bad
from modseq.storage.base import Account
from modseq.wire import framing
from modseq.wire.abnf import ParseError
from modseq.wire.grammar.access import capability_code
from modseq.wire.messages import continuation, parse_command, status_response
from modseq.wire.values import Command

if TYPE_CHECKING:
    from modseq.server.service import Service

_log = logging.getLogger(__name__)


class Link(Protocol):
    """What a session asks of its connection besides output."""

    async def start_tls(self) -> None:
        """Encrypt the connection; raises OSError when the handshake fails."""

    def caught_up(self) -> None:
        """Read the socket again if reading was suspended because commands piled up."""

    def logged_in(self) -> None:
        """Allow the longer silence of somebody known."""

    def close(self) -> None:
        """Close the connection after what was said."""

    def abort(self) -> None:
        """Close the connection at once."""


class Session:
    """
    What the server knows of one client between two commands, and the work while one runs.

    Attributes:
        service: what all sessions of this process share: store, settings, passwords.
        out: the response side.
        framer: the request side.
        peer: the client's address, for log lines and for slowing down guesses.
        is_secure: TLS protects the connection.
        user: the user's name after login.
        account: the user's account after login.
        view: what the client knows of the selected mailbox, None while none is selected.
        saved_uids: the result that SEARCH RETURN (SAVE) kept: `$`.
        condstore: the client has sent a CONDSTORE-enabling command.
        qresync: the client has enabled QRESYNC.

    RFC: 3501 section 3

    """

    __slots__ = (
        "_awake",
        "_bad_in_a_row",
        "_input_ended",
        "_run_in_a_row",
        "_stashed_event",
        "_stop_reason",
        "_task",
        "_waiter",
        "account",
        "condstore",
        "framer",
        "is_secure",
        "link",
        "login_failures",
        "out",
        "peer",
        "qresync",
        "saved_uids",
        "service",
        "state",
        "user",
        "view",
    )

    def __init__(self, service: Service, link: Link, out: Output, *, peer: str, is_secure: bool) -> None:
        self.service = service
        self.link = link
        self.out = out
        self.peer = peer
        self.is_secure = is_secure
        self.framer = framing.CommandFramer(self._literal_bytes_max)
        self.state = State.NOT_AUTHENTICATED
        self.user: str | None = None
        self.account: Account | None = None
        self.view: SessionView | None = None
        self.saved_uids = NumSet.EMPTY
        self.condstore = False
        self.qresync = False
        self.login_failures = 0
        self._bad_in_a_row = 0
        self._run_in_a_row = 0
        self._stashed_event: framing.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._awake = False
        self._input_ended = False
        self._stop_reason: str | None = None

    # --- what the connection calls ---

    def greet(self) -> None:
        """
        Say the first words.

        Grammar: greeting = "*" SP (resp-cond-auth / resp-cond-bye) CRLF
        RFC: 3501 section 7.1.1, 7.1.4
        """
        code = capability_code(registry.capability_words(self))
        self.out.write(status_response(None, "OK", "modseq is ready", code))
        self.out.flush()

    def receive(self, data: bytes) -> None:
        """Take what the client sent."""
        if self.state is State.LOGOUT:
            return
        self.framer.feed(data)
        if self._task is not None:
            self.wake()
            return
        event = self.framer.next_event()
        if event is not None:
            self._stashed_event = event
            self._task = asyncio.get_running_loop().create_task(self._work())

    def disconnected(self) -> None:
        """Note that the client is gone; a running command ends at its next wait for it."""
        self.state = State.LOGOUT
        self.wake()
        if self._task is None:
            self.leave_mailbox()

    def stop(self, reason: str) -> None:
        """
        End the session with BYE once the running command has its reply; at once if none runs.

        RFC: 3501 section 7.1.5
        """
        self._stop_reason = reason
        if self._task is None:
            self._say_bye(SessionEnds(reason))
        else:
            self.wake()

    def end_after_reply(self, reason: str) -> None:
        """End the session with BYE once the running command has its reply."""
        self._stop_reason = reason

    def cancel(self) -> None:
        """Break off the running command: the last resort when the server stops."""
        if self._task is not None:
            self._task.cancel()

    def input_ended(self) -> None:
        """Note that the client will send nothing more; it may still read replies."""
        self._input_ended = True
        if self._task is None:
            self.end()
        else:
            self.wake()

    @property
    def is_working(self) -> bool:
        """Whether a command runs or waits for its turn."""
        return self._task is not None

    @property
    def is_busy(self) -> bool:
        """Whether a command runs that does not wait for the client."""
        return self._task is not None and self._waiter is None

    # --- what handlers call ---

    @property
    def is_logged_in(self) -> bool:
        """Whether the client has proved who it is."""
        return self.account is not None

    def log_in(self, user: str, account: Account) -> None:
        """Enter the authenticated state."""
        self.user = user
        self.account = account
        self.state = State.AUTHENTICATED
        self.framer.skip_bytes_max = LITERAL_SKIP_BYTES_MAX
        self.service.joined(self)
        self.link.logged_in()

    async def start_tls(self) -> None:
        """
        Encrypt the connection. What came in the clear behind the command is forgotten, not obeyed.

        RFC: 3501 section 6.2.1
        """
        self.framer.discard_buffered()
        self._stashed_event = None
        self.out.flush()
        await self.link.start_tls()
        self.is_secure = True

    def enter_mailbox(self, view: SessionView) -> None:
        """Enter the selected state."""
        self.view = view
        self.saved_uids = NumSet.EMPTY
        self.state = State.SELECTED

    def leave_mailbox(self) -> bool:
        """Leave the selected state; return whether a mailbox was selected."""
        if self.view is None:
            return False
        self.view = None
        self.saved_uids = NumSet.EMPTY
        if self.state is State.SELECTED:
            self.state = State.AUTHENTICATED
        return True

    def enable_condstore(self, *, announce: bool = True) -> None:
        """
        Make the client CONDSTORE-aware; repeated calls change nothing.

        Args:
            announce: whether to say the selected mailbox's HIGHESTMODSEQ, as the first
                CONDSTORE-enabling command must: the value that this session was told.

        RFC: 7162 section 3.1
        """
        if self.condstore:
            return
        self.condstore = True
        if self.view is not None and announce:
            telling.announce_mod_seq(self, self.view)

    def enable_qresync(self) -> None:
        """
        Tell expunges by UID from now on; includes CONDSTORE.

        RFC: 7162 section 3.2.3
        """
        self.enable_condstore()
        self.qresync = True

    async def flush(self, *, may_vanish: bool) -> None:
        """
        Tell the client what changed in the selected mailbox since it was last told.

        Args:
            may_vanish: whether expunges may be told now.

        Raises SessionEnds when the mailbox is gone or the view can no longer be trusted.

        """
        if self.view is None or self.account is None:
            return
        try:
            await telling.tell_changes(self, self.account, self.view, may_vanish=may_vanish)
        except (SessionEnds, ClientGone):
            raise
        except errors.ENDS_SESSION as error:
            raise SessionEnds(str(error), b"UNAVAILABLE") from error
        except Exception as error:
            _log.exception("session of %s: the view could not be brought up to date", self.user)
            raise SessionEnds("The server lost track of this session", b"SERVERBUG") from error

    def expect_line(self) -> None:
        """Take the next line of input as an answer to a continuation request, not as a command."""
        self.framer.expect_line()

    def take_line(self) -> bytes | None:
        """Return the expected line, None while it has not arrived; raise CommandRefused if it is too long."""
        event = self.framer.next_event()
        if event is None:
            return None
        if isinstance(event, framing.LineReceived):
            return event.line
        raise CommandRefused("The line is too long", kind="BAD")

    async def read_line(self) -> bytes:
        """Wait for one line that is not a command: what AUTHENTICATE and IDLE read."""
        self.expect_line()
        self.out.flush()
        while (line := self.take_line()) is None:
            await self.pause()
        return line

    async def pause(self, seconds_max: float | None = None) -> None:
        """
        Wait until the client sends something, `wake` is called, or the time is over.

        Raises ClientGone when the connection is lost, SessionEnds when the server stops.
        """
        self._check_ends()
        if self._input_ended:
            raise ClientGone
        if not self._awake:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(seconds_max, self.wake) if seconds_max is not None else None
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        self._awake = False
        self._check_ends()

    def wake(self) -> None:
        """Let `pause` return: something moved. Carries no data."""
        self._awake = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- working through the input ---

    async def _work(self) -> None:
        """Work through everything that has arrived."""
        try:
            while (event := self._take_event()) is not None:
                await self._act_on(event)
                self.out.flush_soon()
                await self._let_others_run()
                self.link.caught_up()
                self._check_ends()
            self.out.flush()
            if self._input_ended:
                self.end()
        except SessionEnds as end:
            self._say_bye(end)
        except ClientGone:
            self.link.abort()
        except Exception:  # noqa: BLE001 -- whatever a bug raises, the client is told and the others go on
            _log.exception("session of %s ends", self.user)
            self._say_bye(SessionEnds("The server failed", b"SERVERBUG"))
        finally:
            self._task = None
            self._awake = False
            if self.state is State.LOGOUT:
                self.leave_mailbox()

    async def _let_others_run(self) -> None:
        """Pause between pipelined commands now and then: one client must not keep the others waiting."""
        self._run_in_a_row += 1
        if self._run_in_a_row >= COMMANDS_IN_A_ROW_MAX:
            self._run_in_a_row = 0
            await asyncio.sleep(0)
        await self.out.drain_if_full()

    def _take_event(self) -> framing.Event | None:
        if self._stashed_event is None:
            return self.framer.next_event() if self.state is not State.LOGOUT else None
        event, self._stashed_event = self._stashed_event, None
        return event

    def _check_ends(self) -> None:
        if self.out.is_lost:
            raise ClientGone
        if self._stop_reason is not None:
            raise SessionEnds(self._stop_reason)

    def _say_bye(self, end: SessionEnds) -> None:
        if not self.out.is_torn:
            self.out.write(status_response(None, "BYE", end.text, end.code))
        self.end()

    def end(self) -> None:
        """Close the connection after what was said."""
        self.state = State.LOGOUT
        self.leave_mailbox()
        if self.out.is_torn:
            self.link.abort()
        else:
            self.link.close()

    async def _act_on(self, event: framing.Event) -> None:
        match event:
            case framing.CommandReceived(parts):
                await self._run(parts)
            case framing.LiteralRequested():
                self.out.write(continuation())
                self.framer.accept_literal()
            case framing.LiteralTooLarge(tag, _, _, reason):
                self._answer_unread(tag, Reply("NO", f"The literal is too large: {reason}", b"TOOBIG"))
            case framing.LineTooLong(tag):
                self._answer_unread(tag, bad("The command is too long"))
            case framing.LineReceived():
                self._answer_unread(None, bad("No line was expected"))
            case framing.FramingFailed(_, reason):
                raise SessionEnds(f"Too much data: {reason}", b"TOOBIG")

    async def _run(self, parts: tuple[bytes, ...]) -> None:
        """Run one command; and with it those behind it that may share its commit."""
        read = self._read(parts)
        if read is None:
            return
        row, command = read
        if self.account is not None and not row.answers_before_refresh:
            outcome = await self._guard(self.account.refresh())
            if isinstance(outcome, Reply):
                await self._answer(row, command, outcome)
                return
        result = await self._begin(row, command)
        if isinstance(result, Reply):
            await self._answer(row, command, result)
        elif not row.joins_batch:
            await self._finish(row, command, result, self._guard(result.commit))
        else:
            await self._run_together(row, [(command, result)])

    async def _run_together(self, row: Row, begun: list[tuple[Command, Submitted]]) -> None:
        """Submit the same commands that stand behind this one, then answer all in order."""
        last: tuple[Command, Reply] | None = None
        while last is None and len(begun) < PIPELINED_COMMANDS_MAX:
            self._stashed_event = self.framer.next_event()
            following = self._same_command(row, self._stashed_event)
            if following is None:
                break
            self._stashed_event = None
            result = await self._begin(row, following)
            if isinstance(result, Reply):
                last = (following, result)
            else:
                begun.append((following, result))
        if len(begun) == 1:
            command, submitted = begun[0]
            await self._finish(row, command, submitted, self._guard(submitted.commit))
        else:
            await self._finish_in_order(row, begun)
        if last is not None:
            await self._answer(row, *last)

    async def _finish_in_order(self, row: Row, begun: list[tuple[Command, Submitted]]) -> None:
        loop = asyncio.get_running_loop()
        commits = [loop.create_task(self._guard(submitted.commit)) for _, submitted in begun]
        try:
            for (command, submitted), commit in zip(begun, commits, strict=True):
                await self._finish(row, command, submitted, commit)
        finally:
            # A session that ends early leaves its commits to finish: they were promised to nobody yet,
            # and half of a batch cannot be taken back.
            for commit in commits:
                commit.add_done_callback(_retrieve)

    def _same_command(self, row: Row, event: framing.Event | None) -> Command | None:
        """Return the command of an event if it has this row and can be run here."""
        if not isinstance(event, framing.CommandReceived):
            return None
        try:
            command = parse_command(event.parts)
        except ParseError:
            return None
        return command if registry.row_of(command) is row else None

    def _read(self, parts: tuple[bytes, ...]) -> tuple[Row, Command] | None:
        """Parse a command and check its state; answer BAD and return None if it cannot run."""
        try:
            command = parse_command(parts)
        except ParseError as error:
            self._answer_unread(error.tag, bad(str(error)))
            return None
        row = registry.row_of(command)
        if row is None:
            self._answer_unread(command.tag, bad(f"{command.name} is not served here"))
            return None
        if self.state not in row.states:
            self._answer_unread(command.tag, bad(_wrong_state(row, self.state)))
            return None
        self._bad_in_a_row = 0
        return row, command

    async def _begin(self, row: Row, command: Command) -> Reply | Submitted:
        if not self.condstore and row.condstore_enabling(command):
            self.enable_condstore(announce=not row.closes_mailbox)
        result: Reply | Submitted = await self._guard(row.handler(self, command))
        return result

    async def _finish(
        self,
        row: Row,
        command: Command,
        submitted: Submitted,
        commit: Awaitable[Any],
    ) -> None:
        """Wait for a commit, let the command say what came of it, and reply."""
        outcome = await commit
        if not isinstance(outcome, Reply):
            outcome = await self._guard(submitted.finish(outcome))
        await self._answer(row, command, outcome)

    async def _guard(self, step: Awaitable[Any]) -> Any:
        """Return what a step returns, or the reply that tells of its error."""
        try:
            return await step
        except CommandRefused as refused:
            return refused.reply
        except (SessionEnds, ClientGone):
            raise
        except errors.ENDS_SESSION as error:
            raise SessionEnds(str(error), b"UNAVAILABLE") from error
        except StorageError as error:
            reply = errors.reply_for(error)
        except Exception:  # noqa: BLE001 -- one command's bug must not end the session
            _log.exception("a command of %s failed", self.user)
            reply = errors.SERVER_BUG
        if self.out.is_torn:
            raise SessionEnds("A response broke off")
        return reply

    # --- answering ---

    async def _answer(self, row: Row, command: Command, reply: Reply) -> None:
        """Flush the view as the command allows, then send the tagged reply."""
        if self.state is State.LOGOUT:
            self.out.write(status_response(command.tag, reply.kind, reply.text, reply.code))
            self.end()
            return
        code = reply.code
        if self.view is not None:
            await self.flush(may_vanish=row.may_vanish(command))
            code = telling.bound_mod_seq(self, self.view, code)
        self.out.write(status_response(command.tag, reply.kind, reply.text, code))
        if reply.after is not None:
            await reply.after()

    def _answer_unread(self, tag: bytes | None, reply: Reply) -> None:
        """Answer what could not be read as a command."""
        self._bad_in_a_row += 1
        self.out.write(status_response(tag, "BAD" if tag is None else reply.kind, reply.text, reply.code))
        if self._bad_in_a_row >= BAD_COMMANDS_MAX:
            raise SessionEnds("Too many commands that make no sense")

    def _literal_bytes_max(self, _tag: bytes | None, name: str) -> int:
        if not self.is_logged_in:
            return LITERAL_BYTES_BEFORE_LOGIN_MAX
        row = registry.row_named(name)
        return row.literal_bytes_max if row is not None else LITERAL_BYTES_MAX


def _wrong_state(row: Row, state: State) -> str:
    legal = " or ".join(sorted(each.value for each in row.states))
    return f"{row.name} is for the {legal} state; this session is in the {state.value} state"


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take a task's error so that asyncio does not report it as forgotten."""
    if not task.cancelled():
        task.exception()
