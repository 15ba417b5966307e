"""Stored palettes without the masks that no message has any more."""

from __future__ import annotations

import apsw

from modseq import limits
from modseq.core.flags import masks_max
from modseq.core.message import MessageChunk, palette_numbers
from modseq.storage.sqlite.batch import run_step
from modseq.storage.sqlite.codec import decode_chunk, encode_items, mask_bytes
from modseq.storage.sqlite.files import AccountFiles
from modseq.storage.sqlite.reading import read_palette

_BLOCKS = "SELECT chunk_no FROM chunk WHERE mailbox_id = ? AND exists_n > 0"
_BLOCK = (
    "SELECT core, items FROM chunk JOIN chunk_core USING (mailbox_id, chunk_no)"
    " WHERE chunk.mailbox_id = ? AND chunk_no = ?"
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
    blocks = [chunk_no for (chunk_no,) in connection.execute(_BLOCKS, (mailbox_id,))]
    kept = palette_numbers(_block(connection, mailbox_id, chunk_no) for chunk_no in blocks)
    if len(stored) <= masks_max(len(kept)):
        return
    numbers = {old: new for new, old in enumerate(kept)}
    for chunk_no in blocks:
        chunk = _block(connection, mailbox_id, chunk_no).with_palette_numbers(numbers)
        connection.execute(
            "UPDATE chunk SET items = ? WHERE mailbox_id = ? AND chunk_no = ?",
            (encode_items(chunk, None), mailbox_id, chunk_no),
        )
    connection.execute("DELETE FROM palette WHERE mailbox_id = ?", (mailbox_id,))
    connection.executemany(
        "INSERT INTO palette VALUES (?, ?, ?)",
        [(mailbox_id, new, mask_bytes(stored[old])) for old, new in numbers.items() if new],
    )


def _block(connection: apsw.Connection, mailbox_id: int, chunk_no: int) -> MessageChunk:
    """Return one block with its stored palette numbers: a million messages are not held at once."""
    ((core, items),) = connection.execute(_BLOCK, (mailbox_id, chunk_no))
    return decode_chunk(core, items, None)
