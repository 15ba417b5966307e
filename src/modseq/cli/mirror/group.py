"""The command `modseq mirror` and its sub-commands; what is no sub-command is the address of a server."""

from __future__ import annotations

import importlib

import click

_SUB_COMMANDS = {
    "sync": ("modseq.cli.mirror.sync", "Make the copy, or bring it up to date (the word may be left out)."),
    "push": ("modseq.cli.mirror.sync", "Push offline edits and bring the copy up to date."),
    "fetch": ("modseq.cli.mirror.sync", "Fetch the bodies of some messages, whatever --bodies says."),
    "status": ("modseq.cli.mirror.look", "Show mailboxes, watermarks, doubts and what waits."),
    "list": ("modseq.cli.mirror.look", "List the messages of a mailbox."),
    "search": ("modseq.cli.mirror.look", "Find messages in the copy."),
    "show": ("modseq.cli.mirror.look", "Write one message to standard output."),
    "export": ("modseq.cli.mirror.export", "Write the copy out as mbox or Maildir."),
    "flag": ("modseq.cli.mirror.edit", "Set and remove flags, offline."),
    "move": ("modseq.cli.mirror.edit", "Move messages to another mailbox, offline."),
    "delete": ("modseq.cli.mirror.edit", "Delete messages, offline."),
    "append": ("modseq.cli.mirror.edit", "Add a message to a mailbox, offline."),
    "outbox": ("modseq.cli.mirror.edit", "List the edits that wait."),
    "undo": ("modseq.cli.mirror.edit", "Forget an edit that waits."),
    "conflicts": ("modseq.cli.mirror.edit", "List conflicts, with both sides."),
    "resolve": ("modseq.cli.mirror.edit", "Decide a conflict."),
}
"""Each sub-command: its module, where it is named `<name>_command`, and its summary."""


class _Mirror(click.Group):
    """The group; an argument that is an address stands for `sync` with it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names in the order of the list above."""
        return list(_SUB_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a sub-command."""
        if cmd_name not in _SUB_COMMANDS:
            return None
        command = getattr(importlib.import_module(_SUB_COMMANDS[cmd_name][0]), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the sub-commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _SUB_COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `sync` before arguments that do not begin with a sub-command."""
        asks_for_help = any(each in {"-h", "--help"} for each in args)
        if args and args[0] not in _SUB_COMMANDS and (not asks_for_help or "://" in args[0]):
            is_option_first = args[0].startswith("-")
            if is_option_first or "://" in args[0]:
                args = ["sync", *args]
        return super().parse_args(ctx, args)


@click.group("mirror", cls=_Mirror)
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
