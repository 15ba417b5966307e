"""Messages: what is delivered, what is kept in packed blocks, what is read back."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modseq.core.change import Appended, AppendedRun, FlagEdit
from modseq.core.flags import DELETED, SEEN, SYSTEM_MASK, Palette, bits
from modseq.core.numset import NumSet

_ITEM_SHIFT = 16
_BIT_MASK = (1 << _ITEM_SHIFT) - 1
_LOOP_BELOW = 64
"""Edits of fewer messages of a block are done one by one: building tables would cost more."""

_COLUMNS = ("uids", "created", "newest", "flags", "touched", "sizes")


@dataclass(frozen=True, slots=True)
class Content:
    """An immutable message: its octets, and what was found in them once, at delivery.

    ``envelope``, ``body`` and ``structure`` are ready response values; ``parts`` is the table of parts by
    which sections are cut; ``sent_date`` is the day of the Date field in days since 1970, None without one.
    """

    data: bytes
    envelope: bytes
    body: bytes
    structure: bytes
    parts: bytes
    sent_date: int | None
    header_length: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message on its way into a mailbox.

    ``received_at`` is the internal date in seconds since 1970, ``received_zone`` its zone in minutes east of
    Greenwich, ``saved_at`` the moment of saving (RFC 8514).
    """

    flags: tuple[str, ...]
    received_at: int
    received_zone: int
    saved_at: int
    content: Content


@dataclass(frozen=True, slots=True)
class MessageRow:
    """What never changes about a message in a mailbox; the last four are None unless they were asked for."""

    uid: int
    email_id: int
    size: int
    saved_at: int
    received_at: int
    received_zone: int
    sent_date: int | None
    envelope: bytes | None = None
    body: bytes | None = None
    structure: bytes | None = None
    parts: bytes | None = None


class MessageChunk:
    """The messages of one block of 4,096 UIDs, as parallel arrays in the order of their UIDs.

    Attributes:
        uids: UIDs ("I").
        created: mod-sequence with which the message came ("Q").
        newest: highest mod-sequence of its items, its MODSEQ ("Q").
        flags: palette number of the mask of its flags ("I").
        touched: palette number of the mask of the items that stand at ``newest``; 0 while ``newest`` is
            ``created`` ("I").
        sizes: octets ("I").
        extra_keys, extra_nums: items whose number is neither ``created`` nor ``newest``: UID and bit number
            packed into one sorted key, and the number ("Q", "Q").
        newest_max: a mod-sequence that no ``newest`` exceeds.
        unseen, deleted, octets: counters.

    An item that is in neither list has the creation number if it is a system flag or set, else none: an
    untouched message costs nothing for its items. A block that was published is never changed; ``fork``
    gives a copy that may be.
    """

    __slots__ = (
        "created",
        "deleted",
        "extra_keys",
        "extra_nums",
        "flags",
        "newest",
        "newest_max",
        "octets",
        "sizes",
        "touched",
        "uids",
        "unseen",
    )

    def __init__(self) -> None:
        self.uids = array("I")
        self.created = array("Q")
        self.newest = array("Q")
        self.flags = array("I")
        self.touched = array("I")
        self.sizes = array("I")
        self.extra_keys = array("Q")
        self.extra_nums = array("Q")
        self.newest_max = 0
        self.unseen = 0
        self.deleted = 0
        self.octets = 0

    def __len__(self) -> int:
        return len(self.uids)

    def fork(self, *, whole: bool) -> "MessageChunk":
        """Return a copy whose flags (or, ``whole``, everything) may be changed in place."""
        copy = MessageChunk.__new__(MessageChunk)
        copy.newest, copy.flags, copy.touched = self.newest[:], self.flags[:], self.touched[:]
        copy.extra_keys, copy.extra_nums = self.extra_keys[:], self.extra_nums[:]
        if whole:
            copy.uids, copy.created, copy.sizes = self.uids[:], self.created[:], self.sizes[:]
        else:
            copy.uids, copy.created, copy.sizes = self.uids, self.created, self.sizes
        copy.newest_max, copy.octets = self.newest_max, self.octets
        copy.unseen, copy.deleted = self.unseen, self.deleted
        return copy

    def renumbered(self, expected: int, mod_seq: int) -> "MessageChunk":
        """Return the block with another number for a change that was expected to take one above all others."""
        if expected == mod_seq:
            return self
        other = self.fork(whole=True)
        for name in ("newest", "created"):
            column = getattr(other, name)
            if column.count(expected) == len(column):
                setattr(other, name, array("Q", (mod_seq,)) * len(column))
            elif expected in column:
                setattr(other, name, array("Q", [mod_seq if n == expected else n for n in column]))
        other.newest_max = mod_seq
        return other

    def with_palette_numbers(self, numbers: Mapping[int, int]) -> "MessageChunk":
        """Return the block with each palette number replaced."""
        other = self.fork(whole=False)
        other.flags = array("I", map(numbers.__getitem__, self.flags))
        other.touched = array("I", map(numbers.__getitem__, self.touched))
        return other

    def without(self, positions: Sequence[int], palette: Palette) -> "MessageChunk | None":
        """Return the block without the messages at these positions, None when it is then empty."""
        if len(positions) == len(self.uids):
            return None
        other = self.fork(whole=True)
        other.remove(positions, palette)
        return other

    def recount(self, palette: Palette) -> None:
        """Compute the counters and ``newest_max`` from the arrays."""
        masks = [palette.masks[index] for index in self.flags]
        self.unseen = sum(not mask & SEEN for mask in masks)
        self.deleted = sum(bool(mask & DELETED) for mask in masks)
        self.octets = sum(self.sizes)
        self.newest_max = max(self.newest, default=0)

    def position(self, uid: int) -> int:
        """Return the position of a UID, -1 when it is not here."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def positions(self, uids: NumSet) -> Sequence[int]:
        """Return the positions of those of these UIDs that are here."""
        mine, wanted = self.uids, uids.bitmap
        if len(wanted) == 1:
            at = self.position(wanted.min())
            return (at,) if at >= 0 else ()
        if not mine or not wanted:
            return ()
        if wanted.contains_range(mine[0], mine[-1] + 1):
            return range(len(mine))
        inside = wanted.range_cardinality(mine[0], mine[-1] + 1)
        if not inside:
            return ()
        if inside * 8 < len(mine):
            return [at for uid in uids.clamp(mine[0], mine[-1]) if (at := self.position(uid)) >= 0]
        return [at for at, uid in enumerate(mine) if uid in wanted]

    def item_mod_seq(self, at: int, bit: int, palette: Palette) -> int | None:
        """Return the mod-sequence of one flag of the message at a position; None if it has none."""
        if palette.masks[self.touched[at]] >> bit & 1:
            return self.newest[at]
        if self.extra_keys:
            key = self.uids[at] << _ITEM_SHIFT | bit
            place = bisect_left(self.extra_keys, key)
            if place < len(self.extra_keys) and self.extra_keys[place] == key:
                return self.extra_nums[place]
        if (SYSTEM_MASK | palette.masks[self.flags[at]]) >> bit & 1:
            return self.created[at]
        return None

    def extras_of(self, bit: int) -> dict[int, int]:
        """Return the mod-sequences of one flag that are neither ``created`` nor ``newest``, by UID."""
        return {
            key >> _ITEM_SHIFT: num
            for key, num in zip(self.extra_keys, self.extra_nums, strict=True)
            if key & _BIT_MASK == bit
        }

    def uids_of_extras(self, mask: int, mod_seq: int) -> set[int]:
        """Return the UIDs where one of these flags has such a number, above ``mod_seq``."""
        return {
            key >> _ITEM_SHIFT
            for key, num in zip(self.extra_keys, self.extra_nums, strict=True)
            if num > mod_seq and mask >> (key & _BIT_MASK) & 1
        }

    def append(self, messages: Iterable[Appended], mod_seq: int, palette: Palette) -> None:
        """Add messages with UIDs above all that are here."""
        for message in messages:
            self.uids.append(message.uid)
            self.created.append(mod_seq)
            self.newest.append(mod_seq)
            self.flags.append(palette.index(message.flags))
            self.touched.append(0)
            self.sizes.append(message.size)
            self.unseen += not message.flags & SEEN
            self.deleted += bool(message.flags & DELETED)
            self.octets += message.size
        self.newest_max = mod_seq

    def append_run(self, run: AppendedRun, mod_seq: int, palette: Palette) -> None:
        """Add many messages with consecutive UIDs above all that are here, column by column."""
        count = len(run)
        numbers = array("Q", (mod_seq,)) * count
        self.uids.extend(range(run.first_uid, run.first_uid + count))
        self.created.extend(numbers)
        self.newest.extend(numbers)
        counts = Counter(run.flags)
        self.flags.extend(_mapped(run.flags, {place: palette.index(run.masks[place]) for place in counts}))
        self.touched.extend(array("I", (0,)) * count)
        self.sizes.extend(run.sizes)
        self.unseen += sum(n for place, n in counts.items() if not run.masks[place] & SEEN)
        self.deleted += sum(n for place, n in counts.items() if run.masks[place] & DELETED)
        self.octets += sum(run.sizes)
        self.newest_max = mod_seq

    def edit(self, edit: FlagEdit, positions: Sequence[int], mod_seq: int, palette: Palette) -> None:
        """Change the flags of the messages at these positions; all of them do change."""
        if len(positions) == len(self.uids) >= _LOOP_BELOW:
            self._edit_all(edit, mod_seq, palette)
        else:
            self._edit_each(edit, positions, mod_seq, palette)
        self.newest_max = mod_seq

    def _edit_all(self, edit: FlagEdit, mod_seq: int, palette: Palette) -> None:
        """Change the flags of every message of the block, by tables."""
        counts = Counter(self.flags)
        steps = {old: _Step(edit, old, 0, palette) for old in counts}
        if self.extra_keys or any(self.touched):
            self._move_items(steps, palette)
        self.unseen += sum(steps[old].unseen * count for old, count in counts.items())
        self.deleted += sum(steps[old].deleted * count for old, count in counts.items())
        self.touched = _mapped(self.flags, {old: step.touched for old, step in steps.items()})
        self.flags = _mapped(self.flags, {old: step.flags for old, step in steps.items()})
        self.newest = array("Q", (mod_seq,)) * len(self.flags)

    def _move_items(self, steps: "dict[int, _Step]", palette: Palette) -> None:
        """Put items that keep a message's old newest number on the list, take off it those that change."""
        masks = palette.masks
        met = set(zip(self.touched, self.flags, strict=True))
        left = {pair: bits(masks[pair[0]] & ~steps[pair[1]].changed) for pair in met}
        added = []
        if any(left.values()):
            rows = zip(self.uids, self.newest, zip(self.touched, self.flags, strict=True), strict=True)
            added = [(uid << _ITEM_SHIFT | bit, num) for uid, num, pair in rows for bit in left[pair]]
        removed = set()
        for key in self.extra_keys:
            step = steps[self.flags[bisect_left(self.uids, key >> _ITEM_SHIFT)]]
            if step.changed >> (key & _BIT_MASK) & 1:
                removed.add(key)
        if added or removed:
            self._update_extras(added, removed)

    def _edit_each(self, edit: FlagEdit, positions: Sequence[int], mod_seq: int, palette: Palette) -> None:
        uids, flags, touched, newest = self.uids, self.flags, self.touched, self.newest
        added: list[tuple[int, int]] = []
        removed: set[int] = set()
        steps: dict[tuple[int, int], _Step] = {}
        has_extras = bool(self.extra_keys)
        for at in positions:
            # What is touched is 0 while the newest number is the creation number: nothing is left behind.
            met = flags[at], touched[at]
            step = steps.get(met)
            if step is None:
                step = steps[met] = _Step(edit, *met, palette)
            if step.left:
                # Items that stood at the old newest number keep it, now that newest moves on.
                key, num = uids[at] << _ITEM_SHIFT, newest[at]
                added += [(key | bit, num) for bit in step.left]
            if has_extras:
                key = uids[at] << _ITEM_SHIFT
                removed.update([key | bit for bit in step.bits])
            flags[at], touched[at] = step.flags, step.touched
            newest[at] = mod_seq
            self.unseen += step.unseen
            self.deleted += step.deleted
        if added or removed:
            self._update_extras(added, removed)

    def _update_extras(self, added: list[tuple[int, int]], removed: set[int]) -> None:
        """Take items off the list and put others, which are not in it, on it."""
        if len(added) + len(removed) <= _LOOP_BELOW:
            keys, nums = self.extra_keys, self.extra_nums
            for key in removed:
                place = bisect_left(keys, key)
                if place < len(keys) and keys[place] == key:
                    del keys[place], nums[place]
            for key, num in added:
                place = bisect_left(keys, key)
                keys.insert(place, key)
                nums.insert(place, num)
            return
        merged = dict(zip(self.extra_keys, self.extra_nums, strict=True))
        for key in removed:
            merged.pop(key, None)
        merged.update(added)
        self.extra_keys = array("Q", sorted(merged))
        self.extra_nums = array("Q", map(merged.__getitem__, self.extra_keys))

    def remove(self, positions: Sequence[int], palette: Palette) -> None:
        """Take the messages at these ascending positions out."""
        if len(positions) < _LOOP_BELOW:
            self._remove_each(positions, palette)
            return
        gone = set(positions)
        gone_uids = {self.uids[at] for at in positions}
        kept = [at for at in range(len(self.uids)) if at not in gone]
        for name in _COLUMNS:
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, map(column.__getitem__, kept)))
        extras = zip(self.extra_keys, self.extra_nums, strict=True)
        left = [(key, num) for key, num in extras if key >> _ITEM_SHIFT not in gone_uids]
        self.extra_keys = array("Q", [key for key, _ in left])
        self.extra_nums = array("Q", [num for _, num in left])
        self.recount(palette)

    def _remove_each(self, positions: Sequence[int], palette: Palette) -> None:
        keys, nums = self.extra_keys, self.extra_nums
        for at in reversed(positions):
            mask = palette.masks[self.flags[at]]
            self.unseen -= not mask & SEEN
            self.deleted -= bool(mask & DELETED)
            self.octets -= self.sizes[at]
            if keys:
                first = bisect_left(keys, self.uids[at] << _ITEM_SHIFT)
                end = bisect_left(keys, (self.uids[at] + 1) << _ITEM_SHIFT, first)
                del keys[first:end], nums[first:end]
            for name in _COLUMNS:
                del getattr(self, name)[at]


def palette_numbers(chunks: Iterable[MessageChunk]) -> list[int]:
    """Return the palette numbers in blocks, ascending; 0, the empty mask's, is always one of them."""
    used = {0}
    for chunk in chunks:
        used.update(chunk.flags, chunk.touched)
    return sorted(used)


class _Step:
    """What an edit does to every message that has these flags and whose newest number is of these items."""

    __slots__ = ("bits", "changed", "deleted", "flags", "left", "touched", "unseen")

    def __init__(self, edit: FlagEdit, flags: int, touched: int, palette: Palette) -> None:
        old = palette.masks[flags]
        new = old & ~edit.remove | edit.add
        self.changed = old ^ new
        self.flags, self.touched = palette.index(new), palette.index(self.changed)
        self.bits, self.left = bits(self.changed), bits(palette.masks[touched] & ~self.changed)
        self.unseen = (not new & SEEN) - (not old & SEEN)
        self.deleted = bool(new & DELETED) - bool(old & DELETED)


def _mapped(column: "array[int]", table: dict[int, int]) -> "array[int]":
    values = set(table.values())
    if len(values) == 1:
        return array("I", values) * len(column)
    return array("I", map(table.__getitem__, column))
