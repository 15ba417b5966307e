"""The mailboxes of one account, and the draft in which a batch of operations is worked out."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from modseq import limits
from modseq.core.change import Change
from modseq.core.decisions import Foresight
from modseq.core.errors import LimitReached, MailboxNotFound, StorageError
from modseq.core.mailbox import MailboxState
from modseq.core.message import NewMessage
from modseq.core.modseq import MOD_SEQ_MAX

_UID_VALIDITY_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class MailboxMeta:
    """A mailbox in the listing; ``special_use`` is an attribute of RFC 6154 such as ``\\Sent``, or None."""

    mailbox_id: int
    name: str
    uid_validity: int
    special_use: str | None = None


@dataclass(frozen=True, slots=True)
class AccountState:
    """The listing of an account at one moment.

    ``mailboxes`` is keyed by full name ("/" between levels). Names that only have children do not stand in
    it. ``version`` rises with every change of the listing.
    """

    mailboxes: Mapping[str, MailboxMeta] = field(default_factory=dict)
    subscriptions: frozenset[str] = frozenset()
    next_mailbox_id: int = 1
    next_uid_validity: int = 1
    next_email_id: int = 1
    version: int = 1
    epoch: int = 1

    def find(self, name: str) -> MailboxMeta:
        """Return a mailbox by name.

        Raises:
            MailboxNotFound
        """
        meta = self.mailboxes.get(name)
        if meta is None:
            raise MailboxNotFound("There is no such mailbox.")
        return meta

    def by_id(self, mailbox_id: int) -> MailboxMeta | None:
        """Return a mailbox by its number, None when it was deleted."""
        return next((meta for meta in self.mailboxes.values() if meta.mailbox_id == mailbox_id), None)

    def has_children(self, name: str) -> bool:
        """True when a mailbox lies below this name."""
        prefix = name + "/"
        return any(other.startswith(prefix) for other in self.mailboxes)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A message row to store: which content stands in a mailbox under a UID since when.

    Rows are stored in order, before those of vanished messages and of deleted mailboxes are removed: a batch
    may copy what it appended and delete where it stood.
    """

    mailbox_id: int
    uid: int
    saved_at: int
    email_id: int


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """The rows of many copies, in order: consecutive UIDs from ``first_uid`` on, ``source_uids`` ascending.

    ``token`` names rows that were written ahead of the commit; 0 for none.
    """

    mailbox_id: int
    first_uid: int
    saved_at: int
    source_id: int
    source_uids: "array[int]"
    token: int = 0

    def is_the_same_as(self, other: "CopiedRows") -> bool:
        """True when the same rows go to the same place, whenever and by whom they were written."""
        return (
            self.mailbox_id == other.mailbox_id
            and self.first_uid == other.first_uid
            and self.source_id == other.source_id
            and self.source_uids == other.source_uids
        )


Outcome = TypeVar("Outcome", covariant=True)


class Runnable(Protocol[Outcome]):
    """What a draft can carry out."""

    def apply(self, draft: "AccountDraft") -> Outcome:
        """Decide and change the draft; raises StorageError."""


class AccountDraft:
    """The overlay in which the operations of one batch are applied, in order, before the commit.

    Nothing of it is visible to a session until ``publish``.

    Attributes:
        account: the listing with the changes of the batch.
        states: the mailboxes touched so far, by number, with the changes of the batch.
        changes: the records to store, by mailbox, in order.
        contents: new message contents to store, with their numbers.
        rows: message rows to store.
        created, deleted: mailboxes that came and went.
    """

    def __init__(self, account: AccountState, load: Callable[[int], MailboxState], now: int) -> None:
        """Args: the published listing; how to get a published state (MailboxNotFound when it is gone);
        the time in seconds since 1970, for messages saved by COPY.
        """
        self.account = account
        self.now = now
        self.states: dict[int, MailboxState] = {}
        self.changes: dict[int, list[Change]] = {}
        self.contents: list[tuple[int, NewMessage]] = []
        self.rows: list[NewRow | CopiedRows] = []
        self.created: list[int] = []
        self.deleted: list[int] = []
        self.recent_claims: set[int] = set()
        self._load = load
        self._published = account
        self._owned: dict[int, dict[int, bool]] = {}

    @property
    def listing_changed(self) -> bool:
        """True when mailboxes or subscriptions changed."""
        return self.account.version != self._published.version

    @property
    def touched(self) -> bool:
        """True when there is anything to commit."""
        return self.account is not self._published or bool(self.changes) or bool(self.recent_claims)

    def run(self, operation: "Runnable[Outcome]") -> Outcome:
        """Carry out an operation; one that raises leaves the draft as it was.

        Operations on messages decide before they change anything. Those on the listing may fail between
        two steps, so the listing is put back.
        """
        account, created, deleted = self.account, len(self.created), len(self.deleted)
        try:
            return operation.apply(self)
        except StorageError:
            for mailbox_id in self.created[created:]:
                self.states.pop(mailbox_id, None)
            del self.created[created:], self.deleted[deleted:]
            self.account = account
            raise

    def mailbox(self, mailbox_id: int) -> MailboxState:
        """Return a mailbox with the changes of the batch so far.

        Raises:
            MailboxNotFound: it was deleted, perhaps earlier in this batch.
        """
        state = self.states.get(mailbox_id)
        if state is None:
            if mailbox_id in self.deleted:
                raise MailboxNotFound("The mailbox was deleted.")
            state = self._load(mailbox_id)
            if state.palette.is_crowded:
                state = state.tidied()
            self.states[mailbox_id] = state
        return state

    def next_mod_seq(self, mailbox_id: int) -> int:
        """Return the number that the next change of this mailbox takes."""
        mod_seq = self.mailbox(mailbox_id).mod_seq + 1
        if mod_seq > MOD_SEQ_MAX:
            raise LimitReached("The mailbox has used up its mod-sequences.")
        return mod_seq

    def apply(self, mailbox_id: int, change: Change, foresight: Foresight | None = None) -> None:
        """Fold a change into the overlay and keep it for the commit; ``foresight`` spares the folding."""
        owned = self._owned.setdefault(mailbox_id, {})
        self.states[mailbox_id] = self.mailbox(mailbox_id).fold(change, owned, foresight)
        self.changes.setdefault(mailbox_id, []).append(change)

    def claim_recent(self, mailbox_id: int, uid_next: int) -> None:
        """Record that messages below ``uid_next`` were announced as recent to somebody."""
        state = self.mailbox(mailbox_id)
        if state.recent_from < uid_next:
            state = state.copy()
            state.recent_from = uid_next
            self.states[mailbox_id] = state
            self.recent_claims.add(mailbox_id)

    def new_email_id(self) -> int:
        """Take the number of a new content."""
        number = self.account.next_email_id
        self.account = replace(self.account, next_email_id=number + 1)
        return number

    def create(self, name: str, special_use: str | None) -> MailboxMeta:
        """Add an empty mailbox under a name that is free."""
        account = self.account
        if len(account.mailboxes) >= limits.MAILBOXES_PER_ACCOUNT_MAX:
            raise LimitReached(f"An account holds at most {limits.MAILBOXES_PER_ACCOUNT_MAX} mailboxes.")
        if account.next_uid_validity > _UID_VALIDITY_MAX:
            raise LimitReached("The account has used up its UIDVALIDITY values.")
        meta = MailboxMeta(account.next_mailbox_id, name, account.next_uid_validity, special_use)
        self.states[meta.mailbox_id] = MailboxState(meta.mailbox_id, meta.uid_validity)
        self.created.append(meta.mailbox_id)
        self.relist(
            {**account.mailboxes, name: meta},
            next_mailbox_id=account.next_mailbox_id + 1,
            next_uid_validity=account.next_uid_validity + 1,
        )
        return meta

    def delete(self, meta: MailboxMeta) -> None:
        """Remove a mailbox with everything in it."""
        self.relist({name: other for name, other in self.account.mailboxes.items() if name != meta.name})
        self.states.pop(meta.mailbox_id, None)
        self.changes.pop(meta.mailbox_id, None)
        self.recent_claims.discard(meta.mailbox_id)
        # Its rows stay in the list: messages of this batch may have been copied from it.
        self.deleted.append(meta.mailbox_id)

    def relist(self, mailboxes: Mapping[str, MailboxMeta] | None = None, **fields: object) -> None:
        """Replace the listing or other fields of the account; its version rises."""
        account = self.account
        if mailboxes is not None:
            fields["mailboxes"] = mailboxes
        self.account = replace(account, version=account.version + 1, **fields)  # type: ignore[arg-type]

    def publish(self) -> dict[int, MailboxState]:
        """Add the changes to the histories and return the states to show from now on.

        Called once, after the commit, on the thread that owns the published states.
        """
        for mailbox_id, changes in self.changes.items():
            history = self.states[mailbox_id].history
            for change in changes:
                history.append(change)
        self._owned.clear()
        return self.states
