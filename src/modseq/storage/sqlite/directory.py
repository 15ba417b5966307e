"""The users of a data directory, in a database of their own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw

from modseq.core.errors import StorageFailed, UserExists, UserNotFound
from modseq.storage.disk import Disk
from modseq.storage.locks import TurnLock
from modseq.storage.sqlite.errors import DISK_ERRORS, kind_of
from modseq.storage.sqlite.files import BODIES, DATABASE, make_account
from modseq.storage.sqlite.schema import DIRECTORY_MIGRATIONS, connect, new_number, prepare, sync_log

_USERS = "users.sqlite"
_ACCOUNTS = "accounts"
RUN = "run"


class UserTable:
    """Users, password hashes and account numbers; every method may wait for the disk.

    An account's directory is named by a number that is never used again, so a user's name may hold
    whatever it likes, and a user who is removed and added again starts with nothing.
    """

    def __init__(self, data_dir: Path, disk: Disk) -> None:
        self._data_dir = data_dir
        self._disk = disk
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def open(self) -> None:
        """Make what is missing of the data directory; raises StorageFailed, StorageFull."""
        disk, data_dir = self._disk, self._data_dir
        with self._lock:
            try:
                if not data_dir.is_dir():
                    data_dir.parent.mkdir(parents=True, exist_ok=True)
                    with contextlib.suppress(FileExistsError):
                        disk.make_directory(data_dir)
                    disk.sync_directory(data_dir.parent)
                data_dir.chmod(0o700)
                for name in (_ACCOUNTS, RUN):
                    with contextlib.suppress(FileExistsError):
                        disk.make_directory(data_dir / name)
                disk.sync_directory(data_dir)
                self._connection = prepare(data_dir, _USERS, disk, DIRECTORY_MIGRATIONS)
                sync_log(data_dir / _USERS, disk)
            except DISK_ERRORS as error:
                raise kind_of(error) from error

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(*DISK_ERRORS):
                    connection.close(True)

    def account_directory(self, number: int) -> Path:
        """Return the directory of an account."""
        return self._data_dir / _ACCOUNTS / str(number)

    def number(self, name: str) -> int | None:
        """Return a user's account number, None for no such user."""
        row = self._row("SELECT account_number FROM user WHERE name = ?", name)
        return None if row is None else int(row[0])

    def numbers(self) -> dict[str, int]:
        """Return the account numbers of all users."""
        with self._lock, _reported():
            return dict(self._open().execute("SELECT name, account_number FROM user ORDER BY name"))

    def password_hash(self, name: str) -> str | None:
        """Return the hash of a user's password, None for no such user."""
        row = self._row("SELECT password_hash FROM user WHERE name = ?", name)
        return None if row is None else str(row[0])

    def _row(self, statement: str, name: str) -> tuple[int | str, ...] | None:
        with self._lock, _reported():
            return next(iter(self._open().execute(statement, (name,))), None)

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            raise StorageFailed("The store is closed.")
        return self._connection

    def add(self, name: str, password_hash: str) -> int:
        """Add a user and make the account; raises UserExists."""
        with self._lock, _reported():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(
                    "INSERT INTO user (name, password_hash) VALUES (?, ?)", (name, password_hash)
                )
                number = connection.last_insert_rowid()
                # The account is complete before its user is there. If this process dies in between,
                # the next user gets the number, and takes over an account in which nothing happened.
                make_account(self.account_directory(number), self._disk)
                connection.execute("COMMIT")
            except apsw.ConstraintError as error:
                raise UserExists(f"There is a user {name} already.") from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return number

    def set_password_hash(self, name: str, password_hash: str) -> None:
        """Replace a user's password; raises UserNotFound."""
        with self._lock, _reported():
            connection = self._open()
            connection.execute("UPDATE user SET password_hash = ? WHERE name = ?", (password_hash, name))
            if not connection.changes():
                raise UserNotFound(f"There is no user {name}.")

    def remove(self, name: str) -> None:
        """Remove a user with all mail; raises UserNotFound."""
        number = self.number(name)
        if number is None:
            raise UserNotFound(f"There is no user {name}.")
        with self._lock, _reported():
            self._open().execute("DELETE FROM user WHERE name = ?", (name,))
            directory = self.account_directory(number)
            self._revoke(directory)
            self._delete(directory)

    def _revoke(self, directory: Path) -> None:
        """Make other processes that serve the account notice that it is no longer the one they knew."""
        turn = TurnLock(directory)
        try:
            with turn:
                connection = connect(directory / DATABASE, self._disk)
                try:
                    connection.execute("UPDATE account SET epoch = ?", (new_number(),))
                    turn.announce(own=False)
                    turn.settle()
                finally:
                    connection.close(True)
        finally:
            turn.close()

    def _delete(self, directory: Path) -> None:
        for path in (directory / BODIES, directory):
            for entry in path.iterdir():
                if not entry.is_dir():
                    self._disk.unlink(entry)
            self._disk.remove_directory(path)
        self._disk.sync_directory(directory.parent)


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Raise what SQLite and the file system report as one of our kinds."""
    try:
        yield
    except DISK_ERRORS as error:
        raise kind_of(error) from error
