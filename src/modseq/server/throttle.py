"""How long a login has to wait, by the failures that its address and its user have behind them."""

from __future__ import annotations

from modseq import clock
from modseq.limits import (
    LOGIN_DELAY_SECONDS,
    LOGIN_DELAY_SECONDS_MAX,
    LOGIN_FAILURES_KEPT_SECONDS,
    LOGIN_FAILURES_TRACKED_MAX,
    LOGIN_KNOWN_PAIRS_KEPT_SECONDS,
    LOGIN_KNOWN_PAIRS_MAX,
)
from modseq.server.addresses import network_of
from modseq.server.shared_records import Record, RecordTable, SharedMemory


class LoginRecords:
    """
    The failures of late and the pairs of address and user that are known, of all workers of one server.

    Known pairs have room of their own: nobody who guesses can push them out.

    Attributes:
        memory: to be locked around each look and change.
        failures: by address and by user.
        known: by address and user together, after a login that succeeded.

    """

    __slots__ = ("failures", "known", "memory")

    def __init__(
        self, failures_max: int = LOGIN_FAILURES_TRACKED_MAX, known_max: int = LOGIN_KNOWN_PAIRS_MAX
    ) -> None:
        failures_size = RecordTable.size_for(failures_max)
        self.memory = SharedMemory(failures_size + RecordTable.size_for(known_max))
        self.failures = RecordTable(self.memory, 0, failures_max)
        self.known = RecordTable(self.memory, failures_size, known_max)


class Throttle:
    """
    Makes guessing slow without shutting out those whose password is right.

    Each failure counts against the address it came from and against the user it named. The first costs
    nothing, each further one doubles the wait before the next attempt. Attempts that wait at the same
    time wait one behind the other, so that many connections guess no faster than one, at however many
    workers they arrive. An address from which this user logged in before its failures began waits only
    for its own failures with that user: a stranger who guesses does not lock the user out.

    Args:
        delay_seconds: the wait after the second failure.
        delay_seconds_max: the longest wait; who would have to wait longer is sent away.
        records: shared with the other workers; None for one that stands alone.

    """

    __slots__ = ("_records", "delay_seconds", "delay_seconds_max")

    def __init__(
        self,
        delay_seconds: float = LOGIN_DELAY_SECONDS,
        delay_seconds_max: float = LOGIN_DELAY_SECONDS_MAX,
        *,
        records: LoginRecords | None = None,
    ) -> None:
        self.delay_seconds = delay_seconds
        self.delay_seconds_max = delay_seconds_max
        self._records = records or LoginRecords()

    def wait_seconds(self, address: str, user: str) -> float | None:
        """
        Return how long an attempt must wait, None if longer than anybody should.

        Each call takes a place in the queue of the address and the user.
        """
        now = clock.monotonic_seconds()
        with self._records.memory.locked():
            found = [
                (table, key, record)
                for table, key in self._keys(address, user, now)
                if (record := self._fresh(table, key, now)) is not None
            ]
            longest = max((record.open_seconds - now for _, _, record in found), default=0.0)
            if longest > self.delay_seconds_max:
                return None
            for table, key, record in found:
                if record.count > 1:
                    record.open_seconds = max(now, record.open_seconds) + self._delay(record.count)
                    table.put(key, record)
        return max(0.0, longest)

    def failed(self, address: str, user: str) -> None:
        """Count a failure."""
        now = clock.monotonic_seconds()
        with self._records.memory.locked():
            for table, key in self._keys(address, user, now):
                record = self._fresh(table, key, now) or Record()
                record.count += 1
                record.last_seconds = now
                record.open_seconds = max(record.open_seconds, now + self._delay(record.count))
                table.put(key, record)

    def succeeded(self, address: str, user: str) -> None:
        """Remember that this user comes from this address; forget the failures of the pair."""
        with self._records.memory.locked():
            self._records.known.put(_pair(address, user), Record(last_seconds=clock.monotonic_seconds()))

    def is_known(self, address: str, user: str) -> bool:
        """Return whether this user has logged in from this address of late."""
        now = clock.monotonic_seconds()
        with self._records.memory.locked():
            return len(self._keys(address, user, now)) == 1

    def _keys(self, address: str, user: str, now: float) -> tuple[tuple[RecordTable, str], ...]:
        """Return what an attempt counts against: the pair if it is known, else the address and the user."""
        known, failures = self._records.known, self._records.failures
        pair = _pair(address, user)
        record = known.find(pair)
        if record is not None and now - record.last_seconds <= LOGIN_KNOWN_PAIRS_KEPT_SECONDS:
            return ((known, pair),)
        return ((failures, f"address {network_of(address)}"), (failures, f"user {user}"))

    @staticmethod
    def _fresh(table: RecordTable, key: str, now: float) -> Record | None:
        """Return a record without failures that are too old to count; None when there are none."""
        record = table.find(key)
        if record is not None and now - record.last_seconds > LOGIN_FAILURES_KEPT_SECONDS:
            return None
        return record

    def _delay(self, failures: int) -> float:
        if failures < 2:
            return 0.0
        return float(min(self.delay_seconds * 2.0 ** min(failures - 2, 30), self.delay_seconds_max))


def _pair(address: str, user: str) -> str:
    return f"{network_of(address)} {user}"
