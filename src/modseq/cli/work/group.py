"""The command `modseq work` and its sub-commands; what is no sub-command is the address of a queue."""

from __future__ import annotations

import click

from modseq.cli.groups import LazyGroup

_SUB_COMMANDS = {
    "run": ("modseq.cli.work.run:run_command", "Run a command for each message (the word may be left out)."),
    "status": (
        "modseq.cli.work.look:status_command",
        "Count what is free, held, waiting, done and given up.",
    ),
    "claims": ("modseq.cli.work.look:claims_command", "List messages that are claimed, and who has them."),
    "requeue": (
        "modseq.cli.work.requeue:requeue_command",
        "Make messages work again that were given up or done.",
    ),
}
"""Each sub-command: where it stands, and its summary."""


@click.group("work", cls=LazyGroup, sub_commands=_SUB_COMMANDS, default="run")
def command() -> None:
    """
    Share a mailbox between workers: each message is given to one, and a command is run for it.

    \b
        modseq work imaps://robot@mail.example/INBOX --run ./answer --workers 8 --dead Failed
        modseq work status imaps://robot@mail.example/INBOX
        modseq work requeue imaps://robot@mail.example/INBOX --dead Failed

    Works with any IMAP server that has CONDSTORE, and with any number of these processes on any machines.
    """
