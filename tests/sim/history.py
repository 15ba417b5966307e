"""
One history: a seed decides who does what, what goes wrong, and in which order everything happens.

    outcome = run(seed, place)          raises HistoryFailed, with the seed
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modseq import limits
from modseq.core import uidindex
from modseq.core.mailbox_operations import CreateMailbox
from modseq.core.message import NewMessage
from modseq.core.operations import Append
from modseq.server.delivery import content_of
from modseq.storage.disk import Disk
from modseq.storage.sqlite import reading
from modseq.storage.sqlite.files import Settings
from modseq.storage.sqlite.store import SqliteStore
from sim.actors import Actor
from sim.client import SimClient
from sim.promises import MAILBOXES, Promises
from sim.world import HASH, USER, Weather, World, until
from wire_model import differences, picture
from wire_responses import require

FIRST_MESSAGES = 3
SMALL = {
    "LOG_ROWS_FOLD_MIN": 6,
    "LOG_ROWS_KEPT_MIN": 10,
    "LOG_ROWS_TRIMMED_PER_COMMIT": 3,
    "LOG_CHANGES_IN_MEMORY_MAX": 12,
    "PALETTE_MASKS_UNUSED_MAX": 3,
    "FOLD_CHUNKS_PER_COMMIT": 1,
    "EXPUNGES_PER_BLOCK_MAX": 4,
    "WAL_PAGES_CHECKPOINT_MIN": 30,
    "SEGMENT_BYTES_MAX": 20_000,
    "HUGE_OPERATION_MESSAGES_MIN": 3,
    "ROWS_PER_COMMIT_MAX": 2,
    "BUSY_MILLISECONDS_MAX": 0,
}
"""Bounds so low that a short history crosses all of them; and nobody waits for a lock in the only thread."""

SETTLED_SECONDS = 2.0
"""After so long nothing is under way any more: time passes quickly only while there is nothing to do."""

WEATHERS = (
    "calm",
    "lossy",
    "cuts",
    "kill",
    "power",
    "fault",
    "full",
    "undone",
    "outage",
    "withheld",
    "storm",
)


class HistoryFailed(AssertionError):
    """A property does not hold in the history of this seed."""


@dataclass
class Outcome:
    """What a history went through."""

    weather: str
    steps: int
    seen: Counter[str]
    trace: int


@contextlib.contextmanager
def small_bounds() -> Iterator[None]:
    before = {name: getattr(limits, name) for name in SMALL}
    block = uidindex.BLOCK_BITS, uidindex.BLOCK_UIDS
    for name, value in SMALL.items():
        setattr(limits, name, value)
    uidindex.BLOCK_BITS, uidindex.BLOCK_UIDS = 3, 8
    reading.BLOCK_UIDS = 8
    try:
        yield
    finally:
        uidindex.BLOCK_BITS, uidindex.BLOCK_UIDS = block
        reading.BLOCK_UIDS = block[1]
        for name, value in before.items():
            setattr(limits, name, value)


@contextlib.contextmanager
def ground() -> Iterator[Path]:
    """Give a place for histories, with the data directory that all of them begin with."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        place = Path(name)
        asyncio.run(_build(place / "template"))
        shutil.rmtree(place / "template" / "run")
        (place / "template" / "run").mkdir()
        yield place


async def _build(data: Path) -> None:
    async with SqliteStore(data, wakeups=False, disk=Disk(syncs=False)) as store:
        await store.directory.add(USER, HASH)
        account = await store.account(USER)
        await account.commit(CreateMailbox("Other"))
        for number in range(FIRST_MESSAGES):
            content = content_of(b"Subject: first-%d\r\n\r\nx\r\n" % number)
            message = NewMessage((), 1_700_000_000, 0, 1_700_000_000, content)
            await account.commit(Append(account.listing().find("INBOX").mailbox_id, (message,)))


def weather_of(kind: str, picks: random.Random, calls_max: int) -> Weather:
    """Choose what goes wrong, and at which call of the disk."""
    weather = Weather(
        nesting=picks.choice((0.0, 0.1, 0.4)),
        pieces=picks.random() < 0.3,
        wakeups_lost=picks.choice((0.0, 0.3, 1.0)) if kind != "calm" else 0.0,
        settings=Settings(
            compress_bodies=picks.random() < 0.3, expunges_kept_max=picks.choice((None, None, 2))
        ),
    )
    calls = sorted(picks.randint(5, calls_max) for _ in range(3))
    if kind in ("cuts", "withheld", "storm"):
        weather.cut = picks.choice((0.0005, 0.003))
    if kind in ("kill", "storm"):
        weather.kill_at = calls[: picks.randint(1, 3)]
    if kind in ("power", "storm"):
        weather.power_cut_at = sorted(picks.randint(5, calls_max) for _ in range(picks.randint(1, 2)))
    if kind in ("fault", "storm"):
        weather.faults = {at: ("io", picks.choice((1, 1, 1, 2, 5))) for at in calls}
    if kind == "undone":
        # What failed must not come back by a crash that follows.
        weather.faults = {calls[0]: ("sync", 1)}
        weather.end_after_fault = picks.choice(("power", "kill")), picks.choice((0, 5, 10, 15, 25))
    if kind == "outage":
        # What the killed had written and not synced is told by those who come after, until the power fails.
        weather.outage = calls[0], picks.choice((40, 70, 100, 140))
    if kind == "full":
        weather.faults = {calls[0]: ("full", picks.choice((1, 3, 30)))}
    return weather


def run(
    seed: object, place: Path, *, kind: str | None = None, syncs: bool = True, is_short: bool = False
) -> Outcome:
    """
    Run the history of a seed; raises HistoryFailed.

    Args:
        kind: the weather; the seed chooses it where it is None.
        syncs: False for a disk that lies.
        is_short: some commands of two or three clients instead of dozens of up to four.

    """
    picks = random.Random(f"history {seed}")
    kind = kind or picks.choice(WEATHERS)
    weather = weather_of(kind, picks, 100 if is_short else 500)
    weather.syncs = syncs
    life = Path(tempfile.mkdtemp(dir=place))
    root = life / "data"
    try:
        with small_bounds():
            shutil.copytree(place / "template", root)
            with World(root, seed, weather) as world:
                try:
                    _History(world, picks, seed, kind, is_short=is_short).run()
                except Exception as error:
                    raise HistoryFailed(f"seed {seed} ({kind}, step {world.steps}): {error}") from error
                return Outcome(kind, world.steps, world.seen, world.trace)
    finally:
        shutil.rmtree(life)


class _History:
    def __init__(
        self, world: World, picks: random.Random, seed: object, kind: str, *, is_short: bool
    ) -> None:
        self.world = world
        self.picks = picks
        self.promises = Promises()
        first = {f"first-{number}" for number in range(FIRST_MESSAGES)}
        self.promises.sent |= first
        self.promises.kept |= first
        acts = picks.choice((2, 3, 5) if is_short else (6, 10, 16))
        clients = picks.randint(2, 3 if is_short else 4)
        self.actors = [Actor(world, self.promises, n, acts, seed) for n in range(1, clients + 1)]
        self.resumed_max = 1 if is_short else 3
        if kind == "withheld":
            self.actors[0].begin_withholding()
            for actor in self.actors[1:]:
                actor.begin_removing()

    def run(self) -> None:
        world = self.world
        self._until([world.clients.create_task(actor.run()) for actor in self.actors])
        world.clear_up()
        (pictures,) = self._until([world.clients.create_task(self._stored())])
        final = [world.clients.create_task(actor.finish()) for actor in self.actors]
        for actor, shown in zip(self.actors, self._until(final), strict=True):
            true = pictures[actor.mailbox]
            require(shown == true, "a client ends with something else", differences(shown, true))
        if self.picks.random() < 0.5:
            world.cut_power()
            (again,) = self._until([world.clients.create_task(self._stored())])
            # A commit of a killed process may lie in the log, whole and never told: now it is found.
            if not world.seen["killed"]:
                require(again == pictures, "a power cut changed what was there", pictures, again)
        self._until([world.clients.create_task(self._resume())])
        for link in list(world.links):
            link.close()
        self._until([world.clients.create_task(asyncio.sleep(SETTLED_SECONDS))])
        for process in world.serving:
            left = process.left_behind()
            require(not left, "left behind by clients that are gone", left)

    def _until(self, tasks: list[asyncio.Task[Any]]) -> list[Any]:
        waiting = list(tasks)
        while waiting:
            self.world.step()
            for task in [task for task in waiting if task.done()]:
                task.result()
                waiting.remove(task)
        return [task.result() for task in tasks]

    async def _stored(self) -> dict[str, dict[int, tuple[int, frozenset[str]]]]:
        """Have a process look at what is stored."""

        async def look() -> Any:
            account = await process.store.account(USER)
            await account.look()
            return await self.promises.check_storage(account)

        # What a client that is gone had asked for goes on without it.
        await asyncio.sleep(SETTLED_SECONDS)
        process = self.picks.choice(await until(lambda: self.world.serving))
        task = process.spawn(look())
        await until(task.done)
        return task.result()

    async def _resume(self) -> None:
        """Go on from some of what clients had stored, over the wire."""
        memories = self.promises.memories
        pictures = {}
        for mailbox in MAILBOXES:
            fresh = await SimClient(self.world, self.promises.ledger).connect()
            await fresh.select(mailbox)
            pictures[mailbox] = picture(fresh.model)
            fresh.close()
        for memory in self.picks.sample(memories, min(self.resumed_max, len(memories))):
            client = await SimClient(self.world, self.promises.ledger).connect()
            await client.resume(memory)
            shown, true = picture(client.model), pictures[memory.mailbox]
            require(shown == true, "resynchronised", differences(shown, true), memory)
            client.close()
