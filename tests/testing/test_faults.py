"""Each fault does what it says, on both storages where storage is concerned, and stops when healed."""

import imaplib
import smtplib
import socket
import threading
import time

import pytest

from modseq.testing import ImapServer
from server.talk import CLOSED

GONE = (imaplib.IMAP4.abort, OSError)


# --- what the client knew is worth nothing --------------------------------------------------------


def test_reset_uid_validity(stored_server, talk_to):
    server = stored_server
    server.deliver_many(3)
    server.store(2, "+", "\\Seen", "$Work")
    server.expunge(1)
    before = server.look()
    talk = talk_to(server)
    talk.run("""
        C: a SELECT INBOX
        S: a OK
    """)
    validity = server.faults.reset_uid_validity()
    talk.run("""
        C: b NOOP
        S: * BYE
        S: <closed>
    """)
    after = server.look()
    assert after.uid_validity == validity > before.uid_validity
    assert after.uids == [1, 2]
    assert [m.data for m in after.messages] == [m.data for m in before.messages]
    assert after.message(1).flags == {"\\Seen", "$Work"}
    again = talk_to(server)
    again.captures["old"] = str(before.uid_validity)
    again.captures["new"] = str(validity)
    again.run("""
        C: a ENABLE QRESYNC
        S: a OK
        C: b SELECT INBOX (QRESYNC ($old 1))
        S: * OK [UIDVALIDITY $new]
        S: * 2 EXISTS
        !S: * VANISHED ...
        S: b OK
    """)
    assert server.mailboxes() == ["INBOX"]
    server.faults.heal()
    assert server.look().uid_validity == validity, "what happened stays"


def test_reset_uid_validity_of_an_empty_mailbox_below_another(stored_server):
    stored_server.add_mailbox("A/B", special_use="\\Junk")
    before = stored_server.look("A/B").uid_validity
    assert stored_server.faults.reset_uid_validity("A/B") > before
    assert stored_server.mailboxes() == ["A", "A/B", "INBOX"]
    if stored_server._options.storage == "disk":
        stored_server.restart()
        assert stored_server.look("A/B").uid_validity > before


RESUME = """
    C: a ENABLE QRESYNC
    S: a OK
    C: b SELECT INBOX (QRESYNC ($v $m))
    S: {answer}
    S: b OK
"""


def resumed(talk, server, mod_seq, answer):
    talk.captures |= {"v": str(server.look().uid_validity), "m": str(mod_seq)}
    talk.run(RESUME.replace("{answer}", answer))


def test_forget_history(stored_server, talk_to):
    server = stored_server
    server.deliver_many(6)
    server.expunge([1, 2])
    horizon = server.look().highest_mod_seq
    server.expunge(5)
    talk = talk_to(server)
    resumed(talk, server, 2, "* VANISHED (EARLIER) 1:2,5")
    server.faults.forget_history(up_to=horizon)
    resumed(talk_to(server), server, horizon, "* VANISHED (EARLIER) 5")
    # The server no longer knows which of 1 to 5 are gone because of what; it names all that are not there.
    resumed(talk_to(server), server, 2, "* VANISHED (EARLIER) 1:2,5")
    server.deliver_many(1)
    known = talk_to(server)
    known.captures |= {"v": str(server.look().uid_validity)}
    known.run("""
        C: a ENABLE QRESYNC
        S: a OK
        C: b SELECT INBOX (QRESYNC ($v 1 1:7))
        S: * VANISHED (EARLIER) 1:2,5
        S: b OK
    """)


def test_forgotten_history_shows_as_a_complete_answer(stored_server, talk_to):
    """Before the horizon the answer is every UID that is not there, also one whose expunge the client knew."""
    server = stored_server
    server.deliver_many(3)
    server.expunge(1)
    after_first = server.look().highest_mod_seq
    server.expunge(2)
    resumed(talk_to(server), server, after_first, "* VANISHED (EARLIER) 2")
    server.faults.forget_history()
    resumed(talk_to(server), server, after_first, "* VANISHED (EARLIER) 1:2")
    server.faults.heal()
    resumed(talk_to(server), server, after_first, "* VANISHED (EARLIER) 1:2")


# --- connections ----------------------------------------------------------------------------------


def drained(connected):
    octets = b""
    while piece := connected.recv(4096):
        octets += piece
    return octets


@pytest.mark.parametrize("octets", [0, 1, 4, 57])
def test_drop_after_so_many_octets(imap_server, octets):
    imap_server.faults.drop_after(octets)
    assert len(drained(imap_server.connect())) == octets
    assert imap_server.imaplib().noop()[0] == "OK", "one connection was cut, the next is whole"


def test_drop_at_the_end_of_a_response(imap_server):
    greeting = imap_server.connect().recv(4096)
    imap_server.faults.drop_after(len(greeting))
    assert drained(imap_server.connect()) == greeting, "nothing more is waited for"


def test_octets_are_counted_over_several_responses(imap_server):
    greeting = imap_server.connect().recv(4096)
    imap_server.faults.drop_after(len(greeting) + 20, each=True)
    for _ in range(2):
        connected = imap_server.connect()
        assert connected.recv(4096) == greeting
        connected.sendall(b"a NOOP\r\nb NOOP\r\n")
        assert drained(connected) == b"a OK Nothing done\r\nb"


def test_drop_each_after_so_many_octets(imap_server):
    imap_server.faults.drop_after(5, each=True)
    assert [drained(imap_server.connect()) for _ in range(3)] == [b"* OK "] * 3
    imap_server.faults.heal()
    assert imap_server.imaplib().noop()[0] == "OK"


def test_drop_counts_from_the_call_on(imap_server):
    imap_server.deliver(text="x" * 1000)
    client = imap_server.imaplib()
    client.select()
    imap_server.faults.drop_after(100)
    with pytest.raises(GONE):
        client.fetch("1", "(BODY.PEEK[])")
    last = [line for line in imap_server.wire_lines() if line.speaker == "S"][-1]
    assert last.text.endswith("[no line end]")
    assert "#1  -- cut by a fault" in imap_server.wire_log()


def test_drop_connections_now(imap_server):
    clients = [imap_server.imaplib() for _ in range(2)]
    assert imap_server.connection_count == 2
    imap_server.faults.drop_connections()
    for client in clients:
        with pytest.raises(GONE):
            client.noop()
    assert imap_server.connection_count == 0


def test_refuse_connections(imap_server):
    imap_server.faults.refuse_connections(2)
    for _ in range(2):
        assert drained(imap_server.connect()) == b"* BYE [UNAVAILABLE] Come back later\r\n"
    assert imap_server.imaplib().noop()[0] == "OK"


def test_bye(imap_server, talk_to):
    talk = talk_to(imap_server)
    talk.run("""
        C: a IDLE
        S: +
    """)
    imap_server.faults.bye("Maintenance")
    talk.run("S: * BYE Maintenance")
    assert talk.peer().read_response() == CLOSED


# --- time -----------------------------------------------------------------------------------------


def seconds_of(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_answer_slowly(imap_server):
    slow, other = imap_server.imaplib(), imap_server.imaplib()
    imap_server.faults.answer_slowly(0.15)
    assert seconds_of(slow.noop) >= 0.15
    imap_server.faults.answer_slowly(0)
    imap_server.faults.answer_slowly(0.15, command="status")
    assert seconds_of(lambda: slow.status("INBOX", "(MESSAGES)")) >= 0.15
    waiting = threading.Thread(target=lambda: slow.status("INBOX", "(MESSAGES)"))
    waiting.start()
    other.noop()
    assert waiting.is_alive(), "others do not wait, and neither do other commands"
    waiting.join()


def test_healing_lets_go_on_who_waits(imap_server):
    client = imap_server.imaplib()
    imap_server.faults.answer_slowly(30)
    waiting = threading.Thread(target=client.noop)
    waiting.start()
    while imap_server.commands()[-1] != "NOOP":
        time.sleep(0.01)
    imap_server.faults.heal()
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_test_does_not_wait_for_a_slow_server_to_stop():
    with ImapServer() as server:
        server.faults.answer_slowly(30)
        connected = server.connect()
        connected.sendall(b"a NOOP\r\n")
        while server.commands() != ["NOOP"]:
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_responses_can_drip(imap_server):
    imap_server.faults.answer_slowly(octets_per_second=100)
    connected = imap_server.connect()
    pieces = [connected.recv(4096) for _ in range(3)]
    assert all(len(piece) <= 10 for piece in pieces)
    assert b"".join(pieces).startswith(b"* OK")
    imap_server.faults.heal()
    began = time.monotonic()
    while not connected.recv(4096).endswith(b"\r\n"):
        assert time.monotonic() - began < 5


def test_a_dripping_connection_still_says_its_last_words(imap_server):
    imap_server.faults.answer_slowly(octets_per_second=2000)
    connected = imap_server.connect()
    connected.sendall(b"a LOGOUT\r\n")
    assert drained(connected).endswith(b"a OK Logged out\r\n")


IDLE = """
    C: a SELECT INBOX
    S: a OK
    C: b IDLE
    S: +
"""


@pytest.mark.parametrize("storage", ["memory", "disk"])
def test_lost_wakeups_cost_time_and_no_truth(make_imap_server, talk_to, storage):
    server = make_imap_server(storage=storage, settings={"idle_poll_seconds": 0.4})
    talk = talk_to(server)
    talk.run(IDLE)
    server.faults.lose_wakeups()
    server.deliver()
    with pytest.raises(TimeoutError):
        talk.peer().read_response(0.15)
    assert talk.peer().read_response() == "* 1 EXISTS"


def test_delayed_wakeups(make_imap_server, talk_to):
    server = make_imap_server(settings={"idle_poll_seconds": 60.0})
    talk = talk_to(server)
    talk.run(IDLE)
    server.faults.delay_wakeups(0.3)
    server.deliver()
    with pytest.raises(TimeoutError):
        talk.peer().read_response(0.15)
    assert talk.peer().read_response() == "* 1 EXISTS"
    server.faults.heal()
    server.deliver()
    talk.run("S: * 2 EXISTS")


# --- refusals -------------------------------------------------------------------------------------


def test_a_refused_command_is_answered_and_not_run(imap_server):
    client = imap_server.imaplib()
    imap_server.faults.refuse_command("append", "NO [OVERQUOTA] Too much")
    kind, words = client.append("INBOX", None, None, b"Subject: x\r\n\r\n")
    assert (kind, words) == ("NO", [b"[OVERQUOTA] Too much"])
    assert imap_server.look().messages == ()
    assert client.append("INBOX", None, None, b"Subject: x\r\n\r\n")[0] == "OK", "once is the default"


def test_uid_forms_can_be_told_apart(imap_server):
    imap_server.deliver()
    client = imap_server.imaplib()
    client.select()
    imap_server.faults.refuse_command("UID FETCH", times=None)
    assert client.fetch("1", "(FLAGS)")[0] == "OK"
    assert [client.uid("FETCH", "1", "(FLAGS)")[0] for _ in range(2)] == ["NO", "NO"]
    imap_server.faults.heal()
    assert client.uid("FETCH", "1", "(FLAGS)")[0] == "OK"
    imap_server.faults.refuse_command("FETCH", times=2)
    assert client.uid("FETCH", "1", "(FLAGS)")[0] == "NO"
    assert client.fetch("1", "(FLAGS)")[0] == "NO"
    assert client.fetch("1", "(FLAGS)")[0] == "OK"


def test_pipelined_commands_are_refused_in_their_order(imap_server, talk_to):
    imap_server.deliver()
    talk = talk_to(imap_server)
    talk.run("""
        C: a SELECT INBOX
        S: a OK
    """)
    imap_server.faults.refuse_command("STORE")
    talk.peer().send(b"".join(b"%c STORE 1 +FLAGS ($%c)\r\n" % (c, c) for c in b"bcd"))
    came = []
    while len(came) < 3:
        line = talk.peer().read_response()
        came += [line[:4]] if line[0] != "*" else []
    assert came == ["b NO", "c OK", "d OK"]
    assert imap_server.look().message(1).flags == {"$c", "$d"}


def test_a_full_disk_refuses_and_loses_nothing(stored_server):
    server = stored_server
    message = b"Subject: x\r\n\r\n" + b"x" * 1000 + b"\r\n"
    client = server.imaplib()
    server.faults.fill_disk(room=1500)
    assert client.append("INBOX", None, None, message)[0] == "OK"
    kind, words = client.append("INBOX", None, None, message)
    assert kind == "NO"
    assert words[0].startswith(b"[OVERQUOTA] The disk is full")
    client.select()
    server.faults.fill_disk()
    assert client.store("1", "+FLAGS", "(\\Seen)")[0] == "NO"
    assert client.create("Other")[0] == "NO"
    with (
        pytest.raises(smtplib.SMTPDataError, match="452"),
        smtplib.LMTP(server.host, server.lmtp_port) as lmtp,
    ):
        lmtp.sendmail("bob@example.org", ["ann@example.org"], message)
    assert server.look().message(1).flags == frozenset()
    server.faults.heal()
    assert client.append("INBOX", None, None, message)[0] == "OK"
    assert server.look().uids == [1, 2]


CONVERSATIONS = {
    "CONDSTORE": ["SELECT INBOX (CONDSTORE)", "STATUS INBOX (HIGHESTMODSEQ)"],
    "CREATE-SPECIAL-USE": ["CREATE Sent (USE (\\Sent))"],
    "ENABLE": ["ENABLE CONDSTORE"],
    "ESEARCH": ["UID SEARCH RETURN (COUNT) ALL"],
    "ID": ["ID NIL"],
    "IDLE": ["IDLE"],
    "LIST-EXTENDED": ['LIST (SUBSCRIBED) "" "*"'],
    "LIST-STATUS": ['LIST "" "*" RETURN (STATUS (MESSAGES))'],
    "MOVE": ["UID MOVE 1 INBOX"],
    "NAMESPACE": ["NAMESPACE"],
    "OBJECTID": ["UID FETCH 1 (EMAILID)", "STATUS INBOX (MAILBOXID)", "SEARCH NOT EMAILID M1"],
    "SAVEDATE": ["UID FETCH 1 (SAVEDATE)"],
    "SEARCHRES": ["SEARCH RETURN (SAVE) ALL"],
    "SPECIAL-USE": ['LIST (SPECIAL-USE) "" "*"', 'LIST "" "*" RETURN (SPECIAL-USE)'],
    "STATUS=SIZE": ["STATUS INBOX (SIZE)"],
    "UIDPLUS": ["UID EXPUNGE 1"],
    "UNSELECT": ["UNSELECT"],
    "WITHIN": ["SEARCH OR OLDER 5 (SEEN YOUNGER 7)"],
    "XALLORNONE": ["UID STORE 1 (UNCHANGEDSINCE 9 XALLORNONE) +FLAGS ($A)"],
}


def test_a_refused_capability_is_neither_advertised_nor_understood(imap_server, talk_to):
    imap_server.deliver()
    for word, commands in CONVERSATIONS.items():
        talk = talk_to(imap_server)
        imap_server.faults.refuse_capability(word)
        talk.run("C: a SELECT INBOX\nS: a OK")
        for command in commands:
            talk.run(f"C: b {command}\nS: b BAD {word} is not served here")
        talk.run("C: c CAPABILITY\nS: c OK")
        assert word not in talk.came[0].split()
        for command in ("UID SEARCH SEEN", "UID FETCH 1 (FLAGS)", 'LIST "" "*"', "STATUS INBOX (MESSAGES)"):
            talk.run(f"C: d {command}\nS: d OK")
        imap_server.faults.heal()
        for command in commands:
            talk.peer().send(f"d {command}\r\n".encode())
            line = talk.peer().read_response()
            while line.startswith("* "):
                line = talk.peer().read_response()
            assert line.startswith(("d OK", "+")), (command, line)
            if line.startswith("+"):
                talk.run("C: DONE\nS: d OK")
            elif command == "UNSELECT":
                talk.run("C: a SELECT INBOX\nS: a OK")
        imap_server.faults.heal()


def test_enable_passes_over_what_is_refused(imap_server, talk_to):
    imap_server.faults.refuse_capability("QRESYNC")
    talk = talk_to(imap_server)
    talk.run("""
        C: a ENABLE QRESYNC CONDSTORE
        S: * ENABLED CONDSTORE
        S: a OK
        C: b ENABLE QRESYNC
        S: * ENABLED
        S: b OK
        C: c SELECT INBOX (QRESYNC (1 1))
        S: c BAD
    """)


def test_without_uidplus_nobody_learns_uids(imap_server):
    imap_server.faults.refuse_capability("UIDPLUS")
    client = imap_server.imaplib()
    assert b"APPENDUID" not in client.append("INBOX", None, None, b"Subject: x\r\n\r\n")[1][0]
    client.select()
    assert b"COPYUID" not in client.copy("1", "INBOX")[1][0]
    imap_server.faults.heal()
    assert b"APPENDUID" in client.append("INBOX", None, None, b"Subject: x\r\n\r\n")[1][0]


def test_without_multiappend_and_without_plain(imap_server, talk_to):
    imap_server.faults.refuse_capability("MULTIAPPEND", "AUTH=PLAIN", "SASL-IR")
    talk = talk_to(imap_server, login=False)
    talk.run(
        """
        C: a AUTHENTICATE PLAIN
        S: a BAD AUTH=PLAIN is not served here
        C: b LOGIN ann secret
        S: b OK
        C: c APPEND INBOX {{m}} {{m}}
        S: c BAD MULTIAPPEND
        C: d APPEND INBOX {{m}}
        S: d OK
    """,
        m=b"Subject: x\r\n\r\n",
    )


def test_what_is_not_there_cannot_be_refused(imap_server):
    with pytest.raises(ValueError, match="X-UNHEARD-OF"):
        imap_server.faults.refuse_capability("X-UNHEARD-OF")
    with pytest.raises(ValueError, match="IMAP4REV1"):
        imap_server.faults.refuse_capability("IMAP4rev1")
    with pytest.raises(ValueError, match="0 or more"):
        imap_server.faults.drop_after(-1)


def test_faults_work_across_processes():
    with ImapServer(process=True) as server:
        server.deliver()
        server.faults.fill_disk()
        server.faults.refuse_capability("IDLE")
        client = server.imaplib()
        assert "IDLE" not in client.capabilities
        assert client.append("INBOX", None, None, b"x\r\n")[0] == "NO"
        with pytest.raises(ValueError, match="NOTHING"):
            server.faults.refuse_capability("NOTHING")
        server.faults.drop_after(0)
        with pytest.raises(GONE):
            client.noop()


def test_a_healthy_server_says_what_the_server_says(imap_server):
    """Octet by octet: what stands between session and socket changes nothing while nothing is planned."""
    from modseq.testing.plan import Plan
    from modseq.testing.tap import Shaper

    said = (
        b"* OK ready {5}\r\n* 1 FETCH (BODY[] {12}\r\n* ENABLED\r\n\r\n UID 1)\r\n* VANISHED 1\r\n+ \r\n"
        b"* 2 FETCH (BODY[1] {0}\r\n BODY[2] {3}\r\nabc)\r\na OK\r\n"
    ).replace(b"* OK ready {5}\r\n", b"* OK ready\r\n")
    for size in (1, 2, 3, 7, 1000):
        shaper = Shaper(Plan())
        pieces = [shaper.feed(said[at : at + size]) for at in range(0, len(said), size)]
        assert b"".join(pieces) == said


def test_what_looks_like_a_response_inside_a_literal_is_left_alone(imap_server, talk_to):
    from modseq.testing import Quirk

    imap_server.faults.behave_like(Quirk.NO_ENABLED_REPLY)
    imap_server.deliver(b"Subject: x\r\n\r\n* ENABLED QRESYNC\r\n* ENABLED QRESYNC\r\n")
    client = imap_server.imaplib()
    client.select()
    assert client.fetch("1", "(BODY.PEEK[TEXT])")[1][0][1] == b"* ENABLED QRESYNC\r\n" * 2


def test_a_socket_of_the_test_is_closed_with_the_server():
    with ImapServer() as server:
        connected = server.connect()
    assert isinstance(connected, socket.socket)
    assert connected.fileno() == -1
