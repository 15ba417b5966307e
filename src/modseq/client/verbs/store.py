"""store: changing flags, on a condition or not.

RFC: 3501 section 6.4.6
RFC: 7162 section 3.1.3
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from modseq.client.effects import Verb
from modseq.client.errors import NotSupported, ProtocolViolated, ResponseTooLarge
from modseq.client.exchange import Exchange
from modseq.client.results import Flags, Stored, Uids, merged
from modseq.client.verbs.command import attempt, checked, flag_names, named, pieces, require_selected, uid_set
from modseq.client.verbs.fetch import fetch
from modseq.client.verbs.select import highest_of
from modseq.core.numset import NumSet
from modseq.limits import COLLECTED_MESSAGES_MAX
from modseq.wire.response_values import MessageData, Response, StatusResponse, Vanished
from modseq.wire.values import SequenceSet, Store

_PARTLY = ("MODIFIED", "EXPUNGEISSUED")


class StoreCollector:
    """Takes the FETCH responses of the messages named, and notes which of them are reported gone."""

    def __init__(self, uids: SequenceSet) -> None:
        numbers = named(uids)
        self.uids = numbers
        self.messages: dict[int, MessageData] = {}
        self.vanished = NumSet.EMPTY

    def __call__(self, response: Response) -> bool:
        """Take a response, or leave it to others."""
        if isinstance(response, MessageData):
            uid = response.uid
            if uid == 0 or (self.uids is not None and uid not in self.uids):
                return False
            if response.sections or response.envelope is not None:
                return False
            before = self.messages.get(uid)
            if before is None and len(self.messages) >= COLLECTED_MESSAGES_MAX:
                raise ResponseTooLarge(f"more than {COLLECTED_MESSAGES_MAX} messages in one answer")
            self.messages[uid] = response if before is None else merged(before, response)
            return True
        if isinstance(response, Vanished):
            self.vanished |= response.uids
            return not response.earlier
        return False


def store(
    x: Exchange,
    uids: Uids,
    *,
    add: Flags | None = None,
    remove: Flags | None = None,
    replace: Flags | None = None,
    unchanged_since: int | None = None,
    silent: bool = False,
    all_or_none: bool = False,
) -> Verb[Stored]:
    r"""
    Change flags, and say what became of each message.

    RFC: 3501 section 6.4.6
    RFC: 7162 section 3.1.3
    Args: exactly one of `add`, `remove`, `replace`; `unchanged_since` 0 wants a flag that nobody set.
    Raises:
        CommandRefused: NO for another reason than changed or missing messages: nothing was changed.
        NotSupported: a condition on a server or mailbox without mod-sequences.

    """
    require_selected(x)
    assert x.selected is not None
    mode, flags = _mode(add, remove, replace)
    if unchanged_since is not None and (
        not x.has("CONDSTORE") or x.quirks.no_condstore or x.selected.highest_mod_seq is None
    ):
        raise NotSupported("unchanged_since: this mailbox keeps no mod-sequences")
    if all_or_none and (unchanged_since is None or not x.has("XALLORNONE")):
        raise NotSupported("all_or_none: wants unchanged_since and a server with XALLORNONE")
    total: Stored | None = None
    for numbers in [uid_set(uids)] if all_or_none else pieces(uids):
        args = Store(numbers, mode, silent, flags, unchanged_since, all_or_none)
        stored = yield from _store(x, args)
        total = stored if total is None else _joined(total, stored)
    assert total is not None
    return total


def _store(x: Exchange, args: Store) -> Verb[Stored]:
    """Send one STORE, and ask after messages of which a conditional one leaves the fate open."""
    collector = StoreCollector(args.sequence_set)
    reply = yield from attempt(x, "STORE", args, uid=True, collector=collector)
    if reply.condition == "BAD" or (reply.condition == "NO" and not _is_partly(reply)):
        checked(reply, "UID STORE")
    is_conditional = args.unchanged_since is not None
    stored = _fates(reply, collector, is_conditional=is_conditional, all_or_none=args.all_or_none)
    if not is_conditional or not stored.untold or args.all_or_none:
        return stored
    # Silence means gone on a server that keeps to section 3.1.3; some are silent of what need not be changed.
    found = yield from fetch(x, stored.untold, "FLAGS")
    there = NumSet([each.uid for each in found.messages])
    return dataclasses.replace(
        stored,
        missing=stored.missing | (stored.untold - there),
        untold=stored.untold & there,
        messages=MappingProxyType({**found.by_uid(), **stored.messages}),
    )


def _joined(one: Stored, two: Stored) -> Stored:
    """Return the fates of two STOREs as one."""
    return Stored(
        one.applied | two.applied,
        one.modified | two.modified,
        one.missing | two.missing,
        one.untold | two.untold,
        MappingProxyType({**one.messages, **two.messages}),
        two.highest_mod_seq or one.highest_mod_seq,
        "NO" if "NO" in (one.condition, two.condition) else "OK",
        two.text,
    )


def _mode(
    add: Flags | None, remove: Flags | None, replace: Flags | None
) -> tuple[Literal["+", "-", "="], tuple[str, ...]]:
    if sum(each is not None for each in (add, remove, replace)) != 1:
        raise ValueError("exactly one of add, remove and replace is wanted")
    if add is not None:
        return "+", flag_names(add)
    if remove is not None:
        return "-", flag_names(remove)
    assert replace is not None
    return "=", flag_names(replace)


def _is_partly(reply: StatusResponse) -> bool:
    return reply.code is not None and reply.code.name in _PARTLY


def _fates(
    reply: StatusResponse, collector: StoreCollector, *, is_conditional: bool, all_or_none: bool
) -> Stored:
    """Judge each message by what was said of it; silence is no success."""
    code = reply.code
    modified = NumSet.EMPTY
    if code is not None and code.name == "MODIFIED":
        if not isinstance(code.value, NumSet):
            raise ProtocolViolated("MODIFIED without the messages")
        modified = code.value
        if collector.uids is not None:
            modified &= collector.uids
    gone = collector.vanished - modified
    told = NumSet([uid for uid, each in collector.messages.items() if _confirms(each, is_conditional)])
    applied = told - modified - gone
    if all_or_none and reply.condition == "NO":
        applied = NumSet.EMPTY
    missing, untold = gone, NumSet.EMPTY
    if collector.uids is not None:
        missing &= collector.uids
        untold = collector.uids - applied - modified - missing
    messages: Mapping[int, MessageData] = MappingProxyType(collector.messages)
    return Stored(
        applied,
        modified,
        missing,
        untold,
        messages,
        highest_of(reply),
        "NO" if reply.condition == "NO" else "OK",
        reply.text,
    )


def _confirms(message: MessageData, is_conditional: bool) -> bool:
    """Return whether a FETCH says that the STORE reached the message: with a condition, by its MODSEQ."""
    return message.mod_seq is not None if is_conditional else True
