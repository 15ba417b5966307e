"""The text of a message as a reader sees it, for SEARCH: decoded, and folded for comparison."""

import unicodedata
from collections.abc import Iterator

from modseq.mime import parts as part_table
from modseq.mime.charset import decode_base64, decode_charset, decode_quoted_printable
from modseq.mime.header import decode_words, fields, header_end, header_values, unfold
from modseq.mime.parts import BASE64, MESSAGE, QUOTED_PRINTABLE, TEXT, Part
from modseq.mime.structure import known_fields, media_type, parameter


def header_text(message: bytes, name: bytes) -> list[str]:
    """
    The values of every field of that name in the message's header, unfolded and decoded.

    RFC: 3501 section 6.4.4
    """
    return [decode_words(value) for value in header_values(message, name)]


def body_text(message: bytes, parts: bytes) -> str:
    """
    The decoded text of every text part, and of the headers and text of encapsulated messages.

    Markup is left as it is. Parts are separated by line ends, so that no match spans two of them.

    RFC: 3501 section 6.4.4
    """
    return "\n".join(_body_texts(message, parts))


def all_text(message: bytes, parts: bytes) -> str:
    """
    The decoded header and body, for the search key TEXT.

    RFC: 3501 section 6.4.4
    """
    return "\n".join([_header_lines(message[: header_end(message)]), *_body_texts(message, parts)])


def fold(text: str) -> str:
    """
    The form of a text in which SEARCH compares it: two texts that differ in case only are equal.

    Case is folded as Unicode has it and compatible forms are one (full-width letters, ligatures, composed or
    decomposed accents). An accent is part of its letter: "cafe" is not found in "caf\N{LATIN SMALL LETTER E WITH ACUTE}".

    RFC: 3501 section 6.4.4
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _body_texts(message: bytes, parts: bytes) -> Iterator[str]:
    """The texts of which the body consists."""
    carries_message = False
    for part in part_table.all_parts(parts):
        if carries_message:
            yield _header_lines(message[part.header_at : part.body_at])
        carries_message = part.kind == MESSAGE
        if part.kind == TEXT:
            yield _part_text(message, part)


def _part_text(message: bytes, part: Part) -> str:
    """The decoded text of one text part."""
    data = message[part.body_at : part.end]
    if part.encoding == BASE64:
        data = decode_base64(data)
    elif part.encoding == QUOTED_PRINTABLE:
        data = decode_quoted_printable(data)
    found = known_fields(message[part.header_at : part.body_at])
    media = media_type(found.get(b"content-type"))
    return decode_charset(data, None if media is None else parameter(media.parameters, b"charset"))


def _header_lines(header: bytes) -> str:
    """Every field of a header, unfolded and decoded, one on a line."""
    return "\n".join(
        f"{decode_charset(name, None)}: {decode_words(unfold(value))}" for name, value in fields(header)
    )
