"""Which mailboxes the server has, held against the copy: new, renamed and deleted ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modseq.mirror.outbox import Outbox
from modseq.mirror.records import MailboxRow
from modseq.mirror.replica import Replica
from modseq.wire.response_values import ListData, StatusData

_UNSELECTABLE = {"\\noselect", "\\nonexistent"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A mailbox that is wanted in the copy: its row, and what STATUS said (None where it said nothing)."""

    row: MailboxRow
    status: StatusData | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a LIST changed in the copy, and the mailboxes wanted in it."""

    wanted: tuple[Listed, ...] = ()
    added: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()


def is_wanted(name: str, patterns: Iterable[str]) -> bool:
    """Whether a mailbox matches one of the patterns: `*` stands for anything, `?` for one character."""
    return any(_pattern(each).fullmatch(name) for each in patterns)


def _pattern(glob: str) -> re.Pattern[str]:
    # Not fnmatch: brackets stand in names ("[Gmail]/All Mail") and mean themselves.
    parts = {"*": ".*", "?": "."}
    text = "".join(parts.get(letter) or re.escape(letter) for letter in glob)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if glob.upper() == "INBOX" else 0))


def reconcile(replica: Replica, listed: Sequence[ListData], patterns: Sequence[str]) -> Listing:
    """
    Bring the copy's mailboxes in line with the server's, in one transaction.

    A mailbox whose MAILBOXID is known keeps its messages under a new name (RFC 8474 section 4); where the
    server tells no such id, another name is another mailbox. Edits that wait for messages of a mailbox that
    is gone become conflicts.

    Args:
        listed: the answer to LIST with STATUS data, whole.
        patterns: the mailboxes wanted.
    """
    there = {
        each.name: each
        for each in listed
        if not {attribute.lower() for attribute in each.attributes} & _UNSELECTABLE
    }
    wanted = {name: each for name, each in there.items() if is_wanted(name, patterns)}
    with replica.transaction():
        renamed, removed = _match(replica, wanted, there)
        known = {row.name: row for row in replica.mailboxes()}
        added = tuple(name for name in wanted if name not in known)
        for name, data in wanted.items():
            attributes = " ".join(sorted(data.attributes))
            object_id = _object_id(data)
            row = known.get(name)
            if row is None:
                replica.add_mailbox(name, object_id, data.delimiter, attributes)
            elif (row.object_id, row.delimiter, row.attributes) != (object_id, data.delimiter, attributes):
                replica.describe_mailbox(
                    row.mailbox_id, object_id or row.object_id, data.delimiter, attributes
                )
        rows = replica.mailboxes()
    return Listing(
        wanted=tuple(Listed(row, wanted[row.name].status) for row in rows if row.name in wanted),
        added=added,
        renamed=renamed,
        removed=removed,
    )


def _match(
    replica: Replica, wanted: dict[str, ListData], there: dict[str, ListData]
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Rename what has another name now and remove what is gone or not wanted any more."""
    by_object_id = {found: name for name, data in there.items() if (found := _object_id(data)) is not None}
    names: dict[int, str] = {}
    gone: list[MailboxRow] = []
    before = replica.mailboxes()
    for row in before:
        name: str | None = row.name
        if row.object_id is not None and by_object_id:
            name = by_object_id.get(row.object_id)
        if name is None or name not in wanted:
            gone.append(row)
        elif name != row.name:
            names[row.mailbox_id] = name
    outbox = Outbox(replica)
    for row in gone:
        is_there = row.name in there
        why = "the mailbox is not mirrored any more" if is_there else "the mailbox was deleted or renamed"
        outbox.orphan(row.mailbox_id, why, "gone")
        replica.remove_mailbox(row.mailbox_id)
    if names:
        replica.rename_mailboxes(names)
    renamed = tuple((row.name, names[row.mailbox_id]) for row in before if row.mailbox_id in names)
    return renamed, tuple(row.name for row in gone)


def _object_id(data: ListData) -> str | None:
    return data.status.mailbox_id if data.status is not None else None


def looks_unchanged(row: MailboxRow, status: StatusData | None) -> bool:
    """
    Whether STATUS proves that the copy of a mailbox is current, so that it need not be opened.

    An equal HIGHESTMODSEQ is proof only where the copy's own was borne out by a change that carried it: a
    number that somebody on the way made up stands for nothing. An empty mailbox needs no number.
    """
    if status is None or not row.is_complete or row.doubt is not None:
        return False
    if status.uid_validity != row.uid_validity or status.messages != row.exists or row.uid_validity == 0:
        return False
    if status.messages == 0:
        return True
    return (
        status.uid_next == row.uid_next
        and bool(status.highest_mod_seq)
        and status.highest_mod_seq == row.told_mod_seq
    )
