"""`modseq export`: a mailbox into an mbox file or a Maildir."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NoReturn

import click
from tqdm import tqdm

from modseq.cli.mailstore import (
    account_at,
    data_option,
    find_mailbox,
    mailbox_option,
    progress_option,
    user_option,
)
from modseq.cli.output import fail, note, progress, run, say
from modseq.core.errors import MailboxNotFound
from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageRow
from modseq.limits import EXPORT_BATCH_MESSAGES_MAX, IMPORT_BATCH_BYTES_MAX
from modseq.mailfiles.maildir import MaildirWriter
from modseq.mailfiles.mbox import write_message
from modseq.mailfiles.message import MOMENT_MAX, StoredMessage
from modseq.storage.base import Account


@click.command("export")
@data_option
@user_option
@mailbox_option
@click.option(
    "--to",
    "target",
    required=True,
    metavar="FILE.mbox|MAILDIR",
    type=click.Path(path_type=Path),
    help="A new file, or a new or empty directory.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("mbox", "maildir")),
    help="What to write. [default: mbox for a name that ends in .mbox, else maildir]",
)
@click.option("--crlf", is_flag=True, help="Keep CR LF line ends instead of writing LF.")
@progress_option
def command(
    *,
    data: Path,
    user: str,
    mailbox: str,
    target: Path,
    form: str | None,
    crlf: bool,
    progress_wanted: bool | None,
) -> None:
    """
    Write the messages of a mailbox to a file or a Maildir, while the server runs if you like.

    The octets of each message are those that were imported or delivered, but for line ends, which become
    LF as files have them. A Maildir also keeps flags, keywords (in Dovecot's manner) and internal dates. An
    mbox, of the variant mboxrd, keeps internal dates; flags have no place in it that would leave the
    messages as they are, and a message without a line end at its end gets one.
    """
    form = form or ("mbox" if target.suffix.lower() in {".mbox", ".mbx"} else "maildir")
    _check_free(target, form)

    async def work() -> int:
        async with account_at(data, user) as account:
            meta = find_mailbox(account, mailbox)
            state = await account.mailbox(meta.mailbox_id)
            with progress(state.exists, "messages", wanted=progress_wanted) as bar:
                messages = _messages(account, state, bar)
                if form == "mbox":
                    return await _write_mbox(messages, target, crlf=crlf)
                return await _write_maildir(messages, target, crlf=crlf)

    count = run(work)
    say(f"Exported {count:,} messages of {mailbox} to {target}.")


def _check_free(target: Path, form: str) -> None:
    """Refuse to write over what is there."""
    if form == "mbox" and target.exists():
        fail(f"{target} exists already; choose another name or remove it")
    if form == "maildir" and target.exists() and (not target.is_dir() or any(target.iterdir())):
        fail(f"{target} exists already and is no empty directory; choose another name or remove it")


async def _messages(
    account: Account, state: MailboxState, bar: tqdm[NoReturn]
) -> AsyncIterator[StoredMessage]:
    """Yield the messages of a mailbox as it is now; those that vanish meanwhile are left out."""
    uids = list(state.index)
    number = 0
    for start in range(0, len(uids), EXPORT_BATCH_MESSAGES_MAX):
        part = uids[start : start + EXPORT_BATCH_MESSAGES_MAX]
        for group in _groups(await account.rows(state.mailbox_id, part, ready=False)):
            bodies = await asyncio.gather(*(_body(account, row.email_id) for row in group))
            for row, data in zip(group, bodies, strict=True):
                if data is not None:
                    number += 1
                    moment = min(max(row.received_at, 0), MOMENT_MAX)
                    view = state.message(row.uid)
                    flags = state.flag_table.names(view.flags) if view is not None else ()
                    yield StoredMessage(number, data, flags, moment)
        bar.update(len(part))


def _groups(rows: Sequence[MessageRow]) -> list[list[MessageRow]]:
    """Divide rows into groups whose bodies fit into memory together."""
    groups: list[list[MessageRow]] = []
    octets = 0
    for row in rows:
        octets += row.size
        if not groups or octets > IMPORT_BATCH_BYTES_MAX:
            groups.append([])
            octets = row.size
        groups[-1].append(row)
    return groups


async def _body(account: Account, email_id: int) -> bytes | None:
    try:
        return await account.read(email_id)
    except MailboxNotFound:
        return None


async def _write_mbox(messages: AsyncIterator[StoredMessage], target: Path, *, crlf: bool) -> int:
    """Write under another name, and give the file its own only when it is whole and on the disk."""
    partial = target.with_name(target.name + ".partial")
    count = 0
    stream = partial.open("wb")
    try:
        with stream:
            async for message in messages:
                write_message(stream, message, crlf=crlf)
                count += 1
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.rename(target)
    return count


async def _write_maildir(messages: AsyncIterator[StoredMessage], target: Path, *, crlf: bool) -> int:
    writer = MaildirWriter(target, crlf=crlf)
    count = 0
    try:
        async for message in messages:
            writer.write(message)
            count += 1
    finally:
        writer.close()
    if writer.keywords_lost:
        note(f"A Maildir has letters for 26 keywords; not kept: {', '.join(sorted(writer.keywords_lost))}")
    return count
