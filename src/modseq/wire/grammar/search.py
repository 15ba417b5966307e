"""search: finding messages.

RFC: 3501 section 6.4.4
RFC: 4731 section 3
RFC: 7162 section 3.1.5
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeAlias, get_args

from modseq.core.numset import NumSet
from modseq.limits import SEARCH_DEPTH_MAX, SEARCH_KEYS_MAX, SEARCH_NUMBERS_PER_PIECE
from modseq.wire.abnf import SYSTEM_FLAGS, ParseError, Parser
from modseq.wire.encode import string
from modseq.wire.grammar import Rule
from modseq.wire.values import (
    Search,
    SearchAge,
    SearchAll,
    SearchAnd,
    SearchDate,
    SearchFlag,
    SearchHeader,
    SearchKey,
    SearchModSeq,
    SearchNot,
    SearchObjectId,
    SearchOr,
    SearchProgram,
    SearchReturn,
    SearchSaveDateSupported,
    SearchSequence,
    SearchSize,
    SearchText,
)

EntryType: TypeAlias = Literal["priv", "shared", "all"]
_ENTRY_TYPES: dict[bytes, EntryType] = {name.encode(): name for name in get_args(EntryType)}
_RETURN_OPTIONS = {
    b"MIN": "minimum",
    b"MAX": "maximum",
    b"ALL": "everything",
    b"COUNT": "count",
    b"SAVE": "save",
}
_FLAG_ENTRY = b"/flags/"


def search(p: Parser) -> Search:
    """
    Read the arguments of SEARCH and UID SEARCH.

    Grammar: search = "SEARCH" [SP "RETURN" SP search-return-opts] SP search-program
    RFC: 3501 section 6.4.4, 9
    RFC: 4466 section 2.6
    RFC: 4731 section 3.1
    """
    p.sp()
    returns: SearchReturn | None = None
    if p.take_word(b"RETURN"):
        p.sp()
        returns = search_return_opts(p)
        p.sp()
    charset: bytes | None = None
    if p.take_word(b"CHARSET"):
        p.sp()
        charset = p.astring("a charset")
        p.sp()
    keys = _KeyReader(p)
    key = keys.all_of()
    return Search(SearchProgram(key, keys.has_mod_seq, keys.has_seq_nums), returns, charset)


def search_return_opts(p: Parser) -> SearchReturn:
    """
    Read what the result is to say; nothing named means ALL.

    Grammar: search-return-opts = "(" [search-return-opt *(SP search-return-opt)] ")"
    RFC: 4466 section 2.6.1
    RFC: 4731 section 3.1
    RFC: 5182 section 2.1
    """
    p.open()
    if p.take(b")"):
        return SearchReturn(everything=True)
    chosen: dict[str, bool] = {}
    while True:
        at = p.at
        option = _RETURN_OPTIONS.get(p.word("a result option"))
        if option is None:
            p.at = at
            p.fail("MIN, MAX, ALL, COUNT or SAVE")
        chosen[option] = True
        if not p.take(b" "):
            break
    p.close()
    return SearchReturn(**chosen)


class _KeyReader:
    """Reads search keys and notes what the session must know of them before it searches."""

    __slots__ = ("count", "depth", "has_mod_seq", "has_seq_nums", "p")

    def __init__(self, p: Parser) -> None:
        self.p = p
        self.depth = 0
        self.count = 0
        self.has_mod_seq = False
        self.has_seq_nums = False

    def all_of(self) -> SearchKey:
        """
        Read keys side by side.

        Grammar: search-key *(SP search-key)
        RFC: 3501 section 6.4.4, 9
        """
        first = self.key()
        if not self.p.stands(b" "):
            return first
        keys = [first]
        while self.p.take(b" "):
            keys.append(self.key())
        return SearchAnd(tuple(keys))

    def key(self) -> SearchKey:
        """
        Read one key.

        Grammar: search-key = "ALL" / "ANSWERED" / ... / sequence-set / "(" search-key ... ")"
        RFC: 3501 section 6.4.4, 9
        """
        p = self.p
        self.count += 1
        if self.count > SEARCH_KEYS_MAX:
            p.fail(f"at most {SEARCH_KEYS_MAX} search keys")
        following = p.text[p.at : p.at + 1]
        if following == b"(":
            p.open()
            key = self._nested(self.all_of)
            p.close()
            return key
        if following.isdigit() or following in {b"$", b"*"}:
            return self._sequence(uid=False)
        at = p.at
        word = p.word("a search key")
        fixed = _FIXED.get(word)
        if fixed is not None:
            return fixed
        reader = _READERS.get(word)
        if reader is None:
            p.at = at
            p.fail("a search key")
        return reader(self, word)

    def _nested(self, read: Callable[[], SearchKey]) -> SearchKey:
        self.depth += 1
        if self.depth > SEARCH_DEPTH_MAX:
            self.p.fail(f"search keys nested at most {SEARCH_DEPTH_MAX} deep")
        key = read()
        self.depth -= 1
        return key

    def _sequence(self, *, uid: bool) -> SearchKey:
        numbers = self.p.sequence_set()
        if not uid and not numbers.saved:
            self.has_seq_nums = True
        return SearchSequence(numbers, uid)

    def read_uid(self, _word: bytes) -> SearchKey:
        """Grammar: "UID" SP sequence-set"""
        self.p.sp()
        return self._sequence(uid=True)

    def read_not(self, _word: bytes) -> SearchKey:
        """Grammar: "NOT" SP search-key"""
        self.p.sp()
        return SearchNot(self._nested(self.key))

    def read_or(self, _word: bytes) -> SearchKey:
        """Grammar: "OR" SP search-key SP search-key"""
        self.p.sp()
        left = self._nested(self.key)
        self.p.sp()
        return SearchOr(left, self._nested(self.key))

    def read_keyword(self, word: bytes) -> SearchKey:
        """Grammar: ("KEYWORD" / "UNKEYWORD") SP flag-keyword"""
        self.p.sp()
        return SearchFlag(self.p.atom("a keyword").decode("ascii"), word == b"KEYWORD")

    def read_text(self, word: bytes) -> SearchKey:
        """Grammar: ("BCC" / "BODY" / "CC" / "FROM" / "SUBJECT" / "TEXT" / "TO") SP astring"""
        self.p.sp()
        return SearchText(_TEXT_KEYS[word], self.p.astring("a string to search for"))

    def read_header(self, _word: bytes) -> SearchKey:
        """Grammar: "HEADER" SP header-fld-name SP astring"""
        self.p.sp()
        field_name = self.p.astring("a header field name")
        self.p.sp()
        return SearchHeader(field_name, self.p.astring("a string to search for"))

    def read_date(self, word: bytes) -> SearchKey:
        """
        Grammar: ("BEFORE" / "ON" / "SINCE" / "SENTBEFORE" / ... / "SAVEDSINCE") SP date
        RFC: 8514 section 4.3
        """
        which, relation = _DATE_KEYS[word]
        self.p.sp()
        return SearchDate(which, relation, self.p.date())

    def read_size(self, word: bytes) -> SearchKey:
        """Grammar: ("LARGER" / "SMALLER") SP number"""
        self.p.sp()
        return SearchSize(word == b"LARGER", self.p.number("a number of octets"))

    def read_age(self, word: bytes) -> SearchKey:
        """
        Grammar: ("OLDER" / "YOUNGER") SP nz-number
        RFC: 5032 section 3, 4
        """
        self.p.sp()
        return SearchAge(word == b"OLDER", self.p.nz_number("a number of seconds"))

    def read_object_id(self, word: bytes) -> SearchKey:
        """
        Grammar: ("EMAILID" / "THREADID") SP objectid
        RFC: 8474 section 6, 7
        """
        self.p.sp()
        object_id = self.p.atom("an object id").decode("ascii")
        return SearchObjectId("EMAILID" if word == b"EMAILID" else "THREADID", object_id)

    def read_mod_seq(self, _word: bytes) -> SearchKey:
        """
        Grammar: search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer
        RFC: 7162 section 3.1.5, 7
        """
        p = self.p
        self.has_mod_seq = True
        p.sp()
        if not p.stands(b'"'):
            return SearchModSeq(p.mod_sequence_valzer())
        flag = self._entry_name()
        p.sp()
        entry_type = _ENTRY_TYPES.get(p.word("priv, shared or all").lower())
        if entry_type is None:
            p.fail("priv, shared or all")
        p.sp()
        return SearchModSeq(p.mod_sequence_valzer(), flag, entry_type)

    def _entry_name(self) -> str:
        r"""
        Read the flag in an entry name; `\Recent` has no mod-sequence.

        Grammar: entry-flag-name = DQUOTE "/flags/" attr-flag DQUOTE
        RFC: 7162 section 3.1.5, 7
        """
        p = self.p
        at = p.at
        name = p.string("an entry name")
        flag = _flag_of_entry(name)
        if flag is None:
            p.at = at
            p.fail('an entry name such as "/flags/\\\\Seen"')
        return flag


def _flag_of_entry(name: bytes) -> str | None:
    if name[: len(_FLAG_ENTRY)].lower() != _FLAG_ENTRY:
        return None
    inner = Parser((name[len(_FLAG_ENTRY) :],))
    try:
        flag = inner.flag()
        inner.end()
    except ParseError:
        return None
    return flag


_FIXED: dict[bytes, SearchKey] = {
    b"ALL": SearchAll(),
    b"NEW": SearchAnd((SearchFlag("\\Recent", present=True), SearchFlag("\\Seen", present=False))),
    b"OLD": SearchFlag("\\Recent", present=False),
    b"RECENT": SearchFlag("\\Recent", present=True),
    b"SAVEDATESUPPORTED": SearchSaveDateSupported(),
    **{name[1:].upper(): SearchFlag(flag, present=True) for name, flag in SYSTEM_FLAGS.items()},
    **{b"UN" + name[1:].upper(): SearchFlag(flag, present=False) for name, flag in SYSTEM_FLAGS.items()},
}
_TEXT_KEYS: dict[bytes, Literal["BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO"]] = {
    b"BCC": "BCC",
    b"BODY": "BODY",
    b"CC": "CC",
    b"FROM": "FROM",
    b"SUBJECT": "SUBJECT",
    b"TEXT": "TEXT",
    b"TO": "TO",
}
_DATE_KEYS: dict[bytes, tuple[Literal["INTERNAL", "SENT", "SAVED"], Literal["BEFORE", "ON", "SINCE"]]] = {
    b"BEFORE": ("INTERNAL", "BEFORE"),
    b"ON": ("INTERNAL", "ON"),
    b"SINCE": ("INTERNAL", "SINCE"),
    b"SENTBEFORE": ("SENT", "BEFORE"),
    b"SENTON": ("SENT", "ON"),
    b"SENTSINCE": ("SENT", "SINCE"),
    b"SAVEDBEFORE": ("SAVED", "BEFORE"),
    b"SAVEDON": ("SAVED", "ON"),
    b"SAVEDSINCE": ("SAVED", "SINCE"),
}
_READERS: dict[bytes, Callable[[_KeyReader, bytes], SearchKey]] = {
    b"EMAILID": _KeyReader.read_object_id,
    b"HEADER": _KeyReader.read_header,
    b"KEYWORD": _KeyReader.read_keyword,
    b"LARGER": _KeyReader.read_size,
    b"MODSEQ": _KeyReader.read_mod_seq,
    b"NOT": _KeyReader.read_not,
    b"OLDER": _KeyReader.read_age,
    b"OR": _KeyReader.read_or,
    b"SMALLER": _KeyReader.read_size,
    b"THREADID": _KeyReader.read_object_id,
    b"UID": _KeyReader.read_uid,
    b"UNKEYWORD": _KeyReader.read_keyword,
    b"YOUNGER": _KeyReader.read_age,
    **dict.fromkeys(_TEXT_KEYS, _KeyReader.read_text),
    **dict.fromkeys(_DATE_KEYS, _KeyReader.read_date),
}


def search_data(numbers: Iterable[int], mod_seq: int | None = None) -> bytes:
    """
    Encode an untagged SEARCH; the highest mod-sequence found is left out where nothing was found.

    Grammar: mailbox-data = "SEARCH" [1*(SP nz-number) SP search-sort-mod-seq]
    RFC: 3501 section 7.2.5
    RFC: 7162 section 3.1.5, 3.1.6, 7
    """
    return b"".join(search_pieces(list(numbers), mod_seq))


def search_pieces(
    numbers: Sequence[int], mod_seq: int | None = None, *, numbers_max: int = SEARCH_NUMBERS_PER_PIECE
) -> Iterator[bytes]:
    """
    Yield the same in pieces of so many numbers: a million of them take a tenth of a second to spell.

    RFC: 3501 section 7.2.5
    """
    head = b"* SEARCH"
    for first in range(0, len(numbers), numbers_max):
        # str() of a list is the quickest way to spell many numbers.
        listed = str(list(numbers[first : first + numbers_max])).encode("ascii").translate(None, b"[],")
        yield b"%b %b" % (head, listed)
        head = b""
    if not numbers:
        yield head
    elif mod_seq is not None:
        yield b" (MODSEQ %d)" % mod_seq
    yield b"\r\n"


def esearch_data(
    tag: bytes,
    *,
    uid: bool,
    minimum: int | None = None,
    maximum: int | None = None,
    count: int | None = None,
    everything: NumSet | None = None,
    mod_seq: int | None = None,
) -> bytes:
    """
    Encode an ESEARCH response from what was asked for; an empty `everything` is left out.

    Grammar: esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)
    RFC: 4466 section 2.6.2, 3
    RFC: 4731 section 3.1, 3.2
    RFC: 7162 section 3.1.10
    """
    line = b"* ESEARCH (TAG %b)" % string(tag)
    if uid:
        line += b" UID"
    for name, value in ((b"MIN", minimum), (b"MAX", maximum), (b"COUNT", count)):
        if value is not None:
            line += b" %b %d" % (name, value)
    if everything:
        line += b" ALL " + everything.to_bytes()
    if mod_seq is not None:
        line += b" MODSEQ %d" % mod_seq
    return line + b"\r\n"


def bad_charset_code(charsets: Iterable[str]) -> bytes:
    """
    Encode the response code BADCHARSET with the charsets that are understood.

    Grammar: "BADCHARSET" [SP "(" astring *(SP astring) ")"]
    RFC: 3501 section 6.4.4, 7.1, 9
    """
    names = b" ".join([name.encode("ascii") for name in charsets])
    return b"BADCHARSET (%b)" % names if names else b"BADCHARSET"


RULES: dict[bytes, Rule] = {b"SEARCH": search, b"UID SEARCH": search}
