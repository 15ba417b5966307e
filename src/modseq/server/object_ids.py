"""How mailboxes and messages are called for ever, whatever their names become.

RFC: 8474 section 4, 5, 7
"""

from __future__ import annotations


def mailbox_object_id(mailbox_id: int, uid_validity: int) -> str:
    """
    Return the MAILBOXID of a mailbox: RENAME keeps it, a restored backup (new UIDVALIDITY) does not.

    RFC: 8474 section 4
    """
    return f"M{mailbox_id}-{uid_validity}"


def email_object_id(email_id: int) -> str:
    """
    Return the EMAILID of a message: COPY and MOVE keep it.

    RFC: 8474 section 5.1
    """
    return f"E{email_id}"
