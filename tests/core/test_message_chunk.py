"""Blocks of messages: numbers of items against a dictionary for each message."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from core.pair import WIDE, Pair, blocks, edits
from modseq.core import message as message_module
from modseq.core.change import Appended
from modseq.core.flags import SYSTEM_MASK, Palette
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet


@pytest.mark.parametrize("loop_below", [2, 64, 10_000])
@settings(max_examples=examples(60))
@given(
    flags=blocks,
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
