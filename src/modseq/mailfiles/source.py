"""What a path given by a person holds: an mbox file, a Maildir or a single message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modseq.limits import MBOX_READ_BYTES
from modseq.mailfiles.maildir import (
    is_maildir,
    message_files,
    read_maildir,
    read_message_file,
    subfolders,
)
from modseq.mailfiles.mbox import is_separator, read_mbox
from modseq.mailfiles.message import FileMessage


class NoMail(ValueError):
    """The path holds nothing that can be read as mail; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where messages come from.

    Attributes:
        path: as it was given.
        size: octets of all messages together, for progress.
        folders: Maildir++ folders inside, which are not read.
        messages: begins to read.

    """

    path: Path
    size: int
    folders: tuple[str, ...]
    messages: Callable[[], Iterator[FileMessage]]


def find_source(path: Path) -> Source:
    """
    Look at a path; what it is, is told by its content and not by its name.

    Raises: NoMail
    """
    if path.is_dir():
        if not is_maildir(path):
            raise NoMail(f"{path} is a directory, but no Maildir: there is no 'cur' and 'new' in it")
        size = sum(file.stat().st_size for file in message_files(path))
        return Source(path, size, tuple(subfolders(path)), lambda: read_maildir(path))
    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.readline(MBOX_READ_BYTES)
    if not first or is_separator(first):
        return Source(path, size, (), lambda: _messages_of_mbox(path))
    return Source(path, size, (), lambda: iter((read_message_file(path),)))


def _messages_of_mbox(path: Path) -> Iterator[FileMessage]:
    with path.open("rb") as stream:
        yield from read_mbox(stream, str(path))
