"""Search keys that need rows, headers or the text of messages.

RFC: 3501 section 6.4.4
RFC: 5032 section 3
RFC: 8474 section 6
RFC: 8514 section 4.3
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from pyroaring import BitMap

from modseq.core.message import MessageRow
from modseq.mime.text import all_text, body_text, fold, header_text
from modseq.server.object_ids import email_object_id
from modseq.wire.values import (
    SearchAge,
    SearchDate,
    SearchHeader,
    SearchKey,
    SearchObjectId,
    SearchText,
)

_SECONDS_PER_DAY = 86_400
_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()

CHARSETS: tuple[str, ...] = (
    "US-ASCII",
    "UTF-8",
    *(f"ISO-8859-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
    *(f"WINDOWS-{number}" for number in range(1250, 1259)),
    "BIG5",
    "EUC-JP",
    "EUC-KR",
    "GB18030",
    "GB2312",
    "GBK",
    "ISO-2022-JP",
    "KOI8-R",
    "KOI8-U",
    "SHIFT_JIS",
    "TIS-620",
    "UTF-16",
)
"""Charsets in which strings to search for may come; BADCHARSET lists them."""

_BY_NAME = {name: name for name in CHARSETS} | {"ASCII": "US-ASCII", "UTF8": "UTF-8", "LATIN1": "ISO-8859-1"}


class UnknownCharsetError(Exception):
    """No string can be read in this charset."""


def wanted_texts(leaves: Iterable[SearchKey], charset: bytes | None) -> dict[SearchKey, str]:
    """
    Return for each key with a string that string as text, folded for comparison.

    RFC: 3501 section 6.4.4
    Args:
        charset: as the client named it. Without one, octets that are no US-ASCII are taken for UTF-8.

    Raises UnknownCharsetError, and UnicodeDecodeError for a string that the charset does not have.
    """
    name = "UTF-8"
    if charset is not None:
        known = _BY_NAME.get(charset.decode("ascii", "replace").upper())
        if known is None:
            raise UnknownCharsetError
        name = known
    return {
        leaf: fold(leaf.value.decode(name)) for leaf in leaves if isinstance(leaf, (SearchText, SearchHeader))
    }


def judge_rows(leaf: SearchKey, rows: Iterable[MessageRow], now: int) -> BitMap:
    """
    Return the UIDs of the rows that match.

    Args:
        now: seconds since 1970.

    """
    match leaf:
        case SearchDate():
            return BitMap([row.uid for row in rows if _day_fits(leaf, row)])
        case SearchAge(older=True, seconds=seconds):
            return BitMap([row.uid for row in rows if row.received_at <= now - seconds])
        case SearchAge(seconds=seconds):
            return BitMap([row.uid for row in rows if row.received_at >= now - seconds])
        case SearchObjectId(object_id=wanted):
            return BitMap([row.uid for row in rows if email_object_id(row.email_id) == wanted])
        case _:
            raise TypeError(leaf)


def _day_fits(leaf: SearchDate, row: MessageRow) -> bool:
    """
    Compare days. A message without a Date field was not sent on any day.

    RFC: 3501 section 6.4.4
    RFC: 8514 section 4.3
    """
    day: int | None
    match leaf.which:
        case "INTERNAL":
            day = (row.received_at + 60 * row.received_zone) // _SECONDS_PER_DAY
        case "SAVED":
            day = row.saved_at // _SECONDS_PER_DAY
        case "SENT":
            day = row.sent_date
    if day is None:
        return False
    wanted = leaf.day.toordinal() - _EPOCH_ORDINAL
    match leaf.relation:
        case "BEFORE":
            return day < wanted
        case "ON":
            return day == wanted
        case "SINCE":
            return day >= wanted


def judge_headers(leaves: Mapping[SearchKey, str], headers: Mapping[int, bytes]) -> dict[SearchKey, BitMap]:
    """
    Return for each key the UIDs that match.

    Args:
        leaves: HEADER, FROM, SUBJECT and the like with the text each looks for; the empty text asks
            whether there is such a field.
        headers: header of each message by UID.

    """
    judged = {}
    for leaf, wanted in leaves.items():
        name = leaf.field_name if isinstance(leaf, SearchHeader) else _field_name(leaf)
        judged[leaf] = BitMap(
            [
                uid
                for uid, header in headers.items()
                if any(wanted in fold(text) for text in header_text(header, name))
            ]
        )
    return judged


def _field_name(leaf: SearchKey) -> bytes:
    assert isinstance(leaf, SearchText)
    return leaf.where.encode("ascii")


def judge_texts(
    leaves: Mapping[SearchKey, str], messages: Mapping[int, tuple[bytes, bytes]]
) -> dict[SearchKey, BitMap]:
    """
    Return for each key the UIDs that match.

    Args:
        leaves: BODY and TEXT with the text each looks for.
        messages: octets and part table of each message by UID.

    """
    judged: dict[SearchKey, BitMap] = {leaf: BitMap() for leaf in leaves}
    for uid, (octets, parts) in messages.items():
        folded: dict[str, str] = {}
        for leaf, wanted in leaves.items():
            assert isinstance(leaf, SearchText)
            if leaf.where not in folded:
                read = all_text if leaf.where == "TEXT" else body_text
                folded[leaf.where] = fold(read(octets, parts))
            if wanted in folded[leaf.where]:
                judged[leaf].add(uid)
    return judged
