"""RFC 3501 section 7.4.2, ENVELOPE: which field gives which member, NIL against "", and every kind of address."""

import pytest

from mime.agree import check
from mime.build import crlf
from mime.sexp import parse
from modseq.mime.address import parse_addresses
from modseq.mime.envelope import address_list
from modseq.mime.scan import scan


def envelope(text):
    message = text if isinstance(text, bytes) else crlf(text)
    check(message)
    return parse(scan(message).envelope)


def test_the_example_of_section_8():
    got = scan(
        crlf(
            "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\n"
            "From: Terry Gray <gray@cac.washington.edu>\n"
            "Subject: IMAP4rev1 WG mtg summary and minutes\n"
            "To: imap@cac.washington.edu\n"
            "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n"
            "Message-Id: <B27397-0100000@cac.washington.edu>\n"
            "MIME-Version: 1.0\n"
            "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n"
            "\n"
        )
    )
    assert got.envelope == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" '
        b'"IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")'
        b'("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>")'
    )
    assert got.body == b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0)'


def test_absent_fields_are_nil():
    assert envelope("X: y\n\n") == [None] * 10


def test_empty_fields_are_the_empty_string_and_empty_addresses_nil():
    got = envelope("Date:\nSubject: \nFrom:\nSender: ,\nTo: \nIn-Reply-To:\nMessage-ID:\n \n\n")
    assert got == [b"", b"", None, None, None, None, None, None, b"", b""]


def test_sender_and_reply_to_default_to_from():
    got = envelope("From: a@x\nSender:\n\n")
    assert got[2] == got[3] == got[4] == [[None, None, b"a", b"x"]]


def test_sender_and_reply_to_of_their_own():
    got = envelope("From: a@x\nSender: b@x\nReply-To: c@x\n\n")
    assert [member[0][2] for member in got[2:5]] == [b"a", b"b", b"c"]


def test_values_are_unfolded():
    got = envelope("Subject: one\n two\n\tthree\nTo: a@x,\n  b@x\n\n")
    assert got[1] == b"one two\tthree"
    assert [address[2] for address in got[5]] == [b"a", b"b"]


def test_encoded_words_stay_as_they_are():
    assert envelope("Subject: =?utf-8?Q?caf=C3=A9?=\n\n")[1] == b"=?utf-8?Q?caf=C3=A9?="


def test_quotes_and_backslashes_are_quoted():
    assert scan(b'Subject: a "b" \\c\r\n\r\n').envelope.startswith(b'(NIL "a \\"b\\" \\\\c" NIL')


def test_8bit_text_is_a_literal_and_nul_is_dropped():
    assert scan(b"Subject: caf\xc3\xa9\0!\r\n\r\n").envelope.startswith(b"(NIL {6}\r\ncaf\xc3\xa9! NIL")
    assert scan(b"Subject: a\0b\r\n\r\n").envelope.startswith(b'(NIL "ab" NIL')


def test_a_bare_cr_makes_a_literal():
    assert envelope(b"Subject: a\rb\r\n\r\n")[1] == b"a\rb"


def test_the_first_of_several_subjects_counts():
    assert envelope("Subject: one\nSubject: two\n\n")[1] == b"one"


def test_all_of_several_from_fields_count():
    got = envelope("From: a@x\nFrom: b@x\nTo: group: c@x;\nTo: d@x\n\n")
    assert [address[2] for address in got[2]] == [b"a", b"b"]
    assert [address[2] for address in got[5]] == [b"group", b"c", None, b"d"]


def test_field_names_in_any_case_and_space_before_the_colon():
    assert envelope("SUBJECT : x\nmessage-ID\t: <y>\n\n")[1::8] == [b"x", b"<y>"]


def test_lines_that_are_no_field_are_skipped():
    assert envelope("From x@y Mon Jan  1 10:00:00 2024\nSubject: x\njunk\nTo: a@x\n\n")[1] == b"x"


ADDRESSES = [
    ("a@x", [(None, None, "a", "x")]),
    ("<a@x>", [(None, None, "a", "x")]),
    ("A B <a@x>", [("A B", None, "a", "x")]),
    ("A   B<a@x>", [("A B", None, "a", "x")]),
    ('"A, B" <a@x>', [("A, B", None, "a", "x")]),
    ('"A \\"q\\" B" <a@x>', [('A "q" B', None, "a", "x")]),
    ('A "B C" D <a@x>', [("A B C D", None, "a", "x")]),
    ("a@x (A B)", [("A B", None, "a", "x")]),
    ("a@x (A (nested) B)", [("A (nested) B", None, "a", "x")]),
    ("a@x (A \\) B)", [("A ) B", None, "a", "x")]),
    ("(before) a@x", [("before", None, "a", "x")]),
    ("a @ x . y", [(None, None, "a", "x.y")]),
    ('"a b"@x', [(None, None, "a b", "x")]),
    ("a@[192.0.2.1]", [(None, None, "a", "[192.0.2.1]")]),
    ("A <@r1,@r2:a@x>", [("A", "@r1,@r2", "a", "x")]),
    ("A <a@b@x>", [("A", None, "a@b", "x")]),
    (
        "g: a@x, B <b@y>;",
        [(None, None, "g", None), (None, None, "a", "x"), ("B", None, "b", "y"), (None,) * 4],
    ),
    ("Undisclosed recipients:;", [(None, None, "Undisclosed recipients", None), (None,) * 4]),
    ("a@x, g:;, b@x", [(None, None, "a", "x"), (None, None, "g", None), (None,) * 4, (None, None, "b", "x")]),
    ("g: a@x", [(None, None, "g", None), (None, None, "a", "x"), (None,) * 4]),
    ("a@x; b@y", [(None, None, "a", "x"), (None, None, "b", "y")]),
    (",a@x,,b@x,", [(None, None, "a", "x"), (None, None, "b", "x")]),
    ("root", [(None, None, "root", "")]),
    ("A <root>", [("A", None, "root", "")]),
    ("<>", [(None, None, "", "")]),
    ("@x", [(None, None, "", "x")]),
    ("John Smith john@x", [("John Smith", None, "john", "x")]),
    ("A <a@x", [("A", None, "a", "x")]),
    ('"never closed <a@x>', [(None, None, "never closed <a@x>", "")]),
    ("a@x (never closed", [("never closed", None, "a", "x")]),
    ("", []),
    ("  ", []),
    ("(only a comment)", []),
]


@pytest.mark.parametrize(("value", "expected"), ADDRESSES)
def test_addresses(value, expected):
    got = [
        tuple(None if item is None else item.decode() for item in address)
        for address in parse_addresses(value.encode())
    ]
    assert got == expected
    listed = parse(address_list(value.encode()))
    assert (listed or []) == [[None if item is None else item.encode() for item in row] for row in expected]
