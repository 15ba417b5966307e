"""mailbox: making, naming, listing and counting mailboxes.

RFC: 3501 section 6.3, 7.2
RFC: 5258 section 3, 4
"""

from __future__ import annotations

from typing import Any

from modseq.wire.command_writer import CommandWriter
from modseq.wire.grammar.client import CodeRule, DataRule, Writer
from modseq.wire.response_parser import ResponseParser
from modseq.wire.response_values import ListData, NamespaceData, StatusData
from modseq.wire.values import Create, Delete, List, ListReturn, Rename, Status, Subscribe, Unsubscribe

_STATUS_FIELDS = {
    b"MESSAGES": "messages",
    b"RECENT": "recent",
    b"UIDNEXT": "uid_next",
    b"UIDVALIDITY": "uid_validity",
    b"UNSEEN": "unseen",
    b"HIGHESTMODSEQ": "highest_mod_seq",
    b"SIZE": "size",
    b"DELETED": "deleted",
    b"APPENDLIMIT": "append_limit",
}


def write_create(w: CommandWriter, args: Create) -> None:
    """
    Write the arguments of CREATE.

    Grammar: create = "CREATE" SP mailbox [SP "(" create-param ")"]
    RFC: 3501 section 6.3.3
    RFC: 6154 section 3, 6
    """
    w.sp().mailbox(args.mailbox)
    if args.special_use:
        w.raw(b" (USE ").flag_list(args.special_use).raw(b")")


def write_mailbox(w: CommandWriter, args: Delete | Subscribe | Unsubscribe) -> None:
    """
    Write the argument of DELETE, SUBSCRIBE and UNSUBSCRIBE.

    RFC: 3501 section 6.3.4, 6.3.6, 6.3.7
    """
    w.sp().mailbox(args.mailbox)


def write_rename(w: CommandWriter, args: Rename) -> None:
    """
    Write the arguments of RENAME.

    Grammar: rename = "RENAME" SP mailbox SP mailbox
    RFC: 3501 section 6.3.5
    """
    w.sp().mailbox(args.old).sp().mailbox(args.new)


def write_list(w: CommandWriter, args: List) -> None:
    """
    Write the arguments of LIST and LSUB.

    Grammar: list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
    RFC: 3501 section 6.3.8, 6.3.9
    RFC: 5258 section 3, 6
    """
    is_bare = len(args.patterns) == 1 and args.returns == ListReturn()
    if args.selection or (args.extended and is_bare):
        w.raw(b" (%b)" % " ".join(sorted(args.selection)).encode("ascii"))
    w.sp().mailbox(args.reference).sp()
    if len(args.patterns) > 1:
        w.raw(b"(")
    for number, pattern in enumerate(args.patterns):
        if number:
            w.sp()
        w.mailbox(pattern)
    if len(args.patterns) > 1:
        w.raw(b")")
    if args.extended and args.returns != ListReturn():
        write_list_return(w, args.returns)


def write_list_return(w: CommandWriter, returns: ListReturn) -> None:
    """
    Write what is to be said of each mailbox.

    Grammar: list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
    RFC: 5258 section 3.2, 6
    RFC: 5819 section 2, 4
    """
    options = [
        name
        for name, is_wanted in (
            (b"SUBSCRIBED", returns.subscribed),
            (b"CHILDREN", returns.children),
            (b"SPECIAL-USE", returns.special_use),
        )
        if is_wanted
    ]
    w.raw(b" RETURN (").raw(b" ".join(options))
    if returns.status_items is not None:
        if options:
            w.sp()
        w.raw(b"STATUS ")
        _write_status_items(w, returns.status_items)
    w.raw(b")")


def write_status(w: CommandWriter, args: Status) -> None:
    """
    Write the arguments of STATUS.

    Grammar: status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
    RFC: 3501 section 6.3.10, 9
    """
    w.sp().mailbox(args.mailbox).sp()
    _write_status_items(w, args.items)


def _write_status_items(w: CommandWriter, items: tuple[str, ...]) -> None:
    w.raw(b"(")
    for number, item in enumerate(items):
        if number:
            w.sp()
        w.atom(item)
    w.raw(b")")


def list_data(p: ResponseParser) -> ListData:
    """
    Read one mailbox of LIST.

    Grammar: mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
        [SP mbox-list-extended]
    RFC: 3501 section 7.2.2
    RFC: 5258 section 6
    """
    return _list(p, is_lsub=False)


def lsub_data(p: ResponseParser) -> ListData:
    """
    Read one mailbox of LSUB.

    RFC: 3501 section 7.2.3
    """
    return _list(p, is_lsub=True)


def _list(p: ResponseParser, *, is_lsub: bool) -> ListData:
    p.sp()
    attributes = p.flags_of_list()
    p.sp()
    delimiter = p.nstring("a hierarchy delimiter or NIL")
    p.sp()
    name, raw = p.name()
    old_name: str | None = None
    child_info: frozenset[str] = frozenset()
    p.spaces()
    if p.take(b"("):
        while not p.take(b")"):
            p.spaces()
            item = p.astring("an extended item").upper()
            p.spaces()
            if item == b"CHILDINFO" and p.stands(b"("):
                child_info = frozenset(_names(p))
            elif item == b"OLDNAME" and p.stands(b"("):
                p.open()
                old_name, _ = p.name()
                p.close()
            else:
                p.skip_value()
            p.spaces()
    return ListData(
        name=name,
        delimiter=delimiter.decode("ascii", "replace") if delimiter else None,
        attributes=attributes,
        raw_name=raw,
        old_name=old_name,
        child_info=child_info,
        lsub=is_lsub,
    )


def _names(p: ResponseParser) -> list[str]:
    p.open()
    names: list[str] = []
    while not p.take(b")"):
        p.spaces()
        names.append(p.astring("a name").decode("ascii", "replace").upper())
        p.spaces()
    return names


def status_data(p: ResponseParser) -> StatusData:
    """
    Read the counters of one mailbox; items not known are passed over.

    Grammar: mailbox-data = "STATUS" SP mailbox SP "(" [status-att-list] ")"
    RFC: 3501 section 7.2.4, 9
    RFC: 7162 section 3.1.7
    RFC: 8438 section 3
    RFC: 8474 section 4.3
    """
    p.sp()
    name, raw = p.name()
    p.spaces()
    p.open()
    values: dict[str, Any] = {}
    while not p.take(b")"):
        p.spaces()
        item = p.atom("a STATUS item").upper()
        p.spaces()
        field = _STATUS_FIELDS.get(item)
        if field is not None and not p.take_nil():
            values[field] = p.number64()
        elif item == b"MAILBOXID":
            p.open()
            values["mailbox_id"] = p.atom("an object id").decode("ascii", "replace")
            p.close()
        elif field is None:
            p.skip_value()
        p.spaces()
    return StatusData(name, raw_name=raw, **values)


def namespace_data(p: ResponseParser) -> NamespaceData:
    """
    Read the three kinds of namespaces.

    Grammar: namespace-response = "NAMESPACE" SP namespace SP namespace SP namespace
    RFC: 2342 section 5, 6
    """
    kinds: list[tuple[tuple[str, str | None], ...]] = []
    for _ in range(3):
        p.spaces()
        kinds.append(_namespaces(p))
    return NamespaceData(*kinds)


def _namespaces(p: ResponseParser) -> tuple[tuple[str, str | None], ...]:
    if p.take_nil():
        return ()
    p.open()
    found: list[tuple[str, str | None]] = []
    while not p.take(b")"):
        p.spaces()
        p.open()
        prefix = p.name_text(p.string("a prefix"))
        p.spaces()
        delimiter = p.nstring("a hierarchy delimiter or NIL")
        while not p.take(b")"):
            p.spaces()
            p.skip_value()
        found.append((prefix, delimiter.decode("ascii", "replace") if delimiter else None))
        p.spaces()
    return tuple(found)


def append_limit_code(p: ResponseParser) -> int:
    """
    Read the code APPENDLIMIT.

    RFC: 7889 section 4
    """
    p.sp()
    return p.number64()


WRITERS: dict[type, Writer] = {
    Create: write_create,
    Delete: write_mailbox,
    Subscribe: write_mailbox,
    Unsubscribe: write_mailbox,
    Rename: write_rename,
    List: write_list,
    Status: write_status,
}
DATA: dict[bytes, DataRule] = {
    b"LIST": list_data,
    b"LSUB": lsub_data,
    b"STATUS": status_data,
    b"NAMESPACE": namespace_data,
}
CODES: dict[bytes, CodeRule] = {b"APPENDLIMIT": append_limit_code}
