"""EIO and ENOSPC at each call in turn: clear errors, nothing stored lost, and afterwards all is well."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from modseq import limits
from modseq.core.errors import CommitUnknown, StorageFailed, StorageFull
from modseq.core.mailbox_operations import CreateMailbox
from modseq.core.operations import Append
from modseq.storage.sqlite.compaction import compact
from modseq.storage.sqlite.store import SqliteStore
from storage.power import RecordingDisk
from storage.scenarios import append, expunge, message, problems_of, store, told

KINDS = {errno.EIO: StorageFailed, errno.ENOSPC: StorageFull}


def size_of(path):
    return Path(path).stat().st_size


class Faults:
    """Raises at one call, or at every call from one on while it is armed."""

    def __init__(self, code, at, *, lasting=False):
        self.code, self.at, self.lasting = code, at, lasting
        self.seen = 0
        self.armed = False
        self.hits = []

    def __call__(self, kind, path):
        if not self.armed or (self.code == errno.ENOSPC and kind not in ("write", "make-directory", "open")):
            return
        self.seen += 1
        if self.seen == self.at or (self.lasting and self.seen > self.at):
            self.hits.append((kind, Path(path).name))
            raise OSError(self.code, os.strerror(self.code), path)


async def work(account, confirmed, unsure, refused):
    """Do some of everything; note what was confirmed, what may be there, and what was refused."""
    inbox = account.listing().find("INBOX").mailbox_id
    steps = [
        lambda: append(account, inbox, "first"),
        lambda: store(account, inbox, [1], "+", "\\Seen", "$x"),
        lambda: account.commit(Append(inbox, (message("big", size=50_000),))),
        lambda: expunge(account, inbox, 1),
        lambda: account.commit(CreateMailbox("Work")),
        lambda: append(account, inbox, "last"),
        lambda: compact(account, dead_percent_min=1),
        lambda: append(account, inbox, "after compaction"),
    ]
    for number, step in enumerate(steps):
        try:
            await step()
        except (StorageFailed, StorageFull) as error:
            refused.append((number, error))
        except CommitUnknown:
            unsure.append(number)
            return
        state = await account.mailbox(inbox)
        confirmed[:] = [(state.mod_seq, told(state))]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(limits, "WAL_PAGES_CHECKPOINT_MIN", 8)
    monkeypatch.setattr(limits, "LOG_ROWS_FOLD_MIN", 3)


async def one_round(path, faults):
    """Work on a failing disk; then on a healed one, in the same process; then after opening anew."""
    disk = RecordingDisk()
    disk.fault = faults
    confirmed, unsure, refused = [], [], []
    async with SqliteStore(path / "data", disk=disk, wakeups=False) as backend:
        await backend.directory.add("ann", "hash")
        account = await backend.account("ann")
        before = (await account.mailbox(1)).mod_seq
        faults.armed = True
        await work(account, confirmed, unsure, refused)
        faults.armed = False
        if not unsure:
            state = await account.mailbox(1)
            mod_seq, messages = confirmed[-1] if confirmed else (before, {})
            assert state.mod_seq >= mod_seq
            assert told(state) == messages
            outcome = await append(account, 1, "healed")
            assert outcome.mod_seq > mod_seq
            confirmed[:] = [(outcome.mod_seq, told(await account.mailbox(1)))]
            assert await problems_of(account) == []
    async with SqliteStore(path / "data", wakeups=False, sync="off") as backend:
        account = await backend.account("ann")
        assert await problems_of(account) == []
        state = await account.mailbox(1)
        if confirmed:
            assert state.mod_seq >= confirmed[-1][0]
        if confirmed and not unsure:
            assert told(state) == confirmed[-1][1]
    return refused, unsure


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_single_fault_at_each_call_in_turn(tmp_path, small, code):
    at = 0
    refusals = 0
    while True:
        at += 1
        faults = Faults(code, at)
        refused, unsure = asyncio.run(one_round(tmp_path / str(at), faults))
        assert not unsure, faults.hits
        for _, error in refused:
            assert isinstance(error, KINDS[code]), (faults.hits, error)
        refusals += bool(refused)
        if not faults.hits:
            break
    assert at > 25
    assert refusals > 10


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_for_good_is_refused_or_unknown_but_never_silent(tmp_path, small, code):
    kinds = set()
    for at in range(1, 40, 3):
        faults = Faults(code, at, lasting=True)
        refused, unsure = asyncio.run(one_round(tmp_path / str(at), faults))
        if not faults.hits:
            break
        kinds |= {type(error) for _, error in refused} | ({CommitUnknown} if unsure else set())
    assert KINDS[code] in kinds
    if code == errno.ENOSPC:
        assert CommitUnknown not in kinds


def test_a_commit_whose_sync_failed_does_not_come_back(tmp_path):
    """Its records lie complete in the log, where a restart would find them: it must not."""

    async def scenario():
        disk = RecordingDisk()
        async with SqliteStore(tmp_path / "data", disk=disk, wakeups=False) as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await append(account, 1, "kept")

            fail_once = ["sync"]

            def fault(kind, path):
                if kind in fail_once and path.endswith("-wal"):
                    fail_once.clear()
                    raise OSError(errno.EIO, "injected")

            disk.fault = fault
            with pytest.raises(StorageFailed):
                await store(account, 1, [1], "+", "$refused")
            disk.fault = None
            # What a crash at this moment leaves: the files as they are, without the shared memory.
            copy = tmp_path / "copy"
            copy.mkdir()
            for path in (tmp_path / "data").rglob("*"):
                target = copy / path.relative_to(tmp_path / "data")
                if path.is_dir():
                    target.mkdir(exist_ok=True)
                elif not path.name.endswith("-shm"):
                    target.write_bytes(path.read_bytes())
        async with SqliteStore(copy, wakeups=False, sync="off") as backend:
            account = await backend.account("ann")
            state = await account.mailbox(1)
            assert told(state) == {1: ((), 2, 17)}
            assert await problems_of(account) == []

    asyncio.run(scenario())


def test_a_segment_goes_on_behind_what_a_failed_sync_left_there(tmp_path):
    async def scenario():
        disk = RecordingDisk()
        async with SqliteStore(tmp_path / "data", disk=disk, wakeups=False) as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await append(account, 1, "first")
            faults = []

            def fault(kind, path):
                if kind == "sync" and path.endswith(".seg") and not faults:
                    faults.append(path)
                    raise OSError(errno.EIO, "injected")

            disk.fault = fault
            with pytest.raises(StorageFailed):
                await append(account, 1, "second")
            (path,) = faults
            left = size_of(path)
            await append(account, 1, "third")
            place = await account.write(
                lambda files: files.writer.execute("SELECT offset FROM content WHERE email_id = 2").fetchall()
            )
            assert place == [(left,)]
            assert await problems_of(account) == []

    asyncio.run(scenario())
