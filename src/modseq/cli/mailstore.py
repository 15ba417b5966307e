"""What the sub-commands share: the options that name a store and a user, and the way to open them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from modseq.cli.output import fail
from modseq.core.account import MailboxMeta
from modseq.core.errors import MailboxNotFound
from modseq.core.mailbox_operations import INBOX, checked_name
from modseq.storage.base import Account
from modseq.storage.sqlite.account import SqliteAccount
from modseq.storage.sqlite.store import SqliteStore

Command = TypeVar("Command", bound=Callable[..., Any])


def data_option(command: Command) -> Command:
    """Add --data."""
    return click.option(
        "--data",
        "data",
        required=True,
        envvar="MODSEQ_DATA",
        show_envvar=True,
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="The directory that holds all mail.",
    )(command)


def user_option(command: Command) -> Command:
    """Add --user."""
    return click.option("--user", "user", required=True, metavar="NAME", help="Whose mail.")(command)


def mailbox_option(command: Command) -> Command:
    """Add --mailbox."""
    return click.option(
        "--mailbox",
        "mailbox",
        default=INBOX,
        show_default=True,
        metavar="NAME",
        help="The mailbox; '/' stands between levels.",
    )(command)


def progress_option(command: Command) -> Command:
    """Add --progress and --no-progress."""
    return click.option(
        "--progress/--no-progress",
        "progress_wanted",
        default=None,
        help="Show a progress bar, or none. [default: on a terminal]",
    )(command)


@asynccontextmanager
async def store_at(data: Path, *, create: bool = False) -> AsyncIterator[SqliteStore]:
    """Open the store of a data directory, which other processes may be serving at the same time."""
    if not create:
        _check_exists(data)
    async with SqliteStore(data) as store:
        yield store


def _check_exists(data: Path) -> None:
    if not data.is_dir():
        fail(f"there is no mail in {data}: the directory does not exist")


@asynccontextmanager
async def account_at(data: Path, user: str) -> AsyncIterator[SqliteAccount]:
    """Open one user's account, caught up with what other processes did."""
    async with store_at(data) as store:
        account = await store.account(user)
        await account.refresh()
        yield account


def find_mailbox(account: Account, name: str) -> MailboxMeta:
    """Return a mailbox by the name that a person wrote; raises MailboxNotFound with that name."""
    meta = account.listing().mailboxes.get(checked_name(name))
    if meta is None:
        raise MailboxNotFound(f"there is no mailbox {name!r}")
    return meta
