"""One socket under asyncio: octets are pulled, written, and put under TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import cast

from modseq.client.errors import ConnectionFailed, ConnectionLost, TimedOut
from modseq.client.options import Options
from modseq.client.surface import keep_alive, tls_context
from modseq.limits import CLOSING_SECONDS_MAX, RECEIVE_AHEAD_BYTES_MAX


class Interrupted(Exception):
    """Another task wants the connection while this one only listens."""


class Wire(asyncio.Protocol):
    """One socket under asyncio: octets are pulled; while nobody pulls, the socket is not read for long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._received: deque[bytes] = deque()
        self._received_bytes = 0
        self._is_paused = False
        self._has_ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._gone = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Keep octets until they are pulled."""
        self._received.append(data)
        self._received_bytes += len(data)
        if self._received_bytes > RECEIVE_AHEAD_BYTES_MAX and not self._is_paused:
            assert self._transport is not None
            self._transport.pause_reading()
            self._is_paused = True
        self._wake()

    def eof_received(self) -> None:
        """Note that no more will come."""
        self._has_ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._has_ended = True
        self._error = exc
        self._may_write.set()
        self._gone.set()
        self._wake()

    def pause_writing(self) -> None:
        """Let senders wait."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._may_write.set()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what the client calls ---

    def interrupt(self) -> None:
        """Make who waits for octets stop waiting: somebody else wants the connection."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Interrupted())

    async def receive(self, seconds: float | None) -> bytes | None:
        """Return what came, b"" at the end, None after so many seconds of silence."""
        if not self._received and not self._has_ended:
            # Not asyncio.wait_for: under Python 3.11 it forgets a cancellation that comes together with octets.
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = None if seconds is None else loop.call_later(seconds, self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
            if not self._received and not self._has_ended:
                return None
        if not self._received:
            if self._error is not None:
                raise ConnectionLost(f"the connection broke: {self._error}") from self._error
            return b""
        data = self._received.popleft()
        self._received_bytes -= len(data)
        if self._is_paused and not self._received and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    async def send(self, data: bytes) -> None:
        """Write octets, waiting where the other side reads slowly."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost("the connection is closed")
        self._transport.write(data)
        if not self._may_write.is_set():
            try:
                async with asyncio.timeout(self._seconds):
                    await self._may_write.wait()
            except TimeoutError:
                raise TimedOut(f"the server read nothing for {self._seconds:g} s") from None

    def send_in_passing(self, data: bytes) -> None:
        """Write a few octets and wait for nothing: whoever sends them is on the way out."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on under TLS; what came in the clear before is forgotten."""
        assert self._transport is not None
        self._received.clear()
        self._received_bytes = 0
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(self._transport, self, context, server_hostname=host)
        except BaseException:
            self._gone.set()  # asyncio closes the transport without a word to us.
            raise
        self._transport = cast(asyncio.Transport, transport)

    def close(self) -> None:
        """Close after what was written went out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """
        Return when nothing of the connection is left, so that the loop may end.

        Under TLS the other side has a last word; one that never says it is cut.
        """
        try:
            async with asyncio.timeout(CLOSING_SECONDS_MAX):
                await self._gone.wait()
        except TimeoutError:
            self.abort()
        # The transport closes its socket in the step after it told us.
        await asyncio.sleep(0)

    def keep_alive(self) -> None:
        """Let the kernel find out dead connections too."""
        assert self._transport is not None
        keep_alive(self._transport.get_extra_info("socket"))


async def open_wire(options: Options) -> Wire:
    """Connect. Raises ConnectionFailed."""
    context = tls_context(options) if options.tls == "implicit" else None
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(options.seconds):
            _, wire = await loop.create_connection(
                lambda: Wire(options.seconds),
                options.host,
                options.port,
                ssl=context,
                server_hostname=options.host if context is not None else None,
            )
    except OSError as error:
        # Where TLS failed there is a socket, which asyncio closes in its next step.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        raise ConnectionFailed(
            f"no connection to {options.host}:{options.port}: {error or 'timed out'}"
        ) from error
    wire.keep_alive()
    return wire


async def secure_wire(wire: Wire, options: Options) -> None:
    """Go on under TLS. Raises ConnectionFailed."""
    try:
        async with asyncio.timeout(options.seconds):
            await wire.start_tls(tls_context(options), options.host)
    except OSError as error:
        raise ConnectionFailed(f"no TLS with {options.host}: {error or 'timed out'}") from error
