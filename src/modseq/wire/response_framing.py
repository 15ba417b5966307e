r"""Lines and literals of responses, bounded, before any grammar: what a client cuts a server's octets into.

Rules:

- A response is text and literals in turn: text, literal, ..., text. A text that announces a literal keeps its
  marker (`{5}`, `~{5}`) and loses its line end.
- Literals come in the chunks in which they arrived; nobody needs to hold a large one.
- The human text of a status response or continuation may end like a marker and announces nothing.
- Whatever does not fit its bound raises ResponseBroken before it is held: a server that sends it cannot be
  understood any more, and the connection ends.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from modseq.limits import RESPONSE_LITERAL_BYTES_MAX, RESPONSE_LITERALS_MAX, RESPONSE_TEXT_BYTES_MAX


class ResponseBroken(Exception):
    """
    What a server sent cannot be cut into responses within the bounds.

    Attributes:
        is_too_large: a bound was passed.

    """

    def __init__(self, reason: str, *, is_too_large: bool = True) -> None:
        super().__init__(reason)
        self.is_too_large = is_too_large


@dataclass(frozen=True, slots=True)
class TextReceived:
    """One line of a response without its end; `literal` octets follow, or None: the response ends here."""

    text: bytes
    literal: int | None


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """Octets of the announced literal; `left` are still to come. An empty literal has one empty chunk."""

    data: bytes
    left: int


FramingEvent: TypeAlias = TextReceived | LiteralChunk
Row: TypeAlias = tuple[bytes, ...]

_MARKER = re.compile(rb"\{(\d{1,20})\}\Z")
_NO_LITERAL = re.compile(rb"\+|[^ ]+ (?:OK|NO|BAD|BYE|PREAUTH)(?: (?!\[)|.*\])", re.IGNORECASE | re.DOTALL)
"""Begins what ends in human text."""


class ResponseFramer:
    """
    Cuts what a server sends into texts and literals.

    Attributes:
        text_bytes_max: of one response, all its texts together.

    """

    __slots__ = (
        "_chunk",
        "_chunk_at",
        "_left",
        "_literal_due",
        "_partial",
        "_queue",
        "_text_bytes",
        "is_broken",
        "text_bytes_max",
    )

    def __init__(self, text_bytes_max: int = RESPONSE_TEXT_BYTES_MAX) -> None:
        self.text_bytes_max = text_bytes_max
        self.is_broken = False
        self._chunk = b""
        self._chunk_at = 0
        self._queue: deque[bytes] = deque()
        self._partial = bytearray()
        """Text of an unfinished line."""
        self._text_bytes = 0
        """Text of the response so far; 0 between responses."""
        self._left = 0
        self._literal_due = False

    def feed(self, data: bytes) -> None:
        """Take what arrived; `next_event` works on it."""
        if data:
            self._queue.append(data)

    @property
    def buffered_bytes(self) -> int:
        """Octets fed and not yet looked at."""
        return len(self._chunk) - self._chunk_at + sum(map(len, self._queue))

    @property
    def held_bytes(self) -> int:
        """Octets kept of a line whose end has not come."""
        return len(self._partial)

    @property
    def is_between_responses(self) -> bool:
        """Whether nothing of an unfinished response was read."""
        return not (self._text_bytes or self._partial or self._literal_due)

    def take_buffered(self) -> bytes:
        """Return what was fed and not looked at, and forget it: from here on it means something else."""
        rest = self._chunk[self._chunk_at :] + b"".join(self._queue)
        self._queue.clear()
        self._chunk, self._chunk_at = b"", 0
        return rest

    def discard_buffered(self) -> int:
        """
        Forget everything fed; return how many octets that were.

        RFC: 3501 section 6.2.1
        """
        count = self.buffered_bytes + len(self._partial)
        self._queue.clear()
        self._chunk, self._chunk_at = b"", 0
        self._partial.clear()
        self._text_bytes = self._left = 0
        self._literal_due = False
        return count

    def next_event(self) -> FramingEvent | None:
        """Return what is next in the octets fed, or None if more are needed. Raises ResponseBroken."""
        if self.is_broken:
            raise ResponseBroken("the responses broke off before", is_too_large=False)
        if self._literal_due and not self._left:
            self._literal_due = False
            return LiteralChunk(b"", 0)
        while self._chunk_at < len(self._chunk) or self._next_chunk():
            if self._literal_due:
                return self._literal_chunk()
            event = self._read_text()
            if event is not None:
                return event
        return None

    def take_run(self, line: re.Pattern[bytes], run: re.Pattern[bytes]) -> list[Row]:
        """
        Return the groups of all whole lines that match, from here on, and move past them.

        A shortcut for long rows of like lines, several times as fast as events; it never waits.

        Args:
            line: matches one line with its CRLF, by groups.
            run: matches one or more such lines.

        """
        if self._text_bytes or self._partial or self._literal_due or self.is_broken:
            return []
        if self._chunk_at >= len(self._chunk) and not self._next_chunk():
            return []
        match = run.match(self._chunk, self._chunk_at)
        if match is None:
            return []
        self._chunk_at = match.end()
        return line.findall(match[0])

    def _next_chunk(self) -> bool:
        if not self._queue:
            self._chunk, self._chunk_at = b"", 0
            return False
        self._chunk, self._chunk_at = self._queue.popleft(), 0
        return True

    def _literal_chunk(self) -> LiteralChunk:
        start = self._chunk_at
        data = self._chunk[start : start + self._left]
        self._chunk_at = start + len(data)
        self._left -= len(data)
        self._literal_due = self._left > 0
        return LiteralChunk(data, self._left)

    def _read_text(self) -> TextReceived | None:
        chunk, start = self._chunk, self._chunk_at
        end = chunk.find(b"\n", start)
        room = self.text_bytes_max - self._text_bytes - len(self._partial)
        if (end if end >= 0 else len(chunk)) - start > room:
            self.is_broken = True
            self._partial.clear()
            raise ResponseBroken(f"a response of more than {self.text_bytes_max} octets of text")
        if end < 0:
            self._chunk_at = len(chunk)
            self._partial += chunk[start:]
            return None
        self._chunk_at = end + 1
        if self._partial:
            self._partial += chunk[start:end]
            text = bytes(self._partial)
            self._partial.clear()
        else:
            text = chunk[start:end]
        text = text.removesuffix(b"\r")
        if text.endswith(b"}"):
            marker = _MARKER.match(text, text.rfind(b"{"))
            if marker is not None and (self._text_bytes or not _NO_LITERAL.match(text)):
                self._text_bytes += len(text) + 2
                self._left = int(marker[1])
                self._literal_due = True
                return TextReceived(text, self._left)
        self._text_bytes = 0
        return TextReceived(text, None)


class ResponseReader:
    """
    Collects whole responses, small literals included.

    Attributes:
        literal_bytes_max: of all literals of one response that are held.

    """

    __slots__ = ("_literal", "_literal_bytes", "_parts", "framer", "literal_bytes_max")

    def __init__(self, literal_bytes_max: int = RESPONSE_LITERAL_BYTES_MAX) -> None:
        self.framer = ResponseFramer()
        self.literal_bytes_max = literal_bytes_max
        self._parts: list[bytes] = []
        self._literal = bytearray()
        self._literal_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self.framer.feed(data)

    def next(self) -> tuple[bytes, ...] | None:
        """Return the next whole response as text, literal, ..., text, or None. Raises ResponseBroken."""
        while (event := self.framer.next_event()) is not None:
            parts = self.add(event)
            if parts is not None:
                return parts
        return None

    def add(self, event: FramingEvent) -> tuple[bytes, ...] | None:
        """Add one event of the framer; return the response that it completes."""
        if isinstance(event, TextReceived):
            if event.literal is None:
                if not self._parts:
                    return (event.text,)
                self._parts.append(event.text)
                parts = tuple(self._parts)
                self._clear()
                return parts
            self._literal_bytes += event.literal
            if self._literal_bytes > self.literal_bytes_max:
                self._break(f"literals of more than {self.literal_bytes_max} octets in one response")
            if len(self._parts) // 2 >= RESPONSE_LITERALS_MAX:
                self._break(f"more than {RESPONSE_LITERALS_MAX} literals in one response")
            self._parts.append(event.text)
            return None
        self._literal += event.data
        if not event.left:
            self._parts.append(bytes(self._literal))
            self._literal = bytearray()
        return None

    @property
    def so_far(self) -> tuple[bytes, ...]:
        """The parts of the unfinished response."""
        return tuple(self._parts)

    def _clear(self) -> None:
        self._parts.clear()
        self._literal_bytes = 0

    def _break(self, reason: str) -> None:
        self._clear()
        self._literal.clear()
        self.framer.is_broken = True
        raise ResponseBroken(reason)
