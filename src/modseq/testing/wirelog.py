"""What a test's server heard and said, line by line, without passwords."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from modseq import clock
from modseq.limits import WIRE_LOG_LINE_BYTES_MAX, WIRE_LOG_LINES_MAX

Speaker = Literal["C", "S", "!"]

_SECRET = re.compile(r"(?P<tag>\S+) (?P<verb>LOGIN|AUTHENTICATE)\b", re.IGNORECASE)
_LITERAL_MARKER = re.compile(r"\{\d+\+?\}\Z")


@dataclass(frozen=True, slots=True)
class WireLine:
    """
    One line of one connection.

    Attributes:
        seconds: since the server was made.
        connection: which connection, counted from 1.
        speaker: `C` for the client, `S` for the server, `!` for a remark (connected, cut by a fault).
        text: the line without its end; octets that are no text are written as `\\xNN`.

    """

    seconds: float
    connection: int
    speaker: Speaker
    text: str

    def __str__(self) -> str:
        mark = "  --" if self.speaker == "!" else f"  {self.speaker}:"
        return f"{self.seconds:8.3f} #{self.connection}{mark} {self.text}"


class WireLog:
    """The newest lines of all connections of a server; may be read from any thread."""

    def __init__(self) -> None:
        self._lines: deque[WireLine] = deque(maxlen=WIRE_LOG_LINES_MAX)
        self._began_seconds = clock.monotonic_seconds()
        self._lock = threading.Lock()
        self._connections = 0

    def new_connection(self) -> ConnectionLog:
        """Begin the log of a connection."""
        self._connections += 1
        return ConnectionLog(self, self._connections)

    def add(self, connection: int, speaker: Speaker, text: str) -> None:
        """Remember a line."""
        line = WireLine(clock.monotonic_seconds() - self._began_seconds, connection, speaker, text)
        with self._lock:
            self._lines.append(line)

    def lines(self) -> list[WireLine]:
        """Return the lines so far, the oldest first."""
        with self._lock:
            return list(self._lines)


class ConnectionLog:
    """Makes lines of what passes on one connection, and leaves out what proves who somebody is."""

    def __init__(self, log: WireLog, number: int) -> None:
        self._log = log
        self._number = number
        self._heard = _Lines()
        self._said = _Lines()
        self._secret_tag: str | None = None

    def heard(self, octets: bytes) -> None:
        """Take what the client sent."""
        for line in self._heard.feed(octets):
            self._log.add(self._number, "C", self._without_secret(line))

    def said(self, octets: bytes) -> None:
        """Take what the server sent."""
        for line in self._said.feed(octets):
            if self._secret_tag is not None and line.startswith(f"{self._secret_tag} "):
                self._secret_tag = None
            self._log.add(self._number, "S", line)

    def remark(self, text: str) -> None:
        """Note what happened to the connection; broken lines before it are shown as they are."""
        for speaker, lines in (("C", self._heard), ("S", self._said)):
            if (rest := lines.rest()) is not None:
                shown = self._without_secret(rest) if speaker == "C" else rest
                self._log.add(self._number, "C" if speaker == "C" else "S", f"{shown} [no line end]")
        self._log.add(self._number, "!", text)

    def _without_secret(self, line: str) -> str:
        if self._secret_tag is not None:
            return "***"
        match = _SECRET.match(line)
        if match is None:
            return line
        # The rest may follow in literals or as answers to challenges: nothing is shown until the reply.
        if match["verb"].upper() == "AUTHENTICATE" or _LITERAL_MARKER.search(line):
            self._secret_tag = match["tag"]
        return f"{match[0]} ***"


class _Lines:
    """Cuts octets into lines and keeps the beginning of each."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._length = 0

    def feed(self, octets: bytes) -> Iterator[str]:
        at = 0
        while (end := octets.find(b"\n", at)) >= 0:
            self._keep(octets[at:end])
            at = end + 1
            yield self._take()
        self._keep(octets[at:])

    def rest(self) -> str | None:
        return self._take() if self._length else None

    def _keep(self, octets: bytes) -> None:
        room = WIRE_LOG_LINE_BYTES_MAX - len(self._kept)
        self._kept += octets[: max(room, 0)]
        self._length += len(octets)

    def _take(self) -> str:
        kept, length = bytes(self._kept), self._length
        self._kept.clear()
        self._length = 0
        if length > len(kept):
            return f"{_shown(kept)} [{length - len(kept):,} octets more]"
        return _shown(kept.removesuffix(b"\r"))


def _shown(octets: bytes) -> str:
    text = octets.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
