"""The condition of a STORE on one block: tables for many messages say what the rule says of each."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from core.pair import Pair, masks, names
from modseq.core import store_flags
from modseq.core.change import ALL_FLAGS
from modseq.core.numset import NumSet
from modseq.core.store_flags import _Condition

MESSAGES = 8

some = st.sets(st.integers(1, MESSAGES), min_size=1)
few_bits = st.sets(st.integers(0, 8), max_size=2).map(lambda chosen: sum(1 << bit for bit in chosen))
edits = st.tuples(some, few_bits, few_bits)


@pytest.mark.parametrize("few", [0, 10_000], ids=["by tables", "one by one"])
@settings(max_examples=examples(50))
@given(
    flags=st.lists(masks, min_size=MESSAGES, max_size=MESSAGES),
    steps=st.lists(edits, min_size=2, max_size=6),
    named=few_bits,
    chosen=some,
)
def test_who_is_refused_and_who_changes(few, flags, steps, named, chosen):
    pair = Pair(flags)
    for step in steps:
        pair.edit(*step)
    for mode in "+-=":
        # 0, the number before the first, every number that an item can have, and one too high.
        for m in (None, 0, *range(6, pair.mod_seq + 2)):
            usual, store_flags._FEW = store_flags._FEW, few
            try:
                check(pair, mode, named, m, chosen)
            finally:
                store_flags._FEW = usual


def check(pair, mode, named, m, chosen):
    add = 0 if mode == "-" else named
    remove = {"+": 0, "-": named, "=": ALL_FLAGS}[mode]
    changed, refused = _Condition(add, remove, named, m, pair.palette).decide(pair.chunk, NumSet(chosen))
    plain = {uid: pair.plain[uid] for uid in chosen}
    expected = {
        uid for uid, message in plain.items() if m is not None and message.refuses(mode, names(named), m)
    }
    assert set(refused) == expected, (mode, m)
    assert set(changed) == {
        uid for uid in chosen - expected if plain[uid].after(mode, names(named)) != plain[uid].flags
    }
