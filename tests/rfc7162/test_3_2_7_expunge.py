"""RFC 7162 sections 3.2.7 to 3.2.9: EXPUNGE, CLOSE and UID EXPUNGE."""

import pytest


@pytest.fixture
def eleven(talk, fill):
    """The mailbox of section 3.2.10.2: eleven messages, numbers 3, 4, 7 and 11 marked as deleted."""
    fill(11)
    talk.run(r"""
        C2: a SELECT INBOX
        S2: a OK
        C2: b STORE 3:4,7,11 +FLAGS.SILENT (\Deleted)
        S2: b OK
    """)


def test_3_2_7_example_expunge(talk, eleven):
    """First example. Changed: CONDSTORE is not enabled, so nothing is said of mod-sequences (it is optional)."""
    talk.run("""
        C: s SELECT INBOX
        S: s OK
        C: A202 EXPUNGE
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: * 5 EXPUNGE
        S: * 8 EXPUNGE
        S: A202 OK Expunged
    """)
    assert talk.came[:-1] == ["* 3 EXPUNGE", "* 3 EXPUNGE", "* 5 EXPUNGE", "* 8 EXPUNGE"]


def test_3_2_7_example_vanished(talk, eleven):
    """MUST send the updated per-mailbox modification sequence using the HIGHESTMODSEQ response code in the
    tagged OK response. Second example."""
    talk.run("""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C: B202 EXPUNGE
        S: * VANISHED 3:4,7,11
        S: B202 OK [HIGHESTMODSEQ 4]
        C: B203 EXPUNGE
        !S: * VANISHED ...
        S: B203 OK Expunged
    """)


def test_3_2_7_the_number_comes_also_if_the_session_never_saw_the_message(talk, eleven):
    """If at least one message got expunged: even where there is no VANISHED for it, because another session's
    message came and was marked after this one was last told."""
    talk.run(
        r"""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C: a EXPUNGE
        S: a OK [HIGHESTMODSEQ 4]
        C2: b APPEND INBOX (\Deleted) {{m}}
        S2: b OK
        C: c UID EXPUNGE 12
        !S: * VANISHED ...
        !S: * ... EXISTS
        S: c OK [HIGHESTMODSEQ 6]
    """,
        m=b"Subject: x\r\n\r\nx\r\n",
    )


def test_3_2_7_the_number_covers_all_that_was_told(talk, eleven):
    """Changes of others from before the expunge are told in the same reply."""
    talk.run(r"""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C2: a STORE 1 +FLAGS.SILENT (\Seen)
        S2: a OK
        C: b EXPUNGE
        S: * VANISHED 3:4,7,11
        S>: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (4))
        S: b OK [HIGHESTMODSEQ 5]
    """)


@pytest.mark.parametrize("command", ["EXPUNGE", "UID EXPUNGE 3", "MOVE 1 Other"])
def test_3_2_7_no_in_a_read_only_mailbox(talk, eleven, command):
    """NO - expunge failure: can't expunge (e.g., permission denied)."""
    talk.run(f"""
        C: c CREATE Other
        S: c OK
        C: s EXAMINE INBOX
        S: s OK
        C: a {command}
        S: a NO [READ-ONLY]
        C: b CLOSE
        S: b OK
        C: d STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 11)
        S: d OK
    """)


@pytest.mark.parametrize("enable", ["ENABLE QRESYNC", "ENABLE CONDSTORE", "NOOP"])
def test_3_2_8_close(talk, eleven, enable):
    """No untagged EXPUNGE (or VANISHED) responses are sent. The server MUST NOT send the updated per-mailbox
    modification sequence using the HIGHESTMODSEQ response code in the tagged OK response."""
    talk.run(rf"""
        C: q {enable}
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C2: x STORE 1 +FLAGS.SILENT (\Seen)
        S2: x OK
        C: A202 CLOSE
        !S: * ...
        S: A202 OK Closed
        C: b STATUS INBOX (MESSAGES HIGHESTMODSEQ)
        S: * STATUS INBOX (MESSAGES 7 HIGHESTMODSEQ 5)
        S: b OK
    """)


def test_3_2_8_unselect_removes_nothing(talk, eleven):
    """RFC 3691: like CLOSE without the expunge."""
    talk.run("""
        C: s SELECT INBOX
        S: s OK
        C: a UNSELECT
        !S: * ...
        S: a OK
        C: b STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 11)
        S: b OK
        C: c EXPUNGE
        S: c BAD
    """)


def test_3_2_9_example_uid_expunge(talk, fill):
    """The example: without QRESYNC the server is still using untagged EXPUNGE responses."""
    fill(6, flags="\\Deleted")
    talk.run("""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C: . UID EXPUNGE 3:5
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: . OK [HIGHESTMODSEQ 3]
    """)
    assert talk.came[:-1] == ["* 3 EXPUNGE"] * 3


def test_3_2_9_only_with_the_flag_and_in_the_set(talk, eleven):
    r"""If a message either does not have the \Deleted flag set or has a UID that is not included in the
    specified message set, it is not affected."""
    talk.run("""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C: a UID EXPUNGE 1:3,9:20
        S: * VANISHED 3,11
        S: a OK [HIGHESTMODSEQ 4]
        C: b UID EXPUNGE 1:2,99
        !S: * VANISHED ...
        S: b OK Expunged
        C: c UID EXPUNGE 4:*
        S: * VANISHED 4,7
        S: c OK [HIGHESTMODSEQ 5]
    """)
