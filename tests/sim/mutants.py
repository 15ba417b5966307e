"""
Ways to break the code that a simulation must find: each is a function of pytest's monkeypatch.

    MUTANTS["a disk that does not sync"]         the weather in which it shows, and what breaks
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modseq.core.view import SessionView
from modseq.server import dispatch
from modseq.storage.blobs import SegmentWriter
from modseq.storage.sqlite import batch, files, schema
from modseq.storage.sqlite.account import SqliteAccount
from modseq.storage.sqlite.errors import DISK_ERRORS
from modseq.storage.sqlite.store import SqliteStore

Break = Callable[[pytest.MonkeyPatch], None]
MUTANTS: dict[str, tuple[str, Break]] = {}


def mutant(name: str, kind: str) -> Callable[[Break], Break]:
    def note(function: Break) -> Break:
        MUTANTS[name] = kind, function
        return function

    return note


@mutant("bodies that are not synced", "power")
def _bodies_not_synced(patch: pytest.MonkeyPatch) -> None:
    whole = SegmentWriter.append_stored

    def append_stored(self: SegmentWriter, *args: Any, **more: Any) -> Any:
        disk = self._disk
        patched = type(
            "Lying", (), {"sync": lambda *_: None, "__getattr__": lambda _, name: getattr(disk, name)}
        )
        self._disk = patched()
        try:
            return whole(self, *args, **more)
        finally:
            self._disk = disk

    patch.setattr(SegmentWriter, "append_stored", append_stored)


@mutant("a commit that is told before it is synced", "power")
def _told_before_sync(patch: pytest.MonkeyPatch) -> None:
    whole = schema.connect

    def connect(*args: Any, **more: Any) -> Any:
        connection = whole(*args, **more)
        # Writes reach the log at once, and the disk at the next checkpoint.
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    patch.setattr(files, "connect", connect)


@mutant("wake-ups that are needed", "lossy")
def _wakeups_needed(patch: pytest.MonkeyPatch) -> None:
    whole = SqliteAccount.refresh

    async def refresh(self: SqliteAccount) -> None:
        if not self.is_open:
            await self.open()

    async def tick(_: SqliteStore) -> None:
        pass

    patch.setattr(SqliteAccount, "look", whole)
    patch.setattr(SqliteAccount, "refresh", refresh)
    patch.setattr(SqliteStore, "_tick", tick)


@mutant("a number that is used again after a commit failed", "fault")
def _number_used_again(patch: pytest.MonkeyPatch) -> None:
    def commit(self: batch.Batch, _: int) -> int:
        self._files.turn.announce()
        try:
            self._connection.execute("COMMIT")
        except DISK_ERRORS:
            # "It was applied and published; storing it will surely go well the next time."
            batch._roll_back(self._connection)
        return self._files.turn.settle()

    patch.setattr(batch.Batch, "commit", commit)


@mutant("a commit that comes back after its sync failed", "undone")
def _comes_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(batch, "make_undone", lambda _: None)


@mutant("a HIGHESTMODSEQ above a VANISHED that is withheld", "withheld")
def _highest_too_high(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SessionView, "highest_mod_seq_due", lambda *_: None)


@mutant("an expunge that is told while it must be withheld", "withheld")
def _told_too_early(patch: pytest.MonkeyPatch) -> None:
    whole = dispatch.registry.row_of

    def row_of(command: Any) -> Any:
        row = whole(command)
        return row and type(row)(
            **{name: getattr(row, name) for name in row.__dataclass_fields__ if name != "may_vanish"},
            may_vanish=lambda _: True,
        )

    patch.setattr(dispatch.registry, "row_of", row_of)


@mutant("a batch that does not look what others did", "lossy")
def _no_catching_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(batch, "catch_up", lambda *_: None)


@mutant("a condition that is checked too early", "calm")
def _checked_early(patch: pytest.MonkeyPatch) -> None:
    from modseq.core.store_flags import StoreFlags

    whole = StoreFlags.apply

    def apply(self: StoreFlags, *args: Any, **more: Any) -> Any:
        # "Nothing can have changed since the command was read."
        object.__setattr__(self, "unchanged_since", None if self.unchanged_since is None else 2**62)
        return whole(self, *args, **more)

    patch.setattr(StoreFlags, "apply", apply)
