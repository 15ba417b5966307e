"""`modseq mailbox`: the mailboxes of one user."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from modseq.cli.mailstore import account_at, data_option, find_mailbox, user_option
from modseq.cli.output import run, say, table
from modseq.core.mailbox import Counters
from modseq.core.mailbox_operations import CreateMailbox, DeleteMailbox, RenameMailbox, Subscribe, Unsubscribe

_SPECIAL_USES = ("Archive", "Drafts", "Flagged", "Junk", "Sent", "Trash")
_NOTHING = Counters(exists=0, unseen=0, deleted=0, recent=0, octets=0, uid_next=1, uid_validity=0, mod_seq=1)


@click.group("mailbox")
def command() -> None:
    """
    List, create, delete and rename the mailboxes of one user.

    All of it works while the server runs. '/' stands between the levels of a name.
    """


@command.command("list")
@data_option
@user_option
def list_mailboxes(data: Path, user: str) -> None:
    """List mailboxes with their counters, without opening them."""

    async def work() -> list[tuple[object, ...]]:
        async with account_at(data, user) as account:
            metas = sorted(account.listing().mailboxes.items())
            counters = await account.counters([meta.mailbox_id for _, meta in metas])
            rows: list[tuple[object, ...]] = []
            for name, meta in metas:
                each = counters.get(meta.mailbox_id, _NOTHING)
                rows.append(
                    (
                        name,
                        meta.special_use or "",
                        each.exists,
                        each.unseen,
                        each.octets,
                        meta.uid_validity,
                        each.uid_next,
                        each.mod_seq,
                    )
                )
            return rows

    heading = ("MAILBOX", "USE", "MESSAGES", "UNSEEN", "OCTETS", "UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ")
    table([heading, *run(work)], numbers_from=2)


@command.command("create")
@click.argument("name")
@data_option
@user_option
@click.option(
    "--special-use",
    type=click.Choice(_SPECIAL_USES, case_sensitive=False),
    help="What mail programs shall use it for (RFC 6154).",
)
def create(name: str, data: Path, user: str, special_use: str | None) -> None:
    """Create the mailbox NAME, and those above it that are missing, and subscribe to it."""

    async def work() -> str:
        async with account_at(data, user) as account:
            use = f"\\{special_use}" if special_use else None
            meta = await account.commit(CreateMailbox(name, use))
            await account.commit(Subscribe(meta.name))
            return meta.name

    say(f"Created {run(work)}.")


@command.command("delete")
@click.argument("name")
@data_option
@user_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, data: Path, user: str, yes: bool) -> None:
    """
    Delete the mailbox NAME with its messages; the mailboxes below it stay.

    On a terminal you are asked first when there are messages in it.
    """
    asks = not yes and sys.stdin.isatty()

    async def count() -> int:
        async with account_at(data, user) as account:
            meta = find_mailbox(account, name)
            return (await account.counters([meta.mailbox_id]))[meta.mailbox_id].exists

    if asks and (messages := run(count)):
        click.confirm(f"Delete {name} with {messages:,} messages?", abort=True, err=True)

    async def work() -> None:
        async with account_at(data, user) as account:
            meta = await account.commit(DeleteMailbox(name))
            await account.commit(Unsubscribe(meta.name))

    run(work)
    say(f"Deleted {name}.")


@command.command("rename")
@click.argument("old")
@click.argument("new")
@data_option
@user_option
def rename(old: str, new: str, data: Path, user: str) -> None:
    """
    Give the mailbox OLD, and all below it, the name NEW.

    It keeps its UIDs and mod-sequences: mail programs need not fetch anything again. Renaming INBOX moves
    its messages out into NEW and leaves it empty.
    """

    async def work() -> None:
        async with account_at(data, user) as account:
            inbox = account.listing().mailboxes.get("INBOX")
            is_inbox = old.upper() == "INBOX" and inbox is not None
            await account.commit(RenameMailbox(old, new, inbox.mailbox_id if is_inbox and inbox else None))

    run(work)
    say(f"Renamed {old} to {new}.")
