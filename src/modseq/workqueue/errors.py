"""
What can go wrong, by kind.

QueueError
├── QueueUnusable     the server or the mailbox cannot be a queue: the text says why
└── LeaseLost         somebody else may have the message
    └── MessageGone   the message is no longer in the mailbox
"""

from __future__ import annotations


class QueueError(Exception):
    """Anything that the work queue raises on purpose."""


class QueueUnusable(QueueError):
    """The server or the mailbox cannot be a queue."""


class LeaseLost(QueueError):
    """The lease ended, or somebody took the message over: what was done with it may be done again by another."""


class MessageGone(LeaseLost):
    """The message is no longer in the mailbox."""
