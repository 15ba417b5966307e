"""The same on Dovecot: what a run costs there, IDLE and NOTIFY, and a connection that breaks while we watch."""

import asyncio
import contextlib
import dataclasses

import pytest

from mirror_net import Proxy, mirrored, url, without
from mirror_support import mail
from modseq import limits
from modseq.client import connect
from modseq.mirror.errors import MirrorBusy
from modseq.mirror.outbox import Outbox
from modseq.mirror.replica import Replica
from modseq.mirror.watch import Watch


@pytest.fixture
def proxy(place):
    with Proxy(place.address) as proxy:
        yield proxy


@pytest.fixture
def other(place):
    with place.other() as other:
        for n in range(1, 13):
            other.append("INBOX", mail(f"letter {n}", "x" * n), "\\Seen" if n % 2 else "$old")
        other.do("create", "Archive")
        other.append("Archive", mail("old"))
        yield other


@pytest.fixture
def go(replica, proxy, place):
    def run(**options):
        proxy.forget()
        report = asyncio.run(place.sync(replica, proxy.address, **options))
        assert report.doubts == {}, report
        assert mirrored(replica) == place.account()
        return report

    return run


def work(proxy):
    begin = {"AUTHENTICATE", "LOGIN", "ID", "ENABLE", "LOGOUT", "CAPABILITY"}
    return [each for each in proxy.commands if each not in begin]


def test_a_copy_follows_every_kind_of_change(go, other, proxy, replica):
    replica.configure(bodies="all")
    go()
    go()
    assert work(proxy) == ["LIST"]
    other.store("INBOX", "2,5", "+FLAGS (\\Flagged $work)")
    report = go()
    assert dataclasses.astuple(report.applied) == (0, 2, 0)
    assert work(proxy) == ["LIST", "EXAMINE", "UID SEARCH"]
    other.store("INBOX", "3", "-FLAGS (\\Seen)")
    go(verify=False)
    assert work(proxy) == ["LIST", "EXAMINE"]
    go()
    assert work(proxy) == ["LIST"]
    other.expunge("INBOX", "4,7:8")
    report = go()
    assert dataclasses.astuple(report.applied) == (0, 0, 3)
    go()
    assert work(proxy) == ["LIST"]
    other.append("INBOX", mail("new"))
    other.append("INBOX", mail("gone at once"))
    other.expunge("INBOX", "14")
    other.uid("INBOX", "MOVE", "1", "Archive")
    report = go()
    assert dataclasses.astuple(report.applied) == (2, 0, 1)
    assert all(replica.without_body(row.mailbox_id) == [] for row in replica.mailboxes())
    other.do("delete", "Archive")
    go()
    assert [row.name for row in replica.mailboxes()] == ["INBOX"]


def test_known_uids_that_fill_more_than_a_line(go, other, proxy, replica, monkeypatch):
    """Every second message is gone: the set is sent as pairs, and the answer is right all the same."""
    monkeypatch.setattr("modseq.client.verbs.select.UID_SET_BYTES_MAX", 20)
    for n in range(60):
        other.append("Archive", mail(f"m{n}"))
    other.expunge("Archive", ",".join(map(str, range(2, 60, 2))))
    go()
    other.expunge("Archive", "5,31")
    other.store("Archive", "7", "+FLAGS ($x)")
    assert dataclasses.astuple(go().applied) == (0, 1, 2)
    assert any(b"(1,17,25,29,31,32 1,33,49,57,60,61)" in line for line in proxy.said)


def test_names_that_are_no_ascii(place, other, replica):
    other.do("create", '"Gr&APwA3w-e &- mehr"')
    other.append("Gr&APwA3w-e &- mehr", mail("hallo"))
    report = asyncio.run(place.sync(replica))
    assert report.doubts == {}
    row = replica.mailbox("Grüße & mehr")
    assert replica.summary(row.mailbox_id, 1).subject == "hallo"
    Outbox(replica).move(replica.mailbox("INBOX"), 1, row.name)
    assert asyncio.run(place.sync(replica)).pushed.conflicts == []
    assert len(replica.known_uids(row.mailbox_id)) == 2


async def _until(condition):
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110 -- the condition is in another process
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _watching(replica, place, proxy, **options):
    reports, losses = [], []

    async def login():
        return await connect(url(proxy.address), user=place.user, password=place.password)

    watch = Watch(
        replica, login, reports.append, lambda error, pause: losses.append((error, pause)), **options
    )
    task = asyncio.ensure_future(watch.run())
    try:
        await _until(lambda: reports or task.done())
        yield reports, losses
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _same(replica, place):
    async with asyncio.timeout(40):
        while mirrored(replica) != await asyncio.to_thread(place.account):  # noqa: ASYNC110 -- see above
            await asyncio.sleep(0.05)


def test_watching_by_notify_hears_of_every_mailbox(place, proxy, replica, other):
    async def work() -> None:
        async with _watching(replica, place, proxy, poll_seconds=300) as (reports, _):
            if not any(b"NOTIFY" in line for line in proxy.said):
                pytest.skip("this server does not offer NOTIFY")
            other.append("Archive", mail("heard of"))
            await _same(replica, place)
            other.store("INBOX", "1", "+FLAGS (\\Flagged)")
            await _same(replica, place)
            other.expunge("Archive", "1")
            await _same(replica, place)
            assert reports[-1].doubts == {}

    asyncio.run(work())


def test_watching_by_idle_and_a_connection_that_breaks(place, proxy, replica, other, monkeypatch):
    monkeypatch.setattr(limits, "MIRROR_RECONNECT_SECONDS_MIN", 0.1)
    monkeypatch.setattr(limits, "MIRROR_OUTBOX_LOOK_SECONDS", 0.1)
    proxy.tamper = without("NOTIFY")

    async def work() -> None:
        async with _watching(replica, place, proxy, poll_seconds=300) as (_, losses):
            assert not any(b"NOTIFY" in line for line in proxy.said)
            await _until(lambda: "IDLE" in proxy.commands)
            other.append("INBOX", mail("told by IDLE"))
            await _same(replica, place)
            other.expunge("INBOX", "2")
            await _same(replica, place)
            proxy.drop()
            await _until(lambda: losses)
            other.store("INBOX", "3", "+FLAGS ($x)")
            await _same(replica, place)
            assert losses[0][1] == 0.1

    asyncio.run(work())


def test_watching_pushes_what_another_process_edits(place, proxy, replica, other, monkeypatch):
    monkeypatch.setattr(limits, "MIRROR_OUTBOX_LOOK_SECONDS", 0.1)

    async def work() -> None:
        async with _watching(replica, place, proxy, poll_seconds=300):
            await _until(lambda: "IDLE" in proxy.commands)
            with Replica(replica.path) as second:
                Outbox(second).change_flags(second.mailbox("INBOX"), 3, add=["$mine"])
            await _until(lambda: Outbox(replica).edits() == [])
            await _same(replica, place)
            assert "$mine" in mirrored(replica)["INBOX"][3][0]

    asyncio.run(work())


def test_watching_goes_on_when_another_process_is_at_work(place, proxy, replica, other, monkeypatch):
    monkeypatch.setattr(limits, "MIRROR_RECONNECT_SECONDS_MIN", 0.1)

    async def work() -> None:
        async with _watching(replica, place, proxy, poll_seconds=0.2) as (reports, losses):
            with Replica(replica.path) as second, contextlib.ExitStack() as turn:
                # The watching one may be in the middle of a poll.
                await _until(lambda: _taken(turn, second))
                await _until(lambda: losses)
            assert isinstance(losses[0][0], MirrorBusy)
            seen = len(reports)
            await _until(lambda: len(reports) > seen)
            assert reports[-1].doubts == {}

    asyncio.run(work())


def _taken(turn, replica):
    """Take the right to synchronise a file if it is free just now."""
    try:
        turn.enter_context(replica.synchronising())
    except MirrorBusy:
        return False
    return True
