"""What must happen to an account that was restored from a backup before anybody uses it."""

from __future__ import annotations

import apsw

from modseq.storage.sqlite.account import SqliteAccount
from modseq.storage.sqlite.batch import run_step
from modseq.storage.sqlite.files import AccountFiles
from modseq.storage.sqlite.schema import new_number


async def restore_epoch(account: SqliteAccount) -> None:
    """Give every mailbox a new UIDVALIDITY and the account a new epoch.

    The backup is older than what clients were told: its mod-sequences and UIDs would be given out a second
    time. With another UIDVALIDITY clients start anew, and processes that hold newer states throw them away.

    RFC: 3501 section 2.3.1.1
    RFC: 7162 section 3.1.2.1
    """
    await account.write(_renew)
    account.discard()


def _renew(files: AccountFiles) -> None:
    def step(connection: apsw.Connection) -> bool:
        (first,) = next(iter(connection.execute("SELECT next_uid_validity FROM account")))
        ids = [row[0] for row in connection.execute("SELECT mailbox_id FROM mailbox ORDER BY mailbox_id")]
        connection.executemany(
            "UPDATE mailbox SET uid_validity = ? WHERE mailbox_id = ?",
            [(first + at, mailbox_id) for at, mailbox_id in enumerate(ids)],
        )
        connection.execute(
            "UPDATE account SET next_uid_validity = ?, epoch = ?, version = version + 1,"
            " listing_version = listing_version + 1",
            (first + len(ids), new_number()),
        )
        return True

    run_step(files, step)
