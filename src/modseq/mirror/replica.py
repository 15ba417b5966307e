"""
The copy: one SQLite file with mailboxes, messages, flags, mod-sequences and bodies.

It holds what the server had at each mailbox's watermark and nothing else. Edits made offline are kept
apart, in the outbox, and laid over it when somebody looks (`view`). A batch of changes and the watermark to
which it leads are one transaction: whatever happens, the watermark never claims more than the copy has.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import apsw
import zstandard

from modseq import clock, limits
from modseq.core.numset import NumSet
from modseq.mirror import schema
from modseq.mirror.errors import BodyMissing, MirrorBusy, NoSuchMailbox, OtherAccount
from modseq.mirror.records import Applied, ChangeBatch, FlagsRow, MailboxRow, MessageRow, Summary, Watermark

Bodies: TypeAlias = Literal["none", "recent", "all"]

_MAILBOX = (
    "mailbox_id, name, object_id, delimiter, attributes, uid_validity, uid_next, mod_seq, told_mod_seq, "
    "is_complete, exists_n, doubt, synced_at"
)
_MESSAGE = "uid, mod_seq, flags, received_at, received_zone, size, email_id, content_id"


@dataclass(frozen=True, slots=True)
class Settings:
    """Whose copy it is and what is wanted in it. `account` is the URL without a password."""

    account: str
    bodies: Bodies
    recent_days: int
    patterns: tuple[str, ...]
    synced_at: int


class Replica:
    """
    One mirror file.

    Several processes may have it open; `synchronising` makes sure that one at a time talks to the server.
    Methods that change something are one transaction each, durable when they return.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._connection = schema.connect(path, create=create)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside one transaction; joins one that is open already."""
        connection = self._connection
        if not connection.get_autocommit():
            yield
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if not connection.get_autocommit():
                connection.execute("ROLLBACK")
            raise

    def execute(self, statement: str, values: Sequence[Any] = ()) -> apsw.Cursor:
        """Run one statement: for the rooms beside this one, which know the tables."""
        return self._connection.execute(statement, values)

    @contextlib.contextmanager
    def synchronising(self) -> Iterator[None]:
        """
        Hold the right to synchronise this file, which one process has at a time.

        Raises: MirrorBusy
        """
        # Not on the database itself: closing a descriptor of it would drop SQLite's locks.
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise MirrorBusy(f"another process is synchronising {self.path}") from error
            yield
        finally:
            os.close(descriptor)

    def data_version(self) -> int:
        """Return a number that changes when another process changed the file."""
        return int(self._connection.pragma("data_version"))

    # --- settings ---

    def settings(self) -> Settings:
        """Return what the file says of itself."""
        account, bodies, days, patterns, synced_at = next(
            self.execute("SELECT account, bodies, recent_days, patterns, synced_at FROM mirror")
        )
        return Settings(account, bodies, days, tuple(json.loads(patterns)), synced_at)

    def configure(
        self,
        *,
        account: str | None = None,
        bodies: Bodies | None = None,
        recent_days: int | None = None,
        patterns: Sequence[str] | None = None,
    ) -> Settings:
        """
        Keep what is given and return the settings as they are now.

        Raises: OtherAccount when the file is somebody else's copy.
        """
        with self.transaction():
            before = self.settings()
            if account and before.account and before.account != account:
                raise OtherAccount(f"{self.path} is the mirror of {before.account}, not of {account}")
            self.execute(
                "UPDATE mirror SET account = ?, bodies = ?, recent_days = ?, patterns = ?",
                (
                    account or before.account,
                    bodies or before.bodies,
                    before.recent_days if recent_days is None else recent_days,
                    json.dumps(list(before.patterns if patterns is None else patterns)),
                ),
            )
        return self.settings()

    def all_current(self) -> None:
        """Note that at this moment the whole copy was found to be current."""
        with self.transaction():
            self.execute("UPDATE mirror SET synced_at = ?", (clock.now_seconds(),))

    # --- mailboxes ---

    def mailboxes(self) -> list[MailboxRow]:
        """Return all mailboxes, sorted by name, INBOX first."""
        rows = self.execute(f"SELECT {_MAILBOX} FROM mailbox")  # noqa: S608 -- a constant
        found = [_mailbox_row(row) for row in rows]
        return sorted(found, key=lambda row: (row.name.upper() != "INBOX", row.name))

    def mailbox(self, name: str) -> MailboxRow:
        """Return a mailbox by its name; INBOX in any case. Raises NoSuchMailbox."""
        wanted = "INBOX" if name.upper() == "INBOX" else name
        for row in self.mailboxes():
            if row.name == wanted or (wanted == "INBOX" and row.name.upper() == wanted):
                return row
        raise NoSuchMailbox(f"the mirror has no mailbox {name!r}")

    def mailbox_by_id(self, mailbox_id: int) -> MailboxRow | None:
        """Return a mailbox by its number in this file."""
        rows = self.execute(f"SELECT {_MAILBOX} FROM mailbox WHERE mailbox_id = ?", (mailbox_id,))  # noqa: S608
        return next(map(_mailbox_row, rows), None)

    def add_mailbox(self, name: str, object_id: str | None, delimiter: str | None, attributes: str) -> int:
        """Make room for a mailbox that the server has; returns its number in this file."""
        with self.transaction():
            self.execute(
                "INSERT INTO mailbox VALUES (NULL, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, NULL, 0)",
                (name, object_id, delimiter, attributes),
            )
            return int(self._connection.last_insert_rowid())

    def rename_mailboxes(self, names: dict[int, str]) -> None:
        """Give mailboxes other names, all at once: two may have swapped theirs."""
        with self.transaction():
            before = {row.mailbox_id: row.name for row in self.mailboxes()}
            for mailbox_id in names:
                self.execute(
                    "UPDATE mailbox SET name = ? WHERE mailbox_id = ?", (f"\0{mailbox_id}", mailbox_id)
                )
            for mailbox_id, name in names.items():
                self.execute("UPDATE mailbox SET name = ? WHERE mailbox_id = ?", (name, mailbox_id))
            # Moves and appends that wait follow their target, by way of marks in case of a swap.
            for mailbox_id in names:
                self.execute(
                    "UPDATE edit SET target = ? WHERE target = ?", (f"\0{mailbox_id}", before[mailbox_id])
                )
            for mailbox_id, name in names.items():
                self.execute("UPDATE edit SET target = ? WHERE target = ?", (name, f"\0{mailbox_id}"))

    def describe_mailbox(
        self, mailbox_id: int, object_id: str | None, delimiter: str | None, attributes: str
    ) -> None:
        """Keep what LIST says of a mailbox."""
        with self.transaction():
            self.execute(
                "UPDATE mailbox SET object_id = ?, delimiter = ?, attributes = ? WHERE mailbox_id = ?",
                (object_id, delimiter, attributes, mailbox_id),
            )

    def remove_mailbox(self, mailbox_id: int) -> None:
        """Forget a mailbox and its messages. Edits of its messages stay, without a mailbox."""
        with self.transaction():
            self._forget_messages(mailbox_id)
            self.execute("UPDATE edit SET mailbox_id = NULL WHERE mailbox_id = ?", (mailbox_id,))
            self.execute("DELETE FROM mailbox WHERE mailbox_id = ?", (mailbox_id,))

    def doubt(self, mailbox_id: int, why: str | None) -> None:
        """Note that the copy of a mailbox may not be right, or (None) that it was verified."""
        with self.transaction():
            self.execute("UPDATE mailbox SET doubt = ? WHERE mailbox_id = ?", (why, mailbox_id))

    # --- messages ---

    def known_uids(self, mailbox_id: int) -> NumSet:
        """Return the UIDs of the messages in the copy."""
        return NumSet(
            uid for (uid,) in self.execute("SELECT uid FROM message WHERE mailbox_id = ?", (mailbox_id,))
        )

    def mod_seq_max(self, mailbox_id: int) -> int:
        """Return the highest number that any message of the copy carries, 0 for none."""
        statement = "SELECT coalesce(max(mod_seq), 0) FROM message WHERE mailbox_id = ?"
        return int(next(self.execute(statement, (mailbox_id,)))[0])

    def messages(self, mailbox_id: int) -> Iterator[MessageRow]:
        """Yield the messages of a mailbox in the order of their UIDs."""
        statement = f"SELECT {_MESSAGE} FROM message WHERE mailbox_id = ? ORDER BY uid"  # noqa: S608
        for row in self.execute(statement, (mailbox_id,)):
            yield MessageRow(*row)

    def message(self, mailbox_id: int, uid: int) -> MessageRow | None:
        """Return one message, None when the copy does not have it."""
        statement = f"SELECT {_MESSAGE} FROM message WHERE mailbox_id = ? AND uid = ?"  # noqa: S608
        row = next(self.execute(statement, (mailbox_id, uid)), None)
        return None if row is None else MessageRow(*row)

    def flags_of(self, mailbox_id: int, uids: Iterable[int]) -> dict[int, FlagsRow]:
        """Return flags and mod-sequences of those of these messages that the copy has."""
        statement = "SELECT uid, flags, mod_seq FROM message WHERE mailbox_id = ? AND uid = ?"
        found = {}
        for uid in uids:
            for row in self.execute(statement, (mailbox_id, uid)):
                found[uid] = FlagsRow(*row)
        return found

    def summary(self, mailbox_id: int, uid: int) -> Summary:
        """Return what lists show of a message."""
        statement = "SELECT subject, sender, recipients, message_id, sent_at FROM summary WHERE mailbox_id = ? AND uid = ?"
        row = next(self.execute(statement, (mailbox_id, uid)), None)
        return Summary() if row is None else Summary(*row)

    def apply(self, mailbox_id: int, batch: ChangeBatch) -> Applied:
        """
        Bring the copy of a mailbox from one watermark to the next: one transaction, durable on return.

        Applying a batch twice is the same as applying it once.
        """
        with self.transaction():
            gone = self._forget_messages(mailbox_id) if batch.reset else 0
            gone += self._remove(mailbox_id, batch.vanished)
            appeared = sum(self._put(mailbox_id, row, summary) for row, summary in batch.appeared)
            changed = sum(self._set_flags(mailbox_id, row) for row in batch.changed)
            if batch.watermark is not None:
                self._move_watermark(mailbox_id, batch.watermark)
        return Applied(appeared, changed, gone)

    def _forget_messages(self, mailbox_id: int) -> int:
        self.execute("DELETE FROM summary WHERE mailbox_id = ?", (mailbox_id,))
        self.execute("DELETE FROM message WHERE mailbox_id = ?", (mailbox_id,))
        return int(self._connection.changes())

    def _remove(self, mailbox_id: int, uids: NumSet) -> int:
        gone = 0
        for first, last in uids.ranges():
            where = "WHERE mailbox_id = ? AND uid BETWEEN ? AND ?"
            self.execute(f"DELETE FROM summary {where}", (mailbox_id, first, last))  # noqa: S608
            self.execute(f"DELETE FROM message {where}", (mailbox_id, first, last))  # noqa: S608
            gone += int(self._connection.changes())
        return gone

    def _put(self, mailbox_id: int, row: MessageRow, summary: Summary) -> int:
        is_new = self.message(mailbox_id, row.uid) is None
        content_id = row.content_id
        if content_id is None and row.email_id is not None:
            statement = "SELECT content_id FROM content WHERE email_id = ?"
            content_id = next((found for (found,) in self.execute(statement, (row.email_id,))), None)
        self.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "mod_seq = excluded.mod_seq, flags = excluded.flags, received_at = excluded.received_at, "
            "received_zone = excluded.received_zone, size = excluded.size, email_id = excluded.email_id",
            (
                *(mailbox_id, row.uid, row.mod_seq, row.flags, row.received_at, row.received_zone),
                *(row.size, row.email_id, content_id),
            ),
        )
        self.execute(
            "INSERT OR REPLACE INTO summary VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(mailbox_id, row.uid, summary.subject, summary.sender, summary.recipients),
                *(summary.message_id, summary.sent_at),
            ),
        )
        return int(is_new)

    def _set_flags(self, mailbox_id: int, row: FlagsRow) -> int:
        self.execute(
            "UPDATE message SET flags = ?1, mod_seq = iif(?2, ?2, mod_seq) WHERE mailbox_id = ?3 AND uid = ?4 "
            "AND (flags <> ?1 OR mod_seq <> iif(?2, ?2, mod_seq))",
            (row.flags, row.mod_seq, mailbox_id, row.uid),
        )
        return int(self._connection.changes())

    def _move_watermark(self, mailbox_id: int, mark: Watermark) -> None:
        self.execute(
            "UPDATE mailbox SET uid_validity = ?, uid_next = ?, mod_seq = ?, told_mod_seq = ?, is_complete = ?, "
            "exists_n = ?, doubt = ?, synced_at = ? WHERE mailbox_id = ?",
            (
                *(mark.uid_validity, mark.uid_next, mark.mod_seq, mark.told_mod_seq, mark.is_complete),
                *(mark.exists, mark.doubt, clock.now_seconds(), mailbox_id),
            ),
        )

    # --- bodies ---

    def without_body(self, mailbox_id: int, received_since: int = 0) -> list[tuple[int, int]]:
        """Return UID and size of messages whose body is not there, the newest first."""
        statement = (
            "SELECT uid, size FROM message WHERE mailbox_id = ? AND content_id IS NULL AND received_at >= ? "
            "ORDER BY uid DESC"
        )
        return [(uid, size) for uid, size in self.execute(statement, (mailbox_id, received_since))]

    def keep_content(self, octets: bytes, email_id: str | None = None) -> int:
        """Keep octets, once however often they come, and return their number."""
        digest = hashlib.sha256(octets).digest()
        with self.transaction():
            found = next(self.execute("SELECT content_id FROM content WHERE digest = ?", (digest,)), None)
            if found is not None:
                content_id = int(found[0])
            else:
                packed = zstandard.ZstdCompressor().compress(octets)
                is_packed = len(packed) < len(octets)
                self.execute(
                    "INSERT INTO content VALUES (NULL, ?, NULL, ?, ?, ?)",
                    (digest, len(octets), is_packed, packed if is_packed else octets),
                )
                content_id = int(self._connection.last_insert_rowid())
            if email_id is not None:
                self.execute(
                    "UPDATE OR IGNORE content SET email_id = ? WHERE content_id = ?", (email_id, content_id)
                )
        return content_id

    def keep_bodies(self, mailbox_id: int, bodies: dict[int, bytes]) -> None:
        """Keep the bodies of messages, by UID; of one that vanished meanwhile nothing is kept."""
        with self.transaction():
            for uid, octets in bodies.items():
                row = self.message(mailbox_id, uid)
                if row is not None:
                    content_id = self.keep_content(octets, row.email_id)
                    self.execute(
                        "UPDATE message SET content_id = ? WHERE mailbox_id = ? AND uid = ?",
                        (content_id, mailbox_id, uid),
                    )

    def content(self, content_id: int | None) -> bytes:
        """Return the octets of a body. Raises BodyMissing."""
        row = next(
            self.execute("SELECT octets, is_packed, data FROM content WHERE content_id = ?", (content_id,)),
            None,
        )
        if row is None:
            raise BodyMissing("the mirror does not have the body of this message")
        octets, is_packed, data = row
        if not is_packed:
            return bytes(data)
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=max(octets, 1))

    def drop_unused_content(self) -> int:
        """Remove bodies that no message and no edit names any more; returns how many."""
        with self.transaction():
            self.execute(
                "DELETE FROM content WHERE content_id NOT IN (SELECT content_id FROM message "
                "WHERE content_id IS NOT NULL UNION ALL SELECT content_id FROM edit WHERE content_id IS NOT NULL)"
            )
            return int(self._connection.changes())

    def check(self) -> list[str]:
        """
        Look for what must not be in any mirror; returns one sentence for each defect.

        Run by tests at the end of each scenario and by `modseq mirror status`.
        """
        found = [str(text) for (text,) in self.execute("PRAGMA integrity_check(5)") if text != "ok"]
        for sentence, statement in _MUST_BE_EMPTY.items():
            rows = [row for (row,) in self.execute(statement)][: limits.MIRROR_DEFECTS_SHOWN_MAX]
            found += [f"{sentence}: {row}" for row in rows]
        return found


def _mailbox_row(row: tuple[Any, ...]) -> MailboxRow:
    found = dict(zip(_MAILBOX.replace("exists_n", "exists").split(", "), row, strict=True))
    return MailboxRow(**{**found, "is_complete": bool(found["is_complete"])})


_MUST_BE_EMPTY = {
    "a message of no mailbox": "SELECT uid FROM message WHERE mailbox_id NOT IN (SELECT mailbox_id FROM mailbox)",
    "a message without summary": "SELECT uid FROM message m WHERE NOT EXISTS (SELECT 1 FROM summary s "
    "WHERE s.mailbox_id = m.mailbox_id AND s.uid = m.uid)",
    "a summary without message": "SELECT uid FROM summary s WHERE NOT EXISTS (SELECT 1 FROM message m "
    "WHERE s.mailbox_id = m.mailbox_id AND s.uid = m.uid)",
    "a message whose body is nowhere": "SELECT uid FROM message WHERE content_id IS NOT NULL "
    "AND content_id NOT IN (SELECT content_id FROM content)",
    "a mailbox verified with another number of messages": "SELECT name FROM mailbox b WHERE is_complete "
    "AND doubt IS NULL AND exists_n <> (SELECT count(*) FROM message m WHERE m.mailbox_id = b.mailbox_id)",
    "a verified message at or above UIDNEXT": "SELECT uid FROM message m JOIN mailbox b USING (mailbox_id) "
    "WHERE doubt IS NULL AND is_complete AND uid >= b.uid_next",
}
"""What holds at every moment, as statements that find what breaks it."""
