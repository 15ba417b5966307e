"""
The part table: where each part of a message lies, in a few packed octets that the store keeps.

One octet of version, then a row for every entity in the order of the message, the root first. A row holds the
number of rows of its subtree, so that the next sibling is found without reading the children. Under a part of
type MESSAGE/RFC822 stands exactly one row: the message it carries.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

VERSION = b"\x01"
"""The first octet of every table; another value means another layout."""

OTHER, TEXT, MULTIPART, MESSAGE = range(4)
"""Kinds of entities: a leaf, a leaf of text, a multipart, an encapsulated message."""

IDENTITY, BASE64, QUOTED_PRINTABLE, UNKNOWN_ENCODING = range(4)
"""Transfer encodings: none (7BIT, 8BIT, BINARY), the two of RFC 2045, and any other."""

_ROW = struct.Struct("<IIIBBH")


class Part(NamedTuple):
    """One entity: offsets in octets of the whole message, kind, transfer encoding, rows of its subtree."""

    header_at: int
    body_at: int
    end: int
    kind: int
    encoding: int
    rows: int


Row = tuple[int, int, int, int, int, int]
"""A `Part` before it is packed."""


def pack(rows: list[Row]) -> bytes:
    """The table of these rows."""
    pack_row = _ROW.pack
    return VERSION + b"".join([pack_row(*row) for row in rows])


def part_at(table: bytes, row: int) -> Part:
    """The row of that number."""
    return Part._make(_ROW.unpack_from(table, 1 + row * _ROW.size))


def all_parts(table: bytes) -> Iterator[Part]:
    """Every row in the order of the message."""
    return map(Part._make, _ROW.iter_unpack(memoryview(table)[1:]))


def find(table: bytes, path: tuple[int, ...]) -> int | None:
    """
    The row that a part number names; the root for no number.

    A message whose content is not a multipart has this content as its part 1.

    Grammar: section-part = nz-number *("." nz-number)
    RFC: 3501 section 6.4.5
    """
    row = 0
    is_message = True  # the row is the content of a message: number 1 may name the row itself
    for number in path:
        part = part_at(table, row)
        if not is_message and part.kind == MESSAGE:
            row += 1
            part = part_at(table, row)
            is_message = True
        if part.kind == MULTIPART:
            child = _child(table, row, part, number)
            if child is None:
                return None
            row = child
        elif not is_message or number != 1:
            return None
        is_message = False
    return row


def _child(table: bytes, row: int, part: Part, number: int) -> int | None:
    """The row of the multipart's child of that number, counted from 1."""
    if number < 1:
        return None
    end = row + part.rows
    row += 1
    for _ in range(number - 1):
        if row >= end:
            return None
        row += part_at(table, row).rows
    return row if row < end else None


def message_at(table: bytes, path: tuple[int, ...]) -> int | None:
    """The row of the message that a part number names: the root, or what a MESSAGE/RFC822 part carries."""
    if not path:
        return 0
    row = find(table, path)
    if row is None or part_at(table, row).kind != MESSAGE:
        return None
    return row + 1
