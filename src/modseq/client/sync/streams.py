"""What is read piece by piece: messages, bodies, events, changes; and commands sent together."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from modseq import clock
from modseq.client.effects import Verb
from modseq.client.errors import ConnectionLost, SyncIncomplete, WrongState
from modseq.client.events import Event
from modseq.client.results import SyncChange, SyncOutcome, SyncState
from modseq.client.surface import Batch
from modseq.client.sync.runner import Runner
from modseq.client.verbs import idle, sync
from modseq.client.verbs.command import give_up, together

T = TypeVar("T")


class Stream(Generic[T]):
    """
    Values as they come. Leave it by `async with`, or read it to its end: until then the client does nothing else.

    Left early, the rest of the answer is read and dropped up to a bound, else the connection is closed.
    """

    is_pausable = False

    def __init__(self, runner: Runner, begin: Callable[[], Verb[Any]]) -> None:
        self._runner = runner
        self._begin = begin
        self._verb: Verb[Any] | None = None
        self._values: deque[Any] = deque()
        self._is_over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while not self._values:
            if self._is_over:
                raise StopIteration
            self._advance()
        return cast(T, self._values.popleft())

    def _advance(self) -> None:
        """Run the verb until it emits or ends."""
        runner = self._runner
        with runner.turn:
            try:
                if self._verb is None:
                    if runner.stream is not self:
                        runner.pause_stream()
                    runner.settle()
                    self._verb = self._begin()
                    runner.stream = self
                is_over, value = runner.step(self._verb)
            except BaseException:
                self._is_over = True
                self._leave()
                raise
        if is_over:
            self._is_over = True
            self._leave()
            self._ended(value)
        else:
            self._values.extend(value)

    def _drop(self) -> None:
        """Forget values that nobody read."""
        self._values.clear()

    def _leave(self) -> None:
        if self._runner.stream is self:
            self._runner.stream = None

    def _ended(self, result: Any) -> None:
        """Take what the verb returned."""

    def pause(self) -> None:
        """Let somebody else use the connection; only streams that can begin anew."""
        raise WrongState("this stream cannot be paused")

    def close(self) -> None:
        """Leave the stream; what is still to come is dropped."""
        self._drop()
        if self._verb is None or self._is_over:
            self._is_over = True
            self._leave()
            return
        self._is_over = True
        self._verb.close()
        runner = self._runner
        try:
            with runner.turn:
                if runner.x.is_broken:
                    runner.wire.abort()
                else:
                    with contextlib.suppress(ConnectionLost):
                        runner.settle()
        finally:
            self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class BodyStream(Stream[bytes]):
    """
    The octets of a body.

    Attributes:
        size: how many there are; known once the stream was entered or begun.

    """

    size: int = 0

    def __enter__(self) -> Self:
        self._begin_reading()
        return self

    def __next__(self) -> bytes:
        self._begin_reading()
        return super().__next__()

    def _begin_reading(self) -> None:
        while self._verb is None or (not self._values and not self._is_over and not self._has_size):
            if self._is_over:
                return
            self._advance()
            if not self._has_size and self._values:
                self.size = self._values.popleft()
                self._has_size = True

    _has_size = False

    def read(self) -> bytes:
        """Return all of it at once."""
        return b"".join(self)


class IdleStream(Stream[Event]):
    """Events of IDLE. A command pauses it; it goes on with the next event asked for. Unread ones stay in `events`."""

    is_pausable = True

    def __init__(self, runner: Runner, seconds: float | None) -> None:
        super().__init__(runner, self._idle)
        self._until = None if seconds is None else clock.monotonic_seconds() + seconds

    def _idle(self) -> Verb[None]:
        left = None if self._until is None else max(0.0, self._until - clock.monotonic_seconds())
        return idle.idle(self._runner.x, left)

    def _drop(self) -> None:
        self._runner.x.events.give_back(self._values)
        self._values.clear()

    def pause(self) -> None:
        """Stop listening; the next value asked for begins anew."""
        if self._verb is not None:
            self._verb.close()
            self._verb = None


class Sync(Stream[SyncChange]):
    """
    The changes of one mailbox since a state: iterate, apply each, then take `state`.

    RFC: 7162 section 6
    """

    def __init__(
        self, runner: Runner, mailbox: str | bytes, state: SyncState | None, *, read_only: bool
    ) -> None:
        super().__init__(runner, lambda: sync.sync(runner.x, mailbox, state, read_only=read_only))
        self._outcome: SyncOutcome | None = None

    def _ended(self, result: Any) -> None:
        # The verb ends when one more change is asked for: all before it were taken.
        self._outcome = result

    @property
    def outcome(self) -> SyncOutcome:
        """The next state and how it was reached; SyncIncomplete until every change was taken."""
        if self._outcome is None:
            raise SyncIncomplete("the next state comes after the last change: iterate to the end")
        return self._outcome

    @property
    def state(self) -> SyncState:
        """The state of the copy, now that all changes were applied."""
        return self.outcome.state


class Pipeline(Batch):
    """Collects commands; leaving the `async with` block sends them together and waits for all."""

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner.x)
        self._runner = runner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for each in self.pending:
                each.verb.close()
            return
        try:
            if self.pending:
                self._runner.run(together(self._x, self.pending))
        finally:
            give_up(self.pending)
