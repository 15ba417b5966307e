"""What is read from an account's database: listing, mailboxes, what others committed, rows of messages.

Every function runs in a thread, on one connection, inside one transaction of the caller's where more than
one statement must see the same moment.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import apsw

from modseq import limits
from modseq.core.account import AccountState, MailboxMeta
from modseq.core.change import Appended, AppendedRun, Change, FlagEdit
from modseq.core.errors import MailboxNotFound, StateDiscarded, StorageFailed
from modseq.core.flags import FlagTable, Palette
from modseq.core.history import ExpungeLog, History
from modseq.core.mailbox import Counters, MailboxState
from modseq.core.message import MessageRow
from modseq.core.numset import NumSet
from modseq.core.uidindex import BLOCK_UIDS
from modseq.storage.blobs import BodyDamaged, Location, SegmentGone
from modseq.storage.sqlite.codec import decode_change, decode_chunk, decode_pairs
from modseq.storage.sqlite.files import AccountFiles
from modseq.storage.sqlite.rows import doomed_uids

_RANGE_GAP_MAX = 16
"""Asked for UIDs this close together are read in one range and filtered."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """The one row that every commit writes."""

    version: int
    batch: int
    epoch: int
    listing_version: int
    next_mailbox_id: int
    next_uid_validity: int
    next_email_id: int
    next_segment: int


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """The counters of a mailbox."""

    mailbox_id: int
    mod_seq: int
    uid_next: int
    exists: int
    unseen: int
    deleted: int
    recent: int
    octets: int
    recent_from: int
    folded_mod_seq: int
    log_from_mod_seq: int
    log_bytes: int
    expunge_horizon: int
    uid_validity: int

    @property
    def counters(self) -> Counters:
        """What STATUS tells."""
        return Counters(
            exists=self.exists,
            unseen=self.unseen,
            deleted=self.deleted,
            recent=self.recent,
            octets=self.octets,
            uid_next=self.uid_next,
            uid_validity=self.uid_validity,
            mod_seq=self.mod_seq,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a process knows of an account at one moment: the base from which threads work on.

    Attributes:
        version: the account's commits up to this moment.
        next_segment: no segment below it is made again.
        states: the mailboxes that are loaded.
        behind: loaded mailboxes that may lack changes: not to be built on, but their palettes live on.
    """

    version: int
    next_segment: int
    account: AccountState
    states: Mapping[int, MailboxState]
    behind: Mapping[int, MailboxState] = field(default_factory=dict)


@dataclass(slots=True)
class CaughtUp:
    """What others did since a snapshot.

    Attributes:
        states: loaded mailboxes that moved, as they are now.
        changes: the records that led there, for the histories; a mailbox that had to be loaded anew has
            none here.
        gone: loaded mailboxes that were deleted.
    """

    version: int
    next_segment: int
    account: AccountState
    states: dict[int, MailboxState] = field(default_factory=dict)
    changes: dict[int, list[Change]] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)


_ACCOUNT = (
    "SELECT version, batch, epoch, listing_version, next_mailbox_id, next_uid_validity, next_email_id,"
    " next_segment FROM account WHERE account_id = 1"
)
_VERSION = "SELECT version, epoch FROM account WHERE account_id = 1"
_MAILBOX_COLUMNS = (
    "mailbox_id, mod_seq, uid_next, exists_n, unseen_n, deleted_n, recent_n, octets, recent_from,"
    " folded_mod_seq, log_from_mod_seq, log_bytes, expunge_horizon, uid_validity"
)
_MAILBOX = f"SELECT {_MAILBOX_COLUMNS} FROM mailbox WHERE mailbox_id = ?"  # noqa: S608 -- constants
_LOG = "SELECT mod_seq, changes FROM log WHERE mailbox_id = ? AND mod_seq > ? ORDER BY mod_seq"
_CHUNKS = (
    "SELECT chunk.chunk_no, folded, newest_max, exists_n, unseen_n, deleted_n, octets, core, items"
    " FROM chunk LEFT JOIN chunk_core USING (mailbox_id, chunk_no)"
    " WHERE chunk.mailbox_id = ? ORDER BY chunk.chunk_no"
)


@contextmanager
def reading(connection: apsw.Connection) -> Iterator[None]:
    """Let the statements of the body see one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def read_account(connection: apsw.Connection) -> AccountRow:
    """Return the account's row."""
    for row in connection.execute(_ACCOUNT):
        return AccountRow(*row)
    raise StorageFailed("The account's database is damaged: it has no account row.")


def read_mailbox(connection: apsw.Connection, mailbox_id: int) -> MailboxRow | None:
    """Return a mailbox's row, None when it was deleted."""
    for row in connection.execute(_MAILBOX, (mailbox_id,)):
        return MailboxRow(*row)
    return None


def read_listing(connection: apsw.Connection, row: AccountRow) -> AccountState:
    """Return mailboxes and subscriptions."""
    mailboxes = {
        name: MailboxMeta(mailbox_id, name, uid_validity, special_use)
        for mailbox_id, name, uid_validity, special_use in connection.execute(
            "SELECT mailbox_id, name, uid_validity, special_use FROM mailbox ORDER BY name"
        )
    }
    subscriptions = frozenset(name for (name,) in connection.execute("SELECT name FROM subscription"))
    return AccountState(
        mailboxes=mailboxes,
        subscriptions=subscriptions,
        next_mailbox_id=row.next_mailbox_id,
        next_uid_validity=row.next_uid_validity,
        next_email_id=row.next_email_id,
        version=row.listing_version,
        epoch=row.epoch,
    )


def catch_up(connection: apsw.Connection, base: Snapshot) -> CaughtUp | None:
    """Return what others committed since a snapshot; None for nothing.

    Raises:
        StateDiscarded: the storage is older than the snapshot, or another one.
    """
    for version, epoch in connection.execute(_VERSION):
        if epoch != base.account.epoch or version < base.version:
            raise StateDiscarded("The account was removed or restored: please connect again.")
        if version == base.version:
            return None
    row = read_account(connection)
    if row.listing_version == base.account.version:
        account = AccountState(
            mailboxes=base.account.mailboxes,
            subscriptions=base.account.subscriptions,
            next_mailbox_id=row.next_mailbox_id,
            next_uid_validity=row.next_uid_validity,
            next_email_id=row.next_email_id,
            version=row.listing_version,
            epoch=row.epoch,
        )
    else:
        account = read_listing(connection, row)
    caught = CaughtUp(row.version, row.next_segment, account)
    for mailbox_id, state in base.states.items():
        now = read_mailbox(connection, mailbox_id)
        if now is None:
            caught.gone.add(mailbox_id)
        elif now.mod_seq < state.mod_seq or now.uid_validity != state.uid_validity:
            raise StateDiscarded("The account was removed or restored: please connect again.")
        elif _differs(now, state):
            _advance(connection, state, now, caught)
    return caught


def catch_up_now(connection: apsw.Connection, base: Snapshot) -> CaughtUp | None:
    """Catch up in a transaction of its own; raises as `catch_up`."""
    with reading(connection):
        return catch_up(connection, base)


def load_now(connection: apsw.Connection, mailbox_id: int) -> tuple[int, MailboxState]:
    """Load a mailbox in a transaction of its own; also return the account's version at that moment."""
    with reading(connection):
        return read_account(connection).version, load_mailbox(connection, mailbox_id)


def _differs(row: MailboxRow, state: MailboxState) -> bool:
    return (row.mod_seq, row.recent_from, row.expunge_horizon) != (
        state.mod_seq,
        state.recent_from,
        state.horizon,
    )


def _advance(connection: apsw.Connection, state: MailboxState, row: MailboxRow, caught: CaughtUp) -> None:
    """Fold what others logged into a state; load it anew when the log reaches back no further."""
    if state.mod_seq < row.log_from_mod_seq:
        caught.states[row.mailbox_id] = load_mailbox(connection, row.mailbox_id, state.palette)
        return
    changes = [
        decode_change(mod_seq, record)
        for mod_seq, record in connection.execute(_LOG, (row.mailbox_id, state.mod_seq))
    ]
    state = fold_all(state.tidied() if state.palette.is_crowded else state, changes)
    caught.states[row.mailbox_id] = _with_row(state, row)
    caught.changes[row.mailbox_id] = changes


def fold_all(state: MailboxState, changes: Iterable[Change]) -> MailboxState:
    """Return the state after changes; blocks are copied once however many changes touch them."""
    owned: dict[int, bool] = {}
    for change in changes:
        state = state.fold(change, owned)
    return state


def _with_row(state: MailboxState, row: MailboxRow) -> MailboxState:
    """Return the state with what no change record carries."""
    if state.mod_seq != row.mod_seq or state.exists != row.exists:
        raise StorageFailed(f"The log of mailbox {row.mailbox_id} does not lead to its counters.")
    state = state.copy()
    state.uid_next = row.uid_next
    state.recent_from = row.recent_from
    state.horizon = row.expunge_horizon
    return state


def load_mailbox(
    connection: apsw.Connection, mailbox_id: int, palette: Palette | None = None
) -> MailboxState:
    """Return a mailbox from its chunks and the log after them.

    Args:
        palette: of a state of the same mailbox that sessions still hold: palette numbers then mean the
            same in both.

    Raises:
        MailboxNotFound: it was deleted.
        StorageFailed: what is stored does not fit together.
    """
    row = read_mailbox(connection, mailbox_id)
    if row is None:
        raise MailboxNotFound("The mailbox was deleted.")
    state = MailboxState(mailbox_id, row.uid_validity)
    state.palette = Palette() if palette is None else palette
    state.mod_seq = row.folded_mod_seq
    state.history = History(floor=row.folded_mod_seq)
    ahead = _load_chunks(connection, state)
    changes = [decode_change(*each) for each in connection.execute(_LOG, (mailbox_id, state.mod_seq))]
    state.flag_table = _folded_keywords(connection, mailbox_id, changes)
    if ahead:
        changes_left = [without_blocks(change, ahead) for change in changes]
        state = fold_all(state, changes_left)
        # A block that is ahead may stand before one that the log brings.
        state.chunks = dict(sorted(state.chunks.items()))
    else:
        state = fold_all(state, changes)
    for change in changes:
        state.history.append(change)
    return _with_row(state, row)


def _folded_keywords(connection: apsw.Connection, mailbox_id: int, changes: Sequence[Change]) -> FlagTable:
    """Return the keywords known before the log begins: each later one comes with its record."""
    later = {bit for change in changes for bit, _ in change.keywords}
    names = connection.execute(
        "SELECT bit, name FROM keyword WHERE mailbox_id = ? ORDER BY bit", (mailbox_id,)
    )
    return FlagTable(tuple(name for bit, name in names if bit not in later))


def _load_chunks(connection: apsw.Connection, state: MailboxState) -> dict[int, int]:
    """Fill in the chunks; return those that are ahead of the fold: block number and mod-sequence."""
    numbers = _palette_numbers(connection, state)
    ahead: dict[int, int] = {}
    for chunk_no, folded, newest_max, exists, unseen, deleted, octets, core, items in connection.execute(
        _CHUNKS, (state.mailbox_id,)
    ):
        if folded > state.mod_seq:
            ahead[chunk_no] = folded
        if not exists:
            continue
        if core is None:
            raise StorageFailed(f"Chunk {chunk_no} of mailbox {state.mailbox_id} lacks its UIDs.")
        chunk = decode_chunk(core, items, numbers)
        if len(chunk) != exists:
            raise StorageFailed(f"Chunk {chunk_no} of mailbox {state.mailbox_id} is damaged.")
        chunk.newest_max, chunk.unseen, chunk.deleted, chunk.octets = newest_max, unseen, deleted, octets
        state.chunks[chunk_no] = chunk
        state.exists += exists
        state.unseen += unseen
        state.deleted += deleted
        state.octets += octets
    return ahead


def _palette_numbers(connection: apsw.Connection, state: MailboxState) -> list[int] | None:
    """Return the process's palette number for each stored one; None when they are the same."""
    stored = read_palette(connection, state.mailbox_id)
    numbers = [state.palette.index(mask) for mask in stored]
    return None if numbers == list(range(len(numbers))) else numbers


def read_palette(connection: apsw.Connection, mailbox_id: int) -> list[int]:
    """Return the stored masks by number; number 0 is the empty mask and is not stored."""
    rows = connection.execute("SELECT mask FROM palette WHERE mailbox_id = ? ORDER BY number", (mailbox_id,))
    return [0, *(int.from_bytes(mask, "little") for (mask,) in rows)]


def without_blocks(change: Change, ahead: Mapping[int, int]) -> Change:
    """Return a change without the messages of blocks that have it in them already."""
    done = [number for number, folded in ahead.items() if folded >= change.mod_seq]
    if not done:
        return change
    blocks = NumSet.from_ranges((number * BLOCK_UIDS + 1, (number + 1) * BLOCK_UIDS) for number in done)
    appended: Sequence[Appended] = change.appended
    if not isinstance(appended, AppendedRun) or not appended.uids.isdisjoint(blocks):
        appended = tuple(each for each in appended if each.uid not in blocks)
    edits = tuple(
        FlagEdit(uids, edit.add, edit.remove, edit.user_id)
        for edit in change.edits
        if (uids := edit.uids - blocks)
    )
    return Change(
        change.mod_seq,
        appended=appended,
        edits=edits,
        vanished=change.vanished - blocks,
        keywords=change.keywords,
        annotations=tuple(each for each in change.annotations if each.uid not in blocks),
    )


def load_expunges(connection: apsw.Connection, mailbox_id: int) -> tuple[ExpungeLog, int, int]:
    """Return every remembered expunge of a mailbox, up to which mod-sequence that is, and the horizon."""
    with reading(connection):
        row = read_mailbox(connection, mailbox_id)
        if row is None:
            raise MailboxNotFound("The mailbox was deleted.")
        log = ExpungeLog()
        for count, pairs in connection.execute(
            "SELECT count, pairs FROM expunge WHERE mailbox_id = ? ORDER BY mod_seq_last, uid_last",
            (mailbox_id,),
        ):
            mod_seqs, uids = decode_pairs(count, pairs)
            log.mod_seqs.extend(mod_seqs)
            log.uids.extend(uids)
        for mod_seq, record in connection.execute(_LOG, (mailbox_id, row.folded_mod_seq)):
            change = decode_change(mod_seq, record)
            if change.vanished:
                log.extend(mod_seq, change.vanished)
        return log, row.mod_seq, row.expunge_horizon


def read_counters(connection: apsw.Connection, mailbox_ids: Sequence[int]) -> dict[int, Counters]:
    """Return the counters of mailboxes; deleted ones are left out."""
    if len(mailbox_ids) <= _RANGE_GAP_MAX:
        rows = (read_mailbox(connection, mailbox_id) for mailbox_id in mailbox_ids)
        return {row.mailbox_id: row.counters for row in rows if row is not None}
    wanted = set(mailbox_ids)
    everything = connection.execute(f"SELECT {_MAILBOX_COLUMNS} FROM mailbox")  # noqa: S608 -- constants
    return {row[0]: MailboxRow(*row).counters for row in everything if row[0] in wanted}


_ROW_COLUMNS = "uid, message.email_id, size, saved_at, received_at, received_zone, sent_date"
_READY_COLUMNS = ", envelope, body, structure, parts"
_ROW_SOURCE = " FROM message JOIN content USING (email_id) WHERE mailbox_id = ?"
_ROWS = {
    ready: f"SELECT {_ROW_COLUMNS}{_READY_COLUMNS if ready else ''}{_ROW_SOURCE}" for ready in (False, True)
}


def read_rows(
    connection: apsw.Connection, mailbox_id: int, uids: Sequence[int] | array[int], *, ready: bool
) -> list[MessageRow]:
    """Return what never changes about messages, ascending; those that are gone are left out."""
    doomed = doomed_uids(connection, mailbox_id)
    if doomed:
        uids = (NumSet(uids) - doomed).to_array()
    found: list[MessageRow] = []
    select = _ROWS[ready]
    for first, last, members in _ranges(uids):
        if first == last:
            rows = connection.execute(f"{select} AND uid = ?", (mailbox_id, first))
        else:
            rows = connection.execute(
                f"{select} AND uid BETWEEN ? AND ? ORDER BY uid", (mailbox_id, first, last)
            )
        if members is None:
            found.extend(MessageRow(*row) for row in rows)
        else:
            found.extend(MessageRow(*row) for row in rows if row[0] in members)
    return found


def _ranges(uids: Sequence[int] | array[int]) -> Iterator[tuple[int, int, set[int] | None]]:
    """Yield ranges that cover ascending UIDs; the UIDs wanted of a range, None for all of it."""
    start = 0
    for at in range(1, len(uids) + 1):
        if at < len(uids) and uids[at] - uids[at - 1] <= _RANGE_GAP_MAX:
            continue
        first, last = uids[start], uids[at - 1]
        whole = last - first == at - 1 - start
        yield first, last, None if whole else set(uids[start:at])
        start = at


def read_location(connection: apsw.Connection, email_id: int) -> Location | None:
    """Return where a body lies, None when no message has this content any more."""
    for row in connection.execute(
        "SELECT segment, offset, stored_length FROM content WHERE email_id = ?", (email_id,)
    ):
        return Location(*row)
    return None


def read_body(files: AccountFiles, email_id: int, offset: int, length: int | None) -> bytes:
    """Find a body and read it; compaction may have moved it in between, hence the second look."""
    last: Exception | None = None
    for _ in range(limits.UNKNOWN_OUTCOME_ATTEMPTS_MAX):
        location = read_location(files.reader, email_id)
        if location is None:
            raise MailboxNotFound("The message is gone.")
        try:
            return files.bodies.read(location, email_id, offset, length)
        except SegmentGone as error:
            last = error
        except BodyDamaged as error:
            raise StorageFailed(f"The body of message content {email_id} is damaged.") from error
    raise StorageFailed(f"The segment of message content {email_id} is missing.") from last
