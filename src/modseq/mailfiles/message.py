"""
One message on its way between a file and a mailbox: line ends, dates and flags.

Files on Unix end lines with LF, messages in a mailbox with CR LF. Both ways of the conversion are one
replacement, and each undoes the other: whatever octets a file held, an export gives them back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz

MOMENT_MAX = 253_402_300_799
"""The last second of the year 9999: IMAP writes years with four digits."""

_ATOM = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
"""RFC 3501 section 9: flag-keyword = atom."""


@dataclass(frozen=True, slots=True)
class FileMessage:
    """
    A message found in a file.

    Attributes:
        where: for people: file and place in it.
        data: the octets as a mailbox keeps them; None when the message is larger than a mailbox takes.
        flags: system flags and keywords.
        received_at: the internal date in seconds since 1970, None when nothing tells it.
        zone: its zone in minutes east of Greenwich, None for the machine's.
        bytes_read: how far the reading went on by this message, in octets of the source.

    """

    where: str
    data: bytes | None
    flags: tuple[str, ...]
    received_at: int | None
    zone: int | None
    bytes_read: int


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message to be written to a file. `number` counts the messages of one export from 1."""

    number: int
    data: bytes
    flags: tuple[str, ...]
    received_at: int


def to_mailbox(octets: bytes) -> bytes:
    """
    Return a file's message with the line ends of a mailbox.

    A file whose first line ends with CR LF is taken to have them already and stays as it is. In any other
    the LF is the line end, and a CR before it is content: it stays, so that `to_file` gives it back.
    """
    first = octets.find(b"\n")
    if first > 0 and octets[first - 1] == 13:
        return octets
    return octets.replace(b"\n", b"\r\n")


def to_file(octets: bytes) -> bytes:
    """
    Return a mailbox's message with the line ends of a file.

    A message that also holds bare LFs cannot be told from its conversion; it is written as it is.
    """
    if octets.count(b"\n") != octets.count(b"\r\n"):
        return octets
    return octets.replace(b"\r\n", b"\n")


def header_field(octets: bytes, name: bytes) -> bytes | None:
    """Return the value of the first field of this name, unfolded; None when there is none."""
    end = re.search(rb"\n\r?\n", octets)
    header = octets[: end.start() + 1] if end else octets
    found = re.search(rb"(?im)^" + re.escape(name) + rb"[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", header)
    return None if found is None else b" ".join(found[1].split())


def moment_of(date: bytes | None) -> tuple[int, int] | None:
    """Return a date of RFC 5322 as seconds since 1970 and minutes east of Greenwich; None if it is none."""
    if date is None:
        return None
    try:
        fields = parsedate_tz(date.decode("ascii", "replace"))
        moment = int(mktime_tz(fields)) if fields else -1
    except (ValueError, TypeError, IndexError, OverflowError):
        return None  # The parser of the standard library is not proof against every text.
    if fields is None or not 0 <= moment <= MOMENT_MAX:
        return None
    zone = (fields[9] or 0) // 60
    return moment, zone if abs(zone) < 24 * 60 else 0


def header_moment(octets: bytes) -> tuple[int, int] | None:
    """Return when a message came, by its newest Received field, else its Date; None if neither tells."""
    received = header_field(octets, b"Received")
    if received is not None:
        moment = moment_of(received.rpartition(b";")[2])
        if moment is not None:
            return moment
    return moment_of(header_field(octets, b"Date"))


def keywords_of(names: list[str]) -> list[str]:
    """Return those of these names that IMAP can carry as keywords."""
    return [name for name in names if _ATOM.fullmatch(name)]
