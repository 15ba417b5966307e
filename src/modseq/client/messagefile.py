"""A message to APPEND, from memory or from a file that is never read whole."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from modseq.wire.command_writer import FileLiteral


@contextmanager
def opened(message: bytes | str | Path | BinaryIO) -> Iterator[bytes | FileLiteral]:
    """
    Yield a message as a literal; a path is opened and closed, an open file is read from where it stands.

    IMAP wants CRLF line ends: octets are sent as they are, and it is the caller's affair that they have them.
    Raises OSError where the file cannot be read.
    """
    if isinstance(message, bytes):
        yield message
    elif isinstance(message, str | Path):
        with Path(message).open("rb") as file:
            yield FileLiteral(file, os.fstat(file.fileno()).st_size)
    else:
        here = message.tell()
        length = message.seek(0, io.SEEK_END) - here
        message.seek(here)
        yield FileLiteral(message, length)
