"""Names for the numbers by which mailboxes, messages and users are known."""

from typing import NewType

MailboxId = NewType("MailboxId", int)
"""Number of a mailbox within its account, from 1; kept by RENAME, never used again."""

Uid = NewType("Uid", int)
"""Unique identifier of a message in one mailbox and UIDVALIDITY, 1 to 2^32-1 (RFC 3501 section 2.3.1.1)."""

UidValidity = NewType("UidValidity", int)
"""1 to 2^32-1, unique per account for ever."""

EmailId = NewType("EmailId", int)
"""Number of an immutable message content within its account; COPY and MOVE keep it (RFC 8474 section 5.1)."""

UserId = NewType("UserId", str)
"""The user to whom a private metadata item belongs."""

UID_MAX = 2**32 - 1
