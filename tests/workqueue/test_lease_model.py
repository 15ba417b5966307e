"""
No message is ever with two workers, and none is lost, whatever interleaves, breaks and dies.

The same protocol runs against a server with numbers for each flag, and against one that lets two win. Each guard is
then taken away, and the model must notice.
"""

import os
import random
from contextlib import ExitStack

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from modseq.workqueue import claiming, layout, lease, watch
from workqueue import model
from workqueue.breaking import broken
from workqueue.model import PerItem, TwoHolders, Windowed, World, keywords_bounded

SETTINGS = {
    "numbers for each flag": (PerItem, {"exact": True, "zero": True}),
    "exact": (PerItem, {"exact": True}),
    "exact but not known to be": (PerItem, {"exact": False}),
    "two can win": (Windowed, {}),
}
WRONG = {"trusted wrongly": (Windowed, {"exact": True})}
SEARCHED = int(os.environ.get("S", "500"))


def play(kind, schedule, *, noise, uids=range(1, 5)):
    make, chosen = (SETTINGS | WRONG)[kind]
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


R1 = """if each.standing.owner == me.owner
        and each.standing.beat == 0
        and each.standing.phase is Phase.OFFERED"""
R2 = "and seen.standing.owner == hold.owner | hold.beneath\n        and not"

GUARDS = {
    "both looks after a claim": (
        "two can win",
        (claiming, R1, "if True"),
        (claiming, R2, "and not"),
        (claiming, "since = max(each.mod_seq for each in alone.values())", "since = None"),
    ),
    "the look after a heartbeat": ("two can win", (claiming, R2, "and not")),
    "the condition of a claim": (
        "numbers for each flag",
        (
            claiming,
            'requests.append(Store(tuple(uids), "+", keywords, since))\n        for uid in uids:\n            me.book[uid] = Hold(',
            'requests.append(Store(tuple(uids), "+", keywords))\n        for uid in uids:\n            me.book[uid] = Hold(',
        ),
    ),
    "waiting for the lease": (
        "exact",
        (watch, "if each.latest - each.since >= each.seconds or each.seconds == 0", "if each.latest >= 0"),
    ),
    "waiting for all of the lease": (
        "exact",
        (
            watch,
            "if each.latest - each.since >= each.seconds or each.seconds == 0",
            "if each.latest - each.since >= each.seconds / 2",
        ),
    ),
    "stopping when the lease is over": (
        "exact",
        (lease, "return self.is_won and now < self.sure_until", "return self.is_won"),
    ),
    "counting from the moment of sending": (
        "exact",
        (
            lease,
            "self.sure_until = max(self.sure_until, sent + sure_seconds)",
            "self.sure_until = self.sure_until + 9",
        ),
    ),
    "the condition of what a holder changes": (
        "exact",
        (lease, "planned.mode, planned.flags, mod_seq)", "planned.mode, planned.flags)"),
    ),
    "the look when it is late": (
        "two can win",
        (lease, "if was_sure or terms.exact or planned.beat is None:", "if True:"),
    ),
    "the gap between two looks": ("exact", (watch, "return now - known.latest <= ", "return now >= ")),
    "names of others when no clock vouches": (
        "exact",
        (lease, "hold.is_sure(now) or standing.owner == hold.owner | hold.beneath", "True"),
    ),
    "forgetting a heartbeat that was refused": (
        "exact but not known to be",
        (lease, "hold.pending = None\n                continue", "continue"),
        (lease, "may_be_ours = hold", "may_be_ours = True or hold"),
    ),
    "one way on from each heartbeat": (
        "exact",
        (
            layout,
            "return _BEATS_ON[beat]",
            "return ('+', BEATS[0], beat | 1) if clock.random_below(2) else ('+', BEATS[1], beat | 2)",
        ),
    ),
    "names drawn for each": (
        "two can win",
        (layout, "drawn.add(left.pop(clock.random_below(len(left))))", "drawn.add(left.pop(0))"),
    ),
    "the word of a server that is not exact": ("trusted wrongly",),
    "settling": ("two can win", (model, "0 if self.terms.exact else SETTLE_SECONDS", "0")),
    "the heartbeat's own number": (
        "exact",
        (claiming, "before.mod_seq if me.terms.exact else seen.mod_seq", "seen.mod_seq"),
        (claiming, "> _seconds_of_one_beat(old, me.terms)", "> 9999"),
    ),
    "looking in time": (
        "exact but not known to be",
        (claiming, "> _seconds_of_one_beat(old, me.terms)", "> 9999"),
    ),
    "no two heartbeats at once": (
        "exact but not known to be",
        (lease, "if hold.beat_at > soonest", "if False"),
    ),
    "new names for a new connection": (
        "two can win",
        (model, "            worker.me.owner = owner\n".strip(), "pass"),
    ),
    "a claim of which the connection broke": (
        "two can win",
        (claiming, "and is_taken(hold, seen.get(hold.uid))", "and hold.uid in seen"),
    ),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard(guard):
    kind, *breaks = GUARDS[guard]
    with ExitStack() as stack:
        for each in breaks:
            stack.enter_context(broken(*each))
        for seed in range(SEARCHED):
            picks = random.Random(seed)
            try:
                play(
                    kind, [picks.getrandbits(16) for _ in range(3_000)], noise=seed % 2 == 1, uids=range(1, 3)
                )
            except (TwoHolders, AssertionError) as e:
                print("SEED", guard, seed, type(e))
                return
    pytest.fail("nobody noticed")
