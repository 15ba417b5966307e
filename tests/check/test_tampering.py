"""Each kind of damage to what a server says is noticed by some case."""

import re
from contextlib import contextmanager
from dataclasses import replace

import pytest

from check.tamper import Honest, Tampering
from modseq.check.history import histories
from modseq.check.race import races
from modseq.check.report import kind_of
from modseq.check.response import numbers_of, set_text
from modseq.check.runner import Runner, Verdict
from modseq.check.script import all_cases
from modseq.check.server import Mailboxes
from modseq.check.trial import Sizes

CASES = all_cases()
SIZES = Sizes(workers=4, messages=6, rounds=2, changes=12, history=60)


def damage(change):
    """A damage of single responses: a function from one to what becomes of it."""

    class Damage(Honest):
        def response(self, raw):
            changed = change(raw)
            return [changed] if isinstance(changed, str) else list(changed)

    return Damage


def replacing(pattern, by):
    compiled = re.compile(pattern)
    return damage(lambda raw: compiled.sub(by, raw))


def dropping(pattern):
    compiled = re.compile(pattern)
    return damage(lambda raw: [] if compiled.match(raw) else [raw])


def delaying(pattern):
    """Hold responses back until just before the tagged one."""
    compiled = re.compile(pattern)

    class Delay(Honest):
        def response(self, raw):
            if compiled.match(raw):
                self.held.append(raw)
                return []
            if raw.startswith("*"):
                return [raw]
            held, self.held = self.held, []
            return [*held, raw]

    return Delay


def too_late(pattern):
    """Hold responses back until after the tagged one."""
    compiled = re.compile(pattern)

    class Late(Honest):
        def response(self, raw):
            if compiled.match(raw):
                self.held.append(raw)
                return []
            if raw.startswith("*"):
                return [raw]
            held, self.held = self.held, []
            return [raw, *held]

    return Late


def resetting(pattern, change):
    """Change the sequence set that the pattern finds."""
    compiled = re.compile(pattern)

    def one(match):
        numbers = change(set(numbers_of(match[2])))
        return f"{match[1]}{set_text(numbers)}" if numbers else match[1].rstrip()

    return damage(lambda raw: compiled.sub(one, raw))


def shorter(numbers):
    return numbers - {max(numbers)}


def longer(numbers):
    return numbers | {max(numbers) + 1}


def shifting(pattern, by):
    """Add to the number that the pattern finds."""
    compiled = re.compile(pattern)
    return damage(lambda raw: compiled.sub(lambda match: f"{match[1]}{max(0, int(match[2]) + by)}", raw))


EARLIER = r"(\* VANISHED \(EARLIER\) )(\S+)"
LIVE = r"(\* VANISHED )(\d\S*)"
MODSEQ = r"(\* \d+ FETCH .*MODSEQ \()(\d+)"
SEARCHED = r"(\* (?:SEARCH|SORT) .*\(MODSEQ |\* ESEARCH .*MODSEQ )(\d+)"
HIGHEST = r"(\S+ OK \[HIGHESTMODSEQ )(\d+)"
STATUS = r"(\* STATUS .*HIGHESTMODSEQ )(\d+)"
MODIFIED = r"(\S+ (?:OK|NO) \[MODIFIED )([\d:,]+)"

DAMAGES = {
    # What is damaged and how: the damage, and the sections that must see it.
    "VANISHED (EARLIER) dropped": (dropping(EARLIER), ["3.2.5.1", "3.2.6"]),
    "VANISHED (EARLIER) shortened": (resetting(EARLIER, shorter), ["3.2.5.1", "3.2.6"]),
    "VANISHED (EARLIER) inflated": (resetting(EARLIER, longer), ["3.2.5.1", "3.2.6"]),
    "VANISHED (EARLIER) after FETCH": (delaying(EARLIER), ["3.2.5.1", "3.2.6"]),
    "VANISHED (EARLIER) untagged": (replacing(r"VANISHED \(EARLIER\)", "VANISHED"), ["3.2.10.1", "3.2.10"]),
    "VANISHED (EARLIER) too late": (too_late(EARLIER), ["3.2.6"]),
    "VANISHED dropped": (dropping(LIVE), ["3.2.7", "3.2.10"]),
    "VANISHED shortened": (resetting(LIVE, shorter), ["3.2.7", "3.2.10.2"]),
    "VANISHED inflated": (resetting(LIVE, longer), ["3.2.7", "3.2.10.2"]),
    "VANISHED told twice": (damage(lambda raw: [raw] * 2 if raw.startswith("* VANISHED 2") else [raw]), ["3.2.7"]),
    "VANISHED as EARLIER": (replacing(r"\* VANISHED (?=\d)", "* VANISHED (EARLIER) "), ["3.2.10"]),
    "VANISHED as EXPUNGE": (replacing(r"\* VANISHED (\d+).*", r"* \1 EXPUNGE"), ["3.2.3", "3.2.7"]),
    "VANISHED during FETCH": (
        damage(lambda raw: ["* VANISHED 3", raw] if raw.startswith("c OK") else [raw]), ["3.2.10.2"],
    ),
    "VANISHED made empty": (replacing(EARLIER, "* VANISHED (EARLIER)"), ["3.2.6"]),
    "EXPUNGE dropped": (dropping(r"\* \d+ EXPUNGE"), ["rfc3501/7.4.1"]),
    "EXPUNGE of the next": (shifting(r"(\* )(\d+)(?= EXPUNGE)", 1), ["rfc3501/7.4.1"]),
    "FETCH dropped": (dropping(r"\* \d+ FETCH"), ["3.1.3"]),
    "FETCH too late": (too_late(r"\* \d+ FETCH"), ["3.1.3"]),
    "FETCH of the next": (shifting(r"(\* )(\d+)(?= FETCH)", 1), ["3.1.3"]),
    "FETCH told of an unchanged message": (
        damage(lambda raw: [raw, "* 1 FETCH (UID 1 FLAGS () MODSEQ (1))"] if "FETCH (UID 2" in raw else [raw]),
        ["3.1.4.1"],
    ),
    "FETCH without UID": (replacing(r"FETCH \(UID \d+ ", "FETCH ("), ["3.2.4"]),
    "FETCH with another UID": (shifting(r"(\* \d+ FETCH \(UID )(\d+)", 1), ["3.2.5.1"]),
    "FETCH with a flag less": (replacing(r"FLAGS \(\\Seen", "FLAGS ("), ["3.1.3", "3.1.4.2"]),
    "FETCH with a flag more": (replacing(r"FLAGS \(", r"FLAGS (\\Draft "), ["3.1.3", "3.1.4.2"]),
    "FETCH in another order": (delaying(r"\* 1 FETCH"), ["3.1.4.2", "control"]),
    "MODSEQ dropped": (replacing(r" ?MODSEQ \(\d+\)", ""), ["3.1", "3.2.4"]),
    "MODSEQ lowered": (shifting(MODSEQ, -1), ["3.1.3", "3.1.4.1"]),
    "MODSEQ inflated": (shifting(MODSEQ, 1000), ["3.1.2.1", "3.1.4.1"]),
    "MODSEQ always the same": (replacing(r"MODSEQ \(\d+\)", "MODSEQ (5)"), ["3.1"]),
    "MODSEQ without parentheses": (replacing(r"MODSEQ \((\d+)\)", r"MODSEQ \1"), ["7", "3.1.4.2"]),
    "MODSEQ under another name": (replacing(r"MODSEQ \(", "XMODSEQ ("), ["3.1.4.2"]),
    "MODSEQ of SEARCH dropped": (replacing(r" ?\(MODSEQ \d+\)| MODSEQ \d+$", ""), ["3.1.5"]),
    "MODSEQ of SEARCH lowered": (shifting(SEARCHED, -1), ["3.1.5"]),
    "MODSEQ of SEARCH inflated": (shifting(SEARCHED, 1), ["3.1.5"]),
    "MODSEQ of SEARCH in front": (
        replacing(r"\* SEARCH (.*) (\(MODSEQ \d+\))", r"* SEARCH \2 \1"), ["3.1.5", "3.1.6"],
    ),
    "MODSEQ of ESEARCH dropped": (replacing(r"(\* ESEARCH .*) MODSEQ \d+", r"\1"), ["3.1.10"]),
    "MODSEQ of ESEARCH lowered": (shifting(r"(\* ESEARCH .*MODSEQ )(\d+)", -1), ["rfc4731"]),
    "SEARCH shortened": (replacing(r"(\* SEARCH .*?)(\d+) (?=\()", r"\1"), ["3.1.5"]),
    "HIGHESTMODSEQ of SELECT dropped": (dropping(r"\* OK \[HIGHESTMODSEQ"), ["3.1.2", "3.1.2.1"]),
    "HIGHESTMODSEQ of EXPUNGE dropped": (replacing(r"^(\w+ OK) \[HIGHESTMODSEQ \d+\]", r"\1"), ["3.2.7"]),
    "HIGHESTMODSEQ lowered": (shifting(HIGHEST, -1), ["3.1.2", "3.1.2.1"]),
    "HIGHESTMODSEQ inflated": (shifting(HIGHEST, 1), ["3.1.2.1"]),
    "HIGHESTMODSEQ never lowered for a delayed VANISHED": (
        damage(lambda raw: [] if re.match(r"\* OK \[HIGHESTMODSEQ", raw) else
               [re.sub(r"^(c OK) \[HIGHESTMODSEQ \d+\]", r"\1", raw)]), ["3.2"],
    ),
    "HIGHESTMODSEQ as NOMODSEQ": (replacing(r"\[HIGHESTMODSEQ \d+\]", "[NOMODSEQ]"), ["3.1.2"]),
    "HIGHESTMODSEQ zero": (replacing(r"HIGHESTMODSEQ \d+", "HIGHESTMODSEQ 0"), ["3.1.2"]),
    "HIGHESTMODSEQ after CLOSE": (
        damage(lambda raw: raw.replace("a OK", "a OK [HIGHESTMODSEQ 99]") if raw.startswith("a OK Closed") else raw),
        ["3.2.8"],
    ),
    "HIGHESTMODSEQ of STATUS dropped": (replacing(r" ?HIGHESTMODSEQ \d+\)", ")"), ["3.1.7"]),
    "HIGHESTMODSEQ of STATUS lowered": (shifting(STATUS, -1), ["3.1.7"]),
    "HIGHESTMODSEQ of STATUS inflated": (shifting(STATUS, 1), ["3.1.7"]),
    "MODIFIED dropped": (replacing(r" \[MODIFIED [\d:,]+\]", ""), ["3.1.3"]),
    "MODIFIED shortened": (resetting(MODIFIED, shorter), ["3.1.3"]),
    "MODIFIED inflated": (resetting(MODIFIED, longer), ["3.1.3"]),
    "MODIFIED for everything": (replacing(r"^(\w+ OK) (?=Changed)", r"\1 [MODIFIED 1] "), ["3.1.3"]),
    "MODIFIED under another name": (replacing(r"\[MODIFIED", "[CHANGED"), ["3.1.3"]),
    "CLOSED dropped": (dropping(r"\* OK \[CLOSED\]"), ["3.2.11"]),
    "CLOSED after the new mailbox": (delaying(r"\* OK \[CLOSED\]"), ["3.2.11"]),
    "CLOSED at the first SELECT": (replacing(r"^(s|a) OK \[READ-WRITE\]", r"\1 OK [CLOSED]"), ["3.2.11"]),
    "CLOSED under another name": (replacing(r"\[CLOSED\]", "[SHUT]"), ["3.2.11"]),
    "ENABLED dropped": (dropping(r"\* ENABLED"), ["3.2.3"]),
    "ENABLED without QRESYNC": (replacing(r"\* ENABLED QRESYNC", "* ENABLED CONDSTORE"), ["3.2.3"]),
    "ENABLED inflated": (replacing(r"\* ENABLED.*", "* ENABLED QRESYNC X-NO-SUCH-EXTENSION"), ["rfc5161"]),
    "ENABLED as CAPABILITY": (replacing(r"\* ENABLED", "* CAPABILITY"), ["3.2.3"]),
    "BAD as OK": (replacing(r"^(\w+) BAD.*", r"\1 OK"), ["3.2.3"]),
    "EXISTS too high": (shifting(r"(\* )(\d+)(?= EXISTS)", 1), ["3.2.5"]),
    "UIDVALIDITY changed": (shifting(r"(\* OK \[UIDVALIDITY )(\d+)", 1), ["3.2.5"]),
    "CAPABILITY without ENABLE": (replacing(r"(\* CAPABILITY .*?) ENABLE", r"\1"), ["3.2.3"]),
}  # fmt: skip


def cases_of(sections):
    wanted = [each if each.startswith("rfc") else f"rfc7162/{each}" for each in sections]
    return [case for case in CASES if any(case.identity.startswith(f"{each}/") for each in wanted)] + [
        case
        for case in CASES
        if any(case.identity.startswith(f"{each}.") for each in wanted if each[:3] == "rfc")
    ]


def first_failure(server, facts, made_by, cases):
    """Run cases through a damage, set up without it, until a MUST fails."""
    target = made_by.target
    with Tampering(server.address, facts.damage) as proxy:
        mailboxes = _Aside(
            made_by, replace(target, host=proxy.address[0], port=proxy.address[1], seconds_max=2)
        )
        runner = Runner(mailboxes, facts.facts)
        try:
            for case in cases:
                outcome = runner.run_one(case)
                if kind_of(outcome) == "failed":
                    return outcome
        finally:
            mailboxes.drop()
    return None


class _Aside(Mailboxes):
    """Set-up on the honest server; the cases' own connections go through the proxy."""

    def __init__(self, honest, target):
        super().__init__(target, honest.prefix)
        self._honest = honest

    def connection(self):
        if self._connection is None:
            self._connection = self._honest.target.login()
        return self._connection


class _Facts:
    def __init__(self, facts, damage):
        self.facts = facts
        self.damage = damage


@pytest.mark.parametrize(
    "name", [name for name, (_, sections) in DAMAGES.items() if "control" not in sections]
)
def test_damage_is_noticed(name, server, facts, mailboxes):
    kind, sections = DAMAGES[name]
    cases = cases_of(sections)
    assert cases
    outcome = first_failure(server, _Facts(facts, kind), mailboxes, cases)
    assert outcome is not None, f"{len(cases)} cases passed"
    assert outcome.problem
    assert outcome.verdict is Verdict.FAILED


def test_what_is_no_damage_is_not_noticed(server, facts, mailboxes):
    """Untagged responses may come in any order; and the proxy itself disturbs nothing."""
    for kind in (Honest, DAMAGES["FETCH in another order"][0]):
        assert (
            first_failure(server, _Facts(facts, kind), mailboxes, cases_of(["3.1.4.2", "3.2.7", "3.2.11"]))
            is None
        )


# --- races and lost history -----------------------------------------------------------------------


@contextmanager
def through(server, made_by, kind):
    with Tampering(server.address, kind) as proxy:
        target = replace(made_by.target, host=proxy.address[0], port=proxy.address[1], seconds_max=2)
        aside = _Aside(made_by, target)
        try:
            yield aside
        finally:
            aside.drop()


@pytest.mark.parametrize(
    ("kind", "figure"),
    [
        (replacing(r" \[MODIFIED [\d:,]+\]", ""), "double winners"),
        (replacing(r"^(\w+ OK) (?=Changed)", r"\1 [MODIFIED 1:999] "), "nobody won"),
        (dropping(r"\* \d+ FETCH .*MODSEQ"), "nobody won"),
    ],
)
def test_a_race_with_a_wrong_end_is_noticed(kind, figure, server, facts, mailboxes):
    with through(server, mailboxes, kind) as aside:
        outcome = next(races(aside, facts, SIZES))
    assert outcome.figures[figure] > 0
    assert outcome.verdict is Verdict.FAILED
    if figure == "double winners":
        assert any("UNCHANGEDSINCE" in line.text for line in outcome.transcript)


@pytest.mark.parametrize(
    ("kind", "figure"),
    [
        (dropping(EARLIER), "expunges lost"),
        (resetting(EARLIER, shorter), "expunges lost"),
        (replacing(r"FLAGS \(", r"FLAGS (\\Draft "), "flags lost"),
        (resetting(EARLIER, lambda numbers: numbers | {1, 2, 3, 4, 5, 6}), "never told"),
    ],
)
def test_a_client_that_misses_something_is_noticed(kind, figure, server, facts, mailboxes):
    with through(server, mailboxes, kind) as aside:
        outcome = list(races(aside, facts, SIZES))[4]
    assert outcome.verdict is Verdict.FAILED, outcome.figures
    assert outcome.figures[figure] > 0


@pytest.mark.parametrize(
    ("kind", "figure"),
    [
        (dropping(EARLIER), "expunges not told"),
        (resetting(EARLIER, shorter), "expunges not told"),
        (resetting(EARLIER, lambda numbers: {1, *numbers}), "told though alive"),
        (dropping(r"\* \d+ FETCH .*UID 1[13579] "), "changes not told"),
    ],
)
def test_a_shortened_history_is_noticed(kind, figure, server, facts, mailboxes):
    with through(server, mailboxes, kind) as aside:
        outcomes = list(histories(aside, facts, SIZES))
    assert any(each.verdict is Verdict.FAILED and each.figures[figure] > 0 for each in outcomes)
