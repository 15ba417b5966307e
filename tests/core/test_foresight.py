"""What huge operations work out before the commit holds only where nothing moved meanwhile."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from core.bed import Bed, new_message
from modseq import limits
from modseq.core import uidindex
from modseq.core.mailbox_operations import CreateMailbox
from modseq.core.message import MessageChunk
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Expunge, Transfer
from modseq.core.store_flags import StoreFlags

FLAGS = ("\\Seen", "\\Deleted", "$A", "$B", "$C")
SETS = st.sets(st.integers(1, 24), min_size=1).map(NumSet)
STORES = st.tuples(st.just("store"), SETS, st.sampled_from("+-="), st.sampled_from(FLAGS))
COMMANDS = st.one_of(
    STORES,
    st.tuples(st.just("expunge")),
    st.tuples(st.just("transfer"), SETS, st.booleans(), st.booleans()),
    st.tuples(st.just("append"), st.sampled_from(FLAGS), st.booleans()),
)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(limits, "HUGE_OPERATION_MESSAGES_MIN", 1)
    monkeypatch.setattr(uidindex, "BLOCK_BITS", 2)
    monkeypatch.setattr(uidindex, "BLOCK_UIDS", 4)


def bed():
    made = Bed()
    made.do(Append(made.inbox, tuple(new_message(FLAGS[at % 3]) for at in range(10))))
    made.other = made.do(CreateMailbox("Other")).mailbox_id
    return made


def operation(made, command):
    match command:
        case ("store", uids, mode, flag):
            return StoreFlags(made.inbox, uids, mode, (flag,))
        case ("expunge",):
            return Expunge(made.inbox)
        case ("transfer", uids, move, within):
            return Transfer(made.inbox, uids, made.inbox if within else made.other, move=move)
        case ("append", flag, here):
            return Append(made.inbox if here else made.other, (new_message(flag),))


def prepared(made, command):
    one = operation(made, command)
    for _ in one.prepare(made.state()):
        pass
    if isinstance(one, Transfer):
        for _ in one.foresee(made.states[one.source_id], made.states[one.target_id]):
            pass
    return one


def picture(made):
    found = []
    for mailbox_id in (made.inbox, made.other):
        state = made.states[mailbox_id]
        masks = state.palette.masks
        blocks = {
            number: (
                *(list(getattr(chunk, name)) for name in ("uids", "created", "newest", "sizes")),
                *([masks[at] for at in getattr(chunk, name)] for name in ("flags", "touched")),
                list(zip(chunk.extra_keys, chunk.extra_nums, strict=True)),
                (chunk.unseen, chunk.deleted, chunk.octets, chunk.newest_max),
            )
            for number, chunk in state.chunks.items()
        }
        found.append((state.counters, state.flag_table.keywords, blocks))
    return found


@settings(max_examples=examples(150))
@given(st.lists(COMMANDS, max_size=3), COMMANDS, st.lists(COMMANDS, max_size=2), st.booleans())
def test_it_comes_out_as_if_nothing_had_been_prepared(before, command, between, in_one_batch):
    plain, other = bed(), bed()
    for each in before:
        plain.do(operation(plain, each))
        other.do(operation(other, each))
    ready = prepared(other, command)
    if in_one_batch:
        plain.batch(*(operation(plain, each) for each in between), operation(plain, command))
        other.batch(*(operation(other, each) for each in between), ready)
    else:
        for each in between:
            plain.do(operation(plain, each))
            other.do(operation(other, each))
        plain.do(operation(plain, command))
        other.do(ready)
    assert picture(other) == picture(plain)


@pytest.mark.parametrize(
    ("command", "never"),
    [
        (("store", NumSet(range(1, 9)), "+", "$B"), "edit"),
        (("transfer", NumSet(range(1, 9)), True, False), "append_run"),
        (("transfer", NumSet(range(2, 9)), True, False), "remove"),
        (("expunge",), "remove"),
    ],
)
def test_the_commit_takes_over_what_was_prepared(monkeypatch, command, never):
    made = bed()
    made.do(StoreFlags(made.inbox, NumSet([2, 3, 7]), "+", ("\\Deleted",)))
    ready = prepared(made, command)

    def late(*_):
        raise AssertionError("worked out under the lock")

    monkeypatch.setattr(MessageChunk, never, late)
    made.do(ready)


EVERYTHING = NumSet(range(1, 11))


@pytest.mark.parametrize(
    ("command", "between"),
    [
        pytest.param(
            ("transfer", EVERYTHING, False, False),
            StoreFlags(1, NumSet([6]), "+", ("\\Flagged",)),
            id="flags of the source",
        ),
        pytest.param(
            ("transfer", EVERYTHING, False, False),
            StoreFlags(2, NumSet([1]), "+", ("$Taken",)),
            id="a keyword of the target got the bit",
        ),
        pytest.param(
            ("store", NumSet(range(5, 11)), "+", "$C"),
            StoreFlags(1, NumSet([1]), "+", ("$Taken",)),
            id="a keyword of the mailbox got the bit",
        ),
    ],
)
def test_something_moved_meanwhile(command, between):
    plain, other = bed(), bed()
    for made in (plain, other):
        made.do(Append(made.other, (new_message(),)))
        made.do(StoreFlags(made.inbox, NumSet([2]), "+", ("$A",)))
    ready = prepared(other, command)
    for made in (plain, other):
        made.do(between)
    plain.do(operation(plain, command))
    other.do(ready)
    assert picture(other) == picture(plain)
