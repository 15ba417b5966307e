"""RFC 7162 section 3.1.4: FETCH with CHANGEDSINCE, the item MODSEQ, and what other sessions see."""

import pytest


def test_3_1_4_1_example_12(talk, fill):
    """Example 12: information is only returned for messages that have a mod-sequence bigger than
    <mod-sequence>, and CHANGEDSINCE implicitly adds MODSEQ. Changed: the order of items; small numbers."""
    fill(8)
    talk.run(r"""
        C: s SELECT INBOX
        S: s OK
        C: x UID STORE 1:3,5,8 +FLAGS.SILENT (\Deleted)
        S: x OK
        C: y UID EXPUNGE 1:3,5
        S: y OK
        C: z UID STORE 4 +FLAGS.SILENT (\Seen)
        S: z OK
        C: z UID STORE 8 FLAGS.SILENT ($NoJunk $AutoJunk $MDNSent)
        S: z OK
        C: z UID STORE 6 +FLAGS.SILENT (\Deleted)
        S: z OK
        C: s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4)
        S: * 1 FETCH (UID 4 FLAGS (\Seen) MODSEQ (5))
        S: * 2 FETCH (UID 6 FLAGS (\Deleted) MODSEQ (7))
        S: * 4 FETCH (UID 8 FLAGS ($NoJunk $AutoJunk $MDNSent) MODSEQ (6))
        !S: * 3 FETCH ...
        S: s100 OK
        C: s101 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 6)
        S: * 2 FETCH (UID 6 FLAGS (\Deleted) MODSEQ (7))
        !S: * 4 FETCH ...
        S: s101 OK
        C: s102 FETCH 1:* (UID) (CHANGEDSINCE 7)
        !S: * ... FETCH ...
        S: s102 OK
    """)


def test_3_1_4_1_by_sequence_number(talk, fill):
    """FETCH as well as UID FETCH; what was asked and MODSEQ, nothing else."""
    fill(3)
    talk.run(r"""
        C: s SELECT INBOX
        S: s OK
        C: x STORE 2 +FLAGS.SILENT (\Seen)
        S: x OK
        C: a FETCH 1:3 (FLAGS) (CHANGEDSINCE 2)
        S: * 2 FETCH (FLAGS (\Seen) MODSEQ (3))
        !S: * 1 FETCH ...
        !S: * 3 FETCH ...
        S: a OK
    """)


def test_3_1_4_1_changedsince_0_means_everything(talk, fill):
    """The grammar says 1 at least; Thunderbird sends 0."""
    fill(2)
    talk.run("""
        C: s SELECT INBOX
        S: s OK
        C: a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)
        S: * 1 FETCH (UID 1 FLAGS () MODSEQ (2))
        S: * 2 FETCH (UID 2 FLAGS () MODSEQ (2))
        S: a OK
    """)


@pytest.mark.parametrize(
    "modifiers",
    [
        "(CHANGEDSINCE)",
        "(CHANGEDSINCE 1 CHANGEDSINCE 1)",
        "(CHANGEDSINCE 9223372036854775808)",
        "(CHANGEDSINCE 99999999999999999999)",
        "(CHANGEDSINCE -1)",
        "(CHANGEDSINCE x)",
        "CHANGEDSINCE 1",
        "()",
        "(X-UNKNOWN)",
    ],
)
def test_3_1_4_1_bad_modifiers(talk, fill, modifiers):
    """Section 7: a mod-sequence has 63 bits; RFC 4466 section 2.4: a modifier stands once, in parentheses."""
    fill(1)
    talk.run(f"""
        C: s SELECT INBOX
        S: s OK
        C: a FETCH 1 (FLAGS) {modifiers}
        S: a BAD
        C: b UID FETCH 1 (FLAGS) {modifiers}
        S: b BAD
        C: c FETCH 1 (FLAGS) (CHANGEDSINCE 9223372036854775807)
        S: c OK
    """)


def test_3_1_4_2_example_13(talk, fill):
    """Example 13: the MODSEQ message data item causes the server to return MODSEQ FETCH response data items."""
    fill(3)
    talk.run(r"""
        C: s SELECT INBOX
        S: s OK
        C: x STORE 1 +FLAGS.SILENT (\Seen)
        S: x OK
        C: a FETCH 1:3 (MODSEQ)
        S: * 1 FETCH (MODSEQ (3))
        S: * 2 FETCH (MODSEQ (2))
        S: * 3 FETCH (MODSEQ (2))
        S: a OK
        C: b FETCH 1 MODSEQ
        S: * 1 FETCH (MODSEQ (3))
        S: b OK
    """)


def test_3_1_4_2_example_14_other_sessions(talk, fill):
    r"""Example 14, sessions 1 and 2 (those of one user).

    Changed: session 2 sends a CONDSTORE enabling command, and UID stands in every FETCH, as the text before
    the example demands of a server with QRESYNC. Private flags of other users are another story.
    """
    fill(7, flags="\\Answered")
    talk.run(r"""
        C: A142 SELECT INBOX (CONDSTORE)
        S: A142 OK
        C2: C142 SELECT INBOX (CONDSTORE)
        S2: C142 OK
        C: A160 STORE 7 +FLAGS.SILENT (\Deleted)
        S: * 7 FETCH (UID 7 MODSEQ ($m))
        S: A160 OK
        C2: C180 NOOP
        S2: * 7 FETCH (UID 7 FLAGS (\Answered \Deleted) MODSEQ ($m))
        S2: C180 OK
        C: A240 STORE 7 +FLAGS.SILENT (\Seen)
        S: * 7 FETCH (UID 7 MODSEQ ($n))
        S: A240 OK
        C2: C270 NOOP
        S2: * 7 FETCH (UID 7 FLAGS (\Answered \Deleted \Seen) MODSEQ ($n))
        S2: C270 OK
        C: A330 STORE 7 -FLAGS.SILENT (\Answered \Seen)
        S: * 7 FETCH (UID 7 MODSEQ ($o))
        S: A330 OK
        C2: C360 NOOP
        S2: * 7 FETCH (UID 7 FLAGS (\Deleted) MODSEQ ($o))
        S2: C360 OK
        C2: C390 NOOP
        !S2: * 7 FETCH ...
        S2: C390 OK
    """)


def test_3_1_4_2_changes_are_told_to_idle_sessions_too(talk, fill):
    """Once the client has specified the MODSEQ item, the server includes it in all unsolicited FETCH responses."""
    fill(1)
    talk.run(r"""
        C: s SELECT INBOX
        S: s OK
        C: a FETCH 1 (MODSEQ)
        S: a OK
        C: b IDLE
        S: +
        C2: s SELECT INBOX
        S2: s OK
        C2: c STORE 1 +FLAGS.SILENT (\Seen)
        S2: c OK
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (3))
        C: DONE
        S: b OK
    """)
