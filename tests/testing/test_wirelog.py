"""The conversation as a test report shows it: readable, bounded, and without passwords."""

import base64

import pytest

from modseq import limits
from modseq.testing.wirelog import WireLog


@pytest.fixture
def log():
    return WireLog()


@pytest.fixture
def one(log):
    return log.new_connection()


def texts(log, speaker=None):
    return [line.text for line in log.lines() if speaker in (None, line.speaker)]


def test_lines_are_put_together_from_pieces(log, one):
    for octet in b"a NOOP\r\nb NOOP\r\n":
        one.heard(bytes([octet]))
    one.said(b"a OK\r\nb ")
    one.said(b"OK\r\n")
    assert [(line.speaker, line.text) for line in log.lines()] == [
        ("C", "a NOOP"),
        ("C", "b NOOP"),
        ("S", "a OK"),
        ("S", "b OK"),
    ]


def test_a_line_names_time_connection_and_speaker(log, one):
    log.new_connection().heard(b"x NOOP\r\n")
    assert str(log.lines()[0])[8:] == " #2  C: x NOOP"
    one.remark("closed")
    assert str(log.lines()[1])[8:] == " #1  -- closed"


PASSWORD = b"pa55-w0rd"
PLAIN = base64.b64encode(b"\0ann\0" + PASSWORD)


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        (b"a LOGIN ann %b\r\nb NOOP\r\n" % PASSWORD, ["a LOGIN ***", "b NOOP"]),
        (b'a login "ann" "%b"\r\nb NOOP\r\n' % PASSWORD, ["a login ***", "b NOOP"]),
        (b"a AUTHENTICATE PLAIN %b\r\n" % PLAIN, ["a AUTHENTICATE ***"]),
        (b"a AUTHENTICATE PLAIN\r\n%b\r\n" % PLAIN, ["a AUTHENTICATE ***", "***"]),
        (b"a LOGIN {3+}\r\nann {9+}\r\n%b\r\n" % PASSWORD, ["a LOGIN ***", "***", "***"]),
        (b"a LOGIN ann {9}\r\n%b\r\n" % PASSWORD, ["a LOGIN ***", "***"]),
    ],
)
@pytest.mark.parametrize("octets", [1, 4096])
def test_no_password_is_kept(log, one, heard, shown, octets):
    for at in range(0, len(heard), octets):
        one.heard(heard[at : at + octets])
    assert texts(log) == shown


def test_a_broken_off_password_is_not_shown_either(log, one):
    one.heard(b"a LOGIN ann " + PASSWORD)
    one.remark("closed")
    assert texts(log) == ["a LOGIN *** [no line end]", "closed"]


def test_after_the_reply_all_is_shown_again(log, one):
    one.heard(b"a AUTHENTICATE PLAIN\r\n")
    one.said(b"+ \r\n")
    one.heard(PLAIN + b"\r\n")
    one.said(b"a OK\r\n")
    one.heard(b"b SELECT INBOX\r\n")
    assert texts(log, "C") == ["a AUTHENTICATE ***", "***", "b SELECT INBOX"]


def test_octets_that_are_no_text_are_spelled(log, one):
    one.heard(b"\x00\x1b[31m\xff\r\n")
    assert texts(log) == ["\\x00\\x1b[31m\\xff"]


def test_lines_and_log_are_bounded(log, one, monkeypatch):
    one.said(b"x" * (limits.WIRE_LOG_LINE_BYTES_MAX + 5))
    one.said(b"y" * 1000 + b"\r\n")
    assert texts(log) == ["x" * limits.WIRE_LOG_LINE_BYTES_MAX + " [1,006 octets more]"]
    monkeypatch.setattr("modseq.testing.wirelog.WIRE_LOG_LINES_MAX", 3)
    short = WireLog()
    connection = short.new_connection()
    connection.said(b"1\r\n2\r\n3\r\n4\r\n")
    assert texts(short) == ["2", "3", "4"]
