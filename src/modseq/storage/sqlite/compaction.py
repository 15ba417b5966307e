"""Giving back the room of messages that nobody references any more, while the server runs.

A content that no message row names never gets one again: copies are made only from messages that are
there. So garbage is found without a lock and stays garbage. Live bodies of a segment move in small
transactions: copy, sync, commit the new locations. The old file goes when the last location in it has been
committed away; a reader that looked up an old one just before finds the file gone and looks again, and
one that has the file open reads on.
"""

from __future__ import annotations

from dataclasses import dataclass

import apsw
from pyroaring import BitMap64

from modseq import limits
from modseq.storage.blobs import (
    HEADER_BYTES,
    Location,
    SegmentReader,
    lock_for_removal,
    segment_numbers,
    segment_path,
)
from modseq.storage.sqlite.account import SqliteAccount
from modseq.storage.sqlite.batch import run_step
from modseq.storage.sqlite.files import BODIES, AccountFiles
from modseq.storage.sqlite.palettes import crowded_palettes, shrink_palette
from modseq.storage.sqlite.reading import reading
from modseq.storage.sqlite.rows import is_untidy, tidy

_GARBAGE_PER_STEP = 1_000


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction gave back."""

    contents_removed: int = 0
    segments_removed: int = 0
    bytes_before: int = 0
    bytes_after: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """How much room an account takes.

    Attributes:
        messages: rows of messages, copies included.
        contents: bodies that messages share.
        dead_bytes: octets in segments that no message needs.
    """

    mailboxes: int
    messages: int
    contents: int
    segments: int
    segment_bytes: int
    dead_bytes: int
    database_bytes: int
    log_rows: int


async def usage(account: SqliteAccount) -> Usage:
    """Return how much room an account takes."""
    return await account.write(_usage)


async def compact(
    account: SqliteAccount, *, dead_percent_min: int = limits.COMPACTION_DEAD_PERCENT_MIN
) -> Compacted:
    """Remove what no message needs: contents, combinations of flags; rewrite the segments that are mostly dead.

    Between two steps waiting operations are carried out.
    """
    while await account.write(_tidy_some):
        pass
    for mailbox_id in await account.write(crowded_palettes):
        await account.write(lambda files, mailbox_id=mailbox_id: shrink_palette(files, mailbox_id))  # type: ignore[misc]
    bytes_before = await account.write(_segment_bytes)
    garbage = await account.write(lambda files: _garbage(files.writer))
    for start in range(0, len(garbage), _GARBAGE_PER_STEP):
        part = garbage[start : start + _GARBAGE_PER_STEP]
        await account.write(lambda files, part=part: _forget(files, part))  # type: ignore[misc]
    removed = 0
    for number in await account.write(lambda files: _candidates(files, dead_percent_min)):
        while await account.write(lambda files, number=number: _move_some(files, number)):  # type: ignore[misc]
            pass
        removed += await account.write(lambda files, number=number: _remove(files, number))  # type: ignore[misc]
    return Compacted(len(garbage), removed, bytes_before, await account.write(_segment_bytes))


def _tidy_some(files: AccountFiles) -> bool:
    """Delete some rows of messages that are gone, which would keep their contents; False when none are left."""
    if not is_untidy(files.writer, ()):
        return False
    run_step(files, lambda connection: tidy(connection, ()))
    return True


def _segment_bytes(files: AccountFiles) -> int:
    directory = files.directory / BODIES
    return sum(segment_path(directory, number).stat().st_size for number in segment_numbers(directory))


def _usage(files: AccountFiles) -> Usage:
    connection = files.writer
    with reading(connection):
        counts = [
            next(iter(connection.execute(f"SELECT count(*) FROM {table}")))[0]  # noqa: S608 -- constants
            for table in ("mailbox", "message", "content", "log")
        ]
        live = sum(_live_bytes(connection).values())
        pages = connection.pragma("page_count") * connection.pragma("page_size")
    total = _segment_bytes(files)
    segments = len(segment_numbers(files.directory / BODIES))
    mailboxes, messages, contents, log_rows = counts
    return Usage(mailboxes, messages, contents, segments, total, total - live, pages, log_rows)


def _garbage(connection: apsw.Connection) -> list[int]:
    """Return the contents that no message names."""
    with reading(connection):
        named = BitMap64(row[0] for row in connection.execute("SELECT email_id FROM message"))
        return [
            email_id
            for (email_id,) in connection.execute("SELECT email_id FROM content ORDER BY email_id")
            if email_id not in named
        ]


def _forget(files: AccountFiles, email_ids: list[int]) -> None:
    def step(connection: apsw.Connection) -> None:
        connection.executemany("DELETE FROM content WHERE email_id = ?", [(each,) for each in email_ids])

    run_step(files, step)


def _live_bytes(connection: apsw.Connection) -> dict[int, int]:
    return dict(
        connection.execute(
            f"SELECT segment, sum(stored_length + {HEADER_BYTES}) FROM content GROUP BY segment"  # noqa: S608
        )
    )


def _candidates(files: AccountFiles, dead_percent_min: int) -> list[int]:
    """Return the segments that are worth rewriting; this process lets go of its own first."""
    files.segments.close()
    directory = files.directory / BODIES
    with reading(files.writer):
        live = _live_bytes(files.writer)
    found = []
    for number in segment_numbers(directory):
        total = segment_path(directory, number).stat().st_size
        if (total - live.get(number, 0)) * 100 >= dead_percent_min * total:
            found.append(number)
    return found


def _move_some(files: AccountFiles, number: int) -> bool:
    """Move some bodies out of a segment; False when there is nothing (more) to move, or somebody writes it."""
    directory = files.directory / BODIES
    release = lock_for_removal(directory, number)
    if release is None:
        return False
    try:
        # All rows at once: a statement left half-way would keep the connection in the past.
        rows: list[tuple[int, int, int, int]] = files.writer.execute(  # type: ignore[assignment]
            "SELECT email_id, segment, offset, stored_length FROM content WHERE segment = ? ORDER BY offset",
            (number,),
        ).fetchall()
        records, taken = [], 0
        reader = SegmentReader(directory)
        try:
            for email_id, *place in rows:
                header, stored = reader.read_stored(Location(*place), email_id)
                records.append((email_id, header, stored))
                taken += len(stored)
                if taken >= limits.COMPACTION_BYTES_PER_COMMIT:
                    break
        finally:
            reader.close()
        if not records:
            return False
        # While its lock is held here, the writer cannot choose the segment that is being emptied.
        locations = files.segments.append_stored(records, _next_segment(files.writer, number))
    finally:
        release()

    def step(connection: apsw.Connection) -> None:
        connection.executemany(
            "UPDATE content SET segment = ?, offset = ? WHERE email_id = ? AND segment = ?",
            [
                (location.segment, location.offset, email_id, number)
                for (email_id, _, _), location in zip(records, locations, strict=True)
            ],
        )

    run_step(files, step)
    return True


def _next_segment(connection: apsw.Connection, number: int) -> int:
    row = next(iter(connection.execute("SELECT next_segment FROM account WHERE account_id = 1")))
    return max(int(row[0]), number + 1)


def _remove(files: AccountFiles, number: int) -> bool:
    """Remove a segment in which no body lies any more; its number is never used again."""
    directory = files.directory / BODIES
    release = lock_for_removal(directory, number)
    if release is None:
        return False
    try:
        empty: list[bool] = []

        def step(connection: apsw.Connection) -> bool:
            left = connection.execute("SELECT 1 FROM content WHERE segment = ? LIMIT 1", (number,))
            empty.append(next(iter(left), None) is None)
            # A new version, so that every process learns the number before it makes a segment: another may
            # still hold the removed file open, and would look there for what lies in a new one of that name.
            connection.execute(
                "UPDATE account SET next_segment = max(next_segment, ?), version = version + 1"
                " WHERE account_id = 1",
                (number + 1,),
            )
            return True

        # Under the turn: nobody commits a location in it between the look and the lock's end, because
        # whoever writes it would have to hold its lock.
        run_step(files, step)
        if not empty[0]:
            return False
        files.disk.unlink(segment_path(directory, number))
        files.disk.sync_directory(directory)
    finally:
        release()
    return True
