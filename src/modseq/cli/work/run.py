"""`modseq work URL --run COMMAND`: the workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from dataclasses import dataclass
from typing import Any

import click

from modseq.cli.output import fail, note
from modseq.cli.remote import login_from, remote_options
from modseq.cli.work.durations import Duration
from modseq.cli.work.support import mailbox_of
from modseq.client.errors import ClientError
from modseq.limits import KILL_SECONDS, LEASE_SECONDS_MIN, WORK_ATTEMPTS_MAX, WORK_DELAY_SECONDS_MAX
from modseq.workqueue import Job, LeaseLost, Queue, QueueError


@click.command("run")
@click.argument("url", metavar="imaps://USER@HOST/MAILBOX")
@click.option(
    "--run", "shell_command", required=True, metavar="COMMAND", help="What to run for each message."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1_000),
    default=1,
    show_default=True,
    help="Commands at the same time.",
)
@click.option(
    "--lease",
    type=Duration(),
    default="5m",
    show_default=True,
    help="How long this process may be silent before others take its messages; renewed while commands run.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, WORK_ATTEMPTS_MAX - 1),
    default=3,
    show_default=True,
    help="Attempts after the first.",
)
@click.option(
    "--delay",
    type=Duration(),
    default="10s",
    show_default=True,
    help="Wait before the second attempt; twice as long before each further one.",
)
@click.option(
    "--dead", metavar="MAILBOX", help="Move messages given up there. [else: they stay, marked $Failed]"
)
@click.option(
    "--done",
    metavar="keep|delete|MAILBOX",
    default="keep",
    show_default=True,
    help="What becomes of finished messages: marked $Done, removed, or moved.",
)
@click.option(
    "--search",
    "criteria",
    default="ALL",
    metavar="KEYS",
    help="Only messages that match these IMAP search keys.",
)
@click.option("--once", is_flag=True, help="Stop when there is nothing to do.")
@remote_options
def run_command(
    *,
    url: str,
    shell_command: str,
    workers: int,
    lease: float,
    retries: int,
    delay: float,
    dead: str | None,
    done: str,
    criteria: str,
    once: bool,
    **remote: Any,
) -> None:
    """
    Run COMMAND, by the shell, for each message of the mailbox, never for one message twice at the same time.

    The message is its standard input. Its environment has MODSEQ_UID, MODSEQ_UIDVALIDITY, MODSEQ_MAILBOX,
    MODSEQ_ATTEMPT (from 1) and MODSEQ_LAST_ATTEMPT (1 or 0).

    Exit status 0: the message is done. 75: it is tried again later. 100: it is given up at once. Any other: it is
    tried again, at most --retries times, then given up. When the lease is lost the command is told by SIGTERM, and
    killed some seconds later.

    SIGTERM or Ctrl-C: no further messages; running commands are finished. A second one ends the commands too; their
    messages are given back.
    """
    login = login_from(url, **remote)
    if lease < LEASE_SECONDS_MIN:
        raise click.UsageError(f"--lease: at least {LEASE_SECONDS_MIN:g} seconds.")
    settings: dict[str, Any] = {
        "lease": lease,
        "retries": retries,
        "dead": dead,
        "done": done,
        "criteria": criteria,
    }
    settings |= {"token": login.secret} if login.is_token else {"password": login.secret}
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        queue = Queue(login.url, mailbox=mailbox_of(url), user=login.user, context=login.context, **settings)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    crew = _Crew(queue, shell_command, delay, workers, once=once)
    try:
        asyncio.run(crew.work())
    except (QueueError, ClientError) as error:
        fail(str(error))
    tally = queue.tally
    note(
        f"{tally.done:,} done, {tally.failed:,} given up, {tally.released:,} given back, {tally.lost:,} lost"
    )


@dataclass(eq=False)
class _Crew:
    """The workers of this process."""

    queue: Queue
    command: str
    delay: float
    workers: int
    once: bool = False

    def __post_init__(self) -> None:
        self._stops = 0
        self._processes: set[asyncio.subprocess.Process] = set()

    async def work(self) -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop)
        async with self.queue:
            workers = [self._one_worker() for _ in range(self.workers)]
            await asyncio.gather(*workers, *([self._stop_when_idle()] if self.once else []))

    def _stop(self) -> None:
        self._stops += 1
        if self._stops == 1:
            note("stopping: running commands are finished (once more to end them)")
            self.stopping = asyncio.ensure_future(self.queue.stop())
            return
        for process in self._processes:
            _signal(process, signal.SIGTERM)

    async def _stop_when_idle(self) -> None:
        await self.queue.idle()
        await self.queue.stop()

    async def _one_worker(self) -> None:
        while (job := await self.queue.next()) is not None:
            with contextlib.suppress(LeaseLost):
                await self._handle(job)

    async def _handle(self, job: Job) -> None:
        message = await job.message()
        status = await self._run(job, message)
        if status is None or job.lost.is_set():
            note(f"UID {job.uid}: the lease was lost, attempt {job.attempt} was broken off")
            await job.release()
        elif status == 0:
            await job.ack()
        elif self._stops > 1 and status < 0:
            await job.release()
        elif status == os.EX_TEMPFAIL or (status != _GIVE_UP and not job.is_last_attempt):
            if job.is_last_attempt:
                await job.fail(f"exit status {status}, attempt {job.attempt}")
                return
            pause = min(self.delay * 2 ** (job.attempt - 1), WORK_DELAY_SECONDS_MAX)
            note(f"UID {job.uid}: exit status {status}, attempt {job.attempt}; again after {pause:g} s")
            await job.release(pause)
        else:
            await job.fail(f"exit status {status}, attempt {job.attempt}")

    async def _run(self, job: Job, message: bytes) -> int | None:
        """Run the command; return its exit status, None when it was ended because the lease was lost."""
        environment = os.environ | {
            "MODSEQ_UID": str(job.uid),
            "MODSEQ_UIDVALIDITY": str(job.uid_validity),
            "MODSEQ_MAILBOX": job.mailbox,
            "MODSEQ_ATTEMPT": str(job.attempt),
            "MODSEQ_LAST_ATTEMPT": str(int(job.is_last_attempt)),
        }
        environment.pop("MODSEQ_PASSWORD", None)
        process = await asyncio.create_subprocess_shell(
            self.command, stdin=asyncio.subprocess.PIPE, env=environment, start_new_session=True
        )
        self._processes.add(process)
        lost = asyncio.ensure_future(job.lost.wait())
        running = asyncio.ensure_future(_feed_and_wait(process, message))
        try:
            await asyncio.wait({lost, running}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await _end(process, running)
                return None
            return running.result()
        finally:
            lost.cancel()
            self._processes.discard(process)
            if process.returncode is None:
                _signal(process, signal.SIGKILL)
                await process.wait()


_GIVE_UP = 100
"""What qmail's delivery programs say for "this will never work"."""


async def _feed_and_wait(process: asyncio.subprocess.Process, message: bytes) -> int:
    assert process.stdin is not None
    # A command need not read its message.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(message)
        await process.stdin.drain()
        process.stdin.close()
    return await process.wait()


async def _end(process: asyncio.subprocess.Process, running: asyncio.Future[int]) -> None:
    """End a command and all that it started, within the time that the lease leaves for it."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(running), KILL_SECONDS)
    _signal(process, signal.SIGKILL)
    await running


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
