"""Where a test's server runs: on a thread of the test's own process, or in a process of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from modseq.testing.nursery import Child, nursery
from modseq.testing.stage import Options, Stage

P = ParamSpec("P")
T = TypeVar("T")

CALL_SECONDS_MAX = 30.0
"""A helper that takes longer has hung: a test should say so instead of waiting for ever."""


class Host(Protocol):
    """Runs one stage."""

    def call(
        self, method: Callable[Concatenate[Stage, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one of the stage's methods and return what it returns or raise what it raises."""

    def close(self) -> None:
        """End the thread or process; the stage was stopped before."""


class ThreadHost:
    """A stage on a thread of this process."""

    def __init__(self, options: Options) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="modseq-testing", daemon=True)
        self._thread.start()
        self._stage = Stage(options)

    def call(
        self, method: Callable[Concatenate[Stage, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a method in the server's loop."""

        async def run() -> T:
            return await method(self._stage, *args, **kwargs)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(CALL_SECONDS_MAX)

    def close(self) -> None:
        """End the loop and its thread."""

        async def settle() -> None:
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()

        asyncio.run_coroutine_threadsafe(settle(), self._loop).result(CALL_SECONDS_MAX)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS_MAX)
        self._loop.close()


class ProcessHost:
    """A stage in a process of its own: it can be killed, and shares nothing with the test."""

    def __init__(self, options: Options) -> None:
        self._child: Child = nursery().child(options)
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The process."""
        return self._child.pid

    def call(
        self, method: Callable[Concatenate[Stage, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a method in the other process."""
        with self._lock:
            result: Any = self._child.call(method.__name__, args, kwargs, CALL_SECONDS_MAX)
        return result  # type: ignore[no-any-return]

    def kill(self) -> None:
        """Kill the process without warning."""
        self._child.kill()

    def close(self) -> None:
        """Let the process end."""
        self._child.close()
