"""Does what came match what a case expects? Words against words, with captures and arithmetic."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modseq.check.response import Response, Text, Word, numbers_of, pairs, set_text

Captures = dict[str, str]

_NAME = re.compile(r"\$([a-z][a-z0-9_]*)")
_EXPRESSION = re.compile(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
"""$(h + 1), with at most one call in it"""
_BOUND = re.compile(r"(?P<name>\$[a-z][a-z0-9_]*)?(?P<sign><=|>=|<|>|!=)(?P<than>\d+)\Z")
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "!=": operator.ne,
}
_REST = "..."
_ANY = "?"


class ExpressionError(ValueError):
    """An expression of a case cannot be worked out."""


def fill(text: str, captures: Mapping[str, str]) -> str:
    """Put in the values of `$(expression)` and of each `$name` that is known; the others stay."""
    text = work_out(text, captures)
    return _NAME.sub(lambda name: captures.get(name[1], name[0]), text)


def work_out(text: str, captures: Mapping[str, str]) -> str:
    """Put in the values of `$(expression)`."""
    return _EXPRESSION.sub(lambda found: str(evaluate(found[1], captures)), text)


def fill_bounds(text: str, captures: Mapping[str, str]) -> str:
    """Put in values only on the right of a comparison: what is left of it is taken."""
    return re.sub(
        r"(<=|>=|<|>|!=)\$([a-z][a-z0-9_]*)",
        lambda found: found[1] + captures.get(found[2], f"${found[2]}"),
        text,
    )


# --- expressions ----------------------------------------------------------------------------------

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "set": lambda text: numbers_of(str(text)) or frozenset(),
    "len": len,
    "max": max,
    "odd": lambda last: ",".join(map(str, range(1, last + 1, 2))),
    "min": min,
}


def evaluate(text: str, captures: Mapping[str, str]) -> Any:
    """
    Work out an expression over captures.

    Raises: ExpressionError for what is not arithmetic, and for names that took nothing.
    """
    try:
        tree = ast.parse(text.replace("$", ""), mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"not an expression: {text}") from error
    return _value(tree.body, captures)


def _value(node: ast.expr, captures: Mapping[str, str]) -> Any:
    match node:
        case ast.Constant(value=int() | str()):
            return node.value
        case ast.Name(id=name):
            if name not in captures:
                raise ExpressionError(f"${name} has taken nothing")
            value = captures[name]
            return int(value) if value.isdigit() else value
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_value(left, captures), _value(right, captures))
        case ast.Compare(left=left, ops=signs, comparators=others):
            values = [_value(each, captures) for each in (left, *others)]
            return all(_OPERATORS[type(sign)](values[at], values[at + 1]) for at, sign in enumerate(signs))
        case ast.BoolOp(op=sign, values=parts):
            results = (_value(each, captures) for each in parts)
            return all(results) if isinstance(sign, ast.And) else any(results)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, captures)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(each, captures) for each in arguments))
    raise ExpressionError(f"not arithmetic: {ast.unparse(node)}")


# --- responses ------------------------------------------------------------------------------------


def matches(wanted: Response, came: Response, captures: Captures) -> bool:
    """Tell whether a response is what is expected; takes captures only if it is."""
    taken = dict(captures)
    if not _matches(wanted, came, taken):
        return False
    captures.update(taken)
    return True


def _matches(wanted: Response, came: Response, captures: Captures) -> bool:
    if wanted.tag not in (came.tag, _ANY):
        return False
    if wanted.tag == "+":
        return True
    if wanted.is_status:
        return came.name in wanted.name.split("|") and _code_matches(wanted.code, came.code, captures)
    if wanted.name != came.name or (wanted.number is None) != (came.number is None):
        return False
    if wanted.number is not None and not _word(wanted.number, came.number or "", captures):
        return False
    special = _BY_NAME.get(wanted.name, _sequence)
    return special(wanted.words, came.words, captures)


def _code_matches(wanted: list[Word] | None, came: list[Word] | None, captures: Captures) -> bool:
    if not wanted:
        return True
    if str(wanted[0]).startswith("!"):
        return came is None or not _sequence([str(wanted[0])[1:]], came[:1], captures)
    return came is not None and _sequence(wanted, came, captures)


def _word(wanted: Word, came: Word, captures: Captures) -> bool:
    """Compare one word."""
    if wanted == _ANY:
        return True
    if isinstance(wanted, list):
        return isinstance(came, list) and _sequence(wanted, came, captures)
    if isinstance(wanted, Text):
        return isinstance(came, str) and fill(wanted, captures) == came
    wanted = fill_bounds(wanted, captures)
    bound = _BOUND.match(wanted)
    if bound is not None:
        if not isinstance(came, str) or not came.isdigit():
            return False
        if bound["name"] and not _word(bound["name"], came, captures):
            return False
        return bool(_SIGNS[bound["sign"]](int(came), int(bound["than"])))
    filled = fill(wanted, captures)
    if filled.startswith("$") and _NAME.fullmatch(filled):
        if isinstance(came, list):
            came = _shown(came)
        captures[filled[1:]] = came
        return True
    if not isinstance(came, str):
        return False
    if isinstance(came, Text):
        return filled == came
    if filled.upper() == came.upper():
        return True
    numbers = numbers_of(filled)
    return numbers is not None and numbers == numbers_of(came)


def _shown(words: Sequence[Word]) -> str:
    return " ".join(f"({_shown(word)})" if isinstance(word, list) else word for word in words)


def _sequence(wanted: Sequence[Word], came: Sequence[Word], captures: Captures) -> bool:
    """Compare words in order; `...` ends the comparison."""
    for at, each in enumerate(wanted):
        if each == _REST:
            return True
        if at >= len(came) or not _word(each, came[at], captures):
            return False
    return len(wanted) == len(came)


def _some(wanted: Sequence[Word], came: Sequence[Word], captures: Captures) -> bool:
    """Compare words in any order; others may stand among them: capability and ENABLED lists."""
    for each in wanted:
        if each == _REST:
            continue
        if isinstance(each, str) and each.startswith("!"):
            if any(_word(each[1:], other, captures) for other in came):
                return False
        elif not any(_word(each, other, captures) for other in came):
            return False
    return True


def _items(wanted: Sequence[Word], came: Sequence[Word], captures: Captures) -> bool:
    """Compare name and value pairs: those that are named are there."""
    there = pairs(list(came))
    at = 0
    while at < len(wanted):
        name = str(wanted[at]).upper()
        if name == _REST:
            at += 1
        elif name.startswith("!"):
            if name[1:] in there:
                return False
            at += 1
        else:
            if name not in there or at + 1 >= len(wanted):
                return False
            compare = _flags if name == "FLAGS" else _word
            if not compare(wanted[at + 1], there[name], captures):
                return False
            at += 2
    return True


def _flags(wanted: Word, came: Word, captures: Captures) -> bool:
    r"""Compare flags as sets; \Recent belongs to sessions and is left out."""
    if not isinstance(wanted, list):
        return _word(wanted, came, captures)
    if not isinstance(came, list):
        return False
    there = {str(flag).upper() for flag in came} - {"\\RECENT"}
    named = {fill(str(flag), captures).upper() for flag in wanted if flag not in (_REST, _ANY)}
    absent = {flag[1:] for flag in named if flag.startswith("!")}
    named -= {f"!{flag}" for flag in absent}
    if absent & there or not named <= there:
        return False
    return _REST in wanted or bool(absent) or named == there


def _fetch(wanted: Sequence[Word], came: Sequence[Word], captures: Captures) -> bool:
    if wanted and wanted[0] == _REST:
        return True
    return (
        len(came) == 1
        and isinstance(wanted[0], list)
        and isinstance(came[0], list)
        and _items(wanted[0], came[0], captures)
    )


def _status(wanted: Sequence[Word], came: Sequence[Word], captures: Captures) -> bool:
    if len(came) != 2 or not isinstance(came[1], list) or not isinstance(came[0], str):
        return False
    name, items = wanted[0], wanted[1]
    if name != _ANY and fill(str(name), captures) != came[0]:
        return False
    return isinstance(items, list) and _items(items, came[1], captures)


def _search(wanted: Sequence[Word], came: Sequence[Word], captures: Captures) -> bool:
    """Compare numbers as a set, and the list (MODSEQ n) that must be the last word."""
    lists = [word for word in wanted if isinstance(word, list)]
    found = [word for word in came if isinstance(word, list)]
    if found and came[-1] is not found[0]:
        return False
    if len(lists) != len(found) and not (_REST in wanted and not lists):
        return False
    if lists and not _sequence(lists[0], found[0], captures):
        return False
    atoms = [str(word) for word in wanted if not isinstance(word, list)]
    there = numbers_of(",".join(str(word) for word in came if not isinstance(word, list))) or frozenset()
    text = fill(",".join(word for word in atoms if word not in (_REST, _ANY)), captures)
    if _NAME.fullmatch(text):
        captures[text[1:]] = set_text(there)
        return bool(there)
    named = numbers_of(text) or frozenset()
    if _ANY in atoms and not there:
        return False
    return named <= there if _REST in atoms or _ANY in atoms else named == there


def _sort(wanted: Sequence[Word], came: Sequence[Word], captures: Captures) -> bool:
    if any(isinstance(word, list) for word in came[:-1]):
        return False
    return _sequence(wanted, came, captures)


def _esearch(wanted: Sequence[Word], came: Sequence[Word], captures: Captures) -> bool:
    """Compare the correlator, UID and the result items."""
    if wanted and wanted[0] == _REST:
        return True
    wanted_head, wanted_items = _esearch_parts(wanted)
    head, items = _esearch_parts(came)
    return (
        all(each in head or isinstance(each, list) for each in wanted_head)
        and all(
            any(isinstance(other, list) and _sequence(each, other, captures) for other in head)
            for each in wanted_head
            if isinstance(each, list)
        )
        and _items(wanted_items, items, captures)
    )


def _esearch_parts(words: Sequence[Word]) -> tuple[list[Word], list[Word]]:
    at = 0
    head: list[Word] = []
    while at < len(words) and (isinstance(words[at], list) or str(words[at]).upper() == "UID"):
        word = words[at]
        head.append(word if isinstance(word, list) else "UID")
        at += 1
    return head, list(words[at:])


_BY_NAME: dict[str, Callable[[Sequence[Word], Sequence[Word], Captures], bool]] = {
    "FETCH": _fetch,
    "UIDFETCH": _fetch,
    "STATUS": _status,
    "SEARCH": _search,
    "SORT": _sort,
    "ESEARCH": _esearch,
    "CAPABILITY": _some,
    "ENABLED": _some,
    "FLAGS": lambda wanted, came, captures: _flags(next(iter(wanted)), next(iter(came)), captures),
}


# --- VANISHED -------------------------------------------------------------------------------------


def is_earlier(response: Response) -> bool:
    """Tell whether a VANISHED response has the EARLIER tag."""
    first = response.words[0] if response.words else None
    return isinstance(first, list) and [str(word).upper() for word in first] == ["EARLIER"]


def vanished(response: Response) -> frozenset[int] | None:
    """Return the UIDs of a VANISHED response; None where the set cannot be read."""
    words = response.words[1:] if is_earlier(response) else response.words
    if len(words) != 1 or not isinstance(words[0], str):
        return None
    return numbers_of(words[0])


def vanished_matches(wanted: Response, came: Sequence[Response], captures: Captures) -> bool:
    """Compare all VANISHED responses of one kind, taken together, with what is expected."""
    if not came:
        return False
    together: set[int] = set()
    for each in came:
        numbers = vanished(each)
        if numbers is None or (together & numbers and not is_earlier(wanted)):
            return False  # a live VANISHED counts down: the same UID twice counts down twice
        together |= numbers
    words = wanted.words[1:] if is_earlier(wanted) else wanted.words
    if not words or words[0] in (_REST, _ANY):
        return True
    text = fill(str(words[0]), captures)
    if _NAME.fullmatch(text):
        captures[text[1:]] = set_text(together)
        return True
    named = numbers_of(text)
    if named is None:
        return False
    return named <= together if _REST in words[1:] else named == together
