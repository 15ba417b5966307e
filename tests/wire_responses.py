"""
Reads IMAP responses, strictly and without the server's own grammar.

    splitter.feed(octets)
    while (response := splitter.next()) is not None: ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


class Violation(AssertionError):
    """The server said what a client that believes everything it was told cannot understand."""


def require(condition: object, *facts: object) -> None:
    if not condition:
        raise Violation(*facts)


_LITERAL_AT_END = re.compile(rb"\{(\d+)\}\Z")
_STATUS = re.compile(rb"(OK|NO|BAD|BYE|PREAUTH)(?: \[([^\] ]+)(?: ([^\]]*))?\])? (.*)\Z", re.DOTALL)
_NUMBERED = re.compile(rb"(\d+) (EXISTS|RECENT|EXPUNGE)\Z")
_VANISHED = re.compile(rb"VANISHED( \(EARLIER\))? ([\d:,]+)\Z")
_PLAIN_ITEM = rb"UID \d+|MODSEQ \(\d+\)|FLAGS \([^()\"{]*\)|RFC822\.SIZE \d+"
_PLAIN_FETCH = re.compile(rb"(\d+) FETCH \(((?:%b)(?: (?:%b))*)\)\Z" % (_PLAIN_ITEM, _PLAIN_ITEM))
_FETCH = re.compile(rb"(\d+) FETCH \(")
_ITEM = re.compile(rb"(UID|MODSEQ|FLAGS|RFC822\.SIZE) (?:\(([^()]*)\)|(\d+))")
_OTHER = re.compile(
    rb"(FLAGS|LIST|LSUB|SEARCH|ESEARCH|STATUS|ENABLED|CAPABILITY|ID|NAMESPACE)(?: (.*))?\Z", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Response:
    """
    One response.

    Attributes:
        tag: that of a tagged response, `*`, or `+`.
        kind: OK NO BAD BYE PREAUTH EXISTS RECENT EXPUNGE VANISHED FETCH, the name of other data, or `+`.
        number: the message's, or the count.
        code, argument: the response code.
        items: of FETCH: UID, MODSEQ and RFC822.SIZE as int, FLAGS as a set without \\Recent, octets else.
        uids: of VANISHED.

    """

    tag: str
    kind: str
    raw: bytes
    number: int = 0
    code: str = ""
    argument: str = ""
    items: dict = field(default_factory=dict)
    uids: tuple[int, ...] = ()
    is_earlier: bool = False

    @property
    def argument_numbers(self) -> list[int]:
        """The numbers of a set that is the code's argument."""
        return list(numbers(self.argument))


def numbers(sequence_set: str) -> Iterator[int]:
    """Yield the numbers of a set without `*`."""
    for part in sequence_set.split(","):
        low, _, high = part.partition(":")
        yield from range(int(low), int(high or low) + 1)


def to_set(uids: Iterable[int]) -> str:
    """Return numbers as a set, neighbours joined."""
    ranges: list[list[int]] = []
    for uid in sorted(uids):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(f"{low}:{high}" if low != high else str(low) for low, high in ranges)


def parse(raw: bytes) -> Response:
    """Read one whole response without its last CRLF; raises Violation for what is none."""
    if raw.startswith(b"+"):
        return Response("+", "+", raw)
    tag_octets, _, rest = raw.partition(b" ")
    tag = tag_octets.decode("ascii")
    if match := _STATUS.match(rest):
        code, argument = ((match[group] or b"").decode("utf-8") for group in (2, 3))
        return Response(tag, match[1].decode(), raw, code=code.upper(), argument=argument)
    require(tag == "*", "not a response", raw)
    if match := _PLAIN_FETCH.match(rest):
        items = {name.decode(): _plain(name, a or b) for name, a, b in _ITEM.findall(match[2])}
        return Response("*", "FETCH", raw, int(match[1]), items=items)
    if match := _NUMBERED.match(rest):
        return Response("*", match[2].decode(), raw, int(match[1]))
    if match := _VANISHED.match(rest):
        return Response(
            "*", "VANISHED", raw, uids=tuple(numbers(match[2].decode())), is_earlier=bool(match[1])
        )
    if match := _FETCH.match(rest):
        values, end = _list(rest, match.end())
        require(end == len(rest), "something behind a FETCH", raw)
        pairs = zip(values[::2], values[1::2], strict=True)
        items = {name.decode().upper(): _typed(name.upper(), value) for name, value in pairs}
        return Response("*", "FETCH", raw, int(match[1]), items=items)
    match = _OTHER.match(rest)
    require(match, "not a response", raw)
    return Response("*", match[1].decode(), raw)


def _flags(text: bytes) -> frozenset[str]:
    return frozenset(text.decode("ascii").lower().split()) - {"\\recent"}


def _plain(name: bytes, value: bytes):
    return _flags(value) if name == b"FLAGS" else int(value)


def _typed(name: bytes, value):
    if name == b"FLAGS":
        return _flags(b" ".join(value))
    if name == b"MODSEQ":
        return int(value[0])
    return int(value) if name in (b"UID", b"RFC822.SIZE") else value


def _list(text: bytes, at: int) -> tuple[list, int]:
    """Read what follows an opening parenthesis, to behind the closing one."""
    values = []
    while text[at : at + 1] != b")":
        if text[at : at + 1] == b" ":
            at += 1
        if text[at : at + 1] == b"(":
            value, at = _list(text, at + 1)
        elif text[at : at + 1] == b'"':
            end = at + 1
            while text[end : end + 1] != b'"':
                end += 2 if text[end : end + 1] == b"\\" else 1
            value, at = re.sub(rb"\\(.)", rb"\1", text[at + 1 : end]), end + 1
        elif match := re.compile(rb"\{(\d+)\}\r\n").match(text, at):
            at = match.end() + int(match[1])
            value = text[match.end() : at]
        else:
            match = re.compile(rb"[^ ()\[\"{]+(?:\[[^\]]*\](?:<\d+>)?)?").match(text, at)
            require(match, "not a value", text[at:])
            value, at = match[0], match.end()
        values.append(value)
    return values, at + 1


class Splitter:
    """Cuts a stream of octets into whole responses."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, octets: bytes) -> None:
        self._buffer += octets

    def next(self) -> Response | None:
        """Return the next response that has come as a whole."""
        buffer = self._buffer
        while (end := buffer.find(b"\r\n", self._scanned)) >= 0:
            literal = _LITERAL_AT_END.search(buffer, max(0, end - 24), end)
            if literal is None:
                raw = bytes(buffer[:end])
                del buffer[: end + 2]
                self._scanned = 0
                return parse(raw)
            behind = end + 2 + int(literal[1])
            if len(buffer) < behind:
                return None
            self._scanned = behind
        return None
