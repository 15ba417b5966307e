"""FETCH: held, streamed, in bodies. RFC 3501 section 6.4.5, RFC 7162 sections 3.1.4 and 3.2.6."""

import pytest

from client.play import exchange, play, ways
from modseq.client import CommandRefused, MessageData, NotSupported, NumSet, ResponseTooLarge, Vanished
from modseq.client.verbs import fetch as family
from modseq.client.verbs.fetch import fetch, fetch_body, fetch_each


@ways
def test_messages_and_what_vanished(way):
    x = exchange("CONDSTORE", "QRESYNC", enabled=("QRESYNC",))
    played = play(
        x,
        fetch(x, "1:*", ["FLAGS", "MODSEQ"], changed_since=9, vanished=True),
        b"* VANISHED (EARLIER) 3:5\r\n* 1 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (12))\r\n"
        b"* 2 FETCH (UID 8 FLAGS () MODSEQ (13))\r\n* VANISHED 7\r\n$T OK [HIGHESTMODSEQ 13] done\r\n",
        way=way,
    )
    assert played.lines == ["UID FETCH 1:* (UID FLAGS MODSEQ) (CHANGEDSINCE 9 VANISHED)"]
    assert [each.uid for each in played.result.messages] == [7, 8]
    assert list(played.result.vanished) == [3, 4, 5]
    assert played.result.highest_mod_seq == 13
    assert x.events.take()[0] == Vanished(NumSet([7]))


@ways
def test_what_nobody_asked_for_becomes_events(way):
    """Other messages, other items, no UID."""
    x = exchange()
    played = play(
        x,
        fetch(x, [7, 8], "BODY.PEEK[TEXT]"),
        b"* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n"
        b"* 1 FETCH (UID 7 BODY[TEXT] {3}\r\n\r\n))\r\n"
        b"* 5 FETCH (UID 99 BODY[TEXT] {0}\r\n)\r\n"
        b"* 2 FETCH (FLAGS (\\Flagged))\r\n"
        b'* 2 FETCH (BODY[TEXT] "x" UID 8 FLAGS (a))\r\n'
        b"$T OK done\r\n",
        way=way,
    )
    assert {uid: each.sections for uid, each in played.result.by_uid().items()} == {
        7: {"BODY[TEXT]": b"\r\n)"},
        8: {"BODY[TEXT]": b"x"},
    }
    events = x.events.take()
    assert [event.uid for event in events] == [7, 99, 0]


def test_two_answers_for_one_message_are_one():
    x = exchange()
    played = play(
        x,
        fetch(x, 7, ["FLAGS"]),
        b"* 1 FETCH (UID 7 FLAGS (a))\r\n* 1 FETCH (UID 7 FLAGS (b) MODSEQ (9))\r\n$T OK done\r\n",
    )
    (message,) = played.result.by_uid().values()
    assert (message.flags, message.mod_seq) == ({"b"}, 9)


def test_expunge_issued_is_told_and_raises_nothing():
    x = exchange()
    reply = b"* 1 FETCH (UID 7 FLAGS ())\r\n$T NO [EXPUNGEISSUED] some are gone\r\n"
    assert play(x, fetch(x, "7:9"), reply).result.expunge_issued
    with pytest.raises(CommandRefused):
        play(x, fetch(x, "7:9"), b"$T NO something else\r\n")


@pytest.mark.parametrize(
    ("items", "written"),
    [
        ("ENVELOPE", "ENVELOPE"),
        (
            'body.peek[1.header.fields (Subject "a b")]<0.10>',
            'BODY.PEEK[1.HEADER.FIELDS (Subject "a b")]<0.10>',
        ),
        (["FLAGS", "flags", "UID"], "FLAGS"),
        ("X-GM-LABELS", "X-GM-LABELS"),
        ("RFC822.HEADER", "RFC822.HEADER"),
    ],
)
def test_items_as_text(items, written):
    x = exchange()
    assert play(x, fetch(x, 7, items), b"$T OK done\r\n").lines == [f"UID FETCH 7 (UID {written})"]


@pytest.mark.parametrize("items", ["BODY[", "A B", "FLAGS)\r\nx LOGOUT", "(FLAGS)", "ü", "BODY[]<5>"])
def test_what_is_no_item_is_never_sent(items):
    with pytest.raises(ValueError):
        play(exchange(), fetch(exchange(), 7, items))


@ways
def test_each_message_as_it_comes(way):
    x = exchange("CONDSTORE", enabled=("QRESYNC",))
    played = play(
        x,
        fetch_each(x, "1:*", changed_since=1, vanished=True),
        b"* VANISHED (EARLIER) 3\r\n* 1 FETCH (UID 7 FLAGS ())\r\n",
        b"* 2 FETCH (UID 8 FLAGS ())\r\n$T OK done\r\n",
        way=way,
    )
    assert played.emitted == [
        Vanished(NumSet([3]), earlier=True),
        MessageData(1, 7, frozenset()),
        MessageData(2, 8, frozenset()),
    ]


@ways
def test_a_body_comes_in_chunks(way):
    x = exchange()
    played = play(
        x,
        fetch_body(x, 7),
        b"* 1 FETCH (UID 7 FLAGS (a) BODY[] {10}\r\n01234",
        b"56789 UID 7)\r\n* 3 EXISTS\r\n$T OK done\r\n",
        way=way,
    )
    assert played.lines == ["UID FETCH 7 (UID BODY.PEEK[])"]
    assert played.emitted[0] == 10
    assert b"".join(played.emitted[1:]) == b"0123456789"
    assert len(played.emitted) == (3 if way == "whole" else 11)


@ways
@pytest.mark.parametrize(
    ("told", "octets"), [(b'"ab"', b"ab"), (b"{0}\r\n", b""), (b"~{2}\r\n\0\1", b"\0\1"), (b'""', b"")]
)
def test_small_bodies(way, told, octets):
    x = exchange()
    label = b"BINARY[1]" if told[:1] == b"~" else b"BODY[1]"
    played = play(
        x,
        fetch_body(x, 7, "1", peek=False),
        b"* 1 FETCH (UID 7 %b %b)\r\n$T OK done\r\n" % (label, told),
        way=way,
    )
    assert played.emitted[0] == len(octets)
    assert b"".join(played.emitted[1:]) == octets


def test_no_such_body():
    x = exchange()
    for reply in (b"$T OK done\r\n", b"* 1 FETCH (UID 7 BODY[9] NIL)\r\n$T OK done\r\n", b"$T NO no\r\n"):
        with pytest.raises(CommandRefused):
            play(x, fetch_body(x, 7, "9"), reply)


def test_a_body_larger_than_what_may_be_held_is_streamed():
    x = exchange()
    x._reader.literal_bytes_max = 100
    played = play(
        x, fetch_body(x, 7), b"* 1 FETCH (UID 7 BODY[] {1000}\r\n" + bytes(1000) + b")\r\n$T OK done\r\n"
    )
    assert sum(map(len, played.emitted[1:])) == 1000
    with pytest.raises(ResponseTooLarge):
        play(x, fetch(x, 7, "BODY[]"), b"* 1 FETCH (UID 7 BODY[] {1000}\r\n")
    assert x.is_broken


def test_a_result_is_bounded(monkeypatch):
    monkeypatch.setattr(family, "COLLECTED_MESSAGES_MAX", 3)
    x = exchange()
    lines = [b"* 1 FETCH (UID 7 FLAGS ())\r\n"] * 3
    assert len(play(x, fetch(x, "1:*"), *lines, b"$T OK done\r\n").result.messages) == 3
    with pytest.raises(ResponseTooLarge):
        play(x, fetch(x, "1:*"), *lines, lines[0])
    x = exchange()
    assert len(play(x, fetch_each(x, "1:*"), *lines * 5, b"$T OK done\r\n").emitted) == 15


def test_nothing_is_sent_that_the_server_cannot_do():
    x = exchange()
    with pytest.raises(NotSupported):
        play(x, fetch(x, 1, changed_since=1))
    x = exchange("CONDSTORE")
    with pytest.raises(NotSupported):
        play(x, fetch(x, 1, changed_since=1, vanished=True))
