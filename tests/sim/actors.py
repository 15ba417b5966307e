"""What the clients of a history do: random things, always believing what they were told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from modseq.server.delivery import Recipient, deliver
from modseq.storage.sqlite.compaction import compact
from sim.client import SimClient
from sim.promises import CLAIM, MAILBOXES, Promises
from sim.world import USER, World
from wire_client import Gone, Reply
from wire_model import picture
from wire_responses import require, to_set

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Shared")
REFUSALS = ("UNAVAILABLE", "OVERQUOTA")
"""What a server says whose disk fails: only then."""


class Actor:
    """A client that loses its connection now and then and goes on from what it had stored."""

    def __init__(self, world: World, promises: Promises, number: int, acts: int, seed: object) -> None:
        self.world = world
        self.promises = promises
        self.picks = random.Random(f"actor {number} {seed}")
        self.keyword = f"$Of{number}"
        self.acts_left = acts
        self.client: SimClient | None = None
        self.acts = _ACTS
        self.by_number = 0.3
        self._tokens = 0
        self._number = number
        self._contents: dict[tuple[str, int], str] = {}

    def begin_withholding(self) -> None:
        """From now on speak of sequence numbers: expunges must then be withheld."""
        self.by_number = 1.0
        self.acts = [Actor.share, Actor.mark, Actor.fetch, Actor.lose_the_end, Actor.lose_the_end]

    def begin_removing(self) -> None:
        """From now on remove messages and change others, for somebody who is not told."""
        self.acts = [Actor.delete, Actor.transfer, Actor.share, Actor.mark, Actor.append]

    async def run(self) -> None:
        """Do everything; whoever loses the connection connects again."""
        while self.acts_left > 0:
            try:
                await self._live()
            except Gone:
                self.acts_left -= 1
            finally:
                self._remember()
                if self.client is not None:
                    self.client.close()

    async def finish(self) -> dict[int, tuple[int, frozenset[str]]]:
        """Return what this client knows when everything is over and it has asked once more."""
        client = self.client = await SimClient(self.world, self.promises.ledger).connect()
        await self._open()
        await client.run("NOOP")
        await client.fetch_new()
        return picture(client.model)

    async def _live(self) -> None:
        self.client = await SimClient(self.world, self.promises.ledger).connect()
        await self._open()
        while self.acts_left > 0:
            self.acts_left -= 1
            act = self.picks.choice(self.acts)
            await act(self)
            if self.picks.random() < 0.7:
                await self.client.fetch_new()
            if self.picks.random() < 0.15:
                self._remember()

    async def _open(self) -> None:
        known = self.promises.memories[-8:]
        if known and self.picks.random() < 0.8:
            await self.client.resume(self.picks.choice(known))
        else:
            await self.client.select(self.picks.choice((*MAILBOXES, MAILBOXES[0])))

    def _remember(self) -> None:
        memory = self.client.model.memory() if self.client is not None else None
        if memory is not None:
            self.promises.memories.append(memory)

    # --- picking ---

    @property
    def mailbox(self) -> str:
        return self.client.model.mailbox

    def _some(self, most: int) -> list[int]:
        model = self.client.model
        known = [uid for uid in model.known_uids if uid in model.flags]
        return sorted(self.picks.sample(known, min(len(known), self.picks.randint(1, most))))

    def _since(self) -> int:
        high = self.client.model.high or 1
        return self.picks.choice((high, high, max(1, high - self.picks.randint(0, 5)), 0))

    def _allow(self, reply: Reply, *codes: str) -> bool:
        """Return whether the server did it; it may refuse only what it may refuse at this moment."""
        if reply.is_ok:
            return True
        allowed = codes + (REFUSALS if self.world.is_failing else ())
        require(reply.tagged.kind == "NO" and reply.tagged.code in allowed, "refused", reply.tagged.raw)
        return False

    def _new_message(self) -> tuple[str, bytes]:
        self._tokens += 1
        token = f"token-{self._number}-{self._tokens}"
        self.promises.sent.add(token)
        return token, b"Subject: %b\r\n\r\n%b\r\n" % (
            token.encode(),
            b"x" * self.picks.choice((10, 200, 5_000)),
        )

    # --- acts ---

    async def noop(self) -> None:
        model = self.client.model
        told = self.promises.told(model.mailbox, model.uid_validity)
        require((await self.client.run("NOOP")).is_ok, "NOOP failed")
        await self.client.fetch_new()
        self.promises.check_order(self.client, told)

    async def append(self) -> None:
        target = self.picks.choice(MAILBOXES)
        token, octets = self._new_message()
        reply = await self.client.run(f"APPEND {target} ({self.picks.choice(FLAGS)})", octets)
        if self._allow(reply):
            self.promises.kept.add(token)
            uid = int(reply.tagged.argument.split()[1])
            self._contents[target, uid] = token
        else:
            self.promises.refused.add(token)

    async def deliver(self) -> None:
        """A message arrives by LMTP, in any process."""
        if not self.world.serving:
            return
        process = self.picks.choice(self.world.serving)
        token, octets = self._new_message()
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        work = process.spawn(deliver(process.store, octets, [Recipient(USER, "")]))
        work.add_done_callback(lambda task: told.done() or told.set_result(task.result()))
        while not told.done():
            if process.is_dead:
                return
            await asyncio.sleep(0.003)
        (answer,) = told.result()
        if answer.code == 250:
            self.promises.kept.add(token)
        else:
            require(self.world.is_failing, "delivery refused", answer)

    async def mark(self) -> None:
        """Set or remove this client's own keyword."""
        uids = self._some(4)
        if not uids:
            return
        mode, mailbox, facts = self.picks.choice("+-"), self.mailbox, self.promises.keywords
        # Nobody else changes it: what this client was told, or did, is how it is.
        before = {uid: self.keyword.lower() in self.client.model.flags[uid] for uid in uids}
        facts.update({(mailbox, uid, self.keyword): None for uid in uids})
        since = self._since() if self.picks.random() < 0.5 else None
        reply = await self._store(uids, mode, [self.keyword], since)
        done = self._allow(reply, "MODIFIED", "EXPUNGEISSUED")
        for uid in uids:
            if uid not in self.client.model.known_uids:
                continue
            if reply.tagged.code in REFUSALS:
                facts[mailbox, uid, self.keyword] = before[uid]
            elif (done or reply.tagged.code == "EXPUNGEISSUED") and uid not in self._refused(reply):
                facts[mailbox, uid, self.keyword] = mode == "+"
            else:
                facts[mailbox, uid, self.keyword] = before[uid]

    async def _store(self, uids: list[int], mode: str, flags: list[str], since: int | None) -> Reply:
        self._by_number = self.picks.random() < self.by_number
        self._slots = list(self.client.model.slots)
        tag = self.client.send_store(
            uids, mode, flags, since=since, silent=self.picks.random() < 0.4, by_number=self._by_number
        )
        return await self.client.reply(tag)

    def _refused(self, reply: Reply) -> set[int]:
        if reply.tagged.code != "MODIFIED":
            return set()
        named = reply.tagged.argument_numbers
        return {self._slots[number - 1] for number in named} if self._by_number else set(named)

    async def share(self) -> None:
        uids = self._some(5)
        if uids:
            since = self._since() if self.picks.random() < 0.3 else None
            reply = await self._store(uids, self.picks.choice("+-"), [self.picks.choice(FLAGS)], since)
            self._allow(reply, "MODIFIED", "EXPUNGEISSUED")

    async def claim(self) -> None:
        """Try to be the one who sets a keyword that nobody had, at a number or without."""
        model, mailbox = self.client.model, self.mailbox
        free = [uid for uid in self._some(4) if CLAIM.lower() not in model.flags[uid]]
        if not free or model.high is None:
            return
        claims = [self.promises.claims[mailbox, uid] for uid in free]
        for each in claims:
            each.unsure += 1
        since = self.picks.choice((0, model.high))
        reply = await self.client.reply(self.client.send_store(free, "+", [CLAIM], since=since, silent=True))
        self._allow(reply, "MODIFIED")
        won = self.client.won(reply, free) if reply.is_ok or reply.tagged.code == "MODIFIED" else set()
        for uid, each in zip(free, claims, strict=True):
            each.unsure -= 1
            each.won += uid in won

    async def pipeline(self) -> None:
        uids = self._some(5)
        if uids:
            tags = [self.client.send_store(uids, mode, ["$Shared"]) for mode in "+-+"]
            for tag in tags:
                self._allow(await self.client.reply(tag))

    async def delete(self) -> None:
        uids = self._some(3)
        if not uids:
            return
        await self._learn(uids)
        self.promises.removable.update(self._known_tokens(uids))
        tag = self.client.send_store(uids, "+", ["\\Deleted"], silent=self.picks.random() < 0.5)
        if self._allow(await self.client.reply(tag)):
            self._allow(await self.client.run(f"UID EXPUNGE {to_set(uids)}"))

    async def transfer(self) -> None:
        uids = self._some(2)
        if not uids:
            return
        await self._learn(uids)
        verb, target = self.picks.choice(("COPY", "MOVE", "MOVE")), self.picks.choice(MAILBOXES)
        if verb == "COPY":
            self.promises.copied.update(self._known_tokens(uids))
        reply = await self.client.run(f"UID {verb} {to_set(uids)} {target}")
        self._allow(reply)

    async def _learn(self, uids: list[int]) -> None:
        """Look into messages of others, to know what they are."""
        unknown = [uid for uid in uids if (self.mailbox, uid) not in self._contents]
        if not unknown:
            return
        reply = await self.client.run(f"UID FETCH {to_set(unknown)} (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        require(reply.is_ok, "FETCH failed", reply.tagged.raw)
        for response in reply.of("FETCH"):
            for name, value in response.items.items():
                if name.startswith("BODY["):
                    self._contents[self.mailbox, response.items["UID"]] = value.split()[1].decode()

    def _known_tokens(self, uids: list[int]) -> list[str]:
        return [self._contents[self.mailbox, uid] for uid in uids if (self.mailbox, uid) in self._contents]

    async def fetch(self) -> None:
        """Ask with CHANGEDSINCE, or while expunges must be withheld."""
        if not self.client.model.slots:
            return
        since = max(0, (self.client.model.high or 1) - self.picks.randint(0, 8))
        words = self.picks.choice(
            (
                f"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE {since} VANISHED)",
                "FETCH 1:* (UID FLAGS MODSEQ)",
                "FETCH 1:* (UID MODSEQ)",
                f"SEARCH MODSEQ {max(1, since)}",
            )
        )
        reply = await self.client.run(words)
        require(reply.is_ok or reply.tagged.code == "EXPUNGEISSUED", "FETCH failed", reply.tagged.raw)

    async def idle(self) -> None:
        """Wait long enough that everything must be told, also when wake-ups are lost."""
        model = self.client.model
        told = self.promises.told(model.mailbox, model.uid_validity)
        tag = self.client.send("IDLE")
        while (await self.client._read()).kind != "+":
            pass
        await asyncio.sleep(self.picks.choice((0.001, 0.02)))
        if self.picks.random() < 0.3:
            await asyncio.sleep(3.0)
            self.client.send_octets(b"DONE\r\n")
            await self.client.reply(tag)
            await self.client.fetch_new()
            self.promises.check_order(self.client, told)
        else:
            self.client.send_octets(b"DONE\r\n")
            await self.client.reply(tag)

    async def reopen(self) -> None:
        await self._open()

    async def reconnect(self) -> None:
        raise Gone("on purpose")

    async def lose_the_end(self) -> None:
        """Lose the connection somewhere behind a command while which expunges must be withheld."""
        if self.client.model.slots:
            number = self.picks.randint(1, len(self.client.model.slots))
            await self.client.run(
                self.picks.choice((f"FETCH {number}:* (UID FLAGS MODSEQ)", "FETCH 1:* (UID FLAGS)"))
            )
            raise Gone("on purpose")

    async def compact(self) -> None:
        """Compaction runs beside everything."""
        if self.world.serving:
            process = self.picks.choice(self.world.serving)

            async def work() -> None:
                account = await process.store.account(USER)
                await compact(account, dead_percent_min=1)

            process.spawn(work()).add_done_callback(lambda task: task.cancelled() or task.exception())


Act = Callable[[Actor], Coroutine[Any, Any, None]]
_ACTS: list[Act] = [
    act
    for act, weight in {
        Actor.noop: 8,
        Actor.append: 8,
        Actor.deliver: 3,
        Actor.mark: 12,
        Actor.share: 8,
        Actor.claim: 8,
        Actor.pipeline: 3,
        Actor.delete: 6,
        Actor.transfer: 5,
        Actor.fetch: 6,
        Actor.idle: 3,
        Actor.reopen: 4,
        Actor.reconnect: 1,
        Actor.lose_the_end: 3,
        Actor.compact: 1,
    }.items()
    for _ in range(weight)
]
