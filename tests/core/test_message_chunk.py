"""Blocks of messages: numbers of items against a dictionary for each message."""

import pytest
from core.naive import SYSTEM, Message
from hypothesis import given
from hypothesis import strategies as st

from modseq.core import message as message_module
from modseq.core.change import ALL_FLAGS, Appended, FlagEdit
from modseq.core.flags import SYSTEM_MASK, Palette, bits
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet

WIDE = 90
"""Messages of a block: above the number from which edits and removals go by tables."""

BITS = range(9)
"""Five system flags and four keywords."""

masks = st.integers(0, 2 ** len(BITS) - 1)
choices = st.one_of(
    st.just("all"), st.sets(st.integers(1, WIDE), max_size=5), st.sets(st.integers(1, WIDE), min_size=60)
)
edits = st.tuples(choices, masks, st.one_of(st.just(ALL_FLAGS), masks))


def name(bit: int) -> str:
    return [*SYSTEM, "a", "b", "c", "d"][bit]


def names(mask: int) -> set[str]:
    return {name(bit) for bit in bits(mask)}


class Pair:
    """A block and the plain messages that it must equal."""

    def __init__(self, flags):
        self.palette = Palette()
        self.chunk = MessageChunk()
        self.chunk.append([Appended(uid, mask, uid) for uid, mask in enumerate(flags, 1)], 7, self.palette)
        self.plain = {uid: Message(7, uid, names(mask)) for uid, mask in enumerate(flags, 1)}
        self.mod_seq = 7

    def edit(self, chosen, add, remove, *, fork=True):
        """Apply an edit to those it changes, as StoreFlags names them."""
        asked = set(self.plain) if chosen == "all" else chosen & set(self.plain)
        after = {
            uid: (self.plain[uid].flags - (set(map(name, BITS)) if remove == ALL_FLAGS else names(remove)))
            | names(add)
            for uid in asked
        }
        uids = {uid for uid in asked if after[uid] != self.plain[uid].flags}
        if not uids:
            return
        self.mod_seq += 1
        if fork:
            self.chunk = self.chunk.fork(whole=False)
        named = NumSet(uids)
        self.chunk.edit(FlagEdit(named, add, remove), self.chunk.positions(named), self.mod_seq, self.palette)
        for uid in uids:
            self.plain[uid].put(after[uid], self.mod_seq)

    def remove(self, uids):
        self.chunk = self.chunk.fork(whole=True)
        self.chunk.remove(self.chunk.positions(NumSet(uids)), self.palette)
        for uid in set(uids) & set(self.plain):
            del self.plain[uid]

    def check(self):
        chunk, palette = self.chunk, self.palette
        assert list(chunk.uids) == list(self.plain)
        for at, (uid, plain) in enumerate(self.plain.items()):
            assert names(palette.masks[chunk.flags[at]]) == plain.flags
            assert chunk.newest[at] == plain.mod_seq
            assert chunk.created[at] == plain.created
            assert chunk.sizes[at] == plain.octets
            for bit in BITS:
                assert chunk.item_mod_seq(at, bit, palette) == plain.items.get(name(bit)), (uid, name(bit))
        counted = chunk.unseen, chunk.deleted, chunk.octets
        again = chunk.fork(whole=True)
        again.recount(palette)
        assert counted == (again.unseen, again.deleted, again.octets)
        assert chunk.newest_max >= again.newest_max
        # An item's number stands on the list only where it is neither the creation's nor the newest.
        for key, num in zip(chunk.extra_keys, chunk.extra_nums, strict=True):
            at = chunk.position(key >> 16)
            assert chunk.created[at] < num < chunk.newest[at]
            assert chunk.uids_of_extras(1 << (key & 0xFFFF), num - 1) >= {key >> 16}
            assert chunk.extras_of(key & 0xFFFF)[key >> 16] == num
        for at in range(len(chunk)):
            assert (chunk.newest[at] == chunk.created[at]) == (chunk.touched[at] == 0)


@pytest.mark.parametrize("loop_below", [2, 64, 10_000])
@given(
    flags=st.one_of(st.lists(masks, min_size=1, max_size=8), st.lists(masks, min_size=WIDE, max_size=WIDE)),
    steps=st.lists(st.one_of(edits, st.sets(st.integers(1, WIDE))), max_size=8),
)
def test_every_item_has_its_own_number(loop_below, flags, steps):
    usual = message_module._LOOP_BELOW
    message_module._LOOP_BELOW = loop_below
    try:
        pair = Pair(flags)
        for step in steps:
            if isinstance(step, tuple):
                pair.edit(*step)
            else:
                pair.remove(step)
            pair.check()
    finally:
        message_module._LOOP_BELOW = usual


def test_a_fork_leaves_the_published_block_alone():
    pair = Pair([0] * 5)
    pair.edit({1, 2}, 1 << 5, 0)
    published = pair.chunk
    shown = [
        [
            list(getattr(published, name))
            for name in ("uids", "created", "newest", "flags", "touched", "sizes")
        ],
        list(published.extra_keys),
        list(published.extra_nums),
        (published.unseen, published.deleted, published.octets, published.newest_max),
    ]
    pair.edit({1, 3}, 1 << 6 | 0b1100, 0)
    pair.remove({2})
    pair.chunk.append([Appended(9, 0, 1)], 99, pair.palette)
    assert shown == [
        [
            list(getattr(published, name))
            for name in ("uids", "created", "newest", "flags", "touched", "sizes")
        ],
        list(published.extra_keys),
        list(published.extra_nums),
        (published.unseen, published.deleted, published.octets, published.newest_max),
    ]


def test_untouched_messages_cost_nothing_for_their_items():
    pair = Pair([SYSTEM_MASK | 1 << 5] * WIDE)
    pair.edit("all", 0, 1 << 3)
    assert len(pair.chunk.extra_keys) == 0
    pair.edit({4}, 1 << 3, 1 << 5)
    assert len(pair.chunk.extra_keys) == 0
    pair.edit({4}, 1 << 6, 0)
    assert len(pair.chunk.extra_keys) == 2


@given(st.sets(st.integers(1, 200), min_size=1), st.sets(st.integers(1, 200)))
def test_positions(here, asked):
    chunk = MessageChunk()
    chunk.append([Appended(uid, 0, 0) for uid in sorted(here)], 2, Palette())
    listed = sorted(here)
    assert list(chunk.positions(NumSet(asked))) == [at for at, uid in enumerate(listed) if uid in asked]
    assert all(chunk.position(uid) == (listed.index(uid) if uid in here else -1) for uid in range(1, 202))
