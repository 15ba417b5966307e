"""Guessing is slow and is cut; those who know their password are not shut out."""

import time

import pytest

from modseq import clock, limits
from modseq.server.auth import Authenticator, hash_password, read_plain
from modseq.server.throttle import Throttle
from modseq.storage.memory import MemoryStore
from server.serving import CHEAP, serving
from server.talk import CLOSED, Conversation


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


def test_memory_of_failures_is_bounded(stopped, monkeypatch):
    monkeypatch.setattr("modseq.server.throttle.LOGIN_FAILURES_TRACKED_MAX", 100)
    throttle = Throttle()
    for number in range(1000):
        throttle.failed(f"address {number}", f"user {number}")
        throttle.succeeded(f"address {number}", f"other {number}")
    assert len(throttle._records) <= 101


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
