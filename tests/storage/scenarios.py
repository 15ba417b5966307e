"""What the storage tests share: stores of every backend, messages, and short ways to say what to do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from modseq.core.flags import SYSTEM_FLAGS
from modseq.core.message import Content, NewMessage
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Expunge, Transfer
from modseq.core.store_flags import StoreFlags
from modseq.storage import fsck
from modseq.storage.memory import MemoryStore
from modseq.storage.sqlite.check import check_account
from modseq.storage.sqlite.store import SqliteStore

BACKENDS = ("memory", "sqlite")


def message(text: str = "hello", *flags: str, size: int = 0) -> NewMessage:
    head = b"Subject: " + text.encode() + b"\r\n\r\n"
    data = head + b"x" * max(0, size - len(head))
    content = Content(
        data,
        envelope=b"(envelope " + text.encode() + b")",
        body=b"(body)",
        structure=b"(structure)",
        parts=b"parts",
        sent_date=19_000,
        header_length=len(head),
    )
    return NewMessage(flags, 1_700_000_000, 60, 1_700_000_001, content)


def uids(*numbers: int) -> NumSet:
    return NumSet(numbers)


async def inbox_of(account) -> int:
    return account.listing().find("INBOX").mailbox_id


async def append(account, mailbox_id: int, *texts: str, flags: tuple[str, ...] = ()):
    return await account.commit(Append(mailbox_id, tuple(message(text, *flags) for text in texts)))


async def store(account, mailbox_id: int, numbers, mode: str, *flags: str, since: int | None = None):
    wanted = numbers if isinstance(numbers, NumSet) else NumSet(numbers)
    return await account.commit(StoreFlags(mailbox_id, wanted, mode, flags, unchanged_since=since))


async def expunge(account, mailbox_id: int, *numbers: int):
    await store(account, mailbox_id, numbers, "+", "\\Deleted")
    return await account.commit(Expunge(mailbox_id, NumSet(numbers)))


async def transfer(account, source: int, numbers, target: int, *, move: bool = False):
    return await account.commit(Transfer(source, NumSet(numbers), target, move=move))


async def problems_of(account) -> list[fsck.Problem]:
    if isinstance(account, Awaitable):
        account = await account
    if hasattr(account, "write"):
        return await check_account(account)
    return await fsck.check(account)


@asynccontextmanager
async def opened(kind: str, path, **options):
    backend = MemoryStore() if kind == "memory" else SqliteStore(path / "data", **options)
    try:
        yield backend
    finally:
        await backend.close()


def on_every_backend(test: Callable[..., Awaitable[None]]):
    """Run an async test on the account of a new user in every backend, and check all invariants after it."""

    @pytest.mark.parametrize("kind", BACKENDS)
    def run(kind, tmp_path):
        async def scenario():
            async with opened(kind, tmp_path) as backend:
                await backend.directory.add("ann", "hash")
                account = await backend.account("ann")
                await test(account)
                assert await problems_of(account) == []

        asyncio.run(scenario())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def told(state) -> dict[int, tuple[tuple[str, ...], int, int]]:
    """Return flags, MODSEQ and size of each message, as a full fetch would tell them."""
    found = {}
    for uid in state.index:
        view = state.message(uid)
        found[uid] = (tuple(sorted(state.flag_table.names(view.flags))), view.mod_seq, view.size)
    return found


def item_numbers(state) -> dict[int, dict[str, int | None]]:
    """Return the number of every item of every message."""
    names = (*SYSTEM_FLAGS, *state.flag_table.keywords)
    return {
        uid: {name: state.item_mod_seq(uid, state.flag_table.bit(name)) for name in names}
        for uid in state.index
    }
