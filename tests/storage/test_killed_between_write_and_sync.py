"""A process is killed after it wrote a commit and before it synced it: whoever finds it syncs it first."""

import asyncio
import errno
import shutil

import pytest

from modseq.core.errors import StorageFailed
from modseq.storage.sqlite.store import SqliteStore
from storage.power import RecordingDisk
from storage.scenarios import append, told


def left_by_a_killed_process(tmp_path):
    """Return the files as the kernel has them when a process dies at the sync of its second commit."""
    copy = tmp_path / "copy"

    async def scenario():
        disk = RecordingDisk()
        async with SqliteStore(tmp_path / "data", disk=disk, wakeups=False) as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await append(account, 1, "synced")

            def die(kind, path):
                if kind == "sync" and path.endswith("mail.sqlite-wal") and not copy.exists():
                    ignored = shutil.ignore_patterns("*-shm", "*.wakeup")
                    shutil.copytree(tmp_path / "data", copy, ignore=ignored)
                    raise OSError(errno.EIO, "dead")

            disk.fault = die
            with pytest.raises(StorageFailed):
                await append(account, 1, "written")

    asyncio.run(scenario())
    return copy


def test_what_is_found_in_the_log_is_synced_before_it_is_told(tmp_path):
    async def scenario():
        disk = RecordingDisk()
        async with SqliteStore(left, disk=disk, wakeups=False) as backend:
            account = await backend.account("ann")
            synced = [(event.kind, event.path.rsplit("/", 1)[-1]) for event in disk.events]
            assert ("sync", "mail.sqlite-wal") in synced
            # The log itself may be new: then its name is not durable either.
            assert synced.index(("sync-directory", "1")) > synced.index(("sync", "mail.sqlite-wal"))
            assert list(told(await account.mailbox(1))) == [1, 2]

    left = left_by_a_killed_process(tmp_path)
    asyncio.run(scenario())


def test_what_cannot_be_synced_is_not_told(tmp_path):
    async def scenario():
        disk = RecordingDisk()

        def fail(kind, path):
            if kind == "sync" and path.endswith("mail.sqlite-wal"):
                raise OSError(errno.EIO, "injected")

        async with SqliteStore(left, disk=disk, wakeups=False) as backend:
            disk.fault = fail
            with pytest.raises(StorageFailed):
                await backend.account("ann")
            disk.fault = None
            account = await backend.account("ann")
            assert list(told(await account.mailbox(1))) == [1, 2]

    left = left_by_a_killed_process(tmp_path)
    asyncio.run(scenario())
