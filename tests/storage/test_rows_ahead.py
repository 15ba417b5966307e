"""Rows of huge copies are written before the commit, those of huge expunges deleted after it."""

import asyncio

import pytest

from modseq import limits
from modseq.core.mailbox_operations import CreateMailbox, DeleteMailbox
from modseq.core.numset import NumSet
from modseq.core.operations import Expunge, Transfer
from modseq.storage.sqlite import rows, staging
from modseq.storage.sqlite.compaction import compact, usage
from modseq.storage.sqlite.rows import doomed_uids, stage_rows
from modseq.storage.sqlite.store import SqliteStore
from storage.power import RecordingDisk
from storage.scenarios import append, problems_of, store, told, transfer
from storage.test_power_loss import Told, cut_everywhere

EVERYTHING = NumSet(range(1, 100))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(limits, "HUGE_OPERATION_MESSAGES_MIN", 4)
    monkeypatch.setattr(limits, "ROWS_PER_COMMIT_MAX", 3)
    monkeypatch.setattr(limits, "DOOMED_UIDS_PER_ROW", 5)


def on_a_store(test):
    """Run a test on the account of a new user with ten messages and a second mailbox."""

    def run(tmp_path, monkeypatch):
        async def scenario():
            async with SqliteStore(tmp_path / "data", wakeups=False) as backend:
                await backend.directory.add("ann", "hash")
                account = await backend.account("ann")
                await append(account, 1, *"abcdefghij")
                work = (await account.commit(CreateMailbox("Work"))).mailbox_id
                await test(account, work, monkeypatch)
                assert await problems_of(account) == []

        asyncio.run(scenario())

    run.__name__ = test.__name__
    return run


async def rest(account):
    """Wait until housekeeping has nothing left to do."""
    chores = account._shown.chores
    while account._writing or chores._untidy or chores._fold or chores._due or chores._trims:
        account._work_is_due()
        await asyncio.sleep(0.002)


async def count(account, statement):
    return await account.write(lambda files: next(iter(files.writer.execute(statement)))[0])


async def subjects(account, mailbox_id):
    state = await account.mailbox(mailbox_id)
    rows = await account.rows(mailbox_id, list(state.index), ready=True)
    return [row.envelope.decode().split()[1][:-1] for row in rows]


def slices(monkeypatch):
    """Return a list that notes how each slice of rows written ahead went."""
    went = []
    plain = stage_rows

    def noted(*arguments):
        went.append(plain(*arguments))
        return went[-1]

    monkeypatch.setattr(staging, "stage_rows", noted)
    return went


@on_a_store
async def test_the_commit_finds_the_rows_in_their_place(account, work, monkeypatch):
    went = slices(monkeypatch)
    monkeypatch.setattr(rows, "_copy_rows", _only_in_slices(rows._copy_rows))
    await transfer(account, 1, range(1, 11), work)
    assert went == [True] * 4
    assert await subjects(account, work) == list("abcdefghij")
    assert await count(account, "SELECT count(*) FROM staged") == 0


def _only_in_slices(plain):
    def copy(connection, part):
        assert len(part.source_uids) <= limits.ROWS_PER_COMMIT_MAX, "all rows in one commit"
        plain(connection, part)

    return copy


def disturbed(monkeypatch, after, disturb):
    """Do something after so many slices."""
    plain, went = staging._slice, []

    def slice_(files, copied, start):
        went.append(plain(files, copied, start))
        if len(went) == after:
            disturb(files)
        return went[-1]

    monkeypatch.setattr(staging, "_slice", slice_)
    return went


async def reached(went, number):
    """Wait for so many slices."""
    while len(went) < number:  # noqa: ASYNC110 -- a thread notes them
        await asyncio.sleep(0)


@on_a_store
async def test_the_target_moves_while_rows_are_written_ahead(account, work, monkeypatch):
    went = disturbed(monkeypatch, 2, lambda _: None)
    copied = asyncio.ensure_future(transfer(account, 1, range(1, 11), work))
    await reached(went, 2)
    await append(account, work, "first")
    outcome = await copied
    assert False in went
    assert list(outcome.target_uids) == list(range(2, 12))
    assert await subjects(account, work) == ["first", *"abcdefghij"]
    await rest(account)
    assert await count(account, "SELECT count(*) FROM staged") == 0
    assert await count(account, "SELECT count(*) FROM message") == 21


@on_a_store
async def test_messages_go_while_rows_are_written_ahead(account, work, monkeypatch):
    went = disturbed(monkeypatch, 1, lambda _: None)
    copied = asyncio.ensure_future(transfer(account, 1, range(1, 11), work, move=True))
    await reached(went, 1)
    await store(account, 1, [1, 9, 10], "+", "\\Deleted")
    await account.commit(Expunge(1))
    outcome = await copied
    assert list(outcome.source_uids) == [2, 3, 4, 5, 6, 7, 8]
    assert await subjects(account, work) == list("bcdefgh")
    await rest(account)
    assert await count(account, "SELECT count(*) FROM message") == 7


@on_a_store
async def test_two_copies_to_one_mailbox_at_once(account, work, monkeypatch):
    await asyncio.gather(
        transfer(account, 1, range(1, 11), work),
        transfer(account, 1, range(1, 6), work),
        transfer(account, 1, range(2, 9), 1),
    )
    assert sorted(await subjects(account, work)) == sorted("abcdefghijabcde")
    await rest(account)
    assert await count(account, "SELECT count(*) FROM message") == 10 + 15 + 7


@on_a_store
async def test_a_copy_that_is_given_up_leaves_nothing(account, work, monkeypatch):
    went = disturbed(monkeypatch, 2, lambda _: None)
    copied = asyncio.ensure_future(transfer(account, 1, range(1, 11), work))
    await reached(went, 2)
    copied.cancel()
    assert await problems_of(account) == []
    await rest(account)
    assert await count(account, "SELECT count(*) FROM message") == 10
    await append(account, work, "x")
    assert await subjects(account, work) == ["x"]


@on_a_store
async def test_somebody_tidies_the_rows_away(account, work, monkeypatch):
    tidied = "DELETE FROM staged; DELETE FROM message WHERE mailbox_id <> 1"
    disturbed(monkeypatch, 4, lambda files: files.writer.execute(tidied))
    await transfer(account, 1, range(1, 11), work)
    assert await subjects(account, work) == list("abcdefghij")


@on_a_store
async def test_another_process_has_begun_to_tidy_the_rows_away(account, work, monkeypatch):
    went = disturbed(monkeypatch, 4, lambda files: rows.tidy(files.writer, ()))
    await transfer(account, 1, range(1, 11), work)
    assert went == [True] * 4
    assert await subjects(account, work) == list("abcdefghij")


@on_a_store
async def test_rows_of_expunged_messages_are_not_shown(account, work, monkeypatch):
    monkeypatch.setattr("modseq.storage.sqlite.chores.is_untidy", lambda *_: False)
    await store(account, 1, range(2, 11), "+", "\\Deleted")
    await account.commit(Expunge(1))
    assert await count(account, "SELECT count(*) FROM message") == 10
    assert [row.uid for row in await account.rows(1, list(range(1, 11)), ready=False)] == [1]
    doomed = await account.write(lambda files: doomed_uids(files.writer, 1))
    assert list(doomed) == list(range(2, 11))
    assert await problems_of(account) == []
    await compact(account, dead_percent_min=1)
    assert (await usage(account)).contents == 1


@on_a_store
async def test_rows_of_expunged_messages_go(account, work, monkeypatch):
    await store(account, 1, range(2, 11), "+", "\\Deleted")
    await account.commit(Expunge(1))
    await rest(account)
    assert await count(account, "SELECT count(*) FROM message") == 1
    assert await count(account, "SELECT count(*) FROM doomed") == 0


@on_a_store
async def test_rows_of_a_deleted_mailbox_go(account, work, monkeypatch):
    await transfer(account, 1, range(1, 11), work)
    await account.commit(DeleteMailbox("Work"))
    assert await problems_of(account) == []
    await rest(account)
    assert await count(account, "SELECT count(*) FROM message") == 10
    assert await count(account, "SELECT count(*) FROM doomed") == 0


def test_the_check_names_rows_that_are_not_recorded_as_left_over(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "data", wakeups=False) as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await append(account, 1, *"abc")
            await account.write(lambda files: files.writer.execute("INSERT INTO message VALUES (1, 9, 1, 0)"))
            assert [problem.name for problem in await problems_of(account)] == ["message-rows"]
            await account.write(lambda files: files.writer.execute("INSERT INTO staged VALUES (1, 5)"))
            assert await problems_of(account) == []
            doomed = NumSet([2]).serialize()
            await account.write(
                lambda files: files.writer.execute("INSERT INTO doomed VALUES (1, 1, ?)", (doomed,))
            )
            assert "message-rows" in [problem.name for problem in await problems_of(account)]

    asyncio.run(scenario())


def test_what_another_process_left_behind_is_tidied_away(tmp_path):
    async def leave_behind():
        async with SqliteStore(tmp_path / "data", wakeups=False) as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await append(account, 1, *"abcdefgh")
            await account.write(
                lambda files: files.writer.execute(
                    "INSERT INTO staged VALUES (1, 5); INSERT INTO doomed VALUES (1, 99, NULL);"
                    "INSERT INTO message SELECT 1, uid + 8, email_id, 0 FROM message;"
                    "INSERT INTO message SELECT 99, uid, email_id, 0 FROM message"
                )
            )

    async def come_back():
        async with SqliteStore(tmp_path / "data", wakeups=False) as backend:
            account = await backend.account("ann")
            assert await problems_of(account) == []
            await rest(account)
            assert await count(account, "SELECT count(*) FROM message") == 8
            assert await problems_of(account) == []

    asyncio.run(leave_behind())
    asyncio.run(come_back())


def test_the_power_is_cut_between_the_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "WAL_PAGES_CHECKPOINT_MIN", 25)
    monkeypatch.setattr(limits, "LOG_ROWS_FOLD_MIN", 3)
    monkeypatch.setattr(limits, "FOLD_CHUNKS_PER_COMMIT", 1)

    async def scenario(disk):
        async with SqliteStore(tmp_path / "data", disk=disk, wakeups=False) as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await append(account, 1, *"abcdefgh")
            work = (await account.commit(CreateMailbox("Work"))).mailbox_id

            async def note():
                for mailbox_id in (1, work):
                    state = await account.mailbox(mailbox_id)
                    disk.acknowledge(Told(mailbox_id, state.uid_validity, state.mod_seq, told(state)))

            await transfer(account, 1, range(1, 9), work)
            await note()
            await asyncio.gather(transfer(account, work, range(1, 9), 1, move=True), append(account, 1, "x"))
            await note()
            await store(account, 1, range(1, 30, 2), "+", "\\Deleted")
            await account.commit(Expunge(1))
            await note()
            await account.commit(Transfer(1, EVERYTHING, work, move=True))
            await note()
            await rest(account)

    disk = RecordingDisk()
    asyncio.run(scenario(disk))
    checked, failures = cut_everywhere(tmp_path, disk, 7)
    assert not failures, failures[0]
    assert checked > 30
