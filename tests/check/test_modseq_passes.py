"""The whole check of this server: every case, race and lost-history test."""

import pytest

from modseq.check.history import histories
from modseq.check.laws import Watch
from modseq.check.race import races
from modseq.check.report import kind_of
from modseq.check.runner import Runner
from modseq.check.script import all_cases
from modseq.check.trial import Sizes

SIZES = Sizes(workers=6, messages=10, rounds=2, changes=30, history=200)


def told(outcome):
    return "\n".join(
        [outcome.case.identity, outcome.problem, *outcome.expected, *map(str, outcome.transcript)]
    )


@pytest.fixture
def as_it_was(mailboxes):
    """What was there before is there afterwards, and nothing else."""
    before = [each.raw for each in mailboxes.run('LIST "" "*"')[:-1]]
    yield
    assert [each.raw for each in mailboxes.run('LIST "" "*"')[:-1]] == before
    assert before


def hold_against(outcomes):
    bad = [each for each in outcomes if kind_of(each) in ("failed", "not kept", "not used")]
    assert not bad, "\n\n".join(map(told, bad[:5]))
    return sum(kind_of(each) == "passed" for each in outcomes)


@pytest.mark.usefixtures("as_it_was")
@pytest.mark.parametrize("part", ["rfc7162/3.1", "rfc7162/3.2", "rest"])
def test_it_passes_every_case(part, mailboxes, facts):
    parts = ("rfc7162/3.1", "rfc7162/3.2")
    chosen = [
        case
        for case in all_cases()
        if (case.identity.startswith(part) if part != "rest" else not case.identity.startswith(parts))
    ]
    runner, watch = Runner(mailboxes, facts), Watch()
    assert (
        hold_against(runner.run(chosen, lambda each: watch.hear(each.case.identity, each.transcript))) > 100
    )
    hold_against(list(watch.outcomes(lambda law: facts.offers([[law.needs]]))))
    assert runner.left == []


@pytest.mark.usefixtures("as_it_was")
def test_it_passes_every_race(mailboxes, facts):
    assert hold_against(list(races(mailboxes, facts, SIZES))) == 6


@pytest.mark.usefixtures("as_it_was")
def test_it_loses_no_history(mailboxes, facts):
    assert hold_against(list(histories(mailboxes, facts, SIZES))) == 10


def test_what_is_not_offered_is_not_a_failure(mailboxes, facts):
    lacking = type(facts)(frozenset({"IMAP4REV1"}), "", "", "", "/")
    outcomes = Runner(mailboxes, lacking).run([case for case in all_cases() if case.rfc == 7162])
    assert {kind_of(each) for each in outcomes} == {"not offered"}


@pytest.mark.parametrize("kind", [races, histories])
def test_trials_need_their_capabilities_too(kind, mailboxes, facts):
    lacking = type(facts)(frozenset({"IMAP4REV1"}), "", "", "", "/")
    assert {kind_of(each) for each in kind(mailboxes, lacking, SIZES)} == {"not offered"}
