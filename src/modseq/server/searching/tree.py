"""The tree of search keys, decided step by step: cheap keys first, costly ones only where they matter.

A key that was not looked at yet leaves its messages undecided. Deciding the tree over what is known gives
the messages that match whatever the rest says, and those that are still open; only these are worth the
next, dearer step.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

from pyroaring import BitMap

from modseq.wire.values import (
    SearchAge,
    SearchAnd,
    SearchDate,
    SearchHeader,
    SearchKey,
    SearchNot,
    SearchObjectId,
    SearchOr,
    SearchSequence,
    SearchText,
)


class Tier(enum.IntEnum):
    """What must be read to judge a key, the cheapest first."""

    PACKED = 0
    """Nothing: it stands in the blocks of the mailbox's state."""
    ROW = 1
    """What never changes about a message: dates, ids."""
    HEADER = 2
    """The header of the message."""
    TEXT = 3
    """All of the message."""


def tier_of(leaf: SearchKey) -> Tier:
    """Return what must be read to judge a key that holds no other."""
    match leaf:
        case SearchText(where="BODY" | "TEXT"):
            return Tier.TEXT
        case SearchText() | SearchHeader():
            return Tier.HEADER
        case SearchDate() | SearchAge() | SearchObjectId(which="EMAILID"):
            return Tier.ROW
        case _:
            return Tier.PACKED


def leaves(key: SearchKey) -> Iterator[SearchKey]:
    """Yield the keys that hold no other, from left to right."""
    match key:
        case SearchAnd(keys):
            for each in keys:
                yield from leaves(each)
        case SearchOr(left, right):
            yield from leaves(left)
            yield from leaves(right)
        case SearchNot(inner):
            yield from leaves(inner)
        case _:
            yield key


def required_sets(key: SearchKey) -> Iterator[SearchSequence]:
    """Yield the message sets outside of which nothing can match."""
    match key:
        case SearchAnd(keys):
            for each in keys:
                yield from required_sets(each)
        case SearchSequence():
            yield key


def decide(key: SearchKey, candidates: BitMap, known: Mapping[SearchKey, BitMap]) -> tuple[BitMap, BitMap]:
    """
    Return which candidates match for sure, and which are open as long as only ``known`` is known.

    Args:
        candidates: UIDs.
        known: for each leaf that was judged, the UIDs that match it, at least of the candidates.

    """
    match key:
        case SearchAnd(keys):
            sure = possible = candidates
            for each in keys:
                yes, maybe = decide(each, possible, known)
                sure, possible = sure & yes, yes | maybe
                if not possible:
                    break
            return sure, possible - sure
        case SearchOr(left, right):
            yes, maybe = decide(left, candidates, known)
            also, maybe_also = decide(right, candidates - yes, known)
            sure = yes | also
            return sure, (maybe | maybe_also) - sure
        case SearchNot(inner):
            yes, maybe = decide(inner, candidates, known)
            return candidates - yes - maybe, maybe
        case _:
            judged = known.get(key)
            return (BitMap(), candidates) if judged is None else (judged & candidates, BitMap())
