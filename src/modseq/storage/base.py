"""What every backend offers; ``tests/storage`` holds the one contract suite for all of them.

A backend keeps a durable log of what the operations of ``core`` did. It does not know what a conditional
STORE is. Published states are read without waiting; everything that may touch the disk is a coroutine and
runs off the event loop.
"""

from array import array
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from modseq.core.account import AccountState
from modseq.core.change import ChangeSet
from modseq.core.mailbox import Counters, MailboxState
from modseq.core.message import MessageRow
from modseq.core.operations import Operation

Outcome = TypeVar("Outcome")


class Account(Protocol):
    """The mail of one user, as one process sees it.

    All methods are called on the event loop's thread.
    """

    @property
    def name(self) -> str:
        """The user's name."""

    def listing(self) -> AccountState:
        """Return the published listing, without waiting."""

    @property
    def is_current(self) -> bool:
        """True when ``refresh`` would find nothing to do."""

    async def refresh(self) -> None:
        """Catch up with what other processes committed; costs microseconds when that is nothing.

        Raises:
            StateDiscarded: the storage is older than what sessions were told (a restored backup).
        """

    async def mailbox(self, mailbox_id: int) -> MailboxState:
        """Return the published state of a mailbox, loading it first when it is cold.

        Raises:
            MailboxNotFound: it was deleted.
        """

    def published(self, mailbox_id: int) -> MailboxState | None:
        """Return the newest published state without waiting; None when it is not loaded or was deleted."""

    async def changes_since(self, mailbox_id: int, mod_seq: int) -> ChangeSet:
        """Return what happened after ``mod_seq`` and up to the published state, for any ``mod_seq``.

        Raises:
            MailboxNotFound: it was deleted.
        """

    def changes_at_once(self, mailbox_id: int, mod_seq: int) -> tuple[MailboxState, ChangeSet] | None:
        """Return the published state and what leads to it, None when that takes more than looking."""

    async def counters(self, mailbox_ids: Iterable[int]) -> Mapping[int, Counters]:
        """Return the counters of mailboxes without opening them; deleted ones are left out."""

    def commit(self, operation: Operation[Outcome]) -> Awaitable[Outcome]:
        """Carry out an operation; when what this returns is done, it is durable and published.

        Operations that wait at the same time share one transaction and keep the order of their calls. One
        that nobody waits for any more is dropped, if it is not under way.

        Raises:
            StorageError: of the kind that fits; nothing was stored, except after CommitUnknown.
        """

    async def rows(
        self, mailbox_id: int, uids: "Sequence[int] | array[int]", *, ready: bool
    ) -> list[MessageRow]:
        """Return what never changes about messages, ascending by UID; those that are gone are left out.

        Args:
            uids: ascending.
            ready: also return envelope, body, structure and parts.
        """

    async def read(self, email_id: int, offset: int = 0, length: int | None = None) -> bytes:
        """Return octets of a message, all from ``offset`` on when ``length`` is None.

        Raises:
            MailboxNotFound: no message has this content any more.
            StorageFailed: the octets cannot be read.
        """

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called when something in the account moved; it learns nothing but that.

        A call may be late or lost, and may come when nothing moved. Returns the function that ends it.
        """


class Directory(Protocol):
    """The users and their password hashes. Names are compared as they are, octet by octet."""

    async def add(self, name: str, password_hash: str) -> None:
        """Add a user with an empty INBOX; raises UserExists."""

    async def remove(self, name: str) -> None:
        """Remove a user with all mail; raises UserNotFound."""

    async def names(self) -> list[str]:
        """Return the names of all users, sorted."""

    async def password_hash(self, name: str) -> str | None:
        """Return the hash of a user's password, None when there is no such user."""

    async def set_password_hash(self, name: str, password_hash: str) -> None:
        """Replace a user's password; raises UserNotFound."""


class Store(Protocol):
    """A place that holds accounts."""

    @property
    def directory(self) -> Directory:
        """The users."""

    async def account(self, name: str) -> Account:
        """Return the account of a user, opening it when needed; raises UserNotFound."""

    async def close(self) -> None:
        """Finish what was committed and let go of everything."""
