"""What counts as come: each response for one expectation, in any order unless the case says otherwise."""

import pytest

from modseq.check.response import read_response
from modseq.check.runner import _find, _Mismatch, _Talk
from modseq.check.script import parse

HEAD = "rfc: 7162\nsection: 3.1\ntitle: t\ncase: c\nMUST: it\nC: a NOOP\n"


def compare(expected, came):
    (case,) = parse("x.txt", HEAD + expected)
    talk = _Talk(None)
    talk.captures = {"h": "5"}
    talk._compare(case.script[1], [read_response(each) for each in came])
    return talk.captures


@pytest.mark.parametrize(
    ("expected", "came"),
    [
        ("S: * 1 EXPUNGE\nS: * 1 EXPUNGE\nS: a OK\n", ["* 1 EXPUNGE", "* 1 EXPUNGE", "a OK"]),
        (
            "S: * 2 EXISTS\nS: * 1 RECENT\nS: a OK\n",
            ["* 1 RECENT", "* 5 FETCH (UID 1)", "* 2 EXISTS", "a OK"],
        ),
        ("S: * 2 EXISTS\nS>: * 1 RECENT\nS: a OK\n", ["* 2 EXISTS", "* 1 RECENT", "a OK"]),
        ("S: ? OK [HIGHESTMODSEQ >$h]\nS: a OK\n", ["a OK [HIGHESTMODSEQ 6]"]),
        ("!S: * 1 EXPUNGE\nS: a OK\n", ["* 2 EXPUNGE", "a OK"]),
    ],
)
def test_it_is_what_is_expected(expected, came):
    compare(expected, came)


@pytest.mark.parametrize(
    ("expected", "came", "problem"),
    [
        (
            "S: * 1 EXPUNGE\nS: * 1 EXPUNGE\nS: a OK\n",
            ["* 1 EXPUNGE", "a OK"],
            "did not come: S: * 1 EXPUNGE",
        ),
        ("S: * 2 EXISTS\nS>: * 1 RECENT\nS: a OK\n", ["* 1 RECENT", "* 2 EXISTS", "a OK"], "* 1 RECENT"),
        ("S: * VANISHED 1\nS>: * 2 EXISTS\nS: a OK\n", ["* 2 EXISTS", "* VANISHED 1", "a OK"], "* 2 EXISTS"),
        (
            "S: * 2 EXISTS\nS>: * VANISHED 1\nS: a OK\n",
            ["* VANISHED 1", "* 2 EXISTS", "a OK"],
            "* VANISHED 1",
        ),
        ("!S: * 1 EXPUNGE\nS: a OK\n", ["* 1 EXPUNGE", "a OK"], "must not come came"),
        ("S: * 1 FETCH (UID 1)\nS: a OK\n", ["a NO"], "did not all come"),
    ],
)
def test_it_is_not(expected, came, problem):
    with pytest.raises(_Mismatch, match=problem.replace("*", r"\*")):
        compare(expected, came)


def test_captures_stay_only_when_all_came():
    assert compare("S: * $n EXISTS\nS: a OK\n", ["* 3 EXISTS", "a OK"])["n"] == "3"
    with pytest.raises(_Mismatch):
        compare("S: * $n EXISTS\nS: * 1 RECENT\nS: a OK\n", ["* 3 EXISTS", "a OK"])


def test_expressions_are_worked_out_where_they_stand():
    assert compare("S: * OK [HIGHESTMODSEQ $(h + 1)]\nS: a OK\n", ["* OK [HIGHESTMODSEQ 6]", "a OK"])
    (case,) = parse("x.txt", HEAD + "S: * 1 EXISTS\nS: a OK\n")
    assert _find(case.script[1].lines[0], [read_response("* 2 EXISTS")], set(), -1, {}) is None
