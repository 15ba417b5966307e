"""fetch: reading messages.

RFC: 3501 section 6.4.5, 7.4.2
RFC: 7162 section 3.1.4, 3.2.6
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from modseq.limits import FETCH_ITEMS_MAX, HEADER_FIELDS_MAX, SECTION_PATH_MAX
from modseq.wire.abnf import NUMBER_MAX, Parser
from modseq.wire.encode import date_time, nstring
from modseq.wire.grammar import Rule
from modseq.wire.values import BodySection, Fetch, FetchItem, FetchName, SectionKind

_NAMES: dict[bytes, FetchName] = {
    b"FLAGS": "FLAGS",
    b"UID": "UID",
    b"MODSEQ": "MODSEQ",
    b"INTERNALDATE": "INTERNALDATE",
    b"RFC822.SIZE": "RFC822.SIZE",
    b"ENVELOPE": "ENVELOPE",
    b"BODY": "BODY",
    b"BODYSTRUCTURE": "BODYSTRUCTURE",
    b"EMAILID": "EMAILID",
    b"THREADID": "THREADID",
    b"SAVEDATE": "SAVEDATE",
}
_FAST: tuple[FetchName, ...] = ("FLAGS", "INTERNALDATE", "RFC822.SIZE")
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, "ENVELOPE"),
    b"FULL": (*_FAST, "ENVELOPE", "BODY"),
}
_RFC822: dict[bytes, BodySection] = {
    b"RFC822": BodySection((), "", (), None, peek=False, label=b"RFC822"),
    b"RFC822.HEADER": BodySection((), "HEADER", (), None, peek=True, label=b"RFC822.HEADER"),
    b"RFC822.TEXT": BodySection((), "TEXT", (), None, peek=False, label=b"RFC822.TEXT"),
}
"""RFC 3501 calls them equivalent to BODY[], BODY.PEEK[HEADER] and BODY[TEXT] but for their names."""

_KINDS: dict[bytes, SectionKind] = {
    b"HEADER": "HEADER",
    b"HEADER.FIELDS": "HEADER.FIELDS",
    b"HEADER.FIELDS.NOT": "HEADER.FIELDS.NOT",
    b"TEXT": "TEXT",
    b"MIME": "MIME",
}
_PATH = re.compile(rb"[1-9]\d{0,9}(?:\.[1-9]\d{0,9})*+")


def fetch(p: Parser) -> Fetch:
    """
    Read the arguments of FETCH and UID FETCH.

    Grammar: fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
        "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
    RFC: 3501 section 6.4.5, 9
    RFC: 4466 section 2.4
    """
    p.sp()
    messages = p.sequence_set()
    p.sp()
    items: tuple[FetchItem, ...]
    if p.take(b"("):
        # A dict keeps the order and drops repetitions, which would repeat whole bodies.
        wanted = {fetch_att(p): None}
        while p.take(b" "):
            wanted[fetch_att(p)] = None
            if len(wanted) > FETCH_ITEMS_MAX:
                p.fail(f"at most {FETCH_ITEMS_MAX} items")
        p.close()
        items = tuple(wanted)
    else:
        at = p.at
        macro = _MACROS.get(p.word("a FETCH item or macro"))
        if macro is not None:
            items = macro
        else:
            p.at = at
            items = (fetch_att(p),)
    if not p.take(b" "):
        return Fetch(messages, items)
    changed_since, vanished = fetch_modifiers(p)
    return Fetch(messages, items, changed_since, vanished)


def fetch_modifiers(p: Parser) -> tuple[int | None, bool]:
    """
    Read CHANGEDSINCE and VANISHED, each at most once, in any order.

    Grammar: fetch-modifier = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED"
    RFC: 7162 section 3.1.4.1, 3.2.6, 7
    Chosen: `CHANGEDSINCE 0`, which the grammar lacks, is taken for "everything": a widely used client
    sends it.
    """
    p.open()
    changed_since: int | None = None
    vanished = False
    while True:
        if changed_since is None and p.take_word(b"CHANGEDSINCE"):
            p.sp()
            changed_since = p.mod_sequence_valzer()
        elif not vanished and p.uid and p.take_word(b"VANISHED"):
            vanished = True
        else:
            p.fail("CHANGEDSINCE or, in UID FETCH, VANISHED, each once")
        if not p.take(b" "):
            break
    if vanished and changed_since is None:
        p.fail("CHANGEDSINCE beside VANISHED")
    p.close()
    return changed_since, vanished


def fetch_att(p: Parser) -> FetchItem:
    """
    Read one item.

    Grammar: fetch-att = "ENVELOPE" / "FLAGS" / ... / "BODY" section ["<" number "." nz-number ">"]
    RFC: 3501 section 6.4.5, 9
    RFC: 7162 section 3.1.4.2
    RFC: 8474 section 5.3
    RFC: 8514 section 4.2
    """
    at = p.at
    word = p.word("a FETCH item")
    if p.stands(b"["):
        if word == b"BODY":
            return section(p, peek=False)
        if word == b"BODY.PEEK":
            return section(p, peek=True)
    item = _NAMES.get(word) or _RFC822.get(word)
    if item is None:
        p.at = at
        p.fail("a FETCH item")
    return item


def section(p: Parser, *, peek: bool) -> BodySection:
    """
    Read a section and the octets wanted of it; build the name that the response repeats.

    Grammar: section = "[" [section-spec] "]"
    RFC: 3501 section 6.4.5, 9
    """
    p.at += 1
    path: tuple[int, ...] = ()
    kind: SectionKind = ""
    fields: tuple[bytes, ...] = ()
    numbers = _PATH.match(p.text, p.at)
    if numbers is not None:
        path = tuple(map(int, numbers[0].split(b".")))
        if len(path) > SECTION_PATH_MAX or max(path) > NUMBER_MAX:
            p.fail(f"at most {SECTION_PATH_MAX} part numbers up to {NUMBER_MAX}")
        p.at = numbers.end()
    if not p.stands(b"]") and (not path or p.take(b".")):
        kind, fields = section_text(p, in_part=bool(path))
    if not p.take(b"]"):
        p.fail('"]"')
    partial: tuple[int, int] | None = None
    if p.take(b"<"):
        first = p.number("the first octet")
        if not p.take(b"."):
            p.fail('"."')
        partial = first, p.nz_number("a number of octets")
        if not p.take(b">"):
            p.fail('">"')
    return BodySection(path, kind, fields, partial, peek, _label(path, kind, fields, partial))


def section_text(p: Parser, *, in_part: bool) -> tuple[SectionKind, tuple[bytes, ...]]:
    """
    Read which part of a message or MIME part is wanted; MIME only where a part is named.

    Grammar: section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
    RFC: 3501 section 6.4.5, 9
    """
    at = p.at
    kind = _KINDS.get(p.word("a section such as HEADER, TEXT or 1.2"))
    if kind is None or (kind == "MIME" and not in_part):
        p.at = at
        p.fail("a section such as HEADER, TEXT or 1.2")
    if not kind.startswith("HEADER.FIELDS"):
        return kind, ()
    p.sp()
    p.open()
    names = [p.astring("a header field name")]
    while p.take(b" "):
        names.append(p.astring("a header field name"))
        if len(names) > HEADER_FIELDS_MAX:
            p.fail(f"at most {HEADER_FIELDS_MAX} header field names")
    p.close()
    return kind, tuple(names)


_FIELD_NAME = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[^_`a-z|}~+]+")


def _label(
    path: tuple[int, ...],
    kind: SectionKind,
    fields: tuple[bytes, ...],
    partial: tuple[int, int] | None,
) -> bytes:
    """
    Return the item's name in the response: without PEEK, and of the partial only where it begins.

    Grammar: msg-att-static = "BODY" section ["<" number ">"] SP nstring
    RFC: 3501 section 7.4.2, 9
    """
    spec = ".".join([*map(str, path), *((kind,) if kind else ())]).encode("ascii")
    if fields:
        names = [name if _FIELD_NAME.fullmatch(name) else nstring(name) for name in fields]
        spec += b" (%b)" % b" ".join(names)
    origin = b"<%d>" % partial[0] if partial is not None else b""
    return b"BODY[%b]%b" % (spec, origin)


def fetch_data(seq_num: int, items: Iterable[bytes]) -> bytes:
    """
    Encode one FETCH response from ready items.

    Grammar: message-data = nz-number SP "FETCH" SP msg-att
    RFC: 3501 section 7.4.2, 9
    """
    return b"* %d FETCH (%b)\r\n" % (seq_num, b" ".join(items))


def uid_item(uid: int) -> bytes:
    """
    Encode the item UID.

    RFC: 3501 section 7.4.2
    """
    return b"UID %d" % uid


def flags_item(flags: Iterable[str]) -> bytes:
    """
    Encode the item FLAGS.

    RFC: 3501 section 7.4.2
    """
    return b"FLAGS (%b)" % " ".join(flags).encode("ascii")


def mod_seq_item(mod_seq: int) -> bytes:
    """
    Encode the item MODSEQ.

    Grammar: fetch-mod-resp = "MODSEQ" SP "(" permsg-modsequence ")"
    RFC: 7162 section 3.1.4.2, 7
    """
    return b"MODSEQ (%d)" % mod_seq


def internal_date_item(epoch_seconds: int, zone_minutes: int) -> bytes:
    """
    Encode the item INTERNALDATE.

    RFC: 3501 section 7.4.2
    """
    return b"INTERNALDATE " + date_time(epoch_seconds, zone_minutes)


def size_item(octets: int) -> bytes:
    """
    Encode the item RFC822.SIZE.

    RFC: 3501 section 7.4.2
    """
    return b"RFC822.SIZE %d" % octets


def save_date_item(moment: tuple[int, int] | None) -> bytes:
    """
    Encode the item SAVEDATE from epoch seconds and zone minutes; NIL where the date is not kept.

    RFC: 8514 section 4.2
    """
    return b"SAVEDATE NIL" if moment is None else b"SAVEDATE " + date_time(*moment)


def email_id_item(object_id: str) -> bytes:
    """
    Encode the item EMAILID.

    Grammar: fetch-emailid-resp = "EMAILID" SP "(" objectid ")"
    RFC: 8474 section 5.1, 5.3
    """
    return b"EMAILID (%b)" % object_id.encode("ascii")


def thread_id_item(object_id: str | None) -> bytes:
    """
    Encode the item THREADID; NIL where threads are not kept.

    Grammar: fetch-threadid-resp = "THREADID" SP ("(" objectid ")" / nil)
    RFC: 8474 section 5.2, 5.3
    """
    return b"THREADID NIL" if object_id is None else b"THREADID (%b)" % object_id.encode("ascii")


def section_item(wanted: BodySection, octets: bytes | None) -> bytes:
    """
    Encode the octets of a section; None (no such part) is NIL.

    Grammar: msg-att-static = "BODY" section ["<" number ">"] SP nstring
    RFC: 3501 section 7.4.2, 9
    """
    if octets is None:
        return wanted.label + b" NIL"
    return b"%b {%d}\r\n%b" % (wanted.label, len(octets), octets)


RULES: dict[bytes, Rule] = {b"FETCH": fetch, b"UID FETCH": fetch}
