"""Whatever happens, the queue sets few keywords; and what it writes can be read."""

import os
import random

import pytest

from modseq.workqueue import claiming, lease
from modseq.workqueue.claiming import Claimant
from modseq.workqueue.layout import (
    KEYWORDS,
    OWNERS,
    SPAN_SECONDS,
    Phase,
    Standing,
    draw_owner,
    next_beat,
    owner_text,
    span_keywords,
    span_number,
)
from modseq.workqueue.lease import Terms
from modseq.workqueue.requests import Look, Seen, Stored
from workqueue.model import PerItem

CLAIMS = int(os.environ.get("MODSEQ_WORK_CLAIMS", "40000"))
BATCH = 200


class Counting:
    """A server that knows only which keywords it was ever asked to keep, and says yes to everything."""

    def __init__(self):
        self.keywords = set()
        self.stores = 0

    def run(self, steps):
        answers = None
        while True:
            try:
                requests = steps.send(answers)
            except StopIteration as end:
                return end.value
            answers = [self.answer(each) for each in requests]

    def answer(self, request):
        assert not isinstance(request, Look)
        self.stores += 1
        if request.mode == "+":
            self.keywords.update(request.flags)
        return Stored(dict.fromkeys(request.uids, self.stores))


def test_any_number_of_claims_by_many_workers_sets_at_most_64_keywords():
    """MODSEQ_WORK_CLAIMS=1000000 takes about half a minute."""
    server, picks = Counting(), random.Random(1)
    claimed = 0
    while claimed < CLAIMS:
        # Another connection, another lease: other names, other spans; messages that were tried often.
        now = float(claimed)
        terms = Terms(
            span_number(picks.uniform(2, 2_592_000)), exact=True, zero=True, now=lambda now=now: now
        )
        me = Claimant(terms, draw_owner())
        tries = picks.randrange(10)
        wanted = {uid: Seen(Standing(tries=tries), 1) for uid in range(claimed, claimed + BATCH)}
        won = server.run(claiming.claim(wanted, me))
        claimed += len(won)
        some = won[:20]
        for hold in some:
            hold.beat_at = -1e9
        server.run(lease.renew(some, terms))
        server.run(lease.release(some[:5], terms, picks.uniform(1, 2_592_000)))
        server.run(lease.finish(some[5:10], terms))
        server.run(lease.finish(some[10:], terms, failed=True))
    assert server.keywords == set(KEYWORDS)
    assert len(KEYWORDS) == len({name.lower() for name in KEYWORDS}) <= 64


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 60, 299.9, 86_400, 2_592_000])
def test_durations_are_rounded_up_by_little(seconds):
    number = span_number(seconds)
    assert seconds <= SPAN_SECONDS[number] <= max(seconds * 1.27, 1 if seconds else 0)
    assert Standing.of(["$claimed", *span_keywords(number)]).span == number


@pytest.mark.parametrize("seconds", [-1, 2_592_001])
def test_durations_that_cannot_be_written(seconds):
    with pytest.raises(ValueError):
        span_number(seconds)


def test_where_two_durations_meet_none_is_shortened():
    for one in range(64):
        for two in range(64):
            both = Standing.of([*span_keywords(one), *span_keywords(two)])
            assert both.span_seconds >= max(SPAN_SECONDS[one], SPAN_SECONDS[two])


def test_no_draw_contains_another():
    drawn = [draw_owner() for _ in range(2_000)]
    assert len({len(each) for each in drawn}) == 1
    assert not any(one < two for one in drawn[:100] for two in drawn)
    assert len(set(drawn)) == len(drawn)
    assert draw_owner(frozenset(OWNERS[:20])) <= set(OWNERS[20:])
    assert draw_owner(frozenset(OWNERS[:30])) is None
    assert owner_text([OWNERS[0], OWNERS[39]]) == "8000000001"


def test_from_one_heartbeat_one_keyword_leads_on():
    flags, beat = set(), 0
    for _ in range(10):
        mode, keyword, following = next_beat(beat)
        (flags.add if mode == "+" else flags.discard)(keyword)
        beat = Standing.of(flags).beat
        assert beat == following != 0


@pytest.mark.parametrize(
    ("flags", "phase"),
    [
        ([], Phase.FREE),
        (["$Claimed"], Phase.FREE),
        (["$Try1", "\\Seen"], Phase.FREE),
        (["$Claimed", "$By03"], Phase.OFFERED),
        (["$CLAIMED", "$by03", "$beat0"], Phase.HELD),
        (["$Claimed", "$Span2"], Phase.PARKED),
        (["$Claimed", "$Done", "$Beat0"], Phase.ENDING),
        (["$Done"], Phase.ENDED),
        (["$Failed"], Phase.ENDED),
        (["$Claimed", "$Beat0", "\\Deleted"], Phase.ENDED),
    ],
)
def test_where_a_message_stands(flags, phase):
    assert Standing.of(flags).phase is phase


def test_two_that_collide_give_way_and_the_message_is_free_at_once():
    """Without the first look both would begin the heartbeat, and it would take a lease until somebody may try again."""
    server = PerItem([1])
    terms = Terms(20, now=lambda: 0.0)
    one, two = (claiming.claim({1: None}, Claimant(terms, draw_owner())) for _ in range(2))
    looks = [each.send(None) for each in (one, two)]
    offers = [each.send([server.look(look)]) for each, (look,) in zip((one, two), looks, strict=True)]
    written = [server.write(offer, [1]) for (offer,) in offers]
    seen = [each.send([answer]) for each, answer in zip((one, two), written, strict=True)]
    given_up = [each.send([server.look(look)]) for each, (look,) in zip((one, two), seen, strict=True)]
    for (withdrawal,) in given_up:
        server.write(withdrawal, [1])
    assert Standing.of(server.flags[1]).phase is Phase.FREE
