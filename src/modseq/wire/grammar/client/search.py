"""search: finding messages.

RFC: 3501 section 6.4.4, 7.2.5
RFC: 4731 section 3
RFC: 7162 section 3.1.5
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modseq.wire.abnf import NUMBER_MAX, SYSTEM_FLAGS
from modseq.wire.command_writer import CommandWriter
from modseq.wire.encode import quoted
from modseq.wire.grammar.client import CodeRule, DataRule, Writer
from modseq.wire.response_parser import ResponseParser
from modseq.wire.response_values import ESearchData, SearchData
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
    SearchReturn,
    SearchSaveDateSupported,
    SearchSequence,
    SearchSize,
    SearchText,
)

_RETURNS = (
    (b"MIN", "minimum"),
    (b"MAX", "maximum"),
    (b"ALL", "everything"),
    (b"COUNT", "count"),
    (b"SAVE", "save"),
)
_SYSTEM_KEYS = {name: small[1:].upper() for small, name in SYSTEM_FLAGS.items()}


def write_search(w: CommandWriter, args: Search) -> None:
    """
    Write the arguments of SEARCH and UID SEARCH.

    Grammar: search = "SEARCH" [SP "RETURN" SP search-return-opts] SP search-program
    RFC: 3501 section 6.4.4, 9
    RFC: 4731 section 3.1
    """
    write_search_head(w, args.returns, args.charset)
    write_key(w, args.program.key, is_outermost=True)


def write_search_head(w: CommandWriter, returns: SearchReturn | None, charset: bytes | None) -> None:
    """
    Write what stands before the keys, and the space.

    RFC: 4466 section 2.6
    """
    if returns is not None:
        options = [name for name, field in _RETURNS if getattr(returns, field)]
        w.raw(b" RETURN (%b)" % b" ".join(options))
    if charset is not None:
        w.raw(b" CHARSET ").astring(charset)
    w.sp()


def write_key(w: CommandWriter, key: SearchKey, *, is_outermost: bool = False) -> None:
    """
    Write one key.

    Grammar: search-key = "ALL" / "ANSWERED" / ... / sequence-set / "(" search-key ... ")"
    RFC: 3501 section 6.4.4, 9
    """
    if isinstance(key, SearchAnd):
        if not is_outermost:
            w.raw(b"(")
        for number, each in enumerate(key.keys):
            if number:
                w.sp()
            write_key(w, each)
        if not is_outermost:
            w.raw(b")")
        return
    _KEY_WRITERS[type(key)](w, key)


def _write_all(w: CommandWriter, _key: SearchAll) -> None:
    w.raw(b"ALL")


def _write_flag(w: CommandWriter, key: SearchFlag) -> None:
    """
    Write a flag's own key where it has one.

    RFC: 3501 section 6.4.4
    """
    system = _SYSTEM_KEYS.get(key.flag)
    if key.flag == "\\Recent":
        w.raw(b"RECENT" if key.present else b"OLD")
    elif system is not None:
        w.raw(system if key.present else b"UN" + system)
    else:
        w.raw(b"KEYWORD " if key.present else b"UNKEYWORD ").atom(key.flag)


def _write_text(w: CommandWriter, key: SearchText) -> None:
    w.raw(key.where.encode("ascii")).sp().string(key.value)


def _write_header(w: CommandWriter, key: SearchHeader) -> None:
    w.raw(b"HEADER ").astring(key.field_name).sp().string(key.value)


def _write_date(w: CommandWriter, key: SearchDate) -> None:
    prefix = {"INTERNAL": b"", "SENT": b"SENT", "SAVED": b"SAVED"}[key.which]
    w.raw(prefix + key.relation.encode("ascii")).sp().date(key.day)


def _write_save_date_supported(w: CommandWriter, _key: SearchSaveDateSupported) -> None:
    w.raw(b"SAVEDATESUPPORTED")


def _write_size(w: CommandWriter, key: SearchSize) -> None:
    w.raw(b"%b %d" % (b"LARGER" if key.larger else b"SMALLER", key.octets))


def _write_age(w: CommandWriter, key: SearchAge) -> None:
    """
    Write an age in seconds.

    RFC: 5032 section 3
    """
    w.raw(b"%b %d" % (b"OLDER" if key.older else b"YOUNGER", key.seconds))


def _write_mod_seq(w: CommandWriter, key: SearchModSeq) -> None:
    """
    Grammar: search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer
    RFC: 7162 section 3.1.5, 7
    """
    w.raw(b"MODSEQ ")
    if key.flag is not None:
        entry = quoted(b"/flags/" + key.flag.encode("ascii"))
        w.raw(entry).sp().raw((key.entry_type or "all").encode("ascii")).sp()
    w.raw(b"%d" % key.mod_seq)


def _write_object_id(w: CommandWriter, key: SearchObjectId) -> None:
    """
    Write an object id.

    RFC: 8474 section 6
    """
    w.raw(key.which.encode("ascii")).sp().atom(key.object_id)


def _write_sequence(w: CommandWriter, key: SearchSequence) -> None:
    if key.uid:
        w.raw(b"UID ")
    w.sequence_set(key.sequence_set)


def _write_not(w: CommandWriter, key: SearchNot) -> None:
    w.raw(b"NOT ")
    write_key(w, key.key)


def _write_or(w: CommandWriter, key: SearchOr) -> None:
    w.raw(b"OR ")
    write_key(w, key.left)
    w.sp()
    write_key(w, key.right)


_KEY_WRITERS: dict[type, Callable[[CommandWriter, Any], None]] = {
    SearchAll: _write_all,
    SearchFlag: _write_flag,
    SearchText: _write_text,
    SearchHeader: _write_header,
    SearchDate: _write_date,
    SearchSaveDateSupported: _write_save_date_supported,
    SearchSize: _write_size,
    SearchAge: _write_age,
    SearchModSeq: _write_mod_seq,
    SearchObjectId: _write_object_id,
    SearchSequence: _write_sequence,
    SearchNot: _write_not,
    SearchOr: _write_or,
}


def search_data(p: ResponseParser) -> SearchData:
    """
    Read an untagged SEARCH.

    Grammar: mailbox-data = "SEARCH" [1*(SP nz-number) SP search-sort-mod-seq]
    RFC: 3501 section 7.2.5
    RFC: 7162 section 3.1.5, 3.1.6, 7
    """
    return _numbers(p, is_sort=False)


def sort_data(p: ResponseParser) -> SearchData:
    """
    Read an untagged SORT.

    RFC: 5256 section 4
    RFC: 7162 section 3.1.6
    """
    return _numbers(p, is_sort=True)


def _numbers(p: ResponseParser, *, is_sort: bool) -> SearchData:
    end = p.text.find(b"(", p.at)
    words = p.text[p.at : end if end >= 0 else len(p.text)].split()
    if not all(map(bytes.isdigit, words)) or max(map(len, words), default=0) > 10:
        p.fail("message numbers")
    numbers = tuple(map(int, words))
    if numbers and (min(numbers) < 1 or max(numbers) > NUMBER_MAX):
        p.fail(f"message numbers from 1 to {NUMBER_MAX}")
    mod_seq: int | None = None
    p.at = len(p.text) if end < 0 else end
    if end >= 0:
        p.open()
        if not p.take_word(b"MODSEQ"):
            p.fail("MODSEQ")
        p.spaces()
        mod_seq = p.mod_sequence()
        p.close()
        p.spaces()
    return SearchData(numbers, mod_seq, is_sort)


def esearch_data(p: ResponseParser) -> ESearchData:
    """
    Read an ESEARCH response; data not known are passed over.

    Grammar: esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)
    RFC: 4466 section 2.6.2, 3
    RFC: 4731 section 3.1
    RFC: 7162 section 3.1.10
    """
    tag: bytes | None = None
    is_uid = False
    values: dict[str, Any] = {}
    p.spaces()
    if p.take(b"("):
        if not p.take_word(b"TAG"):
            p.fail("TAG")
        p.spaces()
        tag = p.astring("a tag")
        while not p.take(b")"):
            p.spaces()
            p.skip_value()
        p.spaces()
    while not p.is_at_end():
        name = p.atom("search data").upper()
        p.spaces()
        if name == b"UID":
            is_uid = True
        elif name in (b"MIN", b"MAX"):
            values["minimum" if name == b"MIN" else "maximum"] = p.nz_number()
        elif name == b"COUNT":
            values["count"] = p.number()
        elif name == b"MODSEQ":
            values["mod_seq"] = p.mod_sequence()
        elif name == b"ALL":
            values["everything"] = p.numbers()
        else:
            p.skip_value()
        p.spaces()
    return ESearchData(tag, is_uid, **values)


def bad_charset_code(p: ResponseParser) -> tuple[str, ...]:
    """
    Read the charsets that the server understands.

    Grammar: "BADCHARSET" [SP "(" astring *(SP astring) ")"]
    RFC: 3501 section 7.1, 9
    """
    p.spaces()
    if not p.take(b"("):
        return ()
    found: list[str] = []
    while not p.take(b")"):
        p.spaces()
        found.append(p.astring("a charset").decode("ascii", "replace"))
        p.spaces()
    return tuple(found)


WRITERS: dict[type, Writer] = {Search: write_search}
DATA: dict[bytes, DataRule] = {b"SEARCH": search_data, b"SORT": sort_data, b"ESEARCH": esearch_data}
CODES: dict[bytes, CodeRule] = {b"BADCHARSET": bad_charset_code}
