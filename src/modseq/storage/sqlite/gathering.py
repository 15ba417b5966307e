"""When a batch begins: at once for a lone session, a moment later where others are about to join it."""

from __future__ import annotations

from modseq import limits


class Gathering:
    """
    Decides whether the next batch waits for a few turns of the event loop.

    Sessions that were answered together send their next commands together, but the first of them arrives
    alone. A batch begun for that one lets all the others wait for its sync, and they then fill the next: one
    and seven, in turn, where four and four would do. So a batch waits until as many operations stand in line
    as the last two batches carried on average, but never longer than a bounded number of turns: what is
    expected may not come, and a session that works alone never waits.
    """

    __slots__ = ("_before", "_last", "_turns")

    def __init__(self) -> None:
        self._last = self._before = 1
        self._turns = 0

    def waits(self, waiting: int) -> bool:
        """Return whether a batch of so many operations is to wait for another turn."""
        if 2 * waiting >= self._last + self._before or self._turns >= limits.GATHERING_TURNS_MAX:
            return False
        self._turns += 1
        return True

    def begun(self, operations: int) -> None:
        """Take note of a batch that begins."""
        self._before, self._last = self._last, operations
        self._turns = 0
