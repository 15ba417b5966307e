"""One commit: everything queued for an account, in one transaction, on the writer's thread.

Order of things: take the turn, open the transaction, catch up with other processes, apply the operations
to a draft, make the bodies durable, write rows and counters, commit. Nothing is shown to anybody before
the commit has returned, and the database is synced by it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from modseq import limits
from modseq.core.account import AccountDraft, AccountState
from modseq.core.errors import CommitUnknown, MailboxNotFound, StorageError
from modseq.core.mailbox import MailboxState
from modseq.core.operations import Operation
from modseq.storage.blobs import Location
from modseq.storage.sqlite.errors import DISK_ERRORS, kind_of
from modseq.storage.sqlite.files import AccountFiles
from modseq.storage.sqlite.reading import (
    CaughtUp,
    Snapshot,
    catch_up,
    load_mailbox,
    read_account,
)
from modseq.storage.sqlite.schema import new_number
from modseq.storage.sqlite.writing import Stamp, write_draft

_IOERR_WRITE = 778
"""SQLITE_IOERR_WRITE: a write failed, so the record that makes a commit, which is the last, is not there."""


@dataclass(slots=True)
class BatchResult:
    """How a batch ended.

    Attributes:
        outcomes: for each operation its outcome, or the exception to raise.
        caught: what others had committed before; None for nothing.
        draft: what was committed; None when nothing was.
        version: the account's commits, this one included.
        count: the turn's count after the commit; None when nothing was committed.
    """

    outcomes: list[Any]
    caught: CaughtUp | None = None
    draft: AccountDraft | None = None
    version: int = 0
    count: int | None = None


def run_batch(
    files: AccountFiles, base: Snapshot, operations: Sequence[Operation[Any]], now: int
) -> BatchResult:
    """Carry out operations and commit them; never raises an expected error."""
    try:
        with files.turn:
            return Batch(files, base, now).run(operations)
    except (StorageError, *DISK_ERRORS) as error:
        files.turn.disown()
        return BatchResult([kind_of(error)] * len(operations))


class Batch:
    """One batch, with the turn held. Its steps are methods, so that a test can put them in a wrong order."""

    def __init__(self, files: AccountFiles, base: Snapshot, now: int) -> None:
        self._files = files
        self._base = base
        self._now = now
        self._connection = files.writer
        self._caught: CaughtUp | None = None

    def run(self, operations: Sequence[Operation[Any]]) -> BatchResult:
        """Carry out the operations.

        Raises:
            StorageError, OSError, apsw.Error: nothing was stored, except after CommitUnknown.
        """
        connection = self._connection
        self._begin()
        try:
            self._caught = caught = catch_up(connection, self._base)
            current: Snapshot | CaughtUp = self._base if caught is None else caught
            draft, outcomes = self._apply(operations, current.account)
            if not draft.touched:
                connection.execute("ROLLBACK")
                return BatchResult(outcomes, caught, version=current.version)
            stamp = Stamp(current.version + 1, new_number(), current.next_segment)
            locations = self.store_bodies(draft, stamp)
            write_draft(connection, draft, current.account, locations, stamp)
        except BaseException:
            _roll_back(connection)
            raise
        count = self.commit(stamp.batch)
        return BatchResult(outcomes, caught, draft, stamp.version, count)

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error:
            # A connection that met an error at commit may be of no more use.
            self._files.drop_writer()
            self._connection = self._files.writer
            self._connection.execute("BEGIN IMMEDIATE")

    def _apply(
        self, operations: Sequence[Operation[Any]], account: AccountState
    ) -> tuple[AccountDraft, list[Any]]:
        """Apply the operations in order; one that raises gets its error and the others proceed."""
        outcomes: list[Any] = [None] * len(operations)
        faulty: set[int] = set()
        while True:
            draft = AccountDraft(account, self._state, self._now)
            before = len(faulty)
            for at, operation in enumerate(operations):
                if at in faulty:
                    continue
                try:
                    outcomes[at] = draft.run(operation)
                except StorageError as error:
                    outcomes[at] = error
                except Exception as error:  # noqa: BLE001 -- a fault of one operation must not fail the others
                    # Nobody knows in what state it left the draft.
                    outcomes[at] = error
                    faulty.add(at)
                    break
            if len(faulty) == before:
                return draft, outcomes

    def _state(self, mailbox_id: int) -> MailboxState:
        """Return a mailbox as it is in storage at this moment."""
        if self._caught is not None:
            if mailbox_id in self._caught.gone:
                raise MailboxNotFound("The mailbox was deleted.")
            if mailbox_id in self._caught.states:
                return self._caught.states[mailbox_id]
        state = self._base.states.get(mailbox_id)
        if state is not None:
            return state
        behind = self._base.behind.get(mailbox_id)
        return load_mailbox(self._connection, mailbox_id, behind.palette if behind is not None else None)

    def store_bodies(self, draft: AccountDraft, stamp: Stamp) -> list[Location]:
        """Make the bodies of new messages durable, before any row names them."""
        if not draft.contents:
            return []
        return self._files.segments.append(
            ((email_id, message.content.data) for email_id, message in draft.contents), stamp.next_segment
        )

    def commit(self, batch: int) -> int:
        """Commit, and return the turn's count.

        Raises:
            CommitUnknown: nobody can tell whether it took place.
        """
        self._files.turn.announce()
        try:
            self._connection.execute("COMMIT")
        except DISK_ERRORS as error:
            if not self._took_place(error, batch):
                raise
        finally:
            count = self._files.turn.settle()
        return count

    def _took_place(self, error: Exception, batch: int) -> bool:
        """Find out whether a commit that failed took place all the same, and make sure that it stays so.

        The turn is still ours: no other process has committed since.
        """
        _roll_back(self._connection)
        try:
            if read_account(self._connection).batch == batch:
                return True
            if not _certainly_incomplete(error):
                make_undone(self._connection)
        except DISK_ERRORS:
            self._look_again(batch)
        return False

    def _look_again(self, batch: int) -> None:
        """Ask a new connection until it answers.

        Raises:
            CommitUnknown: the log could not be written again, so a restart may yet find the commit there.
        """
        for _ in range(limits.UNKNOWN_OUTCOME_ATTEMPTS_MAX):
            self._files.drop_writer()
            with contextlib.suppress(*DISK_ERRORS):
                connection = self._files.writer
                if read_account(connection).batch == batch:
                    # Seen, but never synced: it must be announced neither as done nor as undone.
                    break
                make_undone(connection)
                return
        raise CommitUnknown("The disk failed while the change was being stored: its outcome is unknown.")


def _certainly_incomplete(error: Exception) -> bool:
    return isinstance(error, apsw.FullError) or getattr(error, "extendedresult", 0) == _IOERR_WRITE


def make_undone(connection: apsw.Connection) -> None:
    """Write over the traces of a commit whose sync failed.

    Its records may lie complete in the write-ahead log, where nobody sees them until a restart reads the
    log anew. The next commit takes their place, so one that changes nothing makes the failure final.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("UPDATE account SET batch = ? WHERE account_id = 1", (new_number(),))
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: apsw.Connection) -> None:
    with contextlib.suppress(*DISK_ERRORS):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


Step = Callable[[apsw.Connection], bool | None]


def run_step(files: AccountFiles, step: Step) -> None:
    """Run a step of housekeeping in a transaction of its own; it returns True when others must look.

    Raises:
        StorageError: nothing was stored.
    """
    with files.turn:
        try:
            connection = files.writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                if step(connection):
                    files.turn.announce(own=False)
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
            finally:
                files.turn.settle()
        except DISK_ERRORS as error:
            files.drop_writer()
            raise kind_of(error) from error


def body_octets(operation: Operation[Any]) -> int:
    """Return how many octets of bodies an operation brings."""
    messages = getattr(operation, "messages", ())
    return sum(len(message.content.data) for message in messages)
