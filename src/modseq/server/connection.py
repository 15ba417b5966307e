"""One IMAP connection: octets in and out, how much of them, and for how long."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from typing import ClassVar, cast

from modseq import clock
from modseq.limits import (
    AHEAD_BEFORE_LOGIN_BYTES_MAX,
    BEFORE_LOGIN_SECONDS_MAX,
    CLOSE_SECONDS_MAX,
    CONNECTIONS_BEFORE_LOGIN_MAX,
    CONNECTIONS_PER_ADDRESS_MAX,
    IDLE_BEFORE_LOGIN_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    LOGIN_DELAY_SECONDS_MAX,
    OUTPUT_AHEAD_BYTES_MAX,
    READ_AHEAD_BYTES_MAX,
    READ_BUFFER_BYTES,
    TLS_HANDSHAKE_SECONDS_MAX,
)
from modseq.server.addresses import network_of, peer_name
from modseq.server.output import Output
from modseq.server.service import Service
from modseq.server.session import Session
from modseq.wire.messages import status_response

_log = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 0.01
_ROUNDS_UNTIL_MADE = 4
"""Rounds of the event loop, with one to spare, from accepting a connection until its protocol knows of it."""


class Doorman:
    """
    Knows all IMAP connections of a process, and how many there may be.

    Strangers are bounded together: where one too many comes, the one that has been silent in the door
    for longest is sent away, so that a flood cannot keep others out. Connections of one address are
    bounded apart.

    Attributes:
        service: what the sessions share.
        read_buffer: where all sockets are read into; emptied before the next one is read.

    """

    __slots__ = (
        "_per_address",
        "_strangers",
        "connections",
        "idle_seconds_max",
        "login_seconds_max",
        "per_address_max",
        "read_buffer",
        "service",
        "stranger_seconds_max",
        "strangers_max",
        "tls",
    )

    def __init__(
        self,
        service: Service,
        tls: ssl.SSLContext | None = None,
        *,
        strangers_max: int = CONNECTIONS_BEFORE_LOGIN_MAX,
        per_address_max: int = CONNECTIONS_PER_ADDRESS_MAX,
        idle_seconds_max: float = IDLE_SECONDS_MAX,
        stranger_seconds_max: float = IDLE_BEFORE_LOGIN_SECONDS_MAX,
        login_seconds_max: float = BEFORE_LOGIN_SECONDS_MAX,
    ) -> None:
        self.service = service
        self.tls = tls
        self.read_buffer = memoryview(bytearray(READ_BUFFER_BYTES))
        self.strangers_max = strangers_max
        self.per_address_max = per_address_max
        self.idle_seconds_max = idle_seconds_max
        self.stranger_seconds_max = stranger_seconds_max
        self.login_seconds_max = login_seconds_max
        self.connections: set[Connection] = set()
        self._strangers: dict[Connection, None] = {}
        self._per_address: Counter[str] = Counter()

    def plain(self) -> Connection:
        """Make the protocol of a connection that begins in the clear."""
        return Connection(self, is_secure=False)

    def secure(self) -> Connection:
        """Make the protocol of a connection of a listener that speaks TLS itself."""
        return Connection(self, is_secure=True)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; return False if its address has too many."""
        network = network_of(connection.peer)
        self.connections.add(connection)
        self._per_address[network] += 1
        self._strangers[connection] = None
        if len(self._strangers) > self.strangers_max:
            next(iter(self._strangers)).cut("Too many connections wait for a login")
        return self._per_address[network] <= self.per_address_max

    def is_stranger(self, connection: Connection) -> bool:
        """Return whether a connection has not logged in."""
        return connection in self._strangers

    def introduced(self, connection: Connection) -> None:
        """Note that a connection has logged in."""
        self._strangers.pop(connection, None)

    def left(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self._strangers.pop(connection, None)
        network = network_of(connection.peer)
        self._per_address[network] -= 1
        if self._per_address[network] <= 0:
            del self._per_address[network]

    async def send_home(self, reason: str, seconds_max: float) -> None:
        """Say BYE to everybody, behind their running commands; after `seconds_max` break off the rest."""
        for _ in range(_ROUNDS_UNTIL_MADE):
            await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.cut(reason)
        deadline = clock.monotonic_seconds() + seconds_max
        while (  # noqa: ASYNC110 -- once in a process's life
            any(each.is_working for each in self.connections) and clock.monotonic_seconds() < deadline
        ):
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        await self.service.finish_background()
        broken_off: set[Connection] = set()
        # asyncio reports the last losses, and perhaps a last arrival, in its next rounds.
        while self.connections:
            for connection in self.connections - broken_off:
                connection.break_off()
                broken_off.add(connection)
            await asyncio.sleep(0)


class Connection(asyncio.BufferedProtocol):
    """
    The transport side of one session.

    An idle connection holds no buffer, no task and one timer.

    Attributes:
        session_class: what is made for each client that is greeted.

    """

    session_class: ClassVar[type[Session]] = Session

    __slots__ = (
        "_doorman",
        "_handshake",
        "_heard_seconds",
        "_is_closing",
        "_is_lost",
        "_is_reading",
        "_is_secure",
        "_made_seconds",
        "_out",
        "_seconds_max",
        "_session",
        "_timer",
        "_transport",
        "peer",
    )

    def __init__(self, doorman: Doorman, *, is_secure: bool) -> None:
        self._doorman = doorman
        self._is_secure = is_secure
        self._is_reading = True
        self._is_closing = False
        self._seconds_max = doorman.stranger_seconds_max
        self._is_lost = False
        self._made_seconds = self._heard_seconds = clock.monotonic_seconds()
        self._handshake: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._session: Session | None = None
        self._transport: asyncio.Transport | None = None
        self._out: Output | None = None
        self.peer = "local"

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in and greet it, where the listener speaks TLS behind the handshake.

        Event loops other than asyncio's shake hands themselves before they call this.
        """
        raw = cast("asyncio.Transport", transport)
        self._transport = raw
        self.peer = peer_name(raw.get_extra_info("peername"))
        may_stay = self._doorman.admit(self)
        self._look_at_clock()
        if not self._is_secure or raw.get_extra_info("sslcontext") is not None:
            self._speak_through(raw)
            if may_stay:
                self._greet()
            else:
                self.cut("Too many connections from this address")
        elif may_stay:
            raw.pause_reading()
            self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(raw))
        else:
            raw.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- the buffer has one size
        """Lend the process's one buffer: it is emptied before anything else is read."""
        return self._doorman.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read; stop reading while the session has enough to do."""
        session = self._session
        if session is None or self._is_closing:
            return
        self._heard_seconds = clock.monotonic_seconds()
        session.receive(bytes(self._doorman.read_buffer[:nbytes]))
        if session.is_working and session.framer.buffered_bytes > self._read_ahead and self._is_reading:
            self._is_reading = False
            assert self._transport is not None
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Let running commands have their replies; keep the connection open that long."""
        if self._session is None or self._is_closing:
            return False
        self._session.input_ended()
        return not self._is_secure and self._session.is_working

    def pause_writing(self) -> None:
        """Note that the client reads slowly."""
        if self._out is not None:
            self._out.pause()

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        if self._out is not None:
            self._out.resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- how it ended is the same to us
        """Let go of everything."""
        if self._is_lost:
            return
        self._is_lost = True
        if self._timer is not None:
            self._timer.cancel()
        if self._out is not None:
            self._out.lost()
        if self._session is not None:
            self._session.disconnected()
            self._doorman.service.left(self._session)
        self._doorman.left(self)
        self._transport = None

    # --- what the session calls ---

    async def start_tls(self) -> None:
        """Encrypt the connection; raises OSError (ssl.SSLError too) when the handshake fails."""
        assert self._transport is not None
        self._speak_through(await self._encrypted(self._transport))
        self._is_secure = True
        self._is_reading = True

    def caught_up(self) -> None:
        """Read the socket again."""
        if not self._is_reading and self._transport is not None and not self._is_closing:
            session = self._session
            if session is not None and session.framer.buffered_bytes <= self._read_ahead:
                self._is_reading = True
                self._transport.resume_reading()

    def logged_in(self) -> None:
        """Allow the longer silence and the larger buffers of somebody known."""
        self._doorman.introduced(self)
        assert self._transport is not None
        self._transport.set_write_buffer_limits(high=OUTPUT_AHEAD_BYTES_MAX)
        self._seconds_max = self._doorman.idle_seconds_max
        self._look_at_clock()

    def close(self) -> None:
        """
        Close after what was said has been read.

        Where the transport can, only the sending side is closed and the rest of the input is dropped:
        closing a socket with unread input makes the kernel throw away the last words.
        """
        if self._transport is None or self._is_closing:
            return
        assert self._out is not None
        self._is_closing = True
        self._out.flush()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS_MAX, self.abort)
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:
            # The client was faster: it has reset the connection.
            self.abort()
            return
        if not self._is_reading:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once."""
        if self._out is not None:
            self._out.abort()
        elif self._transport is not None:
            # The handshake may not have begun, or not be told that its connection is gone.
            if self._handshake is not None:
                self._handshake.cancel()
            self._transport.abort()
            asyncio.get_running_loop().call_soon(self.connection_lost, None)

    # --- what the doorman and the server call ---

    @property
    def is_working(self) -> bool:
        """Whether a command runs, or last words were not yet handed to the kernel."""
        if self._session is not None and self._session.is_working:
            return True
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def cut(self, reason: str) -> None:
        """Say BYE and close; for a session that runs a command, behind its reply."""
        self._doorman.introduced(self)
        if self._session is not None:
            self._session.stop(reason)
        elif self._out is not None:
            self._out.write(status_response(None, "BYE", reason, b"UNAVAILABLE"))
            self.close()
        else:
            # Nothing can be said before the handshake ends.
            self.abort()

    def break_off(self) -> None:
        """End the session without waiting for its command."""
        if self._session is not None:
            self._session.cancel()
        self.abort()

    # --- within ---

    @property
    def _read_ahead(self) -> int:
        """How many octets of input may wait for their turn."""
        is_stranger = self._doorman.is_stranger(self)
        return AHEAD_BEFORE_LOGIN_BYTES_MAX if is_stranger else READ_AHEAD_BYTES_MAX

    def _speak_through(self, transport: asyncio.Transport) -> None:
        """Send what is said through a transport from now on."""
        self._transport = transport
        transport.set_write_buffer_limits(high=AHEAD_BEFORE_LOGIN_BYTES_MAX)
        if self._out is None:
            self._out = Output(transport)
        else:
            self._out.use_transport(transport)

    async def _encrypted(self, transport: asyncio.Transport) -> asyncio.Transport:
        """Return the transport under TLS; raises OSError (ssl.SSLError too) when the handshake fails."""
        assert self._doorman.tls is not None
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._doorman.tls,
                server_side=True,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS_MAX,
            )
            if encrypted is None or self._is_lost:
                raise ConnectionResetError("the client left during the handshake")
        except (OSError, asyncio.CancelledError):
            # Event loops do not report the loss of a connection whose handshake never ended.
            transport.abort()
            self.connection_lost(None)
            raise
        return encrypted

    async def _shake_hands(self, raw: asyncio.Transport) -> None:
        """Begin TLS on a connection of a listener that speaks it from the first octet, then greet."""
        try:
            encrypted = await self._encrypted(raw)
        except OSError as error:
            _log.info("TLS handshake failed", extra={"address": self.peer, "error": str(error)})
            return
        finally:
            self._handshake = None
        self._speak_through(encrypted)
        self._greet()

    def _greet(self) -> None:
        assert self._out is not None
        self._session = self.session_class(
            self._doorman.service, self, self._out, peer=self.peer, is_secure=self._is_secure
        )
        self._doorman.service.sessions.add(self._session)
        self._session.greet()

    def _made_too_long_ago(self, now: float) -> bool:
        """Return whether a stranger has had far more time to log in than anybody may have."""
        limit = self._doorman.login_seconds_max + LOGIN_DELAY_SECONDS_MAX
        return self._doorman.is_stranger(self) and now - self._made_seconds > limit

    def _look_at_clock(self) -> None:
        """End a session that was silent for too long; else look again when it could have been."""
        if self._is_closing:
            return
        if self._timer is not None:
            self._timer.cancel()
        now = clock.monotonic_seconds()
        left = self._heard_seconds + self._seconds_max - now
        reason = "Silent for too long"
        if self._doorman.is_stranger(self):
            left_for_login = self._made_seconds + self._doorman.login_seconds_max - now
            if left_for_login < left:
                left, reason = left_for_login, "Not logged in for too long"
        session = self._session
        if left <= 0 and (session is None or not session.is_busy):
            self.cut(reason)
            return
        if self._made_too_long_ago(now):
            # Busy all the time: it asks and reads no answer.
            self.abort()
            return
        loop = asyncio.get_running_loop()
        pause = left if left > 0 else min(self._seconds_max, LOGIN_DELAY_SECONDS_MAX)
        self._timer = loop.call_later(pause, self._look_at_clock)
