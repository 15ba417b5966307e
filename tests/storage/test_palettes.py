"""Combinations of flags that no message has any more are forgotten, in memory and on disk."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import apsw
import pytest

from modseq import limits
from modseq.core import uidindex
from modseq.core.mailbox_operations import CreateMailbox
from modseq.core.numset import NumSet
from modseq.core.operations import Transfer
from modseq.storage.sqlite.compaction import compact
from modseq.storage.sqlite.store import SqliteStore
from storage.scenarios import append, item_numbers, on_every_backend, opened, problems_of, store, told

INBOX = 1
KEYWORDS = [f"$k{number}" for number in range(6)]
SETS = [names for count in range(len(KEYWORDS) + 1) for names in itertools.combinations(KEYWORDS, count)]
UNUSED_MAX = 10


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(limits, "PALETTE_MASKS_UNUSED_MAX", UNUSED_MAX)
    monkeypatch.setattr(limits, "LOG_ROWS_FOLD_MIN", 5)


@asynccontextmanager
async def two_processes(path):
    """Yield one account as two processes see it, with three messages."""
    async with SqliteStore(path, sync="off") as one, SqliteStore(path, sync="off") as two:
        await one.directory.add("ann", "hash")
        here, there = await one.account("ann"), await two.account("ann")
        await append(here, INBOX, *"abc")
        yield here, there


async def wear(account, numbers, sets=SETS, mailbox_id=INBOX):
    """Have messages go through combinations of flags."""
    for names in sets:
        await store(account, mailbox_id, numbers, "=", *names)


def stored_masks(path):
    (database,) = path.glob("accounts/*/mail.sqlite")
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return next(iter(connection.execute("SELECT count(*) FROM palette")))[0]
    finally:
        connection.close()


@on_every_backend
async def test_memory_is_bounded_by_what_is_in_use(account):
    await append(account, INBOX, *"abc")
    await wear(account, [2])
    masks = (await account.mailbox(INBOX)).palette.masks
    assert len(SETS) > 4 * UNUSED_MAX
    # One commit may add a few above the bound before the next one looks.
    assert len(masks) <= UNUSED_MAX + 3


@on_every_backend
async def test_what_a_session_shows_stays_as_it_was(account):
    await append(account, INBOX, *"abc")
    await wear(account, [1], SETS[:20])
    state = await account.mailbox(INBOX)
    before, items = told(state), item_numbers(state)
    await wear(account, [1, 3])
    assert (await account.mailbox(INBOX)).palette is not state.palette
    assert (told(state), item_numbers(state)) == (before, items)


@on_every_backend
async def test_combinations_in_use_are_kept_however_many(account):
    await append(account, INBOX, *["m"] * len(SETS))
    for uid, names in enumerate(SETS, 1):
        await store(account, INBOX, [uid], "=", *names)
    await wear(account, [1])
    state = await account.mailbox(INBOX)
    flags = {uid: set(names) for uid, (names, _, _) in told(state).items()}
    assert flags == {1: set(SETS[-1])} | {uid: set(names) for uid, names in enumerate(SETS[1:], 2)}
    assert len(state.palette.masks) >= len(SETS)


def test_what_was_worked_out_with_an_older_palette_is_not_used(monkeypatch):
    """The copies of a huge COPY begin a block, and are worked out; then the target gets another palette."""
    monkeypatch.setattr(limits, "HUGE_OPERATION_MESSAGES_MIN", 1)
    monkeypatch.setattr(uidindex, "BLOCK_BITS", 4)
    monkeypatch.setattr(uidindex, "BLOCK_UIDS", 16)

    async def scenario():
        async with opened("memory", None) as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await account.commit(CreateMailbox("Other"))
            other = account.listing().find("Other").mailbox_id
            await append(account, INBOX, "a", "b", flags=("$k1", "$k5"))
            await append(account, other, *["m"] * 16)
            await wear(account, [1], SETS[:8], other)
            copy = Transfer(INBOX, NumSet([1, 2]), other, move=False)
            source, target = await account.mailbox(INBOX), await account.mailbox(other)
            for _ in (*copy.prepare(source), *copy.foresee(source, target)):
                pass
            await wear(account, [1], SETS, other)
            account.commit_now(copy)
            state = await account.mailbox(other)
            assert state.palette is not target.palette
            flags = [set(names) for names, _, _ in told(state).values()]
            assert flags[-2:] == [{"$k1", "$k5"}] * 2
            assert await problems_of(account) == []

    asyncio.run(scenario())


def test_a_process_that_only_reads_forgets_too(tmp_path):
    async def scenario():
        async with two_processes(tmp_path) as (here, there):
            await there.mailbox(INBOX)
            for names in SETS:
                await wear(here, [2], [names])
                await there.refresh()
            state = await there.mailbox(INBOX)
            assert told(state) == told(await here.mailbox(INBOX))
            assert len(state.palette.masks) <= UNUSED_MAX + 3

    asyncio.run(scenario())


def test_compaction_gives_back_what_was_stored(tmp_path):
    async def scenario():
        async with two_processes(tmp_path) as (here, there):
            await wear(here, [2])
            await there.refresh()
            state = await here.mailbox(INBOX)
            assert stored_masks(tmp_path) > len(SETS) / 2
            await compact(there)
            assert stored_masks(tmp_path) <= UNUSED_MAX
            async with SqliteStore(tmp_path, sync="off") as third:
                stored = await (await third.account("ann")).mailbox(INBOX)
                assert (told(stored), item_numbers(stored)) == (told(state), item_numbers(state))
            # The other goes on with numbers of its own, and what it stores is right for both.
            await wear(here, [1, 3], SETS[:8])
            await there.refresh()
            assert told(await there.mailbox(INBOX)) == told(await here.mailbox(INBOX))
            assert await problems_of(here) == await problems_of(there) == []
            after = told(await here.mailbox(INBOX)), item_numbers(await here.mailbox(INBOX))
            assert after[0][2] == told(state)[2]
        async with SqliteStore(tmp_path, sync="off") as again:
            account = await again.account("ann")
            loaded = await account.mailbox(INBOX)
            assert (told(loaded), item_numbers(loaded)) == after

    asyncio.run(scenario())


def test_compaction_leaves_a_palette_alone_that_is_in_use(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path, sync="off") as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await append(account, INBOX, *["m"] * len(SETS))
            for uid, names in enumerate(SETS, 1):
                await store(account, INBOX, [uid], "=", *names)
            before = stored_masks(tmp_path)
            await compact(account)
            assert stored_masks(tmp_path) >= before > UNUSED_MAX

    asyncio.run(scenario())
