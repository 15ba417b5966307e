"""The embedded store: one data directory, served by any number of processes at the same time."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Literal, Self, TypeVar

from modseq import limits
from modseq.core.errors import UserNotFound
from modseq.storage.disk import Disk
from modseq.storage.lanes import Lanes
from modseq.storage.sqlite.account import Host, SqliteAccount
from modseq.storage.sqlite.directory import RUN, UserTable
from modseq.storage.sqlite.files import Settings
from modseq.storage.sqlite.readqueue import attempt, settle
from modseq.storage.wakeup import Wakeups

Answer = TypeVar("Answer")


class SqliteDirectory:
    """The users (`storage.base.Directory`)."""

    def __init__(self, store: SqliteStore, users: UserTable) -> None:
        self._store = store
        self._users = users

    async def add(self, name: str, password_hash: str) -> None:
        """Add a user with an empty INBOX; raises UserExists."""
        await self._store.run(lambda: self._users.add(name, password_hash))

    async def remove(self, name: str) -> None:
        """Remove a user with all mail; raises UserNotFound."""
        number = await self._store.run(lambda: self._users.number(name))
        if number is not None:
            await self._store.let_go(number)
        await self._store.run(lambda: self._users.remove(name))

    async def names(self) -> list[str]:
        """Return the names of all users, sorted."""
        return sorted(await self._store.run(self._users.numbers))

    async def password_hash(self, name: str) -> str | None:
        """Return the hash of a user's password, None when there is no such user."""
        return await self._store.run(lambda: self._users.password_hash(name))

    async def set_password_hash(self, name: str, password_hash: str) -> None:
        """Replace a user's password; raises UserNotFound."""
        await self._store.run(lambda: self._users.set_password_hash(name, password_hash))


class SqliteStore:
    """Accounts in a data directory (`storage.base.Store`).

    Args:
        data_dir: made when it is missing; only its owner may enter it.
        disk: what every durable write passes.
        wakeups: tell other processes at once what moved; without, they find out at their next command or
            within a second.
        sync: "full": what is confirmed survives a power cut. "off": nothing is synced; after a power cut
            confirmed changes may be missing and their mod-sequences be given out again, so that clients
            miss changes for ever. For imports that are repeated when they fail, and for tests.
        settings: bounds and compression.
        lanes: makes the threads that do what may wait for the disk, from a name and their number.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        disk: Disk | None = None,
        wakeups: bool = True,
        sync: Literal["full", "off"] = "full",
        settings: Settings | None = None,
        lanes: Callable[[str, int], Lanes] = Lanes,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self._disk = disk or Disk(syncs=sync == "full")
        self._writers = lanes("storage-write", limits.WRITER_THREADS_MAX)
        self._readers = lanes("storage-read", limits.READER_THREADS_MAX)
        self._users = UserTable(self.data_dir, self._disk)
        self.directory = SqliteDirectory(self, self._users)
        self._host = Host(
            disk=self._disk,
            settings=settings or Settings(),
            writers=self._writers,
            readers=self._readers,
            moved=self._send_wakeup,
            opened=self._account_opened,
        )
        # Every account object that somebody holds, so that all sessions of a process share one, and
        # those whose files are open, the one used longest ago first.
        self._known: weakref.WeakValueDictionary[int, SqliteAccount] = weakref.WeakValueDictionary()
        self._open: dict[int, SqliteAccount] = {}
        self._wants_wakeups = wakeups
        self._wakeups: Wakeups | None = None
        self._timer: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._started: asyncio.Future[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Make what is missing, and begin to listen; other methods do it when it was not done."""
        if self._started is None:
            self._started = asyncio.ensure_future(self._start())
        await asyncio.shield(self._started)

    async def _start(self) -> None:
        await self._run(self._users.open)
        if self._wants_wakeups:
            self._wakeups = Wakeups(self.data_dir / RUN, self._heard)
            self._wakeups.start(asyncio.get_running_loop())
        self._timer = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Finish what was committed and let go of everything."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        if self._wakeups is not None:
            self._wakeups.close()
            self._wakeups = None
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for account in list(self._known.values()):
            await account.close()
        self._open.clear()
        if self._started is not None:
            await self._run(self._users.close)
        await asyncio.to_thread(self._writers.close)
        await asyncio.to_thread(self._readers.close)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def account(self, name: str) -> SqliteAccount:
        """Return the account of a user, opening it when needed; raises UserNotFound."""
        number = await self.run(lambda: self._users.number(name))
        if number is None:
            raise UserNotFound(f"There is no user {name}.")
        account = self._known.get(number)
        if account is None or account.is_discarded:
            directory = self._users.account_directory(number)
            account = self._known[number] = SqliteAccount(name, number, directory, self._host)
        await account.open()
        if number in self._open:
            self._open[number] = self._open.pop(number)
        return account

    async def let_go(self, number: int) -> None:
        """End what this process does with an account that is about to be removed."""
        account = self._known.pop(number, None)
        self._open.pop(number, None)
        if account is not None:
            account.discard()
            await account.close()

    def _account_opened(self, account: SqliteAccount) -> None:
        self._open[account.number] = account
        surplus = len(self._open) - limits.OPEN_ACCOUNTS_MAX
        if surplus <= 0:
            return
        idle = [each for each in self._open.values() if each is not account and not each.is_busy]
        for each in idle[:surplus]:
            del self._open[each.number]
            self._spawn(each.rest())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- wake-ups -----------------------------------------------------------------------------------

    def _send_wakeup(self, number: int) -> None:
        if self._wakeups is not None:
            self._wakeups.send(number)

    def _heard(self, number: int) -> None:
        account = self._open.get(number)
        if account is not None and account.is_watched and account.has_moved:
            self._spawn(account.look())

    async def _tick(self) -> None:
        """Look at watched accounts now and then: a lost wake-up costs time and nothing else."""
        while True:
            await asyncio.sleep(limits.WAKEUP_TIMER_SECONDS)
            for account in list(self._open.values()):
                if account.is_watched and account.has_moved:
                    self._spawn(account.look())

    # --- threads ------------------------------------------------------------------------------------

    async def run(self, job: Callable[[], Answer]) -> Answer:
        """Run a job on the users' table in a thread."""
        await self.start()
        return await self._run(job)

    async def _run(self, job: Callable[[], Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def work() -> None:
            succeeded, answer = attempt(job)
            loop.call_soon_threadsafe(lambda: settle(future, answer, succeeded=succeeded))

        self._readers.submit(work)
        return await future
