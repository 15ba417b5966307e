"""
An event loop without threads, sockets or time of its own: what runs next is decided by whoever drives it.

    loop = SimLoop(time)
    loop.call_soon(...)
    while loop.step(): ...          runs one callback at a time, in asyncio's order
    loop.due(now)                   makes the timers ready whose time has come

Several loops may take turns in one thread, also one inside a job of another: that is how the simulation has
several processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import warnings
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any


class SimLoop(asyncio.AbstractEventLoop):
    """
    The loop of one simulated process.

    Attributes:
        failures: what asyncio reported as never retrieved or raised by a callback.

    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._closed = False
        self.steps = 0
        self.failures: list[dict[str, Any]] = []

    # --- the driver's side ---

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    @property
    def next_timer(self) -> float | None:
        """The moment of the next timer."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def due(self, now: float) -> None:
        """Make ready what is due."""
        if not self._timers or self._timers[0][0] > now:
            return
        while (when := self.next_timer) is not None and when <= now:
            self._ready.append(heapq.heappop(self._timers)[2])

    def step(self) -> bool:
        """Run the next callback; False when there is none."""
        if not self._ready:
            return False
        handle = self._ready.popleft()
        self.steps += 1
        if not handle.cancelled():
            outer = events._get_running_loop()
            events._set_running_loop(self)
            try:
                handle._run()
            finally:
                events._set_running_loop(outer)
        return True

    def run_ready(self, steps_max: int) -> None:
        """Run callbacks until nothing is ready."""
        for _ in range(steps_max):
            if not self.step():
                return
        raise AssertionError(f"still busy after {steps_max} callbacks")

    def run(self, work: Coroutine[Any, Any, Any], steps_max: int = 1_000_000) -> Any:
        """Run a coroutine that waits for nothing outside this loop; timers come at once."""
        task = self.create_task(work)
        for _ in range(steps_max):
            if task.done():
                return task.result()
            if not self.step():
                when = self.next_timer
                assert when is not None, "everybody waits for something that never comes"
                self.due(when)
        raise AssertionError(f"not done after {steps_max} callbacks")

    def abandon(self) -> None:
        """Forget everything, as a process does that is killed."""
        self._ready.clear()
        self._timers.clear()
        self._closed = True

    def bury(self) -> None:
        """End the coroutines of an abandoned loop here and now, and not whenever memory is looked through."""
        with warnings.catch_warnings():
            # What was to be awaited next is not: that is how it is when a process is killed.
            warnings.simplefilter("ignore", RuntimeWarning)
            for task in asyncio.all_tasks(self):
                task._log_destroy_pending = False
                with contextlib.suppress(Exception):
                    task.get_coro().close()

    # --- asyncio's side ---

    def time(self) -> float:
        return self._time()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        if not self._closed:
            self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self._time() + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self._closed:
            self._count += 1
            heapq.heappush(self._timers, (when, self._count, handle))
            handle._scheduled = True
        return handle

    def _timer_handle_cancelled(self, handle):
        """Leave it in the heap: whoever looks for the next timer skips it."""

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(self, executor, func, *args):
        """Run a job at once: jobs whose moment matters are the storage's, which has lanes of its own."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 -- raised where it is waited for
            future.set_exception(error)
        return future

    def call_exception_handler(self, context):
        if not self._closed:
            self.failures.append(context)

    def default_exception_handler(self, context):
        self.call_exception_handler(context)
