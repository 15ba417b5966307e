"""select: opening a mailbox, and what its session is told about it.

RFC: 3501 section 6.3.1, 6.3.2, 6.4
RFC: 7162 section 3.1.8, 3.2.5
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modseq.core.numset import NumSet
from modseq.limits import RESPONSE_LINE_BYTES
from modseq.wire.abnf import Parser
from modseq.wire.encode import flag_list, split_set
from modseq.wire.grammar import Rule
from modseq.wire.values import Expunge, QResync, Select, SequenceSet


def select(p: Parser) -> Select:
    """
    Read the arguments of SELECT.

    Grammar: select = "SELECT" SP mailbox [select-params]
    RFC: 3501 section 6.3.1
    RFC: 4466 section 2.4
    """
    return _select(p, examine=False)


def examine(p: Parser) -> Select:
    """
    Read the arguments of EXAMINE.

    Grammar: examine = "EXAMINE" SP mailbox [select-params]
    RFC: 3501 section 6.3.2
    RFC: 4466 section 2.4
    """
    return _select(p, examine=True)


def _select(p: Parser, *, examine: bool) -> Select:
    """
    Read mailbox and parameters, each at most once, in any order.

    Grammar: select-params = SP "(" select-param *(SP select-param) ")"
    RFC: 4466 section 2.4
    RFC: 7162 section 3.1.8, 3.2.5
    """
    p.sp()
    mailbox = p.mailbox()
    condstore = False
    qresync: QResync | None = None
    if p.take(b" "):
        p.open()
        while True:
            if not condstore and p.take_word(b"CONDSTORE"):
                condstore = True
            elif qresync is None and p.take_word(b"QRESYNC"):
                p.sp()
                qresync = qresync_param(p)
            else:
                p.fail("CONDSTORE or QRESYNC, each once")
            if not p.take(b" "):
                break
        p.close()
    return Select(mailbox, examine, condstore, qresync)


def qresync_param(p: Parser) -> QResync:
    """
    Read what the client knew when it left.

    Grammar: "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
    RFC: 7162 section 3.2.5, 3.2.5.1, 3.2.5.2, 7
    """
    p.open()
    uid_validity = p.nz_number("a UIDVALIDITY")
    p.sp()
    mod_seq = p.mod_sequence_value()
    known_uids: SequenceSet | None = None
    match: tuple[SequenceSet, SequenceSet] | None = None
    if p.stands(b" ") and not p.stands(b" ("):
        p.sp()
        known_uids = p.sequence_set(star=False, dollar=False)
    if p.take(b" "):
        match = seq_match_data(p)
    p.close()
    return QResync(uid_validity, mod_seq, known_uids, match)


def seq_match_data(p: Parser) -> tuple[SequenceSet, SequenceSet]:
    """
    Read pairs of sequence numbers and UIDs.

    Grammar: seq-match-data = "(" known-sequence-set SP known-uid-set ")"
    RFC: 7162 section 3.2.5.2, 7
    Chosen: sets that descend, repeat a number or differ in size are BAD: the n-th number of the one
    goes with the n-th of the other, so such sets say nothing, and guessing could lose a VANISHED.
    """
    p.open()
    seq_nums = _ascending_set(p)
    p.sp()
    uids = _ascending_set(p)
    if _size(seq_nums) != _size(uids):
        p.fail("as many UIDs as sequence numbers")
    p.close()
    return seq_nums, uids


def _ascending_set(p: Parser) -> SequenceSet:
    numbers = p.sequence_set(star=False, dollar=False)
    previous = 0
    for low, high in numbers.ranges:
        if low <= previous:
            p.fail("a set in ascending order")
        previous = high
    return numbers


def _size(numbers: SequenceSet) -> int:
    return sum([high - low + 1 for low, high in numbers.ranges])


def expunge(_p: Parser) -> Expunge:
    """
    Read EXPUNGE, which has no arguments.

    Grammar: "EXPUNGE"
    RFC: 3501 section 6.4.3
    """
    return Expunge()


def uid_expunge(p: Parser) -> Expunge:
    """
    Read the UIDs of UID EXPUNGE.

    Grammar: uid-expunge = "UID" SP "EXPUNGE" SP sequence-set
    RFC: 4315 section 2.1, 4
    """
    p.sp()
    return Expunge(p.sequence_set())


def exists(count: int) -> bytes:
    """
    Encode the number of messages.

    Grammar: mailbox-data = number SP "EXISTS"
    RFC: 3501 section 7.3.1
    """
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    r"""
    Encode the number of messages with \Recent.

    Grammar: mailbox-data = number SP "RECENT"
    RFC: 3501 section 7.3.2
    """
    return b"* %d RECENT\r\n" % count


def flags_data(flags: Iterable[str]) -> bytes:
    """
    Encode the flags that the mailbox has.

    Grammar: mailbox-data = "FLAGS" SP flag-list
    RFC: 3501 section 7.2.6
    """
    return b"* FLAGS %b\r\n" % flag_list(flags)


def expunge_data(seq_num: int) -> bytes:
    """
    Encode one message's disappearance.

    Grammar: message-data = nz-number SP "EXPUNGE"
    RFC: 3501 section 7.4.1
    """
    return b"* %d EXPUNGE\r\n" % seq_num


def vanished(uids: NumSet, *, earlier: bool = False) -> Iterator[bytes]:
    """
    Encode the disappearance of messages: no line for none, several where one would be too long.

    Grammar: expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids
    RFC: 7162 section 3.2.10, 4, 7
    """
    head = b"* VANISHED (EARLIER) " if earlier else b"* VANISHED "
    for piece in split_set(uids, RESPONSE_LINE_BYTES - len(head) - 2):
        yield head + piece + b"\r\n"


def permanent_flags_code(flags: Iterable[str], *, may_create: bool) -> bytes:
    r"""
    Encode the response code PERMANENTFLAGS; `\*` says that clients may make keywords.

    Grammar: "PERMANENTFLAGS" SP "(" [flag-perm *(SP flag-perm)] ")"
    RFC: 3501 section 7.1
    """
    names = [*flags, "\\*"] if may_create else flags
    return b"PERMANENTFLAGS " + flag_list(names)


def uid_validity_code(uid_validity: int) -> bytes:
    """
    Encode the response code UIDVALIDITY.

    RFC: 3501 section 7.1
    """
    return b"UIDVALIDITY %d" % uid_validity


def uid_next_code(uid_next: int) -> bytes:
    """
    Encode the response code UIDNEXT.

    RFC: 3501 section 7.1
    """
    return b"UIDNEXT %d" % uid_next


def unseen_code(seq_num: int) -> bytes:
    r"""
    Encode the response code UNSEEN: the first message without \Seen.

    RFC: 3501 section 7.1
    """
    return b"UNSEEN %d" % seq_num


def highest_mod_seq_code(mod_seq: int) -> bytes:
    """
    Encode the response code HIGHESTMODSEQ.

    Grammar: resp-text-code = "HIGHESTMODSEQ" SP mod-sequence-value
    RFC: 7162 section 3.1.2.1
    """
    return b"HIGHESTMODSEQ %d" % mod_seq


def mailbox_id_code(object_id: str) -> bytes:
    """
    Encode the response code MAILBOXID.

    Grammar: resp-text-code = "MAILBOXID" SP "(" objectid ")"
    RFC: 8474 section 4.1, 4.2
    """
    return b"MAILBOXID (%b)" % object_id.encode("ascii")


RULES: dict[bytes, Rule] = {
    b"CHECK": None,
    b"CLOSE": None,
    b"EXAMINE": examine,
    b"EXPUNGE": expunge,
    b"SELECT": select,
    b"UID EXPUNGE": uid_expunge,
    b"UNSELECT": None,
}
