"""The queue as a Python program uses it, on a server that lets one win each claim and on one that lets two."""

import asyncio
import contextlib

import pytest

from modseq import client as imap
from modseq import limits
from modseq.workqueue import LeaseLost, MessageGone, Queue, QueueUnusable
from modseq.workqueue.layout import CLAIMED, DONE, FAILED
from modseq.workqueue.lease import Hold


def url_of(account, mailbox):
    host, port = account.address
    return f"imap+insecure://{account.user}@{host}:{port}/{mailbox}"


@pytest.fixture
def queue_of(account, mailbox):
    def make(**more):
        return Queue(
            url_of(account, mailbox), password=account.password, **({"lease": 4, "poll": 0.5} | more)
        )

    return make


@pytest.fixture
def fill(account, mailbox):
    def fill(count):
        with account.talk() as talk:
            talk.fill(count, mailbox)

    return fill


@pytest.fixture
def search(account, mailbox):
    def search(criteria, where=None):
        with account.talk() as talk:
            talk.run(f"EXAMINE {where or mailbox}")
            return talk.search(criteria)

    return search


def run(work, seconds=20):
    return asyncio.run(asyncio.wait_for(work, seconds))


def test_every_message_is_done_once(queue_of, fill, search):
    fill(40)

    async def work():
        got = []
        queue = queue_of()
        async for job in queue:
            assert b"X-Task" in await job.message()
            assert job.attempt == 1
            assert job.sure_seconds > 2
            got.append(job.uid)
            await job.ack()
            if len(got) == 40:
                break
        return queue, got

    queue, got = run(work())
    assert sorted(got) == list(range(1, 41))
    assert search(f"KEYWORD {DONE}") == list(range(1, 41))
    assert search(f"KEYWORD {CLAIMED}") == []
    assert queue.tally.done == queue.tally.claims.won == 40
    assert queue.is_exact is not None


def test_claims_go_out_several_at_a_time(queue_of, fill):
    fill(40)

    async def work():
        queue, most = queue_of(), 0
        async for job in queue:
            most = max(most, len(queue._engine.ready))
            await job.ack()
            if queue.tally.done == 40:
                break
        return most

    assert run(work()) > 1


def test_released_messages_come_back_after_their_delay(queue_of, fill, search):
    fill(1)

    async def work():
        loop = asyncio.get_running_loop()
        async with queue_of() as queue:
            first = await queue.next()
            await first.release(delay=1.5)
            begun = loop.time()
            assert search(f"KEYWORD {CLAIMED}") == [1]
            second = await queue.next()
            assert loop.time() - begun >= 1.5
            assert (first.attempt, second.attempt) == (1, 2)
            await second.release()
            third = await queue.next()
            assert third.attempt == 3
            await third.ack()

    run(work())
    assert search(f"KEYWORD {DONE} UNKEYWORD {CLAIMED}") == [1]


def test_what_fails_goes_to_the_dead_letter_mailbox(queue_of, fill, search, mailbox):
    fill(2)

    async def work():
        async with queue_of(dead=f"{mailbox}-dead", retries=1) as queue:
            for _ in range(3):
                job = await queue.next()
                if job.uid == 1:
                    assert job.is_last_attempt is (job.attempt == 2)
                    await (job.fail("as it should") if job.is_last_attempt else job.release())
                else:
                    await job.ack()

    run(work())
    assert search("ALL") == [2]
    assert len(search(f"KEYWORD {FAILED}", f"{mailbox}-dead")) == 1


def test_without_a_dead_letter_mailbox_it_stays_and_is_no_work(queue_of, fill, search):
    fill(1)

    async def work():
        async with queue_of() as queue:
            await (await queue.next()).fail()
            await asyncio.wait_for(queue.idle(), 10) if (
                waiting := asyncio.ensure_future(queue.next())
            ) else None
            assert not waiting.done()
            waiting.cancel()

    run(work())
    assert search(f"KEYWORD {FAILED} UNKEYWORD {CLAIMED}") == [1]


@pytest.mark.parametrize("done", ["delete", "move"])
def test_finished_messages_are_removed_or_moved(queue_of, fill, search, mailbox, done):
    fill(3)
    target = f"{mailbox}-done"

    async def work():
        async with queue_of(done="delete" if done == "delete" else target) as queue:
            for _ in range(3):
                await (await queue.next()).ack()

    run(work())
    assert search("ALL") == []
    if done == "move":
        assert len(search(f"KEYWORD {DONE}", target)) == 3


def test_nobody_need_want_a_message_to_learn_that_there_is_none(queue_of, fill, search):
    async def work():
        async with queue_of(poll=30) as queue:
            await asyncio.wait_for(queue.idle(), 5)
            await asyncio.to_thread(fill, 1)
            waiting = asyncio.ensure_future(queue.idle())
            await asyncio.sleep(1)
            assert not waiting.done()
            assert search(f"KEYWORD {CLAIMED}") == []
            await (await queue.next()).ack()
            await asyncio.wait_for(waiting, 5)
            assert search(f"KEYWORD {DONE} UNKEYWORD {CLAIMED}") == [1]

    run(work())


def test_flagged_messages_come_first(queue_of, fill, account, mailbox):
    fill(30)
    with account.talk() as talk:
        talk.run(f"SELECT {mailbox}")
        talk.run("UID STORE 17,23 +FLAGS (\\Flagged)")

    async def work():
        async with queue_of() as queue:
            return {(await queue.next()).uid, (await queue.next()).uid}

    assert run(work()) == {17, 23}


def test_only_what_the_criteria_match_is_work(queue_of, fill):
    fill(12)

    async def work():
        async with queue_of(criteria='SUBJECT "task 7"') as queue:
            job = await queue.next()
            await job.ack()
            waiting = asyncio.ensure_future(queue.next())
            await queue.idle()
            waiting.cancel()
            return job.uid, queue.tally.done

    assert run(work()) == (8, 1)


@pytest.mark.parametrize(
    "left", ["$By01 $By02 $Try1", "$By01", "$Claimed $By07 $By09", "$Claimed", "$Span3 $Try1"]
)
def test_what_the_dead_left_on_a_message_keeps_nobody_from_it(queue_of, fill, search, account, mailbox, left):
    fill(1)
    with account.talk() as talk:
        talk.run(f"SELECT {mailbox}")
        talk.run(f"UID STORE 1 +FLAGS ({left})")

    async def work():
        async with queue_of() as queue:
            await (await queue.next()).ack()

    run(work())
    assert search(f"KEYWORD {DONE} UNKEYWORD {CLAIMED}") == [1]


def test_new_mail_wakes_a_waiting_worker(queue_of, fill):
    async def work():
        async with queue_of(poll=30) as queue:
            waiting = asyncio.ensure_future(queue.next())
            await asyncio.sleep(1)
            await asyncio.to_thread(fill, 1)
            job = await asyncio.wait_for(waiting, 8)
            await job.ack()

    run(work())


def test_what_is_held_at_the_end_is_given_back_and_unstarted_work_is_no_attempt(queue_of, fill, search):
    fill(20)

    async def work():
        queue = queue_of()
        async with queue:
            for _ in range(3):
                await (await queue.next()).ack()
            job = await queue.next()
        with pytest.raises(LeaseLost):
            await job.ack()
        return job.uid

    uid = run(work())
    assert search(f"KEYWORD {CLAIMED}") == []
    assert search("KEYWORD $Try1 UNKEYWORD $Done") == [uid]


def test_a_stopped_queue_lets_running_work_finish(queue_of, fill, search):
    fill(3)

    async def work():
        async with queue_of() as queue:
            job = await queue.next()
            await queue.stop()
            assert await queue.next() is None
            assert await job.extend() > 2
            await job.ack()

    run(work())
    assert len(search(f"KEYWORD {DONE}")) == 1


def test_a_lease_is_renewed_as_long_as_the_work_takes(queue_of, fill):
    fill(1)

    async def work():
        async with queue_of(lease=2) as one, queue_of(lease=2) as two:
            job = await one.next()
            other = asyncio.ensure_future(two.next())
            await asyncio.sleep(6)
            assert not other.done()
            assert not job.lost.is_set()
            await job.ack()
            other.cancel()

    run(work())


def test_a_worker_that_falls_silent_loses_its_message_to_another(queue_of, fill, monkeypatch):
    fill(1)

    async def work():
        async with queue_of(lease=2) as one, queue_of(lease=2) as two:
            job = await one.next()
            other = asyncio.ensure_future(two.next())
            monkeypatch.setattr(one._engine, "_renew", _nothing)
            taken = await asyncio.wait_for(other, 15)
            assert job.lost.is_set()
            assert taken.attempt == 2
            with pytest.raises(LeaseLost):
                await job.ack()
            await taken.ack()

    run(work(), 30)


def test_a_lease_that_was_over_for_a_moment_before_anybody_took_the_message(queue_of, fill, monkeypatch):
    """After a pause of the process, or of the connection: once it is renewed who waits is told."""
    fill(1)
    is_sure = Hold.is_sure

    async def work():
        over_until = asyncio.get_running_loop().time() + 1.5
        monkeypatch.setattr(Hold, "is_sure", lambda hold, now: now > over_until and is_sure(hold, now))
        async with queue_of(lease=2, poll=30) as queue:
            await (await asyncio.wait_for(queue.next(), 6)).ack()

    run(work())


def test_workers_that_begin_together_make_one_mailbox(queue_of, fill, search, mailbox, monkeypatch):
    """Each looks before it makes one, and all see none."""
    fill(8)
    target = f"{mailbox}-done"
    looks = []

    async def work():
        queues = [queue_of(done=target) for _ in range(4)]
        all_looked = asyncio.Barrier(len(queues))
        make = imap.Client.create

        async def create_late(client, name):
            looks.append(name)
            await all_looked.wait()
            return await make(client, name)

        monkeypatch.setattr(imap.Client, "create", create_late)

        async def one(queue):
            async with queue:
                for _ in range(2):
                    await (await queue.next()).ack()

        await asyncio.gather(*map(one, queues))

    run(work())
    assert looks == [target] * 4
    assert len(search(f"KEYWORD {DONE}", target)) == 8


async def _nothing(*_):
    pass


def test_a_message_that_is_deleted_meanwhile_is_gone(queue_of, fill, account, mailbox):
    fill(1)

    async def work():
        async with queue_of() as queue:
            job = await queue.next()
            with account.talk() as talk:
                talk.run(f"SELECT {mailbox}")
                talk.run("UID STORE 1 +FLAGS (\\Deleted)")
                talk.run("EXPUNGE")
            with pytest.raises(MessageGone):
                await job.ack()

    run(work())


@pytest.mark.parametrize("wrong", ["password", "mailbox"])
def test_what_cannot_work_is_said(account, mailbox, wrong):
    where = url_of(account, "Nowhere" if wrong == "mailbox" else mailbox)

    async def work():
        async with Queue(where, password="no" if wrong == "password" else account.password) as queue:
            with pytest.raises(QueueUnusable):
                await queue.next()

    run(work())


def test_the_large_body_is_whole(queue_of, account, mailbox):
    body = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n"
    body += (b"y" * 70 + b"\r\n") * (limits.BODY_AHEAD_BYTES // 36)
    with account.talk() as talk:
        talk._socket.sendall(b"f APPEND %b {%d+}\r\n%b\r\n" % (mailbox.encode(), len(body), body))
        talk._reply(b"f ")

    async def work():
        async with queue_of() as queue:
            job = await queue.next()
            with contextlib.suppress(LeaseLost):
                return await job.message()

    assert run(work()) == body


@pytest.mark.parametrize(
    "wrong",
    [{"lease": 1}, {"retries": 10}, {"claims_max": 0}, {"poll": 0}, {"dead": "INBOX"}, {"lease": 1e9}],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        Queue("imap+insecure://ann@127.0.0.1:1/INBOX", password="x", **wrong)
