"""
What can go wrong, by kind.

QueueError
├── QueueUnusable     the server or the mailbox cannot be a queue: the text says why
└── LeaseLost         somebody else may have the message
    └── MessageGone   the message is no longer in the mailbox
"""

from __future__ import annotations

from modseq.client.errors import CommandRefused, MailboxNotFound

_PASSING = ("UNAVAILABLE", "INUSE", "SERVERBUG")


class QueueError(Exception):
    """Anything that the work queue raises on purpose."""


class QueueUnusable(QueueError):
    """The server or the mailbox cannot be a queue."""


class LeaseLost(QueueError):
    """The lease ended, or somebody took the message over: what was done with it may be done again by another."""


class MessageGone(LeaseLost):
    """The message is no longer in the mailbox."""


def as_queue_error(error: BaseException) -> QueueError:
    """Return a failure as what callers are told may be raised."""
    if isinstance(error, QueueError):
        return error
    if isinstance(error, MailboxNotFound):
        return QueueUnusable(f"the mailbox cannot be opened: {error.text}")
    return QueueUnusable(str(error))


def is_passing(error: CommandRefused) -> bool:
    """
    True where the server says that it may go well later.

    RFC: 5530 section 3
    """
    return error.code is not None and error.code.name in _PASSING
