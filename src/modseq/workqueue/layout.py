"""
What the queue writes on a message: keywords, at most 61 different ones in a mailbox whatever happens.

    $Claimed            somebody has the message, or it waits for its delay; new mail is without
    $By00 ... $By39     who: each connection of each worker draws ten of the forty
    $Beat0, $Beat1      the heartbeat: none before the work begins, then toggled by every renewal
    $Try1 ... $Try10    how many attempts were begun, one keyword each
    $Span0 ... $Span5   a duration as a number of six bits: the lease of who has it, or the delay of who waits
    $Done, $Failed      how it ended

Nothing here is a moment in time: clocks of different machines need not agree. Who watches a message measures
with a clock of its own how long it has not changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Literal, TypeAlias

from modseq import clock
from modseq.limits import OWNER_KEYWORDS_OF_ONE, WORK_ATTEMPTS_MAX, WORK_STATES_CACHED_MAX

Mode: TypeAlias = Literal["+", "-"]
"""Flags are added or removed."""

CLAIMED = "$Claimed"
DONE = "$Done"
FAILED = "$Failed"
BEATS = ("$Beat0", "$Beat1")
TRIES = tuple(f"$Try{number}" for number in range(1, WORK_ATTEMPTS_MAX + 1))
SPANS = tuple(f"$Span{bit}" for bit in range(6))
OWNERS = tuple(f"$By{number:02}" for number in range(40))

ON_A_CLAIM = (CLAIMED, *BEATS, *SPANS, *OWNERS)
"""What goes when a claim ends; the attempts stay."""

KEYWORDS = (*ON_A_CLAIM, *TRIES, DONE, FAILED)
"""Every keyword that the queue ever sets."""

_SPAN_RATIO = 2_592_000 ** (1 / 62)
SPAN_SECONDS = (0.0, *(round(_SPAN_RATIO**step, 3) for step in range(63)))
"""The durations that can be written, from 1 s to 30 days, each 27 % longer than the one before; 0 is none.
They rise with their number, so where two writers' bits meet the longer or an even longer one is read."""

_BEATS_ON: dict[int, tuple[Mode, str, int]] = {
    0: ("+", BEATS[0], 1),
    1: ("+", BEATS[1], 3),
    3: ("-", BEATS[0], 2),
    2: ("+", BEATS[0], 3),
}

_PLACES = {
    name.lower(): (kind, at)
    for kind, names in (
        ("claimed", (CLAIMED,)),
        ("owner", OWNERS),
        ("beat", BEATS),
        ("tries", TRIES),
        ("span", SPANS),
        ("done", (DONE,)),
        ("failed", (FAILED,)),
        ("deleted", ("\\Deleted",)),
        ("flagged", ("\\Flagged",)),
    )
    for at, name in enumerate(names)
}


class Phase(Enum):
    """Where a message stands, as whoever looks at its keywords sees it."""

    FREE = "free"
    """Nobody has it."""
    OFFERED = "offered"
    """Somebody has put a name on it and not begun: short-lived, or left behind."""
    HELD = "held"
    """Somebody works at it, or has died over it."""
    PARKED = "parked"
    """It waits for its delay to pass."""
    ENDING = "ending"
    """It is done or given up, and whoever had it is about to clear or move it, or died before."""
    ENDED = "ended"
    """It is done, given up, or marked as deleted: no work."""


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What the keywords of a message say.

    Attributes:
        owner: the owner keywords set, of one worker or more.
        beat: the heartbeat as a number of two bits; 0 before the work begins.
        tries: attempts that were begun.
        span: number of a duration in SPAN_SECONDS: the lease, or the delay.

    """

    claimed: bool = False
    owner: frozenset[str] = frozenset()
    beat: int = 0
    tries: int = 0
    span: int = 0
    done: bool = False
    failed: bool = False
    deleted: bool = False
    flagged: bool = False

    @property
    def phase(self) -> Phase:
        """Where the message stands."""
        if self.deleted:
            return Phase.ENDED
        if self.done or self.failed:
            return Phase.ENDING if self.claimed else Phase.ENDED
        if self.beat:
            return Phase.HELD
        if self.owner:
            return Phase.OFFERED
        return Phase.PARKED if self.claimed and self.span else Phase.FREE

    @property
    def span_seconds(self) -> float:
        """The duration that is written on the message."""
        return SPAN_SECONDS[self.span]

    @classmethod
    def of(cls, flags: Iterable[str]) -> Standing:
        """Read the keywords among flags as a server spells them."""
        return _read(flags if isinstance(flags, frozenset) else frozenset(flags))


@lru_cache(maxsize=WORK_STATES_CACHED_MAX)
def _read(flags: frozenset[str]) -> Standing:
    found: dict[str, set[int]] = {}
    for flag in flags:
        place = _PLACES.get(flag.lower())
        if place is not None:
            found.setdefault(place[0], set()).add(place[1])
    return Standing(
        claimed="claimed" in found,
        owner=frozenset(OWNERS[at] for at in found.get("owner", ())),
        beat=sum(1 << at for at in found.get("beat", ())),
        tries=1 + max(found.get("tries", {-1})),
        span=sum(1 << at for at in found.get("span", ())),
        done="done" in found,
        failed="failed" in found,
        deleted="deleted" in found,
        flagged="flagged" in found,
    )


def span_number(seconds: float) -> int:
    """
    Return the number of the shortest duration that is not below `seconds`.

    Raises: ValueError for more than thirty days, or less than nothing.
    """
    if not 0 <= seconds <= SPAN_SECONDS[-1]:
        raise ValueError(f"a duration is between 0 and {SPAN_SECONDS[-1]:.0f} seconds")
    return bisect_left(SPAN_SECONDS, seconds)


def span_keywords(number: int) -> tuple[str, ...]:
    """Return the keywords that spell the number of a duration."""
    return tuple(name for bit, name in enumerate(SPANS) if number >> bit & 1)


def next_beat(beat: int) -> tuple[Mode, str, int]:
    """
    Return how a heartbeat goes on: "+" or "-", the keyword, and the beat that results.

    From 0 to 1, then 3, then 2 and 3 in turns: one keyword changes each time, and from one beat there is only one
    way on. So of several that go on from the same beat, the owner and whoever takes over alike, a conditional
    STORE lets one pass.
    """
    return _BEATS_ON[beat]


def draw_owner(avoid: frozenset[str] = frozenset()) -> frozenset[str] | None:
    """
    Draw owner keywords that nobody else has, None where too few are left beside those to avoid.

    All draws from one set are of one size, so none contains another: when two stand on one message both of their
    owners see more than they wrote.
    """
    left = [name for name in OWNERS if name not in avoid]
    if len(left) < OWNER_KEYWORDS_OF_ONE + 4:
        return None
    drawn = set()
    for _ in range(OWNER_KEYWORDS_OF_ONE):
        drawn.add(left.pop(clock.random_below(len(left))))
    return frozenset(drawn)


def owner_text(owner: Iterable[str]) -> str:
    """Return owner keywords as ten hexadecimal digits for people."""
    return f"{sum(1 << OWNERS.index(name) for name in owner):010x}"
