"""Commands as data: octets, and the value they mean or what the error says; whole and octet by octet."""

import datetime as dt

import pytest

from modseq.wire import values as v
from modseq.wire.abnf import ParseError
from modseq.wire.values import STAR, BodySection, SequenceSet
from wire.framing_support import WAYS, check, parse

pytestmark = pytest.mark.parametrize("way", WAYS)


def cases(*rows):
    return pytest.mark.parametrize(("octets", "expected"), rows, ids=[repr(row[0])[2:60] for row in rows])


def nums(*ranges):
    return SequenceSet(tuple(r if isinstance(r, tuple) else (r, r) for r in ranges))


SAVED = SequenceSet((), saved=True)
MAX = 2**63 - 1


@cases(
    (b"a LOGIN fred blurdybloop", v.Login("fred", b"blurdybloop")),
    (b'a login "fr\\"ed" "p\\\\x"', v.Login('fr"ed', b"p\\x")),
    (b"a LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man", v.Login("FRED FOOBAR", b"fat man")),
    (b"a LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man", v.Login("FRED FOOBAR", b"fat man")),
    (b"a LOGIN {0}\r\n {0+}\r\n", v.Login("", b"")),
    (b'a LOGIN x "\xc3\xa9"', v.Login("x", "é".encode())),
    (b'a LOGIN "" ""', v.Login("", b"")),
    (b"a LOGIN fred", "expected a space at octet 12"),
    (b"a LOGIN fred ", "expected a password at octet 13"),
    (b"a LOGIN fred blurdy bloop", "expected the end of the command"),
    (b'a LOGIN fred "open', "expected a password"),
    (b'a LOGIN fred "bad \\x escape"', "expected a password"),
    (b'a LOGIN "\xff" x', "expected a user name in UTF-8"),
    (b"a LOGIN fred ~{3+}\r\na\x00b", "expected the end of the command"),
    (b"a LOGIN fred {3+}\r\na\x00b", "without NUL"),
    (b"a AUTHENTICATE plain", v.Authenticate("PLAIN", None)),
    (b"a AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=", v.Authenticate("PLAIN", b"test\0test\0test")),
    (b"a AUTHENTICATE EXTERNAL =", v.Authenticate("EXTERNAL", b"")),
    (b"a AUTHENTICATE PLAIN dGVzdA", 'expected base64 or "="'),
    (b"a AUTHENTICATE PLAIN ", 'expected base64 or "="'),
    (b"a AUTHENTICATE PLAIN ==", "expected the end of the command"),
    (b"a AUTHENTICATE PLAIN dGVz dGVz", 'expected base64 or "="'),
    (b"a ENABLE condstore X-GOOD-IDEA", v.Enable(("CONDSTORE", "X-GOOD-IDEA"))),
    (b"a ENABLE", "expected a space"),
    (b"a ENABLE ", "expected a capability"),
    (b'a ID ("name" "sodr" "os" NIL)', v.Id(((b"name", b"sodr"), (b"os", None)))),
    (b"a ID nil", v.Id(None)),
    (b"a ID ()", v.Id(())),
    (b'a ID ("name")', "expected a space"),
    (b'a ID ("' + b"n" * 31 + b'" "x")', "expected a field of at most 30"),
    (b"a ID (" + b" ".join([b'"n" "v"'] * 31) + b")", "expected at most 30 fields"),
    (b"a NOOP", None),
    (b"a noop", None),
    (b"a NOOP ", "expected the end of the command"),
    (b"a CAPABILITY x", "expected the end of the command"),
    (b"a STARTTLS", None),
    (b"a LOGOUT", None),
    (b"a IDLE", None),
    (b"a NAMESPACE", None),
    (b"a NOOPX", "expected a known command at octet 2"),
    (b"a UID NOOP", "expected a known command at octet 2"),
    (b"a UID", "expected a known command"),
    (b"a", "expected a command at octet 1"),
    (b"a ", "expected a command at octet 1"),
    (b"a  NOOP", "expected a command at octet 1"),
    (b"a \xff", "expected a command at octet 1"),
)
def test_access(way, octets, expected):
    check(way, octets, expected)


@pytest.mark.parametrize(
    "octets", [b"", b" NOOP", b"+ NOOP", b"a+b NOOP", b"\xff NOOP", b"(", b"a" * 256 + b" NOOP"]
)
def test_a_command_without_a_tag_is_refused_without_one(way, octets):
    with pytest.raises(ParseError) as caught:
        parse(octets, way)
    assert caught.value.tag is None
    assert caught.value.expected == "a tag and a command"


@cases(
    (b"a SELECT inBOX", v.Select("INBOX", examine=False)),
    (b'a EXAMINE "INBOX"', v.Select("INBOX", examine=True)),
    (b"a SELECT {5+}\r\ninbox", v.Select("INBOX", examine=False)),
    (b"a SELECT INBOX/x", v.Select("INBOX/x", examine=False)),
    (b"a SELECT Entw&APw-rfe", v.Select("Entwürfe", examine=False)),
    (b"a SELECT x]", v.Select("x]", examine=False)),
    (b"a SELECT &", "expected a mailbox name in modified UTF-7 at octet 9"),
    (b'a SELECT "\xc3\xa9"', "expected a mailbox name in modified UTF-7"),
    (b"a SELECT", "expected a space"),
    (b"a SELECT %", "expected a mailbox name"),
    (b"a SELECT " + b"x" * 1001, "expected a mailbox name of at most 1000 octets"),
    (b"a SELECT INBOX (CONDSTORE)", v.Select("INBOX", examine=False, condstore=True)),
    (b"a SELECT INBOX (CONDSTORE CONDSTORE)", "expected CONDSTORE or QRESYNC, each once"),
    (b"a SELECT INBOX (CONDSTOREX)", "expected CONDSTORE or QRESYNC, each once"),
    (b"a SELECT INBOX ()", "expected CONDSTORE or QRESYNC"),
    (b"a SELECT INBOX (X-FOO)", "expected CONDSTORE or QRESYNC"),
    (b"a SELECT INBOX CONDSTORE", 'expected "("'),
    (b"a SELECT INBOX (CONDSTORE", 'expected ")"'),
    (
        b"a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
        v.Select(
            "INBOX",
            examine=False,
            qresync=v.QResync(67890007, 20050715194045000, nums(41, (43, 211), (214, 541))),
        ),
    ),
    (
        b"a SELECT x (QRESYNC (1 2) CONDSTORE)",
        v.Select("x", examine=False, condstore=True, qresync=v.QResync(1, 2)),
    ),
    (
        b"a SELECT x (CONDSTORE QRESYNC (1 2 (1:2,9 3,5,10)))",
        v.Select(
            "x",
            examine=False,
            condstore=True,
            qresync=v.QResync(1, 2, None, (nums((1, 2), 9), nums(3, 5, 10))),
        ),
    ),
    (
        b"a SELECT x (QRESYNC (1 2 1:9 (3 4)))",
        v.Select("x", examine=False, qresync=v.QResync(1, 2, nums((1, 9)), (nums(3), nums(4)))),
    ),
    (b"a SELECT x (QRESYNC (1 2) QRESYNC (1 2))", "expected CONDSTORE or QRESYNC, each once"),
    (b"a SELECT x (QRESYNC (0 2))", "expected a UIDVALIDITY from 1"),
    (b"a SELECT x (QRESYNC (1 0))", f"expected a mod-sequence from 1 to {MAX}"),
    (b"a SELECT x (QRESYNC (1 9223372036854775808))", f"expected a mod-sequence from 1 to {MAX}"),
    (b"a SELECT x (QRESYNC (1))", "expected a space"),
    (b"a SELECT x (QRESYNC (1 2 1:*))", 'expected a sequence set without "*"'),
    (b"a SELECT x (QRESYNC (1 2 $))", "expected a sequence set"),
    (b"a SELECT x (QRESYNC (1 2 (1:* 1:2)))", 'expected a sequence set without "*"'),
    (b"a SELECT x (QRESYNC (1 2 (1:3 1:2)))", "expected as many UIDs as sequence numbers"),
    (b"a SELECT x (QRESYNC (1 2 (2,1 1:2)))", "expected a set in ascending order"),
    (b"a SELECT x (QRESYNC (1 2 (1:2 5,5)))", "expected a set in ascending order"),
    (b"a SELECT x (QRESYNC (1 2 (1 1) 1:2))", 'expected ")"'),
    (b"a CHECK", None),
    (b"a CLOSE", None),
    (b"a UNSELECT", None),
    (b"a EXPUNGE", v.Expunge()),
    (b"a UID EXPUNGE 3000:3002", v.Expunge(nums((3000, 3002)))),
    (b"a UID EXPUNGE $", v.Expunge(SAVED)),
    (b"a EXPUNGE 3", "expected the end of the command"),
    (b"a UID EXPUNGE", "expected a space"),
)
def test_select(way, octets, expected):
    check(way, octets, expected)


def listing(*patterns, reference="", selection=(), extended=True, **returns):
    return v.List(
        lsub=False,
        reference=reference,
        patterns=patterns,
        selection=frozenset(selection),
        returns=v.ListReturn(**returns),
        extended=extended,
    )


@cases(
    (b"a CREATE owatagusiam/", v.Create("owatagusiam/")),
    (b"a CREATE x (USE (\\drafts \\Sent))", v.Create("x", ("\\Drafts", "\\Sent"))),
    (b"a CREATE x (USE (\\Odd))", v.Create("x", ("\\Odd",))),
    (b"a CREATE x (USE ())", v.Create("x")),
    (b"a CREATE x (USE (Sent))", "expected a special use"),
    (b"a CREATE x (FOO)", "expected USE"),
    (b"a DELETE foo", v.Delete("foo")),
    (b"a RENAME inbox old-mail", v.Rename("INBOX", "old-mail")),
    (b"a RENAME x", "expected a space"),
    (b"a SUBSCRIBE #news.comp.mail.mime", v.Subscribe("#news.comp.mail.mime")),
    (b"a UNSUBSCRIBE x", v.Unsubscribe("x")),
    (b'a LIST "" *', listing("*", extended=False)),
    (b'a LIST "" ""', listing("", extended=False)),
    (b"a LIST ~/Mail/ %", listing("%", reference="~/Mail/", extended=False)),
    (b'a LIST "" "b&APw-*"', listing("bü*", extended=False)),
    (b'a LIST "" b%]*', listing("b%]*", extended=False)),
    (b'a LIST "" {1+}\r\n%', listing("%", extended=False)),
    (b'a LIST "" ("INBOX" Sent/%)', listing("INBOX", "Sent/%")),
    (b'a LIST () "" % RETURN (CHILDREN)', listing("%", children=True)),
    (
        b'a LIST (SUBSCRIBED recursivematch) "" % return (status (messages UNSEEN) special-use)',
        listing(
            "%",
            selection=("SUBSCRIBED", "RECURSIVEMATCH"),
            status_items=("MESSAGES", "UNSEEN"),
            special_use=True,
        ),
    ),
    (b'a LIST (SPECIAL-USE REMOTE) "" *', listing("*", selection=("SPECIAL-USE", "REMOTE"))),
    (b'a LIST "" * RETURN ()', listing("*")),
    (b'a LIST "" * RETURN (SUBSCRIBED)', listing("*", subscribed=True)),
    (b'a LIST (RECURSIVEMATCH) "" *', "expected SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH"),
    (b'a LIST (RECURSIVEMATCH REMOTE) "" *', "expected SUBSCRIBED or SPECIAL-USE beside"),
    (b'a LIST (FOO) "" *', "expected SUBSCRIBED, REMOTE"),
    (b'a LIST "" () RETURN ()', "expected a mailbox name or pattern"),
    (b'a LIST "" * RETURN (STATUS (MESSAGES) STATUS (UNSEEN))', "or, once, STATUS"),
    (b'a LIST "" * RETURN (STATUS)', "expected a space"),
    (b'a LIST "" * FOO', "expected RETURN"),
    (b"a LIST", "expected a space"),
    (b"a LIST x", "expected a space"),
    (b'a LIST "" (' + b" ".join([b"*"] * 101) + b")", "expected at most 100 patterns"),
    (
        b'a LSUB "#news." "comp.%"',
        v.List(lsub=True, reference="#news.", patterns=("comp.%",)),
    ),
    (b'a LSUB "" * RETURN ()', "expected the end of the command"),
    (
        b"a STATUS inbox (UIDNEXT messages HIGHESTMODSEQ MESSAGES)",
        v.Status("INBOX", ("UIDNEXT", "MESSAGES", "HIGHESTMODSEQ")),
    ),
    (b"a STATUS x (SIZE MAILBOXID)", v.Status("x", ("SIZE", "MAILBOXID"))),
    (b"a STATUS x ()", "expected a STATUS item"),
    (b"a STATUS x (FOO)", "expected a STATUS item"),
    (b"a STATUS x MESSAGES", 'expected "("'),
)
def test_mailbox(way, octets, expected):
    check(way, octets, expected)


def body(label, path=(), kind="", fields=(), partial=None, *, peek=False):
    return BodySection(path, kind, fields, partial, peek=peek, label=label)


FAST = ("FLAGS", "INTERNALDATE", "RFC822.SIZE")


@cases(
    (b"a FETCH 1 FLAGS", v.Fetch(nums(1), ("FLAGS",))),
    (b"a UID FETCH 1:* (UID flags modseq)", v.Fetch(nums((1, STAR)), ("UID", "FLAGS", "MODSEQ"))),
    (b"a FETCH $ FAST", v.Fetch(SAVED, FAST)),
    (b"a FETCH 1 all", v.Fetch(nums(1), (*FAST, "ENVELOPE"))),
    (b"a FETCH 1 FULL", v.Fetch(nums(1), (*FAST, "ENVELOPE", "BODY"))),
    (b"a FETCH 1 (ALL)", "expected a FETCH item"),
    (b"a FETCH 1 ()", "expected a FETCH item"),
    (b"a FETCH 1 (FLAGS FLAGS)", v.Fetch(nums(1), ("FLAGS",))),
    (b"a FETCH 1 (FLAGS FOO)", "expected a FETCH item at octet 17"),
    (
        b"a FETCH 1 (EMAILID THREADID SAVEDATE BODYSTRUCTURE BODY)",
        v.Fetch(nums(1), ("EMAILID", "THREADID", "SAVEDATE", "BODYSTRUCTURE", "BODY")),
    ),
    (b"a FETCH 1 RFC822", v.Fetch(nums(1), (body(b"RFC822"),))),
    (
        b"a FETCH 1 (RFC822.HEADER RFC822.TEXT)",
        v.Fetch(
            nums(1), (body(b"RFC822.HEADER", kind="HEADER", peek=True), body(b"RFC822.TEXT", kind="TEXT"))
        ),
    ),
    (b"a FETCH 1 BODY[]", v.Fetch(nums(1), (body(b"BODY[]"),))),
    (b"a FETCH 1 body.peek[]<0.2048>", v.Fetch(nums(1), (body(b"BODY[]<0>", partial=(0, 2048), peek=True),))),
    (b"a FETCH 1 BODY[1.2.mime]", v.Fetch(nums(1), (body(b"BODY[1.2.MIME]", (1, 2), "MIME"),))),
    (b"a FETCH 1 BODY[4]", v.Fetch(nums(1), (body(b"BODY[4]", (4,)),))),
    (b"a FETCH 1 BODY[4.2.TEXT]", v.Fetch(nums(1), (body(b"BODY[4.2.TEXT]", (4, 2), "TEXT"),))),
    (
        b'a FETCH 1 BODY[HEADER.FIELDS (Date "From")]',
        v.Fetch(
            nums(1),
            (body(b"BODY[HEADER.FIELDS (Date From)]", kind="HEADER.FIELDS", fields=(b"Date", b"From")),),
        ),
    ),
    (
        b"a FETCH 1 BODY.PEEK[3.HEADER.FIELDS.NOT ({4+}\r\nx(y])]<9.1>",
        v.Fetch(
            nums(1),
            (
                body(
                    b'BODY[3.HEADER.FIELDS.NOT ("x(y]")]<9>',
                    (3,),
                    "HEADER.FIELDS.NOT",
                    (b"x(y]",),
                    (9, 1),
                    peek=True,
                ),
            ),
        ),
    ),
    (b"a FETCH 1 BODY[MIME]", "expected a section such as"),
    (b"a FETCH 1 BODY[0]", "expected a section such as"),
    (b"a FETCH 1 BODY[1.]", "expected a section such as"),
    (b"a FETCH 1 BODY[1.0]", "expected a section such as"),
    (b"a FETCH 1 BODY[TEXT", 'expected "]"'),
    (b"a FETCH 1 BODY[HEADER.FIELDS ()]", "expected a header field name"),
    (b"a FETCH 1 BODY[HEADER.FIELDS]", "expected a space"),
    (b"a FETCH 1 BODY[]<0>", 'expected "."'),
    (b"a FETCH 1 BODY[]<0.0>", "expected a number of octets from 1"),
    (b"a FETCH 1 BODY[]<4294967296.1>", "expected the first octet from 0 to 4294967295"),
    (b"a FETCH 1 BODY.PEEK", "expected a FETCH item"),
    (b"a FETCH 1 BODY[" + b".".join([b"1"] * 65) + b"]", "expected at most 64 part numbers"),
    (b"a FETCH 1 (BODY[HEADER.FIELDS (" + b" ".join([b"x"] * 257) + b")])", "at most 256 header field"),
    (
        b"a FETCH 1 (" + b" ".join([b"BODY[%d]" % n for n in range(1, 259)]) + b")",
        "expected at most 256 items",
    ),
    (b"a FETCH 1", "expected a space"),
    (b"a FETCH", "expected a space"),
    (b"a FETCH 0 FLAGS", "expected a sequence set"),
    (b"a FETCH 1: FLAGS", "expected a sequence set"),
    (b"a FETCH 1,,2 FLAGS", "expected a sequence set"),
    (b"a FETCH 4294967296 FLAGS", "expected message numbers from 1 to 4294967295"),
    (b"a FETCH 1 (FLAGS) (CHANGEDSINCE 12345)", v.Fetch(nums(1), ("FLAGS",), 12345)),
    (b"a FETCH 1 (FLAGS) (CHANGEDSINCE 0)", v.Fetch(nums(1), ("FLAGS",), 0)),
    (b"a FETCH 1 FLAGS (changedsince 7)", v.Fetch(nums(1), ("FLAGS",), 7)),
    (
        b"a UID FETCH 1:* (FLAGS) (VANISHED CHANGEDSINCE 1)",
        v.Fetch(nums((1, STAR)), ("FLAGS",), 1, vanished=True),
    ),
    (b"a FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775807)", v.Fetch(nums(1), ("FLAGS",), MAX)),
    (b"a FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)", f"expected a mod-sequence from 0 to {MAX}"),
    (b"a FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 1)", "expected CHANGEDSINCE or"),
    (b"a UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED VANISHED)", "expected CHANGEDSINCE or"),
    (b"a UID FETCH 1 FLAGS (VANISHED)", "expected CHANGEDSINCE beside VANISHED"),
    (b"a FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "in UID FETCH, VANISHED"),
    (b"a FETCH 1 FLAGS ()", "expected CHANGEDSINCE or"),
    (b"a FETCH 1 FLAGS (CHANGEDSINCE 1) x", "expected the end of the command"),
)
def test_fetch(way, octets, expected):
    check(way, octets, expected)


FIVE = nums(5)


def storing(mode, flags, *, numbers=FIVE, silent=False, **rest):
    return v.Store(numbers, mode, silent, tuple(flags), **rest)


@cases(
    (b"a STORE 5 FLAGS ()", storing("=", ())),
    (b"a STORE 5 +flags (\\SEEN $Claimed)", storing("+", ("\\Seen", "$Claimed"))),
    (b"a STORE 5 -FLAGS.SILENT \\Deleted", storing("-", ("\\Deleted",), silent=True)),
    (b"a STORE 5 FLAGS \\Seen a b", storing("=", ("\\Seen", "a", "b"))),
    (b"a STORE 5 FLAGS (\\Odd)", storing("=", ("\\Odd",))),
    (b"a STORE $ +FLAGS.Silent (\\Deleted)", storing("+", ("\\Deleted",), numbers=SAVED, silent=True)),
    (
        b"a UID STORE 5 (UNCHANGEDSINCE 12) +FLAGS.SILENT ($Claimed)",
        storing("+", ("$Claimed",), silent=True, unchanged_since=12),
    ),
    (
        b"a STORE 2,5:4 (UNCHANGEDSINCE 0) FLAGS (x)",
        storing("=", ("x",), numbers=nums(2, (4, 5)), unchanged_since=0),
    ),
    (
        b"a STORE 5 (unchangedsince 9223372036854775807) FLAGS x",
        storing("=", ("x",), unchanged_since=MAX),
    ),
    (
        b"a STORE 5 (XALLORNONE UNCHANGEDSINCE 3) +FLAGS (x)",
        storing("+", ("x",), unchanged_since=3, all_or_none=True),
    ),
    (
        b"a STORE 5 (UNCHANGEDSINCE 3 XALLORNONE) +FLAGS (x)",
        storing("+", ("x",), unchanged_since=3, all_or_none=True),
    ),
    (b"a STORE 5 (XALLORNONE) +FLAGS (x)", "expected UNCHANGEDSINCE beside XALLORNONE"),
    (b"a STORE 5 (UNCHANGEDSINCE 9223372036854775808) FLAGS (x)", f"expected a mod-sequence from 0 to {MAX}"),
    (b"a STORE 5 (UNCHANGEDSINCE -1) FLAGS (x)", "expected a mod-sequence"),
    (b"a STORE 5 (UNCHANGEDSINCE 1" + b"0" * 5000 + b") FLAGS (x)", "expected a mod-sequence"),
    (b"a STORE 5 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) FLAGS (x)", "each once"),
    (b"a STORE 5 (UNCHANGEDSINCE 1 XALLORNONE XALLORNONE) FLAGS (x)", "each once"),
    (b"a STORE 5 () FLAGS (x)", "expected UNCHANGEDSINCE or XALLORNONE"),
    (b"a STORE 5 FLAGS (x) (UNCHANGEDSINCE 1)", "expected the end of the command"),
    (b"a STORE 5 FLAGS x (UNCHANGEDSINCE 1)", "expected a flag"),
    (b"a STORE 5 FLAGS (\\Recent)", "expected a flag that clients may name"),
    (b"a STORE 5 FLAGS (\\*)", "expected a list of flags"),
    (b"a STORE 5 FLAGS (a  b)", "expected a list of flags"),
    (b"a STORE 5 FLAGS (a b", "expected a list of flags"),
    (b"a STORE 5 FLAGS", "expected FLAGS, +FLAGS or -FLAGS"),
    (b"a STORE 5 FLAGS ", "expected a flag"),
    (b"a STORE 5 +-FLAGS (x)", "expected FLAGS, +FLAGS or -FLAGS"),
    (b"a STORE 5 FLAGS.QUIET (x)", "expected FLAGS, +FLAGS or -FLAGS"),
    (b"a STORE 5 FLAGS (" + b" ".join([b"x"] * 513) + b")", "expected at most 512 flags"),
    (b"a STORE 5 FLAGS " + b" ".join([b"x"] * 513), "expected at most 512 flags"),
    (b"a STORE 5 FLAGS (" + b"x" * 1025 + b")", "expected a keyword of at most 1024 octets"),
)
def test_store(way, octets, expected):
    check(way, octets, expected)


def searching(key, *, returns=None, charset=None, mod_seq=False, seq_nums=False):
    return v.Search(v.SearchProgram(key, mod_seq, seq_nums), returns, charset)


SEEN = v.SearchFlag("\\Seen", present=True)
UNSEEN = v.SearchFlag("\\Seen", present=False)
RECENT = v.SearchFlag("\\Recent", present=True)


@cases(
    (b"a SEARCH all", searching(v.SearchAll())),
    (b"a SEARCH SEEN", searching(SEEN)),
    (
        b"a SEARCH ANSWERED UNDELETED UNDRAFT FLAGGED UNANSWERED",
        searching(
            v.SearchAnd(
                tuple(
                    v.SearchFlag(flag, present)
                    for flag, present in (
                        ("\\Answered", True),
                        ("\\Deleted", False),
                        ("\\Draft", False),
                        ("\\Flagged", True),
                        ("\\Answered", False),
                    )
                )
            )
        ),
    ),
    (b"a SEARCH NEW", searching(v.SearchAnd((RECENT, UNSEEN)))),
    (b"a SEARCH OLD", searching(v.SearchFlag("\\Recent", present=False))),
    (b"a SEARCH RECENT", searching(RECENT)),
    (b"a SEARCH KEYWORD $Junk", searching(v.SearchFlag("$Junk", present=True))),
    (b"a SEARCH UNKEYWORD $Junk", searching(v.SearchFlag("$Junk", present=False))),
    (b"a SEARCH KEYWORD \\Seen", "expected a keyword"),
    (
        b'a SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
        searching(
            v.SearchAnd(
                (
                    v.SearchFlag("\\Flagged", present=True),
                    v.SearchDate("INTERNAL", "SINCE", dt.date(1994, 2, 1)),
                    v.SearchNot(v.SearchText("FROM", b"Smith")),
                )
            )
        ),
    ),
    (
        b"a SEARCH CHARSET utf-8 TEXT {6}\r\n\xd0\xb0\xd0\xb1\xd0\xb2",
        searching(v.SearchText("TEXT", "абв".encode()), charset=b"utf-8"),
    ),
    (b'a SEARCH SUBJECT ""', searching(v.SearchText("SUBJECT", b""))),
    (b"a SEARCH HEADER Message-ID <x@y>", searching(v.SearchHeader(b"Message-ID", b"<x@y>"))),
    (b'a SEARCH SENTBEFORE "28-dec-2014"', searching(v.SearchDate("SENT", "BEFORE", dt.date(2014, 12, 28)))),
    (b"a SEARCH SAVEDON 28-Dec-2014", searching(v.SearchDate("SAVED", "ON", dt.date(2014, 12, 28)))),
    (b"a SEARCH SAVEDATESUPPORTED", searching(v.SearchSaveDateSupported())),
    (b"a SEARCH ON 30-Feb-2014", "expected a date of the calendar"),
    (b"a SEARCH ON 1-Foo-2014", "expected a date such as"),
    (b'a SEARCH ON "1-Feb-2014', "expected a date such as"),
    (b"a SEARCH ON 1-Feb-0000", "expected a date of the calendar"),
    (b"a SEARCH LARGER 5 ", "expected a search key"),
    (b"a SEARCH SMALLER 0", searching(v.SearchSize(larger=False, octets=0))),
    (b"a SEARCH YOUNGER 259200", searching(v.SearchAge(older=False, seconds=259200))),
    (b"a SEARCH OLDER 0", "expected a number of seconds from 1"),
    (b"a SEARCH EMAILID M6d99", searching(v.SearchObjectId("EMAILID", "M6d99"))),
    (b"a SEARCH threadid T64", searching(v.SearchObjectId("THREADID", "T64"))),
    (b"a SEARCH 1:3", searching(v.SearchSequence(nums((1, 3)), uid=False), seq_nums=True)),
    (b"a SEARCH *", searching(v.SearchSequence(nums((STAR, STAR)), uid=False), seq_nums=True)),
    (b"a SEARCH $", searching(v.SearchSequence(SAVED, uid=False))),
    (b"a SEARCH UID 1:3", searching(v.SearchSequence(nums((1, 3)), uid=True))),
    (b"a UID SEARCH UID $", searching(v.SearchSequence(SAVED, uid=True))),
    (b"a SEARCH OR SEEN UNSEEN", searching(v.SearchOr(SEEN, UNSEEN))),
    (b"a SEARCH OR SEEN", "expected a space"),
    (b"a SEARCH ((SEEN) UNSEEN)", searching(v.SearchAnd((SEEN, UNSEEN)))),
    (b"a SEARCH ()", "expected a search key"),
    (b"a SEARCH (SEEN", 'expected ")"'),
    (b"a SEARCH FOO", "expected a search key at octet 9"),
    (b"a SEARCH", "expected a space"),
    (b"a SEARCH MODSEQ 0", searching(v.SearchModSeq(0), mod_seq=True)),
    (
        b'a SEARCH MODSEQ "/flags/\\\\draft" all 620162338',
        searching(v.SearchModSeq(620162338, "\\Draft", "all"), mod_seq=True),
    ),
    (
        b'a SEARCH NOT MODSEQ "/FLAGS/$mdnsent" PRIV 1',
        searching(v.SearchNot(v.SearchModSeq(1, "$mdnsent", "priv")), mod_seq=True),
    ),
    (b'a SEARCH MODSEQ "/flags/\\\\recent" all 1', "expected an entry name"),
    (b'a SEARCH MODSEQ "/flags/" all 1', "expected an entry name"),
    (b'a SEARCH MODSEQ "/flags/a b" all 1', "expected an entry name"),
    (b'a SEARCH MODSEQ "/comment" all 1', "expected an entry name"),
    (b'a SEARCH MODSEQ "/flags/x" any 1', "expected priv, shared or all"),
    (b'a SEARCH MODSEQ "/flags/x" 1', "expected priv, shared or all"),
    (b"a SEARCH MODSEQ 9223372036854775808", f"expected a mod-sequence from 0 to {MAX}"),
    (b"a SEARCH RETURN () SEEN", searching(SEEN, returns=v.SearchReturn(everything=True))),
    (
        b"a SEARCH return (MIN max ALL COUNT SAVE) SEEN",
        searching(SEEN, returns=v.SearchReturn(True, True, True, True, True)),
    ),
    (b"a SEARCH RETURN (FOO) SEEN", "expected MIN, MAX, ALL, COUNT or SAVE"),
    (b"a SEARCH RETURN (MIN)", "expected a space"),
    (
        b"a SEARCH RETURN (COUNT) CHARSET US-ASCII SEEN",
        searching(SEEN, returns=v.SearchReturn(count=True), charset=b"US-ASCII"),
    ),
    (b"a SEARCH " + b"NOT " * 101 + b"SEEN", "expected search keys nested at most 100 deep"),
    (b"a SEARCH " + b"(" * 101 + b"SEEN", "expected search keys nested at most 100 deep"),
    (b"a SEARCH " + b"OR SEEN " * 101 + b"SEEN", "expected search keys nested at most 100 deep"),
    (b"a SEARCH" + b" NOT (SEEN)" * 101, searching(v.SearchAnd((v.SearchNot(SEEN),) * 101))),
    (b"a SEARCH" + b" SEEN" * 1001, "expected at most 1000 search keys"),
)
def test_search(way, octets, expected):
    check(way, octets, expected)


@cases(
    (b"a APPEND x {5}\r\nhello", v.Append("x", (v.AppendMessage((), None, b"hello"),))),
    (
        b'a APPEND inbox (\\Seen $x) " 7-Feb-1994 21:52:25 -0800" {5+}\r\nhello',
        v.Append("INBOX", (v.AppendMessage(("\\Seen", "$x"), (760686745, -480), b"hello"),)),
    ),
    (
        b'a APPEND x "20-Mar-2018 03:07:37 +1100" {1+}\r\nx',
        v.Append("x", (v.AppendMessage((), (1521475657, 660), b"x"),)),
    ),
    (
        b'a APPEND x () "7-Feb-1994 21:52:25 +0000" {1+}\r\nx',
        v.Append("x", (v.AppendMessage((), (760657945, 0), b"x"),)),
    ),
    (
        b"a APPEND {1+}\r\nx (\\Flagged) {3+}\r\none {3+}\r\ntwo",
        v.Append("x", (v.AppendMessage(("\\Flagged",), None, b"one"), v.AppendMessage((), None, b"two"))),
    ),
    (b"a APPEND x {0+}\r\n", v.Append("x", (v.AppendMessage((), None, b""),))),
    (b"a APPEND x {2+}\r\n{5", v.Append("x", (v.AppendMessage((), None, b"{5"),))),
    (b"a APPEND x {2+}\r\n\r\n", v.Append("x", (v.AppendMessage((), None, b"\r\n"),))),
    (b"a APPEND x", "expected a space"),
    (b"a APPEND x hello", "expected a message as a literal"),
    (b'a APPEND x "hello"', "expected a date-time such as"),
    (b'a APPEND x "31-Feb-1994 21:52:25 -0800" {1+}\r\nx', "expected a date-time of the calendar"),
    (b'a APPEND x " 7-Feb-1994 24:52:25 -0800" {1+}\r\nx', "expected a date-time of the calendar"),
    (b'a APPEND x " 7-Feb-1994 21:52:25 -2400" {1+}\r\nx', "expected a zone from -2359"),
    (b'a APPEND x " 7-Feb-1994 21:52:25 -0060" {1+}\r\nx', "expected a zone from -2359"),
    (b"a APPEND x (\\Recent) {1+}\r\nx", "expected a flag that clients may name"),
    (b"a APPEND x {1+}\r\n\x00", "expected a message as a literal without NUL"),
    (b"a APPEND x ~{1+}\r\nx", "expected a message as a literal"),
    (b"a APPEND x {1+}\r\nx ", "expected a message as a literal"),
    (b"a APPEND x {1+}\r\nxy", "expected the end of the command at octet 16"),
    (b"a COPY 2:4 MEETING", v.Copy(nums((2, 4)), "MEETING")),
    (b"a UID MOVE 42:69 foo", v.Move(nums((42, 69)), "foo")),
    (b'a COPY $ "Other Messages"', v.Copy(SAVED, "Other Messages")),
    (b"a COPY 2:4", "expected a space"),
    (b"a MOVE x y", "expected a sequence set"),
)
def test_transfer(way, octets, expected):
    check(way, octets, expected)
