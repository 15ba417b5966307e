"""A message to APPEND under asyncio: its file is opened, measured and closed in a thread, for a disk may be slow."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from modseq.client import messagefile
from modseq.wire.command_writer import FileLiteral


@asynccontextmanager
async def opened(message: bytes | str | Path | BinaryIO) -> AsyncIterator[bytes | FileLiteral]:
    """
    Yield a message as a literal; a path is opened and closed, an open file is read from where it stands.

    Raises: as modseq.client.messagefile.opened.
    """
    if isinstance(message, bytes) or type(message) is io.BytesIO:
        with messagefile.opened(message) as literal:
            yield literal
        return
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, messagefile.measured, message)
    try:
        literal, close = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unused)
        raise
    try:
        yield literal
    except BaseException:
        # Nobody waits: where the task was cancelled a read may be under way, which closing waits for.
        loop.run_in_executor(None, close)
        raise
    await loop.run_in_executor(None, close)


def _close_unused(opening: asyncio.Future[tuple[FileLiteral, Callable[[], None]]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        _, close = opening.result()
        close()
