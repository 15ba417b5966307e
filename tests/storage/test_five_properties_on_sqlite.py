"""The five properties on the embedded store: two processes' worth of it, on one directory."""

import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from core.properties import MACHINES, check_property
from modseq import limits
from modseq.storage.sqlite.check import check_account
from modseq.storage.sqlite.files import Settings
from modseq.storage.sqlite.store import SqliteStore


@asynccontextmanager
async def opened_on_disk(wakeups: bool, expunges_kept_max: int | None):
    """Open one account twice; each store has locks, connections and caches of its own."""
    settings = Settings(expunges_kept_max=expunges_kept_max)
    with tempfile.TemporaryDirectory() as place:
        open_store = partial(SqliteStore, Path(place), wakeups=wakeups, sync="off", settings=settings)
        async with open_store() as one, open_store() as other:
            await one.directory.add("u", "")
            yield [await one.account("u"), await other.account("u")]
        async with open_store() as later:
            assert await check_account(await later.account("u")) == []


@pytest.mark.parametrize(("wakeups", "expunges_kept_max"), [(True, None), (False, 3)])
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_property(machine, wakeups, expunges_kept_max, monkeypatch):
    # So low that a short history crosses every bound: it is folded, trimmed and loaded again.
    monkeypatch.setattr(limits, "LOG_CHANGES_IN_MEMORY_MAX", 4)
    monkeypatch.setattr(limits, "PALETTE_MASKS_UNUSED_MAX", 3)
    monkeypatch.setattr(limits, "HUGE_OPERATION_MESSAGES_MIN", 3)
    monkeypatch.setattr(limits, "ROWS_PER_COMMIT_MAX", 2)
    monkeypatch.setattr(limits, "LOG_ROWS_FOLD_MIN", 3)
    monkeypatch.setattr(limits, "LOG_ROWS_KEPT_MIN", 2)
    monkeypatch.setattr(limits, "EXPUNGES_PER_BLOCK_MAX", 4)
    monkeypatch.setattr(limits, "WAL_PAGES_CHECKPOINT_MIN", 40)
    check_property(machine, partial(opened_on_disk, wakeups, expunges_kept_max), histories=12)
