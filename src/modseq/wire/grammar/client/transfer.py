"""transfer: messages that arrive in a mailbox from the client or from another mailbox.

RFC: 3501 section 6.3.11, 6.4.7
RFC: 6851 section 3
"""

from __future__ import annotations

from modseq.wire.command_writer import CommandWriter
from modseq.wire.grammar.client import CodeRule, DataRule, Writer
from modseq.wire.response_parser import ResponseParser
from modseq.wire.response_values import AppendedUids, UidPairs
from modseq.wire.values import Append, Copy, Move


def write_append(w: CommandWriter, args: Append) -> None:
    """
    Write the arguments of APPEND.

    Grammar: append = "APPEND" SP mailbox 1*append-message
    RFC: 3501 section 6.3.11
    RFC: 3502 section 6.3.11
    """
    w.sp().mailbox(args.mailbox)
    for message in args.messages:
        if message.flags:
            w.sp().flag_list(message.flags)
        if message.date_time is not None:
            w.sp().date_time(message.date_time)
        w.sp().literal(message.data)


def write_set_and_mailbox(w: CommandWriter, args: Copy | Move) -> None:
    """
    Write the arguments of COPY and MOVE.

    Grammar: copy = "COPY" SP sequence-set SP mailbox
    RFC: 3501 section 6.4.7, 9
    RFC: 6851 section 3.1, 5
    """
    w.sp().sequence_set(args.sequence_set).sp().mailbox(args.mailbox)


def append_uid_code(p: ResponseParser) -> AppendedUids:
    """
    Read the code APPENDUID.

    Grammar: resp-code-apnd = "APPENDUID" SP nz-number SP append-uid
    RFC: 4315 section 3, 4
    """
    p.sp()
    uid_validity = p.nz_number("a UIDVALIDITY")
    p.sp()
    return AppendedUids(uid_validity, p.numbers("a UID"))


def copy_uid_code(p: ResponseParser) -> UidPairs:
    """
    Read the code COPYUID. Sets of different size are refused: the pairs could not be told.

    Grammar: resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set
    RFC: 4315 section 3, 4
    """
    p.sp()
    uid_validity = p.nz_number("a UIDVALIDITY")
    p.sp()
    sources = p.number_ranges("UIDs")
    p.sp()
    targets = p.number_ranges("UIDs")
    if sum(high - low for low, high in sources) + len(sources) != sum(
        high - low for low, high in targets
    ) + len(targets):
        p.fail("as many targets as sources")
    return UidPairs(uid_validity, sources, targets)


WRITERS: dict[type, Writer] = {Append: write_append, Copy: write_set_and_mailbox, Move: write_set_and_mailbox}
DATA: dict[bytes, DataRule] = {}
CODES: dict[bytes, CodeRule] = {b"APPENDUID": append_uid_code, b"COPYUID": copy_uid_code}
