r"""What the server says without being asked, kept until somebody takes it.

VANISHED and EXPUNGE are events whenever they are live, during any command; a FETCH response is one unless the
running command asked for just that; HIGHESTMODSEQ, CLOSED, UIDNOTSTICKY and ALERT are, wherever they stand.

    Exists(count)             Vanished(uids)        MessageData(...)      a message's flags changed
    Recent(count)             Expunged(seq_num)     FlagsDefined(flags)
    ModSeqRaised(mod_seq)     MailboxClosed()       UidNotSticky()
    StatusData(...)           ListData(...)         NOTIFY speaks of other mailboxes
    Alert(text)               Notice(code, text)    OtherData(...)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from modseq.client.errors import EventsOverflowed
from modseq.limits import EVENTS_PENDING_MAX
from modseq.wire.response_values import (
    Code,
    ESearchData,
    Exists,
    Expunged,
    FlagsDefined,
    IdData,
    ListData,
    MessageData,
    NamespaceData,
    OtherData,
    Recent,
    SearchData,
    StatusData,
    Vanished,
)


@dataclass(frozen=True, slots=True)
class ModSeqRaised:
    """
    HIGHESTMODSEQ in a tagged or untagged code: what a client may store, once it has applied all before it.

    RFC: 7162 section 3.1.2.1, 3.2.7
    """

    mod_seq: int


@dataclass(frozen=True, slots=True)
class MailboxClosed:
    """
    CLOSED: what comes after it is about the newly selected mailbox.

    RFC: 7162 section 3.2.11
    """


@dataclass(frozen=True, slots=True)
class UidNotSticky:
    """
    UIDNOTSTICKY: UIDs of this mailbox do not last; nothing that builds on them works.

    RFC: 4315 section 2
    """


@dataclass(frozen=True, slots=True)
class Alert:
    """ALERT: the server wants a person to read this."""

    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Any other untagged status response, or a code of a tagged one that no result carries."""

    condition: str
    code: Code | None
    text: str

    @property
    def ends_notifications(self) -> bool:
        """
        True where the server tells nothing of NOTIFY any more.

        RFC: 5465 section 5.8
        """
        return self.code is not None and self.code.name == "NOTIFICATIONOVERFLOW"


Event: TypeAlias = (
    Exists
    | Recent
    | Expunged
    | Vanished
    | MessageData
    | FlagsDefined
    | ModSeqRaised
    | MailboxClosed
    | UidNotSticky
    | StatusData
    | ListData
    | Alert
    | Notice
    | OtherData
    | SearchData
    | ESearchData
    | IdData
    | NamespaceData
)
"""The last few only where a server says unasked what is otherwise an answer."""


_SAYS_NOTHING_ANEW = (MailboxClosed, UidNotSticky, FlagsDefined, Notice)
"""What need not be kept twice in a row: a program that only synchronises collects one of them each time."""


class EventLog:
    """
    Events in the order in which they came, until they are taken.

    Never drops one: more than EVENTS_PENDING_MAX that nobody takes end the connection with EventsOverflowed.
    """

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: deque[Event] = deque()

    def add(self, event: Event) -> None:
        """Keep one more; neighbours that say the same thing anew are made one."""
        pending = self._pending
        if pending:
            last = pending[-1]
            if isinstance(event, Vanished) and isinstance(last, Vanished) and event.earlier == last.earlier:
                pending[-1] = Vanished(last.uids | event.uids, event.earlier)
                return
            if type(event) is type(last) and isinstance(event, Exists | Recent | ModSeqRaised):
                pending[-1] = event
                return
            if event == last and isinstance(event, _SAYS_NOTHING_ANEW):
                return
        if len(pending) >= EVENTS_PENDING_MAX:
            raise EventsOverflowed(f"{EVENTS_PENDING_MAX} events wait and nobody takes them")
        pending.append(event)

    def take(self) -> tuple[Event, ...]:
        """Return the events that came since the last call, and forget them."""
        taken = tuple(self._pending)
        self._pending.clear()
        return taken

    def give_back(self, events: Iterable[Event]) -> None:
        """Keep again what was taken and then read by nobody, before all that came since."""
        self._pending.extendleft(reversed(tuple(events)))

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Event]:
        """Look without taking."""
        return iter(tuple(self._pending))
