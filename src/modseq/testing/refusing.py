"""A server without one of its capabilities: neither advertised nor understood."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from modseq.server import registry
from modseq.testing.quirks import no_highest
from modseq.wire import values
from modseq.wire.values import Command, SearchKey

ALWAYS_THERE = frozenset({"IMAP4REV1", "IMAP4REV2"})
"""What a client may take for granted, and so nothing to refuse."""

PARAMETERS = frozenset(
    {
        "BINARY",
        "CATENATE",
        "CONDSTORE",
        "CONTEXT=SEARCH",
        "CONTEXT=SORT",
        "CREATE-SPECIAL-USE",
        "ESEARCH",
        "ESORT",
        "LIST-EXTENDED",
        "LIST-METADATA",
        "LIST-MYRIGHTS",
        "LIST-STATUS",
        "MULTIAPPEND",
        "OBJECTID",
        "PARTIAL",
        "QRESYNC",
        "SAVEDATE",
        "SEARCHRES",
        "SORT=DISPLAY",
        "SORT=MODSEQ",
        "SPECIAL-USE",
        "STATUS=SIZE",
        "UIDPLUS",
        "WITHIN",
        "XALLORNONE",
        "XMODSEQ",
    }
)
"""Words that promise a parameter of commands which are also there without it: their rows say nothing of its use."""

_OBJECT_IDS = frozenset({"EMAILID", "THREADID", "MAILBOXID"})


def known_capabilities() -> frozenset[str]:
    """Return the words that can be refused, in capitals."""
    return frozenset(each.name.upper() for each in registry.capabilities()) - ALWAYS_THERE


def uses_refused(command: Command, refused: AbstractSet[str]) -> str | None:
    """Return which of the refused capabilities a command relies on, None for none of them."""
    return next((word for word in _used_by(command) if word in refused), None)


def _used_by(command: Command) -> Iterator[str]:
    row = registry.row_of(command)
    args = command.args
    if isinstance(args, values.Authenticate):
        # One command stands for every mechanism.
        yield f"AUTH={args.mechanism}"
        if args.initial is not None:
            yield "SASL-IR"
    elif row is not None:
        # One of the two forms of a command stands for both.
        rows = {registry.row_named(command.name), registry.row_named(f"UID {command.name}")}
        words = [word for each in rows if each is not None for word in each.capabilities]
        yield from (word for word in words if word not in PARAMETERS)
        # What ENABLE names is taken out of it instead (`without_words`).
        if not isinstance(args, values.Enable) and row.condstore_enabling(command):
            yield "CONDSTORE"
    if command.name == "EXPUNGE" and command.uid:
        yield "UIDPLUS"
    yield from _by_parameters(args)


def _by_parameters(args: values.Args | None) -> Iterator[str]:
    """Yield the capabilities that parameters of a command stand for."""
    match args:
        case values.Select(qresync=parameter) if parameter is not None:
            yield "QRESYNC"
        case values.Create(special_use=uses) if uses:
            yield "CREATE-SPECIAL-USE"
        case values.Append(messages=messages) if len(messages) > 1:
            yield "MULTIAPPEND"
        case values.Store(all_or_none=True):
            yield "XALLORNONE"
        case values.List():
            yield from _by_list(args)
        case values.Status(items=items):
            yield from (word for word, names in _BY_ITEM.items() if names & set(items))
        case values.Fetch(items=items, vanished=vanished):
            if vanished:
                yield "QRESYNC"
            names = {item for item in items if isinstance(item, str)}
            yield from (word for word, wanted in _BY_ITEM.items() if wanted & names)
        case values.Search(program=program, returns=returns):
            if returns is not None:
                yield "ESEARCH"
                if returns.save:
                    yield "SEARCHRES"
            yield from (word for key in _keys(program.key) if (word := _BY_KEY.get(type(key))))


_BY_ITEM = {"STATUS=SIZE": {"SIZE"}, "OBJECTID": _OBJECT_IDS, "SAVEDATE": {"SAVEDATE"}}
_BY_KEY = {
    values.SearchAge: "WITHIN",
    values.SearchObjectId: "OBJECTID",
    values.SearchSaveDateSupported: "SAVEDATE",
}


def _by_list(args: values.List) -> Iterator[str]:
    if args.extended:
        yield "LIST-EXTENDED"
    if args.returns.status_items is not None:
        yield "LIST-STATUS"
    if args.returns.special_use or "SPECIAL-USE" in args.selection:
        yield "SPECIAL-USE"


def _keys(key: SearchKey) -> Iterator[SearchKey]:
    waiting = [key]
    while waiting:
        key = waiting.pop()
        yield key
        match key:
            case values.SearchNot(key=inner):
                waiting.append(inner)
            case values.SearchOr(left=left, right=right):
                waiting += [left, right]
            case values.SearchAnd(keys=several):
                waiting += several


# --- what is said ---------------------------------------------------------------------------------

_CAPABILITIES = re.compile(rb"(?<=CAPABILITY )[^\]\r\n]+")
_UIDPLUS = re.compile(rb"\[(?:APPENDUID|COPYUID) [^\]]*\] ")


def without_words(octets: bytes, refused: AbstractSet[str]) -> bytes:
    """Leave out of a list of words those that are refused."""
    return b" ".join(
        word for word in octets.split(b" ") if word.decode("ascii", "replace").upper() not in refused
    )


def without_refused(line: bytes, refused: AbstractSet[str]) -> bytes | None:
    """Return a response's first line as a server would say it that lacks the refused capabilities."""
    if line.startswith(b"* CAPABILITY ") or b"[CAPABILITY " in line:
        line = _CAPABILITIES.sub(lambda match: without_words(match[0], refused), line)
    if "UIDPLUS" in refused:
        line = _UIDPLUS.sub(b"", line)
    return no_highest(line) if "CONDSTORE" in refused else line
