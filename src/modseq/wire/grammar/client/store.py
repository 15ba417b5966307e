"""store: changing flags, on a condition or not.

RFC: 3501 section 6.4.6
RFC: 7162 section 3.1.3
"""

from __future__ import annotations

from modseq.core.numset import NumSet
from modseq.wire.command_writer import CommandWriter
from modseq.wire.grammar.client import CodeRule, DataRule, Writer
from modseq.wire.response_parser import ResponseParser
from modseq.wire.values import Store


def write_store(w: CommandWriter, args: Store) -> None:
    """
    Write the arguments of STORE and UID STORE, the condition before the flags, where it counts.

    Grammar: store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags
    RFC: 3501 section 6.4.6, 9
    RFC: 7162 section 3.1.3, 7
    """
    w.sp().sequence_set(args.sequence_set)
    if args.unchanged_since is not None:
        w.raw(b" (UNCHANGEDSINCE %d%b)" % (args.unchanged_since, b" XALLORNONE" if args.all_or_none else b""))
    sign = b"" if args.mode == "=" else args.mode.encode("ascii")
    w.raw(b" %bFLAGS%b " % (sign, b".SILENT" if args.silent else b"")).flag_list(args.flags)


def modified_code(p: ResponseParser) -> NumSet:
    """
    Read the code MODIFIED: sequence numbers after STORE, UIDs after UID STORE.

    Grammar: "MODIFIED" SP sequence-set
    RFC: 7162 section 3.1.3, 7
    """
    p.sp()
    return p.numbers()


WRITERS: dict[type, Writer] = {Store: write_store}
DATA: dict[bytes, DataRule] = {}
CODES: dict[bytes, CodeRule] = {b"MODIFIED": modified_code}
