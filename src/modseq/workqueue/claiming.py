"""
Getting a message: the claim of one that is free, the take-over of one whose holder is silent.

RFC: 7162 section 3.1.3
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modseq.limits import LEASE_EXTEND_PART, WORK_ATTEMPTS_MAX
from modseq.workqueue.layout import (
    BEATS,
    CLAIMED,
    SPANS,
    TRIES,
    Phase,
    Standing,
    draw_owner,
    next_beat,
    span_keywords,
)
from modseq.workqueue.lease import Fate, Hold, Plan, Terms, change
from modseq.workqueue.requests import Seen, Steps, Store, look, stores

CLAIMABLE = (Phase.FREE, Phase.PARKED)


@dataclass(slots=True)
class Counts:
    """
    What claiming cost.

    Attributes:
        asked: messages that a claim was sent for.
        won: those that were got.
        refused: those that the server refused.
        doubled: those that the server gave to more than one, which the look afterwards found out.

    """

    asked: int = 0
    won: int = 0
    refused: int = 0
    doubled: int = 0


@dataclass(slots=True)
class Claimant:
    """
    One connection of a worker, as it stands for the others.

    Attributes:
        terms: what holds between the workers and their server.
        owner: the keywords that it writes on what it claims: drawn anew for each connection, so that what was
            written on an earlier one, and comes late, is never taken for its own.
        book: by UID what it holds, or has asked for and not been answered. Entered before anything is sent: a
            connection that breaks leaves a trace.
        counts: what claiming cost.

    """

    terms: Terms
    owner: frozenset[str]
    book: dict[int, Hold] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)


def claim(wanted: Mapping[int, Seen | None], me: Claimant) -> Steps[list[Hold]]:
    """
    Claim free messages, and parked ones whose delay has passed; return those that were got.

    Args:
        wanted: by UID what was seen of each; None for one that a search showed to be without the queue's
            keywords, which is enough on a server that honours UNCHANGEDSINCE 0.
        me: who claims.

    """
    clean = [uid for uid, seen in wanted.items() if seen is None]
    if me.terms.exact and me.terms.zero:
        known = {uid: seen for uid, seen in wanted.items() if seen is not None}
    else:
        # One look for all, so that one condition fits all.
        now_seen = yield from look(wanted)
        known = {
            uid: seen
            for uid, seen in now_seen.items()
            if (before := wanted[uid]) is None or before.standing == seen.standing
        }
        clean = []
    known = {uid: seen for uid, seen in known.items() if seen.standing.phase in CLAIMABLE}
    me.counts.asked += len(known) + len(clean)
    if me.terms.exact:
        return (yield from _claim_exactly(known, clean, me))
    return (yield from _claim_and_look(known, me))


def _claim_exactly(known: Mapping[int, Seen], clean: Collection[int], me: Claimant) -> Steps[list[Hold]]:
    """Claim with one conditional STORE, of which exactly one wins: it begins the heartbeat too."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for uid in clean:
        groups[0, 0].append(uid)
    for uid, seen in known.items():
        # A test-and-set where nothing is set; otherwise the claim itself may be left from before.
        is_clean = me.terms.zero and seen.standing.phase is Phase.FREE and not seen.standing.claimed
        groups[seen.standing.tries, 0 if is_clean else seen.mod_seq].append(uid)
    sent = me.terms.now()
    requests = []
    for (tries, since), uids in groups.items():
        keywords = (CLAIMED, *sorted(me.owner), BEATS[0], *_attempt(tries), *span_keywords(me.terms.span))
        requests.append(Store(tuple(uids), "+", keywords, since))
        for uid in uids:
            me.book[uid] = Hold(uid, me.owner, attempt=min(tries + 1, WORK_ATTEMPTS_MAX), pending=(1, sent))
    won = []
    answers = yield from stores(requests)
    for request, answer in zip(requests, answers, strict=True):
        me.counts.refused += len(answer.modified)
        for uid in request.uids:
            if uid in answer.applied:
                hold = me.book[uid]
                hold.settle(answer.applied[uid], me.terms)
                hold.is_won = True
                won.append(hold)
            else:
                del me.book[uid]
    me.counts.won += len(won)
    yield from _trim_spans([hold for hold in won if hold.uid in known], known, me.terms)
    return won


def _claim_and_look(known: Mapping[int, Seen], me: Claimant) -> Steps[list[Hold]]:
    """Claim where the server's word is not enough: write a name, look, begin the heartbeat, look again."""
    if not known:
        return []
    sent = me.terms.now()
    for uid in known:
        me.book[uid] = Hold(uid, me.owner)
    # All were seen at one moment: what changes later gets a number above all of theirs.
    since = max(seen.mod_seq for seen in known.values())
    offer = Store(tuple(sorted(known)), "+", (CLAIMED, *sorted(me.owner)), since)
    (offered,) = yield from stores([offer])
    me.counts.refused += len(offered.modified)
    for uid in set(known) - set(offered.applied):
        del me.book[uid]
    seen = yield from look(offered.applied)
    alone = {
        uid: each
        for uid, each in seen.items()
        if each.standing.owner == me.owner
        and each.standing.beat == 0
        and each.standing.phase is Phase.OFFERED
    }
    me.counts.doubled += sum(
        not known[uid].standing.claimed for uid in seen if uid not in alone and uid in offered.applied
    )
    yield from withdraw([me.book.pop(uid) for uid in offered.applied if uid not in alone])
    if me.terms.now() - sent > me.terms.sure_seconds:
        yield from withdraw([me.book.pop(uid) for uid in alone])
        return []
    return (yield from _begin(alone, me))


def _begin(alone: Mapping[int, Seen], me: Claimant) -> Steps[list[Hold]]:
    """Begin the heartbeat of messages that show nobody else's name, and look whether that is still so."""
    if not alone:
        return []
    groups: dict[int, list[int]] = defaultdict(list)
    for uid, each in alone.items():
        groups[each.standing.tries].append(uid)
    since = max(each.mod_seq for each in alone.values())
    sent = me.terms.now()
    requests = []
    for tries, uids in groups.items():
        keywords = (BEATS[0], *_attempt(tries), *span_keywords(me.terms.span))
        requests.append(Store(tuple(uids), "+", keywords, since))
        for uid in uids:
            me.book[uid].pending = (1, sent)
            me.book[uid].attempt = min(tries + 1, WORK_ATTEMPTS_MAX)
    answers = yield from stores(requests)
    applied = {uid for answer in answers for uid in answer.applied}
    seen = yield from look(applied)
    won, lost = [], []
    for uid in alone:
        hold = me.book[uid]
        if uid in applied and is_taken(hold, seen.get(uid)):
            hold.settle(seen[uid].mod_seq, me.terms)
            hold.is_won = True
            won.append(hold)
        else:
            lost.append(me.book.pop(uid))
    me.counts.won += len(won)
    me.counts.doubled += sum(hold.uid in applied and hold.uid in seen for hold in lost)
    yield from withdraw(lost)
    yield from _trim_spans(won, seen, me.terms)
    return won


def is_taken(hold: Hold, seen: Seen | None) -> bool:
    """
    True when the look after a first heartbeat, or after the one that took over, shows only this holder.

    And what was to be worked at must not be done meanwhile.
    """
    return (
        seen is not None
        and hold.pending is not None
        and seen.standing.beat == hold.pending[0]
        and seen.standing.owner == hold.owner | hold.beneath
        and (seen.standing.done or seen.standing.failed) == hold.is_ended
        and not seen.standing.deleted
    )


def take_over(uid: int, before: Seen, seen_at: float, me: Claimant) -> Steps[Hold | None]:
    """
    Take a message over whose keywords did not change for as long as its holder's lease says.

    Its old owner's keywords stay until this one is sure: what several write beside each other none of them misses.
    A message that is ending is taken over so that it is cleared or moved; that is no attempt.

    Args:
        uid: of the message.
        before: what it showed all the time, lastly at `seen_at`.
        seen_at: by the clock of the terms.
        me: who takes over.

    """
    old = before.standing
    owner = draw_owner(old.owner)
    if owner is None:
        # So many have tried and died that names run out. The heartbeat stays, so nobody else gets it by this.
        yield from stores([Store((uid,), "-", tuple(sorted(old.owner)), before.mod_seq)])
        return None
    mode, keyword, beat = next_beat(old.beat)
    is_ending = old.phase is Phase.ENDING
    hold = me.book[uid] = Hold(
        uid,
        owner,
        old.owner,
        is_ended=is_ending,
        is_failed=old.failed,
        attempt=min(old.tries + (not is_ending), WORK_ATTEMPTS_MAX),
    )
    me.counts.asked += 1
    (offered,) = yield from stores([Store((uid,), "+", (CLAIMED, *sorted(owner)), before.mod_seq)])
    seen = (yield from look([uid])).get(uid) if uid in offered.applied else None
    if (
        seen is None
        or seen.standing != replace(old, owner=owner | old.owner, claimed=True)
        or me.terms.now() - seen_at > _seconds_of_one_beat(old, me.terms)
    ):
        me.counts.refused += 1
        del me.book[uid]
        yield from withdraw([hold] if offered.applied else [])
        return None
    hold.pending = (beat, me.terms.now())
    # Where every keyword has a number of its own the heartbeat must be as old as it was when it was watched. Elsewhere
    # the message has a new number, from the name just written.
    since = before.mod_seq if me.terms.exact else seen.mod_seq
    (stepped,) = yield from stores([Store((uid,), mode, (keyword,), since)])
    seen = (yield from look([uid])).get(uid) if uid in stepped.applied else None
    if seen is None or not is_taken(hold, seen):
        me.counts.refused += 1
        del me.book[uid]
        yield from withdraw([hold])
        return None
    hold.settle(seen.mod_seq, me.terms)
    hold.is_won = True
    me.counts.won += 1
    return hold if (yield from _move_in(hold, me)) else None


def _seconds_of_one_beat(standing: Standing, terms: Terms) -> float:
    """Return a time in which a holder cannot have gone on twice, which could look as if it had not at all."""
    return (standing.span_seconds or terms.lease_seconds) * LEASE_EXTEND_PART


def _move_in(hold: Hold, me: Claimant) -> Steps[bool]:
    """
    Write what belongs to a message taken over: attempt and lease; take the old owner's keywords away.

    Return False when the message went meanwhile; it is in no book then.
    """
    spans = span_keywords(me.terms.span)
    adding = spans + (() if hold.is_ended else _attempt(hold.attempt - 1))
    removing = tuple(sorted(hold.beneath | (set(SPANS) - set(spans))))
    fates = yield from change(lambda _: Plan("+", adding), Fate.KEPT, [hold], me.terms)
    if fates[hold.uid] is Fate.KEPT:
        fates = yield from change(lambda _: Plan("-", removing), Fate.KEPT, [hold], me.terms)
        hold.beneath = frozenset()
    if fates[hold.uid] in (Fate.KEPT, Fate.UNDECIDED):
        return True
    me.book.pop(hold.uid, None)
    return False


def _trim_spans(won: Sequence[Hold], before: Mapping[int, Seen], terms: Terms) -> Steps[None]:
    """Take away what is left of a delay, which would only make the lease look longer than it is."""
    extras = {hold.uid: before[hold.uid].standing.span & ~terms.span for hold in won}
    trimmed = [hold for hold in won if extras[hold.uid]]
    yield from change(lambda hold: Plan("-", span_keywords(extras[hold.uid])), Fate.KEPT, trimmed, terms)


def withdraw(holds: Sequence[Hold]) -> Steps[None]:
    """Take one's own name off messages that were not got."""
    groups: dict[frozenset[str], list[int]] = defaultdict(list)
    for hold in holds:
        groups[hold.owner].append(hold.uid)
    yield from stores([Store(tuple(uids), "-", tuple(sorted(owner))) for owner, uids in groups.items()])


def tidy(uid: int, before: Seen) -> Steps[None]:
    """Take names off a message that nobody finished to claim, so that it is free again."""
    yield from stores([Store((uid,), "-", tuple(sorted(before.standing.owner)), before.mod_seq)])


def settle_claims(me: Claimant) -> Steps[None]:
    """
    Find out, on a new connection, which of the claims under way on the old one were won; the book then tells.

    The keywords of the old connection tell: no other claim was ever written with them.
    """
    open_claims = [hold for hold in me.book.values() if not hold.is_won]
    seen = yield from look([hold.uid for hold in open_claims])
    lost = []
    for hold in open_claims:
        pending = hold.pending
        if (
            pending
            and is_taken(hold, seen.get(hold.uid))
            and me.terms.now() < pending[1] + me.terms.sure_seconds
        ):
            hold.settle(seen[hold.uid].mod_seq, me.terms)
            hold.is_won = True
        else:
            del me.book[hold.uid]
            lost.append(hold)
    yield from withdraw([hold for hold in lost if hold.uid in seen])
    for hold in [hold for hold in me.book.values() if hold.beneath and not hold.is_ended]:
        yield from _move_in(hold, me)


def probe_zero(hold: Hold, terms: Terms) -> Steps[bool]:
    """
    Try on a message that is held whether UNCHANGEDSINCE 0 looks only at the keywords named.

    It must refuse a keyword that is set, and let one pass that is not, although the message has changed.
    """
    unused = [name for bit, name in enumerate(SPANS) if not terms.span >> bit & 1]
    if not unused:
        return False
    hold.is_known = False
    there, absent = yield from stores(
        [Store((hold.uid,), "+", (CLAIMED,), 0), Store((hold.uid,), "+", (unused[0],), 0)]
    )
    yield from change(lambda _: Plan("-", (unused[0],)), Fate.KEPT, [hold], terms)
    return hold.uid in there.modified and hold.uid in absent.applied


def _attempt(tries: int) -> tuple[str, ...]:
    return TRIES[tries : tries + 1]
