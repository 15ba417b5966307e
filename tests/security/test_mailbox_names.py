"""Names that would mean something elsewhere: refused, or kept as what they are, and never a path."""

import re

import pytest

from modseq import limits
from modseq.storage.sqlite.store import SqliteStore
from server.serving import serving
from server.talk import Conversation
from wire_server import Running

HOSTILE = {
    "parent": b"..",
    "itself": b".",
    "out of here": b"../../../../tmp/x",
    "out of INBOX": b"INBOX/../../x",
    "within": b"a/../b",
    "a dot within": b"a/./b",
    "absolute": b"/etc/passwd",
    "empty levels": b"a//b",
    "only delimiters": b"/" * 10,
    "nothing": b"",
    "NUL": b"a\0b",
    "NUL at the end": b"a\0",
    "a line end": b"a\r\nb OK",
    "a line feed": b"a\nb",
    "escape": b"a\x1b[31m",
    "DEL": b"a\x7f",
    "star": b"a*",
    "percent": b"a%/b",
    "a broken shift": b"a&AAA",
    "a shift without end": b"a&AGE",
    "half a surrogate": b"&2AA-",
    "an ASCII letter in disguise": b"&AGE-",
    "a NUL in disguise": b"&AAA-",
    "octets that are no text": b"\xff\xfe",
    "too long": b"x" * (limits.MAILBOX_NAME_CHARS_MAX + 1),
    "too deep": b"/".join([b"a"] * (limits.MAILBOX_LEVELS_MAX + 1)),
    "ten thousand levels": b"/".join([b"a"] * 10_000),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("names") / "data"


@pytest.fixture(scope="module")
def server(data):
    with serving(SqliteStore(data, sync="off")) as running:
        with Conversation(running) as talk:
            talk.run("C: a CREATE Plain\nS: a OK")
        yield running


def around(data):
    """Return the names of all files and directories beside and below the data directory."""
    return sorted(re.sub(r"\d+-[0-9a-f]+\.wakeup", "wakeup", str(path)) for path in data.parent.rglob("*"))


def asked(talk, octets):
    talk.peer().send(octets + b"\r\nz NOOP\r\n")
    lines = []
    while not lines or not lines[-1].startswith("z "):
        lines.append(talk.peer().read_response())
    return lines


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_makes_nothing(server, data, name):
    before = around(data)
    literal = b"{%d+}\r\n%b" % (len(name), name)
    with Conversation(server) as talk:
        for command in (
            b"CREATE " + literal,
            b"RENAME Plain " + literal,
            b"RENAME INBOX " + literal,
            b"APPEND " + literal + b" {2+}\r\nx\n",
            b"SELECT " + literal,
            b"STATUS " + literal + b" (MESSAGES)",
            b"DELETE " + literal,
        ):
            lines = asked(talk, b"a " + command)
            tagged = [line for line in lines if line.startswith("a ")]
            assert len(tagged) == 1, lines
            assert tagged[0].startswith(("a NO", "a BAD")), (command[:40], tagged)
            assert not any(line.startswith("b OK") for line in lines), "a name became a line of its own"
        lines = asked(talk, b'a LIST "" "*"')
    assert sorted(line.rpartition(" ")[2] for line in lines if line.startswith("* LIST")) == [
        "INBOX",
        "Plain",
    ]
    assert around(data) == before


STRANGE = {
    "a tilde": b"~root",
    "a command": b"$(touch x)",
    "a shell's hook": b"a;rm -rf b",
    "three dots": b"...",
    "hidden": b".hidden/..file",
    "blanks": b" a ",
    "quotes": b'a"b\\c',
    "a long level": b"x" * 900,
    "as deep as may be": b"/".join([b"d"] * limits.MAILBOX_LEVELS_MAX),
    "a right-to-left mark": "a\u202eb".encode("utf-16-be"),
}


@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
def test_a_strange_name_is_only_a_name(server, data, name):
    if b"\x20\x2e" in name:
        name = b"a&IC4-b"
    before = around(data)
    literal = b"{%d+}\r\n%b" % (len(name), name)
    with Conversation(server) as talk:
        assert any(line.startswith("a OK") for line in asked(talk, b"a CREATE " + literal))
        assert any(line.startswith("a OK") for line in asked(talk, b"a SELECT " + literal))
        assert around(data) == before, "mailboxes are rows, not files"
        asked(talk, b"a UNSELECT")
        for at in range(name.count(b"/"), -1, -1):
            level = b"/".join(name.split(b"/")[: at + 1])
            deleted = asked(talk, b"a DELETE {%d+}\r\n%b" % (len(level), level))
            assert any(line.startswith("a OK") for line in deleted)


def test_patterns_of_ten_thousand_levels_match_nothing(server):
    with Conversation(server) as talk:
        for pattern in (b"%/" * 10_000, b"*/" * 10_000 + b"x", b"../" * 10_000):
            lines = asked(talk, b'a LIST "" {%d+}\r\n%b' % (len(pattern), pattern))
            assert not any(line.startswith("* LIST") for line in lines)


@pytest.mark.parametrize("user", ["../../evil", "/etc/evil", "..", "a/b", "evil\0x", "-rf"])
def test_names_of_users_are_no_paths_either(tmp_path, user):
    with serving(SqliteStore(tmp_path / "data", sync="off")) as server:
        server.add_user(user)
        with Conversation(server, login=False) as talk:
            name = user.encode()
            talk.peer().send(b"a LOGIN {%d+}\r\n%b secret\r\n" % (len(name), name))
            assert talk.peer().read_response().startswith("a BAD" if "\0" in user else "a OK")
    names = {path.name for path in (tmp_path / "data").rglob("*")}
    assert not any("evil" in name or name.startswith(("..", "-")) for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_only_the_owner_may_look_into_the_data_directory(data, server):
    assert data.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("detail", ["../../x", "a/../../b", "%2e%2e", "*", "ann", "x" * 2_000])
def test_a_stranger_cannot_choose_a_mailbox_by_an_address(tmp_path_factory, delivering, detail):
    lmtp, talk = delivering
    code, _ = lmtp.rcpt(f'"ann+{detail}"@example.org')
    if code == 250:
        assert lmtp.data(b"Subject: x\r\n\r\n.\r\n")[0] == 250
    lmtp.rset()
    lines = asked(talk, b'a LIST "" "*"')
    assert [line.rpartition(" ")[2] for line in lines if line.startswith("* LIST")] == ["INBOX"]


@pytest.fixture(scope="module")
def delivering(tmp_path_factory):
    import smtplib

    with Running(tmp_path_factory.mktemp("lmtp")) as server:

        class Reachable:
            def connect(self):
                import socket

                return socket.create_connection(server.address, 10)

        with (
            smtplib.LMTP(*server.lmtp_address) as lmtp,
            Conversation(Reachable(), user="ann", password="correct horse") as talk,
        ):
            lmtp.ehlo()
            lmtp.mail("bob@example.org")
            lmtp.rset()

            class Again:
                def rcpt(self, address):
                    lmtp.mail("bob@example.org")
                    return lmtp.docmd(f"RCPT TO:<{address}>")

                data, rset = lmtp.data, lmtp.rset

            yield Again(), talk
