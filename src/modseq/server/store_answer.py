"""What a session is told after its STORE: its own changes and everybody else's, each message once.

RFC: 3501 section 6.4.6
RFC: 7162 section 3.1.3, 3.2.4
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from modseq.core.change import ALL_FLAGS
from modseq.core.mailbox import MailboxState
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet
from modseq.core.uidindex import block_of
from modseq.core.view import SessionView
from modseq.server.render import Batch, batches, flags_line, lines, mod_seq_line
from modseq.wire.values import Store

_NOTHING = MessageChunk()


@dataclass(slots=True)
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
    _expected: dict[int, int] = field(default_factory=dict)

    def responses(self, there: NumSet) -> Iterator[bytes]:
        """
        Yield the FETCH responses of a STORE, many in a piece or, of a silent one, perhaps none.

        Args:
            there: messages of the set that are in the view's state, and so have a number.

        """
        with_flags: tuple[str, ...] = ("FLAGS",)
        if self.condstore:
            with_flags = ("UID", "FLAGS", "MODSEQ")
        elif self.by_uid:
            with_flags = ("UID", "FLAGS")
        for batch in batches(self.view, there):
            if not self.store.silent:
                yield lines(self.view, batch, with_flags)
                continue
            loud, quiet = self._sorted(batch)
            told = b""
            if quiet:
                told = lines(self.view, _part(batch, quiet), ("UID", "MODSEQ"))
            if loud:
                told += lines(self.view, _part(batch, loud), with_flags)
            yield told

    def line(self, uid: int) -> bytes:
        """Return the FETCH response for a STORE of one message, which is there; empty if it needs none.

        For a client that wants mod-sequences: what `responses` says, without columns.
        """
        now = self.view.state.locate(uid)
        assert now is not None
        if not self.store.silent or self.refused:
            return flags_line(self.view, uid)
        chunk, at = now
        was = self.before.locate(uid)
        truth = self.view.state.palette.masks[chunk.flags[at]]
        if was is None or self._expectation(was[0].flags[was[1]]) != truth:
            return flags_line(self.view, uid)
        mod_seq = chunk.newest[at]
        if self.store.unchanged_since is None and was[0].newest[was[1]] == mod_seq:
            return b""
        return mod_seq_line(self.view, uid, mod_seq)

    def _sorted(self, batch: Batch) -> tuple[Sequence[int], Sequence[int]]:
        """Return the places in a batch for which FLAGS are said, and those for which MODSEQ alone is."""
        then_flags, then_newest = self._known(batch)
        masks = self.view.state.palette.masks
        # Messages have few different combinations of flags: judge each combination once.
        wrong = {
            (then, now)
            for then, now in set(zip(then_flags, batch.flags, strict=True))
            if then < 0 or self._expectation(then) != masks[now]
        }
        loud: list[int] = []
        if wrong:
            pairs = zip(then_flags, batch.flags, strict=True)
            loud = [at for at, pair in enumerate(pairs) if pair in wrong]
        refused = self.refused.clamp(batch.uids[0], batch.uids[-1])
        if refused:
            inside = refused.bitmap
            loud = sorted({*loud, *[at for at, uid in enumerate(batch.uids) if uid in inside]})
        quiet: Sequence[int] = ()
        if self.condstore and self.store.unchanged_since is not None:
            quiet = range(len(batch))
        elif self.condstore:
            newest = enumerate(zip(then_newest, batch.newest, strict=True))
            quiet = [at for at, (then, now) in newest if then != now]
        if loud:
            silent = set(loud)
            quiet = [at for at in quiet if at not in silent]
        return loud, quiet

    def _known(self, batch: Batch) -> tuple[Sequence[int], Sequence[int]]:
        """Return what the client knew of a batch: palette numbers, -1 for an unknown message, and MODSEQs."""
        before = self.before.chunks.get(block_of(batch.uids[0]), _NOTHING)
        first = before.position(batch.uids[0])
        here = slice(first, first + len(batch))
        if first >= 0 and before.uids[here] == batch.uids:
            return before.flags[here], before.newest[here]
        was = [before.position(uid) for uid in batch.uids]
        return (
            [before.flags[at] if at >= 0 else -1 for at in was],
            [before.newest[at] if at >= 0 else 0 for at in was],
        )

    def _expectation(self, palette_index: int) -> int:
        """Return the flags in which a client believes after its edit where it believed in these before."""
        expected = self._expected.get(palette_index)
        if expected is None:
            expected = self.before.palette.masks[palette_index]
            if not self.was_refused_whole:
                named = self.view.state.flag_table.known_mask(self.store.flags)
                remove = {"+": 0, "-": named, "=": ALL_FLAGS}[self.store.mode]
                expected = expected & ~remove | (0 if self.store.mode == "-" else named)
            self._expected[palette_index] = expected
        return expected


def _part(batch: Batch, places: Sequence[int]) -> Batch:
    """Return some messages of a batch."""
    if len(places) == len(batch):
        return batch
    return Batch(
        [batch.seq_nums[at] for at in places],
        *(
            array(column.typecode, map(column.__getitem__, places))
            for column in (batch.uids, batch.flags, batch.newest, batch.sizes)
        ),
    )
