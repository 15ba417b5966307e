"""How long others wait while one client is a nuisance: NOOP and STATUS of another user, timed meanwhile.

    python bench/hostile.py [messages]        (100,000 unless told)

Starts `modseq serve` on an empty embedded store in a temporary folder, fills a mailbox of one user, and runs
each workload while another user with a mailbox of 100 messages asks again and again. Prints how long the
workload took and the median, 99th percentile and maximum of the other's waits. The clients run in this
process: on a machine with two cores they take nothing from the server.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

USER, OTHER, PASSWORD = "busy", "other", "measured"
MODSEQ = (sys.executable, "-m", "modseq")
PAUSE_SECONDS = 0.001
BOMB = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: a/b; c=d\r\n\r\nx\r\n" * 100_000
)


class Client:
    """Reads up to the tagged reply and keeps nothing else."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def log_in(cls, host: str, port: int, user: str) -> Client:
        client = cls(*await asyncio.open_connection(host, port, limit=1 << 24))
        await client._reader.readline()
        await client.do(f"LOGIN {user} {PASSWORD}".encode())
        return client

    async def do(self, command: bytes, literal: bytes | None = None) -> None:
        self._writer.write(b"t " + command + b"\r\n" + (b"" if literal is None else literal + b"\r\n"))
        tail = b""
        while not (tail.endswith(b"\r\n") and tail[:-2].rpartition(b"\n")[2].startswith(b"t ")):
            piece = await self._reader.read(1 << 18)
            if not piece:
                raise SystemExit(f"{command[:60]!r}: the connection closed")
            tail = (tail + piece)[-8192:]
        last = tail[:-2].rpartition(b"\n")[2]
        if not last.startswith(b"t OK"):
            raise SystemExit(f"{command[:60]!r}: {last!r}")

    async def fill(self, count: int) -> None:
        """Bring INBOX to so many messages, by copying what is there."""
        await self.do(b"SELECT INBOX")
        body = b"Subject: one of many\r\n\r\n" + b"The quick brown fox.\r\n" * 20
        have = min(count, 500)
        for _ in range(have):
            await self.do(b"APPEND INBOX {%d+}" % len(body), body)
        while have < count:
            step = min(have, count - have)
            await self.do(b"UID COPY 1:%d INBOX" % step)
            have += step


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """Start a server with two users on an empty store; yield host and port."""
    data, ready = folder / "data", folder / "ready.json"
    for user in (USER, OTHER):
        add = [*MODSEQ, "user", "add", user, "--data", str(data), "--password-stdin"]
        subprocess.run(add, input=f"{PASSWORD}\n", text=True, check=True, stdout=subprocess.DEVNULL)
    serve = [*MODSEQ, "serve", "--data", str(data), "--imap", "127.0.0.1:0", "--allow-plaintext"]
    process = subprocess.Popen(
        [*serve, "--ready-file", str(ready), "--log-level", "error"], stdout=subprocess.DEVNULL
    )
    try:
        while not ready.exists():
            if process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.05)
        listener = json.loads(ready.read_text())["listeners"][0]
        yield listener["host"], listener["port"]
    finally:
        process.terminate()
        process.wait(20)


async def ask(client: Client, stop: asyncio.Event, waits: list[float]) -> None:
    commands = (b"NOOP", b"STATUS INBOX (MESSAGES HIGHESTMODSEQ)")
    at = 0
    while not stop.is_set():
        began = time.perf_counter()
        await client.do(commands[at % 2])
        waits.append(time.perf_counter() - began)
        at += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def measure(name: str, other: Client, work: Callable[[], Awaitable[object]]) -> None:
    stop, waits = asyncio.Event(), []
    asking = asyncio.create_task(ask(other, stop, waits))
    await asyncio.sleep(0.05)
    waits.clear()
    began = time.perf_counter()
    await work()
    took = time.perf_counter() - began
    stop.set()
    await asking
    waits.sort()
    middle, high = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    print(
        f"| {name} | {took:.2f} s | {middle * 1e3:.1f} | {high * 1e3:.1f} | {waits[-1] * 1e3:.1f} |",
        flush=True,
    )


async def guess(host: str, port: int, guessers: int, seconds: float) -> None:
    """Guess passwords on many connections, opening new ones as they are cut."""

    async def one(number: int) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readline()
                secret = base64.b64encode(f"\0user{number}\0guess".encode()).decode()
                writer.write(f"a AUTHENTICATE PLAIN {secret}\r\n".encode())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.readline(), max(0.01, until - time.perf_counter()))
            writer.close()

    await asyncio.gather(*(one(number) for number in range(guessers)))


async def trickle(host: str, port: int, count: int, seconds: float) -> None:
    """Hold many connections open before login by an octet now and then."""
    streams = [await asyncio.open_connection(host, port) for _ in range(count)]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for _, writer in streams:
            writer.write(b"x")
        await asyncio.sleep(0.1)
    for _, writer in streams:
        writer.close()


async def run(messages: int, host: str, port: int) -> None:
    client, other = [await Client.log_in(host, port, user) for user in (USER, OTHER)]
    await client.fill(messages)
    await other.fill(100)
    await client.do(b"CREATE Copies")
    commands = {
        "SEARCH TEXT needle": b"SEARCH TEXT needle",
        "SEARCH of 100 keys": b"SEARCH " + b"OR SEEN " * 99 + b"FLAGGED",
        "STORE 1:* on condition, all refused or done": b"STORE 1:* (UNCHANGEDSINCE 1) +FLAGS ($A)",
        "STORE 1:* on condition, silent": b"STORE 1:* (UNCHANGEDSINCE 999999) +FLAGS.SILENT ($B)",
        "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)": b"FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)",
        "UID FETCH of every other message": b"UID FETCH "
        + b",".join(b"%d" % uid for uid in range(1, 36_000, 2))
        + b" (FLAGS MODSEQ)",
        "COPY 1:*": b"COPY 1:* Copies",
        "LIST with 400 wildcards": b'LIST "" "' + b"%*" * 400 + b'x"',
    }
    print(f"\n{messages:,} messages\n")
    print("| meanwhile | took | others wait, ms: median | 99 % | longest |\n|---|---|---|---|---|")
    await measure("nothing", other, lambda: asyncio.sleep(2))
    for name, command in commands.items():
        await measure(name, other, lambda command=command: client.do(command))
    bomb = b"APPEND INBOX {%d+}" % len(BOMB)
    await measure("APPEND of 100,000 parts, 3.3 MB", other, lambda: client.do(bomb, BOMB))
    await measure("32 guessers of passwords", other, lambda: guess(host, port, 32, 4))
    await measure("900 strangers, an octet each now and then", other, lambda: trickle(host, port, 900, 4))


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as (host, port):
        asyncio.run(run(messages, host, port))


if __name__ == "__main__":
    main()
