"""`modseq mirror flag`, `move`, `delete`, `append` and what shows and decides them: edits without a connection."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import click

from modseq.cli.mirror.support import file_argument, mirror_at, named_uids
from modseq.cli.output import fail, say, table
from modseq.limits import APPEND_LITERAL_BYTES_MAX
from modseq.mailfiles.message import to_mailbox
from modseq.mirror.outbox import Edit, Outbox
from modseq.mirror.replica import Replica


@click.command("flag")
@file_argument
@click.argument("mailbox")
@click.argument("uids")
@click.option("--add", multiple=True, metavar="FLAG", help=r"Set a flag (\Seen) or keyword ($work).")
@click.option("--remove", multiple=True, metavar="FLAG", help="Remove one.")
def flag_command(file: Path, mailbox: str, uids: str, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Set and remove flags of the messages UIDS (`7`, `3,5:9`) of MAILBOX; pushed later."""
    if not add and not remove:
        raise click.UsageError("Nothing to do: use --add or --remove.")
    with mirror_at(file) as replica, replica.transaction():
        row = replica.mailbox(mailbox)
        found = named_uids(replica, row, uids)
        made = [Outbox(replica).change_flags(row, uid, add, remove) for uid in found]
    _said(len(found), sum(edit is not None for edit in made))


def _said(named: int, waiting: int) -> None:
    say(
        f"{named} {'message' if named == 1 else 'messages'}; {waiting} {'edit waits' if waiting == 1 else 'edits wait'}."
    )


@click.command("move")
@file_argument
@click.argument("mailbox")
@click.argument("uids")
@click.argument("target")
def move_command(file: Path, mailbox: str, uids: str, target: str) -> None:
    """Move the messages UIDS of MAILBOX to the mailbox TARGET; pushed later."""
    with mirror_at(file) as replica, replica.transaction():
        row = replica.mailbox(mailbox)
        found = named_uids(replica, row, uids)
        made = [Outbox(replica).move(row, uid, target) for uid in found]
    _said(len(found), sum(edit is not None for edit in made))


@click.command("delete")
@file_argument
@click.argument("mailbox")
@click.argument("uids")
def delete_command(file: Path, mailbox: str, uids: str) -> None:
    """Delete the messages UIDS of MAILBOX; pushed later."""
    with mirror_at(file) as replica, replica.transaction():
        row = replica.mailbox(mailbox)
        found = named_uids(replica, row, uids)
        for uid in found:
            Outbox(replica).delete(row, uid)
    _said(len(found), len(found))


@click.command("append")
@file_argument
@click.argument("mailbox")
@click.argument("message", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--flag", "flags", multiple=True, metavar="FLAG", help=r"With this flag (\Draft) or keyword.")
def append_command(file: Path, mailbox: str, message: Path, flags: tuple[str, ...]) -> None:
    """Add the message in the file MESSAGE (`-`: standard input) to MAILBOX; pushed later."""
    if str(message) == "-":
        octets = sys.stdin.buffer.read(APPEND_LITERAL_BYTES_MAX + 1)
    else:
        with message.open("rb") as stream:
            octets = stream.read(APPEND_LITERAL_BYTES_MAX + 1)
    with mirror_at(file) as replica:
        Outbox(replica).append(mailbox, to_mailbox(octets), flags)
    _said(1, 1)


@click.command("outbox")
@file_argument
def outbox_command(file: Path) -> None:
    """List the edits that wait for a push, and conflicts."""
    with mirror_at(file) as replica:
        edits = Outbox(replica).edits()
        if not edits:
            say("Nothing waits.")
            return
        rows = [("EDIT", "STATE", "MADE", "MESSAGE", "WHAT"), *(_row(replica, edit) for edit in edits)]
        table(rows, numbers_from=99)


def _row(replica: Replica, edit: Edit) -> tuple[object, ...]:
    made = dt.datetime.fromtimestamp(edit.made_at, dt.UTC)
    return edit.edit_id, edit.state, f"{made:%Y-%m-%d %H:%M}", _message(replica, edit), edit.describe()


def _message(replica: Replica, edit: Edit) -> str:
    if edit.kind == "append":
        return "new"
    row = None if edit.mailbox_id is None else replica.mailbox_by_id(edit.mailbox_id)
    return f"{row.name if row else edit.sides.get('mailbox', 'gone')} {edit.uid}"


@click.command("undo")
@file_argument
@click.argument("edit", type=click.IntRange(min=1))
def undo_command(file: Path, edit: int) -> None:
    """Forget the edit numbered EDIT before it is pushed; `modseq mirror outbox` shows the numbers."""
    with mirror_at(file) as replica:
        dropped = Outbox(replica).drop(edit)
    say(f"Forgot edit {edit}: {dropped.describe()}.")


@click.command("conflicts")
@file_argument
def conflicts_command(file: Path) -> None:
    """List edits that met a change by somebody else, with both sides. Exit status 1 when there are any."""
    with mirror_at(file) as replica:
        found = Outbox(replica).conflicts()
        for edit in found:
            say_conflict(replica, edit)
    if found:
        fail(f"{len(found)} to be decided by modseq mirror resolve")
    say("No conflicts.")


def say_conflict(replica: Replica, edit: Edit) -> None:
    """Print both sides of a conflict."""
    sides = edit.sides
    subject = f" ({sides['subject']})" if sides.get("subject") else ""
    say(f"edit {edit.edit_id}: {_message(replica, edit)}{subject}: {sides['reason']}")
    say(f"    mine    {sides['mine']}")
    say(f"    theirs  {sides['theirs']}")


@click.command("resolve")
@file_argument
@click.argument("edit", type=click.IntRange(min=1))
@click.option("--mine", "side", flag_value="mine", help="Make the edit anew on what the server has now.")
@click.option("--theirs", "side", flag_value="theirs", help="Forget the edit.")
def resolve_command(file: Path, edit: int, side: str | None) -> None:
    """Decide the conflict numbered EDIT; `modseq mirror conflicts` shows the numbers."""
    if side is None:
        raise click.UsageError("Say --mine or --theirs.")
    with mirror_at(file) as replica:
        outbox = Outbox(replica)
        if outbox.edit(edit).state != "conflict":
            fail(f"edit {edit} is no conflict")
        if side == "theirs":
            outbox.drop(edit)
            say(f"Forgot edit {edit}.")
            return
        again = outbox.insist(edit)
        say(f"Edit {again.edit_id} waits for the next push." if again else "The server has it so already.")
