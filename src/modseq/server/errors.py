"""The one place where kinds of storage errors become response codes."""

from __future__ import annotations

from modseq.core import errors as kinds
from modseq.server.reply import Reply

_CODES: dict[type[kinds.StorageError], bytes] = {
    kinds.MailboxNotFound: b"NONEXISTENT",
    kinds.MailboxExists: b"ALREADYEXISTS",
    kinds.MailboxHasChildren: b"HASCHILDREN",
    kinds.InvalidMailboxName: b"CANNOT",
    kinds.PermissionRefused: b"NOPERM",
    kinds.UserNotFound: b"NONEXISTENT",
    kinds.UserExists: b"ALREADYEXISTS",
    kinds.LimitReached: b"LIMIT",
    kinds.KeywordLimitReached: b"LIMIT",
    kinds.OverQuota: b"OVERQUOTA",
    kinds.StorageFull: b"OVERQUOTA",
    kinds.StorageFailed: b"UNAVAILABLE",
}
"""Kinds that are not here mean that the server is at fault: SERVERBUG."""

SERVER_BUG = Reply("NO", "The server failed; nothing is known to be wrong with the command", b"SERVERBUG")

ENDS_SESSION = (kinds.CommitUnknown, kinds.StateDiscarded)
"""After these the session no longer knows what is true, and says so by BYE."""


def reply_for(error: kinds.StorageError) -> Reply:
    """
    Return the NO that tells a client of a storage error.

    RFC: 5530 section 3
    """
    for kind in type(error).__mro__:
        code = _CODES.get(kind)
        if code is not None:
            return Reply("NO", str(error) or kind.__doc__ or kind.__name__, code)
    return SERVER_BUG
