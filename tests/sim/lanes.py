"""The threads of a simulated process: jobs that wait until they are told to run."""

from __future__ import annotations

from collections.abc import Callable


class SimLanes:
    """
    Stands for `modseq.storage.lanes.Lanes`.

    Attributes:
        jobs: what is to be done, in the order of its arrival; as many as there are threads may run next.
        writes: whether these are the threads that commit.

    """

    def __init__(self, name: str, threads_max: int) -> None:
        self.writes = name.endswith("write")
        self.jobs: list[Callable[[], None]] = []
        self._threads_max = threads_max
        self._is_closed = False

    def submit(self, job: Callable[[], None]) -> None:
        if self._is_closed:
            raise RuntimeError("the lanes are closed")
        self.jobs.append(job)

    @property
    def startable(self) -> int:
        """How many of the jobs a thread may have taken up."""
        return min(len(self.jobs), self._threads_max)

    def close(self) -> None:
        self._is_closed = True
        while self.jobs:
            self.jobs.pop(0)()
