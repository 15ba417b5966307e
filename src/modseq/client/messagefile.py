"""A message to APPEND, from memory or from a file that is never read whole."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from modseq.wire.command_writer import FileLiteral


@contextmanager
def opened(message: bytes | str | Path | BinaryIO) -> Iterator[bytes | FileLiteral]:
    """
    Yield a message as a literal; a path is opened and closed, an open file is read from where it stands.

    IMAP wants CRLF line ends: octets are sent as they are, and it is the caller's affair that they have them.
    Raises OSError where the file cannot be read, ValueError where a path is no file.
    """
    if isinstance(message, bytes):
        yield message
        return
    literal, close = measured(message)
    try:
        yield literal
    finally:
        close()


def measured(message: str | Path | BinaryIO) -> tuple[FileLiteral, Callable[[], None]]:
    """Open and measure a file; return it as a literal, and what closes it. Raises as `opened`."""
    if not isinstance(message, str | Path):
        here = message.tell()
        length = message.seek(0, io.SEEK_END) - here
        message.seek(here)
        return FileLiteral(message, length), _leave_open
    file = Path(message).open("rb")  # noqa: SIM115 -- whoever called closes it
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise ValueError(f"{str(message)!r} is no file of a known length")
    return FileLiteral(file, status.st_size), file.close


def _leave_open() -> None:
    """Do nothing: whoever opened the file closes it."""
