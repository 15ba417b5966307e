"""transfer: messages that arrive in a mailbox from the client or from another mailbox.

RFC: 3501 section 6.3.11, 6.4.7
RFC: 6851 section 3
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from modseq.core import operations
from modseq.core.account import MailboxMeta
from modseq.core.errors import MailboxNotFound
from modseq.core.mailbox_operations import checked_name
from modseq.core.numset import NumSet
from modseq.limits import APPEND_LITERAL_BYTES_MAX, SETS_IN_LOOP_MAX
from modseq.server.delivery import intake
from modseq.server.named import named_uids
from modseq.server.registry import AFTER_LOGIN, WHILE_SELECTED, advertise, command
from modseq.server.reply import CommandRefused, Reply, no, ok
from modseq.storage.base import Account
from modseq.wire.grammar.select import highest_mod_seq_code
from modseq.wire.grammar.transfer import append_uid_code, copy_uid_code
from modseq.wire.messages import status_response
from modseq.wire.values import Append, Command, Copy, Move

if TYPE_CHECKING:
    from modseq.server.session import Session

advertise("UIDPLUS", rfc="4315 section 1")


@command(
    "APPEND",
    family="transfer",
    states=AFTER_LOGIN,
    capability="MULTIAPPEND",
    literal_bytes_max=APPEND_LITERAL_BYTES_MAX,
    rfc=("3501 section 6.3.11", "3502 section 6.3.11", "4315 section 3"),
)
async def append(session: Session, command: Command) -> Reply:
    """
    Store messages, all or none.

    RFC: 3501 section 6.3.11
    RFC: 3502 section 6.3.11
    RFC: 4315 section 3
    """
    args, account = command.args, session.account
    assert isinstance(args, Append)
    assert account is not None
    target = _target(account, args.mailbox)
    if not all(message.data for message in args.messages):
        return no("A message without octets cancels the command")
    messages = []
    for message in args.messages:
        received_at, zone = message.date_time or (None, None)
        messages.append(await intake(message.data, message.flags, received_at, zone))
    try:
        outcome = await account.commit(operations.Append(target.mailbox_id, tuple(messages)))
    except MailboxNotFound:
        raise _try_create() from None
    return ok("Stored", append_uid_code(outcome.uid_validity, NumSet(outcome.uids)))


@command("UID COPY", family="transfer", states=WHILE_SELECTED, rfc=("3501 section 6.4.8", "4315 section 3"))
@command(
    "COPY",
    family="transfer",
    states=WHILE_SELECTED,
    uses_sequence_numbers=True,
    rfc=("3501 section 6.4.7", "4315 section 3"),
)
async def copy(session: Session, command: Command) -> Reply:
    """
    Copy messages to the end of another mailbox, all or none.

    RFC: 3501 section 6.4.7, 6.4.8
    RFC: 4315 section 3
    """
    assert isinstance(command.args, Copy)
    outcome = await _transfer(session, command, command.args, move=False)
    if not outcome.source_uids:
        return ok("No such message")
    return ok("Copied", await _copy_uid(outcome))


@command(
    "UID MOVE",
    family="transfer",
    states=WHILE_SELECTED,
    rfc=("6851 section 3.2", "7162 section 3.2"),
)
@command(
    "MOVE",
    family="transfer",
    states=WHILE_SELECTED,
    capability="MOVE",
    uses_sequence_numbers=True,
    rfc=("6851 section 3.1", "7162 section 3.2"),
)
async def move(session: Session, command: Command) -> Reply:
    """
    Move messages to the end of another mailbox, all or none.

    Where they went is said before the client is told that they are gone; the reply has the mod-sequence
    of that.

    RFC: 6851 section 3.1, 3.2, 4.3
    RFC: 7162 section 3.2
    """
    assert isinstance(command.args, Move)
    assert session.view is not None
    if session.view.read_only:
        return no("The mailbox was opened read-only", b"READ-ONLY")
    outcome = await _transfer(session, command, command.args, move=True)
    if not outcome.source_uids:
        return ok("No such message")
    session.out.write(status_response(None, "OK", "Moved", await _copy_uid(outcome)))
    await session.flush(may_vanish=True)
    return ok("Moved", highest_mod_seq_code(session.view.safe) if session.qresync else b"")


async def _transfer(
    session: Session, command: Command, args: Copy | Move, *, move: bool
) -> operations.TransferOutcome:
    """
    Copy or move the messages that a command names.

    RFC: 3501 section 6.4.7
    RFC: 5530 section 3
    Chosen: by number, an expunged message refuses all: the client means a message that it still counts,
    and an OK would tell it that the copy is there. A UID that does not exist is ignored.
    """
    view, account = session.view, session.account
    assert view is not None
    assert account is not None
    uids = named_uids(session, args.sequence_set, by_uid=command.uid)
    target = _target(account, args.mailbox)
    operation = operations.Transfer(
        view.mailbox_id, uids, target.mailbox_id, move=move, missing_refuses=not command.uid
    )
    try:
        outcome = await account.commit(operation)
    except MailboxNotFound:
        if account.listing().by_id(view.mailbox_id) is None:
            raise
        raise _try_create() from None
    if outcome.missing and not command.uid:
        raise CommandRefused("Some of the messages no longer exist", b"EXPUNGEISSUED")
    return outcome


def _target(account: Account, name: str) -> MailboxMeta:
    """
    Return the mailbox that messages go to.

    RFC: 3501 section 6.3.11, 6.4.7
    Raises CommandRefused with TRYCREATE when it does not exist.
    """
    target = account.listing().mailboxes.get(checked_name(name))
    if target is None:
        raise _try_create()
    return target


def _try_create() -> CommandRefused:
    return CommandRefused("There is no such mailbox; create it first", b"TRYCREATE")


async def _copy_uid(outcome: operations.TransferOutcome) -> bytes:
    def spell() -> bytes:
        sources, targets = NumSet(outcome.source_uids), NumSet(outcome.target_uids)
        return copy_uid_code(outcome.uid_validity, sources, targets)

    if len(outcome.source_uids) > SETS_IN_LOOP_MAX:
        return await asyncio.to_thread(spell)
    return spell()
