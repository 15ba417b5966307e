"""Any BODY[...] of a message, from the part table alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from modseq.mime import parts as part_table
from modseq.mime.header import field_lines

SectionKind = Literal["", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]


@dataclass(frozen=True, slots=True)
class SectionSpec:
    """
    What stands between the brackets of BODY[...].

    Grammar: section-spec = section-msgtext / (section-part ["." section-text])
    RFC: 3501 section 6.4.5
    `path` holds the part numbers, `fields` the names of HEADER.FIELDS and HEADER.FIELDS.NOT.
    """

    path: tuple[int, ...] = ()
    kind: SectionKind = ""
    fields: tuple[bytes, ...] = ()


def section(message: bytes, parts: bytes, spec: SectionSpec) -> bytes | None:
    """
    The octets of a section, whole; None (answered as NIL) where the message has no such part.

    HEADER, HEADER.FIELDS and TEXT exist for the message and for parts of type MESSAGE/RFC822, MIME for parts.

    RFC: 3501 section 6.4.5
    Args:
        message: the whole message.
        parts: its part table, as `scan` made it.
    """
    if spec.kind in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        span = header_span(parts, spec.path)
        if span is None:
            return None
        header = message[span[0] : span[0] + span[1]]
        return header_subset(header, spec.fields, exclude=spec.kind == "HEADER.FIELDS.NOT")
    span = section_span(parts, spec)
    return None if span is None else message[span[0] : span[0] + span[1]]


def section_span(parts: bytes, spec: SectionSpec) -> tuple[int, int] | None:
    """
    Where a section lies in the message, so that a piece of it can be read without loading the message.

    Returns: offset and length in octets; None where the message has no such part, and for HEADER.FIELDS and
        HEADER.FIELDS.NOT, which are no contiguous octets (`header_span` and `header_subset` give those).
    """
    if spec.kind == "HEADER":
        return header_span(parts, spec.path)
    if spec.kind in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        return None
    if spec.kind == "TEXT":
        row = part_table.message_at(parts, spec.path)
        if row is None:
            return None
        part = part_table.part_at(parts, row)
        return part.body_at, part.end - part.body_at
    row = part_table.find(parts, spec.path)
    if row is None or (spec.kind == "MIME" and not spec.path):
        return None
    part = part_table.part_at(parts, row)
    if spec.kind == "MIME":
        return part.header_at, part.body_at - part.header_at
    if not spec.path:
        return 0, part.end
    return part.body_at, part.end - part.body_at


def header_span(parts: bytes, path: tuple[int, ...]) -> tuple[int, int] | None:
    """Offset and length of the header of the message or of the MESSAGE/RFC822 part at `path`."""
    row = part_table.message_at(parts, path)
    if row is None:
        return None
    part = part_table.part_at(parts, row)
    return part.header_at, part.body_at - part.header_at


def header_subset(header: bytes, names: Iterable[bytes], *, exclude: bool) -> bytes:
    """
    The fields of a header that have one of the names, or with `exclude` all others, and a blank line.

    The octets are those of the message: order, folding and the case of names stay.

    RFC: 3501 section 6.4.5
    """
    wanted = {name.lower() for name in names}
    kept: list[bytes] = []
    for name, lines in field_lines(header):
        if lines in (b"\r\n", b"\n"):
            break
        if (name is not None and name.lower() in wanted) != exclude:
            kept.append(lines)
    if kept and not kept[-1].endswith(b"\n"):
        kept.append(b"\r\n")
    kept.append(b"\r\n")
    return b"".join(kept)
