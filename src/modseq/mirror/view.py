"""
The copy as its owner sees it: what the server has, with the edits that wait in the outbox laid over it.

A message that was moved offline is shown where it goes, one that was deleted is not shown, one that is to
be appended is shown without a UID. An edit in conflict is not laid over: the server's side is shown until
somebody decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modseq.mirror.outbox import Edit, Outbox
from modseq.mirror.records import MailboxRow, MessageRow, Summary, edited_flags, join_flags, split_flags
from modseq.mirror.replica import Replica
from modseq.mirror.summary import summary_of


@dataclass(frozen=True, slots=True)
class LocalMessage:
    """
    A message of the view.

    Attributes:
        mailbox: where it is shown.
        home: the mailbox that holds it on the server, None for one that is to be appended.
        uid: there; 0 for one that is to be appended.
        pending: the edits that are laid over it.

    """

    mailbox: str
    home: MailboxRow | None
    uid: int
    flags: frozenset[str]
    received_at: int
    size: int
    content_id: int | None
    summary: Summary
    pending: tuple[Edit, ...] = ()


def local_messages(replica: Replica, mailbox: MailboxRow) -> Iterator[LocalMessage]:
    """Yield what is shown in a mailbox: its own messages by UID, then those that come to it."""
    edits = Outbox(replica).laid_over()
    by_message: dict[tuple[int | None, int], list[Edit]] = {}
    for edit in edits:
        by_message.setdefault((edit.mailbox_id, edit.uid), []).append(edit)
    for row in replica.messages(mailbox.mailbox_id):
        shown = _shown(replica, mailbox, row, by_message.get((mailbox.mailbox_id, row.uid), []))
        if shown is not None and shown.mailbox == mailbox.name:
            yield shown
    homes = {home.mailbox_id: home for home in replica.mailboxes()}
    for edit in edits:
        if edit.target is None or edit.target != mailbox.name:
            continue
        if edit.kind == "append":
            yield _to_be_appended(replica, edit)
        elif edit.mailbox_id in homes and edit.mailbox_id != mailbox.mailbox_id:
            home = homes[edit.mailbox_id]
            row_there = replica.message(home.mailbox_id, edit.uid)
            if row_there is None:
                continue
            shown = _shown(replica, home, row_there, by_message[edit.mailbox_id, edit.uid])
            if shown is not None and shown.mailbox == mailbox.name:
                yield shown


def local_message(replica: Replica, mailbox: MailboxRow, uid: int) -> LocalMessage | None:
    """Return one message of a mailbox on the server as it is shown, None where it is deleted or unknown."""
    row = replica.message(mailbox.mailbox_id, uid)
    edits = [edit for edit in Outbox(replica).of_message(mailbox.mailbox_id, uid) if edit.state != "conflict"]
    return None if row is None else _shown(replica, mailbox, row, edits)


def _shown(replica: Replica, home: MailboxRow, row: MessageRow, edits: list[Edit]) -> LocalMessage | None:
    """Lay the edits of one message over it, in the order in which they were made."""
    flags, where = split_flags(row.flags), home.name
    for edit in edits:
        if edit.kind == "delete":
            return None
        if edit.kind == "flags":
            flags = edited_flags(flags, split_flags(edit.add_flags), split_flags(edit.remove_flags))
        elif edit.target is not None:
            where = edit.target
    return LocalMessage(
        mailbox=where,
        home=home,
        uid=row.uid,
        flags=split_flags(join_flags(flags)),
        received_at=row.received_at,
        size=row.size,
        content_id=row.content_id,
        summary=replica.summary(home.mailbox_id, row.uid),
        pending=tuple(edits),
    )


def _to_be_appended(replica: Replica, edit: Edit) -> LocalMessage:
    octets = replica.content(edit.content_id)
    assert edit.target is not None
    return LocalMessage(
        mailbox=edit.target,
        home=None,
        uid=0,
        flags=split_flags(edit.add_flags),
        received_at=edit.received_at,
        size=len(octets),
        content_id=edit.content_id,
        summary=summary_of(octets),
        pending=(edit,),
    )
