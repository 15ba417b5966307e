"""What mypy makes of the public API; read by mypy, never run."""

from pathlib import Path
from typing import assert_type

import modseq.client.sync
from modseq.client import (
    Appended,
    BodyStream,
    Client,
    Completed,
    Copied,
    Enabled,
    Event,
    ExpungeResult,
    Fetched,
    Found,
    ListData,
    MessageData,
    Moved,
    Pending,
    Selected,
    StatusData,
    Stored,
    SyncChange,
    SyncState,
    Vanished,
    connect,
)
from modseq.client.sync import Client as BlockingClient
from modseq.core.numset import NumSet


async def asynchronous(state: SyncState | None) -> None:
    assert_type(await connect("imaps://ann@example.org/", password="x"), Client)
    async with connect("imaps://ann@example.org/", token="x") as client:
        assert_type(client, Client)
        assert_type(await client.enable("QRESYNC"), Enabled)
        assert_type(await client.noop(), Completed)
        selected = await client.select("INBOX", qresync=state)
        assert_type(selected, Selected)
        assert_type(selected.highest_mod_seq, int | None)
        assert_type(selected.vanished, NumSet)
        fetched = await client.fetch("1:*", ["FLAGS"], changed_since=5, vanished=True)
        assert_type(fetched, Fetched)
        assert_type(fetched.messages[0].flags, frozenset[str] | None)
        assert_type(fetched.by_uid(), dict[int, MessageData])
        stored = await client.store([1, 2], add="$x", unchanged_since=0)
        assert_type(stored, Stored)
        assert_type(stored.modified, NumSet)
        assert_type(await client.search("UNSEEN", returns=["COUNT"]), Found)
        assert_type(await client.copy(7, "a"), Copied)
        assert_type(await client.move(NumSet([7]), b"a"), Moved)
        assert_type(await client.expunge(), ExpungeResult)
        assert_type(await client.append("a", Path("x")), Appended)
        assert_type(await client.list(status=["MESSAGES"]), tuple[ListData, ...])
        assert_type(await client.status("INBOX"), StatusData)
        assert_type(await client.wait(5), tuple[Event, ...])
        assert_type(client.events.take(), tuple[Event, ...])
        async for message in client.fetch_each("1:*"):
            assert_type(message, MessageData | Vanished)
        async with client.fetch_body(7) as body:
            assert_type(body, BodyStream)
            async for chunk in body:
                assert_type(chunk, bytes)
        async with client.idle(60) as events:
            async for event in events:
                assert_type(event, Event)
        async with client.pipeline() as batch:
            pending = batch.store(7, add="$x")
        assert_type(pending, Pending[Stored])
        assert_type(pending.result, Stored)
        sync = client.sync("INBOX", state)
        async for change in sync:
            assert_type(change, SyncChange)
        assert_type(sync.state, SyncState)
        client.store(7, add="$x") + 1  # type: ignore[operator]
        await client.store(7, "+FLAGS", ["$x"])  # type: ignore[call-arg]


def blocking() -> None:
    with modseq.client.sync.connect("imaps://ann@example.org/", password="x") as client:
        assert_type(client, BlockingClient)
        assert_type(client.store(7, add="$x"), Stored)
        assert_type(client.select("INBOX"), Selected)
        for message in client.fetch_each("1:*"):
            assert_type(message, MessageData | Vanished)
        with client.idle(60) as events:
            for event in events:
                assert_type(event, Event)
        with client.pipeline() as batch:
            pending = batch.search("ALL")
        assert_type(pending.result, Found)
        sync = client.sync("INBOX")
        assert_type(list(sync), list[SyncChange])
        assert_type(sync.state, SyncState)
