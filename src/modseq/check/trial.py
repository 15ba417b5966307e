"""What races and lost-history tests share: a case without a script, an outcome with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modseq import clock
from modseq.check.connection import shown
from modseq.check.response import Response, pairs
from modseq.check.runner import Outcome, Verdict
from modseq.check.script import Case
from modseq.check.server import FAILURES, Facts, Mailboxes, SetUpFailed

MAIN_RFC = 7162
_HEADINGS = {
    "race": "Claims and resynchronisation at the same time",
    "history": "Lost history",
    "throughout": "In every conversation",
}


@dataclass(frozen=True)
class Sizes:
    """
    How much is done.

    Attributes:
        workers: connections that claim at the same time.
        messages: messages that they claim in each round.
        rounds: rounds of each kind of race.
        changes: changes that each writer makes beside a resynchronising client.
        history: messages of the lost-history mailbox; half of them are expunged.

    """

    workers: int = 8
    messages: int = 25
    rounds: int = 10
    changes: int = 60
    history: int = 600


def trial(
    kind: str,
    name: str,
    sentence: str,
    *,
    section: str,
    needs: tuple[str, ...] = ("CONDSTORE",),
    level: str = "MUST",
) -> Case:
    """Return the case that stands for a race or a lost-history test in the report."""
    slug = name.replace(" ", "-").replace(",", "")
    return Case(
        identity=f"{kind}/{slug}",
        title=name,
        rfc=MAIN_RFC,
        section=kind,
        level=level,
        sentence=sentence,
        source=f"RFC {MAIN_RFC} section {section}",
        script=(),
        needs=tuple((each,) for each in needs),
        heading=_HEADINGS[kind],
    )


def judge(
    case: Case, facts: Facts, mailboxes: Mailboxes, work: Callable[[Outcome], None], *, cleans: bool = True
) -> Outcome:
    """Run a trial: `work` notes what went wrong in the outcome; what breaks it fails it."""
    lacking = facts.offers(case.needs)
    if lacking is not None:
        return Outcome(case, Verdict.NOT_OFFERED, f"the server does not offer {lacking}")
    outcome = Outcome(case, Verdict.PASSED)
    began = clock.monotonic_seconds()
    try:
        work(outcome)
    except SetUpFailed as error:
        outcome.verdict, outcome.problem = Verdict.FAILED, f"set-up: {shown(str(error))}"
    except FAILURES as error:
        outcome.verdict, outcome.problem = Verdict.FAILED, f"the connection ended: {shown(str(error))}"
    finally:
        if cleans:
            mailboxes.remove()
    outcome.seconds = clock.monotonic_seconds() - began
    return outcome


def fail(outcome: Outcome, problem: str, *expected: str) -> None:
    """Note a failure; the first one is the sentence that is shown."""
    outcome.verdict = Verdict.FAILED
    outcome.problem = outcome.problem or problem
    outcome.expected += expected


@contextmanager
def a_mailbox(mailboxes: Mailboxes, name: str, messages: int) -> Iterator[tuple[str, list[int]]]:
    """Make a mailbox with so many messages; yields its name and its UIDs."""
    box = mailboxes.create(name)
    mailboxes.append(box, range(1, messages + 1))
    uids = mailboxes.uids(box)
    mailboxes.leave()
    if len(uids) != messages:
        raise SetUpFailed(f"{messages} messages were appended, UID SEARCH ALL shows {len(uids)}")
    yield box, uids


def number_of(mailboxes: Mailboxes, box: str) -> int:
    """Return a mailbox's HIGHESTMODSEQ."""
    return int(mailboxes.status(box, "HIGHESTMODSEQ").get("HIGHESTMODSEQ", "0"))


def fetched(response: Response) -> dict[str, str | list[object]]:
    """Return the items of a FETCH response by name: MODSEQ as its number, others as they are."""
    words = response.words[0] if response.words else None
    items: dict[str, str | list[object]] = {}
    for name, value in pairs(words if isinstance(words, list) else []).items():
        if name == "MODSEQ" and isinstance(value, list) and value:
            items[name] = str(value[0])
        else:
            items[name] = value if isinstance(value, str) else list(value)
    return items
