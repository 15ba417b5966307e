"""No secret in any log, error or file: every way to prove who one is, with everything logged, then a search."""

import base64
import contextlib
import json
import re
import socket
import subprocess
import sys

import pytest

from server.talk import CLOSED, Peer
from wire_server import Running

RIGHT = "correct horse"
WRONG = "battery-staple-7391"


def plain(user, password, authorization=""):
    return base64.b64encode(f"{authorization}\0{user}\0{password}".encode())


def ways(password):
    """Yield what clients send to prove who they are, each for a connection of its own; None waits for an answer."""
    octets = password.encode()
    size = len(octets)
    quoted = b'"%b"' % octets
    yield [b"a LOGIN ann %b\r\n" % quoted]
    yield [b"a LOGIN ann {%d+}\r\n%b\r\n" % (size, octets)]
    yield [b"a LOGIN {3+}\r\nann {%d+}\r\n%b\r\n" % (size, octets)]
    yield [b"a LOGIN ann {%d}\r\n" % size, None, b"%b\r\n" % octets]
    yield [b"a AUTHENTICATE PLAIN %b\r\n" % plain("ann", password)]
    yield [b"a AUTHENTICATE PLAIN\r\n", None, b"%b\r\n" % plain("ann", password)]
    # Ways that fail for another reason than the password.
    yield [b"a LOGIN nobody %b\r\n" % quoted]
    yield [b"a LOGIN ann %b too much\r\n" % quoted]
    yield [b"a LOGIN ann %b" % quoted, b"\0\r\n"]
    yield [b"a LOGIN %b\r\n" % quoted]
    yield [b"a LOGIN \xff %b\r\n" % quoted]
    yield [b"LOGIN ann %b\r\n" % quoted]
    yield [b"a LOGON ann %b\r\n" % quoted]
    yield [b"a LOGIN ann {%d+}\r\n%b" % (size + 100, octets)]
    yield [b"a LOGIN ann {90000+}\r\n%b" % (octets * 4000)]
    yield [b"a LOGIN ann " + quoted * 2000 + b"\r\n"]
    yield [b"a AUTHENTICATE PLAIN %b=\r\n" % plain("ann", password)]
    yield [b"a AUTHENTICATE PLAIN\r\n", None, b"%b!\r\n" % plain("ann", password)]
    yield [b"a AUTHENTICATE PLAIN %b\r\n" % plain("ann", password, "root")]
    yield [b"a AUTHENTICATE PLAIN %b\r\n" % base64.b64encode(octets)]
    yield [b"a AUTHENTICATE LOGIN\r\n", None, b"%b\r\n" % base64.b64encode(octets)]
    for mechanism in (b"CRAM-MD5", b"SCRAM-SHA-256", b"OAUTHBEARER", b"XOAUTH2"):
        token = base64.b64encode(b"n,a=ann,\1auth=Bearer %b\1\1" % octets)
        yield [b"a AUTHENTICATE %b %b\r\n" % (mechanism, token)]
    yield [octets + b"\r\n"]


def forms(secret):
    """Return what a secret could look like where it should not be: as it is, and at each place in base64."""
    octets = secret.encode()
    found = [secret, repr(secret)[1:-1], octets.hex()]
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + octets).decode().rstrip("=")
        # The first and the last octets of base64 depend on what stands beside.
        found.append(text[4 if lead else 0 : -2])
    return found


def converse(address, steps):
    with contextlib.closing(Peer(socket.create_connection(address, 10))) as peer:
        peer.read_response()
        with contextlib.suppress(OSError):
            for step in steps:
                if step is not None:
                    peer.send(step)
                elif peer.read_response() == CLOSED:
                    return
            peer.send(b"\r\nz NOOP\r\n")
            peer.socket.shutdown(socket.SHUT_WR)
            while peer.read_response() != CLOSED:
                pass


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_log_holds_a_password(tmp_path, log_format):
    with Running(
        tmp_path, workers=2, log_level="debug", log_format=log_format, login_delay_seconds=0.0
    ) as server:
        for password in (RIGHT, WRONG):
            for steps in ways(password):
                converse(server.address, steps)
        server.stop()
        log = server.log()
    assert "login refused" in log, "something was logged at all"
    for secret in (RIGHT, WRONG):
        for form in forms(secret):
            assert form not in log
    if log_format == "json":
        lines = [line for line in log.splitlines() if line.startswith("{")]
        assert all(json.loads(line)["text"] for line in lines)


def test_no_file_holds_a_password_or_what_proves_it(tmp_path):
    with Running(tmp_path, login_delay_seconds=0.0) as server:
        for steps in list(ways(RIGHT))[:6]:
            converse(server.address, steps)
        server.stop()
    held = b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
    assert b"$argon2id$" in held
    for form in forms(RIGHT):
        assert form.encode() not in held


def test_what_a_client_is_told_holds_no_password(tmp_path):
    """An error says where it stands in the command, not what stood there."""
    with Running(tmp_path, login_delay_seconds=0.0) as server:
        for steps in list(ways(WRONG))[:-1]:  # the last one sends the password as a tag, which is echoed
            with contextlib.closing(Peer(socket.create_connection(server.address, 10))) as peer:
                peer.read_response()
                with contextlib.suppress(OSError):
                    for step in steps:
                        if step is not None:
                            peer.send(step)
                        else:
                            assert WRONG not in peer.read_response()
                    peer.send(b"\r\nz NOOP\r\n")
                    peer.socket.shutdown(socket.SHUT_WR)
                    while (line := peer.read_response()) != CLOSED:
                        assert WRONG not in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nobody_writes_lines_into_the_log(tmp_path, log_format):
    """Names with line ends and terminal escapes stay inside their line, spelled out."""
    forged = b"x\r\n2026-01-01 00:00:00 [1] CRITICAL all is lost\x1b[2J"
    with Running(tmp_path, log_level="debug", log_format=log_format, login_delay_seconds=0.0) as server:
        converse(server.address, [b"a LOGIN {%d+}\r\n%b wrong\r\n" % (len(forged), forged)])
        converse(server.address, [b"a AUTHENTICATE PLAIN %b\r\n" % plain(forged.decode(), "wrong")])
        converse(server.address, [b'a ID ("name" {%d+}\r\n%b)\r\n' % (len(forged), forged)])
        server.stop()
        log = server.log()
    assert "all is lost" in log
    assert not re.search(r"^2026-01-01", log, re.MULTILINE)
    assert "\x1b" not in log


def test_the_command_line_takes_passwords_from_no_argument_and_shows_none(tmp_path):
    command = [sys.executable, "-m", "modseq", "user", "add", "bob", "--data", str(tmp_path / "data")]
    shown = subprocess.run([*command[:5], "--help"], capture_output=True, text=True).stdout
    assert not re.search(r"--password(?!-stdin)\b", shown), "arguments are seen by every user of the machine"
    done = subprocess.run(
        [*command, "--password-stdin"], input=f"{WRONG}\n", capture_output=True, text=True, timeout=60
    )
    assert WRONG not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
