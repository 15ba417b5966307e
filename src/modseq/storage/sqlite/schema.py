"""The tables of one account's database, their version, and how a connection to it is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import apsw

from modseq import clock, limits
from modseq.core.errors import StorageFailed
from modseq.storage.disk import Disk

APPLICATION_ID = 0x6D6F6471
"""In the header of every database of ours, so that nobody else's file is taken for one: "modq"."""

ACCOUNT_TABLES = """
-- One row. Its page is written by every commit, so the row is short.
CREATE TABLE account(
  account_id        INTEGER PRIMARY KEY CHECK (account_id = 1),
  version           INTEGER NOT NULL,  -- commits so far: equal versions, equal accounts
  batch             INTEGER NOT NULL,  -- random number of the newest commit: tells whether one took place
  epoch             INTEGER NOT NULL,  -- drawn anew when a backup is restored
  listing_version   INTEGER NOT NULL,  -- rises with every change of mailboxes or subscriptions
  next_mailbox_id   INTEGER NOT NULL,
  next_uid_validity INTEGER NOT NULL,  -- unique for ever: never lowered, also when mailboxes go
  next_email_id     INTEGER NOT NULL,
  next_segment      INTEGER NOT NULL   -- no segment below it is ever made again
);

-- What STATUS and LIST-STATUS tell, without opening the mailbox.
CREATE TABLE mailbox(
  mailbox_id        INTEGER PRIMARY KEY,
  mod_seq           INTEGER NOT NULL,  -- HIGHESTMODSEQ
  uid_next          INTEGER NOT NULL,  -- UIDNEXT
  exists_n          INTEGER NOT NULL,
  unseen_n          INTEGER NOT NULL,
  deleted_n         INTEGER NOT NULL,
  recent_n          INTEGER NOT NULL,
  octets            INTEGER NOT NULL,  -- STATUS SIZE
  recent_from       INTEGER NOT NULL,  -- lowest UID that no session was told to be \\Recent
  folded_mod_seq    INTEGER NOT NULL,  -- every change up to it is in the chunks and the expunge blocks
  log_from_mod_seq  INTEGER NOT NULL,  -- every change above it is in the log
  log_bytes         INTEGER NOT NULL,  -- octets of the log's records
  expunge_horizon   INTEGER NOT NULL,  -- highest mod-sequence of a forgotten expunge, 0 for none
  uid_validity      INTEGER NOT NULL,
  name              TEXT NOT NULL,
  special_use       TEXT
);

CREATE TABLE keyword(
  mailbox_id INTEGER NOT NULL,
  bit        INTEGER NOT NULL,         -- from 5; kept for ever
  name       TEXT NOT NULL,            -- in the spelling that came first
  PRIMARY KEY (mailbox_id, bit)
) WITHOUT ROWID;

-- One row per operation: core.change.Change. Rows up to folded_mod_seq only spare others a reload.
CREATE TABLE log(
  mailbox_id INTEGER NOT NULL,
  mod_seq    INTEGER NOT NULL,
  changes    BLOB NOT NULL,
  PRIMARY KEY (mailbox_id, mod_seq)
) WITHOUT ROWID;

-- The flag masks by which chunks name them.
CREATE TABLE palette(
  mailbox_id INTEGER NOT NULL,
  number     INTEGER NOT NULL,
  mask       BLOB NOT NULL,            -- little-endian
  PRIMARY KEY (mailbox_id, number)
) WITHOUT ROWID;

-- 4,096 UIDs packed: what changes with flags. folded: the mod-sequence up to which the row is current;
-- while a log is being folded that differs from chunk to chunk.
CREATE TABLE chunk(
  mailbox_id INTEGER NOT NULL,
  chunk_no   INTEGER NOT NULL,
  folded     INTEGER NOT NULL,
  newest_max INTEGER NOT NULL,
  exists_n   INTEGER NOT NULL,
  last_uid   INTEGER NOT NULL,         -- with exists_n, names the set of UIDs
  unseen_n   INTEGER NOT NULL,
  deleted_n  INTEGER NOT NULL,
  octets     INTEGER NOT NULL,
  items      BLOB NOT NULL,
  PRIMARY KEY (mailbox_id, chunk_no)
);

-- The same messages: what changes only when messages come and go.
CREATE TABLE chunk_core(
  mailbox_id INTEGER NOT NULL,
  chunk_no   INTEGER NOT NULL,
  core       BLOB NOT NULL,
  PRIMARY KEY (mailbox_id, chunk_no)
);

-- Exact pairs of mod-sequence and expunged UID, up to folded_mod_seq.
CREATE TABLE expunge(
  mailbox_id    INTEGER NOT NULL,
  mod_seq_last  INTEGER NOT NULL,
  uid_last      INTEGER NOT NULL,      -- one huge expunge may fill several blocks
  mod_seq_first INTEGER NOT NULL,
  count         INTEGER NOT NULL,
  folded_at     INTEGER NOT NULL,      -- seconds since 1970: for a bound by age
  pairs         BLOB NOT NULL,
  PRIMARY KEY (mailbox_id, mod_seq_last, uid_last)
);

CREATE TABLE message(
  mailbox_id INTEGER NOT NULL,
  uid        INTEGER NOT NULL,
  email_id   INTEGER NOT NULL,
  saved_at   INTEGER NOT NULL,         -- SAVEDATE, seconds since 1970
  PRIMARY KEY (mailbox_id, uid)
) WITHOUT ROWID;

-- An immutable message. Small columns first: reading them leaves the large ones on their pages.
CREATE TABLE content(
  email_id      INTEGER PRIMARY KEY,
  segment       INTEGER NOT NULL,
  offset        INTEGER NOT NULL,
  stored_length INTEGER NOT NULL,      -- octets of the body in its segment, perhaps compressed
  size          INTEGER NOT NULL,      -- RFC822.SIZE
  received_at   INTEGER NOT NULL,      -- INTERNALDATE, seconds since 1970
  received_zone INTEGER NOT NULL,      -- minutes east of Greenwich
  sent_date     INTEGER,               -- days since 1970
  header_length INTEGER NOT NULL,
  envelope      BLOB NOT NULL,
  body          BLOB NOT NULL,
  structure     BLOB NOT NULL,
  parts         BLOB NOT NULL
);

CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;
"""

ROWS_AHEAD_AND_AFTER = """
-- Rows of messages that are gone, or (uids NULL) of a mailbox that is: still to be deleted, a few at a time.
CREATE TABLE doomed(
  doomed_id  INTEGER PRIMARY KEY,
  mailbox_id INTEGER NOT NULL,
  uids       BLOB                      -- roaring bitmap
);

-- Mailboxes that may hold rows at and above uid_next: of a copy that is not committed yet, or never was.
CREATE TABLE staged(
  mailbox_id INTEGER PRIMARY KEY,
  token      INTEGER NOT NULL          -- random: names the copy
);
"""

DIRECTORY_TABLES = """
CREATE TABLE user(
  account_number INTEGER PRIMARY KEY AUTOINCREMENT,  -- names the account's directory; never used again
  name           TEXT NOT NULL UNIQUE,
  password_hash  TEXT NOT NULL
);
"""

type_of_migration = Callable[[apsw.Connection], None]


def _create_account(connection: apsw.Connection) -> None:
    connection.execute(ACCOUNT_TABLES)
    # A user who was removed and added again must not meet the UIDVALIDITY values that clients remember:
    # the first one is the time, as RFC 3501 section 2.3.1.1 advises. Mod-sequences come from no clock.
    uid_validity = clock.now_seconds()
    connection.execute(
        "INSERT INTO account VALUES (1, 1, 0, ?, 1, 2, ?, 1, 1)", (new_number(), uid_validity + 1)
    )
    connection.execute(
        "INSERT INTO mailbox VALUES (1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, ?, 'INBOX', NULL)",
        (uid_validity,),
    )


def _add_rows_ahead_and_after(connection: apsw.Connection) -> None:
    connection.execute(ROWS_AHEAD_AND_AFTER)


def _create_directory(connection: apsw.Connection) -> None:
    connection.execute(DIRECTORY_TABLES)


ACCOUNT_MIGRATIONS: tuple[type_of_migration, ...] = (_create_account, _add_rows_ahead_and_after)
"""Step n leads from format version n to n+1; a step that was released is never changed."""

DIRECTORY_MIGRATIONS: tuple[type_of_migration, ...] = (_create_directory,)


def new_number() -> int:
    """Draw a random number that names a commit or an epoch, from 1 to 2^62."""
    return 1 + int.from_bytes(clock.random_bytes(8), "big") % 2**62


def connect(path: Path, disk: Disk, *, create: bool = False) -> apsw.Connection:
    """Open a connection: write-ahead log, each commit synced before anybody sees it."""
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    connection = apsw.Connection(str(path), flags=flags, vfs=disk.vfs)
    try:
        connection.set_busy_timeout(limits.BUSY_MILLISECONDS_MAX)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if disk.syncs else 'OFF'}")
        # Checkpoints are made between commits, when nobody waits for the one just made.
        connection.wal_autocheckpoint(0)
    except BaseException:
        connection.close(True)
        raise
    return connection


def sync_log(path: Path, disk: Disk) -> None:
    """Make durable what the write-ahead log of a database holds; call it between reading and telling.

    A process that is killed after it wrote a commit and before it synced it leaves the commit whole in the
    log, and whoever opens the database next finds it there: the first to tell of it must sync it, or a power
    cut could take back what was told. SQLite holds no locks on this file, so a descriptor of it may be closed.

    Raises:
        OSError: it may not be told.
    """
    try:
        fd = disk.open_file(path.with_name(f"{path.name}-wal"), create=False)
    except FileNotFoundError:
        return
    try:
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.sync_directory(path.parent)


def prepare(
    directory: Path, name: str, disk: Disk, migrations: tuple[type_of_migration, ...]
) -> apsw.Connection:
    """Open a database, creating it or bringing it to the newest format where that is due.

    Raises:
        StorageFailed: the file is none of ours, or was written by a newer version of this program.
    """
    path = directory / name
    fresh = not path.exists()
    connection = connect(path, disk, create=True)
    try:
        if fresh:
            # SQLite syncs the directory for its log but not for the database itself.
            disk.sync_directory(directory)
        migrate(connection, migrations)
    except BaseException:
        connection.close(True)
        raise
    return connection


def migrate(connection: apsw.Connection, migrations: tuple[type_of_migration, ...]) -> None:
    """Bring an open database to the newest format; raises StorageFailed as `prepare` does."""
    if connection.pragma("user_version") == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Looked at again under the lock: another process may have done it meanwhile.
        version = int(connection.pragma("user_version"))
        owner = int(connection.pragma("application_id"))
        if version > len(migrations):
            raise StorageFailed("The store was written by a newer version of this program.")
        if version and owner != APPLICATION_ID:
            raise StorageFailed("The file is a database of another program.")
        for step in migrations[version:]:
            step(connection)
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", len(migrations))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
