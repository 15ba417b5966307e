"""RFC 7162 section 5: what a server remembers of expunges, and what it says when it does not."""


def test_5_1_the_answer_is_never_bigger_than_it_must_be(talk, fill):
    """Implementations that return all expunged messages every time are discouraged: this one pays attention to
    the mod-sequence."""
    fill(6)
    talk.run(r"""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C: a UID STORE 1:4 +FLAGS.SILENT (\Deleted)
        S: a OK
        C: b UID EXPUNGE 1:2
        S: b OK
        C: c UID EXPUNGE 3:4
        S: c OK [HIGHESTMODSEQ 5]
        C: d UID FETCH 1:6 (UID) (CHANGEDSINCE 4 VANISHED)
        S: * VANISHED (EARLIER) 3:4
        S: d OK
    """)


def test_5_2_nothing_was_expunged_since(talk, fill):
    """Can omit the VANISHED response when a client provides a MODSEQ value that is equal to or higher than the
    HIGHESTMODSEQ value at the time of the last EXPUNGE: also when history was forgotten before that."""
    fill(3)
    talk.run(r"""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C: a UID STORE 2 +FLAGS.SILENT (\Deleted)
        S: a OK
        C: b EXPUNGE
        S: b OK [HIGHESTMODSEQ 4]
        C: c SELECT INBOX (QRESYNC ($v 4))
        !S: * VANISHED ...
        S: c OK
    """)


def test_5_3_history_survives_what_comes_after(talk, fill):
    """The queue contains data back to the requested mod-sequence: thousands of changes later too."""
    fill(3)
    talk.run(r"""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C: a UID STORE 2 +FLAGS.SILENT (\Deleted)
        S: a OK
        C: b EXPUNGE
        S: b OK
    """)
    peer = talk.peer()
    for _ in range(20):
        script = (
            "".join(f"{tag} UID STORE 3 {sign}FLAGS.SILENT ($X)\r\n" for tag in "pq" for sign in "+-") * 25
        )
        peer.send(script.encode())
        for _ in range(100):
            while peer.read_response().startswith("*"):
                pass
    talk.run("""
        C: c SELECT INBOX (QRESYNC ($v 3))
        S: * OK [HIGHESTMODSEQ 2004]
        S: * VANISHED (EARLIER) 2
        S: * 2 FETCH (UID 3 FLAGS () MODSEQ (2004))
        !S: * 1 FETCH ...
        S: c OK
    """)


def test_5_3_one_number_is_kept_of_what_was_forgotten(talk, fill, forget_expunges):
    """For all such "expired" records, the server needs to store a single mod-sequence, the highest. A client that
    stands at it or above is answered from what is left, one below is told everything."""
    fill(5)
    talk.run("C: q ENABLE QRESYNC\nS: q OK\nC: s SELECT INBOX\nS: s OK")
    for uid in (1, 2, 3):
        talk.run(rf"""
            C: a UID STORE {uid} +FLAGS.SILENT (\Deleted)
            S: a OK
            C: b EXPUNGE
            S: b OK
        """)
    forget_expunges("INBOX", 4)
    talk.run("""
        C: c SELECT INBOX (QRESYNC ($v 4))
        S: * VANISHED (EARLIER) 2:3
        S: c OK
        C: d SELECT INBOX (QRESYNC ($v 3))
        S: * VANISHED (EARLIER) 1:3
        S: d OK
        C: e SELECT INBOX (QRESYNC ($v 6))
        S: * VANISHED (EARLIER) 3
        S: e OK
    """)


def test_5_3_a_deleted_mailbox_leaves_nothing_behind(talk, fill):
    """If the mailbox is deleted, then any state associated with expunged messages SHOULD be deleted: a mailbox
    of the same name begins anew, and old state of a client means nothing to it."""
    talk.run("C: a CREATE Box\nS: a OK")
    fill(3, "Box", flags="\\Deleted")
    talk.run("""
        C: q ENABLE QRESYNC
        S: q OK
        C: b SELECT Box
        S: * OK [UIDVALIDITY $old]
        S: b OK
        C: c EXPUNGE
        S: c OK
        C: d UNSELECT
        S: d OK
        C: e DELETE Box
        S: e OK
        C: f CREATE Box
        S: f OK
        C: g SELECT Box (QRESYNC ($old 1 1:3))
        S: * OK [UIDVALIDITY $new]
        S: * OK [HIGHESTMODSEQ 1]
        !S: * VANISHED ...
        S: g OK
        C: h SELECT Box (QRESYNC ($new 1))
        !S: * VANISHED ...
        S: h OK
    """)
    assert talk.captures["old"] != talk.captures["new"]
