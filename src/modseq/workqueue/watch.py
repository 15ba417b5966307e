"""
Watching what others hold: by this process's own clock, and by nothing that is stored.

A message is due when its keywords were seen unchanged for the time that they ask for: the lease of who holds it, the
delay of who parked it, a moment for a name without heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from modseq import clock
from modseq.limits import LEASE_EXTEND_PART, OFFER_SECONDS, WATCH_SPREAD_PART
from modseq.workqueue.layout import Phase, Standing
from modseq.workqueue.requests import Seen

_SPREAD_STEPS = 1_000


@dataclass(slots=True)
class _Watched:
    seen: Seen
    since: float
    latest: float
    seconds: float


class Watch:
    """
    What others hold, and since when it has not changed.

    Args:
        lease_seconds: for a message whose keywords do not tell.
        draw: returns a number from 0 to below its argument, each as likely as any other.

    """

    def __init__(self, lease_seconds: float, draw: Callable[[int], int] = clock.random_below) -> None:
        self._lease_seconds = lease_seconds
        self._draw = draw
        self._watched: dict[int, _Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def __contains__(self, uid: int) -> bool:
        return uid in self._watched

    def __iter__(self) -> Iterator[int]:
        return iter(self._watched)

    def see(self, uid: int, seen: Seen, asked_at: float, now: float) -> None:
        """
        Note what a message showed at some moment between `asked_at` and `now`.

        It counts from the later of the two, and up to the earlier.
        """
        known = self._watched.get(uid)
        if known is not None and self._is_unchanged(known, seen, now):
            known.seen, known.latest = seen, max(asked_at, known.since)
            return
        spread = 1 + WATCH_SPREAD_PART * self._draw(_SPREAD_STEPS) / _SPREAD_STEPS
        self._watched[uid] = _Watched(seen, now, asked_at, self._seconds(seen.standing) * spread)

    def forget(self, uid: int) -> None:
        """Watch a message no longer."""
        self._watched.pop(uid, None)

    def keep_only(self, uids: Iterable[int]) -> None:
        """Forget all messages but these."""
        kept = set(uids)
        self._watched = {uid: each for uid, each in self._watched.items() if uid in kept}

    def due(self) -> dict[int, tuple[Seen, float]]:
        """Return the messages that have shown the same for as long as they ask for: lastly what, and when."""
        return {
            uid: (each.seen, each.latest)
            for uid, each in self._watched.items()
            if each.latest - each.since >= each.seconds or each.seconds == 0
        }

    def next_look(self) -> float | None:
        """Return the moment at which the first message may be due, None when nothing is watched."""
        return min((each.since + each.seconds for each in self._watched.values()), default=None)

    def holders(self) -> dict[int, Seen]:
        """Return all that is watched."""
        return {uid: each.seen for uid, each in self._watched.items()}

    def _is_unchanged(self, known: _Watched, seen: Seen, now: float) -> bool:
        """
        True when nobody can have renewed in between.

        Of a heartbeat, keywords that are the same prove it only if two beats do not fit between the looks, or if
        nothing at all has changed on the message: another program may change other flags, also all the time. Where no
        heart beats nothing is renewed; names written anew meanwhile are taken away too early, which costs a claim.
        """
        if _of_the_queue(known.seen.standing) != _of_the_queue(seen.standing):
            return False
        if known.seen.mod_seq == seen.mod_seq or seen.standing.phase is not Phase.HELD:
            return True
        return now - known.latest <= self._seconds(seen.standing) * LEASE_EXTEND_PART

    def _seconds(self, standing: Standing) -> float:
        match standing.phase:
            case Phase.HELD | Phase.ENDING:
                return standing.span_seconds or self._lease_seconds
            case Phase.PARKED:
                return standing.span_seconds
            case Phase.OFFERED:
                return OFFER_SECONDS
            case _:
                return 0.0


def _of_the_queue(standing: Standing) -> Standing:
    return replace(standing, flagged=False)
