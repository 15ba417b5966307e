"""Copying the log of a mailbox into its chunks, a few at a time, and forgetting what is old.

Folding changes no answer: a cold load reads chunks and the log after them, and each chunk says up to which
mod-sequence it is current. So chunks may be written in any number of transactions, by any process, from any
published state, while the log grows; the mailbox's `folded_mod_seq` moves at the end, when every chunk that
the log up to there touches has been written.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from modseq import limits
from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet
from modseq.storage.sqlite.codec import (
    decode_change,
    decode_pairs,
    encode_core,
    encode_items,
    encode_pairs,
    mask_bytes,
)
from modseq.storage.sqlite.files import Settings
from modseq.storage.sqlite.reading import MailboxRow, read_mailbox, read_palette

_UPSERT_CHUNK = (
    "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (mailbox_id, chunk_no) DO UPDATE SET folded = excluded.folded,"
    " newest_max = excluded.newest_max, exists_n = excluded.exists_n, last_uid = excluded.last_uid,"
    " unseen_n = excluded.unseen_n, deleted_n = excluded.deleted_n, octets = excluded.octets,"
    " items = excluded.items"
)
_UPSERT_CORE = (
    "INSERT INTO chunk_core VALUES (?, ?, ?)"
    " ON CONFLICT (mailbox_id, chunk_no) DO UPDATE SET core = excluded.core"
)


@dataclass(slots=True)
class Fold:
    """The folding of one mailbox, from its first step to its last.

    Attributes:
        goal: the mod-sequence that the fold will reach.
        folded_from: where the fold before it ended; None until the first step has looked.
        pending: blocks still to be written, descending.
    """

    mailbox_id: int
    goal: int
    folded_from: int | None = None
    pending: list[int] = field(default_factory=list)
    finished: bool = False

    @property
    def chunks_written(self) -> bool:
        """True when only the last step is left."""
        return self.folded_from is not None and not self.pending

    def begin(self, connection: apsw.Connection, state: MailboxState) -> None:
        """Find the blocks that differ from what is stored."""
        row = read_mailbox(connection, self.mailbox_id)
        if row is None or row.folded_mod_seq >= self.goal:
            self.finished = True
            return
        self.folded_from = row.folded_mod_seq
        self.pending = self._outdated(connection, state)

    def _outdated(self, connection: apsw.Connection, state: MailboxState) -> list[int]:
        """Return the blocks that are not stored as they are at the goal or later."""
        current: set[int] = set()
        emptied: set[int] = set()
        for number, folded, *signature in connection.execute(
            "SELECT chunk_no, folded, newest_max, exists_n, last_uid FROM chunk WHERE mailbox_id = ?",
            (self.mailbox_id,),
        ):
            chunk = state.chunks.get(number)
            if folded >= self.goal or (chunk is not None and tuple(signature) == _signature(chunk)):
                current.add(number)
            elif chunk is None and signature[1]:
                emptied.add(number)
        return sorted(state.chunks.keys() - current | emptied, reverse=True)

    def write_chunks(self, connection: apsw.Connection, state: MailboxState) -> None:
        """Write a few blocks as they are in a published state; one step."""
        row = read_mailbox(connection, self.mailbox_id)
        if row is None or row.folded_mod_seq != self.folded_from:
            # Deleted, or another process was faster. It may have deleted the row of a block that it found
            # empty; written from our older state, the block would come back with its messages.
            self.finished = True
            return
        numbers = _stored_numbers(connection, state)
        for _ in range(min(len(self.pending), limits.FOLD_CHUNKS_PER_COMMIT)):
            number = self.pending.pop()
            _write_chunk(connection, state, number, numbers)

    def finish_from_log(
        self, connection: apsw.Connection, state: MailboxState, settings: Settings, now: int
    ) -> bool:
        """Do the last step with the expunges read from the log."""
        records = connection.execute(
            "SELECT mod_seq, changes FROM log WHERE mailbox_id = ? AND mod_seq > ? AND mod_seq <= ?"
            " ORDER BY mod_seq",
            (self.mailbox_id, self.folded_from or 0, self.goal),
        )
        changes = [decode_change(mod_seq, record) for mod_seq, record in records]
        vanished = [(change.mod_seq, change.vanished) for change in changes if change.vanished]
        return self.finish(connection, state, vanished, settings, now)

    def finish(
        self,
        connection: apsw.Connection,
        state: MailboxState,
        vanished: Sequence[tuple[int, NumSet]],
        settings: Settings,
        now: int,
    ) -> bool:
        """Move the mark, and the expunges of the folded records into their blocks; the last step.

        Returns True when expunges were forgotten, which others must learn.
        """
        row = read_mailbox(connection, self.mailbox_id)
        if row is None or row.folded_mod_seq != self.folded_from:
            # Deleted, or another process was faster: what was written is right all the same.
            self.finished = True
            return False
        self.pending = self._outdated(connection, state)
        if self.pending:
            # A process that lags behind wrote a block as it was before the goal.
            return False
        self.finished = True
        if vanished:
            _write_expunges(connection, self.mailbox_id, vanished, now)
        horizon = _forget_expunges(connection, row, settings, now)
        connection.execute(
            "UPDATE mailbox SET folded_mod_seq = ?, expunge_horizon = ? WHERE mailbox_id = ?",
            (self.goal, horizon, self.mailbox_id),
        )
        # Rows of emptied blocks had to say up to where they are current; now nobody asks.
        connection.execute(
            "DELETE FROM chunk WHERE mailbox_id = ? AND exists_n = 0 AND folded <= ?",
            (self.mailbox_id, self.goal),
        )
        if horizon == row.expunge_horizon:
            return False
        connection.execute("UPDATE account SET version = version + 1 WHERE account_id = 1")
        return True


def _row(connection: apsw.Connection, statement: str, values: tuple[int, ...]) -> tuple[Any, ...] | None:
    """Return the first row of an answer, None when there is none."""
    return next(iter(connection.execute(statement, values)), None)


def _signature(chunk: MessageChunk) -> tuple[int, int, int]:
    """Name the content of a block: an edit or an append raises the first, an expunge lowers the second."""
    return chunk.newest_max, len(chunk), chunk.uids[-1]


def _stored_numbers(connection: apsw.Connection, state: MailboxState) -> list[int] | None:
    """Store the masks that are new, and return for each palette number the stored one; None for the same."""
    stored = read_palette(connection, state.mailbox_id)
    masks = state.palette.masks[:]
    if stored == masks[: len(stored)]:
        added = masks[len(stored) :]
        numbers = None
    else:
        known = {mask: number for number, mask in enumerate(stored)}
        added = [mask for mask in masks if mask not in known]
        known.update({mask: number for number, mask in enumerate(added, len(stored))})
        numbers = [known[mask] for mask in masks]
    connection.executemany(
        "INSERT INTO palette VALUES (?, ?, ?)",
        [(state.mailbox_id, number, mask_bytes(mask)) for number, mask in enumerate(added, len(stored))],
    )
    return numbers


def _write_chunk(
    connection: apsw.Connection, state: MailboxState, number: int, numbers: Sequence[int] | None
) -> None:
    mailbox_id = state.mailbox_id
    stored = _row(
        connection,
        "SELECT folded, exists_n, last_uid FROM chunk WHERE mailbox_id = ? AND chunk_no = ?",
        (mailbox_id, number),
    )
    if stored is not None and stored[0] >= state.mod_seq:
        return
    chunk = state.chunks.get(number)
    if chunk is None:
        connection.execute(_UPSERT_CHUNK, (mailbox_id, number, state.mod_seq, 0, 0, 0, 0, 0, 0, b""))
        connection.execute(
            "DELETE FROM chunk_core WHERE mailbox_id = ? AND chunk_no = ?", (mailbox_id, number)
        )
        return
    newest_max, count, last_uid = _signature(chunk)
    connection.execute(
        _UPSERT_CHUNK,
        (
            mailbox_id,
            number,
            state.mod_seq,
            newest_max,
            count,
            last_uid,
            chunk.unseen,
            chunk.deleted,
            chunk.octets,
            encode_items(chunk, numbers),
        ),
    )
    if stored is None or stored[1:] != (count, last_uid):
        connection.execute(_UPSERT_CORE, (mailbox_id, number, encode_core(chunk)))


def _write_expunges(
    connection: apsw.Connection, mailbox_id: int, vanished: Iterable[tuple[int, NumSet]], now: int
) -> None:
    mod_seqs, uids = array("Q"), array("I")
    last = _row(
        connection,
        "SELECT mod_seq_last, uid_last, count, pairs FROM expunge WHERE mailbox_id = ?"
        " ORDER BY mod_seq_last DESC, uid_last DESC LIMIT 1",
        (mailbox_id,),
    )
    if last is not None and last[2] < limits.EXPUNGES_PER_BLOCK_MAX // 2:
        # Small blocks are continued, so that a mailbox with little traffic does not gather thousands.
        mod_seqs, uids = decode_pairs(last[2], last[3])
        connection.execute(
            "DELETE FROM expunge WHERE mailbox_id = ? AND mod_seq_last = ? AND uid_last = ?",
            (mailbox_id, last[0], last[1]),
        )
    for mod_seq, gone in vanished:
        uids.extend(gone.to_array())
        mod_seqs.extend(array("Q", (mod_seq,)) * len(gone))
    for start in range(0, len(uids), limits.EXPUNGES_PER_BLOCK_MAX):
        end = min(start + limits.EXPUNGES_PER_BLOCK_MAX, len(uids))
        connection.execute(
            "INSERT INTO expunge VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                mailbox_id,
                mod_seqs[end - 1],
                uids[end - 1],
                mod_seqs[start],
                end - start,
                now,
                encode_pairs(mod_seqs[start:end], uids[start:end]),
            ),
        )


def _forget_expunges(connection: apsw.Connection, row: MailboxRow, settings: Settings, now: int) -> int:
    """Drop whole blocks that exceed the operator's bounds, and return the horizon."""
    count_max, seconds_max = settings.expunges_kept_max, settings.expunges_kept_seconds_max
    horizon = row.expunge_horizon
    if count_max is None and seconds_max is None:
        return horizon
    blocks: list[tuple[Any, ...]] = connection.execute(
        "SELECT mod_seq_last, uid_last, count, folded_at FROM expunge WHERE mailbox_id = ?"
        " ORDER BY mod_seq_last DESC, uid_last DESC",
        (row.mailbox_id,),
    ).fetchall()
    kept = 0
    for mod_seq_last, uid_last, count, folded_at in blocks:
        kept += count
        too_many = count_max is not None and kept > count_max
        too_old = seconds_max is not None and folded_at < now - seconds_max
        if too_many or too_old:
            horizon = max(horizon, mod_seq_last)
            connection.execute(
                "DELETE FROM expunge WHERE mailbox_id = ? AND mod_seq_last = ? AND uid_last = ?",
                (row.mailbox_id, mod_seq_last, uid_last),
            )
    return horizon


def trim_log(connection: apsw.Connection, mailbox_id: int) -> bool:
    """Delete some of the log rows that are folded and no longer among the newest; True when more are left."""
    row = read_mailbox(connection, mailbox_id)
    if row is None:
        return False
    cut_max = min(row.folded_mod_seq, row.mod_seq - limits.LOG_ROWS_KEPT_MIN)
    if row.log_bytes > limits.LOG_BYTES_KEPT_MAX:
        cut_max = row.folded_mod_seq
    if cut_max <= row.log_from_mod_seq:
        return False
    cut = min(cut_max, row.log_from_mod_seq + limits.LOG_ROWS_TRIMMED_PER_COMMIT)
    octets = sum(
        length
        for (length,) in connection.execute(
            "SELECT length(changes) FROM log WHERE mailbox_id = ? AND mod_seq <= ?", (mailbox_id, cut)
        )
    )
    connection.execute("DELETE FROM log WHERE mailbox_id = ? AND mod_seq <= ?", (mailbox_id, cut))
    connection.execute(
        "UPDATE mailbox SET log_from_mod_seq = ?, log_bytes = log_bytes - ? WHERE mailbox_id = ?",
        (cut, octets, mailbox_id),
    )
    return cut < cut_max
