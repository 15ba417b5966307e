"""RFC 7162 sections 3.2.10 and 3.2.11: VANISHED, and CLOSED."""

import re

import pytest

BOTH = """
    C: q ENABLE QRESYNC
    S: q OK
    C: s SELECT INBOX
    S: s OK
    C2: s SELECT INBOX
    S2: s OK
"""


def expunge_elsewhere(talk, uids):
    talk.run(rf"""
        C2: x UID STORE {uids} +FLAGS.SILENT (\Deleted)
        S2: x OK
        C2: y UID EXPUNGE {uids}
        S2: y OK
    """)


def test_3_2_10_example_expunge(talk, fill):
    """The example at the end of section 3.2.10.2: the last VANISHED only contains UIDs of messages expunged
    since the previous VANISHED response. Changed: HIGHESTMODSEQ, which section 3.2.7 demands."""
    fill(11)
    talk.run(BOTH)
    talk.run(r"""
        C: a STORE 3:4,7,11 +FLAGS.SILENT (\Deleted)
        S: a OK
        C: A202 EXPUNGE
        S: * VANISHED 3:4,7,11
        S: A202 OK [HIGHESTMODSEQ 4]
        C: b UID STORE 2,6 +FLAGS.SILENT (\Deleted)
        S: b OK
        C: A210 EXPUNGE
        S: * VANISHED 2,6
        S: A210 OK [HIGHESTMODSEQ 6]
    """)


@pytest.mark.parametrize(
    "how", ["NOOP", "IDLE", "UID FETCH 1 (FLAGS)", "UID STORE 1 +FLAGS ($X)", "STATUS INBOX (MESSAGES)"]
)
def test_3_2_10_vanished_instead_of_expunge_for_other_connections_too(talk, fill, how):
    """MUST use the VANISHED response without the EARLIER tag instead of the EXPUNGE response. This affects
    EXPUNGE and UID EXPUNGE, as well as messages expunged in other connections."""
    fill(4)
    talk.run(BOTH)
    if how == "IDLE":
        talk.run("C: a IDLE\nS: +")
        expunge_elsewhere(talk, "2:3")
        talk.run("S: * VANISHED 2:3")
        talk.run("C: DONE\nS: a OK")
    else:
        expunge_elsewhere(talk, "2:3")
        talk.run(f"C: a {how}\nS: * VANISHED 2:3\n!S: * ... EXPUNGE\nS: a OK")


def test_3_2_10_the_count_goes_down_without_exists(talk, fill):
    """It is not necessary for the server to send an EXISTS response to report the new message count."""
    fill(5)
    talk.run(BOTH)
    expunge_elsewhere(talk, "2:3")
    talk.run("""
        C: a NOOP
        S: * VANISHED 2:3
        !S: * ... EXISTS
        S: a OK
        C: b FETCH 1:* (UID)
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 4)
        S: * 3 FETCH (UID 5)
        S: b OK
    """)


def test_3_2_10_2_never_of_messages_that_were_not_announced(talk, fill):
    """MUST refer only to messages that are visible to the client in the current session: MUST NOT send UIDs for
    previously expunged messages or messages that were not announced to the client via EXISTS."""
    fill(2)
    talk.run(BOTH)
    expunge_elsewhere(talk, "1")
    talk.run(
        r"""
        C: a NOOP
        S: * VANISHED 1
        S: a OK
        C2: b APPEND INBOX (\Deleted) {{m}}
        S2: b OK
        C2: c UID EXPUNGE 1:*
        S2: c OK
        C: d NOOP
        !S: * ... EXISTS
        !S: * VANISHED ...
        S: d OK
        C2: e APPEND INBOX {{m}}
        S2: e OK
        C: f NOOP
        S: * 2 EXISTS
        S: f OK
    """,
        m=b"Subject: x\r\n\r\nx\r\n",
    )


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 (UID)",
        "STORE 1 +FLAGS ($X)",
        "STORE 1 (UNCHANGEDSINCE 99) -FLAGS.SILENT ($X)",
        "SEARCH ALL",
        "SEARCH RETURN (ALL) UID 1:3",
        "UID SEARCH 1:3",
        "UID SEARCH NOT 2",
        "UID SEARCH OR UID 1 3",
    ],
)
@pytest.mark.parametrize("qresync", [True, False], ids=["VANISHED", "EXPUNGE"])
def test_3_2_10_2_not_during_commands_that_use_message_numbers(talk, fill, command, qresync):
    """MUST NOT be sent while responding to a FETCH, STORE, or SEARCH command; MUST NOT be sent during a UID
    SEARCH command that contains message numbers in the search criteria."""
    fill(4)
    talk.run(BOTH if qresync else BOTH.replace("ENABLE QRESYNC", "NOOP"))
    expunge_elsewhere(talk, "4")
    told = "VANISHED 4" if qresync else "4 EXPUNGE"
    talk.run(f"""
        C: a {command}
        !S: * {told}
        S: a OK
        C: b NOOP
        S: * {told}
        S: b OK
    """)


@pytest.mark.parametrize(
    "command", ["UID FETCH 1 (UID)", "UID STORE 1 +FLAGS ($X)", "UID SEARCH ALL", "UID SEARCH UID 1:3"]
)
def test_3_2_10_2_during_uid_commands(talk, fill, command):
    """A VANISHED response MAY be sent during a UID command."""
    fill(4)
    talk.run(BOTH)
    expunge_elsewhere(talk, "4")
    talk.run(f"C: a {command}\nS: * VANISHED 4\nS: a OK")


def test_3_2_10_2_not_when_no_command_is_in_progress(talk, fill):
    """A VANISHED response MUST NOT be sent when no command is in progress. A command is not "in progress" until
    the complete command has been received."""
    fill(3)
    talk.run(BOTH)
    expunge_elsewhere(talk, "2")
    peer = talk.peer()
    peer.send(b"a UID SEARCH SUBJECT {1}\r\n")
    assert peer.read_response().startswith("+")
    with pytest.raises(TimeoutError):
        peer.read_response(0.2)
    peer.send(b"x\r\n")
    assert peer.read_response() == "* VANISHED 2"


def test_3_2_10_both_forms_stay_apart(talk, fill):
    """Servers MUST NOT combine them: if necessary, two VANISHED responses are sent (one with EARLIER and one
    without). What was just told as gone may stand in the answer to the question as well."""
    fill(5)
    talk.run(BOTH)
    expunge_elsewhere(talk, "2")
    talk.run("C: a NOOP\nS: * VANISHED 2\nS: a OK")
    expunge_elsewhere(talk, "4")
    talk.run("""
        C: b UID FETCH 1:* (UID) (CHANGEDSINCE 2 VANISHED)
        S: * VANISHED 4
        S>: * VANISHED (EARLIER) 2,4
        S: b OK
    """)


def test_3_2_10_1_earlier_does_not_count(talk, fill):
    """When the client sees a VANISHED EARLIER response, it MUST NOT decrement message sequence numbers: those of
    the FETCH responses behind it fit the EXISTS before it."""
    fill(4)
    talk.run(BOTH)
    expunge_elsewhere(talk, "1")
    talk.run(r"""
        C2: z UID STORE 3 +FLAGS.SILENT (\Seen)
        S2: z OK
        C: a SELECT INBOX (QRESYNC ($v 2))
        S: * 3 EXISTS
        S>: * VANISHED (EARLIER) 1
        S>: * 2 FETCH (UID 3 FLAGS (\Seen) MODSEQ (5))
        S: a OK
    """)


def test_3_2_10_long_lists_are_split(talk, fill):
    """Section 4 is about command lines; clients have limits too. No VANISHED line is longer than 8,192 octets."""
    fill(4000)
    talk.run(BOTH)
    odd = ",".join(str(uid) for uid in range(1, 4001, 2))
    expunge_elsewhere(talk, odd)
    talk.run("C: a NOOP\nS: a OK")
    lines = [line for line in talk.came if "VANISHED" in line]
    assert len(lines) > 1
    assert all(len(line) <= 8190 for line in lines)
    assert ",".join(re.sub(r"\* VANISHED ", "", line) for line in lines) == odd
    talk.run("C: b SELECT INBOX (QRESYNC ($v 2))\nS: b OK")
    lines = [line for line in talk.came if "VANISHED" in line]
    assert all(len(line) <= 8190 for line in lines)
    assert ",".join(line.removeprefix("* VANISHED (EARLIER) ") for line in lines) == odd


# --- 3.2.11 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("enable", ["ENABLE QRESYNC", "ENABLE CONDSTORE", "NOOP"])
@pytest.mark.parametrize("command", ["SELECT", "EXAMINE"])
@pytest.mark.parametrize("mailbox", ["Other", "INBOX"])
def test_3_2_11_closed(talk, fill, enable, command, mailbox):
    """MUST return the CLOSED response code when the currently selected mailbox is closed implicitly using the
    SELECT/EXAMINE command on another mailbox (the same one again is no exception), whether or not a CONDSTORE
    enabling command was issued. All subsequent responses relate to the newly opened mailbox."""
    fill(2)
    talk.run(f"""
        C: q {enable}
        S: q OK
        C: c CREATE Other
        S: c OK
        C: a SELECT INBOX
        !S: * OK [CLOSED]
        S: a OK
        C: b {command} {mailbox}
        S: * OK [CLOSED]
        S>: * FLAGS ...
        S: b OK
    """)
    assert talk.came[0].startswith("* OK [CLOSED]")


def test_3_2_11_also_when_the_select_then_fails(talk, fill):
    """RFC 3501 section 6.3.1: the attempt deselects. What follows is in no mailbox."""
    fill(1)
    talk.run("""
        C: a SELECT INBOX
        S: a OK
        C: b SELECT Nowhere
        S: * OK [CLOSED]
        S: b NO [NONEXISTENT]
        C: c FETCH 1 (UID)
        S: c BAD
        C: d SELECT Nowhere
        !S: * OK [CLOSED]
        S: d NO
    """)


@pytest.mark.parametrize("command", ["CLOSE", "UNSELECT"])
def test_3_2_11_not_on_close_or_unselect(talk, fill, command):
    """There is no need to return the CLOSED response code on completion of the CLOSE or the UNSELECT command."""
    fill(1)
    talk.run(f"""
        C: a SELECT INBOX
        S: a OK
        C: b {command}
        !S: * OK [CLOSED]
        S: b OK
        C: c SELECT INBOX
        !S: * OK [CLOSED]
        S: c OK
    """)
