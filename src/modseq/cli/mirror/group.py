"""The command `modseq mirror` and its sub-commands; what is no sub-command is the address of a server."""

from __future__ import annotations

import click

from modseq.cli.groups import LazyGroup

_SUB_COMMANDS = {
    "sync": (
        "modseq.cli.mirror.sync:sync_command",
        "Make the copy, or bring it up to date (the word may be left out).",
    ),
    "push": ("modseq.cli.mirror.sync:push_command", "Push offline edits and bring the copy up to date."),
    "fetch": (
        "modseq.cli.mirror.sync:fetch_command",
        "Fetch the bodies of some messages, whatever --bodies says.",
    ),
    "status": ("modseq.cli.mirror.look:status_command", "Show mailboxes, watermarks, doubts and what waits."),
    "list": ("modseq.cli.mirror.look:list_command", "List the messages of a mailbox."),
    "search": ("modseq.cli.mirror.look:search_command", "Find messages in the copy."),
    "show": ("modseq.cli.mirror.look:show_command", "Write one message to standard output."),
    "export": ("modseq.cli.mirror.export:export_command", "Write the copy out as mbox or Maildir."),
    "flag": ("modseq.cli.mirror.edit:flag_command", "Set and remove flags, offline."),
    "move": ("modseq.cli.mirror.edit:move_command", "Move messages to another mailbox, offline."),
    "delete": ("modseq.cli.mirror.edit:delete_command", "Delete messages, offline."),
    "append": ("modseq.cli.mirror.edit:append_command", "Add a message to a mailbox, offline."),
    "outbox": ("modseq.cli.mirror.edit:outbox_command", "List the edits that wait."),
    "undo": ("modseq.cli.mirror.edit:undo_command", "Forget an edit that waits."),
    "conflicts": ("modseq.cli.mirror.edit:conflicts_command", "List conflicts, with both sides."),
    "resolve": ("modseq.cli.mirror.edit:resolve_command", "Decide a conflict."),
}
"""Each sub-command: where it stands, and its summary."""


@click.group("mirror", cls=LazyGroup, sub_commands=_SUB_COMMANDS, default="sync")
def command() -> None:
    """
    Keep an offline copy of an IMAP account in one SQLite file, and edit it offline.

    \b
        modseq mirror imaps://ann@mail.example/ --to mail.sqlite --bodies all
        modseq mirror search mail.sqlite invoice
        modseq mirror flag mail.sqlite INBOX 17 --add '\\Flagged'
        modseq mirror push mail.sqlite

    Works against any IMAP server: by QRESYNC or CONDSTORE where it has them, else by comparing.
    """
