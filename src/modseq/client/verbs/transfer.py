"""transfer: messages that arrive in a mailbox from the client or from another mailbox.

RFC: 3501 section 6.3.11, 6.4.7
RFC: 6851 section 3
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import cast

from modseq.client.effects import Verb
from modseq.client.exchange import Exchange
from modseq.client.results import Appended, Copied, Flags, Moved, Uids
from modseq.client.verbs.command import (
    command,
    flag_names,
    mailbox_name,
    pieces,
    require,
    require_selected,
    uid_set,
)
from modseq.client.verbs.select import ExpungeCollector, expunge, highest_of
from modseq.client.verbs.store import store
from modseq.limits import COLLECTED_MESSAGES_MAX
from modseq.wire.command_writer import FileLiteral
from modseq.wire.response_values import AppendedUids, Code, Response, StatusResponse, UidPairs
from modseq.wire.values import Append, AppendMessage, Copy, Move


def append(
    x: Exchange,
    mailbox: str | bytes,
    message: bytes | FileLiteral,
    *,
    flags: Flags = (),
    date: dt.datetime | None = None,
) -> Verb[Appended]:
    """
    Put a message into a mailbox; one from a file is never held whole.

    RFC: 3501 section 6.3.11
    RFC: 4315 section 3
    Args: `date` wants a zone; None lets the server take the moment.
    """
    if date is not None and date.tzinfo is None:
        raise ValueError("date: a zone is wanted")
    moment: tuple[int, int] | None = None
    if date is not None:
        offset = date.utcoffset() or dt.timedelta(0)
        moment = int(date.timestamp()), int(offset.total_seconds() // 60)
    data = cast(bytes, message)
    args = Append(mailbox_name(mailbox), (AppendMessage(flag_names(flags), moment, data),))
    reply = yield from command(x, "APPEND", args)
    shown = mailbox if isinstance(mailbox, str) else mailbox.decode("ascii", "replace")
    value = reply.code.value if reply.code is not None else None
    if isinstance(value, AppendedUids) and len(value.uids) == 1:
        return Appended(shown, value.uid_validity, value.uids.min)
    return Appended(shown)


class CopyUidCollector:
    """Takes COPYUID from an untagged OK, as MOVE sends it."""

    def __init__(self, beside: ExpungeCollector | None = None) -> None:
        self.pairs: list[UidPairs] = []
        self.beside = beside

    def __call__(self, response: Response) -> bool:
        """Take a response, or leave it to others."""
        if isinstance(response, StatusResponse) and self.take(response.code):
            return True
        return self.beside is not None and self.beside(response)

    def take(self, code: Code | None) -> bool:
        """Take the pairs of a code that has them."""
        if code is None or not isinstance(code.value, UidPairs):
            return False
        self.pairs.append(code.value)
        return True

    def mapping(self) -> Mapping[int, int]:
        """Return targets by source."""
        found: dict[int, int] = {}
        for pairs in self.pairs:
            found.update(zip(_each(pairs.sources), _each(pairs.targets), strict=True))
        return found

    @property
    def uid_validity(self) -> int | None:
        """UIDVALIDITY of the target."""
        return self.pairs[-1].uid_validity if self.pairs else None


def _each(ranges: Iterable[tuple[int, int]]) -> Iterable[int]:
    left = COLLECTED_MESSAGES_MAX
    for low, high in ranges:
        # A server that claims to have copied four billion messages is not believed to the end.
        stop = min(high, low + left - 1)
        yield from range(low, stop + 1)
        left -= stop - low + 1


def copy(x: Exchange, uids: Uids, mailbox: str | bytes) -> Verb[Copied]:
    """
    Copy messages.

    RFC: 3501 section 6.4.7
    RFC: 4315 section 3
    """
    require_selected(x)
    collector = CopyUidCollector()
    name = mailbox_name(mailbox)
    for numbers in pieces(uids):
        reply = yield from command(x, "COPY", Copy(numbers, name), uid=True, collector=collector)
        collector.take(reply.code)
    return Copied(_shown(mailbox), collector.uid_validity, collector.mapping())


def move(x: Exchange, uids: Uids, mailbox: str | bytes) -> Verb[Moved]:
    r"""
    Move messages; where the server cannot, copy them, mark them \Deleted and remove exactly them.

    RFC: 6851 section 3.3, 4.3
    Raises:
        NotSupported: the server has neither MOVE nor UIDPLUS: others' messages could be removed.

    """
    require_selected(x)
    if not x.has("MOVE"):
        return (yield from _move_by_copy(x, uids, mailbox))
    gone = ExpungeCollector()
    collector = CopyUidCollector(gone)
    name = mailbox_name(mailbox)
    highest: int | None = None
    for numbers in pieces(uids):
        reply = yield from command(x, "MOVE", Move(numbers, name), uid=True, collector=collector)
        collector.take(reply.code)
        highest = highest_of(reply) or highest
    return Moved(_shown(mailbox), collector.uid_validity, collector.mapping(), gone.vanished, highest)


def _move_by_copy(x: Exchange, uids: Uids, mailbox: str | bytes) -> Verb[Moved]:
    require(x, "UIDPLUS", "moving without MOVE")
    numbers = uid_set(uids)
    copied = yield from copy(x, numbers, mailbox)
    yield from store(x, numbers, add="\\Deleted", silent=True)
    removed = yield from expunge(x, numbers)
    return Moved(
        copied.mailbox, copied.uid_validity, copied.uids, removed.vanished, removed.highest_mod_seq, "COPY"
    )


def _shown(mailbox: str | bytes) -> str:
    return mailbox if isinstance(mailbox, str) else mailbox.decode("ascii", "replace")
