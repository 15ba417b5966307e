"""The condition of a STORE on one block: tables for many messages say what the rule says of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pair import Pair, blocks, choices, edits, masks, names
from modseq.core import store_flags
from modseq.core.change import ALL_FLAGS
from modseq.core.numset import NumSet
from modseq.core.store_flags import _Condition


@pytest.mark.parametrize("few", [0, 10_000], ids=["by tables", "one by one"])
@given(
    flags=blocks,
    steps=st.lists(edits, max_size=6),
    asked=st.tuples(st.sampled_from("+-="), masks, st.one_of(st.none(), st.integers(-1, 8))),
    chosen=choices,
)
def test_who_is_refused_and_who_changes(few, flags, steps, asked, chosen):
    mode, named, back = asked
    pair = Pair(flags)
    for step in steps:
        pair.edit(*step)
    # Every number that some item can have, the one before the first, one too high, and 0.
    m = None if back is None else 0 if back == 8 else pair.mod_seq - back
    add = 0 if mode == "-" else named
    remove = {"+": 0, "-": named, "=": ALL_FLAGS}[mode]
    uids = set(pair.plain) if chosen == "all" else chosen & set(pair.plain)
    usual, store_flags._FEW = store_flags._FEW, few
    try:
        changed, refused = _Condition(add, remove, named, m, pair.palette).decide(pair.chunk, NumSet(uids))
    finally:
        store_flags._FEW = usual
    plain = {uid: pair.plain[uid] for uid in uids}
    expected = {
        uid for uid, message in plain.items() if m is not None and message.refuses(mode, names(named), m)
    }
    assert set(refused) == expected
    assert set(changed) == {
        uid for uid in uids - expected if plain[uid].after(mode, names(named)) != plain[uid].flags
    }
