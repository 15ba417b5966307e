"""RFC 7162 sections 3.2 to 3.2.4: expunges have numbers, ENABLE, and UID in every FETCH."""

import pytest

REMOVALS = {
    "EXPUNGE": "EXPUNGE",
    "UID EXPUNGE": "UID EXPUNGE 2,4",
    "CLOSE": "CLOSE",
    "MOVE": "MOVE 2,4 Other",
    "UID MOVE": "UID MOVE 2,4 Other",
}


@pytest.mark.parametrize("removal", REMOVALS.values(), ids=REMOVALS)
def test_3_2_expunges_raise_the_number_and_are_remembered_with_it(talk, fill, removal):
    """MUST increment the per-mailbox mod-sequence when one or more messages are expunged due to EXPUNGE, UID
    EXPUNGE, CLOSE, or MOVE; the server MUST associate the incremented mod-sequence with the UIDs."""
    fill(5)
    talk.run(rf"""
        C: a CREATE Other
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C: c STORE 2,4 +FLAGS.SILENT (\Deleted)
        S: c OK
        C: d {removal}
        S: d OK
        C2: e ENABLE QRESYNC
        S2: e OK
        C2: f SELECT INBOX (QRESYNC ($v 3))
        S2: * OK [HIGHESTMODSEQ 4]
        S2: * VANISHED (EARLIER) 2,4
        S2: f OK
        C2: g SELECT INBOX (QRESYNC ($v 4))
        !S2: * VANISHED ...
        S2: g OK
    """)


def test_3_2_each_expunged_message_has_its_own_number(talk, fill):
    """A client may ask from any moment on."""
    fill(4)
    talk.run("C: a ENABLE QRESYNC\nS: a OK\nC: b SELECT INBOX\nS: b OK")
    for uid in (3, 1, 2):
        talk.run(rf"""
            C: c UID STORE {uid} +FLAGS.SILENT (\Deleted)
            S: c OK
            C: d UID EXPUNGE {uid}
            S: d OK
        """)
    talk.run("""
        C: e UID FETCH 1:* (FLAGS) (CHANGEDSINCE 3 VANISHED)
        S: * VANISHED (EARLIER) 1:3
        S: e OK
        C: f UID FETCH 1:* (FLAGS) (CHANGEDSINCE 4 VANISHED)
        S: * VANISHED (EARLIER) 1:2
        S: f OK
        C: g UID FETCH 1:* (FLAGS) (CHANGEDSINCE 6 VANISHED)
        S: * VANISHED (EARLIER) 2
        S: g OK
        C: h UID FETCH 1:* (FLAGS) (CHANGEDSINCE 8 VANISHED)
        !S: * VANISHED ...
        S: h OK
    """)


def test_3_2_an_expunge_of_nothing_takes_no_number(talk, fill):
    """When one or more messages are expunged: not when none is."""
    fill(2)
    talk.run("""
        C: a SELECT INBOX
        S: a OK
        C: b EXPUNGE
        S: b OK
        C: c UID EXPUNGE 1:*
        S: c OK
        C: d STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 2)
        S: d OK
    """)


# --- the two watermarks ---------------------------------------------------------------------------


def delayed_vanished(talk, fill, *, qresync: bool) -> None:
    """Bring session 1 to where another session expunged UID 2 (mod-sequence 4) and then changed UID 3 (5)."""
    fill(4)
    talk.run(rf"""
        C: q ENABLE {"QRESYNC" if qresync else "CONDSTORE"}
        S: q OK
        C: s SELECT INBOX
        S: s OK
        C2: s SELECT INBOX
        S2: s OK
        C2: a STORE 2 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b EXPUNGE
        S2: b OK
        C2: c UID STORE 3 +FLAGS.SILENT (\Answered)
        S2: c OK
    """)


@pytest.mark.parametrize("qresync", [True, False], ids=["QRESYNC", "CONDSTORE"])
@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 (FLAGS)",
        "FETCH 4 (UID MODSEQ)",
        "STORE 1 +FLAGS.SILENT ($X)",
        "STORE 1 (UNCHANGEDSINCE 99) +FLAGS ($X)",
        "SEARCH ALL",
        "SEARCH RETURN (COUNT) MODSEQ 1",
        "UID SEARCH 1:4",
    ],
)
def test_3_2_while_an_expunge_waits_a_lower_number_is_said(talk, fill, command, qresync):
    """If the server sends MODSEQ FETCH data items while EXPUNGE (or VANISHED) replies with lower mod-sequences
    being delayed, the server MUST send the HIGHESTMODSEQ response code with a lower value than the
    EXPUNGE's mod-sequence. And a second time, as long as it waits; then the value that is true."""
    delayed_vanished(talk, fill, qresync=qresync)
    gone = "VANISHED 2" if qresync else "2 EXPUNGE"
    for tag in ("d", "e"):
        talk.run(rf"""
            C: {tag} {command}
            !S: * {gone}
            S: {tag} OK [HIGHESTMODSEQ 3]
        """)
    talk.run(f"""
        C: f NOOP
        S: * {gone}
        S: f OK [HIGHESTMODSEQ $m]
        C: g NOOP
        !S: * OK [HIGHESTMODSEQ ...]
        S: g OK Nothing
        C2: h STATUS INBOX (HIGHESTMODSEQ)
        S2: * STATUS INBOX (HIGHESTMODSEQ $m)
        S2: h OK
    """)


def test_3_2_a_reply_with_a_code_of_its_own_says_it_before(talk, fill):
    """There is room for one response code in a reply: HIGHESTMODSEQ goes into an untagged OK."""
    delayed_vanished(talk, fill, qresync=True)
    talk.run(r"""
        C: d STORE 3 (UNCHANGEDSINCE 2) -FLAGS.SILENT (\Answered)
        S: * 3 FETCH (UID 3 FLAGS (\Answered) MODSEQ (5))
        S: * OK [HIGHESTMODSEQ 3]
        S: d OK [MODIFIED 3]
    """)


@pytest.mark.parametrize(
    "command",
    [
        "NOOP",
        "CHECK",
        "UID FETCH 1 (FLAGS)",
        "UID STORE 1 +FLAGS ($X)",
        "UID SEARCH ALL",
        "APPEND INBOX {{m}}",
        "STATUS INBOX (MESSAGES)",
        "EXPUNGE",
        "UID EXPUNGE 1:*",
        "COPY 1 INBOX",
    ],
)
def test_3_2_commands_that_let_expunges_through_say_where_the_client_is(talk, fill, command):
    """The reply that releases the VANISHED carries the raised value (section 6)."""
    delayed_vanished(talk, fill, qresync=True)
    talk.run(f"C: d {command}\nS: * VANISHED 2\nS: d OK", m=b"Subject: x\r\n\r\nx\r\n")
    said = [line for line in talk.came if "HIGHESTMODSEQ" in line]
    talk.run("C2: e STATUS INBOX (HIGHESTMODSEQ)\nS2: * STATUS INBOX (HIGHESTMODSEQ $m)\nS2: e OK")
    assert len(said) == 1
    assert f"HIGHESTMODSEQ {talk.captures['m']}]" in said[0]


# --- capability and ENABLE ------------------------------------------------------------------------


def test_3_2_2_capability(talk):
    """Servers SHOULD also advertise "CONDSTORE"; section 3.2.3: MUST implement and advertise ENABLE."""
    talk.run("C: a CAPABILITY\nS: * CAPABILITY $all_\nS: a OK")
    words = talk.came[0].split()
    assert {"QRESYNC", "CONDSTORE", "ENABLE"} <= set(words)


@pytest.mark.parametrize("words", ["QRESYNC", "QRESYNC CONDSTORE", "CONDSTORE QRESYNC", "qresync"])
def test_3_2_3_enable(talk, fill, words):
    """REQUIRED to support "ENABLE QRESYNC" and "ENABLE QRESYNC CONDSTORE" (which have identical results). The
    order of parameters is not significant. MUST start sending VANISHED responses instead of EXPUNGE."""
    fill(3)
    talk.run(rf"""
        C: a ENABLE {words}
        S: * ENABLED ...QRESYNC...
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C: c STORE 2 +FLAGS (\Deleted)
        S: * 2 FETCH (UID 2 FLAGS (\Deleted) MODSEQ (3))
        S: c OK
        C: d EXPUNGE
        S: * VANISHED 2
        !S: * ... EXPUNGE
        S: d OK [HIGHESTMODSEQ 4]
    """)


def test_3_2_3_it_remains_in_effect_until_the_connection_is_closed(talk, fill):
    """This change remains in effect until the connection is closed."""
    fill(2)
    talk.run("C: a CREATE Other\nS: a OK")
    fill(2, "Other", flags="\\Deleted")
    talk.run("""
        C: b ENABLE QRESYNC
        S: b OK
        C: c SELECT INBOX
        S: c OK
        C: d CLOSE
        S: d OK
        C: e SELECT Other
        S: e OK
        C: f EXPUNGE
        S: * VANISHED 1:2
        S: f OK
    """)


@pytest.mark.parametrize(
    "command",
    [
        "SELECT INBOX (QRESYNC ($v 1))",
        "EXAMINE INBOX (QRESYNC ($v 1))",
        "SELECT INBOX (CONDSTORE QRESYNC ($v 1 1:9))",
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
    ],
)
@pytest.mark.parametrize("before", ["NOOP", "ENABLE CONDSTORE"])
def test_3_2_3_bad_without_enable_qresync(talk, fill, command, before):
    """A server MUST respond with a tagged BAD response if the QRESYNC parameter or the VANISHED UID FETCH
    modifier is specified and the client hasn't issued "ENABLE QRESYNC". The mailbox stays selected."""
    fill(1)
    talk.run(f"""
        C: a {before}
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C: c {command}
        !S: * OK [CLOSED]
        S: c BAD
        C: d FETCH 1 (UID)
        S: * 1 FETCH (UID 1)
        S: d OK
    """)


# --- UID in every FETCH ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "enabling",
    ["ENABLE CONDSTORE", "ENABLE QRESYNC", "STATUS INBOX (HIGHESTMODSEQ)", "SELECT INBOX (CONDSTORE)"],
)
def test_3_2_4_uid_and_number_in_every_fetch(talk, fill, enabling):
    r"""Once a CONDSTORE enabling command is issued, the server MUST automatically include both UID and
    mod-sequence data in all subsequent untagged FETCH responses, whether they were caused by a regular
    STORE/UID STORE, a STORE/UID STORE with an UNCHANGEDSINCE modifier, a FETCH/UID FETCH that implicitly set
    the \Seen flag, or an external agent."""
    fill(4)
    talk.run(rf"""
        C: a {enabling}
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C: c STORE 1 +FLAGS (\Flagged)
        S: * 1 FETCH (UID 1 FLAGS (\Flagged) MODSEQ (3))
        S: c OK
        C: d UID STORE 1 -FLAGS (\Flagged)
        S: * 1 FETCH (UID 1 FLAGS () MODSEQ (4))
        S: d OK
        C: e STORE 2 (UNCHANGEDSINCE 4) +FLAGS (\Flagged)
        S: * 2 FETCH (UID 2 FLAGS (\Flagged) MODSEQ (5))
        S: e OK
        C: f UID STORE 2 (UNCHANGEDSINCE 5) -FLAGS.SILENT (\Flagged)
        S: * 2 FETCH (UID 2 MODSEQ (6))
        S: f OK
        C: g FETCH 3 (RFC822.TEXT)
        S: * 3 FETCH (UID 3 FLAGS (\Seen) MODSEQ (7) RFC822.TEXT ...)
        S: g OK
        C: h UID FETCH 4 (BODY[HEADER])
        S: * 4 FETCH (FLAGS (\Seen) MODSEQ (8) UID 4 BODY[HEADER] ...)
        S: h OK
        C2: i SELECT INBOX
        S2: i OK
        C2: j STORE 1 +FLAGS.SILENT (\Draft)
        S2: j OK
        C: j NOOP
        S: * 1 FETCH (UID 1 FLAGS (\Draft) MODSEQ (9))
        S: j OK
    """)


def test_3_2_4_plain_answers_to_fetch_are_as_asked(talk, fill):
    """This rule doesn't affect untagged FETCH responses caused by a FETCH command that doesn't include UID
    and/or a MODSEQ FETCH data item (and doesn't implicitly set the \\Seen flag)."""
    fill(1)
    talk.run("""
        C: a ENABLE QRESYNC
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C: c FETCH 1 (FLAGS)
        S: * 1 FETCH (FLAGS ())
        S: c OK
        C: d UID FETCH 1 (FLAGS)
        S: * 1 FETCH (UID 1 FLAGS ())
        S: d OK
        C: e FETCH 1 (BODY.PEEK[TEXT])
        S: * 1 FETCH (BODY[TEXT] ...)
        S: e OK
    """)
