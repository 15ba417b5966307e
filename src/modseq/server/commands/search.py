"""search: finding messages.

RFC: 3501 section 6.4.4
RFC: 4731 section 3
RFC: 5182 section 2
RFC: 7162 section 3.1.5, 3.1.10
"""

from __future__ import annotations

import asyncio
from array import array
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyroaring import BitMap

from modseq import clock
from modseq.core.errors import StorageError
from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.limits import SETS_IN_LOOP_MAX
from modseq.server.named import named_uids
from modseq.server.registry import WHILE_SELECTED, advertise, command
from modseq.server.reply import CommandRefused, Reply, ok
from modseq.server.searching.content import CHARSETS, UnknownCharsetError, wanted_texts
from modseq.server.searching.tree import leaves
from modseq.server.searching.walk import Hit, Walk
from modseq.wire.grammar import search as grammar
from modseq.wire.messages import status_response
from modseq.wire.values import Command, Search, SearchReturn, SearchSequence

if TYPE_CHECKING:
    from modseq.server.session import Session

advertise("ESEARCH", rfc="4731 section 3.1")
advertise("SEARCHRES", rfc="5182 section 2.1")
advertise("WITHIN", rfc="5032 section 2")


def _uses_sequence_numbers(command: Command) -> bool:
    assert isinstance(command.args, Search)
    return command.args.program.has_seq_nums


def _may_vanish(command: Command) -> bool:
    """Return whether expunges may be told: they would change what sequence numbers mean."""
    return not _uses_sequence_numbers(command)


def _asks_mod_seq(command: Command) -> bool:
    assert isinstance(command.args, Search)
    return command.args.program.has_mod_seq


@command(
    "UID SEARCH",
    family="search",
    states=WHILE_SELECTED,
    uses_sequence_numbers=_uses_sequence_numbers,
    may_vanish=_may_vanish,
    condstore_enabling=_asks_mod_seq,
    rfc=("3501 section 6.4.8", "4731 section 3.1", "7162 section 3.1.5"),
)
@command(
    "SEARCH",
    family="search",
    states=WHILE_SELECTED,
    uses_sequence_numbers=True,
    may_vanish=False,
    condstore_enabling=_asks_mod_seq,
    rfc=("3501 section 6.4.4", "4731 section 3.1", "7162 section 3.1.5"),
)
async def search(session: Session, command: Command) -> Reply:
    """
    Say which messages match, of those that the client knows and that are still there.

    RFC: 3501 section 6.4.4, 6.4.8
    RFC: 4731 section 3.1
    RFC: 5182 section 2.1
    RFC: 7162 section 3.1.5, 3.1.6, 3.1.10
    """
    args = command.args
    assert isinstance(args, Search)
    saves = args.returns is not None and args.returns.save
    try:
        await session.flush(may_vanish=command.uid and _may_vanish(command))
        found = await _search(session, command, args)
    except (StorageError, CommandRefused) as error:
        if saves and not (isinstance(error, CommandRefused) and error.reply.kind == "BAD"):
            session.saved_uids = NumSet.EMPTY
        raise
    if args.returns is None:
        await _write_numbers(session, found, has_mod_seq=args.program.has_mod_seq)
    else:
        if saves:
            session.saved_uids = NumSet(found.uids)
        await _write_extended(session, command, args.returns, found)
    return ok("Searched")


# --- finding --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """
    What a search found.

    Attributes:
        numbers: what the client is told, ascending: UIDs or sequence numbers.
        mod_seq: the highest MODSEQ of the messages returned, 0 for none.

    """

    numbers: array[int] = field(default_factory=lambda: array("I"))
    uids: BitMap = field(default_factory=BitMap)
    mod_seq: int = 0


async def _search(session: Session, command: Command, args: Search) -> _Found:
    view, account = session.view, session.account
    assert view is not None
    assert account is not None
    key = args.program.key
    all_leaves = list(leaves(key))
    try:
        texts = wanted_texts(all_leaves, args.charset)
    except UnknownCharsetError:
        raise CommandRefused("This charset is not known here", grammar.bad_charset_code(CHARSETS)) from None
    except UnicodeDecodeError:
        raise CommandRefused("A string is not in the charset of the search", kind="BAD") from None
    sets = {leaf: _set_uids(session, leaf) for leaf in all_leaves if isinstance(leaf, SearchSequence)}
    walk = Walk(account, view, key, sets=sets, texts=texts, now=clock.now_seconds())
    if args.returns is not None and _wants_ends_only(args.returns):
        found = await _ends(walk, view, args.returns, by_uid=command.uid)
    else:
        found = _Found()
        async for hit in walk.hits():
            _add(found, hit, view, by_uid=command.uid)
    if walk.unreadable:
        uids = NumSet(walk.unreadable).to_bytes().decode("ascii")
        text = f"The messages with UIDs {uids} could not be read and were not searched"
        session.out.write(status_response(None, "NO", text))
    return found


def _set_uids(session: Session, leaf: SearchSequence) -> NumSet:
    """
    Return the UIDs that a message set names.

    Chosen: numbers above the number of messages match nothing. In other commands they are BAD, since acting
    on them would miss; a search only narrows down.

    RFC: 3501 section 6.4.4
    RFC: 5182 section 2.1
    """
    view = session.view
    assert view is not None
    if leaf.uid or leaf.sequence_set.saved:
        return named_uids(session, leaf.sequence_set, by_uid=True)
    count = len(view.uids)
    return NumSet(view.uids.uids_of(leaf.sequence_set.resolve(count, ceiling=count)))


def _wants_ends_only(returns: SearchReturn) -> bool:
    return (returns.minimum or returns.maximum) and not (returns.everything or returns.count)


async def _ends(walk: Walk, view: SessionView, returns: SearchReturn, *, by_uid: bool) -> _Found:
    """
    Return the first match, the last, or both, as wanted, without looking at those between.

    RFC: 4731 section 3.1, 3.2
    RFC: 5182 section 2.4
    """
    found = _Found()
    for is_wanted, backwards in ((returns.minimum, False), (returns.maximum, True)):
        if not is_wanted:
            continue
        async with aclosing(walk.hits(backwards=backwards)) as hits:
            async for hit in hits:
                uid = hit.uids[-1 if backwards else 0]
                message = view.state.message(uid)
                assert message is not None
                if uid not in found.uids:
                    _add(found, Hit((uid,), message.mod_seq), view, by_uid=by_uid)
                break
    return found


def _add(found: _Found, hit: Hit, view: SessionView, *, by_uid: bool) -> None:
    found.uids.update(hit.uids)
    found.mod_seq = max(found.mod_seq, hit.mod_seq)
    if by_uid:
        found.numbers.extend(hit.uids)
        return
    first, last = view.uids.seq_of(hit.uids[0]), view.uids.seq_of(hit.uids[-1])
    assert first is not None
    assert last is not None
    if last - first + 1 == len(hit.uids):
        found.numbers.extend(range(first, last + 1))
    else:
        found.numbers.extend(view.uids.seqs_of(hit.uids))


# --- answering ------------------------------------------------------------------------------------


async def _write_numbers(session: Session, found: _Found, *, has_mod_seq: bool) -> None:
    """
    Write the untagged SEARCH, however long.

    RFC: 3501 section 7.2.5
    RFC: 7162 section 3.1.5
    """
    with session.out.response():
        for piece in grammar.search_pieces(found.numbers, found.mod_seq if has_mod_seq else None):
            session.out.write(piece)
            await session.out.drain_if_full()
            if len(piece) > SETS_IN_LOOP_MAX:
                await asyncio.sleep(0)


async def _write_extended(session: Session, command: Command, returns: SearchReturn, found: _Found) -> None:
    """
    Write the ESEARCH, unless nothing but saving was asked for.

    RFC: 4731 section 3.1, 3.2
    RFC: 5182 section 2.1
    """
    if not (returns.minimum or returns.maximum or returns.everything or returns.count):
        return
    args, numbers = command.args, found.numbers
    assert isinstance(args, Search)
    mod_seq = found.mod_seq if numbers and args.program.has_mod_seq else None

    def encode() -> bytes:
        return grammar.esearch_data(
            command.tag,
            uid=command.uid,
            minimum=min(numbers) if numbers and returns.minimum else None,
            maximum=max(numbers) if numbers and returns.maximum else None,
            count=len(numbers) if returns.count else None,
            everything=NumSet(numbers) if returns.everything else None,
            mod_seq=mod_seq,
        )

    if returns.everything and len(numbers) > SETS_IN_LOOP_MAX:
        session.out.write(await asyncio.to_thread(encode))
    else:
        session.out.write(encode())
