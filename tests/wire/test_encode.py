"""What the server writes: known answers, and what the grammar reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modseq.core.numset import NumSet
from modseq.limits import QUOTED_BYTES_MAX, RESPONSE_LINE_BYTES
from modseq.wire import encode
from modseq.wire.abnf import Parser
from modseq.wire.grammar import access, fetch, idle, mailbox, search, select, store, transfer
from modseq.wire.messages import continuation, status_response
from modseq.wire.values import BodySection

SETS = st.sets(st.integers(1, 2**32 - 1) | st.integers(1, 50)).map(NumSet)


def reader(octets):
    """Return a parser over one encoded token, framed as the server's own framer would."""
    if octets.endswith(b"}") or b"}\r\n" in octets:
        head, tail = octets.split(b"\r\n", 1)
        return Parser((head, tail, b""))
    return Parser((octets,))


@given(st.binary() | st.text().map(str.encode))
def test_every_string_comes_back(octets):
    if b"\0" in octets:
        return
    parser = reader(encode.string(octets))
    assert parser.string() == octets
    parser.end()


@given(st.text(alphabet='ab "\\', max_size=9))
def test_every_quoted_string_comes_back(text):
    assert Parser((encode.quoted(text.encode()),)).string() == text.encode()


def test_long_strings_and_octets_above_127_go_out_as_literals():
    assert encode.string(b"x" * QUOTED_BYTES_MAX).startswith(b'"')
    assert encode.string(b"x" * (QUOTED_BYTES_MAX + 1)).startswith(b"{1001}\r\n")
    assert encode.string(b"\xc3") == b"{1}\r\n\xc3"
    assert encode.string(b"a\nb") == b"{3}\r\na\nb"


def test_nil_is_no_string():
    assert encode.nstring(None) == b"NIL"
    assert encode.nstring(b"NIL") == b'"NIL"'
    assert Parser((b"nil",)).nstring() is None


@given(st.text(max_size=50))
def test_every_mailbox_name_comes_back(name):
    expected = "INBOX" if name.upper() == "INBOX" else name
    assert Parser((encode.mailbox(name),)).mailbox() == expected


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("INBOX", b"INBOX"),
        ("a b", b'"a b"'),
        ("", b'""'),
        ("nil", b'"nil"'),
        ("Entwürfe", b'"Entw&APw-rfe"'),
        ('a"b\\c', b'"a\\"b\\\\c"'),
        ("100%", b'"100%"'),
        ("a/b.c-d", b"a/b.c-d"),
    ],
)
def test_mailbox_names(name, octets):
    assert encode.mailbox(name) == octets


@given(
    st.integers(-62_000_000_000, 253_000_000_000),
    st.integers(-23 * 60, 23 * 60),
)
def test_every_moment_comes_back(seconds, zone_minutes):
    assert Parser((encode.date_time(seconds, zone_minutes),)).date_time() == (seconds, zone_minutes)


def test_moments():
    assert encode.date_time(760686745, -480) == b'" 7-Feb-1994 21:52:25 -0800"'
    assert encode.date_time(1521475657, 660) == b'"20-Mar-2018 03:07:37 +1100"'
    assert encode.date_time(0, -30) == b'"31-Dec-1969 23:30:00 -0030"'
    assert encode.date_time(10**18, 0) == b'"31-Dec-9999 23:59:59 +0000"'
    assert encode.date_time(-(10**18), 0) == b'" 1-Jan-0001 00:00:00 +0000"'


@given(SETS, st.integers(21, 60))
def test_a_set_in_pieces_is_the_set(numbers, bytes_max):
    pieces = list(encode.split_set(numbers, bytes_max))
    assert b",".join(pieces) == numbers.to_bytes()
    assert all(0 < len(piece) <= bytes_max for piece in pieces)


def test_vanished_names_every_uid_in_lines_of_bounded_length():
    uids = NumSet(range(1, 40_000, 2))
    lines = list(select.vanished(uids, earlier=True))
    assert len(lines) > 10
    assert max(map(len, lines)) <= RESPONSE_LINE_BYTES
    told = set()
    for line in lines:
        body = line.removeprefix(b"* VANISHED (EARLIER) ").removesuffix(b"\r\n")
        told |= set(Parser((body,)).sequence_set().resolve(0))
    assert told == set(uids)


def test_nothing_vanished_is_not_told():
    assert list(select.vanished(NumSet.EMPTY)) == []
    assert list(select.vanished(NumSet([3]))) == [b"* VANISHED 3\r\n"]


TEXT = BodySection((1,), "TEXT", (), (5, 9), peek=True, label=b"BODY[1.TEXT]<5>")
IDS = NumSet.from_ranges([(3, 5), (9, 9)])


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (access.capability_data(["IMAP4rev1", "CONDSTORE"]), b"* CAPABILITY IMAP4rev1 CONDSTORE\r\n"),
        (access.capability_code(["IMAP4rev1"]), b"CAPABILITY IMAP4rev1"),
        (access.enabled_data(["CONDSTORE", "QRESYNC"]), b"* ENABLED CONDSTORE QRESYNC\r\n"),
        (access.enabled_data([]), b"* ENABLED\r\n"),
        (access.id_response([(b"name", b"modseq"), (b"os", None)]), b'* ID ("name" "modseq" "os" NIL)\r\n'),
        (access.id_response([]), b"* ID NIL\r\n"),
        (access.sasl_challenge(b""), b"+ \r\n"),
        (access.sasl_challenge(b"abc"), b"+ YWJj\r\n"),
        (select.exists(172), b"* 172 EXISTS\r\n"),
        (select.recent(1), b"* 1 RECENT\r\n"),
        (select.expunge_data(44), b"* 44 EXPUNGE\r\n"),
        (select.flags_data(["\\Seen", "x"]), b"* FLAGS (\\Seen x)\r\n"),
        (select.permanent_flags_code(["\\Seen"], may_create=True), b"PERMANENTFLAGS (\\Seen \\*)"),
        (select.permanent_flags_code([], may_create=False), b"PERMANENTFLAGS ()"),
        (select.uid_validity_code(3), b"UIDVALIDITY 3"),
        (select.uid_next_code(4392), b"UIDNEXT 4392"),
        (select.unseen_code(12), b"UNSEEN 12"),
        (select.highest_mod_seq_code(715194045007), b"HIGHESTMODSEQ 715194045007"),
        (select.mailbox_id_code("F2212ea87"), b"MAILBOXID (F2212ea87)"),
        (mailbox.list_data(["\\Noselect"], "/", "foo"), b'* LIST (\\Noselect) "/" foo\r\n'),
        (mailbox.list_data([], None, "INBOX", lsub=True), b"* LSUB () NIL INBOX\r\n"),
        (
            mailbox.list_data(["\\Sent"], "\\", "a b", extended=mailbox.child_info(["SUBSCRIBED"])),
            b'* LIST (\\Sent) "\\\\" "a b" ("CHILDINFO" ("SUBSCRIBED"))\r\n',
        ),
        (
            mailbox.status_data("blurdybloop", {"MESSAGES": 231, "MAILBOXID": "F1"}),
            b"* STATUS blurdybloop (MESSAGES 231 MAILBOXID (F1))\r\n",
        ),
        (mailbox.namespace_data([("", "/")]), b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
        (
            mailbox.namespace_data([("INBOX.", ".")], [("~", "/")], [("#a b/", "/"), ("x", "/")]),
            b'* NAMESPACE (("INBOX." ".")) (("~" "/")) (("#a b/" "/")("x" "/"))\r\n',
        ),
        (mailbox.namespace_data(), b"* NAMESPACE NIL NIL NIL\r\n"),
        (
            fetch.fetch_data(7, [fetch.uid_item(8), fetch.flags_item(["\\Seen"]), fetch.mod_seq_item(9)]),
            b"* 7 FETCH (UID 8 FLAGS (\\Seen) MODSEQ (9))\r\n",
        ),
        (
            fetch.fetch_data(1, [fetch.size_item(5), fetch.internal_date_item(0, 0)]),
            b'* 1 FETCH (RFC822.SIZE 5 INTERNALDATE " 1-Jan-1970 00:00:00 +0000")\r\n',
        ),
        (fetch.save_date_item(None), b"SAVEDATE NIL"),
        (fetch.save_date_item((0, 0)), b'SAVEDATE " 1-Jan-1970 00:00:00 +0000"'),
        (fetch.email_id_item("M1"), b"EMAILID (M1)"),
        (fetch.thread_id_item(None), b"THREADID NIL"),
        (fetch.thread_id_item("T1"), b"THREADID (T1)"),
        (fetch.section_item(TEXT, b"a\r\n"), b"BODY[1.TEXT]<5> {3}\r\na\r\n"),
        (fetch.section_item(TEXT, b""), b"BODY[1.TEXT]<5> {0}\r\n"),
        (fetch.section_item(TEXT, None), b"BODY[1.TEXT]<5> NIL"),
        (store.modified_code(IDS), b"MODIFIED 3:5,9"),
        (search.search_data([2, 84, 882]), b"* SEARCH 2 84 882\r\n"),
        (search.search_data([2, 5], 917162500), b"* SEARCH 2 5 (MODSEQ 917162500)\r\n"),
        (search.search_data([], 5), b"* SEARCH\r\n"),
        (search.search_data(iter(IDS)), b"* SEARCH 3 4 5 9\r\n"),
        (
            search.esearch_data(b"A282", uid=False, minimum=2, count=3),
            b'* ESEARCH (TAG "A282") MIN 2 COUNT 3\r\n',
        ),
        (
            search.esearch_data(b"a", uid=True, maximum=0, count=0, everything=IDS, mod_seq=1236),
            b'* ESEARCH (TAG "a") UID MAX 0 COUNT 0 ALL 3:5,9 MODSEQ 1236\r\n',
        ),
        (search.esearch_data(b"a", uid=True, everything=NumSet.EMPTY), b'* ESEARCH (TAG "a") UID\r\n'),
        (search.bad_charset_code(["US-ASCII", "UTF-8"]), b"BADCHARSET (US-ASCII UTF-8)"),
        (search.bad_charset_code([]), b"BADCHARSET"),
        (transfer.append_uid_code(38505, IDS), b"APPENDUID 38505 3:5,9"),
        (transfer.copy_uid_code(38505, IDS, NumSet.single(7)), b"COPYUID 38505 3:5,9 7"),
        (status_response(b"a", "OK", "done"), b"a OK done\r\n"),
        (status_response(None, "BYE", "so\r\nlong é"), b"* BYE so  long ?\r\n"),
        (status_response(b"a", "NO", "no", b"TOOBIG"), b"a NO [TOOBIG] no\r\n"),
        (continuation(), b"+ go ahead\r\n"),
    ],
)
def test_responses(octets, expected):
    assert octets == expected


def test_done_ends_idle():
    assert idle.is_done(b"DONE")
    assert idle.is_done(b"done")
    assert not idle.is_done(b"DONE ")
    assert not idle.is_done(b"a NOOP")


def test_sasl_lines():
    assert access.sasl_octets(b"YWJj") == b"abc"
    assert access.sasl_octets(b"") == b""
    assert access.sasl_octets(b"*") is None
    assert access.sasl_octets(b"YWJ") is None
