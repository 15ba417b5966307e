"""sync: bringing a copy of one mailbox up to date, whatever the server can do.

QRESYNC where it is enabled, else CONDSTORE and a difference of UIDs, else a comparison of everything.

RFC: 7162 section 3.2.5, 6
"""

from __future__ import annotations

from collections.abc import Iterable

from modseq.client.effects import Emit, Verb
from modseq.client.errors import CommandRejected
from modseq.client.exchange import Exchange
from modseq.client.results import Selected, SyncMethod, SyncOutcome, SyncReset, SyncState
from modseq.client.verbs.access import enable
from modseq.client.verbs.command import checked, send, wait
from modseq.client.verbs.fetch import FetchCollector, fetch_items
from modseq.client.verbs.search import search
from modseq.client.verbs.select import select
from modseq.core.numset import NumSet
from modseq.limits import UID_SET_BYTES_MAX
from modseq.wire.abnf import NUMBER_MAX
from modseq.wire.encode import split_set
from modseq.wire.response_values import MessageData, Vanished
from modseq.wire.values import STAR, Fetch, SequenceSet

_ALL = SequenceSet(((1, STAR),))


class _Copy:
    """What the copy holds while changes are handed out: it decides what is news."""

    def __init__(self, uids: NumSet) -> None:
        self.uids = uids

    def changes(self, messages: Iterable[MessageData], vanished: NumSet) -> tuple[object, ...]:
        """Return changes in the order in which they are to be applied: what is gone first."""
        told: list[object] = []
        gone = vanished & self.uids
        if gone:
            told.append(Vanished(gone))
            self.uids -= gone
        wanted = [each for each in messages if each.uid and each.flags is not None]
        if wanted:
            self.uids |= NumSet([each.uid for each in wanted])
            told += wanted
        return tuple(told)


def sync(
    x: Exchange, mailbox: str | bytes, state: SyncState | None, *, read_only: bool = True
) -> Verb[SyncOutcome]:
    """
    Open a mailbox and emit its changes since a state: SyncReset, Vanished, MessageData.

    RFC: 7162 section 6
    Chosen: the next state has the HIGHESTMODSEQ of SELECT, not of what came later: changes made meanwhile may be
        told twice, and are never missed.
    """
    if state is not None and state.uid_validity < 1:
        state = None
    if x.has("QRESYNC") and x.has("ENABLE") and "QRESYNC" not in x.enabled and not x.quirks.no_qresync:
        yield from enable(x, ["QRESYNC"])
    selected, by_qresync = yield from _open(x, mailbox, state, read_only=read_only)
    highest = None if x.quirks.no_condstore else selected.highest_mod_seq
    reset = _reset(selected, state, highest)
    if reset is not None or state is None:
        yield Emit((reset,))
        return (yield from _first(x, selected, highest))
    copy = _Copy(state.uids)
    is_repaired = False
    method: SyncMethod
    if by_qresync and highest is not None:
        method = "qresync"
        if changes := copy.changes(selected.changed, selected.vanished):
            yield Emit(changes)
        if x.quirks.wrong_vanished or len(copy.uids) != selected.exists:
            is_repaired = yield from _compare(x, copy)
    elif highest is not None and state.mod_seq:
        method = "condstore"
        if highest != state.mod_seq or len(copy.uids) != selected.exists:
            yield from _fetch(x, copy, _ALL, state.mod_seq)
            yield from _compare(x, copy)
    else:
        method = "scan"
        before, copy = copy, _Copy(NumSet.EMPTY)
        yield from _fetch(x, copy, _ALL, None)
        gone = before.uids - copy.uids
        if gone:
            yield Emit((Vanished(gone),))
    next_state = SyncState(selected.uid_validity, highest or 0, copy.uids)
    return SyncOutcome(next_state, method, selected, is_repaired)


def _open(
    x: Exchange, mailbox: str | bytes, state: SyncState | None, *, read_only: bool
) -> Verb[tuple[Selected, bool]]:
    """Open the mailbox, by QRESYNC where that can be; a server that rejects it is remembered."""
    may = (
        state is not None
        and state.mod_seq > 0
        and "QRESYNC" in x.enabled
        and not x.quirks.no_qresync
        and not x.quirks.no_condstore
    )
    if may:
        try:
            selected = yield from select(x, mailbox, read_only=read_only, qresync=state)
        except CommandRejected:
            x.quirks = x.quirks.with_(no_qresync=True)
        else:
            return selected, selected.resynchronized
    return (yield from select(x, mailbox, read_only=read_only)), False


def _reset(selected: Selected, state: SyncState | None, highest: int | None) -> SyncReset | None:
    """Return why the copy is worth nothing, None where it is worth something."""
    if state is None:
        return SyncReset(selected.uid_validity, "first")
    if not selected.uids_sticky or selected.uid_validity == 0:
        return SyncReset(selected.uid_validity, "not_sticky")
    if selected.uid_validity != state.uid_validity:
        return SyncReset(selected.uid_validity, "uid_validity")
    if highest is not None and highest < state.mod_seq:
        return SyncReset(selected.uid_validity, "mod_seq")
    return None


def _first(x: Exchange, selected: Selected, highest: int | None) -> Verb[SyncOutcome]:
    """Emit every message."""
    copy = _Copy(NumSet.EMPTY)
    if selected.exists:
        yield from _fetch(x, copy, _ALL, None)
    return SyncOutcome(SyncState(selected.uid_validity, highest or 0, copy.uids), "first", selected)


def _fetch(x: Exchange, copy: _Copy, uids: SequenceSet, changed_since: int | None) -> Verb[None]:
    """Emit the flags of messages as they come, of all or of those changed since."""
    has_mod_seqs = x.selected is not None and x.selected.highest_mod_seq is not None and x.has("CONDSTORE")
    items = fetch_items(("FLAGS", "MODSEQ") if has_mod_seqs else ("FLAGS",))
    collector = FetchCollector(uids, fetch_items("FLAGS"), vanished=False)
    # Every FETCH response with a UID and flags is the truth, whoever caused it.
    collector.uids = None
    args = Fetch(uids, items, changed_since)
    running = x.begin("FETCH", args, uid=True, collector=collector)

    def emit() -> tuple[object, ...]:
        messages, collector.messages = collector.messages, []
        return copy.changes(messages, NumSet.EMPTY)

    try:
        yield from send(x, running)
        yield from wait(x, lambda: running.is_over, emit=emit)
    finally:
        x.abandon(running)
    assert running.reply is not None
    code = running.reply.code
    if running.reply.condition == "NO" and code is not None and code.name == "EXPUNGEISSUED":
        return
    checked(running.reply, "UID FETCH")


def _compare(x: Exchange, copy: _Copy) -> Verb[bool]:
    """Compare UIDs with the server's, emit what is gone and what was never told; return whether any was."""
    there = (yield from search(x, "ALL")).uids
    gone, unknown = copy.uids - there, there - copy.uids
    if gone:
        yield Emit(copy.changes((), gone))
    for piece in split_set(unknown, UID_SET_BYTES_MAX):
        numbers = SequenceSet(tuple(_ranges(piece)))
        yield from _fetch(x, copy, numbers, None)
    return bool(gone or unknown)


def _ranges(piece: bytes) -> Iterable[tuple[int, int]]:
    for element in piece.split(b","):
        low, _, high = element.partition(b":")
        yield int(low), min(int(high or low), NUMBER_MAX)
