"""Mailbox patterns with `*` and `%`, matched in time linear in the name whatever the pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from modseq.core.mailbox_operations import DELIMITER, INBOX

Matcher: TypeAlias = Callable[[str], bool]

_WILDCARDS = re.compile(r"[*%]+")


def matcher(reference: str, patterns: Iterable[str]) -> Matcher:
    """
    Return a test of whether a mailbox name matches any of the patterns behind the reference.

    `*` stands for anything, `%` for anything without a hierarchy delimiter. INBOX matches in any case.

    RFC: 3501 section 6.3.8, 5.1
    RFC: 5258 section 3
    """
    wholes = [_canonical(reference + pattern) for pattern in patterns]
    tests = [_compile(whole) for whole in wholes]
    matches_inbox = any(_compile(whole.upper())(INBOX) for whole in wholes)

    def matches(name: str) -> bool:
        if name == INBOX:
            return matches_inbox
        return any(test(name) for test in tests)

    return matches


def _canonical(pattern: str) -> str:
    """Spell INBOX as it is kept where it is the first level; let one wildcard stand for several in a row."""
    first, delimiter, rest = pattern.partition(DELIMITER)
    if first.upper() == INBOX:
        pattern = INBOX + delimiter + rest
    return _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", pattern)


def _compile(pattern: str) -> Matcher:
    """Return the cheapest test for a pattern: most have at most one wildcard, at the end."""
    at = _WILDCARDS.search(pattern)
    if at is None:
        return lambda name: name == pattern
    if at.end() == len(pattern):
        head, length = pattern[:-1], len(pattern) - 1
        if pattern[-1] == "*":
            return lambda name: name.startswith(head)
        return lambda name: name.startswith(head) and DELIMITER not in name[length:]
    return _automaton(pattern)


def _automaton(pattern: str) -> Matcher:
    """
    Return a test that tries all ways to match at once: one bit for each place in the pattern.

    Backtracking takes exponential time for patterns such as `*a*a*a*b`; this takes one step for each
    character of the name.
    """
    places: dict[str, int] = {}
    any_char = any_but_delimiter = wildcards = 0
    for index, char in enumerate(pattern):
        bit = 1 << index
        if char == "*":
            any_char |= bit
        elif char == "%":
            any_but_delimiter |= bit
        else:
            places[char] = places.get(char, 0) | bit
    wildcards = any_char | any_but_delimiter
    end = 1 << len(pattern)
    start = 1 | ((1 & wildcards) << 1)

    def matches(name: str) -> bool:
        states = start
        for char in name:
            stay = any_char if char == DELIMITER else wildcards
            states = ((states & places.get(char, 0)) << 1) | (states & stay)
            states |= (states & wildcards) << 1
            if not states:
                return False
        return bool(states & end)

    return matches
