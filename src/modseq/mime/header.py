"""
Header fields: where a header ends, its fields, their values unfolded and decoded.

A header ends at the first blank line, as mail clients see it; lines without a colon inside it are noise.
A header that does not begin like one (no field name, no continuation, no mbox "From " line) is not one: then
everything is body, so that a text that was stored without a header can still be read.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from modseq import limits
from modseq.mime.charset import decode_base64, decode_charset, decode_quoted_printable

BLANK_LINE = re.compile(rb"\n\r?\n")
"""The end of a header: the newline before the blank line, and the blank line."""

_BEGINS_HEADER = re.compile(rb"[^\s:]++[ \t]*+:|>?From |[ \t]|\r?\n")
_FIELD = re.compile(rb"^([^\s:]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE)
_LINES_OF_FIELD = re.compile(rb"(?:([^\s:]++)[ \t]*+:)?[^\n]*+(?:\n[ \t][^\n]*+)*+\n?")

# RFC 2047 section 2; the charset may carry a language after "*" (RFC 2231 section 5).
_ENCODED_WORD = re.compile(rb"=\?([^?*\s]++)(?:\*[^?\s]*+)?\?([BbQq])\?([^?\r\n]*+)\?=")


def begins_header(message: bytes, start: int) -> bool:
    """Whether the octets at `start` look like the first line of a header, or like its blank line."""
    return _BEGINS_HEADER.match(message, start) is not None


def header_end(message: bytes) -> int:
    """
    The length of the message's header, with the blank line that ends it.

    Returns: the offset of the body; the length of the message if there is no blank line, 0 if the message
        does not begin like a header.
    """
    if not begins_header(message, 0):
        return 0
    if message.startswith(b"\r\n"):
        return 2
    if message.startswith(b"\n"):
        return 1
    blank = BLANK_LINE.search(message)
    return len(message) if blank is None else blank.end()


def fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """
    The fields of a header in their order: name as it is written, value as it is folded.

    Lines that are no field are left out. Values begin after the colon.
    """
    return _FIELD.findall(header)


def field_lines(header: bytes) -> Iterator[tuple[bytes | None, bytes]]:
    """
    The header cut at its fields: name (None for lines that are no field) and all octets with the line end.

    Joined in order the octets give the header back.
    """
    end = len(header)
    position = 0
    while position < end:
        match = _LINES_OF_FIELD.match(header, position)
        assert match is not None  # the pattern matches the empty string
        yield match[1], match[0]
        position = match.end()


def unfold(value: bytes) -> bytes:
    """
    The value of a field in one line, without space around it.

    RFC: 3501 section 6.4.4
    """
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip(b" \t\r")


@lru_cache(maxsize=limits.MIME_FIELD_NAMES_CACHED_MAX)
def _field_named(name: bytes) -> re.Pattern[bytes]:
    """The pattern of one field, whatever the case of its name."""
    pattern = rb"^%b[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)" % re.escape(name)
    return re.compile(pattern, re.MULTILINE | re.IGNORECASE)


def header_values(message: bytes, name: bytes) -> list[bytes]:
    """
    The unfolded values of every field of that name in the header of the message, in order.

    Args:
        message: a whole message, or only its header.
        name: the field name without colon, in any case.
    """
    if not name:
        return []
    return [unfold(value) for value in _field_named(name).findall(message[: header_end(message)])]


def decode_words(value: bytes) -> str:
    """
    The text of an unfolded header value, its encoded words decoded.

    White space between two encoded words is dropped (RFC 2047 section 6.2). Neighbours in one charset are
    joined before decoding, because mailers cut in the middle of a character. Raw 8-bit text is taken for
    UTF-8 or windows-1252. Unknown charsets and malformed words never fail: they are shown as they can be.
    """
    if b"=?" not in value:
        return decode_charset(value, None)
    out: list[str] = []
    run: list[bytes] = []
    run_charset = b""
    position = 0
    for match in _ENCODED_WORD.finditer(value):
        between = value[position : match.start()]
        position = match.end()
        charset = match[1].lower()
        apart = bool(between.strip()) or not (run or out)
        if run and (apart or charset != run_charset):
            out.append(decode_charset(b"".join(run), run_charset))
            run = []
        if apart and between:
            out.append(decode_charset(between, None))
        if match[2] in b"Bb":
            run.append(decode_base64(match[3]))
        else:
            run.append(decode_quoted_printable(match[3], header=True))
        run_charset = charset
    if run:
        out.append(decode_charset(b"".join(run), run_charset))
    out.append(decode_charset(value[position:], None))
    return "".join(out)
