"""
A client in the simulation: `wire_model` says what it knows, as in the tests with whole processes.

It is a coroutine on the clients' loop; whatever it awaits may take as long as the network likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sim.world import PASSWORD, USER, Link, World, until
from wire_client import Gone, Reply
from wire_model import Command, Edit, Ledger, Memory, Model
from wire_responses import Response, Splitter, require, to_set


class SimClient:
    """A logged-in session after ENABLE QRESYNC."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self.world = world
        self.model = Model("qresync", ledger)
        self._splitter = Splitter()
        self._is_lost = False
        self._news: asyncio.Future[None] | None = None
        self._tag_number = 0
        self._link: Link | None = None

    async def connect(self) -> SimClient:
        """Connect to a process that is there, and log in."""
        serving = await until(lambda: self.world.serving)
        self._link = Link(self.world, self.world.picks.choice(serving), self._heard, self._lost)
        require((await self._read()).kind == "OK", "no greeting")
        reply = await self.run(f"LOGIN {USER} {PASSWORD}")
        if not reply.is_ok:
            require(self.world.is_failing and reply.tagged.code == "UNAVAILABLE", reply.tagged.raw)
            self.close()
            raise Gone("login refused")
        require((await self.run("ENABLE QRESYNC")).of("ENABLED"), "ENABLE refused")
        return self

    def close(self) -> None:
        if self._link is not None:
            self._link.close()

    # --- octets ---

    def _heard(self, octets: bytes) -> None:
        self._splitter.feed(octets)
        self._wake()

    def _lost(self) -> None:
        self._is_lost = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def send_octets(self, octets: bytes) -> None:
        if self._is_lost:
            raise Gone("lost")
        self._link.send(octets)

    async def _read(self) -> Response:
        while (response := self._splitter.next()) is None:
            if self._is_lost:
                raise Gone("lost")
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        self.model.hear(response)
        if response.kind == "BYE":
            raise Gone(response.raw.decode())
        return response

    # --- commands ---

    def send(self, text: str, literal: bytes | None = None, **hints: object) -> str:
        self._tag_number += 1
        tag = f"t{self._tag_number}"
        words = text.split(" ", 2)
        name = f"UID {words[1]}" if words[0] == "UID" else words[0]
        self.model.sent(Command(tag, name, **hints))
        octets = f"{tag} {text}".encode()
        if literal is not None:
            octets += b" {%d+}\r\n%b" % (len(literal), literal)
        self.send_octets(octets + b"\r\n")
        return tag

    async def reply(self, tag: str) -> Reply:
        untagged = []
        while True:
            response = await self._read()
            if response.tag == tag:
                return Reply(response, untagged)
            untagged.append(response)

    async def run(self, text: str, literal: bytes | None = None, **hints: object) -> Reply:
        return await self.reply(self.send(text, literal, **hints))

    async def select(self, mailbox: str) -> None:
        """Open a mailbox and learn everything in it."""
        require((await self.run(f"SELECT {mailbox}", mailbox=mailbox)).is_ok, "SELECT failed")
        await self.fetch_new()
        self.model.completed()

    async def resume(self, memory: Memory) -> None:
        """Open a mailbox from what was stored."""
        known = f" 1:{memory.known_to}" if memory.known_to and self.world.picks.random() < 0.5 else ""
        text = f"SELECT {memory.mailbox} (QRESYNC ({memory.uid_validity} {memory.high}{known}))"
        reply = await self.run(text, mailbox=memory.mailbox, resumed=memory)
        require(reply.is_ok, "SELECT failed", reply.tagged.raw)
        if self.model.uid_validity == memory.uid_validity:
            await self.fetch_new(memory.known_to)
        await self.fetch_new()
        self.model.completed()

    async def fetch_new(self, known_to: int | None = None) -> None:
        """Learn the messages that were announced and never fetched."""
        if known_to is not None and None in self.model.slots:
            await self._fetch_from(known_to + 1)
        while None in self.model.slots:
            known = self.model.slots[: self.model.slots.index(None)]
            await self._fetch_from(known[-1] + 1 if known else 1)

    async def _fetch_from(self, uid: int) -> None:
        reply = await self.run(f"UID FETCH {uid}:* (UID FLAGS MODSEQ)")
        require(reply.is_ok, "UID FETCH failed", reply.tagged.raw)

    def send_store(
        self,
        uids: Iterable[int],
        mode: str,
        flags: Iterable[str],
        *,
        since: int | None = None,
        silent: bool = False,
        by_number: bool = False,
    ) -> str:
        targets, flags = frozenset(uids), list(flags)
        edit = Edit(mode, frozenset(map(str.lower, flags)), silent, since is not None)
        named: Iterable[int] = targets
        if by_number:
            place = {uid: at for at, uid in enumerate(self.model.slots, 1)}
            named = {place[uid] for uid in targets}
        condition = f" (UNCHANGEDSINCE {since})" if since is not None else ""
        verb = "STORE" if by_number else "UID STORE"
        text = (
            f"{verb} {to_set(named)}{condition} {mode}FLAGS{'.SILENT' if silent else ''} ({' '.join(flags)})"
        )
        return self.send(text, edit=edit, targets=targets)

    def won(self, reply: Reply, uids: Iterable[int]) -> set[int]:
        """Return the messages that a conditional STORE of this session really changed."""
        told = {each.items["UID"] for each in reply.of("FETCH") if "MODSEQ" in each.items}
        refused = set(reply.tagged.argument_numbers) if reply.tagged.code == "MODIFIED" else set()
        return (set(uids) & told & set(self.model.known_uids)) - refused

    async def idle(self, seconds: float) -> None:
        tag = self.send("IDLE")
        while (await self._read()).kind != "+":
            pass
        await asyncio.sleep(seconds)
        self.send_octets(b"DONE\r\n")
        require((await self.reply(tag)).is_ok, "IDLE failed")
