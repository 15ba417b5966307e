"""The client that the races resynchronise does what section 6 says, and notices what no server may say."""

import pytest

from modseq.check.replica import Replica
from modseq.check.response import read_response


def after(*lines, known=(), mod_seq=5, unsolicited=True):
    replica = Replica(None, "box")
    replica.mod_seq = mod_seq
    replica.flags = {uid: frozenset() for uid in known}
    replica._exists = len(replica.flags)
    replica._take([read_response(line) for line in lines], is_unsolicited=unsolicited)
    return replica


@pytest.mark.parametrize(
    ("lines", "mod_seq"),
    [
        # "If the HIGHESTMODSEQ response code is received, the client MUST use it even if it has seen higher"
        (["* 1 FETCH (UID 1 FLAGS () MODSEQ (9))", "* OK [HIGHESTMODSEQ 7] wait", "a OK"], 7),
        (["* 1 FETCH (UID 1 FLAGS () MODSEQ (9))", "a OK [HIGHESTMODSEQ 4] wait"], 4),
        (["* 1 FETCH (UID 1 FLAGS () MODSEQ (9))", "* 2 FETCH (UID 2 FLAGS () MODSEQ (8))", "a OK"], 9),
        (["* 1 FETCH (UID 1 FLAGS () MODSEQ (3))", "a OK"], 5),
        (["a OK"], 5),
    ],
)
def test_the_number_that_a_client_stores(lines, mod_seq):
    assert after(*lines).mod_seq == mod_seq


def test_what_the_client_asked_for_raises_nothing():
    assert after("* 1 FETCH (UID 1 FLAGS () MODSEQ (9))", "a OK", unsolicited=False).mod_seq == 5


def test_changes_are_applied():
    replica = after(
        "* VANISHED (EARLIER) 1,7", "* VANISHED 2", "* 1 FETCH (UID 3 FLAGS (\\Seen \\Recent) MODSEQ (6))", "a OK",
        known=[1, 2, 3],
    )  # fmt: skip
    assert replica.flags == {3: {"\\SEEN"}}
    assert replica.wrong == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("* VANISHED 4:9", "never announced"),
        ("* VANISHED 1:*", "not a set of UIDs"),
        ("* 1 FETCH (FLAGS () MODSEQ (6))", "a FETCH without UID"),
        ("* 1 FETCH (UID 1 MODSEQ (6))", "a change without its flags"),
    ],
)
def test_what_no_server_may_say(line, problem):
    (wrong,) = after(line, "a OK", known=[1, 2]).wrong
    assert problem in wrong
