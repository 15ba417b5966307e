"""What must hold in every conversation, whatever its case looks at: watched throughout, reported by law."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from modseq.check.connection import Line
from modseq.check.match import is_earlier, vanished
from modseq.check.response import Response, read_response
from modseq.check.runner import Outcome, Verdict
from modseq.check.trial import fetched, trial

_LINES_BEFORE = 12
_NUMBERED = frozenset({"FETCH", "STORE", "SEARCH"})
_OPENS = frozenset({"SELECT", "EXAMINE"})
_CLOSES = frozenset({"CLOSE", "UNSELECT"})
_MOD_SEQ_BEYOND = 2**63


@dataclass(frozen=True)
class Law:
    """A sentence of an RFC that no response may break."""

    name: str
    section: str
    sentence: str
    needs: str = "CONDSTORE"


NO_EXPUNGE = Law(
    "after ENABLE QRESYNC no EXPUNGE",
    "3.2.10",
    "the server MUST use the VANISHED response without the EARLIER tag instead of the EXPUNGE response for all mailboxes "
    "that don't return NOMODSEQ when selected.",
    "QRESYNC",
)
NO_VANISHED = Law(
    "without ENABLE no VANISHED",
    "3.2.10",
    'Once a client has issued "ENABLE QRESYNC" (and the server has positively responded to that command with the untagged '
    "ENABLED response containing QRESYNC), the server MUST use the VANISHED response",
)
WITHHELD = Law(
    "expunges wait while message numbers are in use",
    "3.2.10.2",
    "A VANISHED response MUST NOT be sent when no command is in progress, nor while responding to a FETCH, STORE, or "
    "SEARCH command.",
)
COUNTS = Law(
    "the count of messages and the expunges agree",
    "3.2.10.2",
    "This means that each UID listed in a VANISHED response results in the client decrementing the message count by one.",
)
POSITIVE = Law(
    "mod-sequences are positive 63-bit numbers",
    "3.1",
    "An IMAP server that supports CONDSTORE MUST associate a positive unsigned 63-bit (*) value, called a mod-sequence, "
    "with every IMAP message.",
)
RISING = Law(
    "the mod-sequence of a message never falls",
    "3.1",
    "Also, for any two successful STORE operations performed in the same session on the same mailbox, the mod-sequence of "
    "the second completed operation MUST be greater than the mod-sequence of the first completed operation.",
)
LISTED = Law(
    "VANISHED lists UIDs, at least one and without a star",
    "7",
    'expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids',
    "QRESYNC",
)
ANNOUNCED = Law(
    "SELECT tells HIGHESTMODSEQ to those who are aware",
    "3.1.2",
    "One of these two response codes MUST be returned in an OK untagged response for any successful SELECT/EXAMINE command "
    "issued after a CONDSTORE enabling command.",
)
COVERED = Law(
    "HIGHESTMODSEQ ahead of the reply to a silent STORE does not cover it",
    "3.2",
    "A server implementing QRESYNC MUST send untagged events to a client in a way that the client doesn't lose any changes "
    "in case of connectivity loss.",
    "QRESYNC",
)
LAWS = (NO_EXPUNGE, NO_VANISHED, WITHHELD, COUNTS, POSITIVE, RISING, LISTED, ANNOUNCED, COVERED)


@dataclass
class _Session:
    """What one connection was told so far."""

    breach: Callable[[Law], None]
    enabled: set[str] = field(default_factory=set)
    running: dict[str, str] = field(default_factory=dict)
    is_aware: bool = False
    is_opening: bool = False
    told_number: bool = False
    count: int | None = None
    mod_seqs: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    bare: dict[str, int] = field(default_factory=dict)
    """Messages told with a number and without flags while a silent STORE runs: who sent it changes its own copy when
    the tagged reply has come."""

    def command(self, text: str) -> None:
        """Note what the client sends."""
        words = text.split(" ")
        if len(words) < 2:
            return
        name = " ".join(words[1:3]).upper() if words[1].upper() == "UID" else words[1].upper()
        self.running[words[0]] = name
        if name in ("STORE", "UID STORE") and ".SILENT" in text.upper():
            self.silent.add(words[0])
        if name in _OPENS:
            self.is_opening, self.told_number = True, False
            self.is_aware |= "CONDSTORE" in text.upper() or "QRESYNC" in text.upper()

    def response(self, came: Response) -> None:
        """Hold one response against the laws."""
        if came.tag in self.running:
            self._finished(self.running.pop(came.tag), came)
            self.silent.discard(came.tag)
            if not self.silent:
                self.bare.clear()
        if came.is_status:
            self._code(came)
        elif came.name == "ENABLED":
            self.enabled |= {str(word).upper() for word in came.words}
            self.is_aware |= bool({"CONDSTORE", "QRESYNC"} & self.enabled)
        elif came.name == "EXISTS" and (came.number or "").isdigit():
            self._exists(int(came.number or 0))
        elif came.name in ("EXPUNGE", "VANISHED"):
            self._gone(came)
        elif came.name == "FETCH":
            self._fetched(came)

    def _finished(self, name: str, came: Response) -> None:
        if name in _OPENS:
            if came.name == "OK" and self.is_aware and not self.told_number:
                self.breach(ANNOUNCED)
            if came.name != "OK":
                self.count = None
            self.is_opening = False
        elif name in _CLOSES and came.name == "OK":
            self.count = None

    def _code(self, came: Response) -> None:
        if not came.code:
            return
        name = str(came.code[0]).upper()
        if name in ("HIGHESTMODSEQ", "NOMODSEQ"):
            self.told_number = True
        if name == "HIGHESTMODSEQ":
            if len(came.code) < 2 or not _is_mod_seq(str(came.code[1])):
                self.breach(POSITIVE)
            elif came.tag == "*" and any(number <= int(str(came.code[1])) for number in self.bare.values()):
                self.breach(COVERED)
        if name == "CLOSED":
            self.count = None

    def _exists(self, count: int) -> None:
        if self.is_opening:
            self.mod_seqs.clear()
        elif self.count is not None and count < self.count:
            self.breach(COUNTS)
        self.count = count

    def _gone(self, came: Response) -> None:
        earlier = came.name == "VANISHED" and is_earlier(came)
        if came.name == "EXPUNGE" and "QRESYNC" in self.enabled:
            self.breach(NO_EXPUNGE)
        if came.name == "VANISHED" and not {"QRESYNC", "UIDONLY"} & self.enabled:
            self.breach(NO_VANISHED)
        uids = vanished(came) if came.name == "VANISHED" else frozenset({0})
        if not uids:
            self.breach(LISTED)
            return
        if earlier:
            return
        if not self.running or set(self.running.values()) <= _NUMBERED:
            self.breach(WITHHELD)
        if self.count is not None:
            self.count -= len(uids)
            if self.count < 0:
                self.breach(COUNTS)

    def _fetched(self, came: Response) -> None:
        if self.count is not None and (came.number or "").isdigit() and int(came.number or 0) > self.count:
            self.breach(COUNTS)
        items = fetched(came)
        mod_seq, uid = items.get("MODSEQ"), items.get("UID")
        if mod_seq is None:
            return
        if not isinstance(mod_seq, str) or not _is_mod_seq(mod_seq):
            self.breach(POSITIVE)
        elif isinstance(uid, str):
            if int(mod_seq) < self.mod_seqs.get(uid, 0):
                self.breach(RISING)
            self.mod_seqs[uid] = int(mod_seq)
            self.bare.pop(uid, None)
            if self.silent and "QRESYNC" in self.enabled and "FLAGS" not in items:
                self.bare[uid] = int(mod_seq)


def _is_mod_seq(text: str) -> bool:
    return text.isdigit() and 0 < int(text) < _MOD_SEQ_BEYOND


class Watch:
    """Holds all conversations of a run against the laws."""

    def __init__(self) -> None:
        self._seen: dict[Law, list[str]] = {law: [] for law in LAWS}
        self._examples: dict[Law, list[Line]] = {}
        self.heard = 0
        """Responses so far."""

    def hear(self, identity: str, transcript: Sequence[Line]) -> None:
        """Read what was said in one case."""
        sessions: dict[int, _Session] = {}
        for at, line in enumerate(transcript):

            def breach(law: Law, at: int = at, number: int = line.connection) -> None:
                if not self._seen[law]:
                    said = [each for each in transcript[: at + 1] if each.connection == number]
                    self._examples[law] = said[-_LINES_BEFORE:]
                self._seen[law].append(identity)

            session = sessions.setdefault(line.connection, _Session(breach))
            session.breach = breach
            if line.who == "C":
                session.command(line.text)
            else:
                self.heard += 1
                session.response(read_response(line.text))

    def outcomes(self, lacking: Callable[[Law], str | None]) -> Iterable[Outcome]:
        """Yield an outcome for each law."""
        for law in LAWS:
            case = trial("throughout", law.name, law.sentence, section=law.section, needs=(law.needs,))
            missing = lacking(law)
            if missing is not None:
                yield Outcome(case, Verdict.NOT_OFFERED, f"the server does not offer {missing}")
                continue
            broken = self._seen[law]
            outcome = Outcome(case, Verdict.FAILED if broken else Verdict.PASSED)
            outcome.figures = {"responses": self.heard, "breaches": len(broken)}
            if broken:
                outcome.problem = f"broken {len(broken)} times, first in {broken[0]}"
                outcome.transcript = self._examples[law]
            yield outcome
