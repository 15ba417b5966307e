"""
One connection's work: claiming, renewing, and carrying out what is wished for messages that are held.

An Engine owns the connection; everybody else puts wishes into it and wakes it. It goes round:

    carry out wishes, renew, clear what is finished, look at what others hold, claim, wait

A connection that breaks is made again, and what was under way is found out by looking. A second connection only
listens for new mail (IDLE, or NOTIFY where the server has it); losing it costs time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence

from modseq import client as imap
from modseq import clock
from modseq.client.errors import CommandFailed, CommandRefused
from modseq.client.events import Event
from modseq.core.numset import NumSet
from modseq.limits import (
    BODY_AHEAD_BYTES,
    ENDED_TOGETHER_MAX,
    ENDED_WAIT_SECONDS,
    LEASE_RENEW_PART,
    LOOK_AGAIN_SECONDS_MIN,
    RECONNECT_SECONDS_MAX,
    RECONNECT_SECONDS_MIN,
    SETTLE_SECONDS,
    STOP_SECONDS_WITHOUT_SERVER,
)
from modseq.wire.response_values import Exists
from modseq.workqueue import claiming, lease
from modseq.workqueue.claiming import Claimant
from modseq.workqueue.errors import (
    LeaseLost,
    MessageGone,
    QueueError,
    QueueUnusable,
    as_queue_error,
    is_passing,
)
from modseq.workqueue.finding import Finder
from modseq.workqueue.layout import ON_A_CLAIM, Phase, draw_owner
from modseq.workqueue.lease import Fate, Hold, Terms
from modseq.workqueue.listening import BROKEN, listen, spread
from modseq.workqueue.performing import carry_out
from modseq.workqueue.requests import Seen
from modseq.workqueue.settings import DELETE, Settings
from modseq.workqueue.wishes import Kind, Ready, Tally, Wish

logger = logging.getLogger("modseq.workqueue")


class Engine:
    """
    The work of one connection.

    Attributes:
        settings: how the queue is worked on.
        tally: what happened so far.
        ready: messages claimed and not yet handed out.
        demand: how many messages are wanted now.
        askers: how many wait to be told that nothing is to be done.
        uid_validity: of the mailbox, 0 before it was opened.
        is_idle: nothing is free, held by us, or waiting for its delay.
        on_lost: called with the UID of a message that was handed out and is held no longer.

    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tally = Tally()
        self.ready: deque[Ready] = deque()
        self.demand = 0
        self.askers = 0
        self._asked = 0
        self.handed_out: dict[int, Hold] = {}
        self.changed = asyncio.Condition()
        self.failure: BaseException | None = None
        self.is_stopping = False
        self.is_idle = False
        self.on_lost: Callable[[int], None] = lambda _uid: None
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._wishes: list[Wish] = []
        self._ended: list[Hold] = []
        self._ended_since = 0.0
        self._book: dict[int, Hold] = {}
        self._finder = Finder(settings)
        self._terms = Terms(settings.span)
        self._is_probed = False
        self._me = Claimant(self._terms, frozenset(), self._book, self.tally.claims)
        self.uid_validity = 0

    # --- from outside ---

    def take(self) -> Ready | None:
        """Hand a message out that is surely held, None where there is none."""
        now = clock.monotonic_seconds()
        for _ in range(len(self.ready)):
            ready = self.ready.popleft()
            if ready.hold.is_sure(now):
                self.handed_out[ready.hold.uid] = ready.hold
                self._finder.handed_out()
                return ready
            self.ready.append(ready)
        return None

    def _hear(self, event: Event) -> None:
        if self._finder.heard(event):
            self.wake()

    def wake(self) -> None:
        """Have the engine look at its wishes and demand."""
        self._wake.set()

    def ask(self) -> None:
        """Have the engine find out whether anything is to be done, from now on."""
        self._asked += 1
        self.is_idle = False
        self._finder.look_now()
        self.wake()

    def wish(
        self, kind: Kind, hold: Hold, *, delay_seconds: float = 0.0, is_unstarted: bool = False
    ) -> asyncio.Future[bytes | None]:
        """Ask for something; the future holds the outcome, a LeaseLost, or why the queue is unusable."""
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            answer.set_exception(as_queue_error(self.failure))
        else:
            self._wishes.append(Wish(kind, hold, answer, delay_seconds, is_unstarted))
            self.wake()
        return answer

    def let_go(self, uid: int) -> None:
        """Give back a message that nobody works at any more."""
        self.wish("release", self.handed_out[uid]).add_done_callback(_ignore)

    def note_failure(self, uid: int, reason: str) -> None:
        """Log why a message is given up."""
        logger.warning("message %s is given up: %s", uid, reason or "no reason given")

    @property
    def is_closing(self) -> bool:
        """True once it is to end as soon as nothing is held."""
        return self._closing.is_set()

    def close(self) -> None:
        """End as soon as nothing is held."""
        self._closing.set()
        self.wake()

    @property
    def is_exact(self) -> bool | None:
        """Whether the server's word about a claim is enough; None while that is not known."""
        return self._terms.exact if self._is_probed else None

    async def run(self) -> None:
        """Work until told to close; never raises: a failure is kept in `failure`."""
        keeper = asyncio.create_task(self._keep_time())
        listener = asyncio.create_task(listen(self.settings, self._hear))
        try:
            await self._stay_connected()
        except asyncio.CancelledError:
            # The event loop ends. What is held should not have to wait for its lease.
            await self._leave()
        except Exception as error:  # noqa: BLE001 -- every waiting worker must learn of it
            self.failure = error
        finally:
            await _end_tasks({keeper, listener})
            failure = self.failure or QueueError("the queue is closed")
            for wish in self._wishes:
                if not wish.answer.done():
                    wish.answer.set_exception(as_queue_error(failure))
            self._wishes.clear()
            await self._tell_waiting()

    async def _leave(self) -> None:
        """Give everything back on a new connection, if that is done soon."""
        self.is_stopping = True
        self._closing.set()
        for hold in self._book.values():
            hold.is_known = False
        for uid in self.handed_out:
            self.let_go(uid)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._stay_connected(), STOP_SECONDS_WITHOUT_SERVER)

    # --- the connection ---

    async def _stay_connected(self) -> None:
        pause = RECONNECT_SECONDS_MIN
        deadline: float | None = None
        while True:
            try:
                async with await imap.connect(self.settings.url, **self.settings.connect) as client:
                    await self._open(client)
                    pause, deadline = RECONNECT_SECONDS_MIN, None
                    await self._go_round(client)
                    return
            except (*BROKEN, CommandRefused) as error:
                if isinstance(error, CommandRefused) and not is_passing(error):
                    raise
                logger.log(
                    logging.WARNING if pause == RECONNECT_SECONDS_MIN else logging.INFO,
                    "no connection: %s; trying again",
                    error,
                )
                self.tally.reconnects += 1
                for hold in self._book.values():
                    hold.is_known = False
            if self.is_closing:
                now = clock.monotonic_seconds()
                deadline = deadline or now + STOP_SECONDS_WITHOUT_SERVER
                if self._is_empty() or now > deadline:
                    return
            await self._pause(pause * spread())
            pause = min(pause * 2, RECONNECT_SECONDS_MAX)

    async def _pause(self, seconds: float) -> None:
        """Wait before connecting again; not long when about to close."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
            await asyncio.sleep(min(seconds, 1))

    async def _open(self, client: imap.Client) -> None:
        """Open the queue, and find out what became of what was under way on an earlier connection."""
        settings = self.settings
        if not client.has("CONDSTORE"):
            raise QueueUnusable("the server has no CONDSTORE: it cannot say who was first")
        if settings.done == DELETE and not client.has("UIDPLUS"):
            raise QueueUnusable("the server has no UIDPLUS: removing finished messages could remove others")
        for target in (settings.dead, settings.done_target):
            if target is not None and not self.uid_validity:
                await _make_mailbox(client, target)
        selected = await client.select(settings.mailbox)
        if selected.highest_mod_seq is None:
            raise QueueUnusable("the mailbox keeps no mod-sequences: the server cannot say who was first")
        if selected.read_only:
            raise QueueUnusable("the mailbox cannot be changed by this user")
        if not selected.may_make_keywords:
            raise QueueUnusable("the mailbox takes no new keywords")
        if self.uid_validity not in (0, selected.uid_validity):
            self._forget_everything()
        self.uid_validity = selected.uid_validity
        owner = draw_owner()
        assert owner is not None
        self._me.owner = owner
        if client.server_id.name != "modseq" or client.quirks.claims_may_double:
            self._terms, self._is_probed = Terms(settings.span), True
        self._me.terms = self._terms
        if self._book:
            if not self._terms.exact:
                await asyncio.sleep(SETTLE_SECONDS)
            await carry_out(client, claiming.settle_claims(self._me))
            await self._take_in(client, self._astray())
        self._finder.start_over()

    def _astray(self) -> list[Hold]:
        """Return what is held and was on its way to those who wait when the connection broke."""
        placed = self.handed_out.keys() | {hold.uid for hold in self._ended}
        placed |= {ready.hold.uid for ready in self.ready}
        return [hold for uid, hold in self._book.items() if hold.is_won and uid not in placed]

    def _forget_everything(self) -> None:
        """The mailbox is another one under the same name: no UID means what it meant."""
        logger.warning("%s was replaced by another mailbox", self.settings.mailbox)
        for uid in list(self.handed_out):
            self._lose(uid)
        self._book.clear()
        self.ready.clear()
        self._ended.clear()
        for wish in self._wishes:
            wish.answer.set_exception(MessageGone("the mailbox was replaced by another"))
        self._wishes.clear()

    async def _go_round(self, client: imap.Client) -> None:
        while True:
            self._wake.clear()
            await self._carry_out_wishes(client)
            await self._renew(client)
            await self._end(client)
            if self.is_stopping:
                self._give_back_unstarted()
            if self.is_closing and self._is_empty():
                return
            if not self.is_stopping:
                await self._claim(client)
            for event in client.events.take():
                self._finder.heard(event)
            if not self._wishes and not self._wake.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._seconds_to_wait())

    def _is_empty(self) -> bool:
        return not (self._wishes or self._ended or self.ready or self.handed_out)

    def _seconds_to_wait(self) -> float:
        now = clock.monotonic_seconds()
        moments = [now + self.settings.poll_seconds]
        moments += [
            hold.beat_at + self._terms.lease_seconds * LEASE_RENEW_PART
            for hold in self._book.values()
            if hold.is_won and not hold.is_ended
        ]
        if self._ended:
            moments.append(self._ended_since + ENDED_WAIT_SECONDS)
        if self._wanted() > 0 and not self.is_stopping:
            moments.append(self._finder.next_moment(now))
        elif self.askers and not self.is_stopping:
            moments.append(now + LOOK_AGAIN_SECONDS_MIN)
        return max(0.0, min(moments) - now)

    # --- wishes ---

    async def _carry_out_wishes(self, client: imap.Client) -> None:
        wishes, self._wishes = self._wishes, []
        groups: dict[tuple[Kind, float, bool], list[Wish]] = defaultdict(list)
        for wish in wishes:
            if wish.answer.cancelled():
                continue
            groups[wish.kind, wish.delay_seconds, wish.is_unstarted].append(wish)
        left = list(wishes)
        try:
            for (kind, delay_seconds, is_unstarted), group in groups.items():
                if kind == "body":
                    await self._read_bodies(client, group)
                else:
                    await self._change(client, kind, group, delay_seconds, is_unstarted=is_unstarted)
                left = [wish for wish in left if wish not in group]
        finally:
            # What broke off is tried again on the next connection, after a look at what became of it.
            self._wishes = [wish for wish in left if not wish.answer.done()] + self._wishes

    async def _change(
        self,
        client: imap.Client,
        kind: Kind,
        group: Sequence[Wish],
        delay_seconds: float,
        *,
        is_unstarted: bool,
    ) -> None:
        holds = [wish.hold for wish in group]
        terms = self._terms
        if kind == "extend":
            fates = await carry_out(client, lease.renew(holds, terms))
        elif kind == "release":
            steps = lease.release(holds, terms, delay_seconds, is_unstarted=is_unstarted)
            fates = await carry_out(client, steps)
        else:
            flags = ("\\Deleted",) if kind == "done" and self.settings.done == DELETE else ()
            steps = lease.finish(holds, terms, failed=kind == "failed", with_flags=flags)
            fates = await carry_out(client, steps)
        for wish in group:
            self._settle(wish, kind, fates[wish.hold.uid])

    def _settle(self, wish: Wish, kind: Kind, fate: Fate) -> None:
        """Tell whoever waits what became of a wish."""
        uid = wish.hold.uid
        if fate is Fate.UNDECIDED:
            self._wishes.append(wish)
            return
        if fate is not Fate.KEPT:
            self.handed_out.pop(uid, None)
        if fate is Fate.ENDED:
            self._note_ended(wish.hold)
            self.tally.done += kind == "done"
            self.tally.failed += kind == "failed"
        elif fate is not Fate.KEPT:
            self._book.pop(uid, None)
            self.tally.released += fate is Fate.RELEASED
        if fate is Fate.RELEASED:
            self._finder.look_soon()
        if wish.answer.done():
            return
        if fate is Fate.LOST:
            self.tally.lost += 1
            wish.answer.set_exception(LeaseLost(f"message {uid}: the lease is lost"))
        elif fate is Fate.GONE:
            wish.answer.set_exception(MessageGone(f"message {uid} is no longer in the mailbox"))
        else:
            wish.answer.set_result(None)

    async def _read_bodies(self, client: imap.Client, group: Sequence[Wish]) -> None:
        for wish in group:
            try:
                async with client.fetch_body(wish.hold.uid) as body:
                    content = b"".join([bytes(chunk) async for chunk in body])
            except CommandFailed as error:
                outcome: BaseException | None = error
            else:
                outcome = None
            if wish.answer.done():
                continue
            if outcome is None:
                wish.answer.set_result(content)
            else:
                wish.answer.set_exception(MessageGone(f"message {wish.hold.uid} cannot be read: {outcome}"))

    # --- holding ---

    async def _renew(self, client: imap.Client) -> None:
        """Go on with every heartbeat whose time has come."""
        latest = clock.monotonic_seconds() - self._terms.lease_seconds * LEASE_RENEW_PART
        due = [
            hold
            for hold in self._book.values()
            if hold.is_won and not hold.is_ended and (hold.beat_at <= latest or not hold.is_known)
        ]
        if not due:
            return
        fates = await carry_out(client, lease.renew(due, self._terms))
        for uid, fate in fates.items():
            if fate in (Fate.LOST, Fate.GONE):
                self._drop(uid)
        if self.ready:
            # Nobody takes a message whose lease is over, and it may have been over until now.
            await self._tell_waiting()

    async def _tell_waiting(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def _drop(self, uid: int) -> None:
        """Forget a message that is held no longer; whoever works at it must stop."""
        self._book.pop(uid, None)
        self.ready = deque(each for each in self.ready if each.hold.uid != uid)
        if uid in self.handed_out:
            self._lose(uid)

    def _lose(self, uid: int) -> None:
        """Tell the worker; if it says all the same that it is done, that is tried under its condition."""
        self.tally.lost += 1
        self._book.pop(uid, None)
        del self.handed_out[uid]
        self.on_lost(uid)

    async def _keep_time(self) -> None:
        """Watch the leases of what was handed out, also while there is no connection."""
        while True:
            now = clock.monotonic_seconds()
            for uid, hold in list(self.handed_out.items()):
                if not hold.is_sure(now):
                    logger.warning("message %s: the lease is over", uid)
                    self._lose(uid)
            soonest = min((hold.sure_until for hold in self.handed_out.values()), default=now + 1)
            await asyncio.sleep(min(max(soonest - now, 0.01), self._terms.sure_seconds / 10))

    # --- what is finished ---

    def _note_ended(self, hold: Hold) -> None:
        if not self._ended:
            self._ended_since = clock.monotonic_seconds()
        self._ended.append(hold)

    async def _end(self, client: imap.Client) -> None:
        """Clear, remove or move what is finished, many together."""
        is_time = clock.monotonic_seconds() - self._ended_since >= ENDED_WAIT_SECONDS
        if not self._ended or not (is_time or len(self._ended) >= ENDED_TOGETHER_MAX or self.is_closing):
            return
        done = [hold for hold in self._ended if not hold.is_failed]
        failed = [hold for hold in self._ended if hold.is_failed]
        undecided: set[int] = set()
        for holds, target in ((done, self.settings.done_target), (failed, self.settings.dead)):
            if holds and holds is done and self.settings.done == DELETE:
                await client.expunge(NumSet([hold.uid for hold in holds]))
            elif holds:
                undecided |= await self._clear(client, holds, target)
        if self.is_closing:
            # Others clear them, once they have been silent for a lease.
            undecided.clear()
        for hold in self._ended:
            if hold.uid not in undecided:
                self._book.pop(hold.uid, None)
        self._ended = [hold for hold in self._ended if hold.uid in undecided]
        self._ended_since = clock.monotonic_seconds()

    async def _clear(self, client: imap.Client, holds: Collection[Hold], target: str | None) -> set[int]:
        """Take keywords away, and move; return the UIDs whose flags somebody else changes all the time."""
        fates = await carry_out(client, lease.clear(holds, self._terms, keep_claim=target is not None))
        moving = [uid for uid, fate in fates.items() if fate is Fate.RELEASED]
        if target is not None and moving:
            await client.move(NumSet(moving), target)
        return {uid for uid, fate in fates.items() if fate is Fate.UNDECIDED}

    def _give_back_unstarted(self) -> None:
        """Wish what was claimed and never begun back for others; it is no attempt."""
        while self.ready:
            hold = self.ready.popleft().hold
            self.handed_out[hold.uid] = hold
            self.wish("release", hold, is_unstarted=True).add_done_callback(_ignore)

    # --- getting more ---

    def _wanted(self) -> int:
        ahead = self._finder.ahead(len(self.handed_out))
        return min(self.settings.claims_max, self.demand + ahead - len(self.ready))

    async def _claim(self, client: imap.Client) -> None:
        wanted = max(0, self._wanted())
        if not wanted and not self.askers:
            return
        asked = self._asked
        found = await self._finder.find(client, wanted, self._book, self._terms)
        is_empty = not (found.free or found.due) and self._is_empty() and self._finder.is_empty()
        # Servers may look what is new only after a SEARCH, or after several that came together.
        is_empty = is_empty and not any(isinstance(event, Exists) for event in client.events)
        # Who asked meanwhile is told of a search that began after.
        self.is_idle = is_empty and asked == self._asked
        if self.is_idle:
            await self._tell_waiting()
        for uid, (seen, seen_at) in found.due.items():
            await self._deal_with_silent(client, uid, seen, seen_at)
        if found.free:
            before = self.tally.claims.refused
            won = await carry_out(client, claiming.claim(found.free, self._me))
            self._finder.learned(found.free, {hold.uid for hold in won}, self.tally.claims.refused - before)
            places = {uid: place for place, uid in enumerate(found.free)}
            await self._take_in(client, sorted(won, key=lambda hold: places[hold.uid]))

    async def _deal_with_silent(self, client: imap.Client, uid: int, seen: Seen, seen_at: float) -> None:
        """Go on with a message that has shown the same for as long as it asks for."""
        phase = seen.standing.phase
        if phase is Phase.OFFERED:
            await carry_out(client, claiming.tidy(uid, seen))
            return
        target = self.settings.dead if seen.standing.failed else self.settings.done_target
        if phase is Phase.ENDING and target is None:
            await client.store(uid, remove=ON_A_CLAIM, unchanged_since=seen.mod_seq, silent=True)
            return
        hold = await carry_out(client, claiming.take_over(uid, seen, seen_at, self._me))
        await self._take_in(client, [hold] if hold is not None else [])

    async def _take_in(self, client: imap.Client, won: Collection[Hold]) -> None:
        """Get messages that were just claimed ready for those who wait for them."""
        working = [hold for hold in won if not hold.is_ended]
        for hold in won:
            if hold.is_ended:
                self._note_ended(hold)
        if not working:
            return
        if not self._is_probed:
            zero = await carry_out(client, claiming.probe_zero(working[0], self._terms))
            self._terms = self._me.terms = Terms(self.settings.span, exact=zero, zero=zero)
            self._is_probed = True
        given_up = [hold for hold in working if hold.attempt > self.settings.attempts_max]
        for hold in given_up:
            logger.warning("message %s: given up, %s attempts came to nothing", hold.uid, hold.attempt - 1)
            self.handed_out[hold.uid] = hold
            self.wish("failed", hold).add_done_callback(_ignore)
        starting = [hold for hold in working if hold not in given_up]
        if not starting:
            return
        bodies = await self._bodies_ahead(client, starting)
        self.ready += [Ready(hold, bodies.get(hold.uid)) for hold in starting]
        await self._tell_waiting()

    async def _bodies_ahead(self, client: imap.Client, holds: Collection[Hold]) -> dict[int, bytes]:
        """Return the messages that are short, by UID; what cannot be read is for its worker to find out."""
        item = f"BODY.PEEK[]<0.{BODY_AHEAD_BYTES}>"
        try:
            fetched = await client.fetch(NumSet([hold.uid for hold in holds]), (item,))
        except CommandRefused as error:
            if is_passing(error):
                raise
            return {}
        starts = ((uid, next(iter(data.sections.values()), None)) for uid, data in fetched.by_uid().items())
        return {uid: start for uid, start in starts if start is not None and len(start) < BODY_AHEAD_BYTES}


async def _make_mailbox(client: imap.Client, name: str) -> None:
    if await client.list(name):
        return
    try:
        await client.create(name)
    except CommandRefused:
        # Another worker may have been faster.
        if not await client.list(name):
            raise


async def _end_tasks(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _ignore(future: asyncio.Future[bytes | None]) -> None:
    """Take note of an outcome that nobody waits for."""
    if not future.cancelled():
        future.exception()
