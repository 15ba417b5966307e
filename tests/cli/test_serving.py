"""`modseq serve` and `modseq demo` as processes, and the other sub-commands beside them."""

import contextlib
import imaplib
import json
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

import mailgen
from lmtpclient import LmtpClient

MODSEQ = [sys.executable, "-m", "modseq.cli.main"]


def modseq(*arguments, stdin="", status=0):
    ended = subprocess.run(
        [*MODSEQ, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


@contextlib.contextmanager
def running(*arguments):
    """Run a server until the block ends; it must then stop cleanly."""
    process = subprocess.Popen(
        [*MODSEQ, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "Traceback" not in out + err
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def facts_of(ready_file):
    for _ in range(300):
        if ready_file.exists():
            return {each["protocol"]: each for each in json.loads(ready_file.read_text())["listeners"]}
        time.sleep(0.1)
    raise AssertionError("the server did not get ready")


@pytest.fixture
def data(tmp_path):
    modseq("user", "add", "alice", "--data", tmp_path / "data", "--password-stdin", stdin="secret\n")
    return tmp_path / "data"


@pytest.fixture
def ports(data, tmp_path):
    ready = tmp_path / "ready.json"
    arguments = ["--data", data, "--imap", "127.0.0.1:0", "--lmtp", "127.0.0.1:0", "--ready-file", ready]
    with running("serve", *arguments, "--allow-plaintext", "--log-level", "warning") as process:
        facts = facts_of(ready)
        ports = {protocol: each["port"] for protocol, each in facts.items()}
        assert process.stdout.readline() == f"imap 127.0.0.1:{ports['imap']}\n"
        assert process.stdout.readline() == f"lmtp 127.0.0.1:{ports['lmtp']}\n"
        yield ports


class Idler:
    """A session in IDLE, line by line."""

    def __init__(self, port: int, *, user: str = "alice", password: str = "secret") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(f"a LOGIN {user} {password}\r\nb SELECT INBOX\r\nc IDLE\r\n".encode())
        self.wait_for(rb"\+ ")

    def wait_for(self, pattern: bytes) -> bytes:
        while True:
            line = self.stream.readline()
            assert line, pattern
            if re.match(pattern, line):
                return line

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


def test_import_while_a_session_watches(data, ports, tmp_path):
    mailgen.write_mbox(tmp_path / "a.mbox", mailgen.messages(150))
    with contextlib.closing(Idler(ports["imap"])) as idler:
        modseq("import", "--data", data, "--user", "alice", tmp_path / "a.mbox")
        idler.wait_for(rb"\* 150 EXISTS")
    modseq("export", "--data", data, "--user", "alice", "--to", tmp_path / "out.mbox")
    assert modseq("admin", "check", "--data", data).stdout == "alice: in order\n"


def test_a_delivery_shows_up_at_once_in_idle(ports):
    with (
        contextlib.closing(Idler(ports["imap"])) as idler,
        LmtpClient(("127.0.0.1", ports["lmtp"])) as client,
    ):
        assert client.deliver(b"Subject: hello\r\n\r\n", ["alice@anywhere.example", "nobody"]) == {
            "nobody": "550 5.1.1 No such user here"
        }
        idler.wait_for(rb"\* 1 EXISTS")


def test_a_user_added_while_the_server_runs_can_log_in_and_gets_mail(data, ports):
    modseq("user", "add", "bob", "--data", data, "--password-stdin", stdin="hunter2\n")
    with LmtpClient(("127.0.0.1", ports["lmtp"])) as client:
        assert client.deliver(b"Subject: hello\r\n\r\n", ["bob"]) == {}
    with imaplib.IMAP4("127.0.0.1", ports["imap"]) as client:
        client.login("bob", "hunter2")
        assert client.select()[1] == [b"1"]


def test_mailboxes_made_beside_the_server_are_seen(data, ports):
    with imaplib.IMAP4("127.0.0.1", ports["imap"]) as client:
        client.login("alice", "secret")
        modseq("mailbox", "create", "Lists/python", "--data", data, "--user", "alice")
        assert client.select("Lists/python")[0] == "OK"
        with LmtpClient(("127.0.0.1", ports["lmtp"])) as lmtp:
            assert lmtp.deliver(b"Subject: hello\r\n\r\n", ["alice+lists/python@x"]) == {}
        assert client.noop()[0] == "OK"
        assert client.response("EXISTS")[1][-1] == b"1"


def test_a_port_that_is_taken_is_one_sentence(data, ports):
    taken = f"127.0.0.1:{ports['imap']}"
    ended = modseq("serve", "--data", data, "--imap", taken, status=1)
    assert ended.stderr == f"modseq: cannot listen on {taken}: Address already in use\n"


def test_settings_come_from_a_file_and_options_go_before_them(data, tmp_path):
    config = tmp_path / "modseq.toml"
    ready = tmp_path / "ready.json"
    config.write_text(f'data = "/nowhere"\nimap = ["127.0.0.1:0"]\nready_file = "{ready}"\n')
    with running("serve", "--config", config, "--data", data):
        assert set(facts_of(ready)) == {"imap"}
    config.write_text('colour = "blue"\n')
    ended = modseq("serve", "--config", config, "--data", data, status=2)
    assert "'colour' that does not exist" in ended.stderr


# --- demo -----------------------------------------------------------------------------------------


def guide_of(process) -> str:
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("     250 2.1.5 Stored"):
            return "".join(lines)
    raise AssertionError("".join(lines) + process.stderr.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def block(guide: str, number: int) -> str:
    """Return what step `number` of the guide has people paste."""
    part = re.split(r"(?m)^\d\. ", guide)[number]
    return "\n".join(line for line in part.split("\n")[1:] if not line.startswith("   "))


def shown(guide: str, number: int) -> list[str]:
    """Return the lines that step `number` says people will see, as patterns."""
    part = re.split(r"(?m)^\d\. ", guide)[number]
    found = re.findall(r"(?m)^     (.+)$", part)
    return [re.escape(line).replace(r"\.\.\.", ".*") for line in found]


def pasted(*blocks: str) -> str:
    return subprocess.run(
        ["/bin/sh"], input="\n".join(blocks), capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_what_the_demo_has_people_paste_shows_what_it_says(tmp_path):
    addresses = ["--imap", f"127.0.0.1:{free_port()}", "--lmtp", f"127.0.0.1:{free_port()}"]
    arguments = ["demo", "--data", tmp_path / "demo-data", *addresses]
    with running(*arguments) as process:
        guide = guide_of(process)
        talk = block(guide, 3)
        answer = pasted(talk, block(guide, 4))
        expected = shown(guide, 4)
        assert "* VANISHED \\(EARLIER\\) 7" in expected[1].replace("\\ ", " ").replace("\\*", "*")
        for pattern in expected:
            assert re.search(rf"(?m)^{pattern}$", answer), (pattern, answer)
        claim = block(guide, 5)
        won, lost = pasted(talk, claim), pasted(talk, claim)
        *first, again = shown(guide, 5)
        for pattern in first:
            assert re.search(rf"(?m)^{pattern}$", won), (pattern, won)
        assert "MODIFIED" not in won
        assert re.search(rf"(?m)^{again}$", lost), lost
        password = re.search(r"Password: (\w+)", guide)[1]
        with contextlib.closing(
            Idler(int(addresses[1].split(":")[1]), user="demo", password=password)
        ) as idler:
            assert "250 2.1.5 Stored" in pasted(talk, block(guide, 6))
            idler.wait_for(rb"\* 7 EXISTS")
        taken = modseq(*arguments, status=1)
        assert taken.stderr.startswith(f"modseq: cannot listen on {addresses[1]}: Address already in use; ")
    # The second run keeps the mail, and its new password works.
    with running(*arguments) as process:
        again = guide_of(process)
        assert password not in again
        assert "$Claimed" in pasted(block(again, 3), block(again, 4))


def test_the_demo_works_with_curl(tmp_path):
    addresses = ["--imap", f"127.0.0.1:{free_port()}", "--lmtp", f"127.0.0.1:{free_port()}"]
    if subprocess.run(["/bin/sh", "-c", "command -v curl"], capture_output=True, check=False).returncode:
        pytest.skip("no curl here")
    with running("demo", "--data", tmp_path / "demo-data", *addresses) as process:
        answer = pasted(block(guide_of(process), 1))
        assert "* 1 FETCH (UID 1 FLAGS (" in answer
        assert "Subject: Welcome: every change has a number" in answer
