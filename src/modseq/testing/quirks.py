"""Servers that are not quite right: the ways in which a test's server can imitate them.

Each quirk is one deviation that clients meet in the wild. Where it can be told from what the server says
it is done to the response, line by line; where it is in what the server does it is done to the command or
to the operation on the storage. The rules of the server itself know nothing of it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

from modseq.core.numset import NumSet


class Quirk(enum.Enum):
    """
    One deviation; the value is what happens.

    RFC: 7162 section 3.1, 3.2
    """

    NO_ENABLED_REPLY = "ENABLE works, but no ENABLED response tells so"
    NO_CONDSTORE = "CONDSTORE and QRESYNC are neither advertised nor understood"
    NO_QRESYNC = "CONDSTORE is there, QRESYNC is not"
    HIGHESTMODSEQ_ZERO = "HIGHESTMODSEQ is always 0"
    NO_HIGHESTMODSEQ = "SELECT does not tell HIGHESTMODSEQ"
    NO_CLOSED = "no [CLOSED] between two selected mailboxes"
    NO_MODSEQ_IN_FETCH = "unasked FETCH responses carry no MODSEQ"
    VANISHED_INCOMPLETE = "VANISHED (EARLIER) leaves out every other UID"
    VANISHED_TOO_WIDE = "VANISHED (EARLIER) also names the neighbours, which are still there"
    VANISHED_WITHOUT_EARLIER = "VANISHED (EARLIER) comes without its (EARLIER)"
    UNCHANGEDSINCE_IGNORED = "a conditional STORE stores whatever the condition"
    TWO_CLAIMS_WIN = "a conditional STORE compares first and writes later: two clients win"


REFUSED_BY_QUIRK = {
    Quirk.NO_CONDSTORE: frozenset({"CONDSTORE", "QRESYNC"}),
    Quirk.NO_QRESYNC: frozenset({"QRESYNC"}),
}
"""Quirks that are nothing but capabilities which are not there."""

Shape = Callable[[bytes], bytes | None]
"""From the first line of a response to what is said in its place; None for nothing."""

_HIGHEST = re.compile(rb"HIGHESTMODSEQ \d+")
_FETCH_MOD_SEQ = re.compile(rb" ?MODSEQ \(\d+\)")
_EARLIER = re.compile(rb"\* VANISHED \(EARLIER\) ([\d,:]+)\r\n\Z")


def _no_enabled(line: bytes) -> bytes | None:
    return None if line.startswith(b"* ENABLED") else line


def _zero(line: bytes) -> bytes | None:
    return _HIGHEST.sub(b"HIGHESTMODSEQ 0", line)


def no_highest(line: bytes) -> bytes | None:
    """Leave out the untagged HIGHESTMODSEQ."""
    return None if line.startswith(b"* OK [HIGHESTMODSEQ ") else line


def _no_closed(line: bytes) -> bytes | None:
    return None if line.startswith(b"* OK [CLOSED]") else line


def _no_mod_seq(line: bytes) -> bytes | None:
    return _FETCH_MOD_SEQ.sub(b"", line).replace(b"( ", b"(") if b" FETCH (" in line else line


def _without_earlier(line: bytes) -> bytes | None:
    return line.replace(b"* VANISHED (EARLIER) ", b"* VANISHED ", 1)


def _incomplete(line: bytes) -> bytes | None:
    def every_other(uids: NumSet) -> NumSet:
        return NumSet(list(uids)[1::2])

    return _reshaped(line, every_other)


def _too_wide(line: bytes) -> bytes | None:
    def with_neighbours(uids: NumSet) -> NumSet:
        return uids | NumSet([uid - 1 for uid in uids if uid > 1]) | NumSet([uid + 1 for uid in uids])

    return _reshaped(line, with_neighbours)


def _reshaped(line: bytes, change: Callable[[NumSet], NumSet]) -> bytes | None:
    match = _EARLIER.match(line)
    if match is None:
        return line
    pairs = (element.partition(b":") for element in match[1].split(b","))
    uids = change(NumSet.from_ranges([(int(low), int(high or low)) for low, _, high in pairs]))
    return b"* VANISHED (EARLIER) " + uids.to_bytes() + b"\r\n" if uids else None


SHAPES: dict[Quirk, Shape] = {
    Quirk.NO_ENABLED_REPLY: _no_enabled,
    Quirk.HIGHESTMODSEQ_ZERO: _zero,
    Quirk.NO_HIGHESTMODSEQ: no_highest,
    Quirk.NO_CLOSED: _no_closed,
    Quirk.NO_MODSEQ_IN_FETCH: _no_mod_seq,
    Quirk.VANISHED_INCOMPLETE: _incomplete,
    Quirk.VANISHED_TOO_WIDE: _too_wide,
    Quirk.VANISHED_WITHOUT_EARLIER: _without_earlier,
}
"""Quirks that show in one response."""
