"""The part tree against the tree that was written, and against the standard library's `email`."""

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mime.agree import check, told
from mime.build import TREES, crlf, expected, written
from mime.oracle import email_nodes, without_last_line_ends
from modseq.mime.address import parse_addresses


@given(TREES, st.booleans())
def test_the_tree_that_was_written_is_the_tree_that_is_told(tree, lf_only):
    message = written(tree)
    want = expected(tree)
    if lf_only:
        message = message.replace(b"\r\n", b"\n")
        want = [(path, media, body and body.replace(b"\r\n", b"\n")) for path, media, body in want]
    assert told(message, check(message)) == want


@given(TREES)
def test_email_sees_the_same_tree(tree):
    message = written(tree)
    assert without_last_line_ends(told(message, check(message))) == without_last_line_ends(
        email_nodes(message)
    )


HAND_WRITTEN = {
    "no end boundary": crlf("Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\n\ntwo\n"),
    "outer boundary ends inner": crlf(
        "Content-Type: multipart/mixed; boundary=out\n\npre\n--out\n"
        "Content-Type: multipart/alternative; boundary=in\n\n--in\n\none\n--out\n\ntwo\n--out--\nepi\n"
    ),
    "inner boundary after its multipart has ended": crlf(
        "Content-Type: multipart/mixed; boundary=out\n\n--out\n"
        "Content-Type: multipart/mixed; boundary=in\n\n--in\n\none\n--out\n\ntwo\n--in\n\nthree\n--out\n\nfour\n--out--\n"
    ),
    "inner boundary begins with outer": crlf(
        "Content-Type: multipart/mixed; boundary=a\n\n--a\n"
        "Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\none\n--ab\n\ntwo\n--ab--\n--a\n\nthree\n--a--\n"
    ),
    "outer boundary begins with inner": crlf(
        "Content-Type: multipart/mixed; boundary=ab\n\n--ab\n"
        "Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a\n\ntwo\n--a--\n--ab\n\nthree\n--ab--\n"
    ),
    "inner and outer boundary alike": crlf(
        "Content-Type: multipart/mixed; boundary=a\n\n--a\n"
        "Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\nmore\n"
    ),
    "space after boundaries": crlf("Content-Type: multipart/mixed; boundary=x\n\n--x \t\n\none\n--x-- \n"),
    "boundary in quotes with specials": crlf(
        'Content-Type: multipart/mixed; boundary="=_(a):b, c?"\n\n--=_(a):b, c?\n\none\n--=_(a):b, c?--\n'
    ),
    "boundary text in the middle of a line": crlf(
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n\none --x\n --x\n--xy\n--x-\ntwo\n--x--\n"
    ),
    "empty parts": crlf("Content-Type: multipart/mixed; boundary=x\n\n--x\n\n--x\n\n\n--x--\n"),
    "end before any part": crlf("Content-Type: multipart/mixed; boundary=x\n\ntext\n"),
    "no boundary": crlf("Content-Type: multipart/mixed\n\n--x\n\none\n--x--\n"),
    "digest": crlf(
        "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: one\n\nbody\n--x\n"
        "Content-Type: text/plain\n\nnot a message\n--x--\n"
    ),
    "message in message": crlf(
        "Content-Type: message/rfc822\n\nSubject: a\nContent-Type: message/rfc822\n\nSubject: b\n\nbody\n"
    ),
    "multipart in message": crlf(
        "Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x--\n"
    ),
    "no type": crlf("Subject: x\n\nbody\n"),
    "type without subtype": crlf("Content-Type: text\n\nbody\n"),
    "upper case type": crlf(
        "CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=x\n\n--x\nCONTENT-TYPE: TEXT/HTML\n\none\n--x--\n"
    ),
    "lf only": b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\n\ntwo\n--x--\n",
    "mixed line ends": b"Content-Type: multipart/mixed; boundary=x\r\n\n--x\n\r\none\r\n--x\r\n\ntwo\n--x--\r\n",
    "8-bit body": b"Content-Type: text/plain; charset=latin1\r\n\r\ncaf\xe9\r\n",
    "continued boundary": crlf(
        "Content-Type: multipart/mixed;\n boundary*0=ab;\n boundary*1=cd\n\n--abcd\n\none\n--abcd--\n"
    ),
}


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_email_agrees_on_hand_written_messages(name):
    message = HAND_WRITTEN[name]
    scanned = check(message)
    mine, theirs = told(message, scanned), email_nodes(message)
    if name == "no end boundary":
        mine, theirs = without_last_line_ends(mine), without_last_line_ends(theirs)
    assert mine == theirs


ADDRESSES = [
    "a@example.org",
    "Fred <fred@example.org>",
    '"Foobar, Fred" <fred@example.org>, b@example.org',
    "John Q. Public <jq@example.org>",
    '"a \\"b\\" c" <x@example.org>',
    '"local part"@example.org',
    "x@[192.0.2.1]",
    "=?utf-8?Q?J=C3=B6rg?= <j@example.org>",
    "fred@example.org (Fred Foobar)",
    "Fred (the one) <fred@example.org>",
]


@pytest.mark.parametrize("value", ADDRESSES)
def test_email_agrees_on_addresses(value):
    mine = []
    for name, route, mailbox, host in parse_addresses(value.encode()):
        assert route is None
        mine.append(((name or b"").decode(), f"{mailbox.decode()}@{host.decode()}"))
    theirs = email.utils.getaddresses([value])
    assert [address.replace('"', "") for _, address in theirs] == [address for _, address in mine]
    if "(the one)" not in value:  # email appends the comment to the name
        assert [name for name, _ in theirs] == [name for name, _ in mine]
