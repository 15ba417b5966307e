"""Guessing is slow and is cut; those who know their password are not shut out."""

import os
import signal
import time

import pytest

from modseq import clock, limits
from modseq.server.addresses import network_of
from modseq.server.auth import Authenticator, TooManyAttempts, hash_password, read_plain
from modseq.server.throttle import LoginRecords, Throttle
from modseq.storage.memory import MemoryStore
from server.serving import CHEAP, serving
from server.talk import CLOSED, Conversation

FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
"""These children touch shared memory and exit; threads of other tests do not concern them."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.seconds = 1000.0
        self._random = clock.SystemSource()

    def now_nanoseconds(self):
        return int(self.seconds * 1e9)

    def monotonic_seconds(self):
        return self.seconds

    def random_bytes(self, count):
        return self._random.random_bytes(count)


@pytest.fixture
def stopped():
    source = Clock()
    before = clock.use(source)
    yield source
    clock.use(before)


# --- the throttle ---------------------------------------------------------------------------------


def test_waits_double_with_each_failure(stopped):
    throttle = Throttle(1.0, 20.0)
    waits = []
    for _ in range(6):
        waits.append(throttle.wait_seconds("10.0.0.1", "alice"))
        stopped.seconds += 100
        throttle.failed("10.0.0.1", "alice")
    assert waits == [0, 0, 1, 2, 4, 8]
    assert throttle.wait_seconds("10.0.0.1", "alice") == 16.0
    assert throttle.wait_seconds("10.0.0.1", "somebody else") is None, "the next would wait behind it"
    stopped.seconds += 100
    assert throttle.wait_seconds("10.0.0.1", "alice") == 0.0


def test_failures_count_by_address_and_by_user(stopped):
    throttle = Throttle(1.0, 20.0)
    for _ in range(2):
        throttle.failed("10.0.0.1", "alice")
    assert throttle.wait_seconds("10.0.0.1", "bob") == 1.0
    assert throttle.wait_seconds("10.0.0.2", "alice") == 1.0
    assert throttle.wait_seconds("10.0.0.2", "bob") == 0.0


def test_parallel_attempts_wait_one_behind_the_other(stopped):
    throttle = Throttle(1.0, 3.5)
    for _ in range(2):
        throttle.failed("10.0.0.1", "alice")
    assert [throttle.wait_seconds("10.0.0.1", "alice") for _ in range(4)] == [1.0, 2.0, 3.0, None]


def test_failures_are_forgotten(stopped):
    throttle = Throttle(1.0, 20.0)
    for _ in range(5):
        throttle.failed("10.0.0.1", "alice")
    stopped.seconds += limits.LOGIN_FAILURES_KEPT_SECONDS + 1
    assert throttle.wait_seconds("10.0.0.1", "alice") == 0.0


def test_a_stranger_does_not_lock_out_a_user_at_a_known_address(stopped):
    throttle = Throttle(1.0, 20.0)
    throttle.succeeded("10.0.0.1", "alice")
    for _ in range(10):
        throttle.failed("10.0.0.66", "alice")
    assert throttle.wait_seconds("10.0.0.1", "alice") == 0.0
    assert throttle.wait_seconds("10.0.0.67", "alice") is not None


def test_failures_from_a_known_address_count_as_well(stopped):
    throttle = Throttle(1.0, 20.0)
    throttle.succeeded("10.0.0.1", "alice")
    for _ in range(3):
        throttle.failed("10.0.0.1", "alice")
    assert throttle.wait_seconds("10.0.0.1", "alice") == 2.0


def test_memory_of_failures_is_bounded(stopped):
    throttle = Throttle(records=LoginRecords(failures_max=100, known_max=100))
    octets = len(throttle._records.memory.octets)
    for number in range(1000):
        throttle.failed(f"10.1.{number // 250}.{number % 250}", f"user {number}" * 100)
        throttle.succeeded(f"10.1.{number // 250}.{number % 250}", f"other {number}")
        stopped.seconds += 0.01
    assert len(throttle._records.memory.octets) == octets < 210 * 48
    kept = [n for n in range(1000) if throttle._records.failures.find("user " + f"user {n}" * 100)]
    assert 0 < len(kept) <= 104
    assert sum(kept) / len(kept) > 900, "the newest stay"


def test_a_flood_of_guesses_forgets_nobody_who_is_known(stopped):
    throttle = Throttle(1.0, 20.0, records=LoginRecords(failures_max=64, known_max=64))
    throttle.succeeded("10.0.0.1", "alice")
    for number in range(1000):
        throttle.failed(f"10.2.{number // 250}.{number % 250}", "alice")
        stopped.seconds += 0.01
    assert throttle.wait_seconds("10.0.0.1", "alice") == 0.0


def test_a_known_place_is_known_for_a_month(stopped):
    throttle = Throttle(1.0, 20.0)
    throttle.succeeded("10.0.0.1", "alice")
    stopped.seconds += 29 * 86_400
    for _ in range(10):
        throttle.failed("10.0.0.66", "alice")
    assert throttle.wait_seconds("10.0.0.1", "alice") == 0.0
    stopped.seconds += 2 * 86_400
    for _ in range(3):
        throttle.failed("10.0.0.66", "alice")
    assert throttle.wait_seconds("10.0.0.1", "alice") == 2.0


def test_old_failures_of_a_known_pair_do_not_count(stopped):
    throttle = Throttle(1.0, 20.0)
    throttle.succeeded("10.0.0.1", "alice")
    for _ in range(5):
        throttle.failed("10.0.0.1", "alice")
    stopped.seconds += limits.LOGIN_FAILURES_KEPT_SECONDS + 1
    throttle.failed("10.0.0.1", "alice")
    assert throttle.wait_seconds("10.0.0.1", "alice") == 0.0


def test_a_network_of_ipv6_is_one_address(stopped):
    throttle = Throttle(1.0, 20.0)
    for number in range(3):
        throttle.failed(f"2001:db8:1:2::{number:x}", f"user {number}")
    assert throttle.wait_seconds("2001:db8:1:2:ffff::1", "somebody") == 2.0
    assert throttle.wait_seconds("2001:db8:1:3::1", "somebody") == 0.0


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_what_counts_as_one_address(peer, network):
    assert network_of(peer) == network


@FORKS
def test_another_process_counts_into_the_same_memory(stopped):
    records = LoginRecords()
    pid = os.fork()
    if pid == 0:
        other = Throttle(1.0, 20.0, records=records)
        for _ in range(3):
            other.failed("10.0.0.1", "alice")
        os._exit(0)
    os.waitpid(pid, 0)
    assert Throttle(1.0, 20.0, records=records).wait_seconds("10.0.0.1", "bob") == 2.0


@FORKS
def test_processes_that_count_at_once_lose_nothing(stopped):
    records = LoginRecords()
    pids = []
    for _ in range(4):
        pids.append(os.fork())
        if pids[-1] == 0:
            throttle = Throttle(records=records)
            for _ in range(500):
                throttle.failed("10.0.0.1", "alice")
            os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    assert records.failures.find("user alice").count == 2000


@FORKS
def test_a_process_that_dies_with_the_lock_holds_nobody_up(stopped):
    records = LoginRecords()
    pid = os.fork()
    if pid == 0:
        with records.memory.locked():
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    Throttle(records=records).failed("10.0.0.1", "alice")


# --- passwords ------------------------------------------------------------------------------------


@pytest.fixture
def checker():
    import asyncio

    with asyncio.Runner() as runner:
        store = MemoryStore()
        runner.run(store.directory.add("alice", hash_password(b"secret", CHEAP)))
        authenticator = Authenticator(store.directory, cost=CHEAP, throttle=Throttle(0.0))
        calls = []
        verify = authenticator._verify
        authenticator._verify = lambda stored, password: calls.append(stored) or verify(stored, password)

        def check(user, password):
            return runner.run(authenticator.check(user, password, address="10.0.0.1"))

        check.calls = calls
        check.store = store
        check.run = runner.run
        check.authenticator = authenticator
        yield check
        runner.run(authenticator.close())


def test_unknown_users_cost_what_known_ones_cost(checker):
    assert not checker("alice", b"wrong")
    assert not checker("nobody", b"wrong")
    assert [stored is None for stored in checker.calls] == [False, True]


def test_a_success_is_remembered_and_a_failure_is_not(checker):
    assert checker("alice", b"secret")
    assert checker("alice", b"secret")
    assert len(checker.calls) == 1
    assert not checker("alice", b"wrong")
    assert not checker("alice", b"wrong")
    assert len(checker.calls) == 3


def test_a_changed_password_is_noticed_at_once(checker):
    assert checker("alice", b"secret")
    checker.run(checker.store.directory.set_password_hash("alice", hash_password(b"new", CHEAP)))
    assert not checker("alice", b"secret")
    assert checker("alice", b"new")


def test_what_is_remembered_holds_no_password(checker):
    assert checker("alice", b"secret")
    assert b"secret" not in b"".join(checker.authenticator._remembered)
    assert all(len(digest) == 32 for digest in checker.authenticator._remembered)


def test_nobody_checks_for_who_has_left(checker):
    """The wait was for nothing, and so would be the work."""
    checker.authenticator._throttle.delay_seconds = 0.05
    for _ in range(2):
        assert not checker("alice", b"wrong")
    calls = len(checker.calls)
    work = checker.authenticator.check("alice", b"secret", address="10.0.0.1", is_wanted=lambda: False)
    assert checker.run(work) is False
    assert len(checker.calls) == calls


def test_known_users_do_not_wait_behind_guesses(checker, monkeypatch):
    """With every thread for strangers busy and their queue full, one who is known is let in at once."""
    import asyncio
    import threading

    monkeypatch.setattr("modseq.server.auth.PASSWORDS_WAITING_MAX", 4)
    assert checker("alice", b"secret")
    checker.authenticator._remembered.clear()
    hold = threading.Event()
    verify = checker.authenticator._verify

    def slow(stored, password):
        if password == b"guess":
            hold.wait(10)
        return verify(stored, password)

    checker.authenticator._verify = slow

    async def crowd():
        check = checker.authenticator.check
        guesses = [asyncio.create_task(check(f"user {n}", b"guess", address=f"10.0.1.{n}")) for n in range(4)]
        await asyncio.sleep(0.05)
        with pytest.raises(TooManyAttempts):
            await check("one more", b"guess", address="10.0.1.99")
        known = await check("alice", b"secret", address="10.0.0.1")
        hold.set()
        return known, await asyncio.gather(*guesses)

    assert checker.run(crowd()) == (True, [False] * 4)


def test_guesses_yield_the_processor(checker):
    import os
    import threading

    niceness = {}
    verify = checker.authenticator._verify

    def noted(stored, password):
        niceness[password] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return verify(stored, password)

    checker.authenticator._verify = noted
    assert checker("alice", b"secret")
    checker.authenticator._remembered.clear()
    assert not checker("alice", b"known to be alice, but wrong")
    assert not checker("nobody", b"guess")
    here = os.getpriority(os.PRIO_PROCESS, 0)
    assert niceness[b"guess"] > here
    assert niceness[b"known to be alice, but wrong"] == here


def test_overlong_credentials_are_wrong(checker):
    assert not checker("alice", b"x" * 5000)
    assert not checker("x" * 5000, b"secret")


def test_a_broken_hash_lets_nobody_in(checker):
    checker.run(checker.store.directory.set_password_hash("alice", "not a hash"))
    assert not checker("alice", b"secret")


@pytest.mark.parametrize(
    "message", [b"", b"alice", b"\0alice", b"a\0b\0c\0d", b"\0\0secret", b"\0alice\0", b"\0\xff\0x"]
)
def test_messages_that_are_not_plain(message):
    assert read_plain(message) is None


# --- over the wire --------------------------------------------------------------------------------


def test_guesses_slow_down_and_are_cut():
    with serving(login_delay_seconds=0.1) as server, Conversation(server, login=False) as talk:
        peer = talk.peer()
        seconds = []
        for _ in range(limits.LOGIN_FAILURES_PER_CONNECTION_MAX):
            began = time.monotonic()
            peer.send(b"a LOGIN alice wrong\r\n")
            assert peer.read_response().startswith("a NO [AUTHENTICATIONFAILED]")
            seconds.append(time.monotonic() - began)
        assert seconds[0] < 0.1
        assert seconds[2] >= 0.08
        assert seconds[4] >= 0.35
        assert peer.read_response() == "* BYE Too many failed logins"
        assert peer.read_response() == CLOSED


def test_others_work_while_a_password_is_checked_and_a_guesser_waits():
    with (
        serving(login_delay_seconds=0.5) as server,
        Conversation(server) as talk,
        Conversation(server, login=False) as guesser,
    ):
        talk.peer()
        peer = guesser.peer()
        for _ in range(2):
            peer.send(b"a LOGIN bob wrong\r\n")
            peer.read_response()
        peer.send(b"a LOGIN bob wrong\r\n")
        began = time.monotonic()
        talk.run("""
            C: a NOOP
            S: a OK
        """)
        assert time.monotonic() - began < 0.3
        peer.read_response()


def test_too_many_waiting_attempts_are_sent_away():
    with (
        serving(login_delay_seconds=10.0, login_delay_seconds_max=1.0) as server,
        Conversation(server, login=False) as talk,
    ):
        peer = talk.peer()
        for _ in range(2):
            peer.send(b"a LOGIN bob wrong\r\n")
            assert "NO" in peer.read_response()
        others = [talk.peer(number) for number in range(2, 5)]
        for other in others:
            other.send(b"a LOGIN bob wrong\r\n")
        answers = [other.read_response() for other in others]
        assert any(answer.startswith("* BYE [UNAVAILABLE]") for answer in answers)
