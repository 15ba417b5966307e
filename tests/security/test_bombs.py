"""Small input that would cost much: refused or paid for in pieces, and the next command works."""

import pytest

from modseq import limits
from modseq.core.numset import NumSet
from modseq.core.operations import Append
from modseq.core.store_flags import StoreFlags
from modseq.server.delivery import intake
from server.serving import serving
from server.talk import Conversation


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


@pytest.fixture
def talk(server):
    with Conversation(server) as conversation:
        conversation.run("C: z SELECT INBOX\nS: z OK")
        yield conversation


def answer(talk, octets):
    """Send a command with tag a; return its reply, after making sure that the session works as before."""
    peer = talk.peer()
    peer.send(octets + b"\r\nb NOOP\r\n")
    lines = []
    while not lines or not lines[-1].startswith("b "):
        lines.append(peer.read_response())
    assert lines[-1] == "b OK Nothing done"
    tagged = [line for line in lines if line.startswith("a ")]
    assert len(tagged) == 1
    return tagged[0]


# --- commands -------------------------------------------------------------------------------------

DEEP = 5_000
REFUSED = {
    "parentheses": b"SEARCH " + b"(" * DEEP + b"ALL" + b")" * DEEP,
    "open parentheses": b"SEARCH " + b"(" * 100_000,
    "NOT of NOT": b"SEARCH " + b"NOT " * DEEP + b"ALL",
    "OR of OR": b"SEARCH " + b"OR ALL " * DEEP + b"ALL",
    "many keys": b"SEARCH" + b" SEEN" * (limits.SEARCH_KEYS_MAX + 1),
    "many keys in parentheses": b"SEARCH (" + b" ".join([b"(SEEN UNSEEN)"] * limits.SEARCH_KEYS_MAX) + b")",
    "many items": b"FETCH 1 ("
    + b" ".join(b"BODY[%d]" % n for n in range(1, limits.FETCH_ITEMS_MAX + 2))
    + b")",
    "a deep section": b"FETCH 1 BODY[" + b".".join([b"1"] * (limits.SECTION_PATH_MAX + 1)) + b"]",
    "many fields": b"FETCH 1 BODY[HEADER.FIELDS ("
    + b" ".join([b"X"] * (limits.HEADER_FIELDS_MAX + 1))
    + b")]",
    "many flags": b"STORE 1 FLAGS ("
    + b" ".join(b"$%d" % n for n in range(limits.FLAGS_PER_COMMAND_MAX + 1))
    + b")",
    "many patterns": b'LIST "" (' + b" ".join([b"*"] * (limits.LIST_PATTERNS_MAX + 1)) + b")",
    "many words to enable": b"ENABLE" + b" X" * (limits.CAPABILITIES_PER_ENABLE_MAX + 1),
    "many pairs": b"ID (" + b" ".join([b'"a" "b"'] * (limits.ID_PAIRS_MAX + 1)) + b")",
    "a long atom": b"STORE 1 FLAGS (" + b"x" * (limits.ATOM_BYTES_MAX + 1) + b")",
    "a huge number": b"FETCH " + b"9" * 100_000 + b" FLAGS",
    "a huge mod-sequence": b"SEARCH MODSEQ " + b"9" * 100_000,
    "a NUL": b"SEARCH SUBJECT a\0b",
    "a NUL in quotes": b'SEARCH SUBJECT "a\0b"',
    "a message with NULs": b"APPEND INBOX {3+}\r\na\0b",
    "a charset": b"SEARCH CHARSET " + b"x" * 1_000 + b" ALL",
}


@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_and_forgotten(talk, command):
    assert answer(talk, b"a " + command).startswith(("a BAD", "a NO [BADCHARSET"))


PAID = {
    "the same range again and again": b"SEARCH UID " + b",".join([b"1:4294967295"] * 9_000),
    "scattered numbers": b"UID FETCH " + b",".join(b"%d" % n for n in range(1, 36_000, 2)) + b" FLAGS",
    "a pattern that matches nothing slowly": b'LIST "" "' + b"%*" * 400 + b'x"',
    "a long string": b"SEARCH TEXT {60000+}\r\n" + b"ab" * 30_000,
}


@pytest.mark.parametrize("command", PAID.values(), ids=PAID)
def test_it_is_done_and_others_go_on(server, talk, command):
    with Conversation(server) as other:
        other.run("C: y SELECT INBOX\nS: y OK")
        assert answer(talk, b"a " + command).startswith("a OK")
        other.run("C: x NOOP\nS: x OK")


@pytest.mark.parametrize(
    "octets",
    [
        b"a APPEND INBOX " + b"{0+}\r\n " * (limits.LITERALS_PER_COMMAND_MAX + 1) + b"x",
        b"a STATUS " + b"{1+}\r\nx" * (limits.LITERALS_PER_COMMAND_MAX + 1) + b" (MESSAGES)",
    ],
    ids=["of nothing", "of one octet"],
)
def test_many_literals_are_refused(talk, octets):
    assert answer(talk, octets).startswith(("a NO [TOOBIG]", "a BAD"))


def test_announced_literals_take_no_memory(server):
    """Twenty messages of the largest size are announced, none is sent: nothing is set aside for them."""
    talks = [Conversation(server) for _ in range(20)]
    for talk in talks:
        talk.peer().send(b"a APPEND INBOX {%d}\r\n" % limits.APPEND_LITERAL_BYTES_MAX)
        assert talk.peer().read_response().startswith("+")
    held = [session.framer.held_bytes for session in server.service.sessions if session.user]
    assert sum(held) < 20 * 1_000
    for talk in talks:
        talk.close()


def test_a_literal_beyond_all_bounds_ends_the_connection(server):
    with Conversation(server) as talk:
        talk.peer().send(b"a APPEND INBOX {99999999999999999999+}\r\n")
        talk.run("S: * BYE [TOOBIG]\nS: <closed>")


def test_keywords_of_a_mailbox_are_bounded_and_told_so(server):
    with Conversation(server) as talk:
        talk.run(
            "C: a CREATE Keywords\nS: a OK\nC: a APPEND Keywords {{m}}\nS: a OK", m=b"Subject: x\r\n\r\n"
        )
        talk.run("C: a SELECT Keywords\nS: a OK")
        for first in range(0, limits.KEYWORDS_PER_MAILBOX_MAX, 50):
            names = b" ".join(b"k%d" % n for n in range(first, first + 50))
            assert answer(talk, b"a STORE 1 +FLAGS.SILENT (" + names + b")").startswith("a OK")
        assert answer(talk, b"a STORE 1 +FLAGS.SILENT (one-more)").startswith("a NO [LIMIT]")
        assert answer(talk, b"a STORE 1 (UNCHANGEDSINCE 0) +FLAGS (one-more)").startswith("a NO [LIMIT]")


# --- messages -------------------------------------------------------------------------------------

LEVELS = 3_000
MESSAGES = {
    "nested multiparts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(LEVELS)
    ),
    "nested messages": b"Content-Type: message/rfc822\r\n\r\n" * LEVELS
    + b"Subject: in the middle\r\n\r\n.\r\n",
    "many parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 30_000,
    "many parameters": b"Content-Type: text/plain" + b"; a=b" * 20_000 + b"\r\n\r\n.\r\n",
    "many recipients": b"To: " + b"a@b, " * 20_000 + b"\r\n\r\n.\r\n",
    "nested comments": b"From: " + b"(" * 50_000 + b" a@b\r\n\r\n.\r\n",
    "encoded words": b"Subject: " + b"=?utf-8?q?=?= " * 10_000 + b"\r\n\r\n.\r\n",
    "a line without end": b"Subject: x\r\n\r\n" + b"x" * 500_000,
    "base64 of nothing": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 200_000,
    "octets that are no text": b"\xff\xfe\x80" * 50_000,
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_stored_described_and_searched(server, message):
    with Conversation(server) as talk, Conversation(server) as other:
        talk.run("C: a CREATE Bombs\nS: a ...\nC: a SELECT Bombs\nS: a OK")
        peer = talk.peer()
        peer.send(b"a APPEND Bombs {%d+}\r\n%b\r\n" % (len(message), message))
        while not (line := peer.read_response()).startswith("a "):
            pass
        assert line.startswith("a OK [APPENDUID")
        peer.send(b"b UID FETCH * (BODYSTRUCTURE ENVELOPE BODY.PEEK[1.1.1.1] BODY.PEEK[HEADER])\r\n")
        while not (line := peer.read_response()).startswith("b "):
            assert line.count("(") < 100_000
            assert len(line) < 40 * len(message) + 100_000
        assert line.startswith("b OK")
        peer.send(b"c UID SEARCH OR TEXT needle SUBJECT needle\r\n")
        assert peer.read_response() == "* SEARCH"
        assert peer.read_response().startswith("c OK")
        other.run("C: x NOOP\nS: x OK")


def test_depth_that_clients_must_read_is_bounded(server):
    with Conversation(server) as talk:
        talk.run("C: a CREATE Deep\nS: a OK\nC: a SELECT Deep\nS: a OK")
        for name in ("nested multiparts", "nested messages"):
            talk.run("C: a APPEND Deep {{m}}\nS: a OK", m=MESSAGES[name])
            talk.run("C: b UID FETCH * (BODYSTRUCTURE)\nS: * $number FETCH ...\nS: b OK")
            structure = next(line for line in talk.came if "BODYSTRUCTURE" in line)
            depth = deepest = 0
            for char in structure:
                depth += (char == "(") - (char == ")")
                deepest = max(deepest, depth)
            assert limits.MIME_DEPTH_MAX / 2 < deepest < limits.MIME_DEPTH_MAX * 3
            talk.captures.clear()


# --- commands on huge mailboxes -------------------------------------------------------------------

HUGE = 30_000


@pytest.fixture(scope="module")
def huge(server):
    """INBOX of bob with many messages of one content."""
    server.add_user("bob")

    async def fill():
        account = await server.store.account("bob")
        mailbox_id = account.listing().find("INBOX").mailbox_id
        message = await intake(b"Subject: one of many\r\n\r\n" + b"The quick brown fox.\r\n" * 20)
        await account.commit(Append(mailbox_id, (message,) * HUGE))
        odd = NumSet(range(1, HUGE, 2))
        await account.commit(StoreFlags(mailbox_id, odd, "+", ("$Odd",)))

    server.call(fill())
    return server


@pytest.mark.parametrize(
    "command",
    [
        b"SEARCH TEXT needle",
        b"UID SEARCH OR BODY needle HEADER X-Nothing needle",
        b"STORE 1:* (UNCHANGEDSINCE 1) +FLAGS ($Claimed)",
        b"STORE 1:* (UNCHANGEDSINCE 99) +FLAGS.SILENT ($Claimed)",
        b"FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)",
    ],
)
def test_others_are_answered_while_it_runs(huge, command):
    """The command was sent before and still runs when others have their answers, of its own user too."""
    assert any(others_come_first(huge, command) for _ in range(5))


def others_come_first(huge, command):
    earlier = set(huge.service.sessions)
    with (
        Conversation(huge, user="bob") as busy,
        Conversation(huge, user="bob") as same,
        Conversation(huge) as other,
    ):
        busy.run("C: z SELECT INBOX\nS: z OK")
        same.run("C: z STATUS INBOX (MESSAGES)\nS: z OK")
        other.run("C: z SELECT INBOX\nS: z OK")
        (session,) = (each for each in huge.service.sessions - earlier if each.view and each.user == "bob")
        busy.peer().send(b"a " + command + b"\r\n")
        other.run("C: n NOOP\nS: n OK")
        same.run('C: y LIST "" INBOX\nS: y OK')
        still_runs = session.is_working
        while not (line := busy.peer().read_response(60.0)).startswith("a "):
            pass
        assert line.startswith("a OK")
        return still_runs
