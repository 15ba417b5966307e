"""What SQLite and the file system report, as the kinds of ``core.errors``."""

from __future__ import annotations

import errno

import apsw

from modseq.core.errors import StorageError, StorageFailed, StorageFull

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

DISK_ERRORS = (apsw.Error, OSError)
"""What a database or file call may raise; everything else is a fault of this program."""


def kind_of(error: BaseException) -> StorageError:
    """Return the error to raise in place of one of SQLite or of the file system, which becomes its cause."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno in _FULL):
        kind: StorageError = StorageFull("The disk is full.")
    elif isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        kind = StorageFailed("The database is damaged.")
    elif isinstance(error, apsw.BusyError):
        kind = StorageFailed("The database is locked by another program.")
    else:
        kind = StorageFailed("The disk or the database failed.")
    kind.__cause__ = error
    return kind
