r"""
Edits from the outbox carried to the server, each only on the state of the message on which it was made.

An edit of flags is a STORE with UNCHANGEDSINCE. A refusal is looked into: if the message already has what was
wanted, the edit is done; if other flags than those of the edit explain the newer number (servers that keep
one number a message count every change), the edit is repeated on the newer state; anything else is a conflict,
kept with both sides. A delete compares the whole message, because it destroys what somebody else may have just
marked. A move overwrites nothing and needs only that the message is there (ADR 0031).

Before a command is written its edit is marked as sent. After a cut that mark tells what to look for: a
conditional STORE is simply repeated, for the message then has what was wanted; copies are looked up in their
target above the UIDNEXT that was noted before (`lookup`). Nothing is done twice.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from modseq import limits
from modseq.client import Client
from modseq.client.errors import CommandFailed, MailboxNotFound
from modseq.client.results import Selected, Stored
from modseq.client.surface import Batch
from modseq.client.verbs.command import Pending
from modseq.core.numset import NumSet
from modseq.mirror.lookup import OutcomeUnknown, Wanted, find_arrived
from modseq.mirror.outbox import Edit, Outbox, agrees
from modseq.mirror.records import MailboxRow, edited_flags, join_flags, same_flags, split_flags
from modseq.mirror.replica import Replica
from modseq.mirror.summary import summary_of
from modseq.wire.response_values import StatusData

_PER_ITEM = ("XALLORNONE", "XMODSEQ")
"""Capabilities of servers that keep a mod-sequence per flag: MODIFIED then speaks of the very flags named."""


@dataclass(slots=True)
class Pushed:
    """
    What became of the edits.

    Attributes:
        done: what the server has now, in words.
        conflicts: new ones.
        notes: for people.
        touched: numbers of the mailboxes that the push changed or looked into.

    """

    done: list[str] = field(default_factory=list)
    conflicts: list[Edit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    touched: frozenset[int] = frozenset()


class Push:
    """One push of everything that waits; `run` once, over a connection that is logged in."""

    def __init__(self, replica: Replica, client: Client) -> None:
        self._replica = replica
        self._client = client
        self._outbox = Outbox(replica)
        self._pushed = Pushed()
        self._claimed: dict[str, set[int]] = {}
        self._selected: Selected | None = None

    async def run(self) -> Pushed:
        """Push what waits. Raises ClientError when the connection fails; run again to go on."""
        edits = self._outbox.laid_over()
        if any(edit.state == "sent" for edit in edits):
            # The server may still be at the command that was cut off.
            await asyncio.sleep(limits.MIRROR_LATE_COMMAND_SECONDS)
        for edit in edits:
            if edit.kind == "append":
                await self._append(edit)
        for edit in edits:
            if (edit.kind, edit.state) == ("move", "sent"):
                await self._resolve_move(edit)
        mailbox_ids = dict.fromkeys(edit.mailbox_id for edit in edits if edit.mailbox_id is not None)
        for mailbox_id in mailbox_ids:
            row = self._replica.mailbox_by_id(mailbox_id)
            if row is not None and self._waiting(row):
                await self._mailbox(row)
        return self._pushed

    def _waiting(self, row: MailboxRow) -> list[Edit]:
        return [edit for edit in self._outbox.laid_over() if edit.mailbox_id == row.mailbox_id]

    # --- results ---

    def _touch(self, name: str | None) -> None:
        found = {row.mailbox_id for row in self._replica.mailboxes() if row.name == name}
        self._pushed.touched |= found

    def _settle(self, edit: Edit, words: str = "") -> None:
        where = ""
        if edit.mailbox_id is not None and (row := self._replica.mailbox_by_id(edit.mailbox_id)):
            where = f"{row.name} {edit.uid}: "
        self._outbox.settle(edit)
        self._pushed.done.append(where + (words or edit.describe()))

    def _conflict(self, edit: Edit, reason: str, theirs: str) -> None:
        self._pushed.conflicts.append(self._outbox.conflict(edit, reason, theirs))

    def _gone(self, edit: Edit) -> None:
        """Keep an edit of a message that is gone as a conflict; those behind it need not wait for a decision."""
        assert edit.mailbox_id is not None
        for each in self._outbox.of_message(edit.mailbox_id, edit.uid):
            if each.edit_id != edit.edit_id and each.state != "waiting":
                continue
            if each.kind == "delete":
                self._settle(each, f"{each.describe()} (it was gone already)")
            else:
                self._conflict(each, "the message is gone", "gone")

    # --- appends ---

    async def _append(self, edit: Edit) -> None:
        target = edit.target or ""
        octets = self._replica.content(edit.content_id)
        try:
            if edit.state == "sent":
                if await self._arrived(edit, self._wanted_append(edit, octets)):
                    self._settle(edit)
                    return
                edit = self._outbox.take_back(edit)
            status = await self._client.status(target, ("UIDNEXT", "UIDVALIDITY"))
            edit = self._outbox.begin(
                edit, sent_validity=status.uid_validity or 0, sent_uid_next=status.uid_next or 1
            )
            date = dt.datetime.fromtimestamp(edit.received_at, dt.UTC)
            flags = sorted(split_flags(edit.add_flags))
            await self._client.append(target, octets, flags=flags, date=date)
            self._touch(target)
        except CommandFailed as error:
            self._conflict(edit, "the server refused it", error.text)
        except OutcomeUnknown as unknown:
            self._conflict(edit, "nobody can tell whether it arrived", str(unknown))
        else:
            self._settle(edit)

    def _wanted_append(self, edit: Edit, octets: bytes) -> Wanted:
        message_id = summary_of(octets).message_id
        return Wanted(
            *(edit.target or "", edit.sent_validity, edit.sent_uid_next, message_id, len(octets)),
            received_at=edit.received_at,
            octets=octets,
        )

    async def _arrived(self, edit: Edit, wanted: Wanted) -> bool:
        """Look a message up in its target; of two equal ones each is found once."""
        claimed = self._claimed.setdefault(wanted.mailbox, set())
        uid = await find_arrived(self._client, wanted, claimed)
        self._touch(wanted.mailbox)
        if uid is not None:
            claimed.add(uid)
            self._pushed.notes.append(f"{edit.describe()}: the answer was lost, the message is there")
        return uid is not None

    # --- messages of one mailbox ---

    async def _mailbox(self, row: MailboxRow) -> None:
        self._touch(row.name)
        try:
            self._selected = selected = await self._client.select(row.name)
        except MailboxNotFound as error:
            for edit in self._waiting(row):
                self._conflict(edit, "the mailbox cannot be opened", error.text)
            return
        problem = None
        if selected.uid_validity != row.uid_validity:
            problem = "the mailbox was made anew (UIDVALIDITY changed)"
        elif selected.read_only:
            problem = "the mailbox is read-only"
        if problem:
            for edit in self._waiting(row):
                self._conflict(edit, problem, "unknown")
            return
        await self._flags(row)
        for edit in self._departures(row, "delete"):
            await self._delete(edit)
        await self._moves(row)

    def _departures(self, row: MailboxRow, kind: str) -> list[Edit]:
        """Return moves or deletes of messages no other edit of which is open."""
        found = []
        for edit in self._waiting(row):
            if edit.kind != kind:
                continue
            others = [each for each in self._outbox.of_message(row.mailbox_id, edit.uid) if each != edit]
            if others:
                self._pushed.notes.append(
                    f"message {edit.uid} of {row.name}: {edit.describe()} waits for a decision"
                )
            else:
                found.append(edit)
        return found

    def _has_numbers(self, edit: Edit) -> bool:
        assert self._selected is not None
        return edit.base_mod_seq > 0 and bool(self._selected.highest_mod_seq)

    # --- flags ---

    async def _flags(self, row: MailboxRow) -> None:
        """Carry out the edits of flags, one of each message at a time, several in one round trip."""
        for _ in range(limits.MIRROR_REPAIRS_MAX):
            first: dict[int, Edit] = {}
            for edit in self._waiting(row):
                if edit.kind == "flags":
                    first.setdefault(edit.uid, edit)
            if not first:
                return
            edits = list(first.values())
            for start in range(0, len(edits), limits.MIRROR_PUSH_EDITS_MAX):
                await self._store_flags(edits[start : start + limits.MIRROR_PUSH_EDITS_MAX])
        for edit in self._waiting(row):
            if edit.kind == "flags":
                self._conflict(edit, "the message keeps changing", "unknown")

    async def _store_flags(self, edits: Sequence[Edit]) -> None:
        with self._replica.transaction():
            edits = [self._outbox.begin(edit) for edit in edits]
        conditional = [edit for edit in edits if self._has_numbers(edit)]
        async with self._client.pipeline() as batch:
            slots = [(edit, _conditional_store(batch, edit)) for edit in conditional]
        for edit, slot in slots:
            try:
                stored = slot.result
            except CommandFailed as error:
                self._conflict(edit, "the server refused it", error.text)
                continue
            if edit.uid in stored.applied:
                self._flags_done(edit, stored)
            elif edit.uid in stored.modified:
                flags, mod_seq = await self._now(edit.uid, stored)
                self._judge(edit, flags, mod_seq)
            else:
                self._gone(edit)
        for edit in edits:
            if not self._has_numbers(edit):
                await self._store_unconditionally(edit)

    async def _store_unconditionally(self, edit: Edit) -> None:
        """Set and remove single flags where the server keeps no numbers: others keep theirs."""
        flags, _ = await self._now(edit.uid, None)
        if flags is None:
            self._gone(edit)
            return
        try:
            if edit.add_flags:
                await self._client.store(edit.uid, add=edit.add_flags.split())
            if edit.remove_flags:
                await self._client.store(edit.uid, remove=edit.remove_flags.split())
        except CommandFailed as error:
            self._conflict(edit, "the server refused it", error.text)
        else:
            self._settle(edit)

    def _flags_done(self, edit: Edit, stored: Stored) -> None:
        """Forget the edit; later ones of the message that were made on its outcome follow."""
        self._settle(edit)
        told = stored.messages.get(edit.uid)
        if told is None or told.flags is None or not told.mod_seq or edit.mailbox_id is None:
            return
        self._follow(edit, told.flags, told.mod_seq)

    def _follow(self, edit: Edit, flags: frozenset[str], mod_seq: int) -> None:
        assert edit.mailbox_id is not None
        for later in self._outbox.of_message(edit.mailbox_id, edit.uid):
            if later.state == "waiting" and same_flags(split_flags(later.base_flags), flags):
                self._outbox.rebase(later, mod_seq, join_flags(flags))

    async def _now(self, uid: int, stored: Stored | None) -> tuple[frozenset[str] | None, int]:
        """Return a message's flags and number as they are now; None where it is gone."""
        told = stored.messages.get(uid) if stored is not None else None
        if told is None or told.flags is None or not told.mod_seq:
            items = ("FLAGS", "MODSEQ") if stored is not None else ("FLAGS",)
            told = (await self._client.fetch(uid, items)).by_uid().get(uid)
        if told is None or told.flags is None:
            return None, 0
        return told.flags, told.mod_seq or 0

    def _judge(self, edit: Edit, flags: frozenset[str] | None, mod_seq: int) -> None:
        """Decide what a refused edit of flags means."""
        if flags is None:
            self._gone(edit)
            return
        if agrees(edit, flags):
            self._settle(edit, f"{edit.describe()} (it was so already)")
            self._follow(edit, flags, mod_seq)
            return
        names_all = bool(edit.add_flags) != bool(edit.remove_flags)
        if names_all and any(self._client.has(each) for each in _PER_ITEM):
            # The refusal speaks of the flags named and of no others.
            narrowed = self._outbox.narrow(edit, flags)
            if (narrowed.add_flags, narrowed.remove_flags) != (edit.add_flags, edit.remove_flags):
                return
        elif not same_flags(flags, split_flags(edit.base_flags)):
            self._outbox.rebase(edit, mod_seq, join_flags(flags))
            return
        self._conflict(edit, "somebody changed the same flags since", _theirs(flags, mod_seq))

    # --- deletes ---

    async def _delete(self, edit: Edit) -> None:
        edit = self._outbox.begin(edit)
        wanted = edit.wanted_flags
        try:
            if self._has_numbers(edit):
                stored = await self._client.store(
                    edit.uid, replace=sorted(wanted), unchanged_since=edit.base_mod_seq
                )
                refused = edit.uid in stored.modified
                is_there = refused or edit.uid in stored.applied
                flags, mod_seq = await self._now(edit.uid, stored) if refused else (wanted, 0)
            else:
                flags, mod_seq = await self._now(edit.uid, None)
                is_there = flags is not None
                if flags is not None and same_flags(flags, split_flags(edit.base_flags)):
                    await self._client.store(edit.uid, add="\\Deleted")
                    flags = wanted
            if not is_there or flags is None:
                self._settle(edit, "delete (it was gone already)")
            elif not same_flags(flags, wanted):
                self._conflict(edit, "somebody changed the message since", _theirs(flags, mod_seq))
            else:
                await self._expunge(edit)
        except CommandFailed as error:
            self._conflict(edit, "the server refused it", error.text)

    async def _expunge(self, edit: Edit) -> None:
        """Remove a message that is marked as deleted, and no other."""
        if self._client.has("UIDPLUS") or self._client.has("IMAP4rev2"):
            await self._client.expunge(edit.uid)
        elif (await self._client.search("DELETED")).uids == NumSet.single(edit.uid):
            await self._client.expunge()
        else:
            self._settle(edit, "delete")
            self._pushed.notes.append(
                f"message {edit.uid} is marked \\Deleted and not expunged: others are marked too, "
                "and the server cannot expunge single messages"
            )
            return
        if (await self._client.search(f"UID {edit.uid}")).uids:
            flags, mod_seq = await self._now(edit.uid, None)
            theirs = "gone" if flags is None else _theirs(flags, mod_seq)
            self._conflict(edit, "somebody took the mark \\Deleted away", theirs)
        else:
            self._settle(edit)

    # --- moves ---

    async def _moves(self, row: MailboxRow) -> None:
        by_target: dict[str, list[Edit]] = {}
        for edit in self._departures(row, "move"):
            by_target.setdefault(edit.target or "", []).append(edit)
        for target, edits in by_target.items():
            present = (await self._client.search(f"UID {_set_of(edits)}")).uids
            for edit in edits:
                if edit.uid not in present:
                    self._gone(edit)
            here = [edit for edit in edits if edit.uid in present]
            if here:
                await self._move(here, target)

    async def _move(self, edits: list[Edit], target: str) -> None:
        self._touch(target)
        has_move = self._client.has("MOVE") or self._client.has("IMAP4rev2")
        try:
            status = await self._client.status(target, ("UIDNEXT", "UIDVALIDITY"))
            with self._replica.transaction():
                edits = [self._begin_move(edit, status) for edit in edits]
            uids = NumSet(edit.uid for edit in edits)
            if has_move:
                await self._client.move(uids, target)
            else:
                await self._client.copy(uids, target)
                await self._client.store(uids, add="\\Deleted")
                await self._expunge_moved(uids)
        except CommandFailed as error:
            for edit in edits:
                self._conflict(edit, "the server refused it", error.text)
            return
        for edit in edits:
            self._settle(edit)

    def _begin_move(self, edit: Edit, status: StatusData) -> Edit:
        """Note what to look for if the answer is lost: by then the copy may have forgotten the message."""
        message = self._replica.message(edit.mailbox_id or 0, edit.uid)
        assert message is not None
        assert edit.mailbox_id is not None
        trace = {
            "message_id": self._replica.summary(edit.mailbox_id, edit.uid).message_id,
            "size": message.size,
            "received_at": message.received_at,
            "email_id": message.email_id,
        }
        return self._outbox.begin(
            edit,
            step=json.dumps(trace),
            sent_validity=status.uid_validity or 0,
            sent_uid_next=status.uid_next or 1,
        )

    async def _expunge_moved(self, uids: NumSet) -> None:
        """Remove the originals of copies."""
        if self._client.has("UIDPLUS"):
            await self._client.expunge(uids)
        elif (await self._client.search("DELETED")).uids == uids:
            await self._client.expunge()
        else:
            self._pushed.notes.append("the originals of moved messages stay, marked \\Deleted")

    async def _resolve_move(self, edit: Edit) -> None:
        """Find out what became of a move whose answer was lost, and finish it."""
        row = self._replica.mailbox_by_id(edit.mailbox_id or 0)
        if row is None:
            return
        try:
            arrived = await self._arrived(edit, _wanted_move(edit))
            selected = await self._client.select(row.name)
        except (OutcomeUnknown, MailboxNotFound) as unknown:
            self._conflict(edit, "nobody can tell whether it arrived", str(unknown))
            return
        self._touch(row.name)
        is_here = selected.uid_validity == row.uid_validity and bool(
            (await self._client.search(f"UID {edit.uid}")).uids
        )
        if not arrived and is_here:
            self._outbox.take_back(edit)
        elif arrived and is_here:
            await self._client.store(edit.uid, add="\\Deleted")
            await self._expunge_moved(NumSet.single(edit.uid))
            self._settle(edit)
        elif arrived:
            self._settle(edit)
        else:
            self._conflict(edit, f"the message is gone, and not in {edit.target}", "gone")


def _wanted_move(edit: Edit) -> Wanted:
    return Wanted(
        mailbox=edit.target or "",
        uid_validity=edit.sent_validity,
        uid_next=edit.sent_uid_next,
        **json.loads(edit.step),
    )


def _conditional_store(batch: Batch, edit: Edit) -> Pending[Stored]:
    """Add an edit of flags to a pipeline: both kinds together only as the whole set, for one STORE is one act."""
    add, remove = edit.add_flags.split(), edit.remove_flags.split()
    base = edit.base_mod_seq
    if add and remove:
        wanted = sorted(edited_flags(split_flags(edit.base_flags), add, remove))
        return batch.store(edit.uid, replace=wanted, unchanged_since=base)
    if add:
        return batch.store(edit.uid, add=add, unchanged_since=base)
    return batch.store(edit.uid, remove=remove, unchanged_since=base)


def _theirs(flags: frozenset[str], mod_seq: int) -> str:
    """Return the other side of a conflict in words."""
    shown = join_flags(flags) or "no flags"
    return f"{shown}, mod-sequence {mod_seq}" if mod_seq else shown


def _set_of(edits: Sequence[Edit]) -> str:
    return NumSet(edit.uid for edit in edits).to_bytes().decode("ascii")
