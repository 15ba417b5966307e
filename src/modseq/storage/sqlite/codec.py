"""How changes, chunks and expunges are written in the database.

Every encoding is deterministic: equal values give equal octets. All numbers of more than one octet are
little-endian.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
import zstandard

from modseq.core.change import AnnotationEdit, Appended, AppendedRun, Change, FlagEdit
from modseq.core.errors import StorageFailed
from modseq.core.ids import UserId
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet

_MSGPACK_INT_MAX = 2**63 - 1
_COLUMNS_FROM = 8
"""From this many messages on, an append is written in columns instead of one triple for each."""

_encode = msgspec.msgpack.Encoder().encode

_Set = int | bytes
_Mask = int | bytes
_Edit = tuple[_Set, _Mask, _Mask] | tuple[_Set, _Mask, _Mask, str]


def encode_change(change: Change) -> bytes:
    """Return the log record of a change; its mod-sequence is the row's key and not part of it."""
    # STORE of one message makes most of the records: 15 octets and a microsecond.
    return _encode(
        (
            _appended_out(change.appended) if change.appended else None,
            [_edit_out(edit) for edit in change.edits] if change.edits else None,
            _set_out(change.vanished) if change.vanished else None,
            list(change.keywords) if change.keywords else None,
            [(a.uid, a.entry, a.value, a.user_id) for a in change.annotations]
            if change.annotations
            else None,
        )
    )


_decode = msgspec.msgpack.Decoder().decode


def decode_change(mod_seq: int, record: bytes) -> Change:
    """Read a log record.

    Raises:
        StorageFailed: the record is damaged.
    """
    try:
        appended, edits, vanished, keywords, annotations = _decode(record)
        return Change(
            mod_seq,
            appended=_appended_in(appended) if appended else (),
            edits=tuple(map(_edit_in, edits)) if edits else (),
            vanished=NumSet.EMPTY if vanished is None else _set_in(vanished),
            keywords=tuple((bit, name) for bit, name in keywords) if keywords else (),
            annotations=tuple(
                AnnotationEdit(uid, entry, value, None if user is None else UserId(user))
                for uid, entry, value, user in annotations
            )
            if annotations
            else (),
        )
    except (msgspec.DecodeError, TypeError, ValueError, IndexError) as error:
        raise StorageFailed(f"The log record of mod-sequence {mod_seq} is damaged.") from error


def _set_out(numbers: NumSet) -> _Set:
    return numbers.min if len(numbers) == 1 else numbers.serialize()


def _set_in(stored: _Set) -> NumSet:
    return NumSet.single(stored) if isinstance(stored, int) else NumSet.deserialize(stored)


def _mask_out(mask: int) -> _Mask:
    return mask if mask <= _MSGPACK_INT_MAX else mask_bytes(mask)


def _mask_in(stored: _Mask) -> int:
    return stored if isinstance(stored, int) else int.from_bytes(stored, "little")


def mask_bytes(mask: int) -> bytes:
    """Return a flag mask of any width in as few octets as it takes."""
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def _edit_out(edit: FlagEdit) -> _Edit:
    shared = (_set_out(edit.uids), _mask_out(edit.add), _mask_out(edit.remove))
    return shared if edit.user_id is None else (*shared, str(edit.user_id))


def _edit_in(stored: _Edit) -> FlagEdit:
    user = UserId(stored[3]) if len(stored) == 4 else None
    return FlagEdit(_set_in(stored[0]), _mask_in(stored[1]), _mask_in(stored[2]), user)


def _appended_out(appended: Sequence[Appended]) -> Sequence[Any]:
    if len(appended) < _COLUMNS_FROM:
        return [(each.uid, _mask_out(each.flags), each.size) for each in appended]
    if isinstance(appended, AppendedRun):
        return _run_out(appended)
    masks = sorted({each.flags for each in appended})
    numbers = {mask: number for number, mask in enumerate(masks)}
    return (
        NumSet([each.uid for each in appended]).serialize(),
        _little(array(_flags_code(masks), [numbers[each.flags] for each in appended])),
        [_mask_out(mask) for mask in masks],
        _little(array("I", [each.size for each in appended])),
    )


def _run_out(run: AppendedRun) -> Sequence[Any]:
    used = {place: run.masks[place] for place in set(run.flags)}
    masks = sorted(set(used.values()))
    numbers = {mask: number for number, mask in enumerate(masks)}
    code = _flags_code(masks)
    flags = run.flags
    if flags.typecode != code or any(place != numbers[mask] for place, mask in used.items()):
        flags = array(code, map({place: numbers[mask] for place, mask in used.items()}.__getitem__, flags))
    return (run.uids.serialize(), _little(flags), [_mask_out(mask) for mask in masks], _little(run.sizes))


def _flags_code(masks: Sequence[int]) -> str:
    """Return the type of the column of flags: an octet each where that is enough."""
    return "B" if len(masks) <= 256 else "I"


def _appended_in(stored: Sequence[Any]) -> Sequence[Appended]:
    if not isinstance(stored[0], bytes):
        return tuple(Appended(uid, _mask_in(mask), size) for uid, mask, size in stored)
    uids, flags, masks, sizes = stored
    known = tuple(_mask_in(mask) for mask in masks)
    octets, numbers = _array("I", sizes), NumSet.deserialize(uids)
    # Four octets each is also how they were written before one was enough.
    places = _array("B" if len(flags) == len(octets) else "I", flags)
    if len(places) != len(octets) or len(octets) != len(numbers) or max(places) >= len(known):
        raise ValueError("the columns differ")
    if numbers.max - numbers.min + 1 == len(numbers):
        return AppendedRun(numbers.min, known, places, octets)
    return tuple(
        Appended(uid, known[place], size)
        for uid, place, size in zip(numbers.to_array(), places, octets, strict=True)
    )


def _little(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _array(code: str, data: bytes | memoryview) -> array[int]:
    numbers = array(code)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


_NEWEST_DIFFERS = 1
_TOUCHED_DIFFERS = 2


def encode_core(chunk: MessageChunk) -> bytes:
    """Return UIDs, creation numbers and sizes of a chunk."""
    return _little(chunk.created) + _little(chunk.uids) + _little(chunk.sizes)


def encode_items(chunk: MessageChunk, numbers: Sequence[int] | None) -> bytes:
    """Return flags and mod-sequences of a chunk.

    Args:
        numbers: for each number of the process's palette the stored one; None when they are the same.
    """
    flags, touched = chunk.flags, chunk.touched
    if numbers is not None:
        flags = array("I", map(numbers.__getitem__, flags))
        touched = array("I", map(numbers.__getitem__, touched))
    parts = [b"", _little(flags)]
    present = 0
    if chunk.newest != chunk.created:
        present |= _NEWEST_DIFFERS
        parts.append(_little(chunk.newest))
    if any(touched):
        present |= _TOUCHED_DIFFERS
        parts.append(_little(touched))
    parts += [_little(chunk.extra_keys), _little(chunk.extra_nums)]
    parts[0] = present.to_bytes(8, "little")
    return b"".join(parts)


def decode_chunk(core: bytes, items: bytes, numbers: Sequence[int] | None) -> MessageChunk:
    """Read a chunk; its counters are left to the caller.

    Args:
        numbers: for each stored palette number the process's; None when they are the same.

    Raises:
        StorageFailed: the lengths do not fit together.
    """
    chunk = MessageChunk()
    if len(core) % 16 or len(items) < 8:
        raise StorageFailed("A chunk is damaged.")
    count = len(core) // 16
    view = memoryview(core)
    chunk.created = _array("Q", view[: 8 * count])
    chunk.uids = _array("I", view[8 * count : 12 * count])
    chunk.sizes = _array("I", view[12 * count :])
    view = memoryview(items)
    present, view = int.from_bytes(view[:8], "little"), view[8:]
    chunk.flags, view = _array("I", view[: 4 * count]), view[4 * count :]
    if present & _NEWEST_DIFFERS:
        chunk.newest, view = _array("Q", view[: 8 * count]), view[8 * count :]
    else:
        chunk.newest = chunk.created[:]
    if present & _TOUCHED_DIFFERS:
        chunk.touched, view = _array("I", view[: 4 * count]), view[4 * count :]
    else:
        chunk.touched = array("I", bytes(4 * count))
    if len(view) % 16:
        raise StorageFailed("A chunk is damaged.")
    half = len(view) // 2
    chunk.extra_keys, chunk.extra_nums = _array("Q", view[:half]), _array("Q", view[half:])
    if not len(chunk.flags) == len(chunk.newest) == len(chunk.touched) == count:
        raise StorageFailed("A chunk is damaged.")
    if numbers is not None:
        chunk.flags = array("I", map(numbers.__getitem__, chunk.flags))
        chunk.touched = array("I", map(numbers.__getitem__, chunk.touched))
    return chunk


def encode_pairs(mod_seqs: array[int], uids: array[int]) -> bytes:
    """Return a block of the expunge history: pairs of mod-sequence and UID, ascending by the former."""
    return zstandard.ZstdCompressor(level=1).compress(_little(mod_seqs) + _little(uids))


def decode_pairs(count: int, block: bytes) -> tuple[array[int], array[int]]:
    """Read a block of the expunge history.

    Raises:
        StorageFailed: the block is damaged.
    """
    try:
        data = zstandard.ZstdDecompressor().decompress(block, max_output_size=12 * count)
    except zstandard.ZstdError as error:
        raise StorageFailed("A block of the expunge history is damaged.") from error
    if len(data) != 12 * count:
        raise StorageFailed("A block of the expunge history is damaged.")
    return _array("Q", data[: 8 * count]), _array("I", data[8 * count :])
