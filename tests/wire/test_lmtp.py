"""LMTP without I/O: each conversation is fed whole and byte by byte and must go the same way."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modseq.limits import LMTP_BAD_COMMANDS_MAX, LMTP_LINE_BYTES_MAX, LMTP_RECIPIENTS_MAX
from modseq.wire import lmtp
from modseq.wire.lmtp import (
    ConnectionEnded,
    DataRequested,
    LmtpConnection,
    MessageReceived,
    RecipientOffered,
)
from modseq.wire.lmtp_text import NULL_SENDER, Address, Reply, Unstuffer, path

STORED = Reply(250, "2.1.5", "Stored")
UNKNOWN_USER = Reply(550, "5.1.1", "No such user")
HELLO = b"LHLO mx.example\r\n"
ENVELOPE = HELLO + b"MAIL FROM:<a@example.org>\r\nRCPT TO:<bob>\r\n"


class Conversation:
    """A server that knows everybody but `nobody` and stores what it gets."""

    def __init__(self, message_bytes_max: int = 10_000) -> None:
        self.connection = LmtpConnection("mail.example", message_bytes_max=message_bytes_max)
        self.output = b""
        self.messages: list[MessageReceived] = []
        self.ended = False

    def feed(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.connection.receive(piece)
            while (event := self.connection.next_event()) is not None:
                self.decide(event)
            self.output += self.connection.take_output()

    def decide(self, event: lmtp.Event) -> None:
        match event:
            case RecipientOffered(address) if address.local == "nobody":
                self.connection.refuse_recipient(UNKNOWN_USER)
            case RecipientOffered():
                self.connection.accept_recipient()
            case DataRequested():
                self.connection.accept_data()
            case MessageReceived() as message:
                self.messages.append(message)
                self.connection.report([STORED] * len(message.recipients))
            case ConnectionEnded():
                self.ended = True

    @property
    def codes(self) -> list[str]:
        """Code and enhanced code of every reply after the greeting, multi-line replies once."""
        found = []
        for line in self.output.decode().split("\r\n")[1:-1]:
            if line[3] == " ":
                status = line[4:].split(" ")[0]
                found.append(line[:3] + (" " + status if status[1:2] == "." else ""))
        return found


def one_piece(octets: bytes) -> list[bytes]:
    return [octets]


def byte_by_byte(octets: bytes) -> list[bytes]:
    return [b"", *(octets[n : n + 1] for n in range(len(octets)))]


@pytest.fixture(params=[one_piece, byte_by_byte], ids=["whole", "bytes"])
def talk(request):
    def _talk(octets: bytes, **options) -> Conversation:
        conversation = Conversation(**options)
        conversation.feed(request.param(octets))
        return conversation

    return _talk


def test_one_message_to_one_recipient(talk):
    talked = talk(ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
    assert talked.output.startswith(b"220 mail.example LMTP")
    assert talked.codes == ["250", "250 2.1.0", "250 2.1.5", "354", "250 2.1.5", "221 2.0.0"]
    (message,) = talked.messages
    assert message == MessageReceived(
        "mx.example",
        Address("a", "example.org", "a@example.org"),
        (Address("bob", "", "bob"),),
        b"Subject: x\r\n\r\nhello\r\n",
        smtputf8=False,
    )
    assert talked.ended


def test_lhlo_names_the_extensions(talk):
    talked = talk(HELLO, message_bytes_max=12345)
    assert talked.output.split(b"\r\n")[1:-1] == [
        b"250-mail.example",
        b"250-PIPELINING",
        b"250-8BITMIME",
        b"250-SMTPUTF8",
        b"250-ENHANCEDSTATUSCODES",
        b"250 SIZE 12345",
    ]


@pytest.mark.parametrize("greeting", [b"EHLO mx\r\n", b"HELO mx\r\n", b"ehlo mx\r\n"])
def test_smtp_greetings_are_refused_with_500(talk, greeting):
    assert talk(greeting + b"MAIL FROM:<a@b>\r\n").codes == ["500 5.5.1", "503 5.5.1"]


@pytest.mark.parametrize("argument", [b"", b" ", b" a b", b" <x>", b" (x)"])
def test_lhlo_needs_a_name(talk, argument):
    assert talk(b"LHLO" + argument + b"\r\n").codes == ["501 5.5.4"]


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        (b"RCPT TO:<bob>\r\n", "503 5.5.1"),
        (b"DATA\r\n", "503 5.5.1"),
        (HELLO + b"RCPT TO:<bob>\r\n", "503 5.5.1"),
        (HELLO + b"DATA\r\n", "503 5.5.1"),
        (HELLO + b"MAIL FROM:<a@b>\r\nDATA\r\n", "503 5.5.1"),
        (HELLO + b"MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n", "503 5.5.1"),
        (ENVELOPE + b"RSET\r\nDATA\r\n", "503 5.5.1"),
        (ENVELOPE + HELLO + b"DATA\r\n", "503 5.5.1"),
        (HELLO + b"MAIL FROM:<a@b>\r\nRCPT TO:<nobody>\r\nDATA\r\n", "503 5.5.1"),
        (ENVELOPE + b"DATA now\r\n", "501 5.5.4"),
        (b"RSET x\r\n", "501 5.5.4"),
        (b"QUIT x\r\n", "501 5.5.4"),
        (b"NOOP whatever\r\n", "250 2.0.0"),
        (b"VRFY bob\r\n", "252 2.0.0"),
        (b"VRFY\r\n", "501 5.5.4"),
        (b"HELP\r\n", "214 2.0.0"),
        (b"EXPN list\r\n", "502 5.5.1"),
        (b"STARTTLS\r\n", "502 5.5.1"),
        (b"XYZZY\r\n", "500 5.5.1"),
        (b"\r\n", "500 5.5.1"),
        (b"NOOP\n", "500 5.5.2"),
        (b"NO\0OP\r\n", "500 5.5.2"),
        (b"NOOP a\rb\r\n", "500 5.5.2"),
        (b"NOOP \xff\xfe\r\n", "500 5.5.2"),
    ],
)
def test_the_last_reply_of(talk, commands, code):
    talked = talk(commands + b"NOOP\r\n")
    assert talked.codes[-2:] == [code, "250 2.0.0"]


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        (b"FROM:<a@b>", "250 2.1.0"),
        (b"from:<a@b>", "250 2.1.0"),
        (b"FROM: <a@b>", "250 2.1.0"),
        (b"FROM:<>", "250 2.1.0"),
        (b"FROM:<@relay.example,@two.example:a@b>", "250 2.1.0"),
        (b'FROM:<"a > b"@c> SIZE=10', "250 2.1.0"),
        (b"FROM:<a@b> BODY=8BITMIME SIZE=500", "250 2.1.0"),
        (b"FROM:<a@b> body=7bit", "250 2.1.0"),
        ("FROM:<jös@example> SMTPUTF8".encode(), "250 2.1.0"),
        ("FROM:<jös@example>".encode(), "550 5.6.7"),
        (b"FROM:<a@b> SIZE=10001", "552 5.3.4"),
        (b"FROM:<a@b> SIZE=999999999999999999999", "501 5.5.4"),
        (b"FROM:<a@b> SIZE=10000", "250 2.1.0"),
        (b"FROM:<a@b> SIZE", "501 5.5.4"),
        (b"FROM:<a@b> SIZE=-1", "501 5.5.4"),
        (b"FROM:<a@b> SIZE=1 SIZE=1", "501 5.5.4"),
        (b"FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"),
        (b"FROM:<a@b> SMTPUTF8=yes", "501 5.5.4"),
        (b"FROM:<a@b> RET=HDRS", "555 5.5.4"),
        (b"FROM:<a@b>SIZE=1", "501 5.1.7"),
        (b"FROM:a@b", "501 5.1.7"),
        (b"FROM:<a b@c>", "501 5.1.7"),
        (b"FROM:<@relay:>", "501 5.1.7"),
        (b"FROM:", "501 5.1.7"),
        (b"TO:<a@b>", "501 5.5.4"),
        (b"", "501 5.5.4"),
    ],
)
def test_mail(talk, argument, code):
    assert talk(HELLO + b"MAIL " + argument + b"\r\n").codes[-1] == code


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        (b"TO:<bob>", "250 2.1.5"),
        (b"TO:<bob@example.org>", "250 2.1.5"),
        (b"TO:<bob@[127.0.0.1]>", "250 2.1.5"),
        (b"TO:<bob@[IPv6:::1]>", "250 2.1.5"),
        (b"TO:<nobody>", "550 5.1.1"),
        (b"TO:<>", "501 5.1.3"),
        (b'TO:<"">', "501 5.1.3"),
        (b"TO:bob", "501 5.1.3"),
        (b"TO:<bob@>", "501 5.1.3"),
        (b"TO:<@example.org>", "501 5.1.3"),
        (b"TO:<bob> NOTIFY=NEVER", "555 5.5.4"),
        ("TO:<jös>".encode(), "553 5.6.7"),
    ],
)
def test_rcpt(talk, argument, code):
    assert talk(HELLO + b"MAIL FROM:<a@b>\r\nRCPT " + argument + b"\r\n").codes[-1] == code


def test_smtputf8_recipients_reach_the_owner_as_text(talk):
    talked = talk(
        HELLO + "MAIL FROM:<ä@x> SMTPUTF8\r\nRCPT TO:<jös+lüst@x>\r\nDATA\r\n.\r\n".encode(),
    )
    assert talked.messages[0].recipients == (Address("jös+lüst", "x", "jös+lüst@x"),)
    assert talked.messages[0].smtputf8


def test_the_parameter_smtputf8_ends_with_its_transaction(talk):
    talked = talk(HELLO + "MAIL FROM:<a@x> SMTPUTF8\r\nRSET\r\nMAIL FROM:<a@x>\r\nRCPT TO:<jös>\r\n".encode())
    assert talked.codes[-1] == "553 5.6.7"


def test_one_reply_for_each_accepted_recipient_in_their_order():
    conversation = Conversation()
    conversation.feed(
        [HELLO + b"MAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<nobody>\r\nRCPT TO:<b>\r\nRCPT TO:<a>\r\n"]
    )
    connection = conversation.connection
    connection.receive(b"DATA\r\nx\r\n.\r\nNOOP\r\n")
    assert connection.next_event() == DataRequested(0)
    connection.accept_data()
    event = connection.next_event()
    assert isinstance(event, MessageReceived)
    assert [address.local for address in event.recipients] == ["a", "b", "a"]
    assert event.sender is NULL_SENDER
    connection.take_output()
    # Nothing that follows is looked at before the decision: it might depend on it.
    assert connection.next_event() is None
    assert connection.take_output() == b""
    connection.report([STORED, Reply(452, "4.2.2", "Over quota"), STORED])
    assert connection.next_event() is None
    assert connection.take_output() == (
        b"250 2.1.5 Stored\r\n452 4.2.2 Over quota\r\n250 2.1.5 Stored\r\n250 2.0.0 OK\r\n"
    )


def test_a_report_of_the_wrong_length_is_an_error_of_the_owner():
    conversation = Conversation()
    conversation.feed([ENVELOPE])
    connection = conversation.connection
    connection.receive(b"DATA\r\n.\r\n")
    connection.next_event()
    connection.accept_data()
    connection.next_event()
    with pytest.raises(ValueError, match="0 replies for 1"):
        connection.report([])


def test_data_refused_for_now_leaves_the_transaction():
    conversation = Conversation()
    conversation.feed([ENVELOPE])
    conversation.connection.receive(b"DATA\r\n")
    assert conversation.connection.next_event() == DataRequested(0)
    conversation.connection.refuse_data(Reply(452, "4.3.1", "Later"))
    conversation.feed([b"DATA\r\nx\r\n.\r\n"])
    assert conversation.codes[-3:] == ["452 4.3.1", "354", "250 2.1.5"]
    assert conversation.messages[0].data == b"x\r\n"


def test_several_messages_in_one_connection(talk):
    talked = talk(
        ENVELOPE + b"DATA\r\none\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c>\r\nDATA\r\ntwo\r\n.\r\n",
    )
    assert [message.data for message in talked.messages] == [b"one\r\n", b"two\r\n"]
    assert talked.messages[1].recipients == (Address("c", "", "c"),)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        # SMTP smuggling: none of these is the end of the message, and every octet of them is content.
        (b"a\n.\n\r\n.\r\n", b"a\n.\n\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n"),
        (b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n"),
        (b"a\n..\nb\r\n.\r\n", b"a\n..\nb\r\n"),
        # A line after CR LF that begins with a dot loses the dot, whatever follows it.
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n"),
        (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n"),
        (b"a\r\n.\r\r\n.\r\n", b"a\r\n\r\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\r\n"),
        (b"\xff\xfe \x80\r\n.\r\n", b"\xff\xfe \x80\r\n"),
    ],
)
def test_the_end_of_the_message(talk, sent, kept):
    talked = talk(ENVELOPE + b"DATA\r\n" + sent + b"NOOP\r\n")
    assert [message.data for message in talked.messages] == [kept]
    assert talked.codes[-2:] == ["250 2.1.5", "250 2.0.0"]


def test_a_smuggled_message_stays_content(talk):
    inner = b"\n.\r\nMAIL FROM:<admin@example.org>\r\nRCPT TO:<bob>\r\nDATA\r\nfake\n.\n"
    talked = talk(ENVELOPE + b"DATA\r\nreal" + inner + b"\r\n.\r\n")
    assert [message.data for message in talked.messages] == [b"real" + inner + b"\r\n"]


def test_a_message_over_the_limit_is_refused_for_each_recipient_and_dropped(talk):
    talked = talk(
        ENVELOPE + b"RCPT TO:<c>\r\nDATA\r\n" + b"x" * 101 + b"\r\n.\r\nNOOP\r\n", message_bytes_max=100
    )
    assert talked.codes[-4:] == ["354", "552 5.3.4", "552 5.3.4", "250 2.0.0"]
    assert talked.messages == []
    assert talked.connection.content_bytes == 0


def test_a_message_of_exactly_the_limit_is_taken(talk):
    talked = talk(ENVELOPE + b"DATA\r\n" + b"x" * 98 + b"\r\n.\r\n", message_bytes_max=100)
    assert talked.codes[-1] == "250 2.1.5"


def test_octets_far_over_the_limit_end_the_connection(talk, monkeypatch):
    monkeypatch.setattr(lmtp, "LMTP_DISCARD_BYTES_MAX", 300)
    talked = talk(ENVELOPE + b"DATA\r\n" + b"x" * 500, message_bytes_max=100)
    assert talked.codes[-1] == "421 4.3.4"
    assert talked.ended


def test_the_input_held_stays_bounded_while_a_message_is_dropped():
    conversation = Conversation(message_bytes_max=1000)
    conversation.feed([ENVELOPE + b"DATA\r\n"])
    for _ in range(100):
        conversation.feed([b"y" * 10_000])
        assert len(conversation.connection._input) == 0
        assert conversation.connection.content_bytes == 0


def test_nul_octets_are_refused_for_each_recipient(talk):
    talked = talk(ENVELOPE + b"RCPT TO:<c>\r\nDATA\r\na\0b\r\n.\r\nNOOP\r\n")
    assert talked.codes[-3:] == ["554 5.6.0", "554 5.6.0", "250 2.0.0"]
    assert talked.messages == []


def test_a_line_too_long_is_dropped_and_answered_once(talk):
    talked = talk(b"NOOP " + b"x" * (5 * LMTP_LINE_BYTES_MAX) + b"\r\nNOOP\r\n")
    assert talked.codes == ["500 5.5.2", "250 2.0.0"]


def test_a_line_of_exactly_the_limit_is_carried_out(talk):
    line = b"NOOP " + b"x" * (LMTP_LINE_BYTES_MAX - 7) + b"\r\n"
    assert len(line) == LMTP_LINE_BYTES_MAX
    assert talk(line).codes == ["250 2.0.0"]
    assert talk(b"N" + line).codes == ["500 5.5.2"]


def test_an_endless_line_is_not_kept():
    conversation = Conversation()
    for _ in range(50):
        conversation.feed([b"x" * 10_000])
    assert len(conversation.connection._input) == 0


def test_too_many_recipients_get_452(talk):
    recipients = b"".join(b"RCPT TO:<u%d>\r\n" % n for n in range(LMTP_RECIPIENTS_MAX + 2))
    talked = talk(HELLO + b"MAIL FROM:<>\r\n" + recipients + b"DATA\r\nx\r\n.\r\n")
    assert talked.codes[-(LMTP_RECIPIENTS_MAX + 3) :][:3] == ["452 4.5.3", "452 4.5.3", "354"]
    assert len(talked.messages[0].recipients) == LMTP_RECIPIENTS_MAX


def test_a_client_that_does_not_speak_lmtp_is_cut(talk):
    talked = talk(b"GET / HTTP/1.1\r\n" + b"Header: x\r\n" * LMTP_BAD_COMMANDS_MAX)
    assert talked.codes == ["500 5.5.1"] * LMTP_BAD_COMMANDS_MAX + ["421 4.7.0"]
    assert talked.ended


def test_bare_lf_lines_count_as_not_lmtp(talk):
    talked = talk(b"NOOP\n" * (LMTP_BAD_COMMANDS_MAX + 1))
    assert talked.codes[-1] == "421 4.7.0"


def test_one_good_command_forgives_the_bad_ones(talk):
    talked = talk((b"WHAT\r\n" * (LMTP_BAD_COMMANDS_MAX - 1) + b"NOOP\r\n") * 2)
    assert not talked.ended


def test_shut_down_says_why_and_drops_the_rest():
    conversation = Conversation()
    conversation.feed([ENVELOPE + b"DATA\r\nhalf a mess"])
    conversation.connection.shut_down(Reply(421, "4.3.2", "Shutting down"))
    conversation.feed([b"age\r\n.\r\n"])
    assert conversation.codes[-1] == "421 4.3.2"
    assert conversation.messages == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('<"a b"@x>', Address("a b", "x", '"a b"@x')),
        (r'<"a\"b\\c">', Address('a"b\\c', "", r'"a\"b\\c"')),
        ('<"">', Address("", "", '""')),
        ("<a..b@x>", Address("a..b", "x", "a..b@x")),
        ("<@r,@s:u+d@x>", Address("u+d", "x", "u+d@x")),
        ("<>", NULL_SENDER),
        ("<a", None),
        ('<"a\n">', None),
        ("<a\u0085b>", None),
    ],
)
def test_path(text, address):
    assert path(text)[0] == address


def test_a_reply_of_several_lines_repeats_its_codes():
    assert Reply(214, "2.0.0", "a\nb").encode() == b"214-2.0.0 a\r\n214 2.0.0 b\r\n"


lines = st.lists(
    st.sampled_from([b".", b"..", b"\r\n", b"\n", b"\r", b"a", b"\xff", b"\r\n.\r"]), max_size=40
)


@given(lines, st.lists(st.integers(1, 7), min_size=1))
@settings(max_examples=300, deadline=None)
def test_every_message_comes_back_as_it_was_however_it_is_cut(pieces, cuts):
    message = b"".join(pieces) + b"\r\n"
    sent = message.replace(b"\r\n.", b"\r\n..")
    sent = (b"." if sent.startswith(b".") else b"") + sent + b".\r\nNOOP\r\n"
    unstuffer = Unstuffer()
    received = b""
    at = 0
    turn = 0
    consumed = None
    while consumed is None:
        piece = sent[at : at + cuts[turn % len(cuts)]]
        content, consumed = unstuffer.feed(piece)
        received += content
        at += len(piece) if consumed is None else consumed
        turn += 1
    assert received == message
    assert sent[at:] == b"NOOP\r\n"


words = st.sampled_from(
    [
        b"LHLO x",
        b"MAIL FROM:<a@b>",
        b"MAIL FROM:<a@b> SIZE=5",
        b"RCPT TO:<bob>",
        b"RCPT TO:<nobody>",
        b"DATA",
        b"DATA\r\nhello\r\n.",
        b".",
        b"RSET",
        b"QUIT",
        b"\xff\0",
        b"x" * 3000,
    ]
)


@given(
    st.lists(st.tuples(words | st.binary(max_size=30), st.sampled_from([b"\r\n", b"\n", b""])), max_size=20)
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_sent_the_conversation_is_the_same_whole_and_byte_by_byte(parts):
    octets = b"".join(word + end for word, end in parts)
    whole = Conversation()
    whole.feed(one_piece(octets))
    bytewise = Conversation()
    bytewise.feed(byte_by_byte(octets))
    assert whole.output == bytewise.output
    assert whole.messages == bytewise.messages
    assert whole.ended == bytewise.ended
