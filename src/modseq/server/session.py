"""One client's conversation: read a command, look up its row, check, run, flush the view, reply.

A session sleeps as a plain object without a task. Input wakes it: a task then works through what
arrived, strictly in order, and ends when nothing is left. Only commands that themselves wait for the
client or for changes (AUTHENTICATE, IDLE) keep their task while they wait.

What one command does from its octets to its reply stands in `dispatch`; what the client is told
unasked comes from the view (`telling`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.limits import (
    BAD_COMMANDS_MAX,
    COMMANDS_IN_A_ROW_MAX,
    LINE_BYTES_BEFORE_LOGIN_MAX,
    LINE_BYTES_MAX,
    LITERAL_BYTES_BEFORE_LOGIN_MAX,
    LITERAL_BYTES_MAX,
    LITERAL_SKIP_BYTES_MAX,
)
from modseq.server import dispatch, errors, registry, telling
from modseq.server.output import ClientGone, Output
from modseq.server.registry import State
from modseq.server.reply import CommandRefused, Reply, SessionEnds, bad
from modseq.storage.base import Account
from modseq.wire import framing
from modseq.wire.grammar.access import capability_code
from modseq.wire.messages import continuation, status_response

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
        self.framer.line_bytes_max = LINE_BYTES_BEFORE_LOGIN_MAX
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
        """
        Enter the authenticated state.

        Raises ClientGone when the connection was lost while the password was checked: whoever counts the
        sessions has taken leave of this one.

        """
        if self.out.is_lost:
            raise ClientGone
        self.user = user
        self.account = account
        self.state = State.AUTHENTICATED
        self.framer.skip_bytes_max = LITERAL_SKIP_BYTES_MAX
        self.framer.line_bytes_max = LINE_BYTES_MAX
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
        try:
            await self.link.start_tls()
        except OSError as error:
            _log.info("TLS handshake failed", extra={"address": self.peer, "error": str(error)})
            raise ClientGone from error
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
            events = telling.advance_at_once(self, self.account, self.view, may_vanish=may_vanish)
            if events is None:
                events = await telling.advance(self, self.account, self.view, may_vanish=may_vanish)
            if events:
                await telling.write_events(self, self.view, events)
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

    def next_event(self) -> framing.Event | None:
        """Return what is next in the input, None if it has not arrived or is no longer wanted."""
        if self._stashed_event is None:
            return self.framer.next_event() if self.state is not State.LOGOUT else None
        event, self._stashed_event = self._stashed_event, None
        return event

    def put_back(self, event: framing.Event) -> None:
        """Have `next_event` return this event: somebody looked ahead."""
        self._stashed_event = event

    def understood(self) -> None:
        """Note that a command made sense."""
        self._bad_in_a_row = 0

    async def _work(self) -> None:
        """Work through everything that has arrived."""
        try:
            event = self.next_event()
            while event is not None:
                await self._act_on(event)
                await self._let_others_run()
                self.link.caught_up()
                self._check_ends()
                event = self.next_event()
                if event is not None:
                    self.out.flush_soon()
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
                await dispatch.run(self, parts)
            case framing.LiteralRequested():
                self.out.write(continuation())
                self.framer.accept_literal()
            case framing.LiteralTooLarge(tag, _, _, reason):
                self.answer_unread(tag, Reply("NO", f"The literal is too large: {reason}", b"TOOBIG"))
            case framing.LineTooLong(tag):
                self.answer_unread(tag, bad("The command is too long"))
            case framing.LineReceived():
                self.answer_unread(None, bad("No line was expected"))
            case framing.FramingFailed(_, reason):
                raise SessionEnds(f"Too much data: {reason}", b"TOOBIG")

    def answer_unread(self, tag: bytes | None, reply: Reply) -> None:
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
