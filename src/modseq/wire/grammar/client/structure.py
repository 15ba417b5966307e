"""fetch, the two items with an inside of their own: ENVELOPE and BODYSTRUCTURE.

RFC: 3501 section 7.4.2
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from modseq.wire.response_parser import ResponseParser
from modseq.wire.response_values import Address, BodyPart, Envelope


def envelope(p: ResponseParser) -> Envelope:
    """
    Read an ENVELOPE.

    Grammar: envelope = "(" env-date SP env-subject SP env-from SP ... SP env-message-id ")"
    RFC: 3501 section 7.4.2, 9
    """
    p.open()
    date = _next_string(p)
    subject = _next_string(p)
    from_, sender, reply_to = addresses(p), addresses(p), addresses(p)
    to, cc, bcc = addresses(p), addresses(p), addresses(p)
    in_reply_to = _next_string(p)
    message_id = _next_string(p)
    p.spaces()
    p.close()
    return Envelope(date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id)


def _next_string(p: ResponseParser) -> bytes | None:
    p.spaces()
    return p.nstring()


def addresses(p: ResponseParser) -> tuple[Address, ...]:
    """
    Read a list of addresses; NIL is none.

    Grammar: env-from = "(" 1*address ")" / nil
    RFC: 3501 section 7.4.2, 9
    """
    p.spaces()
    if p.take_nil():
        return ()
    p.open()
    found: list[Address] = []
    p.spaces()
    while not p.take(b")"):
        p.open()
        found.append(Address(_next_string(p), _next_string(p), _next_string(p), _next_string(p)))
        p.spaces()
        p.close()
        p.spaces()
    return tuple(found)


def body(p: ResponseParser) -> BodyPart:
    """
    Read a BODYSTRUCTURE or BODY, which is one without extension data.

    Grammar: body = "(" (body-type-1part / body-type-mpart) ")"
    RFC: 3501 section 7.4.2, 9
    """
    p.open()
    p.deeper()
    p.spaces()
    part = body_type_mpart(p) if p.stands(b"(") else body_type_1part(p)
    p.spaces()
    p.close()
    p.depth -= 1
    return part


def body_type_mpart(p: ResponseParser) -> BodyPart:
    """
    Read a multipart.

    Grammar: body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
    RFC: 3501 section 9
    """
    parts: list[BodyPart] = []
    while p.stands(b"("):
        parts.append(body(p))
        p.spaces()
    subtype = _word(p)
    params = body_fld_param(p) if _more(p) else _NO_PARAMS
    disposition, disposition_params, languages, location = _extension(p)
    return BodyPart(
        f"multipart/{subtype}",
        params,
        tuple(parts),
        disposition=disposition,
        disposition_params=disposition_params,
        languages=languages,
        location=location,
    )


def body_type_1part(p: ResponseParser) -> BodyPart:
    """
    Read a leaf, or a message with its inside.

    Grammar: body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
    RFC: 3501 section 9
    """
    major = _word(p)
    p.spaces()
    minor = _word(p)
    p.spaces()
    params = body_fld_param(p)
    content_id = _next_string(p)
    description = _next_string(p)
    encoding = _next_string(p) or b""
    p.spaces()
    size = 0 if p.take_nil() else p.number64("a size")
    lines: int | None = None
    inner_envelope: Envelope | None = None
    parts: tuple[BodyPart, ...] = ()
    if (major, minor) in (("message", "rfc822"), ("message", "global")) and _more(p) and p.stands(b"("):
        inner_envelope = envelope(p)
        p.spaces()
        parts = (body(p),)
        p.spaces()
        lines = _lines(p)
    elif major == "text" and _more(p):
        lines = _lines(p)
    if _more(p):
        p.nstring("an MD5")
    disposition, disposition_params, languages, location = _extension(p)
    return BodyPart(
        f"{major}/{minor}",
        params,
        parts,
        content_id,
        description,
        encoding.decode("ascii", "replace").lower(),
        size,
        lines,
        inner_envelope,
        disposition,
        disposition_params,
        languages,
        location,
    )


_NO_PARAMS: Mapping[str, bytes] = MappingProxyType({})


def body_fld_param(p: ResponseParser) -> Mapping[str, bytes]:
    """
    Read parameters, names in small letters.

    Grammar: body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
    RFC: 3501 section 9
    """
    if p.take_nil():
        return _NO_PARAMS
    p.open()
    found: dict[str, bytes] = {}
    p.spaces()
    while not p.take(b")"):
        name = p.astring("a parameter's name").decode("utf-8", "replace").lower()
        found[name] = _next_string(p) or b""
        p.spaces()
    return MappingProxyType(found)


def _extension(p: ResponseParser) -> tuple[str | None, Mapping[str, bytes], tuple[bytes, ...], bytes | None]:
    """
    Read disposition, languages, location, and pass over what comes after them.

    Grammar: [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc *(SP body-extension)]]]
    RFC: 3501 section 9
    """
    disposition: str | None = None
    params = _NO_PARAMS
    languages: tuple[bytes, ...] = ()
    location: bytes | None = None
    if _more(p):
        if p.take(b"("):
            disposition = _word(p)
            p.spaces()
            params = body_fld_param(p)
            p.spaces()
            p.close()
        else:
            plain = p.nstring("a disposition")
            disposition = None if plain is None else plain.decode("utf-8", "replace").lower()
    if _more(p):
        languages = _languages(p)
    if _more(p):
        location = p.nstring("a location")
    while _more(p):
        p.skip_value()
    return disposition, params, languages, location


def _languages(p: ResponseParser) -> tuple[bytes, ...]:
    """
    Grammar: body-fld-lang = nstring / "(" string *(SP string) ")"
    RFC: 3501 section 9
    """
    if not p.take(b"("):
        one = p.nstring("a language")
        return () if one is None else (one,)
    found: list[bytes] = []
    p.spaces()
    while not p.take(b")"):
        found.append(p.astring("a language"))
        p.spaces()
    return tuple(found)


def _lines(p: ResponseParser) -> int | None:
    return None if p.take_nil() else p.number64("a number of lines")


def _word(p: ResponseParser) -> str:
    return (p.nstring("a media type") or b"").decode("utf-8", "replace").lower()


def _more(p: ResponseParser) -> bool:
    """Return whether another field follows, standing before it."""
    p.spaces()
    return not p.stands(b")")
