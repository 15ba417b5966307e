"""RFC 7162 section 3.2.6: UID FETCH with VANISHED."""

import pytest


@pytest.fixture
def changed(talk, fill):
    """UIDs 1 to 12 came with 2; 3, 5 and 11 are gone with 4; 4, 6 and 8 changed with 5, 6 and 7."""
    fill(12)
    talk.run(r"""
        C2: a SELECT INBOX
        S2: a OK
        C2: b UID STORE 3,5,11 +FLAGS.SILENT (\Deleted)
        S2: b OK
        C2: c EXPUNGE
        S2: c OK
        C2: d UID STORE 4 +FLAGS.SILENT (\Seen)
        S2: d OK
        C2: d UID STORE 6 +FLAGS.SILENT (\Deleted)
        S2: d OK
        C2: d UID STORE 8 +FLAGS.SILENT ($NoJunk $AutoJunk $MDNSent)
        S2: d OK
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
    """)


def test_3_2_6_not_with_fetch(talk, changed):
    """The server MUST return a tagged BAD response if this is specified as a modifier to the FETCH command."""
    talk.run("C: a FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\nS: a BAD")


@pytest.mark.parametrize("modifiers", ["(VANISHED)", "(VANISHED VANISHED CHANGEDSINCE 1)"])
def test_3_2_6_only_with_changedsince(talk, changed, modifiers):
    """If VANISHED is used without CHANGEDSINCE, the server MUST respond with a tagged BAD response."""
    talk.run(f"C: a UID FETCH 1:* (FLAGS) {modifiers}\nS: a BAD")


def test_3_2_6_bad_without_enable_qresync(talk, fill):
    """A server MUST respond with a tagged BAD response if the client hasn't issued "ENABLE QRESYNC"."""
    fill(1)
    talk.run("""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C: a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)
        S: a BAD
    """)


def test_3_2_6_example_1_without_the_modifier(talk, changed):
    """Example 1, two commands. Changed: smaller numbers."""
    talk.run(r"""
        C: s100 UID FETCH 3:12 (FLAGS) (CHANGEDSINCE 2)
        S: * 3 FETCH (UID 4 FLAGS (\Seen) MODSEQ (5))
        S: * 4 FETCH (UID 6 FLAGS (\Deleted) MODSEQ (6))
        S: * 6 FETCH (UID 8 FLAGS ($NoJunk $AutoJunk $MDNSent) MODSEQ (7))
        !S: * VANISHED ...
        S: s100 OK
        C: s101 UID SEARCH UID 3:12
        S: * SEARCH 4 6 7 8 9 10 12
        S: s101 OK
    """)


@pytest.mark.parametrize(
    "modifiers", ["CHANGEDSINCE 2 VANISHED", "VANISHED CHANGEDSINCE 2", "vanished changedsince 2"]
)
def test_3_2_6_example_with_the_modifier(talk, changed, modifiers):
    """Any VANISHED (EARLIER) responses MUST be returned before any FETCH responses. One command instead of
    two; modifiers stand in any order and case."""
    talk.run(rf"""
        C: s100 UID FETCH 3:12 (FLAGS) ({modifiers})
        S: * VANISHED (EARLIER) 3,5,11
        S>: * 3 FETCH (UID 4 FLAGS (\Seen) MODSEQ (5))
        S: * 4 FETCH (UID 6 FLAGS (\Deleted) MODSEQ (6))
        S: * 6 FETCH (UID 8 FLAGS ($NoJunk $AutoJunk $MDNSent) MODSEQ (7))
        S: s100 OK
    """)
    assert talk.came[0].startswith("* VANISHED")


@pytest.mark.parametrize(
    ("uids", "mod_seq", "vanished"),
    [
        ("1:4", 2, "3"),
        ("5:10", 3, "5"),
        ("1:12", 4, ""),
        ("1,2,4", 1, ""),
        ("3", 1, "3"),
        ("1:4000000000", 0, "3,5,11"),
    ],
)
def test_3_2_6_of_the_set_and_since_then(talk, changed, uids, mod_seq, vanished):
    """Report those messages from the UID set parameter that have been expunged and whose associated
    mod-sequence is larger than the specified mod-sequence."""
    talk.run(f"C: a UID FETCH {uids} (UID) (CHANGEDSINCE {mod_seq} VANISHED)\nS: a OK")
    gone = [line for line in talk.came if "VANISHED" in line]
    assert gone == ([f"* VANISHED (EARLIER) {vanished}"] if vanished else [])


def test_3_2_6_star_is_the_highest_uid_ever_given(talk, changed):
    """In a request for VANISHED "*" means UIDNEXT-1: the last message may be the one that is gone."""
    talk.run(r"""
        C2: a UID STORE 12 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b UID EXPUNGE 12
        S2: b OK
        C: c NOOP
        S: * VANISHED 12
        S: c OK
        C: d UID FETCH 9:* (FLAGS) (CHANGEDSINCE 2 VANISHED)
        S: * VANISHED (EARLIER) 11:12
        S: d OK
    """)


def test_3_2_6_what_the_session_still_counts_comes_as_plain_vanished(talk, changed):
    """Section 3.2.10: the form without EARLIER takes a message off the client's count; only EARLIER would not."""
    talk.run(r"""
        C2: a UID STORE 7 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b UID EXPUNGE 7
        S2: b OK
        C: c UID FETCH 1:* (UID) (CHANGEDSINCE 7 VANISHED)
        S: * VANISHED 7
        S: c OK
        C: d UID FETCH 1:* (UID) (CHANGEDSINCE 7 VANISHED)
        S: * VANISHED (EARLIER) 7
        S: d OK
    """)


def test_3_2_6_below_what_is_remembered_everything_is_reported(talk, changed, forget_expunges):
    """A server that receives a mod-sequence smaller than <minmodseq> MUST behave as if it was requested to
    report all expunged messages from the provided UID set parameter."""
    forget_expunges("INBOX", 4)
    talk.run(r"""
        C: a UID FETCH 2:12 (FLAGS) (CHANGEDSINCE 3 VANISHED)
        S: * VANISHED (EARLIER) 3,5,11
        S>: * 3 FETCH (UID 4 FLAGS (\Seen) MODSEQ (5))
        S: a OK
        C: b UID FETCH 2:12 (FLAGS) (CHANGEDSINCE 4 VANISHED)
        !S: * VANISHED ...
        S: b OK
    """)
