"""Core against the naive model, over arbitrary histories of batches."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from conftest import examples
from core import naive
from core.bed import Bed, check, from_chunks, new_message, picture
from modseq import limits
from modseq.core import message as message_module
from modseq.core import store_flags, uidindex
from modseq.core.errors import StorageError
from modseq.core.mailbox import MailboxState
from modseq.core.mailbox_operations import INBOX, CreateMailbox, DeleteMailbox, RenameMailbox
from modseq.core.numset import NumSet
from modseq.core.operations import Append, ClaimRecent, Expunge, Purge, Transfer
from modseq.core.store_flags import StoreFlags

KEYWORDS_MAX = 4
MAILBOXES_MAX = 6
KEYWORDS = ["$A", "$a", "$B", "$b", "$C", "$D", "$E"]
FLAGS = ["\\Seen", "\\seen", "\\Flagged", "\\Deleted", "\\Answered", *KEYWORDS]
NAMES = ["Work", "Work/a", "Work/a/b", "Play", "INBOX/x"]

flag_lists = st.lists(st.sampled_from(FLAGS), max_size=3)
numbers = st.one_of(
    st.sets(st.integers(1, 30), min_size=1, max_size=12),
    st.tuples(st.integers(1, 30), st.integers(1, 30)).map(lambda r: set(range(min(r), max(r) + 1))),
    st.just("1:*"),
)
boxes = st.integers(0, 6)
conditions = st.one_of(st.none(), st.just(0), st.integers(1, 60), st.integers(0, 5).map(lambda n: -n))
deliveries = st.lists(st.tuples(flag_lists, st.integers(0, 9)), min_size=1, max_size=7)

operations = st.one_of(
    st.tuples(st.just("append"), boxes, deliveries),
    st.tuples(
        st.just("store"), boxes, numbers, st.sampled_from("+-="), flag_lists, conditions, st.booleans(),
        st.booleans(),
    ),
    st.tuples(
        st.just("store"), boxes, numbers, st.sampled_from("+-"), st.just(["\\Deleted"]), st.none(),
        st.just(False), st.just(False),
    ),
    st.tuples(st.just("expunge"), boxes, st.one_of(st.none(), numbers)),
    st.tuples(st.just("purge"), boxes, numbers),
    st.tuples(st.just("transfer"), boxes, numbers, boxes, st.booleans()),
    st.tuples(st.just("claim_recent"), boxes, st.integers(1, 30)),
    st.tuples(st.just("create"), st.sampled_from(NAMES)),
    st.tuples(st.just("delete"), st.sampled_from([*NAMES, INBOX])),
    st.tuples(st.just("rename"), st.sampled_from([*NAMES, INBOX]), st.sampled_from([*NAMES, INBOX])),
)  # fmt: skip


def lower(flags) -> list[str]:
    return [flag.lower() for flag in flags]


class CoreAgainstModel(RuleBasedStateMachine):
    """Every batch runs in both; afterwards both must look the same from outside."""

    @initialize(uid_next=st.sampled_from([1, 1, 4_090, 3 * 4_096 - 2, 2**32 - 25]))
    def start(self, uid_next):
        self.bed = Bed()
        self.model = naive.Account(KEYWORDS_MAX, MAILBOXES_MAX)
        self.model.create(INBOX)
        # A mailbox that has been used for long: its UIDs lie about the border of two blocks, or at the end.
        self.bed.states[self.bed.inbox].uid_next = uid_next
        self.model.boxes[INBOX].uid_next = uid_next
        self.base = uid_next - 1
        self.offsets = {self.bed.inbox: self.base}
        self.prepared = []
        self.kept = []

    def _box(self, pick: int):
        """Return number and UIDVALIDITY of a mailbox, perhaps of the one that is created next."""
        known = sorted((meta.mailbox_id, meta.uid_validity) for meta in self.bed.account.mailboxes.values())
        known.append((self.bed.account.next_mailbox_id, self.bed.account.next_uid_validity))
        return known[pick % len(known)]

    def _uids(self, mailbox_id: int, picked) -> list[int]:
        base = self.offsets.get(mailbox_id, 0)
        if picked == "1:*":
            picked = range(1, 60)
        return [uid for uid in (base + number for number in picked) if uid < 2**32]

    def _condition(self, mailbox_id: int, m):
        if m is None or m >= 0:
            return m
        state = self.bed.states.get(mailbox_id)
        return max(0, (state.mod_seq if state else 1) + m)

    def _both(self, described):
        """Return an operation of core and the call of the model that means the same."""
        kind, *rest = described
        if kind == "create":
            return CreateMailbox(rest[0]), ("create", rest[0])
        if kind == "delete":
            return DeleteMailbox(rest[0]), ("delete", rest[0])
        if kind == "rename":
            inbox = self.bed.inbox if rest[0] == INBOX else None
            return RenameMailbox(rest[0], rest[1], inbox_id=inbox), ("rename", *rest)
        mailbox_id, validity = self._box(rest[0])
        if kind == "append":
            messages = tuple(new_message(*flags, octets=octets) for flags, octets in rest[1])
            told = [(lower(flags), octets) for flags, octets in rest[1]]
            return Append(mailbox_id, messages), ("append", validity, told)
        if kind == "claim_recent":
            uid_next = min(self.offsets.get(mailbox_id, 0) + rest[1], 2**32)
            return ClaimRecent(mailbox_id, uid_next), ("claim_recent", validity, uid_next)
        if kind == "expunge" and rest[1] is None:
            return Expunge(mailbox_id), ("expunge", validity, None)
        named = self._uids(mailbox_id, rest[1])
        if kind == "store":
            _, _, mode, flags, m, all_or_none, missing_refuses = rest
            m = self._condition(mailbox_id, m)
            operation = StoreFlags(
                mailbox_id, NumSet(named), mode, tuple(flags), m, all_or_none, missing_refuses
            )
            return operation, (
                "store",
                validity,
                named,
                mode,
                lower(flags),
                m,
                (all_or_none, missing_refuses),
            )
        if kind == "expunge":
            return Expunge(mailbox_id, NumSet(named)), ("expunge", validity, named)
        if kind == "purge":
            return Purge(mailbox_id, NumSet(named)), ("purge", validity, named)
        target_id, target_validity = self._box(rest[2])
        operation = Transfer(mailbox_id, NumSet(named), target_id, move=rest[3])
        return operation, ("transfer", validity, named, target_validity, rest[3])

    @rule(described=operations)
    def prepare(self, described):
        operation, call = self._both(described)
        mailbox_ids = operation.mailbox_ids()
        if mailbox_ids and mailbox_ids[0] in self.bed.states:
            for _ in operation.prepare(self.bed.states[mailbox_ids[0]]):
                pass
            self.prepared.append((operation, call))

    @rule(described=st.lists(operations, min_size=1, max_size=5), late=st.booleans())
    def batch(self, described, late):
        pairs = [self._both(each) for each in described]
        if late:
            pairs += self.prepared
            self.prepared = []
        self._keep_pictures()
        outcomes = self.bed.batch(*[operation for operation, _ in pairs])
        for outcome, (_, call) in zip(outcomes, pairs, strict=True):
            try:
                expected = self.model.attempt(*call)
            except naive.Refused:
                assert isinstance(outcome, StorageError), (call, outcome)
            else:
                self._compare(call, outcome, expected)

    def _compare(self, call, outcome, expected):
        kind = call[0]
        assert not isinstance(outcome, StorageError), (call, outcome)
        if kind == "append":
            assert list(outcome.uids) == expected
        elif kind == "store":
            shown = {name: getattr(outcome, name) for name in expected}
            sets = {name: set(v) if isinstance(v, NumSet) else v for name, v in shown.items()}
            assert sets == expected
        elif kind in ("expunge", "purge"):
            assert set(outcome.vanished) == expected
        elif kind == "transfer":
            assert (list(outcome.source_uids), list(outcome.target_uids)) == expected
            assert set(outcome.missing) == set(call[2]) - set(expected[0])

    def _keep_pictures(self):
        """Remember what is published: nobody may change it any more."""
        for state in self.bed.states.values():
            changes = replace(state.changes_since(1), keywords_added=False)
            self.kept.append((state, picture(state), state.counters, changes))
        del self.kept[:-12]

    @invariant()
    def the_listing_is_the_same(self):
        shown = {name: meta.uid_validity for name, meta in self.bed.account.mailboxes.items()}
        assert shown == {name: box.uid_validity for name, box in self.model.boxes.items()}
        assert set(self.bed.states) == {meta.mailbox_id for meta in self.bed.account.mailboxes.values()}

    @invariant()
    def every_mailbox_is_the_same(self):
        for name, box in self.model.boxes.items():
            state = self.bed.state(name)
            check(state)
            assert picture(state) == box.picture()
            assert (state.mod_seq, state.uid_next) == (box.mod_seq, box.uid_next)
            assert sorted(keyword.lower() for keyword in state.flag_table.keywords) == sorted(box.keywords)
            counters = state.counters
            assert counters.exists == len(box.messages)
            assert counters.recent == sum(uid >= box.recent_from for uid in box.messages)
            assert counters.unseen == sum("\\seen" not in each.flags for each in box.messages.values())
            unseen = [
                seq for seq, uid in enumerate(box.messages, 1) if "\\seen" not in box.messages[uid].flags
            ]
            assert state.first_unseen() == (unseen[0] if unseen else None)

    @invariant()
    def every_question_is_answered_the_same(self):
        for name, box in self.model.boxes.items():
            state = self.bed.state(name)
            older = from_chunks(state, box.gone)
            for m in {0, 1, box.mod_seq // 2, *range(max(0, box.mod_seq - 6), box.mod_seq + 2)}:
                for asked in (state, older):
                    answer = asked.changes_since(m)
                    shown = (
                        set(answer.appeared),
                        set(answer.changed),
                        set(answer.vanished),
                        answer.vanished_mod_seq_min,
                    )
                    assert shown == box.changes_since(m), m
                    assert (answer.since, answer.mod_seq) == (m, box.mod_seq)
                    assert answer.history_complete

    def teardown(self):
        for state, shown, counters, changes in getattr(self, "kept", []):
            assert picture(state) == shown
            assert state.counters == counters
            # Whether keywords are new is known exactly only while the history reaches back.
            assert replace(state.changes_since(1), keywords_added=False) == changes
        if not hasattr(self, "bed"):
            return
        # What a backend loads from its log is what was published.
        for name in self.model.boxes:
            published = self.bed.state(name)
            state = MailboxState(published.mailbox_id, published.uid_validity)
            if name == INBOX:
                state.uid_next = self.base + 1
            for change in self.bed.log.get(published.mailbox_id, []):
                state = state.fold(change)
            check(state)
            assert picture(state) == picture(published)
            assert (state.mod_seq, state.uid_next) == (published.mod_seq, published.uid_next)


@pytest.mark.parametrize("block_bits", [2, 12])
def test_core_is_the_naive_model(block_bits, monkeypatch):
    monkeypatch.setattr(uidindex, "BLOCK_BITS", block_bits)
    monkeypatch.setattr(uidindex, "BLOCK_UIDS", 1 << block_bits)
    monkeypatch.setattr(message_module, "_LOOP_BELOW", 3)
    monkeypatch.setattr(store_flags, "_FEW", 2)
    monkeypatch.setattr(limits, "HUGE_OPERATION_MESSAGES_MIN", 1)
    monkeypatch.setattr(limits, "KEYWORDS_PER_MAILBOX_MAX", KEYWORDS_MAX)
    monkeypatch.setattr(limits, "MAILBOXES_PER_ACCOUNT_MAX", MAILBOXES_MAX)
    monkeypatch.setattr(limits, "LOG_CHANGES_IN_MEMORY_MAX", 4)
    monkeypatch.setattr(limits, "PALETTE_MASKS_UNUSED_MAX", 3)
    run_state_machine_as_test(
        CoreAgainstModel,
        settings=settings(max_examples=examples(60), stateful_step_count=25, report_multiple_bugs=False),
    )
