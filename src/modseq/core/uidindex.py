"""Which message has which sequence number."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from pyroaring import BitMap

from modseq.core.numset import NumSet

BLOCK_BITS = 12
BLOCK_UIDS = 1 << BLOCK_BITS
"""UIDs of one block: 1 to 4096, 4097 to 8192, and so on, so that a UID names its block."""


def block_of(uid: int) -> int:
    """Return the number of the block in which a UID lies."""
    return (uid - 1) >> BLOCK_BITS


def first_uid_of(number: int) -> int:
    """Return the lowest UID of a block."""
    return (number << BLOCK_BITS) + 1


class UidIndex:
    """An ascending sequence of UIDs in blocks; position n (from 1) is sequence number n.

    Immutable and shared: the mailbox and every session that has seen all of it hold the same object. A
    change copies the blocks that it touches and no other.

    RFC: 3501 section 2.3.1.2
    """

    __slots__ = ("_blocks", "_numbers", "_starts", "count")

    def __init__(
        self,
        numbers: Sequence[int] = (),
        blocks: Sequence["array[int]"] = (),
        starts: list[int] | None = None,
    ) -> None:
        """Args: block numbers, ascending; for each its UIDs, ascending and not empty; where they are known,
        how many UIDs stand before each block.
        """
        self._numbers = list(numbers)
        self._blocks = list(blocks)
        if starts is None:
            starts = [0, *accumulate(map(len, self._blocks[:-1]))] if self._blocks else []
        self._starts = starts
        self.count = starts[-1] + len(self._blocks[-1]) if self._blocks else 0

    @classmethod
    def of(cls, uids: Iterable[int]) -> "UidIndex":
        """Make an index of ascending UIDs."""
        return cls().extended(uids)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        for block in self._blocks:
            yield from block

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UidIndex) and self._blocks == other._blocks

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"UidIndex({self.to_numset().to_bytes().decode()})"

    @property
    def max_uid(self) -> int:
        """The highest UID, 0 when there is none."""
        return self._blocks[-1][-1] if self._blocks else 0

    def uid_at(self, seq_num: int) -> int:
        """Return the UID of a sequence number from 1 to the count; IndexError beyond."""
        if not 1 <= seq_num <= self.count:
            raise IndexError(seq_num)
        at = bisect_right(self._starts, seq_num - 1) - 1
        return self._blocks[at][seq_num - 1 - self._starts[at]]

    def seq_of(self, uid: int) -> int | None:
        """Return the sequence number of a UID, None when it is not here."""
        number = (uid - 1) >> BLOCK_BITS
        at = bisect_left(self._numbers, number)
        if at == len(self._numbers) or self._numbers[at] != number:
            return None
        block = self._blocks[at]
        place = bisect_left(block, uid)
        if place == len(block) or block[place] != uid:
            return None
        return self._starts[at] + place + 1

    def __contains__(self, uid: int) -> bool:
        return self.seq_of(uid) is not None

    def rank(self, uid: int) -> int:
        """Return how many UIDs are ``uid`` or lower: the sequence number below which a gap begins."""
        number = (uid - 1) >> BLOCK_BITS
        at = bisect_left(self._numbers, number)
        if at == len(self._numbers):
            return self.count
        if self._numbers[at] != number:
            return self._starts[at]
        return self._starts[at] + bisect_right(self._blocks[at], uid)

    def blocks(self) -> Iterator[tuple[int, int, "array[int]"]]:
        """Yield for each block its number, the sequence number of its first message, and its UIDs."""
        for number, start, block in zip(self._numbers, self._starts, self._blocks, strict=True):
            yield number, start + 1, block

    def select(self, uids: NumSet) -> "array[int]":
        """Return those of these UIDs that are here, ascending."""
        wanted = uids.bitmap
        found = array("I")
        if not wanted or not self._blocks:
            return found
        if len(wanted) == 1:
            uid = wanted.min()
            return array("I", (uid,)) if self.seq_of(uid) is not None else found
        low, high = wanted.min(), wanted.max()
        for at in range(bisect_left(self._numbers, block_of(low)), len(self._numbers)):
            block = self._blocks[at]
            if block[0] > high:
                break
            if wanted.contains_range(block[0], block[-1] + 1):
                found.extend(block)
            elif wanted.range_cardinality(block[0], block[-1] + 1):
                found.extend((BitMap(block) & wanted).to_array())
        return found

    def uids_of(self, seq_nums: NumSet) -> "array[int]":
        """Return the UIDs of these sequence numbers; numbers beyond the count are left out."""
        found = array("I")
        for first, last in seq_nums.ranges():
            if first > self.count:
                break
            found.extend(self.slice(first, min(last, self.count)))
        return found

    def slice(self, first: int, last: int) -> "array[int]":
        """Return the UIDs of sequence numbers ``first`` to ``last``, both included and present."""
        found = array("I")
        at = bisect_right(self._starts, first - 1) - 1
        while first <= last:
            block, start = self._blocks[at], self._starts[at]
            part = block[first - 1 - start : last - start]
            found.extend(part)
            first += len(part)
            at += 1
        return found

    def seqs_of(self, uids: "Sequence[int]") -> list[int]:
        """Return the sequence numbers of ascending UIDs, all of which must be here."""
        seqs = []
        at, last, block, start = -1, 0, array("I"), 0
        place = 0
        for uid in uids:
            if uid > last:
                at = bisect_left(self._numbers, block_of(uid), at + 1)
                block, start = self._blocks[at], self._starts[at] + 1
                last, place = block[-1], 0
            place = bisect_left(block, uid, place)
            seqs.append(start + place)
        return seqs

    def without(self, uids: NumSet) -> "UidIndex":
        """Return the index without these UIDs."""
        gone = uids.bitmap
        if not gone or not self._blocks:
            return self
        numbers, blocks = list(self._numbers), list(self._blocks)
        touched = sorted({block_of(low) for low in _block_starts(gone)}, reverse=True)
        for number in touched:
            at = bisect_left(numbers, number)
            if at == len(numbers) or numbers[at] != number:
                continue
            block = blocks[at]
            if gone.contains_range(block[0], block[-1] + 1):
                kept = array("I")
            else:
                kept = (BitMap(block) - gone).to_array()
            if kept:
                blocks[at] = kept
            else:
                del numbers[at], blocks[at]
        return UidIndex(numbers, blocks)

    def extended(self, uids: Iterable[int]) -> "UidIndex":
        """Return the index with these UIDs added; they ascend and are higher than all that are here."""
        numbers, blocks = list(self._numbers), list(self._blocks)
        for number, part in _by_block(uids):
            if numbers and numbers[-1] == number:
                blocks[-1] = blocks[-1] + part
            else:
                numbers.append(number)
                blocks.append(part)
        return UidIndex(numbers, blocks)

    def with_last(self, number: int, uids: "array[int]") -> "UidIndex":
        """Return the index with these as the UIDs of its last block, which may be new.

        What an append costs, so the other blocks are not even counted again.
        """
        if self._numbers and self._numbers[-1] == number:
            return UidIndex(self._numbers, [*self._blocks[:-1], uids], self._starts)
        return UidIndex([*self._numbers, number], [*self._blocks, uids], [*self._starts, self.count])

    def with_uids(self, uids: NumSet) -> "UidIndex":
        """Return the index with these UIDs added wherever they belong."""
        if not uids:
            return self
        return UidIndex.of((self.to_numset() | uids).to_array())

    def to_numset(self) -> NumSet:
        """Return the UIDs as a set."""
        bitmap = BitMap()
        for block in self._blocks:
            bitmap.update(block)
        return NumSet(bitmap)


def _block_starts(bitmap: BitMap) -> Iterator[int]:
    """Yield one element of each block that the bitmap touches."""
    highest = bitmap.max()
    uid = bitmap.min()
    while True:
        yield uid
        beyond = ((block_of(uid) + 1) << BLOCK_BITS) + 1
        if beyond > highest:
            return
        uid = bitmap.next_set_bit(beyond)


def _by_block(uids: Iterable[int]) -> Iterator[tuple[int, "array[int]"]]:
    part = array("I")
    number = -1
    for uid in uids:
        if block_of(uid) != number:
            if part:
                yield number, part
            part = array("I")
            number = block_of(uid)
        part.append(uid)
    if part:
        yield number, part
