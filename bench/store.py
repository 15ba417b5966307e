"""Measure the embedded store without a server: durable operations, cold loads, catching up.

.venv/bin/python bench/store.py [--data DIR] [--messages 100000] [--seconds 2]
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from modseq.core.message import Content, NewMessage
from modseq.core.numset import NumSet
from modseq.core.operations import Append
from modseq.core.store_flags import StoreFlags
from modseq.storage.sqlite.store import SqliteStore


def message(size: int = 4096, flags: tuple[str, ...] = ()) -> NewMessage:
    head = b"Subject: a message of the benchmark\r\n\r\n"
    data = head + b"x" * (size - len(head))
    ready = Content(data, b"(" + b"e" * 400 + b")", b"b" * 200, b"s" * 250, b"p" * 40, 19000, len(head))
    return NewMessage(flags, 1_700_000_000, 60, 1_700_000_001, ready)


async def timed(seconds: float, workers: int, work) -> tuple[float, float]:
    """Return operations per second and the worst latency in milliseconds."""
    end = time.perf_counter() + seconds
    counts = [0] * workers
    worst = 0.0

    async def worker(number: int) -> None:
        nonlocal worst
        step = 0
        while (started := time.perf_counter()) < end:
            await work(number, step)
            worst = max(worst, time.perf_counter() - started)
            counts[number] += 1
            step += 1

    begun = time.perf_counter()
    await asyncio.gather(*[worker(number) for number in range(workers)])
    return sum(counts) / (time.perf_counter() - begun), worst * 1e3


async def fill(account, mailbox_id: int, count: int) -> None:
    state = await account.mailbox(mailbox_id)
    batch = 1000
    one = message(300)
    while state.exists < count:
        await account.commit(Append(mailbox_id, (one,) * min(batch, count - state.exists)))
        state = await account.mailbox(mailbox_id)


async def writes(data: Path, seconds: float, messages: int) -> None:
    async with SqliteStore(data) as store:
        await store.directory.add("writer", "x")
        account = await store.account("writer")
        inbox = account.listing().mailboxes["INBOX"].mailbox_id
        await fill(account, inbox, messages)
        for workers in (1, 8, 100):

            async def flag(number: int, step: int, workers: int = workers) -> None:
                uid = 1 + (number + step * workers) % messages
                mode = "+" if (step * workers // messages) % 2 == 0 else "-"
                await account.commit(StoreFlags(inbox, NumSet.single(uid), mode, (f"$k{workers}",)))

            rates = [await timed(seconds, workers, flag) for _ in range(3)]
            print(
                f"STORE, {workers:3} committers: {statistics.median(r for r, _ in rates):9,.0f}/s"
                f"   worst {max(w for _, w in rates):6.1f} ms"
            )
        one = message()

        async def append(_number: int, _step: int) -> None:
            await account.commit(Append(inbox, (one,)))

        for workers in (1, 8):
            rates = [await timed(seconds, workers, append) for _ in range(3)]
            print(
                f"APPEND 4 KB, {workers:1} committers: {statistics.median(r for r, _ in rates):7,.0f}/s"
                f"   worst {max(w for _, w in rates):6.1f} ms"
            )


async def reads(data: Path, count: int) -> None:
    async with SqliteStore(data) as store:
        await store.directory.add(f"reader{count}", "x")
        account = await store.account(f"reader{count}")
        inbox = account.listing().mailboxes["INBOX"].mailbox_id
        await fill(account, inbox, count)
        for uid in range(1, 101):
            await account.commit(StoreFlags(inbox, NumSet.single(uid * 7), "+", ("\\Seen",)))
        while account.is_busy:  # noqa: ASYNC110 -- nobody announces that housekeeping has ended
            await asyncio.sleep(0.01)
    times = []
    for _ in range(3):
        async with SqliteStore(data) as store:
            account = await store.account(f"reader{count}")
            begun = time.perf_counter()
            state = await account.mailbox(inbox)
            times.append(time.perf_counter() - begun)
            assert state.exists == count
            highest = state.mod_seq
            begun = time.perf_counter()
            for _ in range(1000):
                await account.refresh()
            refreshed = (time.perf_counter() - begun) / 1000
            print(f"  refresh {refreshed * 1e6:.2f} us")
            for back in (0, 10, 100, 10_000):
                begun = time.perf_counter()
                await account.changes_since(inbox, max(highest - back, 1))
                print(f"  changes_since {back} back: {(time.perf_counter() - begun) * 1e3:.3f} ms")
    print(f"cold load of {count:,}: {statistics.median(times) * 1e3:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", choices=("writes", "reads"))
    arguments = parser.parse_args()
    sys.setswitchinterval(0.0005)
    data = arguments.data or Path(tempfile.mkdtemp(prefix="modseq-bench-"))
    try:
        if arguments.only != "reads":
            asyncio.run(writes(data, arguments.seconds, 1000))
        if arguments.only != "writes":
            for count in sorted({100_000, arguments.messages}):
                asyncio.run(reads(data, count))
    finally:
        if arguments.data is None:
            shutil.rmtree(data)


if __name__ == "__main__":
    main()
