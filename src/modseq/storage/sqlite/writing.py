"""How the draft of a batch is written: log rows, counters, rows of messages and contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apsw

from modseq.core.account import AccountDraft, AccountState
from modseq.core.change import Change
from modseq.core.mailbox import MailboxState
from modseq.core.message import NewMessage
from modseq.storage.blobs import Location
from modseq.storage.sqlite.codec import encode_change
from modseq.storage.sqlite.rows import remove_all_rows, remove_rows, write_rows

_PER_MAILBOX = ("keyword", "log", "palette", "chunk", "chunk_core", "expunge", "staged")
"""Tables whose rows belong to one mailbox and go with it; those of messages may be many."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a commit writes into the account's row."""

    version: int
    batch: int
    next_segment: int


def write_draft(
    connection: apsw.Connection,
    draft: AccountDraft,
    published: AccountState,
    locations: Sequence[Location],
    stamp: Stamp,
) -> None:
    """Write everything that a batch changed; the caller's transaction makes it one step."""
    if draft.listing_changed:
        _write_listing(connection, draft, published)
    if draft.contents:
        _write_contents(connection, draft.contents, locations)
    if draft.rows:
        write_rows(connection, draft.rows)
    for mailbox_id, changes in draft.changes.items():
        _write_changes(connection, draft.states[mailbox_id], changes)
    for mailbox_id in draft.recent_claims - draft.changes.keys():
        _write_counters(connection, draft.states[mailbox_id], 0)
    for mailbox_id in draft.deleted:
        for table in _PER_MAILBOX:
            connection.execute(f"DELETE FROM {table} WHERE mailbox_id = ?", (mailbox_id,))  # noqa: S608 -- constants
        remove_all_rows(connection, mailbox_id)
        connection.execute("DELETE FROM mailbox WHERE mailbox_id = ?", (mailbox_id,))
    write_account(connection, draft.account, stamp)


def write_account(connection: apsw.Connection, account: AccountState, stamp: Stamp) -> None:
    """Write the account's row."""
    connection.execute(
        "UPDATE account SET version = ?, batch = ?, listing_version = ?, next_mailbox_id = ?,"
        " next_uid_validity = ?, next_email_id = ?, next_segment = ? WHERE account_id = 1",
        (
            stamp.version,
            stamp.batch,
            account.version,
            account.next_mailbox_id,
            account.next_uid_validity,
            account.next_email_id,
            stamp.next_segment,
        ),
    )


def _write_listing(connection: apsw.Connection, draft: AccountDraft, published: AccountState) -> None:
    before = {meta.mailbox_id: meta for meta in published.mailboxes.values()}
    created = set(draft.created)
    for meta in draft.account.mailboxes.values():
        if meta.mailbox_id in created:
            # The counters follow with the changes; a mailbox without any starts at mod-sequence 1.
            connection.execute(
                "INSERT INTO mailbox VALUES (?, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, ?, ?, ?)",
                (meta.mailbox_id, meta.uid_validity, meta.name, meta.special_use),
            )
        elif before[meta.mailbox_id] != meta:
            connection.execute(
                "UPDATE mailbox SET name = ?, special_use = ? WHERE mailbox_id = ?",
                (meta.name, meta.special_use, meta.mailbox_id),
            )
    subscriptions = draft.account.subscriptions
    connection.executemany(
        "INSERT INTO subscription VALUES (?)",
        [(name,) for name in sorted(subscriptions - published.subscriptions)],
    )
    connection.executemany(
        "DELETE FROM subscription WHERE name = ?",
        [(name,) for name in sorted(published.subscriptions - subscriptions)],
    )


def _write_contents(
    connection: apsw.Connection,
    contents: Iterable[tuple[int, NewMessage]],
    locations: Iterable[Location],
) -> None:
    connection.executemany(
        "INSERT INTO content VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                email_id,
                location.segment,
                location.offset,
                location.stored_length,
                len(message.content.data),
                message.received_at,
                message.received_zone,
                message.content.sent_date,
                message.content.header_length,
                message.content.envelope,
                message.content.body,
                message.content.structure,
                message.content.parts,
            )
            for (email_id, message), location in zip(contents, locations, strict=True)
        ],
    )


def _write_changes(connection: apsw.Connection, state: MailboxState, changes: Sequence[Change]) -> None:
    mailbox_id = state.mailbox_id
    records = [(mailbox_id, change.mod_seq, encode_change(change)) for change in changes]
    connection.executemany("INSERT INTO log VALUES (?, ?, ?)", records)
    for change in changes:
        if change.keywords:
            connection.executemany(
                "INSERT INTO keyword VALUES (?, ?, ?)",
                [(mailbox_id, bit, name) for bit, name in change.keywords],
            )
        if change.vanished:
            remove_rows(connection, mailbox_id, change.vanished)
    _write_counters(connection, state, sum(len(record[2]) for record in records))


def _write_counters(connection: apsw.Connection, state: MailboxState, log_bytes: int) -> None:
    recent = state.exists if state.recent_from == 1 else 0
    if 1 < state.recent_from < state.uid_next:
        recent = state.exists - state.index.rank(state.recent_from - 1)
    connection.execute(
        "UPDATE mailbox SET mod_seq = ?, uid_next = ?, exists_n = ?, unseen_n = ?, deleted_n = ?,"
        " recent_n = ?, octets = ?, recent_from = ?, log_bytes = log_bytes + ? WHERE mailbox_id = ?",
        (
            state.mod_seq,
            state.uid_next,
            state.exists,
            state.unseen,
            state.deleted,
            recent,
            state.octets,
            state.recent_from,
            log_bytes,
            state.mailbox_id,
        ),
    )
