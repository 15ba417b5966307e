"""Who gets which response: by tag, to the command that asked, else an event. Pipelines, and what was left early."""

import contextlib

import pytest

from client.play import SILENCE, exchange, play, ways
from modseq.client import (
    Alert,
    ClientError,
    CommandRefused,
    ConnectionLost,
    EventsOverflowed,
    Exists,
    Expunged,
    MailboxClosed,
    MailboxNotFound,
    MessageData,
    ModSeqRaised,
    Notice,
    NumSet,
    OtherData,
    ProtocolViolated,
    Recent,
    ServerSaidBye,
    SyncState,
    TimedOut,
    UidNotSticky,
    Vanished,
    WrongState,
)
from modseq.client import events as events_module
from modseq.client.effects import Send
from modseq.client.surface import Batch
from modseq.client.verbs.access import noop
from modseq.client.verbs.command import Pending, settle, together
from modseq.client.verbs.fetch import fetch, fetch_body, fetch_each
from modseq.client.verbs.idle import idle
from modseq.client.verbs.search import search
from modseq.client.verbs.select import expunge, select
from modseq.client.verbs.store import store
from modseq.client.verbs.transfer import append, copy, move
from modseq.limits import PIPELINED_IN_FLIGHT_MAX

DONE = b"$T OK done\r\n"
UNASKED = (
    b"* 4 EXISTS\r\n* 1 RECENT\r\n* 2 EXPUNGE\r\n* VANISHED 7\r\n* VANISHED 8:9\r\n* VANISHED (EARLIER) 3\r\n"
    b"* OK [HIGHESTMODSEQ 70] x\r\n* OK [CLOSED] x\r\n* NO [UIDNOTSTICKY] x\r\n* OK [ALERT] read me\r\n"
    b"* OK Still here\r\n* X-NEW 1\r\n"
)
TOLD = (
    Exists(4),
    Recent(1),
    Expunged(2),
    Vanished(NumSet([7, 8, 9])),
    Vanished(NumSet([3]), earlier=True),
    ModSeqRaised(70),
    MailboxClosed(),
    UidNotSticky(),
    Alert("read me"),
    Notice("OK", None, "Still here"),
    OtherData("X-NEW", (b"* X-NEW 1",)),
)


@ways
@pytest.mark.parametrize(
    "verb",
    [
        noop,
        lambda x: fetch(x, 7),
        search,
        lambda x: store(x, 7, add="a"),
        lambda x: append(x, "a", b"x"),
    ],
    ids=["noop", "fetch", "search", "store", "append"],
)
def test_nothing_said_during_any_command_is_lost(way, verb):
    x = exchange("LITERAL+")
    play(x, verb(x), UNASKED + DONE, way=way)
    assert x.events.take() == TOLD
    assert x.events.take() == ()


def test_looking_takes_nothing_away():
    x = exchange()
    play(x, noop(x), UNASKED + DONE)
    assert tuple(x.events) == TOLD
    assert len(x.events) == len(TOLD)


def test_events_are_bounded_and_never_dropped_in_silence(monkeypatch):
    monkeypatch.setattr(events_module, "EVENTS_PENDING_MAX", 10)
    x = exchange()
    play(x, noop(x), b"* 1 FETCH (FLAGS ())\r\n" * 10 + DONE)
    with pytest.raises(EventsOverflowed):
        play(x, noop(x), b"* 1 FETCH (FLAGS ())\r\n" + DONE)
    assert x.is_broken
    with pytest.raises(ConnectionLost):
        play(x, noop(x))


def test_repeated_counters_take_no_room(monkeypatch):
    monkeypatch.setattr(events_module, "EVENTS_PENDING_MAX", 10)
    x = exchange()
    play(x, noop(x), b"* 1 EXISTS\r\n" * 100 + b"* VANISHED 7\r\n" * 100 + DONE)
    play(x, noop(x), b"* OK [CLOSED] x\r\n" * 100 + b"* OK Still here\r\n" * 100 + DONE)
    assert x.events.take() == (
        Exists(1),
        Vanished(NumSet([7])),
        MailboxClosed(),
        Notice("OK", None, "Still here"),
    )
    play(x, noop(x), b"* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n" + DONE)
    assert x.events.take() == (Expunged(3), Expunged(3))


@ways
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"$T9 OK done\r\n", ProtocolViolated),
        (b"m99 OK done\r\n", ProtocolViolated),
        (b"$T BYE done\r\n", ProtocolViolated),
        (b"$T FETCH\r\n", ProtocolViolated),
        (b"+ what\r\n", ProtocolViolated),
        (b"garbage\r\n", ProtocolViolated),
        (b"\xff\xfe\r\n", ProtocolViolated),
        (b"* BYE maintenance\r\n", ServerSaidBye),
        (b"* BYE [UNAVAILABLE] maintenance\r\n", ServerSaidBye),
        (b"", ConnectionLost),
        (SILENCE, TimedOut),
    ],
)
def test_how_it_may_end(way, reply, error):
    x = exchange()
    with pytest.raises(error):
        play(x, noop(x), reply, way=way)
    assert x.is_broken
    assert x.selected is None or error is ProtocolViolated
    with pytest.raises(ConnectionLost):
        play(x, noop(x))


def test_why_it_ended_is_told_again():
    x = exchange()
    with pytest.raises(ServerSaidBye):
        play(x, noop(x), b"* BYE maintenance\r\n")
    with pytest.raises(ServerSaidBye, match="maintenance"):
        play(x, noop(x))


@ways
def test_a_pipeline_is_one_round_trip(way):
    x = exchange("ESEARCH")
    first, second, third = (
        Pending(store(x, 7, add="a")),
        Pending(search(x, "UNSEEN")),
        Pending(store(x, 7, add="b")),
    )
    with pytest.raises(WrongState):
        _ = first.result
    played = play(
        x,
        together(x, [first, second, third]),
        b"* 1 FETCH (UID 7 FLAGS (a))\r\nm1 OK x\r\n* ESEARCH (TAG m2) UID ALL 9\r\nm2 OK x\r\n"
        b"* 1 FETCH (UID 7 FLAGS (a b))\r\nm3 NO [LIMIT] no more\r\n",
        way=way,
    )
    assert len(played.lines) == 3
    assert first.result.messages[7].flags == {"a"}
    assert list(second.result.uids) == [9]
    with pytest.raises(CommandRefused):
        _ = third.result
    assert not x.running


OPENING = b"* 1 EXISTS\r\n* FLAGS (a)\r\n* OK [UIDVALIDITY 5] x\r\n* OK [UIDNEXT 9] x\r\n* OK [HIGHESTMODSEQ 20] x\r\n"


def both_open(x):
    """A search in the mailbox that is open, and another one opened behind it."""
    x.enabled = frozenset({"QRESYNC"})
    state = SyncState(5, 10, NumSet([1, 2]))
    return [Pending(search(x, "UNSEEN")), Pending(select(x, "Next", qresync=state), is_last=True)]


@ways
def test_a_pipeline_may_end_by_opening_another_mailbox(way):
    """What is said before the search has its reply is about the mailbox that was open, or its answer."""
    x = exchange("ESEARCH", "QRESYNC")
    found, opened = both_open(x)
    play(
        x,
        together(x, [found, opened]),
        b"* 1 FETCH (UID 1 FLAGS (old) MODSEQ (12))\r\n* VANISHED 3\r\n* 4 EXISTS\r\n* OK [HIGHESTMODSEQ 13] x\r\n"
        b"* ESEARCH (TAG m1) UID ALL 9\r\nm1 OK x\r\n* OK [CLOSED] x\r\n"
        + OPENING
        + b"* VANISHED (EARLIER) 2\r\n* 1 FETCH (UID 1 FLAGS (a) MODSEQ (20))\r\nm2 OK [READ-WRITE] x\r\n"
        b"* 1 FETCH (UID 1 FLAGS (b) MODSEQ (21))\r\n",
        way=way,
    )
    assert list(found.result.uids) == [9]
    selected = opened.result
    assert (selected.exists, selected.highest_mod_seq, list(selected.vanished)) == (1, 20, [2])
    assert [each.flags for each in selected.changed] == [{"a"}]
    assert x.selected.mailbox == "Next"
    before = [
        MessageData(1, uid=1, flags=frozenset({"old"}), mod_seq=12),
        Vanished(NumSet([3])),
        Exists(4),
        ModSeqRaised(13),
    ]
    assert list(x.events)[:5] == [*before, MailboxClosed()]
    # By octets the verb ends before the last response was heard.
    assert [event.flags for event in list(x.events)[5:]] == ([{"b"}] if way == "whole" else [])


def test_nothing_follows_a_mailbox_that_is_being_opened():
    """Its reply decides in which mailbox the next command would act."""
    x = exchange("ESEARCH", "QRESYNC")
    found, opened = both_open(x)
    behind = Pending(store(x, 7, add="a"))
    with pytest.raises(WrongState):
        play(
            x, together(x, [found, opened, behind]), b"* ESEARCH (TAG m1) UID ALL 9\r\nm1 OK x\r\nm2 OK x\r\n"
        )
    for each in (found, opened, behind):
        with pytest.raises(ClientError):
            _ = each.result
    batch = Batch(exchange())
    batch.select("Next")
    with pytest.raises(WrongState, match="nothing can follow select"):
        batch.status("INBOX")


@pytest.mark.parametrize(
    "replies",
    [
        [b"m1 OK x\r\n", b"m2 OK x\r\n"],
        [b"m1 OK x\r\n* OK [CLOSED] x\r\n" + OPENING + b"m2 OK x\r\n"],
        [b"* OK [CLOSED] x\r\n" + OPENING + b"m2 OK x\r\n", b"m1 OK x\r\n"],
    ],
    ids=["apart", "together", "out of order"],
)
def test_a_command_in_pieces_does_not_go_on_in_another_mailbox(monkeypatch, replies):
    monkeypatch.setattr("modseq.client.verbs.command.UID_SET_BYTES_MAX", 30)
    x = exchange("QRESYNC")
    x.enabled = frozenset({"QRESYNC"})
    stored = Pending(store(x, range(1, 99, 2), add="a"))
    opened = Pending(select(x, "Next"), is_last=True)
    with pytest.raises(WrongState, match="being opened"):
        play(x, together(x, [stored, opened]), *replies)
    assert x._tags == 2
    assert not x.takes_no_more


def test_a_mailbox_behind_a_pipeline_that_cannot_be_opened():
    x = exchange("ESEARCH", "QRESYNC")
    found, opened = both_open(x)
    play(
        x,
        together(x, [found, opened]),
        b"* ESEARCH (TAG m1) UID ALL 9\r\nm1 OK x\r\nm2 NO [NONEXISTENT] x\r\n",
    )
    assert list(found.result.uids) == [9]
    with pytest.raises(MailboxNotFound):
        _ = opened.result
    assert x.selected is None


def test_a_pipeline_with_answers_out_of_order():
    x = exchange()
    pending = [Pending(noop(x)), Pending(noop(x))]
    play(x, together(x, pending), b"m2 OK second\r\n", b"m1 OK first\r\n")
    assert [each.result.text for each in pending] == ["first", "second"]


def test_a_pipeline_leaves_in_one_piece(monkeypatch):
    def pieces(count):
        x = exchange()
        verb = together(x, [Pending(noop(x)) for _ in range(count)])
        sent = [verb.send(None)]
        while isinstance(sent[-1], Send):
            sent.append(verb.send(None))
        verb.close()
        return [each.data.count(b"\r\n") for each in sent[:-1]]

    assert pieces(50) == [50]
    monkeypatch.setattr("modseq.client.verbs.command.PIPELINED_PIECE_BYTES", 90)
    assert pieces(25) == [10, 9, 6]


def test_what_a_pipeline_began_before_it_failed_is_sent():
    """It counts as sent: whoever uses the connection next waits for the answers."""
    x = exchange()
    verb = together(x, [Pending(noop(x)), Pending(store(x, 7, add="a", replace="b"))])
    assert verb.send(None) == Send(b"m1 NOOP\r\n")
    with pytest.raises(ValueError):
        verb.send(None)
    play(x, settle(x), b"m1 OK x\r\n")
    assert not x.running


def test_a_long_pipeline_hears_answers_before_it_sends_on():
    """Two sides that only write would wait for each other once the socket's buffers are full."""
    x = exchange()
    pending = [Pending(noop(x)) for _ in range(250)]
    verb = together(x, pending)
    sent = answered = 0
    value = None
    while not all(each.is_done for each in pending):
        with contextlib.suppress(StopIteration):
            effect = verb.send(value)
        value = None
        if isinstance(effect, Send):
            sent += effect.data.count(b"\r\n")
            assert sent - answered <= PIPELINED_IN_FLIGHT_MAX
        elif answered < 250:
            answered += 1
            value = b"m%d OK x\r\n" % answered
    assert all(each.result.text == "x" for each in pending)
    assert sent == answered == 250


def test_a_literal_that_waits_holds_the_pipeline():
    x = exchange()
    pending = [Pending(append(x, "a", b"mail")), Pending(noop(x))]
    played = play(x, together(x, pending), b"+ go\r\n", b"m1 OK [APPENDUID 1 2] x\r\nm2 OK x\r\n")
    assert played.sent == b"m1 APPEND a {4}\r\nmail\r\nm2 NOOP\r\n"
    assert pending[0].result.uid == 2


def test_a_pipeline_that_breaks_tells_each_what_became_of_it():
    x = exchange()
    pending = [Pending(noop(x)), Pending(noop(x))]
    with pytest.raises(ConnectionLost):
        play(x, together(x, pending), b"m1 OK x\r\n")
    assert pending[0].result.text == "x"
    with pytest.raises(ConnectionLost):
        _ = pending[1].result
    x = exchange()
    with pytest.raises(WrongState):
        play(x, together(x, [Pending(fetch_each(x, 1))]), b"* 1 FETCH (UID 1 FLAGS ())\r\nm1 OK x\r\n")


# --- left early ---------------------------------------------------------------------------------------


def left(x, verb, *replies):
    """Run a verb until it has emitted, and leave it."""
    waiting = list(replies)
    effect = verb.send(None)
    while type(effect).__name__ != "Emit":
        octets = (
            waiting.pop(0).replace(b"$T", b"m%d" % x._tags) if type(effect).__name__ == "Receive" else None
        )
        effect = verb.send(octets)
    verb.close()
    assert not waiting


@ways
def test_the_rest_of_a_stream_is_dropped_and_nothing_else(way):
    x = exchange()
    left(x, fetch_each(x, "1:*"), b"* 1 FETCH (UID 1 FLAGS ())\r\n")
    play(x, settle(x), b"* 2 FETCH (UID 2 FLAGS ())\r\n* VANISHED 1\r\nm1 OK x\r\n", way=way)
    assert x.events.take() == (Vanished(NumSet([1])),)
    assert play(x, noop(x), DONE, way=way).result.text == "done"


@ways
def test_a_body_is_skipped_up_to_a_bound(way, monkeypatch):
    monkeypatch.setattr("modseq.client.verbs.command.STREAM_DRAIN_BYTES_MAX", 100)
    x = exchange()
    left(x, fetch_body(x, 7), b"* 1 FETCH (UID 7 BODY[] {50}\r\n12345")
    play(x, settle(x), bytes(45) + b")\r\nm1 OK x\r\n", way=way)
    x = exchange()
    left(x, fetch_body(x, 7), b"* 1 FETCH (UID 7 BODY[] {500}\r\n12345")
    with pytest.raises(ConnectionLost, match="too long"):
        play(x, settle(x), *[bytes(60)] * 2, way=way)
    assert x.is_broken


def test_idle_is_ended_properly():
    x = exchange("IDLE")
    left(x, idle(x), b"+ idling\r\n* 3 EXISTS\r\n")
    assert play(x, settle(x), b"* 4 EXISTS\r\nm1 OK x\r\n").lines == ["DONE"]
    assert x.events.take() == (Exists(4),)


def test_half_a_command_breaks_the_connection():
    x = exchange()
    verb = append(x, "a", b"mail")
    verb.send(None)
    verb.close()
    assert x.is_broken


def test_a_second_command_is_not_sent_into_a_half_sent_one():
    x = exchange()
    verb = append(x, "a", b"mail")
    verb.send(None)
    with pytest.raises(WrongState):
        noop(x).send(None)
    verb.close()


SCATTERED = NumSet(range(1_000_000, 1_004_000, 2))


@pytest.mark.parametrize(
    "verb",
    [
        lambda x: fetch(x, SCATTERED),
        lambda x: fetch_each(x, SCATTERED),
        lambda x: store(x, SCATTERED, add="a"),
        lambda x: copy(x, SCATTERED, "b"),
        lambda x: move(x, SCATTERED, "b"),
        lambda x: expunge(x, SCATTERED),
    ],
    ids=["fetch", "fetch_each", "store", "copy", "move", "expunge"],
)
def test_long_sets_go_out_in_several_commands(verb):
    """RFC 7162 section 4: below 8,192 octets a line."""
    x = exchange("UIDPLUS", "MOVE")
    played = play(x, verb(x), *[DONE] * 3)
    assert len(played.lines) == 3
    assert max(map(len, played.lines)) < 8_100
    numbers = ",".join(line.split(" ")[2] for line in played.lines)
    assert NumSet(map(int, numbers.split(","))) == SCATTERED


def test_the_pieces_of_a_long_store_are_one_result():
    x = exchange("CONDSTORE")
    replies = [
        b"* 1 FETCH (UID 1000000 MODSEQ (9))\r\n$T OK [MODIFIED 1000002] x\r\n",
        b"$T OK x\r\n",
        b"$T OK [HIGHESTMODSEQ 77] x\r\n",
        b"$T OK x\r\n",
        b"* 9 FETCH (UID 1003998 MODSEQ (9))\r\n$T OK x\r\n",
        b"$T OK x\r\n",
    ]
    stored = play(x, store(x, SCATTERED, add="a", unchanged_since=5), *replies).result
    assert list(stored.applied) == [1_000_000, 1_003_998]
    assert list(stored.modified) == [1_000_002]
    assert len(stored.missing) == len(SCATTERED) - 3
    assert stored.highest_mod_seq == 77
