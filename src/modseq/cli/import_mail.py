"""`modseq import`: mail from files into a mailbox, in batches, with bounded memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import click
from tqdm import tqdm

from modseq import clock
from modseq.cli.mailstore import account_at, data_option, mailbox_option, progress_option, user_option
from modseq.cli.output import fail, note, progress, run, say
from modseq.core.account import MailboxMeta
from modseq.core.errors import KeywordLimitReached
from modseq.core.mailbox_operations import CreateMailbox, Subscribe, checked_name
from modseq.core.message import NewMessage
from modseq.core.operations import Append
from modseq.limits import (
    APPEND_LITERAL_BYTES_MAX,
    IMPORT_BATCH_BYTES_MAX,
    IMPORT_BATCH_MESSAGES_MAX,
)
from modseq.mailfiles.message import FileMessage
from modseq.mailfiles.source import NoMail, Source, find_source
from modseq.server.delivery import intake
from modseq.storage.base import Account


@click.command("import")
@click.argument(
    "files",
    metavar="FILE.mbox|MAILDIR|FILE.eml ...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@data_option
@user_option
@mailbox_option
@click.option(
    "--skip",
    default=0,
    metavar="N",
    type=click.IntRange(min=0),
    help="Leave out the first N messages: an import that was stopped goes on where it was.",
)
@progress_option
def command(
    *, files: tuple[Path, ...], data: Path, user: str, mailbox: str, skip: int, progress_wanted: bool | None
) -> None:
    """
    Import messages into a mailbox, while the server runs if you like.

    An mbox may be of the variants mboxrd, mboxo and with Content-Length; flags come from its Status,
    X-Status and X-Keywords fields and the internal date from its separator lines. A Maildir gives flags,
    Dovecot's keywords, and the times of its files as internal dates; folders inside it are imported one by
    one, each as a Maildir of its own. Any other file is one message.

    Line ends become CR LF; apart from that each message is stored as it is, and `modseq export` gives the
    same octets back. A mailbox that does not exist is created.
    """
    try:
        sources = [find_source(path) for path in files]
    except NoMail as error:
        fail(str(error))
    for source in sources:
        if source.folders:
            note(
                f"{source.path}: {len(source.folders)} folders inside are not imported: {_some(source.folders)}"
            )
    work = _Import(user, mailbox, skip)
    began = clock.monotonic_seconds()
    with progress(sum(source.size for source in sources), "B", wanted=progress_wanted) as bar:
        run(lambda: work.run(data, sources, bar))
    seconds = clock.monotonic_seconds() - began
    say(
        f"Imported {work.stored:,} messages ({work.octets / 1e6:,.1f} MB) into {mailbox} of {user} "
        f"in {seconds:.1f} s."
    )
    if work.too_large:
        fail(f"{work.too_large} messages were left out: larger than {APPEND_LITERAL_BYTES_MAX:,} octets")


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")


@dataclass(slots=True)
class _Batch:
    """Messages that are stored together."""

    messages: list[NewMessage] = field(default_factory=list)
    octets: int = 0
    read: int = 0
    """Messages read for it: those left out are counted."""

    @property
    def is_full(self) -> bool:
        return len(self.messages) >= IMPORT_BATCH_MESSAGES_MAX or self.octets >= IMPORT_BATCH_BYTES_MAX


class _Import:
    """One run of the command, and how far it came."""

    def __init__(self, user: str, mailbox: str, skip: int) -> None:
        self._user = user
        self._mailbox = mailbox
        self._skip = skip
        self._done = skip
        self._keywords_dropped = False
        self.stored = 0
        self.octets = 0
        self.too_large = 0

    async def run(self, data: Path, sources: list[Source], bar: tqdm[NoReturn]) -> None:
        """Import everything; when stopped, say how to go on."""
        async with account_at(data, self._user) as account:
            meta = await _mailbox(account, self._mailbox)
            found = itertools.chain.from_iterable(source.messages() for source in sources)
            try:
                await self._store_all(account, meta, self._counted(found, bar))
            except BaseException:
                if self._done:
                    note(f"{self._done:,} messages are imported; to go on there, add: --skip {self._done}")
                raise

    def _counted(self, found: Iterable[FileMessage], bar: tqdm[NoReturn]) -> Iterator[FileMessage]:
        """Pass on the messages behind those to skip, and move the bar."""
        for number, message in enumerate(found):
            bar.update(message.bytes_read)
            if number >= self._skip:
                yield message

    async def _store_all(self, account: Account, meta: MailboxMeta, found: Iterator[FileMessage]) -> None:
        """Read and scan one batch while the one before it is written."""
        writing: asyncio.Task[None] | None = None
        try:
            while True:
                batch = await self._next_batch(found)
                if writing is not None:
                    await asyncio.shield(writing)
                if not batch.read:
                    return
                writing = asyncio.create_task(self._store(account, meta, batch))
        except BaseException:
            # A batch on its way counts: whether it was stored decides where a later run begins.
            if writing is not None:
                await asyncio.wait({writing})
            raise

    async def _next_batch(self, found: Iterator[FileMessage]) -> _Batch:
        batch = _Batch()
        while not batch.is_full and (message := next(found, None)) is not None:
            batch.read += 1
            if message.data is None:
                self.too_large += 1
                note(f"{message.where} is left out: larger than {APPEND_LITERAL_BYTES_MAX:,} octets")
                continue
            batch.messages.append(
                await intake(message.data, message.flags, message.received_at, message.zone)
            )
            batch.octets += len(message.data)
        # Lets Ctrl-C through, and the batch before this one on its way.
        await asyncio.sleep(0)
        return batch

    async def _store(self, account: Account, meta: MailboxMeta, batch: _Batch) -> None:
        messages = tuple(batch.messages)
        if messages:
            try:
                await account.commit(Append(meta.mailbox_id, messages))
            except KeywordLimitReached as error:
                if not self._keywords_dropped:
                    note(f"{str(error).rstrip('.')}: some messages are imported without their keywords")
                    self._keywords_dropped = True
                plain = tuple(replace(each, flags=_system_flags(each.flags)) for each in messages)
                await account.commit(Append(meta.mailbox_id, plain))
        self._done += batch.read
        self.stored += len(messages)
        self.octets += batch.octets


def _system_flags(flags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(flag for flag in flags if flag.startswith("\\"))


async def _mailbox(account: Account, name: str) -> MailboxMeta:
    """Return the mailbox to import into, created when it is missing."""
    meta = account.listing().mailboxes.get(checked_name(name))
    if meta is None:
        meta = await account.commit(CreateMailbox(name))
        await account.commit(Subscribe(meta.name))
        note(f"Created the mailbox {meta.name}.")
    return meta
