r"""Lines and literals, bounded, before any grammar: bytes in, whole commands out.

Rules:

- A command is text and literals in turn: text, literal, text, ..., text. A text that announces a
  literal keeps its marker (`{5}`, `{5+}`, `~{5}`) and loses its line end.
- Whatever does not fit its bound is refused before it is buffered, and costs the next command nothing:
  the rest of the refused command is read and dropped, literals in it included, so that a message body
  is never taken for commands.
- A synchronising literal waits: LiteralRequested, then `accept_literal` or `refuse_literal`. A client
  whose literal was refused sends nothing more of that command (RFC 3501 section 7.5).
- A non-synchronising literal that is too large is skipped where its size is bearable; else FramingFailed.
- IDLE and AUTHENTICATE read bare lines: `expect_line`, then one LineReceived.

The driver feeds and then asks for events until there is none. It must ask one event at a time and act on
it before the next, because the answer (a literal refused, a line expected) changes what the bytes mean.
A line may end in LF alone; a lone CR is left for the grammar to refuse.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from modseq.limits import (
    COMMAND_LITERAL_BYTES_MAX,
    LINE_BYTES_MAX,
    LITERAL_BYTES_BEFORE_LOGIN_MAX,
    LITERAL_SKIP_BYTES_BEFORE_LOGIN_MAX,
    LITERALS_PER_COMMAND_MAX,
    TAG_BYTES_MAX,
)

LiteralLimit: TypeAlias = Callable[[bytes | None, str], int]
"""From a command's tag and name (in capitals, "UID FETCH" for those with UID) to octets in one literal."""


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A whole command: text, literal, text, ..., text."""

    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LineReceived:
    """The line that `expect_line` asked for, without its end."""

    line: bytes


@dataclass(frozen=True, slots=True)
class LiteralRequested:
    """
    The client waits for leave to send a literal: answer with `accept_literal` or `refuse_literal`.

    RFC: 3501 section 4.3, 7.5
    """

    tag: bytes | None
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class LiteralTooLarge:
    """
    A literal over its bound. The command is dropped; the connection goes on. Answer NO [TOOBIG] or BAD.

    RFC: 7888 section 4
    """

    tag: bytes | None
    name: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """
    The text of a command over its bound. The command is dropped; the connection goes on. Answer BAD.

    RFC: 7162 section 4
    """

    tag: bytes | None


@dataclass(frozen=True, slots=True)
class FramingFailed:
    """
    The client announced more than this server is willing to skip. Answer BYE and close.

    RFC: 7888 section 4
    """

    tag: bytes | None
    reason: str


Event: TypeAlias = (
    CommandReceived | LineReceived | LiteralRequested | LiteralTooLarge | LineTooLong | FramingFailed
)

_MARKER = re.compile(rb"\{(\d+)(\+?)\}\Z")
_MARKER_BYTES = 48
"""How much of a dropped line's end is kept to see whether it announces a literal."""
_TOO_MUCH = "a refused command too large to skip"
_PIECE_BYTES_MIN = 4_096
"""Smaller pieces of a literal are joined at once: a list of single octets would take nine times the room."""
_SIZE_DIGITS = 18
"""A size with more digits than this is beyond every bound."""
_TAG = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]++)(?= |\Z)')
_NAME = re.compile(rb" ((?:UID )?[A-Z0-9]{1,32})", re.IGNORECASE)


class _State(Enum):
    """What the next octet belongs to."""

    TEXT = auto()
    """Reading a text of the command."""
    LITERAL = auto()
    """Reading the octets of an accepted literal."""
    WAITING = auto()
    """A synchronising literal was announced and nobody decided yet."""
    SKIPPING = auto()
    """Dropping the octets of a refused literal."""
    DROPPING = auto()
    """Dropping the text of a refused command up to its line end."""
    FAILED = auto()
    """Nothing more will be understood."""


def read_tag(text: bytes) -> bytes | None:
    """
    Return the tag with which a command begins, or None where there is none.

    Grammar: tag = 1*<any ASTRING-CHAR except "+">
    RFC: 3501 section 9, 2.2.1
    """
    match = _TAG.match(text)
    return match[1] if match is not None and match.end() <= TAG_BYTES_MAX else None


class CommandFramer:
    """
    Cuts what a client sends into commands.

    Args:
        literal_limit: octets allowed in one literal of the command with this tag and name; asked for
            each literal, so that it may answer by the state of the session. None allows only what
            somebody unknown may send.

    Attributes:
        skip_bytes_max: the largest refused literal that is read and dropped; raise it after login.
        line_bytes_max: octets of all text of one command.

    """

    __slots__ = (
        "_chunk",
        "_chunk_at",
        "_dropped",
        "_expects_line",
        "_left",
        "_literal",
        "_literal_bytes",
        "_partial",
        "_parts",
        "_queue",
        "_state",
        "_text_bytes",
        "line_bytes_max",
        "literal_limit",
        "skip_bytes_max",
    )

    def __init__(self, literal_limit: LiteralLimit | None = None) -> None:
        self.literal_limit: LiteralLimit = literal_limit or _limit_of_strangers
        self.skip_bytes_max = LITERAL_SKIP_BYTES_BEFORE_LOGIN_MAX
        self.line_bytes_max = LINE_BYTES_MAX
        self._chunk = b""
        self._chunk_at = 0
        self._queue: deque[bytes] = deque()
        self._state = _State.TEXT
        self._expects_line = False
        self._partial = bytearray()
        """Text of an unfinished line; while dropping, its last octets."""
        self._literal: list[bytes | bytearray] = []
        self._left = 0
        """Octets still to come of the literal being read or skipped."""
        self._dropped = 0
        """Octets of the refused command that were dropped or will be."""
        self._parts: list[bytes] = []
        self._text_bytes = 0
        self._literal_bytes = 0

    # --- the driver's side ---

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what arrived; `next_event` works on it."""
        if data:
            self._queue.append(bytes(data))

    @property
    def buffered_bytes(self) -> int:
        """Octets fed and not yet looked at; a driver stops reading the socket when they pile up."""
        return len(self._chunk) - self._chunk_at + sum(map(len, self._queue))

    @property
    def held_bytes(self) -> int:
        """Octets kept of the command being read."""
        to_come = self._left if self._state is _State.LITERAL else 0
        return len(self._partial) + self._text_bytes + self._literal_bytes - to_come

    @property
    def is_between_commands(self) -> bool:
        """Whether nothing of an unfinished command was read."""
        return self._state is _State.TEXT and not self._parts and not self._partial

    def expect_line(self) -> None:
        """
        Deliver the next line as LineReceived, literals unrecognised, then return to commands.

        RFC: 2177 section 3
        RFC: 3501 section 6.2.2
        """
        self._expects_line = True

    def accept_literal(self) -> None:
        """Go on with the literal of the last LiteralRequested, after the driver sent `+ `."""
        if self._state is not _State.WAITING:
            raise ValueError("no literal was requested")
        self._begin_literal(self._left)

    def refuse_literal(self) -> None:
        """Drop the command of the last LiteralRequested, to which the driver answers NO or BAD."""
        if self._state is not _State.WAITING:
            raise ValueError("no literal was requested")
        self._reset()

    def discard_buffered(self) -> None:
        """
        Forget everything fed: what came in the clear before TLS must not be obeyed after it.

        RFC: 3501 section 6.2.1
        """
        self._queue.clear()
        self._chunk = b""
        self._chunk_at = 0
        self._reset()

    def next_event(self) -> Event | None:
        """Return what is next in the bytes fed, or None if more are needed or an answer is due."""
        while True:
            if self._chunk_at >= len(self._chunk) and not self._next_chunk():
                return None
            state = self._state
            if state is _State.TEXT:
                event = self._read_text()
            elif state is _State.LITERAL:
                self._read_literal()
                continue
            elif state is _State.SKIPPING:
                self._skip()
                continue
            elif state is _State.DROPPING:
                event = self._drop_text()
            else:
                return None
            if event is not None:
                return event

    # --- reading ---

    def _next_chunk(self) -> bool:
        """Move to the next chunk fed; return False if there is none."""
        if not self._queue:
            self._chunk = b""
            self._chunk_at = 0
            return False
        self._chunk = self._queue.popleft()
        self._chunk_at = 0
        return True

    def _read_text(self) -> Event | None:
        chunk, start = self._chunk, self._chunk_at
        end = chunk.find(b"\n", start)
        room = self.line_bytes_max - self._text_bytes - len(self._partial)
        if (end if end >= 0 else len(chunk)) - start > room:
            self._partial += chunk[start : start + room]
            self._chunk_at = start + room
            return self._drop_long_line()
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
        if self._expects_line:
            self._expects_line = False
            return LineReceived(text)
        if text.endswith(b"}"):
            marker = _MARKER.match(text, text.rfind(b"{"))
            if marker is not None:
                return self._announced(text, marker)
        if not self._parts:
            return CommandReceived((text,))
        self._parts.append(text)
        parts = tuple(self._parts)
        self._reset()
        return CommandReceived(parts)

    def _announced(self, text: bytes, marker: re.Match[bytes]) -> Event | None:
        """Judge a literal by its announcement."""
        self._parts.append(text)
        self._text_bytes += len(text)
        size, is_synchronizing = _size(marker)
        tag, name = self._tag_and_name()
        reason = self._refusal(tag, name, size)
        if reason is None:
            if not is_synchronizing:
                self._begin_literal(size)
                return None
            self._left = size
            self._state = _State.WAITING
            return LiteralRequested(tag, name, size)
        if is_synchronizing:
            self._reset()
        elif not self._begin_skipping(size):
            return FramingFailed(tag, reason)
        return LiteralTooLarge(tag, name, size, reason)

    def _refusal(self, tag: bytes | None, name: str, size: int) -> str | None:
        """Return why a literal may not come, or None if it may."""
        limit = self.literal_limit(tag, name)
        if size > limit:
            return f"a literal may have {limit} octets here"
        if self._literal_bytes + size > COMMAND_LITERAL_BYTES_MAX:
            return f"the literals of a command may have {COMMAND_LITERAL_BYTES_MAX} octets together"
        if len(self._parts) // 2 >= LITERALS_PER_COMMAND_MAX:
            return f"a command may have {LITERALS_PER_COMMAND_MAX} literals"
        return None

    def _tag_and_name(self) -> tuple[bytes | None, str]:
        text = self._parts[0]
        tag = read_tag(text)
        if tag is None:
            return None, ""
        name = _NAME.match(text, len(tag))
        return tag, name[1].upper().decode("ascii") if name is not None else ""

    def _begin_literal(self, size: int) -> None:
        self._literal_bytes += size
        self._left = size
        self._state = _State.LITERAL
        if size == 0:
            self._finish_literal()

    def _read_literal(self) -> None:
        """Collect octets; joined once at the end, so that large literals are copied twice and not often."""
        start = self._chunk_at
        taken = self._chunk[start : start + self._left]
        self._chunk_at = start + len(taken)
        self._left -= len(taken)
        if len(taken) >= _PIECE_BYTES_MIN:
            self._literal.append(taken)
        elif self._literal and isinstance(self._literal[-1], bytearray):
            self._literal[-1] += taken
        else:
            self._literal.append(bytearray(taken))
        if self._left == 0:
            self._finish_literal()

    def _finish_literal(self) -> None:
        self._parts.append(b"".join(self._literal))
        self._literal.clear()
        self._state = _State.TEXT

    # --- dropping ---

    def _drop_long_line(self) -> Event:
        """Refuse a text that has filled its bound; its end may still be far away."""
        tag = None
        if not self._expects_line:
            tag = read_tag(self._parts[0] if self._parts else bytes(self._partial[: TAG_BYTES_MAX + 1]))
        tail = self._partial[-_MARKER_BYTES:]
        self._reset()
        self._partial += tail
        self._state = _State.DROPPING
        return LineTooLong(tag)

    def _begin_skipping(self, size: int) -> bool:
        """Prepare to skip a literal; return False, for good, if it is too large even for that."""
        dropped = self._dropped + size
        self._reset()
        if dropped > self.skip_bytes_max:
            self._state = _State.FAILED
            return False
        self._dropped = dropped
        self._left = size
        self._state = _State.SKIPPING if size else _State.DROPPING
        return True

    def _skip(self) -> None:
        step = min(self._left, len(self._chunk) - self._chunk_at)
        self._chunk_at += step
        self._left -= step
        if self._left == 0:
            self._state = _State.DROPPING

    def _drop_text(self) -> Event | None:
        """Drop text to its line end; a non-synchronising literal announced there is skipped as well."""
        chunk, start = self._chunk, self._chunk_at
        end = chunk.find(b"\n", start)
        stop = end if end >= 0 else len(chunk)
        self._dropped += stop - start
        if self._dropped > self.skip_bytes_max:
            self._state = _State.FAILED
            return FramingFailed(None, _TOO_MUCH)
        self._partial += chunk[max(start, stop - _MARKER_BYTES) : stop]
        del self._partial[:-_MARKER_BYTES]
        if end < 0:
            self._chunk_at = len(chunk)
            return None
        self._chunk_at = end + 1
        marker = _MARKER.search(bytes(self._partial).removesuffix(b"\r"))
        if marker is not None:
            size, is_synchronizing = _size(marker)
            if not is_synchronizing:
                return None if self._begin_skipping(size) else FramingFailed(None, _TOO_MUCH)
        self._reset()
        return None

    def _reset(self) -> None:
        """Be ready for a new command."""
        self._state = _State.TEXT
        self._expects_line = False
        self._partial.clear()
        self._literal.clear()
        self._left = 0
        self._dropped = 0
        self._parts.clear()
        self._text_bytes = 0
        self._literal_bytes = 0


def _size(marker: re.Match[bytes]) -> tuple[int, bool]:
    """Return a literal's size and whether the client waits for leave to send it."""
    digits = marker[1].lstrip(b"0")[: _SIZE_DIGITS + 1]
    return int(digits or b"0"), not marker[2]


def _limit_of_strangers(_tag: bytes | None, _name: str) -> int:
    return LITERAL_BYTES_BEFORE_LOGIN_MAX
