"""Writing the rows of a huge copy before its commit, in slices between the commits of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from modseq import clock, limits
from modseq.core.account import CopiedRows
from modseq.core.errors import StorageError
from modseq.core.mailbox import MailboxState
from modseq.core.operations import Transfer
from modseq.storage.sqlite.batch import run_step
from modseq.storage.sqlite.chores import Chores
from modseq.storage.sqlite.files import AccountFiles
from modseq.storage.sqlite.rows import stage_rows
from modseq.storage.sqlite.schema import new_number


class _Account(Protocol):
    """What is needed of an account."""

    async def mailbox(self, mailbox_id: int) -> MailboxState: ...

    async def write(self, job: Callable[[AccountFiles], Any]) -> Any: ...


@asynccontextmanager
async def rows_ahead(account: _Account, chores: Chores, operation: object) -> AsyncIterator[None]:
    """Write the rows of a huge copy ahead; the body commits it, and what is then left over is tidied away.

    Nothing depends on it: a copy whose rows could not be written ahead writes them in its commit.
    """
    if not isinstance(operation, Transfer) or len(operation.uids) < limits.HUGE_OPERATION_MESSAGES_MIN:
        yield
        return
    token = new_number()
    chores.begin_staging(token)
    try:
        await _stage(account, operation, token)
        await _foresee(account, operation)
        yield
    finally:
        chores.end_staging(token)


async def _stage(account: _Account, operation: Transfer, token: int) -> None:
    try:
        source = await account.mailbox(operation.source_id)
        target = await account.mailbox(operation.target_id)
        uids = source.index.select(operation.uids)
        if len(uids) < limits.HUGE_OPERATION_MESSAGES_MIN or (
            operation.missing_refuses and len(uids) < len(operation.uids)
        ):
            return
        rows = CopiedRows(
            target.mailbox_id, target.uid_next, clock.now_seconds(), source.mailbox_id, uids, token
        )
        for start in range(0, len(uids), limits.ROWS_PER_COMMIT_MAX):
            if not await account.write(lambda files, start=start: _slice(files, rows, start)):  # type: ignore[misc]
                return
    except StorageError:
        # Whatever is wrong, the commit meets it too and says so.
        return
    operation.ahead = rows


async def _foresee(account: _Account, operation: Transfer) -> None:
    try:
        source = await account.mailbox(operation.source_id)
        target = await account.mailbox(operation.target_id)
    except StorageError:
        return
    for _ in operation.foresee(source, target):
        await asyncio.sleep(0)


def _slice(files: AccountFiles, rows: CopiedRows, start: int) -> bool:
    useful: list[bool] = []

    def step(connection: Any) -> None:
        useful.append(stage_rows(connection, rows, start, start + limits.ROWS_PER_COMMIT_MAX))

    run_step(files, step)
    return useful[0]
