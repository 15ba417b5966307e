"""What the rules of the mod-sequence cost in memory: a mailbox of a million messages, no disk, no network.

Usage: core.py [MESSAGES]   (1,000,000 unless told)
"""

import statistics
import sys
import time
from collections.abc import Callable

from modseq.core.account import AccountDraft, AccountState
from modseq.core.change import Appended, Change, FlagEdit
from modseq.core.flags import DELETED, SEEN
from modseq.core.history import ExpungeLog
from modseq.core.mailbox import MailboxState
from modseq.core.message import Content, NewMessage
from modseq.core.numset import NumSet
from modseq.core.operations import Append, Expunge, Purge
from modseq.core.store_flags import StoreFlags
from modseq.core.view import SessionView

MAILBOX_ID = 1
MESSAGE = NewMessage((), 0, 0, 0, Content(b"x", b"", b"", b"", b"", None, 0))


class Mailbox:
    """A mailbox that publishes each operation at once, as a backend does after its commit."""

    def __init__(self, messages: int) -> None:
        state = MailboxState(MAILBOX_ID, 1)
        state.history.expunged = ExpungeLog()
        for mod_seq, first in enumerate(range(1, messages + 1, 50_000), 2):
            last = min(first + 49_999, messages)
            appended = tuple(Appended(uid, SEEN if uid % 3 else 0, 4_000) for uid in range(first, last + 1))
            state = state.fold(Change(mod_seq, appended=appended))
        self.account = AccountState()
        self.state = state

    def commit(self, operation):
        draft = AccountDraft(self.account, lambda _: self.state, 0)
        outcome = draft.run(operation)
        self.state = draft.publish()[MAILBOX_ID]
        self.account = draft.account
        return outcome


def timed(name: str, rounds: int, act: Callable[[int], object], *, unit: str = "us") -> None:
    """Print the best and the median of single calls: the best is what it costs when nobody else is busy."""
    scale = 1e3 if unit == "us" else 1e6
    taken = []
    for at in range(rounds):
        start = time.perf_counter_ns()
        act(at)
        taken.append((time.perf_counter_ns() - start) / scale)
    taken.sort()
    print(f"{name:64s} best {taken[0]:10.2f} {unit}   median {statistics.median(taken):10.2f} {unit}")


def spread(at: int, messages: int) -> int:
    """A UID far from the one before."""
    return at * 7_919 % messages + 1


def single_changes(box: Mailbox, messages: int) -> None:
    def claim(at: int) -> None:
        box.commit(StoreFlags(MAILBOX_ID, NumSet.single(spread(at, messages)), "+", ("$Claim",), 0))

    def release(at: int) -> None:
        uids = NumSet.single(spread(at, messages))
        box.commit(StoreFlags(MAILBOX_ID, uids, "-", ("$Claim",), box.state.mod_seq))

    def refused(at: int) -> None:
        box.commit(StoreFlags(MAILBOX_ID, NumSet.single(spread(at, messages)), "+", ("\\Seen",), 1))

    timed("conditional STORE of one message: +FLAGS ($Claim), m = 0", 3_000, claim)
    timed("conditional STORE of one message: -FLAGS ($Claim)", 3_000, release)
    timed("conditional STORE of one message, refused", 3_000, refused)
    timed("append of one message", 2_000, lambda _: box.commit(Append(MAILBOX_ID, (MESSAGE,))))
    timed(
        "expunge of one message (purge)",
        500,
        lambda at: box.commit(Purge(MAILBOX_ID, NumSet.single(spread(at, messages)))),
    )

    def delete_one(at: int) -> None:
        uids = NumSet.single(spread(at + 500, messages))
        box.commit(StoreFlags(MAILBOX_ID, uids, "+", ("\\Deleted",)))
        box.commit(Expunge(MAILBOX_ID, uids))

    timed("STORE +FLAGS (\\Deleted) and UID EXPUNGE of one message", 500, delete_one)
    timed("index of a state", 1_000, lambda _: box.state.index)


def questions(box: Mailbox, messages: int) -> None:
    view = SessionView(box.state)
    for at in range(1_000):
        uids = NumSet.single(spread(at, messages))
        mode = "-" if at % 2 else "+"
        box.commit(StoreFlags(MAILBOX_ID, uids, mode, ("\\Flagged", "$New")))
    state = box.state
    for count in (0, 1, 10, 1_000):
        since = state.mod_seq - count
        timed(f"changes_since after {count} changes", 300, lambda _, m=since: state.changes_since(m))
    changes = state.changes_since(view.state.mod_seq)
    timed("view takes in those 1,000 changes", 1, lambda _: view.advance(state, changes, may_vanish=True))
    timed("changes_since(0): everything, from the blocks", 5, lambda _: state.changes_since(0), unit="ms")


def huge_operations(box: Mailbox) -> None:
    everything = NumSet.from_ranges([(1, box.state.uid_next - 1)])
    middle = box.state.mod_seq
    modes = ("+", "-")

    def fold_edit(at: int) -> None:
        edit = FlagEdit(everything, DELETED * (1 - at % 2), DELETED * (at % 2))
        box.state.fold(Change(box.state.mod_seq + 1, edits=(edit,)))

    timed("fold of +FLAGS over all messages, first time", 3, lambda _: fold_edit(0), unit="ms")

    def flip(at: int) -> None:
        box.commit(StoreFlags(MAILBOX_ID, everything, modes[at % 2], ("\\Flagged", "$All")))

    timed("STORE 1:* +FLAGS (\\Flagged $All), and back", 4, flip, unit="ms")

    def one_condition(m: int, flags: tuple[str, ...]) -> Callable[[int], object]:
        return lambda _: box.commit(StoreFlags(MAILBOX_ID, everything, "+", flags, m))

    timed("STORE 1:* where all is newer, all pass", 3, one_condition(middle, ("\\Answered",)), unit="ms")
    timed("STORE 1:* where all is newer, all are refused", 3, one_condition(middle, ("$All",)), unit="ms")

    def prepared(_: int) -> None:
        slices = []
        start = time.perf_counter_ns()
        for _each in StoreFlags(MAILBOX_ID, everything, "+", ("$Other",), middle).prepare(box.state):
            slices.append((time.perf_counter_ns() - start) / 1e3)
            start = time.perf_counter_ns()
        print(f"    slices of prepare: {len(slices)}, longest {max(slices):.0f} us")

    timed("prepare of such a STORE", 1, prepared, unit="ms")


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    box = Mailbox(messages)
    print(f"{messages:,} messages in {len(box.state.chunks)} blocks")
    single_changes(box, messages)
    questions(box, messages)
    huge_operations(box)


if __name__ == "__main__":
    main()
