"""One response in, one value out; one command value in, its octets out: the client's side of messages.

RFC: 3501 section 2.2.2, 7
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import cast

from modseq.wire.abnf import NUMBER_MAX, ParseError
from modseq.wire.command_writer import CommandWriter, Source
from modseq.wire.grammar.client import (
    CodeRule,
    DataRule,
    Writer,
    access,
    fetch,
    mailbox,
    search,
    select,
    store,
    transfer,
)
from modseq.wire.response_parser import ResponseParser
from modseq.wire.response_values import (
    Code,
    Condition,
    Continuation,
    Exists,
    Expunged,
    OtherData,
    Recent,
    Response,
    StatusResponse,
)
from modseq.wire.values import Command

_FAMILIES: tuple[ModuleType, ...] = (access, mailbox, select, fetch, search, store, transfer)
_WRITERS: dict[type, Writer] = {kind: rule for family in _FAMILIES for kind, rule in family.WRITERS.items()}
_DATA: dict[bytes, DataRule] = {name: rule for family in _FAMILIES for name, rule in family.DATA.items()}
_CODES: dict[bytes, CodeRule] = {name: rule for family in _FAMILIES for name, rule in family.CODES.items()}

_BEGIN = re.compile(rb"(\*|[^\x00-\x20(){%\"\\*+]{1,255}) (?:(\d{1,10}) )?([A-Za-z][A-Za-z0-9.\-]*+)")
_CONDITIONS = {name.encode(): name for name in ("OK", "NO", "BAD", "BYE", "PREAUTH")}
_CODE = re.compile(rb"\[([^\x00-\x20\x7f\]]+)")


def parse_response(parts: tuple[bytes, ...], *, utf8: bool = False) -> Response:
    """
    Return what one framed response means.

    Grammar: response = continue-req / response-data / response-tagged
    RFC: 3501 section 7, 9
    Args: text, literal, text, ..., as ResponseReader gives it; `utf8` after ENABLE UTF8=ACCEPT.
    Raises ParseError.
    """
    text = parts[0]
    if text.startswith(b"+"):
        return Continuation(text[2:] if text.startswith(b"+ ") else text[1:])
    begin = _BEGIN.match(text)
    if begin is None:
        raise ParseError("a response", 0)
    tag, number, word = begin.groups()
    name = word.upper()
    p = ResponseParser(parts, begin.end(), utf8=utf8)
    condition = _CONDITIONS.get(name)
    if condition is not None and number is None:
        return _status(p, None if tag == b"*" else tag, cast(Condition, condition))
    if tag != b"*":
        raise ParseError("OK, NO or BAD behind a tag", len(tag))
    if number is not None:
        return _numbered(p, int(number), name)
    rule = _DATA.get(name)
    if rule is None:
        return OtherData(name.decode("ascii"), parts)
    value = rule(p)
    p.spaces()
    p.end()
    return value


def _numbered(p: ResponseParser, number: int, name: bytes) -> Response:
    """
    Grammar: message-data = nz-number SP ("EXPUNGE" / ("FETCH" SP msg-att))
    RFC: 3501 section 7.3.1, 7.3.2, 7.4.1, 7.4.2
    """
    if number > NUMBER_MAX:
        raise ParseError(f"a number up to {NUMBER_MAX}", 2)
    if name == b"EXISTS":
        return Exists(number)
    if name == b"RECENT":
        return Recent(number)
    if name not in (b"FETCH", b"EXPUNGE"):
        return OtherData(name.decode("ascii"), p.parts)
    if number == 0:
        raise ParseError("a message number from 1", 2)
    if name == b"EXPUNGE":
        return Expunged(number)
    message = fetch.fetched(p, number)
    p.spaces()
    p.end()
    return message


def _status(p: ResponseParser, tag: bytes | None, condition: Condition) -> StatusResponse:
    """
    Grammar: resp-cond-state = ("OK" / "NO" / "BAD") SP resp-text
    RFC: 3501 section 7.1, 9
    Chosen: a known code whose value makes no sense is kept as text; who needs the value looks at its type.
    """
    p.spaces()
    code: Code | None = None
    match = _CODE.match(p.text, p.at)
    if match is not None:
        code = _code(p, match)
    rest = p.text[p.at :].decode("utf-8", "replace").strip()
    return StatusResponse(tag, condition, code, rest)


def _code(p: ResponseParser, match: re.Match[bytes]) -> Code | None:
    begin = p.at
    name = match[1].upper()
    shown = name.decode("ascii", "replace")
    p.at = match.end()
    rule = _CODES.get(name)
    if rule is not None:
        part, text = p.part, p.text
        try:
            value = rule(p)
            p.spaces()
            if p.take(b"]"):
                return Code(shown, value)
        except ParseError:
            pass
        p.part, p.text, p.at = part, text, match.end()
    end = p.text.find(b"]", p.at)
    if end < 0:
        # No code at all: human text that begins with a bracket.
        p.at = begin
        return None
    raw = p.text[p.at : end].strip().decode("utf-8", "replace")
    p.at = end + 1
    return Code(shown, raw or None)


def write_command(command: Command, *, utf8: bool = False) -> tuple[bytes | Source, ...]:
    """
    Return a command as text, literal, text, ..., text, the last one without its line end.

    Grammar: command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
    RFC: 3501 section 2.2.1, 9
    Raises ValueError for what cannot be written: a NUL in a string, an empty set.
    """
    w = CommandWriter(command.tag, f"UID {command.name}" if command.uid else command.name, utf8=utf8)
    if command.args is not None:
        _WRITERS[type(command.args)](w, command.args)
    return w.parts()
