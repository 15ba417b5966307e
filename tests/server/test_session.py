"""The session: order, bad input, bounded memory, errors of handlers, many commands at once."""

import asyncio
import socket
import struct
import time
import tracemalloc

import pytest

from modseq import limits
from modseq.core import errors as kinds
from modseq.server import registry
from modseq.server.errors import reply_for
from modseq.server.reply import Reply, Submitted, ok
from server.serving import serving
from server.talk import CLOSED, Conversation

# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["a FROB", "a NOOP more", "a", "a LOGIN", "a FETCH 1 FLAGS", "a LIST", "a UID NOOP"]
)
def test_bad_commands_are_answered_and_forgotten(talk, line):
    talk.run(f"""
        C: {line}
        S: a BAD
        C: b NOOP
        S: b OK
    """)


def test_bad_says_what_was_expected(talk):
    talk.run("""
        C: a STATUS INBOX MESSAGES
        S: a BAD expected "(" ...
    """)


@pytest.mark.parametrize("line", ["", " ", "\x00", "(((", "+ OK", "\xff\xfe"])
def test_what_has_no_tag_is_bad_untagged(talk, line):
    talk.peer().send(line.encode("latin-1") + b"\r\nb NOOP\r\n")
    talk.run("""
        S: * BAD ...
        S: b OK
    """)


def test_too_many_bad_commands_in_a_row_end_the_session(talk):
    talk.peer().send(b"GET / HTTP/1.1\r\n" * limits.BAD_COMMANDS_MAX)
    came = [talk.peer().read_response() for _ in range(limits.BAD_COMMANDS_MAX)]
    assert all("BAD" in line for line in came)
    assert talk.peer().read_response().startswith("* BYE")
    assert talk.peer().read_response() == CLOSED


def test_good_commands_between_bad_ones_keep_the_session(talk):
    for _ in range(limits.BAD_COMMANDS_MAX + 5):
        talk.run("""
            C: a FROB
            S: a BAD
            C: b NOOP
            S: b OK
        """)


def test_line_over_its_bound_is_bad(talk):
    talk.peer().send(b"a LIST " + b"x" * (limits.LINE_BYTES_MAX + 10) + b"\r\nb NOOP\r\n")
    talk.run("""
        S: a BAD
        S: b OK
    """)


def test_literal_over_its_bound_is_refused_before_it_is_sent(talk):
    talk.run("""
        C: a STATUS {70000}
        S: a NO [TOOBIG]
        C: b NOOP
        S: b OK
    """)


def test_unasked_literal_over_its_bound_is_skipped(talk):
    talk.peer().send(b"a STATUS {70000+}\r\n" + b"c LOGOUT\r\n" * 7000 + b" (MESSAGES)\r\nb NOOP\r\n")
    talk.run("""
        S: a NO [TOOBIG]
        S: b OK
    """)


def test_strangers_may_announce_little(server):
    with Conversation(server, login=False) as talk:
        talk.run("""
            C: a LOGIN {5000}
            S: a NO [TOOBIG]
            C: b LOGIN {99999999999+}
            S: * BYE [TOOBIG]
            S: <closed>
        """)


def test_octet_by_octet():
    with serving(read_bytes=1) as server, Conversation(server) as talk:
        talk.run(
            """
            C: a CREATE {{name}} (USE (\\Sent))
            S: a OK [MAILBOXID ($id)]
            C: b LIST (SPECIAL-USE) "" "*"
            S: * LIST (\\HasNoChildren \\Sent) "/" octets
            S: b OK
            C: c FROB
            S: c BAD
            C: d STATUS octets (MAILBOXID)
            S: * STATUS octets (MAILBOXID ($id))
            S: d OK
        """,
            name=b"octets",
        )


# --- order ----------------------------------------------------------------------------------------


def test_pipelined_commands_are_answered_in_order(talk):
    count = 500
    talk.peer().send(b"".join(b"t%d NOOP\r\n" % number for number in range(count)))
    for number in range(count):
        assert talk.peer().read_response() == f"t{number} OK Nothing done"


def test_end_of_input_leaves_running_commands_their_replies(server):
    import socket

    with Conversation(server) as talk:
        talk.peer().send(b"a NOOP\r\nb CREATE last\r\n")
        talk.peer().socket.shutdown(socket.SHUT_WR)
        talk.run("""
            S: a OK
            S: b OK
            S: <closed>
        """)


@pytest.fixture
def row():
    """Registers commands for one test, over names that the grammar knows."""
    before = dict(registry._rows)

    def register(name, **fields):
        registry._rows.pop(name, None)
        return registry.command(
            name, family="idle", states=registry.ANY_STATE, rfc="3501 section 6", **fields
        )

    yield register
    registry._rows.clear()
    registry._rows.update(before)


def test_commands_of_one_row_are_submitted_together_and_answered_in_order(talk, row):
    events = []
    gate = asyncio.Event()

    @row("CHECK", joins_batch=True)
    async def check(session, command):
        async def commit():
            events.append(f"commit {command.tag.decode()}")
            if len([each for each in events if each.startswith("commit")]) == 3:
                gate.set()
            await gate.wait()
            if command.tag == b"b":
                raise kinds.OverQuota("full")
            return command.tag

        async def finish(outcome):
            events.append(f"finish {outcome.decode()}")
            return ok("done")

        return Submitted(asyncio.ensure_future(commit()), finish)

    talk.peer().send(b"a CHECK\r\nb CHECK\r\nc CHECK\r\nd NOOP\r\n")
    talk.run("""
        S: a OK
        S: b NO [OVERQUOTA]
        S: c OK
        S: d OK
    """)
    assert events == ["commit a", "commit b", "commit c", "finish a", "finish c"]


def test_no_command_overtakes_one_that_needs_time_before_it_stands_in_line(talk, row):
    events = []

    @row("CHECK", joins_batch=True)
    def check(session, command):
        async def commit():
            if command.tag == b"a":
                await asyncio.sleep(0.01)
            events.append(f"commit {command.tag.decode()}")

        def finish(_):
            events.append(f"finish {command.tag.decode()}")
            return ok("done")

        # "a" is worked out ahead, as a huge operation is; the others could be carried out at once.
        return Submitted(commit() if command.tag == b"a" else asyncio.ensure_future(commit()), finish)

    talk.peer().send(b"a CHECK\r\nb CHECK\r\nc CHECK\r\n")
    talk.run("S: a OK\nS: b OK\nS: c OK")
    assert events == ["commit a", "finish a", "commit b", "commit c", "finish b", "finish c"]


def test_nothing_is_told_of_commands_whose_client_has_gone(server, talk, row, caplog):
    finished = []
    gate = asyncio.Event()

    @row("CHECK", joins_batch=True)
    def check(session, command):
        async def commit():
            await gate.wait()

        def finish(_):
            finished.append(command.tag)
            return ok("done")

        return Submitted(asyncio.ensure_future(commit()), finish)

    talk.run("C: n NOOP\nS: n OK")
    (session,) = server.service.sessions
    talk.peer().send(b"a CHECK\r\nb CHECK\r\n")
    # A reset: whoever only stops sending is still told.
    talk.peer().socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def until(holds):
        while not holds():  # noqa: ASYNC110 -- nobody announces it
            await asyncio.sleep(0.01)

    async def let_go():
        gate.set()

    server.call(until(lambda: session.is_working))
    talk.peer().close()
    server.call(until(lambda: session.out.is_lost))
    server.call(let_go())
    server.call(until(lambda: not session.is_working))
    assert finished == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_refused_command_in_a_batch_is_answered_in_its_place(talk, row):
    @row("CHECK", joins_batch=True)
    async def check(session, command):
        if command.tag == b"b":
            return Reply("NO", "not this one")

        async def commit():
            return None

        async def finish(_):
            return ok("done")

        return Submitted(commit(), finish)

    talk.peer().send(b"a CHECK\r\nb CHECK\r\nc CHECK\r\n")
    talk.run("""
        S: a OK
        S: b NO
        S: c OK
    """)


# --- errors of handlers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (kinds.MailboxNotFound, b"NONEXISTENT"),
        (kinds.MailboxExists, b"ALREADYEXISTS"),
        (kinds.KeywordLimitReached, b"LIMIT"),
        (kinds.PermissionRefused, b"NOPERM"),
        (kinds.StorageFull, b"OVERQUOTA"),
        (kinds.StorageFailed, b"UNAVAILABLE"),
        (kinds.StorageError, b"SERVERBUG"),
    ],
)
def test_each_kind_of_error_has_its_code(error, code):
    assert reply_for(error("because")).code == code


def test_every_kind_of_error_is_mapped_or_ends_the_session():
    from modseq.server.errors import _CODES, ENDS_SESSION

    inside = {kinds.StorageError, kinds.ExpungesNotLoaded}
    every = {
        each
        for each in vars(kinds).values()
        if isinstance(each, type) and issubclass(each, kinds.StorageError)
    }
    assert every == set(_CODES) | set(ENDS_SESSION) | inside


def test_a_bug_is_answered_and_logged_and_the_session_goes_on(talk, row, caplog):
    @row("CHECK")
    async def check(session, command):
        raise ZeroDivisionError

    talk.run("""
        C: a CHECK
        S: a NO [SERVERBUG]
        C: b NOOP
        S: b OK
    """)
    assert "ZeroDivisionError" in caplog.text


def test_an_unknown_commit_ends_the_session(talk, row):
    @row("CHECK")
    async def check(session, command):
        raise kinds.CommitUnknown("nobody knows")

    talk.run("""
        C: a CHECK
        S: * BYE [UNAVAILABLE] nobody knows
        S: <closed>
    """)


def test_a_response_that_breaks_off_closes_the_connection(talk, row):
    @row("CHECK")
    async def check(session, command):
        with session.out.response():
            session.out.write(b"* 1 FETCH (BODY[] {1000}\r\nbegin")
            await session.out.drain()
            raise kinds.StorageFailed("the disk")

    peer = talk.peer()
    peer.send(b"a CHECK\r\n")
    received = b""
    while octets := peer.socket.recv(1000):
        received += octets
    assert received == b"* 1 FETCH (BODY[] {1000}\r\nbegin"


# --- memory ---------------------------------------------------------------------------------------


def test_an_idle_session_is_small(server):
    async def measure():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.05)
        return len(asyncio.all_tasks(loop))

    count = 200
    sockets = [server.connect() for _ in range(5)]
    server.call(measure())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(count):
            connected = server.connect()
            connected.sendall(b"a LOGIN alice secret\r\nb NOOP\r\n")
            sockets.append(connected)
        for connected in sockets[5:]:
            received = b""
            while b"b OK" not in received:
                received += connected.recv(65536)
        tasks = server.call(measure())
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        for connected in sockets:
            connected.close()
    assert tasks <= 2, "an idle session keeps no task"
    assert grown / count < 10_000


def test_a_slow_reader_is_not_written_ahead_of(talk, row):
    written = []

    @row("CHECK")
    async def check(session, command):
        for _ in range(400):
            session.out.write(b"* OK " + b"x" * 65_000 + b"\r\n")
            written.append(65_000)
            await session.out.drain_if_full()
        return ok("done")

    peer = talk.peer()
    peer.send(b"a CHECK\r\n")
    time.sleep(0.5)
    ahead = sum(written)
    assert ahead < 400 * 65_000
    while not peer.read_response().startswith("a OK"):
        pass
    assert sum(written) == 400 * 65_000


def test_a_client_that_reads_nothing_is_cut(server, row, monkeypatch):
    monkeypatch.setattr("modseq.server.output.WRITE_STALL_SECONDS_MAX", 0.3)
    ended = []

    @row("CHECK")
    async def check(session, command):
        try:
            while True:
                session.out.write(b"* OK " + b"x" * 65_000 + b"\r\n")
                await session.out.drain_if_full()
        finally:
            ended.append(True)

    with Conversation(server) as talk:
        talk.peer().send(b"a CHECK\r\n")
        deadline = time.monotonic() + 10
        while server.service.sessions:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert ended


def test_commands_pile_up_in_the_socket_and_not_in_memory(server, row):
    import socket
    import threading

    release = threading.Event()

    @row("CHECK")
    async def check(session, command):
        while not release.is_set():  # noqa: ASYNC110 -- set by the test's thread
            await asyncio.sleep(0.01)
        return ok("done")

    with Conversation(server) as talk:
        peer = talk.peer()
        peer.send(b"a CHECK\r\n")
        peer.socket.settimeout(0.5)
        one = b"b STATUS {900+}\r\n" + b"x" * 900 + b" (MESSAGES)\r\n"
        flood = one * 100
        sent = 0
        try:
            while sent < 200_000_000:
                sent += peer.socket.send(flood)
        except TimeoutError:
            pass
        (session,) = server.service.sessions
        held = session.framer.buffered_bytes
        release.set()
        peer.socket.settimeout(10)
        peer.socket.shutdown(socket.SHUT_WR)
        assert held <= limits.READ_AHEAD_BYTES_MAX + limits.READ_BUFFER_BYTES
        replies = 0
        while peer.read_response() != CLOSED:
            replies += 1
        assert replies >= sent // len(one)
