r"""
Edits made offline, kept until the server has them.

For each message there is at most one edit of its flags and one that takes it away (a move or a delete): a
further edit made before the push is joined with them. Each remembers the message's mod-sequence and flags at
the time of the first edit: the push changes the message only if they still hold, else the edit becomes a
conflict with both sides in it and waits for somebody to decide.

An edit is `waiting`; `sent` from before its command is written until the answer is known, so that a cut
between the two is seen afterwards; or a `conflict`. What the server has is removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from modseq import clock, limits
from modseq.mirror.errors import InvalidEdit, NoSuchEdit, NoSuchMessage
from modseq.mirror.records import MailboxRow, MessageRow, edited_flags, join_flags, same_flags, split_flags
from modseq.mirror.replica import Replica

Kind: TypeAlias = Literal["flags", "move", "delete", "append"]
State: TypeAlias = Literal["waiting", "sent", "conflict"]

_COLUMNS = (
    "edit_id, kind, state, made_at, mailbox_id, uid_validity, uid, base_mod_seq, base_flags, add_flags, "
    "remove_flags, target, content_id, received_at, step, sent_validity, sent_uid_next, conflict"
)

_SYSTEM_FLAGS = {"\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"}
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
"""RFC 3501 section 9: flag-keyword = atom."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit; the columns are described in `schema`."""

    edit_id: int
    kind: Kind
    state: State
    made_at: int
    mailbox_id: int | None
    uid_validity: int
    uid: int
    base_mod_seq: int
    base_flags: str
    add_flags: str
    remove_flags: str
    target: str | None
    content_id: int | None
    received_at: int
    step: str
    sent_validity: int
    sent_uid_next: int
    conflict: str | None

    @property
    def wanted_flags(self) -> frozenset[str]:
        """The flags that the message should have in the end."""
        base = split_flags(self.base_flags)
        if self.kind == "delete":
            return edited_flags(base, ("\\Deleted",), ())
        return edited_flags(base, split_flags(self.add_flags), split_flags(self.remove_flags))

    @property
    def sides(self) -> dict[str, Any]:
        """Both sides of a conflict: `reason`, `mine`, `theirs`, and what names the message for people."""
        found: dict[str, Any] = json.loads(self.conflict or "{}")
        return found

    def describe(self) -> str:
        """Return in words what the edit does."""
        if self.kind == "flags":
            words = [f"+{flag}" for flag in self.add_flags.split()]
            words += [f"-{flag}" for flag in self.remove_flags.split()]
            return f"flags {' '.join(words)}"
        if self.kind == "delete":
            return "delete"
        return f"{self.kind} to {self.target}"


def checked_flags(flags: Iterable[str]) -> frozenset[str]:
    r"""Return flags that a client may set. Raises InvalidEdit for \Recent, for what is no flag, for too many."""
    found = frozenset(flags)
    for flag in found:
        if flag.lower() not in _SYSTEM_FLAGS and not _KEYWORD.fullmatch(flag):
            raise InvalidEdit(f"{flag!r} is no flag that can be set")
    if len(found) > limits.FLAGS_PER_COMMAND_MAX:
        raise InvalidEdit(f"{len(found)} flags in one edit are too many")
    return found


class Outbox:
    """The edits of one mirror. Each method is one transaction, durable on return."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    # --- looking ---

    def edits(self) -> list[Edit]:
        """Return all edits in the order in which they were made."""
        return [Edit(*row) for row in self._replica.execute(f"SELECT {_COLUMNS} FROM edit ORDER BY edit_id")]  # noqa: S608

    def edit(self, edit_id: int) -> Edit:
        """Return one edit. Raises NoSuchEdit."""
        rows = self._replica.execute(f"SELECT {_COLUMNS} FROM edit WHERE edit_id = ?", (edit_id,))  # noqa: S608
        found = next(rows, None)
        if found is None:
            raise NoSuchEdit(f"the outbox has no edit {edit_id}")
        return Edit(*found)

    def laid_over(self) -> list[Edit]:
        """Return the edits that the view shows as if they were made: all but conflicts."""
        return [edit for edit in self.edits() if edit.state != "conflict"]

    def conflicts(self) -> list[Edit]:
        """Return the edits that wait for a decision."""
        return [edit for edit in self.edits() if edit.state == "conflict"]

    # --- editing offline ---

    def change_flags(
        self, mailbox: MailboxRow, uid: int, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> Edit | None:
        """
        Set and remove flags of a message.

        Returns: the edit; None when the message is as wanted already, and an edit that is undone is gone.
        Raises: NoSuchMessage, InvalidEdit
        """
        add, remove = checked_flags(add), checked_flags(remove)
        if {flag.lower() for flag in add} & {flag.lower() for flag in remove}:
            raise InvalidEdit("a flag cannot be set and removed in one edit")
        with self._replica.transaction():
            row = self._message(mailbox, uid)
            before = self._waiting(mailbox, uid, ("flags",))
            base_flags = split_flags(before.base_flags if before else self._expected_flags(mailbox, row))
            had = before.wanted_flags if before else base_flags
            wanted = edited_flags(had, add, remove)
            base_mod_seq = before.base_mod_seq if before else row.mod_seq
            if before is not None:
                self._delete(before.edit_id)
            names = {flag.lower() for flag in base_flags}
            wanted_names = {flag.lower() for flag in wanted}
            to_add = join_flags(flag for flag in wanted if flag.lower() not in names)
            to_remove = join_flags(flag for flag in base_flags if flag.lower() not in wanted_names)
            if not to_add and not to_remove:
                return None
            return self._insert(
                "flags",
                mailbox=mailbox,
                uid=uid,
                base_mod_seq=base_mod_seq,
                base_flags=join_flags(base_flags),
                add_flags=to_add,
                remove_flags=to_remove,
            )

    def move(self, mailbox: MailboxRow, uid: int, target: str) -> Edit | None:
        """
        Move a message to another mailbox; moving it back where it is on the server undoes the move.

        Raises: NoSuchMessage, NoSuchMailbox
        """
        with self._replica.transaction():
            row = self._message(mailbox, uid)
            target = self._replica.mailbox(target).name
            self._drop_departure(mailbox, uid)
            if target == mailbox.name:
                return None
            return self._insert(
                "move",
                mailbox=mailbox,
                uid=uid,
                base_mod_seq=row.mod_seq,
                base_flags=row.flags,
                target=target,
            )

    def delete(self, mailbox: MailboxRow, uid: int) -> Edit:
        """Delete a message; edits of it that wait are dropped. Raises NoSuchMessage."""
        with self._replica.transaction():
            row = self._message(mailbox, uid)
            # The condition is the state that was seen when the message was first edited.
            first = self._waiting(mailbox, uid, ("flags", "move"))
            self._drop_departure(mailbox, uid)
            flags = self._waiting(mailbox, uid, ("flags",))
            if flags is not None:
                self._delete(flags.edit_id)
            base = (
                (first.base_mod_seq, first.base_flags)
                if first
                else (
                    row.mod_seq,
                    self._expected_flags(mailbox, row),
                )
            )
            return self._insert("delete", mailbox=mailbox, uid=uid, base_mod_seq=base[0], base_flags=base[1])

    def append(
        self, target: str, octets: bytes, flags: Iterable[str] = (), received_at: int | None = None
    ) -> Edit:
        """
        Add a message to a mailbox.

        Args:
            target: name of the mailbox.
            octets: the message, with CR LF at its line ends.
            received_at: its internal date in seconds since 1970; None for now.
        Raises: NoSuchMailbox, InvalidEdit

        """
        if not octets or len(octets) > limits.APPEND_LITERAL_BYTES_MAX:
            raise InvalidEdit(f"a message of {len(octets):,} octets cannot be appended")
        with self._replica.transaction():
            return self._insert(
                "append",
                target=self._replica.mailbox(target).name,
                add_flags=join_flags(checked_flags(flags)),
                content_id=self._replica.keep_content(octets),
                received_at=clock.now_seconds() if received_at is None else received_at,
            )

    def drop(self, edit_id: int) -> Edit:
        """
        Forget an edit that waits or is in conflict: the server's side stays.

        Raises: NoSuchEdit; InvalidEdit for one that was sent and whose outcome is not known yet.
        """
        with self._replica.transaction():
            edit = self.edit(edit_id)
            if edit.state == "sent":
                raise InvalidEdit(f"edit {edit_id} was sent and its outcome is not known yet: push first")
            self._delete(edit_id)
            return edit

    def insist(self, edit_id: int) -> Edit | None:
        """
        Decide a conflict for the own side: the edit waits again, made anew on what the server has now.

        Returns: the new edit; None when there is nothing left to do.
        Raises: NoSuchEdit; InvalidEdit when the message or the mailbox is gone.
        """
        with self._replica.transaction():
            edit = self.edit(edit_id)
            if edit.state != "conflict":
                raise InvalidEdit(f"edit {edit_id} is no conflict")
            if edit.kind == "append":
                self._delete(edit_id)
                return self._insert(
                    "append",
                    target=self._replica.mailbox(edit.target or "").name,
                    add_flags=edit.add_flags,
                    content_id=edit.content_id,
                    received_at=edit.received_at,
                )
            mailbox = None if edit.mailbox_id is None else self._replica.mailbox_by_id(edit.mailbox_id)
            if mailbox is None or mailbox.uid_validity != edit.uid_validity:
                raise InvalidEdit("the mailbox that held the message is gone or was made anew")
            if self._replica.message(mailbox.mailbox_id, edit.uid) is None:
                raise InvalidEdit("the message is gone from the server")
            self._delete(edit_id)
            if edit.kind == "flags":
                return self.change_flags(
                    mailbox, edit.uid, split_flags(edit.add_flags), split_flags(edit.remove_flags)
                )
            if edit.kind == "delete":
                return self.delete(mailbox, edit.uid)
            return self.move(mailbox, edit.uid, edit.target or "")

    # --- what the push does ---

    def begin(self, edit: Edit, *, step: str = "", sent_validity: int = 0, sent_uid_next: int = 0) -> Edit:
        """Note, durably and before the command is written, that it is."""
        with self._replica.transaction():
            self._replica.execute(
                "UPDATE edit SET state = 'sent', step = ?, sent_validity = ?, sent_uid_next = ? WHERE edit_id = ?",
                (step, sent_validity, sent_uid_next, edit.edit_id),
            )
            return self.edit(edit.edit_id)

    def take_back(self, edit: Edit) -> Edit:
        """Note that the command had no effect: the edit waits as before."""
        with self._replica.transaction():
            self._replica.execute(
                "UPDATE edit SET state = 'waiting', step = '', sent_validity = 0, sent_uid_next = 0 "
                "WHERE edit_id = ?",
                (edit.edit_id,),
            )
            return self.edit(edit.edit_id)

    def rebase(self, edit: Edit, mod_seq: int, flags: str) -> Edit:
        """Take a newer state of the message for the edit's condition; the edit waits."""
        with self._replica.transaction():
            self._replica.execute(
                "UPDATE edit SET state = 'waiting', step = '', base_mod_seq = ?, base_flags = ? WHERE edit_id = ?",
                (mod_seq, flags, edit.edit_id),
            )
            return self.edit(edit.edit_id)

    def narrow(self, edit: Edit, flags: Iterable[str]) -> Edit:
        """Leave out of an edit of flags what the message has already; the edit waits under its old condition."""
        has = {flag.lower() for flag in flags}
        with self._replica.transaction():
            self._replica.execute(
                "UPDATE edit SET state = 'waiting', add_flags = ?, remove_flags = ? WHERE edit_id = ?",
                (
                    join_flags(flag for flag in edit.add_flags.split() if flag.lower() not in has),
                    join_flags(flag for flag in edit.remove_flags.split() if flag.lower() in has),
                    edit.edit_id,
                ),
            )
            return self.edit(edit.edit_id)

    def settle(self, edit: Edit) -> None:
        """Forget an edit that the server has."""
        with self._replica.transaction():
            self._delete(edit.edit_id)

    def conflict(self, edit: Edit, reason: str, theirs: str) -> Edit:
        """Keep an edit as a conflict, with both sides."""
        with self._replica.transaction():
            sides = {
                "reason": reason,
                "mine": _mine(edit),
                "theirs": theirs,
                "found_at": clock.now_seconds(),
                **self._naming(edit),
            }
            self._replica.execute(
                "UPDATE edit SET state = 'conflict', conflict = ? WHERE edit_id = ?",
                (json.dumps(sides), edit.edit_id),
            )
            return self.edit(edit.edit_id)

    def orphan(self, mailbox_id: int, reason: str, theirs: str) -> None:
        """Keep all edits of a mailbox as conflicts that name no message any more: its UIDs mean nothing now."""
        with self._replica.transaction():
            for edit in self.edits():
                if edit.mailbox_id == mailbox_id:
                    self.conflict(edit, reason, theirs)
            self._replica.execute("UPDATE edit SET mailbox_id = NULL WHERE mailbox_id = ?", (mailbox_id,))

    # --- inside ---

    def _naming(self, edit: Edit) -> dict[str, str]:
        """Return what names the message for people, also when it is gone later."""
        before = edit.sides
        mailbox = None if edit.mailbox_id is None else self._replica.mailbox_by_id(edit.mailbox_id)
        name = mailbox.name if mailbox else str(before.get("mailbox", edit.target or ""))
        if edit.kind == "append":
            return {"mailbox": name, "subject": str(before.get("subject", ""))}
        subject = before.get("subject", "")
        if mailbox and mailbox.uid_validity == edit.uid_validity:
            subject = self._replica.summary(mailbox.mailbox_id, edit.uid).subject or subject
        return {"mailbox": name, "subject": str(subject)}

    def of_message(self, mailbox_id: int, uid: int) -> list[Edit]:
        """Return the edits of one message in the order in which they were made, conflicts too."""
        statement = f"SELECT {_COLUMNS} FROM edit WHERE mailbox_id = ? AND uid = ? ORDER BY edit_id"  # noqa: S608
        return [Edit(*row) for row in self._replica.execute(statement, (mailbox_id, uid))]

    def _message(self, mailbox: MailboxRow, uid: int) -> MessageRow:
        """Return a message that can be edited."""
        row = self._replica.message(mailbox.mailbox_id, uid)
        edits = [edit for edit in self.of_message(mailbox.mailbox_id, uid) if edit.state != "conflict"]
        if row is None or any(edit.kind == "delete" for edit in edits):
            raise NoSuchMessage(f"{mailbox.name} has no message {uid}")
        if any((edit.kind, edit.state) == ("move", "sent") for edit in edits):
            raise InvalidEdit(f"message {uid} of {mailbox.name} is on its way to another mailbox: push first")
        return row

    def _waiting(self, mailbox: MailboxRow, uid: int, kinds: tuple[Kind, ...]) -> Edit | None:
        """Return the first edit of these kinds of a message that was not sent."""
        edits = self.of_message(mailbox.mailbox_id, uid)
        return next((edit for edit in edits if edit.state == "waiting" and edit.kind in kinds), None)

    def _expected_flags(self, mailbox: MailboxRow, row: MessageRow) -> str:
        """Return the flags that the message has once what was sent is carried out."""
        flags = split_flags(row.flags)
        for edit in self.of_message(mailbox.mailbox_id, row.uid):
            if (edit.state, edit.kind) == ("sent", "flags"):
                flags = edited_flags(flags, split_flags(edit.add_flags), split_flags(edit.remove_flags))
        return join_flags(flags)

    def _drop_departure(self, mailbox: MailboxRow, uid: int) -> None:
        """Drop a move that waits; one that was sent stays, and what follows is decided after it."""
        before = self._waiting(mailbox, uid, ("move",))
        if before is not None:
            self._delete(before.edit_id)

    def _delete(self, edit_id: int) -> None:
        self._replica.execute("DELETE FROM edit WHERE edit_id = ?", (edit_id,))

    def _insert(
        self,
        kind: Kind,
        *,
        mailbox: MailboxRow | None = None,
        uid: int = 0,
        base_mod_seq: int = 0,
        base_flags: str = "",
        add_flags: str = "",
        remove_flags: str = "",
        target: str | None = None,
        content_id: int | None = None,
        received_at: int = 0,
    ) -> Edit:
        self._replica.execute(
            "INSERT INTO edit VALUES (NULL, ?, 'waiting', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, 0, NULL)",
            (
                *(kind, clock.now_seconds()),
                *((mailbox.mailbox_id, mailbox.uid_validity) if mailbox else (None, 0)),
                *(uid, base_mod_seq, base_flags, add_flags, remove_flags, target, content_id, received_at),
            ),
        )
        (edit_id,) = next(self._replica.execute("SELECT max(edit_id) FROM edit"))
        return self.edit(edit_id)


def _mine(edit: Edit) -> str:
    """Return the own side of a conflict in words."""
    if edit.kind == "flags":
        return f"{edit.describe()} (on {edit.base_flags or 'no flags'}, mod-sequence {edit.base_mod_seq})"
    if edit.kind == "delete":
        return f"delete (with {edit.base_flags or 'no flags'}, mod-sequence {edit.base_mod_seq})"
    return edit.describe()


def agrees(edit: Edit, flags: Iterable[str]) -> bool:
    """Whether a message with these flags has all that an edit of flags wants."""
    return same_flags(flags, edited_flags(flags, split_flags(edit.add_flags), split_flags(edit.remove_flags)))
