"""Short ways to fill a mirror by hand."""

from modseq.core.numset import NumSet
from modseq.mirror.records import ChangeBatch, FlagsRow, MailboxRow, MessageRow, Watermark, join_flags
from modseq.mirror.replica import Replica
from modseq.mirror.summary import summary_of


def mail(subject: str, body: str = "Hello.", sender: str = "Ann <ann@example.org>", more: str = "") -> bytes:
    return (
        f"From: {sender}\r\nTo: ben@example.org\r\nSubject: {subject}\r\n"
        f"Date: Mon, 2 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{subject.encode().hex()}@example.org>\r\n{more}"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        f"\r\n{body}\r\n"
    ).encode()


def mark(
    uid_next: int,
    mod_seq: int,
    exists: int,
    *,
    uid_validity: int = 7,
    is_complete: bool = True,
    doubt: str | None = None,
) -> Watermark:
    return Watermark(uid_validity, uid_next, mod_seq, mod_seq, is_complete, exists, doubt)


def row(uid: int, octets: bytes, flags: str = "", mod_seq: int = 1, email_id: str | None = None):
    message = MessageRow(
        uid, mod_seq, join_flags(flags.split()), 1_793_606_400 + uid, 0, len(octets), email_id
    )
    return message, summary_of(octets)


def fill(
    replica: Replica, name: str, mails: dict[int, tuple[bytes, str]], *, bodies: bool = True
) -> MailboxRow:
    """Make a mailbox whose messages have their UID as mod-sequence."""
    mailbox_id = replica.add_mailbox(name, None, "/", "")
    last = max(mails, default=0)
    replica.apply(
        mailbox_id,
        ChangeBatch(
            appeared=tuple(row(uid, octets, flags, uid) for uid, (octets, flags) in mails.items()),
            watermark=mark(last + 1, max(last, 1), len(mails)),
        ),
    )
    if bodies:
        replica.keep_bodies(mailbox_id, {uid: octets for uid, (octets, _) in mails.items()})
    return replica.mailbox(name)


def told(replica: Replica, mailbox: MailboxRow, uid: int, flags: str, mod_seq: int) -> None:
    """The server told new flags."""
    before = replica.mailbox(mailbox.name)
    replica.apply(
        mailbox.mailbox_id,
        ChangeBatch(
            changed=(FlagsRow(uid, join_flags(flags.split()), mod_seq),),
            watermark=mark(before.uid_next, mod_seq, before.exists),
        ),
    )


def gone(replica: Replica, mailbox: MailboxRow, *uids: int) -> None:
    before = replica.mailbox(mailbox.name)
    replica.apply(
        mailbox.mailbox_id,
        ChangeBatch(
            vanished=NumSet(uids),
            watermark=mark(before.uid_next, before.mod_seq + 1, before.exists - len(uids)),
        ),
    )
