"""A server's end of a connection that exists only in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class MemoryTransport(asyncio.Transport):
    """
    Keeps what the server says; `write_limit` makes it a client that reads slowly.

    Attributes:
        said: octets that were said and not yet taken by `take`.
        is_closed: nothing more will be said.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, peer: str) -> None:
        super().__init__(extra={"peername": (peer, 1)})
        self._loop = loop
        self._protocol = protocol
        self._high = 65_536
        self._is_paused = False
        self._is_reading = True
        self._is_lost = False
        self._heard: list[bytes] = []
        self.said = bytearray()
        self.is_closed = False
        self.on_change: Callable[[], None] = lambda: None

    # --- what the server calls ---

    def set_write_buffer_limits(self, high=None, low=None):
        self._high = 65_536 if high is None else high

    def get_write_buffer_size(self):
        return 0

    def can_write_eof(self):
        return True

    def is_closing(self):
        return self.is_closed

    def write(self, data):
        if self.is_closed:
            return
        self.said += data
        if len(self.said) > self._high and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()
        self.on_change()

    def writelines(self, list_of_data):
        self.write(b"".join(list_of_data))

    def write_eof(self):
        self.is_closed = True
        self.on_change()

    def close(self):
        self.abort()

    def abort(self):
        """Close both directions; the protocol learns of it in the loop's next round."""
        self.is_closed = True
        if not self._is_lost:
            self._is_lost = True
            self._loop.call_soon(self._protocol.connection_lost, None)
        self.on_change()

    def pause_reading(self):
        self._is_reading = False

    def resume_reading(self):
        self._is_reading = True
        self._loop.call_soon(self._deliver)

    # --- what the other end does ---

    def take(self, count: int | None = None) -> bytes:
        """Take octets as a client reads them."""
        octets = bytes(self.said if count is None else self.said[:count])
        del self.said[: len(octets)]
        if self._is_paused and not self.said:
            self._is_paused = False
            if not self._is_lost:
                self._loop.call_soon(self._protocol.resume_writing)
        return octets

    def feed(self, octets: bytes) -> None:
        """Let the server hear octets."""
        if octets:
            self._heard.append(octets)
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        while self._heard and self._is_reading and not self._is_lost:
            octets = self._heard.pop(0)
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                room = self._protocol.get_buffer(len(octets))
                now, rest = octets[: len(room)], octets[len(room) :]
                room[: len(now)] = now
                if rest:
                    self._heard.insert(0, rest)
                self._protocol.buffer_updated(len(now))
            else:
                self._protocol.data_received(octets)

    def hang_up(self) -> None:
        """Break the connection: nothing that was said and not yet taken arrives."""
        self.said.clear()
        self._heard.clear()
        self.abort()
