"""The servers that `modseq.testing` imitates: the checker finds what is wrong with each."""

import pytest

from modseq.check.connection import Target
from modseq.check.race import races
from modseq.check.report import kind_of
from modseq.check.runner import Runner
from modseq.check.script import all_cases
from modseq.check.server import Mailboxes, learn, with_keywords
from modseq.check.trial import Sizes
from modseq.testing import ImapServer, Quirk

SEEN_IN = {
    Quirk.NO_ENABLED_REPLY: "3.2.3",
    Quirk.HIGHESTMODSEQ_ZERO: "3.1.2",
    Quirk.NO_HIGHESTMODSEQ: "3.1.2",
    Quirk.NO_CLOSED: "3.2.11",
    Quirk.NO_MODSEQ_IN_FETCH: "3.2.4",
    Quirk.VANISHED_INCOMPLETE: "3.2.5.1",
    Quirk.VANISHED_TOO_WIDE: "3.2.5.1",
    Quirk.VANISHED_WITHOUT_EARLIER: "3.2.10.1",
    Quirk.UNCHANGEDSINCE_IGNORED: "3.1.3",
}
NOT_OFFERED = {Quirk.NO_CONDSTORE: "3.1", Quirk.NO_QRESYNC: "3.2.6"}
RACED = {Quirk.TWO_CLAIMS_WIN}


@pytest.fixture(scope="module")
def tested():
    with ImapServer() as running:
        yield running


def outcomes(running, quirk, section):
    running.faults.behave_like(quirk)
    mailboxes = Mailboxes(Target("127.0.0.1", running.port, running.user, running.password, seconds_max=5))
    try:
        facts = learn(mailboxes.target)
        cases = [case for case in all_cases() if case.rfc == 7162 and case.section == section]
        return Runner(mailboxes, facts).run(cases)
    finally:
        running.faults.heal()
        mailboxes.drop()


def test_every_quirk_has_its_test():
    assert {*SEEN_IN, *NOT_OFFERED, *RACED} == set(Quirk)


@pytest.mark.parametrize("quirk", SEEN_IN, ids=lambda quirk: quirk.name)
def test_a_quirk_is_a_failure(quirk, tested):
    assert "failed" in {kind_of(each) for each in outcomes(tested, quirk, SEEN_IN[quirk])}


@pytest.mark.parametrize("quirk", NOT_OFFERED, ids=lambda quirk: quirk.name)
def test_what_a_server_does_not_claim_is_no_failure(quirk, tested):
    assert {kind_of(each) for each in outcomes(tested, quirk, NOT_OFFERED[quirk])} == {"not offered"}


def test_two_claims_that_win_are_seen_by_the_race(tested):
    tested.faults.behave_like(Quirk.TWO_CLAIMS_WIN)
    mailboxes = Mailboxes(Target("127.0.0.1", tested.port, tested.user, tested.password, seconds_max=5))
    try:
        facts = with_keywords(learn(mailboxes.target), mailboxes)
        claims = list(races(mailboxes, facts, Sizes(workers=4, messages=4, rounds=2, changes=1)))[:4]
    finally:
        tested.faults.heal()
        mailboxes.drop()
    assert sum(each.figures["double winners"] for each in claims) > 0
    assert "failed" in {kind_of(each) for each in claims}
