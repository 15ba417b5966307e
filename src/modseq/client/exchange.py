r"""One connection without the connection: octets in, octets out, who asked what.

Theory of operation: a verb begins a command (`begin`), sends what `outgoing` yields, and waits until the
command has its tagged reply. All octets that come are fed here, whoever waits; each response goes

- by its tag, to the command that has it,
- else to the running commands in the order in which they were sent: the first whose collector takes it; one
  that opens a mailbox is asked when it is the first, for it is not of this mailbox that the others are told,
- else to the event log. Live VANISHED and EXPUNGE, HIGHESTMODSEQ, CLOSED, UIDNOTSTICKY and ALERT go there too.

So several commands may be on their way at once, and nothing that the server says is lost. A command whose
caller went away stays here until its reply came; what it asked for is then dropped, the rest is not.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

from modseq.client.errors import (
    ConnectionLost,
    EventsOverflowed,
    ProtocolViolated,
    ResponseTooLarge,
    ServerSaidBye,
    WrongState,
)
from modseq.client.events import (
    Alert,
    EventLog,
    MailboxClosed,
    ModSeqRaised,
    Notice,
    UidNotSticky,
)
from modseq.client.options import Options
from modseq.client.quirks import Quirks
from modseq.client.results import Selected, ServerId
from modseq.limits import INFLATE_PIECE_BYTES, LITERAL_MINUS_BYTES_MAX
from modseq.wire.abnf import ParseError
from modseq.wire.command_writer import Source
from modseq.wire.grammar.client.fetch import fetched_run, is_body_announcement
from modseq.wire.response import parse_response, write_command
from modseq.wire.response_framing import LiteralChunk, ResponseBroken, ResponseReader, TextReceived
from modseq.wire.response_values import (
    CapabilityData,
    Continuation,
    EnabledData,
    Expunged,
    MessageData,
    Response,
    StatusResponse,
    Vanished,
)
from modseq.wire.values import Args, Command

Collector: TypeAlias = Callable[[Response], bool]
"""Looks at a response while its command runs; True: it was asked for and is taken."""


@dataclass(slots=True)
class Running:
    """One command on its way."""

    tag: bytes
    name: str
    """For error messages: never any argument."""
    parts: tuple[bytes | Source, ...]
    collector: Collector | None
    body: BodySink | None = None
    reply: StatusResponse | None = None
    is_sent: bool = False
    is_abandoned: bool = False
    awaits_continuation: bool = False
    continuation: bytes | None = None
    farewell: bytes | None = None
    """What ends it, where the server waits for that: DONE."""
    opens_mailbox: bool = False
    """What is said before the commands ahead of it are over is about the mailbox that they were sent for."""

    @property
    def is_over(self) -> bool:
        """Whether its tagged reply came."""
        return self.reply is not None


@dataclass(slots=True)
class BodySink:
    """Where the octets of a streamed literal go."""

    size: int | None = None
    chunks: list[bytes] = field(default_factory=list)
    is_complete: bool = False


class Exchange:
    """
    The state of one connection, sans I/O.

    Attributes:
        events: what nobody asked for.
        capabilities: in capitals; empty before the server said.
        selected: the mailbox that is open.
        is_broken: nothing more can be said on this connection; drivers close it.
        takes_no_more: a pipeline ended by opening a mailbox, and not all of it was answered.

    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.events = EventLog()
        self.capabilities: frozenset[str] = frozenset()
        self.enabled: frozenset[str] = frozenset()
        self.selected: Selected | None = None
        self.server_id = ServerId({})
        self.quirks = options.quirks or Quirks()
        self.greeting: StatusResponse | None = None
        self.is_logged_in = False
        self.is_broken = False
        self.takes_no_more = False
        self.running: list[Running] = []
        self.octets_received = 0
        self._reader = ResponseReader()
        self._streaming: BodySink | None = None
        self._tags = 0
        self._inflater: zlib._Decompress | None = None
        self._deflater: zlib._Compress | None = None
        self._to_inflate = b""
        self._lost: ConnectionLost | None = None

    # --- what the server can do ---

    def has(self, capability: str) -> bool:
        """Return whether the server offers a capability; IMAP4rev2 brings those it includes."""
        name = capability.upper()
        return name in self.capabilities or (name in _OF_REV2 and "IMAP4REV2" in self.capabilities)

    @property
    def utf8(self) -> bool:
        """Whether mailbox names are UTF-8."""
        return bool(self.enabled & {"UTF8=ACCEPT", "IMAP4REV2"})

    # --- sending ---

    def begin(
        self,
        name: str,
        args: Args | None = None,
        *,
        uid: bool = False,
        collector: Collector | None = None,
        body: BodySink | None = None,
        raw: bytes = b"",
        opens_mailbox: bool = False,
    ) -> Running:
        """
        Register a command that is about to be sent.

        Args:
            name: in capitals, without UID.
            args: of the command; None for none.
            uid: whether it is the UID form.
            collector: takes its untagged responses.
            body: takes the first body section, unheld.
            raw: written behind the name as it is, instead of args.
            opens_mailbox: what is said before it is the first of those running is not about its mailbox.

        Raises:
            WrongState: the connection is over, another command is half sent, or nothing may follow.

        """
        self.require_open()
        if any(not each.is_sent and not each.is_over for each in self.running):
            raise WrongState("another command is half sent")
        if self.takes_no_more:
            raise WrongState(
                "a mailbox is being opened: this command would act in another one than was meant"
            )
        if b"\r" in raw or b"\n" in raw or b"\0" in raw:
            raise ValueError("line ends cannot be sent in a command")
        self._tags += 1
        tag = b"m%d" % self._tags
        parts = write_command(Command(tag, name, uid, args), utf8=self.utf8)
        if raw:
            last = parts[-1]
            assert isinstance(last, bytes)
            parts = (*parts[:-1], b"%b %b" % (last, raw))
        full_name = f"UID {name}" if uid else name
        running = Running(tag, full_name, parts, collector, body, opens_mailbox=opens_mailbox)
        self.running.append(running)
        return running

    def require_open(self) -> None:
        """Raise what ended the connection, if it has ended."""
        if self._lost is not None:
            raise self._lost
        if self.is_broken:
            raise ConnectionLost("the connection is closed")

    def outgoing(self, running: Running) -> Iterator[bytes | Source | None]:
        """
        Yield what to send of a command: octets, a source to send from, or None: wait for leave to go on.

        Literals that the server takes unasked are not waited for.

        RFC: 7888 section 3, 4, 5
        """
        text = bytearray()
        parts = running.parts
        for number, part in enumerate(parts):
            is_literal = number % 2 == 1
            if not is_literal:
                assert isinstance(part, bytes)
                if number == len(parts) - 1:
                    text += part + b"\r\n"
                    break
                following = parts[number + 1]
                length = len(following) if isinstance(following, bytes) else following.length
                if self._may_send_unasked(length):
                    text += part[:-1] + b"+}\r\n"
                    continue
                yield self.encode(bytes(text + part + b"\r\n"))
                text.clear()
                running.awaits_continuation = True
                yield None
                if running.is_over:
                    return
            elif isinstance(part, bytes):
                text += part
            else:
                if text:
                    yield self.encode(bytes(text))
                    text.clear()
                yield part
        running.is_sent = True
        yield self.encode(bytes(text))

    def _may_send_unasked(self, length: int) -> bool:
        if "LITERAL+" in self.capabilities:
            return True
        return self.has("LITERAL-") and length <= LITERAL_MINUS_BYTES_MAX

    def encode(self, octets: bytes) -> bytes:
        """Return octets as they go to the socket: deflated where COMPRESS is on."""
        if self._deflater is None:
            return octets
        return self._deflater.compress(octets) + self._deflater.flush(zlib.Z_SYNC_FLUSH)

    @property
    def is_compressed(self) -> bool:
        """Whether COMPRESS is on."""
        return self._deflater is not None

    def start_compression(self) -> None:
        """
        Deflate and inflate from here on; what was fed behind the tagged OK is compressed already.

        RFC: 4978 section 3
        """
        framer = self._reader.framer
        rest = framer.take_buffered()
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        self._to_inflate = rest

    def discard_buffered(self) -> None:
        """
        Forget octets that came in the clear before TLS, and what was believed from them.

        RFC: 3501 section 6.2.1
        """
        self._reader = ResponseReader(self._reader.literal_bytes_max)
        self.capabilities = frozenset()

    # --- receiving ---

    def feed(self, octets: bytes) -> None:
        """Take what the socket gave; `pump` works on it. No octets are the end of the connection."""
        if not octets:
            self.fail(ConnectionLost("the server closed the connection"))
        self.octets_received += len(octets)
        if self._inflater is not None:
            self._to_inflate += octets
        else:
            self._reader.feed(octets)

    def pump(self) -> bool:
        """
        Work on what was fed, one piece; return whether there was any.

        Raises:
            ServerSaidBye: and nobody had asked for it.
            ProtocolViolated: what was fed is no response, or one to nobody.

        """
        self.require_open()
        if self._inflater is not None:
            self._inflate()
        if not self._reader.framer.buffered_bytes:
            return False
        try:
            self._pump()
        except ResponseBroken as error:
            self.fail(ResponseTooLarge(str(error)) if error.is_too_large else ProtocolViolated(str(error)))
        except ParseError as error:
            self.fail(ProtocolViolated(f"no response: {error}"))
        except (EventsOverflowed, ProtocolViolated):
            self.is_broken = True
            raise
        return True

    def _inflate(self) -> None:
        assert self._inflater is not None
        if not self._to_inflate:
            return
        try:
            octets = self._inflater.decompress(self._to_inflate, INFLATE_PIECE_BYTES)
        except zlib.error as error:
            self.fail(ProtocolViolated(f"not compressed as agreed: {error}"))
        self._to_inflate = self._inflater.unconsumed_tail
        self._reader.feed(octets)

    def _pump(self) -> None:
        reader, framer = self._reader, self._reader.framer
        while True:
            run = fetched_run(framer.take_run)
            if run:
                self._messages(run)
                continue
            event = framer.next_event()
            if event is None:
                return
            if self._streaming is not None and isinstance(event, LiteralChunk):
                self._stream(event)
                continue
            if isinstance(event, TextReceived) and event.literal is not None:
                sink = self._sink_for(reader.so_far, event)
                if sink is not None:
                    sink.size = event.literal
                    self._streaming = sink
                    event = TextReceived(event.text[: event.text.rindex(b"{")] + b"{0}", 0)
                    reader.add(event)
                    reader.add(LiteralChunk(b"", 0))
                    continue
            parts = reader.add(event)
            if parts is not None:
                response = parse_response(parts, utf8=self.utf8)
                is_turning_point = self._is_turning_point(response)
                self._dispatch(response)
                if is_turning_point:
                    return

    def _is_turning_point(self, response: Response) -> bool:
        """Return whether the octets behind this response mean something else: they are compressed, or under TLS."""
        return (
            isinstance(response, StatusResponse)
            and response.tag is not None
            and any(
                each.tag == response.tag and each.name in ("COMPRESS", "STARTTLS") for each in self.running
            )
        )

    def _sink_for(self, before: tuple[bytes, ...], event: TextReceived) -> BodySink | None:
        for each in self.running:
            if each.body is not None and not each.is_over and each.body.size is None:
                begins = before[0] if before else event.text
                if is_body_announcement(begins, event.text):
                    return each.body
        return None

    def _stream(self, event: LiteralChunk) -> None:
        sink = self._streaming
        assert sink is not None
        sink.chunks.append(event.data)
        if event.left == 0:
            sink.is_complete = True
            self._streaming = None

    def _messages(self, messages: list[MessageData]) -> None:
        """Hand out FETCH responses; mostly one command has asked for all of them."""
        takers = self._takers()
        if len(takers) == 1:
            take = takers[0]
            for message in messages:
                if not take(message):
                    self.events.add(message)
            return
        for message in messages:
            self._untagged(message)

    def _takers(self) -> list[Collector]:
        """
        Return who is asked about an untagged response, in this order.

        RFC: 3501 section 5.5
        """
        takers = []
        for place, each in enumerate(self.running):
            if place and each.opens_mailbox:
                break
            if each.collector is not None and not each.is_over:
                takers.append(each.collector)
        return takers

    def _dispatch(self, response: Response) -> None:
        if isinstance(response, StatusResponse):
            self._status(response)
        elif isinstance(response, Continuation):
            self._continuation(response)
        else:
            if isinstance(response, CapabilityData):
                self.capabilities = response.capabilities
            elif isinstance(response, EnabledData):
                self.enabled |= response.capabilities
            self._untagged(response)

    def _untagged(self, response: Response) -> None:
        is_live = isinstance(response, Expunged) or (isinstance(response, Vanished) and not response.earlier)
        is_taken = False
        for take in self._takers():
            if take(response):
                is_taken = True
                if not is_live:
                    break
        if (is_live or not is_taken) and not isinstance(
            response, CapabilityData | EnabledData | Continuation
        ):
            assert not isinstance(response, StatusResponse)
            self.events.add(response)

    def _status(self, response: StatusResponse) -> None:
        code = response.code
        if code is not None and code.name == "CAPABILITY" and isinstance(code.value, tuple):
            self.capabilities = frozenset(code.value)
        if response.tag is not None:
            self._tagged(response)
            return
        if response.condition == "BYE":
            self._bye(response)
            return
        if self.greeting is None:
            self.greeting = response
            return
        is_taken = any(take(response) for take in self._takers())
        if not is_taken or (code is not None and code.name in ("ALERT", "CLOSED", "UIDNOTSTICKY")):
            self._note(response)

    def _note(self, response: StatusResponse) -> None:
        """Make an event of a status response."""
        code = response.code
        name = code.name if code is not None else ""
        if code is not None and name == "HIGHESTMODSEQ" and isinstance(code.value, int):
            self.events.add(ModSeqRaised(code.value))
        elif name == "CLOSED":
            self.events.add(MailboxClosed())
        elif name == "UIDNOTSTICKY":
            self.events.add(UidNotSticky())
        elif name == "ALERT":
            self.events.add(Alert(response.text))
        elif name != "CAPABILITY":
            self.events.add(Notice(response.condition, code, response.text))

    def _tagged(self, response: StatusResponse) -> None:
        each = next((each for each in self.running if each.tag == response.tag), None)
        if each is None:
            raise ProtocolViolated("a reply to no command that was sent")
        if response.condition not in ("OK", "NO", "BAD"):
            raise ProtocolViolated(f"{response.condition} with a tag")
        if not each.is_sent and not each.awaits_continuation:
            raise ProtocolViolated("a reply to a command that was not sent yet")
        each.reply = response
        self.running.remove(each)
        code = response.code
        if code is not None and code.name in ("HIGHESTMODSEQ", "ALERT", "UIDNOTSTICKY", "CLOSED"):
            self._note(response)

    def _continuation(self, response: Continuation) -> None:
        for each in self.running:
            if each.awaits_continuation:
                each.awaits_continuation = False
                each.continuation = response.text
                return
        raise ProtocolViolated("leave to go on that nobody asked for")

    def _bye(self, response: StatusResponse) -> None:
        if any(each.name == "LOGOUT" for each in self.running):
            return
        self.fail(ServerSaidBye(response.text, response.code))

    # --- the end ---

    def fail(self, error: ConnectionLost | ProtocolViolated) -> NoReturn:
        """Note that the connection is over, and raise why."""
        self.is_broken = True
        self.selected = None
        if isinstance(error, ConnectionLost):
            self._lost = error
        raise error

    def lose(self, error: ConnectionLost) -> None:
        """Note that the connection is over without raising."""
        self.is_broken = True
        self.selected = None
        self._lost = self._lost or error

    def abandon(self, running: Running) -> None:
        """Note that nobody waits for this command any more. Half sent, it has broken the connection."""
        if running.is_over:
            return
        if not running.is_sent:
            self.is_broken = True
            return
        running.is_abandoned = True

    def parting_words(self) -> bytes:
        """
        Return what ends commands that nobody waits for and the server would not end by itself: DONE, once.

        Before the server gave leave to go on nothing can be said: who comes next says it.

        RFC: 2177 section 3
        """
        words = b""
        for each in self.running:
            if each.is_abandoned and each.farewell is not None and each.continuation is not None:
                words += self.encode(each.farewell)
                each.farewell = None
        return words

    def leave_mailbox(self) -> None:
        """Note that events from here on are about another mailbox, or none; never raises, for verbs on their way out."""
        self.selected = None
        try:
            self.events.add(MailboxClosed())
        except EventsOverflowed:
            self.is_broken = True

    @property
    def abandoned(self) -> Running | None:
        """The first command that was left alone and has no reply yet."""
        return next((each for each in self.running if each.is_abandoned), None)


_OF_REV2 = frozenset(
    {
        "NAMESPACE",
        "UNSELECT",
        "UIDPLUS",
        "ESEARCH",
        "SEARCHRES",
        "ENABLE",
        "IDLE",
        "SASL-IR",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "MOVE",
        "LITERAL-",
    }
)
"""Extensions that IMAP4rev2 includes (RFC 9051 appendix E)."""
