"""
No message is ever with two workers, and none is lost, whatever interleaves, breaks and dies.

The same protocol runs against a server with numbers for each flag, and against one that lets two win. Then each guard is
taken away, and the model must notice.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from modseq import clock
from modseq.workqueue import claiming, layout, lease, watch
from workqueue.breaking import broken
from workqueue.model import PerItem, Windowed, World, keywords_bounded

NUMBERS = "numbers for each flag"
CAREFUL = "exact but not known to be"
TWO = "two can win"
SETTINGS = {
    NUMBERS: (PerItem, {"exact": True, "zero": True}),
    "exact": (PerItem, {"exact": True}),
    CAREFUL: (PerItem, {"exact": False}),
    TWO: (Windowed, {}),
}


class Seeded:
    """Names are drawn from the schedule's own randomness, so that a seed tells all."""

    def __init__(self, seed):
        self._picks = random.Random(seed)

    def now_nanoseconds(self):
        return 0

    def monotonic_seconds(self):
        return 0.0

    def random_bytes(self, count):
        return self._picks.randbytes(count)


def play(kind, schedule, *, noise, seed=1, uids=4, trusted=False):
    make, chosen = SETTINGS[kind]
    before = clock.use(Seeded(seed))
    try:
        world = World(
            make(range(1, uids + 1)),
            iter(schedule),
            noise=noise,
            **(chosen | ({"exact": True} if trusted else {})),
        )
        world.run()
        assert keywords_bounded(world.server)
        world.finish_all()
        assert keywords_bounded(world.server)
    finally:
        clock.use(before)


def play_seed(kind, seed, length=3_000, **more):
    picks = random.Random(seed)
    play(kind, [picks.getrandbits(16) for _ in range(length)], noise=seed % 2 == 1, seed=seed, **more)


@pytest.mark.parametrize("kind", SETTINGS)
@settings(max_examples=examples(15))
@given(
    schedule=st.lists(st.integers(0, 65535), min_size=200, max_size=500),
    noise=st.booleans(),
    seed=st.integers(0, 9),
)
def test_one_worker_for_each_message_and_every_message_done(kind, schedule, noise, seed):
    play(kind, schedule, noise=noise, seed=seed)


@pytest.mark.parametrize("kind", SETTINGS)
def test_long_random_schedules(kind):
    """What Hypothesis finds by searching small, these find by length."""
    for seed in range(examples(30)):
        play_seed(kind, seed, uids=1 + seed % 3)


FIRST_LOOK = """if each.standing.owner == me.owner
        and each.standing.beat == 0
        and each.standing.phase is Phase.OFFERED"""
SECOND_LOOK = "and seen.standing.owner == hold.owner | hold.beneath\n"
BEGIN = "since = max(each.mod_seq for each in alone.values())"
CLAIM = """requests.append(Store(tuple(uids), "+", keywords, since))
        for uid in uids:
            me.book[uid] = Hold("""
DUE = "if each.latest - each.since >= each.seconds or"

GUARDS = {
    "the looks after a claim": (
        TWO,
        0,
        (claiming, FIRST_LOOK, "if True"),
        (claiming, SECOND_LOOK, ""),
        (claiming, BEGIN, "since = None"),
    ),
    "the condition of a claim": (NUMBERS, 0, (claiming, CLAIM, CLAIM.replace(", since", ""))),
    "waiting for the lease": (NUMBERS, 0, (watch, DUE, "if True or")),
    "waiting for all of the lease": (
        NUMBERS,
        154,
        (watch, DUE, "if each.latest - each.since >= each.seconds / 2 or"),
    ),
    "stopping when the lease is over": (
        NUMBERS,
        59,
        (lease, "return self.is_won and now < self.sure_until", "return self.is_won"),
    ),
    "the condition of what a holder changes": (
        NUMBERS,
        317,
        (lease, "planned.mode, planned.flags, mod_seq)", "planned.mode, planned.flags)"),
    ),
    "one way on from each heartbeat": (
        NUMBERS,
        76,
        (
            layout,
            "return _BEATS_ON[beat]",
            "b = clock.random_below(2); return ('+', BEATS[b], beat | 1 << b)",
        ),
    ),
    "names drawn for each": (
        TWO,
        0,
        (layout, "drawn.add(left.pop(clock.random_below(len(left))))", "drawn.add(left.pop(0))"),
    ),
}
"""What is taken away: on which server, from which seed on that is noticed, and the pieces of source."""


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard_the_model_notices(guard):
    kind, first, *breaks = GUARDS[guard]
    with broken(*breaks):
        for seed in range(first, first + 100):
            try:
                play_seed(kind, seed, uids=1 + seed % 2)
            except AssertionError:
                return
    pytest.fail("nobody noticed")


def test_a_server_that_lets_two_win_must_not_be_trusted():
    for seed in range(50):
        try:
            play_seed(TWO, seed, uids=1 + seed % 2, trusted=True)
        except AssertionError:
            return
    pytest.fail("nobody noticed")
