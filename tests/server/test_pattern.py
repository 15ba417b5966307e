"""Mailbox patterns: RFC 3501 section 6.3.8."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modseq.server.pattern import matcher


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "a/b", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("a/%", "a/b", True),
        ("a/%", "a/b/c", False),
        ("a/*", "a/b/c", True),
        ("a/*", "a", False),
        ("a*", "a", True),
        ("*b", "a/b", True),
        ("%b", "a/b", False),
        ("%/%", "a/b", True),
        ("*%", "a/b/c", True),
        ("%*", "a/b/c", True),
        ("a%c*e", "abc/d/e", True),
        ("a%c*e", "ab/c/d/e", False),
        ("", "a", False),
        ("inbox", "INBOX", True),
        ("InB%", "INBOX", True),
        ("inbox/%", "INBOX/sub", True),
        ("inbox", "inbox2", False),
        ("foo", "FOO", False),
    ],
)
def test_patterns(pattern, name, expected):
    assert matcher("", [pattern])(name) is expected


def test_reference_stands_before_the_pattern():
    matches = matcher("a/", ["%", "x/*"])
    assert [name for name in ("a", "a/b", "a/b/c", "a/x/y/z", "b") if matches(name)] == ["a/b", "a/x/y/z"]


def _expression(pattern):
    pieces = {"*": ".*", "%": "[^/]*"}
    return re.compile("".join(pieces.get(char) or re.escape(char) for char in pattern), re.DOTALL)


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=10))
def test_patterns_match_what_an_expression_matches(pattern, name):
    assert matcher("", [pattern])(name) is (_expression(pattern).fullmatch(name) is not None)


def test_malicious_pattern_costs_little():
    matches = matcher("", ["*a" * 400 + "b"])
    began = time.monotonic()
    assert not matches("a" * 1000)
    assert time.monotonic() - began < 1
