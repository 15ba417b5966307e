"""Servers that lie: each gets a documented exception, in bounded memory, and the connection ends."""

import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.play import exchange, play, ways
from modseq.client import (
    ClientError,
    ConnectionLost,
    NumSet,
    ProtocolViolated,
    ResponseTooLarge,
    SyncState,
    Vanished,
)
from modseq.client.verbs.access import noop
from modseq.client.verbs.fetch import fetch, fetch_body, fetch_each
from modseq.client.verbs.mailbox import list_mailboxes
from modseq.client.verbs.search import search
from modseq.client.verbs.select import select
from modseq.client.verbs.store import store
from modseq.client.verbs.sync import sync
from modseq.limits import RESPONSE_DEPTH_MAX, RESPONSE_TEXT_BYTES_MAX

DONE = b"$T OK done\r\n"
MEGABYTE = 2**20


def peak_of(call):
    """Return what a call raised or returned, and the most memory that it held."""
    tracemalloc.start()
    try:
        try:
            result = call()
        except ClientError as error:
            result = error
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@ways
@pytest.mark.parametrize(
    "octets",
    [
        b"* 1 FETCH (BODY[] {5}\r\n1234567)\r\n",
        b"* 1 FETCH (BODY[] {9}\r\n1234567)\r\n* 2 EXISTS\r\n",
        b"* 1 FETCH (UID 1 BODY[] {-5}\r\n",
        b"* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n",
        b"* 1 FETCH (UID 1 BODY[] {5}",
        b"* LIST () NIL {3}\r\nabcdef\r\n",
    ],
)
def test_literals_that_lie(way, octets):
    x = exchange()
    with pytest.raises((ProtocolViolated, ConnectionLost)):
        play(x, fetch(x, 1, "BODY[]"), octets, DONE, way=way)
    assert x.is_broken


def test_a_huge_literal_is_refused_before_it_comes():
    x = exchange()
    with pytest.raises(ResponseTooLarge):
        play(x, noop(x), b"* 1 FETCH (X {%d}\r\n" % 2**40)


def test_an_endless_line():
    x = exchange()
    chunk = b"x" * MEGABYTE

    def run():
        play(x, noop(x), b"* ", *[chunk] * (RESPONSE_TEXT_BYTES_MAX // MEGABYTE + 1))

    error, peak = peak_of(run)
    assert isinstance(error, ResponseTooLarge)
    assert peak < 3 * RESPONSE_TEXT_BYTES_MAX


def test_an_endless_body_costs_nothing_where_it_is_streamed():
    x = exchange()
    chunk = bytes(MEGABYTE)
    announced = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % (64 * MEGABYTE)
    verb = fetch_body(x, 1)
    seen = 0

    def run():
        nonlocal seen
        replies = iter([announced, *[chunk] * 64, b")\r\nm1 OK x\r\n"])
        value = None
        while True:
            try:
                effect = verb.send(value)
            except StopIteration:
                return
            value = None
            if type(effect).__name__ == "Receive":
                value = next(replies)
            elif type(effect).__name__ == "Emit":
                seen += sum(len(each) for each in effect.values if isinstance(each, bytes))

    _, peak = peak_of(run)
    assert seen == 64 * MEGABYTE
    assert peak < 4 * MEGABYTE


@ways
@pytest.mark.parametrize(
    "octets",
    [
        b"* 1 FETCH (BODYSTRUCTURE " + b"(" * 5_000,
        b"* 1 FETCH (X " + b"(" * 5_000,
        b"* 1 FETCH (ENVELOPE " + b"(" * 5_000,
        b"* LIST " + b"(" * 5_000,
        b"* ESEARCH X " + b"(" * 5_000,
        b"* NAMESPACE " + b"(" * 5_000,
        b"* STATUS a (X " + b"(" * 5_000,
        b"* ID " + b"(" * 5_000,
        b"* 1 FETCH (BODYSTRUCTURE "
        + b'("message" "rfc822" NIL NIL NIL "8bit" 1 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) '
        * (RESPONSE_DEPTH_MAX + 1),
    ],
)
def test_deep_nesting(way, octets):
    x = exchange()
    with pytest.raises(ProtocolViolated):
        play(x, noop(x), octets + b"\r\n", way=way)


def test_vanished_of_four_billion():
    x = exchange("CONDSTORE", "QRESYNC", "ENABLE", enabled=("QRESYNC",))
    everything = b"* VANISHED 1:4294967295\r\n" + b"* VANISHED (EARLIER) 1:4294967295\r\n" * 20

    def run():
        play(x, noop(x), everything + DONE)
        return x.events.take()

    events, peak = peak_of(run)
    assert len(events[0].uids) == 2**32 - 1
    assert peak < 16 * MEGABYTE
    state = SyncState(7, 9, NumSet([3, 5]))
    opened = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [HIGHESTMODSEQ 9] x\r\n* VANISHED (EARLIER) 1:4294967295\r\n"
    again = b"* SEARCH 5\r\n$T OK x\r\n", b"* 1 FETCH (UID 5 FLAGS ())\r\n$T OK x\r\n"
    played = play(x, sync(x, "INBOX", state), opened + DONE, *again)
    assert played.emitted[0] == Vanished(NumSet([3, 5]))
    assert played.result.state.uids == NumSet([5])


@pytest.mark.parametrize(
    "octets",
    [
        b'* LIST (\\\xff) "/" "\xff\xfe"\r\n',
        b"* OK [ALERT] \xff\xfe\r\n",
        b'* 1 FETCH (UID 1 FLAGS (\xc3) ENVELOPE (NIL "\xff" NIL NIL NIL NIL NIL NIL NIL NIL))\r\n',
        b'* ID ("\xff" "\xff")\r\n',
        b'* LIST () "/" "&//8-"\r\n* LIST () "/" "&AGE-&AGE-"\r\n',
    ],
)
def test_bad_utf8_is_shown_and_breaks_nothing(octets):
    x = exchange()
    play(x, noop(x), octets + DONE)
    assert len(x.events)


def test_values_without_end_in_one_item(monkeypatch):
    monkeypatch.setattr("modseq.wire.response_parser.RESPONSE_VALUES_MAX", 1_000)
    x = exchange()
    play(x, noop(x), b"* 1 FETCH (X (" + b"a " * 400 + b"))\r\n" + DONE)
    with pytest.raises(ProtocolViolated):
        play(x, noop(x), b"* 1 FETCH (X (" + b"a " * 1_100 + b"))\r\n")


def test_many_big_numbers():
    x = exchange()
    digits = b"9" * 100_000
    for octets in (
        b"* %b EXISTS\r\n",
        b"* VANISHED %b\r\n",
        b"* SEARCH %b\r\n",
        b"* 1 FETCH (MODSEQ (%b))\r\n",
    ):
        x = exchange()
        with pytest.raises(ProtocolViolated):
            play(x, noop(x), octets % digits)
    x = exchange()
    assert play(x, noop(x), b"* OK [HIGHESTMODSEQ %b] x\r\n" % digits + DONE)


CONVERSATIONS = [
    (
        lambda x: sync(x, "INBOX", SyncState(7, 5, NumSet([1, 2]))),
        (
            b"* OK [CLOSED] x\r\n* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [HIGHESTMODSEQ 9] x\r\n"
            b"* VANISHED (EARLIER) 2\r\n* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (9))\r\n"
            b"* 2 FETCH (UID 3 FLAGS () MODSEQ (9))\r\nm1 OK [READ-ONLY] done\r\n"
        ),
    ),
    (lambda x: fetch(x, 7, "BODY[]"), b"* 1 FETCH (UID 7 BODY[] {3}\r\na\r\n FLAGS ())\r\nm1 OK done\r\n"),
    (lambda x: fetch_body(x, 7), b"* 1 FETCH (UID 7 BODY[] {3}\r\na\r\n FLAGS ())\r\nm1 OK done\r\n"),
    (
        lambda x: store(x, 7, add="a", unchanged_since=1),
        b"* 1 FETCH (UID 7 MODSEQ (9))\r\nm1 OK [MODIFIED 8] x\r\n",
    ),
    (list_mailboxes, b'* LIST (\\X) "/" {3}\r\nabc\r\nm1 OK done\r\n'),
    (search, b"* ESEARCH (TAG m1) UID ALL 1:9\r\nm1 OK done\r\n"),
]


def server():
    return exchange("CONDSTORE", "QRESYNC", "ENABLE", "ESEARCH", enabled=("QRESYNC",))


@pytest.mark.parametrize(("verb", "octets"), CONVERSATIONS)
def test_the_end_may_come_after_any_octet(verb, octets):
    """And BYE at the end of any line."""
    for cut in range(len(octets)):
        x = server()
        with pytest.raises(ConnectionLost):
            play(x, verb(x), octets[:cut])
        assert x.is_broken
    lines = octets.split(b"\r\n")
    for count in range(len(lines) - 1):
        x = server()
        with pytest.raises(ClientError):
            play(x, verb(x), b"".join(line + b"\r\n" for line in lines[:count]) + b"* BYE now\r\n")


@pytest.mark.parametrize(("verb", "octets"), CONVERSATIONS)
@given(data=st.data())
@settings(max_examples=40)
def test_damaged_octets_give_documented_errors_only(verb, octets, data):
    at = data.draw(st.integers(0, len(octets) - 1))
    junk = data.draw(
        st.binary(max_size=4) | st.sampled_from([b"(", b")", b'"', b"{3}\r\n", b"\r\n", b"* ", b"+ "])
    )
    damaged = octets[:at] + junk + octets[at + data.draw(st.integers(0, 3)) :]
    x = server()
    with contextlib.suppress(ClientError):
        play(x, verb(x), damaged, all_asked=False)


def test_fetch_each_holds_nothing():
    x = exchange()
    line = b"* 1 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (9))\r\n" * 1_000
    verb = fetch_each(x, "1:*")
    count = 0

    def run():
        nonlocal count
        replies = iter([*[line] * 50, b"m1 OK x\r\n"])
        value = None
        while True:
            try:
                effect = verb.send(value)
            except StopIteration:
                return
            value = next(replies) if type(effect).__name__ == "Receive" else None
            count += len(effect.values) if type(effect).__name__ == "Emit" else 0

    _, peak = peak_of(run)
    assert count == 50_000
    assert peak < 4 * MEGABYTE


def test_a_select_that_never_ends_is_bounded(monkeypatch):
    monkeypatch.setattr("modseq.client.verbs.select.COLLECTED_MESSAGES_MAX", 100)
    x = exchange()
    with pytest.raises(ResponseTooLarge):
        play(x, select(x, "a"), b"* 1 FETCH (UID 7 FLAGS ())\r\n" * 101)
