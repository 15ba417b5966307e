"""
Many clients at once: do two of them win one claim, and does a client that resynchronises miss anything?

A claim is a conditional STORE that sets one keyword, the same for all workers, on the condition of a
mod-sequence at which nobody had it. It is won if the tagged reply arrived, did not name the message in
MODIFIED, and there was a FETCH for it. Of any number of workers exactly one wins each message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from modseq import clock
from modseq.check.connection import Connection, Line, shown
from modseq.check.replica import Replica, truth
from modseq.check.response import Response, numbers_of
from modseq.check.runner import Outcome, Verdict
from modseq.check.server import FAILURES, Facts, Mailboxes, message
from modseq.check.trial import Sizes, a_mailbox, fail, fetched, judge, number_of, trial

_ONE_WINS = "The mechanism can be used to guarantee that only one client can change the message state at any given time."
_NOTHING_LOST = (
    "A server implementing QRESYNC MUST send untagged events to a client in a way that the client doesn't lose any "
    "changes in case of connectivity loss."
)
_LINES_MAX = 40
"""Raw lines shown of one race: a few double winners tell as much as all."""


def races(mailboxes: Mailboxes, facts: Facts, sizes: Sizes) -> Iterator[Outcome]:
    """Run all races, one after the other."""
    needs = ("CONDSTORE", "KEYWORDS")
    for order, words in _ORDERS.items():
        case = trial("race", f"claims {words}", _ONE_WINS, section="1", needs=needs)
        yield judge(case, facts, mailboxes, partial(_claims, mailboxes=mailboxes, sizes=sizes, order=order))
    needs = ("QRESYNC", "UIDPLUS")
    for follows in (False, True):
        what = "while it follows by NOOP and is cut off" if follows else "again and again"
        name = f"a client resynchronises {what} beside three writers"
        case = trial("race", name, _NOTHING_LOST, section="3.2", needs=needs)
        yield judge(
            case, facts, mailboxes, partial(_resync, mailboxes=mailboxes, sizes=sizes, follows=follows)
        )


_ORDERS = {
    "head": "in the order of the mailbox",
    "random": "in random order",
    "batch": "in one command for all",
    "zero": "by UNCHANGEDSINCE 0",
}


# --- claims ---------------------------------------------------------------------------------------


@dataclass
class _Worker:
    """One client that claims."""

    number: int
    connection: Connection
    won: dict[int, list[Line]] = field(default_factory=dict)
    problem: str = ""

    def claim(self, asked: Sequence[int], since: int, keyword: str) -> None:
        """Send one conditional STORE for these UIDs and note what it won, with the raw lines."""
        self.connection.transcript.clear()
        uids = ",".join(map(str, asked))
        came = self.connection.run(f"UID STORE {uids} (UNCHANGEDSINCE {since}) +FLAGS.SILENT ({keyword})")
        for uid in won(came, asked):
            self.won[uid] = list(self.connection.transcript)


def won(came: Sequence[Response], asked: Sequence[int]) -> list[int]:
    """Return the UIDs that a conditional STORE changed, by all that its answer says."""
    reply = came[-1]
    if reply.name not in ("OK", "NO"):
        return []
    refused: frozenset[int] = frozenset()
    if reply.code and str(reply.code[0]).upper() == "MODIFIED" and len(reply.code) > 1:
        refused = numbers_of(str(reply.code[1])) or frozenset()
    told = {fetched(each).get("UID") for each in came if each.name == "FETCH" and "MODSEQ" in fetched(each)}
    return [uid for uid in asked if uid not in refused and str(uid) in told]


def _claims(outcome: Outcome, *, mailboxes: Mailboxes, sizes: Sizes, order: str) -> None:
    with a_mailbox(mailboxes, f"race-{order}", sizes.messages) as (box, uids):
        connections = [mailboxes.target.login(number=number + 1) for number in range(sizes.workers)]
        try:
            for each in connections:
                each.run(f"SELECT {box} (CONDSTORE)")
            doubles = nobody = unset = 0
            for number in range(sizes.rounds):
                since = 0 if order == "zero" else number_of(mailboxes, box)
                keyword = f"$Claim{number}"
                workers = [_Worker(each.number, each) for each in connections]
                _together(outcome, [_claimer(each, order, uids, since, keyword) for each in workers])
                won_by = {uid: [each for each in workers if uid in each.won] for uid in uids}
                doubles += _doubles(outcome, won_by)
                nobody += sum(not each for each in won_by.values())
                unset += _unset(mailboxes, box, keyword, [uid for uid, by in won_by.items() if by])
                for each in connections:
                    each.run("NOOP")
        finally:
            for each in connections:
                each.log_out()
    claims = sizes.rounds * len(uids)
    outcome.figures = {
        "workers": sizes.workers, "claims": claims, "double winners": doubles, "nobody won": nobody,
        "won but not stored": unset,
    }  # fmt: skip
    if order == "zero" and nobody == claims:
        outcome.verdict = Verdict.NOT_OFFERED
        outcome.problem = "the server refuses UNCHANGEDSINCE 0 for keywords that are not set"
        return
    if doubles:
        fail(
            outcome,
            f"{doubles} of {claims} messages were won by more than one worker",
            "one winner for each message",
        )
    if nobody:
        fail(outcome, f"{nobody} of {claims} messages were won by nobody", "one winner for each message")
    if unset:
        fail(outcome, f"{unset} of {claims} claims were won and not stored", "the keyword stays set")


def _claimer(
    worker: _Worker, order: str, uids: Sequence[int], since: int, keyword: str
) -> Callable[[], None]:
    def work() -> None:
        if order == "batch":
            worker.claim(uids, since, keyword)
            return
        mine = list(uids)
        if order == "random":
            for at in range(len(mine) - 1, 0, -1):
                other = clock.random_below(at + 1)
                mine[at], mine[other] = mine[other], mine[at]
        for uid in mine:
            worker.claim([uid], since, keyword)

    return work


def _together(outcome: Outcome, tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks in threads that begin at the same moment; a broken connection fails the outcome."""
    barrier = threading.Barrier(len(tasks))
    problems: list[str] = []

    def run(task: Callable[[], None]) -> None:
        barrier.wait()
        try:
            task()
        except FAILURES as error:
            problems.append(shown(str(error)))

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        fail(outcome, f"a connection ended: {problems[0]}", f"{len(tasks)} connections stay open")


def _doubles(outcome: Outcome, won_by: dict[int, list[_Worker]]) -> int:
    count = 0
    for uid, workers in won_by.items():
        if len(workers) < 2:
            continue
        count += 1
        for worker in workers:
            if len(outcome.transcript) < _LINES_MAX:
                outcome.transcript += worker.won[uid]
    return count


def _unset(mailboxes: Mailboxes, box: str, keyword: str, uids: Sequence[int]) -> int:
    """Return how many of these messages do not have the keyword that somebody won."""
    flags = truth(mailboxes, box)
    return sum(keyword.upper() not in flags.get(uid, frozenset()) for uid in uids)


# --- a client that resynchronises -----------------------------------------------------------------


def _resync(outcome: Outcome, *, mailboxes: Mailboxes, sizes: Sizes, follows: bool) -> None:
    with a_mailbox(mailboxes, "resync", sizes.messages) as (box, _):
        replica = Replica(mailboxes.target, box)
        replica.begin()
        done = threading.Event()
        writers = [_appender, _storer, _expunger]

        def read() -> None:
            while not done.is_set():
                replica.resynchronise(noops=3 if follows else 0)

        def write() -> None:
            try:
                _together(outcome, [_writer(each, mailboxes, box, sizes.changes) for each in writers])
            finally:
                done.set()

        _together(outcome, [read, write])
        replica.resynchronise(noops=0)
        real = truth(mailboxes, box)
    missing, ghosts = real.keys() - replica.flags.keys(), replica.flags.keys() - real.keys()
    stale = {uid for uid in real.keys() & replica.flags.keys() if real[uid] != replica.flags[uid]}
    outcome.figures = {
        "resynchronisations": replica.count, "messages": len(real), "never told": len(missing),
        "expunges lost": len(ghosts), "flags lost": len(stale), "wrong VANISHED": len(replica.wrong),
    }  # fmt: skip
    for uids, what in ((missing, "messages"), (ghosts, "expunges"), (stale, "flag changes")):
        if uids:
            outcome.transcript = replica.last_lines()
            fail(
                outcome,
                f"{len(uids)} {what} were lost",
                f"{what} of UIDs {','.join(map(str, sorted(uids)[:20]))}",
            )
    if replica.wrong:
        outcome.transcript = replica.last_lines()
        fail(outcome, replica.wrong[0], "VANISHED names messages that were announced, and each once")


def _writer(
    write: Callable[[Connection, str, int], None], mailboxes: Mailboxes, box: str, changes: int
) -> Callable[[], None]:
    def work() -> None:
        connection = mailboxes.target.login()
        try:
            connection.run(f"SELECT {box}")
            for number in range(changes):
                connection.transcript.clear()
                write(connection, box, number)
        finally:
            connection.log_out()

    return work


def _appender(connection: Connection, box: str, number: int) -> None:
    connection.run(f"APPEND {box} " + "{{}}", (message(number),))


def _some_uid(connection: Connection) -> int | None:
    for each in connection.run("UID SEARCH ALL"):
        if each.name == "SEARCH" and each.words:
            return int(str(each.words[clock.random_below(len(each.words))]))
    return None


def _storer(connection: Connection, _: str, number: int) -> None:
    uid = _some_uid(connection)
    flag = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft")[number % 4]
    if uid is not None:
        connection.run(f"UID STORE {uid} {'+-'[clock.random_below(2)]}FLAGS.SILENT ({flag})")


def _expunger(connection: Connection, _: str, number: int) -> None:
    uid = _some_uid(connection)
    if uid is not None and number % 2 == 0:
        connection.run(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
        connection.run(f"UID EXPUNGE {uid}" if number % 4 else "EXPUNGE")
