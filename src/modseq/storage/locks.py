"""Taking turns: which process may write an account, and how others see that it did.

SQLite's own waiting starves one of two processes: it polls, and whoever has just released its lock takes
it again before the other looks. Here a process waits in the kernel, and strictly in turn.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_COUNTER_BYTES = 8
_COUNTER_MASK = 2**64 - 1


class TurnLock:
    """The right to write one account, and a count of the commits made under it.

    Two advisory locks: whoever waits for `turn` holds `next`, so the process that releases `turn` and
    wants it again stands behind the one that waits. One lock alone is not fair, because Linux wakes the
    waiting process and leaves it to race against the one that runs.

    The count lies in memory shared by all processes of the account. It is a hint without truth: equal
    counts mean that nothing was committed meanwhile, and reading it costs no system call. What was
    committed is read from the database; a process killed between its commit and its count costs the
    others the time until the next commit or the next timer, never a change.
    """

    __slots__ = ("_count", "_mapped", "_next_fd", "_turn_fd")

    def __init__(self, directory: Path) -> None:
        # These files hold nothing that must survive, so they do not pass the seam of durable writes.
        self._turn_fd = os.open(directory / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._next_fd = os.open(directory / "next", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._turn_fd).st_size < _COUNTER_BYTES:
            os.ftruncate(self._turn_fd, _COUNTER_BYTES)
        self._mapped = mmap.mmap(self._turn_fd, _COUNTER_BYTES)
        self._count = memoryview(self._mapped).cast("Q")

    @property
    def count(self) -> int:
        """How many commits were made in this account since its files were created."""
        return self._count[0]

    def advance(self) -> int:
        """Count one commit; only with the turn held. Returns the new count."""
        self._count[0] = moved = (self._count[0] + 1) & _COUNTER_MASK
        return moved

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the turn, in a thread that may wait, and keep it for the body of the statement."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> None:
        """Wait for the turn."""
        fcntl.flock(self._next_fd, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn_fd, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._next_fd, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the turn to whoever waits."""
        fcntl.flock(self._turn_fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files; a turn that is held is given up."""
        self._count.release()
        self._mapped.close()
        os.close(self._turn_fd)
        os.close(self._next_fd)
