"""What only the embedded store does: reopening, folding, several processes, resting, limits."""

import asyncio
import stat

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modseq import limits
from modseq.core.errors import MailboxNotFound, StateDiscarded, StorageFailed
from modseq.core.mailbox_operations import CreateMailbox, DeleteMailbox, Subscribe
from modseq.core.numset import NumSet
from modseq.core.operations import Append, ClaimRecent, Expunge
from modseq.storage.locks import TurnLock
from modseq.storage.sqlite.batch import run_step
from modseq.storage.sqlite.compaction import compact, usage
from modseq.storage.sqlite.files import Settings
from modseq.storage.sqlite.folding import Fold
from modseq.storage.sqlite.reading import catch_up_now
from modseq.storage.sqlite.restore import restore_epoch
from modseq.storage.sqlite.store import SqliteStore
from storage.scenarios import (
    append,
    expunge,
    item_numbers,
    message,
    opened,
    problems_of,
    store,
    told,
    transfer,
    uids,
)

INBOX = 1


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def run(scenario):
    asyncio.run(scenario)


async def with_user(store_):
    await store_.directory.add("ann", "hash")
    return await store_.account("ann")


async def settled(account):
    """Wait until housekeeping has nothing left to do."""
    await until(lambda: not (account._writing or account._queue or account._work_due))


async def until(condition):
    while not condition():  # noqa: ASYNC110 -- nobody announces it
        await asyncio.sleep(0.002)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(limits, "LOG_ROWS_FOLD_MIN", 5)
    monkeypatch.setattr(limits, "LOG_ROWS_KEPT_MIN", 6)
    monkeypatch.setattr(limits, "LOG_ROWS_TRIMMED_PER_COMMIT", 2)
    monkeypatch.setattr(limits, "FOLD_CHUNKS_PER_COMMIT", 1)
    monkeypatch.setattr(limits, "EXPUNGES_PER_BLOCK_MAX", 4)


def test_everything_is_there_after_reopening(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "d") as first:
            account = await with_user(first)
            work = (await account.commit(CreateMailbox("Work", "\\Sent"))).mailbox_id
            await account.commit(Subscribe("Work"))
            await append(account, INBOX, "a", "b", "c", flags=("$k",))
            await store(account, INBOX, [2], "+", "\\Seen", "$other")
            await expunge(account, INBOX, 1)
            await transfer(account, INBOX, [3], work, move=True)
            await account.commit(ClaimRecent(INBOX, 3))
            listing = account.listing()
            states = {i: await account.mailbox(i) for i in (INBOX, work)}
        async with SqliteStore(tmp_path / "d") as second:
            account = await second.account("ann")
            assert account.listing() == listing
            for mailbox_id, before in states.items():
                after = await account.mailbox(mailbox_id)
                assert told(after) == told(before)
                assert item_numbers(after) == item_numbers(before)
                assert after.counters == before.counters
                for m in range(8):
                    assert await account.changes_since(mailbox_id, m) == before_answer(before, m)
            assert await problems_of(account) == []

    def before_answer(state, m):
        return state.changes_since(max(m, state.history.floor)) if m else ANY

    class _Any:
        def __eq__(self, other):
            return True

        __hash__ = None

    ANY = _Any()
    run(scenario())


def test_the_data_directory_is_private(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "x" / "d"):
            return mode_of(tmp_path / "x" / "d")

    assert asyncio.run(scenario()) == 0o700


def test_user_names_do_not_become_paths(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "d") as store_:
            for name in ("../../evil", "a/b", "über", "x" * 500, "nul\n"):
                await store_.directory.add(name, "h")
                account = await store_.account(name)
                assert account.name == name
                assert (await account.mailbox(INBOX)).exists == 0

    run(scenario())
    assert names_in(tmp_path / "d" / "accounts") == list("12345")


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "d") as store_:
            await with_user(store_)
        connection = apsw.Connection(str(tmp_path / "d" / "users.sqlite"))
        connection.pragma("user_version", 99)
        connection.close()
        with pytest.raises(StorageFailed, match="newer version"):
            async with SqliteStore(tmp_path / "d"):
                pass

    run(scenario())


def test_an_account_of_an_older_version_is_brought_up_to_date_when_it_is_opened(tmp_path):
    """Accounts made before are opened, not made: they are where the migrations count."""
    database = tmp_path / "d" / "accounts" / "1" / "mail.sqlite"

    async def make():
        async with SqliteStore(tmp_path / "d") as store_:
            account = await with_user(store_)
            await append(account, INBOX, "one", "two")

    async def use():
        async with SqliteStore(tmp_path / "d") as store_:
            account = await store_.account("ann")
            await expunge(account, INBOX, 1)
            await account.commit(CreateMailbox("Other"))
            await account.commit(DeleteMailbox("Other"))
            await settled(account)
            assert (await account.mailbox(INBOX)).exists == 1
            assert await problems_of(account) == []

    run(make())
    connection = apsw.Connection(str(database))
    newest = connection.pragma("user_version")
    connection.execute("DROP TABLE doomed; DROP TABLE staged")
    connection.pragma("user_version", 1)
    connection.close()
    run(use())
    connection = apsw.Connection(str(database))
    assert connection.pragma("user_version") == newest > 1
    connection.close()


def test_folding_changes_no_answer(tmp_path, small):
    async def scenario():
        async with SqliteStore(tmp_path / "d") as store_:
            account = await with_user(store_)
            answers = {}
            for round_ in range(12):
                await append(account, INBOX, "x", "y")
                await store(account, INBOX, [round_ + 1], "+", f"$k{round_ % 3}", "\\Seen")
                await expunge(account, INBOX, round_ * 2 + 1)
                state = await account.mailbox(INBOX)
                answers[state.mod_seq] = told(state)
            await settled(account)
            row = await account.write(
                lambda files: files.writer.execute(
                    "SELECT folded_mod_seq, log_from_mod_seq, mod_seq FROM mailbox"
                ).fetchall()[0]
            )
            assert 1 < row[1] <= row[0] <= row[2]
            before = await account.mailbox(INBOX)
        async with SqliteStore(tmp_path / "d") as store_:
            account = await store_.account("ann")
            after = await account.mailbox(INBOX)
            assert (told(after), item_numbers(after)) == (told(before), item_numbers(before))
            for m, messages in answers.items():
                changes = await account.changes_since(INBOX, m)
                copy = {uid: kept for uid, kept in messages.items() if uid not in changes.vanished}
                copy.update({uid: told(after)[uid] for uid in (*changes.appeared, *changes.changed)})
                assert copy == told(after)
                assert changes.history_complete
            assert await problems_of(account) == []

    run(scenario())


STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 3), st.sampled_from(["", "\\Seen", "$a"])),
    st.tuples(
        st.just("store"),
        st.lists(st.integers(1, 12), min_size=1, max_size=4),
        st.sampled_from("+-="),
        st.lists(st.sampled_from(["\\Seen", "\\Deleted", "$a", "$b"]), unique=True, max_size=2),
        st.one_of(st.none(), st.integers(0, 20)),
    ),
    st.tuples(st.just("expunge")),
    st.tuples(st.just("transfer"), st.lists(st.integers(1, 12), min_size=1, max_size=3), st.booleans()),
    st.tuples(st.just("reopen")),
)


async def _take(account, step):
    if step[0] == "append":
        return await append(account, INBOX, *["m"] * step[1], flags=tuple(filter(None, [step[2]])))
    if step[0] == "store":
        return await store(account, INBOX, step[1], step[2], *step[3], since=step[4])
    if step[0] == "expunge":
        return await account.commit(Expunge(INBOX))
    return await transfer(account, INBOX, step[1], 2, move=step[2])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(STEP, max_size=40))
def test_both_backends_do_the_same(tmp_path_factory, small, steps):
    """The reference and the embedded store, which folds every few steps and is closed now and then."""

    async def scenario():
        path = tmp_path_factory.mktemp("same")
        async with opened("memory", path) as memory:
            reference = await with_user(memory)
            await reference.commit(CreateMailbox("Other"))
            store_ = SqliteStore(path / "d", sync="off", wakeups=False)
            account = await with_user(store_)
            await account.commit(CreateMailbox("Other"))
            for step in steps:
                if step[0] == "reopen":
                    await store_.close()
                    store_ = SqliteStore(path / "d", sync="off", wakeups=False)
                    account = await store_.account("ann")
                    continue
                expected, outcome = await _take(reference, step), await _take(account, step)
                assert outcome.mod_seq == expected.mod_seq
            for mailbox_id in (1, 2):
                ours, theirs = await account.mailbox(mailbox_id), await reference.mailbox(mailbox_id)
                assert told(ours) == told(theirs)
                assert item_numbers(ours) == item_numbers(theirs)
                for m in range(ours.mod_seq + 1):
                    mine = await account.changes_since(mailbox_id, m)
                    wanted = await reference.changes_since(mailbox_id, m)
                    assert (mine.appeared, mine.changed, mine.vanished, mine.vanished_mod_seq_min) == (
                        wanted.appeared,
                        wanted.changed,
                        wanted.vanished,
                        wanted.vanished_mod_seq_min,
                    )
            assert await problems_of(account) == []
            await store_.close()

    run(scenario())


# --- several stores on one directory: as several processes do ---------------------------------------


@pytest.mark.parametrize("wakeups", [True, False])
def test_two_stores_see_each_other(tmp_path, wakeups):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=wakeups) as one,
            SqliteStore(tmp_path / "d", wakeups=wakeups) as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            await bob.mailbox(INBOX)
            await append(ann, INBOX, "a")
            await bob.refresh()
            assert bob.published(INBOX).exists == 1
            await store(bob, INBOX, [1], "+", "$bob")
            await store(bob, INBOX, [1], "+", "$bob2")
            await ann.refresh()
            assert told(ann.published(INBOX)) == told(bob.published(INBOX))
            assert (await ann.changes_since(INBOX, 2)).changed == uids(1)
            work = (await ann.commit(CreateMailbox("Work"))).mailbox_id
            await transfer(ann, INBOX, [1], work, move=True)
            await bob.refresh()
            assert sorted(bob.listing().mailboxes) == ["INBOX", "Work"]
            assert (await bob.mailbox(work)).exists == 1
            assert (await bob.changes_since(INBOX, 4)).vanished == uids(1)
            await bob.commit(DeleteMailbox("Work"))
            await ann.refresh()
            with pytest.raises(MailboxNotFound):
                await ann.mailbox(work)
            for account in (ann, bob):
                assert await problems_of(account) == []

    run(scenario())


def test_a_writer_catches_up_without_being_told(tmp_path):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=False) as one,
            SqliteStore(tmp_path / "d", wakeups=False) as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            await append(ann, INBOX, "a")
            await bob.mailbox(INBOX)
            m = (await ann.mailbox(INBOX)).mod_seq
            outcomes = await asyncio.gather(
                *[store(account, INBOX, [1], "+", "$c", since=m) for account in (ann, bob) * 10]
            )
            assert sum(bool(outcome.applied) for outcome in outcomes) == 1
            numbers = [
                (await store(account, INBOX, [1], mode, "\\Seen")).mod_seq
                for mode in "+-" * 5
                for account in (ann, bob)
            ]
            assert numbers == sorted(numbers)

    run(scenario())


@pytest.mark.parametrize("wakeups", [True, False])
def test_a_watcher_is_called_for_what_another_process_did(tmp_path, wakeups, monkeypatch):
    monkeypatch.setattr(limits, "WAKEUP_TIMER_SECONDS", 30.0 if wakeups else 0.05)
    deep = tmp_path / ("long" * 30) / "d"

    async def scenario():
        async with (
            SqliteStore(deep, wakeups=wakeups) as one,
            SqliteStore(deep, wakeups=wakeups) as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            await bob.mailbox(INBOX)
            called = asyncio.Event()
            bob.watch(called.set)
            await append(ann, INBOX, "a")
            await asyncio.wait_for(called.wait(), 5)
            assert bob.published(INBOX).exists == 1

    run(scenario())


def test_the_sockets_of_dead_processes_are_removed(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "d") as store_:
            account = await with_user(store_)
            stale = tmp_path / "d" / "run" / "1-dead.wakeup"
            import socket

            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
                dead.bind(str(stale))
            await append(account, INBOX, "a")
            return stale.exists()

    assert not asyncio.run(scenario())
    assert names_in(tmp_path / "d" / "run") == []


def test_a_store_that_falls_behind_the_log_loads_anew(tmp_path, small):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=False) as one,
            SqliteStore(tmp_path / "d", wakeups=False) as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            await append(ann, INBOX, "a", "b")
            first = await bob.mailbox(INBOX)
            for n in range(40):
                await store(ann, INBOX, [1], "+-"[n % 2], f"$k{n % 4}")
            await settled(ann)
            await bob.refresh()
            assert told(bob.published(INBOX)) == told(ann.published(INBOX))
            assert bob.published(INBOX).palette is first.palette
            assert (await bob.changes_since(INBOX, first.mod_seq)).changed == uids(1)
            assert await problems_of(bob) == []

    run(scenario())


def test_a_process_killed_within_its_commit_does_not_hide_it(tmp_path, monkeypatch):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=False) as one,
            SqliteStore(tmp_path / "d", wakeups=False) as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            await bob.mailbox(INBOX)
            # Killed between commit and the count that tells of it: the count stays odd.
            with monkeypatch.context() as patch:
                patch.setattr(TurnLock, "settle", lambda turn: turn.count)
                await append(ann, INBOX, "a")
            assert bob._files.turn.count % 2 == 1
            await bob.refresh()
            assert bob.published(INBOX).exists == 1
            await append(bob, INBOX, "b")
            assert bob._files.turn.count % 2 == 0

    run(scenario())


# --- resting, discarding, bounds --------------------------------------------------------------------


def test_idle_accounts_rest_and_wake(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "OPEN_ACCOUNTS_MAX", 2)

    async def scenario():
        async with SqliteStore(tmp_path / "d") as store_:
            accounts = []
            for name in "abcde":
                await store_.directory.add(name, "h")
                accounts.append(await store_.account(name))
                await append(accounts[-1], INBOX, name)
            accounts[0].watch(lambda: None)
            await until(lambda: not store_._tasks)
            assert sum(account.is_open for account in accounts) == 2
            for account in accounts:
                assert (await account.mailbox(INBOX)).exists == 1
                await store(account, INBOX, [1], "+", "\\Seen")
                assert await store_.account(account.name) is account
            await until(lambda: not store_._tasks)
            assert accounts[0].is_open

    run(scenario())


def test_a_restored_backup_ends_the_sessions(tmp_path):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=False) as one,
            SqliteStore(tmp_path / "d", wakeups=False) as two,
        ):
            ann = await with_user(one)
            await append(ann, INBOX, "a")
            before = await ann.mailbox(INBOX)
            called = []
            ann.watch(lambda: called.append(True))
            await restore_epoch(await two.account("ann"))
            with pytest.raises(StateDiscarded):
                await ann.refresh()
            assert called
            for again in (
                ann.refresh(),
                ann.mailbox(INBOX),
                append(ann, INBOX, "b"),
                ann.changes_since(INBOX, 1),
            ):
                with pytest.raises(StateDiscarded):
                    await again
            fresh = await one.account("ann")
            after = await fresh.mailbox(INBOX)
            assert after.uid_validity > before.uid_validity
            assert told(after) == told(before)
            assert await problems_of(fresh) == []

    run(scenario())


def test_a_commit_on_a_discarded_state_is_refused(tmp_path):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=False) as one,
            SqliteStore(tmp_path / "d", wakeups=False) as two,
        ):
            ann = await with_user(one)
            await ann.mailbox(INBOX)
            await restore_epoch(await two.account("ann"))
            with pytest.raises(StateDiscarded):
                await append(ann, INBOX, "a")
            assert (await (await two.account("ann")).mailbox(INBOX)).exists == 0

    run(scenario())


def test_removing_a_user_ends_the_sessions_of_other_processes(tmp_path):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=False) as one,
            SqliteStore(tmp_path / "d", wakeups=False) as two,
        ):
            ann = await with_user(one)
            await append(ann, INBOX, "a")
            await two.directory.remove("ann")
            with pytest.raises(StateDiscarded):
                await ann.refresh()
        return names_in(tmp_path / "d" / "accounts")

    assert asyncio.run(scenario()) == []


def test_expunges_may_be_bounded_and_the_horizon_says_so(tmp_path, small):
    async def scenario():
        options = Settings(expunges_kept_max=6)
        async with (
            SqliteStore(tmp_path / "d", wakeups=False, settings=options) as one,
            SqliteStore(tmp_path / "d", wakeups=False, settings=options) as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            await append(ann, INBOX, *"abcdefghijklmnopqrst")
            await bob.mailbox(INBOX)
            for uid in range(1, 19):
                await expunge(ann, INBOX, uid)
            await settled(ann)
            for account in (ann, bob):
                await account.refresh()
                state = await account.mailbox(INBOX)
                assert 2 < state.horizon < state.mod_seq
                assert not (await account.changes_since(INBOX, 2)).history_complete
                recent = await account.changes_since(INBOX, state.horizon)
                assert recent.history_complete
                assert recent.vanished.max == 18
                assert await problems_of(account) == []

    run(scenario())


def test_bodies_may_be_compressed(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "d", settings=Settings(compress_bodies=True)) as store_:
            account = await with_user(store_)
            big = message("big", size=200_000)
            await account.commit(Append(INBOX, (big, message("tiny"))))
            (row, tiny) = await account.rows(INBOX, [1, 2], ready=False)
            assert await account.read(row.email_id) == big.content.data
            assert await account.read(row.email_id, 100, 50) == big.content.data[100:150]
            assert await account.read(tiny.email_id, 0, 3) == b"Sub"
            assert (await usage(account)).segment_bytes < 2_000
            assert await problems_of(account) == []

    run(scenario())


def test_compaction_gives_room_back_while_sessions_read_and_write(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 100_000)
    monkeypatch.setattr(limits, "COMPACTION_BYTES_PER_COMMIT", 20_000)

    async def scenario():
        async with (
            SqliteStore(tmp_path / "d") as one,
            SqliteStore(tmp_path / "d") as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            bodies = [message(f"m{n}", size=8_000) for n in range(60)]
            for part in range(0, 60, 6):
                await ann.commit(Append(INBOX, tuple(bodies[part : part + 6])))
            await bob.refresh()
            ids = {row.uid: row.email_id for row in await bob.rows(INBOX, range(1, 61), ready=False)}
            await expunge(ann, INBOX, *range(1, 61, 2))
            before = await usage(ann)

            async def keep_reading():
                for _ in range(20):
                    for uid in range(2, 61, 2):
                        assert await bob.read(ids[uid]) == bodies[uid - 1].content.data

            async def keep_writing():
                for n in range(20):
                    await append(bob, INBOX, f"new {n}")

            result, _, _ = await asyncio.gather(compact(ann), keep_reading(), keep_writing())
            after = await usage(ann)
            assert result.contents_removed == 30
            assert result.segments_removed >= 3
            assert after.segment_bytes < before.segment_bytes * 0.7
            for uid in range(2, 61, 2):
                assert await bob.read(ids[uid]) == bodies[uid - 1].content.data
            with pytest.raises(MailboxNotFound):
                await bob.read(ids[1])
            for account in (ann, bob):
                assert await problems_of(account) == []

    run(scenario())


def test_a_huge_store_lets_others_work_meanwhile(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "d", sync="off") as store_:
            account = await with_user(store_)
            tiny = message("t")
            for _ in range(12):
                await account.commit(Append(INBOX, (tiny,) * 1_000))
            everything = NumSet.from_ranges([(1, 12_000)])
            huge = asyncio.ensure_future(store(account, INBOX, everything, "+", "\\Seen"))
            await asyncio.sleep(0)
            small_ = await store(account, INBOX, [5], "+", "$early")
            outcome = await huge
            assert small_.mod_seq < outcome.mod_seq
            assert len(outcome.applied) == 12_000
            assert (await account.mailbox(INBOX)).unseen == 0
            assert await problems_of(account) == []

    run(scenario())


def test_a_faulty_operation_fails_alone(tmp_path):
    class Faulty:
        def mailbox_ids(self):
            return (INBOX,)

        def prepare(self, state):
            return iter(())

        def apply(self, draft):
            draft.claim_recent(INBOX, 99)
            raise ZeroDivisionError

    async def scenario():
        async with SqliteStore(tmp_path / "d") as store_:
            account = await with_user(store_)
            outcomes = await asyncio.gather(
                append(account, INBOX, "a"),
                account.commit(Faulty()),
                append(account, INBOX, "b"),
                return_exceptions=True,
            )
            assert isinstance(outcomes[1], ZeroDivisionError)
            state = await account.mailbox(INBOX)
            assert (state.exists, state.recent_from) == (2, 1)
            assert await problems_of(account) == []

    run(scenario())


def test_a_cancelled_command_leaves_the_queue_working(tmp_path):
    async def scenario():
        async with SqliteStore(tmp_path / "d") as store_:
            account = await with_user(store_)
            await append(account, INBOX, "a")
            tasks = [asyncio.ensure_future(store(account, INBOX, [1], "+", f"$k{n}")) for n in range(10)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert (await store(account, INBOX, [1], "+", "$last")).applied
            assert await problems_of(account) == []

    run(scenario())


def test_a_lagging_process_cannot_fold_an_older_block_in_between(tmp_path):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=False) as one,
            SqliteStore(tmp_path / "d", wakeups=False) as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            await append(ann, INBOX, "a", "b")
            old = await bob.mailbox(INBOX)
            await expunge(ann, INBOX, 1, 2)
            new = await ann.mailbox(INBOX)
            ahead, lagging = Fold(INBOX, new.mod_seq), Fold(INBOX, old.mod_seq)

            def step(fold, state):
                return lambda files: run_step(files, lambda c: fold.write_chunks(c, state))

            vanished = [(new.mod_seq, uids(1, 2))]

            def finish(files):
                run_step(files, lambda c: ahead.finish(c, new, vanished, files.settings, 0))

            await ann.write(lambda files: ahead.begin(files.writer, new))
            assert ahead.chunks_written
            await bob.write(lambda files: lagging.begin(files.writer, old))
            await bob.write(step(lagging, old))
            await ann.write(finish)
            assert not ahead.finished
            assert ahead.pending == [0]
            await ann.write(step(ahead, new))
            await ann.write(finish)
            assert ahead.finished
            late = Fold(INBOX, old.mod_seq, folded_from=1, pending=[0])
            await bob.write(step(late, old))
            assert late.finished
        async with SqliteStore(tmp_path / "d", wakeups=False) as again:
            account = await again.account("ann")
            assert (await account.mailbox(INBOX)).exists == 0
            assert await problems_of(account) == []

    run(scenario())


def test_a_mailbox_loaded_while_a_job_runs_is_caught_up_before_it_is_built_on(tmp_path):
    async def scenario():
        async with (
            SqliteStore(tmp_path / "d", wakeups=False) as one,
            SqliteStore(tmp_path / "d", wakeups=False) as two,
        ):
            ann = await with_user(one)
            bob = await two.account("ann")
            work = (await ann.commit(CreateMailbox("Work"))).mailbox_id
            await append(ann, INBOX, "a")
            await bob.refresh()
            base = bob._shown.base()
            # The snapshot of a job was taken without INBOX; now INBOX is loaded, and moves elsewhere.
            first = await bob.mailbox(INBOX)
            await append(ann, INBOX, "b")
            await append(ann, work, "c")
            caught = await bob._reads.run(lambda files: catch_up_now(files.reader, base))
            assert bob._shown.caught_up(base, caught)
            assert INBOX in bob._shown.behind
            assert (await append(bob, INBOX, "d")).uids == (3,)
            state = await bob.mailbox(INBOX)
            assert state.exists == 3
            assert state.palette is first.palette
            assert await problems_of(bob) == []

    run(scenario())
