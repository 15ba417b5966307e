"""Decoded text for SEARCH: encoded words, charsets, transfer encodings, dates, comparison."""

import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mime.build import crlf
from modseq.mime.charset import decode_base64, decode_charset, decode_quoted_printable
from modseq.mime.date import sent_day
from modseq.mime.header import decode_words, field_lines, fields, header_values
from modseq.mime.scan import scan
from modseq.mime.text import all_text, body_text, fold, header_text

WORDS = [
    (b"plain", "plain"),
    (b"=?us-ascii?Q?a?=", "a"),
    (b"=?iso-8859-1?Q?caf=E9?= au lait", "caf\xe9 au lait"),
    (b"x =?utf-8?B?w6k=?= y", "x \xe9 y"),
    (b"=?utf-8?q?a_b?= =?utf-8?q?_c?=", "a b c"),
    (b"=?utf-8?q?=C3=A9?=\t =?iso-8859-1?q?=E9?=", "\xe9\xe9"),
    (b"=?utf-8?B?w6?= =?utf-8?B?kx?=", "\xd3"),
    (b"=?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "\xe9"),
    (b"=?utf-8*de?Q?=C3=A9?=", "\xe9"),
    (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\u65e5\u672c"),
    (b"=?no-such-charset?Q?=C3=A9?=", "\xe9"),
    (b"=?utf-8?Q?=FF?=", "\ufffd"),
    (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
    (b"=?utf-8?Q?a b?=", "a b"),
    (b"=?utf-8?Q?never closed", "=?utf-8?Q?never closed"),
    (b"(=?utf-8?Q?a?=)", "(a)"),
    (b"a=?utf-8?Q?b?=c", "abc"),
    (b"caf\xc3\xa9", "caf\xe9"),
    (b"caf\xe9", "caf\xe9"),
    (b"", ""),
]


@pytest.mark.parametrize(("value", "text"), WORDS)
def test_encoded_words(value, text):
    assert decode_words(value) == text


@given(st.binary(max_size=200))
@example(b"=?idna?Q?" + b"a" * 100 + b"?=")
@example(b"=?utf-16?B?/w==?=")
@example(b"=?punycode?Q?a-?= =?zlib?Q?a?= =?undefined?Q?a?= =?\0?Q?a?=")
def test_no_octets_break_a_decoder(data):
    assert isinstance(decode_words(data), str)
    for charset in (data[:10], b"utf-7", b"hz", b"iso-2022-kr", b"utf-16", b"big5", b"idna", b"rot13", None):
        assert isinstance(decode_charset(data, charset), str)
    decode_base64(data)
    decode_quoted_printable(data)
    sent_day(data)
    assert b"".join(lines for _, lines in field_lines(data)) == data
    fields(data)
    header_values(data, data[:5])


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        (b"gb2312", b"\xc4\xe3", "\u4f60"),
        (b"ISO-8859-1", b"\x93x\x94", "\u201cx\u201d"),
        (b"KOI8-R", b"\xc1", "\u0430"),
        (b"windows-874", b"\xa1", "\u0e01"),
        (b"us-ascii", b"\xc3\xa9", "\xe9"),
        (None, b"\xe9", "\xe9"),
        (b"zlib", b"abc", "abc"),
        (b"punycode", b"caf-dma", "caf-dma"),
        (b"unicode_escape", b"\\u00e9", "\\u00e9"),
        (b"UTF-8", b"a\xff", "a\ufffd"),
    ],
)
def test_charsets(charset, data, text):
    assert decode_charset(data, charset) == text


@given(st.binary(max_size=100))
def test_base64_in_any_layout(data):
    import base64

    encoded = base64.encodebytes(data)
    assert decode_base64(encoded) == data
    assert decode_base64(encoded.replace(b"=", b"")) == data
    assert decode_base64(b"!" + encoded.replace(b"\n", b"\r\n ")) == data


def test_two_padded_runs_of_base64():
    assert decode_base64(b"YQ==\r\nYg==\r\n") == b"ab"


DATES = [
    ("Mon, 7 Feb 1994 21:52:25 -0800 (PST)", (1994, 2, 7)),
    ("31 Dec 1999 23:59:59 -1200", (1999, 12, 31)),
    ("Fri, 01 Jan 99 00:00 GMT", (1999, 1, 1)),
    ("1 jan 24 00:00", (2024, 1, 1)),
    ("Sat, 1 March 2008 10:00:00 +0100", (2008, 3, 1)),
    ("17-Jul-1996 02:44:25 -0700", (1996, 7, 17)),
    ("1 Jan 124", (2024, 1, 1)),
    ("Mon Nov  2 13:00:00 2004", (2004, 11, 2)),
    ("Mon Nov 22 13:00:00 EST 2004", (2004, 11, 22)),
    ("November 22, 2004", (2004, 11, 22)),
    ("2004-11-22T13:00:00Z", (2004, 11, 22)),
    ("Mon,7 Feb 1994 21:52:25", (1994, 2, 7)),
    ("1 Jan 1960", (1960, 1, 1)),
    ("31 Feb 2004", None),
    ("32 Jan 2004", None),
    ("1 Foo 2004", None),
    ("yesterday", None),
    ("", None),
]


@pytest.mark.parametrize(("value", "day"), DATES)
def test_the_day_of_a_date(value, day):
    expected = None if day is None else (dt.date(*day) - dt.date(1970, 1, 1)).days
    assert sent_day(value.encode()) == expected
    assert scan(crlf(f"Subject: x\nDate: {value}\n\n")).sent_date == expected


def test_a_message_without_date():
    assert scan(b"Subject: x\r\n\r\n").sent_date is None


MESSAGE = (
    b"Subject: =?utf-8?Q?caf=C3=A9?=\r\n\t=?utf-8?Q?_noir?=\r\nX-A: one\r\nx-a: two\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"na=EFve soft=\r\nbreak\r\n--b\r\n"
    b"Content-Type: text/html; charset*=''utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"PGI+w7xiZXI8L2I+\r\n--b\r\n"
    b"Content-Type: application/octet-stream\r\n\r\nsecret\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?Q?inn=C3=A9r?=\r\n\r\nbody within\r\n--b--\r\n"
)


def test_header_text_is_unfolded_and_decoded():
    assert header_text(MESSAGE, b"SUBJECT") == ["caf\xe9 noir"]
    assert header_text(MESSAGE, b"x-a") == ["one", "two"]
    assert header_text(MESSAGE, b"x") == []
    assert header_text(MESSAGE, b"") == []
    assert header_values(MESSAGE, b"subject") == [b"=?utf-8?Q?caf=C3=A9?=\t=?utf-8?Q?_noir?="]


def test_body_text_is_decoded_part_by_part():
    text = body_text(MESSAGE, scan(MESSAGE).parts)
    for found in ("na\xefve softbreak", "<b>\xfcber</b>", "Subject: inn\xe9r", "body within"):
        assert found in text
    for hidden in ("secret", "preamble", "caf\xe9"):
        assert hidden not in text


def test_all_text_adds_the_header():
    text = all_text(MESSAGE, scan(MESSAGE).parts)
    assert "Subject: caf\xe9 noir" in text
    assert "body within" in text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ABC", "abc"),
        ("\xc9COLE", "\xe9cole"),
        ("e\u0301", "\xc9"),
        ("STRASSE", "stra\xdfe"),
        ("\uff21", "a"),
        ("\ufb01n", "FIN"),
        ("\u0391\u03a3", "\u03b1\u03c2"),
    ],
)
def test_what_compares_equal(one, other):
    assert fold(one) == fold(other)


def test_an_accent_is_part_of_its_letter():
    assert fold("cafe") not in fold("CAF\xc9")


@given(st.text(max_size=50))
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)
