"""A server in memory for one input: sessions and deliveries without sockets, threads or waiting."""

from __future__ import annotations

import itertools
import re
from asyncio import events
from typing import Self

from modseq import clock
from modseq.core.mailbox_operations import CreateMailbox
from modseq.core.message import NewMessage
from modseq.core.numset import NumSet
from modseq.core.operations import Append
from modseq.core.store_flags import StoreFlags
from modseq.limits import APPEND_LITERAL_BYTES_MAX
from modseq.server import commands
from modseq.server.auth import Authenticator, PasswordCost, hash_password
from modseq.server.connection import Doorman
from modseq.server.delivery import content_of
from modseq.server.lmtp import LmtpService
from modseq.server.service import Service
from modseq.server.throttle import Throttle
from modseq.storage.memory import MemoryStore
from sim.clock import SimClock
from sim.loop import SimLoop
from sim.transport import MemoryTransport

assert commands.access is not None

CHEAP = PasswordCost(passes=1, memory_kib=8, lanes=1)
PASSWORD = b"secret"
HASH = hash_password(PASSWORD, CHEAP)
STEPS_PER_PIECE_MAX = 100_000
SAID_BYTES_MAX = 64_000_000
"""What the server may say in all; the messages are small, and one FETCH may ask for them many times."""
FILLER_BYTES_MAX = 200_000
"""A literal that is announced to be larger is not sent: the test would take long and show little."""
PIPELINED = 0.001

MESSAGES = tuple(
    content_of(octets)
    for octets in (
        (
            b"From: Bob <bob@example.org>\r\nTo: alice@example.org\r\nSubject: hello\r\n"
            b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <1@example.org>\r\n\r\nHello Alice,\r\n"
        ),
        (
            b"From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\nSubject: Re: hello\r\nIn-Reply-To: <1@example.org>\r\n"
            b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\none\r\n--b\r\n'
            b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+eDwvYj4=\r\n"
            b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b--\r\n"
        ),
        b"\r\n\0\xff binary",
    )
)


def message(content, *flags: str) -> NewMessage:
    return NewMessage(flags, 1_700_000_000, 60, 1_700_000_001, content)


class Served:
    """
    A session on a store with three messages and two mailboxes.

    Args:
        stage: 0 not logged in, 1 logged in, 2 INBOX selected, 3 selected after ENABLE QRESYNC.

    """

    def __init__(self, stage: int) -> None:
        self._stage = stage

    def __enter__(self) -> Self:
        source = SimClock("fuzz")
        self._clock_before = clock.use(source)
        self.loop = SimLoop(source.monotonic_seconds)
        self._source = source
        self.store = MemoryStore()
        self.loop.run(self._fill())
        self.service = Service(
            self.store,
            Authenticator(self.store.directory, cost=CHEAP, throttle=Throttle(0.001, 0.01)),
            allow_plaintext=True,
            can_start_tls=False,
            idle_poll_seconds=60.0,
        )
        self._connection = Doorman(self.service).plain()
        self.transport = MemoryTransport(self.loop, self._connection, "192.0.2.1")
        self.said = bytearray()
        self.loop.call_soon(self._connection.connection_made, self.transport)
        self._settle()
        stages = (
            b"",
            b"in1 LOGIN alice secret\r\n",
            b"in1 LOGIN alice secret\r\nin2 SELECT INBOX\r\n",
            b"in1 LOGIN alice secret\r\nin2 ENABLE QRESYNC\r\nin3 SELECT INBOX\r\n",
        )
        self.send(stages[self._stage])
        assert self.said.count(b" OK ") >= self._stage, bytes(self.said)
        return self

    async def _fill(self) -> None:
        await self.store.directory.add("alice", HASH)
        account = await self.store.account("alice")
        inbox = account.listing().find("INBOX").mailbox_id
        await account.commit(CreateMailbox("Entwürfe"))
        await account.commit(CreateMailbox("a/b"))
        flags = iter([("\\Seen", "$x"), (), ("\\Deleted",)])
        await account.commit(Append(inbox, tuple(message(each, *next(flags)) for each in MESSAGES)))
        await account.commit(StoreFlags(inbox, NumSet([2]), "+", ("\\Flagged",)))

    def __exit__(self, kind: object, *exc: object) -> None:
        self.transport.hang_up()
        try:
            self._settle()
            if kind is None:
                assert not self.loop.failures, self.loop.failures
                assert not self.service.sessions
        finally:
            clock.use(self._clock_before)

    # --- talking ---

    def send(self, octets: bytes) -> None:
        """Say something and let the server do all that it can do."""
        self.transport.feed(octets)
        self._settle()

    def _settle(self) -> None:
        for _ in range(1_000):
            self.loop.run_ready(STEPS_PER_PIECE_MAX)
            self.said += self.transport.take()
            assert len(self.said) <= SAID_BYTES_MAX
            when = self.loop.next_timer
            if not self.loop.has_ready and (when is None or when > self._source.now + 1):
                break
            # What waits for less than a second waits for its turn after a wrong password.
            self._source.now = max(self._source.now, when or 0)
            self.loop.due(self._source.now)

    @property
    def session(self):
        return self._connection._session

    def check_next_command(self) -> None:
        """Finish what was begun, as the grammar has it; then a valid command must do what it does."""
        assert b"SERVERBUG" not in self.said, _near(self.said, b"SERVERBUG")
        if not self._is_ended():
            framer = self.session.framer
            assert framer.held_bytes <= APPEND_LITERAL_BYTES_MAX
            for _ in range(50):
                if framer.is_between_commands and not self.session.is_working:
                    break
                if framer._left > FILLER_BYTES_MAX:
                    return
                self.send(b"x" * framer._left + b"\r\n")
                if self._is_ended():
                    break
                # IDLE waits for a line, AUTHENTICATE too.
                self.send(b"DONE\r\n" if self.session.is_working else b"\r\n")
                if self._is_ended():
                    break
        assert b"SERVERBUG" not in self.said, _near(self.said, b"SERVERBUG")
        if self._is_ended():
            _check_responses(bytes(self.said))
            assert b"* BYE " in self.said, bytes(self.said[-200:])
            return
        self.session._bad_in_a_row = 0
        before = len(self.said)
        self.send(b"next NOOP\r\n")
        assert re.search(rb"(?m)^next OK ", self.said[before:]), bytes(self.said[before:])
        _check_responses(bytes(self.said))

    def _is_ended(self) -> bool:
        return self.transport.is_closed


def _near(said: bytearray, word: bytes) -> bytes:
    at = said.index(word)
    return bytes(said[max(0, at - 300) : at + 100])


_LITERAL = re.compile(rb"~?\{(\d+)\}\Z")
_BEGIN = re.compile(rb"\* |\+ |\+\Z|[^\x00-\x20\x7f-\xff(){%*\"\\+]+ (?:OK|NO|BAD) ")


def _check_responses(said: bytes) -> None:
    """Everything said is whole responses, each of a known beginning."""
    at = 0
    while at < len(said):
        begin = at
        while True:
            end = said.find(b"\r\n", at)
            assert end >= 0, said[begin:][:200]
            line = said[at:end]
            at = end + 2
            assert b"\r" not in line, line
            assert b"\n" not in line, line
            literal = _LITERAL.search(line)
            if literal is None:
                break
            at += int(literal[1])
        assert _BEGIN.match(said, begin), said[begin : begin + 100]


class ServedLmtp:
    """An LMTP conversation with the users alice and bob."""

    def __enter__(self) -> Self:
        source = SimClock("fuzz")
        self._source = source
        self._clock_before = clock.use(source)
        self.loop = SimLoop(source.monotonic_seconds)
        self.store = MemoryStore()
        self.loop.run(self._fill())
        self.service = LmtpService(self.store, "mail.example", message_bytes_max=100_000)
        self._outer = _Inside(self.loop)
        with self._outer:
            self._protocol = self.service.connection()
        self.transport = MemoryTransport(self.loop, self._protocol, "192.0.2.1")
        self.said = bytearray()
        self.loop.call_soon(self._protocol.connection_made, self.transport)
        self._settle()
        return self

    async def _fill(self) -> None:
        for name in ("alice", "bob"):
            await self.store.directory.add(name, HASH)

    def __exit__(self, kind: object, *exc: object) -> None:
        self.transport.hang_up()
        try:
            self._settle()
            if kind is None:
                assert not self.loop.failures, self.loop.failures
        finally:
            clock.use(self._clock_before)

    def send(self, octets: bytes) -> None:
        self.transport.feed(octets)
        self._settle()

    def _settle(self) -> None:
        self.loop.run_ready(STEPS_PER_PIECE_MAX)
        self.said += self.transport.take()

    def check_next_command(self) -> None:
        """Finish what was begun; then a message can be delivered, and all that was promised is there."""
        for ending in (b"\r\n", b"\r\n.\r\n", b"\r\nRSET\r\n"):
            if not self.transport.is_closed:
                self.send(ending)
        assert b" 4.3.0 " not in self.said, bytes(self.said[-300:])
        if not self.transport.is_closed:
            before = len(self.said)
            self.send(
                b"LHLO next.example\r\nMAIL FROM:<>\r\nRCPT TO:<alice>\r\nDATA\r\nSubject: next\r\n\r\nx\r\n.\r\n"
            )
            codes = re.findall(rb"(?m)^(\d\d\d) ", self.said[before:])
            if codes[0] != b"421":
                assert codes == [b"250", b"250", b"250", b"354", b"250"], bytes(self.said[before:])
        self.loop.run(self._check_stored())

    async def _check_stored(self) -> None:
        # After each 354 come the replies of the recipients; who was named twice has the message once.
        told = [part.split(b"\r\n")[1:] for part in bytes(self.said).split(b"354 ")[1:]]
        promised = [list(itertools.takewhile(_STORED.__eq__, replies)) for replies in told]
        stored = 0
        for name in ("alice", "bob"):
            account = await self.store.account(name)
            state = await account.mailbox(account.listing().find("INBOX").mailbox_id)
            stored += state.exists
        least, most = sum(map(bool, promised)), sum(map(len, promised))
        assert least <= stored <= most, (least, stored, most, bytes(self.said))


_STORED = b"250 2.1.5 Stored"


class _Inside:
    """Makes a loop the running one, for constructors that ask for it."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        self._before = events._get_running_loop()
        events._set_running_loop(self._loop)

    def __exit__(self, *exc: object) -> None:
        events._set_running_loop(self._before)
