"""Time and randomness: the only module that reads them, so that a test can replace both.

Everything else asks here. A test installs a `Source` of its own with `use`, and gets the old one back
to restore; a run then depends on its seed and on nothing else.
"""

from __future__ import annotations

import secrets
import time
from typing import Protocol


class Source(Protocol):
    """Where time and randomness come from."""

    def now_nanoseconds(self) -> int:
        """Return nanoseconds since 1970 in UTC; may jump when the machine's clock is set."""

    def monotonic_seconds(self) -> float:
        """Return seconds since some moment; never falls."""

    def random_bytes(self, count: int) -> bytes:
        """Return `count` octets that nobody can guess."""


class SystemSource:
    """The machine's clock and its random numbers."""

    __slots__ = ()

    def now_nanoseconds(self) -> int:
        """Return nanoseconds since 1970 in UTC."""
        return time.time_ns()

    def monotonic_seconds(self) -> float:
        """Return seconds since the machine started."""
        return time.monotonic()

    def random_bytes(self, count: int) -> bytes:
        """Return `count` octets from the operating system."""
        return secrets.token_bytes(count)


_source: Source = SystemSource()


def use(source: Source) -> Source:
    """Take time and randomness from `source` from now on; return the source that was used before."""
    global _source
    before, _source = _source, source
    return before


def now_nanoseconds() -> int:
    """Return nanoseconds since 1970 in UTC."""
    return _source.now_nanoseconds()


def now_seconds() -> int:
    """Return whole seconds since 1970 in UTC."""
    return _source.now_nanoseconds() // 1_000_000_000


def monotonic_seconds() -> float:
    """Return seconds on a clock that never falls, for measuring durations."""
    return _source.monotonic_seconds()


def local_offset_minutes(epoch_seconds: int) -> int:
    """Return how far east of UTC the machine's zone lies at a moment, in minutes."""
    return time.localtime(epoch_seconds).tm_gmtoff // 60


def random_bytes(count: int) -> bytes:
    """Return `count` octets that nobody can guess."""
    return _source.random_bytes(count)


def random_token(byte_count: int = 16) -> str:
    """Return a name that nobody can guess, in hexadecimal digits, two for each octet."""
    return _source.random_bytes(byte_count).hex()


def random_below(bound: int) -> int:
    """Return a number from 0 to bound-1, each as likely as any other."""
    return int.from_bytes(_source.random_bytes(16), "big") % bound
