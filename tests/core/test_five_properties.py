"""The five properties, over the memory backend."""

from contextlib import asynccontextmanager

import pytest

from core.properties import MACHINES, check_property
from modseq import limits
from modseq.core import uidindex
from modseq.storage.memory import MemoryStore


@asynccontextmanager
async def opened_in_memory():
    store = MemoryStore()
    await store.directory.add("u", "")
    account = await store.account("u")
    yield [account, account]
    await store.close()


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_property(machine, monkeypatch):
    monkeypatch.setattr(uidindex, "BLOCK_BITS", 3)
    monkeypatch.setattr(uidindex, "BLOCK_UIDS", 8)
    monkeypatch.setattr(limits, "LOG_CHANGES_IN_MEMORY_MAX", 8)
    monkeypatch.setattr(limits, "PALETTE_MASKS_UNUSED_MAX", 3)
    monkeypatch.setattr(limits, "HUGE_OPERATION_MESSAGES_MIN", 3)
    check_property(machine, opened_in_memory)
