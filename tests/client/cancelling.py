"""What tests of cancellation share: a script, a task that the server has heard of, one cancel()."""

import asyncio
import time

from client.fake import fake
from modseq.client import connect

GRACE_SECONDS = 2.0
"""Far above what a loaded machine needs, far below the 30 seconds for which these clients wait for an answer."""
FOREVER = 30.0


async def cancelled_once(task):
    """Cancel once and see the task end as cancelled."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=GRACE_SECONDS)
    if not done:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
        raise AssertionError("one cancel() was not enough")
    assert task.cancelled()


async def started(work, heard, *, seconds=0.05):
    """Start work and return its task when the server has heard what `heard` waits for."""
    task = asyncio.create_task(work)
    await asyncio.to_thread(heard.wait, 5)
    await asyncio.sleep(seconds)
    assert not task.done()
    return task


def play(script, main, **options):
    """Run a script and a coroutine that gets the client."""

    async def whole(url):
        client = await connect(url, **{"seconds": FOREVER, **options})
        try:
            await main(client)
        finally:
            await client.aclose()

    with fake(script) as server:
        asyncio.run(whole(server.url))


async def listen(client, heard=None):
    async with client.idle() as events:
        async for event in events:
            if heard is not None:
                heard.put_nowait(event)


class Flag:
    """Something that the script tells the test."""

    def __init__(self):
        self.is_set = False

    def set(self):
        self.is_set = True

    def wait(self, seconds):
        until = time.monotonic() + seconds
        while not self.is_set:
            assert time.monotonic() < until, "the script never came so far"
            time.sleep(0.005)


def opened(talk, capabilities="IMAP4rev1"):
    talk.greet(capabilities)
    talk.ok("* 2 EXISTS", "* OK [UIDVALIDITY 1] x")
