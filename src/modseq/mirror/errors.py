"""What can go wrong with a mirror, by kind.

MirrorError
├── NotAMirror        the file is none of ours, damaged, or of a newer version
├── MirrorBusy        another process is synchronising this file
├── OtherAccount      the file holds the copy of another account
├── NoSuchMailbox     the copy has no mailbox of this name
├── NoSuchMessage     the copy has no such message, or it was moved or deleted offline
├── NoSuchEdit        the outbox has no such edit, or no conflict of this number
├── InvalidEdit       the edit makes no sense (a flag that no client may set, a move to where it is)
├── BodyMissing       the copy does not have this message's body
└── MailboxMadeAnew   the server made the mailbox anew: the copy's UIDs mean other messages there
"""

from __future__ import annotations


class MirrorError(Exception):
    """Something about the copy; its text is one sentence for a person."""


class NotAMirror(MirrorError):
    """The file is no mirror of ours, is damaged, or was written by a newer version."""


class MirrorBusy(MirrorError):
    """Another process is synchronising this file."""


class OtherAccount(MirrorError):
    """The file holds the copy of another account."""


class NoSuchMailbox(MirrorError):
    """The copy has no mailbox of this name."""


class NoSuchMessage(MirrorError):
    """The copy has no such message (any more)."""


class NoSuchEdit(MirrorError):
    """The outbox has no such edit."""


class InvalidEdit(MirrorError):
    """The edit makes no sense."""


class BodyMissing(MirrorError):
    """The copy does not have this message's body."""


class MailboxMadeAnew(MirrorError):
    """The server made the mailbox anew: the copy's UIDs mean other messages there."""
