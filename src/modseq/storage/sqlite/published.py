"""What the sessions of this process see of an account, and how results of jobs become that.

A job works from a snapshot and may take as long as it likes; meanwhile other jobs end. So each result says
which version of the account it is, and the newest wins. A mailbox that was loaded while a job ran is not
part of that job's snapshot: when its result moves the account on, nobody has looked whether that mailbox
moved too. It is then *behind*: its state may still be read, but must be caught up before anything is built
on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modseq.core.account import AccountDraft, AccountState
from modseq.core.change import Change
from modseq.core.mailbox import MailboxState
from modseq.storage.sqlite.chores import Chores
from modseq.storage.sqlite.reading import CaughtUp, Snapshot


class Published:
    """The published states of an account; used on the event loop only.

    Attributes:
        version: the account's commits that are published.
        states: the loaded mailboxes.
        behind: those of them that may lack changes, and the version that their states are of.
    """

    def __init__(self) -> None:
        self.version = 0
        self.next_segment = 1
        self.account = AccountState()
        self.states: dict[int, MailboxState] = {}
        self.behind: dict[int, int] = {}
        self.chores = Chores()
        self._loaded_at: dict[int, int] = {}

    def base(self) -> Snapshot:
        """Return the snapshot from which a job may work."""
        behind = {mailbox_id: self.states[mailbox_id] for mailbox_id in self.behind}
        states = self.states if not behind else {i: s for i, s in self.states.items() if i not in behind}
        return Snapshot(self.version, self.next_segment, self.account, dict(states), behind)

    def begin(self, opened: Snapshot) -> None:
        """Start from what was read at opening."""
        self.version, self.next_segment = opened.version, opened.next_segment
        self.account = opened.account
        self.forget()

    def forget(self) -> None:
        """Drop all mailboxes."""
        self.states, self.behind, self._loaded_at, self.chores = {}, {}, {}, Chores()

    def caught_up(self, base: Snapshot, caught: CaughtUp) -> bool:
        """Publish what others did; False when that was published already."""
        if caught.version <= self.version:
            return False
        self._take_over(caught)
        self._move_on(caught.version, base.states)
        return True

    def committed(
        self, base: Snapshot, caught: CaughtUp | None, draft: AccountDraft | None, version: int
    ) -> bool:
        """Publish a batch and what it caught up with; False when a later look showed it already."""
        if version <= self.version:
            return False
        covered: Mapping[int, MailboxState] = base.states
        if caught is not None:
            self._take_over(caught)
        if draft is not None:
            self.account = draft.account
            for mailbox_id, state in draft.states.items():
                self._show(state, draft.changes.get(mailbox_id, ()))
            for mailbox_id in draft.deleted:
                self._drop(mailbox_id)
            covered = {**base.states, **draft.states}
        self._move_on(version, covered)
        return True

    def loaded(self, version: int, state: MailboxState) -> None:
        """Publish a mailbox that was cold."""
        mailbox_id = state.mailbox_id
        if mailbox_id in self.states:
            return
        self.states[mailbox_id] = state
        self.chores.begin(state, state.history.floor)
        if version < self.version:
            self.behind[mailbox_id] = version
        else:
            self._loaded_at[mailbox_id] = version

    def advanced(self, before: MailboxState, caught: CaughtUp) -> None:
        """Publish what was missing from a mailbox that was behind."""
        mailbox_id = before.mailbox_id
        if mailbox_id not in self.behind or self.states.get(mailbox_id) is not before:
            return
        if mailbox_id in caught.gone:
            self._drop(mailbox_id)
            return
        if mailbox_id in caught.states:
            self._show(caught.states[mailbox_id], caught.changes.get(mailbox_id, ()))
        if caught.version < self.version:
            self.behind[mailbox_id] = caught.version
        else:
            del self.behind[mailbox_id]
            self._loaded_at[mailbox_id] = caught.version

    def _take_over(self, caught: CaughtUp) -> None:
        self.account, self.next_segment = caught.account, caught.next_segment
        for mailbox_id in caught.gone:
            self._drop(mailbox_id)
        for mailbox_id, state in caught.states.items():
            self._show(state, caught.changes.get(mailbox_id, ()))

    def _move_on(self, version: int, covered: Iterable[int]) -> None:
        self.version = version
        for mailbox_id in covered:
            self._loaded_at.pop(mailbox_id, None)
            self.behind.pop(mailbox_id, None)
        for mailbox_id, loaded in list(self._loaded_at.items()):
            if loaded < version:
                del self._loaded_at[mailbox_id]
                self.behind[mailbox_id] = loaded

    def _drop(self, mailbox_id: int) -> None:
        self.states.pop(mailbox_id, None)
        self.behind.pop(mailbox_id, None)
        self._loaded_at.pop(mailbox_id, None)
        self.chores.drop(mailbox_id)

    def drop_one(self) -> None:
        """Forget the mailbox that was loaded longest ago; it can be loaded again."""
        self._drop(next(iter(self.states)))

    def _show(self, state: MailboxState, changes: Sequence[Change]) -> None:
        """Publish a state, unless a newer one was published meanwhile."""
        shown = self.states.get(state.mailbox_id)
        if shown is not None and shown.mod_seq > state.mod_seq:
            return
        history = state.history
        newest = history.newest
        for change in changes:
            if change.mod_seq > newest:
                history.append(change)
        if history.expunged is not None and state.horizon:
            history.expunged.forget(state.horizon)
        self.states[state.mailbox_id] = state
        self.chores.note(state, changes)
