"""Nothing that was said in the clear is obeyed under TLS, and no password is looked at without TLS."""

import ssl
import time

import pytest

from modseq.server.listener import tls_context
from server.serving import serving
from server.talk import Peer

INJECTED = {
    "a login": b"b LOGIN alice secret\r\n",
    "a login in literals": b"b LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n",
    "a literal that waits for leave": b"b LOGIN {5}\r\n",
    "a literal half sent": b"b LOGIN {100+}\r\nalice",
    "a literal of nothing": b"b LOGIN {0+}\r\n",
    "a literal that is being skipped": b"b LOGIN {60000+}\r\nabc",
    "half a line": b"b LOGIN alice",
    "half a line end": b"b NOOP\r",
    "a line that is being dropped": b"b " + b"x" * 20_000,
    "a challenge asked for": b"b AUTHENTICATE PLAIN\r\n",
    "a challenge answered": b"b AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n",
    "a second STARTTLS": b"b STARTTLS\r\n",
    "the end": b"b LOGOUT\r\n",
    "much": b"b NOOP\r\n" * 3_000,
}


@pytest.fixture
def tls_server(server_tls):
    with serving(tls=server_tls, allow_plaintext=False) as server:
        yield server


def encrypted(peer, client_tls):
    """Shake hands; what was said in the clear behind the reply to STARTTLS would break the handshake."""
    return Peer(client_tls.wrap_socket(peer.socket, server_hostname="localhost"))


@pytest.mark.parametrize("before", [b"", b"x NOOP\r\n"], ids=["", "behind another command"])
@pytest.mark.parametrize("injected", INJECTED.values(), ids=INJECTED)
def test_what_came_in_the_clear_is_forgotten(tls_server, client_tls, meet, injected, before):
    peer = meet(tls_server)
    peer.read_response()
    peer.send(before + b"a STARTTLS\r\n" + injected)
    if before:
        assert peer.read_response().startswith("x OK")
    assert peer.read_response().startswith("a OK")
    peer = encrypted(peer, client_tls)
    peer.send(b"c NOOP\r\nd SELECT INBOX\r\n")
    assert peer.read_response().startswith("c OK")
    assert peer.read_response().startswith("d BAD"), "nobody is logged in"
    peer.close()


def test_what_comes_in_the_clear_instead_of_a_handshake_is_no_command(tls_server, meet):
    peer = meet(tls_server)
    peer.read_response()
    peer.send(b"a STARTTLS\r\n")
    assert peer.read_response().startswith("a OK")
    peer.send(b"b NOOP\r\n" * 10)
    while (octets := _received(peer)) != b"":
        assert b"b OK" not in octets


def _received(peer):
    try:
        return peer.socket.recv(4096)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "line", [b"a STARTTLS {4+}\r\nnext\r\n", b"a STARTTLS now\r\n", b'a STARTTLS ""\r\n']
)
def test_starttls_takes_no_argument(tls_server, meet, line):
    peer = meet(tls_server)
    peer.read_response()
    peer.send(line + b"b NOOP\r\n")
    assert peer.read_response().startswith("a BAD")
    assert peer.read_response().startswith("b OK"), "still in the clear"


@pytest.mark.parametrize(
    "line",
    [
        b"a LOGIN alice secret\r\n",
        b"a LOGIN alice {6+}\r\nsecret\r\n",
        b"a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n",
        b"a AUTHENTICATE PLAIN\r\n",
    ],
)
def test_without_tls_no_password_is_looked_at(tls_server, meet, line, monkeypatch):
    async def looked_at(*_args, **_kwargs):
        raise AssertionError("the password was looked at")

    monkeypatch.setattr(tls_server.service.authenticator, "check", looked_at)
    peer = meet(tls_server)
    assert "LOGINDISABLED" in peer.read_response()
    peer.send(line)
    assert peer.read_response().startswith("a NO [PRIVACYREQUIRED]")


def test_after_tls_everything_is_as_at_the_beginning(tls_server, client_tls, meet):
    """What the client did in the clear, failures too, is not the encrypted session's."""
    peer = meet(tls_server)
    peer.read_response()
    peer.send(b'i ID ("name" "in the clear")\r\na STARTTLS\r\n')
    while not (line := peer.read_response()).startswith("a OK"):
        assert line.startswith(("* ID", "i OK"))
    peer = encrypted(peer, client_tls)
    peer.send(b"b CAPABILITY\r\n")
    assert "LOGINDISABLED" not in peer.read_response()
    assert peer.read_response().startswith("b OK")
    peer.send(b"c LOGIN alice secret\r\nd STARTTLS\r\n")
    assert peer.read_response().startswith("c OK")
    assert peer.read_response().startswith("d BAD")
    peer.close()


def test_a_stranger_in_the_clear_at_the_port_of_tls_is_told_nothing(tls_server, meet):
    peer = meet(tls_server, tls_server.secure_address)
    peer.send(b"a LOGIN alice secret\r\n")
    said = b""
    while octets := _received(peer):
        said += octets
    assert b"OK" not in said
    assert b"BAD" not in said


def test_old_versions_and_renegotiation_are_off(authority, tmp_path):
    issued = authority.issue_cert("localhost")
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    context = tls_context(certificate, key)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


def test_a_handshake_in_pieces_is_no_way_around(tls_server, client_tls, meet):
    """Octets in the clear and the handshake in one packet: the handshake fails or starts afresh, never more."""
    peer = meet(tls_server)
    peer.read_response()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    wrapped = client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        wrapped.do_handshake()
    peer.send(b"a STARTTLS\r\nb LOGIN alice secret\r\n" + outgoing.read())
    assert peer.read_response().startswith("a OK")
    peer.socket.settimeout(0.3)
    deadline = time.monotonic() + 0.3
    said = b""
    while time.monotonic() < deadline:
        try:
            octets = peer.socket.recv(4096)
        except (TimeoutError, ConnectionResetError):
            break
        said += octets
        if not octets:
            break
    assert b"b " not in said
    assert all(session.user is None for session in tls_server.service.sessions)
