"""
Addresses of RFC 5322, RFC 822 and of mail as it is: groups, routes, comments, and no grammar at all.

The value is cut into tokens, then read from left to right. Nothing is refused: text without "@" is a mailbox
without a host, an unterminated quoted string, comment or "<" ends where the value ends.
"""

import re
from typing import NamedTuple


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
_ANGLE_END = (b">", b">")

_TOKEN = re.compile(
    rb"(?P<space>[ \t\r\n\0]++)"
    rb"|\((?P<comment>[^()\\]*+)\)"
    rb'|"(?P<quoted>[^"\\]*+(?:\\.[^"\\]*+)*+)\\?"?'
    rb"|(?P<literal>\[[^\]\\]*+(?:\\.[^\]\\]*+)*+\]?)"
    rb"|(?P<atom>[^ \t\r\n\0\"\[()<>@,:;]++)"
    rb"|(?P<special>.)",
    re.DOTALL,
)
_COMMENT_EDGE = re.compile(rb"[^()\\]*+(?:\\.[^()\\]*+)*+(\\?[()])", re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


_Token = tuple[bytes, bytes]
"""A piece of an address: its kind, which is the special itself or word, space, comment; and its text."""

_WORD, _SPACE, _COMMENT = b"w", b"s", b"c"
_SILENT = frozenset({_SPACE, _COMMENT})


def _unescape(text: bytes) -> bytes:
    """The text of a quoted string or comment without the backslashes of its quoted pairs."""
    return _QUOTED_PAIR.sub(rb"\1", text) if b"\\" in text else text


def _comment(value: bytes, start: int) -> tuple[bytes, int]:
    """The text of the comment that opens before `start`, with comments inside it, and where it ends."""
    depth = 1
    position = start
    while (edge := _COMMENT_EDGE.match(value, position)) is not None:
        position = edge.end()
        if edge[1] == b"(":
            depth += 1
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
        if kind == "atom":
            tokens.append((_WORD, match[0]))
        elif kind == "space":
            tokens.append((_SPACE, b""))
        elif kind == "comment":
            tokens.append((_COMMENT, match["comment"].strip()))
        elif kind == "quoted":
            tokens.append((_WORD, _unescape(match["quoted"])))
        elif kind == "literal":
            tokens.append((_WORD, match[0]))
        elif match[0] == b"(":
            text, position = _comment(value, position)
            tokens.append((_COMMENT, text.strip()))
        else:
            tokens.append((match[0] if match[0] in b"<>@,:;" else _SPACE, match[0]))
    return tokens


def parse_addresses(value: bytes) -> list[Address]:
    """
    The addresses of an unfolded field value, groups with their marks.

    A name is the phrase before "<", or in the style of RFC 822 the comment after the address. Outside a group
    ";" separates addresses, as some mailers have it.

    RFC: 3501 section 7.4.2
    """
    tokens = _tokens(value)
    last_angle = max((at for at, (kind, _) in enumerate(tokens) if kind == b">"), default=-1)
    found: list[Address] = []
    phrase: list[_Token] = []
    in_group = False
    position = 0
    while position < len(tokens):
        token = tokens[position]
        kind = token[0]
        position += 1
        if kind == b"<" and position <= last_angle:
            angle_end = tokens.index(_ANGLE_END, position)
            found.append(_angle_address(phrase, tokens[position:angle_end]))
            phrase = []
            position = angle_end + 1
        elif kind in (b",", b";"):
            found.extend(_bare_address(phrase))
            phrase = []
            if kind == b";" and in_group:
                found.append(_GROUP_END)
                in_group = False
        elif kind == b":" and not in_group and (name := _words(phrase)):
            found.append(Address(None, None, name, None))
            phrase = []
            in_group = True
        elif kind not in (b">", b"<", b":"):
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
        if kind in _SILENT:
            space = True
            continue
        if space and out:
            out.append(b" ")
        space = False
        out.append(text)
    return b"".join(out).strip()


def _comment_name(tokens: list[_Token]) -> bytes | None:
    """The last comment that says something."""
    return next((text for kind, text in reversed(tokens) if kind == _COMMENT and text), None)


def _last_at_sign(tokens: list[_Token]) -> int | None:
    """The index of the last "@", if there is one."""
    return next((at for at in range(len(tokens) - 1, -1, -1) if tokens[at][0] == b"@"), None)


def _split_at_sign(tokens: list[_Token]) -> tuple[bytes, bytes]:
    """Mailbox and host around the last "@"; without one all is the mailbox."""
    at = _last_at_sign(tokens)
    if at is None:
        return _words(tokens), b""
    return _joined(tokens[:at]), _joined(tokens[at + 1 :])


def _joined(tokens: list[_Token]) -> bytes:
    """The text of the tokens without space and comments."""
    return b"".join([text for kind, text in tokens if kind not in _SILENT])


def _angle_address(phrase: list[_Token], inside: list[_Token]) -> Address:
    """The address of `phrase <inside>`, whose inside may begin with a route."""
    route = None
    colons = [index for index, (kind, _) in enumerate(inside) if kind == b":"]
    if colons and next((kind for kind, _ in inside if kind not in _SILENT), b"") == b"@":
        route = _joined(inside[: colons[-1]])
        inside = inside[colons[-1] + 1 :]
    mailbox, host = _split_at_sign(inside)
    return Address(_words(phrase) or _comment_name(phrase), route, mailbox, host)


def _bare_address(tokens: list[_Token]) -> list[Address]:
    """
    The address of tokens without angle brackets, if they hold more than space and comments.

    Of "John Smith john@example.org" the words that touch the "@" are the address, those before it the name.
    """
    at = _last_at_sign(tokens)
    if at is None:
        words = _words(tokens)
        return [Address(_comment_name(tokens), None, words, b"")] if words else []
    start = at
    while start > 0 and tokens[start - 1][0] == _SPACE:
        start -= 1
    while start > 0 and tokens[start - 1][0] not in _SILENT:
        start -= 1
    name = _words(tokens[:start]) or _comment_name(tokens)
    return [Address(name, None, *_split_at_sign(tokens[start:]))]
