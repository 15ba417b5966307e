"""One connection to the server under test, and how to get another: bounded, patient for so long, all noted."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

from modseq import clock
from modseq.check.response import Response, read_response
from modseq.limits import CHECK_LITERAL_BYTES_MAX, CHECK_RESPONSE_BYTES_MAX
from modseq.wire.response_framing import LiteralChunk, ResponseBroken, ResponseFramer

_READ_BYTES = 65_536
_QUOTABLE = re.compile(rb"[\x20-\x7e]*")
"""What a quoted string may hold; anything else goes as a literal (RFC 3501 section 4.3)."""


class ServerClosed(Exception):
    """The server closed the connection."""


class ServerSilent(Exception):
    """Nothing came in the time that was allowed."""


class ServerBroke(Exception):
    """What came is no IMAP: a line without end, an endless literal."""


@dataclass(slots=True)
class Line:
    """One thing that was said: `who` is "C" or "S", `connection` its number in the case."""

    connection: int
    who: str
    text: str

    def __str__(self) -> str:
        number = str(self.connection) if self.connection != 1 else ""
        return f"{self.who}{number}: {shown(self.text)}"


def shown(text: str) -> str:
    """Return text as it can be printed: one line, no control characters."""
    text = text.encode("latin-1", "replace").decode("utf-8", "backslashreplace")
    return "".join(
        each if each.isprintable() else {"\r": "\\r", "\n": "\\n"}.get(each, f"\\x{ord(each):02x}")
        for each in text
    )


@dataclass(frozen=True)
class Target:
    """
    The server under test.

    Attributes:
        user, password: octets, each as the character of its number.
        security: "none", "tls" (from the first octet) or "starttls".
        seconds_max: how long an answer may take.

    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    security: str = "none"
    verify: bool = True
    seconds_max: float = 10.0

    def open(self, *, number: int = 1) -> Connection:
        """
        Return a new connection, its greeting read, TLS begun where wanted; not logged in.

        Raises: OSError, ServerClosed, ServerSilent.
        """
        connected = socket.create_connection((self.host, self.port), self.seconds_max)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.security == "tls":
            connected = self._context().wrap_socket(connected, server_hostname=self.host)
        connection = Connection(connected, number, self.seconds_max)
        try:
            connection.greeting = connection.read()
            if self.security == "starttls":
                connection.start_tls(self._context(), self.host)
        except BaseException:
            connection.close()
            raise
        return connection

    def login(self, *, number: int = 1, transcript: list[Line] | None = None) -> Connection:
        """
        Return a new connection that is logged in. The log shows no password.

        Raises: OSError, ServerClosed, ServerSilent, LoginRefused.
        """
        connection = self.open(number=number)
        try:
            connection.log_in(self.user, self.password)
            connection.transcript = transcript if transcript is not None else []
        except BaseException:
            connection.close()
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class LoginRefused(Exception):
    """The server did not let the user in; the text is its answer."""


class Connection:
    """A socket, responses one by one, and a log of all that was said."""

    def __init__(self, connected: socket.socket, number: int, seconds_max: float) -> None:
        self.number = number
        self.transcript: list[Line] = []
        self.seconds_max = seconds_max
        self.capabilities: frozenset[str] = frozenset()
        self.greeting: Response | None = None
        self._socket = connected
        self._framer = ResponseFramer(CHECK_RESPONSE_BYTES_MAX)
        self._raw = bytearray()
        self._tags = 0

    # --- saying ---

    def send_octets(self, octets: bytes) -> None:
        """
        Send octets as they are.

        Raises: ServerClosed.
        """
        self._socket.settimeout(self.seconds_max)
        try:
            self._socket.sendall(octets)
        except TimeoutError as error:
            raise ServerSilent("the server reads nothing more") from error
        except OSError as error:
            raise ServerClosed(str(error)) from error

    def send(self, text: str, literals: tuple[bytes, ...] = ()) -> list[Response]:
        """
        Send a command; each `{{}}` in it is replaced by the next literal, sent when the server asks for it.

        Returns: what came before the server asked for the last literal; empty without literals.
        """
        pieces = text.split("{{}}")
        assert len(pieces) == len(literals) + 1
        came: list[Response] = []
        self.transcript.append(Line(self.number, "C", text.replace("{{}}", "{...}")))
        waits = "LITERAL+" not in self.capabilities
        out = b""
        for piece, literal in zip(pieces, literals, strict=False):
            out += piece.encode("latin-1", "replace") + b"{%d%b}\r\n" % (len(literal), b"" if waits else b"+")
            if waits:
                self.send_octets(out)
                out = b""
                while True:
                    answer = self.read()
                    came.append(answer)
                    if answer.tag == "+":
                        break
                    if answer.tag != "*":
                        return came
            out += literal
        self.send_octets(out + pieces[-1].encode("latin-1", "replace") + b"\r\n")
        return [each for each in came if each.tag != "+"]

    # --- hearing ---

    def read(self, seconds_max: float | None = None) -> Response:
        """
        Return the next response, its literals with it.

        Raises: ServerSilent, ServerClosed, ServerBroke.
        """
        until = clock.monotonic_seconds() + (self.seconds_max if seconds_max is None else seconds_max)
        try:
            raw = self._read_raw(until)
        except ResponseBroken as error:
            raise ServerBroke(str(error)) from error
        text = raw.decode("latin-1")
        self.transcript.append(Line(self.number, "S", text))
        return read_response(text)

    def _read_raw(self, until: float) -> bytes:
        """Return a response's text; literals stand after their markers."""
        while True:
            event = self._framer.next_event()
            if event is None:
                self._fill(until)
            elif isinstance(event, LiteralChunk):
                self._raw += event.data
            elif event.literal is None:
                self._raw += event.text
                raw = bytes(self._raw)
                self._raw.clear()
                return raw
            else:
                self._raw += event.text + b"\r\n"
                if event.literal > CHECK_LITERAL_BYTES_MAX:
                    raise ResponseBroken(f"a literal of {event.literal} octets")

    def _fill(self, until: float) -> None:
        left = until - clock.monotonic_seconds()
        if left <= 0:
            raise ServerSilent("no answer in time")
        self._socket.settimeout(left)
        try:
            octets = self._socket.recv(_READ_BYTES)
        except TimeoutError as error:
            raise ServerSilent("no answer in time") from error
        except OSError as error:
            raise ServerClosed(str(error)) from error
        if not octets:
            raise ServerClosed("the server closed the connection")
        self._framer.feed(octets)

    # --- whole commands, for set-up and races ---

    def run(self, command: str, literals: tuple[bytes, ...] = ()) -> list[Response]:
        """Send a command under a tag of this connection's own and return all up to its tagged response."""
        self._tags += 1
        tag = f"m{self._tags}"
        came = self.send(f"{tag} {command}", literals)
        if came and came[-1].tag == tag:
            return came
        return came + self.until(tag)

    def until(self, tag: str) -> list[Response]:
        """Return all responses up to the one with this tag."""
        came: list[Response] = []
        while not came or came[-1].tag != tag:
            came.append(self.read())
            if came[-1].name == "BYE" and came[-1].tag == "*":
                raise ServerClosed(came[-1].raw)
        return came

    def log_in(self, user: str, password: str) -> None:
        """
        Log in and learn the capabilities.

        Raises: LoginRefused.
        """
        words = [user.encode("latin-1"), password.encode("latin-1")]
        if all(_QUOTABLE.fullmatch(each) for each in words):
            quoted = [re.sub(rb'([\\"])', rb"\\\1", each) for each in words]
            self.send_octets(b'login LOGIN "%b" "%b"\r\n' % (quoted[0], quoted[1]))
            came = self.until("login")
        else:
            came = self.send("login LOGIN {{}} {{}}", tuple(words))
            came = came if came and came[-1].tag == "login" else self.until("login")
        answer = came[-1]
        if answer.name != "OK":
            raise LoginRefused(shown(answer.raw))
        for each in self.run("CAPABILITY"):
            if each.name == "CAPABILITY":
                self.capabilities = frozenset(str(word).upper() for word in each.words)

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go over to TLS; what the server sent before is dropped (RFC 3501 section 6.2.1)."""
        answer = self.run("STARTTLS")[-1]
        if answer.name != "OK":
            raise LoginRefused(f"STARTTLS: {shown(answer.raw)}")
        self._framer.discard_buffered()
        self._socket = context.wrap_socket(self._socket, server_hostname=host)

    def close(self) -> None:
        """Close the socket, without LOGOUT."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def log_out(self) -> None:
        """Say LOGOUT without waiting for the answer, then close."""
        with contextlib.suppress(ServerClosed, ServerSilent):
            self.send_octets(b"bye LOGOUT\r\n")
        self.close()


def untagged(responses: list[Response], name: str) -> Iterator[Response]:
    """Yield the untagged responses of one name."""
    return (each for each in responses if each.tag == "*" and each.name == name)
