"""Every invariant of a mail store, by name.

`check` asks an account of any backend through the protocol of `storage.base`; the embedded store adds what
only it can see (`storage.sqlite.check`). Both run at the end of tests and in `modseq admin check`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modseq import limits
from modseq.core.account import AccountState
from modseq.core.change import ChangeSet
from modseq.core.errors import StorageError
from modseq.core.flags import KEYWORD_BIT_MIN
from modseq.core.mailbox import MailboxState
from modseq.core.mailbox_operations import INBOX
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet
from modseq.core.uidindex import block_of
from modseq.storage.base import Account

_ITEM_BITS = 16
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Problem:
    """An invariant that does not hold.

    Attributes:
        name: of the invariant, from `INVARIANTS`.
        where: mailbox, chunk, segment or message.
        what: what is found there.
    """

    name: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.where}: {self.what}"


INVARIANTS = {
    "listing": "INBOX is there; numbers and UIDVALIDITY values are unique and below the next ones",
    "readable": "what is stored can be read",
    "uid-order": "UIDs ascend, lie in their block and below UIDNEXT",
    "counters": "STATUS tells what is there",
    "mod-seq-bounds": "no number of a message is 0, below its creation, or above the mailbox's",
    "creation-order": "a later UID has no earlier creation number",
    "newest-items": "a message whose MODSEQ is above its creation has an item at that number",
    "item-numbers": "an item's own number lies between creation and MODSEQ and belongs to a message",
    "flags-known": "every flag set or touched has a name; keywords are few and differ by more than case",
    "history": "changes_since(0) names every UID below UIDNEXT exactly once, as there or as vanished",
    "history-agrees": "the log and the messages give the same answer to changes_since",
    "rows": "every message has one row, and no row is without a message",
    "bodies": "every body is there, in full",
}


async def check(account: Account, *, bodies: bool = True) -> list[Problem]:
    """Return every violated invariant of an account, nothing when all is well.

    Args:
        bodies: also read every body.
    """
    problems = list(check_listing(account.listing()))
    seen: set[int] = set()
    for name, meta in sorted(account.listing().mailboxes.items()):
        where = f"mailbox {name!r}"
        try:
            state = await account.mailbox(meta.mailbox_id)
            problems += check_state(state, where)
            told = (await account.counters([meta.mailbox_id])).get(meta.mailbox_id)
            if told != state.counters:
                problems.append(Problem("counters", where, f"told {told}, but {state.counters} are there"))
            problems += check_history(state, await account.changes_since(meta.mailbox_id, 0), where)
            problems += check_agreement(state, where)
            problems += await _check_rows(account, state, where, seen if bodies else None)
        except (StorageError, LookupError) as error:
            problems.append(Problem("readable", where, str(error)))
    return problems


def check_listing(account: AccountState) -> Iterator[Problem]:
    """Check mailboxes against the account's counters."""
    where = "listing"
    if INBOX not in account.mailboxes:
        yield Problem("listing", where, "there is no INBOX")
    metas = list(account.mailboxes.values())
    for label, numbers, bound in (
        ("mailbox number", [meta.mailbox_id for meta in metas], account.next_mailbox_id),
        ("UIDVALIDITY", [meta.uid_validity for meta in metas], account.next_uid_validity),
    ):
        if len(set(numbers)) != len(numbers):
            yield Problem("listing", where, f"a {label} is used twice")
        if any(not 0 < number < bound for number in numbers):
            yield Problem("listing", where, f"a {label} is not below the next one, {bound}")


def check_state(state: MailboxState, where: str) -> Iterator[Problem]:
    """Check one mailbox's messages, numbers and counters."""
    if state.mod_seq < 1:
        yield Problem("mod-seq-bounds", where, "HIGHESTMODSEQ is 0")
    keywords = state.flag_table.keywords
    if len({name.lower() for name in keywords}) != len(keywords):
        yield Problem("flags-known", where, "two keywords differ only in case")
    if len(keywords) > limits.KEYWORDS_PER_MAILBOX_MAX:
        yield Problem("flags-known", where, f"{len(keywords)} keywords")
    known = (1 << (KEYWORD_BIT_MIN + len(keywords))) - 1
    if list(state.chunks) != sorted(state.chunks):
        yield Problem("uid-order", where, "the blocks are not in order")
    counted = [0, 0, 0, 0]
    for number, chunk in state.chunks.items():
        place = f"{where}, block {number}"
        yield from _check_uids(state, number, chunk, place)
        yield from _check_numbers(state, chunk, place)
        yield from _check_items(state, chunk, known, place)
        recounted = chunk.fork(whole=False)
        recounted.recount(state.palette)
        mine = [chunk.unseen, chunk.deleted, chunk.octets]
        true = [recounted.unseen, recounted.deleted, recounted.octets]
        if mine != true:
            yield Problem("counters", place, f"unseen, deleted, octets are {true}, not {mine}")
        if chunk.newest_max < recounted.newest_max:
            yield Problem("mod-seq-bounds", place, "a message is newer than its block")
        counted = [counted[0] + len(chunk), *(a + b for a, b in zip(counted[1:], true, strict=True))]
    told = [state.exists, state.unseen, state.deleted, state.octets]
    if counted != told:
        yield Problem("counters", where, f"exists, unseen, deleted, octets are {counted}, not {told}")


def _check_uids(state: MailboxState, number: int, chunk: MessageChunk, where: str) -> Iterator[Problem]:
    uids = chunk.uids
    if not uids:
        yield Problem("uid-order", where, "the block is empty")
        return
    if any(a >= b for a, b in itertools.pairwise(uids)):
        yield Problem("uid-order", where, "the UIDs do not ascend")
    if block_of(uids[0]) != number or block_of(uids[-1]) != number:
        yield Problem("uid-order", where, "a UID lies in another block")
    if uids[-1] >= state.uid_next:
        yield Problem("uid-order", where, f"UID {uids[-1]} is not below UIDNEXT {state.uid_next}")


def _check_numbers(state: MailboxState, chunk: MessageChunk, where: str) -> Iterator[Problem]:
    for uid, created, newest in zip(chunk.uids, chunk.created, chunk.newest, strict=True):
        if not 1 < created <= newest <= state.mod_seq:
            yield Problem(
                "mod-seq-bounds", where, f"UID {uid}: created {created}, MODSEQ {newest}, {state.mod_seq}"
            )
    if any(a > b for a, b in zip(chunk.created, chunk.created[1:], strict=False)):
        yield Problem("creation-order", where, "creation numbers fall")


def _check_items(state: MailboxState, chunk: MessageChunk, known: int, where: str) -> Iterator[Problem]:
    masks = state.palette.masks
    used = {masks[index] for index in (*chunk.flags, *chunk.touched)}
    if any(mask & ~known for mask in used):
        yield Problem("flags-known", where, "a flag has no name")
    for at, uid in enumerate(chunk.uids):
        if (chunk.newest[at] > chunk.created[at]) != bool(masks[chunk.touched[at]]):
            yield Problem("newest-items", where, f"UID {uid}")
    keys = chunk.extra_keys
    if len(keys) != len(chunk.extra_nums) or any(a >= b for a, b in itertools.pairwise(keys)):
        yield Problem("item-numbers", where, "the items are not in order")
    for key, number in zip(keys, chunk.extra_nums, strict=False):
        uid, bit = key >> _ITEM_BITS, key & ((1 << _ITEM_BITS) - 1)
        at = chunk.position(uid)
        if at < 0:
            yield Problem("item-numbers", where, f"an item of UID {uid}, which is not there")
        elif not chunk.created[at] < number < chunk.newest[at] or masks[chunk.touched[at]] >> bit & 1:
            yield Problem("item-numbers", where, f"UID {uid}, item {bit}: {number}")
        elif not known >> bit & 1:
            yield Problem("flags-known", where, f"item {bit} has no name")


def check_history(state: MailboxState, everything: ChangeSet, where: str) -> Iterator[Problem]:
    """Check the answer to changes_since(0)."""
    live = state.index.to_numset()
    if everything.appeared | everything.changed != live:
        yield Problem("history", where, "changes_since(0) does not name the messages that are there")
    if not everything.vanished.isdisjoint(live):
        yield Problem("history", where, "a message that is there is told to have vanished")
    ever = NumSet.from_ranges([(1, state.uid_next - 1)]) if state.uid_next > 1 else NumSet.EMPTY
    if everything.history_complete and live | everything.vanished != ever:
        lost = (ever - live - everything.vanished).to_bytes().decode()
        yield Problem("history", where, f"neither there nor vanished: {lost or 'none'}")


def check_agreement(state: MailboxState, where: str) -> Iterator[Problem]:
    """Compare what the history in memory says of the newest changes with what the messages say."""
    floor = state.history.floor
    newest = [change.mod_seq for change in state.history.after(floor, state.mod_seq)]
    for m in {floor, *newest[:: max(1, len(newest) // 8)]}:
        told = state.changes_since(m)
        came, changed = _since(state, m)
        if told.appeared != came or told.changed != changed:
            yield Problem("history-agrees", where, f"changes_since({m})")


def _since(state: MailboxState, m: int) -> tuple[NumSet, NumSet]:
    came: list[int] = []
    changed: list[int] = []
    for chunk in state.chunks.values():
        for uid, created, newest in zip(chunk.uids, chunk.created, chunk.newest, strict=True):
            if created > m:
                came.append(uid)
            elif newest > m:
                changed.append(uid)
    return NumSet(came), NumSet(changed)


async def _check_rows(
    account: Account, state: MailboxState, where: str, bodies_seen: set[int] | None
) -> list[Problem]:
    problems: list[Problem] = []
    uids = list(state.index)
    sizes = [size for chunk in state.chunks.values() for size in chunk.sizes]
    email_id_bound = account.listing().next_email_id
    for start in range(0, len(uids), _ROWS_AT_ONCE):
        part = uids[start : start + _ROWS_AT_ONCE]
        rows = await account.rows(state.mailbox_id, part, ready=True)
        found = {row.uid: row for row in rows}
        for uid, size in zip(part, sizes[start : start + _ROWS_AT_ONCE], strict=True):
            row = found.get(uid)
            if row is None:
                problems.append(Problem("rows", where, f"UID {uid} has none"))
            elif row.size != size or not 0 < row.email_id < email_id_bound or row.envelope is None:
                problems.append(Problem("rows", where, f"UID {uid}: {row}"))
        if bodies_seen is not None:
            problems += await _check_bodies(
                account, ((row.email_id, row.size) for row in rows), where, bodies_seen
            )
    return problems


async def _check_bodies(
    account: Account, contents: Iterable[tuple[int, int]], where: str, seen: set[int]
) -> list[Problem]:
    problems: list[Problem] = []
    for email_id, size in contents:
        if email_id in seen:
            continue
        seen.add(email_id)
        try:
            data = await account.read(email_id)
        except StorageError as error:
            problems.append(Problem("bodies", f"{where}, content {email_id}", str(error)))
            continue
        if len(data) != size:
            problems.append(
                Problem("bodies", f"{where}, content {email_id}", f"{len(data)} of {size} octets")
            )
    return problems
