"""
Large numbers of expunges and changes between two resynchronisations: is everything told?

One mailbox gets many messages; half of them go, one by one and in batches, by every command that expunges,
with changes of flags between. Clients that left at different moments come back and ask in every way there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from modseq.check.connection import Connection
from modseq.check.match import is_earlier, vanished
from modseq.check.replica import truth
from modseq.check.response import Response, set_text
from modseq.check.runner import Outcome
from modseq.check.server import Facts, Mailboxes
from modseq.check.trial import Sizes, a_mailbox, fail, fetched, judge, number_of, trial

_REPORT_ALL = (
    "The VANISHED UID FETCH modifier instructs the server to report those messages from the UID set parameter that "
    "have been expunged and whose associated mod-sequence is larger than the specified mod-sequence."
)
_SINCE = (
    "The server sends the client any pending flag changes (using FETCH responses that MUST contain UIDs) and expunges "
    "those that have occurred in this mailbox since the provided modification sequence."
)
_MATCH = (
    "If a pair matches, then the client knows of any expunges up to, and including, the message; thus, it will not "
    "include that range in the VANISHED response,"
)
_MINIMUM = (
    "MUST behave as if it was requested to report all expunged messages from the provided UID set parameter."
)
_STAGES = 5
_LINES_SHOWN = 20
_FLAGS = ("\\Seen", "\\Flagged", "\\Answered")


@dataclass
class _Moment:
    """What a client knew when it left."""

    mod_seq: int
    uids: list[int]
    flags: dict[int, frozenset[str]]


@dataclass
class _Story:
    """A mailbox and what happened in it."""

    box: str = ""
    uid_validity: str = ""
    uids: list[int] = field(default_factory=list)
    moments: list[_Moment] = field(default_factory=list)
    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    commands: int = 0


def histories(mailboxes: Mailboxes, facts: Facts, sizes: Sizes) -> Iterator[Outcome]:
    """Run all lost-history tests on one story; each way of asking is an outcome."""
    story = _Story()
    needs = ("QRESYNC", "UIDPLUS")

    def tell(
        name: str, sentence: str, section: str, ask: Callable[[_Story, Connection, Outcome], None]
    ) -> Outcome:
        case = trial("history", name, sentence, section=section, needs=needs)

        def work(outcome: Outcome) -> None:
            if not story.box:
                _make(story, mailboxes, sizes.history, has_move="MOVE" in facts.capabilities)
            connection = mailboxes.target.login(transcript=outcome.transcript)
            try:
                connection.run("ENABLE QRESYNC")
                ask(story, connection, outcome)
            finally:
                connection.log_out()
            outcome.figures["messages"] = len(story.uids)
            outcome.figures["commands"] = story.commands
            outcome.transcript[_LINES_SHOWN:] = []

        return judge(case, facts, mailboxes, work, cleans=False)

    for number in range(_STAGES):
        when = "from the beginning" if number == 0 else f"from moment {number} of {_STAGES}"
        yield tell(f"SELECT with QRESYNC {when}", _SINCE, "3.2.5.1", _selecting(number))
    yield tell("UID FETCH with VANISHED", _REPORT_ALL, "3.2.6", _fetching(whole=True))
    yield tell("UID FETCH with VANISHED, half of the UIDs", _REPORT_ALL, "3.2.6", _fetching(whole=False))
    yield tell("SELECT with known UIDs", _SINCE, "3.2.5.1", _selecting(0, knows=True))
    yield tell("SELECT with sequence match data", _MATCH, "3.2.5.2", _selecting(1, knows=True, matches=True))
    yield tell("SELECT from mod-sequence 1", _MINIMUM, "3.2.6", _selecting(None))
    mailboxes.remove()


# --- making it ------------------------------------------------------------------------------------


def _make(story: _Story, mailboxes: Mailboxes, count: int, *, has_move: bool) -> None:
    """Fill a mailbox and take half of it away, by all commands that expunge; notes the moments between."""
    with a_mailbox(mailboxes, "history", count) as (box, uids):
        other = mailboxes.create("history-other")
        story.uids = uids
        story.uid_validity = mailboxes.status(box, "UIDVALIDITY")["UIDVALIDITY"]
        going = [uid for uid in uids if uid % 2 == 0 or uid % 7 == 3][: count // 2]
        share = -(-len(going) // _STAGES)
        ways = [_expunge_one, _uid_expunge_many, _close, _expunge_one, _uid_expunge_many]
        if has_move:
            ways[3] = _move
        for number, way in enumerate(ways):
            flags = truth(mailboxes, box)
            story.moments.append(_Moment(number_of(mailboxes, box), sorted(flags), flags))
            part = going[number * share : (number + 1) * share]
            mailboxes.run(f"SELECT {box}")
            story.commands += way(mailboxes, box, part, other)
            if number % 2:
                mailboxes.run(f"SELECT {box}")
                left = [uid for uid in flags if uid not in part][number::3]
                mailboxes.run(f"UID STORE {set_text(set(left))} +FLAGS.SILENT ({_FLAGS[number % 3]})")
                story.commands += 1
            mailboxes.leave()
        story.flags = truth(mailboxes, box)
        story.box = box


def _pipeline(mailboxes: Mailboxes, commands: Sequence[str]) -> int:
    """Send commands ahead, a few dozen at a time, and wait for all of them."""
    connection = mailboxes.connection()
    for at in range(0, len(commands), 40):
        batch = commands[at : at + 40]
        connection.transcript.clear()
        connection.send_octets(b"".join(b"h%d %b\r\n" % (n, each.encode()) for n, each in enumerate(batch)))
        for number in range(len(batch)):
            connection.until(f"h{number}")
    return len(commands)


def _expunge_one(mailboxes: Mailboxes, _: str, uids: Sequence[int], __: str) -> int:
    commands = [
        each for uid in uids for each in (f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)", f"UID EXPUNGE {uid}")
    ]
    return _pipeline(mailboxes, commands)


def _uid_expunge_many(mailboxes: Mailboxes, _: str, uids: Sequence[int], __: str) -> int:
    commands: list[str] = []
    for at in range(0, len(uids), 15):
        part = ",".join(map(str, uids[at : at + 15]))
        commands += [f"UID STORE {part} +FLAGS.SILENT (\\Deleted)", f"UID EXPUNGE {part}"]
    return _pipeline(mailboxes, commands)


def _close(mailboxes: Mailboxes, box: str, uids: Sequence[int], _: str) -> int:
    if uids:
        mailboxes.run(f"UID STORE {','.join(map(str, uids))} +FLAGS.SILENT (\\Deleted)")
    mailboxes.run("CLOSE")
    mailboxes.run(f"SELECT {box}")
    return 2


def _move(mailboxes: Mailboxes, _: str, uids: Sequence[int], other: str) -> int:
    return _pipeline(mailboxes, [f"UID MOVE {uid} {other}" for uid in uids])


# --- asking ---------------------------------------------------------------------------------------


def _selecting(
    moment: int | None, *, knows: bool = False, matches: bool = False
) -> Callable[[_Story, Connection, Outcome], None]:
    def ask(story: _Story, connection: Connection, outcome: Outcome) -> None:
        then = story.moments[moment or 0]
        since = then.mod_seq if moment is not None else 1
        arguments = f"{story.uid_validity} {since}"
        if knows:
            arguments += f" {set_text(set(then.uids))}"
        if matches:
            places = sorted({len(then.uids) // part for part in (8, 4, 3, 2, 1)} - {0})
            uids = ",".join(str(then.uids[place - 1]) for place in places)
            arguments += f" ({','.join(map(str, places))} {uids})"
        came = connection.run(f"SELECT {story.box} (QRESYNC ({arguments}))")
        _compare(outcome, story, then, came, set(then.uids))

    return ask


def _fetching(*, whole: bool) -> Callable[[_Story, Connection, Outcome], None]:
    def ask(story: _Story, connection: Connection, outcome: Outcome) -> None:
        then = story.moments[0]
        uids = then.uids if whole else then.uids[: len(then.uids) // 2]
        connection.run(f"SELECT {story.box}")
        came = connection.run(
            f"UID FETCH {uids[0]}:{uids[-1]} (FLAGS) (CHANGEDSINCE {then.mod_seq} VANISHED)"
        )
        _compare(outcome, story, then, came, set(uids))

    return ask


def _compare(
    outcome: Outcome, story: _Story, then: _Moment, came: Sequence[Response], asked: set[int]
) -> None:
    """Hold what was told against what happened."""
    reply = came[-1]
    if reply.name != "OK":
        fail(outcome, f"the command was answered {reply.raw}", "OK")
        return
    told: set[int] = set()
    flags: dict[int, frozenset[str]] = {}
    for each in came:
        if each.name == "VANISHED" and is_earlier(each):
            told |= vanished(each) or frozenset()
        elif each.name == "FETCH":
            items = fetched(each)
            words = items.get("FLAGS")
            if isinstance(words, list) and "UID" in items:
                flags[int(str(items["UID"]))] = frozenset(str(word).upper() for word in words) - {"\\RECENT"}
    gone = asked - story.flags.keys()
    lost, alive = gone - told, told & story.flags.keys()
    changed = {uid for uid in asked & story.flags.keys() if story.flags[uid] != then.flags[uid]}
    unchanged_told = {uid for uid in changed if flags.get(uid) != story.flags[uid]}
    outcome.figures |= {
        "expunged": len(gone), "expunges not told": len(lost), "told though alive": len(alive),
        "changes not told": len(unchanged_told),
    }  # fmt: skip
    if lost:
        fail(
            outcome,
            f"{len(lost)} of {len(gone)} expunges were not told",
            f"VANISHED (EARLIER) {set_text(lost)[:200]}",
        )
    if alive:
        fail(
            outcome,
            f"{len(alive)} messages that are there were told as VANISHED",
            f"not {set_text(alive)[:200]}",
        )
    if unchanged_told:
        fail(
            outcome, f"{len(unchanged_told)} of {len(changed)} changed messages were not told",
            f"FETCH for UIDs {set_text(unchanged_told)[:200]}",
        )  # fmt: skip
