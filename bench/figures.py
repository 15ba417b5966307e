"""Measure a running server as its clients see it, and print one table.

    python bench/figures.py [--runs 5] [--messages 100000] [--large 1000000] [--only NAME ...]
    python bench/figures.py --connect HOST:PORT      another server, with a user bench, password bench

Starts `modseq serve` on an empty store in a temporary folder (put it on the disk that you want to measure:
--data), fills one mailbox by doubling it with COPY, and runs each workload several times. The client is a
process of its own. Every figure is a median of the runs, with the lowest and the highest beside it. Sync
is on: a STORE or APPEND is answered when it is on the disk. Another server must be set up alike.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

USER, PASSWORD = "bench", "bench"
Row = tuple[str, str, list[float]]
PACE_SECONDS = 0.005


class Client(asyncio.Protocol):
    """A client that only looks for the end of the reply: it must cost less than the server."""

    def __init__(self) -> None:
        self.waiting: asyncio.Future[bytes] | None = None
        self.end = b""
        self.kept: list[bytes] = []
        self.tail = b""
        self.octets = 0
        self.lines = 0
        self.keep = True
        self.on_data: Callable[[bytes], None] | None = None

    @classmethod
    async def connect(cls, host: str, port: int, *, login: bool = True) -> Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, host, port)
        await client.greeting
        if login:
            await client.do(b"LOGIN " + USER.encode() + b" " + PASSWORD.encode())
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        # Some servers greet before anybody has asked.
        self.greeting = self.until(b"\r\n")

    def data_received(self, data: bytes) -> None:
        if self.on_data is not None:
            self.on_data(data)
            return
        self.octets += len(data)
        if self.keep:
            self.kept.append(data)
        else:
            self.lines += data.count(b"\n")
        self.tail = (self.tail + data)[-4096:]  # long enough for a capability list
        if self.waiting is not None and self.end in self.tail and self.tail.endswith(b"\r\n"):
            last = self.tail.rsplit(b"\r\n", 2)[-2]
            if last.startswith(self.end) or self.end == b"\r\n":
                waiting, self.waiting = self.waiting, None
                waiting.set_result(b"".join(self.kept))
                self.kept = []

    def until(self, end: bytes) -> Awaitable[bytes]:
        self.end, self.tail, self.kept = end, b"", []
        self.waiting = asyncio.get_running_loop().create_future()
        return self.waiting

    async def do(self, command: bytes, literal: bytes | None = None) -> bytes:
        reply = self.until(b"t ")
        self.transport.write(b"t " + command + b"\r\n" + (literal + b"\r\n" if literal is not None else b""))
        answer = await reply
        last = answer.rsplit(b"\r\n", 2)[-2] if answer else b"t OK"
        if not last.startswith(b"t OK"):
            raise SystemExit(f"{command[:60]!r} was answered with {last!r}")
        return answer


@contextlib.asynccontextmanager
async def server(folder: Path) -> AsyncIterator[tuple[str, int, int]]:
    """Start a server on an empty store; yield host, port and process id."""
    program = [sys.executable, "-m", "modseq"]
    data = folder / "data"
    subprocess.run(
        [*program, "user", "add", USER, "--data", data, "--password-stdin"],
        input=PASSWORD + "\n",
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    ready = folder / "ready.json"
    process = subprocess.Popen(
        [
            *program,
            "serve",
            "--data",
            data,
            "--imap",
            "127.0.0.1:0",
            "--allow-plaintext",
            "--ready-file",
            ready,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        while not ready.exists() or not ready.read_text().strip():
            if process.poll() is not None:
                raise SystemExit("the server did not start")
            await asyncio.sleep(0.05)
        told = json.loads(ready.read_text())
        imap = next(each for each in told["listeners"] if each["protocol"] == "imap")
        yield imap["host"], imap["port"], process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextlib.asynccontextmanager
async def elsewhere(address: str) -> AsyncIterator[tuple[str, int, int]]:
    """Yield a server that runs already; its process is not known."""
    host, port = address.rsplit(":", 1)
    yield host, int(port), 0


async def fill(client: Client, mailbox: bytes, count: int) -> None:
    """Bring a mailbox to `count` messages."""
    with contextlib.suppress(SystemExit):
        await client.do(b"CREATE " + mailbox)
    await client.do(b"SELECT " + mailbox)
    body = b"Subject: bench\r\n\r\n" + b"x" * 200 + b"\r\n"
    have = 0
    while have < min(count, 1000):
        await client.do(b"APPEND %b {%d+}" % (mailbox, len(body)), body)
        have += 1
    while have < count:
        step = min(have, count - have, 50_000)
        await client.do(b"UID COPY 1:%d %b" % (step, mailbox))
        have += step


def number(answer: bytes, word: bytes) -> int:
    return int(answer.split(word + b" ", 1)[1].split(b"]", 1)[0])


async def select_qresync(client: Client, other: Client, mailbox: bytes) -> float:
    """Return the seconds of a SELECT that tells ten changes, up to the tagged reply."""
    answer = await client.do(b"SELECT " + mailbox)
    validity, mod_seq = number(answer, b"[UIDVALIDITY"), number(answer, b"[HIGHESTMODSEQ")
    await client.do(b"UNSELECT")
    await other.do(b"SELECT " + mailbox)
    for place in range(1, 11):
        answer = await other.do(b"UID STORE %d +FLAGS ($Bench)" % (place * 97))
        if b"FETCH" not in answer or b"$Bench" not in answer:
            raise SystemExit("a STORE changed nothing")
        await other.do(b"UID STORE %d -FLAGS ($Bench)" % (place * 97))
    await other.do(b"UNSELECT")
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    answer = await client.do(b"SELECT %b (QRESYNC (%d %d))" % (mailbox, validity, mod_seq))
    took = time.perf_counter() - started
    if answer.count(b" FETCH (") != 10:
        raise SystemExit("ten changes were not told")
    await client.do(b"UNSELECT")
    return took


async def conditional_stores(clients: list[Client], seconds: float) -> float:
    """Return STOREs per second over all clients, each with one command under way."""
    done = 0
    until = time.perf_counter() + seconds

    async def work(client: Client, at: int) -> None:
        nonlocal done
        turn = 0
        while time.perf_counter() < until:
            turn += 1
            sign = b"+" if turn % 2 else b"-"
            await client.do(
                b"UID STORE %d (UNCHANGEDSINCE 9000000000) %bFLAGS.SILENT ($Bench%d)"
                % (at * 50 + 1 + turn // 2 % 50, sign, at)
            )
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(work(client, at) for at, client in enumerate(clients)))
    return done / (time.perf_counter() - started)


async def appends(clients: list[Client], mailbox: bytes, seconds: float) -> float:
    body = (
        b"From: a@example.org\r\nSubject: bench\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\n"
        + b"0123456789abcdef" * 250
        + b"\r\n"
    )
    done = 0
    until = time.perf_counter() + seconds

    async def work(client: Client) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await client.do(b"APPEND %b {%d+}" % (mailbox, len(body)), body)
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*map(work, clients))
    return done / (time.perf_counter() - started)


async def noop_during_store(worker: Client, other: Client, turn: int) -> list[float]:
    """Return the latencies of NOOPs in one session while another stores a flag on everything."""
    worker.keep = False
    sign = b"+" if turn % 2 == 0 else b"-"
    store = asyncio.ensure_future(worker.do(b"STORE 1:* %bFLAGS.SILENT (\\Seen)" % sign))
    latencies = []
    while not store.done():
        started = time.perf_counter()
        await other.do(b"NOOP")
        latencies.append(time.perf_counter() - started)
        await asyncio.sleep(0.001)
    await store
    worker.keep = True
    return latencies


async def paced(client: Client, commands: list[bytes], stop: asyncio.Event) -> list[float]:
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

    client.on_data = heard
    loop = asyncio.get_running_loop()
    due = loop.time()
    turn = 0
    while not stop.is_set():
        sent.append(time.perf_counter())
        client.transport.write(b"t " + commands[turn % len(commands)] + b"\r\n")
        turn += 1
        due = max(due + PACE_SECONDS, loop.time())
        await asyncio.sleep(due - loop.time())
    while sent:
        await asyncio.sleep(0.001)
    client.on_data = None
    return latencies


async def latencies_during(
    worker: Client, command: bytes, noop: Client, store: Client
) -> tuple[float, list[float], list[float]]:
    """Return how long a command took, and the latencies of NOOPs and of STOREs in two other sessions.

    They go on for two seconds after the command, while what it did is folded.
    """
    worker.keep = False
    stop = asyncio.Event()
    stores = [b"UID STORE 5 %bFLAGS.SILENT (\\Flagged)" % sign for sign in (b"+", b"-")]
    others = asyncio.gather(paced(noop, [b"NOOP"], stop), paced(store, stores, stop))
    started = time.perf_counter()
    await worker.do(command)
    took = time.perf_counter() - started
    await asyncio.sleep(2)
    stop.set()
    worker.keep = True
    return took, *await others


async def huge(worker: Client, noop: Client, store: Client, options: argparse.Namespace) -> list[Row]:
    """Run COPY, MOVE and EXPUNGE of a whole large mailbox beside two other sessions."""
    rows: list[Row] = []
    await noop.do(b"SELECT INBOX")
    await store.do(b"SELECT m100")
    with contextlib.suppress(SystemExit):
        await worker.do(b"CREATE moved")
    steps: list[tuple[str, list[bytes], bytes]] = [
        ("STORE 1:* +FLAGS", [b"SELECT big"], b"STORE 1:* +FLAGS.SILENT (\\Answered)"),
        ("COPY 1:*", [], b"COPY 1:* moved"),
        ("MOVE 1:*", [b"SELECT moved"], b"MOVE 1:* big"),
        (
            "EXPUNGE of half",
            [b"SELECT big", b"STORE 1:%d +FLAGS.SILENT (\\Deleted)" % options.large],
            b"EXPUNGE",
        ),
    ]
    for name, before, command in steps:
        for each in before:
            worker.keep = False
            await worker.do(each)
            await asyncio.sleep(2)
        took, *others = await latencies_during(worker, command, noop, store)
        label = f"{name}, {options.large:,} messages"
        rows.append((f"{label}, to tagged OK", "s", [took]))
        for kind, latencies in zip(("NOOP", "STORE"), others, strict=True):
            latencies.sort()
            for share in (0.5, 0.99, 1):
                figure = latencies[int((len(latencies) - 1) * share)] * 1e3
                rows.append((f"  {kind} of another session meanwhile, p{share * 100:g}", "ms", [figure]))
    await worker.do(b"UNSELECT")
    return rows


def resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


async def notify(host: str, port: int, mailbox: bytes, count: int) -> list[float]:
    """Return the seconds from sending a STORE to its FETCH in each of `count` idle sessions."""
    idle = [await Client.connect(host, port) for _ in range(count)]
    for client in idle:
        await client.do(b"SELECT " + mailbox)
    writer = await Client.connect(host, port)
    await writer.do(b"SELECT " + mailbox)
    arrived: list[float] = []
    done = asyncio.get_running_loop().create_future()

    def note(data: bytes) -> None:
        if b"FETCH" in data:
            arrived.append(time.perf_counter())
            if len(arrived) == count and not done.done():
                done.set_result(None)

    for client in idle:
        client.on_data = note
        client.transport.write(b"i IDLE\r\n")
    await asyncio.sleep(0.3)
    latencies = []
    for turn in range(5):
        arrived.clear()
        done = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        await writer.do(b"UID STORE 7 %bFLAGS.SILENT (\\Flagged)" % (b"+" if turn % 2 == 0 else b"-"))
        await asyncio.wait_for(done, 20)
        latencies.extend(at - started for at in arrived)
        await asyncio.sleep(0.05)
    for client in [*idle, writer]:
        client.transport.close()
    return latencies


async def run(options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    wanted = set(options.only)

    def asked(name: str) -> bool:
        return not wanted or name in wanted

    with tempfile.TemporaryDirectory(dir=options.data) as folder:
        peer = elsewhere(options.connect) if options.connect else server(Path(folder))
        async with peer as (host, port, pid):
            first = await Client.connect(host, port)
            second = await Client.connect(host, port)
            for client in (first, second):
                await client.do(b"ENABLE QRESYNC")
            sizes = {b"m100": options.messages}
            if asked("select") or asked("noop") or asked("huge"):
                sizes[b"big"] = options.large
            for mailbox, count in sizes.items():
                await fill(first, mailbox, count)
                await first.do(b"UNSELECT")
                if asked("select"):
                    await select_qresync(first, second, mailbox)
                    took = [await select_qresync(first, second, mailbox) for _ in range(4 * options.runs)]
                    rows.append(
                        (
                            f"SELECT (QRESYNC) after 10 changes, {count:,} messages",
                            "ms",
                            [each * 1e3 for each in took],
                        )
                    )
            await small(options, asked, rows, host, port, pid)
            if asked("noop"):
                await first.do(b"SELECT big")
                await second.do(b"SELECT m100")
                p99, seconds = [], []
                for turn in range(options.runs):
                    started = time.perf_counter()
                    latencies = sorted(await noop_during_store(first, second, turn))
                    seconds.append(time.perf_counter() - started)
                    p99.append(latencies[int(len(latencies) * 0.99)] * 1e3)
                rows.append((f"NOOP elsewhere during STORE 1:* on {options.large:,}, p99", "ms", p99))
                rows.append((f"STORE 1:* +FLAGS.SILENT on {options.large:,}, to tagged OK", "s", seconds))
            if asked("huge"):
                third = await Client.connect(host, port)
                rows.extend(await huge(first, second, third, options))
    return rows


async def small(
    options: argparse.Namespace, asked: Callable[[str], bool], rows: list[Row], host: str, port: int, pid: int
) -> None:
    """Run the workloads on the smaller mailbox and on new ones."""
    one = await Client.connect(host, port)
    if asked("fetch"):
        await one.do(b"SELECT m100")
        rates = []
        for _ in range(options.runs):
            one.keep, one.lines = False, 0
            started = time.perf_counter()
            await one.do(b"FETCH 1:* (UID FLAGS MODSEQ)")
            rates.append((one.lines - 1) / (time.perf_counter() - started) / 1e6)
            one.keep = True
        rows.append((f"FETCH 1:* (UID FLAGS MODSEQ), {options.messages:,}", "M messages/s", rates))
    many = [await Client.connect(host, port) for _ in range(8)]
    if asked("store"):
        for mailbox, label in ((b"m1k", "1,000"), (b"m100", f"{options.messages:,}")):
            if mailbox == b"m1k":
                await fill(one, mailbox, 1000)
            for client in many:
                await client.do(b"SELECT " + mailbox)
            for count in (1, 8):
                rates = [await conditional_stores(many[:count], options.seconds) for _ in range(options.runs)]
                rows.append(
                    (f"conditional STORE, {count} session{'s' * (count > 1)}, {label} messages", "/s", rates)
                )
            for client in many:
                await client.do(b"UNSELECT")
    if asked("append"):
        await one.do(b"CREATE appended")
        for count in (1, 8):
            rates = [await appends(many[:count], b"appended", options.seconds) for _ in range(options.runs)]
            rows.append((f"APPEND 4 KB, {count} session{'s' * (count > 1)}", "/s", rates))
    if asked("notify"):
        latencies = [each * 1e3 for each in await notify(host, port, b"m100", 100)]
        rows.append(("STORE to FETCH in 100 idle sessions", "ms", latencies))
    if asked("memory") and pid:
        await asyncio.sleep(1)
        costs = []
        for _ in range(3):
            before = resident(pid)
            idle = [await Client.connect(host, port) for _ in range(300)]
            for client in idle:
                await client.do(b"SELECT INBOX")
            await asyncio.sleep(0.5)
            costs.append((resident(pid) - before) / len(idle) / 1024)
            keepers.extend(idle)
        rows.append(("memory per idle plain session, INBOX selected", "KiB", costs))


keepers: list[Client] = []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run of STORE and APPEND")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--data", default=None, help="folder on the disk to measure")
    parser.add_argument("--connect", default=None, metavar="HOST:PORT")
    parser.add_argument(
        "--only", nargs="*", default=[], help="select fetch store append notify memory noop huge"
    )
    rows = asyncio.run(run(parser.parse_args()))
    print(f"{platform.machine()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}")
    for name, unit, values in rows:
        print(
            f"{name:<66} {statistics.median(values):10.2f} {unit:<13} ({min(values):.2f} to {max(values):.2f})"
        )


if __name__ == "__main__":
    main()
