"""FETCH responses that need more than the packed blocks: rows, ready structures, octets of messages.

Memory stays bounded whatever is asked: rows come in slices, small messages are read some at a time, large
sections are passed on piece by piece as fast as the client takes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from modseq.core.errors import MailboxNotFound, StorageError, StorageFailed
from modseq.core.message import MessageRow
from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.limits import (
    FETCH_PIECE_BYTES,
    FETCH_READ_AHEAD_BYTES_MAX,
    FETCH_READ_AHEAD_MESSAGES_MAX,
    FETCH_ROWS_MAX,
)
from modseq.mime.section import SectionSpec, header_span, header_subset, section_span
from modseq.server.object_ids import email_object_id
from modseq.server.output import Output
from modseq.server.render import Batch, batches, flag_texts
from modseq.storage.base import Account
from modseq.wire.grammar import fetch as grammar
from modseq.wire.values import BodySection, FetchItem

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Shortfall:
    """Messages, by UID, for which there is no answer: gone since, or not readable."""

    gone: list[int] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Message:
    """One message while it is answered."""

    seq_num: int
    uid: int
    flags: bytes
    mod_seq: int
    row: MessageRow


_READY: Final = frozenset({"ENVELOPE", "BODY", "BODYSTRUCTURE"})

_ITEMS: Final[dict[str, Callable[[_Message], bytes]]] = {
    "UID": lambda message: b"UID %d" % message.uid,
    "FLAGS": lambda message: b"FLAGS (%b)" % message.flags,
    "MODSEQ": lambda message: grammar.mod_seq_item(message.mod_seq),
    "RFC822.SIZE": lambda message: grammar.size_item(message.row.size),
    "INTERNALDATE": lambda message: grammar.internal_date_item(
        message.row.received_at, message.row.received_zone
    ),
    # Which zone a message was saved in is not kept: UTC is right for everyone.
    "SAVEDATE": lambda message: grammar.save_date_item((message.row.saved_at, 0)),
    "EMAILID": lambda message: grammar.email_id_item(email_object_id(message.row.email_id)),
    # This server keeps no threads (RFC 8474 section 5.2 allows NIL).
    "THREADID": lambda _: grammar.thread_id_item(None),
    "ENVELOPE": lambda message: b"ENVELOPE " + (message.row.envelope or b"NIL"),
    "BODY": lambda message: b"BODY " + (message.row.body or b"NIL"),
    "BODYSTRUCTURE": lambda message: b"BODYSTRUCTURE " + (message.row.structure or b"NIL"),
}


async def answer(
    out: Output,
    account: Account,
    view: SessionView,
    uids: NumSet,
    items_of: Callable[[int], Sequence[FetchItem]],
) -> Shortfall:
    """
    Write one FETCH response for each message with these UIDs that is there.

    RFC: 3501 section 7.4.2
    Args:
        uids: UIDs, also some that are not there.
        items_of: what to say of a message, by UID. All of it needs the same rows.
    Returns: the messages that could not be answered; the others all are.

    """
    shortfall = Shortfall()
    for batch in batches(view, uids, FETCH_ROWS_MAX):
        probe = items_of(batch.uids[0])
        ready = any(isinstance(item, BodySection) or item in _READY for item in probe)
        rows = {row.uid: row for row in await account.rows(view.mailbox_id, batch.uids, ready=ready)}
        messages = list(_messages(view, batch, rows, shortfall))
        if not any(isinstance(item, BodySection) for item in probe):
            lines = [
                grammar.fetch_data(
                    message.seq_num, [_ITEMS[str(item)](message) for item in items_of(message.uid)]
                )
                for message in messages
            ]
            out.write(b"".join(lines))
            await out.drain()
            await asyncio.sleep(0)
            continue
        answers = [_Answer(account, message, items_of(message.uid)) for message in messages]
        for group in _groups(answers):
            await _write_group(out, group, shortfall)
    return shortfall


def _messages(
    view: SessionView, batch: Batch, rows: dict[int, MessageRow], shortfall: Shortfall
) -> Iterator[_Message]:
    texts = flag_texts(view, batch)
    for seq_num, uid, flags, mod_seq in zip(batch.seq_nums, batch.uids, texts, batch.newest, strict=True):
        row = rows.get(uid)
        if row is None:
            shortfall.gone.append(uid)
        else:
            yield _Message(seq_num, uid, flags, mod_seq, row)


# --- sections -------------------------------------------------------------------------------------


class _Answer:
    """The response for one message, with octets of the message in it."""

    __slots__ = ("_account", "_items", "_whole", "message", "octets")

    def __init__(self, account: Account, message: _Message, items: Sequence[FetchItem]) -> None:
        self._account = account
        self._items = items
        self._whole: bytes | None = None
        self.message = message
        sections = [item for item in items if isinstance(item, BodySection)]
        self.octets = sum(_octets_read(message.row, section) for section in sections)
        """How much of the message is read for it, counted for each section."""

    async def compose(self) -> bytes:
        """Return the whole response; for small ones."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """
        Yield the response in pieces.

        The first comes after the first octets were read: up to there a failure spoils nothing.

        RFC: 3501 section 7.4.2
        """
        message = self.message
        if message.row.size <= min(self.octets, FETCH_PIECE_BYTES):
            # Several sections of a small message: read it once.
            self._whole = await self._read(0, message.row.size)
        pending = [b"* %d FETCH (" % message.seq_num]
        size = 0
        for item in self._items:
            if isinstance(item, BodySection):
                async for octets in self._section(item):
                    pending.append(octets)
                    size += len(octets)
                    if size >= FETCH_PIECE_BYTES:
                        yield b"".join(pending)
                        pending, size = [], 0
            else:
                pending.append(_ITEMS[item](message))
            pending.append(b" ")
        pending[-1] = b")\r\n"
        yield b"".join(pending)

    async def _section(self, wanted: BodySection) -> AsyncGenerator[bytes, None]:
        """
        Yield one BODY[...] with its name.

        RFC: 3501 section 6.4.5, 7.4.2
        """
        if wanted.kind in _FIELDS_KINDS:
            yield grammar.section_item(wanted, await self._header_subset(wanted))
            return
        span = _span(self.message.row, wanted)
        if span is None:
            yield grammar.section_item(wanted, None)
            return
        at, end = span[0], span[0] + span[1]
        yield b"%b {%d}\r\n" % (wanted.label, end - at)
        while at < end:
            octets = await self._read(at, min(FETCH_PIECE_BYTES, end - at))
            yield octets
            at += len(octets)

    async def _header_subset(self, wanted: BodySection) -> bytes | None:
        found = header_span(self.message.row.parts or b"", wanted.path)
        if found is None:
            return None
        header = await self._read(*found)
        exclude = wanted.kind == "HEADER.FIELDS.NOT"
        if len(header) > FETCH_PIECE_BYTES:
            subset = await asyncio.to_thread(header_subset, header, wanted.fields, exclude=exclude)
        else:
            subset = header_subset(header, wanted.fields, exclude=exclude)
        if wanted.partial is None:
            return subset
        return subset[wanted.partial[0] : wanted.partial[0] + wanted.partial[1]]

    async def _read(self, offset: int, length: int) -> bytes:
        """
        Return octets of the message.

        Imported messages may hold NUL, which no literal may: it is shown as 128, as clients of other servers
        know it, so that sizes and offsets stay right. The stored message and exports keep it.

        Grammar: CHAR8 = %x01-ff
        RFC: 3501 section 4.3, 9
        Raises StorageFailed when they cannot be had, MailboxNotFound when the message is gone.
        """
        if self._whole is not None:
            return self._whole[offset : offset + length]
        data = await self._account.read(self.message.row.email_id, offset, length) if length else b""
        if len(data) != length:
            raise StorageFailed("A message is shorter than it was when it was stored.")
        return data.replace(b"\0", b"\x80") if b"\0" in data else data


_FIELDS_KINDS: Final = frozenset({"HEADER.FIELDS", "HEADER.FIELDS.NOT"})


def _span(row: MessageRow, wanted: BodySection) -> tuple[int, int] | None:
    """Return offset and length of a contiguous section, only of the octets that a partial fetch asks for."""
    found: tuple[int, int] | None
    if not wanted.path and not wanted.kind:
        found = 0, row.size
    else:
        found = section_span(row.parts or b"", SectionSpec(wanted.path, wanted.kind))
    if found is None:
        return None
    offset, length = found
    if wanted.partial is not None:
        skipped = min(wanted.partial[0], length)
        offset, length = offset + skipped, min(wanted.partial[1], length - skipped)
    return offset, length


def _octets_read(row: MessageRow, wanted: BodySection) -> int:
    is_subset = wanted.kind in _FIELDS_KINDS
    span = header_span(row.parts or b"", wanted.path) if is_subset else _span(row, wanted)
    return span[1] if span is not None else 0


# --- reading and writing --------------------------------------------------------------------------


def _groups(answers: Iterable[_Answer]) -> Iterator[list[_Answer]]:
    """Yield answers that may be read at the same time; a large one stands alone."""
    group: list[_Answer] = []
    octets = 0
    for each in answers:
        if group and (
            len(group) == FETCH_READ_AHEAD_MESSAGES_MAX or octets + each.octets > FETCH_READ_AHEAD_BYTES_MAX
        ):
            yield group
            group, octets = [], 0
        group.append(each)
        octets += each.octets
    if group:
        yield group


async def _write_group(out: Output, group: Sequence[_Answer], shortfall: Shortfall) -> None:
    if len(group) == 1 and group[0].octets > FETCH_PIECE_BYTES:
        await _stream(out, group[0], shortfall)
        return
    # A message that cannot be read must not take the others with it.
    composed = await asyncio.gather(*[each.compose() for each in group], return_exceptions=True)
    for each, result in zip(group, composed, strict=True):
        if isinstance(result, BaseException):
            _note(each, result, shortfall)
        else:
            out.write(result)
    await out.drain()
    await asyncio.sleep(0)


async def _stream(out: Output, each: _Answer, shortfall: Shortfall) -> None:
    """Write one large response piece by piece, as fast as the client reads."""
    async with aclosing(each.pieces()) as pieces:
        try:
            first = await anext(pieces)
        except StorageError as error:
            _note(each, error, shortfall)
            return
        with out.response():
            out.write(first)
            async for piece in pieces:
                await out.drain()
                await asyncio.sleep(0)
                out.write(piece)
    await out.drain()


def _note(each: _Answer, error: BaseException, shortfall: Shortfall) -> None:
    """Remember a message that has no answer; an error that is none of the storage's goes on its way."""
    if isinstance(error, MailboxNotFound):
        shortfall.gone.append(each.message.uid)
    elif isinstance(error, StorageFailed):
        _log.error("message %d cannot be read: %s", each.message.uid, error)
        shortfall.unreadable.append(each.message.uid)
    else:
        raise error
