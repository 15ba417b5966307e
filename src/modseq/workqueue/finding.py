"""
Finding work: what is free, what was tried before, and what others hold too silently.

A mailbox may hold a million messages and the queue a handful, so the server searches. What it found is taken from a
place of its own for each worker: who all begin at the head fight over each message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from modseq import client as imap
from modseq import clock
from modseq.client.events import Event
from modseq.core.numset import NumSet
from modseq.limits import LEASE_LOOK_PART, LOOK_AGAIN_SECONDS_MIN, PREFETCH_SECONDS
from modseq.wire.response_values import Exists, MessageData
from modseq.workqueue.claiming import CLAIMABLE
from modseq.workqueue.layout import CLAIMED, DONE, FAILED, TRIES, Phase
from modseq.workqueue.lease import Terms
from modseq.workqueue.performing import carry_out
from modseq.workqueue.requests import Seen, look
from modseq.workqueue.settings import Settings
from modseq.workqueue.watch import Watch

_OPEN = f"UNKEYWORD {DONE} UNKEYWORD {FAILED} UNDELETED"


@dataclass(slots=True)
class Finds:
    """
    What there is to do.

    Attributes:
        free: messages to claim; with what was seen of them, or None where a search vouches for them.
        due: messages whose holder is silent, as they were last seen, and when.

    """

    free: dict[int, Seen | None] = field(default_factory=dict)
    due: dict[int, tuple[Seen, float]] = field(default_factory=dict)


class Finder:
    """Where the next messages come from."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._watch = Watch(settings.lease_seconds)
        self._flagged: deque[int] = deque()
        self._fresh: deque[int] = deque()
        self._tried: deque[int] = deque()
        # Names without a claim: left by one who died when somebody else gave the message back.
        self._strays: set[int] = set()
        self._search_at = 0.0
        self._searched_at = 0.0
        self._look_at = 0.0
        self._handed_out_at: deque[float] = deque(maxlen=settings.claims_max)
        self._must_look = True

    def start_over(self) -> None:
        """Search anew: the connection is."""
        for each in (self._flagged, self._fresh, self._tried):
            each.clear()
        self.look_now()

    def heard(self, event: Event) -> bool:
        """Take note of an event; return whether there may be work."""
        if isinstance(event, Exists):
            self._search_at = 0.0
            return True
        if isinstance(event, MessageData) and event.flags is not None and CLAIMED not in event.flags:
            # Somebody gave a message back, or flagged one.
            self._search_at = min(self._search_at, self._searched_at + LOOK_AGAIN_SECONDS_MIN)
            return True
        return False

    def look_now(self) -> None:
        """Search and look before anything else."""
        self._search_at = self._look_at = 0.0

    def look_soon(self) -> None:
        """Look at what is claimed sooner than planned: something there may have come free."""
        soon = clock.monotonic_seconds() + LOOK_AGAIN_SECONDS_MIN * (0.2 + clock.random_below(1_000) / 1_000)
        self._look_at = min(self._look_at, soon)
        self._must_look = True
        self._search_at = min(self._search_at, soon)

    def next_moment(self, now: float) -> float:
        """Return when there is a reason to look for work."""
        if self._flagged or self._fresh or self._tried:
            return now
        return min(self._search_at, self._look_at)

    def is_empty(self) -> bool:
        """Return whether nothing was found that is free, or will be when its delay is over."""
        waiting = (each.standing.phase for each in self._watch.holders().values())
        return not (self._flagged or self._fresh or self._tried or self._must_look) and not any(
            phase in (*CLAIMABLE, Phase.OFFERED) for phase in waiting
        )

    def handed_out(self) -> None:
        """Take note that a message went to a worker, which tells how fast they are needed."""
        self._handed_out_at.append(clock.monotonic_seconds())

    def ahead(self, busy: int) -> int:
        """Return how many messages to hold ready: what the workers take in a moment, none where they take long."""
        since = clock.monotonic_seconds() - PREFETCH_SECONDS
        return max(0, sum(at >= since for at in self._handed_out_at) - max(0, busy - 1))

    def learned(self, asked: Collection[int], won: Collection[int], refused: int) -> None:
        """Take note of how a claim went: where others were faster we go on elsewhere."""
        if len(won) == len(asked):
            return
        if refused * 2 > len(asked):
            self._fresh.rotate(-clock.random_below(len(self._fresh) or 1))
        self.look_soon()

    async def find(self, client: imap.Client, wanted: int, held: Mapping[int, object], terms: Terms) -> Finds:
        """
        Return up to so many messages to claim, and those whose holders are silent.

        Where none are wanted these are only those that nobody would have to work at.
        """
        finds = Finds()
        now = clock.monotonic_seconds()
        if now >= self._search_at and (not self._fresh or now >= self._searched_at + LOOK_AGAIN_SECONDS_MIN):
            await self._search(client)
        if now >= self._look_at:
            await self._look(client, held)
        for uid, (seen, seen_at) in self._watch.due().items():
            if uid in held:
                self._watch.forget(uid)
            elif seen.standing.phase in CLAIMABLE:
                if len(finds.free) < wanted:
                    finds.free[uid] = seen
                    self._watch.forget(uid)
            elif wanted or seen.standing.phase is not Phase.HELD:
                finds.due[uid] = seen, seen_at
                self._watch.forget(uid)
        tried: list[int] = []
        for source in (self._flagged, self._tried, self._fresh):
            while source and len(finds.free) + len(tried) < wanted:
                uid = source.popleft()
                if uid in held or uid in finds.free:
                    continue
                if source is self._tried or not terms.zero:
                    tried.append(uid)
                else:
                    finds.free[uid] = None
        if tried:
            seen_now = await carry_out(client, look(tried))
            strays = {uid for uid, each in seen_now.items() if each.standing.phase is Phase.OFFERED}
            if strays - self._strays:
                self.look_soon()
            self._strays |= strays
            finds.free |= {
                uid: seen_now[uid]
                for uid in tried
                if uid in seen_now and seen_now[uid].standing.phase is Phase.FREE
            }
        return finds

    async def _search(self, client: imap.Client) -> None:
        """Ask for everything that is free; what is flagged comes first, then what was tried before."""
        free = f"UNKEYWORD {CLAIMED} {_OPEN} {self._settings.criteria}"
        async with client.pipeline() as batch:
            tried = batch.search(f"KEYWORD {TRIES[0]} {free}")
            flagged = batch.search(f"FLAGGED UNKEYWORD {TRIES[0]} {free}")
            fresh = batch.search(f"UNFLAGGED UNKEYWORD {TRIES[0]} {free}")
        self._tried = _from_anywhere(tried.result.uids)
        self._flagged = _from_anywhere(flagged.result.uids)
        self._fresh = _from_anywhere(fresh.result.uids)
        self._searched_at = clock.monotonic_seconds()
        self._search_at = self._searched_at + self._settings.poll_seconds

    async def _look(self, client: imap.Client, held: Mapping[int, object]) -> None:
        """Look at what is claimed by others, or was and is not cleared."""
        self._must_look = False
        found = await client.search(f"KEYWORD {CLAIMED} UNDELETED")
        uids = [uid for uid in self._strays.union(found.uids) if uid not in held]
        asked_at = clock.monotonic_seconds()
        seen = await carry_out(client, look(uids))
        now = clock.monotonic_seconds()
        self._watch.keep_only(seen)
        self._strays = {
            uid for uid in self._strays & seen.keys() if seen[uid].standing.phase is Phase.OFFERED
        }
        for uid, each in seen.items():
            if uid not in held and each.standing.phase is not Phase.ENDED:
                self._watch.see(uid, each, asked_at, now)
        soonest = self._watch.next_look()
        self._look_at = now + self._settings.lease_seconds * LEASE_LOOK_PART
        if soonest is not None:
            self._look_at = min(self._look_at, max(soonest, now + LOOK_AGAIN_SECONDS_MIN))


def _from_anywhere(uids: NumSet) -> deque[int]:
    """Return messages in order, beginning anywhere: each worker elsewhere."""
    found = deque(uids)
    if len(found) > 1:
        found.rotate(-clock.random_below(len(found)))
    return found
