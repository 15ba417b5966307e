r"""RFC 7162 section 3.1.3: STORE with UNCHANGEDSINCE, without it, and the response code MODIFIED.

The examples of the RFC lack UID in FETCH responses; section 3.2.4 wants it, since this server offers
QRESYNC. Their mod-sequences are those of other servers: here each operation counts one.
"""

import re

import pytest

SELECTED = """
    C: s SELECT INBOX (CONDSTORE)
    S: s OK
    C2: s SELECT INBOX
    S2: s OK
"""


# --- the examples ---------------------------------------------------------------------------------


def test_3_1_3_example_3_all_messages_pass(talk, fill):
    """Example 3. Changed: one STORE is one operation, so its messages share a number."""
    fill(8)
    talk.run(r"""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C: x UID STORE 1:3,5 +FLAGS.SILENT (\Deleted)
        S: x OK
        C: y EXPUNGE
        S: y OK
        C: a103 UID STORE 6,4,8 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Deleted)
        S: * 1 FETCH (UID 4 MODSEQ ($m))
        S: * 2 FETCH (UID 6 MODSEQ ($m))
        S: * 4 FETCH (UID 8 MODSEQ ($m))
        S: a103 OK Changed
    """)


def test_3_1_3_example_4_star(talk, fill):
    """Example 4. Changed: UID added."""
    fill(50)
    talk.run(SELECTED)
    talk.run(r"""
        C: a104 STORE * (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Deleted $Processed)
        S: * 50 FETCH (UID 50 MODSEQ (3))
        S: a104 OK Changed
    """)
    assert len([line for line in talk.came if "FETCH" in line]) == 1


def test_3_1_3_example_5_first_enabling_command(talk, fill):
    """Example 5: HIGHESTMODSEQ comes because this is the first enabling command. Changed: UID added."""
    fill(50, flags="\\Deleted")
    talk.run(r"""
        C: s SELECT INBOX
        S: s OK
        C: c101 STORE 50 (UNCHANGEDSINCE 12121230045) -FLAGS.SILENT (\Deleted)
        S: * OK [HIGHESTMODSEQ 2]
        S>: * 50 FETCH (UID 50 MODSEQ (3))
        S: c101 OK
    """)


def test_3_1_3_examples_6_and_7_some_messages_fail(talk, fill):
    """The failure for any particular message does not stop the server from finding all messages that fail
    the test. All such messages are returned in the MODIFIED response code.

    Example 7 rather than 6: the refused messages are told with their flags. Changed: UID added.
    """
    fill(9)
    talk.run(SELECTED)
    talk.run(r"""
        C2: m STORE 7 +FLAGS.SILENT (\Deleted)
        S2: m OK
        C2: n STORE 9 -FLAGS.SILENT (\Deleted)
        S2: n OK
        C2: o STORE 9 +FLAGS.SILENT (\Deleted)
        S2: o OK
        C2: p STORE 9 FLAGS.SILENT (\Answered)
        S2: p OK
        C: d105 STORE 7,5,9 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Deleted)
        S: * 7 FETCH (UID 7 FLAGS (\Deleted) MODSEQ (3))
        S: * 5 FETCH (UID 5 MODSEQ (6))
        S: * 9 FETCH (UID 9 FLAGS (\Answered) MODSEQ (5))
        S: d105 OK [MODIFIED 7,9]
    """)


def test_3_1_3_the_section_of_example_7_zero_and_system_flags(talk, fill):
    """Use of UNCHANGEDSINCE with a modification sequence of 0 always fails if the metadata item exists. A
    system flag MUST always be considered existent, whether it was set or not."""
    fill(1)
    talk.run(SELECTED)
    for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"):
        for sign in "+-":
            talk.run(rf"""
                C: a STORE 1 (UNCHANGEDSINCE 0) {sign}FLAGS.SILENT ({flag})
                S: * 1 FETCH (UID 1 FLAGS () MODSEQ (2))
                S: a OK [MODIFIED 1]
            """)
    talk.run("""
        C: b STORE 1 (UNCHANGEDSINCE 0) FLAGS.SILENT ($Work)
        S: b OK [MODIFIED 1]
    """)


def test_3_1_3_example_8_zero_and_a_keyword(talk, fill):
    """Example 8: the client has tested the presence of the $MDNSent user-defined keyword."""
    fill(12)
    talk.run(SELECTED)
    talk.run("""
        C: a101 STORE 12 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)
        S: * 12 FETCH (UID 12 MODSEQ (3))
        S: a101 OK Changed
        C: a102 STORE 12 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)
        S: * 12 FETCH (UID 12 FLAGS ($MDNSent) MODSEQ (3))
        S: a102 OK [MODIFIED 12]
        # Section 2 says keywords are case-insensitive: another spelling is the same item.
        C2: a103 UID STORE 12 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($mdnsent)
        S2: a103 OK [MODIFIED 12]
        # Once removed it does not exist, though its removal has a number.
        C: a104 STORE 12 -FLAGS.SILENT ($MDNSent)
        S: a104 OK
        C2: a105 STORE 12 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)
        S2: a105 OK Changed
    """)


def test_3_1_3_examples_9_and_10_no_poll_is_needed(talk, fill):
    """It is RECOMMENDED that the server avoids the need for the client to do that by sending an unsolicited
    FETCH response (Example 10). Changed: UID added; one number for one STORE."""
    fill(20)
    talk.run(SELECTED)
    talk.run("""
        C2: m STORE 11 +FLAGS.SILENT ($Processed)
        S2: m OK
        C: a106 STORE 10:15 (UNCHANGEDSINCE 2) +FLAGS.SILENT ($Processed)
        S: * 10 FETCH (UID 10 MODSEQ (4))
        S: * 11 FETCH (UID 11 FLAGS ($Processed) MODSEQ (3))
        S: * 12 FETCH (UID 12 MODSEQ (4))
        S: * 15 FETCH (UID 15 MODSEQ (4))
        S: a106 OK [MODIFIED 11]
    """)


def test_3_1_3_example_10_nice_behaviour_another_flag_is_no_conflict(talk, fill):
    r"""A server implementation SHOULD avoid generating spurious MODIFIED responses for +FLAGS/-FLAGS STORE.

    The last variant of example 10. Changed: UID added; flags in this server's order.
    """
    fill(20)
    talk.run(SELECTED)
    talk.run(r"""
        C2: m STORE 11 +FLAGS.SILENT (\Deleted \Answered)
        S2: m OK
        C: a106 STORE 10:15 (UNCHANGEDSINCE 2) +FLAGS.SILENT ($Processed)
        S: * 10 FETCH (UID 10 MODSEQ (4))
        S: * 11 FETCH (UID 11 FLAGS (\Answered \Deleted $Processed) MODSEQ (4))
        S: * 12 FETCH (UID 12 MODSEQ (4))
        S: a106 OK Changed
        # The same for a removal ...
        C: a107 STORE 11 (UNCHANGEDSINCE 2) -FLAGS.SILENT (\Seen)
        S: a107 OK Changed
        # ... but FLAGS replaces everything, and so everything is compared.
        C: a108 STORE 11 (UNCHANGEDSINCE 3) FLAGS.SILENT ($Processed)
        S: * 11 FETCH (UID 11 FLAGS (\Answered \Deleted $Processed) MODSEQ (4))
        S: a108 OK [MODIFIED 11]
    """)


def test_3_1_3_example_11_expunged_messages(talk, fill):
    r"""The MODIFIED response code MAY also be returned in the tagged NO response.

    Example 11. Changed: the other client also set and removed \Seen, since another item would be no conflict
    here; UID added, \Seen as this server spells it; while the VANISHED of 4:7 waits, the
    reply says a HIGHESTMODSEQ below it (section 3.2) and the NOOP says where the client then is; the refused
    message is told at once and not by the NOOP.
    """
    fill(7)
    talk.run(SELECTED)
    talk.run(r"""
        C2: l STORE 2 +FLAGS.SILENT (\Seen)
        S2: l OK
        C2: m STORE 2 FLAGS.SILENT (\Deleted \Answered)
        S2: m OK
        C2: n UID STORE 4:7 +FLAGS.SILENT (\Deleted)
        S2: n OK
        C2: o UID EXPUNGE 4:7
        S2: o OK
        C: B001 STORE 1:7 (UNCHANGEDSINCE 2) +FLAGS (\SEEN)
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (7))
        S: * 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ (7))
        S: * 2 FETCH (UID 2 FLAGS (\Answered \Deleted) MODSEQ (4))
        S: * OK [HIGHESTMODSEQ 5]
        !S: * ... EXPUNGE
        S: B001 NO [MODIFIED 2]
    """)
    assert not any(re.match(r"\* [4-7] FETCH", line) for line in talk.came)
    talk.run(r"""
        C: B002 NOOP
        S: * 4 EXPUNGE
        S: * 4 EXPUNGE
        S: * 4 EXPUNGE
        S: * 4 EXPUNGE
        S: B002 OK [HIGHESTMODSEQ 7]
        C: b003 STORE 2 (UNCHANGEDSINCE 4) +FLAGS (\Seen)
        S: * 2 FETCH (UID 2 FLAGS (\Answered \Deleted \Seen) MODSEQ (8))
        S: b003 OK Changed
    """)


def test_3_1_3_example_e105_duplicates_in_the_set(talk, fill):
    """MUST NOT fail the conditional STORE operation for the second (or subsequent) occurrence of the message."""
    fill(9)
    talk.run(SELECTED)
    talk.run(r"""
        C: e105 STORE 7,3:9 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Deleted)
        S: * 7 FETCH (UID 7 MODSEQ (3))
        S: e105 OK Changed
    """)
    assert sum("* 7 FETCH" in line for line in talk.came) == 1


# --- what must be told ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["STORE", "UID STORE"])
@pytest.mark.parametrize(
    "edit", ["+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT", "FLAGS.SILENT"]
)
def test_3_1_3_every_message_of_the_set_gets_its_number(talk, fill, command, edit):
    r"""An untagged FETCH response MUST be sent, even if the .SILENT suffix is specified, and the response
    MUST include the MODSEQ message data item: also where no flag is altered (UIDs 1 and 2 below)."""
    fill(2, flags="" if edit.startswith("-") else "\\Seen")
    fill(1, flags="\\Seen" if edit.startswith("-") else "")
    talk.run("C: s SELECT INBOX (CONDSTORE)\nS: s OK")
    flags = "" if edit.startswith("-") else "\\Seen"
    told = "" if edit.endswith("SILENT") else f"FLAGS ({flags}) "
    talk.run(rf"""
        C: a {command} 1:3 (UNCHANGEDSINCE 3) {edit} (\Seen)
        S: * 1 FETCH (UID 1 {told}MODSEQ (2))
        S: * 2 FETCH (UID 2 {told}MODSEQ (2))
        S: * 3 FETCH (UID 3 {told}MODSEQ (4))
        S: a OK Changed
    """)


def test_3_1_3_the_modified_set_holds_numbers_or_uids(talk, fill):
    """The MODIFIED response code includes the message set (for STORE) or set of UIDs (for UID STORE)."""
    fill(4)
    talk.run(r"""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C: a STORE 1 +FLAGS.SILENT (\Deleted)
        S: a OK
        C: b EXPUNGE
        S: b OK
        C: c STORE 1:2 +FLAGS.SILENT (\Seen)
        S: c OK
        C: d STORE 1:3 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Seen)
        S: d OK [MODIFIED 1:2]
        C: e UID STORE 2:4 (UNCHANGEDSINCE 2) -FLAGS.SILENT (\Seen)
        S: e OK [MODIFIED 2:4]
    """)


def test_3_1_3_a_refused_message_keeps_its_number_and_flags(talk, fill):
    """The requested operation MUST NOT be performed. In this case, the mod-sequence is not updated."""
    fill(1)
    talk.run(SELECTED)
    talk.run(r"""
        C2: m STORE 1 +FLAGS.SILENT (\Flagged)
        S2: m OK
        C: a STORE 1 (UNCHANGEDSINCE 2) -FLAGS (\Flagged)
        S: a OK [MODIFIED 1]
        C: b FETCH 1 (FLAGS MODSEQ)
        S: * 1 FETCH (FLAGS (\Flagged) MODSEQ (3))
        S: b OK
    """)


def test_3_1_3_the_comparison_comes_before_what_would_change(talk, fill):
    """If the mod-sequence of any metadata item is greater: refused, also when nothing would change."""
    fill(1)
    talk.run(SELECTED)
    talk.run(r"""
        C2: m STORE 1 +FLAGS.SILENT (\Flagged)
        S2: m OK
        C: a STORE 1 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Flagged)
        S: a OK [MODIFIED 1]
    """)


def test_3_1_3_flags_compares_keywords_that_were_removed(talk, fill):
    """FLAGS affects every flag: one that another client removed meanwhile counts too."""
    fill(1, flags="$Gone")
    talk.run(SELECTED)
    talk.run(r"""
        C2: m STORE 1 -FLAGS.SILENT ($Gone)
        S2: m OK
        C: a STORE 1 (UNCHANGEDSINCE 2) FLAGS.SILENT (\Seen)
        S: a OK [MODIFIED 1]
        C: b STORE 1 (UNCHANGEDSINCE 3) FLAGS.SILENT (\Seen)
        S: b OK Changed
    """)


def test_3_1_3_silent_says_flags_where_the_client_would_be_wrong(talk, fill):
    """A MODSEQ alone would swallow the other session's change: the client would believe it has seen it."""
    fill(2)
    talk.run(SELECTED)
    talk.run(r"""
        C2: m STORE 1 +FLAGS.SILENT (\Flagged)
        S2: m OK
        C: a STORE 1:2 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged \Seen) MODSEQ (4))
        S: * 2 FETCH (UID 2 MODSEQ (4))
        S: a OK
    """)


def test_3_1_3_changes_of_other_messages_come_with_the_reply(talk, fill):
    """The reply carries 4 as the number of message 1: everything up to 4 must be told with it (section 3.2)."""
    fill(2)
    talk.run(SELECTED)
    talk.run(r"""
        C2: m STORE 2 +FLAGS.SILENT (\Flagged)
        S2: m OK
        C: a STORE 1 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (4))
        S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (3))
        S: a OK
    """)


def test_3_1_3_changes_of_others_come_also_with_a_store_that_changes_nothing(talk, fill):
    """The one change since the client was last told is not its own."""
    fill(2, flags="\\Seen")
    talk.run(SELECTED)
    talk.run(r"""
        C2: m STORE 2 +FLAGS.SILENT (\Flagged)
        S2: m OK
        C: a STORE 1 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (2))
        S: * 2 FETCH (UID 2 FLAGS (\Flagged \Seen) MODSEQ (3))
        S: a OK Changed
    """)


# --- without the modifier -------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["STORE", "UID STORE"])
def test_3_1_3_an_unconditional_store_updates_and_tells_the_number(talk, fill, command):
    """If the operation is successful for a message, the server MUST update the mod-sequence attribute. The
    server is REQUIRED to include the mod-sequence value whenever it decides to send the unsolicited FETCH
    response to all CONDSTORE-aware clients that have opened the mailbox."""
    fill(2, flags="\\Answered")
    talk.run(SELECTED)
    talk.run("C2: t FETCH 1 (MODSEQ)\nS2: t OK")
    talk.run(rf"""
        C: a {command} 1:2 +FLAGS (\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\Answered \Seen) MODSEQ (3))
        S: * 2 FETCH (UID 2 FLAGS (\Answered \Seen) MODSEQ (3))
        S: a OK
        C2: b NOOP
        S2: * 1 FETCH (UID 1 FLAGS (\Answered \Seen) MODSEQ (3))
        S2: * 2 FETCH (UID 2 FLAGS (\Answered \Seen) MODSEQ (3))
        S2: b OK
    """)


def test_3_1_3_silent_without_the_modifier_tells_the_new_number(talk, fill):
    """As in example 14: a CONDSTORE-aware session gets the MODSEQ of what it changed, and of nothing else."""
    fill(2)
    talk.run(SELECTED)
    talk.run(r"""
        C: a STORE 1 +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (3))
        S: a OK
        C: b STORE 1:2 +FLAGS.SILENT (\Seen)
        S: * 2 FETCH (UID 2 MODSEQ (4))
        !S: * 1 FETCH ...
        S: b OK
    """)


def test_3_1_3_a_session_that_never_asked_gets_no_numbers(talk, fill):
    """Only CONDSTORE-aware clients; a silent STORE of another's is silent, but for what it cannot know."""
    fill(3)
    talk.run(r"""
        C: a SELECT INBOX
        S: a OK
        C2: a SELECT INBOX
        S2: a OK
        C: b STORE 1 +FLAGS (\Seen)
        S: * 1 FETCH (FLAGS (\Seen))
        S: b OK
        C: c UID STORE 1 +FLAGS (\Flagged)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged \Seen))
        S: c OK
        C: d STORE 2 +FLAGS.SILENT (\Seen)
        !S: * 2 FETCH ...
        S: d OK
        C2: e STORE 3 +FLAGS.SILENT (\Answered)
        S2: e OK
        C: f STORE 3 +FLAGS.SILENT (\Seen)
        S: * 3 FETCH (FLAGS (\Answered \Seen))
        S: f OK
    """)


# --- messages that are gone -----------------------------------------------------------------------


def expunged_by_another(talk, uid):
    talk.run(rf"""
        C2: x UID STORE {uid} +FLAGS.SILENT (\Deleted)
        S2: x OK
        C2: y UID EXPUNGE {uid}
        S2: y OK
    """)


def test_3_1_3_by_number_an_expunged_message_makes_it_no(talk, fill):
    """RFC 5530: EXPUNGEISSUED; a message that is gone is never a success and never in MODIFIED."""
    fill(3)
    talk.run(SELECTED)
    expunged_by_another(talk, 2)
    talk.run(r"""
        C: a STORE 1:3 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (5))
        S: * 3 FETCH (UID 3 MODSEQ (5))
        !S: * 2 FETCH ...
        !S: * 2 EXPUNGE
        S: a NO [EXPUNGEISSUED]
        C: b STORE 2 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\Seen)
        !S: * 2 FETCH ...
        S: b NO [EXPUNGEISSUED]
        C: c NOOP
        S: * 2 EXPUNGE
        S: c OK [HIGHESTMODSEQ 5]
    """)


def test_3_1_3_by_uid_what_is_gone_is_passed_over(talk, fill):
    """RFC 9051 section 6.4.9: a UID that does not exist is ignored without any error."""
    fill(3)
    talk.run(SELECTED)
    expunged_by_another(talk, 2)
    talk.run(r"""
        C: a UID STORE 1:3,77 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Seen)
        S: * 2 EXPUNGE
        S>: * 1 FETCH (UID 1 MODSEQ (5))
        S: * 2 FETCH (UID 3 MODSEQ (5))
        !S: * ... FETCH (UID 2 ...
        S: a OK [HIGHESTMODSEQ 5]
        C: b UID STORE 2 (UNCHANGEDSINCE 9) +FLAGS (\Seen)
        !S: * ... FETCH ...
        S: b OK
    """)


def test_3_1_3_a_uid_store_reaches_a_message_not_yet_announced(talk, fill):
    """EXISTS comes first: a FETCH of a number that the client does not know would confuse it."""
    fill(1)
    talk.run(SELECTED)
    talk.run(
        r"""
        C2: a APPEND INBOX {{m}}
        S2: a OK
        C: b UID STORE 2 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\Seen)
        S: * 2 EXISTS
        S>: * 2 FETCH (UID 2 FLAGS (\Seen...) MODSEQ (4))
        S: b OK
    """,
        m=b"Subject: x\r\n\r\nx\r\n",
    )


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "STORE 1 +FLAGS (\\Seen) (UNCHANGEDSINCE 2)",
        "STORE 1 +FLAGS (\\Seen) UNCHANGEDSINCE 2",
        "UID STORE 1 +FLAGS.SILENT (\\Seen) (UNCHANGEDSINCE 2)",
        "STORE 1 (UNCHANGEDSINCE 2 UNCHANGEDSINCE 2) +FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE 2) (UNCHANGEDSINCE 2) +FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE 9223372036854775808) +FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE 18446744073709551616) +FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE -1) +FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE) +FLAGS (\\Seen)",
        "STORE 1 () +FLAGS (\\Seen)",
        "STORE 1 (XALLORNONE) +FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE 2) +FLAGS (\\Recent)",
        "STORE 2 (UNCHANGEDSINCE 2) +FLAGS (\\Seen)",
    ],
)
def test_3_1_3_bad_commands_change_nothing(talk, fill, command):
    """A modifier in the wrong place is BAD, never ignored: ignored, it would store unconditionally. Section 7:
    only a single UNCHANGEDSINCE may be specified; mod-sequences have 63 bits."""
    fill(1)
    talk.run(f"""
        C: s SELECT INBOX
        S: s OK
        C: a {command}
        S: a BAD
        C: b FETCH 1 (FLAGS)
        S: * 1 FETCH (FLAGS ())
        S: b OK
    """)


def test_3_1_3_the_largest_number_is_accepted(talk, fill):
    """1 <= n <= 9,223,372,036,854,775,807."""
    fill(1)
    talk.run(r"""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C: a STORE 1 (UNCHANGEDSINCE 9223372036854775807) +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ (3))
        S: a OK Changed
    """)


def test_3_1_3_read_only(talk, fill):
    """A mailbox opened by EXAMINE is not changed (RFC 3501 section 6.3.2)."""
    fill(1)
    talk.run(r"""
        C: s EXAMINE INBOX (CONDSTORE)
        S: s OK
        C: a STORE 1 (UNCHANGEDSINCE 2) +FLAGS (\Seen)
        S: a NO [READ-ONLY]
        C: b FETCH 1 (FLAGS MODSEQ)
        S: * 1 FETCH (FLAGS () MODSEQ (2))
        S: b OK
    """)


def test_3_1_3_a_flag_that_cannot_be_kept_refuses_the_whole_command(talk, fill):
    """A claim is stored or refused, never silently dropped: nothing changes, \\Seen neither."""
    fill(1)
    talk.run("C: s SELECT INBOX (CONDSTORE)\nS: s OK")
    for first in range(0, 250, 50):
        words = " ".join(f"k{number}" for number in range(first, first + 50))
        talk.run(f"C: k STORE 1 FLAGS.SILENT ({words})\nS: k OK")
    talk.run(r"""
        C: a STORE 1 (UNCHANGEDSINCE 99) +FLAGS (\Seen OneTooMany)
        !S: * 1 FETCH ...
        S: a NO [LIMIT]
        C: b SEARCH SEEN
        S: * SEARCH
        S: b OK
    """)
