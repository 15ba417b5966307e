"""BODY[...] over the wire against the standard library's reading of the same messages. RFC 3501 section 6.4.5."""

import email
import email.policy
import re
from pathlib import Path

import pytest

from server.mail import Mailbox

MULTIPART = (
    b"From: a@example.org\r\nSubject: outer\r\nX-Folded: one\r\n two\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="out"\r\n\r\npreamble\r\n'
    b"--out\r\nContent-Type: text/plain\r\nX-Part: first\r\n\r\nfirst part\r\n"
    b"--out\r\nContent-Type: message/rfc822\r\n\r\n"
    b'From: b@example.org\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary="in"\r\n\r\n'
    b"--in\r\nContent-Type: text/plain\r\n\r\ninner plain\r\n"
    b"--in\r\nContent-Type: text/html\r\n\r\n<p>inner html</p>\r\n--in--\r\n"
    b"--out\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n"
    b"--out--\r\nepilogue\r\n"
)
INNER = MULTIPART[MULTIPART.index(b"From: b@") : MULTIPART.index(b"\r\n--out\r\nContent-Type: application")]
HEADER_END = MULTIPART.index(b"\r\n\r\n") + 4


@pytest.fixture
def selected(talk):
    talk.run("C: a1 APPEND INBOX (\\Seen) {{m}}\nS: a1 OK\nC: a2 SELECT INBOX\nS: a2 OK", m=MULTIPART)
    return talk


def octets(talk, item, number=1):
    """The octets that FETCH gives for one item; None for NIL. Reads the socket itself: a test compares octets."""
    peer = talk.peer(1)
    peer.send(f"s1 FETCH {number} ({item})\r\n".encode())
    buffer = bytearray()
    while not re.search(rb"^s1 (OK|NO|BAD)[^\r\n]*\r\n\Z", buffer[-300:], re.MULTILINE):
        came = peer.socket.recv(1 << 16)
        assert came
        buffer += came
    line = bytes(buffer)
    name = re.escape(re.sub(r"<(\d+)\.\d+>$", r"<\1>", item.replace(".PEEK", ""))).encode()
    found = re.search(rb"\* \d+ FETCH \(%b (?:NIL\)|\{(\d+)\}\r\n)" % name, line)
    assert found, line[:500]
    if found[1] is None:
        return None
    assert line[found.end() + int(found[1]) :].startswith(b")\r\n")
    return line[found.end() : found.end() + int(found[1])]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", MULTIPART),
        ("HEADER", MULTIPART[:HEADER_END]),
        ("TEXT", MULTIPART[HEADER_END:]),
        ("1", b"first part"),
        ("1.MIME", b"Content-Type: text/plain\r\nX-Part: first\r\n\r\n"),
        ("2", INNER),
        ("2.HEADER", INNER[: INNER.index(b"\r\n\r\n") + 4]),
        ("2.TEXT", INNER[INNER.index(b"\r\n\r\n") + 4 :]),
        ("2.1", b"inner plain"),
        ("2.2", b"<p>inner html</p>"),
        ("2.2.MIME", b"Content-Type: text/html\r\n\r\n"),
        ("3", b"AAECAw=="),
        ("4", None),
        ("1.1", None),
        ("1.HEADER", None),
        ("2.HEADER.FIELDS (SUBJECT)", b"Subject: inner\r\n\r\n"),
        ("HEADER.FIELDS (X-FOLDED From)", b"From: a@example.org\r\nX-Folded: one\r\n two\r\n\r\n"),
        ("HEADER.FIELDS (X-Nothing)", b"\r\n"),
        ("1.HEADER.FIELDS (From)", None),
        (
            "HEADER.FIELDS.NOT (X-Folded Mime-Version Content-Type)",
            b"From: a@example.org\r\nSubject: outer\r\n\r\n",
        ),
    ],
)
def test_sections_of_a_nested_message(selected, section, expected):
    assert octets(selected, f"BODY.PEEK[{section}]") == expected


@pytest.mark.parametrize(
    ("first", "count"), [(0, 1), (0, 10_000), (5, 7), (30, 1000), (10_000, 5), (118, 4_000_000)]
)
@pytest.mark.parametrize("section", ["", "TEXT", "2.1", "HEADER.FIELDS (SUBJECT)"])
def test_partial_fetch_is_a_slice_of_the_whole(selected, section, first, count):
    whole = octets(selected, f"BODY.PEEK[{section}]")
    assert octets(selected, f"BODY.PEEK[{section}]<{first}.{count}>") == whole[first : first + count]


def test_several_sections_come_in_the_order_asked(selected):
    selected.run(
        r"""
        C: a3 FETCH 1 (BODY.PEEK[1] UID BODY.PEEK[2.1] FLAGS BODY.PEEK[9])
        S: * 1 FETCH (BODY[1] {10}first part UID 1 BODY[2.1] {11}inner plain FLAGS (\Recent \Seen) BODY[9] NIL)
        S: a3 OK
    """
    )


def test_the_names_of_before(selected):
    # RFC822, RFC822.HEADER and RFC822.TEXT answer under their own names.
    assert octets(selected, "RFC822") == MULTIPART
    assert octets(selected, "RFC822.HEADER") == MULTIPART[:HEADER_END]
    assert octets(selected, "RFC822.TEXT") == MULTIPART[HEADER_END:]


def _leaves(message, path=()):
    """Part numbers and payloads of all leaves, as RFC 3501 section 6.4.5 counts them."""
    if message.is_multipart() and message.get_content_maintype() == "multipart":
        for number, part in enumerate(message.get_payload(), 1):
            yield from _leaves(part, (*path, number))
    elif message.get_content_type() == "message/rfc822":
        inner = message.get_payload(0)
        if inner.get_content_maintype() == "multipart":
            yield from _leaves(inner, path)
        else:
            yield from _leaves(inner, (*path, 1))
    else:
        yield path or (1,), message


def test_leaves_are_those_of_the_standard_library(selected):
    parsed = email.message_from_bytes(MULTIPART, policy=email.policy.compat32)
    found = {path: octets(selected, f"BODY.PEEK[{'.'.join(map(str, path))}]") for path, _ in _leaves(parsed)}
    assert found == {path: leaf.get_payload().encode() for path, leaf in _leaves(parsed)}


CORPUS = sorted((Path(__file__).parents[3] / "shared" / "corpus" / "messages").glob("*"))[:25]


@pytest.mark.skipif(not CORPUS, reason="no corpus here")
def test_real_messages_come_back_as_they_were(talk):
    messages = [path.read_bytes() for path in CORPUS if path.is_file()]
    messages = [message for message in messages if message and b"\x00" not in message]
    for message in messages:
        talk.run("C: a1 APPEND INBOX {{m}}\nS: a1 OK", m=message)
    talk.run("C: a2 EXAMINE INBOX\nS: a2 OK")
    for number, message in enumerate(messages, 1):
        assert octets(talk, "BODY.PEEK[]", number) == message
        header = octets(talk, "BODY.PEEK[HEADER]", number)
        assert header + octets(talk, "BODY.PEEK[TEXT]", number) == message


def test_a_nul_that_was_imported_is_never_put_into_a_literal(server, talk):
    Mailbox(server).deliver(data=b"Subject: a\0b\r\n\r\nx\0y\r\n")
    talk.run("C: a1 EXAMINE INBOX\nS: a1 OK")
    assert octets(talk, "BODY.PEEK[]") == b"Subject: a\x80b\r\n\r\nx\x80y\r\n"
    assert octets(talk, "BODY.PEEK[TEXT]<1.1>") == b"\x80"
    assert octets(talk, "BODY.PEEK[HEADER.FIELDS (SUBJECT)]") == b"Subject: a\x80b\r\n\r\n"
