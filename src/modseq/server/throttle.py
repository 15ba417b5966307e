"""How long a login has to wait, by the failures that its address and its user have behind them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from modseq import clock
from modseq.limits import (
    LOGIN_DELAY_SECONDS,
    LOGIN_DELAY_SECONDS_MAX,
    LOGIN_FAILURES_KEPT_SECONDS,
    LOGIN_FAILURES_TRACKED_MAX,
)


@dataclass(slots=True)
class _Record:
    """Failures of late, and the moment from which the next attempt may be looked at."""

    failures: int = 0
    last_seconds: float = 0.0
    open_seconds: float = 0.0


class Throttle:
    """
    Makes guessing slow without shutting out those whose password is right.

    Each failure counts against the address it came from and against the user it named. The first costs
    nothing, each further one doubles the wait before the next attempt. Attempts that wait at the same
    time wait one behind the other, so that many connections guess no faster than one. An address from
    which this user logged in before its failures began waits only for its own failures with that user:
    a stranger who guesses does not lock the user out.
    """

    __slots__ = ("_records", "delay_seconds", "delay_seconds_max")

    def __init__(
        self,
        delay_seconds: float = LOGIN_DELAY_SECONDS,
        delay_seconds_max: float = LOGIN_DELAY_SECONDS_MAX,
    ) -> None:
        self.delay_seconds = delay_seconds
        self.delay_seconds_max = delay_seconds_max
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()

    def wait_seconds(self, address: str, user: str) -> float | None:
        """
        Return how long an attempt must wait, None if longer than anybody should.

        Each call takes a place in the queue of the address and the user.
        """
        now = clock.monotonic_seconds()
        longest = 0.0
        records = [
            record for key in self._keys(address, user) if (record := self._find(key, now)) is not None
        ]
        for record in records:
            longest = max(longest, record.open_seconds - now)
        if longest > self.delay_seconds_max:
            return None
        for record in records:
            if record.failures > 1:
                record.open_seconds = max(now, record.open_seconds) + self._delay(record.failures)
        return max(0.0, longest)

    def failed(self, address: str, user: str) -> None:
        """Count a failure."""
        now = clock.monotonic_seconds()
        for key in self._keys(address, user):
            record = self._find(key, now)
            if record is None:
                record = self._records[key] = _Record()
                if len(self._records) > LOGIN_FAILURES_TRACKED_MAX:
                    self._records.popitem(last=False)
            self._records.move_to_end(key)
            record.failures += 1
            record.last_seconds = now
            record.open_seconds = max(record.open_seconds, now + self._delay(record.failures))

    def succeeded(self, address: str, user: str) -> None:
        """Remember that this user comes from this address; forget the failures of the pair."""
        self._records[f"{address} {user}", "known"] = _Record(last_seconds=clock.monotonic_seconds())
        if len(self._records) > LOGIN_FAILURES_TRACKED_MAX:
            self._records.popitem(last=False)

    def _keys(self, address: str, user: str) -> tuple[tuple[str, str], ...]:
        pair = (f"{address} {user}", "known")
        if pair in self._records:
            return (pair,)
        return ((address, "address"), (user, "user"))

    def _find(self, key: tuple[str, str], now: float) -> _Record | None:
        record = self._records.get(key)
        if record is not None and now - record.last_seconds > LOGIN_FAILURES_KEPT_SECONDS:
            del self._records[key]
            return None
        return record

    def _delay(self, failures: int) -> float:
        if failures < 2:
            return 0.0
        return float(min(self.delay_seconds * 2.0 ** min(failures - 2, 30), self.delay_seconds_max))
