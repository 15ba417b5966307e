"""FETCH and SEARCH end to end: a server with the memory backend in another process, a client that reads a socket.

    python bench/fetch.py [messages [words of the commands to run]]

Prints messages a second for each command (the best and the median of several runs), and how long a NOOP of
another session takes meanwhile (median and 99th percentile).
"""

import asyncio
import multiprocessing
import random
import socket
import statistics
import sys
import threading
import time

from modseq.core.mailbox_operations import INBOX
from modseq.core.message import Content, NewMessage
from modseq.core.numset import NumSet
from modseq.core.operations import Append
from modseq.core.store_flags import StoreFlags
from modseq.server import commands
from modseq.server.addresses import TcpAddress, bind
from modseq.server.auth import Authenticator, PasswordCost, hash_password
from modseq.server.connection import Doorman
from modseq.server.delivery import content_of
from modseq.server.listener import Listener
from modseq.server.service import Service
from modseq.storage.memory import MemoryStore

RUNS = 7
LAST_LINE_BYTES = 2_000
CHEAP = PasswordCost(passes=1, memory_kib=8, lanes=1)
MESSAGE = (
    b"From: Fred Foobar <foobar@example.com>\r\nTo: terry@example.org\r\nSubject: afternoon meeting\r\n"
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-Id: <B27397-0100000@example.com>\r\n\r\n"
    + b"The quick brown fox jumps over the lazy dog, and so on.\r\n"
    * 20
)
COMMANDS = (
    b"FETCH 1:* (UID FLAGS MODSEQ)",
    b"UID FETCH 1:* (FLAGS)",
    b"UID FETCH 1:* (FLAGS MODSEQ)",
    b"FETCH 1:* (FLAGS)",
    b"FETCH 1:* (UID)",
    b"FETCH 1:* (UID FLAGS RFC822.SIZE)",
    b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
    b"SEARCH ALL",
    b"SEARCH UNSEEN",
    b"UID SEARCH RETURN (ALL) UNSEEN",
    b"UID SEARCH RETURN (COUNT) KEYWORD $Work NOT SEEN LARGER 500",
    b"UID SEARCH RETURN (MIN MAX) UNSEEN",
    b'UID SEARCH RETURN (COUNT) MODSEQ "/flags/$Work" all 2',
)
SLOW_COMMANDS = (
    b"UID FETCH 1:10000 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
    b"UID FETCH 1:10000 (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])",
    b"UID FETCH 1:10000 (BODY.PEEK[])",
    b"UID SEARCH UID 1:10000 SINCE 1-Jan-2000",
    b"UID SEARCH UID 1:10000 FROM foobar",
    b"UID SEARCH UID 1:10000 BODY lazy",
)


async def serve(count, ready):
    """Fill a mailbox and serve it until the parent is gone."""
    assert commands.fetch is not None
    store = MemoryStore()
    await store.directory.add("alice", hash_password(b"secret", CHEAP))
    account = await store.account("alice")
    mailbox = account.listing().find(INBOX).mailbox_id
    content: Content = content_of(MESSAGE)
    chance = random.Random(7)
    combinations = [
        (),
        ("\\Seen",),
        ("\\Seen", "\\Answered"),
        ("\\Flagged",),
        ("\\Seen", "$Junk"),
        ("\\Seen", "$Work"),
    ]
    for first in range(0, count, 1000):
        batch = tuple(
            NewMessage(chance.choice(combinations), 800_000_000 + at, 0, 800_000_000, content)
            for at in range(first, min(first + 1000, count))
        )
        await account.commit(Append(mailbox, batch))
    for _ in range(200):
        some = NumSet(chance.sample(range(1, count + 1), count // 500))
        await account.commit(StoreFlags(mailbox, some, "+", (chance.choice(("$Work", "\\Seen")),)))
    service = Service(
        store, Authenticator(store.directory, cost=CHEAP), allow_plaintext=True, idle_poll_seconds=60
    )
    listener = Listener(bind(TcpAddress("127.0.0.1", 0)), Doorman(service, None).plain)
    await listener.start()
    ready.send((listener.address.host, listener.address.port))
    await asyncio.Event().wait()


def run_server(count, ready):
    asyncio.run(serve(count, ready))


class Client:
    """Reads as fast as a client in C would: looks only for the tagged line at the end."""

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)
        self.socket.recv(4096)
        self.ask(b"LOGIN alice secret")
        self.ask(b"SELECT INBOX")

    def ask(self, command):
        """Return how long the answer took and how many octets it had."""
        began = time.perf_counter()
        self.socket.sendall(b"t1 " + command + b"\r\n")
        size, tail = 0, b""
        while True:
            count = self.socket.recv_into(self.buffer)
            size += count
            tail = (tail + self.buffer[max(0, count - LAST_LINE_BYTES) : count])[-LAST_LINE_BYTES:]
            last = tail[:-2].rpartition(b"\r\n")[2] if tail.endswith(b"\r\n") else b""
            if last.startswith(b"t1 "):
                if not last.startswith(b"t1 OK"):
                    raise SystemExit(f"{command!r}: {last!r}")
                return time.perf_counter() - began, size


def noops(client, stop, times):
    while not stop.is_set():
        times.append(client.ask(b"NOOP")[0])
        time.sleep(0.0005)


def measure(client, other, command, count):
    client.ask(command)
    took = [client.ask(command) for _ in range(RUNS)]
    stop, times = threading.Event(), []
    thread = threading.Thread(target=noops, args=(other, stop, times))
    thread.start()
    for _ in range(2):
        client.ask(command)
    stop.set()
    thread.join()
    times.sort()
    seconds = sorted(seconds for seconds, _ in took)
    print(
        f"{command.decode():75} best {count / seconds[0] / 1e6:7.3f}  median"
        f" {count / statistics.median(seconds) / 1e6:7.3f} M/s  {took[0][1] / 1e6:8.2f} MB"
        f"   NOOP {statistics.median(times) * 1e3:6.2f} ms, p99 {times[int(len(times) * 0.99)] * 1e3:6.2f} ms"
    )


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=run_server, args=(count, there), daemon=True)
    process.start()
    address = here.recv()
    # The first session has all messages as recent, which costs it a little more.
    other, client = Client(address), Client(address)
    wanted = sys.argv[2].encode() if len(sys.argv) > 2 else b""
    for command in COMMANDS:
        if wanted in command:
            measure(client, other, command, count)
    for command in SLOW_COMMANDS:
        if wanted in command:
            measure(client, other, command, min(count, 10_000))
    process.terminate()


if __name__ == "__main__":
    main()
