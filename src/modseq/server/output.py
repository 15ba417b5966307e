"""What goes to one client: collected, sent in pieces, never far ahead of what the client reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from modseq.limits import OUTPUT_PIECE_BYTES, WRITE_STALL_SECONDS_MAX


class ClientGone(Exception):
    """The connection is lost; whatever was being said to it may stop."""


class Output:
    """
    The response side of one connection.

    `write` collects. Handlers that say much `await drain()` between responses: it sends what was
    collected and waits while the client reads slowly. A client that reads nothing for
    WRITE_STALL_SECONDS_MAX is cut.
    """

    __slots__ = (
        "_chunks",
        "_is_flush_due",
        "_paused",
        "_since_breath",
        "_size",
        "_transport",
        "_waiter",
        "is_lost",
        "is_torn",
    )

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._chunks: list[bytes] = []
        self._size = 0
        self._since_breath = 0
        self._paused = False
        self._is_flush_due = False
        self._waiter: asyncio.Future[None] | None = None
        self.is_lost = False
        """The connection is gone; writes are dropped, `drain` raises ClientGone."""
        self.is_torn = False
        """A response broke off in its middle: nothing that follows would be understood."""

    # --- the session's side ---

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Say `data` as it stands: one or more whole responses, or a piece of one inside `response`."""
        if self.is_lost:
            return
        self._chunks.append(bytes(data))
        self._size += len(data)
        self._since_breath += len(data)
        if self._size >= OUTPUT_PIECE_BYTES and not self._paused:
            self.flush()

    def untagged(self, text: bytes) -> None:
        """Say one untagged response; `text` is what stands between `* ` and the line end."""
        self.write(b"* " + text + b"\r\n")

    @contextmanager
    def response(self) -> Iterator[None]:
        """
        Enclose the writes of one response that takes several, with awaits between them.

        An error inside leaves half a response on the wire; the session then closes the connection,
        since the client could not find the end of it.
        """
        try:
            yield
        except BaseException:
            self.is_torn = True
            raise

    def flush(self) -> None:
        """Hand what was collected to the transport."""
        self._is_flush_due = False
        if not self._chunks:
            return
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if not self.is_lost:
            self._transport.write(data)

    def flush_soon(self) -> None:
        """
        Send what was collected when the running task next waits for anything.

        Replies to pipelined commands so share one packet, unless one of the commands takes time.
        """
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    async def drain_if_full(self) -> None:
        """
        Let others run, and wait for this client if it is far behind: between the pieces of a long answer.

        Does nothing until enough was written to be worth it.
        """
        if self._paused or self.is_lost:
            await self.drain()
        elif self._since_breath >= OUTPUT_PIECE_BYTES:
            self._since_breath = 0
            await asyncio.sleep(0)

    async def drain(self) -> None:
        """
        Send what was collected; return when the client has read enough of it.

        Raises ClientGone when the connection is lost, also by cutting one that does not read.
        """
        self.flush()
        if self.is_lost:
            raise ClientGone
        if not self._paused:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(WRITE_STALL_SECONDS_MAX):
                await self._waiter
        except TimeoutError:
            self.abort()
        finally:
            self._waiter = None
        if self.is_lost:
            raise ClientGone

    def abort(self) -> None:
        """Close at once and drop what was not sent."""
        self._chunks.clear()
        self._size = 0
        self.lost()
        self._transport.abort()

    # --- the listener's side ---

    def use_transport(self, transport: asyncio.WriteTransport) -> None:
        """Speak through another transport from now on: STARTTLS."""
        self._transport = transport

    def pause(self) -> None:
        """Note that the client does not read as fast as it is told."""
        self._paused = True

    def resume(self) -> None:
        """Note that the client has caught up."""
        self._paused = False
        self._wake()

    def lost(self) -> None:
        """Note that the connection is gone."""
        self.is_lost = True
        self._chunks.clear()
        self._size = 0
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
