r"""The tokens of responses: the cursor of abnf.Parser, lenient where real servers need it.

Octets above 127 may stand in atoms and strings, `\*` is a flag, `]` may stand in atoms, empty lists and
superfluous spaces are borne. Nothing but ParseError is ever raised.
"""

from __future__ import annotations

import datetime as dt
import re

from modseq.core.modseq import MOD_SEQ_MAX
from modseq.core.numset import NumSet
from modseq.limits import (
    FLAG_LIST_CACHED_BYTES_MAX,
    FLAG_SETS_CACHED_MAX,
    RESPONSE_DEPTH_MAX,
    RESPONSE_VALUES_MAX,
)
from modseq.wire.abnf import NUMBER_MAX, SYSTEM_FLAGS, ParseError, Parser
from modseq.wire.utf7 import decode_utf7

_ATOM = re.compile(rb'[^\x00-\x20\x7f(){"]++')
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*+(?:\\[^\r\n\x00][^"\\\r\n\x00]*+)*+)"')
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_FLAG_LIST = re.compile(rb'\(([^\x00-\x1f(){"\x7f]*+)\)')
_NUMBERS = re.compile(rb"[0-9:,]++")
_RANGE = re.compile(rb"(\d{1,10}+)(?::(\d{1,10}+))?+\Z")
_PLAIN_NUMBERS = re.compile(rb"\d{1,10}+(?:,\d{1,10}+)*+\Z")
_NUMBER_64_MAX = 2**63 - 1


class ResponseParser(Parser):
    """A cursor over the parts of one response; `utf8` says that mailbox names are UTF-8, not modified UTF-7."""

    __slots__ = ("depth", "utf8", "values")

    def __init__(self, parts: tuple[bytes, ...], at: int = 0, *, utf8: bool = False) -> None:
        super().__init__(parts, at)
        self.utf8 = utf8
        self.depth = 0
        self.values = 0

    def spaces(self) -> None:
        """Move past any number of spaces."""
        text, at = self.text, self.at
        while text.startswith(b" ", at):
            at += 1
        self.at = at

    def deeper(self) -> None:
        """Note one more level of parentheses."""
        self.depth += 1
        if self.depth > RESPONSE_DEPTH_MAX:
            self.fail(f"parentheses nested at most {RESPONSE_DEPTH_MAX} deep")

    def atom(self, expected: str = "an atom") -> bytes:
        """
        Return the atom that stands here, as a server may spell it.

        Grammar: atom = 1*ATOM-CHAR
        RFC: 3501 section 9
        """
        match = _ATOM.match(self.text, self.at)
        if match is None:
            self.fail(expected)
        self.at = match.end()
        return match[0]

    def string(self, expected: str = "a string") -> bytes:
        """
        Return the octets of a quoted string or literal.

        Grammar: string = quoted / literal
        RFC: 3501 section 9, 4.3
        """
        match = _QUOTED.match(self.text, self.at)
        if match is None:
            return self.literal(expected, may_hold_nul=True)
        self.at = match.end()
        content = match[1]
        return _QUOTED_PAIR.sub(rb"\1", content) if b"\\" in content else content

    def literal(self, expected: str = "a literal", *, may_hold_nul: bool = True) -> bytes:  # noqa: ARG002 -- NUL is borne in any
        """
        Return the octets of a literal.

        RFC: 3501 section 9
        """
        text = self.text
        if self.part + 2 >= len(self.parts) or not text.endswith(b"}"):
            self.fail(expected)
        begin = text.rfind(b"{")
        if self.at != begin and not (self.at == begin - 1 and text.startswith(b"~", self.at)):
            self.fail(expected)
        octets = self.parts[self.part + 1]
        self.part += 2
        self.text = self.parts[self.part]
        self.at = 0
        return octets

    def astring(self, expected: str = "an atom or a string") -> bytes:
        """
        Return the atom or string that stands here.

        Grammar: astring = 1*ASTRING-CHAR / string
        RFC: 3501 section 9
        """
        if self.stands(b'"') or self.stands(b"{") or self.stands(b"~{"):
            return self.string(expected)
        return self.atom(expected)

    def nstring(self, expected: str = "a string or NIL") -> bytes | None:
        """
        Return the octets of a string, or None for NIL; an atom stands for itself.

        Grammar: nstring = string / nil
        RFC: 3501 section 9
        """
        if self.stands(b'"') or self.stands(b"{") or self.stands(b"~{"):
            return self.string(expected)
        word = self.atom(expected)
        return None if word.upper() == b"NIL" else word

    def take_nil(self) -> bool:
        """Move past NIL if it stands here."""
        if self.text[self.at : self.at + 3].upper() != b"NIL":
            return False
        self.at += 3
        return True

    def name(self) -> tuple[str, bytes]:
        """
        Return the name of a mailbox as text and as it stood.

        Grammar: mailbox = "INBOX" / astring
        RFC: 3501 section 5.1, 5.1.3, 9
        Chosen: octets that are no modified UTF-7 stand for themselves, because a name that cannot be shown must
        still be found in a list.
        """
        octets = self.astring("a mailbox name")
        return self.name_text(octets), octets

    def name_text(self, octets: bytes) -> str:
        """Return the text of a mailbox name."""
        if octets.upper() == b"INBOX":
            return "INBOX"
        if self.utf8 or not octets.isascii():
            return octets.decode("utf-8", "replace")
        try:
            return decode_utf7(octets)
        except ValueError:
            return octets.decode("ascii", "replace")

    def flags_of_list(self) -> frozenset[str]:
        r"""
        Return the flags between parentheses, `\Recent` and `\*` too.

        Grammar: "(" [flag-fetch *(SP flag-fetch)] ")"
        RFC: 3501 section 7.2.6, 7.4.2
        """
        match = _FLAG_LIST.match(self.text, self.at)
        if match is None:
            self.fail('a list of flags in "(" and ")"')
        self.at = match.end()
        return flag_set(match[1])

    def numbers(self, expected: str = "a set of numbers") -> NumSet:
        """
        Return a set of numbers without `*`.

        Grammar: known-uids = sequence-set
        RFC: 7162 section 3.2.10, 7
        """
        return NumSet.from_ranges(self.number_ranges(expected))

    def number_ranges(self, expected: str = "a set of numbers") -> tuple[tuple[int, int], ...]:
        """
        Return a set's elements in the server's order, each with the lower end first.

        Grammar: uid-set = (uniqueid / uid-range) *("," uid-set)
        RFC: 4315 section 4
        """
        match = _NUMBERS.match(self.text, self.at)
        if match is None:
            self.fail(expected)
        elements = match[0].split(b",")
        if _PLAIN_NUMBERS.match(match[0]):
            pairs = [(number, number) for number in map(int, elements)]
        else:
            pairs = [self._range(element, expected) for element in elements]
        if min(pairs)[0] < 1 or max(map(max, pairs)) > NUMBER_MAX:
            self.fail(f"numbers from 1 to {NUMBER_MAX}")
        self.at = match.end()
        return tuple(pairs)

    def _range(self, element: bytes, expected: str) -> tuple[int, int]:
        match = _RANGE.match(element)
        if match is None:
            self.fail(expected)
        low, high = int(match[1]), int(match[2] or match[1])
        return (low, high) if low <= high else (high, low)

    def number64(self, expected: str = "a number") -> int:
        """
        Return a number of up to 63 bits: sizes and mod-sequences, 0 allowed.

        Grammar: number64 = 1*DIGIT
        RFC: 9051 section 9
        """
        return self.number(expected, most=_NUMBER_64_MAX)

    def mod_sequence(self) -> int:
        """
        Return a mod-sequence; 0 is borne, because servers send it.

        RFC: 7162 section 7
        """
        return self.number("a mod-sequence", most=MOD_SEQ_MAX)

    def moment(self) -> dt.datetime | None:
        """
        Return a date-time, None for NIL or a date outside the calendar.

        Grammar: date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
        RFC: 3501 section 9
        Chosen: what is no date at all is None too: a message with a broken date must not break the mailbox.
        """
        octets = self.nstring("a date")
        if octets is None:
            return None
        try:
            seconds, zone_minutes = Parser((b'"%b"' % octets,)).date_time()
            zone = dt.timezone(dt.timedelta(minutes=zone_minutes))
            return dt.datetime.fromtimestamp(seconds, zone)
        except (ParseError, ValueError, OverflowError, OSError):
            return None

    def skip_value(self) -> bytes:
        """Move past any value, nested ones too; return it as it stood, literals as quoted text is."""
        pieces: list[bytes] = []
        depth = 0
        while True:
            self.values += 1
            if self.values > RESPONSE_VALUES_MAX:
                self.fail(f"at most {RESPONSE_VALUES_MAX} values")
            if self.take(b"("):
                pieces.append(b"(")
                depth += 1
                if depth > RESPONSE_DEPTH_MAX:
                    self.fail(f"parentheses nested at most {RESPONSE_DEPTH_MAX} deep")
            elif depth and self.take(b")"):
                pieces.append(b")")
                depth -= 1
            elif depth and self.take(b" "):
                pieces.append(b" ")
            elif self.stands(b'"') or self.stands(b"{") or self.stands(b"~{"):
                pieces.append(b'"%b"' % self.string().replace(b"\\", b"\\\\").replace(b'"', b'\\"'))
            else:
                pieces.append(self.atom("a value"))
            if depth == 0:
                return b"".join(pieces)


_flag_sets: dict[bytes, frozenset[str]] = {}


def flag_set(octets: bytes) -> frozenset[str]:
    """Return the flags of a list's inside; messages share few different lists, so their sets are shared too."""
    found = _flag_sets.get(octets)
    if found is None:
        names = octets.split()
        found = frozenset(
            [SYSTEM_FLAGS.get(name.lower()) or name.decode("utf-8", "replace") for name in names]
        )
        if len(_flag_sets) >= FLAG_SETS_CACHED_MAX:
            _flag_sets.clear()
        if len(octets) <= FLAG_LIST_CACHED_BYTES_MAX:
            _flag_sets[octets] = found
    return found
