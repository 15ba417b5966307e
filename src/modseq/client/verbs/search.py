"""search: finding messages.

RFC: 3501 section 6.4.4
RFC: 4731 section 3
RFC: 7162 section 3.1.5
"""

from __future__ import annotations

from collections.abc import Iterable

from modseq.client.effects import Verb
from modseq.client.errors import NotSupported
from modseq.client.exchange import Exchange
from modseq.client.results import Found
from modseq.client.verbs.command import command, require_selected
from modseq.core.numset import NumSet
from modseq.wire.abnf import ParseError, Parser
from modseq.wire.command_writer import CommandWriter
from modseq.wire.grammar.client.search import write_search_head
from modseq.wire.grammar.search import search as read_search
from modseq.wire.response_values import ESearchData, Response, SearchData
from modseq.wire.values import (
    Search,
    SearchAnd,
    SearchHeader,
    SearchKey,
    SearchNot,
    SearchOr,
    SearchProgram,
    SearchReturn,
    SearchText,
)

_OPTIONS = {"ALL": "everything", "MIN": "minimum", "MAX": "maximum", "COUNT": "count", "SAVE": "save"}


class SearchCollector:
    """Takes the one answer of a search, by its tag where that stands there."""

    def __init__(self) -> None:
        self.tag: bytes | None = None
        self.numbers: set[int] = set()
        self.found: ESearchData | None = None
        self.plain: SearchData | None = None

    def __call__(self, response: Response) -> bool:
        """Take a response, or leave it to others."""
        if isinstance(response, ESearchData) and self.found is None and response.uid:
            self.found = response
            return True
        if isinstance(response, SearchData) and not response.sort:
            self.numbers.update(response.numbers)
            self.plain = response
            return True
        return False


def search(
    x: Exchange, criteria: str | SearchKey = "ALL", *, returns: Iterable[str] = ("ALL",)
) -> Verb[Found]:
    """
    Find messages; UIDs throughout.

    RFC: 3501 section 6.4.4
    RFC: 4731 section 3.1
    RFC: 7162 section 3.1.5
    Args:
        criteria: as RFC 3501 writes it (`UNSEEN SINCE 1-Feb-2026`), or a value of modseq.wire.values.
        returns: of ALL, MIN, MAX, COUNT, SAVE; what the server cannot do is worked out here, but for SAVE.
    Raises ValueError for criteria that cannot be sent.
    """
    require_selected(x)
    wanted = {option.upper() for option in returns}
    if not wanted or not wanted <= _OPTIONS.keys():
        raise ValueError("returns: ALL, MIN, MAX, COUNT or SAVE")
    if "SAVE" in wanted and not x.has("SEARCHRES"):
        raise NotSupported("returns SAVE: the server does not offer SEARCHRES")
    is_extended = x.has("ESEARCH")
    options = SearchReturn(**{_OPTIONS[each]: True for each in wanted}) if is_extended else None
    collector = SearchCollector()
    args = _args(criteria, options)
    if args is not None:
        yield from command(x, "SEARCH", args, uid=True, collector=collector)
    else:
        assert isinstance(criteria, str)
        writer = CommandWriter(b"", "")
        write_search_head(writer, options, None)
        (head,) = writer.parts()
        assert isinstance(head, bytes)
        raw = head.strip() + b" " + criteria.encode("ascii")
        yield from command(x, "SEARCH", uid=True, collector=collector, raw=raw.strip())
    return _found(collector, wanted)


def _found(collector: SearchCollector, wanted: set[str]) -> Found:
    told = collector.found
    if told is not None:
        uids = told.everything if told.everything is not None else NumSet.EMPTY
        return Found(uids, told.minimum, told.maximum, told.count, told.mod_seq)
    uids = NumSet(collector.numbers)
    return Found(
        uids if "ALL" in wanted else NumSet.EMPTY,
        uids.min if uids and "MIN" in wanted else None,
        uids.max if uids and "MAX" in wanted else None,
        len(uids) if "COUNT" in wanted else None,
        collector.plain.mod_seq if collector.plain is not None else None,
    )


def _args(criteria: str | SearchKey, options: SearchReturn | None) -> Search | None:
    """Return criteria as a value, None for text with keys that only the server knows."""
    if not isinstance(criteria, str):
        charset = None if _is_ascii(criteria) else b"UTF-8"
        return Search(SearchProgram(criteria, has_mod_seq=False, has_seq_nums=False), options, charset)
    parser = Parser((b" " + criteria.encode("utf-8"),))
    try:
        read = read_search(parser)
        parser.end()
    except ParseError as error:
        if not criteria.isascii() or not criteria:
            raise ValueError("these criteria cannot be sent: write them as a value") from error
        return None
    if read.returns is not None:
        raise ValueError("RETURN is chosen by `returns`")
    charset = read.charset or (None if criteria.isascii() else b"UTF-8")
    return Search(read.program, options, charset)


def _is_ascii(key: SearchKey) -> bool:
    if isinstance(key, SearchAnd):
        return all(map(_is_ascii, key.keys))
    if isinstance(key, SearchOr):
        return _is_ascii(key.left) and _is_ascii(key.right)
    if isinstance(key, SearchNot):
        return _is_ascii(key.key)
    return key.value.isascii() if isinstance(key, SearchText | SearchHeader) else True
