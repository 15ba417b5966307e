"""When a message counts as silent."""

import pytest

from modseq.limits import OFFER_SECONDS
from modseq.workqueue.layout import SPAN_SECONDS, Standing
from modseq.workqueue.requests import Seen
from modseq.workqueue.watch import Watch


class TestWatch:
    """Other programs change other flags all the time, and looks are further apart than a heartbeat may be."""

    def due_after(self, standing, *, looks, apart):
        watch = Watch(4.0, draw=lambda _: 0)
        for turn in range(looks):
            # The message has another number each time.
            watch.see(7, Seen(standing, 100 + turn), turn * apart, turn * apart + 0.01)
            if watch.due():
                return turn * apart
        return None

    def test_a_name_without_heartbeat_is_taken_away_all_the_same(self):
        offered = Standing(claimed=True, owner=frozenset({"$By00"}))
        assert self.due_after(offered, looks=9, apart=0.3) == pytest.approx(OFFER_SECONDS, abs=0.31)

    def test_a_delay_passes_all_the_same(self):
        parked = Standing(claimed=True, span=1)
        assert self.due_after(parked, looks=9, apart=0.3) == pytest.approx(SPAN_SECONDS[1], abs=0.31)

    def test_a_heart_that_may_have_beaten_twice_between_two_looks_is_not_silent(self):
        held = Standing(claimed=True, owner=frozenset({"$By00"}), beat=1, span=6)
        assert self.due_after(held, looks=40, apart=0.7) is None
        assert self.due_after(held, looks=40, apart=0.3) is not None
