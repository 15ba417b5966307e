"""RFC 7162 section 3.2.5: SELECT and EXAMINE with QRESYNC."""

import pytest

OPENING = r"""
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S>: * 8 EXISTS
        S>: * 0 RECENT
        S>: * OK [UNSEEN 1]
        S>: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)]
        S>: * OK [UIDNEXT 11]
        S>: * OK [UIDVALIDITY $v]
        S>: * OK [HIGHESTMODSEQ 6]
"""


@pytest.fixture
def ten(talk, fill):
    r"""A mailbox that changed: UIDs 1 to 10 came with 2; 4 is expunged with 4, 7 \Flagged with 5, 9 moved with 6."""
    fill(10)
    talk.run(r"""
        C3: a CREATE Away
        S3: a OK
        C3: b SELECT INBOX
        S3: b OK
        C3: c UID STORE 4 +FLAGS.SILENT (\Deleted)
        S3: c OK
        C3: d EXPUNGE
        S3: d OK
        C3: e UID STORE 7 +FLAGS.SILENT (\Flagged)
        S3: e OK
        C3: f UID MOVE 9 Away
        S3: f OK
        C: q ENABLE QRESYNC
        S: q OK
    """)


def test_3_2_5_all_that_rfc_3501_wants_comes_first(talk, ten):
    """The server MUST send all untagged responses as specified in Sections 6.3.1 and 6.3.2 of RFC 3501."""
    talk.run(
        "C: a SELECT INBOX (QRESYNC ($v 2))"
        + OPENING
        + r"""
        S>: * VANISHED (EARLIER) 4,9
        S>: * 6 FETCH (UID 7 FLAGS (\Flagged) MODSEQ (5))
        S: a OK [READ-WRITE]
        C: b EXAMINE INBOX (QRESYNC ($v 2))
        S: * OK [CLOSED]
        S>: * OK [PERMANENTFLAGS ()]
        S>: * OK [HIGHESTMODSEQ 6]
        S>: * VANISHED (EARLIER) 4,9
        S>: * 6 FETCH (UID 7 FLAGS (\Flagged) MODSEQ (5))
        S: b OK [READ-ONLY]
    """
    )


def test_3_2_5_example_another_uidvalidity(talk, ten):
    """If the provided UIDVALIDITY doesn't match, the server MUST ignore the remaining parameters and behave as
    if no dynamic message data changed. (First example: attempting to resynchronize INBOX.)"""
    talk.run(
        "C: A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))"
        + OPENING
        + """
        !S: * VANISHED ...
        !S: * ... FETCH ...
        S: A02 OK [READ-WRITE]
    """
    )


def test_3_2_5_another_uidvalidity_with_an_old_number(talk, ten):
    """The same where the mod-sequence and the UIDs would fit: they belong to another mailbox."""
    talk.run("""
        C: a SELECT INBOX (QRESYNC (2 2 1:10 (1 1)))
        S: * OK [UIDVALIDITY $v]
        S: * OK [HIGHESTMODSEQ 6]
        !S: * VANISHED ...
        !S: * ... FETCH ...
        S: a OK [READ-WRITE]
    """)


@pytest.mark.parametrize(
    "argument",
    [
        "(1)",
        "(0 1)",
        "(1 0)",
        "(1 9223372036854775808)",
        "(1 1 *)",
        "(1 1 1:*)",
        "(1 1 $)",
        "(1 1 1:9 (1:2))",
        "(1 1 1:9 (1:3 1:2))",
        "(1 1 1:9 (2,1 1,2))",
        "(1 1 1:9 (1,2 2,1))",
        "(1 1 1:9 (1,1 1,2))",
        "(1 1 1:9 (* 9))",
        "(4294967296 1)",
        "(1 1 1:9 (1 1) 1)",
        "1 1",
    ],
)
def test_3_2_5_bad_parameters_leave_everything_as_it_was(talk, ten, argument):
    """If any parameter is not syntactically valid, the server returns the tagged BAD response. (Sets with "*"
    and sets that do not ascend are none: section 7.)"""
    talk.run(f"""
        C: a SELECT INBOX (QRESYNC {argument})
        !S: * FLAGS ...
        S: a BAD
        C: b NOOP
        S: b OK
    """)


def test_3_2_5_several_parameters_in_any_order(talk, ten):
    """RFC 4466 section 2.4: a list of parameters."""
    for parameters in ("CONDSTORE QRESYNC ($v 5)", "QRESYNC ($v 5) CONDSTORE", "condstore qresync ($v 5)"):
        talk.run(f"""
            C: a SELECT INBOX ({parameters})
            S: * VANISHED (EARLIER) 9
            !S: * ... FETCH ...
            S: a OK
        """)


# --- 3.2.5.1: mod-sequence and UIDs ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("mod_seq", "vanished", "changed"),
    [
        (1, "4,9", [1, 2, 3, 5, 6, 7, 8, 10]),
        (2, "4,9", [7]),
        (3, "4,9", [7]),
        (4, "9", [7]),
        (5, "9", []),
        (6, "", []),
        (7, "", []),
        (2**63 - 1, "", []),
    ],
)
def test_3_2_5_1_what_happened_since(talk, ten, mod_seq, vanished, changed):
    """The server sends the client any pending flag changes (using FETCH responses that MUST contain UIDs) and
    expunges those that have occurred in this mailbox since the provided modification sequence."""
    talk.run(f"C: a SELECT INBOX (QRESYNC ($v {mod_seq}))\nS: a OK")
    gone = [line for line in talk.came if "VANISHED" in line]
    assert gone == ([f"* VANISHED (EARLIER) {vanished}"] if vanished else [])
    told = [line for line in talk.came if "FETCH" in line]
    assert [int(line.split("UID ")[1].split()[0]) for line in told] == changed
    assert all("FLAGS (" in line and "MODSEQ (" in line for line in told)


def test_3_2_5_1_only_the_known_uids(talk, ten):
    """If the list of known UIDs was also provided, the server should only report flag changes and expunges for
    the specified messages."""
    talk.run(r"""
        C: a SELECT INBOX (QRESYNC ($v 2 5:4294967295))
        S: * VANISHED (EARLIER) 9
        S: * 6 FETCH (UID 7 FLAGS (\Flagged) MODSEQ (5))
        S: a OK
        C: b SELECT INBOX (QRESYNC ($v 2 1:3,4))
        S: * VANISHED (EARLIER) 4
        !S: * ... FETCH ...
        S: b OK
        C: c SELECT INBOX (QRESYNC ($v 2 1:3,11:20))
        !S: * VANISHED ...
        !S: * ... FETCH ...
        S: c OK
    """)


def test_3_2_5_1_without_known_uids_all_up_to_uidnext(talk, fill, ten):
    """If the client did not provide the list of UIDs, the server acts as if the client has specified
    "1:<maxuid>": new messages are told with the changes."""
    fill(1)
    talk.run("""
        C: a SELECT INBOX (QRESYNC ($v 6))
        S: * 9 EXISTS
        S: * 9 FETCH (UID 11 FLAGS () MODSEQ (7))
        !S: * VANISHED ...
        S: a OK
    """)


def test_3_2_5_1_a_mailbox_that_never_had_a_message(talk):
    """Lack of the list of UIDs is interpreted as an empty set of UIDs."""
    talk.run("""
        C: a ENABLE QRESYNC
        S: a OK
        C: b SELECT INBOX (QRESYNC ($v 1))
        S: * 0 EXISTS
        !S: * VANISHED ...
        S: b OK
        C: c SELECT INBOX (QRESYNC ($v 1 1:100 (1 1)))
        !S: * VANISHED ...
        S: c OK
    """)


def test_3_2_5_1_example_resynchronisation(talk, fill):
    """The second example. Changed: smaller numbers; items in this server's order."""
    fill(54)
    talk.run(r"""
        C2: a SELECT INBOX
        S2: a OK
        C2: b UID STORE 4,6:11,13,15:21,23:53 +FLAGS.SILENT (\Deleted)
        S2: b OK
        C2: c UID EXPUNGE 1:*
        S2: c OK
        C2: d UID STORE 12 FLAGS.SILENT (\Seen \Answered)
        S2: d OK
        C2: d UID STORE 14 FLAGS.SILENT (\Draft $MDNSent)
        S2: d OK
        C2: d UID STORE 54 FLAGS.SILENT (\Seen $Forwarded)
        S2: d OK
        C: q ENABLE QRESYNC
        S: q OK
        C: p SELECT INBOX
        S: p OK
        C: A03 SELECT INBOX (QRESYNC ($v 3 4:21,22:54))
        S: * OK [CLOSED]
        S>: * 8 EXISTS
        S>: * OK [HIGHESTMODSEQ 7]
        S>: * VANISHED (EARLIER) 4,6:11,13,15:21,23:53
        S>: * 5 FETCH (UID 12 FLAGS (\Answered \Seen) MODSEQ (5))
        S: * 6 FETCH (UID 14 FLAGS (\Draft $MDNSent) MODSEQ (6))
        S: * 8 FETCH (UID 54 FLAGS (\Seen $Forwarded) MODSEQ (7))
        S: A03 OK [READ-WRITE]
    """)


def test_3_2_5_1_equal_to_uid_fetch_vanished(talk, ten):
    """The result of this step is semantically equivalent to the client issuing
    UID FETCH "known-uids" (FLAGS) (CHANGEDSINCE "mod-sequence-value" VANISHED)."""
    for known in ("1:10", "1:3", "4", "5:9", "9:10"):
        for mod_seq in range(1, 8):
            talk.run(f"C: a SELECT INBOX (QRESYNC ($v {mod_seq} {known}))\nS: a OK")
            opened = [line for line in talk.came if "FETCH" in line or "VANISHED" in line]
            talk.run(f"C: b UID FETCH {known} (FLAGS) (CHANGEDSINCE {mod_seq} VANISHED)\nS: b OK")
            assert opened == talk.came[:-1]


# --- 3.2.5.2: match data --------------------------------------------------------------------------


@pytest.fixture
def thirds(talk, fill, forget_expunges):
    """UIDs 3, 6, ... 300 of 300 are there, and no expunge is remembered: the RFC's example, smaller."""
    fill(300)
    gone = ",".join(str(uid) for uid in range(1, 301) if uid % 3)
    talk.run(rf"""
        C2: a SELECT INBOX
        S2: a OK
        C2: b UID STORE {gone} +FLAGS.SILENT (\Deleted)
        S2: b OK
        C2: c UID EXPUNGE 1:*
        S2: c OK
        C: q ENABLE QRESYNC
        S: q OK
    """)
    forget_expunges("INBOX", 99)


def test_3_2_5_2_example_without_match_data(talk, thirds):
    """The server is unable to remember expunges at all: the first of the two examples."""
    everything = ",".join(f"{uid}:{uid + 1}" for uid in range(1, 300, 3))
    talk.run(f"""
        C: A04 SELECT INBOX (QRESYNC ($v 2 1:300))
        S: * VANISHED (EARLIER) {everything}
        S: A04 OK
    """)


def test_3_2_5_2_example_with_match_data(talk, thirds):
    """The second of the two examples: judicious usage of the sequence match data saves all of it."""
    talk.run("""
        C: B04 SELECT INBOX (QRESYNC ($v 2 1:300 (50,75,90,95:100 150,225,270,285,288,291,294,297,300)))
        !S: * VANISHED ...
        S: B04 OK
    """)


@pytest.fixture
def forgotten(talk, fill, forget_expunges):
    """UIDs 1 to 40 but for 10, 20 and 21; nobody remembers when these three were expunged."""
    fill(40)
    talk.run(r"""
        C2: a SELECT INBOX
        S2: a OK
        C2: b STORE 10,20:21 +FLAGS.SILENT (\Deleted)
        S2: b OK
        C2: c EXPUNGE
        S2: c OK
        C: q ENABLE QRESYNC
        S: q OK
    """)
    forget_expunges("INBOX", 99)


@pytest.mark.parametrize(
    ("match", "vanished"),
    [
        # Nothing matches: a complete answer.
        ("(40 40)", "10,20:21"),
        # If the Nth pair matches, no UIDs equal to or less are present.
        ("(9 9)", "10,20:21"),
        ("(10 11)", "20:21"),
        ("(37 40)", ""),
        # The next pair does not: the lowest UID included lies above the last that does.
        ("(10,25 11,25)", "20:21"),
        # Ranges between two messages that are there, as many apart as they were, are left out: the client
        # knew UIDs 1 to 40 as numbers 1 to 40.
        ("(5,15,30,40 5,15,30,40)", "10,20:21"),
        ("(12,19 12,19)", "10,20:21"),
        ("(1:40 1:40)", "10,20:21"),
        ("(1:9,11:19,22:40 1:9,11:19,22:40)", "10,20:21"),
        # It knew that 10 was gone, as number 10 was UID 11.
        ("(10:39 11:40)", "20:21"),
        ("(9:18,20:29 9,11:19,21:30)", "20:21"),
        # It knew that 20 and 21 were gone, but not 10: the range around those two is left out.
        ("(1:19,20:38 1:19,22:40)", "10"),
        ("(9,19,20,38 9,19,22,40)", "10"),
        # Pairs whose message is gone say nothing.
        ("(10,20 10,20)", "10,20:21"),
        # Numbers and UIDs that nobody has do no harm.
        ("(41:4294967295 41:4294967295)", "10,20:21"),
        ("(1,4294967295 1,4294967295)", "10,20:21"),
    ],
)
def test_3_2_5_2_match_data(talk, forgotten, match, vanished):
    """If a pair matches, then the client knows of any expunges up to, and including, the message; thus, it will
    not include that range in the VANISHED response, even if the "mod-sequence-value" provided by the client
    is too old for the server to have data of when those messages were expunged."""
    talk.run(f"C: a SELECT INBOX (QRESYNC ($v 2 1:40 {match}))\nS: a OK")
    gone = [line for line in talk.came if "VANISHED" in line]
    assert gone == ([f"* VANISHED (EARLIER) {vanished}"] if vanished else [])


def test_3_2_5_2_match_data_without_known_uids(talk, forgotten):
    """Both are optional, each without the other."""
    talk.run("""
        C: a SELECT INBOX (QRESYNC ($v 2 (10 11)))
        S: * VANISHED (EARLIER) 20:21
        S: a OK
    """)


def test_3_2_5_2_no_partial_answer_from_a_history_that_begins_too_late(talk, fill, forget_expunges):
    """A client from before the horizon gets every known UID that is not there, also those expunged before."""
    fill(9)
    talk.run("C: q ENABLE QRESYNC\nS: q OK\nC2: s SELECT INBOX\nS2: s OK")
    for uid in (2, 5, 8):
        talk.run(rf"""
            C2: a UID STORE {uid} +FLAGS.SILENT (\Deleted)
            S2: a OK
            C2: b EXPUNGE
            S2: b OK
        """)
    forget_expunges("INBOX", 6)
    talk.run("""
        C: a SELECT INBOX (QRESYNC ($v 5))
        S: * VANISHED (EARLIER) 2,5,8
        S: a OK
        C: b SELECT INBOX (QRESYNC ($v 5 3:9))
        S: * VANISHED (EARLIER) 5,8
        S: b OK
        C: c SELECT INBOX (QRESYNC ($v 6))
        S: * VANISHED (EARLIER) 8
        S: c OK
        C: d UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5 VANISHED)
        S: * VANISHED (EARLIER) 2,5,8
        S: d OK
    """)
