"""fetch: reading messages.

RFC: 3501 section 6.4.5
RFC: 7162 section 3.1.4, 3.2.6
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modseq.core.errors import OverQuota, PermissionRefused, StorageFailed, StorageFull
from modseq.core.flags import SEEN
from modseq.core.mailbox import MailboxState
from modseq.core.numset import NumSet
from modseq.core.store_flags import StoreFlags
from modseq.core.view import Fetched, SessionView
from modseq.server import fetching, render, telling
from modseq.server.fetching import Shortfall
from modseq.server.named import named_uids
from modseq.server.registry import WHILE_SELECTED, advertise, command
from modseq.server.reply import Reply, bad, no, ok
from modseq.storage.base import Account
from modseq.wire.grammar import select as select_grammar
from modseq.wire.values import BodySection, Command, Fetch, FetchItem

if TYPE_CHECKING:
    from modseq.server.session import Session

_log = logging.getLogger(__name__)

advertise("SAVEDATE", rfc="8514 section 3")


def _asks_mod_seq(command: Command) -> bool:
    """Return whether a FETCH makes the client CONDSTORE-aware (RFC 7162 section 3.1)."""
    assert isinstance(command.args, Fetch)
    return command.args.changed_since is not None or "MODSEQ" in command.args.items


@command(
    "FETCH",
    family="fetch",
    states=WHILE_SELECTED,
    rfc=("3501 section 6.4.5", "7162 section 3.1.4"),
    uses_sequence_numbers=True,
    may_vanish=False,
    condstore_enabling=_asks_mod_seq,
)
@command(
    "UID FETCH",
    family="fetch",
    states=WHILE_SELECTED,
    rfc=("3501 section 6.4.8", "7162 section 3.1.4", "7162 section 3.2.6"),
    condstore_enabling=_asks_mod_seq,
)
async def fetch(session: Session, command: Command) -> Reply:
    r"""
    Say what was asked of messages, from one snapshot: what changed until now is told first.

    RFC: 3501 section 6.4.5, 6.4.8
    RFC: 7162 section 3.1.4.1, 3.2.4, 3.2.6
    Chosen: a FETCH by sequence number that meets messages expunged by others answers the rest, then
    NO [EXPUNGEISSUED] (RFC 2180 section 4.1.2); UID FETCH passes over UIDs that are not there.
    """
    args = command.args
    assert isinstance(args, Fetch)
    if args.vanished and not session.qresync:
        return bad("VANISHED is for clients that sent ENABLE QRESYNC")
    work = _Fetching(session, command.uid, args)
    try:
        return await work.run()
    except Exception:
        # The view counts these changes as told.
        if not session.out.is_torn and not session.out.is_lost:
            await work.tell_flags(work.untold)
        raise


class _Fetching:
    """One FETCH while it runs."""

    __slots__ = ("account", "args", "by_uid", "items", "session", "untold", "view")

    def __init__(self, session: Session, by_uid: bool, args: Fetch) -> None:
        assert session.view is not None
        assert session.account is not None
        self.session = session
        self.view: SessionView = session.view
        self.account: Account = session.account
        self.by_uid = by_uid
        self.args = args
        self.items = _items(args, by_uid=by_uid)
        self.untold = NumSet.EMPTY
        """Messages with changed flags that the client was not told of: the answer may do so anyway."""

    async def run(self) -> Reply:
        """Do everything in the order in which the client must see it."""
        await self.catch_up(may_vanish=self.by_uid)
        named = named_uids(self.session, self.args.sequence_set, by_uid=self.by_uid)
        wanted = named
        if self.args.changed_since:
            wanted = await _changed_since(self.view.state, named, self.args.changed_since)
        seen = await self.set_seen(wanted)
        if self.args.vanished:
            await self.tell_vanished_earlier()
        answered = seen
        if set(render.unsolicited_items(self.session)) <= set(self.items):
            answered = wanted
        await self.tell_flags(self.untold - answered)
        self.untold &= answered
        shortfall = await self.answer(wanted, seen)
        await self.tell_flags(self.untold & NumSet(shortfall.unreadable))
        self.untold = NumSet.EMPTY
        return self.reply(named, shortfall)

    async def catch_up(self, *, may_vanish: bool) -> None:
        """Tell what changed, but for flags: the answer may include them."""
        events = await telling.advance(self.session, self.account, self.view, may_vanish=may_vanish)
        for event in events:
            if isinstance(event, Fetched):
                self.untold |= NumSet(event.uids)
        await telling.write_events(
            self.session, self.view, [event for event in events if not isinstance(event, Fetched)]
        )

    async def tell_flags(self, uids: NumSet) -> None:
        """Tell the flags of these messages as if nobody had asked."""
        if uids:
            await telling.write_events(self.session, self.view, [Fetched(self.view.uids.select(uids))])

    async def set_seen(self, wanted: NumSet) -> NumSet:
        r"""
        Set \Seen on what is about to be read, in one operation; return the messages that it changed.

        RFC: 3501 section 6.4.5
        RFC: 7162 section 3.1.11
        Chosen: where it cannot be stored (a full disk) the message is read all the same.
        """
        if self.view.read_only or not any(isinstance(i, BodySection) and not i.peek for i in self.items):
            return NumSet.EMPTY
        unseen = await _unseen(self.view.state, wanted)
        if not unseen:
            return NumSet.EMPTY
        try:
            outcome = await self.account.commit(StoreFlags(self.view.mailbox_id, unseen, "+", ("\\Seen",)))
        except (StorageFull, StorageFailed, OverQuota, PermissionRefused) as error:
            _log.warning("\\Seen was not stored: %s", error)
            return NumSet.EMPTY
        # Expunges wait: sequence numbers of this command are resolved.
        await self.catch_up(may_vanish=False)
        return outcome.applied

    async def tell_vanished_earlier(self) -> None:
        """
        Tell which of the messages asked for were expunged since the client last knew.

        `*` is the highest UID ever given. What this session still counts is not told here: it has been or
        will be told as plain VANISHED. Where the history does not reach back, all that is not there is told.

        RFC: 7162 section 3.2.6, 3.2.10.1
        """
        state = self.view.state
        highest = state.uid_next - 1
        if self.args.sequence_set.saved or not highest:
            return
        asked = self.args.sequence_set.resolve(highest, ceiling=highest)
        changes = await self.account.changes_since(self.view.mailbox_id, self.args.changed_since or 0)
        if changes.history_complete:
            gone = asked & changes.vanished
            gone -= NumSet(self.view.uids.select(gone))
        else:
            gone = asked - self.view.uids.to_numset()
        for line in select_grammar.vanished(gone, earlier=True):
            self.session.out.write(line)
            await self.session.out.drain_if_full()

    async def answer(self, wanted: NumSet, seen: NumSet) -> Shortfall:
        r"""
        Write the FETCH responses; those of messages that became \Seen tell that too.

        RFC: 7162 section 3.2.4
        """
        out = self.session.out
        packed = [item for item in self.items if isinstance(item, str) and item in render.PACKED_ITEMS]
        if len(packed) == len(self.items):
            for batch in render.batches(self.view, wanted):
                out.write(render.lines(self.view, batch, packed))
                await out.drain()
                # A client that reads quickly never makes us wait: let others have their turn.
                await asyncio.sleep(0)
            return Shortfall()
        added = [item for item in render.unsolicited_items(self.session) if item not in self.items]
        changed_items = (*added, *self.items)
        items = self.items

        def items_of(uid: int) -> Sequence[FetchItem]:
            return changed_items if uid in seen else items

        return await fetching.answer(out, self.account, self.view, wanted, items_of)

    def reply(self, named: NumSet, shortfall: Shortfall) -> Reply:
        """Return the tagged reply: what could not be answered is an error unless it was named by UID."""
        if shortfall.unreadable:
            uids = NumSet(shortfall.unreadable).to_bytes().decode("ascii")
            return no(f"Could not read the messages with UIDs {uids}", b"UNAVAILABLE")
        if not self.by_uid and (named & self.view.withheld or shortfall.gone):
            return no("Some of the messages were expunged", b"EXPUNGEISSUED")
        return ok("Fetched")


def _items(args: Fetch, *, by_uid: bool) -> tuple[FetchItem, ...]:
    """
    Return the items to answer: UID FETCH adds UID, CHANGEDSINCE adds MODSEQ.

    RFC: 3501 section 6.4.8
    RFC: 7162 section 3.1.4.1
    """
    items = args.items
    if by_uid and "UID" not in items:
        items = ("UID", *items)
    if args.changed_since is not None and "MODSEQ" not in items:
        items = (*items, "MODSEQ")
    return items


async def _changed_since(state: MailboxState, uids: NumSet, mod_seq: int) -> NumSet:
    """Return those of these messages whose MODSEQ is above ``mod_seq``."""
    found: list[int] = []
    for _, chunk in list(state.chunks_of(uids)):
        if chunk.newest_max <= mod_seq:
            continue
        newest, chunk_uids = chunk.newest, chunk.uids
        found.extend([chunk_uids[at] for at in chunk.positions(uids) if newest[at] > mod_seq])
        await asyncio.sleep(0)
    return NumSet(found)


async def _unseen(state: MailboxState, uids: NumSet) -> NumSet:
    r"""Return those of these messages that lack \Seen."""
    found: list[int] = []
    masks = state.palette.masks
    for _, chunk in list(state.chunks_of(uids)):
        if not chunk.unseen:
            continue
        flags, chunk_uids = chunk.flags, chunk.uids
        found.extend([chunk_uids[at] for at in chunk.positions(uids) if not masks[flags[at]] & SEEN])
        await asyncio.sleep(0)
    return NumSet(found)
