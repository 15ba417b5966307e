"""Expectations against what came."""

import pytest

from modseq.check.match import ExpressionError, evaluate, fill, matches, vanished_matches, work_out
from modseq.check.response import numbers_of, read_response, read_words, set_text

KNOWN = {"u1": "11", "u2": "12", "u3": "15", "m": "7", "box": "Box"}


@pytest.mark.parametrize(
    ("wanted", "came"),
    [
        ("* 1 FETCH (UID $u1)", "* 1 FETCH (FLAGS (\\Seen) UID 11)"),
        ("* 1 FETCH (FLAGS (\\Seen))", "* 1 FETCH (FLAGS (\\Recent \\seen))"),
        ("* 1 FETCH (FLAGS (\\Seen ...))", "* 1 FETCH (FLAGS (\\Seen \\Flagged))"),
        ("* 1 FETCH (FLAGS (!\\Deleted))", "* 1 FETCH (FLAGS (\\Seen))"),
        ("* 1 FETCH (MODSEQ (>$m))", "* 1 FETCH (MODSEQ (8))"),
        ("* 1 FETCH (MODSEQ ($new>$m))", "* 1 FETCH (MODSEQ (8))"),
        ("* 1 FETCH (!MODSEQ)", "* 1 FETCH (FLAGS ())"),
        ("* ? FETCH ...", "* 9 FETCH (FLAGS ())"),
        ('* 1 FETCH (BODY[]<0> "Date:")', "* 1 FETCH (BODY[]<0> {5}\r\nDate:)"),
        ("* 1 FETCH (RFC822.SIZE $s>10)", "* 1 FETCH (BODY[HEADER.FIELDS (DATE)] {2}\r\n\r\n RFC822.SIZE 11)"),
        ("* STATUS $box (HIGHESTMODSEQ 5)", '* STATUS "Box" (MESSAGES 3 HIGHESTMODSEQ 5)'),
        ("* STATUS ? (MESSAGES 3)", "* STATUS Other (MESSAGES 3)"),
        ("* SEARCH 1:3 (MODSEQ 5)", "* SEARCH 3 1 2 (MODSEQ 5)"),
        ("* SEARCH $u1:$u2", "* SEARCH 12 11"),
        ("* SEARCH", "* SEARCH"),
        ("* SEARCH ? ...", "* SEARCH 4"),
        ("* SEARCH 4 ...", "* SEARCH 3 4 (MODSEQ 5)"),
        ("* SORT 3 1 (MODSEQ >4)", "* SORT 3 1 (MODSEQ 5)"),
        ('* ESEARCH (TAG "a") ALL 1:3 MODSEQ 5', '* ESEARCH (TAG "a") COUNT 3 MODSEQ 5 ALL 1,2:3'),
        ('* ESEARCH (TAG "a") UID ALL 1', '* ESEARCH (TAG "a") UID ALL 1'),
        ('* ESEARCH (TAG "a") COUNT 0 !ALL', '* ESEARCH (TAG "a") COUNT 0'),
        ("* $u1 UIDFETCH (FLAGS ())", "* 11 UIDFETCH (FLAGS ())"),
        ('* ESEARCH (TAG "b") UID PARTIAL (1:2 $u1:$u2) MODSEQ >4', '* ESEARCH (TAG "b") UID PARTIAL (1:2 11:12) MODSEQ 5'),
        ('* ESEARCH (TAG "a") UID PARTIAL (-1:-2 11:12)', '* ESEARCH (TAG "a") UID PARTIAL (-1:-2 11:12)'),
        ("* LIST ? ? $box", '* LIST (\\HasNoChildren) "/" Box'),
        ("a BAD [UIDREQUIRED]", "a BAD [UIDREQUIRED] by UID only"),
        ("a OK", "a OK done"),
        ("a OK|NO [MODIFIED 7,9]", "a NO [MODIFIED 9,7] not all"),
        ("a OK [!MODIFIED]", "a OK [READ-WRITE] done"),
        ("? OK [HIGHESTMODSEQ <9]", "* OK [HIGHESTMODSEQ 8] here"),
        ("? OK [HIGHESTMODSEQ <9]", "b OK [HIGHESTMODSEQ 8] here"),
        ("* OK [PERMANENTFLAGS ...]", "* OK [PERMANENTFLAGS (\\Seen \\*)] these"),
        ("* CAPABILITY CONDSTORE", "* CAPABILITY IMAP4rev1 condstore QRESYNC"),
        ("* ENABLED QRESYNC !XNONE", "* ENABLED CONDSTORE QRESYNC"),
        ("* FLAGS (...)", "* FLAGS (\\Seen)"),
        ("* THREAD (2)", "* THREAD (2)"),
        ("* 3 EXISTS", "* 3 EXISTS"),
        ("+", "+ idling"),
    ],
)  # fmt: skip
def test_it_matches(wanted, came):
    assert matches(read_response(wanted), read_response(came), dict(KNOWN))


@pytest.mark.parametrize(
    ("wanted", "came"),
    [
        ("* 1 FETCH (UID $u1)", "* 1 FETCH (UID 12)"),
        ("* 1 FETCH (UID $u1)", "* 2 FETCH (UID 11)"),
        ("* 1 FETCH (UID $u1)", "* 1 FETCH (FLAGS ())"),
        ("* 1 FETCH (FLAGS (\\Seen))", "* 1 FETCH (FLAGS (\\Seen \\Flagged))"),
        ("* 1 FETCH (FLAGS (!\\Seen))", "* 1 FETCH (FLAGS (\\Seen))"),
        ("* 1 FETCH (MODSEQ (>$m))", "* 1 FETCH (MODSEQ (7))"),
        ("* 1 FETCH (MODSEQ (>$m))", "* 1 FETCH (MODSEQ 8)"),
        ("* 1 FETCH (MODSEQ (>$m))", "* 1 FETCH (MODSEQ (x))"),
        ("* 1 FETCH (!MODSEQ)", "* 1 FETCH (MODSEQ (8))"),
        ("* STATUS $box (HIGHESTMODSEQ 5)", "* STATUS box (HIGHESTMODSEQ 5)"),
        ("* SEARCH 1:3 (MODSEQ 5)", "* SEARCH 1 2 3"),
        ("* SEARCH 1:3", "* SEARCH 1 2 3 (MODSEQ 5)"),
        ("* SEARCH 1:3 (MODSEQ 5)", "* SEARCH (MODSEQ 5) 1 2 3"),
        ("* SEARCH 1:3", "* SEARCH 1 2"),
        ("* SEARCH ? ...", "* SEARCH"),
        ("* SEARCH (MODSEQ ?)", "* SEARCH"),
        ("* SORT 3 1", "* SORT 1 3"),
        ("* SORT 3 1", "* SORT 3 1 (MODSEQ 5)"),
        ('* ESEARCH (TAG "a") ALL 1:3', '* ESEARCH (TAG "b") ALL 1:3'),
        ('* ESEARCH (TAG "a") UID ALL 1:3', '* ESEARCH (TAG "a") ALL 1:3'),
        ('* ESEARCH (TAG "a") !MODSEQ', '* ESEARCH (TAG "a") MODSEQ 3'),
        ("a OK", "a NO sorry"),
        ("a OK", "b OK"),
        ("a OK [MODIFIED 7]", "a OK done"),
        ("a OK [MODIFIED 7]", "a OK [MODIFIED 7,8] done"),
        ("a OK [!MODIFIED]", "a OK [MODIFIED 7] done"),
        ("* ENABLED QRESYNC", "* ENABLED CONDSTORE"),
        ("* ENABLED !QRESYNC", "* ENABLED QRESYNC"),
        ("* THREAD (2)", "* THREAD (2) (MODSEQ 5)"),
        ("* THREAD (2)", "* THREAD (2 3)"),
        ("* 3 EXISTS", "* 4 EXISTS"),
        ("* 3 EXISTS", "* EXISTS"),
        ("+", "a OK"),
    ],
)  # fmt: skip
def test_it_does_not_match(wanted, came):
    taken = dict(KNOWN)
    assert not matches(read_response(wanted), read_response(came), taken)
    assert taken == KNOWN


def test_captures():
    taken = {}
    assert matches(
        read_response("* 1 FETCH (UID $uid MODSEQ ($m))"),
        read_response("* 1 FETCH (MODSEQ (8) UID 3)"),
        taken,
    )
    assert taken == {"uid": "3", "m": "8"}
    assert not matches(
        read_response("* 2 FETCH (MODSEQ ($m))"), read_response("* 2 FETCH (MODSEQ (9))"), taken
    )
    assert matches(read_response("* SEARCH $all"), read_response("* SEARCH 3 1 2"), taken)
    assert taken["all"] == "1:3"


@pytest.mark.parametrize(
    ("wanted", "came", "matched"),
    [
        ("* VANISHED 1:3", ["* VANISHED 1:2", "* VANISHED 3"], True),
        ("* VANISHED 1:3", ["* VANISHED 1:2"], False),
        ("* VANISHED 1:2", ["* VANISHED 1:3"], False),
        ("* VANISHED 1:2 ...", ["* VANISHED 1:3"], True),
        ("* VANISHED ...", ["* VANISHED 1:3"], True),
        ("* VANISHED (EARLIER) $u1:$u2", ["* VANISHED (EARLIER) 11:12"], True),
        ("* VANISHED (EARLIER) ...", [], False),
        ("* VANISHED 1", ["* VANISHED 1:*"], False),
        ("* VANISHED 1:2", ["* VANISHED 1", "* VANISHED 1:2"], False),
        ("* VANISHED (EARLIER) 1:2", ["* VANISHED (EARLIER) 1", "* VANISHED (EARLIER) 1:2"], True),
        ("* VANISHED 1", ["* VANISHED"], False),
    ],
)
def test_vanished_counts_together(wanted, came, matched):
    assert (
        vanished_matches(read_response(wanted), [read_response(each) for each in came], dict(KNOWN))
        is matched
    )


def test_expressions():
    known = {"m": "7", "gone": "1:3,9"}
    assert evaluate("$m + 1", known) == 8
    assert evaluate("$m > 6 and not $m > 7", known)
    assert evaluate("2 in set($gone) and 4 not in set($gone)", known)
    assert evaluate("len(set($gone)) == 4", known)
    assert evaluate("odd(7)", {}) == "1,3,5,7"
    assert work_out("* OK [HIGHESTMODSEQ $(m + 1)] $m", known) == "* OK [HIGHESTMODSEQ 8] $m"
    assert fill("UNCHANGEDSINCE $(m - 1) $Work $unknown", known) == "UNCHANGEDSINCE 6 $Work $unknown"


@pytest.mark.parametrize("text", ["$x", "__import__('os')", "m.real", "1 +", "[1]", "lambda: 1", "open('x')"])
def test_expressions_are_arithmetic_and_nothing_else(text):
    with pytest.raises(ExpressionError):
        evaluate(text, {"m": "7"})


def test_words():
    assert read_words('a "b \\" c" (d (e) f) BODY[HEADER.FIELDS (X)]<0> {3}\r\n(x) g') == [
        "a", 'b " c', ["d", ["e"], "f"], "BODY[HEADER.FIELDS (X)]<0>", "(x)", "g",
    ]  # fmt: skip
    assert read_words("(" * 100 + ")" * 100)
    assert read_words("a) b") == ["a", ")", "b"]
    assert numbers_of("3:1,7") == {1, 2, 3, 7}
    assert numbers_of("1:4294967295") is None
    assert set_text({1, 2, 3, 7, 9, 10}) == "1:3,7,9:10"
