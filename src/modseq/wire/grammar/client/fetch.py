"""fetch: reading messages.

RFC: 3501 section 6.4.5, 7.4.2
RFC: 7162 section 3.1.4, 3.2.6
"""

from __future__ import annotations

import re
from typing import Any

from modseq.wire.command_writer import CommandWriter
from modseq.wire.grammar.client import CodeRule, DataRule, Writer
from modseq.wire.grammar.client.structure import body, envelope
from modseq.wire.response_parser import ResponseParser, flag_set
from modseq.wire.response_values import MessageData
from modseq.wire.values import Fetch, FetchItem

_FIELD_NAME = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[^_`a-z|}~+]+")


def write_fetch(w: CommandWriter, args: Fetch) -> None:
    """
    Write the arguments of FETCH and UID FETCH.

    Grammar: fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
        "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
    RFC: 3501 section 6.4.5, 9
    RFC: 7162 section 3.1.4.1, 3.2.6
    """
    w.sp().sequence_set(args.sequence_set).raw(b" (")
    for number, item in enumerate(args.items):
        if number:
            w.sp()
        write_fetch_att(w, item)
    w.raw(b")")
    if args.changed_since is not None:
        vanished = b" VANISHED" if args.vanished else b""
        w.raw(b" (CHANGEDSINCE %d%b)" % (args.changed_since, vanished))


def write_fetch_att(w: CommandWriter, item: FetchItem) -> None:
    """
    Write one item.

    Grammar: fetch-att = "ENVELOPE" / "FLAGS" / ... / "BODY" section ["<" number "." nz-number ">"]
    RFC: 3501 section 6.4.5, 9
    """
    if isinstance(item, str):
        w.atom(item)
        return
    if item.label.startswith(b"RFC822"):
        w.raw(item.label)
        return
    spec = ".".join([*map(str, item.path), *((item.kind,) if item.kind else ())]).encode("ascii")
    w.raw(b"BODY.PEEK[" if item.peek else b"BODY[").raw(spec)
    if item.fields:
        w.raw(b" (")
        for number, name in enumerate(item.fields):
            if number:
                w.sp()
            if _FIELD_NAME.fullmatch(name):
                w.raw(name)
            else:
                w.string(name)
        w.raw(b")")
    w.raw(b"]")
    if item.partial is not None:
        w.raw(b"<%d.%d>" % item.partial)


def fetched(p: ResponseParser, seq_num: int) -> MessageData:
    """
    Read what a FETCH response says; items not known are kept as they stand.

    Grammar: message-data = nz-number SP "FETCH" SP msg-att
    RFC: 3501 section 7.4.2, 9
    """
    p.sp()
    p.open()
    values: dict[str, Any] = {}
    sections: dict[str, bytes | None] = {}
    extra: dict[str, bytes | None] = {}
    p.spaces()
    while not p.take(b")"):
        name = _item_name(p)
        reader = _READERS.get(name)
        if reader is not None:
            p.spaces()
            field, read = reader
            values[field] = read(p)
        elif name in _SECTIONS or p.stands(b"["):
            label = _label(p, name)
            p.spaces()
            sections[label] = p.nstring("the octets of a section")
        else:
            p.spaces()
            extra[name.decode("ascii", "replace")] = p.skip_value()
        p.spaces()
    if sections:
        values["sections"] = sections
    if extra:
        values["extra"] = extra
    return MessageData(seq_num, **values)


_ITEM_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9.\-_]*+")
_SECTIONS = {b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT"}
_PARTIAL = re.compile(rb"<(\d{1,20})>")
_SECTION_WORD = re.compile(rb"[A-Za-z0-9.]++")


def _item_name(p: ResponseParser) -> bytes:
    match = _ITEM_NAME.match(p.text, p.at)
    if match is None:
        p.fail("a FETCH item")
    p.at = match.end()
    return match[0].upper()


def _label(p: ResponseParser, name: bytes) -> str:
    """
    Read the section behind BODY and return the item's name as it is known: capitals, no quotes.

    Grammar: msg-att-static = "BODY" section ["<" number ">"] SP nstring
    RFC: 3501 section 7.4.2, 9
    RFC: 3516 section 4.2
    """
    if not p.take(b"["):
        return name.decode("ascii")
    word = _SECTION_WORD.match(p.text, p.at)
    spec = b""
    if word is not None:
        spec = word[0].upper()
        p.at = word.end()
    p.spaces()
    if p.take(b"("):
        names: list[bytes] = []
        while not p.take(b")"):
            p.spaces()
            names.append(p.astring("a header field name").upper())
            p.spaces()
        spec += b" (%b)" % b" ".join(names)
    if not p.take(b"]"):
        p.fail('"]"')
    partial = _PARTIAL.match(p.text, p.at)
    if partial is not None:
        p.at = partial.end()
    return b"".join([name, b"[", spec, b"]", partial[0] if partial is not None else b""]).decode(
        "utf-8", "replace"
    )


def _uid(p: ResponseParser) -> int:
    """
    Grammar: "UID" SP uniqueid
    RFC: 3501 section 7.4.2
    """
    return p.nz_number("a UID")


def _mod_seq(p: ResponseParser) -> int:
    """
    Grammar: fetch-mod-resp = "MODSEQ" SP "(" permsg-modsequence ")"
    RFC: 7162 section 3.1.4.2, 7
    """
    p.open()
    value = p.mod_sequence()
    p.close()
    return value


def _size(p: ResponseParser) -> int:
    """
    Grammar: "RFC822.SIZE" SP number64
    RFC: 9051 section 7.5.2
    """
    return p.number64()


def _object_id(p: ResponseParser) -> str | None:
    """
    Grammar: fetch-emailid-resp = "EMAILID" SP "(" objectid ")"
    RFC: 8474 section 5.3
    """
    if p.take_nil():
        return None
    p.open()
    object_id = p.atom("an object id").decode("ascii", "replace")
    p.close()
    return object_id


_READERS: dict[bytes, tuple[str, Any]] = {
    b"UID": ("uid", _uid),
    b"FLAGS": ("flags", ResponseParser.flags_of_list),
    b"MODSEQ": ("mod_seq", _mod_seq),
    b"INTERNALDATE": ("internal_date", ResponseParser.moment),
    b"RFC822.SIZE": ("size", _size),
    b"ENVELOPE": ("envelope", envelope),
    b"BODYSTRUCTURE": ("structure", body),
    b"EMAILID": ("email_id", _object_id),
    b"THREADID": ("thread_id", _object_id),
    b"SAVEDATE": ("save_date", ResponseParser.moment),
}

_BODY_ANNOUNCED = re.compile(
    rb"(?:BODY|BINARY)\[[^\]]*\](?:<\d+>)? ?~?\{\d+\}\Z|RFC822(?:\.TEXT)? \{\d+\}\Z", re.IGNORECASE
)
_FETCH_BEGINS = re.compile(rb"\* \d{1,10} FETCH \(", re.IGNORECASE)


def is_body_announcement(begin: bytes, text: bytes) -> bool:
    """
    Return whether a text announces the octets of a section as a literal.

    Args: `begin` is the first text of the response, `text` the one that ends in the marker.
    """
    return (
        _FETCH_BEGINS.match(begin) is not None
        and _BODY_ANNOUNCED.search(text, max(0, len(text) - 2_000)) is not None
    )


# --- the common line, fast -------------------------------------------------------------------------

_SEQ = rb"\* ([1-9]\d{0,8}+) FETCH \("
_UID = rb"UID ([1-9]\d{0,8}+)"
_FLAGS = rb'FLAGS \(([^\x00-\x1f(){"\x7f]*+)\)'
_MODSEQ = rb"MODSEQ \(([1-9]\d{0,17}+)\)"
_SHAPES = tuple(
    (
        re.compile(line),
        re.compile(rb"(?:" + line.replace(b"(", b"(?:").replace(b"\\(?:", b"\\(") + rb")++"),
        order,
    )
    for line, order in (
        (_SEQ + _UID + b" " + _FLAGS + b" " + _MODSEQ + rb"\)\r\n", (1, 2, 3)),
        (_SEQ + _UID + b" " + _MODSEQ + b" " + _FLAGS + rb"\)\r\n", (1, 3, 2)),
        (_SEQ + _FLAGS + b" " + _UID + b" " + _MODSEQ + rb"\)\r\n", (2, 1, 3)),
        (_SEQ + _UID + b" " + _FLAGS + rb"\)\r\n", (1, 2, 0)),
        (_SEQ + _UID + b" " + _MODSEQ + rb"\)\r\n", (1, 0, 2)),
    )
)
"""A line, a run of them, and where UID, FLAGS and MODSEQ stand among its groups (0: nowhere)."""


def fetched_run(take: Any) -> list[MessageData]:
    """
    Return the messages of a run of plain FETCH lines of one shape, the common case of a large answer.

    RFC: 3501 section 7.4.2
    Args: `take` is ResponseFramer.take_run.
    """
    for line, run, (uid_at, flags_at, mod_seq_at) in _SHAPES:
        rows = take(line, run)
        if rows:
            if not mod_seq_at:
                return [MessageData(int(row[0]), int(row[uid_at]), flag_set(row[flags_at])) for row in rows]
            if not flags_at:
                return [
                    MessageData(int(row[0]), int(row[uid_at]), None, int(row[mod_seq_at])) for row in rows
                ]
            return [
                MessageData(int(row[0]), int(row[uid_at]), flag_set(row[flags_at]), int(row[mod_seq_at]))
                for row in rows
            ]
    return []


WRITERS: dict[type, Writer] = {Fetch: write_fetch}
DATA: dict[bytes, DataRule] = {}
CODES: dict[bytes, CodeRule] = {}
