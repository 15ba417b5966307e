"""Power is cut at every sync: whatever was acknowledged is there, and no mod-sequence is used twice."""

import asyncio
import random
import shutil
from dataclasses import dataclass

import pytest

from modseq import limits
from modseq.core.errors import StorageError
from modseq.core.mailbox_operations import CreateMailbox, DeleteMailbox
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Expunge
from modseq.storage.sqlite.batch import Batch
from modseq.storage.sqlite.compaction import compact
from modseq.storage.sqlite.store import SqliteStore
from storage.power import RecordingDisk, Ruins, cuts
from storage.scenarios import append, message, problems_of, store, told, transfer


@dataclass(frozen=True)
class Told:
    """What a client may have stored of a mailbox: it was told all of it."""

    mailbox_id: int
    uid_validity: int
    mod_seq: int
    messages: dict


@dataclass(frozen=True)
class Delivered:
    """A message whose delivery was confirmed."""

    mailbox_id: int
    uid: int
    data: bytes


@dataclass(frozen=True)
class UserAdded:
    name: str


@pytest.fixture
def small(monkeypatch):
    """Make everything that happens rarely happen within a short history."""
    monkeypatch.setattr(limits, "WAL_PAGES_CHECKPOINT_MIN", 25)
    monkeypatch.setattr(limits, "LOG_ROWS_FOLD_MIN", 8)
    monkeypatch.setattr(limits, "LOG_ROWS_KEPT_MIN", 12)
    monkeypatch.setattr(limits, "LOG_ROWS_TRIMMED_PER_COMMIT", 4)
    monkeypatch.setattr(limits, "FOLD_CHUNKS_PER_COMMIT", 1)
    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 60_000)
    monkeypatch.setattr(limits, "HUGE_OPERATION_MESSAGES_MIN", 2)
    monkeypatch.setattr(limits, "ROWS_PER_COMMIT_MAX", 1)


async def live(disk, data, rng, steps):
    """A client works with a mailbox, and keeps a note of everything that it is told."""
    async with SqliteStore(data, disk=disk, wakeups=False) as backend:
        await backend.directory.add("ann", "hash")
        disk.acknowledge(UserAdded("ann"))
        account = await backend.account("ann")
        inbox = account.listing().find("INBOX").mailbox_id
        work = (await account.commit(CreateMailbox("Work"))).mailbox_id

        async def deliver(mailbox_id):
            one = message(f"{rng.random()}", size=rng.choice((100, 5_000, 20_000)))
            outcome = await account.commit(Append(mailbox_id, (one,)))
            disk.acknowledge(Delivered(mailbox_id, outcome.uids[0], one.content.data))

        for step in range(steps):
            state = account.published(inbox) or await account.mailbox(inbox)
            present = list(state.index)
            some = rng.sample(present, min(len(present), 3))
            action = rng.choice(("append", "append", "flag", "flag", "expunge", "move", "copy", "together"))
            if action == "append" or not some:
                await deliver(inbox)
            elif action == "flag":
                await store(account, inbox, some, rng.choice("+-="), rng.choice(("\\Seen", "$a", "$b")))
            elif action == "expunge":
                await store(account, inbox, some[: rng.choice((1, 2))], "+", "\\Deleted")
                await account.commit(Expunge(inbox))
            elif action in ("move", "copy"):
                await transfer(account, inbox, some[: rng.choice((1, 3))], work, move=action == "move")
            else:
                await asyncio.gather(
                    deliver(inbox), deliver(work), store(account, inbox, some, "+", "\\Flagged")
                )
            if step == steps // 2:
                await account.commit(CreateMailbox("Gone"))
                await account.commit(DeleteMailbox("Gone"))
                await compact(account, dead_percent_min=1)
            for mailbox_id in (inbox, work):
                state = await account.mailbox(mailbox_id)
                fact = Told(mailbox_id, state.uid_validity, state.mod_seq, told(state))
                disk.acknowledge(fact)


async def verify(data, facts):
    """Open what a power cut left, and hold it against everything that was told before."""
    if not facts:
        return
    async with SqliteStore(data, wakeups=False, sync="off") as backend:
        account = await backend.account("ann")
        problems = await problems_of(account)
        assert problems == [], problems
        newest = {}
        for fact in facts:
            if isinstance(fact, Told):
                newest.setdefault(fact.mailbox_id, []).append(fact)
        for mailbox_id, states in newest.items():
            state = await account.mailbox(mailbox_id)
            now = told(state)
            # The newest, the oldest and some in between: each is a place from where a client resumes.
            for fact in {
                id(f): f for f in (states[0], *states[:: max(1, len(states) // 4)], states[-1])
            }.values():
                assert state.uid_validity == fact.uid_validity
                assert state.mod_seq >= fact.mod_seq
                changes = await account.changes_since(mailbox_id, fact.mod_seq)
                copy = {uid: kept for uid, kept in fact.messages.items() if uid not in changes.vanished}
                copy.update({uid: now[uid] for uid in (*changes.appeared, *changes.changed)})
                assert copy == now, f"resuming from {fact.mod_seq} of {state.mod_seq}"
        await _verify_bodies(account, [fact for fact in facts if isinstance(fact, Delivered)])
        # The next change takes a number that nobody has seen.
        for mailbox_id, states in newest.items():
            outcome = await append(account, mailbox_id, "after")
            assert outcome.mod_seq > states[-1].mod_seq


async def _verify_bodies(account, delivered):
    for fact in delivered[-5:]:
        for row in await account.rows(fact.mailbox_id, [fact.uid], ready=False):
            assert await account.read(row.email_id) == fact.data


def cut_everywhere(tmp_path, disk, seed, *, stop_at_first=False):
    """Cut the power at every sync; return at how many moments the checks failed, and the first failure."""
    root = tmp_path / "data"
    rng = random.Random(seed)
    ruins = Ruins()
    facts: list = []
    moments = set(cuts(disk.events))
    failures = []
    checked = 0
    for at in range(len(disk.events) + 1):
        if at in moments or at == len(disk.events):
            target = tmp_path / "ruins"
            ruins.materialize(root, target, rng)
            checked += 1
            try:
                asyncio.run(verify(target, facts))
            except (AssertionError, StorageError) as error:
                failures.append((at, error))
                if stop_at_first:
                    break
            shutil.rmtree(target)
        if at < len(disk.events):
            event = disk.events[at]
            ruins.apply(event)
            if event.kind == "ack":
                facts.append(event.fact)
    return checked, failures


def record(tmp_path, *, seed, steps=40, lies_about=None):
    disk = RecordingDisk(lies_about)
    asyncio.run(live(disk, tmp_path / "data", random.Random(seed), steps))
    return disk


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost_at_any_moment(tmp_path, small, seed):
    disk = record(tmp_path, seed=seed)
    kinds = {event.kind for event in disk.events}
    assert {"create", "write", "sync", "sync-directory", "unlink", "ack"} <= kinds
    checked, failures = cut_everywhere(tmp_path, disk, seed)
    assert not failures, failures[0]
    assert checked > 100


@pytest.mark.parametrize(
    "lies_about",
    ["", "/mail.sqlite-wal", "/mail.sqlite", ".seg", "/bodies", "/1", "/accounts", "/users.sqlite-wal"],
)
def test_the_check_finds_a_disk_that_does_not_sync(tmp_path, small, lies_about):
    disk = record(tmp_path, seed=3, steps=25, lies_about=lies_about)
    _, failures = cut_everywhere(tmp_path, disk, 3, stop_at_first=True)
    assert failures


def test_the_check_finds_bodies_written_after_the_commit_that_names_them(tmp_path, small, monkeypatch):
    append_to_segment, commit = Batch.store_bodies, Batch.commit
    held_back = []

    def store_later(self, draft, stamp):
        # Where the bodies will lie is known before they are written: write them to nowhere, and again later.
        files = self._files
        disk, files.segments._disk = files.segments._disk, _Nowhere()
        end, fd = files.segments._end, files.segments._fd
        if fd is None:
            files.segments._disk = disk
            return append_to_segment(self, draft, stamp)
        locations = append_to_segment(self, draft, stamp)
        files.segments._disk, files.segments._end = disk, end
        held_back.append((draft, stamp))
        return locations

    def commit_then_store(self, batch):
        count = commit(self, batch)
        while held_back:
            append_to_segment(self, *held_back.pop())
        return count

    class _Nowhere:
        def write(self, *arguments):
            pass

        sync = close = write

    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 10_000_000)
    monkeypatch.setattr(Batch, "store_bodies", store_later)
    monkeypatch.setattr(Batch, "commit", commit_then_store)
    disk = record(tmp_path, seed=4, steps=12)
    monkeypatch.undo()
    _, failures = cut_everywhere(tmp_path, disk, 4, stop_at_first=True)
    assert failures


def test_a_huge_record_of_expunges_survives(tmp_path, small):
    """Fold, trim and expunge history, with the power cut between their steps."""

    async def scenario(disk):
        async with SqliteStore(tmp_path / "data", disk=disk, wakeups=False) as backend:
            await backend.directory.add("ann", "hash")
            account = await backend.account("ann")
            await append(account, 1, *"abcdefghijklmnopqrst")
            for uid in range(1, 20):
                await store(account, 1, [uid], "+", "\\Deleted")
                await account.commit(Expunge(1, NumSet([uid])))
                state = await account.mailbox(1)
                disk.acknowledge(Told(1, state.uid_validity, state.mod_seq, told(state)))

    disk = RecordingDisk()
    asyncio.run(scenario(disk))
    _, failures = cut_everywhere(tmp_path, disk, 6)
    assert not failures, failures[0]
