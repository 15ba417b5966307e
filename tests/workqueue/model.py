"""
A model of workers and their server, in which everything that can interleave does.

`World` runs the protocol's own generators. Choices come from a sequence of numbers, so that Hypothesis can search
and shrink: which worker goes on, which STORE is compared, which is written, when time passes, who crashes, loses its
connection or is not scheduled for long, and who else changes flags.

Two servers:

    PerItem     a number for every flag; compares and changes in one step, and honours UNCHANGEDSINCE 0
    Windowed    a number for a message; compares in one step and changes in a later one, so that two can win. The one
                assumption: the second step comes at most SETTLE_SECONDS after the first.

What must hold at every moment: no two living workers are sure of one message. In the end, with one new worker and
time: every message is done, and none was lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from modseq.limits import SETTLE_SECONDS
from modseq.workqueue import claiming, lease
from modseq.workqueue.claiming import Claimant
from modseq.workqueue.layout import DONE, KEYWORDS, Phase, Standing, draw_owner
from modseq.workqueue.lease import Fate, Hold, Terms
from modseq.workqueue.requests import Answer, Look, Looked, Request, Seen, Steps, Store, Stored, look
from modseq.workqueue.watch import Watch

LEASE_SPAN = 8  # 5.3 s, some times SETTLE_SECONDS
NOISE = "\\Seen"


class TwoHolders(AssertionError):
    pass


class NeverDone(AssertionError):
    pass


class Broken(Exception):
    """The connection of a worker broke."""


class PerItem:
    """Numbers for every flag; one STORE is one step."""

    exact = True

    def __init__(self, uids: Iterable[int]) -> None:
        self.flags: dict[int, set[str]] = {uid: set() for uid in uids}
        self.items: dict[tuple[int, str], int] = {}
        self.mod_seq = 1

    def compare(self, store: Store) -> list[int]:
        return [uid for uid in store.uids if uid in self.flags and not self._refuses(uid, store)]

    def _refuses(self, uid: int, store: Store) -> bool:
        if store.unchanged_since is None:
            return False
        if store.unchanged_since == 0:
            return any(name in self.flags[uid] for name in store.flags)
        return any(self.items.get((uid, name), 0) > store.unchanged_since for name in store.flags)

    def write(self, store: Store, passed: Sequence[int]) -> Stored:
        self.mod_seq += 1
        for uid in passed:
            for name in store.flags:
                if (name in self.flags[uid]) is (store.mode == "-"):
                    self.items[uid, name] = self.mod_seq
                    (self.flags[uid].add if store.mode == "+" else self.flags[uid].discard)(name)
        there = [uid for uid in store.uids if uid in self.flags]
        return Stored(
            {uid: self.number(uid) for uid in there if uid in passed},
            [uid for uid in there if uid not in passed],
        )

    def number(self, uid: int) -> int:
        return max((number for (each, _), number in self.items.items() if each == uid), default=1)

    def look(self, request: Look) -> Looked:
        return Looked(
            {
                uid: Seen(Standing.of(frozenset(self.flags[uid])), self.number(uid))
                for uid in request.uids
                if uid in self.flags
            }
        )


class Windowed(PerItem):
    """A number for each message, compared at one moment and raised at a later one."""

    exact = False

    def _refuses(self, uid: int, store: Store) -> bool:
        return store.unchanged_since is not None and self.number(uid) > store.unchanged_since


@dataclass
class Line:
    """A connection: requests that the server works through in order, whether anybody still listens or not."""

    requests: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    compared: tuple[list[int], float] | None = None
    is_open: bool = True


@dataclass
class Worker:
    """One worker: its protocol state, the step it is in, and what it does next."""

    name: int
    me: Claimant
    watch: Watch
    line: Line
    steps: Iterator[tuple[Request, ...]] | None = None
    waiting: int = 0
    resume_at: float = 0.0
    abandoned: set[int] = field(default_factory=set)
    outcome: object = None

    def sure_of(self) -> set[int]:
        now = self.me.terms.now()
        return {uid for uid, hold in self.me.book.items() if hold.is_sure(now) and uid not in self.abandoned}


class World:
    """Workers, a server, and what happens to them."""

    def __init__(
        self,
        server: PerItem,
        choices: Iterator[int],
        *,
        workers: int = 3,
        exact: bool | None = None,
        zero: bool = False,
        noise: bool = False,
    ) -> None:
        self.server = server
        self.choices = choices
        self.now = 100.0
        self.terms = Terms(
            LEASE_SPAN, exact=server.exact if exact is None else exact, zero=zero, now=lambda: self.now
        )
        self.noise = noise
        self.open_max = len(server.flags)
        self.lines: list[Line] = []
        self.workers = [self._worker(number) for number in range(workers)]
        self.done: set[int] = set()
        self.log: list[str] = []

    # --- running ---

    def pick(self, bound: int) -> int:
        return next(self.choices) % bound

    def run(self) -> None:
        """Let things happen until the choices run out."""
        try:
            while True:
                self.step()
        except StopIteration:
            pass
        except RuntimeError as error:
            # StopIteration inside a generator of the protocol's.
            if not isinstance(error.__cause__, StopIteration):
                raise

    def step(self) -> None:
        action = self.pick(64)
        if action < 28:
            self.advance(self.workers[self.pick(len(self.workers))])
        elif action < 54:
            self._serve_some()
        elif action < 58:
            # Mostly little: a claim takes some round trips, and must often succeed.
            self.pass_time((0.02, 0.1, 0.4, (0.2, 1.3, 0.4, 4.5)[self.pick(4)])[action - 54])
        elif action == 58:
            self._break(self.workers[self.pick(len(self.workers))], crash=self.pick(3) == 0)
        elif action == 59:
            self._bring()
        elif action == 60:
            self._herd()
        elif self.noise:
            uid = list(self.server.flags)[self.pick(len(self.server.flags))]
            mode = "-" if NOISE in self.server.flags[uid] else "+"
            self.server.write(Store((uid,), mode, (NOISE,)), [uid])
        self.check()

    def _herd(self) -> None:
        """New mail wakes everybody: all look at the same moment, and their STOREs meet at the server."""
        self._bring()
        idle = [worker for worker in self.workers if worker.steps is None and self.now >= worker.resume_at]
        for worker in idle:
            worker.steps = self._look_around(worker, 255)
            self._send(worker, None)
        for _ in range(3):
            for worker in idle:
                for _ in range(worker.waiting if worker.line.requests else 0):
                    self._serve(worker.line)
            for worker in idle:
                if worker.steps is not None and not self.pick(4):
                    continue
                self.advance(worker) if worker.steps is not None else None

    def _bring(self) -> None:
        """Deliver a message where few are left to do."""
        if sum(DONE not in flags for flags in self.server.flags.values()) < self.open_max:
            self.server.flags[max(self.server.flags) + 1] = set()

    def check(self) -> None:
        sure: dict[int, int] = {}
        for worker in self.workers:
            for uid in worker.sure_of():
                if uid in sure:
                    raise TwoHolders(f"{uid}: workers {sure[uid]} and {worker.name}")
                sure[uid] = worker.name
        for uid in self.done:
            assert DONE in self.server.flags[uid], f"{uid} was done and is forgotten"

    def pass_time(self, seconds: float) -> None:
        """Let time pass; a STORE that was compared is written before it is older than servers may take."""
        end = self.now + seconds
        while due := [
            (line.compared[1], line)
            for line in self.lines
            if line.compared is not None and line.compared[1] + SETTLE_SECONDS * 0.9 <= end
        ]:
            begun, line = min(due, key=lambda each: each[0])
            self.now = max(self.now, begun + SETTLE_SECONDS * 0.9)
            self._serve(line)
            self.check()
        self.now = end

    # --- the server's side ---

    def _serve_some(self) -> None:
        busy = [line for line in self.lines if line.requests]
        if busy:
            self._serve(busy[self.pick(len(busy))])

    def _serve(self, line: Line) -> None:
        """Go one step on with the first request of a connection."""
        request = line.requests[0]
        if isinstance(request, Look):
            answer: Answer = self.server.look(request)
        elif line.compared is None:
            line.compared = self.server.compare(request), self.now
            if not self.server.exact:
                return
            answer = self.server.write(request, line.compared[0])
            line.compared = None
        else:
            answer = self.server.write(request, line.compared[0])
            line.compared = None
        line.requests.pop(0)
        line.answers.append(answer)

    # --- a worker's side ---

    def _worker(self, name: int) -> Worker:
        owner = draw_owner()
        assert owner is not None
        watch = Watch(self.terms.lease_seconds, draw=lambda bound: (name * 311) % bound)
        return Worker(name, Claimant(self.terms, owner), watch, self._line())

    def _line(self) -> Line:
        line = Line()
        self.lines.append(line)
        return line

    def _break(self, worker: Worker, *, crash: bool) -> None:
        """Cut a connection; what the server has not begun may be lost with it."""
        worker.line.is_open = False
        kept = self.pick(len(worker.line.requests) + 1)
        floor = 1 if worker.line.compared is not None else 0
        del worker.line.requests[max(kept, floor) :]
        if crash:
            self.workers[self.workers.index(worker)] = self._worker(worker.name + len(self.workers))
            return
        steps, worker.steps = worker.steps, None
        worker.line, worker.waiting = self._line(), 0
        owner = draw_owner()
        assert owner is not None
        worker.me.owner = owner
        for hold in worker.me.book.values():
            hold.is_known = False
        if steps is not None:
            with contextlib.suppress(Broken, StopIteration):
                steps.throw(Broken())  # type: ignore[attr-defined]
        worker.resume_at = self.now + (0 if self.terms.exact else SETTLE_SECONDS)
        worker.steps = self._settle(worker)

    def advance(self, worker: Worker) -> None:
        """Let a worker go on: take answers that are there, or begin something."""
        if self.now < worker.resume_at:
            return
        if worker.steps is None:
            worker.steps = self._activity(worker)
            self._send(worker, None)
        elif worker.waiting == 0:
            self._send(worker, None)
        elif len(worker.line.answers) >= worker.waiting:
            answers, worker.line.answers = worker.line.answers, []
            self._send(worker, answers)

    def _send(self, worker: Worker, answers: list[Answer] | None) -> None:
        try:
            requests = worker.steps.send(answers)  # type: ignore[union-attr]
        except StopIteration as end:
            if end.value == "exhausted":
                raise
            worker.steps, worker.waiting, worker.outcome = None, 0, end.value
            return
        worker.line.requests.extend(requests)
        worker.waiting = len(requests)

    def _settle(self, worker: Worker) -> Steps[None]:
        yield from claiming.settle_claims(worker.me)

    def _activity(self, worker: Worker) -> Steps[None]:
        """Choose what a worker does: the choices are drawn here, before anything is sent."""
        book = worker.me.book
        for uid in [
            uid for uid, hold in book.items() if hold.is_won and not hold.is_sure(self.now) and self.pick(2)
        ]:
            worker.abandoned.add(uid)
        won = [hold for hold in book.values() if hold.is_won]
        choice = self.pick(8)
        if won and choice < 6:
            some = [hold for hold in won if self.pick(2)] or won
            return self._work(worker, some, choice, self.pick(3))
        return self._look_around(worker, self.pick(256) | self.pick(256))

    def _work(self, worker: Worker, holds: list[Hold], choice: int, delay: int) -> Steps[None]:
        me = worker.me
        running = [hold for hold in holds if hold.uid not in worker.abandoned and not hold.is_ended]
        if choice < 3:
            fates = yield from lease.renew(running, me.terms)
        elif choice == 3:
            worker.abandoned |= {hold.uid for hold in holds}
            fates = yield from lease.release(
                [hold for hold in holds if not hold.is_ended], me.terms, (0, 1, 3)[delay]
            )
        elif choice == 4:
            fates = yield from lease.clear([hold for hold in holds if hold.is_ended], me.terms)
        else:
            worker.abandoned |= {hold.uid for hold in running}
            fates = yield from lease.finish(running, me.terms)
            self.done |= {uid for uid, fate in fates.items() if fate is Fate.ENDED}
        for uid, fate in fates.items():
            if fate in (Fate.LOST, Fate.GONE, Fate.RELEASED):
                me.book.pop(uid, None)
                worker.abandoned.discard(uid)

    def _look_around(self, worker: Worker, taste: int) -> Steps[None]:
        me, watch = worker.me, worker.watch
        asked_at = self.now
        seen = yield from look(list(self.server.flags))
        others = {uid: each for uid, each in seen.items() if uid not in me.book}
        free: dict[int, Seen | None] = {}
        for uid, each in others.items():
            if each.standing.phase is Phase.ENDED:
                watch.forget(uid)
            elif each.standing.phase is Phase.FREE and not each.standing.claimed:
                watch.forget(uid)
                free[uid] = None if me.terms.zero and each.standing == Standing() else each
            else:
                watch.see(uid, each, asked_at, self.now)
        for uid in me.book:
            watch.forget(uid)
        due = {uid: each for uid, each in watch.due().items() if uid in others}
        for uid, (each, seen_at) in due.items():
            if each.standing.phase in claiming.CLAIMABLE:
                free[uid] = each
            elif each.standing.phase is Phase.OFFERED:
                yield from claiming.tidy(uid, each)
            else:
                watch.forget(uid)
                yield from claiming.take_over(uid, each, seen_at, me)
        wanted = {uid: each for at, (uid, each) in enumerate(free.items()) if taste >> at % 8 & 1}
        yield from claiming.claim(wanted, me)

    # --- the end ---

    def finish_all(self) -> None:
        """Let everybody die, and one new worker do all that is left, as time passes."""
        for line in self.lines:
            while line.requests:
                self._serve(line)
        worker = self._worker(99)
        self.workers = [worker]
        self.choices = iter([])
        for _ in range(250):
            self._to_end(worker, self._look_around(worker, 255))
            held = [hold for hold in worker.me.book.values() if hold.is_won]
            for uid in [hold.uid for hold in held if hold.is_ended]:
                del worker.me.book[uid]
            if held:
                self._to_end(worker, self._work(worker, held, 5, 0))
                self._to_end(worker, self._work(worker, held, 4, 0))
            if all(DONE in flags for flags in self.server.flags.values()):
                return
            self.now += 0.7
        raise NeverDone({uid: sorted(flags) for uid, flags in self.server.flags.items() if DONE not in flags})

    def _to_end(self, worker: Worker, steps: Steps[None]) -> None:
        worker.steps, worker.waiting = steps, 0
        while worker.steps is not None:
            self._send(worker, worker.line.answers if worker.waiting else None)
            worker_waits = worker.steps is not None
            if worker_waits:
                worker.line.answers = []
                while len(worker.line.answers) < worker.waiting:
                    self._serve(worker.line)


def keywords_bounded(server: PerItem) -> bool:
    used = {name for flags in server.flags.values() for name in flags} - {NOISE}
    return used <= set(KEYWORDS)


Make = Callable[[], PerItem]
