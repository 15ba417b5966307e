"""
LMTP for the server's side, without I/O: octets in, events and octets out.

LMTP is RFC 2033 (its text is short; the rules it takes over from SMTP are cited here by RFC 5321). Rules:

1. LHLO comes first; EHLO and HELO are not LMTP and get 500 (RFC 2033 section 4.1).
2. MAIL, one or more RCPT, DATA, in this order. Out of order is 503. RSET and a second LHLO begin anew.
3. DATA without one accepted recipient is 503 (RFC 2033 section 4.2).
4. After the message there is one reply for each accepted recipient, in their order. Each says for its
   recipient alone whether the message is stored (RFC 2033 section 4.2).
5. The end of the message is CR LF "." CR LF and nothing else. A bare LF or CR is content, at every place:
   two programs that disagree about this let a stranger smuggle a second message into the first.
6. A command line ends with CR LF. One that ends with a bare LF is answered 500 and not carried out.
7. Every line, list and message is bounded; what is too long is dropped while it arrives, not kept.

The owner of a connection feeds `receive`, calls `next_event` until it returns None, and sends what
`take_output` returns. Three events ask for a decision, and nothing is read on until it is given:

    event              decision
    RecipientOffered   accept_recipient() or refuse_recipient(reply)
    DataRequested      accept_data() or refuse_data(reply)
    MessageReceived    report([reply for each recipient])
    ConnectionEnded    none: send the output and close
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, TypeAlias

from modseq.limits import (
    LMTP_BAD_COMMANDS_MAX,
    LMTP_DISCARD_BYTES_MAX,
    LMTP_LINE_BYTES_MAX,
    LMTP_RECIPIENTS_MAX,
)
from modseq.wire.lmtp_text import Address, Reply, SyntaxRefused, Unstuffer, esmtp_parameters, path

_CLIENT_NAME = re.compile(r"[A-Za-z0-9._:\[\]\-\u00a0-\U0010ffff]{1,255}")
_SIZE = re.compile(r"[0-9]{1,20}")
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class RecipientOffered:
    """RCPT named somebody: may the message go there?"""

    address: Address


@dataclass(frozen=True, slots=True)
class DataRequested:
    """DATA wants to begin; `size_bytes` is what MAIL declared, 0 for unknown."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One whole message for its accepted recipients, who stay in the order of their RCPT commands."""

    client_name: str
    sender: Address
    recipients: tuple[Address, ...]
    data: bytes
    """The octets as sent, without dot-stuffing and without the final dot."""
    smtputf8: bool


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """QUIT was answered, or the client was cut for abuse: send the output, then close."""


Event: TypeAlias = RecipientOffered | DataRequested | MessageReceived | ConnectionEnded


# --- replies --------------------------------------------------------------------------------------

_OK = Reply(250, "2.0.0", "OK")
_SENDER_OK = Reply(250, "2.1.0", "Sender OK")
_RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
_START_MAIL = Reply(354, "", "Start mail input; end with <CRLF>.<CRLF>")
_BYE = Reply(221, "2.0.0", "Goodbye")
_NOT_LMTP = Reply(500, "5.5.1", "This is LMTP: begin with LHLO")
_UNKNOWN = Reply(500, "5.5.1", "Command unknown; LHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT are known")
_NOT_OFFERED = Reply(502, "5.5.1", "Command not offered here")
_LINE_TOO_LONG = Reply(500, "5.5.2", f"Command lines have at most {LMTP_LINE_BYTES_MAX} octets")
_BARE_LF = Reply(500, "5.5.2", "Command lines end with CR LF")
_CONTROL = Reply(500, "5.5.2", "Command lines hold text without control characters")
_NOT_UTF8 = Reply(500, "5.5.2", "Command lines are ASCII or UTF-8")
_NO_ARGUMENT = Reply(501, "5.5.4", "This command has no argument")
_TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many commands that are not LMTP; closing")
_TOO_MUCH = Reply(421, "4.3.4", "Far more octets than the size limit; closing")
_MESSAGE_TOO_BIG = Reply(552, "5.3.4", "Message is larger than the limit of this server")
_NUL_REFUSED = Reply(554, "5.6.0", "Message holds a NUL octet, which IMAP cannot carry")
_HELP = Reply(
    214,
    "2.0.0",
    "LMTP (RFC 2033): LHLO name, MAIL FROM:<address>, RCPT TO:<user> or <user+mailbox@domain>,\n"
    "DATA, RSET, NOOP, VRFY, HELP, QUIT. One reply for each recipient follows the message.",
)


# --- the connection -------------------------------------------------------------------------------


class _State(Enum):
    """What the connection waits for."""

    COMMAND = auto()
    LONG_LINE = auto()
    """The rest of a command line that is too long: dropped up to its end."""
    DECISION = auto()
    """The owner's answer to an event."""
    CONTENT = auto()
    ENDED = auto()


class LmtpConnection:
    """
    One client's conversation. See the module's text for the rules and for how to drive it.

    Args:
        host_name: this server's name, for the greeting.
        message_bytes_max: the largest message taken, in octets; announced as SIZE.

    """

    def __init__(self, host_name: str, *, message_bytes_max: int) -> None:
        self._host_name = host_name
        self._message_bytes_max = message_bytes_max
        self._input = bytearray()
        self._output: list[bytes] = []
        self._state = _State.COMMAND
        self._bad_commands = 0
        self.client_name = ""
        self._offered: Address | None = None
        self._unstuffer: Unstuffer | None = None
        self._sender: Address | None = None
        self._recipients: list[Address] = []
        self._kept = bytearray()
        self._begin_transaction(None)
        self._say(Reply(220, "", f"{host_name} LMTP modseq ready"))

    # What the owner calls.

    def receive(self, octets: bytes) -> None:
        """Take octets from the client. What comes after the end of the conversation is dropped."""
        if self._state is not _State.ENDED:
            self._input += octets

    def take_output(self) -> bytes:
        """Return what is to be sent now and forget it."""
        octets = b"".join(self._output)
        self._output.clear()
        return octets

    def next_event(self) -> Event | None:
        """Go on until the owner must act; None when more octets are needed or a decision is due."""
        while self._may_step():
            event = self._step()
            if event is not None:
                return event
        return None

    def accept_recipient(self) -> None:
        """Answer RecipientOffered: the recipient is known here."""
        assert self._offered is not None
        self._recipients.append(self._offered)
        self._decide(_RECIPIENT_OK, _State.COMMAND)

    def refuse_recipient(self, reply: Reply) -> None:
        """Answer RecipientOffered with a reply that says why not."""
        self._decide(reply, _State.COMMAND)

    def accept_data(self) -> None:
        """Answer DataRequested: the message may come."""
        self._unstuffer = Unstuffer()
        self._decide(_START_MAIL, _State.CONTENT)

    def refuse_data(self, reply: Reply) -> None:
        """Answer DataRequested with a reply for now; the transaction stays, so that DATA may be tried again."""
        self._decide(reply, _State.COMMAND)

    def report(self, replies: Sequence[Reply]) -> None:
        """Answer MessageReceived: one reply for each recipient, in their order."""
        assert self._state is _State.DECISION
        if len(replies) != len(self._recipients):
            raise ValueError(f"{len(replies)} replies for {len(self._recipients)} recipients")
        for reply in replies:
            self._say(reply)
        self._begin_transaction(None)
        self._state = _State.COMMAND

    def shut_down(self, reply: Reply) -> None:
        """Say why the server closes (a 421) and end the conversation."""
        if self._state is not _State.ENDED:
            self._end(reply)

    @property
    def recipients(self) -> tuple[Address, ...]:
        """The recipients accepted in the open transaction."""
        return tuple(self._recipients)

    @property
    def takes_content(self) -> bool:
        """Whether a message is on its way."""
        return self._state is _State.CONTENT

    @property
    def content_bytes(self) -> int:
        """Octets of the message that are held at the moment."""
        return len(self._kept)

    # Steps.

    def _say(self, reply: Reply) -> None:
        self._output.append(reply.encode())

    def _decide(self, reply: Reply, state: _State) -> None:
        assert self._state is _State.DECISION
        self._say(reply)
        self._state = state

    def _end(self, reply: Reply) -> ConnectionEnded:
        self._say(reply)
        self._state = _State.ENDED
        self._input.clear()
        self._begin_transaction(None)
        return ConnectionEnded()

    def _may_step(self) -> bool:
        match self._state:
            case _State.COMMAND:
                return len(self._input) >= LMTP_LINE_BYTES_MAX or b"\n" in self._input
            case _State.LONG_LINE | _State.CONTENT:
                return bool(self._input)
            case _State.DECISION | _State.ENDED:
                return False

    def _step(self) -> Event | None:
        match self._state:
            case _State.CONTENT:
                return self._content()
            case _State.LONG_LINE:
                return self._skip_line()
            case _:
                return self._command()

    def _skip_line(self) -> Event | None:
        """Drop the rest of a line that is too long; answer when its end is reached."""
        end = self._input.find(b"\n")
        if end < 0:
            self._input.clear()
            return None
        del self._input[: end + 1]
        self._state = _State.COMMAND
        return self._refuse(_LINE_TOO_LONG)

    # Commands.

    def _command(self) -> Event | None:
        """Take one command line from the input and carry it out."""
        end = self._input.find(b"\n", 0, LMTP_LINE_BYTES_MAX)
        if end < 0:
            self._state = _State.LONG_LINE
            return None
        line = bytes(self._input[: end + 1])
        del self._input[: end + 1]
        try:
            event = self._dispatch(line)
        except SyntaxRefused as refused:
            return self._refuse(refused.reply)
        self._bad_commands = 0
        return event

    def _refuse(self, reply: Reply) -> Event | None:
        """Refuse a command line; cut a client that sends nothing else than what is not LMTP."""
        self._say(reply)
        # Somebody who misspells an address or the order of commands is a mail server all the same.
        if reply.code == 500:
            self._bad_commands += 1
        return self._end(_TOO_MANY_ERRORS) if self._bad_commands >= LMTP_BAD_COMMANDS_MAX else None

    def _dispatch(self, line: bytes) -> Event | None:
        if not line.endswith(b"\r\n"):
            raise SyntaxRefused(_BARE_LF)
        if _CONTROLS.search(line, 0, len(line) - 2):
            raise SyntaxRefused(_CONTROL)
        try:
            text = line[:-2].decode()
        except UnicodeDecodeError:
            raise SyntaxRefused(_NOT_UTF8) from None
        verb, _, argument = text.partition(" ")
        handler = self._HANDLERS.get(verb.upper())
        if handler is None:
            raise SyntaxRefused(_UNKNOWN)
        return handler(self, argument.strip(" "))

    def _lhlo(self, argument: str) -> None:
        """
        Learn the client's name and say what is offered. Enhanced codes have no place in this reply.

        Grammar: "LHLO" SP ( Domain / address-literal ) CRLF
        RFC: 5321 section 4.1.1.1
        RFC: 1870 section 3
        """
        if not _CLIENT_NAME.fullmatch(argument):
            raise SyntaxRefused(Reply(501, "5.5.4", "LHLO takes the client's domain or address literal"))
        self.client_name = argument
        self._begin_transaction(None)
        extensions = (
            "PIPELINING",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            f"SIZE {self._message_bytes_max}",
        )
        self._say(Reply(250, "", "\n".join((self._host_name, *extensions))))

    def _not_lmtp(self, _argument: str) -> None:
        raise SyntaxRefused(_NOT_LMTP)

    def _mail(self, argument: str) -> None:
        """
        Begin a transaction.

        Grammar: "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
        RFC: 5321 section 4.1.1.2
        RFC: 1870 section 6.1
        """
        if not self.client_name:
            raise SyntaxRefused(Reply(503, "5.5.1", "LHLO comes first"))
        if self._sender is not None:
            raise SyntaxRefused(Reply(503, "5.5.1", "A transaction is open already; RSET ends it"))
        sender, parameters = _path_argument(
            argument, "FROM:", Reply(501, "5.1.7", "MAIL FROM:<address> is expected")
        )
        size_bytes = 0
        for name, value in parameters.items():
            match name, value:
                case "SIZE", str(digits) if _SIZE.fullmatch(digits):
                    size_bytes = int(digits)
                case "BODY", str(body) if body.upper() in ("7BIT", "8BITMIME"):
                    pass  # Octets are kept as they come, whatever they were said to be.
                case "SMTPUTF8", None:
                    pass
                case (("SIZE" | "BODY" | "SMTPUTF8"), _):
                    raise SyntaxRefused(
                        Reply(501, "5.5.4", "SIZE=octets, BODY=7BIT, BODY=8BITMIME, SMTPUTF8")
                    )
                case _:
                    raise SyntaxRefused(
                        Reply(555, "5.5.4", "MAIL takes the parameters SIZE, BODY and SMTPUTF8")
                    )
        smtputf8 = "SMTPUTF8" in parameters
        if not sender.path.isascii() and not smtputf8:
            raise SyntaxRefused(Reply(550, "5.6.7", "An address beyond ASCII needs the parameter SMTPUTF8"))
        if size_bytes > self._message_bytes_max:
            raise SyntaxRefused(_MESSAGE_TOO_BIG)
        self._begin_transaction(sender, size_bytes=size_bytes, smtputf8=smtputf8)
        self._say(_SENDER_OK)

    def _rcpt(self, argument: str) -> Event:
        """
        Offer a recipient to the owner.

        Grammar: "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF
        RFC: 5321 section 4.1.1.3, 4.5.3.1.10
        """
        if self._sender is None:
            raise SyntaxRefused(Reply(503, "5.5.1", "MAIL comes before RCPT"))
        expected = Reply(501, "5.1.3", "RCPT TO:<user>, <user+mailbox> or either with @domain is expected")
        address, parameters = _path_argument(argument, "TO:", expected)
        if not address.local:
            raise SyntaxRefused(expected)
        if parameters:
            raise SyntaxRefused(Reply(555, "5.5.4", "RCPT takes no parameter"))
        if not address.path.isascii() and not self._smtputf8:
            raise SyntaxRefused(Reply(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8 at MAIL"))
        if len(self._recipients) >= LMTP_RECIPIENTS_MAX:
            raise SyntaxRefused(
                Reply(452, "4.5.3", f"At most {LMTP_RECIPIENTS_MAX} recipients for one message")
            )
        self._offered = address
        self._state = _State.DECISION
        return RecipientOffered(address)

    def _data(self, argument: str) -> Event:
        """
        Ask the owner for leave to take the message.

        Grammar: "DATA" CRLF
        RFC: 5321 section 4.1.1.4
        """
        _refuse_argument(argument)
        if self._sender is None:
            raise SyntaxRefused(Reply(503, "5.5.1", "MAIL and RCPT come before DATA"))
        if not self._recipients:
            raise SyntaxRefused(Reply(503, "5.5.1", "No recipient was accepted"))
        self._state = _State.DECISION
        return DataRequested(self._size_bytes)

    def _rset(self, argument: str) -> None:
        """
        Forget the transaction.

        Grammar: "RSET" CRLF
        RFC: 5321 section 4.1.1.5
        """
        _refuse_argument(argument)
        self._begin_transaction(None)
        self._say(_OK)

    def _noop(self, _argument: str) -> None:
        """
        Do nothing, whatever follows the word.

        Grammar: "NOOP" [ SP String ] CRLF
        RFC: 5321 section 4.1.1.9
        """
        self._say(_OK)

    def _vrfy(self, argument: str) -> None:
        """
        Never say who has an account: whoever wants to know tries RCPT and leaves a trace.

        Grammar: "VRFY" SP String CRLF
        RFC: 5321 section 4.1.1.6, 7.3
        """
        if not argument:
            raise SyntaxRefused(Reply(501, "5.5.4", "VRFY takes a name"))
        self._say(Reply(252, "2.0.0", "Not verified; RCPT tells"))

    def _help(self, _argument: str) -> None:
        """
        Say in two lines what can be said here.

        Grammar: "HELP" [ SP String ] CRLF
        RFC: 5321 section 4.1.1.8
        """
        self._say(_HELP)

    def _quit(self, argument: str) -> Event:
        """
        End the conversation.

        Grammar: "QUIT" CRLF
        RFC: 5321 section 4.1.1.10
        """
        _refuse_argument(argument)
        return self._end(_BYE)

    def _not_offered(self, _argument: str) -> None:
        raise SyntaxRefused(_NOT_OFFERED)

    # The transaction.

    def _begin_transaction(
        self, sender: Address | None, *, size_bytes: int = 0, smtputf8: bool = False
    ) -> None:
        """Forget the message under way; with a sender, begin one."""
        self._sender = sender
        self._size_bytes = size_bytes
        self._smtputf8 = smtputf8
        self._recipients = []
        self._offered = None
        self._unstuffer = None
        self._kept = bytearray()
        self._dropped_bytes = 0
        self._has_nul = False

    def _content(self) -> Event | None:
        """Take message content from the input; at its end, hand it over or refuse it for every recipient."""
        assert self._unstuffer is not None
        octets = bytes(self._input)
        content, consumed = self._unstuffer.feed(octets)
        if consumed is None:
            self._input.clear()
        else:
            del self._input[:consumed]
        self._keep(content)
        if self._dropped_bytes > LMTP_DISCARD_BYTES_MAX:
            return self._end(_TOO_MUCH)
        if consumed is None:
            return None
        self._state = _State.DECISION
        if self._dropped_bytes:
            self.report([_MESSAGE_TOO_BIG] * len(self._recipients))
            return None
        if self._has_nul:
            self.report([_NUL_REFUSED] * len(self._recipients))
            return None
        assert self._sender is not None
        data = bytes(self._kept)
        self._kept = bytearray()
        return MessageReceived(self.client_name, self._sender, tuple(self._recipients), data, self._smtputf8)

    def _keep(self, content: bytes) -> None:
        """Keep content up to the limit. Beyond it everything is dropped, what was kept included."""
        if self._dropped_bytes:
            self._dropped_bytes += len(content)
        elif len(self._kept) + len(content) > self._message_bytes_max:
            self._dropped_bytes = len(self._kept) + len(content)
            self._kept = bytearray()
        else:
            self._kept += content
            self._has_nul = self._has_nul or b"\0" in content

    # The table of commands.

    _HANDLERS: ClassVar[dict[str, Callable[[LmtpConnection, str], Event | None]]] = {
        "LHLO": _lhlo,
        "MAIL": _mail,
        "RCPT": _rcpt,
        "DATA": _data,
        "RSET": _rset,
        "NOOP": _noop,
        "VRFY": _vrfy,
        "HELP": _help,
        "QUIT": _quit,
        "EHLO": _not_lmtp,
        "HELO": _not_lmtp,
        "EXPN": _not_offered,
        "TURN": _not_offered,
        "STARTTLS": _not_offered,
        "AUTH": _not_offered,
        "BDAT": _not_offered,
    }


def _path_argument(argument: str, keyword: str, expected: Reply) -> tuple[Address, dict[str, str | None]]:
    """Return the address and the parameters after `FROM:` or `TO:`; refuse what is neither."""
    if argument[: len(keyword)].upper() != keyword:
        raise SyntaxRefused(Reply(501, "5.5.4", expected.text))
    address, rest = path(argument[len(keyword) :])
    if address is None or rest[:1] not in ("", " "):
        raise SyntaxRefused(expected)
    return address, esmtp_parameters(rest)


def _refuse_argument(argument: str) -> None:
    if argument:
        raise SyntaxRefused(_NO_ARGUMENT)
