"""
A raw IMAP client for whole-process tests: a socket, and a model of what its user knows.

    with Client(address) as client:
        client.select("INBOX")
        client.store([1, 2], "+", ["$A"], since=client.highest())
        kept = client.model.memory()             what the client has stored at this moment
    again = Client(address).resume(kept)
"""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from wire_model import Command, Edit, Ledger, Memory, Model, picture
from wire_responses import Response, Splitter, Violation, require, to_set

USER, PASSWORD = "ann", "correct horse"
SILENCE_SECONDS_MAX = 30.0


class Gone(ConnectionError):
    """The server closed the connection."""


@dataclass
class Reply:
    """A tagged response and what came before it."""

    tagged: Response
    untagged: list[Response]

    @property
    def is_ok(self) -> bool:
        return self.tagged.kind == "OK"

    def of(self, kind: str) -> list[Response]:
        return [each for each in self.untagged if each.kind == kind]


class Client:
    """
    A logged-in session, its model fed by everything that comes.

    Attributes:
        mode: `qresync`, `condstore`, or `plain` for a client that knows no mod-sequences.
        record: everything sent and heard, in order: commands, octets as they came, and None where the
            client knew that it had learnt everything.

    Args:
        octets_max: after so many octets the connection breaks, wherever that is.

    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        mode: str = "qresync",
        ledger: Ledger | None = None,
        octets_max: int | None = None,
    ) -> None:
        self.mode = mode
        self._octets_left = octets_max
        try:
            self.socket = socket.create_connection(address, SILENCE_SECONDS_MAX)
        except OSError as error:
            raise Gone(str(error)) from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.model = Model(mode, ledger)
        self.record: list[Command | bytes | None] = []
        self._splitter = Splitter()
        self._tag_number = 0
        try:
            require(self._read().kind == "OK", "no greeting")
            require(self.run(f'LOGIN {USER} "{PASSWORD}"').is_ok, "login refused")
            if mode != "plain":
                require(self.run(f"ENABLE {mode.upper()}").of("ENABLED"), "ENABLE refused")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    # --- commands ---

    def send(self, text: str, literal: bytes | None = None, tail: bytes = b"", **hints: object) -> str:
        """Send a command without waiting; return its tag. ``tail`` follows as it is; hints are Command's."""
        self._tag_number += 1
        tag = f"t{self._tag_number}"
        words = text.split(" ", 2)
        name = f"UID {words[1]}" if words[0] == "UID" else words[0]
        command = Command(tag, name, **hints)
        self.model.sent(command)
        self.record.append(command)
        octets = f"{tag} {text}".encode() + tail
        if literal is not None:
            octets += b" {%d+}\r\n%b" % (len(literal), literal)
        self.send_octets(octets + b"\r\n")
        return tag

    def send_octets(self, octets: bytes) -> None:
        try:
            self.socket.sendall(octets)
        except OSError as error:
            raise Gone(str(error)) from error

    def reply(self, tag: str) -> Reply:
        """Read up to the reply to a command; those before it must have been read."""
        untagged = []
        while True:
            response = self._read()
            if response.tag == tag:
                return Reply(response, untagged)
            require(response.tag in ("*", "+"), "replies out of order", response.raw, tag)
            untagged.append(response)

    def run(self, text: str, literal: bytes | None = None, tail: bytes = b"", **hints: object) -> Reply:
        return self.reply(self.send(text, literal, tail, **hints))

    def _read(self) -> Response:
        while (response := self._splitter.next()) is None:
            try:
                octets = self.socket.recv(
                    65536 if self._octets_left is None else min(65536, self._octets_left)
                )
            except TimeoutError:
                raise Violation("the server is silent") from None
            except OSError as error:
                raise Gone(str(error)) from error
            if not octets:
                raise Gone("closed")
            if self._octets_left is not None:
                self._octets_left -= len(octets)
            self.record.append(octets)
            self._splitter.feed(octets)
        self.model.hear(response)
        if response.kind == "BYE":
            raise Gone(response.raw.decode())
        return response

    def select(self, mailbox: str, command: str = "SELECT") -> Reply:
        """Open a mailbox and learn everything in it."""
        reply = self.run(f"{command} {mailbox}", mailbox=mailbox)
        if self.model.slots:
            items = "(UID FLAGS)" if self.mode == "plain" else "(UID FLAGS MODSEQ)"
            fetched = self.run(f"FETCH 1:* {items}")
            require(
                fetched.is_ok or fetched.tagged.code == "EXPUNGEISSUED", "FETCH failed", fetched.tagged.raw
            )
        self.run("NOOP")
        self.fetch_new()
        self.record.append(None)
        self.model.completed()
        return reply

    def resume(self, memory: Memory, picks: random.Random | None = None) -> Client:
        """Open a mailbox from what was stored, by QRESYNC; ``picks`` chooses among the ways to ask."""
        picks = picks or random.Random(0)
        known = f" 1:{memory.known_to}" if memory.known_to else ""
        way = picks.randrange(4)
        if way == 1 or not known:
            known = ""
        elif way == 2 and memory.flags:
            # Only what the client has: what vanished and was told needs no mention.
            known = f" {to_set(memory.flags)}"
        elif way == 3 and memory.flags:
            known += f" {self._match(memory, picks)}"
        text = f"SELECT {memory.mailbox} (QRESYNC ({memory.uid_validity} {memory.high}{known}))"
        reply = self.run(text, mailbox=memory.mailbox, resumed=memory)
        require(reply.is_ok, "SELECT failed", reply.tagged.raw)
        if self.model.uid_validity == memory.uid_validity:
            self.fetch_new(memory.known_to)
        self.fetch_new()
        self.record.append(None)
        self.model.completed()
        return self

    @staticmethod
    def _match(memory: Memory, picks: random.Random) -> str:
        """Return sequence match data as a client would send it, with holes."""
        uids = sorted(memory.flags)
        places = sorted(picks.sample(range(len(uids)), picks.randint(1, min(len(uids), 12))))
        return f"({','.join(str(at + 1) for at in places)} {','.join(str(uids[at]) for at in places)})"

    def fetch_new(self, known_to: int | None = None) -> None:
        """Learn the messages that were announced and never fetched."""
        items = "(UID FLAGS)" if self.mode == "plain" else "(UID FLAGS MODSEQ)"
        if known_to is not None and None in self.model.slots:
            require(self.run(f"UID FETCH {known_to + 1}:* {items}").is_ok, "UID FETCH failed")
        while None in self.model.slots:
            known = self.model.slots[: self.model.slots.index(None)]
            first = known[-1] + 1 if known else 1
            require(self.run(f"UID FETCH {first}:* {items}").is_ok, "UID FETCH failed")

    def worker(self) -> str:
        """Return the name of the process that serves this session."""
        raw = self.run("ID NIL").of("ID")[0].raw
        return re.search(rb'"worker" "(\w+)"', raw)[1].decode()

    def highest(self) -> int:
        """Return the HIGHESTMODSEQ that the client stores."""
        require(self.model.high is not None, "not synchronised")
        return self.model.high

    def store(
        self,
        uids: Iterable[int],
        mode: str,
        flags: Iterable[str],
        *,
        since: int | None = None,
        silent: bool = False,
        all_or_none: bool = False,
        by_number: bool = False,
    ) -> Reply:
        return self.reply(
            self.send_store(
                uids, mode, flags, since=since, silent=silent, all_or_none=all_or_none, by_number=by_number
            )
        )

    def send_store(
        self,
        uids: Iterable[int],
        mode: str,
        flags: Iterable[str],
        *,
        since: int | None = None,
        silent: bool = False,
        all_or_none: bool = False,
        by_number: bool = False,
    ) -> str:
        """Send a STORE; ``mode`` is `+`, `-` or empty; ``by_number`` speaks of sequence numbers."""
        targets, flags = frozenset(uids), list(flags)
        edit = Edit(mode, frozenset(map(str.lower, flags)), silent, since is not None, all_or_none)
        named = targets
        if by_number:
            place = {uid: at for at, uid in enumerate(self.model.slots, 1)}
            named = {place[uid] for uid in targets}
        modifiers = [f"UNCHANGEDSINCE {since}"] if since is not None else []
        modifiers += ["XALLORNONE"] if all_or_none else []
        condition = f" ({' '.join(modifiers)})" if modifiers else ""
        verb = "STORE" if by_number else "UID STORE"
        text = (
            f"{verb} {to_set(named)}{condition} {mode}FLAGS{'.SILENT' if silent else ''} ({' '.join(flags)})"
        )
        return self.send(text, edit=edit, targets=targets)

    def won(self, reply: Reply, uids: Iterable[int]) -> set[int]:
        """
        Return the messages that a conditional STORE of this session really changed.

        Claimed only with a tagged reply, a FETCH, and neither refused nor gone.
        """
        if reply.tagged.kind == "BAD":
            return set()
        told = {each.items["UID"] for each in reply.of("FETCH") if "MODSEQ" in each.items}
        refused = set(reply.tagged.argument_numbers) if reply.tagged.code == "MODIFIED" else set()
        return (set(uids) & told & set(self.model.known_uids)) - refused

    def read_until(self, kind: str) -> Response:
        """Read up to the next response of a kind: what IDLE hears."""
        while (response := self._read()).kind != kind:
            require(response.tag != "+" or kind == "+", "not expected", response.raw)
        return response

    def idle(self, seconds: float) -> None:
        """IDLE for a time."""
        tag = self.send("IDLE")
        self.read_until("+")
        # What comes meanwhile waits in the socket.
        time.sleep(seconds)
        self.send_octets(b"DONE\r\n")
        reply = self.reply(tag)
        require(reply.is_ok, "IDLE failed", reply.tagged.raw)


def full_fetch(
    address: tuple[str, int], mailbox: str = "INBOX", ledger: Ledger | None = None
) -> dict[int, tuple[int, frozenset[str]]]:
    """Return what a newcomer sees: by UID the MODSEQ and the flags."""
    with Client(address, mode="condstore", ledger=ledger) as fresh:
        fresh.select(mailbox, "EXAMINE")
        return picture(fresh.model)
