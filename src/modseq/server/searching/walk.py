"""The walk of one SEARCH over the mailbox: block by block, reading no more than it must."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyroaring import BitMap

from modseq.core.errors import MailboxNotFound, StorageFailed
from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageChunk, MessageRow
from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.limits import (
    SEARCH_KEYS_PER_STEP_MAX,
    SEARCH_READ_BYTES_MAX,
    SEARCH_READ_MESSAGES_MAX,
    SEARCH_ROWS_MAX,
    SEARCH_TEXT_IN_LOOP_BYTES_MAX,
)
from modseq.mime.section import header_span
from modseq.server.searching import content, packed
from modseq.server.searching.tree import Tier, decide, leaves, required_sets, tier_of
from modseq.storage.base import Account
from modseq.wire.values import SearchKey, SearchSequence

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hit:
    """The matches in one block: UIDs, ascending and at least one, and their highest MODSEQ."""

    uids: Sequence[int]
    mod_seq: int


class Walk:
    """
    One search over the snapshot of a view, which must not move meanwhile.

    Attributes:
        unreadable: UIDs of messages that could not be read, and so were not judged.

    """

    def __init__(
        self,
        account: Account,
        view: SessionView,
        key: SearchKey,
        *,
        sets: Mapping[SearchSequence, NumSet],
        texts: Mapping[SearchKey, str],
        now: int,
    ) -> None:
        """
        Prepare a search.

        Args:
            sets: the UIDs that each message set of the search names.
            texts: for each key with a string, the folded text that it looks for.
            now: seconds since 1970.

        """
        self.unreadable: list[int] = []
        self._unjudged = BitMap()
        self._account = account
        self._view = view
        self._state: MailboxState = view.state
        self._key = key
        self._sets = sets
        self._now = now
        found = dict.fromkeys(leaves(key))
        self._packed, self._of_rows, headers, whole = (
            [leaf for leaf in found if tier_of(leaf) is tier] for tier in Tier
        )
        self._of_headers = {leaf: texts[leaf] for leaf in headers}
        self._of_texts = {leaf: texts[leaf] for leaf in whole}

    async def hits(self, *, backwards: bool = False) -> AsyncGenerator[Hit, None]:
        """Yield the matches of each block that has some, the lowest or the highest UIDs first."""
        scope = NumSet.from_ranges([(1, self._state.uid_next)])
        for each in required_sets(self._key):
            scope &= self._sets[each]
        chunks = list(self._state.chunks_of(scope))
        for _, chunk in reversed(chunks) if backwards else chunks:
            matching = await self._in_chunk(chunk, BitMap(chunk.uids) & scope.bitmap)
            if matching:
                uids = matching.to_array()
                yield Hit(uids, _highest_mod_seq(chunk, uids))
            await asyncio.sleep(0)

    async def _in_chunk(self, chunk: MessageChunk, candidates: BitMap) -> BitMap:
        known: dict[SearchKey, BitMap] = {}
        for count, leaf in enumerate(self._packed, 1):
            known[leaf] = packed.judge(leaf, self._view, chunk, self._sets)
            if count % SEARCH_KEYS_PER_STEP_MAX == 0:
                await asyncio.sleep(0)
        matching, undecided = decide(self._key, candidates, known)
        open_uids = undecided.to_array()
        for first in range(0, len(open_uids), SEARCH_ROWS_MAX):
            matching |= await self._by_rows(open_uids[first : first + SEARCH_ROWS_MAX], known)
            await asyncio.sleep(0)
        return matching

    async def _by_rows(self, uids: Sequence[int], known: Mapping[SearchKey, BitMap]) -> BitMap:
        ready = bool(self._of_headers or self._of_texts)
        # What is expunged meanwhile has no row, and is not returned.
        rows = await self._account.rows(self._state.mailbox_id, uids, ready=ready)
        known = {**known, **{leaf: content.judge_rows(leaf, rows, self._now) for leaf in self._of_rows}}
        matching, undecided = decide(self._key, BitMap([row.uid for row in rows]), known)
        if undecided and self._of_headers:
            known = {**known, **await self._judge_headers([row for row in rows if row.uid in undecided])}
            undecided = undecided - self._unjudged
            also, undecided = decide(self._key, undecided, known)
            matching |= also
        if undecided:
            known = {**known, **await self._judge_texts([row for row in rows if row.uid in undecided])}
            undecided = undecided - self._unjudged
            matching |= decide(self._key, undecided, known)[0]
        return matching

    async def _judge_headers(self, rows: Iterable[MessageRow]) -> dict[SearchKey, BitMap]:
        judged = {leaf: BitMap() for leaf in self._of_headers}
        for group in _groups(rows, _header_length):
            octets = await asyncio.gather(*[self._read(row, _header_length(row)) for row in group])
            headers = {
                row.uid: header for row, header in zip(group, octets, strict=True) if header is not None
            }
            if sum(map(len, headers.values())) > SEARCH_TEXT_IN_LOOP_BYTES_MAX:
                found = await asyncio.to_thread(content.judge_headers, self._of_headers, headers)
            else:
                found = content.judge_headers(self._of_headers, headers)
                await asyncio.sleep(0)
            for leaf, uids in found.items():
                judged[leaf] |= uids
        return judged

    async def _judge_texts(self, rows: Iterable[MessageRow]) -> dict[SearchKey, BitMap]:
        judged = {leaf: BitMap() for leaf in self._of_texts}
        for group in _groups(rows, lambda row: row.size):
            octets = await asyncio.gather(*[self._read(row, row.size) for row in group])
            messages = {
                row.uid: (message, row.parts or b"")
                for row, message in zip(group, octets, strict=True)
                if message is not None
            }
            # Decoding text costs milliseconds a message; in a thread others get their turn between.
            for leaf, uids in (
                await asyncio.to_thread(content.judge_texts, self._of_texts, messages)
            ).items():
                judged[leaf] |= uids
        return judged

    async def _read(self, row: MessageRow, length: int) -> bytes | None:
        """Return the first octets of a message; None where they cannot be had."""
        try:
            return await self._account.read(row.email_id, 0, length) if length else b""
        except MailboxNotFound:
            _log.debug("message %d went while it was searched", row.uid)
        except StorageFailed as error:
            _log.error("message %d cannot be searched: %s", row.uid, error)
            self.unreadable.append(row.uid)
        self._unjudged.add(row.uid)
        return None


def _header_length(row: MessageRow) -> int:
    span = header_span(row.parts or b"", ())
    return span[1] if span is not None else 0


def _groups(rows: Iterable[MessageRow], octets_of: Callable[[MessageRow], int]) -> Iterator[list[MessageRow]]:
    """Yield messages that are read together; a large one stands alone."""
    group: list[MessageRow] = []
    octets = 0
    for row in rows:
        if group and (
            len(group) == SEARCH_READ_MESSAGES_MAX or octets + octets_of(row) > SEARCH_READ_BYTES_MAX
        ):
            yield group
            group, octets = [], 0
        group.append(row)
        octets += octets_of(row)
    if group:
        yield group


def _highest_mod_seq(chunk: MessageChunk, uids: Sequence[int]) -> int:
    if len(uids) == len(chunk):
        return max(chunk.newest)
    return max(map(chunk.newest.__getitem__, chunk.positions(NumSet(uids))))
