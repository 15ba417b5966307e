"""Commands as well-known clients spell them: each is understood, but for one that must not be."""

import pytest

from modseq.wire.abnf import ParseError
from wire.framing_support import parse

UNDERSTOOD = {
    "Thunderbird": [
        b'1 ID ("name" "Thunderbird" "version" "115.3.1")',
        b'5 list (subscribed) "" "*" return (special-use)',
        b'6 select "INBOX" (CONDSTORE)',
        b"7 UID fetch 1:* (FLAGS) (CHANGEDSINCE 0)",
        (
            b"8 UID fetch 9:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date "
            b"Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])"
        ),
        b"9 uid store 4 +Flags (\\Seen)",
        b'10 uid copy 4 "Trash"',
    ],
    "mutt": [
        b"a0004 ENABLE QRESYNC",
        b'a0005 LIST "" ""',
        b'a0006 STATUS "INBOX" (UIDNEXT UIDVALIDITY UNSEEN RECENT MESSAGES)',
        b'a0007 SELECT "INBOX" (QRESYNC (1700000000 42 1:7))',
        b"a0008 UID FETCH 1:7 (FLAGS) (CHANGEDSINCE 42 VANISHED)",
        (
            b"a0009 FETCH 1:5 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER "
            b"SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE CONTENT-DESCRIPTION IN-REPLY-TO REPLY-TO LINES "
            b"LIST-POST X-LABEL)])"
        ),
        b"a0010 UID STORE 3 -FLAGS.SILENT (\\Deleted)",
        b"a0011 ENABLE UTF8=ACCEPT",
        b'a0012 SELECT "INBOX" (CONDSTORE)',
        b"a0013 UID STORE 2:4 +FLAGS.SILENT (Old)",
    ],
    "mbsync": [
        b"4 UID FETCH 1:1000 (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (X-TUID)])",
        b'5 APPEND "INBOX" (\\Seen) "16-Jul-2023 10:11:12 +0200" {3+}\r\nabc',
        b'6 UID SEARCH HEADER X-TUID "abcdefghijkl"',
        b"7 UID FETCH 1:10005 (UID FLAGS)",
        b"8 UID FETCH 10005 (BODY.PEEK[])",
    ],
    "interimap": [
        b'000003 LIST "" ("*") RETURN (SUBSCRIBED STATUS (UIDVALIDITY UIDNEXT HIGHESTMODSEQ))',
        b"000004 UID FETCH 1:99 (MODSEQ FLAGS) (CHANGEDSINCE 7 VANISHED)",
        b"000005 UID STORE 1:3,7 (UNCHANGEDSINCE 12) FLAGS.SILENT (\\Seen)",
        b"000006 SELECT INBOX (QRESYNC (1795563955 183 1:10006 (8970:9993 8982:10003,10005:10006)))",
        b"000007 UID FETCH 10007:4294967295 (MODSEQ FLAGS INTERNALDATE BODY.PEEK[])",
        b"000008 UID STORE 1 (UNCHANGEDSINCE 189) FLAGS.SILENT ()",
        b'000009 APPEND INBOX (\\Seen) " 1-May-2022 18:46:59 +0000" {2+}\r\nab () " 2-May-2022 18:46:59 +0000" {1+}\r\nc',
    ],
    "curl": [
        b"A003 FETCH 1 BODY[TEXT]",
        b"A004 UID FETCH 8 BODY[HEADER.FIELDS (Subject)]<0.100>",
        b"A005 STORE 1 (UNCHANGEDSINCE 0) +FLAGS ($Claimed)",
        b"A006 APPEND INBOX (\\Seen) {3}\r\nabc",
    ],
    "IMAPClient": [
        b"ABCD1 SEARCH CHARSET UTF-8 TEXT {6}\r\n\xd0\xb0\xd0\xb1\xd0\xb2",
        b"ABCD2 FETCH 1:* (BODY.PEEK[] FLAGS MODSEQ) (CHANGEDSINCE 5)",
        b"ABCD3 UID FETCH 1,2,3,5 (BODY.PEEK[] FLAGS INTERNALDATE MODSEQ)",
        b"ABCD4 UID SEARCH CHARSET UTF-8 UNSEEN SUBJECT {7+}\r\nGr\xc3\xb6\xc3\x9fe",
    ],
    "Apple Mail": [
        (
            b"3.12 UID FETCH 1:10 (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (date subject from "
            b"to cc message-id in-reply-to references)])"
        ),
        b'4.12 LIST "" "%" RETURN (CHILDREN SPECIAL-USE)',
    ],
}


@pytest.mark.parametrize(
    ("client", "octets"), [(client, octets) for client, lines in UNDERSTOOD.items() for octets in lines]
)
def test_the_command_is_understood(client, octets):
    assert parse(octets).tag == octets.split(b" ")[0]


def test_a_condition_after_the_flags_is_refused_and_not_ignored():
    """As imapflow spells it: to ignore it would store unconditionally."""
    with pytest.raises(ParseError, match="the end of the command"):
        parse(b"7 UID STORE 4 +FLAGS.SILENT (\\Seen) (UNCHANGEDSINCE 12)")
