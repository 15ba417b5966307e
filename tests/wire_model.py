"""
What an IMAP client knows, by the letter of RFC 7162 section 6.

The model believes everything it is told and checks on the way that it makes sense to somebody who knows only
what was said before. It does no I/O: a recorded session can be replayed up to any octet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from wire_responses import Response, Splitter, require


@dataclass(frozen=True, slots=True)
class Edit:
    """What a STORE does to the client's own copy of the flags."""

    mode: str
    flags: frozenset[str]
    is_silent: bool = False
    is_conditional: bool = False
    all_or_none: bool = False

    def applied(self, before: frozenset[str]) -> frozenset[str]:
        return {"+": before | self.flags, "-": before - self.flags, "": self.flags}[self.mode]


@dataclass(slots=True)
class Command:
    """
    A command that has been sent.

    Attributes:
        name: as the server knows it: `UID STORE`.
        targets: the UIDs that a STORE means.
        resumed: what SELECT with QRESYNC starts from.

    """

    tag: str
    name: str
    edit: Edit | None = None
    targets: frozenset[int] = frozenset()
    mailbox: str = ""
    resumed: Memory | None = None
    told_flags: set[int] = field(default_factory=set)
    told_mod_seq: set[int] = field(default_factory=set)
    has_fetched: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """
    What a client has stored: enough to synchronise again after any loss.

    Attributes:
        high: the HIGHESTMODSEQ that it was told to store.
        known_to: it knows every message up to this UID.
        flags, mod_seqs: by UID, none above `known_to`.

    """

    mailbox: str
    uid_validity: int
    high: int
    known_to: int
    flags: dict[int, frozenset[str]]
    mod_seqs: dict[int, int]


class Ledger:
    """
    What all clients of a test were told, to be compared: one number never means two things.

    Attributes:
        told: flags by mailbox, UIDVALIDITY, UID and mod-sequence.
        highest: the highest mod-sequence announced by mailbox and UIDVALIDITY.
        gone: UIDs that were said to be gone.

    """

    def __init__(self) -> None:
        self.told: dict[tuple[str, int, int, int], frozenset[str]] = {}
        self.highest: dict[tuple[str, int], int] = {}
        self.gone: dict[tuple[str, int], set[int]] = {}

    def fetched(
        self, mailbox: str, validity: int, uid: int, mod_seq: int, flags: frozenset[str] | None
    ) -> None:
        self.announced(mailbox, validity, mod_seq)
        if flags is not None:
            before = self.told.setdefault((mailbox, validity, uid, mod_seq), flags)
            require(
                before == flags,
                "one MODSEQ of a message with two sets of flags",
                mailbox,
                uid,
                mod_seq,
                before,
                flags,
            )

    def announced(self, mailbox: str, validity: int, mod_seq: int) -> None:
        if mod_seq > self.highest.get((mailbox, validity), 0):
            self.highest[mailbox, validity] = mod_seq

    def vanished(self, mailbox: str, validity: int, uids: Iterable[int]) -> None:
        self.gone.setdefault((mailbox, validity), set()).update(uids)


class Model:
    """
    The knowledge of one client in one session.

    Attributes:
        slots: for each sequence number the UID, None where it was not told.
        flags, mod_seqs: the client's copy, by UID.
        high: the HIGHESTMODSEQ that the client stores; None before the first synchronisation is complete.

    """

    def __init__(self, mode: str = "qresync", ledger: Ledger | None = None) -> None:
        self.mode = mode
        self.ledger = ledger or Ledger()
        self.mailbox = ""
        self.uid_validity = 0
        self.slots: list[int | None] = []
        self.flags: dict[int, frozenset[str]] = {}
        self.mod_seqs: dict[int, int] = {}
        self.high: int | None = None
        self._candidate = 0
        self._is_complete = False
        self._given_high: int | None = None
        self._seen_high = 0
        self._resumed: Memory | None = None
        self._open: list[Command] = []

    # --- what the client does ---

    def sent(self, command: Command) -> None:
        """Note a command before its first octet is sent."""
        self._open.append(command)
        if command.name in ("SELECT", "EXAMINE"):
            require(len(self._open) == 1, "the model does not pipeline SELECT")
            self._leave()
            self._resumed = command.resumed
            if command.resumed is not None:
                self.flags = dict(command.resumed.flags)
                self.mod_seqs = dict(command.resumed.mod_seqs)

    def completed(self) -> None:
        """Note that every message was fetched: from now on the HIGHESTMODSEQ is good to store."""
        require(None not in self.slots, "messages that were never fetched")
        self._is_complete = True
        self.high = self._candidate
        self._resumed = None

    def memory(self) -> Memory | None:
        """Return what a client that loses its connection now has stored; None when that is nothing."""
        if self._resumed is not None:
            kept, known_to = self._resumed, self._resumed.known_to
            mailbox, validity, high = kept.mailbox, kept.uid_validity, kept.high
            if self.uid_validity not in (0, validity):
                return None
        elif self.high is None:
            return None
        else:
            mailbox, validity, high = self.mailbox, self.uid_validity, self.high
            known = self.slots[: self.slots.index(None)] if None in self.slots else self.slots
            known_to = known[-1] if known else 0
        flags = {uid: held for uid, held in self.flags.items() if uid <= known_to}
        mod_seqs = {uid: held for uid, held in self.mod_seqs.items() if uid <= known_to}
        return Memory(mailbox, validity, high, known_to, flags, mod_seqs)

    @property
    def known_uids(self) -> list[int]:
        return [uid for uid in self.slots if uid is not None]

    # --- what the server says ---

    def hear(self, response: Response) -> Command | None:
        """Take in a response; return the command that it ends. Raises Violation."""
        if response.tag not in ("*", "+"):
            return self._end(response)
        handler = getattr(self, "_hear_" + response.kind.lower(), None)
        if handler is not None:
            handler(response)
        return None

    @property
    def _running(self) -> Command | None:
        return self._open[0] if self._open else None

    @property
    def _is_selecting(self) -> bool:
        return self._running is not None and self._running.name in ("SELECT", "EXAMINE")

    def _leave(self) -> None:
        self.mailbox, self.uid_validity, self.slots = "", 0, []
        self.flags, self.mod_seqs = {}, {}
        self.high, self._candidate, self._is_complete, self._resumed = None, 0, False, None
        self._given_high, self._seen_high = None, 0

    def _hear_ok(self, response: Response) -> None:
        if response.code == "UIDVALIDITY":
            self.uid_validity = int(response.argument)
            self.mailbox = self._open[0].mailbox
            if self._resumed is not None and self._resumed.uid_validity != self.uid_validity:
                self._resumed, self.flags, self.mod_seqs = None, {}, {}
        elif response.code == "HIGHESTMODSEQ":
            self._hear_highest(int(response.argument))

    def _hear_highest(self, value: int) -> None:
        if self.mode == "plain":
            return
        known = self._resumed.high if self._is_selecting and self._resumed is not None else self.high or 0
        require(value >= known, "HIGHESTMODSEQ falls below what was to be stored", value, known)
        require(0 < value < 2**63, "not a mod-sequence", value)
        self._given_high = value
        if self.uid_validity:
            self.ledger.announced(self.mailbox, self.uid_validity, value)
        if self._is_complete:
            # Section 6: the copy is updated whenever the code is sent, not only at the tagged reply.
            self.high = self._candidate = value

    def _hear_exists(self, response: Response) -> None:
        require(response.number >= len(self.slots), "EXISTS lowers the count", response.raw, len(self.slots))
        self.slots += [None] * (response.number - len(self.slots))

    def _hear_recent(self, response: Response) -> None:
        require(response.number <= len(self.slots), "more recent than existing", response.raw)

    def _hear_expunge(self, response: Response) -> None:
        require(self.mode != "qresync", "EXPUNGE after ENABLE QRESYNC", response.raw)
        self._check_may_vanish(response)
        require(
            1 <= response.number <= len(self.slots), "EXPUNGE of no message", response.raw, len(self.slots)
        )
        uid = self.slots.pop(response.number - 1)
        if uid is not None:
            self._forget([uid])

    def _hear_vanished(self, response: Response) -> None:
        require(self.mode == "qresync", "VANISHED without QRESYNC", response.raw)
        if response.is_earlier:
            name = self._running.name if self._running is not None else ""
            require(name in ("SELECT", "EXAMINE", "UID FETCH"), "VANISHED (EARLIER) in", name)
            require(not self._running.has_fetched, "FETCH before VANISHED (EARLIER)", response.raw)
            counted = set(self.known_uids) & set(response.uids)
            require(not counted, "VANISHED (EARLIER) of messages that count", response.raw, counted)
        else:
            self._check_may_vanish(response)
            for uid in response.uids:
                self._remove(uid)
        self._forget(response.uids)

    def _check_may_vanish(self, response: Response) -> None:
        require(self._running is not None, "an expunge while no command runs", response.raw)
        name = self._running.name
        require(name not in ("FETCH", "STORE", "SEARCH"), "an expunge during", name, response.raw)

    def _remove(self, uid: int) -> None:
        """Take one message out of the count; where its number was never told, one of those it may have."""
        at = self._place(uid)
        require(at is not None, "VANISHED names a message that was never announced", uid, self.slots)
        del self.slots[at]

    def _place(self, uid: int) -> int | None:
        low = 0
        for at, known in enumerate(self.slots):
            if known is None:
                continue
            if known == uid:
                return at
            if known > uid:
                return low if low < at else None
            low = at + 1
        return low if low < len(self.slots) else None

    def _forget(self, uids: Iterable[int]) -> None:
        if self.uid_validity:
            self.ledger.vanished(self.mailbox, self.uid_validity, uids)
        for uid in uids:
            self.flags.pop(uid, None)
            self.mod_seqs.pop(uid, None)

    def _hear_fetch(self, response: Response) -> None:
        at = response.number - 1
        require(0 <= at < len(self.slots), "FETCH of no message", response.raw, len(self.slots))
        running, items = self._running, response.items
        is_answer = running is not None and running.name in ("FETCH", "UID FETCH")
        if self.mode != "plain" and not is_answer:
            require("UID" in items and "MODSEQ" in items, "FETCH without UID and MODSEQ", response.raw)
        uid = items.get("UID", self.slots[at])
        if uid is None:
            return
        self._check_place(at, uid, response)
        mod_seq = items.get("MODSEQ")
        if self.slots[at] is None and ("FLAGS" not in items or (mod_seq is None and self.mode != "plain")):
            # Half of what is to be known of a message: it is still to be fetched.
            return
        self.slots[at] = uid
        if running is not None:
            running.has_fetched = True
        if mod_seq is not None:
            require(
                mod_seq >= self.mod_seqs.get(uid, 0), "a MODSEQ falls", response.raw, self.mod_seqs.get(uid)
            )
            require(0 < mod_seq < 2**63, "not a mod-sequence", response.raw)
            self.mod_seqs[uid] = mod_seq
            self._seen_high = max(self._seen_high, mod_seq)
            self.ledger.fetched(self.mailbox, self.uid_validity, uid, mod_seq, items.get("FLAGS"))
            if running is not None:
                running.told_mod_seq.add(uid)
        if "FLAGS" in items:
            self.flags[uid] = items["FLAGS"]
            if running is not None:
                running.told_flags.add(uid)

    def _check_place(self, at: int, uid: int, response: Response) -> None:
        known = self.slots[at]
        require(known in (None, uid), "a sequence number of another message", response.raw, known)
        if known is None:
            below = next((u for u in reversed(self.slots[:at]) if u is not None), 0)
            above = next((u for u in self.slots[at + 1 :] if u is not None), 2**32)
            require(below < uid < above, "UIDs out of order", response.raw, below, above)
            resumed = self._resumed
            if resumed is not None and uid <= resumed.known_to:
                require(uid in resumed.flags, "a message appeared among known ones", response.raw)

    # --- the end of a command ---

    def _end(self, response: Response) -> Command:
        require(self._open, "a reply to nothing", response.raw)
        command = self._open[0]
        require(command.tag == response.tag, "replies out of order", response.raw, command.tag)
        if response.code == "HIGHESTMODSEQ":
            self._hear_highest(int(response.argument))
        self._open.pop(0)
        if command.name in ("SELECT", "EXAMINE"):
            self._opened(command, response)
        elif command.name in ("CLOSE", "UNSELECT") and response.kind == "OK":
            self._leave()
        elif command.edit is not None:
            self._stored(command, response)
        self._settle_high()
        return command

    def _settle_high(self) -> None:
        """
        Compute the HIGHESTMODSEQ to store, at a tagged reply.

        RFC: 7162 section 6
        """
        if self._given_high is not None:
            self._candidate = self._given_high
        else:
            self._candidate = max(self._candidate, self._seen_high)
        self._given_high, self._seen_high = None, 0
        if self._is_complete:
            self.high = self._candidate

    def _opened(self, command: Command, response: Response) -> None:
        if response.kind != "OK":
            self._leave()
            return
        require(self.mode == "plain" or self._given_high is not None, "SELECT without HIGHESTMODSEQ")
        if self._resumed is None:
            return
        # What was known and did not vanish comes first, in the same order; new messages lie behind.
        known = sorted(uid for uid in self.flags if uid <= self._resumed.known_to)
        require(len(known) <= len(self.slots), "vanished messages were not told", known, self.slots)
        for at, uid in enumerate(known):
            require(self.slots[at] in (None, uid), "vanished messages were not told", at, uid, self.slots)
            self.slots[at] = uid
        self._is_complete, self._resumed = True, None

    def _stored(self, command: Command, response: Response) -> None:
        edit = command.edit
        here = command.targets & set(self.known_uids)
        refused: set[int] = set()
        if response.code == "MODIFIED":
            named = response.argument_numbers
            require(edit.is_conditional, "MODIFIED without a condition", response.raw)
            if command.name == "STORE":
                require(max(named) <= len(self.slots), "MODIFIED names no message", response.raw)
                refused = {self.slots[number - 1] for number in named}
            else:
                refused = set(named)
            require(refused <= command.targets, "MODIFIED names what was not asked", response.raw)
            require(refused <= here, "MODIFIED names what is gone", response.raw, here)
        if response.kind == "OK":
            untold = here - (command.told_mod_seq if edit.is_conditional else command.told_flags)
            require(
                (edit.is_silent and not edit.is_conditional) or not untold,
                "no FETCH for",
                untold,
                response.raw,
            )
            require(not (refused - command.told_flags), "no FLAGS for what was refused", response.raw)
        is_done = response.kind == "OK" or response.code in {"EXPUNGEISSUED", "MODIFIED"}
        if edit.is_silent and is_done and not (edit.all_or_none and response.kind == "NO"):
            for uid in here - refused - command.told_flags:
                if uid in self.flags:
                    self.flags[uid] = edit.applied(self.flags[uid])


def picture(model: Model) -> dict[int, tuple[int, frozenset[str]]]:
    """Return what a client believes, as `full_fetch` does."""
    require(None not in model.slots, "messages that were never fetched")
    require(
        sorted(model.flags) == model.slots,
        "the copy is not what is counted",
        sorted(model.flags),
        model.slots,
    )
    return {uid: (model.mod_seqs.get(uid, 0), flags) for uid, flags in sorted(model.flags.items())}


def replay(record: Iterable[Command | bytes | None], mode: str = "qresync") -> Iterator[Memory | None]:
    """Yield what a client has stored that is cut off after each octet of a recorded session."""
    model, splitter = Model(mode), Splitter()
    memory: Memory | None = None
    for entry in record:
        if isinstance(entry, Command):
            again = Command(entry.tag, entry.name, entry.edit, entry.targets, entry.mailbox, entry.resumed)
            model.sent(again)
        elif entry is None:
            model.completed()
        else:
            for octet in entry:
                splitter.feed(bytes([octet]))
                if (response := splitter.next()) is not None:
                    model.hear(response)
                    memory = model.memory()
                yield memory


def differences(shown: dict, true: dict) -> dict:
    return {
        uid: (shown.get(uid), true.get(uid))
        for uid in shown.keys() | true.keys()
        if shown.get(uid) != true.get(uid)
    }
