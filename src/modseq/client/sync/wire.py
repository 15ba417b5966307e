"""One blocking socket: octets are pulled, written, and put under TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from modseq.client.errors import ConnectionFailed, ConnectionLost, TimedOut
from modseq.client.options import Options
from modseq.client.surface import keep_alive, tls_context
from modseq.limits import RECEIVE_BYTES


def sleep(seconds: float) -> None:
    """Wait so long."""
    threading.Event().wait(seconds)


class Wire:
    """A socket that waits no longer than it is told to."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._socket = sock
        self._seconds = seconds

    def receive(self, seconds: float | None) -> bytes | None:
        """Return what came, b"" at the end, None after so many seconds of silence."""
        try:
            self._socket.settimeout(seconds)
            return self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            return None
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"the connection broke: {error}") from error

    def send(self, data: bytes) -> None:
        """Write octets, waiting where the other side reads slowly."""
        try:
            self._socket.settimeout(self._seconds)
            self._socket.sendall(data)
        except TimeoutError:
            raise TimedOut(f"the server read nothing for {self._seconds:g} s") from None
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"the connection broke: {error}") from error

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on under TLS."""
        self._socket.settimeout(self._seconds)
        self._socket = context.wrap_socket(self._socket, server_hostname=host)

    def close(self) -> None:
        """Close."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def abort(self) -> None:
        """Close at once."""
        self.close()


def open_wire(options: Options) -> Wire:
    """Connect. Raises ConnectionFailed."""
    sock: socket.socket | None = None
    try:
        sock = socket.create_connection((options.host, options.port), timeout=options.seconds)
        keep_alive(sock)
        if options.tls == "implicit":
            sock = tls_context(options).wrap_socket(sock, server_hostname=options.host)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise ConnectionFailed(
            f"no connection to {options.host}:{options.port}: {error or 'timed out'}"
        ) from error
    return Wire(sock, options.seconds)


def secure_wire(wire: Wire, options: Options) -> None:
    """Go on under TLS. Raises ConnectionFailed."""
    try:
        wire.start_tls(tls_context(options), options.host)
    except OSError as error:
        raise ConnectionFailed(f"no TLS with {options.host}: {error or 'timed out'}") from error
