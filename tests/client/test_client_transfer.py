"""APPEND, COPY and MOVE. RFC 3501 section 6.3.11, RFC 4315, RFC 6851, RFC 7888."""

import datetime as dt

import pytest

from client.play import exchange, play, source, ways
from modseq.client import Appended, CommandRefused, NotSupported, NumSet, Vanished
from modseq.client.verbs.transfer import append, copy, move
from modseq.limits import LITERAL_MINUS_BYTES_MAX
from modseq.wire.command_writer import FileLiteral

MAIL = b"Subject: x\r\n\r\nx\r\n"
DONE = b"$T OK [APPENDUID 7 12] done\r\n"


@ways
def test_append_waits_for_leave(way):
    x = exchange()
    moment = dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=-1)))
    verb = append(x, "a b", MAIL, flags=["\\Seen", "$x"], date=moment)
    played = play(x, verb, b"* 3 EXISTS\r\n+ go\r\n", DONE, way=way)
    assert (
        played.sent == b'm1 APPEND "a b" (\\Seen $x) " 3-Feb-2026 04:05:06 -0100" {17}\r\n' + MAIL + b"\r\n"
    )
    assert played.result == Appended("a b", 7, 12)


@pytest.mark.parametrize(
    ("capability", "length", "waits"),
    [
        ("LITERAL+", 99_999, False),
        ("LITERAL-", LITERAL_MINUS_BYTES_MAX, False),
        ("LITERAL-", LITERAL_MINUS_BYTES_MAX + 1, True),
        ("IMAP4REV2", 1, False),
        ("X", 1, True),
    ],
)
def test_literals_that_need_no_leave(capability, length, waits):
    x = exchange(capability)
    played = play(x, append(x, "a", bytes(length)), *([b"+ go\r\n"] if waits else []), DONE)
    assert (
        played.sent == b"m1 APPEND a {%d%b}\r\n" % (length, b"" if waits else b"+") + bytes(length) + b"\r\n"
    )


@ways
@pytest.mark.parametrize("capability", ["LITERAL+", "X"])
def test_from_a_file(way, capability):
    x = exchange(capability)
    literal = FileLiteral(source(MAIL), len(MAIL))
    played = play(x, append(x, "a", literal), *([b"+ go\r\n"] if capability == "X" else []), DONE, way=way)
    assert MAIL + b"\r\n" in played.sent
    assert played.result.uid == 12


def test_a_refused_literal_is_never_sent():
    x = exchange()
    with pytest.raises(CommandRefused):
        play(x, append(x, "a", MAIL), b"$T NO [TOOBIG] too big\r\n")
    assert not x.is_broken
    played = play(x, append(x, "a", MAIL), b"+ go\r\n", b"$T OK done\r\n")
    assert played.result == Appended("a")


def test_a_date_wants_a_zone():
    with pytest.raises(ValueError, match="zone"):
        play(exchange(), append(exchange(), "a", MAIL, date=dt.datetime(2026, 1, 1)))  # noqa: DTZ001


@ways
def test_copy(way):
    x = exchange()
    played = play(x, copy(x, [9, 4, 5], "b"), b"$T OK [COPYUID 7 9,4:5 20,10:11] done\r\n", way=way)
    assert played.lines == ["UID COPY 4:5,9 b"]
    assert (played.result.uid_validity, played.result.uids) == (7, {9: 20, 4: 10, 5: 11})
    assert play(x, copy(x, 9, "b"), b"$T OK done\r\n").result.uids == {}


@ways
def test_move(way):
    x = exchange("MOVE")
    played = play(
        x,
        move(x, "4:5", "b"),
        b"* OK [COPYUID 7 4:5 10:11] moved\r\n* VANISHED 4:5\r\n$T OK [HIGHESTMODSEQ 90] done\r\n",
        way=way,
    )
    moved = played.result
    assert (moved.uids, list(moved.vanished), moved.highest_mod_seq, moved.method) == (
        {4: 10, 5: 11},
        [4, 5],
        90,
        "MOVE",
    )
    assert x.events.take()[0] == Vanished(NumSet([4, 5]))


def test_move_by_copy_removes_nothing_else():
    x = exchange("UIDPLUS")
    played = play(
        x,
        move(x, 4, "b"),
        b"$T OK [COPYUID 7 4 10] done\r\n",
        b"$T OK done\r\n",
        b"* 2 EXPUNGE\r\n$T OK done\r\n",
    )
    assert played.lines == ["UID COPY 4 b", "UID STORE 4 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 4"]
    assert (played.result.method, played.result.uids) == ("COPY", {4: 10})
    with pytest.raises(NotSupported):
        play(exchange(), move(exchange(), 4, "b"))


def test_copyuid_of_four_billion_is_not_believed_to_the_end(monkeypatch):
    monkeypatch.setattr("modseq.client.verbs.transfer.COLLECTED_MESSAGES_MAX", 10)
    x = exchange()
    copied = play(x, copy(x, "1:*", "b"), b"$T OK [COPYUID 7 1:4294967295 1:4294967295] x\r\n").result
    assert copied.uids == {uid: uid for uid in range(1, 11)}
