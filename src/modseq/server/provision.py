"""What a new user finds: the mailboxes that mail programs look for."""

from __future__ import annotations

from modseq.core.errors import MailboxExists
from modseq.core.mailbox_operations import INBOX, CreateMailbox, Subscribe
from modseq.storage.base import Account

DEFAULT_MAILBOXES = (
    ("Archive", "\\Archive"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
)
"""Names and the special use that tells programs of any language what they are for."""


async def furnish(account: Account) -> None:
    """
    Create and subscribe the default mailboxes; those that are there stay as they are.

    RFC: 6154 section 2
    """
    await account.commit(Subscribe(INBOX))
    for name, special_use in DEFAULT_MAILBOXES:
        try:
            await account.commit(CreateMailbox(name, special_use))
        except MailboxExists:
            continue
        await account.commit(Subscribe(name))
