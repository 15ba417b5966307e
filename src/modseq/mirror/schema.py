"""The tables of a mirror, their version, and how the file is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw

from modseq import limits
from modseq.mirror.errors import NotAMirror

APPLICATION_ID = 0x6D6F646D
"""In the header of the file, so that nobody else's database is taken for a mirror: "modm"."""

_TABLES_1 = """
-- One row: whose copy this is and what is to be in it.
CREATE TABLE mirror(
  mirror_id    INTEGER PRIMARY KEY CHECK (mirror_id = 1),
  account      TEXT NOT NULL,          -- the URL without a password; empty before the first connection
  bodies       TEXT NOT NULL,          -- none, recent or all
  recent_days  INTEGER NOT NULL,
  patterns     TEXT NOT NULL,          -- JSON list of the mailboxes wanted, with * and ?
  synced_at    INTEGER NOT NULL        -- when everything was last found to be current, 0 never
);

-- What is known of each mailbox. It is the server's state; edits made offline are in the outbox alone.
CREATE TABLE mailbox(
  mailbox_id   INTEGER PRIMARY KEY,
  name         TEXT NOT NULL UNIQUE,
  object_id    TEXT UNIQUE,            -- MAILBOXID (RFC 8474): survives a RENAME
  delimiter    TEXT,
  attributes   TEXT NOT NULL,
  uid_validity INTEGER NOT NULL,       -- 0 before the first SELECT
  uid_next     INTEGER NOT NULL,       -- every UID below it is in the copy, or gone, or (before the end of the
                                       -- first copy) still to be copied
  mod_seq      INTEGER NOT NULL,       -- watermark: every change numbered up to it is in the copy; 0 none
  told_mod_seq INTEGER NOT NULL,       -- HIGHESTMODSEQ where a change was seen to carry it, else 0: only then
                                       -- an equal STATUS stands for "nothing changed"
  is_complete  INTEGER NOT NULL,       -- 0 while the first copy runs
  exists_n     INTEGER NOT NULL,       -- messages that the server said to have at the watermark
  doubt        TEXT,                   -- why the copy may not be right; NULL: it was verified
  synced_at    INTEGER NOT NULL
);

CREATE TABLE message(
  mailbox_id    INTEGER NOT NULL,
  uid           INTEGER NOT NULL,
  mod_seq       INTEGER NOT NULL,      -- 0: the server told none
  flags         TEXT NOT NULL,         -- sorted, with a space between; \\Recent is left out
  received_at   INTEGER NOT NULL,      -- INTERNALDATE, seconds since 1970
  received_zone INTEGER NOT NULL,      -- minutes east of Greenwich
  size          INTEGER NOT NULL,      -- RFC822.SIZE
  email_id      TEXT,                  -- EMAILID (RFC 8474)
  content_id    INTEGER,               -- the body, where the copy has it
  PRIMARY KEY (mailbox_id, uid)
) WITHOUT ROWID;
CREATE INDEX message_content ON message(content_id) WHERE content_id IS NOT NULL;

-- What lists show of a message, decoded; searched where the body is not there.
CREATE TABLE summary(
  mailbox_id INTEGER NOT NULL,
  uid        INTEGER NOT NULL,
  subject    TEXT NOT NULL,
  sender     TEXT NOT NULL,
  recipients TEXT NOT NULL,            -- To, Cc and Bcc, each on a line of its own behind its name
  message_id TEXT NOT NULL,
  sent_at    INTEGER,                  -- the Date field, seconds since 1970
  PRIMARY KEY (mailbox_id, uid)
) WITHOUT ROWID;

-- Bodies, each once however many mailboxes it lies in.
CREATE TABLE content(
  content_id INTEGER PRIMARY KEY,
  digest     BLOB NOT NULL UNIQUE,     -- SHA-256 of the octets
  email_id   TEXT UNIQUE,              -- lets a message that was moved keep its body
  octets     INTEGER NOT NULL,
  is_packed  INTEGER NOT NULL,         -- 1: data is a Zstandard frame
  data       BLOB NOT NULL
);

-- Edits made offline, until the server has them. Numbers are never used again.
CREATE TABLE edit(
  edit_id       INTEGER PRIMARY KEY AUTOINCREMENT,
  kind          TEXT NOT NULL,         -- flags, move, delete, append
  state         TEXT NOT NULL,         -- waiting; sent: its outcome is unknown until the answer; conflict
  made_at       INTEGER NOT NULL,
  mailbox_id    INTEGER,               -- where the message lies; NULL once that mailbox is gone, and for append
  uid_validity  INTEGER NOT NULL,
  uid           INTEGER NOT NULL,      -- 0 for append
  base_mod_seq  INTEGER NOT NULL,      -- the message's number when it was edited: the UNCHANGEDSINCE
  base_flags    TEXT NOT NULL,         -- and its flags
  add_flags     TEXT NOT NULL,         -- flags: to be set. append: the flags of the new message
  remove_flags  TEXT NOT NULL,
  target        TEXT,                  -- move, append: the name of the mailbox it goes to
  content_id    INTEGER,               -- append: the message
  received_at   INTEGER NOT NULL,      -- append: its INTERNALDATE
  step          TEXT NOT NULL,         -- how far a command of several steps came
  sent_validity INTEGER NOT NULL,      -- the target's UIDVALIDITY and UIDNEXT before it was sent: whatever
  sent_uid_next INTEGER NOT NULL,      -- the lost command made lies above
  conflict      TEXT                   -- JSON: both sides
);
CREATE INDEX edit_message ON edit(mailbox_id, uid);
"""


def _create(connection: apsw.Connection) -> None:
    connection.execute(_TABLES_1)
    connection.execute("INSERT INTO mirror VALUES (1, '', 'none', 30, '[\"*\"]', 0)")


Migration = Callable[[apsw.Connection], None]

MIGRATIONS: tuple[Migration, ...] = (_create,)
"""Step n leads from format version n to n+1; a step that was released is never changed."""


def connect(path: Path, *, create: bool) -> apsw.Connection:
    """
    Open the file, creating it or bringing it to the newest format where that is due.

    Commits are synced before they return: an edit that was accepted offline survives a power cut.

    Raises: NotAMirror
    """
    if not create and not path.exists():
        raise NotAMirror(f"there is no mirror at {path}")
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    try:
        connection = apsw.Connection(str(path), flags=flags)
    except apsw.Error as error:
        raise NotAMirror(f"{path} cannot be opened: {error}") from error
    try:
        connection.set_busy_timeout(limits.MIRROR_BUSY_MILLISECONDS_MAX)
        _migrate(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except apsw.Error as error:
        connection.close(True)
        raise NotAMirror(f"{path} is no mirror, or is damaged: {error}") from error
    except BaseException:
        connection.close(True)
        raise
    return connection


def _migrate(connection: apsw.Connection, path: Path) -> None:
    """Bring the tables to the newest version, all steps in one transaction."""
    owner = int(connection.pragma("application_id"))
    if owner == APPLICATION_ID and int(connection.pragma("user_version")) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Looked at under the lock: another process may have done it meanwhile.
        version = int(connection.pragma("user_version"))
        owner = int(connection.pragma("application_id"))
        (tables,) = next(connection.execute("SELECT count(*) FROM sqlite_schema"))
        if owner != APPLICATION_ID and (version or owner or tables):
            raise NotAMirror(f"{path} is a database of another program")
        if version > len(MIGRATIONS):
            raise NotAMirror(f"{path} was written by a newer version of modseq")
        for step in MIGRATIONS[version:]:
            step(connection)
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", len(MIGRATIONS))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
