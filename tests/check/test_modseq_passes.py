"""The whole check of this server: every case, race and lost-history test."""

import pytest

from modseq.check.history import histories
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


def test_it_passes_everything(server, mailboxes, facts):
    everything = (everybody := mailboxes.run('LIST "" "*"'))[:-1]
    runner = Runner(mailboxes, facts)
    outcomes = [
        *runner.run(all_cases()),
        *races(mailboxes, facts, SIZES),
        *histories(mailboxes, facts, SIZES),
    ]
    bad = [each for each in outcomes if kind_of(each) in ("failed", "not kept", "not used")]
    assert not bad, "\n\n".join(map(told, bad[:5]))
    assert sum(kind_of(each) == "passed" for each in outcomes) > 500
    # Nothing of the check is left, and what was there is as it was.
    assert runner.left == []
    assert [each.raw for each in mailboxes.run('LIST "" "*"')[:-1]] == [each.raw for each in everything]
    assert everybody


def test_what_is_not_offered_is_not_a_failure(mailboxes, facts):
    lacking = type(facts)(frozenset({"IMAP4REV1"}), "", "", "", "/")
    outcomes = Runner(mailboxes, lacking).run([case for case in all_cases() if case.rfc == 7162])
    assert {kind_of(each) for each in outcomes} == {"not offered"}


@pytest.mark.parametrize("kind", [races, histories])
def test_trials_need_their_capabilities_too(kind, mailboxes, facts):
    lacking = type(facts)(frozenset({"IMAP4REV1"}), "", "", "", "/")
    assert {kind_of(each) for each in kind(mailboxes, lacking, SIZES)} == {"not offered"}
