"""Threads for work that may wait for a disk, so that the event loop never does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Lanes:
    """A bounded set of threads that run jobs in the order of their arrival.

    Threads are started when there is work for them and end when the lanes are closed. A job must not
    raise: it delivers its own outcome. (`ThreadPoolExecutor` costs three times as much per job, which
    shows at thousands of commits a second.)
    """

    def __init__(self, name: str, threads_max: int) -> None:
        self._name = name
        self._threads_max = threads_max
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._unfinished = 0
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job in one of the threads.

        Raises:
            RuntimeError: the lanes are closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError(f"The {self._name} threads are closed.")
            self._unfinished += 1
            if self._unfinished > len(self._threads) < self._threads_max:
                thread = threading.Thread(
                    target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        self._jobs.put(job)

    def _work(self) -> None:
        get = self._jobs.get
        while (job := get()) is not None:
            try:
                job()
            finally:
                # A finished job must not live on in this frame: it holds connections and bodies.
                del job
                with self._lock:
                    self._unfinished -= 1

    def close(self) -> None:
        """Wait for the jobs that were submitted, and end the threads."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()
