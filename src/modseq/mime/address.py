"""
Addresses of RFC 5322, RFC 822 and of mail as it is: groups, routes, comments, and no grammar at all.

The value is cut into tokens, then read from left to right. Nothing is refused: text without "@" is a mailbox
without a host, an unterminated quoted string, comment or "<" ends where the value ends.
"""

import re
from typing import NamedTuple

from modseq import limits


class Address(NamedTuple):
    """
    One address, or a mark that begins or ends a group.

    RFC: 3501 section 7.4.2
    `host` is None only for the marks: the beginning of a group has its name as `mailbox`, the end has none.
    An address that lacks a mailbox or a host has the empty string there.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


_GROUP_END = Address(None, None, None, None)

_TOKEN = re.compile(
    rb"(?P<space>[ \t\r\n\0]++)"
    rb'|"(?P<quoted>[^"\\]*+(?:\\.[^"\\]*+)*+)\\?"?'
    rb"|(?P<literal>\[[^\]\\]*+(?:\\.[^\]\\]*+)*+\]?)"
    rb"|(?P<atom>[^ \t\r\n\0\"\[()<>@,:;]++)"
    rb"|(?P<special>.)",
    re.DOTALL,
)
_COMMENT_EDGE = re.compile(rb"[^()\\]*+(?:\\.[^()\\]*+)*+(\\?[()])", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


class _Token(NamedTuple):
    """A piece of an address: kind is the special itself, or b"w" word, b"s" space, b"c" comment."""

    kind: bytes
    text: bytes


def _unescape(text: bytes) -> bytes:
    """The text of a quoted string or comment without the backslashes of its quoted pairs."""
    return _QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text


def _comment(value: bytes, start: int) -> tuple[bytes, int]:
    """
    The text of the comment that opens before `start`, and where the value goes on after it.

    Comments nest; what nests deeper than anybody writes is closed by the first parenthesis.
    """
    depth = 1
    position = start
    while (edge := _COMMENT_EDGE.match(value, position)) is not None:
        position = edge.end()
        if edge[1] == b"(":
            depth = min(depth + 1, limits.MIME_COMMENT_DEPTH_MAX)
        elif edge[1] == b")":
            depth -= 1
            if depth == 0:
                return _unescape(value[start : position - 1]), position
    return _unescape(value[start:]), len(value)


def _tokens(value: bytes) -> list[_Token]:
    """The value cut into words, space, comments and specials."""
    tokens: list[_Token] = []
    position = 0
    end = len(value)
    while position < end:
        match = _TOKEN.match(value, position)
        assert match is not None  # the last alternative matches any octet
        position = match.end()
        kind = match.lastgroup
        if kind == "space":
            tokens.append(_Token(b"s", b""))
        elif kind == "special" and match[0] == b"(":
            text, position = _comment(value, position)
            tokens.append(_Token(b"c", text.strip()))
        elif kind == "special":
            tokens.append(_Token(match[0] if match[0] in b"<>@,:;" else b"s", match[0]))
        elif kind == "quoted":
            tokens.append(_Token(b"w", _unescape(match["quoted"])))
        else:
            tokens.append(_Token(b"w", match[0]))
    return tokens


def parse_addresses(value: bytes) -> list[Address]:
    """
    The addresses of an unfolded field value, groups with their marks.

    A name is the phrase before "<", or in the style of RFC 822 the comment after the address. Outside a group
    ";" separates addresses, as some mailers have it.

    RFC: 3501 section 7.4.2
    """
    tokens = _tokens(value)
    angles_closed_until = max((at for at, token in enumerate(tokens) if token.kind == b">"), default=-1)
    found: list[Address] = []
    phrase: list[_Token] = []
    in_group = False
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.kind == b"<" and position <= angles_closed_until:
            angle_end = position
            while tokens[angle_end].kind != b">":
                angle_end += 1
            found.append(_angle_address(phrase, tokens[position:angle_end]))
            phrase = []
            position = angle_end + 1
        elif token.kind == b",":
            found.extend(_bare_address(phrase))
            phrase = []
        elif token.kind == b";":
            found.extend(_bare_address(phrase))
            phrase = []
            if in_group:
                found.append(_GROUP_END)
                in_group = False
        elif token.kind == b":" and not in_group and (name := _words(phrase)):
            found.append(Address(None, None, name, None))
            phrase = []
            in_group = True
        elif token.kind not in (b">", b"<", b":"):
            phrase.append(token)
    found.extend(_bare_address(phrase))
    if in_group:
        found.append(_GROUP_END)
    return found


def _words(tokens: list[_Token]) -> bytes:
    """The words of a phrase, one space wherever there was space or a comment."""
    out: list[bytes] = []
    space = False
    for kind, text in tokens:
        if kind in (b"s", b"c"):
            space = True
            continue
        if space and out:
            out.append(b" ")
        space = False
        out.append(text)
    return b"".join(out).strip()


def _name(tokens: list[_Token]) -> bytes | None:
    """The personal name in a phrase: its words, else its last comment that says something."""
    if words := _words(tokens):
        return words
    return next((text for kind, text in reversed(tokens) if kind == b"c" and text), None)


def _split_at_sign(tokens: list[_Token]) -> tuple[bytes, bytes]:
    """Mailbox and host around the last "@"; without one all is the mailbox."""
    at = max((index for index, token in enumerate(tokens) if token.kind == b"@"), default=None)
    if at is None:
        return _words(tokens), b""
    mailbox = b"".join(token.text for token in tokens[:at] if token.kind not in (b"s", b"c"))
    host = b"".join(token.text for token in tokens[at + 1 :] if token.kind not in (b"s", b"c"))
    return mailbox, host


def _angle_address(phrase: list[_Token], inside: list[_Token]) -> Address:
    """The address of `phrase <inside>`, whose inside may begin with a route."""
    route = None
    colons = [index for index, token in enumerate(inside) if token.kind == b":"]
    first = next((token.kind for token in inside if token.kind not in (b"s", b"c")), b"")
    if colons and first == b"@":
        route = b"".join(token.text for token in inside[: colons[-1]] if token.kind not in (b"s", b"c"))
        inside = inside[colons[-1] + 1 :]
    mailbox, host = _split_at_sign(inside)
    return Address(_name(phrase), route, mailbox, host)


def _bare_address(tokens: list[_Token]) -> list[Address]:
    """The address of tokens without angle brackets, if they hold more than space and comments."""
    kinds = [token.kind for token in tokens]
    if b"w" not in kinds and b"@" not in kinds:
        return []
    if b"@" not in kinds:
        return [Address(_comment_name(tokens), None, _words(tokens), b"")]
    # "John Smith john@example.org": the words that touch the "@" are the address, those before it the name.
    at = len(kinds) - 1 - kinds[::-1].index(b"@")
    start = at
    while start > 0 and kinds[start - 1] == b"s":
        start -= 1
    while start > 0 and kinds[start - 1] not in (b"s", b"c"):
        start -= 1
    mailbox, host = _split_at_sign(tokens[start:])
    name = _words(tokens[:start]) or _comment_name(tokens)
    return [Address(name or None, None, mailbox, host)]


def _comment_name(tokens: list[_Token]) -> bytes | None:
    """The last comment that says something."""
    return next((text for kind, text in reversed(tokens) if kind == b"c" and text), None)
