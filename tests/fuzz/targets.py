"""
What is fuzzed: functions of octets that raise when something breaks that must hold for every input.

    TARGETS["utf7"](b"&APw-")

Hypothesis calls them in the normal test run, atheris in `make fuzz`. Whatever the input is: only documented
errors come, work and memory are bounded by its length, and the next valid command still works.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from typing import Self

from fuzz.served import FILLER_BYTES_MAX, Served, ServedLmtp
from mime.agree import check as check_message
from modseq.limits import MIME_HEADERS_BYTES_MAX
from modseq.mailfiles.mbox import NotAnMbox, read_mbox, write_message
from modseq.mailfiles.message import StoredMessage, to_file
from modseq.mime.text import all_text
from modseq.server.delivery import content_of
from modseq.wire.abnf import ParseError, Parser
from modseq.wire.grammar.client.fetch import fetched_run
from modseq.wire.response import parse_response
from modseq.wire.response_framing import ResponseBroken, ResponseReader
from modseq.wire.utf7 import decode_utf7, encode_utf7

Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {}


def target(function: Target) -> Target:
    TARGETS[function.__name__] = function
    return function


class Errors(logging.Handler):
    """Fails at the first thing that the program itself calls an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))

    def __enter__(self) -> Self:
        log = logging.getLogger("modseq")
        log.addHandler(self)
        self._before, log.propagate = log.propagate, False
        return self

    def __exit__(self, *exc: object) -> None:
        log = logging.getLogger("modseq")
        log.removeHandler(self)
        log.propagate = self._before
        assert not self.found, self.found[0]


# --- conversations --------------------------------------------------------------------------------


@target
def command_stream(octets: bytes) -> None:
    """A client sends anything, in one piece or several, in any state of the session."""
    if not octets:
        return
    way, octets = octets[0], octets[1:]
    with Errors(), Served(way & 3) as served:
        size = (len(octets) or 1, 1_000, 100, 7)[way >> 2 & 3]
        for at in range(0, len(octets), size):
            served.send(octets[at : at + size])
        served.check_next_command()


@target
def lmtp_stream(octets: bytes) -> None:
    """A mail server says anything; messages that it was promised are there."""
    if not octets:
        return
    way, octets = octets[0], octets[1:]
    with Errors(), ServedLmtp() as served:
        size = (len(octets) or 1, 1_000, 100, 7)[way & 3]
        if way & 4:
            served.send(b"LHLO mx.example\r\n")
        if way & 8:
            served.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<alice>\r\nRCPT TO:<bob+x>\r\n")
        if way & 16:
            served.send(b"DATA\r\n")
        for at in range(0, len(octets), size):
            served.send(octets[at : at + size])
        served.check_next_command()


@target
def response_stream(octets: bytes) -> None:
    """A server says anything to the client; how it is cut, and which way it is read, makes no difference."""
    if not octets:
        return
    size, octets = 1 + octets[0] % 64, octets[1:]
    whole = _Heard(shortcut=True)
    whole.hear(octets)
    pieces = _Heard(shortcut=False)
    for at in range(0, len(octets), size):
        pieces.hear(octets[at : at + size])
    assert whole.found == pieces.found
    framer = pieces.reader.framer
    assert framer.held_bytes + framer.buffered_bytes <= len(octets) + 2
    for _ in range(3):
        if pieces.is_broken or framer._left > FILLER_BYTES_MAX:
            return
        # An unfinished line may announce a literal, which is then to be sent as well.
        pieces.hear(b"x" * framer._left + b"\r\n")
    pieces.hear(b"* 5 EXISTS\r\n")
    assert pieces.found[-1] == parse_response((b"* 5 EXISTS",))


class _Heard:
    """A client that understands what it can."""

    def __init__(self, *, shortcut: bool) -> None:
        self.reader = ResponseReader()
        self.found: list[object] = []
        self.is_broken = False
        self._shortcut = shortcut

    def hear(self, octets: bytes) -> None:
        if self.is_broken:
            return
        self.reader.feed(octets)
        try:
            while self._next():
                pass
        except ResponseBroken as broken:
            self.is_broken = True
            self.found.append(str(broken))

    def _next(self) -> bool:
        if self._shortcut and self.reader.framer.is_between_responses:
            run = fetched_run(self.reader.framer.take_run)
            self.found += run
            if run:
                return True
        parts = self.reader.next()
        if parts is None:
            return False
        try:
            self.found.append(parse_response(parts))
        except ParseError as error:
            told = str(error)
            self.found.append(told)
            assert told.startswith("expected ")
        return True


# --- values ---------------------------------------------------------------------------------------


@target
def mime_scan(octets: bytes) -> None:
    """A message is anything; what is said about it agrees with itself and with its octets."""
    scanned = check_message(octets)
    all_text(octets, scanned.parts)
    assert len(scanned.envelope) < 15 * MIME_HEADERS_BYTES_MAX
    assert len(scanned.bodystructure) < 15 * MIME_HEADERS_BYTES_MAX + 400 * len(octets)


_NUMBER = r"(?:[1-9][0-9]*|\*)"
_SET = re.compile(rf"{_NUMBER}(?::{_NUMBER})?(?:,{_NUMBER}(?::{_NUMBER})?)*\Z")
_STARS = (0, 1, 5, 300)


@target
def sequence_set(octets: bytes) -> None:
    """A set is read as the grammar has it, and means what a plain reading of it means."""
    parser = Parser((octets,))
    try:
        found = parser.sequence_set()
        parser.end()
    except ParseError as error:
        found = None
        told = str(error)
    if found is None:
        assert told.startswith("expected ")
        assert not _is_set(octets), octets
        return
    if found.saved:
        assert octets == b"$"
        return
    assert _is_set(octets), octets
    for star in _STARS:
        plain = _plain(octets.decode(), star)
        got = found.resolve(star)
        assert list(got.ranges()) == plain, (octets, star)
        assert list(found.resolve(star, ceiling=7).clamp(1, 7)) == list(got.clamp(1, 7))
        if got:
            again = Parser((got.to_bytes(),)).sequence_set()
            assert again.resolve(star) == got


def _is_set(octets: bytes) -> bool:
    if len(octets) > 100_000 or not _SET.match(octets.decode("latin-1")):
        return False
    numbers = [int(each) for each in re.findall(rb"[0-9]+", octets) if len(each) < 12]
    return all(each < 2**32 for each in numbers) and not re.search(rb"[0-9]{12}", octets)


def _plain(text: str, star: int) -> list[tuple[int, int]]:
    """Return the ranges that a set means, joined where they touch."""
    pairs = []
    for part in text.split(","):
        ends = [star if end == "*" else int(end) for end in part.split(":")]
        low, high = min(ends), max(ends)
        if star == 0 and "*" in part:
            continue  # In an empty mailbox nothing has the highest number.
        pairs.append((low, high))
    joined: list[list[int]] = []
    for low, high in sorted(pairs):
        if joined and low <= joined[-1][1] + 1:
            joined[-1][1] = max(joined[-1][1], high)
        else:
            joined.append([low, high])
    return [(low, high) for low, high in joined]


@target
def utf7(octets: bytes) -> None:
    """A name has one spelling: what is read is written the same; text comes back as it was."""
    try:
        name = decode_utf7(octets)
    except ValueError:
        pass
    else:
        assert encode_utf7(name) == octets
    text = octets.decode("utf-8", "replace")
    written = encode_utf7(text)
    assert written.isascii()
    assert decode_utf7(written) == text


@target
def mbox_import(octets: bytes) -> None:
    """A file is anything: messages of it are scanned, written and read again the same."""
    try:
        messages = list(read_mbox(io.BytesIO(octets), "fuzz"))
    except NotAnMbox:
        assert not octets.startswith(b"From - \n")
        return
    assert sum(message.bytes_read for message in messages) == len(octets)
    again = io.BytesIO()
    kept = []
    for number, message in enumerate(messages, 1):
        assert message.data is not None
        assert len(message.data) <= 2 * message.bytes_read
        assert message.received_at is None or message.received_at >= 0
        content_of(message.data)
        write_message(again, StoredMessage(number, message.data, message.flags, message.received_at or 0))
        kept.append(to_file(message.data))
    read = [to_file(each.data or b"") for each in read_mbox(io.BytesIO(again.getvalue()), "again")]
    assert len(read) == len(kept)
    for before, after in zip(kept, read, strict=True):
        # A CR beside a line end may be content or part of it: files cannot say which.
        told = after.replace(b"\r", b"")
        assert told in (before.replace(b"\r", b""), before.replace(b"\r", b"") + b"\n")
