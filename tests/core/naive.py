"""The rules of the mod-sequence told with plain dictionaries, from the clauses of the design and nothing else.

Slow, obvious, and the yardstick: whatever core does must look like this from outside.
"""

import copy
from dataclasses import dataclass, field

SYSTEM = ("\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft")


class Refused(Exception):
    """The operation fails as a whole and changes nothing."""


@dataclass
class Message:
    created: int
    octets: int
    flags: set[str]
    items: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Clause 4: what is set at creation, and every system flag, has the creation number.
        self.items = dict.fromkeys([*SYSTEM, *self.flags], self.created)

    @property
    def mod_seq(self) -> int:
        return max(self.items.values())

    def put(self, wanted: set[str], mod_seq: int) -> None:
        for item in wanted ^ self.flags:
            self.items[item] = mod_seq
        self.flags = set(wanted)

    def refuses(self, mode: str, named: set[str], m: int) -> bool:
        if m == 0:
            # Clause 6: only existence counts.
            return mode == "=" or any(name in SYSTEM or name in self.flags for name in named)
        items = self.items if mode == "=" else named
        return any(self.items.get(item, 0) > m for item in items)

    def after(self, mode: str, named: set[str]) -> set[str]:
        return {"+": self.flags | named, "-": self.flags - named, "=": set(named)}[mode]


@dataclass
class Mailbox:
    uid_validity: int
    keywords_max: int
    uid_next: int = 1
    mod_seq: int = 1
    messages: dict[int, Message] = field(default_factory=dict)
    gone: list[tuple[int, int]] = field(default_factory=list)
    keywords: list[str] = field(default_factory=list)
    recent_from: int = 1
    uid_max: int = 2**32 - 1

    def learn(self, names: list[str]) -> None:
        for name in names:
            if name not in SYSTEM and name not in self.keywords:
                self.keywords.append(name)
        if len(self.keywords) > self.keywords_max:
            raise Refused("keywords")

    def append(self, messages: list[tuple[list[str], int]]) -> list[int]:
        self.learn([name for flags, _ in messages for name in flags])
        if self.uid_next + len(messages) - 1 > self.uid_max:
            raise Refused("uids")
        self.mod_seq += 1
        given = []
        for flags, octets in messages:
            self.messages[self.uid_next] = Message(self.mod_seq, octets, set(flags))
            given.append(self.uid_next)
            self.uid_next += 1
        return given

    def store(self, uids, mode, flags, m, refusals) -> dict:
        all_or_none, missing_refuses = refusals
        before = list(self.keywords)
        if mode != "-":
            self.learn(flags)
        named = set(flags) & {*SYSTEM, *self.keywords}
        present = {uid for uid in uids if uid in self.messages}
        missing = set(uids) - present
        modified = {uid for uid in present if m is not None and self.messages[uid].refuses(mode, named, m)}
        applied = {
            uid
            for uid in present - modified
            if self.messages[uid].after(mode, named) != self.messages[uid].flags
        }
        refused = all_or_none and bool(modified or (missing_refuses and missing))
        if refused:
            applied = set()
        if applied:
            self.mod_seq += 1
            for uid in applied:
                self.messages[uid].put(self.messages[uid].after(mode, named), self.mod_seq)
        else:
            self.keywords = before
        return {
            "mod_seq": self.mod_seq,
            "present": present,
            "applied": applied,
            "modified": modified,
            "missing": missing,
            "refused": refused,
        }

    def remove(self, uids) -> set[int]:
        vanished = set(uids) & set(self.messages)
        if vanished:
            self.mod_seq += 1
            for uid in sorted(vanished):
                del self.messages[uid]
                self.gone.append((self.mod_seq, uid))
        return vanished

    def expunge(self, uids) -> set[int]:
        deleted = {uid for uid, message in self.messages.items() if "\\deleted" in message.flags}
        return self.remove(deleted if uids is None else deleted & set(uids))

    def changes_since(self, m: int) -> tuple[set[int], set[int], set[int], int]:
        appeared = {uid for uid, message in self.messages.items() if message.created > m}
        changed = {uid for uid, message in self.messages.items() if message.mod_seq > m} - appeared
        vanished = [(number, uid) for number, uid in self.gone if number > m]
        return appeared, changed, {uid for _, uid in vanished}, min(vanished)[0] if vanished else 0

    def picture(self) -> dict[int, tuple]:
        return {
            uid: (message.flags, message.mod_seq, message.created, message.octets, message.items)
            for uid, message in sorted(self.messages.items())
        }


@dataclass
class Account:
    keywords_max: int
    mailboxes_max: int
    boxes: dict[str, Mailbox] = field(default_factory=dict)
    next_uid_validity: int = 1

    def attempt(self, name: str, *arguments):
        """Carry out an operation on a copy: what fails leaves nothing behind."""
        trial = copy.deepcopy(self)
        outcome = getattr(trial, name)(*arguments)
        self.boxes, self.next_uid_validity = trial.boxes, trial.next_uid_validity
        return outcome

    def _box(self, uid_validity: int) -> Mailbox:
        """Mailboxes keep their UIDVALIDITY through a RENAME, so it names them."""
        for box in self.boxes.values():
            if box.uid_validity == uid_validity:
                return box
        raise Refused("no mailbox")

    def create(self, name: str) -> None:
        if name in self.boxes:
            raise Refused("exists")
        levels = name.split("/")
        self._fill([*("/".join(levels[:depth]) for depth in range(1, len(levels))), name])

    def _fill(self, names: list[str]) -> None:
        for name in names:
            if name not in self.boxes:
                if len(self.boxes) >= self.mailboxes_max:
                    raise Refused("mailboxes")
                self.boxes[name] = Mailbox(self.next_uid_validity, self.keywords_max)
                self.next_uid_validity += 1

    def delete(self, name: str) -> None:
        if name == "INBOX":
            raise Refused("inbox")
        if name not in self.boxes:
            raise Refused("no mailbox")
        del self.boxes[name]

    def rename(self, old: str, new: str) -> None:
        below = [name for name in self.boxes if name.startswith(old + "/")]
        if old not in self.boxes and not below:
            raise Refused("no mailbox")
        if new in self.boxes or any(name.startswith(new + "/") for name in self.boxes):
            raise Refused("exists")
        if old == "INBOX":
            self.create(new)
            inbox, target = self.boxes["INBOX"], self.boxes[new]
            self.transfer(inbox.uid_validity, list(inbox.messages), target.uid_validity, True)
            return
        if new.startswith(old + "/"):
            raise Refused("below itself")
        for name in below + ([old] if old in self.boxes else []):
            self.boxes[new + name[len(old) :]] = self.boxes.pop(name)
        levels = new.split("/")
        self._fill(["/".join(levels[:depth]) for depth in range(1, len(levels))])

    def append(self, box: int, messages) -> list[int]:
        return self._box(box).append(messages)

    def store(self, box: int, *arguments) -> dict:
        return self._box(box).store(*arguments)

    def expunge(self, box: int, uids) -> set[int]:
        return self._box(box).expunge(uids)

    def purge(self, box: int, uids) -> set[int]:
        return self._box(box).remove(uids)

    def transfer(self, source_box: int, uids, target_box: int, move: bool) -> tuple[list, list]:
        source, target = self._box(source_box), self._box(target_box)
        present = sorted(set(uids) & set(source.messages))
        if not present:
            return [], []
        copies = [(sorted(source.messages[uid].flags), source.messages[uid].octets) for uid in present]
        given = target.append(copies)
        if move:
            if source is target:
                source.mod_seq -= 1  # One operation, one number: copies and vanished share it.
            source.remove(present)
        return present, given

    def claim_recent(self, box: int, uid_next: int) -> None:
        mailbox = self._box(box)
        mailbox.recent_from = max(mailbox.recent_from, uid_next)
