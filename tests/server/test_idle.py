"""IDLE (RFC 2177), and what is told unasked (RFC 3501 section 5.2, 7.4.1)."""

import time

import pytest

from server.mail import Mailbox
from server.serving import serving
from server.talk import CLOSED, Conversation


@pytest.fixture
def inbox(server):
    return Mailbox(server)


def test_idle_tells_of_changes_as_they_come(talk, inbox):
    inbox.deliver(2)
    talk.run("""
        C: a SELECT INBOX
        S: a OK
        C: b IDLE
        S: + idling
    """)
    inbox.deliver()
    talk.run("S: * 3 EXISTS")
    inbox.set_flags([1], "\\Flagged")
    talk.run("S: * 1 FETCH (FLAGS (...\\Flagged...))")
    inbox.remove([2])
    talk.run("""
        S: * 2 EXPUNGE
        C: DONE
        S: b OK
        C: c NOOP
        !S: * 2 EXPUNGE
        S: c OK
    """)


def test_idle_with_qresync_tells_vanished(talk, inbox):
    inbox.deliver(3)
    talk.run("""
        C: a ENABLE QRESYNC
        S: a OK
        C: b SELECT INBOX
        S: b OK
        C: c IDLE
        S: +
    """)
    inbox.remove([1, 3])
    talk.run("""
        S: * VANISHED 1,3
        C: DONE
        !S: * 1 EXPUNGE
        S: c OK [HIGHESTMODSEQ ...]
    """)


def test_what_came_before_idle_is_told_at_once(talk, inbox):
    talk.run("""
        C: a SELECT INBOX
        S: a OK
    """)
    inbox.deliver()
    talk.run("""
        C: b IDLE
        S: +
        S: * 1 EXISTS
        C: done
        S: b OK
    """)


def test_anything_but_done_is_bad(talk):
    talk.run("""
        C: a IDLE
        S: +
        C: b NOOP
        S: a BAD
        C: c NOOP
        S: c OK
    """)


def test_too_long_a_line_ends_idle(talk):
    talk.run("""
        C: a IDLE
        S: +
    """)
    talk.peer().send(b"x" * 200_000 + b"\r\nb NOOP\r\n")
    talk.run("""
        S: a BAD
        S: b OK
    """)


def test_done_may_be_sent_with_the_command(talk):
    talk.peer().send(b"a IDLE\r\nDONE\r\nb NOOP\r\n")
    talk.run("""
        S: +
        S: a OK
        S: b OK
    """)


def test_idle_without_a_mailbox_waits(talk):
    talk.run("""
        C: a IDLE
        S: +
        C: DONE
        S: a OK
    """)


def test_idle_needs_a_login(server):
    with Conversation(server, login=False) as talk:
        talk.run("""
            C: a IDLE
            S: a BAD
        """)


def test_a_lost_wakeup_costs_time_and_nothing_else():
    with serving(idle_poll_seconds=0.2) as server, Conversation(server) as talk:

        async def deaf():
            account = await server.store.account("alice")
            account.watch = lambda callback: lambda: None

        server.call(deaf())
        talk.run("""
            C: a SELECT INBOX
            S: a OK
            C: b IDLE
            S: +
        """)
        Mailbox(server).deliver()
        talk.run("""
            S: * 1 EXISTS
            C: DONE
            S: b OK
        """)


def test_idle_stops_watching(server, talk):
    talk.run("""
        C: a IDLE
        S: +
        C: DONE
        S: a OK
        C2: a IDLE
        S2: +
    """)
    talk.peer(2).close()
    time.sleep(0.1)

    async def watchers():
        return len((await server.store.account("alice"))._watchers)

    assert server.call(watchers()) == 0


def test_silence_in_idle_is_cut():
    with serving(idle_seconds_max=0.3) as server, Conversation(server) as talk:
        talk.run("""
            C: a IDLE
            S: +
            S: * BYE Silent for too long
        """)
        assert talk.peer().read_response() == CLOSED


def test_a_hundred_idle_sessions_hear_of_a_change(server, inbox):
    inbox.deliver()
    with Conversation(server) as talk:
        for number in range(1, 101):
            talk.peer(number).send(b"a SELECT INBOX\r\nb IDLE\r\n")
        for number in range(1, 101):
            while not talk.peer(number).read_response().startswith("+"):
                pass
        inbox.set_flags([1], "\\Seen")
        for number in range(1, 101):
            assert "\\Seen" in talk.peer(number).read_response()


# --- outside of IDLE ------------------------------------------------------------------------------


def test_noop_tells_what_changed(talk, inbox):
    inbox.deliver(2)
    talk.run("""
        C: a SELECT INBOX
        S: a OK
    """)
    inbox.remove([1])
    inbox.deliver()
    talk.run("""
        C: b NOOP
        S: * 1 EXPUNGE
        S>: * 2 EXISTS
        S: b OK
    """)


def test_status_of_the_selected_mailbox_flushes_first(talk, inbox):
    inbox.deliver()
    talk.run("""
        C: a ENABLE QRESYNC
        S: a OK
        C: b SELECT INBOX
        S: * OK [HIGHESTMODSEQ $before]
        S: b OK
    """)
    inbox.remove([1])
    talk.run("""
        C: c STATUS INBOX (MESSAGES HIGHESTMODSEQ)
        S: * VANISHED 1
        S>: * STATUS INBOX (MESSAGES 0 HIGHESTMODSEQ $after)
        S: c OK
    """)
    assert int(talk.captures["after"]) > int(talk.captures["before"])


def test_list_status_of_the_selected_mailbox_flushes_first(talk, inbox):
    talk.run("""
        C: b SELECT INBOX
        S: b OK
    """)
    inbox.deliver()
    talk.run("""
        C: c LIST "" INBOX RETURN (STATUS (MESSAGES HIGHESTMODSEQ))
        S: * OK [HIGHESTMODSEQ 1] ...
        S>: * 1 EXISTS
        S>: * LIST ...
        S>: * STATUS INBOX (MESSAGES 1 HIGHESTMODSEQ 2)
        S: c OK
    """)


def test_the_session_that_deletes_its_mailbox_goes_on(talk):
    talk.run("""
        C: a CREATE gone
        S: a OK
        C: b SELECT gone
        S: b OK
        C: c DELETE gone
        S: * OK [CLOSED]
        S: c OK
        C: d CHECK
        S: d BAD
        C: e NOOP
        S: e OK
    """)


def test_other_sessions_of_a_deleted_mailbox_end(talk):
    talk.run("""
        C: a CREATE gone
        S: a OK
        C2: b SELECT gone
        S2: b OK
        C: c DELETE gone
        S: c OK
        C2: d NOOP
        S2: * BYE
        S2: <closed>
    """)
