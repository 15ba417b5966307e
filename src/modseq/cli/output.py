"""What the command line says: results on standard output, everything else on standard error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

import click
from tqdm import tqdm

from modseq.core import errors as kinds

Answer = TypeVar("Answer")


class Failure(click.ClickException):
    """The command could not be carried out; its text is one sentence. Exit status 1."""

    def show(self, file: Any = None) -> None:
        """Print the sentence to standard error."""
        click.echo(f"modseq: {self.format_message()}", file=file or sys.stderr)


def fail(sentence: str) -> NoReturn:
    """End the command with exit status 1."""
    raise Failure(sentence)


def say(text: str = "") -> None:
    """Print a line of the result."""
    click.echo(text)


def note(text: str) -> None:
    """Print a line about the work to standard error."""
    tqdm.write(text, file=sys.stderr)


def run(work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """
    Run a command's work on an event loop of its own.

    Raises: Failure for what the storage refuses, the file system refuses, or Ctrl-C ends.
    """
    try:
        return asyncio.run(work())
    except kinds.StorageError as error:
        raise Failure(sentence_for(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{where}{error.strerror or error}") from error


def sentence_for(error: kinds.StorageError) -> str:
    """Return what a storage error means, for a person."""
    return str(error).rstrip(".") or (error.__doc__ or type(error).__name__).partition(";")[0].rstrip(".")


def table(rows: Sequence[Sequence[object]], *, numbers_from: int = 1) -> None:
    """Print rows in columns; those from `numbers_from` on are flush right. The first row is the heading."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
    for row in texts:
        cells = [
            cell.ljust(width) if column < numbers_from else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def progress(total: int, unit: str, *, wanted: bool | None) -> tqdm[NoReturn]:
    """
    Return a progress bar on standard error.

    Args:
        total: how much work there is.
        unit: what is counted: `B` is shown with KB, MB and so on.
        wanted: None for a bar only where a person watches.

    """
    shown = sys.stderr.isatty() if wanted is None else wanted
    is_bytes = unit == "B"
    return tqdm(
        total=total, unit=unit, unit_scale=is_bytes, unit_divisor=1000, disable=not shown, file=sys.stderr
    )
