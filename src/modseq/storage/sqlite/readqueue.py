"""Reads of one account: any number may wait, one thread at a time carries out all that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from modseq.core.errors import StorageFailed
from modseq.storage.lanes import Lanes
from modseq.storage.sqlite.errors import DISK_ERRORS, kind_of
from modseq.storage.sqlite.files import AccountFiles

Answer = TypeVar("Answer")
Post = Callable[..., None]


class ReadQueue:
    """Runs jobs on the reading half of an account's files."""

    def __init__(self, lanes: Lanes, post: Post) -> None:
        """Args: the threads; how to have a function called on the event loop from any thread."""
        self._lanes = lanes
        self._post = post
        self._waiting: list[tuple[Callable[[AccountFiles], Any], asyncio.Future[Any]]] = []
        self._running = False
        self.files: AccountFiles | None = None

    @property
    def is_busy(self) -> bool:
        """True while somebody waits for an answer."""
        return self._running or bool(self._waiting)

    async def run(self, job: Callable[[AccountFiles], Answer]) -> Answer:
        """Run a job in a thread and return its answer; what it raises is raised here."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        if not self._running:
            self._begin()
        return await future

    def _begin(self) -> None:
        files = self.files
        jobs, self._waiting = self._waiting, []
        if not jobs:
            return
        if files is None:
            for _, future in jobs:
                future.set_exception(StorageFailed("The account was closed."))
            return
        self._running = True

        def work() -> None:
            answers: list[tuple[asyncio.Future[Any], bool, Any]] = []
            for job, future in jobs:
                answers.append((future, *attempt(lambda job=job: job(files))))  # type: ignore[misc]
            self._post(self._done, answers)

        self._lanes.submit(work)

    def _done(self, answers: list[tuple[asyncio.Future[Any], bool, Any]]) -> None:
        self._running = False
        for future, succeeded, answer in answers:
            settle(future, answer, succeeded=succeeded)
        self._begin()


def attempt(job: Callable[[], Any]) -> tuple[bool, Any]:
    """Run a job and return whether it succeeded, and its answer or what to raise where it is waited for."""
    try:
        return True, job()
    except Exception as error:  # noqa: BLE001 -- delivered to whoever waits
        return False, kind_of(error) if isinstance(error, DISK_ERRORS) else error


def settle(future: asyncio.Future[Any], answer: Any, *, succeeded: bool) -> None:
    """Give a future its outcome, unless whoever waited has gone."""
    if future.done():
        return
    if succeeded:
        future.set_result(answer)
    else:
        future.set_exception(answer)
