"""Measure what two other sessions notice while one works on a whole huge mailbox.

    python bench/huge.py [--messages 1000000] [--data DIR]

Starts `modseq serve` on an empty store in a temporary folder and fills a mailbox. One session then changes
the flags of all messages, copies, moves, expunges and renames them; beside it one session sends NOOP and another
STORE in another mailbox of the same account, every few milliseconds, answered or not, until two seconds
after the huge command, while what it did is folded. Sync is on.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import deque
from pathlib import Path

from modseq.bench.connection import Connection
from modseq.bench.ground import Ground, Sizes
from modseq.bench.peers import modseq
from modseq.bench.report import machine

PACE_SECONDS = 0.005
AFTER_SECONDS = 2.0


async def paced(one: Connection, commands: list[bytes], stop: asyncio.Event) -> list[float]:
    """Send a command every few milliseconds, answered or not, and return how long each answer took.

    Waiting for an answer before the next command would hide how many are kept waiting.
    """
    sent: deque[float] = deque()
    latencies: list[float] = []
    held = b""

    def heard(data: bytes) -> None:
        nonlocal held
        *lines, held = (held + data).split(b"\r\n")
        for line in lines:
            if line.startswith(b"t "):
                if not line.startswith(b"t OK"):
                    raise SystemExit(f"answered with {line!r}")
                latencies.append(time.perf_counter() - sent.popleft())

    one.on_data = heard
    loop = asyncio.get_running_loop()
    due = loop.time()
    turn = 0
    while not stop.is_set():
        sent.append(time.perf_counter())
        one.send(b"t " + commands[turn % len(commands)] + b"\r\n")
        turn += 1
        due = max(due + PACE_SECONDS, loop.time())
        await asyncio.sleep(due - loop.time())
    while sent:  # noqa: ASYNC110 -- nobody announces the last answer
        await asyncio.sleep(0.001)
    one.on_data = None
    return latencies


async def meanwhile(
    worker: Connection, command: bytes, noop: Connection, store: Connection
) -> tuple[float, list[float], list[float]]:
    """Return how long a command took, and the latencies of NOOPs and of STOREs in two other sessions."""
    worker.keeps_replies = False
    stop = asyncio.Event()
    stores = [b"UID STORE 5 %bFLAGS.SILENT (\\Flagged)" % sign for sign in (b"+", b"-")]
    others = asyncio.gather(paced(noop, [b"NOOP"], stop), paced(store, stores, stop))
    started = time.perf_counter()
    await worker.do(command)
    took = time.perf_counter() - started
    await asyncio.sleep(AFTER_SECONDS)
    stop.set()
    worker.keeps_replies = True
    return took, *await others


def share(latencies: list[float], part: float) -> str:
    """Return a percentile in milliseconds."""
    return f"{sorted(latencies)[int((len(latencies) - 1) * part)] * 1e3:.1f}"


async def measure(place: Path, messages: int) -> None:
    async with modseq(place, 1) as peer:
        ground = Ground(peer, Sizes(1.0, 1000, 1000, messages))
        small, big = await ground.filled(1000), await ground.filled(messages, name="big")
        worker, noop, store = await ground.connections("huge", 3)
        await noop.do(b"SELECT " + small)
        await store.do(b"SELECT " + small)
        await worker.do(b"CREATE moved")
        steps = (
            ("STORE 1:* +FLAGS.SILENT", [b"SELECT " + big], b"STORE 1:* +FLAGS.SILENT (\\Answered)"),
            ("COPY 1:*", [], b"COPY 1:* moved"),
            ("MOVE 1:*", [b"SELECT moved"], b"MOVE 1:* " + big),
            (
                "EXPUNGE of half",
                [b"SELECT " + big, b"STORE 1:%d +FLAGS.SILENT (\\Deleted)" % messages],
                b"EXPUNGE",
            ),
            ("RENAME INBOX", [b"STORE 1:* -FLAGS.SILENT (\\Deleted)", b"COPY 1:* INBOX"], b"RENAME INBOX moved/on"),
        )
        print(f"{time.strftime('%Y-%m-%d')}, {machine()}; {messages:,} messages")
        print("| work | to tagged OK | NOOP median / p99 / max, ms | STORE median / p99 / max, ms |")
        print("|---|---|---|---|")
        for title, before, command in steps:
            for each in before:
                worker.keeps_replies = False
                await worker.do(each)
                await asyncio.sleep(AFTER_SECONDS)
            took, *others = await meanwhile(worker, command, noop, store)
            cells = [" / ".join(share(each, part) for part in (0.5, 0.99, 1)) for each in others]
            print(f"| `{title}` | {took:.2f} s | {cells[0]} | {cells[1]} |")
        await ground.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--data", default=None, help="folder on the disk to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.data) as folder:
        asyncio.run(measure(Path(folder), options.messages))


if __name__ == "__main__":
    main()
