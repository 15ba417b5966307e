"""FETCH lines from packed arrays equal those written one by one, whatever the numbers, gaps and flags."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modseq.core.change import Appended, Change, FlagEdit
from modseq.core.mailbox import MailboxState
from modseq.core.numset import NumSet
from modseq.core.view import SessionView
from modseq.limits import FETCH_BATCH_MESSAGES_MAX, FETCH_TEMPLATE_MESSAGES_MIN
from modseq.server import render


def state_of(uids, *, first_mod_seq=2):
    """A mailbox with these UIDs, each with its own mod-sequence, size and one of eight combinations of flags."""
    state = MailboxState(1, 7)
    keywords = ((5, "$Work"), (6, "$Forwarded"))
    for at, uid in enumerate(uids):
        message = Appended(uid, (at * 3) % 8 << 3, 100 + at * 7)
        change = Change(first_mod_seq + at, appended=(message,), keywords=keywords if at == 0 else ())
        state = state.fold(change)
    return state


def one_by_one(view, uids, items):
    """The plainest way to write the same."""
    written = []
    for seq_num, uid in enumerate(view.uids, 1):
        message = view.state.message(uid)
        if message is None or uid not in uids:
            continue
        names = view.state.flag_table.names(message.flags)
        flags = " ".join((["\\Recent"] if uid in view.recent else []) + list(names))
        said = {
            "UID": f"UID {uid}",
            "FLAGS": f"FLAGS ({flags})",
            "MODSEQ": f"MODSEQ ({message.mod_seq})",
            "RFC822.SIZE": f"RFC822.SIZE {message.size}",
        }
        written.append(f"* {seq_num} FETCH ({' '.join(said[item] for item in items)})\r\n")
    return "".join(written).encode()


def rendered(view, uids, items):
    return b"".join(render.lines(view, batch, items) for batch in render.batches(view, uids))


ITEMS = st.permutations(sorted(render.PACKED_ITEMS)).flatmap(
    lambda names: st.integers(1, len(names)).map(lambda count: names[:count])
)


@given(
    first=st.sampled_from([1, 2, 900, 999, 1000, 4090, 123_456_789, 4_294_966_000]),
    count=st.integers(1, 300),
    gaps=st.sets(st.integers(0, 299), max_size=5),
    recent=st.sampled_from([None, 0, 150]),
    wanted=st.one_of(st.none(), st.sets(st.integers(0, 299))),
    items=ITEMS,
)
def test_lines_are_those_of_the_plainest_way(*, first, count, gaps, recent, wanted, items):
    uids = [first + at for at in range(count) if at not in gaps] or [first]
    view = SessionView(state_of(uids), recent_from=None if recent is None else first + recent)
    chosen = NumSet(uids) if wanted is None else NumSet(first + at for at in wanted)
    assert rendered(view, chosen, items) == one_by_one(view, chosen, items)


@pytest.mark.parametrize("first", [1, 500, 1001, 77_777])
def test_thousands_of_lines_with_and_without_a_gap(first):
    uids = list(range(first, first + 2 * FETCH_BATCH_MESSAGES_MAX + 10))
    for gone in ([], [first + 40], uids[::7]):
        state = state_of(sorted(set(uids) - set(gone)))
        view = SessionView(state)
        for items in (("UID", "FLAGS", "MODSEQ"), ("UID",), ("FLAGS",)):
            assert rendered(view, NumSet(uids), items) == one_by_one(view, NumSet(uids), items)


def test_sequence_numbers_count_expunged_messages_that_were_not_told():
    uids = list(range(1, 2 * FETCH_TEMPLATE_MESSAGES_MIN))
    before = state_of(uids)
    view = SessionView(before)
    after = before.fold(Change(before.mod_seq + 1, vanished=NumSet([3, 4, 100])))
    before.history.append(Change(after.mod_seq, vanished=NumSet([3, 4, 100])))
    view.advance(after, after.changes_since(before.mod_seq), may_vanish=False)
    lines = rendered(view, NumSet(uids), ("UID",)).splitlines()
    assert lines[1:3] == [b"* 2 FETCH (UID 2)", b"* 5 FETCH (UID 5)"]
    assert len(lines) == len(uids) - 3
    assert rendered(view, NumSet(uids), ("UID", "FLAGS")) == one_by_one(view, NumSet(uids), ("UID", "FLAGS"))


def test_flags_that_were_never_told_are_spelled_when_they_come():
    state = state_of(range(1, 100))
    view = SessionView(state)
    rendered(view, NumSet([1]), ("FLAGS",))
    change = Change(
        state.mod_seq + 1, edits=(FlagEdit(NumSet([2]), add=1 << 7, remove=-1),), keywords=((7, "$New"),)
    )
    view = SessionView(state.fold(change))
    assert rendered(view, NumSet([2]), ("FLAGS",)) == b"* 2 FETCH (FLAGS ($New))\r\n"


@pytest.mark.parametrize(
    ("condstore", "line"),
    [
        (False, b"* 2 FETCH (FLAGS (\\Seen \\Draft))\r\n"),
        # RFC 7162 section 3.2.4
        (True, b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Draft) MODSEQ (3))\r\n"),
    ],
)
def test_changed_flags_say_uid_and_mod_seq_to_who_knows_them(condstore, line):
    view = SessionView(state_of([1, 2]))
    session = SimpleNamespace(condstore=condstore, qresync=False)
    said = b"".join(render.changed_flags(session, view, view.uids.select(NumSet([2, 9]))))
    assert said == line
