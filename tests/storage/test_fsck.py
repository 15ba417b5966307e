"""Everything that can be wrong is made wrong once, and the check names it."""

import asyncio
from array import array

import pytest

from modseq import limits
from modseq.core.history import ExpungeLog, History
from modseq.core.mailbox_operations import CreateMailbox
from modseq.core.operations import Append
from modseq.storage import fsck
from modseq.storage.sqlite import check as sqlite_check
from modseq.storage.sqlite.store import SqliteStore
from storage.scenarios import append, expunge, message, opened, problems_of, store, transfer

INBOX = 1


async def filled(account):
    """Give an account something of everything, part of it folded."""
    await account.commit(CreateMailbox("Work"))
    await append(account, INBOX, *"abcdefgh", flags=("$k",))
    await account.commit(Append(INBOX, (message("big", size=5_000),)))
    for uid in (1, 2, 3):
        await store(account, INBOX, [uid], "+", "\\Seen", "$x")
        await store(account, INBOX, [uid], "+", "\\Flagged")
    await expunge(account, INBOX, 8)
    await transfer(account, INBOX, [1, 2], 2)


# --- what any backend can get wrong: states broken in memory ----------------------------------------


def _chunk(state):
    return state.chunks[0]


def _set(name, value):
    return lambda state: setattr(state, name, value)


def _array_item(name, at, value):
    return lambda state: getattr(_chunk(state), name).__setitem__(at, value)


BROKEN_STATES = [
    ("uid-order", _set("uid_next", 5)),
    ("uid-order", _array_item("uids", 0, 3)),
    ("uid-order", lambda state: state.chunks.update({7: state.chunks.pop(0)})),
    ("counters", _set("unseen", 0)),
    ("counters", _set("exists", 1)),
    ("counters", lambda state: setattr(_chunk(state), "octets", 1)),
    ("mod-seq-bounds", _set("mod_seq", 2)),
    ("mod-seq-bounds", _array_item("created", 4, 0)),
    ("mod-seq-bounds", _array_item("newest", 4, 1)),
    ("mod-seq-bounds", lambda state: setattr(_chunk(state), "newest_max", 1)),
    ("creation-order", _array_item("created", 0, 3)),
    ("newest-items", _array_item("touched", 0, 0)),
    ("item-numbers", lambda state: _chunk(state).extra_nums.__setitem__(0, 1)),
    ("item-numbers", lambda state: _chunk(state).extra_keys.__setitem__(0, 99 << 16)),
    ("flags-known", lambda state: state.palette.masks.__setitem__(_chunk(state).flags[0], 1 << 60)),
    ("history", lambda state: setattr(state, "history", History(state.mod_seq, ExpungeLog()))),
    ("history-agrees", lambda state: state.history._changes.pop(3) and state.history._mod_seqs.pop(3)),
]


@pytest.mark.parametrize(("name", "breakage"), BROKEN_STATES)
def test_a_broken_state_is_named(tmp_path, name, breakage):
    async def scenario():
        async with opened("memory", tmp_path) as backend:
            await backend.directory.add("ann", "h")
            account = await backend.account("ann")
            await filled(account)
            assert await fsck.check(account) == []
            breakage(account._states[INBOX])
            return await fsck.check(account)

    assert name in {problem.name for problem in asyncio.run(scenario())}


def test_missing_rows_and_bodies_are_named(tmp_path):
    async def scenario():
        async with opened("memory", tmp_path) as backend:
            await backend.directory.add("ann", "h")
            account = await backend.account("ann")
            await filled(account)
            del account._rows[INBOX][4]
            first = await fsck.check(account)
            account.read = lambda email_id: _short()
            return first, await fsck.check(account)

    async def _short():
        return b""

    first, second = asyncio.run(scenario())
    assert [problem.name for problem in first] == ["rows"]
    assert {problem.name for problem in second} == {"rows", "bodies"}


def test_a_broken_listing_is_named(tmp_path):
    from dataclasses import replace

    async def scenario():
        async with opened("memory", tmp_path) as backend:
            await backend.directory.add("ann", "h")
            account = await backend.account("ann")
            await account.commit(CreateMailbox("Work"))
            listing = account.listing()
            inbox = listing.find("INBOX")
            broken = [
                replace(listing, mailboxes={"Work": listing.find("Work")}),
                replace(listing, next_uid_validity=1),
                replace(listing, mailboxes={"INBOX": inbox, "Work": replace(inbox, name="Work")}),
            ]
            return [list(fsck.check_listing(each)) for each in broken]

    for problems in asyncio.run(scenario()):
        assert {problem.name for problem in problems} == {"listing"}


# --- what only the embedded store can get wrong: rows and files broken on the disk ------------------

BROKEN_ROWS = [
    ("account-row", "UPDATE account SET next_email_id = 3"),
    ("account-row", "UPDATE account SET next_uid_validity = 1"),
    ("account-row", "UPDATE account SET next_mailbox_id = 1"),
    ("orphans", "INSERT INTO keyword VALUES (77, 5, 'x')"),
    ("orphans", "INSERT INTO message VALUES (77, 1, 1, 1)"),
    ("log", "DELETE FROM log WHERE mailbox_id = 1 AND mod_seq = (SELECT max(mod_seq) FROM log)"),
    ("log", "UPDATE log SET changes = x'00' WHERE mailbox_id = 1 AND mod_seq = 9"),
    ("log", "UPDATE mailbox SET log_bytes = 1 WHERE mailbox_id = 1"),
    ("marks", "UPDATE mailbox SET folded_mod_seq = 99 WHERE mailbox_id = 1"),
    ("replay", "UPDATE mailbox SET name = name WHERE 0"),
    ("chunks", "UPDATE chunk SET exists_n = exists_n + 1"),
    ("chunks", "UPDATE chunk SET newest_max = 2"),
    ("chunks", "UPDATE chunk SET items = x'0102'"),
    ("chunks", "DELETE FROM chunk_core"),
    ("chunks", "INSERT INTO chunk_core VALUES (1, 50, x'00')"),
    ("chunks", "DELETE FROM palette"),
    ("keyword-bits", "UPDATE keyword SET bit = 20 WHERE bit = 6"),
    ("expunge-blocks", "UPDATE expunge SET count = 5"),
    ("expunge-blocks", "UPDATE expunge SET mod_seq_first = 1"),
    ("expunge-blocks", "UPDATE expunge SET mod_seq_last = 500"),
    ("message-rows", "DELETE FROM message WHERE mailbox_id = 1 AND uid = 3"),
    ("message-rows", "INSERT INTO message VALUES (1, 8, 1, 1)"),
    ("contents", "DELETE FROM content WHERE email_id = 3"),
    ("contents", "UPDATE content SET size = 1 WHERE email_id = 3"),
    ("segments", "UPDATE content SET offset = offset + 1 WHERE email_id = 3"),
    ("segments", "UPDATE content SET segment = 9 WHERE email_id = 3"),
    ("segments", "UPDATE content SET offset = 0 WHERE email_id = 3"),
    ("counters", "UPDATE mailbox SET unseen_n = 0 WHERE mailbox_id = 1"),
    ("uid-order", "UPDATE mailbox SET uid_next = 4 WHERE mailbox_id = 1"),
]


@pytest.fixture
def folding(monkeypatch):
    monkeypatch.setattr(limits, "LOG_ROWS_FOLD_MIN", 10)


async def check_again(path):
    async with SqliteStore(path / "data", wakeups=False, sync="off") as backend:
        return await problems_of(await backend.account("ann"))


async def make(path):
    async with opened("sqlite", path, wakeups=False, sync="off") as backend:
        await backend.directory.add("ann", "h")
        account = await backend.account("ann")
        await filled(account)
        while account._writing or account._queue:  # noqa: ASYNC110 -- nobody announces it
            await asyncio.sleep(0.002)
        assert await problems_of(account) == []


async def break_rows(path, statement):
    async with opened("sqlite", path, wakeups=False, sync="off") as backend:
        account = await backend.account("ann")
        await account.write(lambda files: files.writer.execute(statement).fetchall())


@pytest.mark.parametrize(("name", "statement"), BROKEN_ROWS)
def test_a_broken_row_is_named(tmp_path, folding, name, statement):
    asyncio.run(make(tmp_path))
    asyncio.run(break_rows(tmp_path, statement))
    if name == "replay":
        swap_flags(tmp_path)
    assert name in {problem.name for problem in asyncio.run(check_again(tmp_path))}


def swap_flags(path):
    """Give one message of a chunk another size, in the chunk alone."""

    def change(files):
        (core,) = next(iter(files.writer.execute("SELECT core FROM chunk_core")))
        numbers = array("I", core[-4:])
        numbers[0] += 1
        files.writer.execute("UPDATE chunk_core SET core = ?", (core[:-4] + numbers.tobytes(),))

    async def scenario():
        async with opened("sqlite", path, wakeups=False, sync="off") as backend:
            await (await backend.account("ann")).write(change)

    asyncio.run(scenario())


def test_a_flipped_bit_in_a_body_is_named(tmp_path):
    asyncio.run(make(tmp_path))
    (segment,) = (tmp_path / "data").rglob("*.seg")
    data = bytearray(segment.read_bytes())
    data[-100] ^= 1
    segment.write_bytes(data)
    names = {problem.name for problem in asyncio.run(check_again(tmp_path))}
    assert names == {"segments", "bodies"}


def test_a_flipped_bit_in_the_database_is_named(tmp_path):
    asyncio.run(make(tmp_path))
    database = tmp_path / "data" / "accounts" / "1" / "mail.sqlite"
    data = bytearray(database.read_bytes())
    for at in range(4096 * 2, len(data), 4096):
        data[at : at + 8] = b"\xff" * 8
    database.write_bytes(data)
    names = {problem.name for problem in asyncio.run(check_again_or_refused(tmp_path))}
    assert "database" in names


async def check_again_or_refused(path):
    from modseq.core.errors import StorageError
    from modseq.storage.fsck import Problem

    try:
        return await check_again(path)
    except StorageError as error:
        return [Problem("database", "account", str(error))]


def test_every_invariant_is_broken_somewhere():
    broken = {name for name, _ in BROKEN_STATES} | {name for name, _ in BROKEN_ROWS}
    by_hand = {"listing", "readable", "rows", "bodies", "database"}
    assert broken | by_hand == set(fsck.INVARIANTS) | set(sqlite_check.INVARIANTS)
