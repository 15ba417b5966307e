"""Messages for tests, and what a test may look at in the server's mailboxes."""

from __future__ import annotations

import datetime as dt
import email.message
import email.policy
import email.utils
from dataclasses import dataclass

from modseq import clock

Mail = bytes | str | email.message.Message
"""A message as a test may give it; line ends are made CRLF."""


def make_message(
    *,
    subject: str = "Hello",
    sender: str = "Bob <bob@example.org>",
    to: str = "ann@example.org",
    text: str = "Hello Ann,\nhow are you?\n",
    date: dt.datetime | None = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    """
    Return a small message.

    Args:
        subject, sender, to, text: what stands in it; a longer or stranger message is made by `email.message`.
        date: of the Date field; None for now.
        headers: further fields.

    """
    message = email.message.EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = date or dt.datetime.fromtimestamp(clock.now_seconds(), dt.UTC)
    message["Message-ID"] = f"<{clock.random_token(8)}@example.org>"
    for name, value in (headers or {}).items():
        message[name] = value
    message.set_content(text)
    return as_octets(message)


def as_octets(mail: Mail) -> bytes:
    """Return a message's octets, with CRLF at the end of each line."""
    if isinstance(mail, email.message.Message):
        octets = mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))
    else:
        octets = mail.encode("utf-8") if isinstance(mail, str) else mail
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """
    One message as the server holds it.

    Attributes:
        uid: its UID.
        flags: system flags and keywords.
        mod_seq: its mod-sequence.
        data: its octets.

    """

    uid: int
    flags: frozenset[str]
    mod_seq: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StoredMailbox:
    """
    One mailbox as the server holds it.

    Attributes:
        name: its full name.
        uid_validity, uid_next, highest_mod_seq: as SELECT tells them.
        messages: all of them, ascending by UID.

    """

    name: str
    uid_validity: int
    uid_next: int
    highest_mod_seq: int
    messages: tuple[StoredMessage, ...]

    @property
    def uids(self) -> list[int]:
        """The UIDs of all messages."""
        return [message.uid for message in self.messages]

    def message(self, uid: int) -> StoredMessage:
        """Return one message; raises KeyError."""
        for message in self.messages:
            if message.uid == uid:
                return message
        raise KeyError(uid)
