"""What is measured: one row for each workload, and the function that runs it once.

A workload asks a server to do what real clients do, over the loopback, and returns one figure. Speed belongs
into a report and nowhere else: no test looks at it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from modseq import clock
from modseq.bench.connection import BenchFailed, Connection
from modseq.bench.ground import Ground
from modseq.limits import BENCH_REPLY_SECONDS_MAX

Run: TypeAlias = Callable[[Ground], Awaitable[float | None]]
"""Measure once; None where the server does not offer what is needed."""

_MESSAGE = (
    b"From: Ann <ann@example.org>\r\nTo: ben@example.org\r\nSubject: bench\r\n"
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <bench@example.org>\r\n\r\n"
    + b"0123456789abcdef" * 240
    + b"\r\n"
)
"""About 4 KB."""

_SESSIONS = 8
_IDLE_SESSIONS = 100
_MEMORY_SESSIONS = 200
_BODIES = 1000
_SCATTER = 97
"""A step through the UIDs that meets different blocks and pages."""

_FAR_MOD_SEQ = 2**62
"""Above every mod-sequence: a condition that is compared and always holds."""


@dataclass(frozen=True, slots=True)
class Workload:
    """
    One row of the report.

    Attributes:
        name: by which `--only` chooses it; rows may share one.
        title: what the report says.
        is_rate: more is better.

    """

    name: str
    title: str
    unit: str
    is_rate: bool
    run: Run


def workloads(ground_sizes: tuple[int, int, int]) -> list[Workload]:
    """Return all workloads for mailboxes of a small, a medium and a large number of messages."""
    small, medium, large = ground_sizes
    rows = [
        Workload("noop", "NOOP, round trip", "ms", False, _noop),
        Workload("login", "LOGIN, a new connection each", "/s", True, _logins),
    ]
    for count in (small, medium, large):
        rows += [_resync(count, changes) for changes in (0, 10, 1000) if changes <= count // 2]
    rows += [
        Workload("flags", f"FETCH 1:* (UID FLAGS MODSEQ), {medium:,}", "M messages/s", True, _flags(medium)),
        _stores(small, 1, 1),
        _stores(small, _SESSIONS, 1),
        _stores(small, _SESSIONS, _SESSIONS),
        _stores(medium, 1, 1),
        _stores(medium, _SESSIONS, 1),
        Workload("claims", f"claims, {_SESSIONS} workers from the head", "/s", True, _claims),
        _appends(1),
        _appends(_SESSIONS),
        Workload("lmtp", "LMTP, 4 KB, 8 connections", "/s", True, _deliveries),
        Workload("bodies", "FETCH 1:1000 (BODY.PEEK[]), 4 KB each", "/s", True, _fetched(b"BODY.PEEK[]")),
        Workload("bodies", "FETCH 1:1000 (ENVELOPE)", "/s", True, _fetched(b"ENVELOPE")),
        Workload("search", f"UID SEARCH UNSEEN, {medium:,}", "ms", False, _search(b"UNSEEN", medium)),
        Workload("search", f"UID SEARCH MODSEQ, {medium:,}", "ms", False, _search(b"MODSEQ 3", medium)),
        Workload("search", "UID SEARCH SUBJECT, 1,000", "ms", False, _search(b"SUBJECT nothing", _BODIES)),
        Workload("search", "UID SEARCH TEXT, 1,000 of 4 KB", "ms", False, _search(b"TEXT nothing", _BODIES)),
        Workload("notify", f"STORE to FETCH in {_IDLE_SESSIONS} idle sessions, median", "ms", False, _notify),
        Workload("memory", "memory per idle plain session, INBOX selected", "KiB", False, _memory),
        Workload(
            "others",
            f"NOOP elsewhere during STORE 1:* on {large:,}, p99",
            "ms",
            False,
            _others("STORE", large),
        ),
        Workload(
            "others", f"NOOP elsewhere during COPY 1:* of {large:,}, p99", "ms", False, _others("COPY", large)
        ),
    ]
    return rows


async def _timed(work: Awaitable[object]) -> float:
    """Return the seconds that something takes."""
    started = clock.monotonic_seconds()
    await work
    return clock.monotonic_seconds() - started


async def _rate(ground: Ground, workers: list[Callable[[int], Awaitable[object]]]) -> float:
    """Let workers repeat their work for the time of a run; return how often all together did it, a second."""
    started = clock.monotonic_seconds()
    until = started + ground.sizes.seconds
    done = 0

    async def repeat(work: Callable[[int], Awaitable[object]]) -> None:
        nonlocal done
        step = 0
        while clock.monotonic_seconds() < until:
            await work(step)
            step += 1
            done += 1

    await asyncio.gather(*map(repeat, workers))
    return done / (clock.monotonic_seconds() - started)


async def _noop(ground: Ground) -> float:
    (one,) = await ground.connections("one", 1)
    return await _timed(_repeat(lambda: one.do(b"NOOP"), 200)) * 1e3 / 200


async def _repeat(work: Callable[[], Awaitable[object]], count: int) -> None:
    for _ in range(count):
        await work()


async def _logins(ground: Ground) -> float:
    async def login(_step: int) -> None:
        (await ground.connect()).close()

    return await _rate(ground, [login] * 4)


# --- resynchronisation ----------------------------------------------------------------------------


def _resync(count: int, changes: int) -> Workload:
    async def run(ground: Ground) -> float | None:
        """Time a SELECT that tells `changes` changes, up to the tagged reply."""
        if not await ground.offers("QRESYNC"):
            return None
        mailbox = await ground.filled(count)
        client, other = await ground.connections("resync", 2)
        for each in (client, other):
            await each.do(b"ENABLE QRESYNC")
        answer = await client.do(b"SELECT " + mailbox)
        validity, mod_seq = _number(answer, b"[UIDVALIDITY "), _number(answer, b"[HIGHESTMODSEQ ")
        await client.do(b"UNSELECT")
        await _change(other, mailbox, count, changes)
        answer = b""

        async def select() -> None:
            nonlocal answer
            answer = await client.do(b"SELECT %b (QRESYNC (%d %d))" % (mailbox, validity, mod_seq))

        seconds = await _timed(select())
        await client.do(b"UNSELECT")
        if answer.count(b" FETCH (") != changes:
            raise BenchFailed(f"{answer.count(b' FETCH (')} of {changes} changes were told")
        return seconds * 1e3

    title = f"SELECT (QRESYNC) after {changes:,} changes, {count:,} messages"
    return Workload("resync", title, "ms", False, run)


async def _change(other: Connection, mailbox: bytes, count: int, changes: int) -> None:
    """Change so many scattered messages, one command each; `\\Flagged` ends as it was on none of them."""
    await other.do(b"SELECT " + mailbox)
    step = max(1, min(_SCATTER, count // max(1, changes)))
    for place in range(changes):
        uid = 1 + place * step
        answer = await other.do(b"UID STORE %d +FLAGS (\\Flagged)" % uid)
        if b"\\Flagged" not in answer:
            raise BenchFailed("a STORE changed nothing")
        await other.do(b"UID STORE %d -FLAGS.SILENT (\\Flagged)" % uid)
    await other.do(b"UNSELECT")


def _number(answer: bytes, word: bytes) -> int:
    found = answer.partition(word)[2].partition(b"]")[0]
    if not found.isdigit():
        raise BenchFailed(f"no {word.decode().strip('[ ')} was told")
    return int(found)


def _flags(count: int) -> Run:
    async def run(ground: Ground) -> float | None:
        if not await ground.offers("CONDSTORE"):
            return None
        (one,) = await ground.connections("one", 1)
        await one.do(b"SELECT " + await ground.filled(count))
        one.keeps_replies, one.lines = False, 0
        seconds = await _timed(one.do(b"FETCH 1:* (UID FLAGS MODSEQ)"))
        one.keeps_replies = True
        await one.do(b"UNSELECT")
        return (one.lines - 1) / seconds / 1e6

    return run


# --- changing -------------------------------------------------------------------------------------


def _stores(count: int, sessions: int, mailboxes: int) -> Workload:
    async def run(ground: Ground) -> float | None:
        """Count conditional STOREs; each session sends one at a time and has a keyword of its own."""
        if not await ground.offers("CONDSTORE"):
            return None
        names = [
            await ground.filled(count, name=f"bench{count}.{number}" if number else "")
            for number in range(mailboxes)
        ]
        many = await ground.connections("store", sessions)
        for number, one in enumerate(many):
            await one.do(b"SELECT " + names[number % mailboxes])
        span = max(1, count // sessions)
        ground.turn += 1
        first = ground.turn

        def worker(number: int, one: Connection) -> Callable[[int], Awaitable[object]]:
            def store(step: int) -> Awaitable[object]:
                sign = b"+" if (step // span + first) % 2 else b"-"
                uid = number * span + 1 + step % span
                return one.do(
                    b"UID STORE %d (UNCHANGEDSINCE %d) %bFLAGS.SILENT ($Bench%d)"
                    % (uid, _FAR_MOD_SEQ, sign, number)
                )

            return store

        rate = await _rate(ground, [worker(number, one) for number, one in enumerate(many)])
        for one in many:
            await one.do(b"UNSELECT")
        return rate

    boxes = "one mailbox" if mailboxes == 1 else f"{mailboxes} mailboxes"
    title = f"conditional STORE, {sessions} session{'s' * (sessions > 1)}, {boxes} of {count:,}"
    return Workload("store", title, "/s", True, run)


async def _claims(ground: Ground) -> float | None:
    """Let workers claim messages from the head with one keyword; count those that were won."""
    if not await ground.offers("CONDSTORE"):
        return None
    count = ground.sizes.small
    mailbox = await ground.filled(count, name="claims")
    many = await ground.connections("store", _SESSIONS)
    await many[0].do(b"SELECT " + mailbox)
    await many[0].do(b"STORE 1:* -FLAGS.SILENT ($Claimed)")
    mod_seq = 0
    for one in many:
        mod_seq = _number(await one.do(b"SELECT " + mailbox), b"[HIGHESTMODSEQ ")
    won = 0

    async def work(one: Connection) -> None:
        nonlocal won
        for uid in range(1, count + 1):
            answer = await one.do(
                b"UID STORE %d (UNCHANGEDSINCE %d) +FLAGS.SILENT ($Claimed)" % (uid, mod_seq)
            )
            won += b"[MODIFIED" not in answer

    seconds = await _timed(asyncio.gather(*map(work, many)))
    for one in many:
        await one.do(b"UNSELECT")
    return won / seconds


def _appends(sessions: int) -> Workload:
    async def run(ground: Ground) -> float | None:
        if not await ground.offers("LITERAL+"):
            return None
        mailbox = await ground.filled(0, name="appended")
        many = await ground.connections("store", sessions)

        def worker(one: Connection) -> Callable[[int], Awaitable[object]]:
            return lambda _: one.do(b"APPEND %b {%d+}" % (mailbox, len(_MESSAGE)), _MESSAGE)

        return await _rate(ground, [worker(one) for one in many])

    return Workload("append", f"APPEND 4 KB, {sessions} session{'s' * (sessions > 1)}", "/s", True, run)


async def _deliveries(ground: Ground) -> float | None:
    """Count deliveries to one user, each acknowledged when it is durable."""
    port = ground.peer.lmtp_port
    if not port:
        return None
    links = [await _Delivery.open(ground.peer.host, port) for _ in range(_SESSIONS)]

    def worker(link: _Delivery) -> Callable[[int], Awaitable[object]]:
        return lambda _: link.deliver()

    rate = await _rate(ground, [worker(link) for link in links])
    for link in links:
        link.close()
    return rate


class _Delivery:
    """One LMTP connection (RFC 2033), pipelining."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> _Delivery:
        link = cls(*await asyncio.open_connection(host, port))
        await link._reply(b"220")
        link._writer.write(b"LHLO bench.example.org\r\n")
        await link._reply(b"250")
        return link

    async def deliver(self) -> None:
        self._writer.write(b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bench+delivered>\r\nDATA\r\n")
        for code in (b"250", b"250", b"354"):
            await self._reply(code)
        self._writer.write(_MESSAGE + b".\r\n")
        await self._reply(b"250")

    async def _reply(self, code: bytes) -> None:
        while True:
            line = await asyncio.wait_for(self._reader.readline(), BENCH_REPLY_SECONDS_MAX)
            if not line.startswith(code):
                raise BenchFailed(f"LMTP answered: {line.decode('utf-8', 'replace').strip()}")
            if line[3:4] == b" ":
                return

    def close(self) -> None:
        self._writer.close()


# --- reading --------------------------------------------------------------------------------------


def _fetched(item: bytes) -> Run:
    async def run(ground: Ground) -> float | None:
        mailbox = await ground.filled(_BODIES, _MESSAGE, name="bodies")
        (one,) = await ground.connections("one", 1)
        await one.do(b"EXAMINE " + mailbox)
        one.keeps_replies = False
        seconds = await _timed(one.do(b"FETCH 1:%d (%b)" % (_BODIES, item)))
        one.keeps_replies = True
        await one.do(b"UNSELECT")
        return _BODIES / seconds

    return run


def _search(key: bytes, count: int) -> Run:
    async def run(ground: Ground) -> float | None:
        if key.startswith(b"MODSEQ") and not await ground.offers("CONDSTORE"):
            return None
        bodies = count == _BODIES
        mailbox = (
            await ground.filled(count, _MESSAGE, name="bodies") if bodies else await ground.filled(count)
        )
        (one,) = await ground.connections("one", 1)
        await one.do(b"EXAMINE " + mailbox)
        one.keeps_replies = False
        seconds = await _timed(one.do(b"UID SEARCH " + key))
        one.keeps_replies = True
        await one.do(b"UNSELECT")
        return seconds * 1e3

    return run


# --- many sessions --------------------------------------------------------------------------------


async def _notify(ground: Ground) -> float | None:
    """Time from sending a STORE to its FETCH in each idle session; return the median."""
    if not await ground.offers("IDLE"):
        return None
    mailbox = await ground.filled(ground.sizes.small)
    idle = await ground.connections("idle", _IDLE_SESSIONS)
    (writer,) = await ground.connections("one", 1)
    arrived: list[float] = []
    everybody = asyncio.Event()

    def note(data: bytes) -> None:
        if b"FETCH" in data:
            arrived.append(clock.monotonic_seconds())
            if len(arrived) >= len(idle):
                everybody.set()

    for one in idle:
        await one.do(b"SELECT " + mailbox)
        one.on_data = note
        one.send(b"i IDLE\r\n")
    await writer.do(b"SELECT " + mailbox)
    await asyncio.sleep(0.3)
    ground.turn += 1
    sign = b"+" if ground.turn % 2 else b"-"
    # Two changes, of which the second is measured: the first wakes what slept.
    await writer.do(b"UID STORE 7 %bFLAGS.SILENT ($BenchIdle)" % sign)
    await asyncio.wait_for(everybody.wait(), BENCH_REPLY_SECONDS_MAX)
    await asyncio.sleep(0.1)
    arrived.clear()
    everybody.clear()
    started = clock.monotonic_seconds()
    await writer.do(b"UID STORE 8 %bFLAGS.SILENT ($BenchIdle)" % sign)
    await asyncio.wait_for(everybody.wait(), BENCH_REPLY_SECONDS_MAX)
    latencies = sorted(at - started for at in arrived)
    for one in idle:
        one.on_data = None
        one.send(b"DONE\r\n")
    await asyncio.sleep(0.1)
    for one in [*idle, writer]:
        await one.do(b"UNSELECT")
    return latencies[len(latencies) // 2] * 1e3


async def _memory(ground: Ground) -> float | None:
    """Return what one more session costs the process that serves it."""
    if ground.peer.pid is None:
        return None
    before = _resident_octets(ground.peer.pid)
    # Kept open, so that the next run does not find memory that this one gave back.
    many = await ground.connections(f"memory{ground.turn}", _MEMORY_SESSIONS)
    ground.turn += 1
    for one in many:
        await one.do(b"SELECT INBOX")
    await asyncio.sleep(0.3)
    return (_resident_octets(ground.peer.pid) - before) / len(many) / 1024


def _resident_octets(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def _others(kind: Literal["STORE", "COPY"], count: int) -> Run:
    async def run(ground: Ground) -> float:
        """Return the 99th percentile of NOOPs in one session while another works on everything."""
        mailbox = await ground.filled(count)
        worker, other = await ground.connections("others", 2)
        await worker.do(b"SELECT " + mailbox)
        await other.do(b"SELECT INBOX")
        ground.turn += 1
        command = b"STORE 1:* %bFLAGS.SILENT (\\Seen)" % (b"+" if ground.turn % 2 else b"-")
        if kind == "COPY":
            with contextlib.suppress(BenchFailed):
                await worker.do(b"DELETE copied")
            await worker.do(b"CREATE copied")
            command = b"COPY 1:* copied"
        worker.keeps_replies = False
        working = asyncio.ensure_future(worker.do(command))
        latencies: list[float] = []
        while not working.done():
            latencies.append(await _timed(other.do(b"NOOP")))
            await asyncio.sleep(0.001)
        await working
        worker.keeps_replies = True
        for one in (worker, other):
            await one.do(b"UNSELECT")
        latencies.sort()
        return latencies[int(len(latencies) * 0.99)] * 1e3

    return run
