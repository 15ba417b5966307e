"""The copy written out as mbox files or Maildirs, with the edits that wait laid over it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modseq.mailfiles.maildir import MaildirWriter
from modseq.mailfiles.mbox import write_message
from modseq.mailfiles.message import MOMENT_MAX, StoredMessage
from modseq.mirror.errors import BodyMissing, InvalidEdit
from modseq.mirror.records import MailboxRow
from modseq.mirror.replica import Replica
from modseq.mirror.view import local_messages
from modseq.wire.utf7 import encode_utf7


@dataclass(frozen=True, slots=True)
class Exported:
    """How many messages were written, how many had no body in the copy, and keywords no Maildir could keep."""

    written: int
    missing: int
    keywords_lost: frozenset[str] = frozenset()


def export_mbox(
    replica: Replica, mailbox: MailboxRow, target: Path, *, crlf: bool, step: Callable[[int], object]
) -> Exported:
    """
    Write one mailbox to an mbox file: under another name, which becomes its own when it is whole.

    Args:
        step: called with 1 for each message.

    """
    reader = _Reader(replica, mailbox, step)
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as stream:
            for message in reader:
                write_message(stream, message, crlf=crlf)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.rename(target)
    return Exported(reader.number, reader.missing)


def export_maildir(
    replica: Replica, mailbox: MailboxRow, target: Path, *, crlf: bool, step: Callable[[int], object]
) -> Exported:
    """Write one mailbox to a new or empty folder, with flags, keywords and internal dates."""
    reader = _Reader(replica, mailbox, step)
    writer = MaildirWriter(target, crlf=crlf)
    try:
        for message in reader:
            writer.write(message)
    finally:
        writer.close()
    return Exported(reader.number, reader.missing, frozenset(writer.keywords_lost))


class _Reader:
    """The messages of a mailbox that have a body in the copy."""

    def __init__(self, replica: Replica, mailbox: MailboxRow, step: Callable[[int], object]) -> None:
        self._replica = replica
        self._mailbox = mailbox
        self._step = step
        self.number = 0
        self.missing = 0

    def __iter__(self) -> Iterator[StoredMessage]:
        for message in local_messages(self._replica, self._mailbox):
            self._step(1)
            try:
                octets = self._replica.content(message.content_id)
            except BodyMissing:
                self.missing += 1
                continue
            self.number += 1
            moment = min(max(message.received_at, 0), MOMENT_MAX)
            yield StoredMessage(self.number, octets, tuple(sorted(message.flags)), moment)


def maildir_folders(mailboxes: Sequence[MailboxRow]) -> dict[str, str]:
    r"""
    Return for each mailbox its folder in a Maildir++: INBOX is the root, `Lists/python` is `.Lists.python`.

    Raises: InvalidEdit when two mailboxes would share a folder.
    """
    folders = {row.name: _maildir_folder(row) for row in mailboxes}
    return _distinct(folders)


def mbox_files(mailboxes: Sequence[MailboxRow]) -> dict[str, str]:
    """Return for each mailbox the file it goes to in a directory: `Lists/python` is `Lists.python.mbox`."""
    return _distinct({row.name: f"{_flat(row, '.') or 'mailbox'}.mbox" for row in mailboxes})


def _maildir_folder(row: MailboxRow) -> str:
    if row.name.upper() == "INBOX":
        return "."
    return "." + encode_utf7(_flat(row, ".")).decode("ascii")


def _flat(row: MailboxRow, separator: str) -> str:
    """Return the levels of a name joined by a separator, without what a file name cannot hold."""
    levels = row.name.split(row.delimiter) if row.delimiter else [row.name]
    safe = [level.replace("/", "_").replace("\0", "_").replace(".", "_") for level in levels]
    return separator.join(safe)


def _distinct(names: dict[str, str]) -> dict[str, str]:
    seen: dict[str, str] = {}
    for mailbox, name in names.items():
        other = seen.setdefault(name.lower(), mailbox)
        if other != mailbox:
            raise InvalidEdit(f"{mailbox} and {other} would be written to one place: export them one by one")
    return names
