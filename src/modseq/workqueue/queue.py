"""
A mailbox as a queue, for Python programs.

    async for job in Queue("imaps://robot@example.org/INBOX", password=...):
        await answer(await job.message())
        await job.ack()
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

from modseq import clock
from modseq.client.options import parse_url
from modseq.limits import CLAIMS_PER_STORE_MAX
from modseq.workqueue.engine import Engine
from modseq.workqueue.errors import LeaseLost, as_queue_error
from modseq.workqueue.lease import Hold
from modseq.workqueue.settings import KEEP, Settings
from modseq.workqueue.wishes import Kind, Ready, Tally


class Job:
    """
    A message that this worker has, and nobody else.

    Attributes:
        uid: of the message.
        mailbox: the queue.
        uid_validity: of the mailbox; with the UID it names the message for ever.
        attempt: which attempt this is, from 1.
        is_last_attempt: True where no other will follow.
        lost: set when the lease is lost: stop working, somebody else may have begun.

    """

    def __init__(self, engine: Engine, ready: Ready) -> None:
        self._engine = engine
        self._hold: Hold = ready.hold
        self._body = ready.body
        self._is_over = False
        self.uid = ready.hold.uid
        self.mailbox = engine.settings.mailbox
        self.uid_validity = engine.uid_validity
        self.attempt = ready.hold.attempt
        self.is_last_attempt = self.attempt >= engine.settings.attempts_max
        self.lost = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Job {self.mailbox} UID {self.uid} attempt {self.attempt}>"

    @property
    def sure_seconds(self) -> float:
        """How long nobody else can have the message, should no renewal succeed from now on; 0 when it is lost."""
        if self.lost.is_set() or self._is_over:
            return 0.0
        return max(0.0, self._hold.sure_until - clock.monotonic_seconds())

    async def message(self) -> bytes:
        r"""
        Return the whole message; it is not marked \Seen.

        Raises: MessageGone.
        """
        if self._body is None:
            body = await self._engine.wish("body", self._hold)
            assert body is not None
            return body
        return self._body

    async def ack(self) -> None:
        """
        Say that the work is done: nobody will get the message again.

        Returns when the server has it in writing. Raises LeaseLost when another worker took the message over.
        """
        await self._end("done")

    async def release(self, delay: float = 0) -> None:
        """
        Give the message back, for another attempt by anybody, not before `delay` seconds have passed.

        The delay is written as one of 63 durations, the next that is not shorter. Raises LeaseLost.
        """
        self._check_open()
        self._is_over = True
        await self._engine.wish("release", self._hold, delay_seconds=delay)

    async def fail(self, reason: str = "") -> None:
        """
        Give the message up: no further attempts. It goes to the dead-letter mailbox, if there is one.

        The reason is logged. Raises LeaseLost.
        """
        self._engine.note_failure(self.uid, reason)
        await self._end("failed")

    async def extend(self) -> float:
        """
        Renew the lease now, and return how long it is sure. It is renewed by itself as long as the queue runs.

        Raises: LeaseLost.
        """
        self._check_open()
        await self._engine.wish("extend", self._hold)
        return self.sure_seconds

    def close(self) -> bool:
        """Do nothing with the message any more; return False where something was wished for it already."""
        was_open, self._is_over = not self._is_over, True
        return was_open

    async def _end(self, kind: Kind) -> None:
        self._check_open()
        self._is_over = True
        await self._engine.wish(kind, self._hold)

    def _check_open(self) -> None:
        if self._is_over:
            raise LeaseLost(f"message {self.uid} was acknowledged, released or given up before")


class Queue:
    """
    A mailbox as a queue: iterate over it, as many tasks at a time as you like.

    Use it as `async with Queue(...) as queue`, and what is still held in the end is given back at once. Without, that
    happens when the event loop ends.

    Args:
        url: `imaps://user@host/MAILBOX`; see modseq.client.connect. INBOX where it names no mailbox.
        mailbox: the queue, where the address does not name it.
        lease: seconds after which others may take the messages of a worker that is silent. It is renewed as long as
            the queue runs; workers with different leases respect each other's.
        retries: attempts after the first; then a message is given up.
        dead: mailbox for messages given up; None leaves them, marked $Failed.
        done: `keep` marks finished messages $Done, `delete` removes them, another name moves them there.
        criteria: IMAP search keys that a message must match to be work.
        claims_max: messages claimed in one round trip, at most.
        poll: seconds between two searches where nothing wakes us.
        connect: further arguments of modseq.client.connect: password, token, context and so on.

    """

    def __init__(
        self,
        url: str,
        *,
        mailbox: str | None = None,
        lease: float = 300.0,
        retries: int = 3,
        dead: str | None = None,
        done: str = KEEP,
        criteria: str = "ALL",
        claims_max: int = CLAIMS_PER_STORE_MAX,
        poll: float = 15.0,
        **connect: Any,
    ) -> None:
        self.settings = Settings(
            url,
            mailbox or parse_url(url).mailbox or "INBOX",
            lease,
            retries,
            dead,
            done,
            criteria,
            claims_max,
            poll,
            connect,
        )
        self._engine = Engine(self.settings)
        self._engine.on_lost = self._tell_lost
        self._jobs: WeakValueDictionary[int, Job] = WeakValueDictionary()
        self._task: asyncio.Task[None] | None = None

    @property
    def tally(self) -> Tally:
        """What happened so far."""
        return self._engine.tally

    @property
    def is_exact(self) -> bool | None:
        """Whether the server was found to let exactly one win each claim; None before the first claim."""
        return self._engine.is_exact

    def start(self) -> None:
        """Begin to work; iterating does it too."""
        if self._task is None:
            self._task = asyncio.create_task(self._engine.run())

    async def next(self) -> Job | None:
        """
        Return the next message, when there is one; None once the queue was stopped.

        Raises: QueueUnusable.
        """
        self.start()
        engine = self._engine
        engine.demand += 1
        engine.wake()
        try:
            async with engine.changed:
                while True:
                    if engine.failure is not None:
                        raise as_queue_error(engine.failure)
                    if engine.is_stopping:
                        return None
                    ready = engine.take()
                    if ready is not None:
                        job = self._jobs[ready.hold.uid] = Job(engine, ready)
                        return job
                    await engine.changed.wait()
        finally:
            engine.demand -= 1

    def __aiter__(self) -> Self:
        self.start()
        return self

    async def __anext__(self) -> Job:
        job = await self.next()
        if job is None:
            raise StopAsyncIteration
        return job

    async def idle(self) -> None:
        """
        Return once there was nothing to do: nothing free, nothing held by us, nothing waiting for a delay.

        Nothing is taken for it. Returns at once when the queue is stopped.
        """
        self.start()
        engine = self._engine
        engine.askers += 1
        engine.ask()
        try:
            async with engine.changed:
                await engine.changed.wait_for(
                    lambda: engine.is_idle or engine.is_stopping or engine.failure is not None
                )
        finally:
            engine.askers -= 1

    async def stop(self) -> None:
        """Take no more messages; those that are being worked on may be finished. What is ready is given back."""
        self._engine.is_stopping = True
        self._engine.wake()
        async with self._engine.changed:
            self._engine.changed.notify_all()

    async def aclose(self) -> None:
        """Give back what is still held, and leave."""
        await self.stop()
        if self._task is None:
            return
        engine = self._engine
        for uid in list(engine.handed_out):
            job = self._jobs.get(uid)
            if job is None or job.close():
                engine.let_go(uid)
        engine.close()
        await self._task

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _tell_lost(self, uid: int) -> None:
        job = self._jobs.pop(uid, None)
        if job is not None:
            job.lost.set()
