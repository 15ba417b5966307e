"""
Random work by many sessions, and the account of what they were promised.

`Actor` is one session that does random things and believes what it is told; `Journal` notes every promise
and every attempt, so that after a crash it can say what must be there, what must not, and what may be either.
"""

from __future__ import annotations

import random
import re
import smtplib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wire_client import USER, Client, Gone, Reply, full_fetch
from wire_model import Ledger, Memory, differences, picture
from wire_responses import numbers, require, to_set

MAILBOXES = ("INBOX", "Other")
MESSAGES_KEPT = 60
SHARED_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Shared")


def body(token: str) -> bytes:
    """Return the message that a token stands for."""
    picks = random.Random(token)
    size = picks.choice([10, 300, 300, 2_000, 6_000, 40_000])
    lines = b"".join(b"%x\r\n" % picks.getrandbits(280) for _ in range(1 + size // 72))
    return b"From: ann@example.org\r\nSubject: %b\r\nX-Token: %b\r\n\r\n%b" % (
        token.encode(),
        token.encode(),
        lines,
    )


class Journal:
    """
    What was promised to the sessions of one account, and what they tried.

    Attributes:
        ledger: what was told of mod-sequences.
        born: the token of each message whose place is known.
        kept: tokens of messages that were acknowledged.
        groups: tokens that one APPEND carried, acknowledged or not.
        copied, deletable: tokens of messages that somebody tried to copy, or to mark as deleted.
        keywords: for a keyword that only one session changes whether a message has it; None while unknown.
        memories: what clients have stored, at some moments.

    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.born: dict[tuple[str, int], str] = {}
        self.kept: set[str] = set()
        self.groups: list[list[str]] = []
        self.copied: set[str] = set()
        self.deletable: set[str] = set()
        self.keywords: dict[tuple[str, int, str], bool | None] = {}
        self.memories: list[Memory] = []
        self._last_token = 0

    def new_token(self) -> str:
        self._last_token += 1
        return f"token-{self._last_token}-{random.getrandbits(40):x}"

    # --- after a crash ---

    def check(self, address: tuple[str, int], picks: random.Random, memories: int) -> None:
        """Assert that every promise is kept, and that clients can go on from what they had stored."""
        found = {mailbox: self._contents(address, mailbox) for mailbox in MAILBOXES}
        self._check_contents(found)
        pictures = {mailbox: full_fetch(address, mailbox, self.ledger) for mailbox in MAILBOXES}
        self._check_keywords(pictures)
        for memory in picks.sample(self.memories, min(memories, len(self.memories))):
            with Client(address, ledger=self.ledger) as client:
                client.resume(memory, picks)
                shown, true = picture(client.model), pictures[memory.mailbox]
                require(shown == true, "resynchronised", differences(shown, true), memory)
        for mailbox in MAILBOXES:
            self._check_numbers(address, mailbox)

    def _contents(self, address: tuple[str, int], mailbox: str) -> dict[int, str]:
        """Return the token of every message, each body compared."""
        tokens = {}
        with Client(address, ledger=self.ledger) as client:
            client.run(f"EXAMINE {mailbox}", mailbox=mailbox)
            if client.model.slots:
                for response in client.run("FETCH 1:* (UID BODY.PEEK[])").of("FETCH"):
                    content = response.items["BODY[]"]
                    token = re.search(rb"X-Token: (\S+)", content)[1].decode()
                    require(
                        content.endswith(body(token)),
                        "a body is damaged",
                        mailbox,
                        response.items["UID"],
                        token,
                    )
                    tokens[response.items["UID"]] = token
        return tokens

    def _check_contents(self, found: dict[str, dict[int, str]]) -> None:
        counts: dict[str, int] = defaultdict(int)
        for mailbox, tokens in found.items():
            for uid, token in tokens.items():
                counts[token] += 1
                known = self.born.setdefault((mailbox, uid), token)
                require(known == token, "a UID was given twice", mailbox, uid, known, token)
            validities = {validity for name, validity in self.ledger.gone if name == mailbox}
            for validity in validities:
                risen = self.ledger.gone[mailbox, validity] & tokens.keys()
                require(not risen, "expunged messages are back", mailbox, risen)
        for token in self.kept - self.deletable:
            require(counts[token], "an acknowledged message is missing", token)
        for token, count in counts.items():
            require(count == 1 or token in self.copied, "a message is there twice", token, count)
        for group in self.groups:
            here = [token for token in group if counts[token]]
            require(
                len(here) in (0, len(group)) or self.deletable & set(group), "half of an APPEND", group, here
            )

    def _check_keywords(self, pictures: dict[str, dict[int, tuple[int, frozenset[str]]]]) -> None:
        for (mailbox, uid, keyword), is_set in list(self.keywords.items()):
            if uid not in pictures[mailbox]:
                continue
            there = keyword.lower() in pictures[mailbox][uid][1]
            require(is_set in (None, there), "a flag is not as acknowledged", mailbox, uid, keyword, is_set)
            self.keywords[mailbox, uid, keyword] = there

    def _check_numbers(self, address: tuple[str, int], mailbox: str) -> None:
        """A mailbox does not fall behind what was announced, and new changes lie above it."""
        with Client(address, ledger=self.ledger) as client:
            announced = dict(self.ledger.highest)
            client.select(mailbox)
            before = announced.get((mailbox, client.model.uid_validity), 0)
            require(client.highest() >= before, "HIGHESTMODSEQ fell", mailbox, client.highest(), before)
            token = self.new_token()
            reply = client.run(f"APPEND {mailbox}", literal=body(token))
            require(reply.is_ok, "APPEND failed", reply.tagged.raw)
            self.kept.add(token)
            client.run("NOOP")
            client.fetch_new()
            number = max(client.model.mod_seqs.values())
            require(number > before, "a mod-sequence was used twice", mailbox, number, before)


@dataclass
class Actor:
    """
    A session that does random things.

    Args:
        connect: returns a new session; another worker may serve it.
        replaces: whether it also replaces all flags of a message, those of others too.
        stays: whether it keeps its first connection.
        by_number: how often it speaks of sequence numbers, of 1.
        acts: what it does, by name; None for everything.

    """

    name: str
    connect: Callable[[Ledger, str], Client]
    journal: Journal
    picks: random.Random
    mode: str = "qresync"
    replaces: bool = False
    stays: bool = False
    by_number: float = 0.3
    acts: tuple[str, ...] | None = None
    mailboxes: tuple[str, ...] = MAILBOXES
    client: Client = field(init=False)
    steps: int = 0

    def open(self) -> None:
        self.client = self.connect(self.journal.ledger, self.mode)
        self.client.select(self.picks.choice(self.mailboxes))

    def run(self, is_over: Callable[[], bool]) -> None:
        """Work until it is over or the server is gone."""
        try:
            self.open()
            while not is_over():
                self.step()
        except Gone:
            pass
        finally:
            if hasattr(self, "client"):
                self._remember()
                self.client.close()

    def step(self) -> None:
        """Do one random thing, then perhaps remember what is stored by then."""
        acts = _ACTS if self.acts is None else [getattr(Actor, name) for name in self.acts]
        if self.acts is None and len(self.client.model.slots) > MESSAGES_KEPT:
            acts = [*acts, *[Actor.delete] * 20]
        self.picks.choice(acts)(self)
        self.steps += 1
        if self.picks.random() < 0.7:
            self.client.fetch_new()
        if self.picks.random() < 0.2:
            self._remember()

    def _remember(self) -> None:
        memory = self.client.model.memory()
        if memory is not None and self.mode == "qresync":
            self.journal.memories.append(memory)

    # --- picking ---

    @property
    def mailbox(self) -> str:
        return self.client.model.mailbox

    @property
    def keyword(self) -> str:
        return f"$Of{self.name}"

    def _some(self, most: int) -> list[int]:
        """Return some messages of which the content is known."""
        model = self.client.model
        known = [
            uid
            for uid in model.known_uids
            if (model.mailbox, uid) in self.journal.born and uid in model.flags
        ]
        return sorted(self.picks.sample(known, min(len(known), self.picks.randint(1, most))))

    def _tokens(self, uids: Iterable[int]) -> list[str]:
        return [self.journal.born[self.mailbox, uid] for uid in uids]

    def _named(self, uids: list[int]) -> tuple[str, str]:
        """Return `UID ` or nothing, and the set as UIDs or as sequence numbers."""
        if self.picks.random() > self.by_number:
            return "UID ", to_set(uids)
        place = {uid: at for at, uid in enumerate(self.client.model.slots, 1)}
        return "", to_set(place[uid] for uid in uids)

    # --- acts ---

    def noop(self) -> None:
        self.client.run("NOOP")

    def append(self) -> None:
        target = self.picks.choice(self.mailboxes)
        tokens = [self.journal.new_token() for _ in range(self.picks.choice([1, 1, 1, 2, 3]))]
        self.journal.groups.append(tokens)
        flags = self.picks.sample([*SHARED_FLAGS, self.keyword], self.picks.randint(0, 2))
        octets = b"".join(
            b" (%b) {%d+}\r\n%b" % (" ".join(flags).encode(), len(body(token)), body(token))
            for token in tokens
        )
        reply = self.client.run(f"APPEND {target}", tail=octets)
        require(reply.is_ok, "APPEND failed", reply.tagged.raw)
        uids = list(numbers(reply.tagged.argument.split()[1]))
        for uid, token in zip(uids, tokens, strict=True):
            self._born(target, uid, token)
            self.journal.keywords[target, uid, self.keyword] = self.keyword in flags
        self.journal.kept.update(tokens)

    def _born(self, mailbox: str, uid: int, token: str) -> None:
        known = self.journal.born.setdefault((mailbox, uid), token)
        require(known == token, "a UID was given twice", mailbox, uid, known, token)

    def mark(self) -> None:
        """Set or remove this session's own keyword."""
        uids = self._some(6)
        if not uids:
            return
        mode = self.picks.choice("+-")
        facts = self.journal.keywords
        for uid in uids:
            facts[self.mailbox, uid, self.keyword] = None
        reply = self._store(uids, mode, [self.keyword])
        refused = self._refused(reply)
        if reply.is_ok or reply.tagged.code in ("MODIFIED", "EXPUNGEISSUED"):
            for uid in set(uids) & set(self.client.model.known_uids) - refused:
                facts[self.mailbox, uid, self.keyword] = mode == "+"

    def share(self) -> None:
        """Change flags that everybody changes."""
        uids = self._some(8)
        if uids:
            mode = self.picks.choice(["+", "-", ""] if self.replaces else "+-")
            self._store(uids, mode, self.picks.sample(SHARED_FLAGS, self.picks.randint(1, 2)))

    def _store(self, uids: list[int], mode: str, flags: list[str]) -> Reply:
        since = None
        if self.mode != "plain" and self.picks.random() < 0.5:
            high = self.client.highest()
            since = self.picks.choice([high, high, max(1, high - self.picks.randint(0, 20)), 0])
        by_number, silent = self.picks.random() < self.by_number, self.picks.random() < 0.4
        reply = self.client.store(uids, mode, flags, since=since, silent=silent, by_number=by_number)
        require(
            reply.is_ok or reply.tagged.code in ("MODIFIED", "EXPUNGEISSUED"),
            "STORE failed",
            reply.tagged.raw,
        )
        self._by_number = by_number
        return reply

    def _refused(self, reply: Reply) -> set[int]:
        if reply.tagged.code != "MODIFIED":
            return set()
        named = reply.tagged.argument_numbers
        return {self.client.model.slots[number - 1] for number in named} if self._by_number else set(named)

    def pipeline(self) -> None:
        """Send several STOREs before the first is answered."""
        uids = self._some(8)
        if uids:
            tags = [
                self.client.send_store(self._some(4) or uids, self.picks.choice("+-"), ["$Shared"])
                for _ in range(4)
            ]
            for tag in tags:
                require(self.client.reply(tag).is_ok, "STORE failed")

    def delete(self) -> None:
        uids = self._some(5)
        if not uids:
            return
        self.journal.deletable.update(self._tokens(uids))
        self.client.store(uids, "+", ["\\Deleted"], silent=self.picks.random() < 0.5)
        if self.picks.random() < 0.3:
            return
        words = (
            "EXPUNGE" if self.picks.random() < 0.3 or self.mode == "plain" else f"UID EXPUNGE {to_set(uids)}"
        )
        reply = self.client.run(words)
        require(reply.is_ok, "EXPUNGE failed", reply.tagged.raw)

    def copy(self) -> None:
        self._transfer("COPY")

    def move(self) -> None:
        self._transfer("MOVE")

    def _transfer(self, verb: str) -> None:
        uids = self._some(3)
        if not uids:
            return
        source, target, tokens = self.mailbox, self.picks.choice(self.mailboxes), self._tokens(uids)
        if verb == "COPY":
            self.journal.copied.update(tokens)
        prefix, named = self._named(uids)
        reply = self.client.run(f"{prefix}{verb} {named} {target}")
        require(reply.is_ok or reply.tagged.code == "EXPUNGEISSUED", "failed", verb, reply.tagged.raw)
        for response in [*reply.of("OK"), reply.tagged]:
            if response.code == "COPYUID":
                _, sources, targets = response.argument.split()
                for old, new in zip(numbers(sources), numbers(targets), strict=True):
                    self._born(target, new, self.journal.born[source, old])
                    if verb == "MOVE":
                        self.journal.ledger.vanished(source, self.client.model.uid_validity, [old])

    def fetch(self) -> None:
        model = self.client.model
        if not model.slots:
            return
        number = self.picks.randint(1, len(model.slots))
        choices = [
            "FETCH 1:* (UID FLAGS)",
            f"FETCH {number} (UID BODY[TEXT])",
            f"FETCH {number}:* (UID FLAGS)",
        ]
        if self.mode != "plain":
            since = max(0, self.client.highest() - self.picks.randint(0, 30))
            vanished = " VANISHED" if self.mode == "qresync" else ""
            choices += [
                "FETCH 1:* (UID FLAGS MODSEQ)",
                f"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE {since}{vanished})",
                f"FETCH 1:* (UID MODSEQ) (CHANGEDSINCE {since})",
            ]
        reply = self.client.run(self.picks.choice(choices))
        require(reply.is_ok or reply.tagged.code == "EXPUNGEISSUED", "FETCH failed", reply.tagged.raw)

    def inspect(self) -> None:
        """Learn the content of messages that somebody else stored."""
        unknown = [
            uid for uid in self.client.model.known_uids if (self.mailbox, uid) not in self.journal.born
        ]
        if unknown:
            reply = self.client.run(f"UID FETCH {to_set(unknown)} (UID BODY.PEEK[HEADER.FIELDS (X-TOKEN)])")
            for response in reply.of("FETCH"):
                for name, value in response.items.items():
                    if name.startswith("BODY["):
                        self._born(self.mailbox, response.items["UID"], value.split()[1].decode())

    def search(self) -> None:
        words = ["SEARCH UNDELETED", "UID SEARCH KEYWORD $Shared", "SEARCH SEEN"]
        words += [] if self.mode == "plain" else [f"UID SEARCH MODSEQ {max(1, self.client.highest() - 5)}"]
        require(self.client.run(self.picks.choice(words)).is_ok, "SEARCH failed")

    def status(self) -> None:
        items = "MESSAGES UIDNEXT" if self.mode == "plain" else "MESSAGES UIDNEXT HIGHESTMODSEQ"
        require(
            self.client.run(f"STATUS {self.picks.choice(self.mailboxes)} ({items})").is_ok, "STATUS failed"
        )

    def idle(self) -> None:
        self.client.idle(self.picks.choice([0.0, 0.005, 0.03]))

    def reopen(self) -> None:
        """Leave the mailbox and come back, or go to another one."""
        if self.picks.random() < 0.5:
            require(self.client.run(self.picks.choice(["CLOSE", "UNSELECT"])).is_ok, "CLOSE failed")
        resumable = [each for each in self.journal.memories[-40:] if each.mailbox in self.mailboxes]
        if self.mode == "qresync" and resumable and self.picks.random() < 0.8:
            self.client.resume(self.picks.choice(resumable), self.picks)
        else:
            self.client.select(self.picks.choice(self.mailboxes))

    def reconnect(self) -> None:
        """Lose the connection; another worker may serve the next."""
        if not self.stays:
            self._remember()
            self.client.close()
            self.open()


_ACTS: list[Callable[[Actor], None]] = [
    act
    for act, weight in {
        Actor.noop: 8,
        Actor.append: 10,
        Actor.mark: 16,
        Actor.share: 12,
        Actor.pipeline: 4,
        Actor.delete: 7,
        Actor.copy: 3,
        Actor.move: 5,
        Actor.fetch: 7,
        Actor.inspect: 4,
        Actor.search: 3,
        Actor.status: 2,
        Actor.idle: 3,
        Actor.reopen: 3,
        Actor.reconnect: 1,
    }.items()
    for _ in range(weight)
]


def deliver(address: tuple[str, int], journal: Journal, is_over: Callable[[], bool]) -> None:
    """Deliver messages by LMTP until it is over or the server is gone."""
    try:
        with smtplib.LMTP(*address) as lmtp:
            while not is_over():
                token = journal.new_token()
                lmtp.sendmail("sender@example.org", [USER], body(token))
                journal.kept.add(token)
                time.sleep(0.02)
    except (smtplib.SMTPServerDisconnected, OSError):
        pass


class Crowd:
    """
    Threads that work at the same time; the first failure ends all.

    Attributes:
        failures: what went wrong, but for lost connections.

    """

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self._is_told_to_end = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, work: Callable[[Callable[[], bool]], None]) -> None:
        """Let a function work; it is given what says that it is time to end."""
        self._threads.append(threading.Thread(target=self._run, args=(work,)))

    def _run(self, work: Callable[[Callable[[], bool]], None]) -> None:
        try:
            work(self.is_over)
        except Gone:
            pass
        except BaseException as failure:  # noqa: BLE001 -- shown by the test's own thread
            self.failures.append(failure)

    def is_over(self) -> bool:
        return bool(self.failures) or self._is_told_to_end.is_set()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until all have ended; raises the first failure."""
        self._is_told_to_end.set()
        for thread in self._threads:
            thread.join(60)
        # Who waits for one that failed fails too, perhaps first.
        causes = [each for each in self.failures if not isinstance(each, threading.BrokenBarrierError)]
        for failure in causes or self.failures:
            raise failure
