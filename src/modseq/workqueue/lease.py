"""
Leases: who has a message, and how everybody can be sure of it.

    claim, take_over       (in modseq.workqueue.claiming) make a Hold
    renew                  go on with the heartbeat
    release                give the message back, at once or after a delay
    finish                 write that it is done or given up
    clear                  take the keywords of an ended claim away

The heartbeat is the lock. From each of its states only one way leads on (`layout.next_beat`), and both the holder
that renews and the watcher that takes over must go it, under a condition that fails if the other was first. So on a
server whose conditional STORE is exact nothing else is needed.

A server that lets two win one conditional STORE needs more: whoever claims writes its owner keywords first, looks,
begins the heartbeat only if it sees its own keywords and no others and no heartbeat, and looks again. Of two that do
this at least one writes before the other looks, so never do both see only themselves.

A holder is sure of its message for a part of the lease counted from the moment at which it *sent* its last heartbeat,
by its own clock. Others wait for the whole lease counted from the moment at which they *saw* it, by theirs. Until then
no keyword but the heartbeat matters to a holder; what others write on its message they take away again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from modseq import clock
from modseq.limits import CLAIM_ROUNDS_MAX, LEASE_EXTEND_PART, LEASE_SURE_PART
from modseq.workqueue.layout import (
    BEATS,
    CLAIMED,
    DONE,
    FAILED,
    ON_A_CLAIM,
    SPAN_SECONDS,
    SPANS,
    TRIES,
    Mode,
    next_beat,
    span_keywords,
    span_number,
)
from modseq.workqueue.requests import Seen, Steps, Store, look, stores


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What holds between the workers and their server.

    Attributes:
        span: number of the lease in SPAN_SECONDS.
        exact: the server lets exactly one of any number of conditional STOREs win.
        zero: it honours UNCHANGEDSINCE 0 for each keyword apart.
        now: a clock in seconds that never falls.

    """

    span: int
    exact: bool = False
    zero: bool = False
    now: Callable[[], float] = clock.monotonic_seconds

    @property
    def lease_seconds(self) -> float:
        """How long watchers wait."""
        return SPAN_SECONDS[self.span]

    @property
    def sure_seconds(self) -> float:
        """How long a holder is sure after it sent a heartbeat."""
        return self.lease_seconds * LEASE_SURE_PART


class Fate(Enum):
    """What became of a hold."""

    KEPT = "kept"
    RELEASED = "released"
    ENDED = "ended"
    LOST = "lost"
    """Somebody else may have it: stop working."""
    GONE = "gone"
    """The message is no longer in the mailbox."""
    UNDECIDED = "undecided"
    """Somebody changes other flags faster than we can follow; try again."""


@dataclass(slots=True)
class Hold:
    """
    What a worker knows of a message that it has or tries to get.

    Attributes:
        owner: the owner keywords it wrote, and `beneath`, those of earlier owners that are still there.
        attempt: which attempt this is, from 1.
        mod_seq: at which it last knew the keywords.
        sure_until: by the clock of its terms.
        beat_at: when its last heartbeat was known to be there, by that clock.
        is_won: False while it is being claimed.
        is_known: False while a STORE is under way whose outcome decides what the keywords are.
        is_ended: the work is done or given up (then `is_failed` too), and keywords are still to be cleared.
        pending: the heartbeat that such a STORE brings, and when it was sent.

    """

    uid: int
    owner: frozenset[str]
    beneath: frozenset[str] = frozenset()
    beat: int = 0
    attempt: int = 1
    span: int = 0
    mod_seq: int = 0
    sure_until: float = 0.0
    beat_at: float = 0.0
    is_won: bool = False
    is_known: bool = False
    is_ended: bool = False
    is_failed: bool = False
    pending: tuple[int, float] | None = None

    def is_sure(self, now: float) -> bool:
        """True while nobody else can have the message."""
        return self.is_won and now < self.sure_until

    def settle(self, mod_seq: int, terms: Terms) -> None:
        """Note that the STORE under way was done."""
        self.is_known = True
        self.mod_seq = max(self.mod_seq, mod_seq)
        if self.pending is not None:
            self.beat, sent = self.pending
            self.sure_until = max(self.sure_until, sent + terms.sure_seconds)
            self.beat_at = terms.now()
            self.pending = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The STORE that a change means for one hold, and the heartbeat that it brings."""

    mode: Mode
    flags: tuple[str, ...]
    beat: int | None = None


def renew(holds: Collection[Hold], terms: Terms) -> Steps[dict[int, Fate]]:
    """
    Go on with the heartbeat of messages; return by UID whether each is KEPT.

    One that went on a moment ago is left alone: nobody who looks in time may miss two of its heartbeats.
    """
    soonest = terms.now() - terms.lease_seconds * LEASE_EXTEND_PART

    def plan(hold: Hold) -> Plan:
        mode, keyword, beat = next_beat(hold.beat)
        return Plan(mode, (keyword,), beat)

    fates = {hold.uid: Fate.KEPT for hold in holds if hold.beat_at > soonest}
    fates |= yield from change(plan, Fate.KEPT, [hold for hold in holds if hold.uid not in fates], terms)
    return fates


def release(
    holds: Collection[Hold], terms: Terms, delay_seconds: float = 0, *, is_unstarted: bool = False
) -> Steps[dict[int, Fate]]:
    """
    Give messages back; with a delay nobody gets them before it has passed on the clock of who watches them.

    Return by UID whether each is RELEASED. One whose work was not started was not tried, and is not counted.
    """
    staying = span_keywords(span_number(delay_seconds))
    fates: dict[int, Fate] = {}
    if staying:
        # While the heartbeat stands, a longer span is only a longer lease.
        fates = yield from change(lambda _: Plan("+", staying), Fate.KEPT, holds, terms)
        holds = [hold for hold in holds if fates[hold.uid] is Fate.KEPT]
    kept = {CLAIMED, *staying} if staying else set()

    def plan(hold: Hold) -> Plan:
        names = {CLAIMED, *BEATS, *SPANS, *hold.owner, *hold.beneath}
        if is_unstarted:
            names.add(TRIES[hold.attempt - 1])
        return Plan("-", tuple(sorted(names - kept)))

    fates |= yield from change(plan, Fate.RELEASED, holds, terms)
    return fates


def finish(
    holds: Collection[Hold], terms: Terms, *, failed: bool = False, with_flags: tuple[str, ...] = ()
) -> Steps[dict[int, Fate]]:
    """
    Write that messages are done, or given up; return by UID whether each is ENDED.

    The heartbeat keyword that a watcher would have to touch stands in the same STORE: if somebody took the message
    over, the condition fails, whatever the clocks say.
    """
    mark = FAILED if failed else DONE

    def plan(hold: Hold) -> Plan:
        return Plan("+", (mark, *with_flags, BEATS[1] if hold.beat == 1 else BEATS[0]), 3)

    fates = yield from change(plan, Fate.ENDED, holds, terms)
    for hold in holds:
        if fates[hold.uid] is Fate.ENDED:
            hold.is_ended, hold.is_failed = True, failed
    return fates


def clear(holds: Collection[Hold], terms: Terms, *, keep_claim: bool = False) -> Steps[dict[int, Fate]]:
    """
    Take the keywords of ended claims away; return by UID whether each is RELEASED.

    Args:
        keep_claim: leave the claim itself, for a message that is about to be moved: others let it alone.

    """
    names = tuple(name for name in ON_A_CLAIM if not (keep_claim and name == CLAIMED))
    return (yield from change(lambda _: Plan("-", names), Fate.RELEASED, holds, terms))


def change(
    plan: Callable[[Hold], Plan], success: Fate, holds: Collection[Hold], terms: Terms
) -> Steps[dict[int, Fate]]:
    """Make a change on messages that are held, however often somebody changes other flags of them meanwhile."""
    fates: dict[int, Fate] = {}
    late: set[int] = set()
    for _ in range(CLAIM_ROUNDS_MAX):
        unknown = [hold for hold in holds if hold.uid not in fates and not hold.is_known]
        for uid, fate in (yield from look_again(unknown, terms, success)).items():
            if fate is not Fate.KEPT:
                fates[uid] = fate
            elif uid in late:
                fates[uid] = success
        left = [hold for hold in holds if hold.uid not in fates]
        if not left:
            break
        late = yield from _store(plan, success, left, terms, fates)
    return {hold.uid: fates.get(hold.uid, Fate.UNDECIDED) for hold in holds}


def _store(
    plan: Callable[[Hold], Plan],
    success: Fate,
    holds: Sequence[Hold],
    terms: Terms,
    fates: dict[int, Fate],
) -> Steps[set[int]]:
    """Send the STOREs of a change; return the UIDs of which only another look can tell whether they are ours."""
    groups: dict[tuple[Plan, int], list[Hold]] = defaultdict(list)
    now = terms.now()
    for hold in holds:
        planned = plan(hold)
        groups[planned, hold.mod_seq].append(hold)
        hold.is_known = False
        if planned.beat is not None:
            hold.pending = (planned.beat, now)
    requests = [
        Store(tuple(hold.uid for hold in group), planned.mode, planned.flags, mod_seq)
        for (planned, mod_seq), group in groups.items()
    ]
    late = set()
    answers = yield from stores(requests)
    for ((planned, _), group), answer in zip(groups.items(), answers, strict=True):
        for hold in group:
            if hold.uid in answer.modified:
                hold.pending = None
                continue
            if hold.uid not in answer.applied:
                fates[hold.uid] = Fate.GONE
                continue
            if hold.is_sure(terms.now()) or terms.exact or planned.beat is None:
                hold.settle(answer.applied[hold.uid], terms)
                fates[hold.uid] = success
            else:
                # Too late to rely on the clock, and the server's word is not enough: who was not sure before the look
                # must not be by this heartbeat.
                late.add(hold.uid)
    return late


def look_again(holds: Collection[Hold], terms: Terms, success: Fate = Fate.KEPT) -> Steps[dict[int, Fate]]:
    """
    Find out whether messages are still held, after a refusal or a reply that never came.

    Args:
        holds: those to look at.
        terms: what holds between the workers.
        success: what was tried with them; it may prove to have happened.

    """
    seen = yield from look([hold.uid for hold in holds])
    now = terms.now()
    return {hold.uid: _judge(hold, seen.get(hold.uid), terms, now, success) for hold in holds}


def _judge(hold: Hold, seen: Seen | None, terms: Terms, now: float, success: Fate) -> Fate:
    if seen is None:
        return Fate.GONE
    standing = seen.standing
    # While a clock vouches for it nobody but its holder goes on with the heartbeat. After that it is ours only if nobody
    # else has written a name on it.
    may_be_ours = hold.is_sure(now) or standing.owner == hold.owner | hold.beneath
    if may_be_ours and hold.pending is not None and standing.beat == hold.pending[0]:
        hold.settle(seen.mod_seq, terms)
    hold.pending = None
    if success is Fate.ENDED and (standing.done or standing.failed):
        # Somebody who took it over has begun another attempt, or stands beside us with a name.
        is_by_us = standing.tries <= hold.attempt and standing.owner <= hold.owner | hold.beneath
        return Fate.ENDED if is_by_us else Fate.LOST
    is_ours = may_be_ours and standing.beat == hold.beat != 0 and not standing.deleted
    if is_ours and hold.is_ended == (standing.done or standing.failed):
        hold.mod_seq, hold.is_known = seen.mod_seq, True
        return Fate.KEPT
    return Fate.RELEASED if success is Fate.RELEASED else Fate.LOST
