"""Accepting connections of any protocol on one address; what TLS is spoken with."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable
from pathlib import Path

from modseq.limits import ACCEPTS_PER_TURN_MAX, LISTEN_BACKLOG, TLS_HANDSHAKE_SECONDS_MAX, TLS_READ_BYTES
from modseq.server.addresses import Address, address_of


class Listener:
    """
    One listening socket.

    Args:
        bound: a bound socket (`addresses.bind`); the listener closes it.
        protocol_factory: makes the protocol object of each connection.
        tls: what is spoken from the first octet; None for a protocol that speaks in the clear or upgrades
            itself. On asyncio's own loop the protocol shakes hands, so that the connection is counted before;
            uvloop loses what comes between accepting and `start_tls`, and shakes hands itself.

    """

    __slots__ = ("_bound", "_factory", "_server", "_tls", "address")

    def __init__(
        self,
        bound: socket.socket,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.address: Address = address_of(bound)
        self._bound = bound
        self._factory = protocol_factory
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if self._bound.family == socket.AF_UNIX else loop.create_server
        # asyncio accepts as many connections at once as the backlog holds; the kernel may hold more.
        tls = None if isinstance(loop, asyncio.BaseEventLoop) else self._tls
        self._server = await create(
            self._factory,
            sock=self._bound,
            backlog=ACCEPTS_PER_TURN_MAX,
            ssl=tls,
            ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS_MAX if tls is not None else None,
        )
        self._bound.listen(LISTEN_BACKLOG)

    def stop(self) -> None:
        """Accept no more; open connections go on. The socket is closed in the loop's next round."""
        if self._server is None:
            self._bound.close()
            return
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.BaseEventLoop):
            # A server that is closed drops, open, what it has accepted in this round and not yet handed on.
            loop.remove_reader(self._bound)
        loop.call_soon(self._server.close)


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """
    Return what TLS connections are made with: version 1.2 at least.

    Raises OSError or ssl.SSLError when the files cannot be used.
    """
    # asyncio gives each connection a buffer of this size; its default costs 290 KB a session.
    sslproto.SSLProtocol.max_size = TLS_READ_BYTES
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client that renegotiates costs this side the most work for the least of its own.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(certificate, key)
    return context
