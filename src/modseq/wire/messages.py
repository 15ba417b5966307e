"""One command in, one value out; and the status responses with which every command ends.

RFC: 3501 section 2.2, 7.1
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from modseq.limits import TAG_BYTES_MAX
from modseq.wire.abnf import ParseError, Parser, UnknownCommand
from modseq.wire.framing import read_tag
from modseq.wire.grammar import Rule, access, fetch, idle, mailbox, search, select, store, transfer
from modseq.wire.values import Command

_FAMILIES = (access, mailbox, select, fetch, search, store, transfer, idle)
_RULES: dict[bytes, tuple[str, bool, Rule]] = {
    key: (key.removeprefix(b"UID ").decode("ascii"), key.startswith(b"UID "), rule)
    for family in _FAMILIES
    for key, rule in family.RULES.items()
}
COMMAND_NAMES = frozenset(key.decode("ascii") for key in _RULES)
"""All commands this grammar knows, "UID FETCH" apart from "FETCH"."""

_COMMAND = re.compile(
    rb'([^\x00-\x20\x7f-\xff(){%%*"\\+]{1,%d}) ((?:UID )?+[A-Z][A-Z0-9]*+)' % TAG_BYTES_MAX, re.IGNORECASE
)


def parse_command(parts: tuple[bytes, ...]) -> Command:
    """
    Return what one framed command means.

    Grammar: command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
    RFC: 3501 section 2.2.1, 9
    Args: text, literal, text, ..., as in framing.CommandReceived.
    Raises ParseError, which carries the tag if that could be read, and UnknownCommand.
    """
    begin = _COMMAND.match(parts[0])
    if begin is None:
        tag = read_tag(parts[0])
        if tag is None:
            raise ParseError("a tag and a command", 0)
        raise ParseError("a command", len(tag), tag)
    tag, key = begin.groups()
    known = _RULES.get(key) or _RULES.get(key.upper())
    if known is None:
        raise UnknownCommand(key.upper().decode("ascii"), begin.start(2), tag)
    name, uid, rule = known
    at = begin.end()
    if rule is None and at == len(parts[0]) and len(parts) == 1:
        return Command(tag, name, uid, None)
    parser = Parser(parts, at, uid=uid)
    try:
        args = rule(parser) if rule is not None else None
        parser.end()
    except ParseError as error:
        error.tag = tag
        raise
    return Command(tag, name, uid, args)


Condition: TypeAlias = Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]


def status_response(tag: bytes | None, condition: Condition, text: str, code: bytes = b"") -> bytes:
    """
    Encode a tagged status response, or an untagged one where `tag` is None.

    Grammar: resp-cond-state = ("OK" / "NO" / "BAD") SP ["[" resp-text-code "]" SP] text
    RFC: 3501 section 7.1, 9
    """
    words = text.encode("ascii", "replace").translate(_LINE_ENDS_TO_SPACES)
    if code:
        return b"%b %b [%b] %b\r\n" % (tag or b"*", condition.encode("ascii"), code, words)
    return b"%b %b %b\r\n" % (tag or b"*", condition.encode("ascii"), words)


_LINE_ENDS_TO_SPACES = bytes.maketrans(b"\r\n\x00", b"   ")


def continuation(text: str = "go ahead") -> bytes:
    """
    Encode the server's leave to go on.

    Grammar: continue-req = "+" SP (resp-text / base64) CRLF
    RFC: 3501 section 7.5, 9
    """
    return b"+ %b\r\n" % text.encode("ascii", "replace").translate(_LINE_ENDS_TO_SPACES)
