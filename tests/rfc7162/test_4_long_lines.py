"""RFC 7162 section 4: command lines of 8,192 octets are to be expected."""

from modseq.limits import LINE_BYTES_MAX


def scattered(count: int) -> str:
    return ",".join(str(uid) for uid in range(1, 2 * count, 2))


def test_4_a_line_of_8192_octets_is_served(talk, fill):
    """A client should limit the length of the command lines it generates to approximately 8192 octets."""
    fill(3)
    uids = scattered(1800)
    assert len(uids) > 8192
    talk.run(f"""
        C: q ENABLE QRESYNC
        S: q OK
        C: a SELECT INBOX (QRESYNC ($v 1 {uids}))
        S: * 1 FETCH (UID 1 FLAGS () MODSEQ (2))
        S: * 3 FETCH (UID 3 FLAGS () MODSEQ (2))
        !S: * 2 FETCH ...
        S: a OK
        C: b UID FETCH {uids} (UID) (CHANGEDSINCE 1 VANISHED)
        S: * 1 FETCH (UID 1 MODSEQ (2))
        S: b OK
        C: c UID STORE {uids} (UNCHANGEDSINCE 2) +FLAGS.SILENT ($X)
        S: * 3 FETCH (UID 3 MODSEQ (3))
        S: c OK
    """)


def test_4_a_line_that_is_too_long_is_bad_and_the_session_goes_on(talk, fill):
    """When the line-length limit is exceeded, such servers return a BAD response."""
    fill(1)
    words = "1," * (LINE_BYTES_MAX // 2 + 100) + "1"
    talk.run(f"""
        C: a SELECT INBOX
        S: a OK
        C: b UID FETCH {words} (FLAGS)
        S: b BAD
        C: c NOOP
        S: c OK
    """)
