"""The rows of messages: written with a commit, or in slices before it and after it.

A row for each of a million messages takes seconds to write or to delete, for which nobody else could commit.
So a huge copy writes its rows ahead, in small commits, where nobody looks: at and above UIDNEXT of the target.
A row of `staged` says that such rows may be there, and whose they are. The commit of the copy finds them in
place if UIDNEXT is still where it was, and else writes its own over them. A huge expunge only records that its
rows are *doomed*; they go in small commits afterwards. Until then nobody is shown them.

Whatever is left behind, by a crash too, is cleared away by whoever opens the account next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import apsw
from pyroaring import BitMap

from modseq import limits
from modseq.core.account import CopiedRows, NewRow
from modseq.core.errors import StorageFailed
from modseq.core.numset import NumSet

_INSERT = "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?)"
"""Rows written ahead by a copy that came to nothing may still stand there."""

_NOBODY = 0
"""As a token: of a copy that is given up."""

_FIRST = "SELECT uid FROM message WHERE mailbox_id = ? AND uid >= ? ORDER BY uid LIMIT 1 OFFSET ?"


def write_rows(connection: apsw.Connection, rows: Iterable[NewRow | CopiedRows]) -> None:
    """Write the rows of new messages, in order: what is copied may be one of those just appended."""
    new: list[tuple[int, int, int, int]] = []
    for row in rows:
        if isinstance(row, NewRow):
            new.append((row.mailbox_id, row.uid, row.email_id, row.saved_at))
            continue
        if new:
            connection.executemany(_INSERT, new)
            new = []
        if not (row.token and _take_staged(connection, row)):
            _copy_rows(connection, row)
    if new:
        connection.executemany(_INSERT, new)


def _copy_rows(connection: apsw.Connection, rows: CopiedRows) -> None:
    """Copy rows, a run of consecutive UIDs with one statement."""
    uid = rows.first_uid
    for first, last in NumSet(rows.source_uids).ranges():
        connection.execute(
            "INSERT OR REPLACE INTO message SELECT ?, uid + ?, email_id, ? FROM message"
            " WHERE mailbox_id = ? AND uid BETWEEN ? AND ?",
            (rows.mailbox_id, uid - first, rows.saved_at, rows.source_id, first, last),
        )
        if connection.changes() != last - first + 1:
            raise StorageFailed("A message that is to be copied has no row.")
        uid += last - first + 1


# --- written ahead --------------------------------------------------------------------------------


def stage_rows(connection: apsw.Connection, base: CopiedRows, start: int, end: int) -> bool:
    """Write some of the rows of a copy ahead of its commit, in a transaction of the caller's.

    Args:
        base: all of them, with the token that names the copy.
        start, end: places of those to write now.

    Returns False when it is of no use any more: the target moved, was deleted, or is somebody else's.
    """
    owner = _first(connection, "SELECT token FROM staged WHERE mailbox_id = ?", base.mailbox_id)
    if owner is None and not start:
        connection.execute("INSERT INTO staged VALUES (?, ?)", (base.mailbox_id, base.token))
        owner = base.token
    uid_next = _first(connection, "SELECT uid_next FROM mailbox WHERE mailbox_id = ?", base.mailbox_id)
    if owner != base.token or uid_next != base.first_uid:
        return False
    part = base.source_uids[start:end]
    _copy_rows(
        connection,
        CopiedRows(base.mailbox_id, base.first_uid + start, base.saved_at, base.source_id, part),
    )
    return True


def _take_staged(connection: apsw.Connection, rows: CopiedRows) -> bool:
    """Make the rows that were written ahead part of the mailbox; False when they cannot be relied upon."""
    connection.execute("DELETE FROM staged WHERE mailbox_id = ? AND token = ?", (rows.mailbox_id, rows.token))
    return bool(connection.changes())


# --- removed afterwards ---------------------------------------------------------------------------


def remove_rows(connection: apsw.Connection, mailbox_id: int, vanished: NumSet) -> None:
    """Remove the rows of expunged messages, or record that they are to be removed when they are many."""
    if len(vanished) <= limits.ROWS_PER_COMMIT_MAX:
        _delete_ranges(connection, mailbox_id, vanished)
        return
    left = vanished.bitmap.copy()
    while left:
        # In pieces, because each step writes the piece anew that it begins.
        end = int(left[min(len(left), limits.DOOMED_UIDS_PER_ROW) - 1])
        piece = left & BitMap(range(left.min(), end + 1))
        connection.execute("INSERT INTO doomed VALUES (NULL, ?, ?)", (mailbox_id, NumSet(piece).serialize()))
        left.remove_range(0, end + 1)


def remove_all_rows(connection: apsw.Connection, mailbox_id: int) -> None:
    """Remove the rows of a mailbox that is being deleted; its number is never used again."""
    if _first(connection, _FIRST, mailbox_id, 0, limits.ROWS_PER_COMMIT_MAX) is None:
        connection.execute("DELETE FROM message WHERE mailbox_id = ?", (mailbox_id,))
    else:
        connection.execute("INSERT INTO doomed VALUES (NULL, ?, NULL)", (mailbox_id,))


def doomed_uids(connection: apsw.Connection, mailbox_id: int) -> NumSet:
    """Return the UIDs whose rows may still be there although the messages are gone."""
    pieces: list[tuple[Any, ...]] = connection.execute(
        "SELECT uids FROM doomed WHERE mailbox_id = ? AND uids IS NOT NULL", (mailbox_id,)
    ).fetchall()
    return NumSet.union([NumSet.deserialize(piece) for (piece,) in pieces]) if pieces else NumSet.EMPTY


def is_untidy(connection: apsw.Connection, kept: Collection[int]) -> bool:
    """True when `tidy` has something to do."""
    if next(iter(connection.execute("SELECT 1 FROM doomed LIMIT 1")), None) is not None:
        return True
    return any(token not in kept for (token,) in connection.execute("SELECT token FROM staged"))


def tidy(connection: apsw.Connection, kept: Collection[int]) -> None:
    """Remove some rows that belong to no message, in a transaction of the caller's.

    Args:
        kept: tokens of copies that are being written ahead by this process. Those of another process may
            lose their rows: they notice.
    """
    doomed: list[tuple[Any, ...]] = connection.execute(
        "SELECT doomed_id, mailbox_id, uids FROM doomed ORDER BY doomed_id LIMIT 1"
    ).fetchall()
    for doomed_id, mailbox_id, uids in doomed:
        _remove_doomed(connection, doomed_id, mailbox_id, uids)
        return
    staged: list[tuple[Any, ...]] = connection.execute(
        "SELECT mailbox_id, token, uid_next FROM staged JOIN mailbox USING (mailbox_id)"
    ).fetchall()
    for mailbox_id, token, uid_next in staged:
        if token not in kept:
            # From the first row on that goes, the copy must not rely on the others.
            connection.execute("UPDATE staged SET token = ? WHERE mailbox_id = ?", (_NOBODY, mailbox_id))
            if not _delete_some_from(connection, mailbox_id, uid_next):
                connection.execute("DELETE FROM staged WHERE mailbox_id = ?", (mailbox_id,))
            return


def _remove_doomed(connection: apsw.Connection, doomed_id: int, mailbox_id: int, uids: bytes | None) -> None:
    if uids is None:
        if not _delete_some_from(connection, mailbox_id, 0):
            connection.execute("DELETE FROM doomed WHERE doomed_id = ?", (doomed_id,))
        return
    left = BitMap.deserialize(uids)
    part = left[: limits.ROWS_PER_COMMIT_MAX]
    _delete_ranges(connection, mailbox_id, NumSet(part))
    left -= part
    if left:
        connection.execute(
            "UPDATE doomed SET uids = ? WHERE doomed_id = ?", (NumSet(left).serialize(), doomed_id)
        )
    else:
        connection.execute("DELETE FROM doomed WHERE doomed_id = ?", (doomed_id,))


def _delete_some_from(connection: apsw.Connection, mailbox_id: int, uid: int) -> bool:
    """Delete some rows from a UID on; True when more are left."""
    end = _first(connection, _FIRST, mailbox_id, uid, limits.ROWS_PER_COMMIT_MAX)
    if end is None:
        connection.execute("DELETE FROM message WHERE mailbox_id = ? AND uid >= ?", (mailbox_id, uid))
        return False
    connection.execute(
        "DELETE FROM message WHERE mailbox_id = ? AND uid >= ? AND uid < ?", (mailbox_id, uid, end)
    )
    return True


def _delete_ranges(connection: apsw.Connection, mailbox_id: int, uids: NumSet) -> None:
    connection.executemany(
        "DELETE FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ?",
        [(mailbox_id, first, last) for first, last in uids.ranges()],
    )


def _first(connection: apsw.Connection, statement: str, *values: int) -> Any:
    """Return the first column of the first row of an answer, None when there is none."""
    row = next(iter(connection.execute(statement, values)), None)
    return None if row is None else row[0]
