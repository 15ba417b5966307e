"""The reference backend: everything in memory, every rule as in the others, nothing durable.

It commits each operation by itself, so it is also the plainest statement of the order of things.
"""

import asyncio
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from modseq import clock
from modseq.core.account import AccountDraft, AccountState, CopiedRows
from modseq.core.change import ChangeSet
from modseq.core.errors import MailboxNotFound, UserExists, UserNotFound
from modseq.core.history import ExpungeLog, History
from modseq.core.mailbox import Counters, MailboxState
from modseq.core.mailbox_operations import INBOX, CreateMailbox
from modseq.core.message import MessageRow, NewMessage
from modseq.core.operations import Operation

Outcome = TypeVar("Outcome")


class MemoryAccount:
    """The mail of one user; a backend in which a commit cannot fail."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._account = AccountState()
        self._states: dict[int, MailboxState] = {}
        self._contents: dict[int, NewMessage] = {}
        self._rows: dict[int, dict[int, tuple[int, int]]] = {}
        self._watchers: dict[object, Callable[[], None]] = {}
        self.commit_now(CreateMailbox(INBOX))

    def listing(self) -> AccountState:
        """Return the listing."""
        return self._account

    @property
    def is_current(self) -> bool:
        """True: there is no other process."""
        return True

    async def refresh(self) -> None:
        """Do nothing: there is no other process."""

    def published(self, mailbox_id: int) -> MailboxState | None:
        """Return the state of a mailbox, None when it was deleted."""
        return self._states.get(mailbox_id)

    async def mailbox(self, mailbox_id: int) -> MailboxState:
        """Return the state of a mailbox; raises MailboxNotFound."""
        return self._state(mailbox_id)

    async def changes_since(self, mailbox_id: int, mod_seq: int) -> ChangeSet:
        """Return what happened after ``mod_seq``; raises MailboxNotFound."""
        return self._state(mailbox_id).changes_since(mod_seq)

    def changes_at_once(self, mailbox_id: int, mod_seq: int) -> tuple[MailboxState, ChangeSet] | None:
        """Return the state of a mailbox and what leads to it, None when it was deleted."""
        state = self._states.get(mailbox_id)
        return None if state is None else (state, state.changes_since(mod_seq))

    async def counters(self, mailbox_ids: Iterable[int]) -> Mapping[int, Counters]:
        """Return the counters of those mailboxes that exist."""
        return {each: self._states[each].counters for each in mailbox_ids if each in self._states}

    async def commit(self, operation: Operation[Outcome]) -> Outcome:
        """Carry out an operation after those that came before it."""
        mailbox_ids = operation.mailbox_ids()
        if mailbox_ids and (state := self._states.get(mailbox_ids[0])) is not None:
            for _ in operation.prepare(state):
                await asyncio.sleep(0)
        return self.commit_now(operation)

    def commit_now(self, operation: Operation[Outcome]) -> Outcome:
        """Carry out an operation, publish its changes, and wake the watchers."""
        draft = AccountDraft(self._account, self._state, clock.now_seconds())
        outcome = draft.run(operation)
        if draft.touched:
            self._keep(draft)
            for callback in list(self._watchers.values()):
                callback()
        return outcome

    async def rows(
        self, mailbox_id: int, uids: "Sequence[int] | array[int]", *, ready: bool
    ) -> list[MessageRow]:
        """Return what never changes about messages."""
        held = self._rows.get(mailbox_id, {})
        found = []
        for uid in uids:
            if uid in held:
                email_id, saved_at = held[uid]
                found.append(_row(uid, email_id, saved_at, self._contents[email_id], ready=ready))
        return found

    async def read(self, email_id: int, offset: int = 0, length: int | None = None) -> bytes:
        """Return octets of a message; raises MailboxNotFound."""
        message = self._contents.get(email_id)
        if message is None:
            raise MailboxNotFound("The message is gone.")
        end = None if length is None else offset + length
        return message.content.data[offset:end]

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called after each commit."""
        key = object()
        self._watchers[key] = callback
        return lambda: self._watchers.pop(key, None) and None

    def forget_expunges(self, mailbox_id: int, horizon: int) -> None:
        """Forget the expunges numbered ``horizon`` or less, as an operator's bound on history would."""
        state = self._state(mailbox_id).copy()
        horizon = min(horizon, state.mod_seq)
        expunged = state.history.expunged or ExpungeLog()
        for change in state.history.after(state.history.floor, state.mod_seq):
            expunged.extend(change.mod_seq, change.vanished)
        expunged.forget(horizon)
        state.history = History(floor=state.mod_seq, expunged=expunged)
        state.horizon = max(state.horizon, horizon)
        self._states[mailbox_id] = state

    def _state(self, mailbox_id: int) -> MailboxState:
        state = self._states.get(mailbox_id)
        if state is None:
            raise MailboxNotFound("The mailbox was deleted.")
        return state

    def _keep(self, draft: AccountDraft) -> None:
        for mailbox_id in draft.created:
            state = draft.states.get(mailbox_id)
            if state is not None:
                # Every expunge of a new mailbox will be in memory.
                state.history.expunged = ExpungeLog()
        self._contents.update(draft.contents)
        for row in draft.rows:
            held = self._rows.setdefault(row.mailbox_id, {})
            if isinstance(row, CopiedRows):
                source = self._rows[row.source_id]
                for uid, source_uid in enumerate(row.source_uids, row.first_uid):
                    held[uid] = source[source_uid][0], row.saved_at
            else:
                held[row.uid] = row.email_id, row.saved_at
        for mailbox_id, changes in draft.changes.items():
            held = self._rows.get(mailbox_id, {})
            for change in changes:
                for uid in change.vanished:
                    del held[uid]
        for mailbox_id in draft.deleted:
            self._rows.pop(mailbox_id, None)
            self._states.pop(mailbox_id, None)
        self._states.update(draft.publish())
        self._account = draft.account
        if any(change.vanished for changes in draft.changes.values() for change in changes) or draft.deleted:
            used = {email_id for held in self._rows.values() for email_id, _ in held.values()}
            for email_id in self._contents.keys() - used:
                del self._contents[email_id]


def _row(uid: int, email_id: int, saved_at: int, message: NewMessage, *, ready: bool) -> MessageRow:
    content = message.content
    row = MessageRow(
        uid=uid,
        email_id=email_id,
        size=len(content.data),
        saved_at=saved_at,
        received_at=message.received_at,
        received_zone=message.received_zone,
        sent_date=content.sent_date,
    )
    if not ready:
        return row
    return replace(
        row,
        envelope=content.envelope,
        body=content.body,
        structure=content.structure,
        parts=content.parts,
    )


class MemoryDirectory:
    """Users in a dictionary."""

    def __init__(self, accounts: dict[str, MemoryAccount]) -> None:
        self._accounts = accounts
        self._hashes: dict[str, str] = {}

    async def add(self, name: str, password_hash: str) -> None:
        """Add a user; raises UserExists."""
        if name in self._hashes:
            raise UserExists(f"There is a user {name} already.")
        self._hashes[name] = password_hash
        self._accounts[name] = MemoryAccount(name)

    async def remove(self, name: str) -> None:
        """Remove a user; raises UserNotFound."""
        if self._hashes.pop(name, None) is None:
            raise UserNotFound(f"There is no user {name}.")
        del self._accounts[name]

    async def names(self) -> list[str]:
        """Return the names of all users."""
        return sorted(self._hashes)

    async def password_hash(self, name: str) -> str | None:
        """Return the hash of a user's password, None for no such user."""
        return self._hashes.get(name)

    async def set_password_hash(self, name: str, password_hash: str) -> None:
        """Replace a user's password; raises UserNotFound."""
        if name not in self._hashes:
            raise UserNotFound(f"There is no user {name}.")
        self._hashes[name] = password_hash


class MemoryStore:
    """Accounts that live as long as the process."""

    def __init__(self) -> None:
        self._accounts: dict[str, MemoryAccount] = {}
        self.directory = MemoryDirectory(self._accounts)

    async def account(self, name: str) -> MemoryAccount:
        """Return the account of a user; raises UserNotFound."""
        account = self._accounts.get(name)
        if account is None:
            raise UserNotFound(f"There is no user {name}.")
        return account

    async def close(self) -> None:
        """Do nothing."""
