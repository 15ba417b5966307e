"""RFC 7162 section 3.1: the mod-sequence, and the commands that make a client CONDSTORE-aware."""

import re
import threading

import pytest

from server.talk import Conversation

# --- the number -----------------------------------------------------------------------------------


def test_3_1_every_message_has_a_positive_63_bit_mod_sequence(talk, fill):
    """MUST associate a positive unsigned 63-bit value, called a mod-sequence, with every IMAP message."""
    fill(3)
    talk.run("""
        C: a SELECT INBOX
        S: a OK
        C: b FETCH 1:* (MODSEQ)
        S: b OK
    """)
    numbers = [int(number) for number in re.findall(r"FETCH \(MODSEQ \((\d+)\)\)", "\n".join(talk.came))]
    assert len(numbers) == 3
    assert all(0 < number < 2**63 for number in numbers)


def test_3_1_each_store_gets_a_number_of_its_own_also_simultaneous_ones(server, fill):
    """MUST guarantee that each STORE command performed on the same mailbox (including simultaneous stores
    to different metadata items from different connections) will get a different mod-sequence value."""
    sessions, rounds = 4, 20
    fill(sessions)
    numbers: list[int] = []

    def work(who: int) -> None:
        with Conversation(server) as talk:
            talk.run("C: a SELECT INBOX (CONDSTORE)\nS: a OK")
            for turn in range(rounds):
                talk.run(
                    f"C: b STORE {who} +FLAGS.SILENT (k{who}-{turn})\nS: * {who} FETCH (UID {who} MODSEQ (...))\nS: b OK"
                )
                mine = [line for line in talk.came if line.startswith(f"* {who} FETCH")]
                numbers.append(int(re.search(r"MODSEQ \((\d+)\)", mine[-1])[1]))

    threads = [threading.Thread(target=work, args=(who + 1,)) for who in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(numbers) == len(set(numbers)) == sessions * rounds


def test_3_1_the_second_store_of_a_session_gets_the_greater_number(talk, fill):
    """The mod-sequence of the second completed operation MUST be greater than the mod-sequence of the first."""
    fill(2)
    talk.run(r"""
        C: a SELECT INBOX (CONDSTORE)
        S: a OK
        C: b STORE 2 +FLAGS.SILENT (\Seen)
        S: * 2 FETCH (UID 2 MODSEQ ($first))
        S: b OK
        C: c STORE 1 +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ ($second))
        S: c OK
    """)
    assert int(talk.captures["second"]) > int(talk.captures["first"])


@pytest.mark.parametrize(
    "edit", ["+FLAGS.SILENT (\\Flagged)", "-FLAGS.SILENT (\\Seen)", "FLAGS.SILENT ($Done)"]
)
def test_3_1_a_changed_flag_updates_the_number(talk, fill, edit):
    """Whenever the state of a flag changes, the value of the modification sequence for the message MUST be updated."""
    fill(1, flags="\\Seen")
    talk.run(f"""
        C: a SELECT INBOX (CONDSTORE)
        S: * OK [HIGHESTMODSEQ 2]
        S: a OK
        C: b STORE 1 {edit}
        S: * 1 FETCH (UID 1 MODSEQ (3))
        S: b OK
        C: c FETCH 1 (MODSEQ)
        S: * 1 FETCH (MODSEQ (3))
        S: c OK
    """)


@pytest.mark.parametrize(
    "edit", ["+FLAGS (\\Seen)", "-FLAGS (\\Flagged)", "-FLAGS ($Never)", "FLAGS (\\Seen)"]
)
def test_3_1_a_change_that_changes_nothing_takes_no_number(talk, fill, edit):
    """Setting a flag that is already set, or clearing a flag that is not set, SHOULD NOT change the mod-sequence."""
    fill(1, flags="\\Seen")
    talk.run(f"""
        C: a SELECT INBOX (CONDSTORE)
        S: a OK
        C: b STORE 1 {edit}
        S: * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (2))
        S: b OK
        C: c STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 2)
        S: c OK
    """)


def test_3_1_what_arrives_gets_a_number_above_all_others(talk, fill):
    """When a message is appended (APPEND, COPY, external), the server generates a new modification sequence
    that is higher than the highest modification sequence of all messages in the mailbox."""
    fill(2)
    talk.run(
        r"""
        C: a SELECT INBOX (CONDSTORE)
        S: a OK
        C: b STORE 1 +FLAGS.SILENT (\Seen)
        S: * 1 FETCH (UID 1 MODSEQ ($changed))
        S: b OK
        C: c APPEND INBOX {{m}}
        S: * 3 EXISTS
        S: c OK
        C: d COPY 2 INBOX
        S: * 4 EXISTS
        S: d OK
        C: e FETCH 3:4 (MODSEQ)
        S: * 3 FETCH (MODSEQ ($appended))
        S: * 4 FETCH (MODSEQ ($copied))
        S: e OK
    """,
        m=b"Subject: x\r\n\r\nx\r\n",
    )
    changed, appended, copied = (int(talk.captures[name]) for name in ("changed", "appended", "copied"))
    assert changed < appended < copied


def test_3_1_the_number_of_a_message_is_the_highest_of_its_items(talk, fill):
    """Per-message mod-sequence is the highest mod-sequence of all metadata items accessible to the user."""
    fill(1)
    talk.run(r"""
        C: a SELECT INBOX (CONDSTORE)
        S: a OK
        C: b STORE 1 +FLAGS.SILENT (\Seen)
        S: b OK
        C: c STORE 1 +FLAGS.SILENT ($A)
        S: c OK
        C: d STORE 1 -FLAGS.SILENT ($A)
        S: * 1 FETCH (UID 1 MODSEQ (5))
        S: d OK
        # The items keep their own: \Seen stands at 3, \Flagged at 2, the removed $A at 5.
        C: e STORE 1 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\Seen)
        S: e OK Changed
        C: f STORE 1 (UNCHANGEDSINCE 2) -FLAGS.SILENT (\Seen)
        S: f OK [MODIFIED 1]
        C: g STORE 1 (UNCHANGEDSINCE 4) +FLAGS.SILENT ($A)
        S: g OK [MODIFIED 1]
        C: h STORE 1 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Flagged)
        S: * 1 FETCH (UID 1 MODSEQ (6))
        S: h OK Changed
    """)


# --- becoming aware -------------------------------------------------------------------------------

ENABLING = {
    "SELECT": "SELECT INBOX (CONDSTORE)",
    "EXAMINE": "EXAMINE INBOX (CONDSTORE)",
    "STATUS": "STATUS Other (HIGHESTMODSEQ)",
    "LIST-STATUS": 'LIST "" "*" RETURN (STATUS (HIGHESTMODSEQ))',
    "FETCH MODSEQ": "FETCH 1 (MODSEQ)",
    "UID FETCH MODSEQ": "UID FETCH 1 (FLAGS MODSEQ)",
    "SEARCH": "SEARCH MODSEQ 1",
    "UID SEARCH": "UID SEARCH NOT MODSEQ 1",
    "FETCH CHANGEDSINCE": "FETCH 1 (FLAGS) (CHANGEDSINCE 1)",
    "UID FETCH CHANGEDSINCE": "UID FETCH 1 (FLAGS) (CHANGEDSINCE 0)",
    "STORE": "STORE 1 (UNCHANGEDSINCE 9) -FLAGS ($None)",
    "UID STORE": "UID STORE 1 (UNCHANGEDSINCE 9) -FLAGS.SILENT ($None)",
    "ENABLE CONDSTORE": "ENABLE CONDSTORE",
    "ENABLE QRESYNC": "ENABLE QRESYNC",
}


@pytest.mark.parametrize("command", ENABLING.values(), ids=ENABLING)
def test_3_1_after_an_enabling_command_every_untagged_fetch_has_the_number(talk, fill, command):
    """MUST then include mod-sequence data in all subsequent untagged FETCH responses, whether caused by a
    regular STORE, a STORE with UNCHANGEDSINCE, or an external agent (and UID: section 3.2.4)."""
    fill(2)
    talk.run(rf"""
        C: a CREATE Other
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C2: b SELECT INBOX
        S2: b OK
        C2: c STORE 1 +FLAGS.SILENT (\Flagged)
        S2: c OK
        C: c NOOP
        S: * 1 FETCH (FLAGS (\Flagged))
        S: c OK
        C: d {command}
        S: d OK
        C2: e STORE 2 +FLAGS.SILENT (\Seen)
        S2: e OK
        C: e NOOP
        S: * 2 FETCH (UID 2 FLAGS (\Seen) MODSEQ (4))
        S: e OK
    """)
    if not command.startswith("EXAMINE"):
        talk.run(r"""
            C: f STORE 2 +FLAGS (\Flagged)
            S: * 2 FETCH (UID 2 FLAGS (\Flagged \Seen) MODSEQ (5))
            S: f OK
        """)


@pytest.mark.parametrize(
    "command",
    [
        "NOOP",
        "FETCH 1 (FLAGS)",
        "STORE 1 +FLAGS ($X)",
        "SEARCH ALL",
        "STATUS INBOX (MESSAGES)",
        "ENABLE X-UNKNOWN",
    ],
)
def test_3_1_nothing_else_makes_a_client_aware(talk, fill, command):
    """A client indicates its willingness to receive mod-sequence updates by issuing one of the (listed) commands."""
    fill(1)
    talk.run(rf"""
        C: a SELECT INBOX
        S: a OK
        C: b {command}
        S: b OK
        C2: c SELECT INBOX
        S2: c OK
        C2: d STORE 1 +FLAGS.SILENT (\Flagged)
        S2: d OK
        C: d NOOP
        !S: * 1 FETCH (...MODSEQ...)
        S: d OK
    """)


@pytest.mark.parametrize(
    ("name", "command"), [item for item in ENABLING.items() if item[0] not in ("SELECT", "EXAMINE")]
)
def test_3_1_the_first_enabling_command_announces_the_highest_number_once(talk, fill, name, command):
    """A first CONDSTORE enabling command executed in the session with a mailbox selected MUST cause the
    server to return HIGHESTMODSEQ for the mailbox."""
    fill(1)
    talk.run(f"""
        C: a CREATE Other
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C: c {command}
        S: * OK [HIGHESTMODSEQ 2]
        S: c OK
        C: d {command}
        !S: * OK [HIGHESTMODSEQ ...]
        S: d OK
    """)


def test_3_1_the_announced_number_is_what_this_session_was_told(talk, fill):
    """HIGHESTMODSEQ comes before the change of the command itself and of those that others made meanwhile:
    a client that stores the higher one and is cut off before the FETCH would never learn of them."""
    fill(2)
    talk.run(r"""
        C: a SELECT INBOX
        S: a OK
        C2: b SELECT INBOX
        S2: b OK
        C2: c STORE 2 +FLAGS.SILENT (\Seen)
        S2: c OK
        C: c STORE 1 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\Flagged)
        S: * OK [HIGHESTMODSEQ 2]
        S>: * 1 FETCH (UID 1 MODSEQ (4))
        S: * 2 FETCH (UID 2 FLAGS (\Seen) MODSEQ (3))
        S: c OK
    """)


def test_3_1_awareness_outlives_the_mailbox(talk, fill):
    """Until the connection is closed."""
    fill(1)
    talk.run(r"""
        C: a STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 2)
        S: a OK
        C: b SELECT INBOX
        S: * OK [HIGHESTMODSEQ 2]
        S: b OK
        C: c CLOSE
        S: c OK
        C: d SELECT INBOX
        S: d OK
        C: e STORE 1 +FLAGS (\Seen)
        S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (3))
        S: e OK
    """)


def test_3_1_1_capability(talk):
    """The Conditional STORE extension is present in any implementation that returns "CONDSTORE"."""
    talk.run("C: a CAPABILITY\nS: * CAPABILITY ... CONDSTORE ...\nS: a OK")
