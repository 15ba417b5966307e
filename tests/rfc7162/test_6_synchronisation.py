"""RFC 7162 section 6: a client that follows the rules ends with what the server has, wherever it was cut off."""

import random
import re

import pytest

from server.talk import Conversation


def test_6_example_a_delayed_vanished(talk, fill):
    r"""The first example: each reply says the lower value while the VANISHED is delayed.

    Changed: the STORE that sets 103 and 101 names all three messages, as [MODIFIED 3] implies; messages of one
    STORE share a number; HIGHESTMODSEQ goes into the tagged reply where there is room for it, and where there
    is none, its value is from before the STORE: the client has not yet changed its own copy. The example
    expunges the very message 3 that A151 changes, which cannot be: another one (4, UID 9) is expunged here.
    """
    fill(9)
    talk.run(r"""
        C2: s SELECT INBOX
        S2: s OK
        C2: a UID STORE 1:5 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b EXPUNGE
        S2: b OK
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: * OK [HIGHESTMODSEQ 4]
        S: s OK
        C2: c STORE 3 +FLAGS.SILENT (\Seen)
        S2: c OK
        C2: d STORE 4 +FLAGS.SILENT (\Deleted)
        S2: d OK
        C2: e EXPUNGE
        S2: e OK
        C: A150 STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT \Seen
        S: * 1 FETCH (UID 6 MODSEQ (8))
        S: * 2 FETCH (UID 7 MODSEQ (8))
        S: * 3 FETCH (UID 8 FLAGS (\Seen) MODSEQ (5))
        S: * OK [HIGHESTMODSEQ 4]
        !S: * VANISHED ...
        S: A150 OK [MODIFIED 3]
        C: A151 STORE 3 -FLAGS.SILENT \Seen
        S: * 3 FETCH (UID 8 MODSEQ (9))
        !S: * VANISHED ...
        S: A151 OK [HIGHESTMODSEQ 6]
        C: A152 NOOP
        S: * VANISHED 9
        S: A152 OK [HIGHESTMODSEQ 9]
    """)


@pytest.mark.parametrize(
    ("store", "number", "vanished", "reply"),
    [
        (r"UID STORE 1:3,6 (UNCHANGEDSINCE 2) +FLAGS.SILENT \Seen", 1, "* VANISHED 4", "OK [MODIFIED 6]"),
        (r"STORE 1:3,6 (UNCHANGEDSINCE 2) +FLAGS.SILENT \Seen", 1, "", "OK [MODIFIED 6]"),
        (r"STORE 1:4 +FLAGS.SILENT \Seen", 1, "", "NO [EXPUNGEISSUED]"),
        (r"STORE 4,6 +FLAGS.SILENT \Seen", 6, "", "NO [EXPUNGEISSUED]"),
    ],
    ids=["told", "withheld", "gone", "another's"],
)
def test_6_cut_before_the_reply_to_a_silent_store(talk, fill, store, number, vanished, reply):
    """MUST update its copy of the HIGHESTMODSEQ value whenever the server sends a subsequent HIGHESTMODSEQ OK
    response code: one that comes ahead of the tagged reply covers nothing that waits for that reply."""
    fill(6)
    talk.run(rf"""
        C: q ENABLE QRESYNC
        S: q OK
        C: s SELECT INBOX
        S: * OK [UIDVALIDITY $v]
        S: * OK [HIGHESTMODSEQ $known]
        S: s OK
        C2: s SELECT INBOX
        S2: s OK
        C2: a STORE 6 +FLAGS.SILENT (\Seen)
        S2: a OK
        C2: b STORE 4 +FLAGS.SILENT (\Deleted)
        S2: b OK
        C2: c EXPUNGE
        S2: c OK
        C: d {store}
        {"S: " + vanished if vanished else "!S: * VANISHED ..."}
        S: * {number} FETCH (UID {number} MODSEQ ($changed))
        S: * OK [HIGHESTMODSEQ $told]
        S: d {reply}
        C3: q ENABLE QRESYNC
        S3: q OK
        C3: s SELECT INBOX (QRESYNC ($v $told))
        S3: * ... FETCH (UID {number} FLAGS (\Seen) MODSEQ ($changed))
        S3: s OK
        C: e NOOP
        S: e OK [HIGHESTMODSEQ $now]
    """)
    assert int(talk.captures["known"]) <= int(talk.captures["told"]) < int(talk.captures["changed"])
    assert int(talk.captures["now"]) >= int(talk.captures["changed"])


def test_6_example_optimised_synchronisation(talk, fill):
    """The last example, d) "Server-to-client synchronization". Changed: smaller numbers; the order of items."""
    fill(30)
    talk.run(r"""
        C2: s SELECT INBOX
        S2: s OK
        C2: a UID STORE 1:5,7:8,10:15 +FLAGS.SILENT (\Deleted)
        S2: a OK
        C2: b EXPUNGE
        S2: b OK
        C2: c UID STORE 6 +FLAGS.SILENT (\Deleted)
        S2: c OK
        C2: d UID STORE 9 FLAGS.SILENT ($NoJunk $AutoJunk $MDNSent)
        S2: d OK
        C: q ENABLE QRESYNC
        S: q OK
        C: A142 SELECT INBOX (QRESYNC ($v 2 1:28))
        S: * 17 EXISTS
        S: * OK [UIDVALIDITY $v]
        S: * OK [UIDNEXT 31]
        S: * OK [HIGHESTMODSEQ 6]
        S>: * VANISHED (EARLIER) 1:5,7:8,10:15
        S>: * 1 FETCH (UID 6 FLAGS (\Deleted) MODSEQ (5))
        S: * 2 FETCH (UID 9 FLAGS ($NoJunk $AutoJunk $MDNSent) MODSEQ (6))
        S: A142 OK [READ-WRITE]
    """)


class Replica:
    """A client's copy, kept exactly as section 6 says."""

    def __init__(self) -> None:
        self.flags: dict[int, frozenset[str]] = {}
        self.known: list[int] = []
        self.mod_seq = 1
        self.new_from = 1

    def edit(self, command: str) -> None:
        """Apply a silent STORE of its own before the answer comes: what it says of flags is final."""
        if match := re.search(r"UID STORE (\d+) .*?([+-]?)FLAGS.SILENT \((.*)\)", command):
            uid, flags = int(match[1]), frozenset(match[3].split())
            if uid in self.flags:
                old = self.flags[uid]
                self.flags[uid] = {"+": old | flags, "-": old - flags, "": flags}[match[2]]

    def take(self, lines: list[str]) -> None:
        """Apply the untagged responses of one command, then its HIGHESTMODSEQ."""
        highest = 0
        said = None
        for line in lines:
            if match := re.match(r"\* VANISHED (\(EARLIER\) )?(\S+)", line):
                for uid in _uids(match[2]):
                    self.flags.pop(uid, None)
                    if not match[1]:
                        # A message that came since has a number, but perhaps no UID yet.
                        self.known.remove(uid if uid in self.known else 0)
            elif match := re.match(
                r"\* (\d+) FETCH \(UID (\d+)(?: FLAGS \((.*?)\))? MODSEQ \((\d+)\)\)", line
            ):
                seq_num, uid = int(match[1]), int(match[2])
                while len(self.known) < seq_num:
                    self.known.append(0)
                assert self.known[seq_num - 1] in (0, uid), "a number that means two messages"
                self.known[seq_num - 1] = uid
                if match[3] is not None:
                    self.flags[uid] = _flags(match[3])
                highest = max(highest, int(match[4]))
            elif match := re.match(r"\* (\d+) EXISTS", line):
                self.known += [0] * (int(match[1]) - len(self.known))
            if match := re.search(r"\[HIGHESTMODSEQ (\d+)\]", line):
                said = int(match[1])
        # MUST use it even if it has seen higher mod-sequences; otherwise the highest of the MODSEQ items.
        self.mod_seq = said if said is not None else max(self.mod_seq, highest)


def _flags(words: str) -> frozenset[str]:
    return frozenset(words.split()) - {"\\Recent"}


def _uids(numbers: str) -> list[int]:
    found: list[int] = []
    for part in numbers.split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


COMMANDS = [
    "NOOP",
    "FETCH 1:* (UID MODSEQ)",
    "SEARCH ALL",
    "STORE 1 +FLAGS ($Mine)",
    "STORE 1 -FLAGS ($Mine)",
    "UID STORE {uid} (UNCHANGEDSINCE {m}) +FLAGS (\\Seen)",
    "UID STORE {uid} (UNCHANGEDSINCE {m}) -FLAGS (\\Seen)",
    "UID STORE {uid} (UNCHANGEDSINCE {m}) +FLAGS.SILENT (\\Flagged)",
    "UID STORE {uid} (UNCHANGEDSINCE {m}) FLAGS.SILENT ($Work)",
    "UID STORE {uid} (UNCHANGEDSINCE 0) +FLAGS.SILENT ($Work)",
    "UID STORE {uid} +FLAGS.SILENT (\\Flagged $Work)",
    "UID STORE {uid} -FLAGS.SILENT (\\Flagged)",
    "UID STORE {uid} FLAGS.SILENT (\\Seen)",
    "UID SEARCH 1:2",
    "UID FETCH {uid} (UID FLAGS MODSEQ)",
    "EXPUNGE",
]
OTHERS = [
    "UID STORE {uid} +FLAGS.SILENT (\\Flagged)",
    "UID STORE {uid} -FLAGS.SILENT (\\Flagged $Work)",
    "UID STORE {uid} FLAGS.SILENT (\\Answered)",
    "UID STORE {uid} +FLAGS.SILENT (\\Deleted)",
    "UID EXPUNGE {uid}",
    "EXPUNGE",
    "COPY 1 INBOX",
]


@pytest.mark.parametrize("seed", [7162, 4551, 5162])
def test_6_a_client_cut_off_anywhere_ends_equal_to_a_full_fetch(server, fill, validity, seed):
    """MUST send untagged events to a client in a way that the client doesn't lose any changes in case of
    connectivity loss (section 3.2): after any command, resynchronising from what was stored gives the truth."""
    fill(12)
    choose = random.Random(seed)
    with Conversation(server) as others:
        others.run("C: s SELECT INBOX\nS: s OK")
        replica = Replica()
        for turn in range(40):
            if len(replica.flags) < 6:
                fill(6)
            with Conversation(server) as talk:
                talk.run("C: q ENABLE QRESYNC\nS: q OK")
                replica.known = []
                talk.run(f"""
                    C: s SELECT INBOX (QRESYNC ({validity} {replica.mod_seq}))
                    S: * OK [UIDNEXT $next{turn}]
                    S: s OK
                """)
                replica.take(talk.came)
                # "Discover new messages": those of which only the number was told in the last session.
                talk.run(f"C: n UID FETCH {replica.new_from}:* (FLAGS MODSEQ)\nS: n OK")
                replica.take(talk.came)
                replica.new_from = int(talk.captures[f"next{turn}"])
                replica.known = sorted(replica.flags)
                assert replica.flags == _truth(server)
                for _ in range(choose.randrange(6)):
                    for _ in range(choose.randrange(3)):
                        _send(others, choose.choice(OTHERS), choose, replica)
                    replica.edit(_send(talk, choose.choice(COMMANDS), choose, replica))
                    replica.take(talk.came)
                if turn % 2:
                    _send(talk, "NOOP", choose, replica)
                    replica.take(talk.came)
                    truth = _truth(server)
                    assert replica.flags == {uid: truth[uid] for uid in replica.flags}
                elif turn % 4:
                    # Cut off while an expunge waits behind a number of its own that is higher.
                    uid = max(replica.flags, default=1)
                    _send(others, f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)", choose, replica)
                    _send(others, f"UID EXPUNGE {uid}", choose, replica)
                    _send(talk, f"STORE 1 {choose.choice('+-')}FLAGS ($Last)", choose, replica)
                    replica.take(talk.came)


def _send(talk: Conversation, command: str, choose: random.Random, replica: Replica) -> str:
    """Send a command about some message and return it filled in; `talk.came` has the answer."""
    peer = talk.peer()
    # Few messages, so that two sessions often change the same one.
    uid = choose.choice(sorted(replica.flags)[-4:] or [1])
    filled = command.format(uid=uid, m=replica.mod_seq)
    peer.send(f"x {filled}\r\n".encode())
    talk.came = []
    while not talk.came or talk.came[-1].startswith("*"):
        talk.came.append(peer.read_response())
    return filled


def _truth(server) -> dict[int, frozenset[str]]:
    with Conversation(server) as talk:
        talk.run("C: a EXAMINE INBOX\nS: a OK\nC: b UID FETCH 1:* (FLAGS)\nS: b OK")
        fetched = (re.match(r"\* \d+ FETCH \(UID (\d+) FLAGS \((.*)\)\)", line) for line in talk.came)
        return {int(match[1]): _flags(match[2]) for match in fetched if match}
