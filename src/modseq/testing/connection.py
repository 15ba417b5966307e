"""Connections and sessions that look at the plan; all else is the server's own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from modseq.server.connection import Connection, Doorman
from modseq.server.service import Service
from modseq.server.session import Session
from modseq.testing.plan import Plan
from modseq.testing.refusing import without_words
from modseq.testing.tap import Shaper, TappedTransport
from modseq.testing.wirelog import ConnectionLog, WireLog
from modseq.wire import framing
from modseq.wire.abnf import ParseError
from modseq.wire.messages import parse_command
from modseq.wire.values import Command, Enable


@dataclass(frozen=True, slots=True)
class _AnsweredInstead:
    """A command that is not run; stands in the input where the command stood."""

    reply: bytes


class PlannedSession(Session):
    """A session in which commands can be refused, changed and held up before they run."""

    __slots__ = ()

    @property
    def _plan(self) -> Plan:
        return cast("PlannedConnection", self.link).plan

    def next_event(self) -> framing.Event | None:
        """Return what is next in the input, or what the plan puts in its place."""
        event = super().next_event()
        if isinstance(event, framing.CommandReceived):
            command = _read(event)
            if command is not None:
                return self._planned(event, command)
        return event

    def _planned(self, event: framing.CommandReceived, command: Command) -> framing.Event:
        answer = self._plan.answer_to(command)
        if answer is not None:
            reply = b"%b %b\r\n" % (command.tag, answer.encode("utf-8"))
            return cast("framing.Event", _AnsweredInstead(reply))
        missing = self._plan.missing
        if missing and isinstance(command.args, Enable):
            text = without_words(event.parts[0], missing)
            if text.upper().endswith(b" ENABLE"):
                # ENABLE needs a word; one that nobody knows is passed over.
                text += b" X-NOTHING"
            return framing.CommandReceived((text, *event.parts[1:]))
        return event

    async def _act_on(self, event: framing.Event) -> None:
        planned: object = event
        if isinstance(planned, _AnsweredInstead):
            self.out.write(planned.reply)
            return
        if isinstance(event, framing.CommandReceived):
            command = _read(event)
            if command is not None:
                await self._plan.hold_up(f"UID {command.name}" if command.uid else command.name)
        await super()._act_on(event)


def _read(event: framing.CommandReceived) -> Command | None:
    try:
        return parse_command(event.parts)
    except ParseError:
        return None


class PlannedConnection(Connection):
    """A connection whose octets are logged and whose responses pass a `TappedTransport`."""

    session_class: ClassVar[type[Session]] = PlannedSession

    def __init__(self, doorman: PlannedDoorman, *, is_secure: bool) -> None:
        super().__init__(doorman, is_secure=is_secure)
        self.plan = doorman.plan
        self._planned_doorman = doorman
        self._log: ConnectionLog = doorman.log.new_connection()
        self._shaper = Shaper(self.plan)
        self._tap: TappedTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in, and note it."""
        self._log.remark("connected")
        super().connection_made(transport)

    def _speak_through(self, transport: asyncio.Transport) -> None:
        """Send through a tap from now on."""
        self._tap = TappedTransport(transport, self.plan, self._shaper, self._log)
        super()._speak_through(self._tap)

    async def _encrypted(self, transport: asyncio.Transport) -> asyncio.Transport:
        """Encrypt below the tap: it goes on seeing what is said, not what is sent."""
        below = transport.inner if isinstance(transport, TappedTransport) else transport
        encrypted = await super()._encrypted(below)
        self._log.remark("TLS")
        return encrypted

    def _greet(self) -> None:
        if self.plan.greetings:
            assert self._tap is not None
            self._tap.write(self.plan.greetings.pop(0).encode("utf-8") + b"\r\n")
            self._tap.close()
        else:
            super()._greet()

    def buffer_updated(self, nbytes: int) -> None:
        """Note what was read, then pass it on."""
        self._log.heard(bytes(self._planned_doorman.read_buffer[:nbytes]))
        super().buffer_updated(nbytes)

    def drop(self) -> None:
        """Break the connection off without a word."""
        if self._tap is not None:
            self._tap.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._log.remark("closed")
        if self._tap is not None:
            self._tap.forget()
        super().connection_lost(exc)


class PlannedDoorman(Doorman):
    """Lets connections in that look at the plan."""

    __slots__ = ("log", "plan")

    def __init__(self, service: Service, *args: Any, plan: Plan, log: WireLog, **options: Any) -> None:
        super().__init__(service, *args, **options)
        self.plan = plan
        self.log = log

    def plain(self) -> Connection:
        """Make the protocol of a connection that begins in the clear."""
        return PlannedConnection(self, is_secure=False)

    def secure(self) -> Connection:
        """Make the protocol of a connection of a listener that speaks TLS itself."""
        return PlannedConnection(self, is_secure=True)
