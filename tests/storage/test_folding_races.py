"""Two processes fold one mailbox at the same time: whatever they interleave, it loads as it is."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from modseq.core.mailbox_operations import INBOX
from modseq.core.operations import Purge
from modseq.storage.sqlite.batch import run_step
from modseq.storage.sqlite.check import check_account
from modseq.storage.sqlite.files import Settings
from modseq.storage.sqlite.folding import Fold
from modseq.storage.sqlite.store import SqliteStore
from storage.scenarios import append


class Folder:
    """A process that folds, step by step, what it has seen of the mailbox."""

    def __init__(self, account, mailbox_id: int, state) -> None:
        self._account = account
        self._state = state
        self.fold = Fold(mailbox_id, state.mod_seq)

    async def begin(self) -> None:
        await self._account.write(lambda files: self.fold.begin(files.writer, self._state))

    async def write(self) -> None:
        if not self.fold.finished:
            await self._step(lambda connection: self.fold.write_chunks(connection, self._state))

    async def finish(self) -> None:
        if not self.fold.finished:
            await self._step(
                lambda connection: self.fold.finish_from_log(connection, self._state, Settings(), 0)
            )

    async def _step(self, step) -> None:
        await self._account.write(lambda files: run_step(files, step))


# What the one that has seen the message does, and the one that has seen that it is gone.
ORDERS = [
    "Gone.begin Gone.finish Seen.begin Seen.write Seen.finish",
    "Seen.begin Gone.begin Gone.write Gone.finish Seen.write Seen.finish",
    "Gone.begin Seen.begin Seen.write Gone.write Gone.finish Seen.finish",
    "Gone.begin Seen.begin Seen.write Seen.finish Gone.write Gone.finish",
    "Seen.begin Seen.write Gone.begin Gone.write Seen.finish Gone.finish",
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_block_that_was_emptied_stays_empty(tmp_path, order):
    async def work() -> None:
        async with AsyncExitStack() as stack:
            one, other = [
                await stack.enter_async_context(SqliteStore(tmp_path, sync="off")) for _ in range(2)
            ]
            await one.directory.add("u", "")
            here, there = await one.account("u"), await other.account("u")
            inbox = here.listing().find(INBOX).mailbox_id
            await append(here, inbox, "seen")
            await there.refresh()
            seen = await there.mailbox(inbox)
            await here.commit(Purge(inbox, seen.index.to_numset()))
            folders = {
                "Seen": Folder(there, inbox, seen),
                "Gone": Folder(here, inbox, await here.mailbox(inbox)),
            }
            for word in order.split():
                name, act = word.split(".")
                await getattr(folders[name], act)()
        async with SqliteStore(tmp_path, sync="off") as later:
            account = await later.account("u")
            assert await check_account(account) == []
            assert (await account.mailbox(inbox)).exists == 0
            # What was left undone is made good by the next one.
            await append(account, inbox, "later")
            folder = Folder(account, inbox, await account.mailbox(inbox))
            for act in (folder.begin, folder.write, folder.finish):
                await act()
            assert await check_account(account) == []

    asyncio.run(work())
