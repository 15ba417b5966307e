"""One user's mail as this process sees it: published states, the commit queue, and reads.

Everything here runs on the event loop and does no I/O; jobs run in threads, at most one that writes and
one that reads at a time, and hand back values that are published here. A job starts from a snapshot and
mutates nothing that is published, so a slow disk delays only those who wait for that job.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from modseq import clock, limits
from modseq.core.account import AccountState
from modseq.core.change import ChangeSet
from modseq.core.errors import (
    ExpungesNotLoaded,
    MailboxNotFound,
    StateDiscarded,
    StorageError,
    StorageFailed,
)
from modseq.core.mailbox import Counters, MailboxState
from modseq.core.message import MessageRow
from modseq.core.operations import Operation
from modseq.storage.disk import Disk
from modseq.storage.lanes import Lanes
from modseq.storage.sqlite.batch import BatchResult, body_octets, run_batch
from modseq.storage.sqlite.errors import DISK_ERRORS, kind_of
from modseq.storage.sqlite.files import AccountFiles, Settings
from modseq.storage.sqlite.gathering import Gathering
from modseq.storage.sqlite.published import Published
from modseq.storage.sqlite.reading import (
    Snapshot,
    catch_up_now,
    load_expunges,
    load_now,
    read_account,
    read_body,
    read_counters,
    read_listing,
    read_rows,
    reading,
)
from modseq.storage.sqlite.readqueue import ReadQueue, attempt, settle
from modseq.storage.sqlite.staging import rows_ahead

Outcome = TypeVar("Outcome")
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Host:
    """What the accounts of a store share.

    Attributes:
        moved: tells other processes that an account, by its number, moved.
        opened: learns that an account opened its files.
    """

    disk: Disk
    settings: Settings
    writers: Lanes
    readers: Lanes
    moved: Callable[[int], None]
    opened: Callable[[SqliteAccount], None]


class SqliteAccount:
    """The mail of one user (`storage.base.Account`)."""

    def __init__(self, name: str, number: int, directory: Path, host: Host) -> None:
        self.name = name
        self.number = number
        self._directory = directory
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._files: AccountFiles | None = None
        self._opening: asyncio.Future[None] | None = None
        self._shown = Published()
        self._seen = -1
        self._queue: list[tuple[Operation[Any], asyncio.Future[Any]]] = []
        self._work_due = False
        self._step_due = False
        self._writing = False
        self._gathering = Gathering()
        self._jobs: list[tuple[Callable[[AccountFiles], Any], asyncio.Future[Any]]] = []
        self._reads = ReadQueue(host.readers, self._post)
        self._catching: tuple[int, asyncio.Future[None]] | None = None
        self._loading: dict[int, asyncio.Future[MailboxState]] = {}
        self._watchers: dict[object, Callable[[], None]] = {}
        self._discarded = False
        self._rested: asyncio.Future[None] | None = None
        self._batch_ended: asyncio.Future[None] | None = None

    # --- what is published ------------------------------------------------------------------------

    def listing(self) -> AccountState:
        """Return the published listing."""
        return self._shown.account

    def published(self, mailbox_id: int) -> MailboxState | None:
        """Return the newest published state, None when the mailbox is not loaded or was deleted."""
        return self._shown.states.get(mailbox_id)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called whenever something in the account moved."""
        key = object()
        self._watchers[key] = callback

        def end() -> None:
            self._watchers.pop(key, None)

        return end

    @property
    def is_busy(self) -> bool:
        """True while sessions watch it or work is queued: it must stay open."""
        return bool(
            self._watchers
            or self._queue
            or self._jobs
            or self._writing
            or self._reads.is_busy
            or self._loading
        )

    @property
    def is_watched(self) -> bool:
        """True while a session wants to be told when something moves."""
        return bool(self._watchers)

    @property
    def is_discarded(self) -> bool:
        """True when this object is of no more use: the next session gets another."""
        return self._discarded

    @property
    def is_open(self) -> bool:
        """True while files are open."""
        return self._files is not None

    # --- opening and resting ----------------------------------------------------------------------

    async def open(self) -> None:
        """Open the files and read the listing, unless that is done; raises StateDiscarded, StorageFailed."""
        if self._discarded:
            raise StateDiscarded("The account was removed or restored: please connect again.")
        while self._rested is not None:
            await self._rested
        if self._files is not None:
            return
        if self._opening is None:
            self._opening = self._loop.create_future()
            self._host.readers.submit(self._open_job)
        await asyncio.shield(self._opening)
        if self._discarded:
            raise StateDiscarded("The account was removed or restored: please connect again.")

    def _open_job(self) -> None:
        files: AccountFiles | None = None
        try:
            files = AccountFiles(self._directory, self._host.disk, self._host.settings)
            count = files.turn.count
            with reading(files.reader):
                row = read_account(files.reader)
                account = read_listing(files.reader, row)
            # This may be a commit that another process wrote and did not live to sync.
            files.sync_log()
            shown = Snapshot(row.version, row.next_segment, account, {})
            self._post(self._opened, files, shown, count, None)
        except (StorageError, *DISK_ERRORS) as error:
            if files is not None:
                files.close()
            self._post(self._opened, None, None, 0, kind_of(error))

    def _opened(
        self, files: AccountFiles | None, shown: Snapshot | None, count: int, error: StorageError | None
    ) -> None:
        opening, self._opening = self._opening, None
        assert opening is not None
        if files is None or shown is None:
            opening.set_exception(error or StorageFailed("The account cannot be opened."))
            opening.exception()
            return
        before = self._shown
        if before.version and (shown.version < before.version or shown.account.epoch != before.account.epoch):
            self.discard()
        self._files = self._reads.files = files
        self._shown.begin(shown)
        self._seen = count if count % 2 == 0 else -1
        opening.set_result(None)
        self._host.opened(self)

    async def rest(self) -> None:
        """Close the files and forget the mailboxes; the next use opens them again. Not while busy."""
        files = self._files
        if files is None:
            return
        self._files = self._reads.files = None
        self._shown.forget()
        self._rested = self._loop.create_future()

        def job() -> None:
            files.close()
            self._post(self._came_to_rest)

        self._host.writers.submit(job)
        await asyncio.shield(self._rested)

    def _came_to_rest(self) -> None:
        rested, self._rested = self._rested, None
        if rested is not None:
            rested.set_result(None)

    async def close(self) -> None:
        """Let the queued work finish and close the files."""
        while self.is_busy:
            self._watchers.clear()
            await asyncio.sleep(0.001)
        await self.rest()

    def discard(self) -> None:
        """Give up everything that is cached: the storage is older than what sessions were told."""
        self._discarded = True
        self._shown.forget()
        self._notify()

    def _notify(self) -> None:
        for callback in list(self._watchers.values()):
            callback()

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        """Have a function called on the event loop; from any thread."""
        # The loop may be gone when a process ends in the middle of work.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # --- catching up ------------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """True when everything that others committed is published; the look costs nanoseconds."""
        files = self._files
        if files is None or self._discarded or self._shown.behind:
            return False
        count = files.turn.count
        # Of our own commits, one that is under way is not visible to anybody yet.
        return count == self._seen or files.turn.own[:2] == (self._seen, count)

    async def refresh(self) -> None:
        """Catch up with what other processes committed."""
        files = self._files
        if files is None or self._discarded:
            await self.open()
            return
        count = files.turn.count
        if count != self._seen:
            await self._look_at(files, count)
        for mailbox_id in list(self._shown.behind):
            with contextlib.suppress(MailboxNotFound):
                await self.mailbox(mailbox_id)

    async def _look_at(self, files: AccountFiles, count: int) -> None:
        before, odd, even = files.turn.own
        if before == self._seen and count == odd:
            # Nobody's but our own commit, which is not visible yet.
            return
        if before == self._seen and count == even and self._writing:
            # It is committed, and about to be published.
            if self._batch_ended is None:
                self._batch_ended = self._loop.create_future()
            await asyncio.shield(self._batch_ended)
            return
        await self._catch_up(count)

    @property
    def has_moved(self) -> bool:
        """True when another process may have committed."""
        return self._files is not None and self._files.turn.count != self._seen

    async def look(self) -> None:
        """Look whether the account moved, on a wake-up or the timer; errors are left to the sessions."""
        with contextlib.suppress(StorageError):
            await self.refresh()

    async def _catch_up(self, count: int) -> None:
        """See everything that was visible before this call."""
        under_way = self._catching
        if under_way is not None and (under_way[0] < count or count % 2):
            # It may have looked too early. While the count is odd nobody can tell.
            with contextlib.suppress(StorageError):
                await asyncio.shield(under_way[1])
        if self._catching is None:
            self._catching = (count, asyncio.ensure_future(self._catch_up_once()))
        await asyncio.shield(self._catching[1])

    async def _catch_up_once(self) -> None:
        try:
            files = self._files
            if files is None:
                return
            count = files.turn.count
            base = self._shown.base()
            try:
                caught = await self._reads.run(lambda files: catch_up_now(files.reader, base))
            except StateDiscarded:
                self.discard()
                raise
            if caught is not None and self._shown.caught_up(base, caught):
                self._notify()
            if count % 2 == 0 and self._files is files:
                self._seen = max(self._seen, count)
        finally:
            self._catching = None

    # --- loading and reading ----------------------------------------------------------------------

    async def mailbox(self, mailbox_id: int) -> MailboxState:
        """Return the published state of a mailbox, loading it when it is cold; raises MailboxNotFound."""
        state = self._shown.states.get(mailbox_id)
        if state is not None and mailbox_id not in self._shown.behind:
            return state
        await self.open()
        loading = self._loading.get(mailbox_id)
        if loading is None:
            loading = self._loading[mailbox_id] = asyncio.ensure_future(self._load(mailbox_id))
            loading.add_done_callback(lambda _: self._loading.pop(mailbox_id, None))
        return await asyncio.shield(loading)

    async def _load(self, mailbox_id: int) -> MailboxState:
        shown = self._shown
        if mailbox_id not in shown.states:
            version, state = await self._reads.run(lambda files: load_now(files.reader, mailbox_id))
            self._forget_unused()
            shown.loaded(version, state)
            self._work_is_due()
        while mailbox_id in shown.behind:
            state = shown.states[mailbox_id]
            base = Snapshot(shown.behind[mailbox_id], shown.next_segment, shown.account, {mailbox_id: state})
            caught = await self._reads.run(lambda files, base=base: catch_up_now(files.reader, base))  # type: ignore[misc]
            if caught is None:
                raise StateDiscarded("The account was removed or restored: please connect again.")
            shown.advanced(state, caught)
        if mailbox_id not in shown.states:
            raise MailboxNotFound("The mailbox was deleted.")
        return shown.states[mailbox_id]

    def _forget_unused(self) -> None:
        """Keep memory bounded while nobody watches: states can be loaded again."""
        idle = not (self._watchers or self._queue or self._writing)
        if idle and len(self._shown.states) >= limits.MAILBOXES_LOADED_MAX:
            self._shown.drop_one()

    async def changes_since(self, mailbox_id: int, mod_seq: int) -> ChangeSet:
        """Return what happened after ``mod_seq``."""
        state = await self.mailbox(mailbox_id)
        while True:
            try:
                return state.changes_since(mod_seq)
            except ExpungesNotLoaded:
                await self._load_expunges(state)
            state = await self.mailbox(mailbox_id)

    def changes_at_once(self, mailbox_id: int, mod_seq: int) -> tuple[MailboxState, ChangeSet] | None:
        """Return the published state and what leads to it, None when that takes loading or catching up."""
        state = self._shown.states.get(mailbox_id)
        if state is None or mailbox_id in self._shown.behind:
            return None
        try:
            return state, state.changes_since(mod_seq)
        except ExpungesNotLoaded:
            return None

    async def _load_expunges(self, state: MailboxState) -> None:
        mailbox_id = state.mailbox_id
        log, complete_to, horizon = await self._reads.run(
            lambda files: load_expunges(files.reader, mailbox_id)
        )
        shown = self._shown.states.get(mailbox_id)
        if shown is None or complete_to < shown.history.floor:
            return
        history = shown.history
        log.keep_until(history.floor)
        history.expunged = log
        if horizon > shown.horizon:
            shown = shown.copy()
            shown.horizon = horizon
            self._shown.states[mailbox_id] = shown

    async def counters(self, mailbox_ids: Iterable[int]) -> Mapping[int, Counters]:
        """Return the counters of mailboxes without opening them."""
        found: dict[int, Counters] = {}
        cold: list[int] = []
        for mailbox_id in mailbox_ids:
            state = self._shown.states.get(mailbox_id)
            if state is None:
                cold.append(mailbox_id)
            else:
                found[mailbox_id] = state.counters
        if cold:
            await self.open()
            found.update(await self._reads.run(lambda files: read_counters(files.reader, cold)))
        return found

    async def rows(
        self, mailbox_id: int, uids: Sequence[int] | array[int], *, ready: bool
    ) -> list[MessageRow]:
        """Return what never changes about messages."""
        await self.open()
        return await self._reads.run(lambda files: read_rows(files.reader, mailbox_id, uids, ready=ready))

    async def read(self, email_id: int, offset: int = 0, length: int | None = None) -> bytes:
        """Return octets of a message."""
        await self.open()
        return await self._reads.run(lambda files: read_body(files, email_id, offset, length))

    # --- committing -------------------------------------------------------------------------------

    def commit(self, operation: Operation[Outcome]) -> Awaitable[Outcome]:
        """Carry out an operation; when what this returns is done, it is durable and published."""
        states = self._shown.states
        loaded = [states.get(mailbox_id) for mailbox_id in operation.mailbox_ids()]
        if self._files is None or self._discarded or None in loaded:
            return self._load_and_commit(operation)
        if loaded and loaded[0] is not None:
            slices = operation.prepare(loaded[0])
            for _ in slices:
                return self._prepare_and_commit(operation, slices)
        return self._enqueue(operation)

    async def _load_and_commit(self, operation: Operation[Outcome]) -> Outcome:
        await self.open()
        loaded = [await self.mailbox(mailbox_id) for mailbox_id in operation.mailbox_ids()]
        slices = operation.prepare(loaded[0]) if loaded else iter(())
        return await self._prepare_and_commit(operation, slices)

    async def _prepare_and_commit(self, operation: Operation[Outcome], slices: Iterator[None]) -> Outcome:
        for _ in slices:
            await asyncio.sleep(0)
        async with rows_ahead(self, self._shown.chores, operation):
            return await self._enqueue(operation)

    def _enqueue(self, operation: Operation[Outcome]) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._queue.append((operation, future))
        # Sessions that are ready in this turn of the loop join the same batch.
        self._work_is_due()
        return future

    def _work_is_due(self) -> None:
        if not (self._writing or self._work_due):
            self._work_due = True
            self._loop.call_soon(self._next_work)

    def _next_work(self) -> None:
        """Give the writer's thread what is due next, if it is free."""
        self._work_due = False
        files = self._files
        if self._writing or files is None:
            return
        if self._jobs:
            self._begin_job(files)
        elif self._queue and self._gathering.waits(len(self._queue)):
            self._work_is_due()
        elif self._queue and not (self._step_due and self._shown.chores.are_overdue(files)):
            # Overdue work takes turns with those who wait: one step after each batch.
            self._step_due = True
            self._begin_batch(files)
        else:
            step = None if self._discarded else self._shown.chores.next_step(files, self._shown.states)
            if step is not None:
                self._step_due = False
                self._begin_chore(step)
            elif self._queue:
                self._begin_batch(files)

    def _begin_batch(self, files: AccountFiles) -> None:
        items = self._take_items()
        if self._discarded:
            error = StateDiscarded("The account was removed or restored: please connect again.")
            for _, future in items:
                settle(future, error, succeeded=False)
            items = []
        if not items:
            return
        self._gathering.begun(len(items))
        self._writing = True
        base = self._shown.base()
        now = clock.now_seconds()

        def job() -> None:
            operations = [operation for operation, _ in items]
            try:
                result = run_batch(files, base, operations, now)
            except BaseException as error:  # noqa: BLE001 -- whoever waits must not wait for ever
                _log.exception("A commit met a fault of this program.")
                failure = StorageFailed("The change could not be stored.")
                failure.__cause__ = error
                result = BatchResult([failure] * len(items))
            self._post(self._batch_done, items, base, result)

        self._host.writers.submit(job)

    def _take_items(self) -> list[tuple[Operation[Any], asyncio.Future[Any]]]:
        """Take from the queue what fits into one batch; operations that nobody waits for are dropped."""
        taken: list[tuple[Operation[Any], asyncio.Future[Any]]] = []
        octets = 0
        rest = 0
        for item in self._queue:
            if len(taken) >= limits.BATCH_OPERATIONS_MAX or (taken and octets > limits.BATCH_BODY_BYTES_MAX):
                break
            rest += 1
            if not item[1].done():
                octets += body_octets(item[0])
                taken.append(item)
        del self._queue[:rest]
        return taken

    def _batch_done(
        self,
        items: list[tuple[Operation[Any], asyncio.Future[Any]]],
        base: Snapshot,
        result: BatchResult,
    ) -> None:
        self._writing = False
        committed = result.draft is not None
        self._shown.committed(base, result.caught, result.draft, result.version)
        if result.count is not None:
            self._seen = max(self._seen, result.count)
        ended, self._batch_ended = self._batch_ended, None
        if ended is not None:
            ended.set_result(None)
        for (_, future), outcome in zip(items, result.outcomes, strict=True):
            settle(future, outcome, succeeded=not isinstance(outcome, Exception))
        if any(isinstance(outcome, StateDiscarded) for outcome in result.outcomes):
            self.discard()
        if committed or result.caught is not None:
            self._notify()
        if committed:
            self._host.moved(self.number)
            self._shown.chores.resume()
        # Those who were answered just now run first, so that what they do next joins the next batch.
        self._work_is_due()

    # --- housekeeping -----------------------------------------------------------------------------

    def _begin_chore(self, step: Callable[[], None]) -> None:
        self._writing = True

        def job() -> None:
            error: BaseException | None = None
            try:
                step()
            except BaseException as caught:  # noqa: BLE001 -- housekeeping is tried again later
                error = caught
            self._post(self._chore_done, error)

        self._host.writers.submit(job)

    def _chore_done(self, error: BaseException | None) -> None:
        self._writing = False
        self._shown.chores.done(failed=error is not None)
        if error is not None:
            _log.warning("Housekeeping of account %d failed: %s", self.number, error)
        self._next_work()

    async def write(self, job: Callable[[AccountFiles], Answer]) -> Answer:
        """Run a job on the writing half of the files, between two batches."""
        await self.open()
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._jobs.append((job, future))
        self._next_work()
        return await future

    def _begin_job(self, files: AccountFiles) -> None:
        self._writing = True
        job, future = self._jobs.pop(0)

        def run() -> None:
            succeeded, answer = attempt(lambda: job(files))
            self._post(self._job_done, future, answer, succeeded)

        self._host.writers.submit(run)

    def _job_done(self, future: asyncio.Future[Any], answer: Any, succeeded: bool) -> None:
        self._writing = False
        settle(future, answer, succeeded=succeeded)
        self._next_work()
