"""Several real processes on one account: nobody starves, nobody wins twice, and a killed one loses nothing."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modseq import limits
from modseq.core.numset import NumSet
from modseq.core.operations import Expunge
from modseq.storage.sqlite.store import SqliteStore
from storage.scenarios import append, problems_of, store, told, uids

INBOX = 1
TESTS = Path(__file__).parent.parent


def child(role, data, *arguments):
    """Start this file as a program in another process."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, __file__, role, str(data), *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    )


def tell(**facts):
    print(json.dumps(facts), flush=True)


def heard(process):
    line = process.stdout.readline()
    return json.loads(line) if line.endswith("\n") else None


def ended(process):
    """Wait for a process, close its pipes, and return its exit status."""
    status = process.wait(10)
    process.stdin.close()
    process.stdout.close()
    return status


async def commit_for(data, seconds, wakeups):
    """Store flags as fast as the turn allows, and tell how often and what the longest wait was."""
    async with SqliteStore(data, wakeups=wakeups) as backend:
        account = await backend.account("ann")
        await account.mailbox(INBOX)
        tell(ready=True)
        sys.stdin.readline()
        end = time.monotonic() + seconds
        numbers, worst, step = [], 0.0, 0
        while (started := time.monotonic()) < end:
            outcome = await store(account, INBOX, [1 + step % 5], "+-"[step // 5 % 2], f"$p{os.getpid()}")
            numbers.append(outcome.mod_seq)
            worst = max(worst, time.monotonic() - started)
            step += 1
        tell(numbers=numbers, worst=worst)
        sys.stdin.readline()
        await account.refresh()
        state = await account.mailbox(INBOX)
        tell(mod_seq=state.mod_seq, told=sorted((uid, *map(str, row)) for uid, row in told(state).items()))


async def claim(data, wakeups):
    """Claim every message by UNCHANGEDSINCE 0 before the other does."""
    async with SqliteStore(data, wakeups=wakeups) as backend:
        account = await backend.account("ann")
        state = await account.mailbox(INBOX)
        tell(ready=True)
        sys.stdin.readline()
        won = []
        for uid in state.index:
            outcome = await store(account, INBOX, [uid], "+", "$Claimed", since=0)
            won += list(outcome.applied)
        tell(won=won)


async def work_until_killed(data, seed):
    """Do some of everything and tell of each thing that was confirmed."""
    rng = random.Random(seed)
    async with SqliteStore(data) as backend:
        account = await backend.account("ann")

        async def client():
            while True:
                state = await account.mailbox(INBOX)
                some = rng.sample(list(state.index), min(state.exists, 2))
                action = rng.choice("aaffe")
                if action == "a" or not some:
                    outcome = await append(account, INBOX, f"{rng.random()}")
                    tell(appended=list(outcome.uids), mod_seq=outcome.mod_seq)
                elif action == "f":
                    outcome = await store(
                        account, INBOX, some, rng.choice("+-"), rng.choice(["$a", "\\Seen"])
                    )
                    tell(mod_seq=outcome.mod_seq)
                else:
                    await store(account, INBOX, some[:1], "+", "\\Deleted")
                    outcome = await account.commit(Expunge(INBOX, NumSet(some[:1])))
                    tell(expunged=list(outcome.vanished), mod_seq=outcome.mod_seq)

        await asyncio.gather(*[client() for _ in range(4)])


async def prepared(data, messages):
    async with SqliteStore(data, sync="off") as backend:
        await backend.directory.add("ann", "h")
        account = await backend.account("ann")
        await append(account, INBOX, *["m"] * messages)


async def checked(data):
    async with SqliteStore(data, sync="off") as backend:
        account = await backend.account("ann")
        state = await account.mailbox(INBOX)
        return state, await problems_of(account)


@pytest.mark.parametrize("wakeups", [1, 0])
def test_two_processes_take_turns_and_agree(tmp_path, wakeups):
    asyncio.run(prepared(tmp_path / "d", 5))
    children = [child("commit", tmp_path / "d", 1.0, wakeups) for _ in range(2)]
    assert all(heard(each) == {"ready": True} for each in children)
    for each in children:
        each.stdin.write("go\n")
    first, second = [heard(each) for each in children]
    for each in children:
        each.stdin.write("compare\n")
    views = [heard(each) for each in children]
    assert [ended(each) for each in children] == [0, 0]
    counts = [len(first["numbers"]), len(second["numbers"])]
    assert min(counts) > 0.5 * max(counts), counts
    numbers = first["numbers"] + second["numbers"]
    assert len(set(numbers)) == len(numbers)
    assert all(each["numbers"] == sorted(each["numbers"]) for each in (first, second))
    assert views[0] == views[1]
    state, problems = asyncio.run(checked(tmp_path / "d"))
    assert problems == []
    assert state.mod_seq == max(numbers)


@pytest.mark.parametrize("wakeups", [1, 0])
def test_of_two_processes_exactly_one_wins_each_claim(tmp_path, wakeups):
    asyncio.run(prepared(tmp_path / "d", 100))
    children = [child("claim", tmp_path / "d", wakeups) for _ in range(2)]
    assert all(heard(each) == {"ready": True} for each in children)
    for each in children:
        each.stdin.write("go\n")
    won = [heard(each)["won"] for each in children]
    assert [ended(each) for each in children] == [0, 0]
    assert sorted(won[0] + won[1]) == list(range(1, 101))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_processes_lose_nothing_that_was_confirmed(tmp_path, seed):
    asyncio.run(prepared(tmp_path / "d", 3))
    rng = random.Random(seed)
    appended, expunged, highest = {1, 2, 3}, set(), 0
    for round_ in range(3):
        children = [child("work", tmp_path / "d", seed * 100 + round_ * 10 + n) for n in range(2)]
        told_ = [heard(each) for each in children]
        time.sleep(rng.uniform(0.05, 0.3))
        for each in children:
            each.send_signal(signal.SIGKILL)
        for each in children:
            while (fact := heard(each)) is not None:
                told_.append(fact)
            ended(each)
        for fact in told_:
            appended |= set(fact.get("appended", ()))
            expunged |= set(fact.get("expunged", ()))
            highest = max(highest, fact["mod_seq"])
        state, problems = asyncio.run(checked(tmp_path / "d"))
        assert problems == []
        assert state.mod_seq >= highest
        live = state.index.to_numset()
        assert not live & NumSet(expunged)
        changes = asyncio.run(since(tmp_path / "d", 1))
        assert NumSet(appended) - live - changes.vanished == NumSet.EMPTY
        highest = state.mod_seq
        expunged |= set(changes.vanished)
    assert appended


async def since(data, mod_seq):
    async with SqliteStore(data, sync="off") as backend:
        return await (await backend.account("ann")).changes_since(INBOX, mod_seq)


def test_a_store_in_one_process_is_seen_at_once_in_another(tmp_path):
    """With wake-ups, a watcher hears of a change far faster than the timer would tell."""

    async def scenario():
        async with SqliteStore(tmp_path / "d") as backend:
            account = await backend.account("ann")
            await account.mailbox(INBOX)
            moved = asyncio.Event()
            account.watch(moved.set)
            process = child("claim", tmp_path / "d", 1)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, heard, process)
            process.stdin.write("go\n")
            await asyncio.wait_for(moved.wait(), 5)
            await loop.run_in_executor(None, ended, process)
            await account.refresh()
            state = account.published(INBOX)
            bit = state.flag_table.bit("$Claimed")
            claimed = uids(*(uid for uid in state.index if state.message(uid).flags >> bit & 1))
            assert claimed == uids(1, 2, 3)

    asyncio.run(prepared(tmp_path / "d", 3))
    asyncio.run(scenario())


if __name__ == "__main__":
    limits.WAKEUP_TIMER_SECONDS = 30.0
    role, data, *rest = sys.argv[1:]
    if role == "commit":
        asyncio.run(commit_for(data, float(rest[0]), bool(int(rest[1]))))
    elif role == "claim":
        asyncio.run(claim(data, bool(int(rest[0]))))
    else:
        asyncio.run(work_until_killed(data, int(rest[0])))
