"""Sets of message numbers or UIDs, compressed."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

from pyroaring import BitMap

_BEYOND = 2**32


class NumSet:
    """An immutable set of numbers from 0 to 2^32-1, kept as a roaring bitmap.

    A million numbers with few holes take some kilobytes, set algebra microseconds.
    """

    __slots__ = ("bitmap",)
    EMPTY: ClassVar["NumSet"]

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.bitmap = numbers if type(numbers) is BitMap else BitMap(numbers)

    @classmethod
    def from_ranges(cls, ranges: Iterable[tuple[int, int]]) -> "NumSet":
        """Make a set of closed ranges; the ends of a range may stand in either order."""
        bitmap = BitMap()
        for first, last in ranges:
            if first > last:
                first, last = last, first  # noqa: PLW2901 -- 5:2 means 2:5 (RFC 3501 section 9)
            bitmap.add_range(first, last + 1)
        return cls(bitmap)

    @classmethod
    def single(cls, number: int) -> "NumSet":
        """Make the set of one number."""
        return cls(BitMap((number,)))

    @classmethod
    def union(cls, sets: "Sequence[NumSet]") -> "NumSet":
        """Return the numbers that stand in any of these sets."""
        if not sets:
            return NumSet.EMPTY
        if len(sets) == 1:
            return sets[0]
        bitmap = BitMap()
        for each in sets:
            bitmap |= each.bitmap
        return cls(bitmap)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield the maximal closed ranges in ascending order."""
        bitmap = self.bitmap
        if not bitmap:
            return
        count = len(bitmap)
        first, last = bitmap.min(), bitmap.max()
        if last - first + 1 == count:
            yield first, last
            return
        if _runs_are_short(bitmap, count):
            yield from _ranges_by_element(bitmap.to_array())
            return
        yield from _ranges_by_run(bitmap, first)

    def to_bytes(self) -> bytes:
        """Return the set as a sequence-set, for instance ``b"1:3,7"``; empty for the empty set."""
        return b",".join([b"%d:%d" % r if r[0] != r[1] else b"%d" % r[0] for r in self.ranges()])

    def to_array(self) -> "array[int]":
        """Return the numbers in ascending order."""
        numbers: array[int] = self.bitmap.to_array()
        return numbers

    @property
    def min(self) -> int:
        """The lowest number; ValueError when empty."""
        lowest: int = self.bitmap.min()
        return lowest

    @property
    def max(self) -> int:
        """The highest number; ValueError when empty."""
        highest: int = self.bitmap.max()
        return highest

    def clamp(self, low: int, high: int) -> "NumSet":
        """Return the numbers from ``low`` to ``high``, both included."""
        bitmap = self.bitmap
        if not bitmap or (bitmap.min() >= low and bitmap.max() <= high):
            return self
        if low > high:
            return NumSet.EMPTY
        clamped = bitmap.copy()
        clamped.remove_range(0, max(low, 0))
        clamped.remove_range(high + 1, _BEYOND)
        return NumSet(clamped)

    def serialize(self) -> bytes:
        """Return the portable roaring form."""
        if len(self.bitmap) > 1:
            compact = self.bitmap.copy()
            compact.run_optimize()
            return bytes(compact.serialize())
        return bytes(self.bitmap.serialize())

    @classmethod
    def deserialize(cls, data: bytes) -> "NumSet":
        """Read what ``serialize`` wrote."""
        return cls(BitMap.deserialize(data))

    def isdisjoint(self, other: "NumSet") -> bool:
        """True when no number stands in both sets."""
        return not self.bitmap.intersect(other.bitmap)

    def issubset(self, other: "NumSet") -> bool:
        """True when every number of this set stands in the other."""
        return bool(self.bitmap.issubset(other.bitmap))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number in self.bitmap

    def __len__(self) -> int:
        return len(self.bitmap)

    def __bool__(self) -> bool:
        return bool(self.bitmap)

    def __iter__(self) -> Iterator[int]:
        return iter(self.bitmap)

    def __and__(self, other: "NumSet") -> "NumSet":
        return NumSet(self.bitmap & other.bitmap)

    def __or__(self, other: "NumSet") -> "NumSet":
        return NumSet(self.bitmap | other.bitmap)

    def __sub__(self, other: "NumSet") -> "NumSet":
        return NumSet(self.bitmap - other.bitmap)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NumSet) and bool(self.bitmap == other.bitmap)

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def __repr__(self) -> str:
        return f"NumSet({self.to_bytes().decode()})"


_SPARSE_BELOW = 24
"""Runs shorter than this on average are found faster element by element than by galloping."""

_SAMPLED = 64
_COUNTED_ABOVE = 65_536
"""From so many numbers on a sample may mislead too dearly: the bitmap counts its runs, for 0.2 ms a million."""


def _runs_are_short(bitmap: BitMap, count: int) -> bool:
    """Tell whether looking at each number is cheaper than looking for the end of each run."""
    if count > _COUNTED_ABOVE:
        compact = bitmap.copy()
        compact.run_optimize()
        counted = compact.get_statistics()
        # A container that is not made of runs, of four octets each, would not have become smaller by it.
        runs = counted["n_bytes_run_containers"] // 4
        return bool(_SPARSE_BELOW * runs >= counted["n_values_run_containers"])
    return count < _SPARSE_BELOW * _estimated_runs(bitmap, count)


def _estimated_runs(bitmap: BitMap, count: int) -> int:
    """Estimate the number of runs from the first elements: exact would cost as much as the answer."""
    numbers = bitmap[: min(count, _SAMPLED)].to_array()
    breaks = sum(b - a != 1 for a, b in pairwise(numbers))
    return max(1, (breaks + 1) * count // max(1, len(numbers)))


def _ranges_by_element(numbers: "array[int]") -> Iterator[tuple[int, int]]:
    first = previous = numbers[0]
    for number in numbers[1:]:
        if number != previous + 1:
            yield first, previous
            first = number
        previous = number
    yield first, previous


def _ranges_by_run(bitmap: BitMap, first: int) -> Iterator[tuple[int, int]]:
    """Find the end of each run by doubling and halving steps over counts of ranges."""
    highest = bitmap.max()
    position = 0
    count = len(bitmap)
    while True:
        length = 1
        # Never asked beyond the highest: bitmaps answer for ends above 2^32 in ways of their own.
        while first + length <= highest and bitmap.contains_range(
            first, min(first + 2 * length - 1, highest) + 1
        ):
            length *= 2
        low, high = min(first + length - 1, highest), min(first + 2 * length - 1, highest)
        while low < high:
            middle = (low + high + 1) // 2
            if bitmap.contains_range(first, middle + 1):
                low = middle
            else:
                high = middle - 1
        yield first, low
        position += low - first + 1
        if position >= count:
            return
        first = bitmap[position]


NumSet.EMPTY = NumSet()
