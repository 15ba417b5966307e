"""What one process holds open of one account: locks, connections, segments."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import apsw

from modseq import limits
from modseq.storage.blobs import SegmentReader, SegmentWriter
from modseq.storage.disk import Disk
from modseq.storage.locks import TurnLock
from modseq.storage.sqlite.errors import DISK_ERRORS
from modseq.storage.sqlite.schema import ACCOUNT_MIGRATIONS, connect, migrate, prepare, sync_log

DATABASE = "mail.sqlite"
BODIES = "bodies"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose for the embedded store.

    Attributes:
        compress_bodies: squeeze bodies by zstd where that makes them smaller.
        expunges_kept_max: how many expunged UIDs of a mailbox are remembered; None for all.
        expunges_kept_seconds_max: how long they are remembered; None for ever.
    """

    compress_bodies: bool = False
    expunges_kept_max: int | None = None
    expunges_kept_seconds_max: int | None = None


class AccountFiles:
    """The open files of an account.

    The writing half (`writer`, `segments`) belongs to the one job that writes at a time, the reading half
    (`reader`, `bodies`) to the one that reads. Both open on first use, in their threads.
    """

    def __init__(self, directory: Path, disk: Disk, settings: Settings) -> None:
        self.directory = directory
        self.disk = disk
        self.settings = settings
        self.turn = TurnLock(directory)
        self.segments = SegmentWriter(directory / BODIES, disk, compress=settings.compress_bodies)
        self.bodies = SegmentReader(directory / BODIES)
        self.wal_pages = 0
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None

    @property
    def writer(self) -> apsw.Connection:
        """The connection that commits."""
        if self._writer is None:
            self._writer = connect(self.directory / DATABASE, self.disk)
            self._writer.set_wal_hook(self._wal_grew)
        return self._writer

    @property
    def reader(self) -> apsw.Connection:
        """
        The connection that reads.

        It is the first one that an account opens, and so the one that brings an older database to the newest format.
        """
        if self._reader is None:
            reader = connect(self.directory / DATABASE, self.disk)
            try:
                migrate(reader, ACCOUNT_MIGRATIONS)
            except BaseException:
                reader.close(True)
                raise
            self._reader = reader
        return self._reader

    def _wal_grew(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK

    def drop_writer(self) -> None:
        """Close the connection that commits, so that the next use opens a new one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(*DISK_ERRORS):
                writer.close(True)

    def sync_log(self) -> None:
        """Make durable what was found in the write-ahead log, before anybody is told of it."""
        sync_log(self.directory / DATABASE, self.disk)

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the database, while nobody writes."""
        # With the turn held no commit is added meanwhile, so the log begins anew with the next one
        # instead of growing for as long as two processes keep writing.
        with self.turn:
            self.writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self.wal_pages = 0

    @property
    def wants_checkpoint(self) -> bool:
        """True when the write-ahead log has grown enough."""
        return self.wal_pages >= limits.WAL_PAGES_CHECKPOINT_MIN

    def close(self) -> None:
        """Close everything; nobody may be reading or writing."""
        self.segments.close()
        self.bodies.close()
        self.drop_writer()
        reader, self._reader = self._reader, None
        if reader is not None:
            with contextlib.suppress(*DISK_ERRORS):
                reader.close(True)
        self.turn.close()


def make_account(directory: Path, disk: Disk) -> None:
    """Make the files of an account where they are missing, and bring its database to the newest format.

    Every directory is synced before anything in it counts.
    """
    for path in (directory, directory / BODIES):
        with contextlib.suppress(FileExistsError):
            disk.make_directory(path)
        disk.sync_directory(path.parent)
    prepare(directory, DATABASE, disk, ACCOUNT_MIGRATIONS).close()
