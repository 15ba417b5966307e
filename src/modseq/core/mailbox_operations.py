"""The operations on the listing: mailboxes that come, go and change their names, and subscriptions.

RFC: 3501 section 6.3.3, 6.3.4, 6.3.5, 6.3.6, 6.3.7
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from modseq import limits
from modseq.core.account import AccountDraft, MailboxMeta
from modseq.core.errors import (
    InvalidMailboxName,
    LimitReached,
    MailboxExists,
    MailboxHasChildren,
    MailboxNotFound,
    PermissionRefused,
)
from modseq.core.mailbox import MailboxState
from modseq.core.operations import Transfer

INBOX = "INBOX"
DELIMITER = "/"


def checked_name(name: str) -> str:
    """Return a mailbox name in the form in which it is kept.

    INBOX is INBOX whatever its case, also as the first level of a longer name; one trailing delimiter,
    which announces children (RFC 3501 section 6.3.3), is dropped.

    Raises:
        InvalidMailboxName: empty levels, "." and "..", control characters, too long, too deep.
    """
    name = name.removesuffix(DELIMITER)
    levels = name.split(DELIMITER)
    if levels[0].isascii() and levels[0].upper() == INBOX:  # "\u0131nbox" is another name
        levels[0] = INBOX
        name = DELIMITER.join(levels)
    if not all(levels):
        raise InvalidMailboxName("A mailbox name has no empty levels.")
    if "." in levels or ".." in levels:
        # Nothing here keeps mailboxes as directories, but programs that copy them out do.
        raise InvalidMailboxName('A mailbox name has no level "." or "..".')
    if len(levels) > limits.MAILBOX_LEVELS_MAX:
        raise InvalidMailboxName(f"A mailbox name has at most {limits.MAILBOX_LEVELS_MAX} levels.")
    if len(name) > limits.MAILBOX_NAME_CHARS_MAX:
        raise InvalidMailboxName(f"A mailbox name has at most {limits.MAILBOX_NAME_CHARS_MAX} characters.")
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "*%\u2028\u2029" for char in name):
        raise InvalidMailboxName("A mailbox name has no wildcards and no control characters.")
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise InvalidMailboxName("A mailbox name has no lone surrogates.")
    return name


class _Listing:
    """An operation that needs no mailbox loaded and is never huge."""

    def mailbox_ids(self) -> Sequence[int]:
        """Return nothing: the listing is always there."""
        return ()

    def prepare(self, state: MailboxState) -> Iterator[None]:  # noqa: ARG002
        """Nothing to do ahead."""
        return iter(())


@dataclass(slots=True)
class CreateMailbox(_Listing):
    """Add an empty mailbox, and those above it that are missing.

    RFC: 3501 section 6.3.3
    RFC: 6154 section 3
    """

    name: str
    special_use: str | None = None

    def apply(self, draft: AccountDraft) -> MailboxMeta:
        """Create; raises MailboxExists, InvalidMailboxName, LimitReached."""
        name = checked_name(self.name)
        if name in draft.account.mailboxes:
            raise MailboxExists("There is a mailbox of this name already.")
        _create_parents(draft, name)
        return draft.create(name, self.special_use)


@dataclass(slots=True)
class DeleteMailbox(_Listing):
    """Remove a mailbox with its messages; the mailboxes below it stay.

    RFC: 3501 section 6.3.4
    """

    name: str

    def apply(self, draft: AccountDraft) -> MailboxMeta:
        """Delete and return what was deleted; raises MailboxNotFound, MailboxHasChildren, PermissionRefused."""
        name = checked_name(self.name)
        if name == INBOX:
            raise PermissionRefused("INBOX cannot be deleted.")
        meta = draft.account.mailboxes.get(name)
        if meta is None:
            if draft.account.has_children(name):
                raise MailboxHasChildren("Only a level of hierarchy: delete the mailboxes below it.")
            raise MailboxNotFound("There is no such mailbox.")
        draft.delete(meta)
        return meta


@dataclass(slots=True)
class RenameMailbox:
    """Give a mailbox and all below it another name; renaming INBOX moves its messages out instead.

    A renamed mailbox keeps its number, UIDVALIDITY, UIDs and mod-sequences. With ``leaves_messages`` those of
    INBOX stay for now: only the mailbox for them is made, and whoever asked moves them as any other messages.

    RFC: 3501 section 6.3.5
    """

    old: str
    new: str
    inbox_id: int | None = None
    leaves_messages: bool = False

    def mailbox_ids(self) -> Sequence[int]:
        """Return INBOX where it is the one renamed."""
        return () if self.inbox_id is None else (self.inbox_id,)

    def prepare(self, state: MailboxState) -> Iterator[None]:  # noqa: ARG002
        """Nothing to do ahead."""
        return iter(())

    def apply(self, draft: AccountDraft) -> MailboxMeta | None:
        """Rename; return the mailbox that was made for the messages of INBOX.

        Raises MailboxNotFound, MailboxExists, InvalidMailboxName, LimitReached.
        """
        old, new = checked_name(self.old), checked_name(self.new)
        mailboxes = draft.account.mailboxes
        if old not in mailboxes and not draft.account.has_children(old):
            raise MailboxNotFound("There is no such mailbox.")
        if new in mailboxes or draft.account.has_children(new):
            raise MailboxExists("There is a mailbox of the new name already.")
        if old == INBOX:
            return self._empty_inbox(draft, new)
        if new.startswith(old + DELIMITER):
            raise InvalidMailboxName("A mailbox cannot be moved below itself.")
        prefix = old + DELIMITER
        renamed = {}
        for name, meta in mailboxes.items():
            if name == old or name.startswith(prefix):
                target = checked_name(new + name[len(old) :])
                renamed[target] = replace(meta, name=target)
            else:
                renamed[name] = meta
        draft.relist(renamed)
        _create_parents(draft, new)
        return None

    def _empty_inbox(self, draft: AccountDraft, new: str) -> MailboxMeta:
        inbox = draft.account.find(INBOX)
        state = draft.mailbox(inbox.mailbox_id)
        _create_parents(draft, new)
        target = draft.create(new, None)
        if not self.leaves_messages:
            everything = state.index.to_numset()
            Transfer(inbox.mailbox_id, everything, target.mailbox_id, move=True).apply(draft)
        return target


@dataclass(slots=True)
class Subscribe(_Listing):
    """Add a name, which need not be a mailbox, to the subscriptions.

    RFC: 3501 section 6.3.6
    """

    name: str

    def apply(self, draft: AccountDraft) -> None:
        """Subscribe; raises InvalidMailboxName, LimitReached."""
        name = checked_name(self.name)
        if name not in draft.account.subscriptions:
            if len(draft.account.subscriptions) >= limits.SUBSCRIPTIONS_PER_ACCOUNT_MAX:
                raise LimitReached(f"At most {limits.SUBSCRIPTIONS_PER_ACCOUNT_MAX} names are subscribed.")
            draft.relist(subscriptions=draft.account.subscriptions | {name})


@dataclass(slots=True)
class Unsubscribe(_Listing):
    """Take a name off the subscriptions; one that is not there is no error.

    RFC: 3501 section 6.3.7
    """

    name: str

    def apply(self, draft: AccountDraft) -> None:
        """Unsubscribe; raises InvalidMailboxName."""
        name = checked_name(self.name)
        if name in draft.account.subscriptions:
            draft.relist(subscriptions=draft.account.subscriptions - {name})


def _create_parents(draft: AccountDraft, name: str) -> None:
    """Create the mailboxes above a name that are missing.

    Chosen: they are mailboxes, as RFC 3501 section 6.3.3 advises, not mere levels.
    """
    levels = name.split(DELIMITER)[:-1]
    for depth in range(1, len(levels) + 1):
        parent = DELIMITER.join(levels[:depth])
        if parent not in draft.account.mailboxes:
            draft.create(parent, None)
