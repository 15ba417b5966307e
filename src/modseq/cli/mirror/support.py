"""What the sub-commands of `modseq mirror` share."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from tqdm import tqdm

from modseq.cli.output import Failure, progress
from modseq.client.errors import ClientError, ConnectionLost
from modseq.core.ids import UID_MAX
from modseq.core.numset import NumSet
from modseq.mirror.errors import MirrorError
from modseq.mirror.listing import is_wanted
from modseq.mirror.progress import Unit
from modseq.mirror.records import MailboxRow
from modseq.mirror.replica import Replica
from modseq.mirror.view import LocalMessage

Answer = TypeVar("Answer")
Command = TypeVar("Command", bound=Callable[..., Any])


def file_argument(command: Command) -> Command:
    """Add the argument FILE: a mirror."""
    return click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))(command)


def globs_option(command: Command) -> Command:
    """Add --mailbox, which may be given several times."""
    return click.option(
        "--mailbox",
        "globs",
        multiple=True,
        metavar="GLOB",
        help="Only these mailboxes; `*` and `?` stand for anything. May be repeated.",
    )(command)


@contextlib.contextmanager
def mirror_at(path: Path, *, create: bool = False) -> Iterator[Replica]:
    """Open a mirror; what goes wrong inside becomes one sentence and exit status 1."""
    with sentences(), Replica(path, create=create) as replica:
        yield replica


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn the errors of mirror, client and file system into sentences."""
    try:
        yield
    except ConnectionLost as error:
        sentence = str(error).rstrip(".")
        raise Failure(f"{sentence}; run the command again, it goes on from where it was") from error
    except (MirrorError, ClientError) as error:
        raise Failure(str(error).rstrip(".")) from error
    except BrokenPipeError:
        raise  # Whoever read our output has seen enough: no failure.
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{where}{error.strerror or error}") from error


def run(work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """Run work on an event loop of its own."""
    return asyncio.run(work())


def chosen(replica: Replica, globs: tuple[str, ...]) -> list[MailboxRow]:
    """Return the mailboxes that were asked for, all where none was named; fails when there is none."""
    rows = [row for row in replica.mailboxes() if not globs or is_wanted(row.name, globs)]
    if not rows and globs:
        raise Failure(f"the mirror has no mailbox {' or '.join(globs)}")
    return rows


def uids_from(text: str) -> NumSet:
    """Return a set that a person wrote: `7`, `3,5:9`. Raises click.BadParameter."""
    ranges = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        ends = (first, last if colon else first)
        if not all(end.isascii() and end.isdigit() and 1 <= int(end) <= UID_MAX for end in ends):
            raise click.BadParameter(f"{text!r} is no set of UIDs such as 7 or 3,5:9")
        ranges.append((int(ends[0]), int(ends[1])))
    return NumSet.from_ranges(ranges)


def named_uids(replica: Replica, mailbox: MailboxRow, text: str) -> list[int]:
    """Return the UIDs of a set that the copy has; of one that names none it fails."""
    wanted = uids_from(text)
    found = wanted & replica.known_uids(mailbox.mailbox_id)
    if not found or (len(wanted) == len(text.split(",")) and found != wanted):
        missing = (wanted - found).to_bytes().decode("ascii")
        raise Failure(f"{mailbox.name} has no message {missing}")
    return list(found)


def day(moment: int) -> str:
    """Return a moment as a date in UTC."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%d")


def message_row(message: LocalMessage) -> tuple[object, ...]:
    """Return one message for a table; a star marks edits that wait."""
    uid = f"{message.uid or 'new'}{'*' if message.pending else ''}"
    flags = " ".join(sorted(message.flags))
    return (
        *(message.mailbox, uid, day(message.received_at), message.size, flags),
        *(message.summary.sender[:28], message.summary.subject[:60]),
    )


class Bars:
    """Progress bars: one for messages, one for octets of bodies, each shown when there is such work."""

    def __init__(self, *, wanted: bool | None) -> None:
        self._wanted = wanted
        self._bars: dict[Unit, tqdm[NoReturn]] = {}

    def expect(self, unit: Unit, count: int) -> None:
        """So much more is to be done."""
        if not count:
            return
        bar = self._bars.get(unit)
        if bar is None:
            bar = self._bars[unit] = progress(count, unit, wanted=self._wanted)
            bar.set_description("Messages" if unit == "messages" else "Bodies")
        else:
            bar.total = (bar.total or 0) + count
            bar.refresh()

    def advance(self, unit: Unit, count: int) -> None:
        """So much was done."""
        if unit in self._bars:
            self._bars[unit].update(count)

    def close(self) -> None:
        """Leave the bars as they are."""
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()
