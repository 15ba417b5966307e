"""
The mbox format, variant mboxrd: the one in which nothing is lost.

A message begins with a separator line, `From sender date`, and ends with an empty line that is not its
own. A line of the message that is `From ` behind any number of `>` gets one more `>` in the file, and
reading takes one away: each message comes back as it was. Files of the older variant mboxo, where only
`From ` itself was quoted, read the same but for lines that began with `>From ` before they were written.

Where a Content-Length field leads exactly to the next separator or to the end of the file, the message was
written by a program that counts instead of quoting: it is taken as it stands.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from typing import BinaryIO

from modseq.limits import APPEND_LITERAL_BYTES_MAX, MBOX_READ_BYTES
from modseq.mailfiles.message import (
    FileMessage,
    StoredMessage,
    header_field,
    header_moment,
    keywords_of,
    to_file,
    to_mailbox,
)

_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
# A separator must show a date, or be Mozilla's "From - ": text after an empty line may begin with "From ".
_SEPARATOR = re.compile(
    rb"From (?:-[ \t]*\r?\n?$|"
    rb"(?P<sender>.*?)[ \t]*(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b,?)[ \t]+"
    rb"(?P<month>" + _MONTHS.replace(b" ", b"|") + rb")[ \t]+(?P<day>[0-9]{1,2})[ \t]+"
    rb"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?[ \t]+"
    rb"(?:(?P<zone_before>[A-Z]{1,5}|[+-][0-9]{4})[ \t]+)?(?P<year>[0-9]{4})(?:[ \t]+(?P<zone>[+-][0-9]{4}))?)"
)
_QUOTED = re.compile(rb"(?m)^>(?=>*From )")
_TO_QUOTE = re.compile(rb"(?m)^(?=>*From )")

_STATUS_FLAGS = {"R": "\\Seen"}
_X_STATUS_FLAGS = {"A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft"}


class NotAnMbox(ValueError):
    """The file does not begin with a separator line."""


def is_separator(line: bytes) -> bool:
    """Whether a line begins a message."""
    return line.startswith(b"From ") and _SEPARATOR.match(line) is not None


# --- reading --------------------------------------------------------------------------------------


def read_mbox(stream: BinaryIO, name: str) -> Iterator[FileMessage]:
    """
    Yield the messages of an mbox, one at a time; memory holds no more than one.

    Args:
        stream: open for reading at its beginning, seekable, buffered.
        name: how messages are called in errors.

    Raises: NotAnMbox

    """
    separator = stream.readline(MBOX_READ_BYTES)
    if separator and not is_separator(separator):
        raise NotAnMbox(f"{name} is not an mbox: it does not begin with a line 'From sender date'")
    begin = 0
    number = 0
    while separator:
        number += 1
        octets, following = _read_one(stream)
        end = stream.tell() - len(following)
        yield _file_message(octets, separator, f"{name}, message {number}", end - begin)
        begin, separator = end, following


def _read_one(stream: BinaryIO) -> tuple[bytes | None, bytes]:
    """Return one message, None if it is too large, and the separator after it, b"" at the end."""
    octets, following = _read_until_separator(stream, stop_at_blank=True)
    if following is None:
        counted = _read_counted(stream, octets)
        if counted is not None:
            return counted
        body, following = _read_until_separator(stream, stop_at_blank=False)
        octets += body
    if len(octets) > APPEND_LITERAL_BYTES_MAX:
        return None, following or b""
    whole = _without_blank_line(octets)
    if b"From " in whole:
        whole = _QUOTED.sub(b"", whole)
    return whole, following or b""


def _read_until_separator(stream: BinaryIO, *, stop_at_blank: bool) -> tuple[bytes, bytes | None]:
    """
    Read up to the next separator and return what stood before it, and the separator (b"" at the end).

    With `stop_at_blank` also stop after the empty line that ends a header; None then stands for the
    separator. What goes beyond the size limit is read and dropped, but for one octet that tells of it.
    """
    octets = bytearray()
    at_line_begin = True
    while line := stream.readline(MBOX_READ_BYTES):
        if at_line_begin and line.startswith(b"From ") and is_separator(line):
            return bytes(octets), line
        octets += line
        if len(octets) > APPEND_LITERAL_BYTES_MAX:
            del octets[APPEND_LITERAL_BYTES_MAX + 1 :]
        if stop_at_blank and at_line_begin and line in (b"\n", b"\r\n"):
            return bytes(octets), None
        at_line_begin = line.endswith(b"\n")
    return bytes(octets), b""


def _read_counted(stream: BinaryIO, header: bytes) -> tuple[bytes | None, bytes] | None:
    """Return the message whose Content-Length proves right, and the separator after it; else None."""
    count = header_field(header, b"Content-Length")
    if count is None or not count.isdigit() or len(count) > 12:
        return None
    begin = stream.tell()
    stream.seek(begin + int(count))
    following = stream.readline(MBOX_READ_BYTES)
    if following in (b"\n", b"\r\n"):
        following = stream.readline(MBOX_READ_BYTES)
    after = stream.tell()
    if following and not is_separator(following):
        stream.seek(begin)
        return None
    if int(count) + len(header) > APPEND_LITERAL_BYTES_MAX:
        return None, following
    stream.seek(begin)
    body = stream.read(int(count))
    if len(body) != int(count):
        stream.seek(begin)
        return None
    stream.seek(after)
    return header + body, following


def _without_blank_line(octets: bytes) -> bytes:
    """Return a message without the empty line that separates it from the next."""
    if octets.endswith(b"\n\r\n"):
        return octets[:-2]
    if octets.endswith(b"\n\n"):
        return octets[:-1]
    return octets


def _file_message(octets: bytes | None, separator: bytes, where: str, bytes_read: int) -> FileMessage:
    if octets is None:
        return FileMessage(where, None, (), None, None, bytes_read)
    moment = _separator_moment(separator) or header_moment(octets) or (None, None)
    return FileMessage(where, to_mailbox(octets), _flags_of(octets), moment[0], moment[1], bytes_read)


def _separator_moment(separator: bytes) -> tuple[int, int] | None:
    """Return the date of a separator line, which is UTC unless it names an offset."""
    found = _SEPARATOR.match(separator)
    if found is None or found["year"] is None:
        return None
    year, day, hour, minute = (int(found[name]) for name in ("year", "day", "hour", "minute"))
    month = _MONTHS.split().index(found["month"]) + 1
    offset = found["zone"] or found["zone_before"] or b"+0000"
    zone = 0
    if offset[:1] in b"+-":
        zone = (int(offset[1:3]) * 60 + int(offset[3:5])) * (-1 if offset[:1] == b"-" else 1)
    in_calendar = year >= 1970 and 1 <= day <= calendar.monthrange(year, month)[1]
    if not in_calendar or hour > 23 or minute > 59 or abs(zone) >= 24 * 60:
        return None
    moment = calendar.timegm((year, month, day, hour, minute, int(found["second"] or 0))) - zone * 60
    return (moment, zone) if moment >= 0 else None


def _flags_of(octets: bytes) -> tuple[str, ...]:
    """Return the flags that mail programs keep in header fields of an mbox."""
    flags = []
    for name, letters in ((b"Status", _STATUS_FLAGS), (b"X-Status", _X_STATUS_FLAGS)):
        value = (header_field(octets, name) or b"").decode("ascii", "replace")
        flags += [letters[letter] for letter in value if letter in letters]
    keywords = (header_field(octets, b"X-Keywords") or b"").decode("ascii", "replace")
    return tuple(dict.fromkeys(flags + keywords_of(keywords.split())))


# --- writing --------------------------------------------------------------------------------------


def write_message(stream: BinaryIO, message: StoredMessage, *, crlf: bool = False) -> None:
    """
    Write one message behind its separator line.

    The format cannot say that a message lacks its last line end: one is added. Flags have no place in it
    that would leave the message as it is; a Maildir keeps them.

    Args:
        crlf: keep the line ends of the mailbox instead of writing those of a file.

    """
    octets = message.data if crlf else to_file(message.data)
    line_end = b"\r\n" if crlf else b"\n"
    stream.write(_separator_line(octets, message.received_at) + line_end)
    if b"From " in octets:
        octets = _TO_QUOTE.sub(b">", octets)
    stream.write(octets)
    if not octets.endswith(b"\n"):
        stream.write(line_end)
    stream.write(line_end)


def _separator_line(octets: bytes, received_at: int) -> bytes:
    sender = (header_field(octets, b"Return-Path") or b"").strip(b"<> \t")
    if not re.fullmatch(rb"[!-~]+", sender):
        sender = b"MAILER-DAEMON"
    return b"From " + sender + b" " + asctime(received_at)


def asctime(moment: int) -> bytes:
    """Return a moment as separator lines have it, in UTC: `Thu Jan  1 00:00:00 1970`."""
    date = dt.datetime.fromtimestamp(moment, dt.UTC)
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[date.weekday()]
    month = _MONTHS.split()[date.month - 1].decode()
    return f"{weekday} {month} {date.day:2} {date:%H:%M:%S} {date.year:04}".encode()
