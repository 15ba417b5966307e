"""Compaction in one process while another reads and writes the same account."""

import asyncio

from modseq.core.message import Content, NewMessage
from modseq.core.operations import Append, Purge
from modseq.storage.blobs import segment_numbers
from modseq.storage.sqlite.compaction import compact
from modseq.storage.sqlite.files import BODIES
from modseq.storage.sqlite.store import SqliteStore
from storage.scenarios import problems_of, uids


def message(octets: bytes) -> NewMessage:
    return NewMessage((), 1_700_000_000, 0, 1_700_000_000, Content(octets, b"", b"", b"", b"", None, 0))


async def body(account, uid: int) -> bytes:
    (row,) = await account.rows(1, [uid], ready=False)
    return await account.read(row.email_id)


def test_the_number_of_a_removed_segment_is_not_used_again(tmp_path):
    """Another process holds the removed file open, and would look there for what lies in the new one."""

    async def scenario():
        async with SqliteStore(tmp_path, sync="off") as one, SqliteStore(tmp_path, sync="off") as other:
            await one.directory.add("u", "")
            here, there = await one.account("u"), await other.account("u")
            await here.commit(Append(1, (message(b"kept"),)))
            # The first segment is the other's, so this one lies in a second.
            await there.commit(Append(1, (message(b"x" * 100),)))
            await here.refresh()
            assert await body(here, 2) == b"x" * 100
            await there.commit(Purge(1, uids(2)))
            directory = there._directory / BODIES
            before = segment_numbers(directory)
            removed = await compact(there, dead_percent_min=1)
            assert removed.segments_removed == 1
            await there.commit(Append(1, (message(b"new"),)))
            assert segment_numbers(directory)[-1] > before[-1]
            await here.refresh()
            assert await body(here, 3) == b"new"
            assert await problems_of(here) == []
            assert await problems_of(there) == []

    asyncio.run(scenario())
