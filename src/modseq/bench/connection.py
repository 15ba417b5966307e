"""A client that costs less than any server: it looks for the end of a reply and for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from modseq.limits import BENCH_REPLY_SECONDS_MAX

_TAG = b"t "
_TAIL_BYTES = 4096
"""Long enough for a tagged line: some servers tell all their capabilities in the reply to LOGIN."""


class BenchFailed(Exception):
    """A server did not do what a workload needs; the text is one sentence."""


class Connection(asyncio.Protocol):
    """
    One connection, with one command under way at a time.

    Attributes:
        keeps_replies: False to count lines only, for replies of many megabytes.
        lines: lines that came while replies were not kept.
        on_data: takes what comes unasked, in place of everything else.
        capabilities: in capitals, after login.

    """

    def __init__(self) -> None:
        self.keeps_replies = True
        self.lines = 0
        self.on_data: Callable[[bytes], None] | None = None
        self.capabilities: frozenset[bytes] = frozenset()
        self._end = b""
        self._tail = b""
        self._kept: list[bytes] = []
        self._waiting: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, host: str, port: int, user: str, password: str) -> Connection:
        """Connect, wait for the greeting, and log in."""
        connection = await cls.greeted(host, port)
        await connection.do(b"LOGIN %b %b" % (user.encode(), password.encode()))
        words = (await connection.do(b"CAPABILITY")).partition(b"* CAPABILITY ")[2].partition(b"\r\n")[0]
        connection.capabilities = frozenset(words.upper().split())
        return connection

    @classmethod
    async def greeted(cls, host: str, port: int) -> Connection:
        """Connect and wait for the greeting."""
        connection = cls()
        # Some servers greet before anybody could ask what they said.
        greeting = connection._until(b"* ")
        await asyncio.get_running_loop().create_connection(lambda: connection, host, port)
        await asyncio.wait_for(greeting, BENCH_REPLY_SECONDS_MAX)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Look whether the reply is complete."""
        if self.on_data is not None:
            self.on_data(data)
            return
        if self.keeps_replies:
            self._kept.append(data)
        else:
            self.lines += data.count(b"\n")
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        if self._waiting is None or not self._tail.endswith(b"\r\n"):
            return
        last = self._tail[:-2].rpartition(b"\r\n")[2]
        if last.startswith(self._end):
            waiting, self._waiting = self._waiting, None
            if not waiting.done():
                waiting.set_result(b"".join(self._kept) if self.keeps_replies else last + b"\r\n")
            self._kept = []

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        assert self._transport is not None
        self._transport.write(octets)

    async def do(self, command: bytes, literal: bytes | None = None) -> bytes:
        """
        Send a command and return its whole reply; not kept, only its last line.

        Args:
            literal: octets behind the command, which announces them as `{n+}`; servers without LITERAL+
                are not measured.

        Raises BenchFailed for NO and BAD.

        """
        reply = self._until(_TAG)
        self.send(_TAG + command + b"\r\n" + (b"" if literal is None else literal + b"\r\n"))
        answer = await reply
        last = answer[:-2].rpartition(b"\r\n")[2]
        if not last.startswith(b"t OK"):
            word = command.split(b" ", 1)[0].decode("ascii", "replace")
            raise BenchFailed(f"{word} was answered with: {last.decode('utf-8', 'replace')}")
        return answer

    def _until(self, end: bytes) -> asyncio.Future[bytes]:
        self._end, self._tail, self._kept = end, b"", []
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def close(self) -> None:
        """Close the connection without a word."""
        if self._transport is not None:
            self._transport.close()
