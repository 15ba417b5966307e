"""`modseq admin`: is the store in order, how large is it, and can it be smaller?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from modseq.cli.mailstore import data_option, store_at
from modseq.cli.output import fail, run, say, table
from modseq.core.errors import StorageError, StorageFailed, UserNotFound
from modseq.limits import COMPACTION_DEAD_PERCENT_MIN
from modseq.storage.fsck import Problem
from modseq.storage.sqlite.account import SqliteAccount
from modseq.storage.sqlite.check import check_account
from modseq.storage.sqlite.compaction import compact, usage
from modseq.storage.sqlite.store import SqliteStore

_user_option = click.option("--user", "user", metavar="NAME", help="Only this user; by default all of them.")


@click.group("admin")
def command() -> None:
    """
    Check, compact and measure the store.

    All of it works while the server runs.
    """


@asynccontextmanager
async def _accounts(data: Path, user: str | None) -> AsyncIterator[AsyncIterator[SqliteAccount]]:
    """Open the store and give its accounts, one after the other."""
    async with _store_and_names(data, user) as (store, names):

        async def each() -> AsyncIterator[SqliteAccount]:
            for name in names:
                try:
                    yield await _opened(store, name)
                except StorageError as error:
                    raise StorageFailed(f"{name}: {error}") from error

        yield each()


@asynccontextmanager
async def _store_and_names(data: Path, user: str | None) -> AsyncIterator[tuple[SqliteStore, list[str]]]:
    """Open the store and give it with the users asked for."""
    async with store_at(data) as store:
        names = await store.directory.names()
        if user is not None and user not in names:
            raise UserNotFound(f"there is no user {user}")
        yield store, list(names) if user is None else [user]


async def _opened(store: SqliteStore, name: str) -> SqliteAccount:
    account = await store.account(name)
    await account.refresh()
    return account


async def _problems(store: SqliteStore, name: str, *, bodies: bool) -> list[Problem]:
    """Check one account; one that cannot be opened is a problem too and keeps no other from its check."""
    try:
        return await check_account(await _opened(store, name), bodies=bodies)
    except StorageError as error:
        return [Problem("readable", "account", str(error))]


@command.command("check")
@data_option
@_user_option
@click.option("--no-bodies", is_flag=True, help="Do not read the messages themselves: much faster.")
def check(data: Path, user: str | None, no_bodies: bool) -> None:
    """
    Verify every invariant of the store and name what is wrong.

    Exit status 0 when everything is in order, 1 when something is not.
    """

    async def work() -> tuple[int, int]:
        accounts, problems = 0, 0
        async with _store_and_names(data, user) as (store, names):
            for name in names:
                accounts += 1
                found = await _problems(store, name, bodies=not no_bodies)
                problems += len(found)
                say(f"{name}: {f'{len(found)} problems' if found else 'in order'}")
                for problem in found:
                    say(f"  {problem}")
        return accounts, problems

    accounts, problems = run(work)
    if problems:
        fail(f"{problems} problems in {accounts} accounts")


@command.command("compact")
@data_option
@_user_option
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Rewrite every segment in which anything is dead, not only those where it is worth the work.",
)
def compact_store(data: Path, user: str | None, everything: bool) -> None:
    """
    Give back the room of messages that were expunged everywhere.

    Waiting commands of clients are carried out in between.
    """
    percent = 0 if everything else COMPACTION_DEAD_PERCENT_MIN

    async def work() -> int:
        freed = 0
        async with _accounts(data, user) as opened:
            async for account in opened:
                done = await compact(account, dead_percent_min=percent)
                freed += done.bytes_before - done.bytes_after
                say(
                    f"{account.name}: {done.contents_removed:,} contents and {done.segments_removed:,} segments "
                    f"removed, {done.bytes_before:,} -> {done.bytes_after:,} octets"
                )
        return freed

    say(f"Freed {run(work):,} octets.")


@command.command("stats")
@data_option
@_user_option
def stats(data: Path, user: str | None) -> None:
    """
    Show how much each user has, and the room that it takes.

    MESSAGES counts copies in several mailboxes, CONTENTS what is stored of them; DEAD octets are those
    that `compact` can give back.
    """

    async def work() -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        async with _accounts(data, user) as opened:
            async for account in opened:
                each = await usage(account)
                rows.append(
                    (
                        account.name,
                        each.mailboxes,
                        each.messages,
                        each.contents,
                        each.segments,
                        each.segment_bytes,
                        each.dead_bytes,
                        each.database_bytes,
                    )
                )
        return rows

    heading = ("USER", "MAILBOXES", "MESSAGES", "CONTENTS", "SEGMENTS", "OCTETS", "DEAD", "DATABASE")
    table([heading, *run(work)])
