"""IDLE: events, renewal, half-open connections. RFC 2177."""

import pytest

from client.play import SILENCE, Frozen, exchange, play, ways
from modseq import clock
from modseq.client import Exists, Notice, NotSupported, TimedOut
from modseq.client.verbs.idle import idle, notify, wait_for_event


@pytest.fixture
def hours():
    """A clock on which only silence and sleep pass time."""
    frozen = Frozen()
    before = clock.use(frozen)
    yield frozen
    clock.use(before)


@ways
def test_events_as_they_come_and_renewal(way, hours):
    x = exchange("IDLE", idle_renew_seconds=400.0)
    played = play(
        x,
        idle(x, 700),
        b"+ idling\r\n* 3 EXISTS\r\n",
        SILENCE,
        b"$T OK done\r\n",
        b"+ idling\r\n* 4 EXISTS\r\n",
        SILENCE,
        b"$T OK done\r\n",
        way=way,
        clock=hours,
    )
    assert played.lines == ["IDLE", "DONE", "IDLE", "DONE"]
    assert played.emitted == [Exists(3), Exists(4)]
    assert hours.now == 700


def test_a_half_open_connection_is_found_out(hours):
    x = exchange("IDLE", idle_renew_seconds=100.0)
    with pytest.raises(TimedOut):
        play(x, idle(x), b"+ idling\r\n", SILENCE, SILENCE, clock=hours)
    assert x.is_broken


@ways
def test_wait_returns_with_the_first_event(way):
    x = exchange("IDLE")
    played = play(
        x,
        wait_for_event(x, 60),
        b"+ idling\r\n* OK Still here\r\n",
        b"* 3 EXISTS\r\n",
        b"$T OK done\r\n",
        way=way,
    )
    assert played.lines == ["IDLE", "DONE"]
    assert played.result == (Notice("OK", None, "Still here"), Exists(3))


@ways
def test_notifications_that_end_are_news(way):
    """From here on nothing is told any more: whoever waits must know. RFC 5465 section 5.8"""
    x = exchange("IDLE")
    played = play(
        x,
        wait_for_event(x, 60),
        b"+ idling\r\n* OK Still here\r\n",
        b"* OK [NOTIFICATIONOVERFLOW] too much\r\n",
        b"$T OK done\r\n",
        way=way,
    )
    assert [each.code and each.code.name for each in played.result] == [None, "NOTIFICATIONOVERFLOW"]


def test_wait_asks_nothing_where_something_waits_already():
    x = exchange("IDLE")
    x.events.add(Exists(3))
    played = play(x, wait_for_event(x, 60))
    assert (played.lines, played.result) == ([], (Exists(3),))


def test_polling_where_the_server_lacks_idle(hours):
    x = exchange()
    played = play(
        x, wait_for_event(x, 1_000), b"$T OK done\r\n", b"* 3 EXISTS\r\n$T OK done\r\n", clock=hours
    )
    assert played.lines == ["NOOP", "NOOP"]
    assert played.slept == 30
    assert played.result == (Exists(3),)


def test_a_server_that_ends_idle_by_itself_is_borne(hours):
    x = exchange("IDLE", idle_renew_seconds=400.0)
    played = play(
        x,
        idle(x, 300),
        b"+ idling\r\n$T OK enough\r\n",
        b"+ idling\r\n",
        SILENCE,
        b"$T OK done\r\n",
        clock=hours,
    )
    assert played.lines.count("IDLE") == 2


def test_notify():
    x = exchange("NOTIFY")
    played = play(
        x, notify(x, "selected (MessageNew FlagChange)", "personal (MailboxName)"), b"$T OK done\r\n"
    )
    assert played.lines == ["NOTIFY SET (selected (MessageNew FlagChange)) (personal (MailboxName))"]
    assert play(x, notify(x), b"$T OK done\r\n").lines == ["NOTIFY NONE"]
    with pytest.raises(ValueError):
        play(x, notify(x, "a\r\nb LOGOUT"))
    with pytest.raises(NotSupported):
        play(exchange(), notify(exchange()))
