r"""What a server said, cut into words: enough structure to compare it with what a case expects.

Cases expect answers of any server, so this reads leniently: attributes in any order, any flags, any
extension. A case's expectation is read by the same functions, and the two trees are compared in `match`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

STATUSES = frozenset({"OK", "NO", "BAD", "BYE", "PREAUTH"})
SILENCE = "<silence>"
CLOSED = "<closed>"


class Text(str):
    """The content of a quoted string or a literal: compared octet by octet, where atoms ignore case."""

    __slots__ = ()


Word: TypeAlias = "str | Text | list[Word]"

_TOKEN = re.compile(
    r"""
    (?P<space>\ +)
  | (?P<open>\()
  | (?P<close>\))
  | "(?P<quoted>(?:[^"\\]|\\.)*)"
  | ~?\{(?P<literal>\d+)\+?\}\r\n
  | (?P<atom>(?:[^\s()"\[{]|\{(?!\d+\+?\}\r\n)|\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\]|\[)+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_STATUS = re.compile(r"(?P<code>\[(?:[^\]\"]|\"(?:[^\"\\]|\\.)*\")*\])? ?(?P<text>.*)\Z", re.DOTALL)
_DEPTH_MAX = 60
"""BODYSTRUCTURE of any real message nests less; a hostile one costs no stack."""


@dataclass(frozen=True, slots=True)
class Response:
    """
    One response: `* 3 FETCH (...)`, `a1 OK [MODIFIED 7] done`, `+ go on`.

    Attributes:
        raw: as it came, without the line end; literals stand after their marker.
        tag: "*", "+" or the tag of a command.
        number: of `* 3 EXISTS`, `* 3 FETCH` and the like, as written.
        name: OK, FETCH, VANISHED ... in capitals.
        code: the words in brackets of a status response.
        words: what follows the name; for a status response its text.

    """

    raw: str
    tag: str
    number: str | None
    name: str
    code: list[Word] | None
    words: list[Word]

    @property
    def is_status(self) -> bool:
        """Whether it is OK, NO, BAD, BYE or PREAUTH (several joined by | in an expectation)."""
        return STATUSES.issuperset(self.name.split("|"))


def read_response(raw: str) -> Response:
    """Cut one response, or an expectation written like one, into its parts."""
    tag, _, rest = raw.partition(" ")
    if tag.startswith("<") or tag == "+":
        return Response(raw, tag, None, "", None, [rest] if rest else [])
    first, _, after = rest.partition(" ")
    number = None
    if first[:1].isdigit() or first[:1] in {"$", "?", ">", "<"}:
        number, (first, _, after) = first, after.partition(" ")
    name = first.upper()
    if STATUSES.issuperset(name.split("|")):
        match = _STATUS.match(after)
        assert match is not None
        code = read_words(match["code"][1:-1]) if match["code"] else None
        return Response(raw, tag, number, name, code, [Text(match["text"])] if match["text"] else [])
    return Response(raw, tag, number, name, None, read_words(after))


def read_words(text: str) -> list[Word]:
    """Return atoms, strings and lists; a stray parenthesis stands as an atom rather than being refused."""
    top: list[Word] = []
    stack: list[list[Word]] = [top]
    at = 0
    while match := _TOKEN.match(text, at):
        at = match.end()
        kind = match.lastgroup
        if kind == "open" and len(stack) < _DEPTH_MAX:
            inner: list[Word] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif kind == "close" and len(stack) > 1:
            stack.pop()
        elif kind == "quoted":
            stack[-1].append(Text(re.sub(r"\\(.)", r"\1", match["quoted"])))
        elif kind == "literal":
            size = int(match["literal"])
            stack[-1].append(Text(text[at : at + size]))
            at += size
        elif kind != "space":
            stack[-1].append(match[0])
    return top


def pairs(words: list[Word]) -> dict[str, Word]:
    """Return the name and value pairs of a FETCH or STATUS list, by name in capitals."""
    return {str(words[at]).upper(): words[at + 1] for at in range(0, len(words) - 1, 2)}


def numbers_of(text: str) -> frozenset[int] | None:
    """Return the numbers of a sequence set, None for what is none."""
    if re.fullmatch(r"\d+(:\d+)?(,\d+(:\d+)?)*", text) is None:
        return None
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition(":")
        ends = sorted((int(first), int(last or first)))
        if ends[1] - ends[0] > _SET_MAX:
            return None
        found.update(range(ends[0], ends[1] + 1))
    return frozenset(found)


_SET_MAX = 1_000_000
"""No case has mailboxes of this size: a set with more is a mistake, and must not cost the memory."""


def set_text(numbers: frozenset[int] | set[int]) -> str:
    """Return a sequence set in its shortest form."""
    parts: list[str] = []
    ordered = sorted(numbers)
    at = 0
    while at < len(ordered):
        end = at
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        parts.append(str(ordered[at]) if end == at else f"{ordered[at]}:{ordered[end]}")
        at = end + 1
    return ",".join(parts)
