r"""The tokens of IMAP: a cursor over one framed command, one method for each rule of the grammar.

A command arrives as text and literals in turn: text, literal, text, ..., text. A text before a literal
still ends in its marker (`{5}`, `{5+}`), so that the rule `literal` stands here as it stands in the RFC.

Every method either moves past what it names and returns its value, or raises ParseError and says what
was expected and where. Nothing else is ever raised for bad input.

Lenient where real clients need it: quoted strings may hold octets above 127 (passwords, search strings
in UTF-8), the day of a date-time may lack its leading space. All else is as the RFC has it.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import NoReturn

from modseq.core.modseq import MOD_SEQ_MAX
from modseq.limits import (
    ATOM_BYTES_MAX,
    FLAGS_PER_COMMAND_MAX,
    MAILBOX_NAME_BYTES_MAX,
    SET_RANGES_MAX,
)
from modseq.wire.utf7 import decode_utf7
from modseq.wire.values import STAR, SequenceSet

NUMBER_MAX = 2**32 - 1
ZONE_MINUTES_MAX = 24 * 60 - 1

_ATOM_CHARS = rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]'
_ATOM = re.compile(_ATOM_CHARS + rb"++")
_ASTRING_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]++')
_LIST_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]++')
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*+(?:\\["\\][^"\\\r\n\x00]*+)*+)"')
_QUOTED_PAIR = re.compile(rb'\\(["\\])')
_LITERAL_MARKER = re.compile(rb"~?\{(\d{1,20})\+?\}\Z")
_DIGITS = re.compile(rb"\d{1,40}")
_ONE_NUMBER = re.compile(rb"([1-9]\d{0,8})(?![\d:,*])")
_SET_CHARS = re.compile(rb"[\d:,*]++")
_NZ_OR_STAR = rb"(?:[1-9]\d{0,9}+|\*)"
_SET_ELEMENT = _NZ_OR_STAR + rb"(?::" + _NZ_OR_STAR + rb")?+"
_SEQUENCE_SET = re.compile(_SET_ELEMENT + rb"(?:," + _SET_ELEMENT + rb")*+")
_TEN_DIGITS = re.compile(rb"\d{10}")
_FLAG = re.compile(rb"\\?+" + _ATOM_CHARS + rb"++")
_FLAG_LIST = re.compile(rb"\(((?:" + _FLAG.pattern + rb"(?: " + _FLAG.pattern + rb")*+)?+)\)")
_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9.=\-]*+")
_DATE = re.compile(rb'(")?(\d{1,2})-([A-Za-z]{3})-(\d{4})(?(1)")')
_DATE_TIME = re.compile(
    rb'"( \d|\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"',
)
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS = {month.upper(): number for number, month in enumerate(MONTHS, 1)}

SYSTEM_FLAGS = {
    name.lower().encode(): name for name in ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")
}
"""The five system flags by their spelling in small letters."""


class ParseError(Exception):
    """
    A command that the grammar does not allow.

    Attributes:
        expected: what should have stood there.
        at: how many octets of the command precede that place, line ends not counted.
        tag: the command's tag, if it could be read; the answer is BAD with this tag or `*`.

    """

    def __init__(self, expected: str, at: int, tag: bytes | None = None) -> None:
        super().__init__(f"expected {expected} at octet {at}")
        self.expected = expected
        self.at = at
        self.tag = tag


class UnknownCommand(ParseError):
    """A command whose name this server does not have; `name` is it, in capitals."""

    def __init__(self, name: str, at: int, tag: bytes) -> None:
        super().__init__("a known command", at, tag)
        self.name = name


class Parser:
    """A cursor over the parts of one command; `uid` says that the name was preceded by UID."""

    __slots__ = ("at", "part", "parts", "text", "uid")

    def __init__(self, parts: tuple[bytes, ...], at: int = 0, *, uid: bool = False) -> None:
        self.parts = parts
        self.part = 0
        self.text = parts[0]
        self.at = at
        self.uid = uid

    def fail(self, expected: str) -> NoReturn:
        """Raise ParseError for the place of the cursor."""
        raise ParseError(expected, sum(map(len, self.parts[: self.part])) + self.at)

    # --- punctuation ---

    def sp(self) -> None:
        """Move past one space."""
        if not self.text.startswith(b" ", self.at):
            self.fail("a space")
        self.at += 1

    def open(self) -> None:
        """Move past `(`."""
        if not self.text.startswith(b"(", self.at):
            self.fail('"("')
        self.at += 1

    def close(self) -> None:
        """Move past `)`."""
        if not self.text.startswith(b")", self.at):
            self.fail('")"')
        self.at += 1

    def take(self, token: bytes) -> bool:
        """Move past `token` if it stands here, exactly so; return whether it did."""
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def stands(self, token: bytes) -> bool:
        """Return whether `token` stands here."""
        return self.text.startswith(token, self.at)

    def word(self, expected: str) -> bytes:
        """Move past letters, digits, `.`, `=`, `-` that begin with a letter; return them in capitals."""
        match = _WORD.match(self.text, self.at)
        if match is None:
            self.fail(expected)
        self.at = match.end()
        return match[0].upper()

    def take_word(self, wanted: bytes) -> bool:
        """Move past the word `wanted` (given in capitals) if just that word stands here."""
        match = _WORD.match(self.text, self.at)
        if match is None or match[0].upper() != wanted:
            return False
        self.at = match.end()
        return True

    def is_at_end(self) -> bool:
        """Return whether the command ends here."""
        return self.at == len(self.text) and self.part == len(self.parts) - 1

    def end(self) -> None:
        """Check that the command ends here."""
        if not self.is_at_end():
            self.fail("the end of the command")

    # --- strings ---

    def atom(self, expected: str = "an atom") -> bytes:
        """
        Return the atom that stands here.

        Grammar: atom = 1*ATOM-CHAR
        RFC: 3501 section 9
        """
        match = _ATOM.match(self.text, self.at)
        if match is None:
            self.fail(expected)
        if len(match[0]) > ATOM_BYTES_MAX:
            self.fail(f"{expected} of at most {ATOM_BYTES_MAX} octets")
        self.at = match.end()
        return match[0]

    def astring(self, expected: str = "an atom or a string") -> bytes:
        """
        Return the atom or string that stands here.

        Grammar: astring = 1*ASTRING-CHAR / string
        RFC: 3501 section 9
        """
        match = _ASTRING_ATOM.match(self.text, self.at)
        if match is None:
            return self.string(expected)
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
            return self.literal(expected)
        self.at = match.end()
        content = match[1]
        return _QUOTED_PAIR.sub(rb"\1", content) if b"\\" in content else content

    def literal(self, expected: str = "a literal", *, may_hold_nul: bool = False) -> bytes:
        """
        Return the octets of a literal; NUL only in a literal8, and there only where one is allowed.

        Grammar: literal = "{" number ["+"] "}" CRLF *CHAR8
        RFC: 3501 section 9
        RFC: 7888 section 8
        RFC: 3516 section 7
        """
        match = _LITERAL_MARKER.match(self.text, self.at)
        if match is None or self.part + 2 >= len(self.parts):
            self.fail(expected)
        octets = self.parts[self.part + 1]
        is_literal8 = match[0].startswith(b"~")
        if int(match[1]) != len(octets) or (is_literal8 and not may_hold_nul):
            self.fail(expected)
        if not is_literal8 and b"\x00" in octets:
            self.fail(f"{expected} without NUL")
        self.part += 2
        self.text = self.parts[self.part]
        self.at = 0
        return octets

    def nstring(self, expected: str = "a string or NIL") -> bytes | None:
        """
        Return the octets of a string, or None for NIL.

        Grammar: nstring = string / nil
        RFC: 3501 section 9
        """
        if self.text[self.at : self.at + 3].upper() == b"NIL":
            self.at += 3
            return None
        return self.string(expected)

    def mailbox(self) -> str:
        """
        Return the name of a mailbox as text; INBOX in capitals however it was written.

        Grammar: mailbox = "INBOX" / astring
        RFC: 3501 section 9, 5.1, 5.1.3
        """
        at = self.at
        name = self._mailbox_text(self.astring("a mailbox name"), at)
        return "INBOX" if name.upper() == "INBOX" else name

    def list_mailbox(self) -> str:
        """
        Return a pattern for mailbox names as text.

        Grammar: list-mailbox = 1*list-char / string
        RFC: 3501 section 9
        """
        at = self.at
        match = _LIST_ATOM.match(self.text, at)
        if match is None:
            return self._mailbox_text(self.string("a mailbox name or pattern"), at)
        self.at = match.end()
        return self._mailbox_text(match[0], at)

    def reference(self) -> str:
        """Return the reference of LIST as text: a mailbox name that means nothing special as INBOX."""
        at = self.at
        return self._mailbox_text(self.astring("a reference name"), at)

    def _mailbox_text(self, name: bytes, at: int) -> str:
        if len(name) > MAILBOX_NAME_BYTES_MAX:
            self._fail_back(f"a mailbox name of at most {MAILBOX_NAME_BYTES_MAX} octets", at)
        try:
            return decode_utf7(name)
        except ValueError:
            self._fail_back("a mailbox name in modified UTF-7", at)

    def _fail_back(self, expected: str, at: int) -> NoReturn:
        """Raise ParseError for a token that began at `at`; a literal was its own beginning."""
        self.at = min(at, len(self.text))
        self.fail(expected)

    # --- numbers ---

    def number(self, expected: str = "a number", *, least: int = 0, most: int = NUMBER_MAX) -> int:
        """
        Return an unsigned number.

        Grammar: number = 1*DIGIT
        RFC: 3501 section 9
        """
        match = _DIGITS.match(self.text, self.at)
        if match is None:
            self.fail(f"{expected} from {least} to {most}")
        value = int(match[0])
        if not least <= value <= most:
            self.fail(f"{expected} from {least} to {most}")
        self.at = match.end()
        return value

    def nz_number(self, expected: str = "a number") -> int:
        """
        Return a number above zero.

        Grammar: nz-number = digit-nz *DIGIT
        RFC: 3501 section 9
        """
        if self.stands(b"0"):
            self.fail(f"{expected} from 1 to {NUMBER_MAX}")
        return self.number(expected, least=1)

    def mod_sequence_value(self) -> int:
        """
        Return a mod-sequence; 2^63 and above are refused.

        Grammar: mod-sequence-value = 1*DIGIT
        RFC: 7162 section 7
        """
        return self.number("a mod-sequence", least=1, most=MOD_SEQ_MAX)

    def mod_sequence_valzer(self) -> int:
        """
        Return a mod-sequence or 0.

        Grammar: mod-sequence-valzer = "0" / mod-sequence-value
        RFC: 7162 section 7
        """
        return self.number("a mod-sequence", most=MOD_SEQ_MAX)

    def sequence_set(self, *, star: bool = True, dollar: bool = True) -> SequenceSet:
        """
        Return a set of sequence numbers or UIDs.

        Grammar: sequence-set = (seq-number / seq-range) *("," sequence-set) / "$"
        RFC: 3501 section 9
        RFC: 5182 section 3
        Args: whether `*` and `$` are allowed here.
        """
        one = _ONE_NUMBER.match(self.text, self.at)
        if one is not None:
            number = int(one[1])
            self.at = one.end()
            return SequenceSet(((number, number),))
        if dollar and self.take(b"$"):
            return SequenceSet((), saved=True)
        match = _SEQUENCE_SET.match(self.text, self.at)
        if match is None:
            self.fail("a sequence set")
        chunk = match[0]
        if _SET_CHARS.match(self.text, match.end()):
            self.at = match.end()
            self.fail("a sequence set")
        if not star and b"*" in chunk:
            self.fail('a sequence set without "*"')
        if chunk.count(b",") >= SET_RANGES_MAX:
            self.fail(f"a sequence set of at most {SET_RANGES_MAX} ranges")
        elements = chunk.split(b",")
        if b":" in chunk or b"*" in chunk:
            ranges = tuple(map(_seq_range, elements))
        else:
            ranges = tuple([(number, number) for number in map(int, elements)])
        if _TEN_DIGITS.search(chunk) and max(map(max, ranges)) > NUMBER_MAX:
            self.fail(f"message numbers from 1 to {NUMBER_MAX}")
        self.at = match.end()
        return SequenceSet(ranges)

    # --- flags and dates ---

    def flag(self) -> str:
        r"""
        Return one flag; `\Recent` is not one that clients may name.

        Grammar: flag = "\Answered" / ... / flag-keyword / flag-extension
        RFC: 3501 section 9, 2.3.2
        """
        match = _FLAG.match(self.text, self.at)
        if match is None:
            self.fail("a flag")
        name = self._flag_name(match[0])
        self.at = match.end()
        return name

    def flag_list(self) -> tuple[str, ...]:
        """
        Return the flags between parentheses; there may be none.

        Grammar: flag-list = "(" [flag *(SP flag)] ")"
        RFC: 3501 section 9
        """
        match = _FLAG_LIST.match(self.text, self.at)
        if match is None:
            self.fail('a list of flags in "(" and ")"')
        names = match[1].split()
        if len(names) > FLAGS_PER_COMMAND_MAX:
            self.fail(f"at most {FLAGS_PER_COMMAND_MAX} flags")
        flags = tuple([self._flag_name(name) for name in names])
        self.at = match.end()
        return flags

    def flags(self) -> tuple[str, ...]:
        """
        Return flags with or without parentheses, at least one in the second case.

        Grammar: flag-list / (flag *(SP flag))
        RFC: 3501 section 9
        """
        if self.stands(b"("):
            return self.flag_list()
        names = [self.flag()]
        while self.take(b" "):
            names.append(self.flag())
            if len(names) > FLAGS_PER_COMMAND_MAX:
                self.fail(f"at most {FLAGS_PER_COMMAND_MAX} flags")
        return tuple(names)

    def _flag_name(self, name: bytes) -> str:
        if not name.startswith(b"\\"):
            if len(name) > ATOM_BYTES_MAX:
                self.fail(f"a keyword of at most {ATOM_BYTES_MAX} octets")
            return name.decode("ascii")
        lower = name.lower()
        system = SYSTEM_FLAGS.get(lower)
        if system is not None:
            return system
        if lower == b"\\recent" or len(name) > ATOM_BYTES_MAX:
            self.fail("a flag that clients may name")
        return name.decode("ascii")

    def date(self) -> dt.date:
        """
        Return a day.

        Grammar: date = date-text / DQUOTE date-text DQUOTE
        RFC: 3501 section 9
        """
        match = _DATE.match(self.text, self.at)
        month = _MONTH_NUMBERS.get(match[3].upper()) if match is not None else None
        if match is None or month is None:
            self.fail("a date such as 1-Feb-1994")
        try:
            day = dt.date(int(match[4]), month, int(match[2]))
        except ValueError:
            self.fail("a date of the calendar")
        self.at = match.end()
        return day

    def date_time(self) -> tuple[int, int]:
        """
        Return seconds since 1970 in UTC, and the zone in minutes east of UTC.

        Grammar: date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
        RFC: 3501 section 9
        """
        match = _DATE_TIME.match(self.text, self.at)
        month = _MONTH_NUMBERS.get(match[2].upper()) if match is not None else None
        if match is None or month is None:
            self.fail('a date-time such as " 1-Feb-1994 21:52:25 -0800"')
        day, year, hour, minute, second, zone_hours, zone_minutes = map(int, match.group(1, 3, 4, 5, 6, 8, 9))
        zone = 60 * zone_hours + zone_minutes
        try:
            moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
        except ValueError:
            self.fail("a date-time of the calendar")
        if zone > ZONE_MINUTES_MAX or zone_minutes >= 60:
            self.fail("a zone from -2359 to +2359")
        if match[7] == b"-":
            zone = -zone
        self.at = match.end()
        return int((moment - _EPOCH).total_seconds()) - 60 * zone, zone


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _seq_range(element: bytes) -> tuple[int, int]:
    """
    Return the two ends of one element of a sequence set, `*` last.

    Grammar: seq-range = seq-number ":" seq-number
    RFC: 3501 section 9
    """
    if element.isdigit():
        number = int(element)
        return number, number
    first, colon, second = element.partition(b":")
    if not colon:
        return STAR, STAR
    if first == b"*":
        first, second = second, first
    if first == b"*":
        return STAR, STAR
    low = int(first)
    if second == b"*":
        return low, STAR
    high = int(second)
    return (low, high) if low <= high else (high, low)
