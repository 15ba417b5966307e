r"""RFC 7162 sections 3.1.11 and 3.1.12: no numbers for nothing, no conflicts about nothing."""

import pytest


@pytest.mark.parametrize("modifier", ["", "(UNCHANGEDSINCE 2) "])
@pytest.mark.parametrize("edit", ["+FLAGS (\\Seen $Set)", "-FLAGS (\\Draft $Unset)", "FLAGS (\\Seen $Set)"])
def test_3_1_11_no_change_takes_no_number(talk, fill, modifier, edit):
    """Adding the flag when it is already present or removing it when it is not present SHOULD NOT change the
    mod-sequence. (With and without an UNCHANGEDSINCE modifier.)"""
    fill(1, flags="\\Seen $Set")
    talk.run(rf"""
        C: s SELECT INBOX
        S: s OK
        C2: s SELECT INBOX (CONDSTORE)
        S2: s OK
        C: a STORE 1 {modifier}{edit}
        S: a OK Changed
        C: b FETCH 1 (MODSEQ)
        S: * 1 FETCH (MODSEQ (2))
        S: b OK
        C2: c NOOP
        !S2: * 1 FETCH ...
        S2: c OK
    """)


def test_3_1_11_a_fetch_that_sets_seen_twice(talk, fill):
    r"""... as well as to a FETCH command that implicitly sets the \Seen flag."""
    fill(1)
    talk.run(r"""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C: a FETCH 1 (BODY[TEXT])
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (3) BODY[TEXT] ...)
        S: a OK
        C: b FETCH 1 (BODY[TEXT])
        S: * 1 FETCH (BODY[TEXT] ...)
        S: b OK
        C: c FETCH 1 (MODSEQ)
        S: * 1 FETCH (MODSEQ (3))
        S: c OK
    """)


@pytest.mark.parametrize("edit", ["+FLAGS", "-FLAGS", "+FLAGS.SILENT", "-FLAGS.SILENT"])
def test_3_1_12_another_flag_is_no_conflict(talk, fill, edit):
    r"""The server doesn't have to report MODIFIED: it may set the flag, update the mod-sequence once again, and
    send an untagged FETCH response with a new mod-sequence and flags."""
    flags = "" if edit.startswith("+") else "$Processed"
    fill(3, flags=flags)
    talk.run(rf"""
        C: s SELECT INBOX (CONDSTORE)
        S: s OK
        C2: s SELECT INBOX
        S2: s OK
        C2: a STORE 2 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C: a106 STORE 1:3 (UNCHANGEDSINCE 2) {edit} ($Processed)
        S: * 2 FETCH (UID 2 FLAGS (\Deleted{" $Processed" if edit.startswith("+") else ""}) MODSEQ (4))
        S: a106 OK Changed
    """)
