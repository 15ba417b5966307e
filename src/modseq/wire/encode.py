"""Strings, flags, sets and dates as a server writes them.

Every function returns octets that the methods of abnf.Parser read back.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from modseq.core.numset import NumSet
from modseq.limits import QUOTED_BYTES_MAX
from modseq.wire.abnf import MONTHS
from modseq.wire.utf7 import encode_utf7

_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,%d}" % QUOTED_BYTES_MAX)
_SPECIAL = re.compile(rb'(["\\])')
_PLAIN_NAME = re.compile(rb"[A-Za-z0-9./_\-]+")


def quoted(text: bytes) -> bytes:
    """
    Encode 7-bit text without NUL, CR and LF as a quoted string.

    Grammar: quoted = DQUOTE *QUOTED-CHAR DQUOTE
    RFC: 3501 section 9
    """
    return b'"' + _SPECIAL.sub(rb"\\\1", text) + b'"'


def literal(octets: bytes) -> bytes:
    """
    Encode any octets but NUL.

    Grammar: literal = "{" number "}" CRLF *CHAR8
    RFC: 3501 section 9
    """
    return b"{%d}\r\n%b" % (len(octets), octets)


def string(octets: bytes) -> bytes:
    """
    Encode octets as a quoted string where that can carry them, else as a literal.

    Grammar: string = quoted / literal
    RFC: 3501 section 9, 4.3
    """
    return quoted(octets) if _QUOTABLE.fullmatch(octets) else literal(octets)


def nstring(octets: bytes | None) -> bytes:
    """
    Encode a string, or NIL for None.

    Grammar: nstring = string / nil
    RFC: 3501 section 9
    """
    return b"NIL" if octets is None else string(octets)


def mailbox(name: str) -> bytes:
    """
    Encode a mailbox name, quoted unless it is a plain word.

    Grammar: mailbox = "INBOX" / astring
    RFC: 3501 section 5.1.3, 9
    """
    octets = encode_utf7(name)
    if _PLAIN_NAME.fullmatch(octets) and octets.upper() != b"NIL":
        return octets
    return quoted(octets)


def flag_list(flags: Iterable[str]) -> bytes:
    """
    Encode flags in parentheses.

    Grammar: flag-list = "(" [flag *(SP flag)] ")"
    RFC: 3501 section 9
    """
    return b"(%b)" % " ".join(flags).encode("ascii")


def split_set(numbers: NumSet, bytes_max: int) -> Iterator[bytes]:
    """
    Encode a set in pieces of at most `bytes_max` octets (at least 21, one range); none for the empty set.

    Grammar: sequence-set = (seq-number / seq-range) *("," sequence-set)
    RFC: 3501 section 9
    """
    ranges = numbers.ranges()
    held = b""
    # A few at a time: a set of a million takes long to spell, and somebody may want to pause between pieces.
    while some := list(islice(ranges, _RANGES_AT_ONCE)):
        spelled = b",".join([b"%d:%d" % r if r[0] != r[1] else b"%d" % r[0] for r in some])
        octets = held + b"," + spelled if held else spelled
        at = 0
        while len(octets) - at > bytes_max:
            comma = octets.rindex(b",", at, at + bytes_max + 1)
            yield octets[at:comma]
            at = comma + 1
        held = octets[at:]
    if held:
        yield held


def date_time(epoch_seconds: int, zone_minutes: int) -> bytes:
    """
    Encode a moment in a zone given in minutes east of UTC; years outside 1 to 9999 become the nearest.

    Grammar: date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
    RFC: 3501 section 9
    """
    local = min(max(epoch_seconds + 60 * zone_minutes, _FIRST_SECOND), _LAST_SECOND)
    moment = _EPOCH + dt.timedelta(seconds=local)
    hours, minutes = divmod(abs(zone_minutes), 60)
    return b'"%2d-%b-%04d %02d:%02d:%02d %b%02d%02d"' % (
        moment.day,
        MONTHS[moment.month - 1],
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
        b"-" if zone_minutes < 0 else b"+",
        hours,
        minutes,
    )


_RANGES_AT_ONCE = 512
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 -- local time of the zone written beside it
_FIRST_SECOND = (dt.datetime.min - _EPOCH) // dt.timedelta(seconds=1)  # noqa: DTZ901 -- see _EPOCH
_LAST_SECOND = (dt.datetime.max - _EPOCH) // dt.timedelta(seconds=1)  # noqa: DTZ901 -- see _EPOCH
