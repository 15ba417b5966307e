"""mailbox: making, naming, listing and counting mailboxes.

RFC: 3501 section 6.3
RFC: 5258 section 3
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modseq.limits import LIST_PATTERNS_MAX
from modseq.wire.abnf import Parser
from modseq.wire.encode import mailbox as encode_mailbox
from modseq.wire.encode import quoted
from modseq.wire.grammar import Rule
from modseq.wire.values import (
    STATUS_ITEMS,
    Create,
    Delete,
    List,
    ListReturn,
    Rename,
    Status,
    Subscribe,
    Unsubscribe,
)

_SELECTIONS = {b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE"}
_SELECTION_BASES = {"SUBSCRIBED", "SPECIAL-USE"}
SPECIAL_USES = {
    name.lower().encode(): name
    for name in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")
}
"""The attributes of RFC 6154 section 2 by their spelling in small letters."""


def create(p: Parser) -> Create:
    """
    Read the arguments of CREATE.

    Grammar: create = "CREATE" SP mailbox [SP "(" create-param ")"]
    RFC: 3501 section 6.3.3
    RFC: 6154 section 3, 6
    RFC: 4466 section 2.2
    """
    p.sp()
    name = p.mailbox()
    if not p.take(b" "):
        return Create(name)
    p.open()
    if not p.take_word(b"USE"):
        p.fail("USE")
    p.sp()
    p.open()
    uses: list[str] = []
    while not p.take(b")"):
        if uses:
            p.sp()
        uses.append(_use_attr(p))
        if len(uses) > len(SPECIAL_USES):
            p.fail("each special use once")
    p.close()
    return Create(name, tuple(uses))


def _use_attr(p: Parser) -> str:
    r"""
    Read a special use; one that is not known is returned as written, for the server to refuse.

    Grammar: use-attr = "\All" / "\Archive" / ... / use-attr-ext
    RFC: 6154 section 6
    """
    if not p.take(b"\\"):
        p.fail("a special use such as \\Sent")
    name = b"\\" + p.atom("a special use such as \\Sent")
    return SPECIAL_USES.get(name.lower()) or name.decode("ascii")


def delete(p: Parser) -> Delete:
    """
    Read the argument of DELETE.

    Grammar: delete = "DELETE" SP mailbox
    RFC: 3501 section 6.3.4
    """
    p.sp()
    return Delete(p.mailbox())


def rename(p: Parser) -> Rename:
    """
    Read the arguments of RENAME.

    Grammar: rename = "RENAME" SP mailbox SP mailbox
    RFC: 3501 section 6.3.5
    """
    p.sp()
    old = p.mailbox()
    p.sp()
    return Rename(old, p.mailbox())


def subscribe(p: Parser) -> Subscribe:
    """
    Read the argument of SUBSCRIBE.

    Grammar: subscribe = "SUBSCRIBE" SP mailbox
    RFC: 3501 section 6.3.6
    """
    p.sp()
    return Subscribe(p.mailbox())


def unsubscribe(p: Parser) -> Unsubscribe:
    """
    Read the argument of UNSUBSCRIBE.

    Grammar: unsubscribe = "UNSUBSCRIBE" SP mailbox
    RFC: 3501 section 6.3.7
    """
    p.sp()
    return Unsubscribe(p.mailbox())


def lsub(p: Parser) -> List:
    """
    Read the arguments of LSUB.

    Grammar: lsub = "LSUB" SP mailbox SP list-mailbox
    RFC: 3501 section 6.3.9
    """
    p.sp()
    reference = p.reference()
    p.sp()
    return List(lsub=True, reference=reference, patterns=(p.list_mailbox(),))


def list_(p: Parser) -> List:
    """
    Read the arguments of LIST, plain or extended.

    Grammar: list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
    RFC: 3501 section 6.3.8
    RFC: 5258 section 3, 6
    """
    p.sp()
    selection: frozenset[str] = frozenset()
    is_extended = False
    if p.stands(b"("):
        is_extended = True
        selection = list_select_opts(p)
        p.sp()
    reference = p.reference()
    p.sp()
    if p.stands(b"("):
        is_extended = True
        patterns = list_patterns(p)
    else:
        patterns = (p.list_mailbox(),)
    returns = ListReturn()
    if p.take(b" "):
        is_extended = True
        if not p.take_word(b"RETURN"):
            p.fail("RETURN")
        p.sp()
        returns = list_return_opts(p)
    return List(
        lsub=False,
        reference=reference,
        patterns=patterns,
        selection=selection,
        returns=returns,
        extended=is_extended,
    )


def list_select_opts(p: Parser) -> frozenset[str]:
    """
    Read which mailboxes are wanted; RECURSIVEMATCH only beside an option that it can modify.

    Grammar: list-select-opts = "(" [*(list-select-opt SP) list-select-base-opt
        *(SP list-select-opt)] ")"
    RFC: 5258 section 3.1, 6
    RFC: 6154 section 6
    """
    p.open()
    chosen: set[str] = set()
    is_first = True
    while not p.take(b")"):
        if not is_first:
            p.sp()
        is_first = False
        at = p.at
        word = p.word("a selection option")
        if word not in _SELECTIONS:
            p.at = at
            p.fail("SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE")
        chosen.add(word.decode("ascii"))
    if "RECURSIVEMATCH" in chosen and not chosen & _SELECTION_BASES:
        p.fail("SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH")
    return frozenset(chosen)


def list_patterns(p: Parser) -> tuple[str, ...]:
    """
    Read several patterns.

    Grammar: patterns = "(" list-mailbox *(SP list-mailbox) ")"
    RFC: 5258 section 6
    """
    p.open()
    patterns = [p.list_mailbox()]
    while p.take(b" "):
        patterns.append(p.list_mailbox())
        if len(patterns) > LIST_PATTERNS_MAX:
            p.fail(f"at most {LIST_PATTERNS_MAX} patterns")
    p.close()
    return tuple(patterns)


def list_return_opts(p: Parser) -> ListReturn:
    """
    Read what is to be said of each mailbox; a repeated option says nothing new, but for STATUS.

    Grammar: "(" [return-option *(SP return-option)] ")"
    RFC: 5258 section 3.2, 6
    RFC: 5819 section 2, 4
    RFC: 6154 section 6
    """
    p.open()
    flags = {"subscribed": False, "children": False, "special_use": False}
    status_items: tuple[str, ...] | None = None
    is_first = True
    while not p.take(b")"):
        if not is_first:
            p.sp()
        is_first = False
        at = p.at
        word = p.word("a return option")
        option = word.lower().replace(b"-", b"_").decode("ascii")
        if option in flags:
            flags[option] = True
        elif word == b"STATUS" and status_items is None:
            p.sp()
            status_items = status_atts(p)
        else:
            p.at = at
            p.fail("SUBSCRIBED, CHILDREN, SPECIAL-USE or, once, STATUS")
    return ListReturn(flags["subscribed"], flags["children"], flags["special_use"], status_items)


def status(p: Parser) -> Status:
    """
    Read the arguments of STATUS.

    Grammar: status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
    RFC: 3501 section 6.3.10, 9
    """
    p.sp()
    name = p.mailbox()
    p.sp()
    return Status(name, status_atts(p))


def status_atts(p: Parser) -> tuple[str, ...]:
    """
    Read what is to be counted.

    Grammar: status-att = "MESSAGES" / "RECENT" / "UIDNEXT" / "UIDVALIDITY" / "UNSEEN" / ...
    RFC: 3501 section 6.3.10, 9
    RFC: 7162 section 3.1.7
    RFC: 8438 section 3, 4
    RFC: 8474 section 4.3
    """
    p.open()
    items: dict[str, None] = {}
    while True:
        at = p.at
        item = p.word("a STATUS item").decode("ascii")
        if item not in STATUS_ITEMS:
            p.at = at
            p.fail("a STATUS item")
        items[item] = None
        if not p.take(b" "):
            break
    p.close()
    return tuple(items)


def list_data(
    attributes: Iterable[str], delimiter: str | None, name: str, *, lsub: bool = False, extended: bytes = b""
) -> bytes:
    """
    Encode one mailbox of LIST or LSUB; `extended` are ready extended data items without parentheses.

    Grammar: mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
        [SP mbox-list-extended]
    RFC: 3501 section 7.2.2, 7.2.3
    RFC: 5258 section 6
    """
    return b"* %b (%b) %b %b%b\r\n" % (
        b"LSUB" if lsub else b"LIST",
        " ".join(attributes).encode("ascii"),
        quoted(delimiter.encode("ascii")) if delimiter else b"NIL",
        encode_mailbox(name),
        b" (" + extended + b")" if extended else b"",
    )


def child_info(options: Iterable[str]) -> bytes:
    """
    Encode the extended data item CHILDINFO: by which options children of the mailbox match.

    Grammar: "CHILDINFO" SP "(" list-select-base-opt-quoted *(SP list-select-base-opt-quoted) ")"
    RFC: 5258 section 3.5, 4, 6
    """
    return b'"CHILDINFO" (%b)' % b" ".join([quoted(option.encode("ascii")) for option in options])


def status_data(name: str, values: Mapping[str, int | str]) -> bytes:
    """
    Encode the counters of one mailbox; the value of MAILBOXID is an object id.

    Grammar: mailbox-data = "STATUS" SP mailbox SP "(" [status-att-list] ")"
    RFC: 3501 section 7.2.4, 9
    RFC: 8474 section 4.3
    """
    pairs = [
        f"{item} {value}" if isinstance(value, int) else f"{item} ({value})" for item, value in values.items()
    ]
    return b"* STATUS %b (%b)\r\n" % (encode_mailbox(name), " ".join(pairs).encode("ascii"))


def namespace_data(
    personal: Iterable[tuple[str, str]] = (),
    other_users: Iterable[tuple[str, str]] = (),
    shared: Iterable[tuple[str, str]] = (),
) -> bytes:
    """
    Encode the three kinds of namespaces, each a list of prefix and hierarchy delimiter; NIL for none.

    Grammar: namespace-response = "NAMESPACE" SP namespace SP namespace SP namespace
    RFC: 2342 section 5, 6
    """
    kinds = [_namespaces(kind) for kind in (personal, other_users, shared)]
    return b"* NAMESPACE %b\r\n" % b" ".join(kinds)


def _namespaces(kind: Iterable[tuple[str, str]]) -> bytes:
    entries = [
        b"(%b %b)" % (b'""' if not prefix else quoted_name(prefix), quoted(delimiter.encode("ascii")))
        for prefix, delimiter in kind
    ]
    return b"(%b)" % b"".join(entries) if entries else b"NIL"


def quoted_name(name: str) -> bytes:
    """
    Encode a mailbox name where only a string may stand.

    RFC: 3501 section 5.1.3, 9
    """
    octets = encode_mailbox(name)
    return octets if octets.startswith(b'"') else quoted(octets)


RULES: dict[bytes, Rule] = {
    b"CREATE": create,
    b"DELETE": delete,
    b"LIST": list_,
    b"LSUB": lsub,
    b"NAMESPACE": None,
    b"RENAME": rename,
    b"STATUS": status,
    b"SUBSCRIBE": subscribe,
    b"UNSUBSCRIBE": unsubscribe,
}
