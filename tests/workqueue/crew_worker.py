"""One worker process of a crew: takes messages, notes what it does and when, and works as long as it is told."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time

from modseq.workqueue import LeaseLost, Queue


class Notes:
    """Lines of one process; written at once, so that SIGKILL loses none."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, what, uid):
        os.write(self._file, f"{time.monotonic():.6f} {os.getpid()} {what} {uid}\n".encode())


async def work(queue, notes, picks, told):
    while (job := await queue.next()) is not None:
        notes.write("begin", job.uid)
        slow = picks.random() < told["slow_part"]
        seconds = told["slow_seconds"] if slow else picks.random() * told["work_seconds"]
        body = await job.message()
        assert b"X-Task" in body, body
        if seconds > 0.001:
            try:
                await asyncio.wait_for(job.lost.wait(), seconds)
            except TimeoutError:
                pass
            else:
                notes.write("lost", job.uid)
                continue
        if picks.random() < told["back_part"] and not job.is_last_attempt:
            notes.write("back", job.uid)
            await _quietly(job.release())
            continue
        # From here on the message is not worked at: whether it is written down is another question.
        notes.write("worked", job.uid)
        try:
            await job.ack()
            notes.write("done", job.uid)
        except LeaseLost:
            notes.write("refused", job.uid)


async def _quietly(wish):
    with contextlib.suppress(LeaseLost):
        await wish


async def main(told):
    notes = Notes(told["notes"])
    picks = random.Random(os.getpid())
    queue = Queue(told["url"], password=told["password"], seconds=told["seconds"], **told["queue"])
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(queue.stop()))
    notes.write("ready", 0)
    async with queue:
        await asyncio.gather(*(work(queue, notes, picks, told) for _ in range(told["at_a_time"])))
    counts = queue.tally.claims
    notes.write(
        f"tally:{counts.asked},{counts.won},{counts.refused},{counts.doubled},{queue.tally.reconnects}", 0
    )


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
