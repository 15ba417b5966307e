"""The five properties that define correctness, as state machines over any backend.

A test points them at a backend with ``check_property(Machine, opened)``: ``opened`` is called for each history
and gives an asynchronous context manager around handles on one account. Several handles are several
processes on the same storage; a backend of one process gives the same handle twice.

    @pytest.mark.parametrize("machine", MACHINES)
    def test_property(machine):
        check_property(machine, opened_in_memory)

If a handle has ``forget_expunges(mailbox_id, horizon)``, histories bounded by an operator are tried as well.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from conftest import examples
from core.bed import flag_names, new_message
from modseq.core.mailbox import MailboxState
from modseq.core.mailbox_operations import INBOX, CreateMailbox
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Expunge, Purge, Transfer
from modseq.core.store_flags import StoreFlags
from modseq.core.view import Existed, Fetched, SessionView, Vanished
from modseq.storage.base import Account

Opened = Callable[[], AbstractAsyncContextManager[Sequence[Account]]]

FLAGS = ["\\Seen", "\\Deleted", "\\Flagged", "$A", "$B"]
flag_lists = st.lists(st.sampled_from(FLAGS), max_size=2)
picked = st.sets(st.integers(1, 20), min_size=1, max_size=8)

commands = st.one_of(
    st.tuples(st.just("append"), st.lists(flag_lists, min_size=1, max_size=4)),
    st.tuples(
        st.just("store"), picked, st.sampled_from("+-="), flag_lists, st.sampled_from([None, 0, -1, -4])
    ),
    st.tuples(st.just("store"), picked, st.just("+"), st.just(["\\Deleted"]), st.none()),
    st.tuples(st.just("expunge"), st.one_of(st.none(), picked)),
    st.tuples(st.just("purge"), picked),
    st.tuples(st.just("copy"), picked, st.booleans(), st.booleans()),
)


def flags_and_numbers(state: MailboxState) -> dict[int, tuple]:
    """What a full fetch tells: flags and MODSEQ of every message."""
    shown = {}
    for uid in state.index:
        view = state.message(uid)
        assert view is not None
        shown[uid] = (frozenset(flag_names(state, uid)), view.mod_seq)
    return shown


class PropertyMachine(RuleBasedStateMachine):
    """One account with two mailboxes, and rules that change them from any handle."""

    opened: Opened

    @initialize()
    def start(self):
        self.runner = asyncio.Runner()
        self.context = self.opened()
        self.handles = list(self.run(self.context.__aenter__()))
        self.run(self.handles[0].commit(CreateMailbox("Other")))
        for handle in self.handles:
            self.run(handle.refresh())
        listing = self.handles[0].listing()
        self.inbox, self.other = (listing.find(name).mailbox_id for name in (INBOX, "Other"))
        self.turn = 0
        self.begin()

    def begin(self):
        """Set up what the property needs."""

    def run(self, work):
        async def wait():
            return await work

        return self.runner.run(wait())

    def handle(self) -> Account:
        """Return the handles in turn."""
        self.turn += 1
        return self.handles[self.turn % len(self.handles)]

    async def fresh(self, handle: Account, mailbox_id: int) -> MailboxState:
        await handle.refresh()
        return await handle.mailbox(mailbox_id)

    def state(self, mailbox_id: int | None = None) -> MailboxState:
        return self.run(self.fresh(self.handle(), mailbox_id or self.inbox))

    def operation(self, command, state: MailboxState, mailbox_id: int):
        """Return the operation that a command means; positions are of what is there, and a few beyond."""
        kind, *rest = command

        def chosen(positions):
            listed = [*state.index, state.uid_next, state.uid_next + 1]
            return NumSet([listed[(at - 1) % len(listed)] for at in positions])

        if kind == "append":
            return Append(mailbox_id, tuple(new_message(*flags) for flags in rest[0]))
        if kind == "store":
            m = rest[3] if rest[3] is None or rest[3] >= 0 else max(0, state.mod_seq + rest[3])
            return StoreFlags(mailbox_id, chosen(rest[0]), rest[1], tuple(rest[2]), m)
        if kind == "expunge":
            return Expunge(mailbox_id, None if rest[0] is None else chosen(rest[0]))
        if kind == "purge":
            return Purge(mailbox_id, chosen(rest[0]))
        target = self.inbox if rest[1] else self.other
        return Transfer(mailbox_id, chosen(rest[0]), target, move=rest[2])

    @rule(command=commands)
    def change(self, command):
        handle = self.handle()
        state = self.run(self.fresh(handle, self.inbox))
        self.run(handle.commit(self.operation(command, state, self.inbox)))

    @rule(group=st.lists(commands, min_size=2, max_size=5))
    def change_at_once(self, group):
        """Commands of several sessions, which a backend may put into one commit."""
        state = self.state()
        work = [self.operation(command, state, self.inbox) for command in group]
        self.run(self.together(work))

    async def together(self, work):
        return await asyncio.gather(*(self.handle().commit(each) for each in work))

    @precondition(lambda self: hasattr(self.handles[0], "forget_expunges"))
    @rule(back=st.integers(0, 6))
    def forget(self, back):
        state = self.state()
        self.handles[0].forget_expunges(self.inbox, max(0, state.mod_seq - back))

    def teardown(self):
        if hasattr(self, "handles"):
            try:
                self.end()
            finally:
                self.run(self.context.__aexit__(None, None, None))
                self.runner.close()

    def end(self):
        """Check what holds at the end of a history."""


@dataclass
class Replica:
    """A copy of a mailbox, kept by asking what changed."""

    mod_seq: int = 0
    messages: dict[int, tuple] = field(default_factory=dict)

    async def follow(self, handle: Account, mailbox_id: int) -> MailboxState:
        """Ask once and apply the answer; return the snapshot that it belongs to."""
        await handle.refresh()
        changes = await handle.changes_since(mailbox_id, self.mod_seq)
        state = handle.published(mailbox_id)
        assert state is not None
        assert changes.since == self.mod_seq
        if state.mod_seq != changes.mod_seq:
            # Somebody committed between the answer and this line; the next round sees it.
            return state
        truth = flags_and_numbers(state)
        assert changes.vanished.isdisjoint(NumSet(truth))
        assert all(truth[uid][1] > self.mod_seq for uid in changes.appeared | changes.changed)
        if changes.history_complete:
            for uid in changes.vanished:
                self.messages.pop(uid, None)
        else:
            self.messages = {uid: told for uid, told in self.messages.items() if uid in truth}
        for uid in changes.changed:
            assert uid in self.messages, "a message from before that was never seen"
        assert all(uid not in self.messages for uid in changes.appeared)
        self.messages.update({uid: truth[uid] for uid in changes.appeared | changes.changed})
        self.mod_seq = changes.mod_seq
        return state


class Replay(PropertyMachine):
    """A replica that applies ``changes_since(m)`` again and again, from any m, equals the mailbox."""

    def begin(self):
        self.replicas = [Replica(), Replica()]
        self.past: dict[int, dict] = {}

    @rule(which=st.integers(0, 1))
    def follow(self, which):
        handle = self.handle()
        replica = self.replicas[which]
        state = self.run(replica.follow(handle, self.inbox))
        assert replica.messages == flags_and_numbers(state)

    @invariant()
    def remember(self):
        if hasattr(self, "past"):
            state = self.state()
            self.past[state.mod_seq] = flags_and_numbers(state)

    @rule(which=st.integers(0, 30))
    def follow_from_any_moment(self, which):
        if self.past:
            mod_seq = sorted(self.past)[which % len(self.past)]
            replica = Replica(mod_seq, dict(self.past[mod_seq]))
            state = self.run(replica.follow(self.handle(), self.inbox))
            assert replica.messages == flags_and_numbers(state)

    def end(self):
        for mod_seq, messages in self.past.items():
            replica = Replica(mod_seq, dict(messages))
            state = self.run(replica.follow(self.handle(), self.inbox))
            assert replica.messages == flags_and_numbers(state)


class Order(PropertyMachine):
    """A's mod-sequence is lower if A commits before B begins; a reader never misses what lies behind it."""

    def begin(self):
        self.highest = {self.inbox: 1, self.other: 1}
        self.reader = Replica()

    @rule(group=st.lists(commands, min_size=1, max_size=6), waits=st.integers(0, 4))
    def change_while_somebody_reads(self, group, waits):
        state = self.state()
        work = [self.operation(command, state, self.inbox) for command in group]
        before = self.state().mod_seq
        outcomes = self.run(self._raced(work, waits))
        taken = [
            outcome.mod_seq
            for command, outcome in zip(work, outcomes, strict=True)
            if self._took_number(command, outcome)
        ]
        assert len(taken) == len(set(taken)), "two operations, one number"
        assert all(number > before for number in taken)
        assert not taken or self.state().mod_seq >= max(taken)

    @staticmethod
    def _took_number(operation, outcome) -> bool:
        if isinstance(operation, Append):
            return True
        if isinstance(operation, StoreFlags):
            return bool(outcome.applied)
        if isinstance(operation, Expunge | Purge):
            return bool(outcome.vanished)
        return operation.source_id == operation.target_id and bool(len(outcome.target_uids))

    async def _raced(self, work, waits):
        async def read():
            for _ in range(3):
                for _ in range(waits):
                    await asyncio.sleep(0)
                await self.reader.follow(self.handle(), self.inbox)

        *outcomes, _ = await asyncio.gather(*(self.handle().commit(each) for each in work), read())
        return outcomes

    @invariant()
    def numbers_only_rise(self):
        if hasattr(self, "highest"):
            for mailbox_id in (self.inbox, self.other):
                state = self.state(mailbox_id)
                assert state.mod_seq >= self.highest[mailbox_id]
                self.highest[mailbox_id] = state.mod_seq

    @rule()
    def the_reader_has_missed_nothing(self):
        state = self.run(self.reader.follow(self.handle(), self.inbox))
        assert self.reader.messages == flags_and_numbers(state)


@dataclass
class Client:
    """A client of RFC 7162 section 6: what it counts, what it caches, what it stores as HIGHESTMODSEQ."""

    counted: list[int | None]
    cache: dict[int, frozenset]
    stored: int
    highest_told: int = 0
    code_told: int | None = None

    def copy(self) -> "Client":
        return Client(list(self.counted), dict(self.cache), self.stored, self.highest_told, self.code_told)

    def take(self, response: tuple) -> None:
        kind, *told = response
        if kind == "EXISTS":
            self.counted += [None] * (told[0] - len(self.counted))
        elif kind == "VANISHED":
            for uid in told[0]:
                self.cache.pop(uid, None)
            self._drop(told[0], told[1])
        elif kind == "FETCH":
            uid, flags, mod_seq = told
            # What it has not yet fetched by UID it finds as new after a reconnect, not before.
            if uid in self.cache:
                self.cache[uid] = flags
            self.highest_told = max(self.highest_told, mod_seq)
        elif kind == "HIGHESTMODSEQ":
            self.code_told = told[0]
        elif kind == "OK":
            if self.code_told is not None:
                self.stored = self.code_told
            else:
                self.stored = max(self.stored, self.highest_told)
            self.code_told, self.highest_told = None, 0

    def _drop(self, uids: list[int], seq_nums: list[int]) -> None:
        for uid, seq_num in zip(uids, seq_nums, strict=True):
            assert self.counted[seq_num - 1 :][:1] in ([uid], [None])
            del self.counted[seq_num - 1]

    def resynchronised(self, changes, truth: dict[int, tuple]) -> dict[int, frozenset]:
        """Return the cache after SELECT (QRESYNC) and the discovery of new messages."""
        cache = dict(self.cache)
        gone = changes.vanished if changes.history_complete else NumSet(cache.keys() - truth.keys())
        for uid in gone:
            cache.pop(uid, None)
        for uid in changes.changed | changes.appeared:
            if uid in cache:
                cache[uid] = truth[uid][0]
        newest_known = max(cache, default=0)
        newest_known = max([newest_known, *self.cache])
        cache.update({uid: told[0] for uid, told in truth.items() if uid > newest_known})
        return cache


class Safety(PropertyMachine):
    """Cut anywhere; a client that resynchronises from what it was told to store misses nothing."""

    def begin(self):
        state = self.state()
        self.view = SessionView(state)
        truth = flags_and_numbers(state)
        self.client = Client(list(truth), {uid: told[0] for uid, told in truth.items()}, state.mod_seq)

    async def _told(self, may_vanish: bool, own: tuple[int, ...] = ()) -> list[tuple]:
        """Return the responses that one command's reply holds."""
        handle = self.handles[0]
        await handle.refresh()
        changes = await handle.changes_since(self.inbox, self.view.state.mod_seq)
        state = await handle.mailbox(self.inbox)
        responses = []
        for event in self.view.advance(state, changes, may_vanish=may_vanish):
            if isinstance(event, Vanished):
                responses.append(("VANISHED", list(event.uids), list(event.before.seqs_of(list(event.uids)))))
                # One line for all: the client takes the highest number off first.
                responses[-1][1].reverse()
                responses[-1][2].reverse()
            elif isinstance(event, Existed):
                responses.append(("EXISTS", event.count))
            elif isinstance(event, Fetched):
                responses += [self._fetch(state, uid) for uid in event.uids]
        responses += [self._fetch(state, uid) for uid in own if state.message(uid)]
        due = self.view.highest_mod_seq_due()
        if due is not None:
            responses.append(("HIGHESTMODSEQ", due))
        responses.append(("OK",))
        return responses

    @staticmethod
    def _fetch(state, uid):
        view = state.message(uid)
        return ("FETCH", uid, frozenset(flag_names(state, uid)), view.mod_seq)

    @rule(may_vanish=st.booleans(), own=st.booleans())
    def command(self, may_vanish, own):
        """A reply, cut after each of its responses; FETCH also returns a MODSEQ that was told before."""
        fetched = tuple(self.view.state.index)[-3:] if own and not may_vanish else ()
        responses = self.run(self._told(may_vanish, fetched))
        for response in responses:
            self.client.take(response)
            self._cut()
        assert len(self.client.counted) == len(self.view.uids)
        assert self.client.stored <= self.view.safe <= self.view.announced

    @precondition(lambda self: not self.view.withheld)
    @rule()
    def fetch_new(self):
        """UID FETCH of everything above what the client knows, with a reply of its own."""
        self.command(may_vanish=True, own=False)
        truth = flags_and_numbers(self.view.state)
        highest = max(self.client.cache, default=0)
        self.client.counted = list(self.view.uids)
        for uid, (flags, _) in truth.items():
            if uid > highest:
                self.client.cache[uid] = flags
        self._cut()

    def _cut(self):
        handle = self.handle()
        state = self.run(self.fresh(handle, self.inbox))
        changes = self.run(handle.changes_since(self.inbox, self.client.stored))
        truth = flags_and_numbers(state)
        after = self.client.copy().resynchronised(changes, truth)
        assert after == {uid: told[0] for uid, told in truth.items()}


class Numbers(PropertyMachine):
    """What is announced yields, at every moment, exactly the view's sequence numbers, in each session."""

    def begin(self):
        state = self.state()
        self.sessions = [(SessionView(state), list(state.index)) for _ in range(3)]

    @rule(which=st.integers(0, 2), may_vanish=st.booleans())
    def tell(self, which, may_vanish):
        view, counted = self.sessions[which]
        told_before = set(counted)
        changes = self.run(self._changes(view))
        state = self.run(self.handles[0].mailbox(self.inbox))
        for event in view.advance(state, changes, may_vanish=may_vanish):
            if isinstance(event, Vanished):
                assert may_vanish
                gone = list(event.uids)
                assert gone, "an empty VANISHED"
                assert set(gone) <= told_before, "a message that no EXISTS announced"
                assert not set(gone) & set(state.index)
                for seq_num, uid in zip(event.seq_nums(), gone, strict=True):
                    assert counted.pop(seq_num - 1) == uid
            elif isinstance(event, Existed):
                highest = max([0, *told_before])
                counted += [uid for uid in state.index if uid > highest]
                assert event.count == len(counted)
            elif isinstance(event, Fetched):
                assert set(event.uids) <= set(counted) & set(state.index)
        assert list(view.uids) == counted
        assert set(view.withheld) == set(counted) - set(state.index)
        assert [view.uids.seq_of(uid) for uid in counted] == list(range(1, len(counted) + 1))
        if may_vanish:
            assert counted == list(state.index)

    async def _changes(self, view):
        await self.handles[0].refresh()
        return await self.handles[0].changes_since(self.inbox, view.state.mod_seq)

    def end(self):
        for which in range(3):
            self.tell(which, may_vanish=True)


class ConditionalStore(PropertyMachine):
    """Of any conditional STOREs based on one mod-sequence that touch one item, exactly one succeeds."""

    @rule(
        sessions=st.integers(2, 6),
        pick=st.integers(1, 20),
        zero=st.booleans(),
        others=st.lists(commands, max_size=2),
    )
    def claim(self, sessions, pick, zero, others):
        state = self.state()
        if not state.exists:
            return
        uid = state.index.uid_at((pick - 1) % state.exists + 1)
        bit = state.flag_table.bit("$Claim")
        if bit is not None and state.message(uid).flags >> bit & 1:
            return
        m = 0 if zero else state.mod_seq
        claims = [StoreFlags(self.inbox, NumSet.single(uid), "+", ("$Claim",), m) for _ in range(sessions)]
        work = [*claims, *(self.operation(each, state, self.inbox) for each in others if each[0] == "append")]
        self._judge(uid, self.run(self.together(work))[:sessions])

    @rule(
        sessions=st.integers(2, 6), pick=st.integers(1, 20), mode=st.sampled_from("-="), m_back=st.booleans()
    )
    def take_over(self, sessions, pick, mode, m_back):
        """Release or replace a lease under the number at which it was seen."""
        state = self.state()
        bit = state.flag_table.bit("$Claim")
        held = [] if bit is None else [uid for uid in state.index if state.message(uid).flags >> bit & 1]
        if not held:
            return
        uid = held[pick % len(held)]
        m = state.message(uid).mod_seq if m_back else state.mod_seq
        flags = ("$Claim",) if mode == "-" else ()
        work = [StoreFlags(self.inbox, NumSet.single(uid), mode, flags, m) for _ in range(sessions)]
        self._judge(uid, self.run(self.together(work)))

    @rule(sessions=st.integers(2, 4), picks=picked)
    def claim_many(self, sessions, picks):
        """Each message of a set has exactly one winner, whoever that is."""
        state = self.state()
        bit = state.flag_table.bit("$Claim")
        free = [uid for uid in state.index if bit is None or not state.message(uid).flags >> bit & 1]
        if not free:
            return
        wanted = NumSet([free[at % len(free)] for at in picks])
        work = [
            StoreFlags(self.inbox, wanted, "+", ("$Claim",), state.mod_seq if at % 2 else 0)
            for at in range(sessions)
        ]
        outcomes = self.run(self.together(work))
        for uid in wanted:
            self._judge(uid, outcomes)

    @staticmethod
    def _judge(uid, outcomes):
        won = [each for each in outcomes if uid in each.applied]
        lost = [each for each in outcomes if uid in each.modified]
        assert len(won) == 1
        assert len(lost) == len(outcomes) - 1
        assert not any(uid in each.missing for each in outcomes)


MACHINES = [Replay, Order, Safety, Numbers, ConditionalStore]


def check_property(
    machine: type[PropertyMachine], opened: Opened, *, histories: int = 30, steps: int = 25
) -> None:
    """Run a machine over a backend; the profile ``long`` multiplies the histories."""
    bound = type(machine.__name__, (machine,), {"opened": staticmethod(opened)})
    run_state_machine_as_test(
        bound,
        settings=settings(
            max_examples=examples(histories), stateful_step_count=steps, report_multiple_bugs=False
        ),
    )
