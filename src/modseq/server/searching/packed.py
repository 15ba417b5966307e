"""Search keys that are answered from the packed blocks of a mailbox's state, whole arrays at a time.

RFC: 3501 section 6.4.4
RFC: 7162 section 3.1.5
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import compress

from pyroaring import BitMap

from modseq.core.flags import DELETED, SEEN, SYSTEM_MASK
from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.wire.values import (
    SearchAll,
    SearchFlag,
    SearchKey,
    SearchModSeq,
    SearchSaveDateSupported,
    SearchSequence,
    SearchSize,
)


def judge(
    leaf: SearchKey, view: SessionView, chunk: MessageChunk, sets: Mapping[SearchSequence, NumSet]
) -> BitMap:
    """
    Return the UIDs that match a key, at least of the messages of this block.

    Args:
        sets: the UIDs that each message set of the search names.

    """
    match leaf:
        case SearchAll() | SearchSaveDateSupported():
            return _all(chunk)
        case SearchSequence():
            return sets[leaf].bitmap
        case SearchFlag(flag="\\Recent"):
            return view.recent.bitmap if leaf.present else _all(chunk) - view.recent.bitmap
        case SearchFlag():
            return _with_flag(leaf, view.state, chunk)
        case SearchSize(larger, octets):
            wanted = [size > octets if larger else size < octets for size in chunk.sizes]
            return BitMap(compress(chunk.uids, wanted))
        case SearchModSeq():
            return _at_or_after(leaf, view.state, chunk)
        case _:
            # THREADID: this server keeps no threads, and nothing matches (RFC 8474 section 5.2).
            return BitMap()


def _all(chunk: MessageChunk) -> BitMap:
    return BitMap(chunk.uids)


def _with_flag(leaf: SearchFlag, state: MailboxState, chunk: MessageChunk) -> BitMap:
    """Return the messages that have a flag, or lack it; a keyword that nobody ever set is on none."""
    bit = state.flag_table.bit(leaf.flag)
    if bit is None:
        return BitMap() if leaf.present else _all(chunk)
    count = _count_with(bit, chunk)
    if count is not None and count in (0, len(chunk)):
        return _all(chunk) if leaf.present == bool(count) else BitMap()
    fits = [(mask >> bit & 1) == leaf.present for mask in state.palette.masks]
    return BitMap(compress(chunk.uids, map(fits.__getitem__, chunk.flags)))


def _count_with(bit: int, chunk: MessageChunk) -> int | None:
    """Return how many messages of a block have a flag, None where the block does not count it."""
    if 1 << bit == SEEN:
        return len(chunk) - chunk.unseen
    if 1 << bit == DELETED:
        return chunk.deleted
    return None


def _at_or_after(leaf: SearchModSeq, state: MailboxState, chunk: MessageChunk) -> BitMap:
    """
    Return the messages that changed at or after a mod-sequence: at all, or in the one flag named.

    RFC: 7162 section 3.1.5
    Chosen: every flag is shared, so `shared` and `all` ask for the same and `priv` finds nothing.
    """
    least = leaf.mod_seq
    if chunk.newest_max < least or leaf.entry_type == "priv":
        return BitMap()
    newer = [at for at, newest in enumerate(chunk.newest) if newest >= least]
    if leaf.flag is not None:
        bit = state.flag_table.bit(leaf.flag)
        # A keyword that nobody ever set has no mod-sequence anywhere.
        newer = [] if bit is None else _items_at_or_after(bit, least, newer, chunk, state)
    return BitMap([chunk.uids[at] for at in newer])


def _items_at_or_after(
    bit: int, least: int, positions: Iterable[int], chunk: MessageChunk, state: MailboxState
) -> list[int]:
    """Return the positions at which one flag has such a mod-sequence; none has a higher one than MODSEQ."""
    masks = state.palette.masks
    at_newest = [mask >> bit & 1 for mask in masks]
    exists = [(SYSTEM_MASK | mask) >> bit & 1 for mask in masks]
    uids, touched, flags, created = chunk.uids, chunk.touched, chunk.flags, chunk.created
    if not chunk.extra_keys:
        return [
            at for at in positions if at_newest[touched[at]] or (exists[flags[at]] and created[at] >= least)
        ]
    # An item with a number of its own, else as above.
    extras = chunk.extras_of(bit)
    return [
        at
        for at in positions
        if at_newest[touched[at]] or extras.get(uids[at], created[at] if exists[flags[at]] else -1) >= least
    ]
