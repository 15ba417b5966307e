"""Stored palettes without the masks that no message has any more."""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from modseq import limits
from modseq.core.message import MessageChunk
from modseq.storage.sqlite.batch import run_step
from modseq.storage.sqlite.codec import decode_chunk, encode_items, mask_bytes
from modseq.storage.sqlite.files import AccountFiles
from modseq.storage.sqlite.reading import read_palette

_BLOCKS = (
    "SELECT chunk_no, core, items FROM chunk JOIN chunk_core USING (mailbox_id, chunk_no)"
    " WHERE chunk.mailbox_id = ? AND exists_n > 0"
)


def crowded_palettes(files: AccountFiles) -> list[int]:
    """Return the mailboxes whose palettes have so many masks that most may be those of no message."""
    rows = files.writer.execute(
        "SELECT mailbox_id FROM palette GROUP BY mailbox_id HAVING count(*) > ?",
        (limits.PALETTE_MASKS_UNUSED_MAX,),
    )
    return [mailbox_id for (mailbox_id,) in rows]


def shrink_palette(files: AccountFiles, mailbox_id: int) -> None:
    """Number the masks of a mailbox anew, if fewer than half are used; all its blocks are written in one step.

    Stored numbers mean nothing to other processes: whoever reads or writes blocks reads the palette in the same
    transaction.
    """
    run_step(files, lambda connection: _shrink(connection, mailbox_id))


def _shrink(connection: apsw.Connection, mailbox_id: int) -> None:
    stored = read_palette(connection, mailbox_id)
    used = {0}
    for _, chunk in _blocks(connection, mailbox_id):
        used.update(chunk.flags, chunk.touched)
    if len(stored) <= max(2 * len(used), limits.PALETTE_MASKS_UNUSED_MAX):
        return
    kept = sorted(used)
    numbers = [0] * len(stored)
    for new, old in enumerate(kept):
        numbers[old] = new
    for chunk_no, chunk in list(_blocks(connection, mailbox_id)):
        connection.execute(
            "UPDATE chunk SET items = ? WHERE mailbox_id = ? AND chunk_no = ?",
            (encode_items(chunk, numbers), mailbox_id, chunk_no),
        )
    connection.execute("DELETE FROM palette WHERE mailbox_id = ?", (mailbox_id,))
    connection.executemany(
        "INSERT INTO palette VALUES (?, ?, ?)",
        [(mailbox_id, new, mask_bytes(stored[old])) for new, old in enumerate(kept) if new],
    )


def _blocks(connection: apsw.Connection, mailbox_id: int) -> Iterator[tuple[int, MessageChunk]]:
    for chunk_no, core, items in connection.execute(_BLOCKS, (mailbox_id,)):
        yield chunk_no, decode_chunk(core, items, None)
