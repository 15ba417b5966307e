"""What a session is told after its STORE: its own changes and everybody else's, each message once.

RFC: 3501 section 6.4.6
RFC: 7162 section 3.1.3, 3.2.4
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modseq.core.change import ALL_FLAGS
from modseq.core.flags import FlagTable, Palette
from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet
from modseq.core.uidindex import BLOCK_BITS
from modseq.core.view import SessionView
from modseq.wire.values import Store


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """
    One STORE, seen from the client that sent it.

    The client applies a silent STORE to its own copy of the flags. Where that copy with the edit is not
    what the mailbox holds now, the answer says the flags: a bare MODSEQ would make the client believe that
    it has seen another session's change.

    Attributes:
        view: already brought up to the state that the answer tells.
        before: what the client knew when it sent the command.
        store: the command.
        by_uid: it was UID STORE.
        refused: messages that were left alone.
        was_refused_whole: nothing was changed (XALLORNONE).
        condstore: the client wants mod-sequences.

    RFC: 7162 section 3.1.3, 3.2.4

    """

    view: SessionView
    before: MailboxState
    store: Store
    by_uid: bool
    refused: NumSet
    was_refused_whole: bool
    condstore: bool

    def lines(self, there: NumSet) -> Iterator[bytes]:
        """
        Yield the FETCH responses of a STORE, block by block.

        Args:
            there: messages of the set that are in the view's state, and so have a number.

        """
        after = self.view.state
        expected = self._expected(after.flag_table, self.before.palette)
        for number, chunk in after.chunks_of(there):
            positions = chunk.positions(there)
            if positions:
                numbers = self._numbers(number, chunk, positions)
                before = self.before.chunks.get(number, _NOTHING)
                yield b"".join(self._block(chunk, zip(positions, numbers, strict=True), before, expected))

    def _block(
        self,
        chunk: MessageChunk,
        places: Iterable[tuple[int, int]],
        before: MessageChunk,
        expected: _Expected,
    ) -> Iterator[bytes]:
        """Yield the lines of one block; ``places`` are positions and their sequence numbers."""
        masks = self.view.state.palette.masks
        flags, newest, uids = chunk.flags, chunk.newest, chunk.uids
        always_flags = not self.store.silent
        always_mod_seq = self.condstore and self.store.unchanged_since is not None
        refused = self.refused
        # A block that lost and gained no messages shares the array of its UIDs with its predecessor.
        same_places = before.uids is uids
        for at, seq_num in places:
            uid = uids[at]
            was = at if same_places else before.position(uid)
            if (
                always_flags
                or was < 0
                or expected.mask(before.flags[was]) != masks[flags[at]]
                or uid in refused
            ):
                yield self._line(seq_num, uid, flags[at], newest[at])
            elif always_mod_seq or (self.condstore and before.newest[was] != newest[at]):
                yield b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % (seq_num, uid, newest[at])

    def _line(self, seq_num: int, uid: int, flags: int, mod_seq: int) -> bytes:
        names = _names(self.view.state, flags)
        if uid in self.view.recent:
            names += b" \\Recent" if names else b"\\Recent"
        if self.condstore:
            return b"* %d FETCH (UID %d FLAGS (%b) MODSEQ (%d))\r\n" % (seq_num, uid, names, mod_seq)
        if self.by_uid:
            return b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (seq_num, uid, names)
        return b"* %d FETCH (FLAGS (%b))\r\n" % (seq_num, names)

    def _numbers(self, number: int, chunk: MessageChunk, positions: Sequence[int]) -> Sequence[int]:
        """Return the sequence numbers of positions in a block."""
        index = self.view.uids
        if index is not self.view.state.index:
            # Messages withheld as expunged still count.
            return index.seqs_of([chunk.uids[at] for at in positions])
        first = index.rank(number << BLOCK_BITS) + 1
        if isinstance(positions, range):
            return range(first + positions.start, first + positions.stop)
        return [first + at for at in positions]

    def _expected(self, table: FlagTable, palette: Palette) -> _Expected:
        if self.was_refused_whole:
            return _Expected(palette, 0, 0)
        named = table.known_mask(self.store.flags)
        add = 0 if self.store.mode == "-" else named
        remove = {"+": 0, "-": named, "=": ALL_FLAGS}[self.store.mode]
        return _Expected(palette, add, remove)


_NOTHING = MessageChunk()


class _Expected:
    """The flags that a client believes in once its edit is done, by what it believed before."""

    __slots__ = ("_add", "_known", "_masks", "_remove")

    def __init__(self, palette: Palette, add: int, remove: int) -> None:
        self._masks = palette.masks
        self._add = add
        self._remove = remove
        self._known: dict[int, int] = {}

    def mask(self, index: int) -> int:
        """Return the mask expected where the client knew the mask of this palette number."""
        known = self._known.get(index)
        if known is None:
            known = self._known[index] = self._masks[index] & ~self._remove | self._add
        return known


def _names(state: MailboxState, index: int) -> bytes:
    """Return the names of the flags of a palette number, kept for the next message that has them."""
    text = state.palette.texts.get(index)
    if text is None:
        text = " ".join(state.flag_table.names(state.palette.masks[index])).encode("ascii")
        state.palette.texts[index] = text
    return text
