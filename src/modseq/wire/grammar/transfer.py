"""transfer: messages that arrive in a mailbox from the client or from another mailbox.

RFC: 3501 section 6.3.11, 6.4.7
RFC: 6851 section 3
"""

from __future__ import annotations

from modseq.core.numset import NumSet
from modseq.wire.abnf import Parser
from modseq.wire.grammar import Rule
from modseq.wire.values import Append, AppendMessage, Copy, Move, SequenceSet


def append(p: Parser) -> Append:
    """
    Read a mailbox and one message or, with MULTIAPPEND, several.

    Grammar: append = "APPEND" SP mailbox 1*append-message
    RFC: 3502 section 6.3.11
    """
    p.sp()
    mailbox = p.mailbox()
    messages = [append_message(p)]
    while p.stands(b" "):
        messages.append(append_message(p))
    return Append(mailbox, tuple(messages))


def append_message(p: Parser) -> AppendMessage:
    """
    Read one message with its flags and date.

    Grammar: append-message = [SP flag-list] [SP date-time] SP literal
    RFC: 3502 section 6.3.11
    RFC: 3501 section 6.3.11, 9
    """
    p.sp()
    flags: tuple[str, ...] = ()
    if p.stands(b"("):
        flags = p.flag_list()
        p.sp()
    date_time: tuple[int, int] | None = None
    if p.stands(b'"'):
        date_time = p.date_time()
        p.sp()
    return AppendMessage(flags, date_time, p.literal("a message as a literal"))


def copy(p: Parser) -> Copy:
    """
    Read the arguments of COPY and UID COPY.

    Grammar: copy = "COPY" SP sequence-set SP mailbox
    RFC: 3501 section 6.4.7, 9
    """
    return Copy(*_set_and_mailbox(p))


def move(p: Parser) -> Move:
    """
    Read the arguments of MOVE and UID MOVE.

    Grammar: move = "MOVE" SP sequence-set SP mailbox
    RFC: 6851 section 3.1, 3.2, 5
    """
    return Move(*_set_and_mailbox(p))


def _set_and_mailbox(p: Parser) -> tuple[SequenceSet, str]:
    p.sp()
    messages = p.sequence_set()
    p.sp()
    return messages, p.mailbox()


def append_uid_code(uid_validity: int, uids: NumSet) -> bytes:
    """
    Encode the response code APPENDUID.

    Grammar: resp-code-apnd = "APPENDUID" SP nz-number SP append-uid
    RFC: 4315 section 3, 4
    """
    return b"APPENDUID %d %b" % (uid_validity, uids.to_bytes())


def copy_uid_code(uid_validity: int, sources: NumSet, targets: NumSet) -> bytes:
    """
    Encode the response code COPYUID; the n-th source became the n-th target, both ascending.

    Grammar: resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set
    RFC: 4315 section 3, 4
    """
    return b"COPYUID %d %b %b" % (uid_validity, sources.to_bytes(), targets.to_bytes())


RULES: dict[bytes, Rule] = {
    b"APPEND": append,
    b"COPY": copy,
    b"MOVE": move,
    b"UID COPY": copy,
    b"UID MOVE": move,
}
