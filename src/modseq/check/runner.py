"""Holds the conversations of the cases with a server, and says how each went."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from modseq import clock
from modseq.check.connection import Connection, Line, ServerBroke, ServerClosed, ServerSilent, shown
from modseq.check.match import (
    Captures,
    ExpressionError,
    evaluate,
    fill,
    is_earlier,
    matches,
    vanished_matches,
    work_out,
)
from modseq.check.response import CLOSED, SILENCE, Response, read_response
from modseq.check.script import Case, Expect, Hear, Send, Step
from modseq.check.server import FAILURES, Facts, Mailboxes, SetUpFailed, message
from modseq.limits import CHECK_SILENCE_SECONDS

_LITERAL = re.compile(r"\{\{(\w+)\}\}")


class Verdict(StrEnum):
    """How a case came out."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OFFERED = "not offered"
    NOT_RUN = "not run"


@dataclass
class Outcome:
    """
    A case and how it went.

    Attributes:
        problem: one sentence, empty when it passed.
        expected: the lines of the case that did not come, or that came and must not.
        transcript: all that was said, of every connection, in order.
        figures: what a race or a lost-history test counted.
        is_broken: the server hung, closed the connection or talked nonsense: a failure, whatever the level.

    """

    case: Case
    verdict: Verdict
    problem: str = ""
    expected: list[str] = field(default_factory=list)
    transcript: list[Line] = field(default_factory=list)
    seconds: float = 0.0
    figures: dict[str, int] = field(default_factory=dict)
    is_broken: bool = False


class _Mismatch(Exception):
    """The server said something else than the case expects."""

    def __init__(self, problem: str, expected: Iterable[str] = (), *, is_broken: bool = False) -> None:
        super().__init__(problem)
        self.expected = list(expected)
        self.is_broken = is_broken


class _DoesNotApply(Exception):
    """An assumption of the case does not hold on this server."""


Watch: TypeAlias = Callable[[Outcome], None]


class Runner:
    """Runs cases one after the other; each has mailboxes and connections of its own."""

    def __init__(self, mailboxes: Mailboxes, facts: Facts) -> None:
        self._mailboxes = mailboxes
        self._facts = facts
        self._count = 0
        self.left: list[str] = []

    def run(self, cases: Sequence[Case], watch: Watch = lambda _: None) -> list[Outcome]:
        """Run cases; what breaks one does not keep the others from running."""
        outcomes = []
        refusals = 0
        for case in cases:
            if refusals >= _REFUSALS_MAX:
                outcome = Outcome(case, Verdict.NOT_RUN, "the server takes no connections any more")
            else:
                outcome = self.run_one(case)
                unreachable = outcome.problem.startswith(_UNREACHABLE)
                refusals = refusals + 1 if unreachable else 0
            outcomes.append(outcome)
            watch(outcome)
        return outcomes

    def run_one(self, case: Case) -> Outcome:
        """Set up, run and clean up one case."""
        lacking = self._facts.offers(case.needs)
        if lacking is not None:
            return Outcome(case, Verdict.NOT_OFFERED, f"the server does not offer {lacking}")
        began = clock.monotonic_seconds()
        self._count += 1
        talk = _Talk(self._mailboxes)
        outcome = Outcome(case, Verdict.PASSED, transcript=talk.transcript)
        try:
            talk.captures = _prepare(self._mailboxes, case, str(self._count))
            for step in case.script:
                talk.take(step)
        except _DoesNotApply as error:
            outcome.verdict, outcome.problem = Verdict.NOT_OFFERED, str(error)
        except _Mismatch as error:
            outcome.verdict, outcome.problem, outcome.expected = Verdict.FAILED, str(error), error.expected
            outcome.is_broken = error.is_broken
        except ExpressionError as error:
            outcome.verdict, outcome.problem = Verdict.FAILED, str(error)
        except SetUpFailed as error:
            outcome.verdict, outcome.problem = Verdict.FAILED, f"set-up: {shown(str(error))}"
        except FAILURES as error:
            outcome.verdict, outcome.problem = Verdict.FAILED, f"{_UNREACHABLE}: {shown(str(error))}"
        finally:
            talk.close()
            self._clean_up()
        outcome.seconds = clock.monotonic_seconds() - began
        return outcome

    def _clean_up(self) -> None:
        for name in list(self._mailboxes.made):
            self.left += self._mailboxes.remove_family(name)


_REFUSALS_MAX = 3
"""After so many cases in a row without a connection the rest is not tried."""
_UNREACHABLE = "no connection"


def _prepare(mailboxes: Mailboxes, case: Case, name: str) -> Captures:
    """
    Make the mailboxes of a case with their messages; returns what its lines may name.

    Raises: SetUpFailed.
    """
    captures: Captures = {}
    for number in range(1, case.mailboxes + 1):
        which = str(number) if number > 1 else ""
        captures[f"box{which}"] = mailboxes.create(f"{name}{'-' * bool(which)}{which}")
    box = captures["box"]
    if case.messages:
        mailboxes.append(box, range(1, case.messages + 1))
        uids = mailboxes.uids(box)
        if len(uids) != case.messages:
            raise SetUpFailed(f"{case.messages} messages were appended, UID SEARCH ALL shows {len(uids)}")
        captures.update({f"u{number}": str(uid) for number, uid in enumerate(uids, 1)})
        for numbers, flags in case.flags:
            mailboxes.run(f"STORE {numbers} +FLAGS.SILENT ({flags})")
        if case.expunged:
            captures.update(_highest(mailboxes, box, "h0"))
            mailboxes.run(f"STORE {case.expunged} +FLAGS.SILENT (\\Deleted)")
            mailboxes.run("EXPUNGE")
        mailboxes.leave()
    status = mailboxes.status(box, "UIDVALIDITY UIDNEXT")
    captures["v"], captures["next"] = status.get("UIDVALIDITY", ""), status.get("UIDNEXT", "")
    captures.update(_highest(mailboxes, box, "h"))
    return captures


def _highest(mailboxes: Mailboxes, box: str, name: str) -> Captures:
    if "CONDSTORE" in mailboxes.connection().capabilities or "QRESYNC" in mailboxes.connection().capabilities:
        return {name: mailboxes.status(box, "HIGHESTMODSEQ").get("HIGHESTMODSEQ", "")}
    return {}


class _Talk:
    """One conversation: its connections, its captures, its transcript."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes
        self.captures: Captures = {}
        self.transcript: list[Line] = []
        self._connections: dict[int, Connection] = {}
        self._early: dict[int, list[Response]] = {}

    def close(self) -> None:
        for connection in self._connections.values():
            connection.log_out()

    def take(self, step: Send | Hear | Step) -> None:
        """Do what one step says."""
        try:
            match step:
                case Send():
                    self._send(step)
                case Hear():
                    self._hear(step)
                case Step():
                    self._work_out(step)
        except ServerSilent as error:
            raise _Mismatch(str(error), _lines(step), is_broken=True) from error
        except (ServerClosed, ServerBroke) as error:
            raise _Mismatch(f"the connection ended: {error}", _lines(step), is_broken=True) from error

    def _connection(self, number: int) -> Connection:
        if number not in self._connections:
            self._connections[number] = self._mailboxes.target.login(
                number=number, transcript=self.transcript
            )
        return self._connections[number]

    def _send(self, step: Send) -> None:
        text = fill(step.text, self.captures)
        literals = tuple(_literal(name) for name in _LITERAL.findall(text))
        connection = self._connection(step.connection)
        came = connection.send(_LITERAL.sub("{{}}", text), literals)
        self._early.setdefault(step.connection, []).extend(came)

    def _work_out(self, step: Step) -> None:
        if step.kind == "let":
            name, _, expression = step.text.partition("=")
            self.captures[name.strip().lstrip("$")] = str(evaluate(expression.strip(), self.captures))
        elif not evaluate(step.text, self.captures):
            shown_as = f"{step.text}  ({fill(step.text, self.captures)})"
            if step.kind == "assume":
                raise _DoesNotApply(f"does not apply here: not {shown_as}")
            raise _Mismatch(f"not so: {shown_as}", [f"check: {step.text}"])

    # --- hearing ---

    def _hear(self, block: Hear) -> None:
        connection = self._connection(block.connection)
        came = self._early.pop(block.connection, [])
        end = block.end
        if end is None:
            self._wait(block, connection, came)
        elif end.text == SILENCE:
            self._silence(block, connection, came)
        else:
            tag = end.text.split(" ")[0]
            while not came or not _is_end(came[-1], tag):
                try:
                    came.append(connection.read())
                except ServerClosed:
                    came.append(read_response(CLOSED))
                if came[-1].tag == CLOSED and tag != CLOSED:
                    raise _Mismatch("the server closed the connection", _lines(block), is_broken=True)
            self._compare(block, came)

    def _wait(self, block: Hear, connection: Connection, came: list[Response]) -> None:
        """Read until all lines have come."""
        until = clock.monotonic_seconds() + connection.seconds_max
        while True:
            try:
                self._compare(block, came)
            except _Mismatch:
                left = until - clock.monotonic_seconds()
                if left <= 0 or (came and came[-1].tag not in ("*", "+")):
                    raise
                try:
                    came.append(connection.read(left))
                except ServerSilent:
                    until = 0
            else:
                return

    def _silence(self, block: Hear, connection: Connection, came: list[Response]) -> None:
        until = clock.monotonic_seconds() + CHECK_SILENCE_SECONDS
        with contextlib.suppress(ServerSilent):
            while (left := until - clock.monotonic_seconds()) > 0:
                came.append(connection.read(left))
        self._compare(Hear(block.connection, block.lines[:-1]), came)

    def _compare(self, block: Hear, came: list[Response]) -> None:
        """
        Hold what came against what is expected; takes captures only if all is there.

        Raises: _Mismatch.
        """
        captures = dict(self.captures)
        used: set[int] = set()
        last = -1
        missing: list[str] = []
        for each in block.lines:
            if each.is_forbidden:
                continue
            after = last if each.is_after else -1
            place = _find(each, came, used, after, captures)
            if place is None:
                missing.append(f"{each}")
            else:
                last = place
        for each in block.lines:
            if each.is_forbidden and _find(each, came, set(), -1, dict(captures)) is not None:
                raise _Mismatch(f"what must not come came: {each.text}", [f"{each}"])
        if missing:
            problem = "did not come" if len(missing) == 1 else "did not all come"
            raise _Mismatch(
                f"what must come {problem}: {missing[0]}", [_with_values(line, captures) for line in missing]
            )
        self.captures = captures


def _find(
    each: Expect, came: Sequence[Response], used: set[int], after: int, captures: Captures
) -> int | None:
    """Return the place of the response that an expectation finds; marks it as used."""
    wanted = read_response(work_out(each.text, captures))
    if wanted.name == "VANISHED":
        places = [
            at
            for at, response in enumerate(came)
            if response.tag == "*"
            and response.name == "VANISHED"
            and is_earlier(response) == is_earlier(wanted)
        ]
        together = [came[at] for at in places]
        if places and places[-1] > after and vanished_matches(wanted, together, captures):
            return places[-1]
        return None
    either = wanted.tag == "?"  # the command's own reply may be the one: it is looked at again as the end
    for at, response in enumerate(came):
        if at > after and (either or at not in used) and matches(wanted, response, captures):
            if not either:
                used.add(at)
            return at
    return None


def _with_values(line: str, captures: Captures) -> str:
    filled = fill(line, captures)
    return line if filled == line else f"{line}    (that is {filled.partition(': ')[2]})"


def _is_end(response: Response, tag: str) -> bool:
    """Tell whether a block is over: a command may be answered at once where a `+` was expected."""
    return response.tag in (tag, CLOSED) or (tag == "+" and response.tag != "*")


def _lines(step: Send | Hear | Step) -> list[str]:
    return [f"{each}" for each in step.lines] if isinstance(step, Hear) else [step.text]


def _literal(name: str) -> bytes:
    if name == "message":
        return message(900)
    return name.encode()
