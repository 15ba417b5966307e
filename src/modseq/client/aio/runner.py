"""Runs verbs under asyncio, one task at a time."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from typing import Any, Protocol, TypeVar, cast

from modseq.client.aio.wire import Wire
from modseq.client.effects import Emit, Receive, Send, SendFrom, Verb
from modseq.client.errors import ConnectionLost, WrongState
from modseq.client.exchange import Exchange
from modseq.client.verbs.command import settle

T = TypeVar("T")


class OpenStream(Protocol):
    """A stream that has begun and not ended."""

    is_pausable: bool

    def pause(self) -> None:
        """Let others use the connection."""


class Runner:
    """
    A connection and who has it.

    Attributes:
        turn: held by whoever runs a verb.
        stream: the stream that is open; only one that can be paused lets others run.
        is_listening: whether that stream has the turn, and so may be interrupted.
        asking: how many wait for the turn who are no listeners; listeners let them pass.

    """

    def __init__(self, x: Exchange, wire: Wire) -> None:
        self.x = x
        self.wire = wire
        self.turn = asyncio.Lock()
        self.stream: OpenStream | None = None
        self.is_listening = False
        self.asking = 0

    async def step(self, verb: Verb[Any]) -> tuple[bool, Any]:
        """Run a verb until it emits values (False and them) or ends (True and its result)."""
        octets: bytes | None = None
        try:
            while True:
                effect = verb.send(octets)
                octets = None
                if isinstance(effect, Receive):
                    octets = await self.wire.receive(effect.seconds)
                elif isinstance(effect, Send):
                    await self.wire.send(effect.data)
                elif isinstance(effect, Emit):
                    return False, effect.values
                elif isinstance(effect, SendFrom):
                    await self._send_from(effect)
                else:
                    await asyncio.sleep(effect.seconds)
        except StopIteration as stop:
            return True, stop.value
        except BaseException as error:
            verb.close()
            if isinstance(error, ConnectionLost):
                self.x.lose(error)
            self.leave()
            raise

    def leave(self) -> None:
        """After a verb was left early: cut what is broken, and say what can be said without waiting."""
        if self.x.is_broken:
            self.wire.abort()
        elif octets := self.x.parting_words():
            self.wire.send_in_passing(octets)

    async def _send_from(self, effect: SendFrom) -> None:
        pieces = effect.pieces()
        is_in_memory = type(effect.literal.file) is io.BytesIO
        while True:
            # A disk may be slow, and everybody else shares this thread.
            piece = next(pieces, None) if is_in_memory else await asyncio.to_thread(next, pieces, None)
            if piece is None:
                return
            await self.wire.send(piece)

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Have the turn; who only listens is interrupted."""
        self.asking += 1
        try:
            if self.is_listening:
                self.wire.interrupt()
            await self.turn.acquire()
        finally:
            self.asking -= 1
        try:
            yield
        finally:
            self.turn.release()

    async def run(self, verb: Verb[T]) -> T:
        """Run a verb to its end, when its turn comes."""
        async with self.taken():
            self.pause_stream()
            await self.settle()
            _, result = await self.step(verb)
            return cast(T, result)

    async def settle(self) -> None:
        """Hear out what was left early."""
        if self.x.abandoned is not None:
            await self.step(settle(self.x))

    def pause_stream(self) -> None:
        """Pause the stream that is open. Raises WrongState for one that cannot be."""
        if self.stream is None:
            return
        if not self.stream.is_pausable:
            raise WrongState("a stream is open: read it to its end, or leave its `with` block")
        self.stream.pause()
