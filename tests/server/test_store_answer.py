"""What one STORE of one message is told in few words equals what the columns of many would say."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from modseq.core.change import Appended, Change, FlagEdit
from modseq.core.mailbox import MailboxState
from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.server import render
from modseq.server.store_answer import StoreAnswer
from modseq.wire.values import SequenceSet, Store

FLAGS = ("\\Seen", "\\Flagged", "$Work", "$Unknown")
EDITS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 0b1111) | st.just(1 << 5), st.booleans()), max_size=4
)


def mailbox(count=4):
    messages = tuple(Appended(uid, 0, 100) for uid in range(1, count + 1))
    return MailboxState(1, 7).fold(Change(2, appended=messages, keywords=((5, "$Work"),)))


def edited(state, edits):
    """Each edit is a change of its own, if it changes anything."""
    for uid, mask, is_added in edits:
        have = state.message(uid).flags
        add, remove = (mask & ~have, 0) if is_added else (0, mask & have)
        if add or remove:
            change = Change(state.mod_seq + 1, edits=(FlagEdit(NumSet.single(uid), add, remove),))
            state = state.fold(change)
    return state


STORES = st.builds(
    Store,
    sequence_set=st.just(SequenceSet(((1, 1),))),
    mode=st.sampled_from(["+", "-", "="]),
    silent=st.booleans(),
    flags=st.sets(st.sampled_from(FLAGS)).map(tuple),
    unchanged_since=st.none() | st.integers(0, 9),
)


@given(
    edits=EDITS,
    uid=st.integers(1, 4),
    store=STORES,
    refused=st.sampled_from(["nothing", "the message", "the whole command"]),
    seen=st.fixed_dictionaries(
        {
            "recent_from": st.none() | st.integers(1, 5),
            "is_other_withheld": st.booleans(),
            "was_known": st.booleans(),
        }
    ),
)
def test_one_message_is_told_as_in_a_batch(edits, uid, store, refused, seen):
    before = mailbox()
    view = SessionView(before, recent_from=seen["recent_from"])
    now = edited(before, edits)
    if seen["is_other_withheld"]:
        # The client still counts an expunged message.
        view.withheld = NumSet.single(uid % 4 + 1)
        now = now.fold(Change(now.mod_seq + 1, vanished=view.withheld))
    else:
        view.uids = now.index
    view.state = now
    named = NumSet.single(uid)
    answer = StoreAnswer(
        view,
        before if seen["was_known"] else MailboxState(1, 7),
        store,
        by_uid=True,
        refused=NumSet.EMPTY if refused == "nothing" else named,
        was_refused_whole=refused == "the whole command",
        condstore=True,
    )
    assert answer.line(uid) == b"".join(answer.responses(named))


@given(
    edits=EDITS,
    told=st.lists(st.integers(1, 4), unique=True).map(sorted),
    recent_from=st.none() | st.integers(1, 5),
    gone=st.none() | st.integers(1, 4),
)
def test_few_changes_are_told_as_many_are(edits, told, recent_from, gone):
    state = edited(mailbox(), edits)
    view = SessionView(state, recent_from=recent_from)
    if gone is not None:
        view.state = state.fold(Change(state.mod_seq + 1, vanished=NumSet.single(gone)))
        view.withheld = NumSet.single(gone)
    session = SimpleNamespace(condstore=True)
    uids = NumSet(told)
    batches = render.batches(view, uids)
    many = b"".join(render.lines(view, batch, ("UID", "FLAGS", "MODSEQ")) for batch in batches)
    for _ in range(2):  # the second time from memory
        assert b"".join(render.changed_flags(session, view, uids.to_array())) == many


def test_what_a_state_remembers_is_not_told_to_a_session_that_counts_otherwise():
    state = mailbox()
    common, counting, new = SessionView(state), SessionView(state), SessionView(state, recent_from=3)
    counting.uids = mailbox(5).index.without(NumSet.single(1))
    assert render.flags_line(common, 3) == b"* 3 FETCH (UID 3 FLAGS () MODSEQ (2))\r\n"
    assert render.flags_line(counting, 3) == b"* 2 FETCH (UID 3 FLAGS () MODSEQ (2))\r\n"
    assert render.flags_line(new, 3) == b"* 3 FETCH (UID 3 FLAGS (\\Recent) MODSEQ (2))\r\n"
    assert render.flags_line(common, 3) == b"* 3 FETCH (UID 3 FLAGS () MODSEQ (2))\r\n"


def test_a_state_remembers_a_bounded_number_of_responses(monkeypatch):
    monkeypatch.setattr(render, "TOLD_MESSAGES_PER_STATE_MAX", 2)
    view = SessionView(mailbox())
    for uid in range(1, 5):
        assert render.flags_line(view, uid)
    assert sorted(view.state.told) == [1, 2]
