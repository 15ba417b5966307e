"""A block of messages beside the plain messages that it must equal, and strategies for both."""

from hypothesis import strategies as st

from core.naive import SYSTEM, Message
from modseq.core.change import ALL_FLAGS, Appended, FlagEdit
from modseq.core.flags import Palette, bits
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


blocks = st.one_of(st.lists(masks, min_size=1, max_size=8), st.lists(masks, min_size=WIDE, max_size=WIDE))


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
            assert key >> 16 not in chunk.uids_of_extras(1 << (key & 0xFFFF), num)
            assert chunk.extras_of(key & 0xFFFF)[key >> 16] == num
        for at in range(len(chunk)):
            assert (chunk.newest[at] == chunk.created[at]) == (chunk.touched[at] == 0)
