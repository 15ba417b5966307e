"""The laws that are watched throughout: each is broken once, and a good conversation breaks none."""

import pytest

from modseq.check import laws
from modseq.check.connection import Line
from modseq.check.report import kind_of

OPENED = """
C: q ENABLE QRESYNC
S: * ENABLED QRESYNC
S: q OK
C: s SELECT box
S: * OK [CLOSED] before
S: * 3 EXISTS
S: * OK [HIGHESTMODSEQ 5] here
S: s OK
"""


def lines(text):
    for line in filter(str.strip, text.splitlines()):
        who, _, said = line.strip().partition(": ")
        yield Line(int(who[1:] or 1), who[0], said)


def broken(text, lacking=lambda _: None):
    watch = laws.Watch()
    watch.hear("rfc7162/x/y", list(lines(text)))
    outcomes = list(watch.outcomes(lacking))
    assert len(outcomes) == len(laws.LAWS)
    return {each.case.title: each for each in outcomes if kind_of(each) == "failed"}


def test_a_good_conversation_breaks_none():
    assert not broken(
        OPENED
        + """
        C: a NOOP
        S: * 5 EXISTS
        S: * VANISHED 1,7
        S: * 1 FETCH (UID 2 FLAGS () MODSEQ (6))
        S: a OK [HIGHESTMODSEQ 7] done
        C: b UID FETCH 1:9 (FLAGS) (CHANGEDSINCE 1 VANISHED)
        S: * VANISHED (EARLIER) 1,7,8
        S: * 1 FETCH (UID 2 FLAGS () MODSEQ (6))
        S: b OK
        C: i IDLE
        S: + idling
        S: * VANISHED 2
        C: DONE
        S: i OK
        C: c FETCH 1 (MODSEQ)
        C: d NOOP
        S: * 1 FETCH (MODSEQ (9))
        S: * VANISHED 3
        S: c OK
        S: d OK
        C: e SELECT other
        S: * OK [CLOSED] before
        S: * 0 EXISTS
        S: * OK [NOMODSEQ] none
        S: e OK
        C: f CLOSE
        S: f OK
        C: g SELECT none
        S: g NO
        C2: a SELECT box
        S2: * 9 EXISTS
        S2: a OK
        C2: b EXPUNGE
        S2: * 9 EXPUNGE
        S2: b OK
        """
    )


@pytest.mark.parametrize(
    ("store", "told", "reply"),
    [
        ("+FLAGS.SILENT", "* 1 FETCH (UID 2 MODSEQ (8))\nS: * OK [HIGHESTMODSEQ 7]", "OK [MODIFIED 3]"),
        ("+FLAGS.SILENT", "* 1 FETCH (UID 2 MODSEQ (8))", "OK [HIGHESTMODSEQ 8]"),
        ("+FLAGS.SILENT", "* OK [HIGHESTMODSEQ 8]\nS: * 1 FETCH (UID 2 MODSEQ (8))", "OK [MODIFIED 3]"),
        (
            "+FLAGS.SILENT",
            "* 1 FETCH (UID 2 FLAGS (x) MODSEQ (8))\nS: * OK [HIGHESTMODSEQ 8]",
            "OK [MODIFIED 3]",
        ),
        ("+FLAGS", "* 1 FETCH (UID 2 MODSEQ (8))\nS: * OK [HIGHESTMODSEQ 8]", "OK [MODIFIED 3]"),
    ],
)
def test_a_number_that_covers_nothing_silent_is_good(store, told, reply):
    said = f"C: a STORE 1:3 (UNCHANGEDSINCE 5) {store} (x)\nS: {told}\nS: a {reply}\nC: b NOOP\n"
    assert not broken(OPENED + said + "S: * OK [HIGHESTMODSEQ 9]\nS: b OK")


@pytest.mark.parametrize(
    ("law", "text"),
    [
        (laws.NO_EXPUNGE, OPENED + "C: a NOOP\nS: * 1 EXPUNGE\nS: a OK"),
        (laws.NO_VANISHED, "C: s SELECT box\nS: * 3 EXISTS\nS: s OK\nC: a NOOP\nS: * VANISHED 2\nS: a OK"),
        (laws.NO_VANISHED, "C: s SELECT box\nS: * 3 EXISTS\nS: * VANISHED (EARLIER) 2\nS: s OK"),
        (laws.WITHHELD, OPENED + "C: a FETCH 1 (FLAGS)\nS: * VANISHED 2\nS: a OK"),
        (laws.WITHHELD, OPENED + "C: a STORE 1 FLAGS ()\nC: b SEARCH ALL\nS: * VANISHED 2\nS: a OK\nS: b OK"),
        (laws.WITHHELD, OPENED + "S: * VANISHED 2"),
        (
            laws.WITHHELD,
            "C: s SELECT box\nS: * 3 EXISTS\nS: s OK\nC: a FETCH 1 (UID)\nS: * 1 EXPUNGE\nS: a OK",
        ),
        (laws.COUNTS, OPENED + "C: a NOOP\nS: * VANISHED 1:4\nS: a OK"),
        (laws.COUNTS, OPENED + "C: a NOOP\nS: * 2 EXISTS\nS: a OK"),
        (laws.COUNTS, OPENED + "C: a NOOP\nS: * 4 FETCH (UID 9 FLAGS () MODSEQ (6))\nS: a OK"),
        (laws.POSITIVE, OPENED + "C: a FETCH 1 (MODSEQ)\nS: * 1 FETCH (MODSEQ (0))\nS: a OK"),
        (
            laws.POSITIVE,
            OPENED + "C: a FETCH 1 (MODSEQ)\nS: * 1 FETCH (MODSEQ (9223372036854775808))\nS: a OK",
        ),
        (laws.POSITIVE, "C: s SELECT box (CONDSTORE)\nS: * 3 EXISTS\nS: * OK [HIGHESTMODSEQ 0]\nS: s OK"),
        (
            laws.RISING,
            OPENED + "C: a NOOP\nS: * 1 FETCH (UID 2 MODSEQ (8))\nS: * 1 FETCH (UID 2 MODSEQ (7))\nS: a OK",
        ),
        (laws.LISTED, OPENED + "C: a NOOP\nS: * VANISHED\nS: a OK"),
        (laws.LISTED, OPENED + "C: a NOOP\nS: * VANISHED 2:*\nS: a OK"),
        (
            laws.COVERED,
            OPENED
            + "C: a STORE 1:3 (UNCHANGEDSINCE 5) +FLAGS.SILENT (x)\nS: * 1 FETCH (UID 2 MODSEQ (8))\n"
            + "S: * OK [HIGHESTMODSEQ 8]\nS: a OK [MODIFIED 3]",
        ),
        (laws.ANNOUNCED, "C: s SELECT box (CONDSTORE)\nS: * 3 EXISTS\nS: s OK"),
        (laws.ANNOUNCED, OPENED + "C: a SELECT other\nS: * 0 EXISTS\nS: a OK"),
    ],
)
def test_each_law_is_held(law, text):
    found = broken(text)
    assert set(found) == {law.name}
    outcome = found[law.name]
    assert outcome.figures["breaches"] == 1
    assert "rfc7162/x/y" in outcome.problem
    assert outcome.transcript
    assert outcome.case.section == "throughout"


def test_a_law_needs_its_capability():
    assert not broken(OPENED + "C: a NOOP\nS: * 1 EXPUNGE\nS: a OK", lambda law: law.needs)


def test_connections_have_their_own_state():
    assert not broken(
        OPENED + "C2: s SELECT box\nS2: * 1 EXISTS\nS2: s OK\nC: a NOOP\nS: * 3 FETCH (UID 3)\nS: a OK"
    )
