"""Time and randomness that depend on a seed and on nothing else."""

from __future__ import annotations

import random

START_SECONDS = 1_700_000_000


class SimClock:
    """
    A clock that stands still until it is moved (`modseq.clock.Source`).

    Attributes:
        now: seconds since the history began.

    """

    def __init__(self, seed: object) -> None:
        self.now = 0.0
        self._picks = random.Random(f"clock {seed}")

    def now_nanoseconds(self) -> int:
        return START_SECONDS * 1_000_000_000 + int(self.now * 1e9)

    def monotonic_seconds(self) -> float:
        return self.now

    def random_bytes(self, count: int) -> bytes:
        return self._picks.randbytes(count)
