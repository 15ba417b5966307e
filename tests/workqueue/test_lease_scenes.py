"""
Scenes in which one guard of the protocol decides, told step by step; chance would meet them once in many thousands.

Each is played as it is, and ends well; and without its guard, and two workers have one message.
"""

import dataclasses

import pytest

from modseq import clock
from modseq.limits import LEASE_EXTEND_PART
from modseq.workqueue import claiming, lease
from modseq.workqueue.layout import BEATS, CLAIMED
from modseq.workqueue.requests import Store
from workqueue.breaking import broken
from workqueue.model import TwoHolders, World
from workqueue.test_lease_model import CAREFUL, NUMBERS, SETTINGS, TWO, Seeded

UID = 1


class Scene(World):
    """A world in which nothing happens by chance."""

    def __init__(self, kind):
        make, chosen = SETTINGS[kind]
        super().__init__(make([UID]), iter([]), workers=3, **chosen)
        self.ann, self.ben, self.eve = self.workers

    def begin(self, worker, steps):
        """Send the first requests of a step; whatever the worker did before is over."""
        worker.steps, worker.waiting = steps, 0
        worker.line.answers.clear()
        self._send(worker, None)

    def serve(self, worker, count=1):
        """Have the server do so much of what was sent on the worker's connection; comparing and writing are two."""
        for _ in range(count):
            self._serve(worker.line)
            self.check()

    def whole(self, worker, steps):
        """Go through a step without anybody coming between."""
        self._to_end(worker, steps)
        self.check()

    def claim(self, worker):
        self.whole(worker, self.look(worker))
        assert worker.sure_of() == {UID}

    def look(self, worker):
        """Look around, and claim or take over what there is."""
        return self._look_around(worker, 255)

    def renew(self, worker):
        return lease.renew(list(worker.me.book.values()), worker.me.terms)

    def cut(self, worker, *, kept, names=True):
        """Cut a worker's connection; so many of its requests are carried out later, or none."""
        line, owner = worker.line, worker.me.owner
        self.choices = iter([kept])
        self._break(worker, crash=False)
        if not names:
            worker.me.owner = owner
        return line

    def settle(self, worker, *, pause=True):
        """Find out on the new connection what became of claims."""
        if pause:
            self.pass_time(max(0.0, worker.resume_at - self.now))
        self.whole(worker, worker.steps)

    def go_to(self, worker, mode, keyword):
        """Have everything happen up to a STORE of a keyword, which is sent and waits."""
        while not any(
            isinstance(each, Store) and each.mode == mode and keyword in each.flags
            for each in worker.line.requests
        ):
            while worker.line.requests:
                self.serve(worker)
            assert worker.steps is not None, "the step ended before"
            self.advance(worker)

    def finish(self, worker):
        """Bring what a worker is in to its end; return what it came to."""
        while worker.steps is not None:
            while worker.line.requests:
                self.serve(worker)
            self.advance(worker)
        self.check()
        return worker.outcome

    def ended(self, worker):
        """Acknowledge; return whether the worker is told that this was written down."""
        self.whole(worker, lease.finish([worker.me.book[UID]], worker.me.terms))
        return worker.outcome[UID] is lease.Fate.ENDED

    def watch_until_due(self, worker):
        """Look at the message until the next look shows that its holder was silent for long enough."""
        self.whole(worker, self.look(worker))
        while self.now < worker.watch.next_look():
            self.pass_time(0.5)
            if self.now < worker.watch.next_look():
                self.whole(worker, self.look(worker))

    def look_often(self, worker, seconds):
        """Look again and again, for some leases."""
        end = self.now + 3 * self.terms.lease_seconds
        while self.now < end:
            self.whole(worker, self.look(worker))
            self.pass_time(seconds)


def beaten_once(scene):
    """Ann has a message, and has gone on with its heartbeat: two more look like none."""
    scene.claim(scene.ann)
    scene.pass_time(1.0)
    scene.whole(scene.ann, scene.renew(scene.ann))


def name_on_its_way(scene):
    """Ann is silent for so long that Ben begins to take over; his name is sent, and not there yet."""
    scene.watch_until_due(scene.ben)
    scene.begin(scene.ben, scene.look(scene.ben))
    scene.go_to(scene.ben, "+", CLAIMED)


def unseen_by_name(scene, steps):
    """Ann sends something before Ben's name is written: the server compares it and Ben's heartbeat before it writes one."""
    scene.begin(scene.ann, steps)
    scene.serve(scene.ann)
    scene.go_to(scene.ben, "+", BEATS[1])
    scene.serve(scene.ben)


def unanswered_claim(scene):
    """Ann's claim is lost with her connection, and Ben is faster than she is back."""
    scene.begin(scene.ann, scene.look(scene.ann))
    scene.go_to(scene.ann, "+", CLAIMED)
    scene.cut(scene.ann, kept=0)
    scene.claim(scene.ben)
    scene.settle(scene.ann)


def claim_that_comes_late(scene, *, names=True):
    """A claim of Ann's old connection is carried out when she has forgotten it, and a newer one of hers is lost."""
    ann = scene.ann
    scene.begin(ann, scene.look(ann))
    scene.go_to(ann, "+", CLAIMED)
    stale = scene.cut(ann, kept=1, names=names)
    scene.settle(ann)
    scene.begin(ann, scene.look(ann))
    scene.serve(ann)
    scene._serve(stale)
    scene.whole(scene.ben, scene.look(scene.ben))
    scene.pass_time(4.0)
    # Ann still believes what she saw four seconds ago.
    scene.advance(ann)
    scene.cut(ann, kept=0, names=names)
    scene.settle(ann)
    scene.look_often(scene.ben, 0.1)


def two_heartbeats_at_once(scene):
    """Ann is asked to renew twice in a row, each time that Ben has just looked."""
    ann, ben = scene.ann, scene.ben
    beaten_once(scene)
    for _ in range(12):
        scene.whole(ben, scene.look(ben))
        scene.pass_time(scene.terms.lease_seconds * LEASE_EXTEND_PART * 0.95)
        scene.whole(ann, scene.renew(ann))
        scene.whole(ann, scene.renew(ann))


def renewal_beside_a_take_over(scene):
    """Ann comes late, Ben takes over: the server compares the heartbeats of both before it writes one."""
    scene.claim(scene.ann)
    name_on_its_way(scene)
    unseen_by_name(scene, scene.renew(scene.ann))
    scene.finish(scene.ann)
    scene.finish(scene.ben)


def release_that_is_written_late(scene, *, pause=True):
    """A release of Ann's old connection is compared, and written when Ben has the message."""
    ann, ben = scene.ann, scene.ben
    scene.claim(ann)
    scene.begin(ann, lease.release([ann.me.book[UID]], ann.me.terms))
    scene.serve(ann)
    stale = scene.cut(ann, kept=1)
    scene.settle(ann, pause=pause)
    scene.whole(ann, lease.release([ann.me.book.pop(UID)], ann.me.terms))
    scene.claim(ben)
    if stale.requests:
        scene._serve(stale)
    scene.look_often(scene.eve, 0.2)


def heartbeats_of_a_fast_clock(scene):
    """Ann's clock runs so fast that two of her heartbeats hide from Ben. On an exact server no clock decides."""
    scene.ann.me.terms = dataclasses.replace(scene.terms, now=lambda: scene.now * 50)
    take_over_that_comes_late(scene, seconds=0.03)


def take_over_that_comes_late(scene, seconds=1.0):
    """Ben decides that Ann is silent, and is not scheduled for two of her heartbeats."""
    beaten_once(scene)
    name_on_its_way(scene)
    for _ in range(2):
        scene.whole(scene.ann, scene.renew(scene.ann))
        scene.pass_time(seconds)
    scene.finish(scene.ben)


def acknowledgement_that_is_lost(scene):
    """Ann's acknowledgement is lost with her connection; when she is back Ben has done the work again."""
    ann, ben = scene.ann, scene.ben
    scene.claim(ann)
    scene.begin(ann, lease.finish([ann.me.book[UID]], ann.me.terms))
    scene.cut(ann, kept=0)
    while UID not in ben.sure_of():
        scene.whole(ben, scene.look(ben))
        scene.pass_time(0.5)
    done_by_ben = scene.ended(ben)
    scene.settle(ann)
    return scene.ended(ann), done_by_ben


def acknowledgement_beside_a_take_over(scene):
    """Ann comes late with her acknowledgement, Ben takes over: both of their STOREs are compared before one is written."""
    ann, ben = scene.ann, scene.ben
    scene.claim(ann)
    name_on_its_way(scene)
    unseen_by_name(scene, lease.finish([ann.me.book[UID]], ann.me.terms))
    fates = scene.finish(ann)
    scene.finish(ben)
    return fates[UID] is lease.Fate.ENDED, UID in ben.sure_of()


SETTLED = """and is_taken(hold, seen.get(hold.uid))
            and me.terms.now()"""
LATE = "if hold.is_sure(terms.now()) or terms.exact or planned.beat is None:"
SOONEST = "if hold.beat_at > soonest}"
OWN_NUMBER = "since = before.mod_seq if me.terms.exact else seen.mod_seq"
ONE_BEAT = "or me.terms.now() - seen_at > _seconds_of_one_beat(old, me.terms)"

SCENES = {
    "the look at a claim that was not answered": (
        NUMBERS,
        unanswered_claim,
        (claiming, SETTLED, "and me.terms.now()"),
    ),
    "the look at a heartbeat that came late": (
        TWO,
        renewal_beside_a_take_over,
        (lease, LATE, "if True:"),
    ),
    "the time between two heartbeats": (
        NUMBERS,
        two_heartbeats_at_once,
        (lease, SOONEST, "if False}"),
    ),
    "the heartbeat's own number": (
        NUMBERS,
        heartbeats_of_a_fast_clock,
        (claiming, OWN_NUMBER, "since = seen.mod_seq"),
    ),
    "the time of a take-over": (
        CAREFUL,
        take_over_that_comes_late,
        (claiming, ONE_BEAT, "or False"),
    ),
}
"""The guard that decides, on which server, in which scene, and the piece of source that is the guard."""


@pytest.fixture(autouse=True)
def seeded():
    before = clock.use(Seeded(1))
    yield
    clock.use(before)


@pytest.mark.parametrize("guard", SCENES)
def test_the_scene_ends_well(guard):
    kind, play, _ = SCENES[guard]
    play(Scene(kind))


@pytest.mark.parametrize("guard", SCENES)
def test_without_its_guard_two_have_the_message(guard):
    kind, play, taken_away = SCENES[guard]
    with broken(taken_away), pytest.raises(TwoHolders):
        play(Scene(kind))


def test_names_of_its_own_for_each_connection():
    claim_that_comes_late(Scene(NUMBERS))
    with pytest.raises(TwoHolders):
        claim_that_comes_late(Scene(NUMBERS), names=False)


def test_the_pause_before_a_new_connection_looks():
    release_that_is_written_late(Scene(TWO))
    with pytest.raises(TwoHolders):
        release_that_is_written_late(Scene(TWO), pause=False)


@pytest.mark.parametrize("kind", [NUMBERS, TWO])
def test_of_two_that_did_the_work_one_is_told_that_it_is_written_down(kind):
    assert acknowledgement_that_is_lost(Scene(kind)) == (False, True)
    taken_away = (lease, "standing.tries <= hold.attempt and standing.owner <=", "True or standing.owner <=")
    with broken(taken_away):
        assert acknowledgement_that_is_lost(Scene(kind)) == (True, True)


def test_what_is_done_while_it_is_taken_over_is_not_done_again():
    assert acknowledgement_beside_a_take_over(Scene(TWO)) == (False, False)
    by_name = (lease, "and standing.owner <= hold.owner | hold.beneath", "")
    with broken(by_name):
        assert acknowledgement_beside_a_take_over(Scene(TWO)) == (True, False)
    is_done = (claiming, "and (seen.standing.done or seen.standing.failed) == hold.is_ended\n", "")
    with broken(is_done):
        assert acknowledgement_beside_a_take_over(Scene(TWO)) == (False, True)
