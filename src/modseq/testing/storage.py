"""A storage that stands before another one and lets things go wrong as planned."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from modseq import clock
from modseq.core.account import AccountDraft, AccountState
from modseq.core.change import ChangeSet
from modseq.core.errors import MailboxNotFound, StorageFull
from modseq.core.mailbox import Counters, MailboxState
from modseq.core.message import MessageRow
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Operation, Transfer
from modseq.core.store_flags import StoreFlags, StoreOutcome
from modseq.storage.base import Account, Directory, Store
from modseq.testing.plan import Plan
from modseq.testing.quirks import Quirk

Outcome = TypeVar("Outcome")

BETWEEN_COMPARE_AND_WRITE_SECONDS = 0.05
"""How long a server that lets two claims win takes from the comparison to the writing."""


class PlannedStore:
    """Accounts of another store, in which things go wrong (`storage.base.Store`)."""

    def __init__(self, inner: Store, plan: Plan) -> None:
        self._inner = inner
        self._plan = plan
        self._accounts: dict[str, PlannedAccount] = {}

    @property
    def directory(self) -> Directory:
        """The users."""
        return self._inner.directory

    async def account(self, name: str) -> PlannedAccount:
        """Return the account of a user; raises UserNotFound."""
        account = await self._inner.account(name)
        known = self._accounts.get(name)
        if known is None or known.inner is not account:
            known = self._accounts[name] = PlannedAccount(account, self._plan)
        return known

    async def close(self) -> None:
        """Close the other store."""
        self._accounts.clear()
        await self._inner.close()


class PlannedAccount:
    """One account of another store (`storage.base.Account`)."""

    def __init__(self, inner: Account, plan: Plan) -> None:
        self.inner = inner
        self._plan = plan

    @property
    def name(self) -> str:
        """The user's name."""
        return self.inner.name

    def listing(self) -> AccountState:
        """Return the published listing."""
        return self.inner.listing()

    @property
    def is_current(self) -> bool:
        """True when `refresh` would find nothing to do."""
        return self.inner.is_current

    async def refresh(self) -> None:
        """Catch up with other processes."""
        await self.inner.refresh()

    async def mailbox(self, mailbox_id: int) -> MailboxState:
        """Return the published state of a mailbox."""
        return await self.inner.mailbox(mailbox_id)

    def published(self, mailbox_id: int) -> MailboxState | None:
        """Return the newest published state without waiting."""
        return self.inner.published(mailbox_id)

    async def changes_since(self, mailbox_id: int, mod_seq: int) -> ChangeSet:
        """
        Return what happened after ``mod_seq``; before the planned horizon expunges are forgotten.

        RFC: 7162 section 3.2.6
        """
        changes = await self.inner.changes_since(mailbox_id, mod_seq)
        horizon = min(self._plan.horizons.get((self.name, mailbox_id), 0), changes.mod_seq)
        if mod_seq >= horizon:
            return changes
        remembered = await self.inner.changes_since(mailbox_id, horizon)
        while remembered.mod_seq != changes.mod_seq:
            changes = await self.inner.changes_since(mailbox_id, mod_seq)
            remembered = await self.inner.changes_since(mailbox_id, horizon)
        return replace(
            changes,
            vanished=remembered.vanished,
            vanished_mod_seq_min=remembered.vanished_mod_seq_min,
            history_complete=False,
        )

    def changes_at_once(self, mailbox_id: int, mod_seq: int) -> tuple[MailboxState, ChangeSet] | None:
        """Return the published state and what leads to it; None before the planned horizon."""
        if mod_seq < self._plan.horizons.get((self.name, mailbox_id), 0):
            return None
        return self.inner.changes_at_once(mailbox_id, mod_seq)

    async def counters(self, mailbox_ids: Iterable[int]) -> Mapping[int, Counters]:
        """Return the counters of mailboxes."""
        return await self.inner.counters(mailbox_ids)

    async def commit(self, operation: Operation[Outcome]) -> Outcome:
        """Carry out an operation, if the disk has room and as the quirks want it."""
        self._take_room(operation)
        store: object = operation
        if isinstance(store, StoreFlags) and store.unchanged_since is not None:
            if Quirk.UNCHANGEDSINCE_IGNORED in self._plan.quirks:
                return cast("Outcome", await self.inner.commit(_unconditional(store, store.uids)))
            if Quirk.TWO_CLAIMS_WIN in self._plan.quirks:
                return cast("Outcome", await self._compare_then_write(store))
        return await self.inner.commit(operation)

    def _take_room(self, operation: Operation[Any]) -> None:
        left = self._plan.disk_octets
        if left is None:
            return
        needed = 0
        if isinstance(operation, Append):
            needed = sum(len(message.content.data) for message in operation.messages)
        if left <= 0 or needed > left:
            raise StorageFull("The disk is full.")
        self._plan.disk_octets = left - needed

    async def _compare_then_write(self, operation: StoreFlags) -> StoreOutcome:
        """Do what a server does that takes no lock between the comparison and the change."""
        states = {operation.mailbox_id: await self.inner.mailbox(operation.mailbox_id)}
        trial = AccountDraft(self.inner.listing(), states.__getitem__, clock.now_seconds())
        compared = trial.run(_fresh(operation))
        await asyncio.sleep(BETWEEN_COMPARE_AND_WRITE_SECONDS)
        if compared.refused:
            return compared
        passed = compared.present - compared.modified
        written = await self.inner.commit(_unconditional(operation, passed))
        return replace(
            written, present=compared.present, modified=compared.modified, missing=compared.missing
        )

    async def rows(
        self, mailbox_id: int, uids: Sequence[int] | array[int], *, ready: bool
    ) -> list[MessageRow]:
        """Return what never changes about messages."""
        return await self.inner.rows(mailbox_id, uids, ready=ready)

    async def read(self, email_id: int, offset: int = 0, length: int | None = None) -> bytes:
        """Return octets of a message."""
        return await self.inner.read(email_id, offset, length)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called when something moved, unless the plan loses or delays it."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            if self._plan.wakeups_lost:
                return
            if self._plan.wakeup_delay_seconds > 0:
                loop.call_later(self._plan.wakeup_delay_seconds, callback)
            else:
                callback()

        return self.inner.watch(heard)


def _fresh(operation: StoreFlags, **changed: Any) -> StoreFlags:
    """Return the same STORE without what it may have worked out already."""
    return StoreFlags(
        operation.mailbox_id,
        changed.get("uids", operation.uids),
        operation.mode,
        operation.flags,
        changed.get("unchanged_since", operation.unchanged_since),
        operation.all_or_none,
        operation.missing_refuses,
    )


def _unconditional(operation: StoreFlags, uids: NumSet) -> StoreFlags:
    return _fresh(operation, uids=uids, unchanged_since=None)


@dataclass(frozen=True, slots=True)
class ResetUidValidity:
    """
    Put a new mailbox with the same messages in the place of one: new UIDVALIDITY, new UIDs, new numbers.

    This is what clients meet after an administrator rebuilt a mailbox.

    RFC: 3501 section 2.3.1.1
    """

    mailbox_id: int

    def mailbox_ids(self) -> Sequence[int]:
        """Return the mailbox."""
        return (self.mailbox_id,)

    def prepare(self, state: MailboxState) -> Iterator[None]:  # noqa: ARG002
        """Nothing to do ahead."""
        return iter(())

    def apply(self, draft: AccountDraft) -> int:
        """Replace the mailbox and return the new UIDVALIDITY; raises MailboxNotFound."""
        old = draft.account.by_id(self.mailbox_id)
        if old is None:
            raise MailboxNotFound("There is no such mailbox.")
        new = draft.create(f"{old.name} (rebuilt)", old.special_use)
        uids = NumSet(draft.mailbox(old.mailbox_id).index.select(NumSet.from_ranges([(1, 2**32 - 1)])))
        if uids:
            Transfer(old.mailbox_id, uids, new.mailbox_id, move=False).apply(draft)
        draft.delete(old)
        mailboxes = {name: meta for name, meta in draft.account.mailboxes.items() if name != new.name}
        draft.relist({**mailboxes, old.name: replace(new, name=old.name)})
        return new.uid_validity
