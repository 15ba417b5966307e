"""Runs verbs on a blocking socket, one thread at a time."""

from __future__ import annotations

import threading
from typing import Any, Protocol, TypeVar, cast

from modseq.client.effects import Emit, Receive, Send, SendFrom, Verb
from modseq.client.errors import ConnectionLost, WrongState
from modseq.client.exchange import Exchange
from modseq.client.sync.wire import Wire, sleep
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

    """

    def __init__(self, x: Exchange, wire: Wire) -> None:
        self.x = x
        self.wire = wire
        self.turn = threading.RLock()
        self.stream: OpenStream | None = None

    def step(self, verb: Verb[Any]) -> tuple[bool, Any]:
        """Run a verb until it emits values (False and them) or ends (True and its result)."""
        octets: bytes | None = None
        try:
            while True:
                effect = verb.send(octets)
                octets = None
                if isinstance(effect, Receive):
                    octets = self.wire.receive(effect.seconds)
                elif isinstance(effect, Send):
                    self.wire.send(effect.data)
                elif isinstance(effect, Emit):
                    return False, effect.values
                elif isinstance(effect, SendFrom):
                    for piece in effect.pieces():
                        self.wire.send(piece)
                else:
                    sleep(effect.seconds)
        except StopIteration as stop:
            return True, stop.value
        except BaseException as error:
            verb.close()
            if not isinstance(error, Exception):
                # Ctrl-C strikes between any two steps: nobody knows how much went out, or came and was lost.
                self.x.is_broken = True
            if isinstance(error, ConnectionLost):
                self.x.lose(error)
            if self.x.is_broken:
                self.wire.abort()
            raise

    def run(self, verb: Verb[T]) -> T:
        """Run a verb to its end, when its turn comes."""
        with self.turn:
            self.pause_stream()
            self.settle()
            _, result = self.step(verb)
            return cast(T, result)

    def settle(self) -> None:
        """Hear out what was left early."""
        if self.x.abandoned is not None:
            self.step(settle(self.x))

    def pause_stream(self) -> None:
        """Pause the stream that is open. Raises WrongState for one that cannot be."""
        if self.stream is None:
            return
        if not self.stream.is_pausable:
            raise WrongState("a stream is open: read it to its end, or leave its `with` block")
        self.stream.pause()
