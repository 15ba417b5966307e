"""
One machine with processes that serve one data directory, and the network between them and their clients.

Nothing happens by itself. `World.step` picks one thing that may happen next: a callback of a process, a job
of one of its threads, octets that arrive, a wake-up that is heard or lost, time that passes. While a job
writes, each of its calls of the disk is such a moment too. So a seed decides everything.
"""

from __future__ import annotations

import asyncio
import logging
import random
from asyncio import events
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from modseq import clock
from modseq.core.errors import StorageError
from modseq.server import commands
from modseq.server.auth import Authenticator, PasswordCost, hash_password
from modseq.server.connection import Doorman
from modseq.server.service import Service
from modseq.server.throttle import Throttle
from modseq.storage.sqlite import account as accounts
from modseq.storage.sqlite import files
from modseq.storage.sqlite.store import SqliteStore
from sim.clock import SimClock
from sim.disk import Dead, MachineDisk, ProcessDisk, SimTurnLock
from sim.lanes import SimLanes
from sim.loop import SimLoop
from sim.transport import MemoryTransport

assert commands.access is not None

USER, PASSWORD = "ann", "secret"
CHEAP = PasswordCost(passes=1, memory_kib=8, lanes=1)
HASH = hash_password(PASSWORD.encode(), CHEAP)
IDLE_POLL_SECONDS = 0.5
STEPS_MAX = 400_000
NESTED_MAX = 2
"""How deep others run inside a job that writes: two writers cannot be at work, so more shows nothing new."""


async def until(condition: Callable[[], Any]) -> Any:
    """Return what a condition gives once it gives anything; it may be that of another loop."""
    while not (value := condition()):  # noqa: ASYNC110 -- an event belongs to one loop
        await asyncio.sleep(0.003)
    return value


@dataclass
class Weather:
    """
    What goes wrong in a history.

    Attributes:
        wakeups_lost: of 1.
        nesting: how often others run at a call of the disk, of 1.
        pieces: whether octets arrive in small pieces.
        cut: how often a step cuts a connection, of 1.
        kill_at, power_cut_at: calls of the disk before which a process is killed, or the power fails.
        faults: calls of the disk before which it begins to fail: how, and for how many calls.
        end_after_fault: how many steps after a call that failed everything ends: by `power` or by `kill`.
        outage: a call of the disk from which on the next sync of a log kills all processes, and how many
            steps later the power fails.
        syncs: False for a disk that lies.
        settings: bounds of history and compression, as an operator chooses them.

    """

    wakeups_lost: float = 0.0
    nesting: float = 0.2
    pieces: bool = False
    cut: float = 0.0
    kill_at: list[int] = field(default_factory=list)
    power_cut_at: list[int] = field(default_factory=list)
    faults: dict[int, tuple[str, int]] = field(default_factory=dict)
    end_after_fault: tuple[str, int] | None = None
    outage: tuple[int, int] | None = None
    syncs: bool = True
    settings: files.Settings = field(default_factory=files.Settings)


class SimStore(SqliteStore):
    """A store whose wake-ups travel through the simulation."""

    def __init__(self, process: Process, **options: Any) -> None:
        super().__init__(process.world.root, wakeups=False, **options)
        self._process = process

    def _send_wakeup(self, number: int) -> None:
        self._process.world.wake_others(self._process, number)


class Process:
    """One server process: a loop, threads, a store and its sessions."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.is_dead = False
        self.loop = SimLoop(world.clock.monotonic_seconds)
        self.disk = ProcessDisk(world.disk, partial(world.at_disk, self), lambda: self.is_dead)
        self.lanes: list[SimLanes] = []
        self.files: list[files.AccountFiles] = []
        self.store = SimStore(self, disk=self.disk, lanes=self._make_lanes, settings=world.weather.settings)
        self.running_jobs = 0
        self.service = Service(
            self.store,
            Authenticator(self.store.directory, cost=CHEAP, throttle=Throttle(0.001, 0.01)),
            worker=name,
            allow_plaintext=True,
            idle_poll_seconds=IDLE_POLL_SECONDS,
        )
        self.doorman = Doorman(self.service)
        self.is_ready = False
        self.spawn(self._start())

    async def _start(self) -> None:
        """Open the store, as a server does before it listens; one that cannot ends, and is started again."""
        try:
            await self.store.start()
            self.is_ready = True
        except StorageError:
            self.world.seen["start failed"] += 1
            self.world.kill(self)

    def _make_lanes(self, name: str, threads_max: int) -> SimLanes:
        self.lanes.append(SimLanes(name, threads_max))
        return self.lanes[-1]

    def run_job(self, lanes: SimLanes, at: int) -> None:
        job = lanes.jobs.pop(at)
        self.running_jobs += 1
        outer = events._get_running_loop()
        events._set_running_loop(None)
        try:
            with self.world.acting(self):
                job()
        except Dead:
            assert self.is_dead
        finally:
            events._set_running_loop(outer)
            self.running_jobs -= 1

    def step(self) -> None:
        with self.world.acting(self):
            self.loop.step()
        if self.loop.failures and not self.is_dead and self.world.failure is None:
            self.world.failure = AssertionError(self.loop.failures[0])

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        return self.loop.create_task(work)

    def left_behind(self) -> list[object]:
        """Return what is still there of clients when all of them have gone."""
        accounts = self.store._known.values()
        held = [
            *self.service.sessions,
            *self.service._per_user,
            *self.doorman.connections,
            *(each for account in accounts for each in (*account._watchers, *account._queue, *account._jobs)),
        ]
        return [each for each in held if each]

    def bury(self) -> None:
        """Give the kernel back what a dead process held."""
        for lanes in self.lanes:
            lanes.jobs.clear()
        for each in self.files:
            each.close()
        if self.store._users._connection is not None:
            self.store._users.close()
        self.loop.bury()


class Link:
    """A connection; `hear` and `lost` are the client's."""

    def __init__(
        self, world: World, process: Process, hear: Callable[[bytes], None], lost: Callable[[], None]
    ):
        self.process = process
        self.up = bytearray()
        self._world = world
        self._hear = hear
        self._lost = lost
        self.is_over = False
        connection = process.doorman.plain()
        self.transport = MemoryTransport(process.loop, connection, "127.0.0.1")
        process.loop.call_soon(connection.connection_made, self.transport)
        world.links.append(self)

    def send(self, octets: bytes) -> None:
        self.up += octets

    def deliver_up(self, count: int) -> None:
        octets = bytes(self.up[:count])
        del self.up[:count]
        self.transport.feed(octets)

    def deliver_down(self, count: int) -> None:
        octets = self.transport.take(count)
        if octets:
            self._hear(octets)
        elif self.transport.is_closed:
            self.close()

    @property
    def has_news(self) -> bool:
        return bool(self.transport.said) or self.transport.is_closed

    def close(self) -> None:
        """Break the connection at both ends."""
        if not self.is_over:
            self.is_over = True
            self._world.links.remove(self)
            if not self.process.is_dead:
                self.transport.hang_up()
            self._lost()


class World:
    """The machine and everybody around it."""

    def __init__(self, root: Path, seed: object, weather: Weather, *, processes: int = 2) -> None:
        self.root = root
        self.picks = random.Random(f"world {seed}")
        self.clock = SimClock(seed)
        self.weather = weather
        self.disk = MachineDisk(root, syncs=weather.syncs)
        self.clients = SimLoop(self.clock.monotonic_seconds)
        self.links: list[Link] = []
        self.processes: list[Process] = []
        self.wakeups: list[tuple[Process, int]] = []
        self.steps = 0
        self.deaths = 0
        self.seen: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self._count = processes
        self._lives = 0
        self._depth = 0
        self._writing = 0
        self._acting: list[Process] = []
        self._has_power = True
        self._power_until: int | None = None

    # --- the machine ---

    def __enter__(self) -> Self:
        self._clock_before = clock.use(self.clock)
        self._turn_before = files.TurnLock
        files.TurnLock = self._turn_lock
        accounts.AccountFiles = self._account_files
        self._errors = _Errors(self)
        log = logging.getLogger("modseq")
        self._propagated, log.propagate = log.propagate, False
        log.addHandler(self._errors)
        self.boot()
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self.processes:
            process.is_dead = True
            process.loop.abandon()
            process.bury()
            process.disk.unregister()
        self.clients.abandon()
        self.clients.bury()
        log = logging.getLogger("modseq")
        log.removeHandler(self._errors)
        log.propagate = self._propagated
        files.TurnLock = self._turn_before
        accounts.AccountFiles = files.AccountFiles
        clock.use(self._clock_before)

    def _turn_lock(self, directory: Path) -> SimTurnLock:
        process = self._acting[-1]
        return SimTurnLock(directory, partial(self.at_disk, process), lambda: process.is_dead)

    def _account_files(self, *args: Any) -> files.AccountFiles:
        """Remember what a process has open: also what nobody was given yet when it dies."""
        made = files.AccountFiles(*args)
        self._acting[-1].files.append(made)
        return made

    def boot(self) -> None:
        """Start the processes that are not there."""
        while len(self.processes) < self._count:
            self._lives += 1
            self.processes.append(Process(self, str(self._lives)))

    def kill(self, *processes: Process) -> None:
        """End processes at once; what they had said may arrive as far as the kernel pleases."""
        for process in processes:
            self.seen["killed"] += 1
            self._die(process)

    def _die(self, process: Process) -> None:
        process.is_dead = True
        process.loop.abandon()
        self.deaths += 1
        for link in [each for each in self.links if each.process is process]:
            link.transport.is_closed = True
            del link.transport.said[self.picks.randint(0, len(link.transport.said)) :]
        self.wakeups = [each for each in self.wakeups if each[0] is not process]

    def cut_power(self) -> None:
        """End everything at once; what was not synced is there or not."""
        self.seen["power cut"] += 1
        self._has_power = False
        self._after = self.root.with_name(f"after-{self._lives}")
        self.disk.after_power_cut(self._after, self.picks)
        for process in self.processes:
            self._die(process)

    def _tidy(self) -> None:
        """Bury the dead and start others, when no job of theirs is on the stack."""
        if not any(process.is_dead for process in self.processes):
            return
        for process in [each for each in self.processes if each.is_dead]:
            assert not process.running_jobs
            process.bury()
            process.disk.unregister()
            self.processes.remove(process)
        if not self._has_power:
            self._has_power = True
            self.root = self._after
            calls = self.disk.calls
            self.disk = MachineDisk(self.root, syncs=self.weather.syncs)
            self.disk.calls = calls
        self.boot()

    # --- moments ---

    def acting(self, process: Process) -> _Acting:
        return _Acting(self._acting, process)

    def at_disk(self, process: Process, kind: str, path: str) -> None:
        """Something is about to reach the disk: others may run before, and the process may die."""
        if process.is_dead:
            raise Dead
        if process.running_jobs and self._writing:
            self.nest()
        weather, calls = self.weather, self.disk.calls
        if weather.power_cut_at and calls >= weather.power_cut_at[0]:
            weather.power_cut_at.pop(0)
            self.cut_power()
        elif weather.outage is not None and calls >= weather.outage[0] and kind == "sync" and "-wal" in path:
            self._power_until = self.steps + weather.outage[1]
            weather.outage = None
            self.kill(*self.processes)
        elif weather.kill_at and calls >= weather.kill_at[0] and process.running_jobs:
            weather.kill_at.pop(0)
            self.kill(process)
        for at in [each for each in weather.faults if calls >= each]:
            self.seen["disk fault"] += 1
            self.disk.fail(*weather.faults.pop(at))
        self.seen[f"at {kind}"] += 1
        if process.is_dead:
            raise Dead

    def nest(self) -> None:
        """Let others run inside a job, which goes on behind them."""
        if self._depth >= NESTED_MAX or self.picks.random() >= self.weather.nesting:
            return
        self._depth += 1
        outer = events._get_running_loop()
        events._set_running_loop(None)
        try:
            for _ in range(self.picks.choice((1, 3, 10, 40))):
                if not self._has_power or not self.choose():
                    break
        finally:
            events._set_running_loop(outer)
            self._depth -= 1

    def clear_up(self) -> None:
        """Let nothing go wrong any more."""
        self.disk.heal()
        before = self.weather
        self._power_until = None
        self.weather = Weather(nesting=before.nesting, syncs=before.syncs, settings=before.settings)

    @property
    def serving(self) -> list[Process]:
        """The processes that take connections."""
        return [each for each in self.processes if each.is_ready and not each.is_dead]

    @property
    def is_failing(self) -> bool:
        """Whether the disk has failed, so that a server may have to refuse."""
        return bool(self.seen["disk fault"])

    @property
    def trace(self) -> int:
        """A number that two runs of one seed have in common: everything random was drawn alike."""
        return self.picks.getrandbits(64)

    def step(self) -> None:
        """Let one thing happen."""
        self.steps += 1
        assert self.steps < STEPS_MAX, "the history does not end"
        self._tidy()
        if self.failure is not None:
            raise self.failure
        if self._power_until is not None and self.steps >= self._power_until:
            self._power_until = None
            self.cut_power()
            self._tidy()
        if self.weather.end_after_fault is not None and self.disk.has_failed:
            how, steps = self.weather.end_after_fault
            self.weather.end_after_fault = (how, steps - 1) if steps else None
            if not steps:
                self.cut_power() if how == "power" else self.kill(*self.processes)
                self._tidy()
        if not self.choose():
            self._pass_time()

    def choose(self) -> bool:
        """Do one of the things that are ready; False when there is none."""
        self.clock.now += self.picks.random() * 0.0004
        now = self.clock.now
        ready: list[Callable[[], None]] = []
        for process in self.processes:
            if process.is_dead:
                continue
            process.loop.due(now)
            if process.loop.has_ready:
                ready.append(process.step)
                ready.append(process.step)
            ready += [
                partial(self._run_job, process, lanes)
                for lanes in process.lanes
                if lanes.jobs and not (lanes.writes and self._writing)
            ]
        self.clients.due(now)
        if self.clients.has_ready:
            ready.append(self._step_clients)
        ready += [partial(self._carry_up, link) for link in self.links if link.up]
        ready += [partial(self._carry_down, link) for link in self.links if link.has_news]
        if self.wakeups:
            ready.append(self._deliver_wakeup)
        if not ready:
            return False
        self.picks.choice(ready)()
        if self.weather.cut and self.links and self.picks.random() < self.weather.cut:
            self.seen["connection cut"] += 1
            self.picks.choice(self.links).close()
        return True

    def _step_clients(self) -> None:
        self.clients.step()
        if self.clients.failures and self.failure is None:
            self.failure = AssertionError(self.clients.failures[0])

    def _run_job(self, process: Process, lanes: SimLanes) -> None:
        self._writing += lanes.writes
        try:
            process.run_job(lanes, self.picks.randrange(lanes.startable))
        finally:
            self._writing -= lanes.writes

    def _size(self, whole: int) -> int:
        return self.picks.randint(1, min(whole, 60)) if self.weather.pieces and whole else whole

    def _carry_up(self, link: Link) -> None:
        if link.process.is_dead:
            link.up.clear()
        else:
            link.deliver_up(self._size(len(link.up)))

    def _carry_down(self, link: Link) -> None:
        link.deliver_down(self._size(len(link.transport.said)))

    def _pass_time(self) -> None:
        loops = [self.clients, *(process.loop for process in self.processes)]
        timers = [when for loop in loops if (when := loop.next_timer) is not None]
        assert timers, "everybody waits for something that never comes"
        self.clock.now = max(self.clock.now, min(timers))

    # --- wake-ups ---

    def wake_others(self, sender: Process, number: int) -> None:
        for process in self.processes:
            if process is not sender and not process.is_dead:
                if self.picks.random() < self.weather.wakeups_lost:
                    self.seen["wake-up lost"] += 1
                else:
                    self.wakeups.append((process, number))

    def _deliver_wakeup(self) -> None:
        process, number = self.wakeups.pop(self.picks.randrange(len(self.wakeups)))
        process.loop.call_soon(process.store._heard, number)


class _Acting:
    """Notes which process runs."""

    __slots__ = ("_process", "_stack")

    def __init__(self, stack: list[Process], process: Process) -> None:
        self._stack = stack
        self._process = process

    def __enter__(self) -> None:
        self._stack.append(self._process)

    def __exit__(self, *exc: object) -> None:
        self._stack.pop()


class _Errors(logging.Handler):
    """Takes what the program calls an error for a failure of the history; the dead may say what they like."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        acting = self._world._acting
        if acting and not acting[-1].is_dead and self._world.failure is None:
            self._world.failure = AssertionError(self.format(record))
