"""RFC 7162 section 3.1.7: the status item HIGHESTMODSEQ."""


def test_3_1_7_example_17(talk, fill):
    """Example 17. Changed: numbers, and the items in the order of the command."""
    talk.run("C: a CREATE blurdybloop\nS: a OK")
    fill(3, "blurdybloop")
    talk.run("""
        C: A042 STATUS blurdybloop (UIDNEXT MESSAGES HIGHESTMODSEQ)
        S: * STATUS blurdybloop (UIDNEXT 4 MESSAGES 3 HIGHESTMODSEQ 2)
        S: A042 OK
    """)


def test_3_1_7_the_same_value_as_the_response_code(talk, fill):
    """This is the same value that is returned by the server in the HIGHESTMODSEQ response code."""
    fill(3)
    talk.run(r"""
        C: a SELECT INBOX
        S: * OK [HIGHESTMODSEQ $m]
        S: a OK
        C2: b STATUS INBOX (HIGHESTMODSEQ)
        S2: * STATUS INBOX (HIGHESTMODSEQ $m)
        S2: b OK
        C: c UID STORE 2 +FLAGS.SILENT (\Deleted)
        S: c OK
        C: d EXPUNGE
        S: d OK
        C: e SELECT INBOX
        S: * OK [HIGHESTMODSEQ $n]
        S: e OK
        C2: f STATUS INBOX (HIGHESTMODSEQ)
        S2: * STATUS INBOX (HIGHESTMODSEQ $n)
        S2: f OK
    """)
    assert int(talk.captures["n"]) == int(talk.captures["m"]) + 2


def test_3_1_7_of_the_selected_mailbox_only_what_was_told(talk, fill):
    """A client may store the value: everything up to it is told first."""
    fill(2)
    talk.run(r"""
        C: a SELECT INBOX (CONDSTORE)
        S: a OK
        C2: a SELECT INBOX
        S2: a OK
        C2: b STORE 1 +FLAGS.SILENT (\Seen)
        S2: b OK
        C: c STATUS INBOX (HIGHESTMODSEQ)
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (3))
        S>: * STATUS INBOX (HIGHESTMODSEQ 3)
        S: c OK
        C2: d STORE 2 +FLAGS.SILENT (\Seen)
        S2: d OK
        C: e LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))
        S: * 2 FETCH (UID 2 FLAGS (\Seen) MODSEQ (4))
        S>: * STATUS INBOX (HIGHESTMODSEQ 4)
        S: e OK
    """)
