"""
Connections are cut after every kind of byte, and after every byte: each message is done, by one worker at a time.

MODSEQ_WORK_CUTS is the distance between two cuts where each byte in turn is meant (1 for all of them).
"""

import asyncio
import contextlib
import itertools
import os
import time

import pytest

from modseq.workqueue import LeaseLost, Queue
from modseq.workqueue.layout import CLAIMED, DONE
from workqueue.cutting import Cut, CuttingProxy
from workqueue.kinds import COMMAND, KINDS, REPLY, UNHEARD

STRIDE = int(os.environ.get("MODSEQ_WORK_CUTS", "400"))
MESSAGES = 6
OCTETS_MAX = 4_000
"""A connection seldom says or hears more before all is done."""
OCTETS_MIN = 500
"""It always says and hears more."""
TOGETHER_MAX = 24
"""Mailboxes worked on at the same time: most of the time they wait to connect again."""

_numbers = itertools.count(1)


class Work:
    """Two workers on a mailbox of a few messages, one of them behind a proxy that cuts its connections."""

    def __init__(self, account, cuts, *, noise=False):
        self.account = account
        self.cuts = iter(cuts)
        self.noise = noise
        self.mailbox = f"Cut{next(_numbers)}"
        self.busy = {}
        self.done = []
        self.made = {}

    async def run(self):
        with CuttingProxy(self.account.address, lambda: next(self.cuts, None)) as proxy:
            noise = asyncio.create_task(asyncio.to_thread(self._make_noise)) if self.noise else None
            cut = asyncio.create_task(self._worker("cut", proxy.address))
            # Refusals need somebody to be refused by; all else comes sooner to one who is alone.
            until = time.monotonic() + (0 if self.noise else 3)
            while not proxy.cuts and time.monotonic() < until:  # noqa: ASYNC110 -- threads of the proxy count
                await asyncio.sleep(0.02)
            await asyncio.gather(cut, self._worker("whole", self.account.address))
            if noise is not None:
                await noise
        self.made = proxy.cuts
        await asyncio.to_thread(self._check)

    def fill(self):
        with self.account.talk() as talk:
            talk.run(f"CREATE {self.mailbox}")
            talk.fill(MESSAGES, self.mailbox)

    def _make_noise(self):
        """Change another flag of every message all the time: a server with a number for each message then refuses."""
        with self.account.talk() as talk:
            talk.run(f"SELECT {self.mailbox}")
            while len(self.done) < MESSAGES:
                talk.run("STORE 1:* +FLAGS.SILENT (\\Seen)")
                talk.run("STORE 1:* -FLAGS.SILENT (\\Seen)")

    def _check(self):
        with self.account.talk() as talk:
            talk.run(f"EXAMINE {self.mailbox}")
            assert len(talk.search(f"KEYWORD {DONE}")) == MESSAGES
            left = talk.search(f"KEYWORD {CLAIMED}")
            assert not left, (self.cuts, self.made, left, talk.run("UID FETCH 1:* (FLAGS MODSEQ)"))

    async def _worker(self, name, address):
        url = f"imap+insecure://{self.account.user}@{address[0]}:{address[1]}/{self.mailbox}"
        async with Queue(
            url, password=self.account.password, lease=4, poll=0.5, claims_max=2, seconds=10
        ) as queue:
            await asyncio.gather(*(self._take(name, queue) for _ in range(2)))
            # What is left of claims is cleared by who is there.
            await asyncio.wait_for(queue.idle(), 20)

    async def _take(self, name, queue):
        while len(self.done) < MESSAGES:
            try:
                job = await asyncio.wait_for(queue.next(), 0.3)
            except TimeoutError:
                continue
            await self._work(name, job)

    async def _work(self, name, job):
        assert job.uid not in self.busy, f"{job.uid} is with {self.busy[job.uid]} and {name}"
        self.busy[job.uid] = name
        try:
            assert b"X-Task" in await job.message()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(job.lost.wait(), 0.02 if name == "cut" else 0.3)
        except LeaseLost:
            return
        finally:
            del self.busy[job.uid]
        with contextlib.suppress(LeaseLost):
            await job.ack()
            assert job.uid not in self.done, f"{job.uid} was done twice"
            self.done.append(job.uid)


async def run_all(works):
    turn = asyncio.Semaphore(TOGETHER_MAX)
    # All before any work begins: Dovecot may say of a new name that it exists while others are used.
    for work in works:
        work.fill()

    async def one(work):
        async with turn:
            await work.run()

    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(one(work))


def test_after_every_kind_of_byte(account):
    works = [
        Work(
            account,
            [Cut(way, 0, kind, times) for times in (1, 2, 1, 5, 3, 12)],
            noise="refusal" in kind,
        )
        for way, kind in KINDS
    ]
    asyncio.run(run_all(works))
    made = set().union(*(work.made for work in works))
    missing = set(KINDS) - made
    assert not missing, f"some cuts were never made: {missing}"


@pytest.mark.timeout(120 + 4_000 / STRIDE)
@pytest.mark.parametrize("way", [COMMAND, REPLY, UNHEARD])
def test_after_every_byte(account, way):
    works = {octets: Work(account, [Cut(way, octets)] * 2) for octets in range(1, OCTETS_MAX, STRIDE)}
    asyncio.run(run_all(works.values()))
    uncut = [octets for octets, work in works.items() if not work.made]
    print(f"{len(works)} mailboxes, {sum(sum(work.made.values()) for work in works.values())} cuts")
    assert min(uncut, default=OCTETS_MAX) > OCTETS_MIN
