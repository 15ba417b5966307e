"""A server that hangs, closes or talks nonsense fails the case that met it, and the rest goes on."""

from dataclasses import replace

import pytest

from check.tamper import Honest, Tampering
from modseq.check.report import kind_of
from modseq.check.runner import Runner, Verdict
from modseq.check.script import parse
from modseq.check.server import Facts, Mailboxes

HEAD = "rfc: 7162\nsection: 3.1\ntitle: t\n"
BROKEN = "case: broken\nMAY: it\nmessages: 1\nC: s SELECT $box\nS: s OK\nC: x FETCH 1 (UID)\nS: * 1 FETCH (UID $u1)\nS: x OK\n"
FINE = "case: fine\nMUST: it\nmessages: 1\nC: s SELECT $box\nS: * 1 EXISTS\nS: s OK\nC: a NOOP\nS: a OK\n"
WAITS = "case: waits\nMUST: it\nmessages: 1\nC: s SELECT $box\nS: s OK\nS: * 2 EXISTS\n"
CASES = parse("x.txt", HEAD + BROKEN + FINE)


class Silent(Honest):
    def command(self, octets):
        return None if octets.startswith(b"x ") else octets


class Cut(Honest):
    def response(self, raw):
        if raw.startswith("x "):
            raise OSError
        return [raw]


class Endless(Honest):
    def response(self, raw):
        return ["* 1 FETCH (UID " + "1" * 1_100_000] if raw.startswith("* 1 FETCH") else [raw]


class HugeLiteral(Honest):
    def response(self, raw):
        return ["* 1 FETCH (BODY[] {99999999}", "and no more"] if raw.startswith("* 1 FETCH") else [raw]


class Farewell(Honest):
    def response(self, raw):
        return ["* BYE tired", "x NO"] if raw.startswith("x ") else [raw]


class Nonsense(Honest):
    def response(self, raw):
        return (
            ["", "???", "\x00\x01", "* 1 FETCH ((((", "* 1 FETCH", raw]
            if raw.startswith("* 1 FETCH")
            else [raw]
        )


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (Silent, "no answer in time"),
        (Cut, "the server closed the connection"),
        (Endless, "a response of more than"),
        (HugeLiteral, "a literal of 99999999 octets"),
        (Farewell, "what must come did not"),
    ],
)
def test_the_case_fails_and_the_rest_goes_on(kind, problem, server, target, mailboxes):
    with Tampering(server.address, kind) as proxy:
        through = Mailboxes(replace(target, host=proxy.address[0], port=proxy.address[1], seconds_max=0.5))
        runner = Runner(through, Facts(frozenset(), "", "", "", "/"))
        broken, fine = runner.run(CASES)
        through.drop()
    assert (broken.verdict, fine.verdict) == (Verdict.FAILED, Verdict.PASSED)
    assert problem in broken.problem
    # A server that hangs has failed, also where the RFC only says MAY.
    assert kind_of(broken) == ("not used" if kind is Farewell else "failed")
    assert any("SELECT" in line.text for line in broken.transcript)
    assert runner.left == []


def test_odd_lines_among_good_ones_are_read_past(server, target):
    with Tampering(server.address, Nonsense) as proxy:
        through = Mailboxes(replace(target, host=proxy.address[0], port=proxy.address[1], seconds_max=0.5))
        outcomes = Runner(through, Facts(frozenset(), "", "", "", "/")).run(CASES)
        through.drop()
    assert [each.verdict for each in outcomes] == [Verdict.PASSED, Verdict.PASSED]


def test_what_never_comes_unasked(target, mailboxes):
    (case,) = parse("x.txt", HEAD + WAITS)
    mailboxes.target = replace(target, seconds_max=0.2)
    outcome = Runner(mailboxes, Facts(frozenset(), "", "", "", "/")).run_one(case)
    assert outcome.verdict is Verdict.FAILED
    assert "* 2 EXISTS" in outcome.problem


def test_a_server_that_is_gone_is_not_asked_for_ever(target):
    gone = Mailboxes(replace(target, port=1))
    outcomes = Runner(gone, Facts(frozenset(), "", "", "", "/")).run(CASES * 4)
    assert [each.verdict for each in outcomes] == [Verdict.FAILED] * 3 + [Verdict.NOT_RUN] * 5


def test_mailboxes_made_by_a_case_are_removed(target, mailboxes):
    text = "case: makes\nMUST: it\nC: a CREATE $box-more\nS: a OK\nC: b RENAME $box $box-other\nS: b OK\nC: c NOOP\nS: c BAD\n"
    runner = Runner(mailboxes, Facts(frozenset(), "", "", "", "/"))
    assert runner.run_one(parse("x.txt", HEAD + text)[0]).verdict is Verdict.FAILED
    assert [each.raw for each in mailboxes.run('LIST "" "*modseq-check*"')[:-1]] == []
    assert runner.left == []


def test_only_mailboxes_of_the_checker_can_be_removed(mailboxes):
    with pytest.raises(AssertionError):
        mailboxes.remove(["INBOX"])


def test_an_assumption_that_does_not_hold(mailboxes):
    text = "case: assumes\nMUST: it\nmessages: 2\nassume: $next > 100\nC: a NOOP\nS: a BAD\n"
    outcome = Runner(mailboxes, Facts(frozenset(), "", "", "", "/")).run_one(parse("x.txt", HEAD + text)[0])
    assert outcome.verdict is Verdict.NOT_OFFERED
    assert "not $next > 100" in outcome.problem


def test_a_server_without_literal_plus(server, target):
    class Old(Honest):
        def response(self, raw):
            return [raw.replace("LITERAL+ ", "").replace("UNSELECT ", "") if "CAPABILITY" in raw else raw]

    with Tampering(server.address, Old) as proxy:
        through = Mailboxes(replace(target, host=proxy.address[0], port=proxy.address[1], seconds_max=2))
        cases = parse(
            "x.txt", HEAD + FINE + "case: appends\nMUST: it\nC: a APPEND $box {{message}}\nS: a OK\n"
            "C: b SELECT $box\nS: * 1 EXISTS\nS: b OK\nC: c UID SEARCH SUBJECT {{message}} TEXT {{x}}\nS: c OK\n",
        )  # fmt: skip
        outcomes = Runner(through, Facts(frozenset(), "", "", "", "/")).run(cases)
        assert "LITERAL+" not in through.connection().capabilities
        through.drop()
    assert [each.problem for each in outcomes] == ["", ""]
