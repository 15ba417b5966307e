"""The command `modseq work` and its sub-commands; what is no sub-command is the address of a queue."""

from __future__ import annotations

import importlib

import click

_SUB_COMMANDS = {
    "run": ("modseq.cli.work.run", "Run a command for each message (the word may be left out)."),
    "status": ("modseq.cli.work.look", "Count what is free, held, waiting, done and given up."),
    "claims": ("modseq.cli.work.look", "List messages that are claimed, and who has them."),
    "requeue": ("modseq.cli.work.requeue", "Make messages work again that were given up or done."),
}
"""Each sub-command: its module, where it is named `<name>_command`, and its summary."""


class _Work(click.Group):
    """The group; an argument that is an address stands for `run` with it."""

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
        """Put `run` before arguments that do not begin with a sub-command."""
        is_help = bool(args) and args[0] in {"-h", "--help"}
        if (
            args
            and args[0] not in _SUB_COMMANDS
            and not is_help
            and (args[0][0:1] == "-" or "://" in args[0])
        ):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("work", cls=_Work)
def command() -> None:
    """
    Share a mailbox between workers: each message is given to one, and a command is run for it.

    \b
        modseq work imaps://robot@mail.example/INBOX --run ./answer --workers 8 --dead Failed
        modseq work status imaps://robot@mail.example/INBOX
        modseq work requeue imaps://robot@mail.example/INBOX --dead Failed

    Works with any IMAP server that has CONDSTORE, and with any number of these processes on any machines.
    """
