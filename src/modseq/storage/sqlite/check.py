"""Invariants that only the embedded store can see: its tables and segments against one another."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import apsw

from modseq.core.change import Change
from modseq.core.errors import StorageError
from modseq.core.flags import KEYWORD_BIT_MIN
from modseq.core.mailbox import MailboxState
from modseq.core.numset import NumSet
from modseq.storage.blobs import BodyDamaged, Location, SegmentGone, SegmentReader, segment_path
from modseq.storage.fsck import Problem, check, check_state
from modseq.storage.sqlite.account import SqliteAccount
from modseq.storage.sqlite.codec import decode_change, decode_chunk, decode_pairs
from modseq.storage.sqlite.files import BODIES, AccountFiles
from modseq.storage.sqlite.reading import (
    MailboxRow,
    fold_all,
    load_mailbox,
    read_account,
    read_mailbox,
    read_palette,
    reading,
)
from modseq.storage.sqlite.rows import doomed_uids

INVARIANTS = {
    "database": "SQLite finds the file in order",
    "account-row": "there is one, and no number in use reaches the next one of its kind",
    "orphans": "no row belongs to a mailbox that is not there",
    "log": "from the mark on there is one readable record for each mod-sequence, and their octets are counted",
    "marks": "the log reaches back to the fold, and the fold no further than the mailbox",
    "replay": "the whole log, where it is there, leads to what chunks and log give",
    "chunks": "every chunk can be read, agrees with its columns, and names masks that are stored",
    "keyword-bits": "keywords have consecutive bits",
    "expunge-blocks": "blocks ascend, agree with their columns, and end at the fold",
    "message-rows": "there is a row for every message, and for nothing else but what is recorded as left over",
    "contents": "every row names a content, with the size that the mailbox tells",
    "segments": "every body lies in its segment, whole, and shares no octet with another",
}

_OWNED = ("keyword", "log", "palette", "chunk", "chunk_core", "expunge", "message", "staged")


async def check_account(account: SqliteAccount, *, bodies: bool = True) -> list[Problem]:
    """Return every violated invariant of an account, those of `storage.fsck` included."""
    await account.refresh()
    problems = await account.write(lambda files: check_files(files, bodies=bodies))
    return problems + await check(account, bodies=bodies)


def check_files(files: AccountFiles, *, bodies: bool = True) -> list[Problem]:
    """Check one account's database and segments; runs in a thread."""
    connection = files.writer
    try:
        with reading(connection):
            problems = list(_check_database(connection))
            problems += _check_account_row(connection)
            ids = [row[0] for row in connection.execute("SELECT mailbox_id FROM mailbox")]
            for mailbox_id in ids:
                row = read_mailbox(connection, mailbox_id)
                if row is not None:
                    problems += _check_mailbox(connection, row)
            if bodies:
                problems += _check_segments(connection, files.directory / BODIES)
    except (apsw.Error, OSError, StorageError) as error:
        return [Problem("database", "mail.sqlite", str(error))]
    return problems


def _check_database(connection: apsw.Connection) -> Iterator[Problem]:
    for (verdict,) in connection.execute("PRAGMA integrity_check"):
        if verdict != "ok":
            yield Problem("database", "mail.sqlite", str(verdict))


def _check_account_row(connection: apsw.Connection) -> Iterator[Problem]:
    row = read_account(connection)
    for label, query, bound in (
        ("mailbox number", "SELECT max(mailbox_id) FROM mailbox", row.next_mailbox_id),
        ("UIDVALIDITY", "SELECT max(uid_validity) FROM mailbox", row.next_uid_validity),
        ("content number", "SELECT max(email_id) FROM content", row.next_email_id),
    ):
        highest = next(iter(connection.execute(query)))[0]
        if highest is not None and highest >= bound:
            yield Problem("account-row", "account", f"{label} {highest}, but the next one is {bound}")
    for table in _OWNED:
        orphans = connection.execute(
            f"SELECT DISTINCT mailbox_id FROM {table} EXCEPT SELECT mailbox_id FROM mailbox"  # noqa: S608
            " EXCEPT SELECT mailbox_id FROM doomed WHERE uids IS NULL"
        )
        for (mailbox_id,) in orphans:
            yield Problem("orphans", f"table {table}", f"rows of mailbox {mailbox_id}")


def _check_mailbox(connection: apsw.Connection, row: MailboxRow) -> Iterator[Problem]:
    where = f"mailbox {row.mailbox_id}"
    if not 1 <= row.log_from_mod_seq <= row.folded_mod_seq <= row.mod_seq:
        yield Problem(
            "marks",
            where,
            f"log from {row.log_from_mod_seq}, folded {row.folded_mod_seq}, highest {row.mod_seq}",
        )
    changes: list[Change] = []
    yield from _check_log(connection, row, where, changes)
    yield from _check_chunks(connection, row, where)
    yield from _check_keywords(connection, row, where)
    yield from _check_expunges(connection, row, where)
    try:
        state = load_mailbox(connection, row.mailbox_id)
        yield from check_state(state, where)
    except (StorageError, LookupError) as error:
        yield Problem("chunks", where, f"the mailbox cannot be loaded: {error}")
        return
    counters = row.counters
    if state.counters != counters:
        yield Problem("counters", where, f"told {counters}, but {state.counters} are there")
    if row.log_from_mod_seq == 1 and len(changes) == row.mod_seq - 1:
        yield from _check_replay(state, changes, where)
    yield from _check_rows(connection, state, where)


def _check_log(
    connection: apsw.Connection, row: MailboxRow, where: str, changes: list[Change]
) -> Iterator[Problem]:
    expected = row.log_from_mod_seq
    octets = 0
    for mod_seq, record in connection.execute(
        "SELECT mod_seq, changes FROM log WHERE mailbox_id = ? ORDER BY mod_seq", (row.mailbox_id,)
    ):
        expected += 1
        octets += len(record)
        if mod_seq != expected:
            yield Problem("log", where, f"record {expected} is missing or {mod_seq} is superfluous")
            expected = mod_seq
        try:
            changes.append(decode_change(mod_seq, record))
        except StorageError as error:
            yield Problem("log", where, str(error))
    if expected != row.mod_seq:
        yield Problem("log", where, f"the records end at {expected}, the mailbox is at {row.mod_seq}")
    if octets != row.log_bytes:
        yield Problem("log", where, f"{octets} octets, but {row.log_bytes} are counted")


def _check_chunks(connection: apsw.Connection, row: MailboxRow, where: str) -> Iterator[Problem]:
    palette = read_palette(connection, row.mailbox_id)
    for number, folded, newest_max, exists, last_uid, core, items in connection.execute(
        "SELECT chunk.chunk_no, folded, newest_max, exists_n, last_uid, core, items"
        " FROM chunk LEFT JOIN chunk_core USING (mailbox_id, chunk_no) WHERE chunk.mailbox_id = ?",
        (row.mailbox_id,),
    ):
        place = f"{where}, chunk {number}"
        if folded > row.mod_seq:
            yield Problem("chunks", place, f"folded up to {folded}, above the mailbox")
        if not exists:
            if core is not None:
                yield Problem("chunks", place, "empty, but with UIDs")
            continue
        try:
            chunk = decode_chunk(core or b"", items, None)
        except StorageError as error:
            yield Problem("chunks", place, str(error))
            continue
        if (len(chunk), chunk.uids[-1] if chunk else 0) != (exists, last_uid):
            yield Problem("chunks", place, "count or last UID do not fit the column")
        elif max(chunk.newest) > newest_max or newest_max > folded:
            yield Problem(
                "chunks", place, f"newest {max(chunk.newest)}, column {newest_max}, folded {folded}"
            )
        if max(array("I", [*chunk.flags, *chunk.touched, 0])) >= len(palette):
            yield Problem("chunks", place, "a mask that is not stored")
    lonely = connection.execute(
        "SELECT chunk_no FROM chunk_core WHERE mailbox_id = ?"
        " EXCEPT SELECT chunk_no FROM chunk WHERE mailbox_id = ?",
        (row.mailbox_id, row.mailbox_id),
    )
    for (number,) in lonely:
        yield Problem("chunks", f"{where}, chunk {number}", "UIDs without flags")


def _check_keywords(connection: apsw.Connection, row: MailboxRow, where: str) -> Iterator[Problem]:
    found = [
        bit
        for (bit,) in connection.execute(
            "SELECT bit FROM keyword WHERE mailbox_id = ? ORDER BY bit", (row.mailbox_id,)
        )
    ]
    if found != list(range(KEYWORD_BIT_MIN, KEYWORD_BIT_MIN + len(found))):
        yield Problem("keyword-bits", where, f"bits {found}")


def _check_expunges(connection: apsw.Connection, row: MailboxRow, where: str) -> Iterator[Problem]:
    previous = 0
    gone: set[int] = set()
    for last, uid_last, first, count, pairs in connection.execute(
        "SELECT mod_seq_last, uid_last, mod_seq_first, count, pairs FROM expunge WHERE mailbox_id = ?"
        " ORDER BY mod_seq_last, uid_last",
        (row.mailbox_id,),
    ):
        place = f"{where}, expunges up to {last}"
        try:
            mod_seqs, uids = decode_pairs(count, pairs)
        except StorageError as error:
            yield Problem("expunge-blocks", place, str(error))
            continue
        if not mod_seqs or (mod_seqs[0], mod_seqs[-1], uids[-1]) != (first, last, uid_last):
            yield Problem("expunge-blocks", place, "the columns do not fit the pairs")
        if list(mod_seqs) != sorted(mod_seqs) or (mod_seqs and mod_seqs[0] < previous):
            yield Problem("expunge-blocks", place, "the numbers fall")
        if last > row.folded_mod_seq:
            yield Problem("expunge-blocks", place, "above the fold")
        if not gone.isdisjoint(uids):
            yield Problem("expunge-blocks", place, "a UID vanished twice")
        gone.update(uids)
        previous = last


def _check_replay(loaded: MailboxState, changes: list[Change], where: str) -> Iterator[Problem]:
    """Compare a mailbox with what its whole log makes of an empty one."""
    empty = MailboxState(loaded.mailbox_id, loaded.uid_validity)
    replayed = fold_all(empty, changes)
    if replayed.flag_table.keywords != loaded.flag_table.keywords:
        yield Problem("replay", where, "keywords differ")
    if list(replayed.chunks) != list(loaded.chunks):
        yield Problem("replay", where, "blocks differ")
        return
    for number, chunk in replayed.chunks.items():
        other = loaded.chunks[number]
        same = all(
            getattr(chunk, name) == getattr(other, name)
            for name in ("uids", "created", "newest", "sizes", "extra_keys", "extra_nums")
        )
        for name in ("flags", "touched"):
            mine = [replayed.palette.masks[index] for index in getattr(chunk, name)]
            theirs = [loaded.palette.masks[index] for index in getattr(other, name)]
            same = same and mine == theirs
        if not same:
            yield Problem("replay", f"{where}, chunk {number}", "log and chunk differ")


def _check_rows(connection: apsw.Connection, state: MailboxState, where: str) -> Iterator[Problem]:
    rows: list[tuple[int, int | None]] = connection.execute(  # type: ignore[assignment]
        "SELECT uid, size FROM message LEFT JOIN content USING (email_id) WHERE mailbox_id = ? ORDER BY uid",
        (state.mailbox_id,),
    ).fetchall()
    there, live = NumSet(row[0] for row in rows), state.index.to_numset()
    doomed = doomed_uids(connection, state.mailbox_id)
    if not doomed.isdisjoint(live):
        yield Problem("message-rows", where, f"to be deleted: {(doomed & live).to_bytes().decode()}")
    there -= doomed
    if _has_staged(connection, state.mailbox_id):
        there = there.clamp(0, state.uid_next - 1)
    if there != live:
        yield Problem(
            "message-rows",
            where,
            f"missing {(live - there).to_bytes().decode() or 'none'},"
            f" superfluous {(there - live).to_bytes().decode() or 'none'}",
        )
    for uid, size in rows:
        found = state.message(uid)
        if size is None:
            yield Problem("contents", f"{where}, UID {uid}", "names a content that is not there")
        elif found is not None and found.size != size:
            yield Problem("contents", f"{where}, UID {uid}", f"{size} octets, the mailbox tells {found.size}")


def _has_staged(connection: apsw.Connection, mailbox_id: int) -> bool:
    found = connection.execute("SELECT 1 FROM staged WHERE mailbox_id = ?", (mailbox_id,))
    return next(iter(found), None) is not None


def _check_segments(connection: apsw.Connection, directory: Path) -> Iterator[Problem]:
    reader = SegmentReader(directory)
    end: dict[int, int] = {}
    try:
        for email_id, *place in connection.execute(
            "SELECT email_id, segment, offset, stored_length FROM content ORDER BY segment, offset"
        ):
            location = Location(*place)
            where = f"{segment_path(directory, location.segment).name} at {location.offset}"
            if location.offset < end.get(location.segment, 0):
                yield Problem("segments", where, f"content {email_id} overlaps another")
            end[location.segment] = location.end
            try:
                reader.read_stored(location, email_id)
            except (BodyDamaged, SegmentGone) as error:
                yield Problem("segments", where, f"content {email_id}: {error}")
    finally:
        reader.close()
