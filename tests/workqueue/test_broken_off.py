"""A connection breaks in the middle of a step: what was got goes to a worker all the same, and once."""

import asyncio
import contextvars
import itertools
import time

import pytest

from modseq.client.errors import ConnectionLost
from modseq.workqueue import Queue, claiming, engine, performing
from modseq.workqueue.layout import CLAIMED, DONE

_breaks = contextvars.ContextVar("breaks")
_numbers = itertools.count(1)
DEAD = "$Claimed $By00 $By01 $By02 $By03 $By04 $By05 $By06 $By07 $By08 $By09 $Beat0 $Try1 $Span0 $Span1"
ROUND_TRIPS = range(1, 8)
"""No step takes more; the last is broken off when it is over."""


class Break:
    """Breaks one step off, once, after so many round trips."""

    def __init__(self, step, round_trips):
        self.step = step
        self.left = round_trips
        self.is_done = False

    async def carry_out(self, client, steps):
        if self.is_done or steps.__name__ != self.step:
            return await performing.carry_out(client, steps)
        self.is_done = True
        answers = None
        for _ in range(self.left):
            try:
                requests = steps.send(answers)
            except StopIteration:
                break
            answers = await performing._answers(client, requests)
        self.at = time.monotonic()
        raise ConnectionLost("as it should")


@pytest.fixture
def breaking(monkeypatch):
    monkeypatch.setattr(engine, "carry_out", lambda *what: _breaks.get().carry_out(*what))


@pytest.fixture
def work_off(account, breaking):
    """Return what has a queue work one message off whose step is broken off; returns its attempts and the flags."""

    def wait_until_done(mailbox, jobs):
        until = time.monotonic() + 30
        with account.talk() as talk:
            talk.run(f"EXAMINE {mailbox}")
            while talk.search(f"OR UNKEYWORD {DONE} KEYWORD {CLAIMED}"):
                assert jobs._engine.failure is None
                assert time.monotonic() < until, (talk.run("FETCH 1:* (FLAGS MODSEQ)"), jobs.tally)
                time.sleep(0.1)
                talk.run("NOOP")

    async def one(step, round_trips, flags, **queue):
        mailbox = f"Broken{next(_numbers)}"
        with account.talk() as talk:
            talk.run(f"CREATE {mailbox}")
            talk.fill(1, mailbox)
            talk.run(f"SELECT {mailbox}")
            if flags:
                talk.run(f"STORE 1 +FLAGS ({flags})")
        if queue.pop("moves", False):
            queue["done"] = f"{mailbox}-done"
        host, port = account.address
        url = f"imap+insecure://{account.user}@{host}:{port}/{mailbox}"
        _breaks.set(one_break := Break(step, round_trips))
        attempts = []
        async with Queue(url, password=account.password, lease=2, poll=0.3, **queue) as jobs:

            async def worker():
                while (job := await jobs.next()) is not None:
                    attempts.append(job.attempt)
                    await job.ack()

            working = asyncio.create_task(worker())
            await asyncio.to_thread(wait_until_done, mailbox, jobs)
            await jobs.stop()
            await working
        # Only one of the servers is asked what it can do.
        assert one_break.is_done or step == "probe_zero"
        with account.talk() as talk:
            talk.run(f"EXAMINE {queue.get('done', mailbox)}")
            (line,) = talk.run("FETCH 1:* FLAGS")
        return attempts, line

    def all_of_them(*args, **queue):
        async def together():
            tasks = [asyncio.create_task(one(args[0], count, *args[1:], **queue)) for count in ROUND_TRIPS]
            return await asyncio.gather(*tasks)

        return asyncio.run(together())

    return all_of_them


@pytest.mark.parametrize("step", ["claim", "probe_zero"])
def test_a_claim(work_off, step):
    for attempts, line in work_off(step, ""):
        assert len(attempts) == 1
        assert b"$Done" in line


def test_taking_over(work_off):
    for attempts, line in work_off("take_over", DEAD):
        # Of a claim that was written and not known to be won in time another may be needed.
        assert attempts in ([2], [3])
        assert b"$Try2" in line
        assert b"$Done" in line


def test_taking_over_what_is_done_and_was_not_moved(work_off):
    for attempts, line in work_off("take_over", f"{DEAD} $Done", moves=True):
        assert attempts == []
        assert b"$Try2" not in line
        assert b"$Done" in line


def test_finishing(work_off):
    for attempts, line in work_off("finish", ""):
        assert attempts == [1]
        assert b"$Done" in line


def test_clearing(work_off):
    for attempts, line in work_off("clear", "", moves=True):
        assert attempts == [1]
        assert b"$Done" in line


def test_a_new_connection_writes_names_of_its_own_and_waits_before_it_looks(work_off, monkeypatch):
    """What was sent on the old one may still be carried out; where the server is not exact, also half of it."""
    seen = []
    settle, is_exact = claiming.settle_claims, []

    def settle_claims(me):
        hold = next(iter(me.book.values()))
        is_exact.append(me.terms.exact)
        seen.append((hold.owner, me.owner, time.monotonic() - _breaks.get().at))
        return settle(me)

    monkeypatch.setattr(claiming, "settle_claims", settle_claims)
    monkeypatch.setattr(engine, "SETTLE_SECONDS", 2.0)
    monkeypatch.setattr(engine, "RECONNECT_SECONDS_MIN", 0.1)
    work_off("clear", "", moves=True)
    assert len(seen) == len(ROUND_TRIPS)
    for old, new, seconds in seen:
        assert old != new
        assert is_exact[0] or seconds > 2.0
