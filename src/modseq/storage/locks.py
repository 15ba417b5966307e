"""Taking turns: which process may write an account, and how others see that it did.

SQLite's own waiting starves one of two processes: it polls, and whoever has just released its lock takes
it again before the other looks. Here a process waits in the kernel, and strictly in turn.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from pathlib import Path

_COUNTER_BYTES = 8
_COUNTER_MASK = 2**64 - 1


class TurnLock:
    """The right to write one account, and a count of the commits made under it.

    Two advisory locks: whoever waits for `turn` holds `next`, so the process that releases `turn` and
    wants it again stands behind the one that waits. One lock alone is not fair, because Linux wakes the
    waiting process and leaves it to race against the one that runs.

    The count lies in memory shared by all processes of the account. It is a hint without truth: what was
    committed is read from the database; an equal and even count means that this need not be done again.
    It is odd from before a commit until after it, so a process killed in between leaves it odd, and
    everybody looks at the database each time until the next commit.

    Attributes:
        own: the counts before, during and after this process's newest commit, which it publishes itself.
    """

    __slots__ = ("_count", "_mapped", "_next_fd", "_turn_fd", "own")

    def __init__(self, directory: Path) -> None:
        # These files hold nothing that must survive, so they do not pass the seam of durable writes.
        self._turn_fd = os.open(directory / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._next_fd = os.open(directory / "next", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._turn_fd).st_size < _COUNTER_BYTES:
            os.ftruncate(self._turn_fd, _COUNTER_BYTES)
        self._mapped = mmap.mmap(self._turn_fd, _COUNTER_BYTES)
        self._count = memoryview(self._mapped).cast("Q")
        self.own = (0, 0, 0)

    @property
    def count(self) -> int:
        """The count: even when no commit is under way."""
        return self._count[0]

    def announce(self, *, own: bool = True) -> None:
        """Make the count odd: a commit is about to become visible; only with the turn held.

        Args:
            own: this process publishes the commit itself and need not look for it.
        """
        odd = (self._count[0] | 1) & _COUNTER_MASK
        if odd == self._count[0]:
            # Left by a process that died.
            odd = (odd + 2) & _COUNTER_MASK
        if own:
            self.own = (self._count[0], odd, (odd + 1) & _COUNTER_MASK)
        self._count[0] = odd

    def settle(self) -> int:
        """Make the count even, after the commit, and return it; only with the turn held."""
        self._count[0] = even = (self._count[0] + 1) & ~1 & _COUNTER_MASK
        return even

    def disown(self) -> None:
        """Take back that this process publishes its newest commit: it failed."""
        self.own = (0, 0, 0)

    def acquire(self) -> None:
        """Wait for the turn, in a thread that may wait."""
        fcntl.flock(self._next_fd, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn_fd, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._next_fd, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the turn to whoever waits."""
        fcntl.flock(self._turn_fd, fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def close(self) -> None:
        """Close the files; a turn that is held is given up."""
        self._count.release()
        self._mapped.close()
        os.close(self._turn_fd)
        os.close(self._next_fd)
