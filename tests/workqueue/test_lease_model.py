"""
No message is ever with two workers, and none is lost, whatever interleaves, breaks and dies.

The same protocol runs against a server with numbers for each flag, and against one that lets two win. Each guard is
then taken away, and the model must notice.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from workqueue.model import PerItem, Windowed, World, keywords_bounded

SETTINGS = {
    "numbers for each flag": (PerItem, {"exact": True, "zero": True}),
    "exact": (PerItem, {"exact": True}),
    "exact but not known to be": (PerItem, {"exact": False}),
    "two can win": (Windowed, {}),
}


def play(kind, schedule, *, noise, uids=range(1, 5)):
    make, chosen = SETTINGS[kind]
    world = World(make(uids), iter(schedule), noise=noise, **chosen)
    world.run()
    assert keywords_bounded(world.server)
    world.finish_all()
    assert keywords_bounded(world.server)


@pytest.mark.parametrize("kind", SETTINGS)
@settings(max_examples=examples(60))
@given(schedule=st.lists(st.integers(0, 65535), min_size=200, max_size=600), noise=st.booleans())
def test_one_worker_for_each_message_and_every_message_done(kind, schedule, noise):
    play(kind, schedule, noise=noise)


@pytest.mark.parametrize("kind", SETTINGS)
def test_long_random_schedules(kind):
    """What Hypothesis finds by searching small, these find by length."""
    for seed in range(examples(80)):
        picks = random.Random(seed)
        play(kind, [picks.getrandbits(16) for _ in range(3_000)], noise=seed % 2 == 1)
