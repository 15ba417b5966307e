"""FETCH responses from packed arrays: many lines at once, no object for each message.

The lines of one batch differ only in a few numbers and in the text of the flags. So one template holds
the lines of the whole batch, sequence numbers included, and a single `%` fills in the columns. Only items
that stand in the blocks of a MailboxState can be rendered this way; `fetching` does the others.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.limits import (
    FETCH_BATCH_MESSAGES_MAX,
    FETCH_TEMPLATE_MESSAGES_MIN,
    FETCH_TEMPLATES_CACHED_MAX,
    TOLD_MESSAGES_PER_STATE_MAX,
)
from modseq.wire.values import FetchName

if TYPE_CHECKING:
    from modseq.server.session import Session

_FORMATS: Final[dict[str, bytes]] = {
    "UID": b"UID %d",
    "FLAGS": b"FLAGS (%b)",
    "MODSEQ": b"MODSEQ (%d)",
    "RFC822.SIZE": b"RFC822.SIZE %d",
}
"""Items that stand in the blocks of a mailbox's state, and how they are written."""

PACKED_ITEMS: Final = frozenset(_FORMATS)

_SEQ_PLACE, _UID_PLACE = b"\x01", b"\x02"
"""Stand in a template where the thousands of the number go; no item contains them."""


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Messages of one block, ascending, as parallel columns.

    Attributes:
        seq_nums: sequence numbers in this session; a range where no message between is left out.
        flags: palette numbers, as in the block.

    """

    seq_nums: Sequence[int]
    uids: array[int]
    flags: array[int]
    newest: array[int]
    sizes: array[int]

    def __len__(self) -> int:
        return len(self.uids)


def batches(view: SessionView, uids: NumSet, size_max: int = FETCH_BATCH_MESSAGES_MAX) -> Iterator[Batch]:
    """
    Yield the messages with these UIDs that are there, as the view's snapshot has them.

    Args:
        view: whose sequence numbers and snapshot to use; both are taken now, and stay as they are while
            the caller waits for the client between two batches.
        uids: UIDs, also some that are not there.
        size_max: messages of one batch.

    """
    index = view.uids
    for _, chunk in list(view.state.chunks_of(uids)):
        positions = chunk.positions(uids)
        for first in range(0, len(positions), size_max):
            here = positions[first : first + size_max]
            batch_uids = _pick(chunk.uids, here, len(chunk))
            low, high = index.seq_of(batch_uids[0]), index.seq_of(batch_uids[-1])
            assert low is not None
            assert high is not None
            seq_nums: Sequence[int] = range(low, high + 1)
            if len(seq_nums) != len(batch_uids):
                seq_nums = index.seqs_of(batch_uids)
            yield Batch(seq_nums, batch_uids, *_columns(chunk, here))


def _columns(chunk: MessageChunk, positions: Sequence[int]) -> tuple[array[int], array[int], array[int]]:
    count = len(chunk)
    return (
        _pick(chunk.flags, positions, count),
        _pick(chunk.newest, positions, count),
        _pick(chunk.sizes, positions, count),
    )


def _pick(column: array[int], positions: Sequence[int], count: int) -> array[int]:
    """Return the values at these positions: the column itself, a slice, or one by one."""
    if isinstance(positions, range):
        return column if len(positions) == count else column[positions.start : positions.stop]
    return array(column.typecode, map(column.__getitem__, positions))


def flag_texts(view: SessionView, batch: Batch) -> list[bytes]:
    r"""
    Return what stands between the parentheses of FLAGS for each message of a batch.

    RFC: 3501 section 2.3.2, 7.4.2
    """
    state = view.state
    texts = state.palette.texts
    try:
        told = list(map(texts.__getitem__, batch.flags))
    except KeyError:
        _learn_texts(state, batch.flags)
        told = list(map(texts.__getitem__, batch.flags))
    if not view.recent:
        return told
    recent = view.recent.clamp(batch.uids[0], batch.uids[-1])
    if len(recent) == batch.uids[-1] - batch.uids[0] + 1:
        # Counting the batch would not do: an expunged message that is not told yet may be recent too.
        marked = {index: _as_recent(texts[index]) for index in set(batch.flags)}
        return list(map(marked.__getitem__, batch.flags))
    if recent:
        inside = recent.bitmap
        return [
            _as_recent(text) if uid in inside else text for uid, text in zip(batch.uids, told, strict=True)
        ]
    return told


def _as_recent(text: bytes) -> bytes:
    return b"\\Recent " + text if text else b"\\Recent"


def _learn_texts(state: MailboxState, flags: Iterable[int]) -> None:
    """Spell combinations of flags that were never told; the mailbox's palette remembers them."""
    palette = state.palette
    for index in set(flags):
        if index not in palette.texts:
            names = state.flag_table.names(palette.masks[index])
            palette.texts[index] = " ".join(names).encode("ascii")


def lines(view: SessionView, batch: Batch, items: Sequence[str]) -> bytes:
    """
    Encode one FETCH response for each message of a batch, with packed items only.

    Grammar: message-data = nz-number SP "FETCH" SP msg-att
    RFC: 3501 section 7.4.2
    Args:
        items: of PACKED_ITEMS, in the order in which they are to stand.

    """
    columns: dict[str, Sequence[object]] = {
        "UID": batch.uids,
        "MODSEQ": batch.newest,
        "RFC822.SIZE": batch.sizes,
    }
    if "FLAGS" in items:
        columns["FLAGS"] = flag_texts(view, batch)
    formats = dict(_FORMATS)
    count, seq_nums = len(batch), batch.seq_nums
    if not isinstance(seq_nums, range) or count < FETCH_TEMPLATE_MESSAGES_MIN:
        filled = [seq_nums, *[columns[item] for item in items]]
        template = (b"* %d " + _tail(items, formats)) * count
    else:
        uid_offset = None
        if "UID" in items and batch.uids[-1] - batch.uids[0] == count - 1:
            # UIDs without a gap run along with the sequence numbers.
            uid_offset = batch.uids[0] - seq_nums.start
            formats["UID"] = b"UID " + _UID_PLACE
            del columns["UID"]
        filled = [columns[item] for item in items if item in columns]
        template = _numbered_lines(_tail(items, formats), seq_nums.start, seq_nums.stop - 1, uid_offset)
    width = len(filled)
    if width == 1:
        return template % tuple(filled[0])
    flat: list[object] = [None] * (count * width)
    for at, column in enumerate(filled):
        flat[at::width] = column
    return template % tuple(flat)


def _tail(items: Sequence[str], formats: Mapping[str, bytes]) -> bytes:
    """Return what follows the sequence number, with a place for each value."""
    return b"FETCH (%b)\r\n" % b" ".join([formats[item] for item in items])


def _numbered_lines(tail: bytes, first: int, last: int, uid_offset: int | None) -> bytes:
    """
    Return `* n tail` for each n from first to last: quicker than to spell the numbers one by one.

    Args:
        tail: with _UID_PLACE where the UID goes, if there is an offset.
        uid_offset: UID less sequence number, the same in all lines; None to leave the UIDs out.

    """
    offset = uid_offset or 0
    width, thousand = _thousand_lines(tail, offset % 1000)
    pieces = []
    while first <= last:
        thousands, rest = divmod(first, 1000)
        uid_thousands, uid_rest = divmod(first + offset, 1000)
        end = min(last, first + 999 - rest)
        if uid_offset is not None:
            end = min(end, first + 999 - uid_rest)
        if thousands:  # then the UID has thousands too: it is not below the sequence number
            part = thousand[rest * width : (rest + end - first + 1) * width]
            part = part.replace(_SEQ_PLACE, b"%d" % thousands)
            pieces.append(part.replace(_UID_PLACE, b"%d" % uid_thousands))
        else:
            # No thousands to put in, and no zeroes before the number.
            pieces += [
                b"* %d %b" % (number, tail.replace(_UID_PLACE, b"%d" % (number + offset)))
                for number in range(first, end + 1)
            ]
        first = end + 1
    return b"".join(pieces)


@lru_cache(maxsize=FETCH_TEMPLATES_CACHED_MAX)
def _thousand_lines(tail: bytes, uid_offset: int) -> tuple[int, bytes]:
    """Return the lines of 000 to 999 behind the marks for the thousands, and the length of each."""
    made = [
        b"* %b%03d %b"
        % (
            _SEQ_PLACE,
            number,
            tail.replace(_UID_PLACE, b"%b%03d" % (_UID_PLACE, (number + uid_offset) % 1000)),
        )
        for number in range(1000)
    ]
    return len(made[0]), b"".join(made)


_FLAGS_ALONE: Final[tuple[FetchName, ...]] = ("FLAGS",)
_FLAGS_NUMBERED: Final[tuple[FetchName, ...]] = ("UID", "FLAGS", "MODSEQ")


def unsolicited_items(session: Session) -> tuple[FetchName, ...]:
    """
    Return what stands in a FETCH response that was not asked for.

    RFC: 7162 section 3.2.4
    """
    return _FLAGS_NUMBERED if session.condstore else _FLAGS_ALONE


def changed_flags(session: Session, view: SessionView, uids: array[int]) -> Iterator[bytes]:
    """
    Yield FETCH responses that tell of changed flags, in pieces of many lines.

    RFC: 3501 section 7.4.2
    RFC: 7162 section 3.1.4.2, 3.2.4
    Args:
        uids: ascending; those that are gone are left out.

    """
    items = unsolicited_items(session)
    if items is _FLAGS_NUMBERED and len(uids) <= TOLD_MESSAGES_PER_STATE_MAX:
        yield b"".join([flags_line(view, uid) for uid in uids])
        return
    for batch in batches(view, NumSet(uids)):
        yield lines(view, batch, items)


def flags_line(view: SessionView, uid: int) -> bytes:
    """
    Return the FETCH response with UID, FLAGS and MODSEQ of one message; empty if it is gone.

    Sessions that count the same messages are told the same words, so the state remembers them.

    RFC: 7162 section 3.2.4
    """
    state = view.state
    is_common = view.uids is state.index and not (view.recent and uid in view.recent)
    if is_common and uid in state.told:
        return state.told[uid]
    found = state.locate(uid)
    if found is None:
        return b""
    chunk, at = found
    index = chunk.flags[at]
    texts = state.palette.texts
    if index not in texts:
        _learn_texts(state, (index,))
    text = texts[index]
    if not is_common and uid in view.recent:
        text = _as_recent(text)
    line = b"* %d FETCH (UID %d FLAGS (%b) MODSEQ (%d))\r\n" % (
        view.uids.seq_of(uid) or 0,
        uid,
        text,
        chunk.newest[at],
    )
    if is_common and len(state.told) < TOLD_MESSAGES_PER_STATE_MAX:
        state.told[uid] = line
    return line


def mod_seq_line(view: SessionView, uid: int, mod_seq: int) -> bytes:
    """
    Return the FETCH response that says only under which number a message changed.

    RFC: 7162 section 3.1.3, 3.2.4
    """
    return b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % (view.uids.seq_of(uid) or 0, uid, mod_seq)
