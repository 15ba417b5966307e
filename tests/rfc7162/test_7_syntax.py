"""RFC 7162 section 7: what the grammar says beside the rules of the other sections."""

import pytest


@pytest.mark.parametrize(
    "command",
    [
        "sElEcT INBOX (cOnDsToRe)",
        "examine INBOX (condstore qresync ($v 1 1:2 (1 1)))",
        "uid fetch 1 (mOdSeQ) (changedsince 1 vanished)",
        "fetch 1 modseq (CHANGEDsince 1)",
        "store 1 (unchangedSINCE 9) -flags.silent ($none)",
        "uid store 1 (xAllOrNone unchangedsince 9) -FLAGS ($none)",
        "search modseq 1",
        'search modseq "/FLAGS/\\\\SEEN" ALL 1',
        "status INBOX (highestModSeq)",
        "enable condStore qReSync",
    ],
)
def test_7_all_strings_are_case_insensitive(talk, fill, command):
    """Implementations MUST accept these strings in a case-insensitive fashion."""
    fill(1)
    talk.run(f"C: q ENABLE QRESYNC\nS: q OK\nC: s SELECT INBOX\nS: s OK\nC: a {command}\nS: a OK")


LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    "command",
    [
        "SELECT INBOX (QRESYNC ($v {m}))",
        "FETCH 1 (UID) (CHANGEDSINCE {m})",
        "UID FETCH 1 (UID) (CHANGEDSINCE {m} VANISHED)",
        "STORE 1 (UNCHANGEDSINCE {m}) -FLAGS ($none)",
        "SEARCH MODSEQ {m}",
        'SEARCH MODSEQ "/flags/$none" all {m}',
    ],
)
def test_7_mod_sequences_have_63_bits(talk, fill, command):
    """Positive unsigned 63-bit integer (1 <= n <= 9,223,372,036,854,775,807)."""
    fill(1)
    talk.run("C: q ENABLE QRESYNC\nS: q OK\nC: s SELECT INBOX\nS: s OK")
    for m, reply in (
        (LARGEST, "OK"),
        (LARGEST + 1, "BAD"),
        (2**64 - 1, "BAD"),
        (2**64, "BAD"),
        (10**40, "BAD"),
    ):
        talk.run(f"C: a {command.format(m=m)}\nS: a {reply}")


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        # mod-sequence-valzer: 0 is allowed.
        ("STORE 1 (UNCHANGEDSINCE 0) -FLAGS ($none)", "OK"),
        ("SEARCH MODSEQ 0", "OK"),
        # mod-sequence-value: it is not; but CHANGEDSINCE 0 is what Thunderbird sends.
        ("SELECT INBOX (QRESYNC ($v 0))", "BAD"),
        ("UID FETCH 1 (UID) (CHANGEDSINCE 0)", "OK"),
    ],
)
def test_7_where_zero_is_a_number(talk, fill, command, reply):
    """mod-sequence-valzer = "0" / mod-sequence-value."""
    fill(1)
    talk.run(f"C: q ENABLE QRESYNC\nS: q OK\nC: s SELECT INBOX\nS: s OK\nC: a {command}\nS: a {reply}")


def test_7_flags_come_back_as_this_server_knows_them(talk, fill):
    r"""Server implementations MUST NOT generate flag-extension flags: no backslash but for the five, and
    PERMANENTFLAGS says which can be kept."""
    fill(1)
    talk.run(r"""
        C: s SELECT INBOX
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)]
        S: s OK
        C: a STORE 1 +FLAGS (\Recent)
        S: a BAD
        C: b STORE 1 +FLAGS (\SEEN \deleted $Mixed)
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Mixed)
        S: * 1 FETCH (FLAGS (\Deleted \Seen $Mixed))
        S: b OK
    """)
