"""Somebody on the way drops, shortens or inflates what the server says: the copy is right, or says that it is not."""

import asyncio
import re

import pytest

from mirror_net import Other, Proxy, account, both, dropped, mirrored, replaced, sync
from mirror_support import mail
from modseq.client.errors import ClientError
from server.serving import serving


def numbers(pattern: bytes, change):
    """Change a number: `pattern` has it in its second group, between the first and the third."""
    compiled = re.compile(pattern)
    return lambda line: [compiled.sub(lambda m: m[1] + b"%d" % change(int(m[2])) + m[3], line)]


def every(n: int, tamper):
    """Tamper only with each n-th line that it would change."""
    seen = [0]

    def change(line: bytes) -> list[bytes]:
        lines = tamper(line)
        if lines == [line]:
            return lines
        seen[0] += 1
        return lines if seen[0] % n == 0 else [line]

    return change


def shorter(number: int) -> int:
    return number // 10 or number


OK_NUMBER = rb"(\* OK \[HIGHESTMODSEQ )(\d+)(\].*)"
ANY_NUMBER = rb"(.*HIGHESTMODSEQ )(\d+)(.*)"
FETCHED = rb"^\* \d+ FETCH "

TAMPERS = {
    "VANISHED dropped": dropped(rb"^\* VANISHED"),
    "VANISHED without its last": replaced(rb"^(\* VANISHED .*\d)[,:]\d+$", rb"\1"),
    "VANISHED without its first": replaced(rb"^(\* VANISHED (?:\(EARLIER\) )?)\d+[,:]", rb"\1"),
    "VANISHED with a digit less": numbers(rb"^(\* VANISHED .*?)(\d+)($)", shorter),
    "VANISHED with more": replaced(rb"^(\* VANISHED .*)$", rb"\1,1:2"),
    "VANISHED with another": numbers(rb"^(\* VANISHED .*?)(\d+)($)", lambda uid: uid - 1 or 2),
    "VANISHED made up": lambda line: [line, b"* VANISHED (EARLIER) 3"] if b"[UIDNEXT" in line else [line],
    "VANISHED of everything": replaced(rb"^(\* VANISHED (?:\(EARLIER\) )?).*", rb"\g<1>1:4294967295"),
    "FETCH dropped": dropped(FETCHED),
    "FETCH dropped, each second": every(2, dropped(FETCHED + rb".*FLAGS")),
    "FETCH dropped, each third": every(3, dropped(FETCHED + rb".*FLAGS")),
    "FETCH with a flag less": replaced(rb"(FETCH .*FLAGS \([^)]*?) ?[$\\]\w+\)", rb"\1)"),
    "FETCH with a flag more": replaced(rb"(FETCH .*FLAGS \()([^)]*\))", rb"\1\\Answered \2"),
    "FETCH without flags": replaced(rb" FLAGS \([^)]*\)", b""),
    "FETCH of another message": numbers(rb"(\* \d+ FETCH .*UID )(\d+)(.*)", lambda uid: uid + 1),
    "FETCH of its neighbour": numbers(rb"(\* \d+ FETCH .*UID )(\d+)(.*)", lambda uid: uid ^ 1 or 1),
    "FETCH of a message far away": numbers(rb"(\* \d+ FETCH .*UID )(\d+)(.*)", lambda uid: uid + 1_000),
    "FETCH without UID": replaced(rb"(FETCH .*)UID \d+ ?", rb"\1"),
    "FETCH with half its MODSEQ": numbers(rb"(\* \d+ FETCH .*MODSEQ \()(\d+)(\).*)", shorter),
    "FETCH with more MODSEQ": numbers(
        rb"(\* \d+ FETCH .*MODSEQ \()(\d+)(\).*)", lambda mod_seq: mod_seq + 500
    ),
    "FETCH cut off": replaced(rb"(\* \d+ FETCH .*FLAGS \().*", rb"\1"),
    "FETCH twice with other flags": lambda line: (
        [line, re.sub(rb"FLAGS \([^)]*\)", rb"FLAGS (\\Draft)", line)]
        if re.match(FETCHED, line) and not line.endswith(b"}")
        else [line]
    ),
    "HIGHESTMODSEQ dropped": dropped(rb"^\* OK \[HIGHESTMODSEQ"),
    "HIGHESTMODSEQ with a digit less": numbers(OK_NUMBER, shorter),
    "HIGHESTMODSEQ inflated": numbers(OK_NUMBER, lambda mod_seq: mod_seq + 1_000),
    "HIGHESTMODSEQ a little higher": numbers(OK_NUMBER, lambda mod_seq: mod_seq + 2),
    "HIGHESTMODSEQ dropped everywhere": both(
        dropped(rb"^\* OK \[HIGHESTMODSEQ"), replaced(rb" HIGHESTMODSEQ \d+", b"")
    ),
    "HIGHESTMODSEQ shorter everywhere": numbers(ANY_NUMBER, shorter),
    "HIGHESTMODSEQ inflated everywhere": numbers(ANY_NUMBER, lambda mod_seq: mod_seq + 1_000),
    "HIGHESTMODSEQ a little higher everywhere": numbers(ANY_NUMBER, lambda mod_seq: mod_seq + 3),
    "HIGHESTMODSEQ the same for ever": numbers(ANY_NUMBER, lambda _: 4_000),
    "CLOSED dropped": dropped(rb"^\* OK \[CLOSED"),
    "CLOSED too late": lambda line: (
        [] if b"[CLOSED]" in line else [line, b"* OK [CLOSED] x"] if b"[UIDNEXT" in line else [line]
    ),
}


MAILBOXES = ("INBOX", "Archive", "Work")


class Bed:
    """A server, a proxy that tampers, and a copy."""

    def __init__(self, server, proxy, other, replica) -> None:
        self.server, self.proxy, self.other, self.replica = server, proxy, other, replica
        self.said_so = 0

    def run(self) -> bool:
        """Synchronise; returns whether the copy claims to be right. A claim must be true."""
        try:
            report = asyncio.run(sync(self.replica, self.proxy.address))
        except ClientError:
            self.said_so += 1
            return False
        assert self.replica.check() == []
        if report.doubts:
            self.said_so += 1
            return False
        assert mirrored(self.replica) == account(self.server.address)
        # A number above the true one would let an edit overwrite what it never saw; one below costs a refusal.
        for mailbox in MAILBOXES:
            true = self.mod_seqs(mailbox)
            for each in self.replica.messages(self.replica.mailbox(mailbox).mailbox_id):
                assert each.mod_seq <= true[each.uid]
        return True

    def mod_seqs(self, mailbox: str) -> dict[int, int]:
        lines = self.other.uid(mailbox, "FETCH", "1:*", "(UID MODSEQ)")
        return {
            int(uid): int(mod_seq)
            for uid, mod_seq in re.findall(rb"UID (\d+) MODSEQ \((\d+)", b" ".join(lines))
        }

    def change(self, step: int) -> None:
        """Let somebody else change the mailboxes, each time another way."""
        other = self.other
        # The checks of these travel together with the opening of the one behind.
        for place, mailbox in enumerate(MAILBOXES[1:]):
            other.store(mailbox, "4,7", f"{'-+'[step % 2]}FLAGS (\\Flagged $s{step})")
            if (step + place) % 2:
                other.expunge(mailbox, f"{other.uids(mailbox)[-2]}")
        if step % 3 == 0:
            other.store("INBOX", "2,11", "+FLAGS (\\Flagged)")
            other.store("INBOX", "12", "+FLAGS ($work)")
        elif step % 3 == 1:
            first = other.uids("INBOX")
            other.expunge("INBOX", f"{first[-2]},{first[-4]}")
            other.append("INBOX", mail(f"new {step}"), "\\Seen")
        else:
            other.store("INBOX", "1:12", "-FLAGS (\\Seen)")
            other.expunge("INBOX", f"{other.uids('INBOX')[-3]}")


@pytest.fixture
def bed(replica):
    with serving() as server, Proxy(server.address) as proxy, Other(server.address) as other:
        for n in range(1, 21):
            # Neighbours have the same flags and different sizes.
            other.append("INBOX", mail(f"letter {n}", "x" * n), "\\Seen" if n // 4 % 2 else "$old")
        for mailbox in MAILBOXES[1:]:
            other.do("create", mailbox)
            for n in range(1, 15):
                other.append(mailbox, mail(f"{mailbox} {n}", "y" * n), "\\Seen" if n // 4 % 2 else "$old")
        yield Bed(server, proxy, other, replica)


@pytest.mark.parametrize("kind", TAMPERS)
def test_tampering_that_begins_later(bed, kind):
    assert bed.run()
    for step in range(4):
        bed.change(step)
        bed.proxy.tamper = TAMPERS[kind]
        bed.run()
    bed.proxy.tamper = None
    assert bed.run() or bed.run()


@pytest.mark.parametrize("kind", TAMPERS)
def test_tampering_from_the_first_copy_on(bed, kind):
    bed.proxy.tamper = TAMPERS[kind]
    bed.run()
    for step in range(1, 4):
        bed.change(step)
        bed.run()
    assert bed.proxy.tampered or bed.said_so
    bed.proxy.tamper = None
    assert bed.run() or bed.run()


def test_a_message_whose_number_falls_is_told(bed):
    """A server that was set back and went on: what changed in between cannot be learned from numbers."""
    assert bed.run()
    bed.change(2)
    bed.proxy.tamper = TAMPERS["FETCH with half its MODSEQ"]
    report = asyncio.run(sync(bed.replica, bed.proxy.address))
    assert re.search(r"had mod-sequence \d+ and is told with \d+", report.doubts["INBOX"])
