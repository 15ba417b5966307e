"""What workloads stand on: one server, its filled mailboxes, and connections to it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from modseq.bench.connection import BenchFailed, Connection
from modseq.bench.peers import PASSWORD, USER, Peer

_COPIED_AT_ONCE_MAX = 50_000
_SMALL = b"Subject: bench\r\n\r\n" + b"x" * 200 + b"\r\n"


@dataclass(frozen=True, slots=True)
class Sizes:
    """
    How much is measured.

    Attributes:
        seconds: length of one run of a workload that counts operations.
        small, medium, large: messages of the mailboxes.

    """

    seconds: float
    small: int
    medium: int
    large: int


class Ground:
    """One server under measurement."""

    def __init__(self, peer: Peer, sizes: Sizes) -> None:
        self.peer = peer
        self.sizes = sizes
        self.turn = 0
        """Grows with every run, so that no run finds its changes made already."""
        self._filled: set[bytes] = set()
        self._connections: dict[str, list[Connection]] = {}

    async def connect(self) -> Connection:
        """Open a connection of its own, logged in."""
        return await Connection.open(self.peer.host, self.peer.port, USER, PASSWORD)

    async def connections(self, purpose: str, count: int) -> list[Connection]:
        """Return connections that are kept for a purpose."""
        kept = self._connections.setdefault(purpose, [])
        while len(kept) < count:
            kept.append(await self.connect())
        return kept[:count]

    async def offers(self, capability: str) -> bool:
        """Return whether the server offers a capability."""
        (first,) = await self.connections("look", 1)
        return capability.upper().encode() in first.capabilities

    async def filled(self, count: int, body: bytes = _SMALL, name: str = "") -> bytes:
        """Return a mailbox of so many messages, filled by doubling it with COPY when it is first asked for."""
        mailbox = (name or f"bench{count}").encode()
        if mailbox in self._filled:
            return mailbox
        (first,) = await self.connections("fill", 1)
        with contextlib.suppress(BenchFailed):
            await first.do(b"CREATE " + mailbox)
        answer = await first.do(b"SELECT " + mailbox)
        have = int(answer.partition(b" EXISTS")[0].rpartition(b" ")[2])
        while have < min(count, 1000):
            await first.do(b"APPEND %b {%d+}" % (mailbox, len(body)), body)
            have += 1
        while have < count:
            step = min(have, count - have, _COPIED_AT_ONCE_MAX)
            await first.do(b"UID COPY 1:%d %b" % (step, mailbox))
            have += step
        await first.do(b"UNSELECT")
        self._filled.add(mailbox)
        return mailbox

    async def close(self) -> None:
        """Close all connections."""
        for kept in self._connections.values():
            for each in kept:
                each.close()
        self._connections.clear()
