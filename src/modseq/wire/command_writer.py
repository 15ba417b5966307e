"""Commands as a client writes them: text, literal, text, ..., text, as framing.CommandReceived has them.

A text before a literal ends in its marker `{5}`; who sends it adds the `+` where the server takes that
(RFC 7888), or waits. What comes out is what the functions of wire.grammar read.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from modseq.limits import QUOTED_BYTES_MAX, SEND_PIECE_BYTES
from modseq.wire.encode import date_time, quoted
from modseq.wire.utf7 import encode_utf7
from modseq.wire.values import STAR, SequenceSet

_ATOM = re.compile(rb"[A-Za-z0-9$&+,\-./:;<=>?@^_`|~!#']{1,200}")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*+")
_QUOTABLE_UTF8 = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\xff]*+")
_FLAG = re.compile(r'\\?[^\x00-\x20\x7f-\uffff(){%*"\\\]]+')
_RAW_BASE = 0xDC00
"""Octet n of a name that is no text is the lone surrogate U+DC00+n."""
_RAW_NAME = re.compile("[\udc00-\udcff]+")


class ByteSource(Protocol):
    """Anything with `read`: an open file, BytesIO."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` octets, none at the end."""


@dataclass(frozen=True, slots=True)
class FileLiteral:
    """A literal that is read from a file when it is sent: `length` octets from where that stands."""

    file: ByteSource
    length: int

    def pieces(self) -> Iterator[bytes]:
        """
        Yield all of it, each piece read when it is asked for; the last only where the file ends there.

        Raises ValueError where the file is shorter or longer than announced: it changed after it was measured.
        """
        left = self.length
        self._check_end(left)
        while left:
            piece = self.file.read(min(left, SEND_PIECE_BYTES))
            if not piece:
                raise ValueError("the file is shorter than its announced length")
            left -= len(piece)
            self._check_end(left)
            yield piece

    def _check_end(self, left: int) -> None:
        if left < 0 or (not left and self.file.read(1)):
            raise ValueError("the file is longer than its announced length")


Source: TypeAlias = FileLiteral


def raw_name(octets: bytes) -> str:
    """Return a mailbox name that is written just as these octets: for names that are no modified UTF-7."""
    return "".join([chr(_RAW_BASE + octet) for octet in octets])


class CommandWriter:
    """
    Collects one command.

    Args:
        tag, name: with which it begins; `UID FETCH` is a name.
        utf8: the server takes UTF-8 in quoted strings and mailbox names (UTF8=ACCEPT is enabled).

    """

    __slots__ = ("_parts", "_text", "utf8")

    def __init__(self, tag: bytes, name: str, *, utf8: bool = False) -> None:
        self._text = bytearray(b"%b %b" % (tag, name.encode("ascii")))
        self._parts: list[bytes | Source] = []
        self.utf8 = utf8

    def parts(self) -> tuple[bytes | Source, ...]:
        """Return text, literal, text, ..., text."""
        return (*self._parts, bytes(self._text))

    def raw(self, octets: bytes) -> CommandWriter:
        """Write octets as they are; whoever calls this vouches for them."""
        self._text += octets
        return self

    def sp(self) -> CommandWriter:
        """Write one space."""
        self._text += b" "
        return self

    def literal(self, octets: bytes | Source) -> CommandWriter:
        """
        Write a literal.

        Grammar: literal = "{" number ["+"] "}" CRLF *CHAR8
        RFC: 3501 section 9
        """
        length = len(octets) if isinstance(octets, bytes) else octets.length
        self._text += b"{%d}" % length
        self._parts += [bytes(self._text), octets]
        self._text.clear()
        return self

    def string(self, octets: bytes) -> CommandWriter:
        """
        Write octets as a quoted string where that carries them, else as a literal.

        Grammar: string = quoted / literal
        RFC: 3501 section 9, 4.3
        Raises ValueError for NUL, which no string of a command may hold.
        """
        if b"\x00" in octets:
            raise ValueError("NUL cannot be sent in a string")
        plain = (_QUOTABLE_UTF8 if self.utf8 else _QUOTABLE).fullmatch(octets)
        if plain and len(octets) <= QUOTED_BYTES_MAX:
            self._text += quoted(octets)
            return self
        return self.literal(octets)

    def astring(self, octets: bytes) -> CommandWriter:
        """
        Write octets as an atom where that carries them, else as a string.

        Grammar: astring = 1*ASTRING-CHAR / string
        RFC: 3501 section 9
        """
        if _ATOM.fullmatch(octets) and octets.upper() != b"NIL":
            self._text += octets
            return self
        return self.string(octets)

    def nstring(self, octets: bytes | None) -> CommandWriter:
        """
        Write a string, or NIL for None.

        Grammar: nstring = string / nil
        RFC: 3501 section 9
        """
        return self.raw(b"NIL") if octets is None else self.string(octets)

    def mailbox(self, name: str) -> CommandWriter:
        """
        Write a mailbox name or pattern.

        Grammar: mailbox = "INBOX" / astring
        RFC: 3501 section 5.1.3, 9
        """
        if _RAW_NAME.fullmatch(name):
            return self.astring(bytes([ord(each) - _RAW_BASE for each in name]))
        octets = name.encode("utf-8") if self.utf8 else encode_utf7(name)
        return self.astring(octets)

    def atom(self, name: str) -> CommandWriter:
        """
        Write an atom such as an item or capability. Raises ValueError for what is none.

        Grammar: atom = 1*ATOM-CHAR
        RFC: 3501 section 9
        """
        octets = name.encode("ascii", "replace")
        if not _ATOM.fullmatch(octets) or not name.isascii():
            raise ValueError(f"{name!r} is no atom")
        self._text += octets
        return self

    def flag_list(self, flags: Iterable[str]) -> CommandWriter:
        """
        Write flags in parentheses. Raises ValueError for what is no flag.

        Grammar: flag-list = "(" [flag *(SP flag)] ")"
        RFC: 3501 section 9
        """
        names = list(flags)
        for name in names:
            if not _FLAG.fullmatch(name):
                raise ValueError(f"{name!r} is no flag")
        return self.raw(b"(%b)" % " ".join(names).encode("ascii"))

    def sequence_set(self, numbers: SequenceSet) -> CommandWriter:
        """
        Write a set. Raises ValueError for an empty one, which cannot be written.

        Grammar: sequence-set = (seq-number / seq-range) *("," sequence-set) / "$"
        RFC: 3501 section 9
        RFC: 5182 section 2.1
        """
        if numbers.saved:
            return self.raw(b"$")
        if not numbers.ranges:
            raise ValueError("an empty set of messages cannot be sent")
        return self.raw(b",".join([_seq_range(low, high) for low, high in numbers.ranges]))

    def date(self, day: dt.date) -> CommandWriter:
        """
        Write a day.

        Grammar: date-text = date-day "-" date-month "-" date-year
        RFC: 3501 section 9
        """
        month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[
            day.month - 1
        ]
        return self.raw(b"%d-%b-%04d" % (day.day, month.encode("ascii"), day.year))

    def date_time(self, moment: tuple[int, int]) -> CommandWriter:
        """
        Write seconds since 1970 and the zone in minutes east of UTC.

        Grammar: date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
        RFC: 3501 section 9
        """
        return self.raw(date_time(*moment))


def _seq_range(low: int, high: int) -> bytes:
    """
    Write one element of a set.

    Grammar: seq-range = seq-number ":" seq-number
    RFC: 3501 section 9
    """
    if high == STAR:
        return b"*" if low == STAR else b"%d:*" % low
    return b"%d" % low if low == high else b"%d:%d" % (low, high)
