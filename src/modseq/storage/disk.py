"""The seam through which everything durable is written: files of bodies, directories, and the database.

The store never writes or syncs a durable file except through a `Disk`. Its SQLite connections open on the
VFS that the disk names, so a test that puts a recording or failing disk in this place sees every write and
sync of database, write-ahead log, segments and directories in one order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_BUFFERS_PER_CALL = 1_024
"""Linux takes at most this many buffers in one vectored write (IOV_MAX)."""


class Disk:
    """The machine's file system.

    Attributes:
        vfs: name of the SQLite VFS on which databases open; None for SQLite's own.
        syncs: False when nothing is synced: whatever was confirmed lately is lost in a power cut.
    """

    vfs: str | None = None

    def __init__(self, *, syncs: bool = True) -> None:
        self.syncs = syncs

    def make_directory(self, path: Path) -> None:
        """Make a directory that only its owner may enter; its parent is not synced."""
        path.mkdir(mode=0o700)

    def open_file(self, path: Path, *, create: bool) -> int:
        """Open a file for writing and return its descriptor.

        Raises:
            FileExistsError: it was to be created and is there.
        """
        flags = os.O_RDWR | os.O_CLOEXEC
        return os.open(path, flags | os.O_CREAT | os.O_EXCL if create else flags, 0o600)

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> None:
        """Write all buffers one after the other from an offset on."""
        pending = [memoryview(buffer) for buffer in buffers if buffer]
        while pending:
            written = os.pwritev(fd, pending[:_BUFFERS_PER_CALL], offset)
            offset += written
            done = 0
            while written and written >= len(pending[done]):
                written -= len(pending[done])
                done += 1
            del pending[:done]
            if written:
                pending[0] = pending[0][written:]

    def sync(self, fd: int) -> None:
        """Return when everything written to a file is durable, its length included."""
        if self.syncs:
            os.fdatasync(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory are durable."""
        if not self.syncs:
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def unlink(self, path: Path) -> None:
        """Remove a file's name."""
        path.unlink()

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()
