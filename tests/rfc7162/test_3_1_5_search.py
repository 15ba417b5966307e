"""RFC 7162 sections 3.1.5, 3.1.6 and 3.1.10: SEARCH MODSEQ and what its answer carries."""

import pytest

THREE_CHANGES = r"""
    C: s SELECT INBOX
    S: s OK
    C: x STORE 2 +FLAGS.SILENT (\Draft)
    S: x OK
    C: x STORE 4 +FLAGS.SILENT ($Work)
    S: x OK
    C: x STORE 5 +FLAGS.SILENT (\Draft)
    S: x OK
"""
"""Of five messages with mod-sequence 2, afterwards 2 has 3, 4 has 4 and 5 has 5."""


def test_3_1_5_messages_equal_to_or_greater(talk, fill):
    """Messages that have modification values that are equal to or greater than <mod-sequence-valzer>."""
    fill(5)
    talk.run(THREE_CHANGES)
    talk.run("""
        C: a SEARCH MODSEQ 4
        S: * SEARCH 4 5 (MODSEQ 5)
        S: a OK
        C: b UID SEARCH MODSEQ 3 NOT KEYWORD $Work
        S: * SEARCH 2 5 (MODSEQ 5)
        S: b OK
        C: c SEARCH MODSEQ 0
        S: * SEARCH 1 2 3 4 5 (MODSEQ 5)
        S: c OK
    """)


def test_3_1_5_example_15_an_entry_and_a_type(talk, fill):
    r"""Example 15: the message numbers of any messages having a mod-sequence equal to or greater for the
    "\Draft" flag. The server should use entry name and type to narrow down the search. Changed: numbers."""
    fill(5)
    talk.run(THREE_CHANGES)
    talk.run(r"""
        C: a SEARCH MODSEQ "/flags/\\draft" all 3
        S: * SEARCH 2 5 (MODSEQ 5)
        S: a OK
        C: b SEARCH MODSEQ "/flags/\\draft" shared 4
        S: * SEARCH 5 (MODSEQ 5)
        S: b OK
        C: c SEARCH MODSEQ "/flags/$work" all 4
        S: * SEARCH 4 (MODSEQ 4)
        S: c OK
        # System flags exist from the creation on, whether they were ever set or not.
        C: d SEARCH MODSEQ "/flags/\\seen" all 2
        S: * SEARCH 1 2 3 4 5 (MODSEQ 5)
        S: d OK
        C: e SEARCH MODSEQ "/flags/\\seen" all 3
        S: * SEARCH
        S: e OK
    """)


def test_3_1_5_no_flag_of_an_own_mailbox_is_private(talk, fill):
    """Type "priv": nothing here; "all" is the biggest of both."""
    fill(5)
    talk.run(THREE_CHANGES)
    talk.run(r"""
        C: a SEARCH MODSEQ "/flags/\\draft" priv 3
        S: * SEARCH
        S: a OK
    """)


def test_3_1_5_example_16_nothing_found(talk, fill):
    """Example 16: no mod-sequence on an empty result."""
    fill(5)
    talk.run(THREE_CHANGES)
    talk.run("""
        C: t SEARCH OR NOT MODSEQ 2 LARGER 50000
        S: * SEARCH
        S: t OK
    """)


def test_3_1_6_only_for_who_asked_for_the_criterion(talk, fill):
    """If a client specifies a MODSEQ criterion ..., the server MUST append the highest mod-sequence for all
    messages being returned: of those returned, not of the mailbox."""
    fill(5)
    talk.run(THREE_CHANGES)
    talk.run("""
        C: a SEARCH 1:4 NOT MODSEQ 5
        S: * SEARCH 1 2 3 4 (MODSEQ 4)
        S: a OK
        C: b SEARCH ALL
        S: * SEARCH 1 2 3 4 5
        S: b OK
    """)


@pytest.mark.parametrize(
    "key",
    [
        "MODSEQ",
        "MODSEQ x",
        "MODSEQ 9223372036854775808",
        "MODSEQ -1",
        'MODSEQ "/flags/\\\\seen" 1',
        'MODSEQ "/flags/\\\\seen" both 1',
        'MODSEQ "/flags/\\\\recent" all 1',
        'MODSEQ "/annotations/x" all 1',
        "MODSEQ all 1",
    ],
)
def test_3_1_5_bad_criteria(talk, fill, key):
    """Section 7: search-modseq-ext; an entry is a flag, never \\Recent."""
    fill(1)
    talk.run(f"C: s SELECT INBOX\nS: s OK\nC: a SEARCH {key}\nS: a BAD")


def test_3_1_10_example_19_esearch(talk, fill):
    """The server MUST return the ESEARCH response containing the MODSEQ result option."""
    fill(5)
    talk.run(THREE_CHANGES)
    talk.run("""
        C: a SEARCH RETURN (ALL) MODSEQ 3
        S: * ESEARCH (TAG "a") ALL 2,4:5 MODSEQ 5
        S: a OK
        C: b UID SEARCH RETURN (COUNT) MODSEQ 4
        S: * ESEARCH (TAG "b") UID COUNT 2 MODSEQ 5
        S: b OK
    """)


@pytest.mark.parametrize("options", ["ALL", "MIN", "MAX", "COUNT", "MIN MAX COUNT ALL"])
def test_3_1_10_an_empty_result_has_none(talk, fill, options):
    """Only where the server returns a non-empty SEARCH result."""
    fill(1)
    talk.run(f"""
        C: s SELECT INBOX
        S: s OK
        C: a SEARCH RETURN ({options}) MODSEQ 3
        S: * ESEARCH (TAG "a")...
        S: a OK
    """)
    assert not any("MODSEQ" in line for line in talk.came if "ESEARCH" in line)


@pytest.mark.parametrize(("options", "mod_seq"), [("MIN", 3), ("MAX", 5), ("MIN MAX", 5), ("MIN COUNT", 5)])
def test_3_1_10_the_highest_number_of_what_is_returned(talk, fill, options, mod_seq):
    """RFC 4731 section 3.2: with MIN or MAX alone the mod-sequence is that of the messages returned."""
    fill(5)
    talk.run(THREE_CHANGES)
    talk.run(f"""
        C: a SEARCH RETURN ({options}) MODSEQ 3
        S: * ESEARCH (TAG "a") ... MODSEQ {mod_seq}
        S: a OK
    """)
