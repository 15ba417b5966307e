"""select: opening and leaving a mailbox, what came to it, what left it.

RFC: 3501 section 6.3.1, 7.3
RFC: 7162 section 3.1.2, 3.2.5, 3.2.10
"""

from __future__ import annotations

from modseq.core.numset import NumSet
from modseq.wire.abnf import NUMBER_MAX
from modseq.wire.command_writer import CommandWriter
from modseq.wire.grammar.client import CodeRule, DataRule, Writer
from modseq.wire.response_parser import ResponseParser
from modseq.wire.response_values import FlagsDefined, Vanished
from modseq.wire.values import Expunge, QResync, Select


def write_select(w: CommandWriter, args: Select) -> None:
    """
    Write the arguments of SELECT and EXAMINE.

    Grammar: select = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]
    RFC: 3501 section 6.3.1
    RFC: 4466 section 2.1
    RFC: 7162 section 3.1.8, 3.2.5
    """
    w.sp().mailbox(args.mailbox)
    if not args.condstore and args.qresync is None:
        return
    w.raw(b" (")
    if args.condstore:
        w.raw(b"CONDSTORE")
    if args.qresync is not None:
        if args.condstore:
            w.sp()
        write_qresync(w, args.qresync)
    w.raw(b")")


def write_qresync(w: CommandWriter, qresync: QResync) -> None:
    """
    Write the select parameter QRESYNC.

    Grammar: "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
    RFC: 7162 section 3.2.5, 7
    """
    w.raw(b"QRESYNC (%d %d" % (qresync.uid_validity, qresync.mod_seq))
    if qresync.known_uids is not None:
        w.sp().sequence_set(qresync.known_uids)
    if qresync.match is not None:
        seq_nums, uids = qresync.match
        w.raw(b" (").sequence_set(seq_nums).sp().sequence_set(uids).raw(b")")
    w.raw(b")")


def write_expunge(w: CommandWriter, args: Expunge) -> None:
    """
    Write the arguments of EXPUNGE (none) and UID EXPUNGE.

    RFC: 4315 section 2.1, 4
    """
    if args.uids is not None:
        w.sp().sequence_set(args.uids)


def flags_data(p: ResponseParser) -> FlagsDefined:
    """
    Read the flags of the mailbox.

    Grammar: mailbox-data = "FLAGS" SP flag-list
    RFC: 3501 section 7.2.6
    """
    p.sp()
    return FlagsDefined(p.flags_of_list())


def expunged_resp(p: ResponseParser) -> Vanished:
    """
    Read VANISHED; one without UIDs, as some servers send it, means nothing.

    Grammar: expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids
    RFC: 7162 section 3.2.10, 7
    """
    p.spaces()
    is_earlier = p.text[p.at : p.at + 9].upper() == b"(EARLIER)"
    if is_earlier:
        p.at += 9
    p.spaces()
    if p.is_at_end():
        return Vanished(NumSet.EMPTY, is_earlier)
    return Vanished(p.numbers("UIDs"), is_earlier)


def nz_number_code(p: ResponseParser) -> int:
    """
    Read a code with a number.

    Grammar: "UIDNEXT" SP nz-number / "UIDVALIDITY" SP nz-number / "UNSEEN" SP nz-number
    RFC: 3501 section 7.1
    """
    p.sp()
    return p.number("a number", most=NUMBER_MAX)


def mod_seq_code(p: ResponseParser) -> int:
    """
    Read the code HIGHESTMODSEQ.

    Grammar: "HIGHESTMODSEQ" SP mod-sequence-value
    RFC: 7162 section 3.1.2.1, 7
    """
    p.sp()
    return p.mod_sequence()


def permanent_flags_code(p: ResponseParser) -> tuple[str, ...]:
    r"""
    Read the code PERMANENTFLAGS; `\*` is among them where keywords may be made.

    Grammar: "PERMANENTFLAGS" SP "(" [flag-perm *(SP flag-perm)] ")"
    RFC: 3501 section 7.1, 9
    """
    p.sp()
    return tuple(sorted(p.flags_of_list()))


def mailbox_id_code(p: ResponseParser) -> str:
    """
    Read the code MAILBOXID.

    Grammar: "MAILBOXID" SP "(" objectid ")"
    RFC: 8474 section 4.1, 4.2
    """
    p.sp()
    p.open()
    object_id = p.atom("an object id")
    p.close()
    return object_id.decode("ascii", "replace")


WRITERS: dict[type, Writer] = {Select: write_select, Expunge: write_expunge}
DATA: dict[bytes, DataRule] = {b"FLAGS": flags_data, b"VANISHED": expunged_resp}
CODES: dict[bytes, CodeRule] = {
    b"HIGHESTMODSEQ": mod_seq_code,
    b"MAILBOXID": mailbox_id_code,
    b"PERMANENTFLAGS": permanent_flags_code,
    b"UIDNEXT": nz_number_code,
    b"UIDVALIDITY": nz_number_code,
    b"UNSEEN": nz_number_code,
}
