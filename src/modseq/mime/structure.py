"""
BODYSTRUCTURE: what the Content-* fields of one entity say, ready to be sent but for its size.

Defaults are those of MIME: TEXT/PLAIN in US-ASCII, 7BIT; MESSAGE/RFC822 within a digest. A value that cannot
be read counts as absent.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from modseq import limits
from modseq.mime import parts as part_table
from modseq.mime.envelope import ADDRESS_FIELDS, STRING_FIELDS
from modseq.mime.header import fields, unfold
from modseq.mime.quote import nstring, string

_TOKEN = rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f-\xff]"
_MEDIA_TYPE = re.compile(rb"[ \t]*+(%b++)[ \t]*+/[ \t]*+(%b++)(?=[\s;(]|\Z)" % (_TOKEN, _TOKEN))
_PARAMETER = re.compile(
    rb';\s*+([^\s=;"]++)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)\\?"?|([^;]*+))', re.DOTALL
)
_COMMENT_AT_END = re.compile(rb"\s++\([^()]*+\)\s*+\Z")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_FIRST_TOKEN = re.compile(rb"[^\s;()\"]++")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_LANGUAGE = re.compile(rb"[^\s,()]++")

_PLACING_FIELDS = frozenset({b"content-disposition", b"content-language", b"content-location"})
_BODY_FIELDS = frozenset(
    {b"content-type", b"content-transfer-encoding", b"content-id", b"content-description", b"content-md5"}
)
_WANTED = _PLACING_FIELDS | _BODY_FIELDS | ADDRESS_FIELDS | STRING_FIELDS

_ENCODINGS = {
    b"7bit": part_table.IDENTITY,
    b"8bit": part_table.IDENTITY,
    b"binary": part_table.IDENTITY,
    b"base64": part_table.BASE64,
    b"quoted-printable": part_table.QUOTED_PRINTABLE,
}

Parameters = list[tuple[bytes, bytes]]


class MediaType(NamedTuple):
    """The value of a Content-Type field: names as they are written, parameters in their order."""

    type: bytes
    subtype: bytes
    parameters: Parameters


class Entity(NamedTuple):
    """
    What the header of an entity says about its body.

    `head` are the ready fields up to the encoding, or the subtype of a multipart; `extension` the ready
    extension data with a space before it.
    """

    kind: int
    encoding: int
    head: bytes
    extension: bytes
    boundary: bytes | None
    is_digest: bool


def known_fields(header: bytes) -> dict[bytes, bytes]:
    """
    The fields of a header that ENVELOPE or BODYSTRUCTURE need: raw value by lower-case name.

    The first of several fields counts; of address fields all do, joined with commas.
    """
    found: dict[bytes, bytes] = {}
    for name, value in fields(header):
        name = name.lower()  # noqa: PLW2901 - the written case is not needed
        if name not in _WANTED:
            continue
        if name not in found:
            found[name] = value
        elif name in ADDRESS_FIELDS:
            found[name] = b"%b,%b" % (found[name], value)
    return found


def media_type(value: bytes | None) -> MediaType | None:
    """
    The media type in the raw value of a Content-Type field; None if there is none that can be read.

    Grammar: content := "Content-Type" ":" type "/" subtype *(";" parameter)
    """
    if value is None:
        return None
    value = unfold(value)
    match = _MEDIA_TYPE.match(value)
    if match is None:
        return None
    return MediaType(match[1], match[2], _parameters(value, match.end()))


def _parameters(value: bytes, start: int) -> Parameters:
    """The parameters of an unfolded value from there on, as they are written but without quoting."""
    if value.find(b";", start) < 0:
        return []
    found: Parameters = []
    for name, quoted, plain in _PARAMETER.findall(value, start):
        text = plain.strip()
        if not text:
            text = _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        elif b"(" in text:
            text = _COMMENT_AT_END.sub(b"", text)
        found.append((name, text))
        if len(found) == limits.MIME_PARAMETERS_MAX:
            break
    return found


def parameter(parameters: Parameters, name: bytes) -> bytes | None:
    """
    The value of a parameter, also where it is written in the pieces and escapes of RFC 2231.

    The charset and language of an escaped value are dropped: boundaries and charset names are ASCII.
    """
    is_extended = False
    for key, value in parameters:
        if key.lower() == name:
            return value
        is_extended = is_extended or b"*" in key
    return _extended_parameter(parameters, name) if is_extended else None


def _extended_parameter(parameters: Parameters, name: bytes) -> bytes | None:
    """The value of a parameter that is written as name*, name*0, name*0* and so on."""
    pieces: dict[int, bytes] = {}
    for key, value in parameters:
        key_name, star, rest = key.lower().partition(b"*")
        if key_name != name or not star:
            continue
        escaped = rest == b"" or rest.endswith(b"*")
        number = rest.rstrip(b"*")
        index = int(number) if number.isdigit() and len(number) <= 4 else 0
        if escaped:
            if index == 0 and value.count(b"'") >= 2:
                value = value.split(b"'", 2)[2]  # noqa: PLW2901 - the piece without its label
            value = _PERCENT.sub(lambda hexed: bytes.fromhex(hexed[1].decode()), value)  # noqa: PLW2901
        pieces.setdefault(index, value)
    return b"".join(pieces[index] for index in sorted(pieces)) if pieces else None


def _ready_parameters(parameters: Parameters) -> bytes:
    """
    Parameters ready to be sent.

    Grammar: body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
    """
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in parameters])


def _ready_disposition(value: bytes | None) -> bytes:
    """
    Content-Disposition ready to be sent.

    Grammar: body-fld-dsp = "(" string SP body-fld-param ")" / nil
    """
    if value is None:
        return b"NIL"
    value = unfold(value)
    kind = _FIRST_TOKEN.match(value)
    if kind is None:
        return b"NIL"
    return b"(%b %b)" % (string(kind[0]), _ready_parameters(_parameters(value, kind.end())))


def _ready_languages(value: bytes | None) -> bytes:
    """
    Content-Language ready to be sent.

    Grammar: body-fld-lang = nstring / "(" string *(SP string) ")"
    """
    if value is None:
        return b"NIL"
    tags = _LANGUAGE.findall(unfold(value))
    if len(tags) < 2:
        return string(tags[0]) if tags else b"NIL"
    return b"(%b)" % b" ".join([string(tag) for tag in tags])


def _ready_text(value: bytes | None) -> bytes:
    """The unfolded value of a field as an nstring."""
    return nstring(None if value is None else unfold(value))


def _ready_placing(found: Mapping[bytes, bytes]) -> bytes:
    """
    The extension data that all entities have, ready to be sent.

    Grammar: body-fld-dsp SP body-fld-lang SP body-fld-loc
    """
    if found.keys().isdisjoint(_PLACING_FIELDS):
        return b"NIL NIL NIL"
    return b"%b %b %b" % (
        _ready_disposition(found.get(b"content-disposition")),
        _ready_languages(found.get(b"content-language")),
        _ready_text(found.get(b"content-location")),
    )


def entity(found: Mapping[bytes, bytes], *, in_digest: bool) -> Entity:
    """
    What these fields say about the body they introduce.

    A multipart without a boundary has `boundary` None. An encapsulated message in base64 or quoted-printable,
    which RFC 2046 section 5.2.1 forbids, cannot be read as it stands and is an APPLICATION/OCTET-STREAM.

    RFC: 3501 section 7.4.2
    Args:
        found: raw values by lower-case name.
        in_digest: the entity is a part of a MULTIPART/DIGEST, where the default is MESSAGE/RFC822.
    """
    get = found.get
    media = media_type(get(b"content-type"))
    if media is None:
        if in_digest:
            media = MediaType(b"MESSAGE", b"RFC822", [])
        else:
            media = MediaType(b"TEXT", b"PLAIN", [(b"CHARSET", b"US-ASCII")])
    main, sub, parameters = media
    main_lower, sub_lower = main.lower(), sub.lower()
    placing = _ready_placing(found)
    if main_lower == b"multipart":
        boundary = parameter(parameters, b"boundary")
        extension = b" %b %b" % (_ready_parameters(parameters), placing)
        is_digest = sub_lower == b"digest"
        boundary = boundary.rstrip() if boundary else None
        return Entity(part_table.MULTIPART, part_table.IDENTITY, string(sub), extension, boundary, is_digest)
    written = _FIRST_TOKEN.search(get(b"content-transfer-encoding", b""))
    encoding_name = b"7BIT" if written is None else written[0]
    encoding = _ENCODINGS.get(encoding_name.lower(), part_table.UNKNOWN_ENCODING)
    kind = part_table.OTHER
    if main_lower == b"text":
        kind = part_table.TEXT
        if sub_lower == b"plain" and parameter(parameters, b"charset") is None:
            parameters = [*parameters, (b"CHARSET", b"US-ASCII")]  # RFC 2046 section 4.1.2
    elif main_lower == b"message" and sub_lower == b"rfc822":
        if encoding == part_table.IDENTITY:
            kind = part_table.MESSAGE
        else:
            main, sub = b"APPLICATION", b"OCTET-STREAM"
    head = b"(%b %b %b %b %b %b " % (
        string(main),
        string(sub),
        _ready_parameters(parameters),
        _ready_text(get(b"content-id")),
        _ready_text(get(b"content-description")),
        string(encoding_name),
    )
    return Entity(kind, encoding, head, b" %b %b" % (_ready_text(get(b"content-md5")), placing), None, False)


@lru_cache(maxsize=limits.MIME_PART_HEADERS_CACHED_MAX)
def _remembered_entity(header: bytes, in_digest: bool) -> Entity:
    return entity(known_fields(header), in_digest=in_digest)


def entity_of_header(header: bytes, *, in_digest: bool) -> Entity:
    """What the header of a part says; short headers are remembered, because most mail shares a few."""
    if len(header) <= limits.MIME_PART_HEADER_CACHED_BYTES_MAX:
        return _remembered_entity(header, in_digest)
    return entity(known_fields(header), in_digest=in_digest)


OPAQUE = entity({b"content-type": b"application/octet-stream"}, in_digest=False)
"""What lies below the greatest depth."""

PLAIN = entity({}, in_digest=False)
"""What an entity without any Content-* field is."""
