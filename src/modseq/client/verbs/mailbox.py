"""mailbox: making, naming, listing and counting mailboxes.

RFC: 3501 section 6.3
RFC: 5258 section 3
RFC: 5819 section 2
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from modseq.client.effects import Verb
from modseq.client.errors import CommandFailed, NotSupported, ResponseTooLarge
from modseq.client.exchange import Exchange
from modseq.client.results import Completed
from modseq.client.verbs.command import Pending, command, completed, mailbox_name, require, together
from modseq.limits import COLLECTED_LINES_MAX
from modseq.wire.response_values import ListData, NamespaceData, Response, StatusData
from modseq.wire.values import (
    Create,
    Delete,
    List,
    ListReturn,
    Rename,
    Status,
    Subscribe,
    Unsubscribe,
)

STATUS_DEFAULT = ("MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ")


class ListCollector:
    """Takes LIST and the STATUS that comes with it."""

    def __init__(self, *, lsub: bool = False, status: bool = False) -> None:
        self.lsub = lsub
        self.wants_status = status
        self.found: dict[bytes, ListData] = {}
        self.counters: dict[str, StatusData] = {}

    def __call__(self, response: Response) -> bool:
        """Take a response, or leave it to others."""
        if isinstance(response, ListData) and response.lsub == self.lsub:
            if len(self.found) >= COLLECTED_LINES_MAX:
                raise ResponseTooLarge(f"more than {COLLECTED_LINES_MAX} mailboxes in one answer")
            self.found[response.raw_name] = response
            return True
        if self.wants_status and isinstance(response, StatusData):
            if len(self.counters) >= COLLECTED_LINES_MAX:
                raise ResponseTooLarge(f"more than {COLLECTED_LINES_MAX} mailboxes in one answer")
            self.counters[response.mailbox] = response
            return True
        return False


def list_mailboxes(
    x: Exchange,
    pattern: str = "*",
    *,
    reference: str = "",
    status: Iterable[str] = (),
    subscribed: bool = False,
    special_use: bool = False,
) -> Verb[tuple[ListData, ...]]:
    """
    List mailboxes, with their counters in the same round trip where the server can.

    RFC: 3501 section 6.3.8
    RFC: 5258 section 3
    RFC: 5819 section 2
    Args: `special_use` asks for those with a special use only; `subscribed` for those subscribed to.
    """
    items = _offered(x, status)
    is_extended = x.has("LIST-EXTENDED")
    has_status = x.has("LIST-STATUS")
    selection: set[str] = set()
    if special_use:
        if not x.has("SPECIAL-USE"):
            raise NotSupported("special_use: the server does not offer SPECIAL-USE")
        selection.add("SPECIAL-USE")
    if subscribed and is_extended:
        selection.add("SUBSCRIBED")
    returns = ListReturn(
        children=is_extended,
        special_use=x.has("SPECIAL-USE") and is_extended,
        status_items=items if items and has_status else None,
    )
    args = List(
        lsub=subscribed and not is_extended,
        reference=reference,
        patterns=(pattern,),
        selection=frozenset(selection),
        returns=returns,
        extended=is_extended or has_status,
    )
    name = "LSUB" if args.lsub else "LIST"
    collector = ListCollector(lsub=args.lsub, status=bool(items) and has_status)
    yield from command(x, name, args, collector=collector)
    boxes = list(collector.found.values())
    if not items:
        return tuple(boxes)
    if not has_status:
        return tuple((yield from _with_status(x, boxes, items)))
    return tuple([replace(box, status=collector.counters.get(box.name)) for box in boxes])


def _with_status(x: Exchange, boxes: list[ListData], items: tuple[str, ...]) -> Verb[list[ListData]]:
    """Ask for the counters of each mailbox, many at once; one that refuses has none."""
    pending = {
        box.raw_name: Pending(status(x, box.raw_name, items))
        for box in boxes
        if not box.has("\\Noselect") and not box.has("\\NonExistent")
    }
    yield from together(x, list(pending.values()))
    return [replace(box, status=_counted(pending.get(box.raw_name))) for box in boxes]


def _counted(asked: Pending[StatusData] | None) -> StatusData | None:
    """Return the counters of a mailbox; None for one that has none or refuses."""
    if asked is None or isinstance(asked.error, CommandFailed):
        return None
    return asked.result


def _offered(x: Exchange, status: Iterable[str]) -> tuple[str, ...]:
    """Return the items in capitals, HIGHESTMODSEQ only where the server has mod-sequences."""
    items = dict.fromkeys(item.upper() for item in status)
    if not x.has("CONDSTORE"):
        items.pop("HIGHESTMODSEQ", None)
    return tuple(items)


def status(x: Exchange, mailbox: str | bytes, items: Iterable[str] = STATUS_DEFAULT) -> Verb[StatusData]:
    """
    Return the counters of one mailbox.

    RFC: 3501 section 6.3.10
    RFC: 7162 section 3.1.7
    """
    wanted = _offered(x, items)
    if not wanted:
        raise ValueError("at least one item is wanted")
    name = mailbox_name(mailbox)
    told: list[StatusData] = []

    def collect(response: Response) -> bool:
        if not isinstance(response, StatusData) or told:
            return False
        if isinstance(mailbox, bytes):
            if response.raw_name != mailbox:
                return False
        elif response.mailbox != ("INBOX" if name.upper() == "INBOX" else name):
            return False
        told.append(response)
        return True

    yield from command(x, "STATUS", Status(name, wanted), collector=collect)
    return told[0] if told else StatusData(name)


def create(x: Exchange, mailbox: str | bytes, *, special_use: Iterable[str] = ()) -> Verb[Completed]:
    """
    Make a mailbox.

    RFC: 3501 section 6.3.3
    RFC: 6154 section 3
    """
    uses = tuple(special_use)
    if uses:
        require(x, "CREATE-SPECIAL-USE", "special_use")
    return completed((yield from command(x, "CREATE", Create(mailbox_name(mailbox), uses))))


def delete(x: Exchange, mailbox: str | bytes) -> Verb[Completed]:
    """
    Remove a mailbox and all that is in it.

    RFC: 3501 section 6.3.4
    """
    return completed((yield from command(x, "DELETE", Delete(mailbox_name(mailbox)))))


def rename(x: Exchange, old: str | bytes, new: str | bytes) -> Verb[Completed]:
    """
    Give a mailbox another name.

    RFC: 3501 section 6.3.5
    """
    args = Rename(mailbox_name(old), mailbox_name(new))
    return completed((yield from command(x, "RENAME", args)))


def subscribe(x: Exchange, mailbox: str | bytes) -> Verb[Completed]:
    """
    Put a name on the list of subscriptions.

    RFC: 3501 section 6.3.6
    """
    return completed((yield from command(x, "SUBSCRIBE", Subscribe(mailbox_name(mailbox)))))


def unsubscribe(x: Exchange, mailbox: str | bytes) -> Verb[Completed]:
    """
    Take a name off the list of subscriptions.

    RFC: 3501 section 6.3.7
    """
    return completed((yield from command(x, "UNSUBSCRIBE", Unsubscribe(mailbox_name(mailbox)))))


def namespace(x: Exchange) -> Verb[NamespaceData]:
    """
    Return where personal, other users' and shared mailboxes begin.

    RFC: 2342 section 5
    """
    require(x, "NAMESPACE", "namespaces")
    told: list[NamespaceData] = []

    def collect(response: Response) -> bool:
        if isinstance(response, NamespaceData):
            told.append(response)
            return True
        return False

    yield from command(x, "NAMESPACE", collector=collect)
    return told[-1] if told else NamespaceData((), (), ())
