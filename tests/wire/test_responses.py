"""What a response means: known answers, and what this server's own encoders write, read back."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modseq.core.numset import NumSet
from modseq.limits import RESPONSE_DEPTH_MAX
from modseq.wire import response_values as r
from modseq.wire.abnf import ParseError
from modseq.wire.grammar import access, fetch, mailbox, search, select, store, transfer
from modseq.wire.grammar.client.fetch import fetched_run
from modseq.wire.messages import continuation, status_response
from modseq.wire.response import parse_response
from modseq.wire.response_framing import ResponseReader
from modseq.wire.values import BodySection
from wire.response_support import READ_WAYS, response

ways = pytest.mark.parametrize("way", READ_WAYS)
HEADER = BodySection(
    (1,),
    "HEADER.FIELDS",
    (b"Subject", b"a b"),
    (0, 9),
    peek=True,
    label=b'BODY[1.HEADER.FIELDS (Subject "a b")]<0>',
)


def ok(code, tag=None):
    return r.StatusResponse(tag, "OK", code, "done")


@ways
@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (continuation(), r.Continuation(b"go ahead")),
        (b"+\r\n", r.Continuation(b"")),
        (b"+ \r\n", r.Continuation(b"")),
        (status_response(b"a1", "OK", "done"), ok(None, b"a1")),
        (status_response(None, "BYE", "gone", b"UNAVAILABLE"), r.StatusResponse(None, "BYE", r.Code("UNAVAILABLE"), "gone")),
        (status_response(b"a", "OK", "done", select.highest_mod_seq_code(9)), ok(r.Code("HIGHESTMODSEQ", 9), b"a")),
        (b"* OK [HIGHESTMODSEQ 0] done\r\n", ok(r.Code("HIGHESTMODSEQ", 0))),
        (b"* ok [nomodseq] done\r\n", ok(r.Code("NOMODSEQ"))),
        (b"* OK [CLOSED] done\r\n", ok(r.Code("CLOSED"))),
        (b"* OK [UIDVALIDITY 12] done\r\n", ok(r.Code("UIDVALIDITY", 12))),
        (b"* OK [UIDNEXT 12] done\r\n", ok(r.Code("UIDNEXT", 12))),
        (b"* OK [PERMANENTFLAGS (\\seen \\* $a)] done\r\n", ok(r.Code("PERMANENTFLAGS", ("$a", "\\*", "\\Seen")))),
        (b"* OK [MAILBOXID (F12)] done\r\n", ok(r.Code("MAILBOXID", "F12"))),
        (b"a OK [CAPABILITY IMAP4rev1 Enable] done\r\n", ok(r.Code("CAPABILITY", ("IMAP4REV1", "ENABLE")), b"a")),
        (status_response(b"a", "OK", "done", store.modified_code(NumSet([7, 8, 12]))), ok(r.Code("MODIFIED", NumSet([7, 8, 12])), b"a")),
        (status_response(b"a", "OK", "done", transfer.append_uid_code(5, NumSet([9]))), ok(r.Code("APPENDUID", r.AppendedUids(5, NumSet([9]))), b"a")),
        (b"a OK [COPYUID 5 9:8,4 1:3] done\r\n", ok(r.Code("COPYUID", r.UidPairs(5, ((8, 9), (4, 4)), ((1, 3),))), b"a")),
        (b"a OK [BADCHARSET (UTF-8 {3}\r\nabc)] done\r\n", ok(r.Code("BADCHARSET", ("UTF-8", "abc")), b"a")),
        (b"a NO [UNKNOWN some thing] done\r\n", r.StatusResponse(b"a", "NO", r.Code("UNKNOWN", "some thing"), "done")),
        # Values that make no sense stay text; brackets that are no code stay text.
        (b"* OK [UIDNEXT x] done\r\n", ok(r.Code("UIDNEXT", "x"))),
        (b"a OK [COPYUID 5 1:2 7] done\r\n", ok(r.Code("COPYUID", "5 1:2 7"), b"a")),
        (b"* OK [not a code\r\n", r.StatusResponse(None, "OK", None, "[not a code")),
        (b"* OK\r\n", r.StatusResponse(None, "OK", None, "")),
        (b"* BAD gr\xc3\xbc\xdf\r\n", r.StatusResponse(None, "BAD", None, "grü\ufffd")),
        (b"* 12 EXISTS\r\n", r.Exists(12)),
        (b"* 0 recent\r\n", r.Recent(0)),
        (b"* 3 EXPUNGE\r\n", r.Expunged(3)),
        (b"* VANISHED 3,7:9\r\n", r.Vanished(NumSet([3, 7, 8, 9]))),
        (b"* VANISHED (EARLIER) 1:4294967295\r\n", r.Vanished(NumSet.from_ranges([(1, 2**32 - 1)]), earlier=True)),
        (b"* VANISHED (earlier) \r\n", r.Vanished(NumSet.EMPTY, earlier=True)),
        (b"* FLAGS (\\Answered $x)\r\n", r.FlagsDefined(frozenset({"\\Answered", "$x"}))),
        (b"* SEARCH\r\n", r.SearchData(())),
        (b"* SEARCH \r\n", r.SearchData(())),
        (search.search_data([2, 5], 917), r.SearchData((2, 5), 917)),
        (b"* SORT 5 2 (MODSEQ 9)\r\n", r.SearchData((5, 2), 9, sort=True)),
        (
            search.esearch_data(b"a1", uid=True, minimum=1, maximum=9, count=3, everything=NumSet([1, 2, 9]), mod_seq=8),
            r.ESearchData(b"a1", True, 1, 9, 3, NumSet([1, 2, 9]), 8),
        ),
        (b"* ESEARCH\r\n", r.ESearchData(None, False)),
        (b"* ESEARCH (TAG a) PARTIAL (1:2 3) COUNT 0\r\n", r.ESearchData(b"a", False, count=0)),
        (b"* CAPABILITY IMAP4rev1 idle\r\n", r.CapabilityData(frozenset({"IMAP4REV1", "IDLE"}))),
        (access.enabled_data(["QRESYNC"]), r.EnabledData(frozenset({"QRESYNC"}))),
        (b"* ENABLED\r\n", r.EnabledData(frozenset())),
        (access.id_response([(b"name", b"modseq"), (b"x", None)]), r.IdData({"name": "modseq", "x": None})),
        (b"* ID NIL\r\n", r.IdData({})),
        (
            mailbox.list_data(["\\HasNoChildren"], "/", "Entwürfe"),
            r.ListData("Entwürfe", "/", frozenset({"\\HasNoChildren"}), b"Entw&APw-rfe"),
        ),
        (b"* LSUB () NIL inbox\r\n", r.ListData("INBOX", None, frozenset(), b"inbox", lsub=True)),
        (b'* LIST () "/" {3}\r\na&b\r\n', r.ListData("a&b", "/", frozenset(), b"a&b")),
        (b'* LIST () "/" "gr\xc3\xbcn"\r\n', r.ListData("grün", "/", frozenset(), b"gr\xc3\xbcn")),
        (
            b'* LIST () "/" a ("CHILDINFO" ("SUBSCRIBED") "OLDNAME" ("b") X (1 (2)))\r\n',
            r.ListData("a", "/", frozenset(), b"a", "b", frozenset({"SUBSCRIBED"})),
        ),
        (
            mailbox.status_data("a b", {"MESSAGES": 3, "HIGHESTMODSEQ": 2**63 - 1, "MAILBOXID": "F1"}),
            r.StatusData("a b", messages=3, highest_mod_seq=2**63 - 1, mailbox_id="F1", raw_name=b"a b"),
        ),
        (b"* STATUS a ()\r\n", r.StatusData("a", raw_name=b"a")),
        (b"* STATUS a (X-NEW (1 2) UNSEEN 4) \r\n", r.StatusData("a", unseen=4, raw_name=b"a")),
        (
            mailbox.namespace_data([("", "/")], [("Other/", "/")]),
            r.NamespaceData((("", "/"),), (("Other/", "/"),), ()),
        ),
        (b"* X-OTHER {1}\r\na b\r\n", r.OtherData("X-OTHER", (b"* X-OTHER {1}", b"a", b" b"))),
        (b"* 4 X-OTHER\r\n", r.OtherData("X-OTHER", (b"* 4 X-OTHER",))),
    ],
)  # fmt: skip
def test_known_answers(way, octets, value):
    assert response(octets, way) == value


@ways
@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([fetch.uid_item(7), fetch.flags_item(["\\Seen", "$x"]), fetch.mod_seq_item(9)],
         r.MessageData(3, 7, frozenset({"\\Seen", "$x"}), 9)),
        ([b"flags (\\recent \\seen)"], r.MessageData(3, 0, frozenset({"\\recent", "\\Seen"}))),
        ([fetch.size_item(2**40), fetch.internal_date_item(0, 90)],
         r.MessageData(3, size=2**40, internal_date=dt.datetime(1970, 1, 1, 1, 30, tzinfo=dt.timezone(dt.timedelta(minutes=90))))),
        ([b'INTERNALDATE "no date"'], r.MessageData(3)),
        ([fetch.email_id_item("M1"), fetch.thread_id_item(None)], r.MessageData(3, email_id="M1")),
        ([fetch.save_date_item(None)], r.MessageData(3)),
        ([fetch.section_item(HEADER, b"Subject: x\r\n")],
         r.MessageData(3, sections={"BODY[1.HEADER.FIELDS (SUBJECT A B)]<0>": b"Subject: x\r\n"})),
        ([b"BODY[] NIL", b'body[text] "a\\"b"', b"RFC822 {1}\r\n)", b"BINARY[1.2] ~{1}\r\n\0"],
         r.MessageData(3, sections={"BODY[]": None, "BODY[TEXT]": b'a"b', "RFC822": b")", "BINARY[1.2]": b"\0"})),
        ([b'X-GM-LABELS ("a b" (\\Inbox))', b"X-GM-MSGID 12"],
         r.MessageData(3, extra={"X-GM-LABELS": b'("a b" (\\Inbox))', "X-GM-MSGID": b"12"})),
    ],
)  # fmt: skip
def test_fetch(way, items, message):
    assert response(fetch.fetch_data(3, items), way) == message


def test_superfluous_spaces_are_borne():
    assert response(b"* 3 FETCH ( UID 7  FLAGS ()  ) \r\n") == r.MessageData(3, 7, frozenset())


ENVELOPE = (
    b'("Mon, 7 Feb" {5}\r\nLet"s (("Ann" NIL "ann" "example.org")) ((NIL NIL "group" NIL)(NIL NIL NIL NIL)) NIL NIL '
    b'() NIL NIL "<1@x>")'
)


@ways
def test_envelope(way):
    ann = r.Address(b"Ann", None, b"ann", b"example.org")
    group = (r.Address(None, None, b"group", None), r.Address(None, None, None, None))
    expected = r.Envelope(b"Mon, 7 Feb", b'Let"s', (ann,), group, (), (), (), (), None, b"<1@x>")
    assert response(b"* 1 FETCH (ENVELOPE " + ENVELOPE + b")\r\n", way).envelope == expected


@ways
def test_structure(way):
    leaf = (
        b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL "a part" "7BIT" 12 2 NIL ("ATTACHMENT" ("FILENAME" {3}\r\na b)) '
        b'("en" "de") NIL (1 (2)))'
    )
    inner = b'("message" "rfc822" NIL NIL NIL "8bit" 90 ' + ENVELOPE + b" " + leaf + b" 9)"
    octets = b"(" + leaf + inner + b' "MIXED" ("BOUNDARY" "x") NIL NIL)'
    part = response(b"* 1 FETCH (BODYSTRUCTURE " + octets + b")\r\n", way).structure
    assert part.media_type == "multipart/mixed"
    assert part.params == {"boundary": b"x"}
    text, message = part.parts
    assert (text.media_type, text.encoding, text.size, text.lines) == ("text/plain", "7bit", 12, 2)
    assert (text.disposition, text.disposition_params) == ("attachment", {"filename": b"a b"})
    assert (text.description, text.languages, text.location) == (b"a part", (b"en", b"de"), None)
    assert message.envelope.subject == b'Let"s'
    assert message.parts == (text,)
    assert (message.size, message.lines) == (90, 9)


def test_nesting_is_bounded():
    deep = b"(" * (RESPONSE_DEPTH_MAX + 1)
    closed = deep + b")" * (RESPONSE_DEPTH_MAX + 1) + b")"
    for octets in (
        b"BODYSTRUCTURE " + deep,
        b"X-NEW " + closed,
        b"X-NEW " + deep,
        b"BODYSTRUCTURE " + b"(" * 100_000,
    ):
        with pytest.raises(ParseError):
            response(b"* 1 FETCH (" + octets + b"\r\n")
    assert response(b"* 1 FETCH (X-NEW " + closed[1:-2] + b")\r\n").extra


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"*",
        b"* ",
        b"a1 FETCH",
        b"a1 12 EXISTS",
        b"* 0 EXPUNGE",
        b"* 0 FETCH (UID 1)",
        b"* 4294967296 EXISTS",
        b"* VANISHED 0",
        b"* VANISHED 4294967296",
        b"* VANISHED 1:*",
        b"* VANISHED 1,,2",
        b"* VANISHED ,",
        b"* 1 FETCH UID 1",
        b"* 1 FETCH (UID 0)",
        b"* 1 FETCH (UID 4294967296)",
        b"* 1 FETCH (MODSEQ (9223372036854775808))",
        b"* 1 FETCH (MODSEQ 5)",
        b"* 1 FETCH (FLAGS (\\Seen)",
        b"* 1 FETCH (FLAGS \\Seen)",
        b"* 1 FETCH (UID 1) x",
        b"* 1 FETCH (BODY[",
        b"* 1 FETCH (BODY[] {5})",
        b'* 1 FETCH (BODY[] "abc)',
        b"* 1 FETCH (ENVELOPE (NIL))",
        b"* SEARCH 1 x",
        b"* SEARCH 0",
        b"* SEARCH 99999999999",
        b"* SEARCH 1 (MODSEQ)",
        b"* ESEARCH COUNT x",
        b"* STATUS a (UNSEEN -1)",
        b"* LIST \\a NIL b",
        b"* ID (a)",
    ],
)
def test_what_is_no_response_is_refused(octets):
    with pytest.raises(ParseError):
        parse_response((octets,))


@given(st.binary(max_size=60) | st.text('*() {}[]"\\:,.123aAUIDFLAGSETCH', max_size=60).map(str.encode))
def test_nothing_but_parse_errors_comes_out(octets):
    for head in (
        b"",
        b"* ",
        b"* 1 FETCH (",
        b"* OK [",
        b"* LIST ",
        b"* ESEARCH ",
        b"* 1 FETCH (BODYSTRUCTURE (",
    ):
        try:
            parse_response((head + octets,))
        except ParseError:
            continue


SEVERAL = (
    b"* 1 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (5))\r\n* 2 FETCH (UID 9 FLAGS () MODSEQ (999999999999999999))\r\n",
    b"* 1 FETCH (UID 7 MODSEQ (5) FLAGS (\\Seen $x))\r\n* 2 FETCH (UID 9 MODSEQ (6) FLAGS ())\r\n",
    b"* 1 FETCH (FLAGS (\\Seen $x) UID 7 MODSEQ (5))\r\n",
    b"* 1 FETCH (UID 7 FLAGS (\\Seen $x))\r\n* 2 FETCH (UID 9 FLAGS ())\r\n",
    b"* 1 FETCH (UID 7 MODSEQ (5))\r\n* 2 FETCH (UID 9 MODSEQ (6))\r\n",
)


@pytest.mark.parametrize("octets", SEVERAL)
def test_the_shortcut_says_what_the_grammar_says(octets):
    reader = ResponseReader()
    reader.feed(octets + b"* 3 FETCH (UID 0 FLAGS ())\r\n")
    run = fetched_run(reader.framer.take_run)
    assert run == [response(line + b"\r\n") for line in octets.splitlines()]
    assert fetched_run(reader.framer.take_run) == []


@pytest.mark.parametrize(
    "octets",
    [
        b"* 1 FETCH (UID 4294967296 FLAGS ())\r\n",
        b'* 1 FETCH (UID 7 FLAGS ("x"))\r\n',
        b"* 1 FETCH (UID 7 FLAGS ({1}\r\n))\r\n",
        b"* 0 FETCH (UID 7 FLAGS ())\r\n",
        b"* 1 FETCH (UID 7 FLAGS () MODSEQ (9223372036854775808))\r\n",
        b"* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[] {1}\r\n",
        b"* 1 FETCH (UID 7 FLAGS (\\S\x0fen $x))\r\n",
        b"* 1 FETCH (UID 7 FLAGS ($x\x7f))\r\n",
    ],
)
def test_the_shortcut_leaves_the_rest_to_the_grammar(octets):
    reader = ResponseReader()
    reader.feed(octets)
    assert fetched_run(reader.framer.take_run) == []
