"""Whether a row of measurements grows steadily, or only goes up and down."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

SAMPLES_MIN = 10
"""Fewer, behind the warm-up, tell nothing."""

WARM_UP = 1 / 3
"""Of a run: caches fill, code is compiled, the first logs are folded."""

RISING_MIN = 0.75
"""Of all pairs of measurements that differ, how many must rise; half of them do where nothing changes."""


@dataclass(frozen=True)
class Bound:
    """
    What a measurement may rise from one end of a run to the other.

    Attributes:
        absolute: in its unit.
        relative: of its median.

    """

    absolute: float
    relative: float = 0.0


def slope(values: Sequence[float]) -> float:
    """Return the median of the slopes between all pairs (Theil-Sen): outliers do not move it."""
    return statistics.median(
        (later - earlier) / (j - i)
        for (i, earlier), (j, later) in itertools.combinations(enumerate(values), 2)
    )


def rising(values: Sequence[float]) -> float:
    """Return which part of the pairs that differ rises; a half if none differs."""
    signs = [later > earlier for earlier, later in itertools.combinations(values, 2) if later != earlier]
    return sum(signs) / len(signs) if signs else 0.5


def settled(values: Sequence[float]) -> Sequence[float]:
    """Return the measurements behind the warm-up; at most some hundred, evenly taken."""
    kept = values[int(len(values) * WARM_UP) :]
    return kept[:: max(1, len(kept) // 200)]


def grows(values: Sequence[float], bound: Bound) -> bool | None:
    """Return whether something grows steadily and by more than its bound; None if that cannot be told yet."""
    kept = settled(values)
    if len(kept) < SAMPLES_MIN:
        return None
    rise = slope(kept) * (len(kept) - 1)
    return rise > bound.absolute + bound.relative * statistics.median(kept) and rising(kept) > RISING_MIN
