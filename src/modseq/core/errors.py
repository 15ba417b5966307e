"""What can go wrong below the protocol, by kind; the server maps kinds to response codes in one place.

StorageError
├── MailboxNotFound        MailboxExists         MailboxHasChildren
├── InvalidMailboxName     PermissionRefused     UserNotFound   UserExists
├── LimitReached           KeywordLimitReached   OverQuota
├── StorageFull            StorageFailed         CommitUnknown  StateDiscarded
└── ExpungesNotLoaded (never leaves a backend)
"""


class StorageError(Exception):
    """An operation could not be carried out; its text is fit for a client."""


class MailboxNotFound(StorageError):
    """No mailbox has this name or number (any more)."""


class MailboxExists(StorageError):
    """A mailbox of this name is there already."""


class MailboxHasChildren(StorageError):
    """The name is only a level of hierarchy: it holds no mailbox to delete."""


class InvalidMailboxName(StorageError):
    """The name is too long, too deep, or holds characters that no mailbox may have."""


class PermissionRefused(StorageError):
    """The user may not do this."""


class UserNotFound(StorageError):
    """No user has this name."""


class UserExists(StorageError):
    """A user of this name is there already."""


class LimitReached(StorageError):
    """A bound of ``modseq.limits`` would be passed (UIDs, mailboxes, mod-sequences)."""


class KeywordLimitReached(LimitReached):
    """The mailbox holds as many different keywords as it may."""


class OverQuota(StorageError):
    """The user's quota would be passed."""


class StorageFull(StorageError):
    """The disk is full; nothing of the operation was stored."""


class StorageFailed(StorageError):
    """The disk or database failed; nothing of the operation was stored."""


class CommitUnknown(StorageError):
    """Nobody can tell whether the commit took place: the session must end with BYE, never with NO."""


class StateDiscarded(StorageError):
    """The cached state proved newer than the storage (a restored backup): sessions on it must end."""


class ExpungesNotLoaded(StorageError):
    """The question reaches further back than the expunges in memory; the backend loads them and asks again."""
