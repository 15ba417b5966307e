"""
After any history of changes, cut connections, edits and resynchronisations the mirror equals a full fetch.

The connection passes a proxy that closes it after any octet, counted over both directions.
"""

import asyncio
import contextlib
import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import examples
from mirror_net import PASSWORD, Other, Proxy, account, mirrored, sync
from mirror_support import mail
from modseq import limits
from modseq.client.errors import ClientError
from modseq.mirror.outbox import Outbox
from modseq.mirror.replica import Replica
from server.serving import serving

_numbers = itertools.count()
BOXES = ("INBOX", "A", "B")
FLAGS = ("\\Seen", "\\Flagged", "$k1", "$k2")

boxes = st.sampled_from(BOXES)
flag_sets = st.sets(st.sampled_from(FLAGS), max_size=2).map(lambda flags: " ".join(sorted(flags)))
picks = st.integers(0, 9)

steps = st.one_of(
    st.tuples(st.just("append"), boxes, flag_sets),
    st.tuples(st.just("store"), boxes, picks, st.sampled_from("+-"), st.sampled_from(FLAGS)),
    st.tuples(st.just("expunge"), boxes, picks, picks),
    st.tuples(st.just("move"), boxes, picks, boxes),
    st.tuples(st.just("remake"), st.sampled_from(("A", "B"))),
    st.tuples(st.just("swap")),
    st.tuples(st.just("edit"), boxes, picks, st.sampled_from(("flag", "move", "delete", "append"))),
    st.tuples(st.just("sync"), st.one_of(st.none(), st.integers(0, 6_000))),
)


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server):
    with Proxy(server.address) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(limits, "MIRROR_LATE_COMMAND_SECONDS", 0.02)
    monkeypatch.setattr(limits, "MIRROR_FETCH_MESSAGES_MAX", 3)


class History:
    """One account, one mirror, and what happens to both."""

    def __init__(self, server, proxy, path: Path) -> None:
        self.server, self.proxy = server, proxy
        self.user = f"user{next(_numbers)}"
        server.add_user(self.user)
        self.other = Other(server.address, self.user, PASSWORD)
        for name in ("A", "B"):
            self.other.do("create", name)
        self.replica = Replica(path, create=True)
        self.replica.execute("PRAGMA synchronous = OFF")
        self.replica.configure(bodies="all")
        self.sent = 0

    def close(self) -> None:
        self.other.imap.logout()
        self.replica.close()

    def _uids(self, box: str, *places: int) -> str:
        uids = self.other.uids(box)
        return ",".join(sorted({str(uids[place % len(uids)]) for place in places})) if uids else ""

    def append(self, box: str, flags: str) -> None:
        self.sent += 1
        self.other.append(box, mail(f"letter {self.sent}", "x" * self.sent), flags)

    def store(self, box: str, place: int, sign: str, flag: str) -> None:
        if uids := self._uids(box, place):
            self.other.store(box, uids, f"{sign}FLAGS ({flag})")

    def expunge(self, box: str, *places: int) -> None:
        if uids := self._uids(box, *places):
            self.other.expunge(box, uids)

    def move(self, box: str, place: int, target: str) -> None:
        if (uids := self._uids(box, place)) and box != target:
            self.other.uid(box, "MOVE", uids, target)

    def _leave(self) -> None:
        self.other.do("select", "INBOX")
        self.other._selected = "INBOX"

    def remake(self, box: str) -> None:
        self._leave()
        self.other.do("delete", box)
        self.other.do("create", box)

    def swap(self) -> None:
        self._leave()
        for before, after in (("A", "X"), ("B", "A"), ("X", "B")):
            self.other.do("rename", before, after)

    def edit(self, box: str, place: int, kind: str) -> None:
        with contextlib.suppress(Exception):
            mailbox = self.replica.mailbox(box)
            uids = list(self.replica.known_uids(mailbox.mailbox_id))
            outbox = Outbox(self.replica)
            if kind == "append":
                self.sent += 1
                outbox.append(box, mail(f"mine {self.sent}", "y" * self.sent))
            elif kind == "flag":
                outbox.change_flags(mailbox, uids[place % len(uids)], add=["$mine"])
            elif kind == "delete":
                outbox.delete(mailbox, uids[place % len(uids)])
            else:
                outbox.move(mailbox, uids[place % len(uids)], BOXES[place % 3])

    def sync(self, cut_after: int | None = None) -> None:
        self.proxy.cut_after = cut_after
        try:
            report = asyncio.run(sync(self.replica, self.proxy.address, user=self.user))
            assert report.doubts == {}, report
        except ClientError:
            assert cut_after is not None
        finally:
            self.proxy.cut_after = None
        assert self.replica.check() == []

    def check(self) -> None:
        """The copy equals a full fetch, bodies too, and nothing that was appended arrived twice."""
        found = account(self.server.address, self.user)
        assert mirrored(self.replica) == found
        assert [edit for edit in Outbox(self.replica).edits() if edit.state != "conflict"] == []
        subjects = []
        for row in self.replica.mailboxes():
            for message in self.replica.messages(row.mailbox_id):
                octets = self.replica.content(message.content_id)
                assert len(octets) == message.size
                subjects.append(octets.partition(b"Subject: ")[2].partition(b"\r\n")[0])
        assert len(subjects) == len(set(subjects))
        self.sync()
        assert mirrored(self.replica) == found


@settings(max_examples=examples(40))
@given(history=st.lists(steps, min_size=4, max_size=25))
def test_any_history(server, proxy, tmp_path_factory, history):
    run = History(server, proxy, tmp_path_factory.mktemp("history") / "m.sqlite")
    try:
        for n in range(5):
            run.append(BOXES[n % 3], FLAGS[n % 4])
        for name, *arguments in history:
            getattr(run, name)(*arguments)
        run.sync()
        run.check()
    finally:
        run.close()


@pytest.mark.parametrize("is_first", [True, False])
def test_cut_after_every_so_many_octets(server, proxy, tmp_path, is_first):
    """Each cut comes a little later; what was learned before stays, and the end is right."""
    for start in range(0, 7_000 if is_first else 5_000, 331):
        run = History(server, proxy, tmp_path / f"{start}.sqlite")
        for n in range(8):
            run.append("INBOX", FLAGS[n % 4])
        if not is_first:
            run.sync()
            run.append("A", "")
            run.store("INBOX", 2, "+", "$k2")
            run.expunge("INBOX", 1, 4)
            run.move("INBOX", 0, "B")
            for kind, place in (("flag", 3), ("delete", 4), ("move", 5), ("append", 0)):
                run.edit("INBOX", place, kind)
        run.sync(start)
        run.sync(start + 150)
        run.sync()
        run.check()
        run.close()


def test_killed_during_the_first_copy(tmp_path):
    """SIGKILL at any moment: the next run goes on, and what was there is not fetched again."""
    with serving() as server, Other(server.address) as other, Proxy(server.address) as proxy:
        for n in range(700):
            other.append("INBOX", mail(f"letter {n}", "x" * 200), "\\Seen" if n % 3 else "")
        script = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from pathlib import Path
from mirror_net import sync
from modseq import limits
from modseq.mirror.replica import Replica
limits.MIRROR_FETCH_MESSAGES_MAX = 50
with Replica(Path({str(tmp_path / "m.sqlite")!r}), create=True) as replica:
    replica.configure(bodies="all")
    asyncio.run(sync(replica, {proxy.address!r}))
"""
        kills = 0
        had = 0
        for _ in range(4):
            process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
            before = proxy.commands.count("UID FETCH")
            until = time.monotonic() + 30
            # Some pieces further each time, then dead.
            while proxy.commands.count("UID FETCH") < before + 3 and process.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.005)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(30)
            kills += process.returncode == -signal.SIGKILL
            with Replica(tmp_path / "m.sqlite", create=True) as replica:
                assert replica.check() == []
                row = next(iter(replica.mailboxes()), None)
                have = len(replica.known_uids(row.mailbox_id)) if row else 0
            assert have >= had
            had = have
        assert kills >= 2
        assert had > 0
        with Replica(tmp_path / "m.sqlite") as replica:
            report = asyncio.run(sync(replica, server.address))
            assert report.doubts == {}
            assert [outcome.notes for outcome in report.outcomes] == [()]
            assert sum(outcome.applied.appeared for outcome in report.outcomes) == 700 - had
            assert mirrored(replica) == account(server.address)
            assert replica.without_body(replica.mailbox("INBOX").mailbox_id) == []
            assert replica.check() == []
