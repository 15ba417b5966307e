"""What somebody who has not logged in may hold, and for how long: connections, time, memory, descriptors."""

import contextlib
import resource
import socket
import struct
import subprocess
import sys
import time

import pytest

from modseq import limits
from modseq.server import supervisor
from server.serving import serving
from server.talk import CLOSED, Peer
from wire_server import Running


def until(condition, seconds_max=5.0):
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def trickle(peer, octets, *, pause=0.05, seconds_max=5.0):
    """Send octets one by one until the server closes; return what it said."""
    deadline = time.monotonic() + seconds_max
    said = b""
    for octet in octets:
        assert time.monotonic() < deadline, "the server never tires of it"
        with contextlib.suppress(OSError):
            peer.socket.send(bytes([octet]))
        peer.socket.settimeout(pause)
        with contextlib.suppress(TimeoutError):
            try:
                piece = peer.socket.recv(4096)
            except ConnectionResetError:
                return said  # Closed with an octet of ours unread: the kernel says so with RST.
            said += piece
            if not piece:
                return said
    raise AssertionError(f"still open: {said!r}")


@pytest.fixture(autouse=True)
def _short_farewells(monkeypatch):
    monkeypatch.setattr("modseq.server.connection.CLOSE_SECONDS_MAX", 0.2)


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [b"a LOGIN " + b"x" * 500, b"a LOGIN {500+}\r\n" + b"x" * 400, b"a NOOP\r\n" * 100],
    ids=["half a line", "half a literal", "commands"],
)
def test_an_octet_now_and_then_wins_no_time(meet, octets):
    with serving(stranger_seconds_max=0.3, login_seconds_max=0.5) as server:
        peer = meet(server)
        said = trickle(peer, octets)
        assert said.endswith(b"* BYE Not logged in for too long\r\n")
        until(lambda: not server.doorman.connections)


def test_guesses_win_no_time(meet):
    with serving(login_seconds_max=0.4, login_delay_seconds=0.0) as server:
        peer = meet(server)
        peer.read_response()
        began = time.monotonic()
        peer.send(b"a AUTHENTICATE PLAIN\r\n")
        assert peer.read_response().startswith("+")
        assert peer.read_response() == "* BYE Not logged in for too long"
        assert time.monotonic() - began >= 0.3


def test_whoever_asks_and_never_reads_is_cut_in_time(meet, monkeypatch):
    monkeypatch.setattr("modseq.server.connection.LOGIN_DELAY_SECONDS_MAX", 0.1)
    with serving(login_seconds_max=0.2) as server:
        peer = meet(server)
        peer.read_response()
        peer.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                peer.socket.send(b"a CAPABILITY\r\n" * 1000)
        until(lambda: not server.doorman.connections)


def test_after_login_the_clock_of_strangers_stops(meet):
    with serving(login_seconds_max=0.3) as server:
        peer = meet(server)
        peer.read_response()
        peer.send(b"a LOGIN alice secret\r\n")
        assert peer.read_response().startswith("a OK")
        time.sleep(0.5)
        peer.send(b"b NOOP\r\n")
        assert peer.read_response().startswith("b OK")


# --- TLS handshakes -------------------------------------------------------------------------------


def test_who_never_shakes_hands_is_cut_like_a_silent_stranger(meet, server_tls):
    with serving(tls=server_tls, stranger_seconds_max=0.2) as server:
        peer = meet(server, server.secure_address)
        assert peer.read_response() == CLOSED
        until(lambda: not server.doorman.connections)


def test_a_handshake_octet_by_octet_wins_no_time(meet, server_tls):
    with serving(tls=server_tls, stranger_seconds_max=0.2, login_seconds_max=0.4) as server:
        peer = meet(server, server.secure_address)
        assert trickle(peer, b"\x16\x03\x01\x02\x00\x01" + b"\0" * 500) == b""
        until(lambda: not server.doorman.connections)


def test_connections_that_never_shake_hands_count_as_strangers(meet, server_tls, client_tls):
    with serving(tls=server_tls, strangers_max=3) as server:
        silent = [meet(server, server.secure_address) for _ in range(6)]
        until(lambda: len(server.doorman.connections) == 3)
        assert silent[0].read_response() == CLOSED
        real = meet(server, server.secure_address)
        real = Peer(client_tls.wrap_socket(real.socket, server_hostname="localhost"))
        assert real.read_response().startswith("* OK")
        real.close()


def test_connections_of_one_address_are_bounded_before_the_handshake(meet, server_tls):
    with serving(tls=server_tls, per_address_max=2) as server:
        peers = [meet(server, server.secure_address) for _ in range(3)]
        assert peers[2].read_response() == CLOSED
        assert len(server.doorman.connections) == 2


@pytest.mark.parametrize("linger", [None, (1, 0)], ids=["closed", "reset"])
@pytest.mark.parametrize("secure", [False, True], ids=["STARTTLS", "implicit"])
def test_who_leaves_in_the_middle_of_a_handshake_is_forgotten(meet, server_tls, secure, linger):
    with serving(tls=server_tls) as server:
        peer = meet(server, server.secure_address if secure else None)
        if not secure:
            peer.read_response()
            peer.send(b"a STARTTLS\r\n")
            assert peer.read_response().startswith("a OK")
        peer.send(b"\x16\x03\x01\x02\x00\x01")
        time.sleep(0.05)
        if linger is not None:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", *linger))
        peer.close()
        until(lambda: not server.doorman.connections)
        assert not server.doorman._per_address
        assert not server.service.sessions


# --- memory and descriptors -----------------------------------------------------------------------


def test_the_line_of_a_stranger_is_short(meet):
    with serving() as server:
        peer = meet(server)
        peer.read_response()
        peer.send(b"a LOGIN alice " + b"x" * limits.LINE_BYTES_BEFORE_LOGIN_MAX + b"\r\n")
        assert peer.read_response().startswith("a BAD")
        peer.send(b"b LOGIN alice secret\r\nc SEARCH " + b"ALL " * 8000 + b"\r\n")
        assert peer.read_response().startswith("b OK")
        assert "too long" not in peer.read_response(), "afterwards it may be longer"


def test_what_a_stranger_sends_without_reading_stays_small(meet):
    with serving() as server:
        peer = meet(server)
        peer.read_response()
        peer.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                peer.socket.send(b"a CAPABILITY\r\n" * 1000)
        (session,) = server.service.sessions
        time.sleep(0.3)
        held = session.framer.buffered_bytes + session.framer.held_bytes
        assert held <= limits.AHEAD_BEFORE_LOGIN_BYTES_MAX + limits.READ_BUFFER_BYTES
        waiting = server.call(_waiting(session))
        assert waiting <= limits.AHEAD_BEFORE_LOGIN_BYTES_MAX + 2 * limits.OUTPUT_PIECE_BYTES
        peer.close()


async def _waiting(session):
    return session.out._transport.get_write_buffer_size() + session.out._size


def test_a_flood_of_connections_keeps_nobody_out(meet):
    with serving(strangers_max=20) as server:
        flood = [meet(server) for _ in range(200)]
        peer = meet(server)
        peer.send(b"a LOGIN alice secret\r\n")
        assert peer.read_response().startswith("* OK")
        assert peer.read_response().startswith("a OK")
        until(lambda: len(server.doorman.connections) <= 21)
        assert flood[0].read_response().startswith("* OK")


def test_the_server_asks_for_more_descriptors(tmp_path):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard <= 1024:
        pytest.skip("the system lets nobody have more than 1,024 descriptors here")
    script = (
        "import resource; from modseq.server import supervisor\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "supervisor._allow_many_files(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    assert supervisor._allow_many_files is not None
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    wanted = limits.OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, limits.OPEN_FILES_MAX)
    assert int(done.stdout) == wanted


# --- guessing -------------------------------------------------------------------------------------


def test_workers_share_what_they_know_of_a_guesser(tmp_path):
    """Two failures at one worker make an attempt at the other wait, and the one behind it too long."""
    with Running(tmp_path, workers=2, login_delay_seconds=15.0) as server:
        first, second = (_stranger_of_worker(server, name) for name in ("1", "2"))
        other = _stranger_of_worker(server, "2")
        for _ in range(2):
            first.send(b"a LOGIN ann wrong\r\n")
            assert first.read_response().startswith("a NO [AUTHENTICATIONFAILED]")
        second.send(b"b LOGIN ann wrong\r\n")  # waits 15 seconds, which we do not
        time.sleep(0.2)
        other.send(b"c LOGIN ann wrong\r\n")
        assert other.read_response().startswith("* BYE [UNAVAILABLE]")
        for peer in (first, second, other):
            peer.close()


def _stranger_of_worker(server, worker):
    for _ in range(200):
        peer = Peer(socket.create_connection(server.address, 10))
        peer.read_response()
        peer.send(b"i ID NIL\r\n")
        said = peer.read_response()
        peer.read_response()
        if f'"worker" "{worker}"' in said:
            return peer
        peer.close()
    raise AssertionError(f"worker {worker} is never met")
