"""store: changing flags, conditionally or not.

RFC: 3501 section 6.4.6
RFC: 7162 section 3.1.3
"""

from __future__ import annotations

import re
from typing import Literal

from modseq.core.numset import NumSet
from modseq.wire.abnf import Parser
from modseq.wire.grammar import Rule
from modseq.wire.values import SequenceSet, Store

_FLAGS_ITEM = re.compile(rb"([+-]?+)FLAGS(\.SILENT)?+ ", re.IGNORECASE)
_COMMON = re.compile(
    rb" ([1-9]\d{0,8}) (?:\(UNCHANGEDSINCE (\d{1,18})\) )?+([+-]?+)FLAGS(\.SILENT)?+ (?=[(])", re.IGNORECASE
)
"""One message, perhaps UNCHANGEDSINCE, a list of flags: what claims of a work queue look like, read in one
step because a busy server reads tens of thousands a second. It matches nothing that the rules below refuse."""
_MODES: dict[bytes, Literal["+", "-", "="]] = {b"+": "+", b"-": "-", b"": "="}


def store(p: Parser) -> Store:
    """
    Read the arguments of STORE and UID STORE. What follows the flags is refused, never ignored.

    Grammar: store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags
    RFC: 3501 section 6.4.6, 9
    RFC: 4466 section 2.5
    """
    common = _COMMON.match(p.text, p.at)
    if common is not None:
        number, since, sign, quiet = common.groups()
        p.at = common.end()
        message = int(number)
        return Store(
            SequenceSet(((message, message),)),
            _MODES[sign],
            quiet is not None,
            p.flag_list(),
            None if since is None else int(since),
        )
    p.sp()
    messages = p.sequence_set()
    p.sp()
    unchanged_since: int | None = None
    all_or_none = False
    if p.stands(b"("):
        unchanged_since, all_or_none = store_modifiers(p)
        p.sp()
    item = _FLAGS_ITEM.match(p.text, p.at)
    if item is None:
        p.fail("FLAGS, +FLAGS or -FLAGS, with or without .SILENT, and a space")
    p.at = item.end()
    flags = p.flags()
    return Store(messages, _MODES[item[1]], item[2] is not None, flags, unchanged_since, all_or_none)


def store_modifiers(p: Parser) -> tuple[int | None, bool]:
    """
    Read UNCHANGEDSINCE and XALLORNONE, each at most once; the second means nothing without the first.

    Grammar: store-modifier = "UNCHANGEDSINCE" SP mod-sequence-valzer / "XALLORNONE"
    RFC: 7162 section 3.1.3, 7
    RFC: 4466 section 2.5
    """
    p.open()
    unchanged_since: int | None = None
    all_or_none = False
    while True:
        if unchanged_since is None and p.take_word(b"UNCHANGEDSINCE"):
            p.sp()
            unchanged_since = p.mod_sequence_valzer()
        elif not all_or_none and p.take_word(b"XALLORNONE"):
            all_or_none = True
        else:
            p.fail("UNCHANGEDSINCE or XALLORNONE, each once")
        if not p.take(b" "):
            break
    if unchanged_since is None:
        p.fail("UNCHANGEDSINCE beside XALLORNONE")
    p.close()
    return unchanged_since, all_or_none


def modified_code(messages: NumSet) -> bytes:
    """
    Encode the response code MODIFIED: sequence numbers after STORE, UIDs after UID STORE.

    Grammar: resp-text-code = "MODIFIED" SP sequence-set
    RFC: 7162 section 3.1.3, 7
    """
    return b"MODIFIED " + messages.to_bytes()


RULES: dict[bytes, Rule] = {b"STORE": store, b"UID STORE": store}
