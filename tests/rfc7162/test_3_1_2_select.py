"""RFC 7162 sections 3.1.2 and 3.1.8: what SELECT and EXAMINE say, and the CONDSTORE parameter."""

import pytest


@pytest.mark.parametrize("command", ["SELECT", "EXAMINE"])
def test_3_1_2_highestmodseq_comes_with_every_select(talk, fill, command):
    """One of these two response codes MUST be returned in an OK untagged response for any successful
    SELECT/EXAMINE command issued after a CONDSTORE enabling command."""
    fill(1)
    talk.run(f"""
        C: a ENABLE CONDSTORE
        S: a OK
        C: b {command} INBOX
        S: * OK [HIGHESTMODSEQ 2]
        !S: * OK [NOMODSEQ]
        S: b OK
        C: c {command} INBOX
        S: * OK [HIGHESTMODSEQ 2]
        S: c OK
    """)


@pytest.mark.parametrize("command", ["SELECT", "EXAMINE"])
def test_3_1_2_highestmodseq_comes_also_before_any_enabling_command(talk, fill, command):
    """The server MUST send an OK untagged response, including the HIGHESTMODSEQ response code."""
    fill(1)
    talk.run(f"C: a {command} INBOX\nS: * OK [HIGHESTMODSEQ 2]\nS: a OK")


def test_3_1_2_1_example_1(talk, fill):
    """Example 1. Changed: the numbers are small, MAILBOXID is sent too."""
    fill(3, flags="\\Seen")
    fill(2)
    talk.run(
        r"""
        C: a1 APPEND INBOX {{m}}
        S: a1 OK
        C: A142 SELECT INBOX
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S>: * 6 EXISTS
        S>: * 1 RECENT
        S>: * OK [UNSEEN 4]
        S>: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)]
        S>: * OK [UIDNEXT 7]
        S>: * OK [UIDVALIDITY $v]
        S>: * OK [HIGHESTMODSEQ 4]
        S: A142 OK [READ-WRITE]
    """,
        m=b"Subject: x\r\n\r\nx\r\n",
    )


def test_3_1_2_1_an_empty_mailbox_starts_at_1(talk):
    """mod-sequence-value is a positive integer: never 0, not even where there never was a message."""
    talk.run("""
        C: a CREATE Empty
        S: a OK
        C: b SELECT Empty (CONDSTORE)
        S: * 0 EXISTS
        S: * OK [HIGHESTMODSEQ 1]
        S: b OK
        C: c STATUS Empty (HIGHESTMODSEQ)
        S: * STATUS Empty (HIGHESTMODSEQ 1)
        S: c OK
    """)


def test_3_1_2_1_it_is_the_highest_number_of_all_messages(talk, fill):
    """<mod-sequence-value> is the highest mod-sequence value of all messages in the mailbox."""
    fill(3)
    talk.run(r"""
        C: a SELECT INBOX (CONDSTORE)
        S: a OK
        C: b STORE 2 +FLAGS.SILENT (\Seen)
        S: * 2 FETCH (UID 2 MODSEQ ($m))
        S: b OK
        C: c SELECT INBOX
        S: * OK [HIGHESTMODSEQ $m]
        S: c OK
    """)


def test_3_1_2_1_a_mailbox_made_anew_has_another_uidvalidity(talk, fill):
    """When the server changes UIDVALIDITY, it doesn't have to keep the same HIGHESTMODSEQ."""
    talk.run("""
        C: a CREATE Box
        S: a OK
        C: b SELECT Box
        S: * OK [UIDVALIDITY $old]
        S: b OK
        C: c CLOSE
        S: c OK
        C: d DELETE Box
        S: d OK
        C: e CREATE Box
        S: e OK
        C: f SELECT Box
        S: * OK [UIDVALIDITY $new]
        S: * OK [HIGHESTMODSEQ 1]
        S: f OK
    """)
    assert int(talk.captures["new"]) > int(talk.captures["old"])


def test_3_1_8_example_18(talk, fill):
    """Example 18: SELECT INBOX (CONDSTORE). Changed: no announcement apart from the one of SELECT itself."""
    fill(2)
    talk.run("""
        C: A142 SELECT INBOX (CONDSTORE)
        S: * 2 EXISTS
        S: * OK [HIGHESTMODSEQ 2]
        S: A142 OK [READ-WRITE]
    """)
    assert sum("HIGHESTMODSEQ" in line for line in talk.came) == 1


@pytest.mark.parametrize("command", ["SELECT", "EXAMINE"])
def test_3_1_8_no_change_is_missed_after_the_parameter(talk, fill, command):
    """MUST include the MODSEQ FETCH response data items in all subsequent unsolicited FETCH responses."""
    fill(1)
    talk.run(rf"""
        C: a {command} INBOX (CONDSTORE)
        S: a OK
        C2: b SELECT INBOX
        S2: b OK
        C2: c STORE 1 +FLAGS.SILENT (\Answered)
        S2: c OK
        C: c NOOP
        S: * 1 FETCH (UID 1 FLAGS (\Answered) MODSEQ (3))
        S: c OK
    """)


def test_3_1_8_no_announcement_for_the_mailbox_that_is_left(talk, fill):
    """The first enabling command announces the selected mailbox's number; this one is being closed."""
    fill(1)
    talk.run("""
        C: a CREATE Other
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C: c SELECT Other (CONDSTORE)
        S: * OK [CLOSED]
        S>: * OK [HIGHESTMODSEQ 1]
        !S: * OK [HIGHESTMODSEQ 2]
        S: c OK
    """)


@pytest.mark.parametrize(
    "parameters", ["()", "(CONDSTORE CONDSTORE)", "(condstore", "CONDSTORE", "(X-UNKNOWN)", "(CONDSTORE  )"]
)
def test_3_1_8_bad_parameters_leave_the_selected_mailbox_alone(talk, fill, parameters):
    """RFC 4466 section 2.4: unknown or repeated parameters are BAD; nothing happens."""
    fill(1)
    talk.run(f"""
        C: a SELECT INBOX
        S: a OK
        C: b SELECT INBOX {parameters}
        !S: * OK [CLOSED]
        S: b BAD
        C: c STORE 1 +FLAGS ($X)
        S: * 1 FETCH (FLAGS ($X))
        S: c OK
    """)
